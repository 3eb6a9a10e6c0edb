#!/usr/bin/python3
"""Minutes of faults at random under load: two nodes and four callers, while servers and nodes are killed and
frozen and the network between them is cut, closed by half, held and delayed (not corrupted: what flipped bits make of a
request nobody can judge, see tests/chaos/corruption). Then all is mended, every request is answered for
good, and the invariants of tests/support/history.py must hold.

    soak.py BEDSD GATE      BEDS_SOAK_MINUTES (5), BEDS_SOAK_SEED (printed; the same seed, the same faults)
"""
import collections
import itertools
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import history  # noqa: E402  (the path comes first)
import rig  # noqa: E402

CALLERS = 4
PAUSE = 0.03         # between two requests of a caller
MOST_A_SECOND = 60   # requests of all callers: each has its own row


class Soak:
    def __init__(self, bedsd, gate, minutes, seed):
        self.seconds, self.random = minutes * 60, random.Random(seed)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="beds-soak-"))
        self.recorder = history.Recorder(self.folder / "history.jsonl")
        self.servers = rig.Servers()
        names = [name for name in self.servers.names if name != "mongodb" or self.servers.mongodb]
        self.gates = rig.Gates(gate, {name: self.servers.address(name) for name in names})
        self.unique = "beds_s" + uuid.uuid4().hex[:12]
        self.workload = rig.Workload(self.servers, self.unique, int(self.seconds * MOST_A_SECOND) + 100)
        self.tag = self.unique.removeprefix("beds_") + "_"
        self.nodes = [rig.Node(bedsd, self.servers, self.workload, self.tag, reach=self.gates, max_batch=64,
                               recorder=self.recorder)
                      for _ in range(2)]
        self.kinds = [kind for kind in rig.KINDS if rig.KINDS[kind][1] in names]
        self.numbers = itertools.count(1)
        self.requests = []
        self.stop = threading.Event()
        self.open = []    # what callers could not finish
        self.untold = []  # writes of MongoDB that stay unknown
        self.problems = []

    # ---- load ----

    def call(self, seed):
        choose = random.Random(seed)
        caller = rig.Caller(self.servers.amqp_url, self.tag, self.recorder, 3.0)
        while not self.stop.is_set():
            number = next(self.numbers)
            if number > self.workload.rows:
                break
            request = rig.Request(choose.choice(self.kinds), number, f"{self.unique}-{number}")
            self.requests.append(request)
            caller.send(request)
            while not caller.pump(5.0):
                if request.engine == "mongodb" and caller.beyond_telling(request.id):
                    self.untold.append(request.id)
                    caller.done(request.id)
                    break
                if self.stop.is_set() and time.monotonic() > self.give_up:
                    break
            time.sleep(PAUSE)
        caller.linger(0.5)
        self.open += caller.open
        caller.close()

    # ---- faults ----

    def say(self, text):
        print(f"{time.monotonic() - self.began:7.1f} s  {text}", flush=True)

    def fault(self):
        """One fault and its end."""
        length = round(self.random.uniform(0.2, 4.0), 1)
        server = self.random.choice(self.gates.names)
        which = self.random.randrange(len(self.nodes))
        way = self.random.choice(("to_server", "to_client"))
        size = self.random.randrange(1, 20_000)
        what = self.random.choice(("kill node", "kill server", "freeze node", "freeze server", "reset", "hold",
                                   "delay", "cut", "refuse", "half close", "stop node"))
        node = self.nodes[which]
        if what == "kill node":
            self.say(f"node {which} is killed, and started after {length} s")
            node.kill()
            time.sleep(length)
            node.start()
        elif what == "kill server":
            self.say(f"{server} is killed, and started after {length} s")
            self.servers.run("kill", server)
            time.sleep(length)
            self.servers.run("start", "--own", server)
        elif what == "freeze node":
            self.say(f"node {which} stands still for {length} s")
            node.signal(signal.SIGSTOP)
            time.sleep(length)
            node.signal(signal.SIGCONT)
        elif what == "freeze server":
            self.say(f"{server} stands still for {length} s")
            self.servers.run("pause", server)
            time.sleep(length)
            self.servers.run("resume", server)
        elif what == "reset":
            self.say(f"all connections to {server} are cut")
            self.gates.tell(server, "reset")
        elif what == "hold":
            self.say(f"nothing passes {way} of {server} for {length} s")
            self.gates.tell(server, "freeze", way)
            time.sleep(length)
            self.gates.tell(server, "thaw", way)
        elif what == "delay":
            self.say(f"{size} us later {way} of {server} for {length} s")
            self.gates.tell(server, "delay", way, size)
            time.sleep(length)
            self.gates.tell(server, "delay", way, 0)
        elif what == "half close":
            self.say(f"all connections to {server} end {way}")
            self.gates.tell(server, "half_close", way)
        elif what == "stop node":
            self.say(f"node {which} ends in order, and is started after {length} s")
            if (code := node.stop(seconds=60, idle=False)) not in (0, 1):  # 1: it could not finish everything
                self.problems.append(f"node {which} ended with {code}:\n" + node.log()[-3000:])
            time.sleep(length)
            node.start()
        elif what == "cut":
            self.say(f"a connection is cut after {size} more bytes {way} of {server}")
            self.gates.tell(server, "cut_after", way, size)
        else:
            self.say(f"{server} takes no new connections for {length} s, and loses those that it has")
            self.gates.tell(server, "stop_accepting")
            self.gates.tell(server, "reset")
            time.sleep(length)
            self.gates.tell(server, "accept_again")

    def watch(self):
        """No fault is to end a node; of servers it is said."""
        for which, node in enumerate(self.nodes):
            if not node.alive():
                self.problems.append(f"node {which} ended by itself:\n" + node.log()[-3000:])
                node.start()
        if ended := self.servers.ended_by_themselves():
            self.say(f"{', '.join(ended)} ended though nobody killed it; started again")
            self.servers.run("start", "--own", *ended)

    # ---- all of it ----

    def run(self):
        self.servers.sql(self.workload.schema())
        if self.servers.mongodb:
            self.workload.prepare_documents()
        for node in self.nodes:
            node.start()
        ready = rig.Caller(self.servers.amqp_url, self.tag, self.recorder, 3.0)
        ready.wait_ready(["rel.read", "rel.write", "rel.bulk"] + (["rec.write"] if self.servers.mongodb else []))
        ready.close()
        self.began = time.monotonic()
        callers = [threading.Thread(target=self.call, args=(self.random.random(),)) for _ in range(CALLERS)]
        for caller in callers:
            caller.start()
        while time.monotonic() - self.began < self.seconds:
            time.sleep(self.random.uniform(0.1, 2.0))
            self.fault()
            self.watch()
        self.say("all is mended; callers finish")
        self.give_up = time.monotonic() + 120
        self.stop.set()
        for caller in callers:
            caller.join()
        for which, node in enumerate(self.nodes):
            if (code := node.stop()) != 0:
                self.problems.append(f"node {which} ended with {code}:\n" + node.log()[-3000:])
            shutil.copyfile(node.folder / "log", self.folder / f"node_{which}.log")
        self.workload.dump(self.recorder, self.requests)
        self.check()

    def check(self):
        self.recorder.close()
        self.problems += [f"{invariant}: {text}" for invariant, text in history.violations(self.recorder.events)]
        self.problems += [f"not answered for good: {name}" for name in self.open]
        seen = collections.Counter()
        for line in self.recorder.events:
            seen[line["event"]] += 1
            if line["event"] == "fail" and line["final"]:
                self.problems.append(f"refused: {line['id']} {line['answer']}")
        if len(self.untold) > 10 + len(self.requests) // 100:
            self.problems.append(f"{len(self.untold)} writes stay unknown: {self.untold[:20]}")
        self.say(f"{len(self.untold)} writes of MongoDB stay unknown")
        self.say(f"{len(self.requests)} requests: " + ", ".join(f"{n} {what}" for what, n in sorted(seen.items())))

    def close(self):
        for node in self.nodes:
            node.remove()
        self.gates.stop()
        self.servers.stop()
        if not self.problems:
            shutil.rmtree(self.folder, ignore_errors=True)


def main(arguments):
    if len(arguments) != 2:
        print(__doc__)
        return 2
    minutes = float(os.environ.get("BEDS_SOAK_MINUTES") or 5)
    seed = int(os.environ.get("BEDS_SOAK_SEED") or random.randrange(1_000_000))
    print(f"seed {seed}, {minutes:g} minutes: tests/run soak --minutes {minutes:g} --seed {seed}", flush=True)
    soak = Soak(*arguments, minutes, seed)
    try:
        soak.run()
        for text in soak.problems[:30]:
            print(text)
        print(f"seed {seed}: {len(soak.problems)} problems"
              + (f"; history and more: {soak.folder}" if soak.problems else "; every invariant holds"))
        return 1 if soak.problems else 0
    finally:
        soak.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

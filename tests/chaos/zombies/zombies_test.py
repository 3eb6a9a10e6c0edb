#!/usr/bin/python3
"""A node stands still in the middle of its work for so long that RabbitMQ takes it for dead and gives its messages to
another node, which does them. Then it goes on where it stood: nothing may happen twice, nobody may be told anything
else, its acknowledgements must find nobody, and both nodes serve.

    zombies_test.py BEDSD

Each cell is a point of the data path (libbeds/src/core/failpoint.hpp) and a kind of operation, with a database, queues
and two nodes of its own; all cells stand still together.
"""
import pathlib
import signal
import sys
import tempfile
import threading
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import history  # noqa: E402  (the path comes first)
import rig  # noqa: E402

CELLS = (
    ("effect_done", "mariadb_procedure"),   # the effect, and its row of the inbox is not written yet
    ("inbox_written", "mariadb_direct"),
    ("before_commit", "atomic_batch"),
    ("after_commit", "mariadb_direct"),     # and the other node finds that it was done
    ("effect_done", "mongodb_single"),      # the reply is not in the inbox yet
    ("inbox_written", "mongodb_single"),
)
REQUESTS = 20
LATER = 10        # requests that come when all is over
# In seconds; RabbitMQ waits two or three of them. MariaDB ends the transaction of the node that stands still after five:
# had the other node its operations before that, it would wait for their locks, which it may for two thirds of this only.
HEARTBEAT = 3


class Cell:
    def __init__(self, servers, bedsd, folder, point, kind):
        self.point, self.kind, self.name = point, kind, f"{point}/{kind}"
        self.unique = "beds_z" + uuid.uuid4().hex[:12]
        self.servers = servers
        self.workload = rig.Workload(servers, self.unique, REQUESTS + LATER)
        self.recorder = history.Recorder(folder / (self.name.replace("/", "-") + ".jsonl"))
        self.tag = self.unique.removeprefix("beds_") + "_"
        self.requests = [rig.Request(kind, number, f"{self.unique}-{number}")
                         for number in range(1, REQUESTS + LATER + 1)]
        self.queue = ("rec" if rig.KINDS[kind][1] == "mongodb" else "rel") + ".write"
        self.zombie, self.other = (rig.Node(bedsd, servers, self.workload, self.tag, recorder=self.recorder)
                                   for _ in range(2))
        self.problems = []

    def start(self, node, failpoints=""):
        node.start(failpoints, ("--set", f"broker_services.app_server.heartbeat={HEARTBEAT}s"))

    def run(self):
        try:
            self.stand_still()
            self.go_on()
            self.both_serve()
            self.check()
        except Exception as failed:
            self.problems.append(repr(failed))

    def stand_still(self):
        if self.servers.mongodb is not None:
            self.workload.prepare_documents()
        # Long enough for everything: nobody is to ask twice, RabbitMQ delivers again.
        self.caller = rig.Caller(self.servers.amqp_url, self.tag, self.recorder, 40.0)
        self.start(self.zombie, f"{self.point}:hit=2:stop")
        self.caller.wait_ready([self.queue])
        for request in self.requests[:REQUESTS]:
            self.caller.send(request)
        self.zombie.wait_stopped(20)
        stood = time.monotonic()
        self.start(self.other)
        if not self.caller.pump(30):
            raise RuntimeError(f"not answered while the other node stands still: {sorted(self.caller.open)}")
        if time.monotonic() - stood < HEARTBEAT:
            raise RuntimeError("it was answered at once: nothing was held")

    def go_on(self):
        self.zombie.signal(signal.SIGCONT)
        rig.wait_until(lambda: self.caller.consumers(self.queue) == 2, 20, "the return of the node that stood still")
        if not self.zombie.alive():
            raise RuntimeError(f"bedsd ended by itself with {self.zombie.ended}")
        self.caller.linger(0.5)
        # Whoever asks again gets the first answer.
        for request in self.requests[:REQUESTS]:
            self.caller.send(request)
        if not self.caller.pump(20):
            raise RuntimeError(f"not answered a second time: {sorted(self.caller.open)}")

    def both_serve(self):
        half = REQUESTS + LATER // 2
        if (code := self.other.stop()) != 0:
            self.problems.append(f"the other node ended with {code}")
        for request in self.requests[REQUESTS:half]:
            self.caller.send(request)
        if not self.caller.pump(20):
            self.problems.append("the node that stood still does not serve")
        self.start(self.other)
        rig.wait_until(lambda: self.caller.consumers(self.queue) == 2, 20, "both nodes")
        before = len(self.recorder.events)
        if (code := self.zombie.stop()) != 0:
            self.problems.append(f"the node that stood still ended with {code}")
        books = [line for line in self.recorder.events[before:] if line["event"] == "books"]
        if self.zombie.has_books and not sum(line["requeued"] for line in books):
            self.problems.append("the node that stood still believes that it finished what it held")
        for request in self.requests[half:]:
            self.caller.send(request)
        if not self.caller.pump(20):
            self.problems.append("the other node does not serve")
        if (code := self.other.stop()) != 0:
            self.problems.append(f"the other node ended with {code}")
        self.caller.linger(0.2)

    def check(self):
        self.workload.dump(self.recorder, self.requests)
        if self.zombie.has_books:
            self.recorder.write("whole", exact=False)
        self.problems += [f"{invariant}: {text}" for invariant, text in history.violations(self.recorder.events)]
        for line in self.recorder.events:
            # A node that stood still for longer than an operation may work cannot look any more what became of its
            # COMMIT: it may say so, late, to those who know already.
            late = line["event"] == "unknown" and line["code"] == "DEADLINE_EXCEEDED" and line["id"] in self.caller.well
            if line["event"] in ("fail", "unknown") and not late:
                self.problems.append(f"not ok: {line}")
        if self.caller.silent:
            self.problems.append(f"{self.caller.silent} attempts were not answered")

    def remove(self):
        self.recorder.close()
        for node in (self.zombie, self.other):
            node.remove()
        if hasattr(self, "caller"):
            self.caller.delete_queues()
            self.caller.close()


def main(bedsd):
    servers = rig.Servers()
    folder = tempfile.TemporaryDirectory(prefix="beds-zombies-")
    cells = []
    try:
        for point, kind in CELLS:
            if rig.KINDS[kind][1] == "mongodb" and servers.mongodb is None:
                print(f"skipped: {point}/{kind} (no MongoDB)")
                continue
            cells.append(Cell(servers, bedsd, pathlib.Path(folder.name), point, kind))
        servers.sql("".join(cell.workload.schema() for cell in cells))
        running = [threading.Thread(target=cell.run, daemon=True) for cell in cells]
        for one in running:
            one.start()
        end = time.monotonic() + 150
        for cell, one in zip(cells, running):
            one.join(max(0.0, end - time.monotonic()))
            if one.is_alive():
                cell.problems.append("does not end")
        for cell in cells:
            print(f"{'FAILED' if cell.problems else 'ok'} {cell.name}")
            if cell.problems:
                print("".join(f"    {text}\n" for text in cell.problems[:12]))
                for which, node in (("stood still", cell.zombie), ("other", cell.other)):
                    print("".join(f"    {which} | {line[:300]}\n" for line in node.log().splitlines()[-25:]))
        return 1 if any(cell.problems for cell in cells) else 0
    finally:
        for cell in cells:
            cell.remove()
        servers.stop()
        folder.cleanup()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))

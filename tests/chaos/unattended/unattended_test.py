#!/usr/bin/python3
"""Writes that nobody waits for: published persistent and mandatory, confirmed by RabbitMQ, without a reply_to, and
never sent again. Meanwhile bedsd, MariaDB and RabbitMQ are killed and their connections cut. In the end each that
RabbitMQ has confirmed is in the tables once, or is a dead letter with its body. A letter may lie there twice.

    unattended_test.py BEDSD GATE       BEDS_TEST_SEED (printed): the same faults at the same moments

500 writes and one fault of each kind; BEDS_CHAOS_FULL=1: 5,000, bedsd is killed three times, connections are cut five
times.
"""
import os
import pathlib
import random
import sys
import tempfile
import threading
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import history  # noqa: E402  (the path comes first)
import rig  # noqa: E402
from rig import pika  # noqa: E402

FULL = os.environ.get("BEDS_CHAOS_FULL") == "1"
WRITES = 5000 if FULL else 500
A_SECOND = 300
SENDERS = 4
LOST = 50  # each so manieth cannot be done, and is a dead letter
KINDS = ("mariadb_direct", "mariadb_procedure", "atomic_batch")
FAULTS = (["bedsd"] * 3 + ["cut rabbitmq"] * 3 + ["cut mariadb"] * 2 if FULL else
          ["bedsd", "cut rabbitmq", "cut mariadb"]) + ["mariadb", "rabbitmq"]


class Unattended:
    def __init__(self, bedsd, gate, folder, seed):
        self.random = random.Random(seed)
        self.recorder = history.Recorder(folder / "history.jsonl")
        self.servers = rig.Servers("rabbitmq", "mariadb")
        self.gates = rig.Gates(gate, {name: self.servers.address(name) for name in ("rabbitmq", "mariadb")})
        self.unique = "beds_u" + uuid.uuid4().hex[:12]
        self.tag = self.unique.removeprefix("beds_") + "_"
        self.workload = rig.Workload(self.servers, self.unique, WRITES)
        self.servers.sql(self.workload.schema())
        self.node = rig.Node(bedsd, self.servers, self.workload, self.tag, reach=self.gates, max_batch=64, brokers=2,
                             recorder=self.recorder)
        self.requests = [rig.Request(KINDS[number % len(KINDS)], number, f"{self.unique}-{number}")
                         for number in range(1, WRITES + 1)]
        for request in self.requests[LOST - 1::LOST]:
            request.body = request.body.replace(b'"template"', b'"tenplate"', 1)
        self.lost = {request.id for request in self.requests[LOST - 1::LOST]}
        self.waiting = list(reversed(self.requests))
        self.limit = 0  # no more are sent for now
        self.accepted = set()
        self.dead = {}  # id: body
        self.twice = 0  # letters
        self.problems = []

    # ---- senders ----

    def sent(self):
        return WRITES - len(self.waiting)

    def send_all(self):
        caller = rig.Caller(self.servers.amqp_url, self.tag, self.recorder, 0)
        next_at = time.monotonic()
        while True:
            time.sleep(max(0.0, next_at - time.monotonic()))
            next_at = max(next_at, time.monotonic() - 0.1) + SENDERS / A_SECOND
            while self.sent() >= self.limit:
                time.sleep(0.005)
            try:
                caller.connect()
                request = self.waiting.pop()
            except IndexError:
                break
            self.recorder.write("invoke", id=request.id, effects=list(request.effects))
            properties = pika.BasicProperties(content_type="application/json", delivery_mode=2, message_id=request.id)
            try:
                caller.channel.basic_publish(self.tag + "beds.events", request.key, request.body, properties,
                                             mandatory=True)
                self.accepted.add(request.id)
            except (pika.exceptions.AMQPError, OSError):
                caller.close()  # not confirmed: it may be there, once
        caller.close()

    # ---- faults ----

    def strike(self, fault):
        print(f"{self.sent()} sent, {len(self.accepted)} confirmed: {fault}", flush=True)
        if fault == "bedsd":
            self.node.kill()
            time.sleep(0.2)
            self.node.start()
        elif fault.startswith("cut "):
            self.gates.tell(fault.removeprefix("cut "), "reset")
        else:
            self.servers.run("kill", fault)
            self.servers.run("start", "--own", fault)
        if not self.node.alive():
            raise RuntimeError(f"bedsd ended by itself with {self.node.ended}")

    def works(self, caller):
        try:
            return self.node.alive() and caller.consumers("rel.write") == 2
        except (pika.exceptions.AMQPError, OSError):
            return False

    # ---- what became of them ----

    def take_dead(self, channel):
        while True:
            method, properties, body = channel.basic_get(self.tag + "dead", auto_ack=True)
            if method is None:
                return
            # Who is killed between the letter and its acknowledgement leaves it twice (guarantees.md).
            if self.dead.get(properties.message_id, body) != body:
                self.problems.append(f"{properties.message_id} is a dead letter twice, with different bodies")
            self.twice += properties.message_id in self.dead
            self.dead[properties.message_id] = body
            self.recorder.write("dead", id=properties.message_id)

    def there(self):
        """Requests that have left a trace."""
        scratch = history.Recorder(os.devnull)
        self.workload.dump(scratch, self.requests)
        scratch.close()
        return {event["id"] for event in scratch.events}

    def await_all(self):
        caller = rig.Caller(self.servers.amqp_url, self.tag, self.recorder, 0)
        # What was delivered before is worked on one at a time: with thousands of writes it takes minutes.
        before, left, end = WRITES + 1, WRITES, 0.0
        while left and (left < before or time.monotonic() < end):
            if left < before:
                before, end = left, time.monotonic() + 30
            caller.connect()
            self.take_dead(caller.channel)
            left = len(self.accepted - self.dead.keys() - self.there())
            time.sleep(0.2)
        time.sleep(0.5)  # nothing more comes
        self.take_dead(caller.channel)
        if (code := self.node.stop()) != 0:
            self.problems.append(f"bedsd ended with {code}")
        caller.connect()
        self.take_dead(caller.channel)
        caller.close()
        missing = self.accepted - self.dead.keys() - self.there()
        self.problems += [f"{name} was confirmed and is neither there nor a dead letter" for name in sorted(missing)]

    def run(self):
        self.node.start()
        ready = rig.Caller(self.servers.amqp_url, self.tag, self.recorder, 0)
        ready.wait_ready(["rel.write"])
        # A database far away: whenever something is killed, writes are under way.
        self.gates.tell("mariadb", "delay", "to_client", 3000 if FULL else 10_000)
        declared = time.monotonic()
        senders = [threading.Thread(target=self.send_all) for _ in range(SENDERS)]
        faults = FAULTS[:]
        self.random.shuffle(faults)
        part = WRITES // (len(faults) + 1)
        for sender in senders:
            sender.start()
        for number, fault in enumerate(faults, 1):
            # A third of a part is sent while a fault lasts; the others wait for its end.
            at = int(part * (number - self.random.random() / 2))
            self.limit = at + part // 3
            rig.wait_until(lambda at=at: self.sent() >= at, 60, f"write {at}")
            if fault == "rabbitmq":  # RabbitMQ 3.10 forgets quorum queues that are younger than a second
                time.sleep(max(0.0, declared + 2 - time.monotonic()))
            self.strike(fault)
            # The next fault shall meet a node at work.
            rig.wait_until(lambda: self.works(ready), 60, "the node's return")
        ready.close()
        self.limit = WRITES + 1
        for sender in senders:
            sender.join()
        self.await_all()
        self.workload.dump(self.recorder, self.requests)
        for name, body in self.dead.items():
            sent = [request.body for request in self.requests if request.id == name]
            if sent != [body]:
                self.problems.append(f"the dead letter {name} is not what was sent: {body[:200]}")
        unexpected = self.dead.keys() - self.lost
        self.problems += [f"{name} is a dead letter" for name in sorted(unexpected)]
        # Nobody is answered.
        self.problems += [f"{invariant}: {text}" for invariant, text in history.violations(self.recorder.events)
                          if invariant != "I5"]
        if self.twice > 2 * len(FAULTS):
            self.problems.append(f"{self.twice} letters are there twice")
        if len(self.accepted) < 0.8 * WRITES:
            self.problems.append(f"only {len(self.accepted)} writes were confirmed")
        print(f"{WRITES} writes, {len(self.accepted)} confirmed, {len(self.there())} there, "
              f"{len(self.dead)} dead letters, {self.twice} of them twice")

    def close(self):
        self.recorder.close()
        self.node.remove()
        self.gates.stop()
        self.servers.stop()


def main(bedsd, gate):
    seed = int(os.environ.get("BEDS_TEST_SEED") or random.randrange(1_000_000))
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="beds-unattended-") as folder:
        test = Unattended(bedsd, gate, pathlib.Path(folder), seed)
        try:
            test.run()
            for text in test.problems[:20]:
                print(text)
            if test.problems:
                print(test.node.log()[-4000:])
            return 1 if test.problems else 0
        finally:
            test.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))

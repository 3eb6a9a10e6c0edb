#!/usr/bin/python3
"""The crash matrix: at each moment of the data path (fail points, libbeds/src/core/failpoint.hpp), for each kind
of operation, bedsd or a database or RabbitMQ is killed or all connections are cut. What callers were told must
then agree with what the databases hold (tests/support/history.py).

    crash_matrix_test.py BEDSD GATE

A cell is POINT/KIND/FAULT. Each has a bedsd, queues and a database of its own and sends 20 requests whose effects
can be counted; at the Nth hit bedsd is killed, or stands still until the fault has happened. Cells with the same
fault share it: they run beside each other. Without more, the cells are a subset with every pair of point and kind,
of point and fault and of kind and fault; BEDS_CHAOS_FULL=1 runs all 308, BEDS_CRASH_CELLS is a regular expression
that chooses among all of them, BEDS_CRASH_BESIDE says how many run at once (20).
"""
import concurrent.futures
import contextlib
import itertools
import os
import pathlib
import re
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

POINTS = ("after_deliver", "after_validate", "db_begin", "effect_done", "inbox_written", "before_commit",
          "after_commit", "reply_published", "reply_confirmed", "before_ack", "after_ack")
FAULTS = ("bedsd", "database", "rabbitmq", "cut")
REQUESTS = 20


class Cell:
    def __init__(self, point, kind, fault):
        self.point, self.kind, self.fault = point, kind, fault
        self.name = f"{point}/{kind}/{fault}"
        self.op_class, self.engine, _ = rig.KINDS[kind]
        self.wrong, self.last_lines = [], []
        self.hit = 7 if point == "after_deliver" else 2 + (POINTS.index(point) + FAULTS.index(fault)) % 2

    def prepare(self, servers):
        self.unique = "beds_c" + uuid.uuid4().hex[:12]
        self.workload = rig.Workload(servers, self.unique, REQUESTS)
        self.requests = [rig.Request(self.kind, number, f"{self.unique}-{number}")
                         for number in range(1, REQUESTS + 1)]

    def strike(self, servers, gates, bedsd, folder):
        """Up to the fault."""
        tag = self.unique.removeprefix("beds_") + "_"
        self.recorder = history.Recorder(folder / (self.name.replace("/", "-") + ".jsonl"))
        if self.engine == "mongodb":
            self.workload.prepare_documents()
        self.node = rig.Node(bedsd, servers, self.workload, tag, reach=gates, recorder=self.recorder)
        # A node that comes back answers what is delivered to it again: nobody needs to ask twice. But the rows of
        # reads are not confirmed (decision 0005): some may end with the connection of the node that is killed.
        patience = 20.0 if self.fault == "bedsd" and self.kind != "read" else 4.0
        self.caller = rig.Caller(servers.amqp_url, tag, self.recorder, patience)
        self.node.start(f"{self.point}:hit={self.hit}:{'kill' if self.fault == 'bedsd' else 'stop'}")
        connection = "rec" if self.engine == "mongodb" else "rel"
        self.caller.wait_ready([f"{connection}.{self.op_class}"])
        for request in self.requests:
            self.caller.send(request)
        if self.fault == "bedsd":
            self.node.wait_killed(30)
        else:
            self.node.wait_stopped(30)

    def recover(self):
        """From the fault to the end of bedsd."""
        if self.fault == "bedsd":
            self.node.start()
        else:
            self.node.signal(signal.SIGCONT)
        self.complete = self.caller.pump(60)
        if not self.node.alive():
            raise RuntimeError(f"bedsd ended by itself with {self.node.ended}")
        self.caller.linger(0.3)
        self.exit_code = self.node.stop()
        self.caller.linger(0.3)  # what was sent again, because its first answer was late, is answered by now
        # The books of a bedsd that was killed are lost; else one process has them all.
        if self.fault != "bedsd" and self.node.has_books:
            self.recorder.write("whole", exact=self.fault == "database", late=self.node.late())
        self.caller.close()

    def problems(self):
        self.workload.dump(self.recorder, self.requests)
        self.recorder.close()
        for invariant, text in history.violations(self.recorder.events):
            yield f"{invariant}: {text}"
        if not self.complete:
            yield "not answered for good: " + ", ".join(sorted(self.caller.open))
        if self.exit_code != 0:
            yield f"bedsd ended with {self.exit_code}"
        if self.fault == "bedsd" and self.kind != "read" and self.caller.silent:
            yield f"{self.caller.silent} requests were not answered by the node that came back"
        for line in self.recorder.events:
            if line["event"] == "fail" and line["final"]:
                yield f"refused: {line['id']} {line['answer']}"
            # What several documents hold is the one thing here that cannot be promised once.
            labelled = line.get("guarantee") == "at_least_once"
            if line["event"] == "ok" and labelled != (self.kind == "mongodb_multi"):
                yield f"{line['id']} is {'only' if labelled else 'not said to be'} promised at least once"
            if line["event"] == "effect" and line["count"] != int(line["count"]):
                yield f"a part of {line['id']} is there"
        if self.kind == "read":
            for request in self.requests:
                rows = self.caller.answered.get(request.id, {}).get("rows")
                if rows != [{"id": request.number, "balance": 0}]:
                    yield f"{request.id} read {rows}"

    def report(self):
        print(f"FAILED {self.name} (hit {self.hit})")
        for text in self.wrong[:12]:
            print(f"    {text}")
        for line in self.last_lines:
            print(f"    | {line[:300]}")

    def remove(self):
        if hasattr(self, "node"):
            self.last_lines = self.node.log().splitlines()[-25:]
            self.node.remove()
        if hasattr(self, "caller"):
            self.caller.delete_queues()
            self.caller.close()


def all_cells():
    return [Cell(point, kind, fault) for fault in FAULTS for point in POINTS for kind in rig.KINDS]


def chosen():
    pattern = os.environ.get("BEDS_CRASH_CELLS")
    if pattern:
        return [cell for cell in all_cells() if re.search(pattern, cell.name)]
    if os.environ.get("BEDS_CHAOS_FULL") == "1":
        return all_cells()
    return pairwise()


def pairwise():
    """Each point with each kind, as few as can be; the fault goes round."""
    return [Cell(point, kind, FAULTS[(i + j) % len(FAULTS)])
            for i, point in enumerate(POINTS) for j, kind in enumerate(rig.KINDS)]


def missing_pairs():
    """Pairs of values that are in no cell of the subset."""
    def pairs(cells):
        return {pair for cell in cells for pair in itertools.combinations(cell.name.split("/"), 2)}
    return pairs(all_cells()) - pairs(pairwise())


def waves(cells):
    beside = int(os.environ.get("BEDS_CRASH_BESIDE", "20"))
    for fault in FAULTS:
        of_fault = [cell for cell in cells if cell.fault == fault]
        for at in range(0, len(of_fault), beside):
            yield fault, of_fault[at:at + beside]


class Matrix:
    def __init__(self, bedsd, gate):
        self.bedsd, self.gate = bedsd, gate
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="beds-crash-"))
        self.servers = rig.Servers()
        self.failed = 0

    def run(self):
        if missing := missing_pairs():
            print(f"the subset leaves out: {sorted(missing)}")
            return 1
        cells = chosen()
        if self.servers.mongodb is None:
            left = [cell for cell in cells if cell.engine != "mongodb"]
            print(f"skipped: {len(cells) - len(left)} cells (no MongoDB)")
            cells = left
        began = time.monotonic()
        for fault, wave in waves(cells):
            failed = self.wave(fault, wave)
            # mariadbd 10.11 has been seen to end by itself, in ha_maria::drop_table, while other things were killed.
            # That is a fault of its own, and none of this cell's: once it may try again.
            if ended := self.revive():
                print(f"-- {ended} ended though nobody killed it; {len(failed)} cells are repeated", flush=True)
                if failed:
                    failed = self.wave(fault, [Cell(cell.point, cell.kind, cell.fault) for cell in failed])
            self.failed += len(failed)
            for cell in failed:
                cell.report()
        print(f"{len(cells)} cells, {self.failed} failed, {time.monotonic() - began:.0f} s")
        if self.failed:
            print(f"histories: {self.folder}")
        return 1 if self.failed or not cells else 0

    def revive(self):
        """Starts what ended by itself; says what it was."""
        ended = self.servers.ended_by_themselves()
        if ended:
            self.servers.run("start", "--own", *ended)
        return ", ".join(ended)

    def wave(self, fault, wave):
        """Returns the cells that failed."""
        began = time.monotonic()
        for cell in wave:
            cell.prepare(self.servers)
        self.servers.sql("".join(cell.workload.schema() for cell in wave))
        gates = rig.Gates(self.gate, {name: self.servers.address(name) for name in self.servers.names
                                      if name != "mongodb" or self.servers.mongodb}) if fault == "cut" else None
        errors = {}

        def each(step, *arguments):
            def one(cell):
                try:
                    getattr(cell, step)(*arguments)
                except Exception as failed:
                    errors[cell.name] = f"{step}: {failed!r}"

            # Threads that hang must not keep the test from its end.
            running = [(cell, threading.Thread(target=one, args=(cell,), daemon=True))
                       for cell in wave if cell.name not in errors]
            for _, thread in running:
                thread.start()
            end = time.monotonic() + 120
            for cell, thread in running:
                thread.join(max(0.0, end - time.monotonic()))
                if thread.is_alive():
                    errors.setdefault(cell.name, f"{step}: does not end")
        try:
            each("strike", self.servers, gates, self.bedsd, self.folder)
            struck = time.monotonic()
            if fault in ("database", "rabbitmq"):
                hurt = {"rabbitmq"} if fault == "rabbitmq" else {cell.engine for cell in wave}
                if fault == "rabbitmq":
                    # RabbitMQ notes its quorum queues half a second late; one that it forgets, with all its
                    # messages, answers nobody any more.
                    time.sleep(2)
                self.servers.run("kill", *hurt)
                # It comes back while the nodes look for it.
                with concurrent.futures.ThreadPoolExecutor(1) as pool:
                    back = pool.submit(lambda: (time.sleep(0.5), self.servers.run("start", "--own", *hurt)))
                    each("recover")
                    back.result()
            else:
                for name in gates.names if gates else ():
                    gates.tell(name, "reset")
                each("recover")
            for cell in wave:
                try:
                    cell.wrong = [errors[cell.name]] if cell.name in errors else list(cell.problems())
                except RuntimeError as failed:  # its databases cannot be read
                    cell.wrong = [f"dump: {failed}"]
            print(f"-- {fault}: {len(wave)} cells in {time.monotonic() - began:.1f} s, "
                  f"{time.monotonic() - struck:.1f} s from the fault on", flush=True)
        finally:
            for cell in wave:
                with contextlib.suppress(Exception):
                    cell.remove()
            if gates:
                gates.stop()
            with contextlib.suppress(RuntimeError):  # not if MariaDB is gone; the folder goes with all of it
                self.servers.sql("".join(f"DROP DATABASE IF EXISTS {cell.unique};" for cell in wave))
        return [cell for cell in wave if cell.wrong]

    def close(self):
        self.servers.stop()
        if not self.failed:
            shutil.rmtree(self.folder, ignore_errors=True)


def main(arguments):
    if len(arguments) != 2:
        print(__doc__)
        return 2
    matrix = Matrix(*arguments)
    try:
        return matrix.run()
    finally:
        matrix.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/python3
"""The life of a daemon: a message that ends every process which takes it harms no other, what a stop leaves behind is
done by the next process, and two nodes that are restarted in turn lose their callers no request. With BEDS_CHAOS_FULL
also: a broker that stands still is told.

    life_cycle_test.py BEDSD
"""
import os
import pathlib
import signal
import sys
import tempfile
import threading
import time
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import history  # noqa: E402  (the path comes first)
import rig  # noqa: E402


class LifeCycle(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.servers = rig.Servers("rabbitmq", "mariadb")
        cls.folder = tempfile.TemporaryDirectory(prefix="beds-life-")

    @classmethod
    def tearDownClass(cls):
        cls.servers.stop()
        cls.folder.cleanup()

    def setUp(self):
        self.unique = "beds_l" + uuid.uuid4().hex[:12]
        self.tag = self.unique.removeprefix("beds_") + "_"
        self.recorder = history.Recorder(pathlib.Path(self.folder.name) / f"{self._testMethodName}.jsonl")
        self.nodes = []

    def tearDown(self):
        for node in self.nodes:
            node.remove()
        self.servers.sql(f"DROP DATABASE IF EXISTS {self.unique};")

    def prepare(self, rows, nodes):
        self.workload = rig.Workload(self.servers, self.unique, rows)
        self.servers.sql(self.workload.schema())
        self.nodes += [rig.Node(sys.argv[1], self.servers, self.workload, self.tag, max_batch=64,
                                recorder=self.recorder)
                       for _ in range(nodes)]
        return [rig.Request("mariadb_direct", number, f"{self.unique}-{number}") for number in range(1, rows + 1)]

    def verify(self, requests):
        self.workload.dump(self.recorder, requests)
        self.recorder.close()
        if self.nodes[0].has_books:
            self.assertTrue(any(event["event"] == "books" for event in self.recorder.events))
        self.assertEqual([f"{name}: {text}" for name, text in history.violations(self.recorder.events)], [])

    def test_a_message_that_ends_the_process_takes_no_other_with_it(self):
        requests = self.prepare(100, 1)
        poison = requests[41]
        caller = rig.Caller(self.servers.amqp_url, self.tag, self.recorder, 120.0)
        node = self.nodes[0]
        node.start()
        caller.wait_ready(["rel.write"])
        self.assertEqual(node.stop(), 0)
        for request in requests:
            caller.send(request, deadline=120.0)
        # The service manager: it starts what has ended.
        crashes = -1
        end = time.monotonic() + 90
        dead = 0
        while time.monotonic() < end and (len(caller.open) > 1 or dead == 0):
            if not node.alive():
                crashes += 1
                node.start(f"after_deliver:if_message_id={poison.id}:abort")
            caller.pump(0.2)
            dead = caller.channel.queue_declare(self.tag + "dead", passive=True).method.message_count
        self.assertEqual(list(caller.open), [poison.id], node.log())
        self.assertEqual(dead, 1)
        _, properties, body = caller.channel.basic_get(self.tag + "dead", auto_ack=True)
        self.assertEqual((properties.message_id, body), (poison.id, poison.body))
        self.recorder.write("dead", id=poison.id)
        self.assertEqual(caller.silent, 0)
        self.assertLessEqual(crashes, 5)
        time.sleep(0.5)
        self.assertTrue(node.alive(), node.log())
        self.assertEqual(node.stop(), 0)
        caller.close()
        self.verify(requests)

    def test_what_a_stop_leaves_behind_is_done_by_the_next_process(self):
        request = self.prepare(1, 1)[0]
        caller = rig.Caller(self.servers.amqp_url, self.tag, self.recorder, 60.0)
        node = self.nodes[0]
        node.start(options=("--set", "admin.drain_timeout=1s"))
        caller.wait_ready(["rel.write"])
        locked = threading.Thread(target=self.servers.sql, args=(
            f"USE {self.unique}; BEGIN; SELECT * FROM accounts FOR UPDATE; SELECT SLEEP(8); ROLLBACK;",))
        locked.start()
        time.sleep(0.5)
        caller.send(request)
        time.sleep(0.5)
        began = time.monotonic()
        self.assertEqual(node.stop(idle=False), 1, node.log())
        self.assertLess(time.monotonic() - began, 4)
        self.assertIn("BEDSD_DRAIN_TIMEOUT", node.log())

        # Asked twice it goes at once.
        node.start()
        caller.wait_ready(["rel.write"])
        time.sleep(0.5)
        node.signal(signal.SIGTERM)
        time.sleep(0.5)
        self.assertTrue(node.alive())
        node.signal(signal.SIGTERM)
        rig.wait_until(lambda: not node.alive(), 2, "the end of bedsd")
        self.assertEqual(node.ended, 1)

        self.assertTrue(locked.is_alive())
        locked.join()
        node.start()
        self.assertTrue(caller.pump(30), node.log())
        self.assertEqual(node.stop(), 0, node.log())
        caller.close()
        self.verify([request])

    if os.environ.get("BEDS_CHAOS_FULL"):  # two and a half minutes, by what the longest honest turn may take
        def test_a_broker_that_stands_still_is_told_and_its_work_is_done_by_the_next_process(self):
            request = self.prepare(1, 1)[0]
            caller = rig.Caller(self.servers.amqp_url, self.tag, self.recorder, 300.0)
            node = self.nodes[0]
            node.start(f"after_deliver:if_message_id={request.id}:sleep=600000",
                       ("--set", "broker_services.app_server.heartbeat=1s"))
            caller.wait_ready(["rel.write"])
            rig.wait_until(lambda: "BEDS_ADMIN_LISTENING" in node.log(), 10, "its pages")
            self.assertEqual(node.page("/live")[0], 200)
            caller.send(request, deadline=300.0)
            began = time.monotonic()
            while node.page("/live")[0] == 200:
                self.assertLess(time.monotonic() - began, 240)
                caller.pump(1.0)
            self.assertGreater(time.monotonic() - began, 60)
            self.assertIn("rel.write/0", node.page("/live")[1])
            rig.wait_until(lambda: "BEDSD_STUCK" in node.log(), 10, "the log")  # bedsd looks four times a second
            node.signal(signal.SIGKILL)  # as the service manager's watchdog
            rig.wait_until(lambda: not node.alive(), 5, "the end of bedsd")
            node.start()
            self.assertTrue(caller.pump(30), node.log())
            self.assertEqual(node.stop(), 0, node.log())
            caller.close()
            self.verify([request])

    def test_nodes_that_are_restarted_in_turn_lose_no_request(self):
        requests = self.prepare(3000, 2)
        caller = rig.Caller(self.servers.amqp_url, self.tag, self.recorder, 30.0)
        for node in self.nodes:
            node.start()
        caller.wait_ready(["rel.write"])
        restarts = 0
        sent = 0
        began = time.monotonic()
        stopping = None
        next_restart = began + 0.5
        while sent < len(requests) or restarts < 10:
            if sent < len(requests):
                caller.send(requests[sent])
                sent += 1
            caller.pump(0.001)
            now = time.monotonic()
            if stopping is None and now > next_restart and restarts < 10:
                stopping = self.nodes[restarts % 2]
                stopping.signal(15)
            if stopping is not None and not stopping.alive():
                stopping.start()
                restarts += 1
                # The other one is restarted when this one works again.
                while caller.consumers("rel.write") < 2:
                    caller.pump(0.02)
                stopping, next_restart = None, time.monotonic() + 0.2
        rate = sent / (time.monotonic() - began)
        self.assertTrue(caller.pump(30))
        for node in self.nodes:
            self.assertEqual(node.stop(), 0, node.log())
        self.assertEqual(restarts, 10)
        self.assertEqual(caller.silent, 0)
        self.assertEqual([event for event in self.recorder.events if event["event"] in ("fail", "unknown")], [])
        self.assertGreater(rate, 50)
        caller.close()
        self.verify(requests)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)

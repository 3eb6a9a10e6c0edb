#!/usr/bin/python3
"""Order in lanes: writes on one value are done in the order in which one channel published them, each once and with no
gap, by three nodes of which whoever works is killed, while rows are locked.

    order_test.py BEDSD
"""
import os
import pathlib
import sys
import threading
import time
import unittest
import uuid

import pika

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rig  # noqa: E402  (the path comes first)

VALUES = 16
LANES = 16
NUMBERS = 500 if os.environ.get("BEDS_CHAOS_FULL") == "1" else 150

TEMPLATE = """
[template]
name     = "steps"
store    = "rel"
object   = "steps"
key      = ["id"]
order_by = "id"
[fields]
id   = { type = "int64", required = true }
last = { type = "int64" }
[calls.step]
procedure = "sp_step"
class     = "write"
args      = [["id", "int64"], ["number", "int64"]]
"""


class Order(unittest.TestCase):
    def setUp(self):
        self.servers = rig.Servers("rabbitmq", "mariadb")
        self.unique = "beds_o" + uuid.uuid4().hex[:12]
        self.tag = self.unique.removeprefix("beds_") + "_"
        workload = rig.Workload(self.servers, self.unique, 1)
        self.servers.sql(workload.schema() + f"""USE {self.unique};
            CREATE TABLE steps (id BIGINT PRIMARY KEY, last BIGINT);
            INSERT INTO steps (id) SELECT seq FROM seq_1_to_{VALUES};
            CREATE TABLE done (seq BIGINT AUTO_INCREMENT PRIMARY KEY, id BIGINT, number BIGINT);
            DELIMITER //
            CREATE PROCEDURE sp_step(IN p_id BIGINT, IN p_number BIGINT)
            BEGIN
              UPDATE steps SET last = p_number WHERE id = p_id;
              INSERT INTO done (id, number) VALUES (p_id, p_number);
            END//
            DELIMITER ;""")
        self.nodes = [rig.Node(sys.argv[1], self.servers, workload, self.tag, max_batch=64) for _ in range(3)]
        for node in self.nodes:
            (node.folder / "templates" / "steps.toml").write_text(TEMPLATE)
            node.start(options=("--set", "broker_services.app_server.max_attempts=100"))
        self.connection = pika.BlockingConnection(pika.URLParameters(self.servers.amqp_url))
        self.channel = self.connection.channel()
        for node in self.nodes:
            if node.has_books:
                rig.wait_until(lambda node=node: node.page("/ready")[0] == 200, 60, "three nodes")
        rig.wait_until(lambda: self.consumers() == [1] * LANES, 60, "a consumer of each lane")
        self.channel.confirm_delivery()

    def tearDown(self):
        for node in self.nodes:
            node.remove()
        self.servers.stop()

    def consumers(self):
        found = []
        for lane in range(1, LANES + 1):
            try:
                found.append(self.channel.queue_declare(f"{self.tag}steps.lane.{lane}", passive=True)
                             .method.consumer_count)
            except pika.exceptions.ChannelClosedByBroker:
                self.channel = self.connection.channel()
                return []
        return found

    def publish(self, first, last):
        for number in range(first, last + 1):
            for value in range(1, VALUES + 1):
                body = (f'{{"v":1,"template":"steps","op":"call","name":"step",'
                        f'"args":{{"id":{value},"number":{number}}}}}')
                self.channel.basic_publish(
                    f"{self.tag}beds.events", "steps.order", body.encode(), mandatory=True,
                    properties=pika.BasicProperties(message_id=f"{self.unique}-{value}-{number}", delivery_mode=2,
                                                    content_type="application/json",
                                                    headers={"beds-order": str(value)}))

    def done(self):
        rows = self.servers.sql(f"SELECT id, number FROM {self.unique}.done ORDER BY seq").splitlines()
        found = {value: [] for value in range(1, VALUES + 1)}
        for row in rows:
            value, number = map(int, row.split())
            found[value].append(number)
        return found

    def busiest(self):
        """Whoever did most: its books say so."""
        def steps(node):
            if not node.alive():
                return -1
            for line in node.page("/metrics")[1].splitlines():
                if line.startswith('beds_received_total{template="steps"}'):
                    return int(line.split()[1])
            return 0
        return max(self.nodes, key=steps)

    def test_order_holds_whoever_is_killed(self):
        third = NUMBERS // 3
        self.publish(1, third)
        lock = threading.Thread(target=self.servers.sql, args=(
            f"USE {self.unique}; BEGIN; SELECT * FROM steps WHERE id IN (3, 7) FOR UPDATE; SELECT SLEEP(4); ROLLBACK;",))
        lock.start()
        for round_ in range(3):
            self.publish(third + round_ * (NUMBERS - third) // 3 + 1, third + (round_ + 1) * (NUMBERS - third) // 3)
            victim = self.busiest() if self.nodes[0].has_books else self.nodes[round_]
            victim.kill()
            time.sleep(0.5)
            victim.start(options=("--set", "broker_services.app_server.max_attempts=100"))
        lock.join()
        everything = list(range(1, NUMBERS + 1))
        end = time.monotonic() + 120
        while time.monotonic() < end and any(len(numbers) < NUMBERS for numbers in self.done().values()):
            time.sleep(0.5)
        for value, numbers in self.done().items():
            self.assertEqual(numbers, everything, f"of {value}\n" + "\n".join(node.log()[-2000:] for node in self.nodes))
        self.assertEqual(self.channel.queue_declare(f"{self.tag}dead", passive=True).method.message_count, 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)

#!/usr/bin/python3
"""The Python example, and what any client may send, against a live node.

  python_client_test.py BEDSD PROTOCOL EXAMPLES

BEDSD is the program, PROTOCOL libbeds/protocol, EXAMPLES examples/python. RabbitMQ and MariaDB are those of
AMQP_URL and BEDS_MARIADB_URI; the node gets a queue tag and a database of its own.
"""
import base64
import contextlib
import decimal
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse
import uuid


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(1 if os.environ.get("BEDS_REQUIRE_SERVERS") == "1" else 77)


try:
    import jsonschema
    import pika
except ImportError as missing:
    skip(f"{missing.name} is not installed")
for variable in ("AMQP_URL", "BEDS_MARIADB_URI"):
    if not os.environ.get(variable):
        skip(f"{variable} is not set")
if not shutil.which("mariadb"):
    skip("the program mariadb is not installed")

BEDSD, PROTOCOL, EXAMPLES = (pathlib.Path(sys.argv.pop(1)) for _ in range(3))
sys.path.insert(0, str(EXAMPLES))
import beds_client  # noqa: E402  (the path comes from the arguments)

AMQP_URL = os.environ["AMQP_URL"]
AMQP = urllib.parse.urlsplit(AMQP_URL)
MARIADB = urllib.parse.urlsplit(os.environ["BEDS_MARIADB_URI"])
UNIQUE = uuid.uuid4().hex[:12]
TAG = f"t{UNIQUE}_"
DATABASE = f"beds_t{UNIQUE}"
WRITES = re.compile(rb'"(insert|update|delete|call)"')

SCHEMA = """
CREATE TABLE beds_vector_items (
    id BIGINT PRIMARY KEY, name VARCHAR(40) NOT NULL UNIQUE, owner VARCHAR(20) NULL,
    stock BIGINT NULL DEFAULT 0, price DECIMAL(12,2) NULL DEFAULT 0, KEY owner (owner)
) ENGINE=InnoDB DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_bin;
CREATE PROCEDURE sp_restock(IN p_id BIGINT, IN p_amount BIGINT, OUT p_stock BIGINT)
BEGIN
    UPDATE beds_vector_items SET stock = stock + p_amount WHERE id = p_id;
    IF ROW_COUNT() = 0 THEN SIGNAL SQLSTATE '45001' SET MESSAGE_TEXT = 'no such item'; END IF;
    SELECT stock INTO p_stock FROM beds_vector_items WHERE id = p_id;
END;
"""
WITH_CALL = """
[calls.put]
procedure = "sp_restock"
class     = "write"
args      = [["id", "int64"], ["amount", "int64"]]
out       = [["stock", "int64"]]
[calls.put.errors]
"45001"   = "NO_SUCH_ITEM"
"""


def sql(text, *arguments):
    done = subprocess.run(
        ["mariadb", "--no-defaults", f"--host={MARIADB.hostname}", f"--port={MARIADB.port or 3306}",
         f"--user={urllib.parse.unquote(MARIADB.username)}", "--protocol=tcp", "--batch", "--skip-column-names",
         *arguments],
        input=text, text=True, capture_output=True, check=False,
        env={**os.environ, "MYSQL_PWD": urllib.parse.unquote(MARIADB.password or "")})
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return done.stdout


class Node:
    """bedsd with a folder of its own."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="beds-python-"))
        self.process = None
        sql(f"CREATE DATABASE {DATABASE};")
        sql("DELIMITER $$\n" + SCHEMA.replace(";\nCREATE PROC", "$$\nCREATE PROC").rstrip() + "$$", DATABASE)
        sql((PROTOCOL.parent / "sql" / "mariadb" / "inbox.sql").read_text(), DATABASE)
        templates = self.folder / "templates"
        templates.mkdir()
        items = (PROTOCOL / "vectors" / "items.toml").read_text()
        (templates / "items.toml").write_text(items)
        # The same rows once more, with a call: the vectors speak of a template without one.
        (templates / "crates.toml").write_text(items.replace('"items"', '"crates"') + WITH_CALL)
        (self.folder / "beds.toml").write_text(f"""
[broker_services.app_server]
host = "{AMQP.hostname}"
port = {AMQP.port or 5672}
vhost = "{urllib.parse.unquote(AMQP.path[1:]) or '/'}"
user = "{urllib.parse.unquote(AMQP.username)}"
pass_env = "TEST_AMQP_PASS"
queue_tag = "{TAG}"
instances.rel = {{ read = 2, write = 2 }}
[rel_services.rel]
host = "{MARIADB.hostname}"
port = {MARIADB.port or 3306}
user = "{urllib.parse.unquote(MARIADB.username)}"
pass_env = "TEST_MARIADB_PASS"
database = "{DATABASE}"
""")

    def start(self):
        self.log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(
            [str(BEDSD), "--config", str(self.folder / "beds.toml")], stdout=self.log, stderr=self.log,
            env={**os.environ, "TEST_AMQP_PASS": urllib.parse.unquote(AMQP.password or ""),
                 "TEST_MARIADB_PASS": urllib.parse.unquote(MARIADB.password or "")})

    def stop(self):
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.process = None
        self.log.close()
        return code

    def remove_queues(self):
        """From the RabbitMQ that the tests share; in the end it would block all publishers."""
        with contextlib.closing(pika.BlockingConnection(pika.URLParameters(AMQP_URL))) as connection:
            channel = connection.channel()
            for queue in ("rel.read", "rel.write"):
                for suffix in ("", ".again", ".retry.1", ".retry.2", ".retry.3", ".quarantine"):
                    channel.queue_delete(TAG + queue + suffix)
            for queue in ("catalog.read", "dead"):
                channel.queue_delete(TAG + queue)
            for exchange in ("beds.events", "beds.unrouted", "beds.logs", "beds.dead"):
                channel.exchange_delete(TAG + exchange)

    def wait_ready(self, client, template="items"):
        end = time.monotonic() + 30
        while True:
            try:
                for op in ("count", "delete"):
                    done = client.call_many([{"template": template, "op": op, "where": {"id": -1}}], timeout=2)
                    if done[0]["status"] != "ok":
                        raise beds_client.Refused(done[0])
                return
            except (beds_client.NotSent, beds_client.NoAnswer, beds_client.Refused) as why:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"bedsd: {why}\n{(self.folder / 'log').read_text()}") from why
                time.sleep(0.1)

    def remove(self):
        with contextlib.suppress(RuntimeError):
            sql(f"DROP DATABASE {DATABASE};")
        shutil.rmtree(self.folder, ignore_errors=True)
        connection = pika.BlockingConnection(pika.URLParameters(AMQP_URL))
        channel = connection.channel()
        for name in ("rel.read", "rel.write", "catalog.read", "dead"):
            channel.queue_delete(TAG + name)
        for name in ("beds.events", "beds.logs", "beds.dead", "beds.unrouted"):
            channel.exchange_delete(TAG + name)
        connection.close()


node = None
replies = jsonschema.Draft202012Validator(json.loads((PROTOCOL / "reply.schema.json").read_bytes()))


def setUpModule():
    global node
    node = Node()
    try:
        node.start()
        with beds_client.Client(AMQP_URL, TAG) as client:
            node.wait_ready(client)
    except BaseException:
        tearDownModule()
        raise


def tearDownModule():
    code = node.stop()
    log = (node.folder / "log").read_text()
    node.remove_queues()
    node.remove()
    if code != 0:
        raise AssertionError(f"bedsd ended with {code}\n{log}")


def wrong(expected, got, path="reply"):
    """Where `got` is not what `expected` says; members that `expected` does not name are free."""
    if isinstance(expected, dict) and isinstance(got, dict):
        for name, value in expected.items():
            if name not in got:
                return f"{path}.{name} is missing"
            if where := wrong(value, got[name], f"{path}.{name}"):
                return where
        return None
    if isinstance(expected, list) and isinstance(got, list):
        if len(expected) != len(got):
            return f"{path} has {len(got)} items, not {len(expected)}"
        return next(filter(None, (wrong(e, g, f"{path}[{i}]")
                                  for i, (e, g) in enumerate(zip(expected, got)))), None)
    return None if expected == got and type(expected) is type(got) else f"{path} is {got!r}, not {expected!r}"


class Case(unittest.TestCase):
    def setUp(self):
        self.client = beds_client.Client(AMQP_URL, TAG)
        self.addCleanup(self.client.close)

    def ask(self, body, key=None, **properties):
        """Bytes out; the reply, checked against the schema."""
        key = key or ("items.write" if WRITES.search(body) else "items.read")
        raw = self.client.exchange(key, body, 20, **properties)
        reply = json.loads(raw.decode())
        try:
            replies.validate(reply)
        except jsonschema.ValidationError as problem:
            self.fail(f"{problem.message}\n{raw}")
        return reply

    def still_serves(self):
        self.assertEqual("ok", self.ask(b'{"v":1,"template":"items","op":"count"}')["status"])


class Vectors(Case):
    def test_every_request_vector(self):
        sql("DELETE FROM beds_vector_items; DELETE FROM beds_inbox;", DATABASE)
        vectors = json.loads((PROTOCOL / "vectors" / "requests.json").read_bytes())
        self.assertGreater(len(vectors), 80)
        for vector in vectors:
            body = (base64.b64decode(vector["request_base64"]) if "request_base64" in vector
                    else vector["request"].encode())
            with self.subTest(vector["name"]):
                reply = self.ask(body, **vector.get("properties", {}))
                problem = wrong(vector["reply"], reply)
                self.assertIsNone(problem, f"{problem}\n{json.dumps(reply)}")
        self.still_serves()


class Example(Case):
    def setUp(self):
        super().setUp()
        sql("DELETE FROM beds_vector_items;", DATABASE)

    def insert(self, number, name, **more):
        return self.client.call({"template": "items", "op": "insert", "data": {"id": number, "name": name}}, **more)

    def test_calls(self):
        self.assertEqual([1], self.insert(1, "rope")["keys"])
        self.client.call({"template": "items", "op": "update", "key": 1,
                          "set": {"price": decimal.Decimal("2.50"), "owner": "Zoë 😀"}})
        row = self.client.call({"template": "items", "op": "fetch", "key": 1})["rows"][0]
        self.assertEqual({"id": 1, "name": "rope", "owner": "Zoë 😀", "stock": 0, "price": "2.50"}, row)
        text = self.client.call({"template": "items", "op": "fetch", "key": 1}, int64_as_string=True)
        self.assertEqual("1", text["rows"][0]["id"])
        with self.assertRaises(beds_client.Refused) as refused:
            self.insert(1, "hook")
        self.assertEqual(("DUPLICATE_KEY", "none", False),
                         (refused.exception.code, refused.exception.effect, refused.exception.retryable))

    def test_pages(self):
        self.client.call({"template": "items", "op": "insert",
                          "data": [{"id": i, "name": f"n{i:03}"} for i in range(50)]})
        seen, after = [], {}
        while True:
            page = self.client.call({"template": "items", "op": "find", "sort": ["-name"], "limit": 7,
                                     "fields": ["id"], **after})
            seen += [row["id"] for row in page["rows"]]
            if "next" not in page:
                break
            after = {"after": page["next"]}
        self.assertEqual(list(range(49, -1, -1)), seen)

    def test_the_same_id_twice_happens_once(self):
        self.insert(1, "rope")
        more = {"template": "items", "op": "update", "key": 1, "inc": {"stock": 5}}
        for _ in range(2):
            self.assertEqual("applied", self.client.call(more, message_id=f"m-{UNIQUE}-1")["effect"])
        self.assertEqual("5\n", sql("SELECT stock FROM beds_vector_items WHERE id = 1;", DATABASE))

    def test_envelopes(self):
        many = self.client.call_many([{"template": "items", "op": "insert", "data": {"id": i, "name": f"n{i}"}}
                                      for i in range(32)])
        self.assertEqual(["ok"] * 32, [one["status"] for one in many])
        atomic = self.client.call_many(
            [{"template": "items", "op": "delete", "key": 1}, {"template": "items", "op": "delete", "key": 99}],
            mode="atomic")
        self.assertEqual(["skipped", "error"], [one["status"] for one in atomic])
        self.assertEqual(32, self.client.call({"template": "items", "op": "count"})["total"])
        with self.assertRaises(beds_client.Refused) as refused:
            self.client.call_many([], mode="each")
        self.assertEqual("INVALID_ENVELOPE", refused.exception.code)

    def test_procedure(self):
        self.insert(1, "rope")
        put = {"template": "crates", "op": "call", "name": "put", "args": {"id": 1, "amount": 3}}
        done = self.client.call(put)  # its class, and so its queue, comes from the catalog
        self.assertEqual(({"stock": 3}, "applied"), (done["out"], done["effect"]))
        with self.assertRaises(beds_client.Refused) as refused:
            self.client.call({**put, "args": {"id": 2, "amount": 3}})
        self.assertEqual(("REJECTED", "NO_SUCH_ITEM", "none"),
                         (refused.exception.code, refused.exception.result["reason"], refused.exception.effect))

    def test_from_a_shell(self):
        self.insert(1, "rope")
        command = [sys.executable, str(EXAMPLES / "beds_client.py")]
        environment = {**os.environ, "BEDS_QUEUE_TAG": TAG}
        good = subprocess.run([*command, '{"template":"items","op":"fetch","key":1}'], env=environment,
                              capture_output=True, text=True, check=True, timeout=30)
        self.assertEqual("rope", json.loads(good.stdout)["rows"][0]["name"])
        bad = subprocess.run([*command, '{"template":"items","op":"fetch","key":[]}'], env=environment,
                             capture_output=True, text=True, check=False, timeout=30)
        self.assertEqual((1, "INVALID_FIELD"), (bad.returncode, json.loads(bad.stdout)["code"]))
        count = '{"template":"items","op":"count"}'
        for code, url, operation in ((2, AMQP_URL, '{"template"'), (2, AMQP_URL, "[]"), (2, "nonsense", count),
                                     (3, "amqp://guest:c4n4ry@127.0.0.1:1/%2F", count)):
            with self.subTest(url=url, operation=operation):
                wrong = subprocess.run([*command, operation], env={**environment, "AMQP_URL": url},
                                       capture_output=True, text=True, check=False, timeout=30)
                self.assertEqual((code, 1), (wrong.returncode, wrong.stderr.count("\n")), wrong.stderr)
                self.assertNotIn("c4n4ry", wrong.stderr)

    def test_no_node_means_no_hang_and_its_return_is_noticed(self):
        self.assertEqual(0, node.stop())
        began = time.monotonic()
        try:
            with self.assertRaises(beds_client.NoAnswer) as late:
                self.insert(7, "sent while nobody served", timeout=1.0)
            self.assertLess(time.monotonic() - began, 3)
        finally:
            node.start()
            node.wait_ready(self.client)
        # Its deadline has passed when the node comes back: the late request itself does nothing.
        self.assertEqual([], self.client.call({"template": "items", "op": "fetch", "key": 7})["rows"])
        again = self.insert(7, "sent while nobody served", message_id=late.exception.message_id)
        self.assertEqual("applied", again["effect"])

    def test_a_lost_connection_is_made_anew(self):
        self.insert(1, "rope")
        self.client._connection._impl._transport._sock.shutdown(socket.SHUT_RDWR)  # without a word
        self.assertEqual(1, self.client.call({"template": "items", "op": "count"})["total"])


class BadInput(Case):
    def refused(self, code, body=b'{"v":1,"template":"items","op":"count"}', field=None, **properties):
        reply = self.ask(body, **properties)
        self.assertEqual(("error", code, "none", False),
                         (reply["status"], reply["code"], reply["effect"], reply["retryable"]))
        if field:
            self.assertEqual(field, reply["field"])
        self.still_serves()
        return reply

    def test_properties(self):
        self.refused("INVALID_ENVELOPE", field="content_type", content_type="text/plain")
        self.refused("INVALID_ENVELOPE", field="content_encoding", content_encoding="gzip")
        for deadline in ("soon", -1, 2 ** 62, [], {}):
            self.refused("INVALID_ENVELOPE", field="beds-deadline", headers={"beds-deadline": deadline})
        self.refused("DEADLINE_EXCEEDED", headers={"beds-deadline": 1})

    def test_sizes(self):
        body = b'{"v":1,"template":"items","op":"count"}'
        most = 16 * 1024 * 1024
        self.assertEqual("ok", self.ask(body + b" " * (most - len(body)))["status"])
        self.refused("LIMIT_EXCEEDED", body + b" " * (most + 1 - len(body)))
        many = {"v": 1, "ops": [{"template": "items", "op": "describe"}] * 4097}
        self.refused("LIMIT_EXCEEDED", json.dumps(many).encode(), field="ops")

    def test_keys_that_are_none(self):
        for key in ("$where", "a.b", "", "a\0b", "__proto__", "'; DROP TABLE x;--", "x" * 70000, "＄ne"):
            for place in ({"where": {key: 1}}, {"where": {"id": {key: 1}}}):
                self.refused("INVALID_FIELD", json.dumps({"v": 1, "template": "items", "op": "count", **place}).encode())
            self.refused("INVALID_FIELD", json.dumps({"v": 1, "id": "x", "template": "items", "op": "insert",
                                                      "data": {key: 1}}).encode())
            self.refused("INVALID_ENVELOPE", json.dumps({"v": 1, "template": "items", "op": "count", key: 1}).encode())

    def test_strings_of_sql_stay_strings(self):
        tables = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE();"
        before = sql(tables, DATABASE)
        sql("DELETE FROM beds_vector_items;", DATABASE)
        hostile = ["' OR '1'='1", "'; DROP TABLE beds_vector_items;-- ", "\\'", "%bf%27", "0x27", "/*!50000 x*/",
                   "`", "%", "_", "a\0b", "😀", "\u202eabc", '{"$ne":null}', "trailing  ", "\\", "\x1a\r\n"]
        for number, text in enumerate(hostile):
            self.client.call({"template": "items", "op": "insert",
                              "data": {"id": number, "name": text, "owner": text[:20]}})
        for number, text in enumerate(hostile):
            where = {"template": "items", "op": "find", "where": {"name": text}, "fields": ["id", "name"]}
            self.assertEqual([{"id": number, "name": text}], self.client.call(where)["rows"])
        self.assertEqual(before, sql(tables, DATABASE))

    def test_what_nobody_can_be_told_is_kept(self):
        channel = self.client._channel
        dead = TAG + "dead"
        channel.queue_purge(dead)
        cases = {"no-reply-to": {}, "gone": {"reply_to": TAG + "reply.nobody." + UNIQUE}}
        for name, properties in cases.items():
            channel.basic_publish(TAG + "beds.events", "items.write", b"not JSON",
                                  pika.BasicProperties(message_id=name, **properties), mandatory=True)
        found = {}
        end = time.monotonic() + 20
        while len(found) < len(cases) and time.monotonic() < end:
            method, properties, body = channel.basic_get(dead, auto_ack=True)
            if method is None:
                time.sleep(0.05)
                continue
            self.assertEqual(b"not JSON", body)
            found[properties.message_id] = properties.headers["beds-error-code"]
        self.assertEqual({name: "INVALID_ENVELOPE" for name in cases}, found)
        self.still_serves()

    def test_a_key_that_no_queue_has_is_answered_by_the_catalog(self):
        reply = self.ask(b'{"v":1,"template":"itmes","op":"count"}', key="itmes.read")
        self.assertEqual("UNKNOWN_TEMPLATE", reply["code"])
        self.assertIn("items", reply["detail"])
        reply = self.ask(b'{"v":1,"template":"items","op":"delete","key":1}', key="items.read", message_id="x")
        self.assertEqual(("MISROUTED", "none"), (reply["code"], reply["effect"]))


if __name__ == "__main__":
    unittest.main()

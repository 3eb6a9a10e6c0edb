"""What chaos tests in Python stand on: private servers, gates, bedsd as a child that is restarted as a service
manager would, and callers who send again what was not answered for good.

Every request is recorded (history.py) under its id; its effects can be counted, because none of them is
idempotent: row N of a table and document N of a collection belong to request N alone, and a mark is a row
without a unique key. Workload knows the tables, the templates and the requests; Workload.dump tells what the
databases hold.
"""
import collections
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(1 if os.environ.get("BEDS_REQUIRE_SERVERS") == "1" else 77)


try:
    import pika
    import pika.exceptions
    import pymongo
except ImportError as missing:
    skip(f"{missing.name} is not installed")


def wait_until(condition, seconds, what):
    """Returns what `condition` says once it is true."""
    end = time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not happen within {seconds} s")
        time.sleep(0.02)


# ---- servers -----------------------------------------------------------------------------------------------

class Servers:
    """RabbitMQ, MariaDB and MongoDB of this test alone, in a folder that is gone with it."""

    names = ("rabbitmq", "mariadb", "mongodb")

    def __init__(self, *names):
        """Of the servers these; without names all."""
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="beds-chaos-"))
        try:
            self.run("start", "--own", "--with", str(os.getpid()), *(names or self.names))
            self.variables = {}
            for line in (self.folder / "env").read_text().splitlines():
                name, _, value = line.removeprefix("export ").partition("=")
                self.variables[name] = value.strip("'")
        except BaseException:
            self.stop()
            raise
        self.amqp_url = self.variables["AMQP_URL"]
        self.amqp = urllib.parse.urlsplit(self.amqp_url)
        self.mariadb = urllib.parse.urlsplit(self.variables["BEDS_MARIADB_URI"])
        uri = self.variables.get("BEDS_MONGODB_URI")
        self.mongodb = urllib.parse.urlsplit(uri) if uri else None

    def run(self, verb, *arguments, text=None):
        done = subprocess.run([str(HERE / "servers"), verb, "--dir", str(self.folder), *arguments], input=text,
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"servers {verb} {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def stop(self):
        with contextlib.suppress(RuntimeError):
            self.run("stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def ended_by_themselves(self):
        """Names of those that run no more, though they were started and nobody killed them since."""
        done = subprocess.run([str(HERE / "servers"), "status", "--dir", str(self.folder)], capture_output=True,
                              text=True, check=False)
        return [line.split()[0] for line in done.stdout.splitlines() if line.split()[1] == "stopped"]

    def address(self, name):
        url = {"rabbitmq": self.amqp, "mariadb": self.mariadb, "mongodb": self.mongodb}[name]
        return url.hostname, url.port

    def sql(self, text):
        return self.run("mariadb", "--batch", "--skip-column-names", text=text)

    def mongo(self):
        return pymongo.MongoClient(f"mongodb://{self.mongodb.hostname}:{self.mongodb.port}/",
                                   serverSelectionTimeoutMS=10_000)


class Gates:
    """Gates before servers (gate.hpp), by name."""

    def __init__(self, program, targets):
        self.names = list(targets)
        self.process = subprocess.Popen([str(program), *(f"{host}:{port}" for host, port in targets.values())],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ports = dict(zip(self.names, map(int, self.process.stdout.readline().split())))

    def address(self, name):
        return "127.0.0.1", self.ports[name]

    def tell(self, name, *verb):
        self.process.stdin.write(" ".join([str(self.names.index(name)), *map(str, verb)]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if answer != "done":
            raise RuntimeError(f"gate {name} {verb}: {answer}")

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)


# ---- what is asked -------------------------------------------------------------------------------------------

ROWS_OF_A_CHUNK = 50

KINDS = {  # kind: (class, engine, where it leaves traces)
    "mariadb_procedure": ("write", "mariadb", ("balance", "marks")),
    "mariadb_direct": ("write", "mariadb", None),  # by turns
    "mongodb_single": ("write", "mongodb", None),
    "mongodb_multi": ("write", "mongodb", ("first", "second")),
    "atomic_batch": ("write", "mariadb", ("balance", "marks")),
    "read": ("read", "mariadb", ()),
    "bulk_chunk": ("bulk", "mariadb", ("chunk",)),
}

TEMPLATES = {
    "accounts": """
[template]
name = "accounts"
store = "rel"
object = "accounts"
key = ["id"]
[fields]
id = { type = "int64", required = true }
balance = { type = "int64" }
[calls.post]
procedure = "post"
class = "write"
args = [["id", "int64"], ["mark", "string"]]
[calls.chunk]
procedure = "chunk"
class = "bulk"
args = [["mark", "string"]]
""",
    "marks": """
[template]
name = "marks"
store = "rel"
object = "marks"
key = ["id"]
[fields]
id = { type = "int64", generated = "database" }
mark = { type = "string", max = 80, required = true }
""",
    "docs": """
[template]
name = "docs"
store = "rec"
object = "docs"
key = ["id"]
[fields]
id = { type = "int64", required = true }
owner = { type = "int64" }
balance = { type = "int64" }
[[index]]
fields = ["owner"]
""",
    "notes": """
[template]
name = "notes"
store = "rec"
object = "notes"
key = ["id"]
[fields]
id = { type = "uuid", generated = "uuid" }
mark = { type = "string", max = 80, required = true }
""",
}

SCHEMA = """
CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;
USE {name};
CREATE TABLE accounts (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL) ENGINE=InnoDB;
CREATE TABLE marks (id BIGINT AUTO_INCREMENT PRIMARY KEY, mark VARCHAR(80) NOT NULL, KEY (mark)) ENGINE=InnoDB;
CREATE TABLE chunks (id BIGINT AUTO_INCREMENT PRIMARY KEY, mark VARCHAR(80) NOT NULL, KEY (mark)) ENGINE=InnoDB;
INSERT INTO accounts SELECT seq, 0 FROM seq_1_to_{rows};
DELIMITER //
CREATE PROCEDURE post(IN p_id BIGINT, IN p_mark VARCHAR(80)) MODIFIES SQL DATA
BEGIN
    UPDATE accounts SET balance = balance - 1 WHERE id = p_id;
    INSERT INTO marks (mark) VALUES (p_mark);
END //
CREATE PROCEDURE chunk(IN p_mark VARCHAR(80)) MODIFIES SQL DATA
BEGIN
    INSERT INTO chunks (mark) SELECT p_mark FROM seq_1_to_{chunk};
END //
DELIMITER ;
{inbox}
"""


class Request:
    def __init__(self, kind, number, name):
        self.kind, self.number, self.id = kind, number, name
        op_class, self.engine, self.effects = KINDS[kind]
        raised = {"op": "update", "key": number, "inc": {"balance": -1}}
        marked = {"op": "insert", "data": {"mark": name}}
        if kind == "mariadb_procedure":
            body = {"template": "accounts", "op": "call", "name": "post", "args": {"id": number, "mark": name}}
        elif kind == "mariadb_direct":
            body = {"template": "accounts", **raised} if number % 2 else {"template": "marks", **marked}
            self.effects = ("balance",) if number % 2 else ("marks",)
        elif kind == "mongodb_single":
            body = {"template": "docs", **raised} if number % 2 else {"template": "notes", **marked}
            self.effects = ("first",) if number % 2 else ("notes",)
        elif kind == "mongodb_multi":
            body = {"template": "docs", "op": "update", "where": {"owner": number}, "inc": {"balance": -1}}
        elif kind == "atomic_batch":
            body = {"mode": "atomic", "ops": [{"template": "accounts", **raised},
                                              {"template": "marks", **marked}]}
        elif kind == "read":
            body = {"template": "accounts", "op": "fetch", "key": number}
        else:
            body = {"template": "accounts", "op": "call", "name": "chunk", "args": {"mark": name}}
        first = body.get("ops", [body])[0]
        self.key = f"{first['template']}.{op_class}"
        self.body = json.dumps({"v": 1, **body}).encode()
        self.guarantee = "read" if kind == "read" else "once"


class Workload:
    """The tables and documents of one test, and what is in them."""

    def __init__(self, servers, name, rows):
        self.servers, self.name, self.rows = servers, name, rows

    def schema(self):
        """SQL; several workloads' can be run together."""
        return SCHEMA.format(name=self.name, rows=self.rows, chunk=ROWS_OF_A_CHUNK,
                             inbox=(TOP / "libbeds/sql/mariadb/inbox.sql").read_text())

    def make_indexes(self):
        """Those that a node looks for when it starts."""
        with self.servers.mongo() as client:
            data = client[self.name]
            for name, plain in (("docs", "owner"), ("notes", "mark")):
                data[name].create_index("id", unique=True)
                data[name].create_index(plain)

    def prepare_documents(self):
        with self.servers.mongo() as client:
            data = client[self.name]
            # The second of each pair is the one that only the update of several meets.
            data.docs.insert_many([{"id": id_, "owner": owner, "balance": 0} for owner in range(1, self.rows + 1)
                                   for id_ in (owner, -owner)])

    def dump(self, recorder, requests):
        """Every trace that there is, under the id of the request that it belongs to."""
        by_number = {}
        for request in requests:
            by_number.setdefault((request.engine, request.number), request.id)

        def found(engine, where, number, count):
            recorder.write("effect", id=by_number.get((engine, number), f"{engine} {where} {number}"), where=where,
                           count=count)

        rows = self.servers.sql(f"""USE {self.name};
            SELECT 'balance', id, -balance FROM accounts WHERE balance <> 0;
            SELECT 'marks', mark, COUNT(*) FROM marks GROUP BY mark;
            SELECT 'chunk', mark, COUNT(*) / {ROWS_OF_A_CHUNK} FROM chunks GROUP BY mark;""")
        for line in rows.splitlines():
            where, name, count = line.split("\t")
            if where == "balance":
                found("mariadb", where, int(name), int(count))
            else:
                recorder.write("effect", id=name, where=where, count=float(count))
        if self.servers.mongodb is None:
            return
        with self.servers.mongo() as client:
            data = client[self.name]
            for one in data.docs.find({"balance": {"$ne": 0}}):
                found("mongodb", "first" if one["id"] > 0 else "second", abs(one["id"]), -one["balance"])
            marks = collections.Counter(one["mark"] for one in data.notes.find())
            for name, count in marks.items():
                recorder.write("effect", id=name, where="notes", count=count)


# ---- bedsd -----------------------------------------------------------------------------------------------------

class Node:
    """bedsd with a folder of its own. `reach` says where it finds a server: Servers or Gates. `recorder` gets the
    books of each of its processes that ends in order; those of a process that is killed are lost with it."""

    def __init__(self, program, servers, workload, tag, reach=None, brokers=1, max_batch=4, recorder=None):
        self.program, self.servers, self.tag, self.recorder = str(program), servers, tag, recorder
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="beds-node-"))
        self.pid = None
        self.starts = 0
        host, port = zip(*((reach or servers).address(name) for name in ("rabbitmq", "mariadb")))
        text = f"""
[broker_services.app_server]
host = "{host[0]}"
port = {port[0]}
user = "guest"
pass_env = "TEST_AMQP_PASS"
queue_tag = "{tag}"
max_batch = {max_batch}
connect_timeout = "2s"
instances.rel = {{ read = {brokers}, write = {brokers}, bulk = 1 }}
"""
        if servers.mongodb is not None:
            text += f"instances.rec = {{ read = 1, write = {brokers}, bulk = 0 }}\n"
        text += f"""
[rel_services.rel]
host = "{host[1]}"
port = {port[1]}
user = "{servers.mariadb.username}"
pass_env = "TEST_MARIADB_PASS"
database = "{workload.name}"
connect_timeout = "2s"
"""
        if servers.mongodb is not None:
            workload.make_indexes()
            mongo_host, mongo_port = (reach or servers).address("mongodb")
            text += f"""
[rec_services.rec]
host = "{mongo_host}"
port = {mongo_port}
database = "{workload.name}"
connect_timeout = "2s"
"""
        # Its books; a build without admin pages has none.
        self.has_books = b"beds_received_total" in pathlib.Path(program).read_bytes()
        if self.has_books:
            text += '[admin]\nlisten = "127.0.0.1:0"\n'
        (self.folder / "beds.toml").write_text(text)
        (self.folder / "templates").mkdir()
        for name, template in TEMPLATES.items():
            if servers.mongodb is not None or 'store = "rec"' not in template:
                (self.folder / "templates" / f"{name}.toml").write_text(template)

    def start(self, failpoints="", options=()):
        self.starts += 1
        with open(self.folder / "log", "ab") as log:
            log.write(f"---- start {self.starts} {failpoints}\n".encode())
            log.flush()
            process = subprocess.Popen(
                [self.program, "--config", str(self.folder / "beds.toml"), *options], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env={**os.environ, "TEST_AMQP_PASS": urllib.parse.unquote(self.servers.amqp.password),
                                 "TEST_MARIADB_PASS": urllib.parse.unquote(self.servers.mariadb.password),
                                 "BEDS_FAILPOINTS": failpoints})
        self.pid = process.pid
        process.returncode = 0  # waited for here, not by subprocess

    def log(self):
        return (self.folder / "log").read_text(errors="backslashreplace")  # drivers write into it, too

    def page(self, path):
        """Status and text of one of its admin pages."""
        def listening():
            return re.search(r"BEDS_ADMIN_LISTENING.*?(http://[0-9.:]+)", self.log().rpartition("---- start ")[2])
        url = wait_until(listening, 10, "the node's page").group(1) + path
        try:
            with urllib.request.urlopen(url, timeout=10) as page:
                return page.status, page.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    def write_books(self, idle=True):
        """What became of everything that this process received. `idle`: once nothing is under way. That takes its
        time where writes that stay unknown were sent again and again: each waits a second or two for whoever began it."""
        end = time.monotonic() + 30
        while True:
            books = collections.defaultdict(dict)
            for name, template, count in re.findall(
                    r'^beds_(\w+?)(?:_total)?\{template="([^"]*)"\} (\d+)', self.page("/metrics")[1], re.MULTILINE):
                books[template][name] = int(count)
            if not idle or not any(one["in_flight"] for one in books.values()) or time.monotonic() > end:
                break
            time.sleep(0.05)
        for template, one in books.items():
            self.recorder.write("books", of=template, idle=idle, **one)
        self.entered = sum(one["received"] for one in books.values())

    def late(self):
        """Operations that came between its books and its end, which it finished: RabbitMQ delivers again when it
        likes."""
        ended = re.findall(r"BEDSD_ENDED .* (\d+) since the start", self.log())
        return max(0, int(ended[-1]) - self.entered) if ended else 0

    def _changed(self):
        pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
        if pid == 0:
            return None
        if os.WIFSTOPPED(status):
            return "stopped"
        self.pid = None
        self.ended = os.waitstatus_to_exitcode(status)
        return status

    def alive(self):
        if self.pid is not None:
            self._changed()
        return self.pid is not None

    def wait_stopped(self, seconds):
        wait_until(lambda: self._changed() is not None, seconds, "the fail point")
        if self.pid is None:
            raise RuntimeError(f"bedsd ended with {self.ended} instead of stopping")

    def wait_killed(self, seconds):
        wait_until(lambda: not self.alive(), seconds, "the end of bedsd at the fail point")
        if self.ended != -signal.SIGKILL:
            raise RuntimeError(f"bedsd ended with {self.ended} before the fail point")

    def signal(self, number):
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self):
        self.signal(signal.SIGKILL)
        if self.pid is not None:
            os.waitpid(self.pid, 0)
            self.pid = None

    def stop(self, seconds=20, idle=True):
        """Ends it in order; returns its exit code, or -1 when it had to be killed. `idle`: nothing is under way,
        or ends soon by itself."""
        if not self.alive():
            return None
        if self.recorder is not None and self.has_books:
            self.write_books(idle)
        self.signal(signal.SIGTERM)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            status = self._changed()
            if self.pid is None:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        self.kill()
        return -1

    def remove(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


# ---- callers ---------------------------------------------------------------------------------------------------

FOREVER = {"DEADLINE_EXCEEDED", "INTERNAL"}  # not retryable, but not final either


class Caller:
    """One caller with a connection and a queue for replies of its own; for one thread. What is not answered for
    good within `patience` seconds is sent again with its id."""

    def __init__(self, url, tag, recorder, patience):
        self.parameters = pika.URLParameters(url)
        self.parameters.blocked_connection_timeout = 20
        self.parameters.socket_timeout = self.parameters.stack_timeout = 10
        self.tag, self.recorder, self.patience = tag, recorder, patience
        self.replies = f"{tag}replies.{threading.get_ident()}"
        self.connection = self.channel = None
        self.open = {}      # id: request
        self.due = {}       # id: when it is sent again
        self.taken = 0  # replies
        self.silent = 0     # attempts that nobody answered
        self.answered = {}  # id: the first reply that says ok, else the last one
        self.well = set()   # ids of those that say ok

    def connect(self, seconds=60):
        if self.connection is not None and self.connection.is_open and self.channel.is_open:
            return
        self.close()
        end = time.monotonic() + seconds
        while True:
            try:
                self.connection = pika.BlockingConnection(self.parameters)
                self.channel = self.connection.channel()
                self.channel.confirm_delivery()
                # It outlives its connection, so that replies which come meanwhile are not lost.
                self.channel.queue_declare(self.replies, durable=True)
                self.channel.basic_consume(self.replies, self._on_reply, auto_ack=True)
                return
            except (pika.exceptions.AMQPError, OSError):
                self.close()
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def close(self):
        if self.connection is not None:
            with contextlib.suppress(Exception):
                self.connection.close()
        self.connection = self.channel = None

    def wait_ready(self, queues, seconds=60):
        """Until somebody consumes from each of these queues."""
        def consumed(name):
            try:
                self.connect()
                return self.channel.queue_declare(name, passive=True).method.consumer_count > 0
            except (pika.exceptions.AMQPError, OSError):
                return False
        for name in queues:
            wait_until(lambda name=name: consumed(self.tag + name), seconds, f"a consumer of {name}")

    def consumers(self, queue):
        self.connect()
        return self.channel.queue_declare(self.tag + queue, passive=True).method.consumer_count

    def send(self, request, deadline=60.0):
        self.open[request.id] = request
        self.recorder.write("invoke", id=request.id, guarantee=request.guarantee, effects=list(request.effects))
        properties = pika.BasicProperties(
            content_type="application/json", delivery_mode=2, message_id=request.id, correlation_id=request.id,
            reply_to=self.replies, user_id=self.parameters.credentials.username,
            headers={"beds-deadline": int((time.time() + deadline) * 1000)})
        while True:
            try:
                self.connect()
                self.channel.basic_publish(self.tag + "beds.events", request.key, request.body, properties,
                                           mandatory=True)
                break
            except (pika.exceptions.AMQPError, OSError):  # nothing or something was sent: the id makes it safe
                time.sleep(0.1)
        self.due[request.id] = time.monotonic() + self.patience

    def _on_reply(self, _channel, _method, properties, body):
        self.taken += 1
        name = properties.correlation_id
        reply = json.loads(body)
        results = reply.get("results", [reply])
        answer = json.dumps({member: reply[member] for member in sorted(reply) if member != "event"})
        more = {"guarantee": "at_least_once"} if any(
            one.get("guarantee") == "at_least_once" for one in results) else {}
        wrong = [one for one in results if one["status"] == "error"] or [
            one for one in results if one["status"] != "ok"]
        # What comes late does not take back that it was done: a read that is delivered again may fail.
        if name not in self.well:
            self.answered[name] = reply
        if not wrong:
            self.well.add(name)
        effects = {one.get("effect", "none") for one in results}
        more["results"] = len(results)
        if not wrong:
            self.recorder.write("ok", id=name, effect=effects.pop() if len(effects) == 1 else "mixed", answer=answer,
                                **more)
            self.done(name)
            return
        code = wrong[0].get("code")
        final = not any(one.get("retryable") or one.get("code") in FOREVER for one in wrong)
        if "unknown" in effects:
            self.recorder.write("unknown", id=name, code=code, **more)
            final = False
        else:
            self.recorder.write("fail", id=name, effect="applied" if "applied" in effects else "none", code=code,
                                final=final, answer=answer, **more)
        if final:
            self.done(name)
        elif name in self.open:
            wait = max([one.get("retry_after_ms", 0) for one in wrong]) / 1000
            self.due[name] = time.monotonic() + min(max(wait, 0.1), 2.0)
            self.open[name].heard = True

    def beyond_telling(self, name):
        """On MongoDB what was begun by a process or server that is gone may stay unknown for good: a document that bears
        no mark of any write, or is not there, does not tell (guarantees.md)."""
        said = self.answered.get(name, {})
        return said.get("effect") == "unknown" and "can no longer be told" in said.get("detail", "")

    def done(self, name):
        """Nobody waits for it any more."""
        self.open.pop(name, None)
        self.due.pop(name, None)

    def pump(self, seconds):
        """Takes replies for so long, or until nothing is open; sends again what is due."""
        end = time.monotonic() + seconds
        while self.open and time.monotonic() < end:
            try:
                self.connect()
                self.connection.process_data_events(time_limit=0.05)
            except (pika.exceptions.AMQPError, OSError):
                time.sleep(0.05)
                continue
            now = time.monotonic()
            for name in [name for name, due in self.due.items() if due <= now]:
                request = self.open[name]
                if not getattr(request, "heard", False):
                    self.silent += 1
                    self.recorder.write("silent", id=name)
                request.heard = False
                self.send(request)
        return not self.open

    def delete_queues(self):
        """Its own and those of the nodes with its tag: a RabbitMQ with many takes long to start."""
        self.connect()
        for name in ("rel.read", "rel.write", "rel.bulk", "rec.read", "rec.write"):
            for suffix in ("", ".again", ".retry.1", ".retry.2", ".retry.3", ".quarantine"):
                self.channel.queue_delete(self.tag + name + suffix)
        for name in ("catalog.read", "dead"):
            self.channel.queue_delete(self.tag + name)
        self.channel.queue_delete(self.replies)

    def linger(self, seconds):
        """Takes what still comes, replies that are sent twice or late, until none came for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            seen = self.taken
            with contextlib.suppress(pika.exceptions.AMQPError, OSError):
                self.connect()
                self.connection.process_data_events(time_limit=0.05)
            if self.taken != seen:
                end = time.monotonic() + seconds

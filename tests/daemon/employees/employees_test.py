#!/usr/bin/python3
"""A database that nobody here designed, from its schema to the last row: the tables of `employees` are scaffolded,
their grants given, filled by `bedsctl import`, asked, exported, and compared row by row.

    employees_test.py SERVERS_TOOL BEDSD BEDSCTL

BEDS_EMPLOYEES: how many employees (default 1,000, some 10,000 rows of all tables; 105,000 make a million, which is
what BEDS_CHAOS_FULL=1 takes).
The rows are made up, the same ones every time.
"""
import contextlib
import csv
import datetime
import io
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

FULL = os.environ.get("BEDS_CHAOS_FULL") == "1"
HERE = pathlib.Path(__file__).resolve().parent
TABLES = {  # in the order of their foreign keys: columns, and how many of them are the key
    "departments": (["dept_no", "dept_name"], 1),
    "employees": (["emp_no", "birth_date", "first_name", "last_name", "gender", "hire_date"], 1),
    "dept_manager": (["emp_no", "dept_no", "from_date", "to_date"], 2),
    "dept_emp": (["emp_no", "dept_no", "from_date", "to_date"], 2),
    "titles": (["emp_no", "title", "from_date", "to_date"], 3),
    "salaries": (["emp_no", "salary", "from_date", "to_date"], ["emp_no", "from_date"]),
}
NAMES = ["Customer Service", "Development", "Finance", "Human Resources", "Marketing", "Production",
         "Quality Management", "Research", "Sales"]
TITLES = ["Assistant Engineer", "Engineer", "Manager", "Senior Engineer", "Senior Staff", "Staff", "Technique Leader"]
SYLLABLES = ["Ge", "or", "gi", "Bez", "al", "el", "Par", "to", "Chir", "st", "ian", "Kyo", "ichi", "An", "neke", "Tz",
             "ve", "tan", "Sá", "niya", "O'", "Szabó", "Łu", "kasz", "-"]


def made_up(employees):
    """Rows of each table as tuples of texts (None: NULL), in the order of the columns."""
    chance = random.Random(20020)
    rows = {name: [] for name in TABLES}
    rows["departments"] = [(f"d{number:03}", name) for number, name in enumerate(NAMES, 1)]
    forever = "9999-01-01"

    def name(most):
        made = ""
        while len(made) < 3:
            made += "".join(chance.choice(SYLLABLES) for _ in range(chance.randint(1, 4)))
        return made[:most].strip("-").capitalize() or "Ann"

    for number in range(10_001, 10_001 + employees):
        born = datetime.date(1952, 2, 1) + datetime.timedelta(days=chance.randrange(4_700))
        hired = datetime.date(1985, 1, 1) + datetime.timedelta(days=chance.randrange(5_400))
        who = str(number)
        rows["employees"].append((who, str(born), name(14), name(16), chance.choice("MF"), str(hired)))
        year = datetime.timedelta(days=365)
        pay, begin = chance.randrange(38_000, 90_000), hired
        for left in reversed(range(chance.randint(1, 11))):
            rows["salaries"].append((who, str(pay), str(begin), str(begin + year) if left else forever))
            pay, begin = pay + chance.randrange(-500, 4_000), begin + year
        for title, end in zip(chance.sample(TITLES, 2), (None, str(hired + year))):
            rows["titles"].append((who, title, str(hired), end))
            if chance.random() < 0.5:
                break
        for department in chance.sample(rows["departments"], chance.choice((1, 1, 1, 2))):
            rows["dept_emp"].append((who, department[0], str(hired), forever))
    for number, (department, _) in enumerate(rows["departments"]):
        rows["dept_manager"].append((str(10_001 + number), department, "1990-01-01", forever))
    for table, (columns, key) in TABLES.items():
        places = [columns.index(column) for column in key] if isinstance(key, list) else range(key)
        rows[table].sort(key=lambda row: [int(row[at]) if columns[at] == "emp_no" else row[at] for at in places])
    return rows


def as_csv(columns, rows):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([["" if cell is None else cell for cell in row] for row in rows])
    return out.getvalue()


class Test:
    def __init__(self, tool, bedsd, bedsctl):
        self.bedsd, self.bedsctl = bedsd, bedsctl
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="beds-employees-"))
        self.servers = [tool, "--dir", self.folder / "servers"]
        self.tool, self.node, self.problems = tool, None, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.node is not None:
            self.node.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.node.wait(30)
            self.node.kill()
        subprocess.run([self.tool, "stop", "--dir", self.folder / "servers"], capture_output=True, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_servers(self):
        """False when one is not installed."""
        started = subprocess.run([self.tool, "start", "--dir", self.folder / "servers", "--own", "--with",
                                  str(os.getpid()), "rabbitmq", "mariadb"], capture_output=True, text=True, check=False)
        if started.returncode != 0:
            print(started.stderr)
            if os.environ.get("BEDS_REQUIRE_SERVERS") != "1" and "not installed" in started.stderr:
                return False
            raise RuntimeError("the servers do not start")
        self.env = dict(re.findall(r"^export (\w+)='(.*)'$", (self.folder / "servers/env").read_text(), re.MULTILINE))
        return True

    def sql(self, text, database="employees"):
        done = subprocess.run([shutil.which("mariadb"), "--no-defaults", "--skip-ssl", "--user=root", "--batch", "--raw",
                               "--default-character-set=utf8mb4", "-N", f"--socket={self.env['BEDS_MARIADB_SOCKET']}",
                               database], input=text, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"MariaDB refuses: {done.stderr}")
        return done.stdout

    def ctl(self, *arguments, given=None, codes=(0,), seconds=3600):
        done = subprocess.run([self.bedsctl, *arguments], input=given, capture_output=True, text=True, cwd=self.folder,
                              env=self.environment, timeout=seconds, check=False)
        if done.returncode not in codes:
            raise RuntimeError(f"bedsctl {' '.join(map(str, arguments))} ended with {done.returncode}:\n"
                               f"{done.stdout[-1500:]}\n{done.stderr[-1500:]}")
        return done.stdout

    def prepare(self):
        amqp = urllib.parse.urlsplit(self.env["BEDS_AMQP_NODE_URL"])
        mariadb = urllib.parse.urlsplit(self.env["BEDS_MARIADB_URI"])
        (self.folder / "rabbitmq").write_text(urllib.parse.unquote(amqp.password))
        (self.folder / "mariadb").write_text(urllib.parse.unquote(mariadb.password))
        (self.folder / "beds.toml").write_text(f"""
[broker_services.app_server]
host = "127.0.0.1"
port = {amqp.port}
user = "{urllib.parse.unquote(amqp.username)}"
pass_file = "rabbitmq"
[broker_services.app_server.instances]
rel = {{ read = 1, write = 1 }}
[rel_services.rel]
host = "127.0.0.1"
port = {mariadb.port}
user = "beds"
pass_file = "mariadb"
database = "employees"
[templates]
directory = "templates"
[admin]
listen = "127.0.0.1:0"
""")
        self.environment = {**os.environ, "BEDS_CONFIG": str(self.folder / "beds.toml")}
        for variable in ("AMQP_URL", "BEDS_ENV", "BEDS_QUEUE_TAG"):
            self.environment.pop(variable, None)
        (self.folder / "templates").mkdir()
        self.sql("CREATE DATABASE employees CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin", "mysql")
        self.sql((HERE / "schema.sql").read_text())
        self.sql(self.ctl("schema"))

    def scaffold(self):
        accounts = self.sql("SELECT CONCAT(QUOTE(user), '@', QUOTE(host)) FROM mysql.user WHERE user = 'beds'").splitlines()
        for account in accounts:
            self.sql(f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {account}; GRANT SELECT ON employees.* TO {account}")
        self.ctl("scaffold", *TABLES, "--directory", "templates")
        # From here on the account has what the templates need, and no more.
        for account in accounts:
            self.sql(f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {account};" +
                     self.ctl("schema", "--grants", "--account", account))
        self.ctl("check")

    def serve(self):
        self.log = open(self.folder / "bedsd.log", "w", encoding="utf-8")
        self.node = subprocess.Popen([self.bedsd, "--config", "beds.toml"], stdout=self.log, stderr=self.log,
                                     cwd=self.folder, env=self.environment)
        end = time.monotonic() + 60
        address = None
        while time.monotonic() < end:
            found = re.search(r"pages at (http://\S+)", (self.folder / "bedsd.log").read_text())
            address = address or (found and found.group(1))
            with contextlib.suppress(OSError):
                if address and urllib.request.urlopen(f"{address}/ready", timeout=5).status == 200:
                    return
            if self.node.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError("bedsd is not ready:\n" + (self.folder / "bedsd.log").read_text()[-3000:])

    def check(self, what, good, text=""):
        if not good:
            self.problems.append(f"{what} {text}".strip())

    def fill(self, rows):
        began = time.monotonic()
        for table, (columns, _) in TABLES.items():
            shuffled = list(rows[table])
            random.Random(1).shuffle(shuffled)
            (self.folder / f"{table}.csv").write_text(as_csv(columns, shuffled), encoding="utf-8")
            self.ctl("import", table, f"{table}.csv")
        count = sum(map(len, rows.values()))
        print(f"imported {count} rows, {count / (time.monotonic() - began):.0f} a second")

    def compare_tables(self, rows):
        for table, (columns, key) in TABLES.items():
            order = ", ".join(key if isinstance(key, list) else columns[:key])
            there = [tuple(None if cell == "NULL" else cell for cell in line.split("\t"))
                     for line in self.sql(f"SELECT {', '.join(columns)} FROM {table} ORDER BY {order}").splitlines()]
            self.check(table, there == rows[table], f"has {len(there)} rows, not the {len(rows[table])} that were made")

    def export(self, rows):
        began = time.monotonic()
        for table, (columns, _) in TABLES.items():
            self.ctl("export", table, f"{table}.out.csv", "--fields", ",".join(columns))
            text = (self.folder / f"{table}.out.csv").read_text(encoding="utf-8")
            there = list(csv.reader(io.StringIO(text, newline="")))
            wanted = [columns] + [["" if cell is None else cell for cell in row] for row in rows[table]]
            self.check(f"the export of {table}", there == wanted, f"has {len(there)} lines, not {len(wanted)}")
        count = sum(map(len, rows.values()))
        print(f"exported {count} rows, {count / (time.monotonic() - began):.0f} a second")

    def ask(self, rows):
        """Random questions, answered from the rows that were made up."""
        chance = random.Random(7)
        by_number, pay = {}, {}
        for row in rows["employees"]:
            by_number[row[0]] = row
        for row in rows["salaries"]:
            pay.setdefault(row[0], []).append(row)
        asked, wanted = [], []
        for row in chance.sample(rows["employees"], 200):
            asked.append({"v": 1, "template": "employees", "op": "fetch", "key": int(row[0])})
            wanted.append([dict(zip(TABLES["employees"][0], (int(row[0]), *row[1:])))])
            asked.append({"v": 1, "template": "salaries", "op": "find", "where": {"emp_no": int(row[0])}})
            wanted.append([dict(zip(TABLES["salaries"][0], (int(one[0]), int(one[1]), *one[2:]))) for one in pay[row[0]]])
        for row in chance.sample(rows["titles"], 100):
            asked.append({"v": 1, "template": "titles", "op": "fetch",
                          "key": {"emp_no": int(row[0]), "title": row[1], "from_date": row[2]}})
            wanted.append([dict(zip(TABLES["titles"][0], (int(row[0]), *row[1:])))])
        said = self.ctl("call", "--json", "-", given="".join(json.dumps(one) + "\n" for one in asked)).splitlines()
        self.check("answers", len(said) == len(asked), f"{len(said)} of {len(asked)}")
        for question, line, right in zip(asked, said, wanted):
            answer = json.loads(line)
            self.check("answer", answer.get("rows") == right, f"to {question} is {line[:300]}, not {right}")
        # What the schema forbids stays forbidden, and what it does by itself is done.
        duplicate = self.ctl("call", "departments", "insert", "dept_no=d999", "dept_name=Sales", codes=range(1, 100))
        self.check("a second department of one name", "DUPLICATE_KEY" in duplicate, duplicate)
        orphan = self.ctl("call", "salaries", "insert", "emp_no:=1", "salary:=1", "from_date=2000-01-01",
                          "to_date=2001-01-01", codes=range(1, 100))
        self.check("pay for nobody", "CONSTRAINT" in orphan, orphan)
        gone = rows["employees"][0][0]
        self.ctl("call", "employees", "delete", f"key:={gone}")
        for table in ("salaries", "titles", "dept_emp", "dept_manager"):
            left = self.sql(f"SELECT COUNT(*) FROM {table} WHERE emp_no = {gone}").strip()
            self.check(f"{table} of a deleted employee", left == "0", f"are {left}")

    def run(self):
        rows = made_up(int(os.environ.get("BEDS_EMPLOYEES", "105000" if FULL else "1000")))
        self.prepare()
        self.scaffold()
        self.serve()
        self.fill(rows)
        self.compare_tables(rows)
        self.export(rows)
        self.ask(rows)
        for problem in self.problems[:20]:
            print(f"wrong: {problem[:600]}")
        if not self.problems:
            print(f"{sum(map(len, rows.values()))} rows of {len(TABLES)} tables: all as they were made")
        return 1 if self.problems else 0


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    with Test(*map(pathlib.Path, sys.argv[1:])) as test:
        if not test.start_servers():
            return 77
        return test.run()


if __name__ == "__main__":
    sys.exit(main())

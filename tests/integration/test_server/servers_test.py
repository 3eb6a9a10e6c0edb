"""What the tests stand on: private servers stay on the loopback interface, which MongoDB is taken, and a
missing server is a visible skip or a failure.

    servers_test.py SKIPPED (the program made from skipped.cpp)
"""

import importlib.machinery
import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

SUPPORT = pathlib.Path(__file__).resolve().parents[2] / "support"
SKIPPED = sys.argv.pop() if __name__ == "__main__" else ""


def load_tool():
    loader = importlib.machinery.SourceFileLoader("servers", str(SUPPORT / "servers"))
    tool = importlib.util.module_from_spec(importlib.util.spec_from_loader("servers", loader))
    sys.dont_write_bytecode = True
    loader.exec_module(tool)
    return tool


def variables(**more):
    names = ("BEDS_MONGODB_URI", "BEDS_MONGODB_PRIVATE_URI", "BEDS_REQUIRE_SERVERS", "FIRST_FAILS")
    return {key: value for key, value in os.environ.items() if key not in names} | more


def listening():
    """Inode of each listening socket -> its address, as the kernel writes it."""
    found = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in pathlib.Path(table).read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                found[f"socket:[{fields[9]}]"] = fields[1].rsplit(":", 1)[0]
    return found


def processes_of(folder):
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if os.fsencode(folder) in (process / "cmdline").read_bytes() + (process / "environ").read_bytes():
                yield process
        except OSError:
            continue


class Loopback(unittest.TestCase):
    def test_nothing_listens_to_the_world(self):
        folder = os.environ.get("BEDS_SERVERS_DIR")
        self.assertTrue(folder, "needs the shared servers")
        addresses, seen = listening(), {}
        for process in processes_of(folder):
            try:
                links = [os.readlink(link) for link in (process / "fd").iterdir()]
                name = (process / "comm").read_text().strip()
            except OSError:
                continue
            seen.update({link: (name, addresses[link]) for link in links if link in addresses})
        self.assertGreaterEqual(len(seen), 5, seen)  # AMQP, AMQPS, its distribution, epmd, MariaDB
        for name, address in seen.values():
            with self.subTest(name):
                self.assertIn(address, ("0100007F", "00000000000000000000000001000000",  # 127.0.0.1, ::1
                                        "0000000000000000FFFF00000100007F"))


class Ports(unittest.TestCase):
    def test_what_one_folder_claims_no_other_gets(self):
        with tempfile.TemporaryDirectory() as folder, unittest.mock.patch.object(tempfile, "tempdir", folder):
            servers = load_tool()
            servers.PORTS = (31000, 31060)
            first, second = (pathlib.Path(folder, name) for name in ("first", "second"))
            first.mkdir()
            second.mkdir()
            claimed = servers.free_ports(15, first)
            self.assertEqual(len(set(claimed)), 15)
            self.assertFalse(set(claimed) & set(servers.free_ports(15, second)))
            first.rmdir()  # its ports are free again
            self.assertEqual(len(servers.free_ports(15, second)), 15)


class WhichMongodb(unittest.TestCase):
    def setUp(self):
        made = tempfile.TemporaryDirectory(prefix="beds-servers-")
        self.addCleanup(made.cleanup)
        self.dir = pathlib.Path(made.name)

    def test_the_one_of_the_caller_comes_first(self):
        uri = "mongodb://nowhere.invalid/beds"
        done = subprocess.run([SUPPORT / "servers", "start", "--dir", self.dir, "mongodb"],
                              env=variables(BEDS_MONGODB_URI=uri), capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"export BEDS_MONGODB_URI='{uri}'", (self.dir / "env").read_text())
        self.assertFalse((self.dir / "mongodb").exists())

    def test_without_any_it_is_a_skip_or_a_failure(self):
        tool = load_tool()
        tool.SYSTEM_PATH = str(self.dir)  # no mongod, no java
        said = []
        tool.say = said.append
        tool.Area.make_certificates = lambda area: None
        area = tool.Area(self.dir)
        os.environ.pop("BEDS_MONGODB_URI", None)
        os.environ.pop("BEDS_REQUIRE_SERVERS", None)
        tool.start(area, ["mongodb"], own=False)
        self.assertRegex(said[0], "^skipped: mongodb .no mongod, and java")
        self.assertNotIn("BEDS_MONGODB_URI", (self.dir / "env").read_text())
        os.environ["BEDS_REQUIRE_SERVERS"] = "1"
        with self.assertRaises(tool.Failure):
            tool.start(area, ["mongodb"], own=False)

    def test_the_stand_in_has_one_version(self):
        text = (SUPPORT / "mongo-java-server" / "pom.xml").read_text(encoding="utf-8")
        versions = re.findall(r"<artifactId>mongo-java-server[^<]*</artifactId>\s*<version>([^<]*)</version>", text)
        self.assertEqual(versions, ["1.47.0"] * 2)


class Skips(unittest.TestCase):
    def ended(self, **more):
        environment = variables(**more)
        environment.pop("AMQP_URL", None)
        done = subprocess.run([SKIPPED], env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr.strip()

    def test_a_missing_server_is_a_visible_skip(self):
        self.assertEqual(self.ended(), (77, "skipped: rabbitmq (AMQP_URL is not set)"))

    def test_required_it_is_a_failure(self):
        self.assertEqual(self.ended(BEDS_REQUIRE_SERVERS="1"), (1, "missing: rabbitmq (AMQP_URL is not set)"))

    def test_it_hides_no_failure(self):
        code, said = self.ended(FIRST_FAILS="1")
        self.assertEqual(code, 1)
        self.assertIn("a case before it failed", said)


if __name__ == "__main__":
    unittest.main()

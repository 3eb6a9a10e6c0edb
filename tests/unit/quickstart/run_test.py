#!/usr/bin/python3
"""What examples/quickstart/run and stop start, say and end, over programs and servers that only pretend."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

SOURCES = pathlib.Path(sys.argv.pop(1))

BEDSD = """
env >"$TOP/partial"
mv "$TOP/partial" "$TOP/bedsd.env"
[ -z "${BEDSD_ENDS-}" ] || { echo "no such database"; exit 4; }
exec sleep 60
"""
# Nobody answers before bedsd is there.
BEDSCTL = '[ -e "$TOP/bedsd.env" ] || exit 3'
SERVERS = """
echo "$*" >>"$TOP/servers.log"
mkdir -p "$3"
cat >"$3/env" <<'ENV'
export BEDS_AMQP_APP_URL='amqp://app:one@127.0.0.1:1/%2F'
export BEDS_AMQP_NODE_URL='amqp://beds:two@127.0.0.1:1/%2F'
export BEDS_MARIADB_URI='mysql://beds:three@127.0.0.1:2/beds'
ENV
"""


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (OSError, IndexError):
        return False


class Run(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="beds-quickstart-")
        self.addCleanup(scratch.cleanup)
        self.top = pathlib.Path(scratch.name)
        self.folder = self.top / "examples/quickstart/.run"
        shutil.copytree(SOURCES, self.top / "examples/quickstart", ignore=shutil.ignore_patterns(".run"))
        self.program("examples/quickstart/load", "")
        self.program("tests/support/servers", SERVERS)
        self.program("build/bedsd/bedsd", BEDSD)
        self.program("build/bedsd/ctl/bedsctl", BEDSCTL)
        self.client("exit 0")
        self.addCleanup(self.stop)

    def program(self, path, text):
        path = self.top / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/bash\n" + text)
        path.chmod(0o755)

    def client(self, text):
        self.program("build/examples/quickstart/quickstart_client",
                     f'cp "$TOP/examples/quickstart/.run/bedsd.pid" "$TOP"\n{text}\n')

    def begin(self, *arguments, command="run", **variables):
        return subprocess.Popen(
            [self.top / "examples/quickstart" / command, *arguments], text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=dict(variables, PATH=f"{self.top}/bin:{os.environ['PATH']}", TOP=str(self.top)))

    def run_it(self, *arguments, **variables):
        child = self.begin("--build", str(self.top / "build"), *arguments, **variables)
        self.output, _ = child.communicate(timeout=50)
        return child.returncode

    def stop(self, *arguments):
        child = self.begin(*arguments, command="stop")
        self.output, _ = child.communicate(timeout=50)
        return child.returncode

    def bedsd(self):
        """The pid of the bedsd that the client found running."""
        return int((self.top / "bedsd.pid").read_text().split()[0])

    def bedsd_ends(self):
        end = time.monotonic() + 15
        while alive(self.bedsd()) and time.monotonic() < end:
            time.sleep(0.01)
        return not alive(self.bedsd())

    def servers(self):
        return (self.top / "servers.log").read_text().splitlines()

    def test_right_answers_and_nothing_is_left(self):
        self.assertEqual(self.run_it(), 0, self.output)
        self.assertFalse(alive(self.bedsd()))
        self.assertFalse(self.folder.exists())
        self.assertEqual(len(self.servers()), 2)
        self.assertRegex(self.servers()[0], rf"^start --dir {self.folder}/servers --with [0-9]+$")
        self.assertEqual(self.servers()[1], f"stop --dir {self.folder}/servers")

    def test_a_wrong_answer(self):
        self.client("exit 1")
        self.assertEqual(self.run_it(), 1, self.output)
        self.assertIn(f"an answer was not right; bedsd's log: {self.folder}/bedsd.log", self.output)
        self.assertIn(f"its files: {self.folder}", self.output)
        self.assertNotIn("Try it yourself", self.output)
        self.assertTrue((self.folder / "bedsd.log").exists())
        self.assertFalse(alive(self.bedsd()))
        self.assertEqual(self.servers()[-1], f"stop --dir {self.folder}/servers")

    def test_what_is_kept_and_its_end(self):
        self.assertEqual(self.run_it("--keep"), 0, self.output)
        self.assertIn(f"Left running. Endpoints: . {self.folder}/env    End it: examples/quickstart/stop\n",
                      self.output)
        self.assertTrue(alive(self.bedsd()))
        self.assertEqual(self.servers(), [f"start --dir {self.folder}/servers"])
        self.assertEqual(self.stop(), 0, self.output)
        self.assertFalse(alive(self.bedsd()))
        self.assertFalse(self.folder.exists())
        self.assertEqual(self.servers()[-1], f"stop --dir {self.folder}/servers")
        self.assertEqual((self.stop(), self.output), (0, "nothing is running\n"))

    def test_a_wrong_answer_of_what_is_kept(self):
        self.client("exit 1")
        self.assertEqual(self.run_it("--keep"), 1, self.output)
        self.assertIn("an answer was not right", self.output)
        self.assertIn("End it: examples/quickstart/stop\n", self.output)
        self.assertTrue(alive(self.bedsd()))

    def test_bedsd_that_ends(self):
        self.program("build/bedsd/ctl/bedsctl", "exit 3")
        self.assertEqual(self.run_it(BEDSD_ENDS="1"), 1, self.output)
        self.assertIn("bedsd ended; its log:\nno such database\n", self.output)

    def test_bedsd_that_ended_before_it_was_looked_at(self):
        self.program("build/bedsd/ctl/bedsctl", "exit 3")
        self.program("bin/cat", 'case "$1" in /proc/*) sleep 0.5 ;; esac\nexec /bin/cat "$@"')
        self.assertEqual(self.run_it(BEDSD_ENDS="1"), 1, self.output)
        self.assertIn("bedsd ended; its log:\nno such database\n", self.output)

    def test_interrupted_or_killed(self):
        self.client("kill -INT $PPID")
        self.assertEqual(self.run_it(), 130, self.output)
        self.assertFalse(alive(self.bedsd()))
        self.assertEqual(self.servers()[-1], f"stop --dir {self.folder}/servers")

        (self.top / "bedsd.env").unlink()  # or it is answered, and killed, before its bedsd is there
        self.client("kill -KILL $PPID")
        self.assertEqual(self.run_it(), -signal.SIGKILL, self.output)
        self.assertTrue(self.bedsd_ends())

    def test_killed_before_bedsd_has_begun(self):
        # The machine is so busy that the process which becomes bedsd has its turn when all is over.
        self.program("bin/setsid", 'while kill -0 "$PPID" 2>/dev/null; do sleep 0.01; done\n'
                                   'exec /usr/bin/setsid "$@"\n')
        self.program("build/bedsd/ctl/bedsctl", "exit 0")
        self.client("kill -KILL $PPID")
        self.assertEqual(self.run_it(), -signal.SIGKILL, self.output)
        self.assertTrue(self.bedsd_ends())
        self.assertFalse((self.top / "bedsd.env").exists())  # it was not even started

    def test_the_environment_of_bedsd_is_not_the_callers(self):
        callers = {"BEDS_ENV": "prod", "BEDS_QUEUE_TAG": "mine_", "AMQP_URL": "amqp://elsewhere"}
        self.assertEqual(self.run_it(**callers), 0, self.output)
        environment = (self.top / "bedsd.env").read_text().splitlines()
        self.assertIn("BEDS_ENV=dev", environment)
        self.assertIn("BEDS_QUEUE_TAG=dev_", environment)
        self.assertIn("AMQP_URL=amqp://app:one@127.0.0.1:1/%2F", environment)

    def test_a_folder_of_somebody_else_stays(self):
        for ask in (self.run_it, self.stop):
            other = self.top / "other"
            other.mkdir(exist_ok=True)
            (other / "thesis").touch()
            self.assertEqual(ask("--dir", str(other)), 2, self.output)
            self.assertIn("is not a folder of the quickstart", self.output)
            self.assertTrue((other / "thesis").exists())


if __name__ == "__main__":
    unittest.main()

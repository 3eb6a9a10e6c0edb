#!/usr/bin/python3
"""What tests/run, .ci/run and tests/support/install-packages call, ask for and say: copies of them in a
folder of their own, where everything else is a stub that notes its arguments.

  scripts_test.py SOURCE
"""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

SOURCE = pathlib.Path(sys.argv.pop(1))
PATIENCE = 30


class Tree(unittest.TestCase):
    def setUp(self):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="beds-scripts-"))
        self.addCleanup(shutil.rmtree, self.top)
        self.bin = self.top / "bin"
        self.log = self.top / "log"
        self.log.touch()
        self.environment = {"PATH": f"{self.bin}:/usr/bin:/bin", "TMPDIR": str(self.top)}

    def copy(self, name, **replaced):
        """The script, with what it would do to the system done in the folder instead."""
        text = (SOURCE / name).read_text()
        for _, (old, new) in replaced.items():
            self.assertEqual(text.count(old), 1, old)
            text = text.replace(old, str(new))
        self.write(name, text)

    def write(self, name, text):
        file = self.top / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)

    def stub(self, name, body=""):
        self.write(name, f'#!/bin/bash\necho "{pathlib.Path(name).name} $*" >>{self.log}\n{body}\n')

    def run_script(self, name, *arguments, **environment):
        self.log.write_text("")
        return subprocess.run([self.top / name, *arguments], env=self.environment | environment, text=True,
                              capture_output=True, timeout=PATIENCE)

    def calls(self, program):
        """The arguments of each call of a stub since the script began."""
        return [line.partition(" ")[2] for line in self.log.read_text().splitlines()
                if line.partition(" ")[0] == program]


class Packages(Tree):
    SCRIPT = "tests/support/install-packages"

    def setUp(self):
        super().setUp()
        self.policy = self.top / "policy-rc.d"
        self.copy(self.SCRIPT, policy=("/usr/sbin/policy-rc.d", self.policy), report=("-ge 5 ]", "-ge 0 ]"))
        # Missing are those that $MISSING and, with their configuration left, $REMOVED name.
        self.stub("bin/dpkg-query", 'case " $MISSING " in *" $4 "*) exit 1 ;; esac\n'
                                    'case " $REMOVED " in *" $4 "*) echo "rc " ;; *) echo "ii " ;; esac')
        self.user(0)
        self.apt()

    def user(self, number):
        self.stub("bin/id", f"echo {number}")

    def apt(self, install=""):
        # It goes on until somebody has waited for it.
        self.stub("bin/sleep", f"touch {self.top}/waited; exec /bin/sleep 0.01")
        self.stub("bin/apt-get", f"""case " $* " in
*" -s "*) echo "Inst one"; echo "Inst another"; echo "Inst a-third" ;;
*" install "*)
    {self.policy}; echo "policy $?" >>{self.log}
    echo "Get:1 one"; echo "Unpacking one"; echo "Setting up one"
    until [ -e {self.top}/waited ]; do /bin/sleep 0.01; done
    {install} ;;
esac""")

    def install(self, *groups, **environment):
        return self.run_script(self.SCRIPT, *groups, **environment)

    def test_nothing_is_missing(self):
        done = self.install("build", "tests")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        self.assertEqual(self.calls("apt-get"), [])

    def test_who_is_not_root_is_told(self):
        self.user(1000)
        done = self.install("build", "tests", MISSING="ccache catch2 maven", REMOVED="file")
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, r"apt-get install .* ccache catch2 file\n$")
        self.assertEqual(self.calls("apt-get"), [])

    def test_another_system_is_told(self):
        (self.bin / "apt-get").unlink()
        done = self.install("build", PATH=str(self.bin), MISSING="ccache")
        self.assertEqual(done.returncode, 2)
        self.assertIn("not a Debian system", done.stderr)
        self.assertIn("  ccache\n", done.stderr)

    def test_root_has_them_installed(self):
        done = self.install("build", "tests", MISSING="ccache catch2", REMOVED="file")
        self.assertEqual(done.returncode, 0, done.stderr)
        update, simulated, install = self.calls("apt-get")
        self.assertTrue(update.startswith("update "), update)
        for call in simulated, install:
            self.assertTrue(call.endswith("=3 ccache catch2 file"), call)
        self.assertIn("installing 3 packages and what they need: ccache catch2 file\n", done.stderr)
        self.assertIn("  1 files fetched, 1 unpacked, 1 of 3 set up", done.stderr)
        self.assertRegex(done.stderr, r"  3 packages installed in \d+ s\n$")
        self.assertEqual(done.stdout, "")

    def test_no_package_starts_a_service(self):
        self.install("build", MISSING="ccache")
        self.assertEqual(self.calls("policy"), ["101"])
        self.assertFalse(self.policy.exists())
        self.write("policy-rc.d", "#!/bin/sh\nexit 42\n")
        self.install("build", MISSING="ccache")
        self.assertEqual(self.calls("policy"), ["42"])
        self.assertTrue(self.policy.exists(), "the system's own stays")

    def test_what_apt_says_is_shown_when_it_fails(self):
        self.apt(install="echo 'no space left'; exit 100")
        done = self.install("build", MISSING="ccache")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no space left\ninstall-packages: apt-get install failed", done.stderr)
        self.assertFalse(self.policy.exists())

    def test_an_interrupt_reaches_apt_and_waits_for_it(self):
        self.apt(install=f"""trap 'sleep 0.2; {self.policy}; echo "ended $?" >>{self.log}; exit 130' INT
    touch {self.top}/installing
    while [ -e {self.top}/installing ]; do /bin/sleep 0.01; done""")
        script = subprocess.Popen([self.top / self.SCRIPT, "build"], env=self.environment | {"MISSING": "ccache"},
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(script.wait)
        self.addCleanup(script.kill)
        end = time.monotonic() + PATIENCE
        while not (self.top / "installing").exists() and time.monotonic() < end:
            time.sleep(0.01)
        script.send_signal(signal.SIGINT)
        self.assertEqual(script.wait(PATIENCE / 3), 130)
        self.assertEqual(self.calls("ended"), ["101"])
        self.assertFalse(self.policy.exists())

    def test_unknown_group(self):
        done = self.install("build", "nonsense")
        self.assertEqual(done.returncode, 2)
        self.assertIn("unknown group 'nonsense'", done.stderr)

    def test_stand_in_for_mongodb(self):
        # A server of the caller's is none that tests may stop.
        given = {"PATH": str(self.bin), "BEDS_MONGODB_URI": "mongodb://elsewhere/"}
        self.assertIn("openjdk", self.install("--list", "mongodb", **given).stdout)
        self.stub("bin/mongod")
        self.assertEqual(self.install("--list", "mongodb", **given).stdout, "\n")


class Run(Tree):
    LABELS = "unit contract headers lint integration chaos daemon tidy soak fuzz".split()

    def setUp(self):
        super().setUp()
        self.copy("tests/run")
        self.stub("tests/support/install-packages", f'echo "uri ${{BEDS_MONGODB_URI-none}}" >>{self.log}\n'
                                                    '[[ " $UNAVAILABLE " != *" ${!#} "* ]] || exit 2')
        self.stub("tests/support/servers", f"""echo "servers: $1" >&2
[ "$1" = start ] || exit 0
/bin/sleep 0.1
mkdir -p "$3"; touch "$3/env"; echo started >>{self.log}
[ "$FAILING" != servers ]""")
        self.stub("bin/cmake", '[ "$1" != --preset ] || mkdir -p "build/$2"\n[ "$1" != "$FAILING" ]')
        # Tests named unit_… have that label; there is none named nothing.
        self.stub("bin/ctest", f"""case " $* " in
*" -N "*) echo "  Test #1: one"; echo "Labels: unit"; echo "  Command: one" ;;
*" -R nothing "*" --print-labels "*) echo "Test project" ;;
*" -R unit_"*" --print-labels "*) printf 'All Labels:\\n  unit\\n' ;;
*" --print-labels "*) echo "All Labels:"; printf '  %s\\n' {" ".join(self.LABELS)} ;;
*) echo "full ${{BEDS_CHAOS_FULL-no}}" >>{self.log}; echo "100% tests passed"; echo "Total Test time"; [ "$FAILING" != ctest ] ;;
esac""")

    def start(self, *arguments, **environment):
        return self.run_script("tests/run", *arguments, **environment)

    def passed(self, *arguments, **environment):
        done = self.start(*arguments, **environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.ran = self.calls("ctest")[-1]
        return done

    def refused(self, *arguments):
        done = self.start(*arguments)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual([call for call in self.calls("cmake") if call.startswith("--build")], [])
        return done.stderr

    def test_quick_needs_no_servers(self):
        done = self.passed("--quick")
        self.assertIn(" -L ^(unit|contract|headers|lint)$", self.ran)
        self.assertEqual(self.calls("servers"), [])
        self.assertNotIn("== servers", done.stderr)
        self.assertEqual(self.calls("install-packages"), ["build tests lint"])
        self.assertIn("--build build/dev --target beds_tests_unit beds_tests_contract beds_tests_headers "
                      "beds_tests_lint", self.calls("cmake"))

    def test_one_label(self):
        self.passed("unit")
        self.assertIn("--build build/dev --target beds_tests_unit", self.calls("cmake"))
        self.assertIn(" -L ^(unit)$", self.ran)
        self.assertEqual(self.calls("servers"), [])

    def test_everything_but_what_takes_long(self):
        done = self.passed()
        self.assertIn("--build build/dev", self.calls("cmake"))
        self.assertIn(" -LE ^(tidy|soak|fuzz)$", self.ran)
        self.assertNotIn(" -L ", self.ran)
        self.assertEqual([call.split()[0] for call in self.calls("servers")], ["start", "stop"])
        self.assertIn(" --with ", self.calls("servers")[0])
        self.assertIn("== servers", done.stderr)
        self.assertFalse((self.top / "build/dev/servers").exists())
        self.passed("soak")
        self.assertIn(" -LE ^(tidy|fuzz)$", self.ran)

    def test_by_name(self):
        self.passed("-R", "unit_one")
        self.assertIn("--build build/dev --target beds_tests_unit", self.calls("cmake"))
        self.assertIn(" -R unit_one", self.ran)
        self.assertEqual(self.calls("servers"), [])

    def test_summary_is_last(self):
        done = self.passed("integration")
        self.assertTrue(done.stdout.endswith("Total Test time\n"), done.stdout)
        # Nor is anything said on the terminal after it: what stops the servers is quiet.
        self.assertTrue(done.stderr.endswith("== tests\n"), done.stderr)

    def test_keep(self):
        done = self.passed("integration", "--keep")
        self.assertEqual([call.split()[0] for call in self.calls("servers")], ["start"])
        self.assertNotIn("--with", self.calls("servers")[0])
        self.assertIn("servers left running", done.stderr)
        self.passed("integration")
        self.assertEqual([call.split()[0] for call in self.calls("servers")], ["stop", "start", "stop"])

    def test_options_of_ctest(self):
        self.passed("unit", "-j", "7", "--repeat", "9", "--preset", "tsan")
        for one in ("--test-dir build/tsan", "--output-on-failure", "--parallel 7", "--repeat until-fail:9"):
            self.assertIn(one, self.ran)

    def test_full(self):
        self.passed("chaos")
        self.assertEqual(self.calls("full"), ["no"])
        self.passed("chaos", "--full")
        self.assertEqual(self.calls("full"), ["1"])

    def test_failures(self):
        for failing in ("--preset", "--build", "servers", "ctest"):
            with self.subTest(failing):
                done = self.start("integration", FAILING=failing)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertEqual("tests passed" in done.stdout, failing == "ctest")
                # None is stopped while it is being started; what a failed run left is stopped before.
                seen = [line.split()[:2] for line in self.log.read_text().splitlines()
                        if line.startswith(("servers ", "started"))]
                self.assertEqual(seen[-3:], [] if failing == "--preset" else
                                 [["servers", "start"], ["started"], ["servers", "stop"]])

    def test_wrong_usage(self):
        self.assertIn("no test has the label 'nonsense'; labels: unit ", self.refused("nonsense"))
        self.assertIn("no test has the label 'nonsense'", self.refused("--list", "nonsense"))
        self.assertIn("no test matches", self.refused("-R", "nothing"))
        self.assertIn("no test matches", self.refused("-R", "nothing", "--list"))
        self.assertIn("exclude each other", self.refused("--quick", "unit"))
        self.assertIn("unknown option '--nonsense'", self.refused("--nonsense"))
        self.assertIn("unknown preset 'fast'", self.refused("--preset", "fast"))
        self.assertIn("-R needs a value", self.refused("-R"))
        for option in ("-j", "--repeat", "--minutes", "--seed"):
            self.assertIn(f"{option} needs a", self.refused(option, "many", "soak"))
        self.assertIn("-j needs a number from 1, not '0'", self.refused("-j", "0"))
        self.assertIn("--minutes belongs to the label soak", self.refused("--minutes", "1", "unit"))

    def test_list(self):
        done = self.passed("--list", "integration")
        self.assertEqual(done.stdout, "  Test #1: one\nLabels: unit\n")
        self.assertEqual(self.calls("servers"), [])
        self.assertEqual(self.calls("install-packages"), ["build tests lint"])
        self.assertEqual([call for call in self.calls("cmake") if call.startswith("--build")], [])

    def test_only_the_stand_in_for_mongodb_may_be_missing(self):
        done = self.passed("integration", UNAVAILABLE="mongodb")
        self.assertEqual(self.calls("install-packages"), ["build tests lint servers mongodb", "build tests lint servers"])
        self.assertIn("without", done.stderr)
        done = self.start("integration", UNAVAILABLE="mongodb", BEDS_REQUIRE_SERVERS="1")
        self.assertEqual(done.returncode, 2)
        done = self.start("integration", UNAVAILABLE="mongodb servers")
        self.assertEqual(done.returncode, 2)

    def test_private_endpoints_are_not_the_callers_own(self):
        self.passed("integration", BEDS_MONGODB_URI="mongodb://own/")
        self.assertEqual(self.calls("uri"), ["mongodb://own/"])
        # The tests' own servers need the stand-in all the same.
        self.assertEqual(self.calls("install-packages"), ["build tests lint servers mongodb"])
        self.passed("integration", BEDS_MONGODB_URI="mongodb://left/", BEDS_MONGODB_PRIVATE_URI="mongodb://left/")
        self.assertEqual(self.calls("uri"), ["none"])

    def test_the_callers_node_is_not_that_of_the_tests(self):
        self.stub("bin/cmake", f'mkdir -p build/dev\nenv | grep "^BEDS_" >>{self.log}')
        self.passed("unit", BEDS_ENV="prod", BEDS_CONFIG="/etc/beds/beds.toml", BEDS_QUEUE_TAG="left_", BEDS_X="seen")
        seen = [line for line in self.log.read_text().splitlines() if line.startswith("BEDS_")]
        self.assertEqual(set(seen), {"BEDS_X=seen"})


class Ci(Tree):
    def test_it_runs_the_tests_and_every_server_must_be_there(self):
        self.copy(".ci/run")
        self.write("tests/run", '#!/bin/bash\necho "$PWD|$*|$BEDS_REQUIRE_SERVERS"\nexit 7\n')
        done = self.run_script(".ci/run", "--preset", "tsan")
        self.assertEqual(done.stdout, f"{self.top}|--preset tsan|1\n")
        self.assertEqual(done.returncode, 7)

    def test_few_that_need_servers_have_one_more_attempt_alone(self):
        self.copy(".ci/run")
        for failed, again in (("9:chaos_a\\n12:daemon_b\\n", True), ("9:chaos_a\\n12:unit_b\\n", False), ("", False),
                              ("".join(f"{i}:chaos_{i}\\n" for i in range(4)), False)):
            with self.subTest(failed):
                self.write("tests/run", '#!/bin/bash\necho "run $*"\n[ $# = 0 ] || exit 0\nmkdir -p '
                           f'build/dev/Testing/Temporary\nprintf "{failed}" '
                           '>build/dev/Testing/Temporary/LastTestsFailed.log\nexit 1\n')
                done = self.run_script(".ci/run")
                self.assertEqual("run -j 1 -R ^(chaos_a|daemon_b)$" in done.stdout, again, done.stdout)
                self.assertEqual(done.returncode, 0 if again else 1)


if __name__ == "__main__":
    unittest.main()

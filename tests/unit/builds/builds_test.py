#!/usr/bin/python3
"""What the presets build: fail points where they are asked for and nowhere else, warnings that are errors,
the sanitizers that a preset is named after.

  builds_test.py SOURCE BEDSD 0|1

BEDSD is the program of this build, 0 or 1 its option BEDS_FAILPOINTS.
"""
import json
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

SOURCE, BEDSD = (pathlib.Path(sys.argv.pop(1)) for _ in range(2))
BUILT_IN = sys.argv.pop(1) == "1"
HEADER = pathlib.Path("libbeds/src/core/failpoint.hpp")
WARNINGS = {"-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"}
MACRO = re.compile(r"\bBEDS_FAILPOINT(?:_OF)?\((\w+)")


def users():
    """The sources that have fail points: {path: names}."""
    found = {}
    for path in sorted((SOURCE / "libbeds" / "src").rglob("*.[ch]pp")):
        names = MACRO.findall(path.read_text())
        if names and not path.match(str(HEADER)):
            found[path] = names
    return found


class Release(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        build = tempfile.TemporaryDirectory()
        cls.addClassCleanup(build.cleanup)
        subprocess.run(["cmake", "--preset", "release", "-B", build.name, "-DBEDS_BUILD_TESTS=OFF",
                        "-DBEDS_BUILD_BENCH=OFF"], cwd=SOURCE, check=True, capture_output=True)
        cls.cache = (pathlib.Path(build.name) / "CMakeCache.txt").read_text()
        cls.commands = {pathlib.Path(one["file"]): one for one in
                        json.loads((pathlib.Path(build.name) / "compile_commands.json").read_text())}

    def test_every_warning_is_an_error(self):
        for folder in ("libbeds/src", "bedsd", "examples/quickstart"):
            commands = [one for file, one in self.commands.items() if file.is_relative_to(SOURCE / folder)]
            self.assertGreater(len(commands), 2, folder)
            for one in commands:
                words = shlex.split(one["command"])
                with self.subTest(file=one["file"]):
                    self.assertFalse(WARNINGS.difference(words))
                    self.assertFalse({"-w", "-Wno-error"}.intersection(words))

    def test_it_has_no_fail_points(self):
        self.assertIn("BEDS_FAILPOINTS:BOOL=OFF", self.cache)
        self.assertFalse([file for file in self.commands if file.name == "failpoint.cpp"])
        for file in users():
            with self.subTest(file=file.name):
                self.assertNotIn("failpoint::", self.preprocessed(self.commands[file]))
                self.assertIn("failpoint::", self.preprocessed(self.commands[file], "-DBEDS_FAILPOINTS"))

    @staticmethod
    def preprocessed(command, *further):
        """What the compiler sees of the source itself."""
        words = shlex.split(command["command"])
        words[words.index("-o"):words.index("-o") + 2] = []
        if pathlib.Path(words[0]).name == "ccache":
            del words[0]
        return subprocess.run([*words, *further, "-E", "-P"], cwd=command["directory"], check=True,
                              capture_output=True, text=True).stdout


class Presets(unittest.TestCase):
    def test_they_are_there_and_sanitize_what_they_are_named_after(self):
        presets = {one["name"]: one for one in
                   json.loads((SOURCE / "CMakePresets.json").read_text())["configurePresets"]}
        for name, sanitizers in (("release", None), ("dev", None),
                                 ("asan-ubsan", "address;undefined"), ("tsan", "thread")):
            self.assertEqual(presets[name]["cacheVariables"].get("BEDS_SANITIZE"), sanitizers, name)
            self.assertEqual(presets[name]["inherits"], "base")
        self.assertEqual(presets["base"]["cacheVariables"]["BEDS_WARNINGS_AS_ERRORS"], "ON")


class FailPoints(unittest.TestCase):
    def test_this_program_has_them_as_it_was_asked(self):
        program = BEDSD.read_bytes()
        for trace in (b"BEDS_FAILPOINTS", b"reply_published", b"if_message_id"):
            self.assertEqual(trace in program, BUILT_IN, trace)

    def test_every_point_is_somewhere_and_is_known(self):
        text = (SOURCE / "libbeds/src/core/failpoint.cpp").read_text()
        known = re.findall(r'"(\w+)"', text[text.index("points{"):text.index("};")])
        used = [name for names in users().values() for name in names]
        self.assertEqual(sorted(set(used)), sorted(known))
        documented = (SOURCE / HEADER).read_text()
        for name in known:
            self.assertIn(name, documented)


if __name__ == "__main__":
    unittest.main()

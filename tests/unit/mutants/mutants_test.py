#!/usr/bin/python3
"""The list of tests/mutation, which is run seldom, fits the sources: who changes a line that a mutant changes,
changes the mutant, too.

  mutants_test.py SOURCE
"""
import pathlib
import re
import sys
import tomllib
import unittest

SOURCE = pathlib.Path(sys.argv.pop(1))
MUTANTS = tomllib.loads((SOURCE / "tests/mutation/mutants.toml").read_text())["mutant"]


class Mutants(unittest.TestCase):
    def test_each_applies(self):
        self.assertGreater(len(MUTANTS), 10)
        for mutant in MUTANTS:
            for edit in mutant["edit"]:
                with self.subTest(mutant=mutant["name"], file=edit["file"]):
                    self.assertEqual((SOURCE / edit["file"]).read_text().count(edit["find"]), 1, edit["find"])
                    self.assertNotEqual(edit["find"], edit["put"])

    def test_their_tests_are_there(self):
        files = "".join(file.read_text() for file in (SOURCE / "tests").rglob("CMakeLists.txt"))
        # fuzz_corpus_${name}: one name for each of a list
        known = re.compile("|".join({re.sub(r"\$\{\w+\}", r"\\w+", name)
                                     for name in re.findall(r"\bNAME ([a-z][\w${}]*)", files)}))
        for mutant in MUTANTS:
            with self.subTest(mutant=mutant["name"]):
                self.assertFalse([name for name in mutant["tests"] if not known.fullmatch(name)])
                self.assertTrue(mutant["tests"])

    def test_names_differ(self):
        self.assertEqual(len({one["name"] for one in MUTANTS}), len(MUTANTS))


if __name__ == "__main__":
    unittest.main()

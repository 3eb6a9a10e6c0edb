#!/usr/bin/python3
"""Every line of guarantees.md names tests, and every test that it names is there.

  guarantees_test.py SOURCE
"""
import pathlib
import re
import sys
import unittest

SOURCE = pathlib.Path(sys.argv.pop(1))
PAGE = SOURCE / "libbeds" / "doc" / "guarantees.md"


def programs():
    """{name of CTest: the sources of its program}"""
    found = {}
    for cmake in (SOURCE / "tests").rglob("CMakeLists.txt"):
        text = re.sub(r"#.*", "", cmake.read_text())
        for call in re.findall(r"\b(?:beds_add_test|add_test)\(\s*NAME\s+([^)]*(?:\([^)]*\)[^)]*)*)\)", text):
            name = call.split()[0]
            files = re.findall(r"[\w./-]+\.(?:cpp|py)\b", call)
            one_of = re.search(r"\bset\(targets ([^)]*)\)", text)
            for each in one_of[1].split() if "${name}" in name and one_of else [""]:
                found[name.replace("${name}", each)] = [cmake.parent / file.lstrip("/") for file in files]
    return found


def cases(source):
    """The names of a source's cases, of Catch2 or unittest."""
    if not source.exists():
        return set()
    text = source.read_text()
    if source.suffix == ".py":
        return set(re.findall(r"def (test_\w+)", text))
    literals = re.findall(r'TEST_CASE\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)', text)
    return {"".join(re.findall(r'"((?:[^"\\]|\\.)*)"', one)) for one in literals}


def lines(text):
    """(number, name of a test, name of a case or "") of each test; a row without one gives (number, "", "")."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("| ") or line.startswith(("| promise |", "| not promised |")):
            continue
        last = line.rstrip().rstrip("|").rsplit(" | ", 1)[1]
        named = [one for one in re.findall(r"`([^`]+)`", last) if re.match(r"[a-z0-9_]+(: |$)", one)]
        for one in named or [""]:
            name, _, case = one.partition(": ")
            yield number, name, case


def wrong(text, known):
    for number, name, case in lines(text):
        if not name:
            yield f"line {number} names no test"
        elif name not in known:
            yield f"line {number}: there is no test '{name}'"
        elif case and not any(case in cases(source) for source in known[name]):
            yield f"line {number}: '{name}' has no case '{case}'"


class Guarantees(unittest.TestCase):
    def test_every_named_test_is_there(self):
        text = PAGE.read_text()
        self.assertGreater(len(list(lines(text))), 20)
        self.assertEqual(list(wrong(text, programs())), [])

    def test_what_is_not_there_is_noticed(self):
        known = {"unit_one": [SOURCE / "tests/unit/guarantees/guarantees_test.py"]}
        good = "| it works | `unit_one: test_every_named_test_is_there`, `unit_one` |"
        self.assertEqual(list(wrong(good, known)), [])
        for row in ("| it works | as everybody knows |", "| it works | `unit_two` |",
                    "| it works | `unit_one: test_nothing` |", "| it works | `unit_one`, `unit_two` |"):
            self.assertEqual(len(list(wrong(row, known))), 1, row)


if __name__ == "__main__":
    unittest.main()

"""results_test.py BENCH: what bench/run makes of the records of its benches."""
import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml

BENCH = sys.argv.pop(1)
sys.path.insert(0, os.path.join(BENCH, "common"))
import results  # noqa: E402


def record(name, ratios, direction="higher", goal=1.0, verdict="reached", settings=None, series=()):
    middle = sorted(ratios)[len(ratios) // 2]
    return {"name": name, "unit": "fetches/s", "direction": direction, "goal": goal,
            "settings": {"window": "256"} if settings is None else settings,
            "rounds": [[30000.0, 30000.0 * ratio] for ratio in ratios],
            "ratio": {"median": middle, "least": min(ratios), "most": max(ratios)},
            "floor": 30000.0, "beds": 30000.0 * middle, "verdict": verdict, "wrong": "",
            "series": list(series)}


def whole(*benches, **more):
    machine = {"cores": 2, "cpu": "a <CPU>", "memory_mib": 4096, "kernel": "6", "system": "Debian", "load_before": 0.1}
    return dict({"format": 1, "quick": False, "date": "2026-01-31T12:00:00Z", "commit": "0" * 40,
                 "changed_files": 0, "machine": machine, "versions": {"rabbitmq": "3.10"},
                 "benches": list(benches), "sweeps": [], "exits": []}, **more)


class judging(unittest.TestCase):
    steady = (0.90, 0.91, 0.90, 0.89, 0.90)

    def verdict(self, before, after, **more):
        return results.judge(record("fetch", before, **more), record("fetch", after, **more))[0]

    def test_the_same_run_twice(self):
        self.assertEqual(self.verdict(self.steady, self.steady), "same")

    def test_less_than_five_percent_is_nothing(self):
        self.assertEqual(self.verdict(self.steady, [0.96 * one for one in self.steady]), "same")

    def test_a_clear_loss_and_a_clear_gain(self):
        self.assertEqual(self.verdict(self.steady, [0.90 * one for one in self.steady]), "worse")
        self.assertEqual(self.verdict(self.steady, [1.10 * one for one in self.steady]), "better")

    def test_the_same_loss_within_noisy_rounds(self):
        noisy = (0.7, 1.1, 0.9, 0.75, 1.05)
        self.assertEqual(self.verdict(noisy, [0.90 * one for one in noisy]), "same")
        self.assertEqual(self.verdict(self.steady, [0.90 * one for one in noisy]), "same")

    def test_half_as_fast_is_seen_through_noise(self):
        noisy = (0.8, 1.0, 0.9, 0.85, 0.95)
        self.assertEqual(self.verdict(noisy, [0.5 * one for one in noisy]), "worse")

    def test_one_disturbed_round_changes_no_verdict(self):
        self.assertEqual(self.verdict(self.steady, (0.90, 0.3, 0.91, 0.90, 0.89)), "same")

    def test_less_is_better_where_it_is(self):
        more = [1.2 * one for one in self.steady]
        self.assertEqual(self.verdict(self.steady, more, direction="lower"), "worse")
        self.assertEqual(self.verdict(more, self.steady, direction="lower"), "better")

    def test_without_a_floor_the_values_are_compared(self):
        before, after = record("memory", self.steady), record("memory", self.steady)
        before["rounds"], after["rounds"] = [[0, 30.0]] * 5, [[0, 40.0]] * 5
        before["direction"] = after["direction"] = "lower"
        self.assertEqual(results.judge(before, after)[0], "worse")

    def test_few_rounds_say_nothing(self):
        self.assertEqual(self.verdict((0.9,), (0.3,)), "unsure")

    def test_wrong_answers_are_worse_however_fast(self):
        after = record("fetch", [2 * one for one in self.steady], verdict="wrong")
        self.assertEqual(results.judge(record("fetch", self.steady), after)[0], "worse")


class comparing(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def file(self, name, data):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as text:
            text.write(data if isinstance(data, str) else json.dumps(data))
        return path

    def run_compare(self, before, after):
        done = subprocess.run([os.path.join(BENCH, "run"), "--compare", self.file("a.json", before),
                               self.file("b.json", after)], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    def test_exit_codes(self):
        good, bad = record("fetch", judging.steady), record("fetch", [0.5] * 5)
        other = record("write", judging.steady)
        self.assertEqual(self.run_compare(whole(good, other), whole(good, other))[0], 0)
        code, text = self.run_compare(whole(good, other), whole(bad, other))
        self.assertEqual(code, 1)
        self.assertIn("1 of 2 worse", text)
        self.assertEqual(self.run_compare(whole(bad), whole(good))[0], 0)

    def test_what_cannot_be_compared(self):
        good = record("fetch", judging.steady)
        code, text = self.run_compare(whole(good), whole(record("write", [1, 1, 1])))
        self.assertEqual(code, 2)
        self.assertIn("only in A", text)
        self.assertIn("only in B", text)
        code, text = self.run_compare(whole(good), whole(record("fetch", [0.1] * 5, settings={"window": "1"})))
        self.assertEqual(code, 2)
        self.assertIn("differs in window", text)
        self.assertEqual(self.run_compare(whole(good), "{}")[0], 2)
        self.assertEqual(self.run_compare(whole(good), "no JSON")[0], 2)


class the_page(unittest.TestCase):
    def make(self):
        curve = {"name": "percentiles", "columns": ["percentile", "echo ms", "beds ms"],
                 "rows": [[50, 0.3, 0.4], [99, 1.2, 2.5], [99.9, 4, None], [100, 9, 9]]}
        cost = {"name": "brokers", "columns": ["brokers", "us an operation"], "rows": [[1, 5], [2, 4]]}
        sweep = {"name": "fetch", "over": "window",
                 "points": [record("fetch", [0.5 + i / 10], settings={"window": str(4 ** i)}) for i in range(4)]}
        return whole(record("fetch", judging.steady, goal=0.9),
                     record("latency_open", [0.5, 0.6, 0.4], direction="lower", series=[curve]),
                     record("scale", [1, 1, 1], verdict="missed", goal=2.0, series=[cost]),
                     sweeps=[sweep],
                     exits=[{"name": "peer", "code": 77, "seconds": 0}, {"name": "memory", "code": 1, "seconds": 1}])

    def test_plots_are_there_and_well_formed(self):
        text = results.page(self.make())
        plots = re.findall(r"<svg.*?</svg>", text, re.S)
        for plot in plots:
            xml.fromstring(plot)
        titles = [xml.fromstring(plot).find("title").text for plot in plots]
        self.assertEqual(titles, ["Ratios against their goals", "fetch over window", "fetch: ratio",
                                  "latency_open: percentiles", "scale: brokers"])
        self.assertIn("peer: skipped", text)
        self.assertIn("memory: failed with exit code 1", text)
        self.assertIn("a &lt;CPU&gt;", text)

    def test_how_far_the_goal_is(self):
        self.assertAlmostEqual(results.reached(record("fetch", [0.8, 0.9, 1.0], goal=0.9)), 1)
        self.assertAlmostEqual(results.reached(record("latency", [2.2] * 3, goal=1.1, direction="lower")), 0.5)
        fanout = dict(record("fanout", [0.1] * 3, goal=6000, direction="lower"), goal_of="value")
        self.assertAlmostEqual(results.reached(fanout), 2)
        self.assertEqual(results.goal_text(fanout), "≤ 6000 fetches/s")

    def test_nothing_is_fetched(self):
        self.assertNotRegex(results.page(self.make()), r"https?:|src=|href=|url\(|@import")

    def test_a_run_without_records(self):
        self.assertIn("<h1>", results.page(whole()))


class assembling(unittest.TestCase):
    def test_what_bench_run_leaves_becomes_one_file(self):
        with tempfile.TemporaryDirectory() as folder:
            results.begin(folder)
            for name, records in (("benches", [record("fetch", [1.0])]),
                                  ("sweep.fetch.window", [record("fetch", [0.5]), record("fetch", [0.6])])):
                with open(os.path.join(folder, name + ".jsonl"), "w", encoding="utf-8") as text:
                    text.writelines(json.dumps(one) + "\n" for one in records)
            with open(os.path.join(folder, "exits"), "w", encoding="utf-8") as text:
                text.write("fetch 0 12\npeer 77 0\n")
            out = os.path.join(folder, "out.json")
            with contextlib.redirect_stdout(io.StringIO()):
                results.main(["assemble", folder, out])
            got = results.load(out)
        self.assertEqual([one["name"] for one in got["benches"]], ["fetch"])
        self.assertEqual([(one["name"], one["over"], len(one["points"])) for one in got["sweeps"]],
                         [("fetch", "window", 2)])
        self.assertEqual(got["exits"][1]["code"], 77)
        self.assertGreater(got["machine"]["cores"], 0)
        self.assertGreater(got["machine"]["memory_mib"], 0)
        self.assertRegex(got["versions"]["compiler"], r"\d")


class the_readme(unittest.TestCase):
    def setUp(self):
        with open(os.path.join(BENCH, os.pardir, "README.md"), encoding="utf-8") as text:
            self.measured = next(line for line in text if line.startswith("Measured on "))
        self.named = re.search(r"`bench/run ((?:\w+ ?)+)`", self.measured)[1].split()
        benches = results.load(os.path.join(BENCH, "results", "reference.json"))["benches"]
        self.benches = {one["name"]: one for one in benches}

    def test_its_figures_are_those_of_the_reference(self):
        shown = [float(each.replace(",", "")) for each in re.findall(r"\*\*(\d[\d,]*)", self.measured)]
        measured = [self.benches[name]["beds"] for name in self.named]
        self.assertEqual(len(shown), len(measured))
        for told, found in zip(sorted(shown), sorted(measured)):
            self.assertAlmostEqual(told / found, 1, delta=0.02)
        ratio = float(re.search(r"\((0\.\d+) of a raw", self.measured)[1])
        self.assertAlmostEqual(ratio / self.benches["fetch"]["ratio"]["median"], 1, delta=0.02)

    def test_the_reference_is_not_below_what_must_show(self):
        for name, least in {"fetch": 0.75, "fetch_envelope": 4, "write_envelope": 1.5}.items():
            self.assertGreaterEqual(self.benches[name]["ratio"]["median"], least, name)
            self.assertEqual(self.benches[name]["wrong"], "", name)

    def test_the_benches_it_names_are_there(self):
        self.assertGreater(len(self.named), 2)
        for name in self.named:
            self.assertTrue(os.path.isdir(os.path.join(BENCH, name)), name)


unittest.main()

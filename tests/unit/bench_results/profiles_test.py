"""profiles_test.py BENCH: profiles are read as stacks, and costs belong to the right room."""
import json
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(sys.argv.pop(1), "common"))
import profiles  # noqa: E402

CALLGRIND = """# callgrind format
events: Ir

ob=(1) /usr/bin/program
fl=(1) ???
fn=(1) main
0 5
cob=(2) /lib/x86_64-linux-gnu/libc.so.6
cfn=(2) memcpy'beds::wire::reply_writer::cell(beds::core::value const&)'main
calls=3 0
0 300
0 7

fn=(3) beds::wire::reply_writer::cell(beds::core::value const&)'main
0 40

ob=(2)
fn=(2)
0 300
"""

PERF = """bench rel.read/ 12/13 1000:
\t    7f01 memcpy (/lib/libc.so.6)
\t    5501 beds::adapters::mariadb::(anonymous namespace)::session::run(beds::core::row_sink&) (/x/bench_fetch)
\t    5502 beds::factory::factory::run(std::span<beds::factory::message, 18446744073709551615ul>) (/x/bench_fetch)

3_scheduler 99/101 500:
\t    1 [unknown] (/usr/lib/erlang/beam.smp)

4_scheduler 99/102 500:
\t    1 [unknown] (/usr/lib/erlang/beam.smp)
"""


class callgrind(unittest.TestCase):
    def test_self_costs_by_stack(self):
        stacks = profiles.fold_callgrind(CALLGRIND.splitlines())
        cell = "beds::wire::reply_writer::cell(beds::core::value const&)"
        self.assertEqual(stacks, {("main",): 12, ("main", cell): 40, ("main", cell, "memcpy"): 300})

    def test_objects_left_out(self):
        stacks = profiles.fold_callgrind(CALLGRIND.splitlines(), ("libc.so",))
        self.assertEqual(sum(stacks.values()), 52)


class perf(unittest.TestCase):
    def test_stacks_with_processes_and_threads(self):
        stacks = profiles.fold_perf(PERF.splitlines(), {"99": "rabbitmq"})
        self.assertEqual(stacks[("rabbitmq", "scheduler", "[beam.smp]")], 1000)
        own = next(stack for stack in stacks if stack[0] == "bench rel.read/")
        self.assertEqual(own[-1], "memcpy")
        self.assertTrue(own[1].startswith("beds::factory::factory::run("))

    def test_rooms(self):
        stacks = profiles.fold_perf(PERF.splitlines(), {"99": "rabbitmq", "12": "bench_fetch"})
        self.assertEqual(profiles.rooms(stacks, ["rabbitmq", "bench_fetch"]),
                         {"adapters::mariadb": 1000, "rabbitmq": 1000})


class rooms(unittest.TestCase):
    def test_arguments_and_results_do_not_count(self):
        self.assertEqual(profiles.room_of(("main", "std::sort(beds::wire::part*, beds::wire::part*)")), "other")
        self.assertEqual(profiles.room_of(("beds::core::json_parser::parse(char)", "malloc")), "core")
        self.assertEqual(profiles.room_of(("beds::bench::run_load(beds::bench::load const&)",)), "other")


class flame(unittest.TestCase):
    def test_page_holds_the_tree_and_nothing_else_is_needed(self):
        text = profiles.page("a <title>", profiles.fold_callgrind(CALLGRIND.splitlines()), "instructions")
        self.assertIn("a &lt;title&gt;", text)
        self.assertNotRegex(text, r"https?:|src=|@import")
        name, cost, children = json.loads(re.search(r"root=(\[.*\]);", text).group(1))
        self.assertEqual((name, cost), ("all", 352))
        self.assertEqual(children[0][:2], ["main", 352])


unittest.main()

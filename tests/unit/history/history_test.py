#!/usr/bin/python3
"""Broken histories, and the invariant that each breaks."""
import contextlib
import io
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import history  # noqa: E402  (the path comes first)


def invoke(name="a", **members):
    return {"event": "invoke", "id": name, **members}


def ok(name="a", effect="applied", answer="done", **members):
    return {"event": "ok", "id": name, "effect": effect, "answer": answer, **members}


def fail(name="a", final=False, code="BACKEND_UNAVAILABLE", answer="no", **members):
    return {"event": "fail", "id": name, "effect": "none", "final": final, "code": code, "answer": answer,
            **members}


def effect(name="a", count=1, **members):
    return {"event": "effect", "id": name, "count": count, **members}


def event(what, name="a", **members):
    return {"event": what, "id": name, **members}


BOOKS = {"event": "books", "received": 6, "replied_ok": 1, "rejected": 1, "unknown": 1, "dead": 1, "requeued": 2,
         "in_flight": 0}


def whole(exact, **members):
    return {"event": "whole", "exact": exact, **members}


class Invariants(unittest.TestCase):
    def broken(self, *events):
        return sorted({invariant for invariant, _ in history.violations(events)})

    def test_good_histories(self):
        for events in (
            [],
            [invoke(), ok(), effect()],
            [invoke(), fail(final=True, code="REJECTED")],
            [invoke(), fail(), invoke(), ok(), effect()],
            [invoke(), event("silent"), invoke(), ok(), effect()],
            [invoke(), event("unknown"), invoke(), ok(), effect()],
            [invoke(), event("unknown"), effect()],
            [invoke(), event("unknown")],
            [invoke(), event("dead")],
            [invoke(), event("expired"), effect()],
            [invoke(), ok(), invoke(), ok(), effect()],
            # In doubt, then unreachable: the last word speaks of its own attempt only.
            [invoke(), event("silent"), invoke(), fail(), effect()],
            [invoke(guarantee="at_least_once"), ok(), effect(count=2)],
            [invoke(), ok(guarantee="at_least_once"), effect(count=2)],
            [invoke(guarantee="read"), ok(effect="none", answer="1"), invoke(guarantee="read"),
             ok(effect="none", answer="2")],
            [invoke(guarantee="read", effects=[]), fail(final=True)],
            [invoke(effects=["x", "y"]), ok(), effect(where="x"), effect(where="y")],
            [BOOKS],
            [{**BOOKS, "received": 7, "in_flight": 1, "idle": False}],
            # 3 answered, 2 requeued: those may have been answered all the same.
            [BOOKS, invoke(), ok(results=2), invoke(), fail(), effect(), whole(True)],
            [BOOKS, invoke(), ok(results=4), invoke(), fail(), effect(), whole(False)],
            [BOOKS, whole(False)],
            [BOOKS, invoke(), ok(results=5), invoke(), fail(), effect(), whole(False, late=1)],
            [BOOKS, invoke(), ok(results=4), effect(), whole(True, late=1)],
            [{"event": "applied", "key": "k", "sequence": n} for n in (1, 2, 3)],
        ):
            with self.subTest(events=events):
                self.assertEqual(self.broken(*events), [])

    def test_i1_acknowledged_and_not_there(self):
        self.assertEqual(self.broken(invoke(), ok()), ["I1"])
        self.assertEqual(self.broken(invoke(effects=["x", "y"]), ok(), effect(where="x")), ["I1"])
        self.assertEqual(self.broken(invoke(guarantee="at_least_once"), ok()), ["I1"])

    def test_i2_there_and_never_asked_for(self):
        self.assertEqual(self.broken(effect()), ["I2"])

    def test_i3_twice(self):
        self.assertEqual(self.broken(invoke(), ok(), effect(count=2)), ["I3"])
        self.assertEqual(self.broken(invoke(), ok(), effect(), effect()), ["I3"])
        self.assertEqual(self.broken(invoke(effects=["x", "y"]), ok(), effect(where="x"),
                                     effect(where="y", count=2)), ["I3"])

    def test_i4_effect_none_and_there(self):
        self.assertEqual(self.broken(invoke(), fail(), effect()), ["I4"])
        self.assertEqual(self.broken(invoke(), event("silent"), invoke(), fail(final=True), effect()), ["I4"])

    def test_i5_never_answered(self):
        self.assertEqual(self.broken(invoke()), ["I5"])
        self.assertEqual(self.broken(invoke(), event("silent"), effect()), ["I5"])

    def test_i6_two_answers(self):
        self.assertEqual(self.broken(invoke(), ok(), invoke(), ok(answer="else"), effect()), ["I6"])
        self.assertEqual(self.broken(invoke(), ok(), invoke(), fail(final=True), effect()), ["I6"])

    def test_i7_order(self):
        def applied(*sequence):
            return [{"event": "applied", "key": "k", "sequence": n} for n in sequence]
        self.assertEqual(self.broken(*applied(1, 3, 2)), ["I7"])
        self.assertEqual(self.broken(*applied(1, 3)), ["I7"])
        self.assertEqual(self.broken(*applied(1, 2, 2)), ["I7"])

    def test_i8_books(self):
        self.assertEqual(self.broken({**BOOKS, "received": 7}), ["I8"])
        self.assertEqual(self.broken({**BOOKS, "received": 7, "in_flight": 1}), ["I8"])
        self.assertEqual(self.broken({**BOOKS, "received": 7, "idle": False}), ["I8"])
        for one in ("replied_ok", "rejected", "unknown", "dead", "requeued"):
            self.assertEqual(self.broken({**BOOKS, one: 0}), ["I8"])

    def test_i8_heard_and_counted(self):
        for more in (whole(True), whole(False)):
            self.assertEqual(self.broken(BOOKS, invoke(), ok(results=6), effect(), more), ["I8"])
        self.assertEqual(self.broken(BOOKS, invoke(), ok(results=2), effect(), whole(True)), ["I8"])
        self.assertEqual(self.broken(BOOKS, invoke(), event("unknown", results=4), whole(True)), ["I8"])
        self.assertEqual(self.broken(invoke(), fail(), whole(False)), ["I8"])
        for more in (whole(True, late=1), whole(False, late=1)):
            self.assertEqual(self.broken(BOOKS, invoke(), ok(results=7), effect(), more), ["I8"])

    def test_what_is_no_event(self):
        with self.assertRaises(ValueError):
            self.broken(event("dropped"))


class Files(unittest.TestCase):
    def run_main(self, *events, text=None):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "history.jsonl"
            recorder = history.Recorder(path)
            for line in events:
                recorder.write(line["event"], **{name: line[name] for name in line if name != "event"})
            recorder.close()
            if text is not None:
                path.write_text(text)
            out = io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                code = history.main([str(path)])
            return code, out.getvalue()

    def test_a_file(self):
        self.assertEqual(self.run_main(invoke(), ok(), effect()), (0, ""))
        code, said = self.run_main(invoke(), ok(), effect(count=2))
        self.assertEqual(code, 1)
        self.assertIn("I3: a happened 2 times", said)

    def test_no_history(self):
        for text in ("{", "[]\n", '{"id":"a"}\n', '{"event":"ok"}\n'):
            self.assertEqual(self.run_main(text=text)[0], 2, text)


if __name__ == "__main__":
    unittest.main()

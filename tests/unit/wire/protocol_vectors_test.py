#!/usr/bin/python3
"""The golden vectors of the protocol against its JSON Schemas: protocol_vectors_test.py DIR

DIR is libbeds/protocol, or where it is installed. A schema that takes what the protocol refuses, refuses
what it takes, or does not know a reply that the codec writes, fails here.
"""
import base64
import json
import pathlib
import re
import sys
import unittest

import jsonschema

LIBBEDS = pathlib.Path(__file__).parents[3] / "libbeds"
PROTOCOL = pathlib.Path(sys.argv.pop(1) if len(sys.argv) > 1 else LIBBEDS / "protocol")


def read(name):
    return json.loads((PROTOCOL / name).read_bytes())


def validator(name):
    schema = read(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def body_of(vector):
    if "request_base64" in vector:
        return base64.b64decode(vector["request_base64"], validate=True)
    return vector["request"].encode()


class RequestVectors(unittest.TestCase):
    def test_schema_agrees(self):
        requests = validator("request.schema.json")
        for vector in read("vectors/requests.json"):
            with self.subTest(vector["name"]):
                try:
                    accepted = requests.is_valid(json.loads(body_of(vector).decode()))
                except ValueError:  # no JSON
                    accepted = False
                self.assertEqual(vector["schema"], "accepts" if accepted else "refuses")

    def test_what_the_protocol_takes_the_schema_takes(self):
        for vector in read("vectors/requests.json"):
            refused = "refused" in vector or any("refused" in op for op in vector["means"]["operations"])
            done = vector["reply"].get("status") == "ok"
            with self.subTest(vector["name"]):
                self.assertFalse(refused and done)
                if done:
                    self.assertEqual(vector["schema"], "accepts")

    def test_names_are_unique(self):
        for file in ("vectors/requests.json", "vectors/replies.json"):
            names = [vector["name"] for vector in read(file)]
            self.assertEqual(len(names), len(set(names)))
            self.assertGreater(len(names), 20)


class Document(unittest.TestCase):
    """What protocol.md shows and lists is what the schemas say."""

    def setUp(self):
        self.text = (LIBBEDS / "doc" / "protocol.md").read_text()

    def test_examples(self):
        requests, replies = validator("request.schema.json"), validator("reply.schema.json")
        blocks = re.findall(r"```(?:json)?\n(.*?)```", self.text, re.DOTALL)
        bodies = [json.loads(body) for block in blocks for body in re.findall(r"^\{.*", block, re.DOTALL | re.MULTILINE)]
        self.assertEqual(6, len(bodies))
        for body in bodies:
            (replies if "status" in body else requests).validate(body)

    def test_codes(self):
        section = self.text.split("## Codes")[1].split("\n## ")[0]
        rows = [row.split("|")[1] for row in section.splitlines() if row.startswith("| `")]
        documented = set(re.findall(r"[A-Z_]{5,}", " ".join(rows)))
        self.assertEqual(set(read("reply.schema.json")["$defs"]["result"]["properties"]["code"]["enum"]), documented)


class ReplyVectors(unittest.TestCase):
    def test_schema_takes_every_reply(self):
        replies = validator("reply.schema.json")
        for vector in read("vectors/replies.json"):
            with self.subTest(vector["name"]):
                replies.validate(json.loads(vector["reply"]))

    def test_schema_refuses_what_is_no_reply(self):
        replies = validator("reply.schema.json")
        good = {"v": 1, "event": "e", "status": "ok", "effect": "none", "rows": []}
        error = {"v": 1, "status": "error", "effect": "none", "code": "INTERNAL", "retryable": False}
        for reply in (good, error, {**good, "later_member": 1}, {"v": 1, "status": "partial", "results": [good]}):
            replies.validate(reply)
        for change in ({"v": 2}, {"effect": "maybe"}, {"status": "partial"}, {"rows": {}}, {"rows": [1]},
                       {"code": "INTERNAL"}, {"total": -1}, {"results": []}):
            self.assertFalse(replies.is_valid({**good, **change}), change)
        for change in ({"code": "OOPS"}, {"retryable": 1}, {"rows": []}, {"reason": "WORD"}):
            self.assertFalse(replies.is_valid({**error, **change}), change)
        for missing in ("v", "status", "effect"):
            self.assertFalse(replies.is_valid({k: v for k, v in good.items() if k != missing}), missing)
        for missing in ("code", "retryable"):
            self.assertFalse(replies.is_valid({k: v for k, v in error.items() if k != missing}), missing)

    def test_the_schema_lists_every_code(self):
        codes = read("reply.schema.json")["$defs"]["result"]["properties"]["code"]["enum"]
        every = next(v for v in read("vectors/replies.json") if v["name"] == "every code")
        self.assertEqual(set(codes), {r["outcome"]["code"] for r in every["results"]} | {"SKIPPED"})


if __name__ == "__main__":
    unittest.main()

"""libbeds/doc/errors.md and the sources: the same log messages with the same levels, and the same codes that
are retryable.

    messages_test.py SOURCE_DIR

BEDS_UPDATE_DOCS=1 writes the table's ids and levels anew from the sources: a message that is gone goes, one that is
new gets a row beside its like, which is refused until somebody says there what happened and what to do.
"""

import os
import pathlib
import re
import sys

ENVIRONMENT = {"BEDS_CONFIG", "BEDS_ENV", "BEDS_FAILPOINTS", "BEDS_QUEUE_TAG"}  # variables, not messages
ID = re.compile(r'"(BEDSD?_[A-Z0-9_]+)"')
LEVEL = re.compile(r"\blevel::(debug|info|warning|error)\b")
ROW = re.compile(r"^\| `(BEDSD?_[A-Z0-9_]+)` \| ([a-z, ]+) \| .*\S.* \|$")


def in_sources(root):
    """Id → its levels, and what is wrong with the sources."""
    found, wrong = {}, []
    for folder in ("libbeds/include", "libbeds/src", "bedsd"):
        for path in sorted((root / folder).rglob("*.[ch]pp")):
            text = re.sub(r"//[^\n]*", "", path.read_text(encoding="utf-8"))
            for match in ID.finditer(text):
                if match[1] in ENVIRONMENT:
                    continue
                # The level stands before the id, in the same statement.
                begin = max(text.rfind(mark, 0, match.start()) for mark in ";{}")
                levels = LEVEL.findall(text, begin + 1, match.start())
                if not levels:
                    wrong.append(f"{path}: {match[1]} has no level before it")
                found.setdefault(match[1], set()).update(levels)
    return found, wrong


def order_of(levels):
    return ", ".join(sorted(levels, key=["error", "warning", "info", "debug"].index))


def generate(path, said):
    """The table again, in its order, with what stands in the sources."""
    lines = path.read_text(encoding="utf-8").splitlines()
    written, missing = [], dict(said)
    for line in lines:
        name = re.match(r"\| `(BEDSD?_[A-Z0-9_]+)` \| ([a-z, ]*) \| (.*)", line)
        if name is None:
            written.append(line)
        elif name[1] in said:
            same = set(name[2].split(", ")) == said[name[1]]
            written.append(line if same else f"| `{name[1]}` | {order_of(said[name[1]])} | {name[3]}")
            missing.pop(name[1], None)
    for name in sorted(missing):
        alike = max((i for i, line in enumerate(written) if line.startswith("| `BEDS")),
                    key=lambda i: (len(os.path.commonprefix([written[i][3:], name])), i))
        written.insert(alike + 1, f"| `{name}` | {order_of(said[name])} | |")
    path.write_text("\n".join(written) + "\n", encoding="utf-8")


def in_document(path):
    found, wrong = {}, []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("| `BEDS"):
            continue
        row = ROW.match(line)
        if row is None:
            wrong.append(f"{path}: not a row of the table: {line}")
        elif row[1] in found:
            wrong.append(f"{path}: {row[1]} stands there twice")
        else:
            found[row[1]] = set(row[2].split(", "))
    return found, wrong


def retryable(root):
    """What the library and each document say."""
    body = re.search(r"bool is_retryable\(.*?\n}\n", (root / "libbeds/src/core/outcome.cpp").read_text(), re.DOTALL)[0]
    errors, protocol = ((root / "libbeds/doc" / name).read_text() for name in ("errors.md", "protocol.md"))
    sentence = re.search(r"`retryable` is true for ([^.]*)\.", errors)[1]
    return {"outcome.cpp": {code.upper() for code in re.findall(r"case code::(\w+):", body)},
            "errors.md": set(re.findall(r"`(\w+)`", sentence)),
            "protocol.md": set(re.findall(r"(?m)^\| `(\w+)` \| retryable\b", protocol))}


def main(root):
    said, wrong = in_sources(root)
    if os.environ.get("BEDS_UPDATE_DOCS") == "1":
        generate(root / "libbeds/doc/errors.md", said)
    told, more = in_document(root / "libbeds/doc/errors.md")
    wrong += more
    for name in sorted(said.keys() | told.keys()):
        if name not in told:
            wrong.append(f"{name}: in the sources, not in errors.md")
        elif name not in said:
            wrong.append(f"{name}: in errors.md, not in the sources")
        elif said[name] != told[name]:
            code, text = (", ".join(sorted(each[name])) for each in (said, told))
            wrong.append(f"{name}: {code} in the sources, {text} in errors.md")
    # Names of messages in comments are names of messages that exist.
    mentioned = (root / "libbeds/include/beds/observe/log.hpp").read_text(encoding="utf-8")
    for name in re.findall(r"`(BEDSD?_[A-Z0-9_]+)`", mentioned):
        if name not in said:
            wrong.append(f"log.hpp: {name} is no message")
    codes = retryable(root)
    if len(codes["outcome.cpp"]) < 2 or any(each != codes["outcome.cpp"] for each in codes.values()):
        wrong.append(f"retryable: {codes}")
    if not said:
        wrong.append(f"{root}: no messages found")
    print("\n".join(wrong) or f"{len(said)} messages")
    return 1 if wrong else 0


sys.exit(main(pathlib.Path(sys.argv[1])))

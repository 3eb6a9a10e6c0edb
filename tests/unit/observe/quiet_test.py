"""The library never prints: what it has to say goes to the log sink.

    quiet_test.py SOURCE_DIR
"""

import pathlib
import re
import sys

PRINTS = re.compile(r"\bstd::(cout|cerr|clog)\b|\b(printf|fprintf|vprintf|vfprintf|puts|fputs|putchar|perror|psignal"
                    r"|syslog)\s*\(|\b(stdout|stderr)\b|#include <(iostream|print|syslog\.h)>")
# Of builds for tests only: the last words of a process that is about to be killed.
ALLOWED = {"libbeds/src/core/failpoint.cpp"}


def main(root):
    files = [path for folder in ("libbeds/include", "libbeds/src")
             for path in sorted((root / folder).rglob("*.[ch]pp"))]
    wrong = [] if len(files) > 100 else [f"only {len(files)} sources were found"]
    for path in files:
        if str(path.relative_to(root)) in ALLOWED:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if PRINTS.search(line.split("//")[0]):
                wrong.append(f"{path}:{number}: {line.strip()}")
    print("\n".join(wrong) or f"{len(files)} sources print nothing")
    return 1 if wrong else 0


sys.exit(main(pathlib.Path(sys.argv[1])))

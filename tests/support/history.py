#!/usr/bin/python3
"""What callers asked and were told, and whether that agrees with what is in the databases.

    history.py FILE...      prints every violation; exit 0: none, 1: some, 2: not a history

A history is a file of JSON lines. Events of the callers, in the order in which they happened:

    {"event":"invoke","id":"w7","guarantee":"once","effects":["marks"]}   each time that it is sent
    {"event":"ok","id":"w7","effect":"applied","answer":"..."}            the reply says ok
    {"event":"fail","id":"w7","effect":"none","final":true,"code":"REJECTED","answer":"..."}
    {"event":"unknown","id":"w7","code":"BACKEND_UNAVAILABLE"}            the reply says effect unknown
    {"event":"silent","id":"w7"}                                          no reply to this attempt (yet)
    {"event":"expired","id":"w7"}                                         its deadline passed, nobody waits
    {"event":"dead","id":"w7"}                                            found in the dead letters

ok, fail and unknown with `results`: of so many operations (else one).

and at the end, when everything is quiet, what the databases and the node say:

    {"event":"effect","id":"w7","where":"marks","count":1}                how often it is there
    {"event":"applied","key":"k","sequence":3}                            in the order in which it happened
    {"event":"books","of":"items.insert","received":9,"replied_ok":8,"rejected":0,"unknown":0,"dead":0,
     "requeued":1,"in_flight":0}
    {"event":"whole","exact":true,"late":0}     these are the books of every process, and callers miss no reply

`guarantee` is once, at_least_once or read; a reply that carries at_least_once changes it. `effects` names the places
where a write leaves its traces (absent: one place without a name). `final`: sending the same id again gets this answer
again. `answer` is the reply without what is new in each reply. Books that are not `idle` were read while something was
under way. `exact`: nothing was answered twice either, RabbitMQ and the way to it were unharmed. `late`: so many
operations came when the books had been read.

The invariants:

    I1  what was acknowledged is there
    I2  what is there was asked for
    I3  what is promised once is there at most once
    I4  what failed with effect none is not there (unless another attempt of it was in doubt or succeeded)
    I5  every request was answered, or is a dead letter, or its deadline passed
    I6  the final answers to one id are the same, byte for byte
    I7  what has a key and a sequence happened in this sequence, without gaps
    I8  received = replied_ok + rejected + unknown + dead + requeued + in_flight, nothing is in flight, and what
        callers heard is what was counted as answered (or requeued: what was answered may come again)
"""
import collections
import json
import sys
import threading
import time


class Recorder:
    """Writes events to a file, at once and from any thread, and keeps them."""

    def __init__(self, path):
        self._file = open(path, "w", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self.events = []

    def write(self, event, **members):
        with self._lock:
            line = {"event": event, "at": round(time.monotonic() - self._began, 4), **members}
            self.events.append(line)
            self._file.write(json.dumps(line) + "\n")

    def close(self):
        self._file.close()


class Request:
    """All that is known of one id."""

    def __init__(self):
        self.attempts = 0
        self.guarantee = "once"
        self.effects = ("",)
        self.acknowledged = False  # effect applied
        self.doubtful = 0          # attempts of which nobody knows what they did
        self.refused = None        # the last word: effect none
        self.ended = False         # answered, dead or past its deadline
        self.answers = []          # the final ones


def violations(events):
    """Yields (invariant, text) for everything that is wrong."""
    requests = collections.defaultdict(Request)
    there = collections.defaultdict(collections.Counter)  # id: {where: count}
    sequences = collections.defaultdict(list)
    books = []
    whole = None
    heard = 0
    for line in events:
        what = line["event"]
        if what == "effect":
            there[line["id"]][line.get("where", "")] += line["count"]
            continue
        if what == "applied":
            sequences[line["key"]].append(line["sequence"])
            continue
        if what == "books":
            books.append(line)
            continue
        if what == "whole":
            whole = line
            continue
        request = requests[line["id"]]
        if what == "invoke":
            request.attempts += 1
            request.guarantee = line.get("guarantee", "once")
            request.effects = tuple(line.get("effects", [""]))
            request.refused = None
            continue
        if what in ("ok", "fail", "unknown"):
            heard += line.get("results", 1)
        if line.get("guarantee") == "at_least_once":
            request.guarantee = "at_least_once"
        if what == "ok":
            request.ended = True
            request.acknowledged |= line.get("effect") == "applied"
            request.answers.append(line.get("answer"))
        elif what == "fail":
            request.ended = True
            request.refused = line
            if line.get("final"):
                request.answers.append(line.get("answer"))
        elif what == "unknown":
            request.ended = True
            request.doubtful += 1
        elif what == "silent":
            request.doubtful += 1
        elif what in ("dead", "expired"):
            request.ended = True
            request.doubtful += what == "expired"
        else:
            raise ValueError(f"unknown event {what!r}")

    for name, request in requests.items():
        counts = [there[name][where] for where in request.effects]
        most = max(counts, default=0)  # reads leave no traces
        if request.acknowledged and min(counts, default=1) < 1:
            yield "I1", f"{name} was acknowledged and is not there"
        if request.guarantee == "once" and most > 1:
            yield "I3", f"{name} happened {most} times"
        # A final refusal speaks of the id, any other of its own attempt.
        refused = request.refused is not None and request.refused.get("effect") == "none"
        certain = refused and (request.refused.get("final") or not request.doubtful)
        if certain and not request.acknowledged and most > 0:
            yield "I4", f"{name} failed with {request.refused.get('code')}, effect none, and is there"
        if not request.ended:
            yield "I5", f"{name} was sent {request.attempts} times and never answered"
        if request.guarantee == "once" and len(set(request.answers)) > 1:
            yield "I6", f"{name} has {len(set(request.answers))} answers: " + " / ".join(
                str(one) for one in dict.fromkeys(request.answers))
    for name, counts in there.items():
        if sum(counts.values()) and not requests[name].attempts:
            yield "I2", f"{name} is there and nobody asked for it"
    for key, applied in sequences.items():
        if applied != list(range(1, len(applied) + 1)):
            yield "I7", f"{key} happened in the order {applied}"
    for line in books:
        ends = sum(line[one] for one in ("replied_ok", "rejected", "unknown", "dead", "requeued", "in_flight"))
        if line["received"] != ends or (line["in_flight"] and line.get("idle", True)):
            yield "I8", f"the books of {line.get('of', 'the node')} do not close: {line}"
    if whole is not None:
        answered = sum(line[one] for line in books for one in ("replied_ok", "rejected", "unknown"))
        again = sum(line["requeued"] for line in books)
        late = whole.get("late", 0)
        if heard > answered + again + late or (whole["exact"] and not late and heard != answered):
            yield "I8", (f"{heard} results were heard, {answered} were counted as answered and {again} as requeued, "
                         f"{late} came later")


def load(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def main(paths):
    if not paths or paths[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if paths else 2
    wrong = 0
    for path in paths:
        try:
            for invariant, text in violations(load(path)):
                print(f"{path}: {invariant}: {text}")
                wrong += 1
        except (OSError, KeyError, TypeError, ValueError) as failed:
            print(f"{path}: not a history: {failed!r}", file=sys.stderr)
            return 2
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

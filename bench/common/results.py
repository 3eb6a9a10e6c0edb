#!/usr/bin/env python3
"""The results of bench/run: one JSON file, a page with plots, and the comparison of two of them.

  results.py assemble FOLDER OUT.json [--quick]   the records that bench/run left in FOLDER
  results.py page IN.json OUT.html                one file without references to others
  results.py compare A.json B.json                exit 1 when B is worse than A, 2 when nothing compares
"""
import datetime
import html
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys


# ---- gathering ------------------------------------------------------------------------------------

def output_of(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def package(*names):
    for name in names:
        version = output_of("dpkg-query", "-W", "-f", "${Version}", name)
        if version:
            return version
    return ""


def machine():
    def file(path):
        try:
            with open(path, encoding="utf-8") as text:
                return text.read()
        except OSError:
            return ""

    cpu = re.search(r"^model name\s*:\s*(.*)$", file("/proc/cpuinfo"), re.M)
    memory = re.search(r"^MemTotal:\s*(\d+)", file("/proc/meminfo"), re.M)
    system = re.search(r'^PRETTY_NAME="(.*)"', file("/etc/os-release"), re.M)
    return {
        "cores": os.cpu_count(),
        "cpu": cpu.group(1) if cpu else platform.machine(),
        "memory_mib": int(memory.group(1)) // 1024 if memory else 0,
        "kernel": platform.release(),
        "system": system.group(1) if system else platform.system(),
        "load_before": float((file("/proc/loadavg").split() or ["0"])[0]),
    }


def versions():
    named = os.environ.get("BEDS_MONGODB_URI", "")
    own = named and named == os.environ.get("BEDS_MONGODB_PRIVATE_URI", "")
    mongod = re.search(r"v([\d.]+)", output_of("mongod", "--version"))
    if not named:
        mongodb = "none"
    elif not own:
        mongodb = "the server that BEDS_MONGODB_URI named"
    else:
        mongodb = "mongod " + mongod.group(1) if mongod else "mongo-java-server, in memory"
    return {
        "rabbitmq": package("rabbitmq-server") or output_of("rabbitmqctl", "version"),
        "erlang": package("erlang-base"),
        "mariadb": package("mariadb-server") or output_of("mariadbd", "--version"),
        "mongodb": mongodb,
        "compiler": (output_of(os.environ.get("CXX", "c++"), "--version").splitlines() or [""])[0],
        "rabbitmq_c": package("librabbitmq4"),
        "connector_c": package("libmariadb3"),
        "mongo_c_driver": package("libmongoc-1.0-0"),
    }


def lines_of(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as text:
        return [json.loads(line) for line in text if line.strip()]


def assemble(folder, out, quick):
    """FOLDER: machine.json (made when the run began), benches.jsonl, exits ("NAME CODE SECONDS" a
    line), sweep.NAME.OPTION.jsonl."""
    with open(os.path.join(folder, "machine.json"), encoding="utf-8") as text:
        began = json.load(text)
    benches = lines_of(os.path.join(folder, "benches.jsonl"))
    exits = []
    with open(os.path.join(folder, "exits"), encoding="utf-8") as text:
        for line in text:
            name, code, seconds = line.split()
            exits.append({"name": name, "code": int(code), "seconds": int(seconds)})
    sweeps = []
    for file in sorted(os.listdir(folder)):
        if file.startswith("sweep.") and file.endswith(".jsonl"):
            _, name, option, _ = file.split(".")
            sweeps.append({"name": name, "over": option,
                           "points": lines_of(os.path.join(folder, file))})
    whole = dict(format=1, quick=quick, **began, benches=benches, sweeps=sweeps, exits=exits)
    with open(out, "w", encoding="utf-8") as text:
        json.dump(whole, text, indent=1)
        text.write("\n")


def begin(folder):
    """What has to be asked before the benches load the machine."""
    facts = {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": output_of("git", "rev-parse", "HEAD"),
        "changed_files": len(output_of("git", "status", "--porcelain", "-uno").splitlines()),
        "machine": machine(),
        "versions": versions(),
    }
    with open(os.path.join(folder, "machine.json"), "w", encoding="utf-8") as text:
        json.dump(facts, text)


# ---- the page -------------------------------------------------------------------------------------

COLOURS = ["#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed", "#64748b", "#0891b2", "#b91c1c"]
STYLE = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.5rem}h3{font-size:1rem;margin:1.5rem 0 .3rem}
table{border-collapse:collapse;font-size:.85rem}
td,th{padding:.2rem .7rem;text-align:right;border-bottom:1px solid #8884;font-variant-numeric:tabular-nums}
td:first-child,th:first-child,td.t{text-align:left}
svg{display:block;max-width:100%;height:auto;margin:.5rem 0}
svg text{font:12px system-ui,sans-serif;fill:currentColor}
.missed,.wrong{color:#dc2626;font-weight:600}.reached{color:#059669}.note{opacity:.75}
details{margin:.3rem 0}.charts{display:flex;flex-wrap:wrap;gap:1rem}
"""


def short(number):
    if number is None:
        return "–"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(number) >= size:
            return f"{number / (1e3 if letter == 'k' else size):.3g}{letter}"
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def ticks(low, high, logarithmic):
    if logarithmic:
        marks = [10.0 ** power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
        if len(marks) < 4:
            marks = sorted(mark * step for mark in marks for step in (1, 2, 5))
        return [mark for mark in marks if low * 0.999 <= mark <= high * 1.001]
    span = high - low or 1
    step = 10.0 ** math.floor(math.log10(span / 4))
    step = next(step * factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 6)
    first = math.ceil(low / step)
    return [step * i for i in range(first, int(high / step + 1e-9) + 1)]


def line_chart(title, x_label, y_label, lines, size=(470, 300), x_marks=None):
    """lines: [(name, [(x, y)])]. Axes are logarithmic where the values need it. x_marks: [(x, text)]."""
    lines = [(name, [(x, y) for x, y in points if x is not None and y is not None])
             for name, points in lines]
    lines = [(name, points) for name, points in lines if points]
    if not lines:
        return ""
    xs = [x for _, points in lines for x, _ in points]
    ys = [y for _, points in lines for _, y in points]
    log_x = min(xs) > 0 and max(xs) / min(xs) > 20
    log_y = min(ys) > 0 and max(ys) / min(ys) > 30
    x_low, x_high = min(xs), max(xs)
    if x_low == x_high:
        x_low, x_high = (x_low / 2, x_high * 2) if log_x else (x_low - 1, x_high + 1)
    y_low, y_high = (min(ys) / 1.3, max(ys) * 1.3) if log_y else (min(0, min(ys)), max(ys) * 1.1 or 1)
    width, height = size
    left, right, top, bottom = 62, 22, 30, 46 + 18 * ((len(lines) + 1) // 2)

    def place(value, low, high, begin, end, logarithmic):
        if logarithmic:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return begin + (value - low) / (high - low) * (end - begin)

    def at_x(x):
        return place(x, x_low, x_high, left, width - right, log_x)

    def at_y(y):
        return place(y, y_low, y_high, height - bottom, top, log_y)

    out = [f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img"><title>{html.escape(title)}</title>',
           f'<text x="{left}" y="16" font-weight="600">{html.escape(title)}</text>']
    for mark in ticks(y_low, y_high, log_y):
        y = at_y(mark)
        out.append(f'<line x1="{left}" x2="{width - right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#8884"/>'
                   f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{short(mark)}</text>')
    few = sorted(set(xs))
    marks = x_marks or [(mark, short(mark)) for mark in (few if len(few) <= 8 else ticks(x_low, x_high, log_x))]
    for mark, text in marks:
        if not x_low <= mark <= x_high * 1.0001:
            continue
        x = at_x(mark)
        out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{height - bottom}" stroke="#8882"/>'
                   f'<text x="{x:.1f}" y="{height - bottom + 15}" text-anchor="middle">{text}</text>')
    out.append(f'<text x="{(left + width - right) / 2}" y="{height - bottom + 31}" text-anchor="middle">'
               f'{html.escape(x_label)}</text>'
               f'<text transform="translate(12,{(top + height - bottom) / 2}) rotate(-90)" text-anchor="middle">'
               f'{html.escape(y_label)}</text>')
    for i, (name, points) in enumerate(lines):
        colour = COLOURS[i % len(COLOURS)]
        path = " ".join(f"{at_x(x):.1f},{at_y(y):.1f}" for x, y in points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, y in points:
            out.append(f'<circle cx="{at_x(x):.1f}" cy="{at_y(y):.1f}" r="3" fill="{colour}">'
                       f'<title>{html.escape(name)}: {short(x)} → {short(y)}</title></circle>')
        x0 = left + (i % 2) * (width - left - right) / 2
        y0 = height - bottom + 48 + 18 * (i // 2)
        out.append(f'<rect x="{x0:.0f}" y="{y0 - 9}" width="10" height="10" fill="{colour}"/>'
                   f'<text x="{x0 + 15:.0f}" y="{y0}">{html.escape(name)}</text>')
    return "".join(out) + "</svg>"


def judged(bench):
    """Of each round, what the goal is about: the ratio, or BEDS's own value."""
    if bench.get("goal_of") == "value":
        return [beds for _, beds in bench["rounds"] if beds is not None]
    return ratios(bench)


def reached(bench, value=None):
    """How far a value is: 1 is the goal, more is better."""
    if value is None:
        value = statistics.median(judged(bench) or [0])
    if not value or value <= 0 or not bench["goal"]:
        return 0
    return value / bench["goal"] if bench["direction"] == "higher" else bench["goal"] / value


def ratios(bench):
    return [beds / floor for floor, beds in bench["rounds"] if floor and beds is not None]


def goal_text(bench):
    text = ("≥ " if bench["direction"] == "higher" else "≤ ") + f'{bench["goal"]:g}'
    return text + (" " + bench["unit"] if bench.get("goal_of") == "value" else "")


def goals_chart(benches):
    shown = [bench for bench in benches if reached(bench) > 0]
    if not shown:
        return ""
    values = [reached(bench, value) for bench in shown for value in judged(bench) if value > 0]
    values += [reached(bench) for bench in shown]
    low, high = min(values + [0.5]) / 1.1, max(values + [2]) * 1.1
    width, left, right, row, top = 940, 190, 200, 24, 26
    height = top + row * len(shown) + 30

    def at(value):
        return left + (math.log(value) - math.log(low)) / (math.log(high) - math.log(low)) * (width - left - right)

    out = [f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img"><title>Ratios against their goals</title>']
    for mark in ticks(low, high, True):
        out.append(f'<line x1="{at(mark):.1f}" x2="{at(mark):.1f}" y1="{top - 6}" y2="{height - 26}" stroke="#8884"/>'
                   f'<text x="{at(mark):.1f}" y="{height - 10}" text-anchor="middle">{mark:g}</text>')
    for i, bench in enumerate(shown):
        y = top + row * i
        value = reached(bench)
        bad = bench["verdict"] in ("missed", "wrong")
        colour = COLOURS[7] if bad else COLOURS[2] if bench["verdict"] == "reached" else COLOURS[5]
        begin, end = sorted((at(max(low, min(high, 1))), at(value)))
        out.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{html.escape(bench["name"])}</text>'
                   f'<rect x="{begin:.1f}" y="{y + 3}" width="{max(1.5, end - begin):.1f}" height="13" fill="{colour}" opacity=".6"/>')
        for one in judged(bench):
            if one > 0:
                out.append(f'<circle cx="{at(reached(bench, one)):.1f}" cy="{y + 9.5}" r="2.5" fill="{colour}">'
                           f'<title>a round: {one:.3g}</title></circle>')
        out.append(f'<text x="{width - right + 8}" y="{y + 13}">{statistics.median(judged(bench)):.3g} '
                   f'({html.escape(goal_text(bench))})</text>')
    out.append(f'<line x1="{at(1):.1f}" x2="{at(1):.1f}" y1="{top - 10}" y2="{height - 26}" stroke="currentColor" stroke-width="1.5"/>'
               f'<text x="{at(1):.1f}" y="12" text-anchor="middle">goal</text></svg>')
    return "".join(out)


def table(columns, rows):
    head = "".join(f"<th>{html.escape(str(name))}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def sweep_charts(sweep):
    points = []
    for record in sweep["points"]:
        try:
            points.append((float(record["settings"][sweep["over"]]), record))
        except (KeyError, ValueError):
            continue
    if not points:
        return ""
    points.sort(key=lambda one: one[0])
    unit = points[0][1]["unit"]
    lines = [("BEDS", [(x, record["beds"]) for x, record in points]),
             ("floor", [(x, record["floor"]) for x, record in points])]
    out = line_chart(f'{sweep["name"]} over {sweep["over"]}', sweep["over"], unit, lines)
    return out + line_chart(f'{sweep["name"]}: ratio', sweep["over"], "BEDS / floor",
                            [("ratio", [(x, record["ratio"]["median"]) for x, record in points])])


def series_chart(bench, one):
    columns = one["columns"]
    if len(columns) < 2 or not one["rows"]:
        return ""

    def at(x):
        # A percentile's distance from 100 is what counts: each nine as wide as the one before.
        return 1 / (1 - x / 100) if columns[0] == "percentile" and x is not None and x < 100 else x

    lines = [(columns[i], [(at(row[0]), row[i]) for row in one["rows"] if len(row) > i and row[0] != 100])
             for i in range(1, len(columns))]
    lines = [line for line in lines if any(y is not None for _, y in line[1])]
    marks = [(at(x), f"{x:g}") for x in (1, 50, 90, 99, 99.9, 99.99)] if columns[0] == "percentile" else None
    title = one["name"] if one["name"].startswith(bench["name"].split("_")[0]) else f'{bench["name"]}: {one["name"]}'
    return line_chart(title, columns[0], one.get("unit", ""), lines, x_marks=marks)


def page(data):
    facts, used = data["machine"], data["versions"]
    changed = f' with {data["changed_files"]} changed files' if data["changed_files"] else ""
    out = [f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
           f"<title>BEDS benches, {data['date']}</title><style>{STYLE}</style>",
           "<h1>BEDS benches</h1>",
           f"<p>{data['date']}, commit <code>{data['commit'][:12]}</code>{changed}"
           f"{', <b>--quick</b>: too short for verdicts on speed' if data['quick'] else ''}<br>"
           f"{facts['cores']} cores, {html.escape(facts['cpu'])}, {facts['memory_mib'] / 1024:.1f} GiB, "
           f"{html.escape(facts['system'])}, kernel {html.escape(facts['kernel'])}, "
           f"load before the run {facts['load_before']}<br>",
           ", ".join(f"{html.escape(name)} {html.escape(version)}" for name, version in used.items() if version),
           "</p><p class=note>Floor and BEDS ran in turn on this machine, with RabbitMQ, the databases and the "
           "clients beside them; only ratios mean much elsewhere.</p>",
           "<h2>Ratios against their goals</h2>",
           "<p class=note>Each bar ends at the median, each dot is a round; right of the line the goal is "
           "reached, whether more or less is better.</p>",
           goals_chart(data["benches"])]
    rows = []
    for bench in data["benches"]:
        name = html.escape(bench["name"])
        spread = f'{bench["ratio"]["least"]:.3g} … {bench["ratio"]["most"]:.3g}'
        settings = html.escape(" ".join(f"{key}={value}" for key, value in bench["settings"].items()))
        verdict = bench["verdict"]
        rows.append([name, short(bench["beds"]), short(bench["floor"]), html.escape(bench["unit"]),
                     f'{bench["ratio"]["median"]:.3g}', spread, html.escape(goal_text(bench)),
                     f'<span class={verdict}>{verdict}</span>', f"<span class=note>{settings}</span>"])
    out.append(table(["bench", "BEDS", "floor", "unit", "ratio", "spread", "goal", "verdict", "settings"], rows))
    for one in data["exits"]:
        if one["code"] not in (0, 3): # 3: a goal was missed, which the table says
            why = "skipped" if one["code"] == 77 else f"failed with exit code {one['code']}"
            out.append(f"<p class={'note' if one['code'] == 77 else 'wrong'}>{html.escape(one['name'])}: {why}</p>")
    if data["sweeps"]:
        out.append("<h2>Throughput over window and envelope size</h2><div class=charts>")
        out += [sweep_charts(sweep) for sweep in data["sweeps"]]
        out.append("</div>")
    curves = [(bench, one) for bench in data["benches"] for one in bench["series"]]
    for heading, wanted in (("Latency", True), ("Cost", False)):
        chosen = [pair for pair in curves if pair[0]["name"].startswith("latency") == wanted]
        if chosen:
            out.append(f"<h2>{heading}</h2><div class=charts>")
            out += [series_chart(*pair) for pair in chosen]
            out.append("</div>")
            for bench, one in chosen:
                cells = [[short(cell) for cell in row] for row in one["rows"]]
                out.append(f"<details><summary>{html.escape(bench['name'])}: {html.escape(one['name'])}"
                           f"</summary>{table(one['columns'], cells)}</details>")
    return "\n".join(out) + "\n"


# ---- the comparison -------------------------------------------------------------------------------

LEAST_DIFFERENCE = 0.05  # of the median: what a shared machine does between two runs of one program
LEAST_ROUNDS = 3


def judge(before, after):
    """(verdict, relative change, what noise explains) of two records: better, worse, same or unsure.

    The medians of the ratios are compared. Noise is what three standard errors of their difference
    are, from the median absolute deviation of both runs' rounds, and never less than 5 %."""
    if after["verdict"] == "wrong":
        return "worse", 0.0, 0.0
    first, second = ratios(before), ratios(after)
    if not first or not second: # no floor
        first, second = ([beds for _, beds in bench["rounds"]] for bench in (before, after))
    if min(len(first), len(second)) < LEAST_ROUNDS or not statistics.median(first):
        return "unsure", 0.0, 0.0
    middle = statistics.median(first), statistics.median(second)
    change = middle[1] / middle[0] - 1
    # 1.4826: from the median absolute deviation to a standard deviation; 1.2533: of a median.
    error = 1.2533 * math.sqrt(sum(
        (1.4826 * statistics.median(abs(value / centre - 1) for value in values)) ** 2 / len(values)
        for values, centre in ((first, middle[0]), (second, middle[1]))))
    noise = max(LEAST_DIFFERENCE, 3 * error)
    if abs(change) <= noise:
        return "same", change, noise
    good = (change > 0) == (after["direction"] == "higher")
    return "better" if good else "worse", change, noise


def compare(first, second):
    before = {bench["name"]: bench for bench in first["benches"]}
    after = {bench["name"]: bench for bench in second["benches"]}
    compared = worse = 0
    print(f"{'bench':24} {'A':>8} {'B':>8} {'change':>8} {'noise':>7}  verdict")
    for name in list(before) + [name for name in after if name not in before]:
        if name not in before or name not in after:
            print(f"{name:24} only in {'A' if name in before else 'B'}")
            continue
        one, other = before[name], after[name]
        differing = sorted(key for key in one["settings"].keys() | other["settings"].keys()
                           if one["settings"].get(key) != other["settings"].get(key))
        if differing or one["unit"] != other["unit"]:
            print(f"{name:24} not compared: differs in {', '.join(differing) or 'its unit'}")
            continue
        verdict, change, noise = judge(one, other)
        if verdict == "unsure":
            print(f"{name:24} {one['ratio']['median']:8.3g} {other['ratio']['median']:8.3g} "
                  f"{'':>16}  unsure: fewer than {LEAST_ROUNDS} rounds")
            continue
        compared += 1
        worse += verdict == "worse"
        why = ": its answers or effects were wrong" if other["verdict"] == "wrong" else ""
        print(f"{name:24} {one['ratio']['median']:8.3g} {other['ratio']['median']:8.3g} "
              f"{change:+8.1%} {noise:7.1%}  {verdict}{why}")
    if first["machine"] != second["machine"]:
        differing = [key for key in first["machine"] if key != "load_before"
                     and first["machine"][key] != second["machine"].get(key)]
        if differing:
            print(f"the machines differ ({', '.join(differing)}): ratios move for that reason, too")
    if worse:
        print(f"{worse} of {compared} worse")
        return 1
    if not compared:
        print("nothing could be compared")
        return 2
    print(f"none of {compared} worse")
    return 0


def load(path):
    try:
        with open(path, encoding="utf-8") as text:
            data = json.load(text)
        if data["format"] != 1 or not isinstance(data["benches"], list):
            raise ValueError("of another format")
        return data
    except (OSError, ValueError, KeyError, TypeError) as failed:
        print(f"{path} is no result of bench/run: {failed}", file=sys.stderr)
        sys.exit(2)


def main(arguments):
    match arguments:
        case ["begin", folder]:
            begin(folder)
        case ["assemble", folder, out, *quick]:
            assemble(folder, out, quick == ["--quick"])
        case ["page", source, out]:
            with open(out, "w", encoding="utf-8") as text:
                text.write(page(load(source)))
        case ["compare", first, second]:
            return compare(load(first), load(second))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

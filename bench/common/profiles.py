#!/usr/bin/env python3
"""Profiles as flame graphs and as shares of the rooms of BEDS.

  profiles.py page OUT.html TITLE FILE [PID=NAME...]
  profiles.py rooms FILE OPERATIONS [PID=NAME...]   cost of each process and of each room (beds::NAME) in it

FILE is the output of `perf script -F comm,pid,tid,period,ip,sym,dso`, whose processes can be given names,
or that of callgrind with --separate-callers=N --compress-pos=no --dump-line=no.
"""
import html
import re
import sys
from collections import defaultdict

# ---- reading: {(outermost, ..., innermost): cost} ----------------------------------------------------


def fold_callgrind(lines, leave_out=()):
    """Self costs by stack. `leave_out`: objects whose file name begins so are not counted."""
    names = {}

    def full(text):
        known = re.match(r"\((\d+)\)(?: (.*))?$", text)
        if not known:
            return text
        if known.group(2) is not None:
            names[known.group(1)] = known.group(2)
        return names[known.group(1)]

    # Names of functions and of objects have numbers of their own.
    objects, stacks = {}, defaultdict(int)
    counted, stack, called = True, (), False
    for line in lines:
        line = line.rstrip("\n")
        if line.startswith(("ob=", "cob=")):
            of, text = line.split("=", 1)
            known = re.match(r"\((\d+)\)(?: (.*))?$", text)
            if known:
                if known.group(2) is not None:
                    objects[known.group(1)] = known.group(2)
                text = objects[known.group(1)]
            if of == "ob":
                counted = not text.rsplit("/", 1)[-1].startswith(tuple(leave_out) or ("\0",))
        elif line.startswith("fn="):
            stack = tuple(reversed(full(line[3:]).split("'")))
        elif line.startswith("cfn="):
            full(line[4:])
        elif line.startswith("calls="):
            called = True
        elif line and (line[0].isdigit() or line[0] in "+-*"):
            if called:
                called = False
            elif counted:
                stacks[stack] += int(line.split()[1])
    return stacks


def fold_perf(lines, processes=None):
    """The outermost frames are the process, if it has a name, and the thread."""
    stacks = defaultdict(int)
    thread, period, frames = None, 1, []
    processes = processes or {}
    for line in list(lines) + [""]:
        line = line.rstrip("\n")
        if not line.strip():
            if thread is not None:
                stacks[(*thread, *reversed(frames))] += period
            thread, frames = None, []
        elif not line[0].isspace() or thread is None:
            head = re.match(r"\s*(.*?)\s+(\d+)/\d+\s+(\d+)\s*:?\s*$", line)
            if not head:
                continue
            # Numbered threads of one pool are one.
            name = re.sub(r"\b\d+_(scheduler|dirty)", r"\1", head.group(1).strip())
            process = processes.get(head.group(2))
            thread = (process, name) if process else (name,)
            period = int(head.group(3))
        else:
            frame = re.match(r"\s*[0-9a-f]+ (.*?)(?: \((\S*)\))?$", line)
            name = frame.group(1) if frame else line.strip()
            if name == "[unknown]" and frame and frame.group(2):
                name = "[" + frame.group(2).rsplit("/", 1)[-1] + "]"
            frames.append(name)
    return stacks


def read(path, processes=None):
    with open(path, encoding="utf-8", errors="replace") as text:
        lines = text.readlines()
    if lines and lines[0].startswith("# callgrind format"):
        return fold_callgrind(lines), "instructions"
    return fold_perf(lines, processes), "ns of processor time"


# ---- rooms ----------------------------------------------------------------------------------------

ROOM = re.compile(r"\bbeds::(adapters::(?:memory|mariadb|mongodb)|\w+)::")


def own_name(frame):
    """The function, without what it takes and returns: `a::b(c::d const&)` is `a::b`."""
    text = frame.replace("(anonymous namespace)", "_")
    return text.split("(", 1)[0]


def room_of(stack):
    """The innermost room on the stack; what the C and C++ libraries do belongs to who called them."""
    for frame in reversed(stack):
        found = ROOM.search(own_name(frame).rsplit(" ", 1)[-1] + "::")
        if found and found.group(1) not in ("bench",):
            return found.group(1)
    return "other"


def rooms(stacks, processes=()):
    """Cost by room, or by process where that is not BEDS."""
    shares = defaultdict(int)
    for stack, cost in stacks.items():
        room = room_of(stack)
        if stack[0] in processes and (room == "other" or not stack[0].startswith("bench")):
            room = stack[0] + ("" if len(stack) < 2 or not stack[0].startswith("bench") else ", thread " + stack[1])
        shares[room] += cost
    return dict(sorted(shares.items(), key=lambda one: -one[1]))


# ---- the flame graph ------------------------------------------------------------------------------

PAGE = """<!doctype html><html lang=en><meta charset=utf-8><title>%(title)s</title>
<style>
body{font:14px system-ui,sans-serif;margin:1rem}
#graph{position:relative;width:100%%}
#graph div{position:absolute;height:17px;overflow:hidden;white-space:nowrap;font-size:11px;line-height:17px;
box-sizing:border-box;border-right:1px solid #fff;padding-left:2px;cursor:pointer;color:#111}
#graph div:hover{outline:1px solid #000}
#line{height:1.4em;overflow:hidden}
</style>
<h1>%(title)s</h1>
<p>%(note)s The width of a frame is its %(unit)s. Click a frame to see it at full width, the lowest one for
everything.</p>
<p id=line></p><div id=graph></div>
<script>
const total=%(total)d, unit=%(unit_js)s, root=%(tree)s;
// [name, cost, children]
const graph=document.getElementById('graph'), line=document.getElementById('line');
let depth=0; (function deep(node,level){depth=Math.max(depth,level);node[2].forEach(c=>deep(c,level+1))})(root,0);
graph.style.height=(depth+1)*18+'px';
function colour(name){
  let h=0; for(const c of name.split('(')[0]) h=(h*31+c.charCodeAt(0))%%60;
  const room=/beds::/.test(name)?20:/^\\[|^sys|_k$/.test(name)?0:200;
  return `hsl(${room+h%%30},${room==200?35:80}%%,${68+h%%12}%%)`;
}
function show(path){
  graph.textContent='';
  const top=path[path.length-1];
  function place(node,level,left,width,above){
    if(width<0.05) return;
    const box=document.createElement('div');
    box.style.left=left+'%%'; box.style.width=width+'%%'; box.style.bottom=level*18+'px';
    box.style.background=colour(node[0]);
    if(width>1.5) box.textContent=node[0];
    const said=`${node[0]}: ${node[1].toLocaleString()} ${unit}, ${(100*node[1]/total).toFixed(2)} %%`;
    box.title=said; box.onmouseover=()=>{line.textContent=said}; box.onclick=()=>show(above.concat([node]));
    graph.append(box);
    return box;
  }
  path.slice(0,-1).forEach((node,i)=>{const b=place(node,i,0,100,path.slice(0,i)); if(b) b.style.opacity=.5});
  (function deep(node,level,left,width,above){
    if(!place(node,level,left,width,above)) return;
    let at=left;
    for(const child of node[2]){
      const w=width*child[1]/node[1]; deep(child,level+1,at,w,above.concat([node])); at+=w;
    }
  })(top,path.length-1,0,100,path.slice(0,-1));
}
show([root]);
</script>
"""


def tree(stacks):
    """Nested [name, cost, children]; what is too narrow to be seen is left out."""
    root = ["all", 0, {}]
    for stack, cost in stacks.items():
        node = root
        node[1] += cost
        for frame in stack:
            node = node[2].setdefault(frame, [frame, 0, {}])
            node[1] += cost
    least = root[1] / 4000

    def plain(node):
        children = sorted((plain(child) for child in node[2].values() if child[1] >= least),
                          key=lambda child: child[0])
        return [node[0], node[1], children]

    return plain(root)


def page(title, stacks, unit, note=""):
    import json
    whole = tree(stacks)
    return PAGE % {"title": html.escape(title), "note": html.escape(note), "unit": html.escape(unit),
                   "unit_js": json.dumps(unit), "total": max(1, whole[1]),
                   "tree": json.dumps(whole, ensure_ascii=False).replace("</", "<\\/")}


def main(arguments):
    match arguments:
        case ["page", out, title, source, *given]:
            stacks, unit = read(source, dict(one.split("=", 1) for one in given))
            if not stacks:
                print(f"{source} holds no samples", file=sys.stderr)
                return 1
            with open(out, "w", encoding="utf-8") as text:
                text.write(page(title, stacks, unit))
        case ["rooms", source, operations, *given]:
            processes = dict(one.split("=", 1) for one in given)
            stacks, unit = read(source, processes)
            whole, count = sum(stacks.values()) or 1, int(operations)
            print(f"  {'share':>7}  {'an operation' if count else '':>12}  room or process ({unit})")
            for room, cost in [*rooms(stacks, processes.values()).items(), ("all", whole)]:
                each = f"{cost / count:12,.0f}" if count else " " * 12
                print(f"  {cost / whole:7.1%}  {each}  {room}")
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

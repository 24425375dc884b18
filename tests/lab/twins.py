#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
# twins.py - runs the same random programs on two nodes and compares what they say, for twins.t
#
# usage: twins.py FIRST COUNT STEPS SECONDS COMMAND-OF-ONE vs COMMAND-OF-THE-OTHER
#        twins.py FILE  ...             the cases that FILE names, one to a line: SEED STEPS [left out ...] [# why]
#
# Each command starts tests/lab/twins/twin run (see there), which reads cases and prints what the calls gave. After a difference
# the case is run again; one that comes again is made shorter by leaving steps out, as long as one remains, and shown. A program
# that died, or has not ended in time, counts even if it does so once.
import os
import select
import subprocess
import sys
import time

SHOWN = 3   # differences that are made shorter and shown; the others are counted
LONGEST = 150 * int(os.environ.get("NPP_SLOW", "1"))    # seconds for a case; twin ends it before that
DIED, ENDED = "the program died", "the program died: 9"


class Twin:
    def __init__(self, command):
        self.p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.rest = b""

    def begin(self, case):
        self.p.stdin.write(case.encode() + b"\n")
        self.p.stdin.flush()

    def line(self, end):
        while b"\n" not in self.rest:
            if not select.select([self.p.stdout], [], [], max(0, end - time.monotonic()))[0]:
                raise SystemExit(f"the case has not ended within {LONGEST} seconds")
            if not (more := os.read(self.p.stdout.fileno(), 65536)):
                raise SystemExit("the program has ended")
            self.rest += more
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode(errors="replace")

    def lines(self, end):
        out = []
        while (line := self.line(end)) != "end":
            out.append(line)
        return out


def both(twins, case):
    for t in twins:
        t.begin(case)
    end, out = time.monotonic() + LONGEST, []
    try:
        for t in twins:
            out.append(t.lines(end))
    except SystemExit as e:
        print(f"# twin {case}: {'one' if not out else 'the other'}: {e}", flush=True)
        for t in twins:
            t.p.kill()
        raise
    return out


def died(*runs, how=DIED):
    return any(line.startswith(how) for lines in runs for line in lines)


def differs(one, other):
    """The number of the first line that differs, or None."""
    for i, (a, b) in enumerate(zip(one, other)):
        if a != b:
            return i
    return min(len(one), len(other)) if len(one) != len(other) else None


def call_of(line):
    """Which call a line is about, so that a shorter case is about the same."""
    words = line.replace("(", " ").split()
    return words[2] if len(words) > 2 else ""


def shorter(twins, seed, steps, out, what):
    """Leaves steps out, ever fewer at a time, as long as the same call differs."""
    def still(out):
        a, b = both(twins, " ".join(map(str, [seed, steps, *sorted(out)])))
        i = differs(a, b)
        return i is not None and i < len(a) and call_of(a[i]) == what

    size = steps // 2
    while size:
        at = 0
        while at < steps:
            more = set(range(at, min(at + size, steps))) - out
            if more and still(out | more):
                out = out | more
            at += size
        size //= 2
    return out


def show(case, a, b, i):
    print(f"# twin {case}")
    for line in a[max(0, i - 100):i]:
        print("#     ", line)
    print("#   one:  ", a[i] if i < len(a) else "nothing")
    print("#   other:", b[i] if i < len(b) else "nothing", flush=True)


def examine(twins, case, brief):
    """0: they are the same, 1: they differ, or one died."""
    a, b = both(twins, case)
    i = differs(a, b)
    if i is None and not died(a, b):
        return 0
    c, d = both(twins, case)
    j = differs(c, d)
    if died(a, b, c, d) and (i is None or j is None or died(a, b, c, d, how=ENDED)):
        if not died(a, b):
            a, b, i = c, d, j
        show(case, a, b, len(a) - 1 if i is None else i)
        return 1
    if j is None:
        print(f"# twin {case}: only once:")
        show(case, a[max(0, i - 3):i + 1], b[max(0, i - 3):i + 1], min(i, 3))
        return 0
    if brief:
        show(case, c[j:j + 1], d[j:j + 1], 0)
        return 1
    seed, steps, *out = map(int, case.split())
    steps = max(steps if j >= len(c) else int(c[j].split()[0]) + 1 if c[j][:1].isdigit() else steps, 1)
    out = shorter(twins, seed, steps, set(out), call_of(c[j]) if j < len(c) else "")
    case = " ".join(map(str, [seed, steps, *sorted(out)]))
    e, f = both(twins, case)
    k = differs(e, f)
    if k is None:
        case, e, f, k = f"{seed} {steps}", c, d, j
    show(case, e, f, k)
    return 1


def cases(what):
    if what[0].isdigit():
        return (f"{seed} {what[2]}" for seed in range(int(what[0]), int(what[0]) + int(what[1]))), float(what[3])
    with open(what[0]) as f:
        return [line.split("#")[0].strip() for line in f if line.split("#")[0].strip()], float("inf")


def main(args):
    n = 4 if args[0].isdigit() else 1
    rest = args[n:]
    at = rest.index("vs")
    twins = [Twin(rest[:at]), Twin(rest[at + 1:])]
    sys.stdout.reconfigure(line_buffering=True)
    todo, seconds = cases(args[:n])
    end, bad, ran = time.monotonic() + seconds, 0, 0
    for case in todo:
        if time.monotonic() > end:
            break
        bad += examine(twins, case, bad >= SHOWN)
        ran += 1
    print(f"{ran} cases, {bad} differ")
    return bad != 0


sys.exit(main(sys.argv[1:]))

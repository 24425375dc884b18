#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
# matrix.py - doc/conformance.md, from the tables of the suite: `make conformance`
import ast
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import differ_known as K  # noqa: E402
import expectations as X  # noqa: E402

SHORT = {"SYN-RECEIVED (active)": "SYN-RCVD active", "SYN-RECEIVED": "SYN-RCVD", "ESTABLISHED": "ESTAB", "FIN-WAIT-2 (closed)": "FW-2 closed",
         "FIN-WAIT-1": "FW-1", "FIN-WAIT-2": "FW-2", "CLOSE-WAIT": "CL-WAIT", "TIME-WAIT": "TIME-W", "LAST-ACK": "LAST-A"}


def row(cells):
    print("| " + " | ".join(cells) + " |")


def text(c):
    if c is None:
        return "-"
    answer, after, _, why = c
    move = "" if after == "=" else " > " + after.replace("=/", "= / ")
    return answer.replace("/", " / ") + move + (" *" if why else "")


print("""# Which segment does what in which state

Made by `make conformance` from the tables of the suite, tests/pkt/expectations.py; tests/pkt/states.t
runs every cell against real processes over IPv4 (no TCP options) and IPv6 (timestamps, SACK, window scaling).

A cell: the answer, then `>` and the state afterwards if it is another one. `ack+N` acknowledges N bytes more
than before; `rst` is made of the segment's ACK field, `rstack` of its sequence number; `any`: whatever;
alternatives by `/`, `=` the same state. `-`: there is no such cell, nothing is in flight that could be quoted. `*`: other than the RFC has it, see below.
SYN-RCVD active is that of a simultaneous open; FW-2 closed that of a program that called close(), not shutdown().
""")
row(["event"] + [SHORT.get(s, s) for s in X.STATES])
row(["---"] * (1 + len(X.STATES)))
for e, what in X.EVENTS.items():
    row([what] + [text(X.cell(s, e)) for s in X.STATES])
cells = [X.cell(s, e) for s in X.STATES for e in X.EVENTS]
there = [c for c in cells if c]
print(f"""
{len(there)} of {len(cells)} cells exist, all are covered.

## Where it stands

Sections are of RFC 9293 if no RFC is named.
""")
row(["event", "synchronized states", "others"])
row(["---"] * 3)
for e, what in X.EVENTS.items():
    base = (X.cell("ESTABLISHED", e) or X.cell("LISTEN", e))[2]
    other = {}
    for s in X.STATES:
        c = X.cell(s, e)
        if c and c[2] != base:
            other.setdefault(c[2], []).append(SHORT.get(s, s))
    row([what, base.replace("9293 ", ""), "; ".join(f"{', '.join(v)}: {k.replace('9293 ', '')}" for k, v in other.items())])
here = os.path.dirname(os.path.abspath(__file__))


def scenarios(program):
    """The scenarios of PROGRAM as rows."""
    row(["scenario", "what must be so", "IPv", ""])
    row(["---"] * 4)
    for f in ast.parse(open(os.path.join(here, program)).read()).body:
        for d in getattr(f, "decorator_list", []):
            if getattr(getattr(d, "func", d), "id", "") != "scenario":
                continue
            args = {k.arg: ast.literal_eval(k.value) for k in getattr(d, "keywords", [])}
            row([f.name.replace("_", " "), " ".join(ast.get_docstring(f).split()).replace("|", "/"),
                 ", ".join(str(x) for x in args.get("families", (4, 6))), "soak" if args.get("soak") else ""])


print("""
## Beyond single segments

What tests/pkt/features.t shows, scenario by scenario; those marked `soak` run with `make soak` only.
""")
scenarios("features.py")
print("""
## SYN cookies

tests/pkt/cookies.t, with a listener whose backlog is full of handshakes that nobody completes.
""")
scenarios("cookies.py")
print("""
## Neighbours, conflicts of addresses, router advertisements

tests/pkt/neighbours.t; 4 is ARP, 6 neighbour discovery.
""")
scenarios("neighbours.py")
print("""
## Multicast

tests/pkt/multicast.t; 4 is IGMP, 6 MLD.
""")
scenarios("multicast.py")
print("""
## With Linux

tests/lab/interop.t: transfers in both directions at once, every byte compared at both ends, with each of the 32 combinations
of window scaling, SACK, timestamps, ECN and Fast Open, over IPv4 with MTU 9000, 1500 and 576, over IPv6 with 9000, 1500 and 1280,
npp as client and as server: 384 in all. The kernel's TCP_INFO must name what both sides want, and nothing else.

tests/pkt/differ.t plays random sequences of segments, ICMP errors and calls to npp and to the kernel (Linux 6.18) and compares
what comes over the wire and what the program sees, step by step. Where they differ and may:

""")
row(["difference", "why"])
row(["---"] * 2)
for rule in K.RULES:
    row([rule.__name__.replace("_", " "), " ".join(rule.__doc__.split()).replace("|", "/")])
print("""
## Otherwise by choice
""")
row(["state", "event", "npp", "why"])
row(["---"] * 4)
for (s, e), (answer, after, why) in X.DEVIATIONS.items():
    row([s, X.EVENTS[e], f"{answer} > {after}", why])

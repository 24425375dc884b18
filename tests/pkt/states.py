# SPDX-License-Identifier: GPL-2.0-or-later
# states.py - every state against every event of expectations.py, over IPv4 and IPv6
#
# usage: states.py [STATE...]
#
# All connections of a state are brought there together, all events are sent, and then a fence
# (peer.py) says that npp has dealt with them: so an answer that must not come is known not to come,
# without waiting. IPv4 connections have no options, those over IPv6 have timestamps, SACK and
# window scaling.
import sys
import time

import expectations as X
from npppkt import SLOW, done, result, wire
from peer import Conn, M32, Net, Puppet, connections, less, stay_on_one_core

PORT, NOBODY = 7010, 7099

stay_on_one_core()
net, puppet = Net(), Puppet()
puppet.do("listen", port=PORT, backlog=2048)

ADDRESS = {"icmp_big": 1, "icmp_big_outside": 2, "icmp_big_fits": 3}    # the MTU is that of a path
BIG = 1400

# ---- events: the frame, and what an answer's RST would be made of

X100 = b"x" * 100
ICMP4 = {"icmp_soft_net": (3, 0), "icmp_soft_host": (3, 1), "icmp_admin": (3, 13), "icmp_time": (11, 0), "icmp_param": (12, 0),
         "icmp_quench": (4, 0), "icmp_hard_port": (3, 3), "icmp_hard_proto": (3, 2), "icmp_big": (3, 4)}
ICMP6 = {"icmp_soft_net": (1, 0), "icmp_soft_host": (1, 3), "icmp_admin": (1, 1), "icmp_time": (3, 0), "icmp_param": (4, 0),
         "icmp_hard_port": (1, 4), "icmp_hard_proto": (4, 1), "icmp_big": (2, 0)}
ICMP_OUTSIDE = {"icmp_soft_outside": "icmp_soft_host", "icmp_hard_outside": "icmp_hard_port", "icmp_big_outside": "icmp_big"}
SAME_KIND = ICMP_OUTSIDE | {"icmp_big_fits": "icmp_big"}


def default_ack(c, state):
    return c.n if state.startswith(("SYN-RECEIVED", "SYN-SENT")) else c.u


def segment_of(c, state, event):
    """(flags, seq, ack, keywords)"""
    a, ahead, d = default_ack(c, state), (c.edge + 1000) & M32, {"data": X100}
    return {
        "syn": ("S", c.o, None, {}),
        "syn_old": ("S", c.isn, None, {}),
        "syn_above": ("S", (c.edge + 100000) & M32, None, {}),
        "syn_fin": ("SF", c.o, None, {}),
        "synack": ("SA", c.o, c.n, {}),
        "synack_old": ("SA", c.isn, c.n, {}),
        "synack_bad": ("SA", c.o, c.n + 1000, {}),
        "ack": ("A", c.o, c.n, {}),
        "ack_same": ("A", c.o, c.u, {}),
        "ack_below": ("A", c.o - 100, a, {}),
        "ack_above": ("A", ahead, a, {}),
        "ack_of_unsent": ("A", c.o, c.n + 1000, {}),
        "ack_of_old": ("A", c.o, c.u - 1, {}),
        "ack_of_iss": ("A", c.o, c.n if c.iss is None else c.iss, {}),
        "ack_of_ancient": ("A", c.o, c.u - 0x50000000, {}),
        "fin": ("FA", c.o, c.n, {}),
        "fin_same": ("FA", c.o, c.u, {}),
        "fin_old": ("FA", c.o - 1, a, {}),
        "fin_gap": ("FA", c.o + 100, a, {}),
        "fin_above": ("FA", ahead, a, {}),
        "fin_noack": ("F", c.o, None, {}),
        "data_fin": ("FPA", c.o, a, d),
        "rst": ("R", c.o, None, {}),
        "rst_ack": ("RA", c.o, c.n, {}),
        "rst_ack_bad": ("RA", c.o, c.n + 1000, {}),
        "rst_in": ("R", c.o + 10, None, {}),
        "rst_below": ("R", c.o - 1, None, {}),
        "rst_edge": ("R", c.edge, None, {}),
        "rst_above": ("R", ahead, None, {}),
        "rst_bad": ("R", c.o, None, {"bad": True}),
        "data": ("PA", c.o, a, d),
        "data_opts": ("PA", c.o, a, d | {"extra": b"\xfd\x04\x12\x34"}),
        "data_below": ("PA", c.o - 100, a, d),
        "data_overlap": ("PA", c.o - 50, a, d),
        "data_gap": ("PA", c.o + 200, a, d),
        "data_edge": ("PA", c.edge, a, d),
        "data_above": ("PA", ahead, a, d),
        "data_noack": ("P", c.o, None, d),
        "data_bad": ("PA", c.o, a, d | {"bad": True}),
        "data_urg": ("PAU", c.o, a, d | {"urp": 40}),
        "urg": ("UA", c.o, c.u, {"urp": 1000}),
        "data_bad_opts": ("PA", c.o, a, d | {"extra": b"\xfd\x00\x12\x34"}),
        "null": ("", c.o, None, {}),
    }[event]


def icmp_of(c, event):
    kind = (ICMP4 if c.family == 4 else ICMP6)[SAME_KIND.get(event, event)]
    return c.icmp(*kind, seq=c.n + 5000 if event in ICMP_OUTSIDE else c.u, rest=BIG if "big" in event else 0,
                  size=1500 if event in ("icmp_big", "icmp_big_outside") else None)


# ---- to a state

def keys(conns):
    return [c.key for c in conns]


def each(conns, want, what):
    for c in conns:
        if not c.expect(want(c), 10):
            raise RuntimeError(f"{what}: nothing for {c.key}: {c.log}")


def half_open(conns):
    for c in conns:
        c.send("S")
    each(conns, lambda c: lambda s: s.has("SA"), "SYN")


def establish(conns):
    half_open(conns)
    for c in conns:
        c.ack()
    puppet.do("accepted", keys=keys(conns))
    talked([c for c in conns if c.event == "ack_of_old"])


def talked(conns):
    """npp has sent something, so that there is an old number."""
    if conns:
        puppet.do("send", keys=keys(conns), n=100)
        each(conns, lambda c: lambda s: len(s.data) == 100, "data")
        acked(conns)


def our_fin(conns, **kw):
    for c in conns:
        if kw:
            c.send("FA", ack=c.u)
        else:
            c.u = c.n
            c.send("FA")
    each(conns, lambda c: lambda s: s.has("A") and s.ack == c.o, "our FIN")


def its_fin(conns, op="shutdown"):
    puppet.do(op, keys=keys(conns))
    each(conns, lambda c: lambda s: s.has("F"), "its FIN")


def acked(conns):
    for c in conns:
        c.ack()


def connect(conns):
    puppet.do("connect", keys=keys(conns))
    each(conns, lambda c: lambda s: s.flags & 0x3f == 2, "SYN")


def simultaneous(conns):
    connect(conns)
    for c in conns:
        c.send("S")
    each(conns, lambda c: lambda s: s.has("SA"), "simultaneous open")


def in_flight(conns):
    some = [c for c in conns if c.in_flight]
    if some:
        puppet.do("send", keys=keys(some), n=100)
        each(some, lambda c: lambda s: len(s.data) == 100, "data")


def finish_wait_2(conns, op):
    establish(conns)
    its_fin(conns, op)
    acked(conns)


def nothing(conns):
    """But it knows our address: no more than a few answers wait for that."""
    for c in conns:
        c.iss = None
    conns[0].send("A")
    each(conns[:1], lambda c: lambda s: s.has("R"), "an ACK from nowhere")


REACH = {
    "CLOSED": [nothing], "LISTEN": [nothing],
    "SYN-SENT": [connect], "SYN-RECEIVED": [half_open], "SYN-RECEIVED (active)": [simultaneous],
    "ESTABLISHED": [establish, in_flight],
    "FIN-WAIT-1": [establish, its_fin],
    "FIN-WAIT-2": [lambda cs: finish_wait_2(cs, "shutdown")],
    "FIN-WAIT-2 (closed)": [lambda cs: finish_wait_2(cs, "close")],
    "CLOSE-WAIT": [establish, our_fin, in_flight],
    "CLOSING": [establish, its_fin, lambda cs: our_fin(cs, same=True)],
    "LAST-ACK": [establish, our_fin, lambda cs: its_fin(cs, "close")],
    "TIME-WAIT": [lambda cs: finish_wait_2(cs, "close"), our_fin],
}


def make(state, event, family):
    full = family == 6
    c = Conn(net, family, NOBODY if state == "CLOSED" else PORT, ADDRESS.get(event, 0), ts=full, sack=full, ws=7 if full else None)
    c.state, c.event, c.in_flight = state, event, event.startswith("icmp")
    if state in ("CLOSED", "LISTEN"):
        c.o = c.isn
    return c


# ---- what came

def answers(c):
    """What npp has sent since the event; not what it sends again by itself."""
    return [s for s in c.log[c.mark:] if not s.again or (s.flags & 2 and "synack" in c.want[0])]


def fits(c, s, answer):
    """Is segment S the ANSWER to the event of C?"""
    if answer == "any":
        return True
    if answer.startswith("ack"):
        return s.is_only("A") and s.seq == c.was_n and s.ack == (c.was_o + int(answer[4:] or 0)) & M32
    if answer == "synack":
        return s.has("SA") and not s.has("R") and s.ack == (c.sent_seq + 1) & M32
    if answer == "rst":
        return s.is_only("R") and s.seq == c.sent_ack & M32
    if answer == "rstack":
        return s.is_only("RA") and s.seq == 0 and s.ack == (c.sent_seq + c.sent_space) & M32
    return False


def judge(c):
    """True: as it must be; None: it may still come; else what is wrong."""
    kinds, came = c.want[0].split("/"), answers(c)
    if not came:
        return True if "none" in kinds or "any" in kinds else None
    for s in came:
        if not any(fits(c, s, k) for k in kinds):
            return f"answered {came}"
    return True


def provoke(c):
    c.was_o, c.was_n, c.mark = c.o, c.n, len(c.log)
    if c.event.startswith("icmp"):
        wire(icmp_of(c, c.event))
        return
    flags, seq, ack, kw = segment_of(c, c.state, c.event)
    c.sent_seq, c.sent_ack = seq & M32, ack or 0
    c.sent_space = len(kw.get("data", b"")) + ("S" in flags) + ("F" in flags)
    wire(c.seg(flags, seq=seq, ack=ack, **kw))


def after_of(c, table):
    x = table.get((c.family, c.port))
    return x["state"] if x else "CLOSED"


def mtu_is(c, table):
    """Has the size of segments changed if it had to, and only then?"""
    x = table.get((c.family, c.port))
    if c.event not in ADDRESS or not x or not x["mss"] or x["state"] == "SYN-SENT":
        return True
    return (x["mss"] < BIG - 39) == (c.event == "icmp_big")


def after_is(c, table):
    if not mtu_is(c, table):
        return False
    before = c.state.split(" ")[0]
    allowed = ["CLOSED" if a == "LISTEN" else a for a in
               (before if w == "=" else w for w in c.want[1].split("/"))]
    return after_of(c, table) in allowed


def run(state, family):
    conns = []
    for event in X.EVENTS:
        want = X.cell(state, event)
        if want is None or (event == "icmp_quench" and family == 6):
            continue
        c = make(state, event, family)
        c.want = want
        conns.append(c)
    for step in REACH[state]:
        step(conns)
    net.fence()
    table = connections()
    for c in conns:
        before = "CLOSED" if state == "LISTEN" else state.split(" ")[0]
        if after_of(c, table) != before:
            raise RuntimeError(f"{c.key} should be in {before}, is in {after_of(c, table)}: {c.log}")
    for c in conns:
        provoke(c)
    net.fence()
    end = time.monotonic() + 3 * SLOW
    while True:
        table = connections()
        open_ = [c for c in conns if judge(c) is None or not after_is(c, table)]
        if not open_ or time.monotonic() > end:
            break
        time.sleep(0.05)
    for c in conns:
        j = judge(c)
        name = f"{state}: {c.event} over IPv{family}: {c.want[0]}, {c.want[1]} (RFC {c.want[2]})"
        result(j is True and after_is(c, table), name, X.EVENTS[c.event],
               "no answer" if j is None else j if j is not True else f"answers {answers(c)}",
               f"state afterwards {after_of(c, table)}, {table.get((c.family, c.port))}", f"RCV.NXT {c.was_o} SND.UNA {c.u} SND.NXT {c.was_n} edge {c.edge}",
               f"all: {c.log}")
    puppet.do("abort", keys=keys(conns))
    for c in conns:
        c.drop()


if __name__ == "__main__":
    for name in sys.argv[1:] or X.STATES:
        for fam in (4, 6):
            try:
                run(name, fam)
            except Exception as e:  # noqa: BLE001
                result(False, f"{name} over IPv{fam} can be reached", repr(e))
    done()

# SPDX-License-Identifier: GPL-2.0-or-later
# differ_events.py - for differ.py: random sequences, out of a seed
#
# A case is a dictionary (so that it can be kept as JSON): what the two ends of the connection agree to, and its
# events. Numbers in an event are relative: to our next byte (O), the edge of the target's window (E), what it has
# acknowledged (K), our first number (I); to the target's next byte (N), what we have acknowledged of it (U), its
# first number (S).
from differ_wire import OPTIONS

S, A = {"k": "seg", "f": "S", "adv": 1}, {"k": "seg", "f": "A"}
SA = {"k": "seg", "f": "SA", "adv": 1}
MSG_OOB, MSG_PEEK = 1, 2
CONNECT = {"k": "app", "op": ["connect"]}


def pick(rng, weighted):
    return rng.choices([w[0] for w in weighted], [w[1] for w in weighted])[0]


LENGTHS = [(0, 6), (1, 6), (2, 2), (10, 4), (100, 8), (101, 2), (536, 3), (1000, 4), (1400, 4)]
SEQS = [(("O", 0), 40), (("O", -1), 8), (("O", 1), 6), (("O", -100), 6), (("O", 100), 8), (("O", -50), 5), (("O", 200), 5),
        (("O", -2000), 2), (("O", 2000), 3), (("O", 300), 4), (("O", 30000), 2), (("E", 0), 5), (("E", -1), 5), (("E", 1), 3),
        (("E", -100), 3), (("E", 1000), 1), (("I", 0), 4), (("I", 1), 2), (("I", -1), 1), (("O", 1 << 31), 1),
        (("O", (1 << 31) - 1), 1), (("O", -65535), 1), (("O", -(1 << 30)), 1), (("K", 0), 2)]
ACKS = [(("N", 0), 60), (("N", 1), 4), (("N", -1), 4), (("N", -10), 3), (("U", 0), 6), (("U", 1), 3), (("U", -1), 2), (("N", 100000), 2),
        (("N", 1 << 31), 1), (("S", 0), 3), (("S", 1), 4), (("S", -1), 1), (("N", -70000), 1), (("U", -(1 << 30)), 1), (("U", 100), 2)]
FLAGS = [("A", 20), ("PA", 12), ("FA", 8), ("FPA", 3), ("R", 6), ("RA", 5), ("S", 6), ("SA", 6), ("", 2), ("F", 2), ("P", 1), ("UA", 5),
         ("SF", 1), ("SR", 1), ("SFA", 1), ("RF", 1), ("RFA", 1), ("FU", 1), ("FPU", 1), ("FSRPAU", 1), ("U", 1), ("AE", 3), ("AC", 3),
         ("AEC", 2), ("SEC", 3), ("SAE", 2), ("SU", 1), ("RSA", 1), ("FUA", 1), ("PAC", 2), ("RPA", 1)]
WINDOWS = [(65535, 30), (0, 6), (1, 3), (100, 3), (1000, 4), (20000, 4), (32768, 2)]
STAMPS = [("now", 40), ("old", 4), ("zero", 2), ("none", 4), ("future", 2), ("ancient", 1), ("ecr0", 2), ("ecr-future", 2),
          ("ecr-old", 2), ("force", 2)]
# Without those that make a path narrower: it stays so, and takes an address of ours for itself.
ICMP4 = [(3, c) for c in range(0, 16) if c != 4] + [(4, 0), (5, 0), (11, 0), (11, 1), (12, 0)]
ICMP6 = [(1, c) for c in range(0, 7)] + [(3, 0), (4, 0), (4, 1), (4, 2)]


def some_segment(rng):
    e = {"k": "seg", "f": pick(rng, FLAGS)}
    if rng.random() < .7:
        e["sb"], e["sd"] = pick(rng, SEQS)
    if rng.random() < .5:
        e["ab"], e["ad"] = pick(rng, ACKS)
    if rng.random() < .5:
        e["len"] = pick(rng, LENGTHS)
    if rng.random() < .2:
        e["wnd"] = pick(rng, WINDOWS)
    if rng.random() < .2:
        e["ts"] = pick(rng, STAMPS)
    if rng.random() < .06:
        e["opt"] = rng.choice(sorted(OPTIONS))
    if rng.random() < .1:
        e["sack"] = [some_block(rng) for _ in range(rng.randint(1, 3))]
    if "U" in e["f"] or rng.random() < .02:
        e["urp"] = rng.choice([0, 1, 1, e.get("len", 0), e.get("len", 0) + 1, 50, 200, 65535])
    if rng.random() < .06:
        e["tos"] = rng.randint(0, 3)
    if e["f"] in ("A", "PA", "FA", "FPA") and e.get("sd", 0) == 0 and e.get("sb", "O") == "O" and rng.random() < .6:
        e["adv"] = 1
    if "S" in e["f"] and rng.random() < .2:
        e["bare"] = 1
    return e


def some_block(rng):
    b = rng.choice("UNN")
    x = rng.choice([0, 0, 1, -100, -500, -1000, 100, -1])
    return (b, x, x + rng.choice([1, 99, 100, 100, 500, 1000, 0, -1, 100000]))


def good_segment(rng):
    return pick(rng, [
        ({"k": "seg", "f": "PA", "len": pick(rng, LENGTHS[1:]), "adv": 1}, 10),
        ({"k": "seg", "f": "A"}, 6),
        ({"k": "seg", "f": "A", "sd": 100, "len": 100}, 2),
        ({"k": "seg", "f": "A", "sd": 300, "len": 100}, 1),
        ({"k": "seg", "f": "FA", "adv": 1}, 2),
        ({"k": "seg", "f": "FPA", "len": 100, "adv": 1}, 1),
        ({"k": "seg", "f": "A", "ab": "U", "ad": 0}, 2),
        ({"k": "seg", "f": "PA", "len": 100, "adv": 1, "ab": "U", "ad": 0}, 2),
        ({"k": "seg", "f": "A", "wnd": 0}, 1)])


def some_call(rng):
    op = pick(rng, [
        (["recv", rng.choice([1, 50, 100, 5000])], 4), (["read"], 6), (["send", rng.choice([1, 10, 100, 500, 1000])], 14),
        (["shutdown", 1], 6), (["shutdown", 0], 2), (["shutdown", 2], 2), (["close"], 5), (["abort"], 2), (["error"], 3),
        (["send", rng.choice([1, 10]), MSG_OOB], 2), (["recv", 1, MSG_OOB], 2), (["recv", 100, MSG_PEEK], 1),
        (["set", 6, 1, rng.randint(0, 1)], 1), (["set", 1, 9, 1], 1), (["set", 1, 10, 1], 1),   # TCP_NODELAY, SO_KEEPALIVE, -OOBINLINE
        (["set", 6, 3, rng.randint(0, 1)], 1),                                                  # TCP_CORK
        (["set", 6, 12, rng.randint(0, 1)], 1)])
    return {"k": "app", "op": op}


def some_icmp(rng, family):
    kind, code = rng.choice(ICMP4 if family == 4 else ICMP6)
    base, delta = rng.choice([("U", 0), ("U", 0), ("U", 1), ("N", 0), ("N", -1), ("U", -1), ("N", 1000), ("S", 0)])
    e = {"k": "icmp", "type": kind, "code": code, "sb": base, "sd": delta, "size": rng.choice([0, 0, 1000, 1400])}
    return e


def too_big(rng, family):
    e = {"k": "icmp", "type": 3 if family == 4 else 2, "code": 4 if family == 4 else 0, "size": 1440}
    e["sb"], e["sd"] = rng.choice([("U", 0), ("U", 0), ("U", 0), ("U", 1), ("N", -1), ("N", 0), ("N", 1000), ("U", -1)])
    e["rest"] = rng.choice([1400, 1400, 1300, 1280, 1279, 1000, 600, 552, 551, 300, 68, 0, 1470, 1500, 9000, 65535])
    return e


def narrow_event(rng, family):
    return pick(rng, [(too_big(rng, family), 6), ({"k": "app", "op": ["send", rng.choice([100, 1300, 1400, 3000, 5000])]}, 6),
                      ({"k": "seg", "f": "A"}, 4), (dict(good_segment(rng)), 2), (some_call(rng), 1)])


def fast_syn(rng):
    """A SYN for a listener with Fast Open."""
    return {"k": "seg", "f": "S", "adv": 1, "opt": pick(rng, [("tfo", 8), ("tfo-ask", 2), ("tfo-bad", 2)]),
            "len": pick(rng, LENGTHS)}


def some_event(rng, family):
    r = rng.random()
    if r < .36:
        return some_segment(rng)
    if r < .62:
        return dict(good_segment(rng))
    if r < .95:
        return some_call(rng)
    return some_icmp(rng, family)


def case_of(rng, family=0, most=8):
    """One case with up to MOST events beside the handshake."""
    family = family or rng.choice([4, 4, 6])
    c = {"family": family, "isn": rng.choice([rng.getrandbits(32), 0xffffff00, 0x7fffff80, 0]),
         "clock": rng.choice([rng.getrandbits(32), 0xfffffff0]),
         "active": False, "port": 7000, "ts": rng.random() < .5, "ws": rng.choice([None, 0, 2, 7, 14]), "sack": rng.random() < .6,
         "mss": rng.choice([1460, 1460, 1460, 536, 1000, None])}
    how = pick(rng, [("passive", 45), ("active", 25), ("listen", 12), ("syn-sent", 12), ("both", 6), ("fast", 14), ("defer", 10),
                     ("narrow", 8)])
    event = some_event
    if how in ("active", "syn-sent", "both"):
        c["active"] = True
        first = [CONNECT] + {"active": [SA], "syn-sent": [], "both": [S]}[how]
        if how == "both" and rng.random() < .7:
            first = first + [rng.choice([{"k": "seg", "f": "SA", "sb": "I", "sd": 0}, A])]
    elif how == "fast":
        c["port"] = 7001
        first = [fast_syn(rng)] + rng.choice([[], [], [A | {"sb": "K"}], [fast_syn(rng)]])
    elif how == "defer":
        c["port"] = 7002
        first = [S] + rng.choice([[], [A], [A | {"len": 100, "adv": 1}], [A, A | {"len": 100, "adv": 1}]])
    else:
        first = [S, A] if how in ("passive", "narrow") else []
    if how == "narrow":
        c["narrow"], event = 1, narrow_event
    ecn = rng.random() < .15
    c["events"] = [dict(e) for e in first]
    if ecn and c["events"] and not c["active"]:
        c["events"][0]["f"] = "SEC"
    c["events"] += [event(rng, family) for _ in range(rng.randint(2, most))]
    if rng.random() < .4:
        for e in c["events"][:-1]:
            if rng.random() < .5:
                e["quick"] = 1
    return c

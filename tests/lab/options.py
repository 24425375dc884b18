#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
# options.py - what connections get from the options of their listeners, and of sockets before connect()
#
# usage: options.py serve PORT          listens with options, and says what accepted sockets have
#        options.py call ADDRESS PORT   connects, prints what both sides saw
#
# The one that calls decides: by a line on a first connection it says what to listen with, and on which
# port. Who connects says what it learned of the other by its TCP_INFO.
import errno
import fcntl
import json
import os
import os
import select
import socket
import struct
import sys
import time

SLOW = int(os.environ.get("NPP_SLOW", "1"))
SOL, TCP, IP = socket.SOL_SOCKET, socket.IPPROTO_TCP, socket.IPPROTO_IP
FLAGS = [
    ("SO_KEEPALIVE", SOL, 9, 1), ("SO_OOBINLINE", SOL, 10, 1), ("SO_REUSEADDR", SOL, 2, 1),
    ("SO_BROADCAST", SOL, 6, 1), ("SO_RCVLOWAT", SOL, 18, 3), ("SO_MARK", SOL, 36, 7),
    ("SO_MAX_PACING_RATE", SOL, 47, 1000000), ("SO_SNDBUF", SOL, 7, 30000), ("SO_RCVBUF", SOL, 8, 30000),
    ("TCP_NODELAY", TCP, 1, 1), ("TCP_CORK", TCP, 3, 1), ("TCP_KEEPIDLE", TCP, 4, 100), ("TCP_KEEPINTVL", TCP, 5, 20),
    ("TCP_KEEPCNT", TCP, 6, 4), ("TCP_USER_TIMEOUT", TCP, 18, 9000), ("TCP_FASTOPEN", TCP, 23, 5),
    ("TCP_FASTOPEN_NO_COOKIE", TCP, 34, 1), ("SO_PRIORITY", SOL, 12, 5), ("TCP_SYNCNT", TCP, 7, 3), ("TCP_LINGER2", TCP, 8, 7),
    ("TCP_DEFER_ACCEPT", TCP, 9, 3), ("TCP_WINDOW_CLAMP", TCP, 10, 20000), ("TCP_NOTSENT_LOWAT", TCP, 25, 16384),
    ("IP_TOS", IP, 1, 0x48), ("IP_TTL", IP, 2, 33),
]
OTHERS = [
    ("TCP_CONGESTION", TCP, 13, b"reno"), ("SO_LINGER", SOL, 13, struct.pack("ii", 1, 5)),
    ("SO_RCVTIMEO", SOL, 20, struct.pack("qq", 2, 0)), ("SO_SNDTIMEO", SOL, 21, struct.pack("qq", 0, 4000)),
]
PLACE = {name: (level, number) for name, level, number, _ in FLAGS + OTHERS}
PLACE["TCP_MAXSEG"] = (TCP, 2)


def apply(s, options):
    for name, value in options.items():
        s.setsockopt(*PLACE[name], bytes.fromhex(value) if isinstance(value, str) else value)


def read(s, options):
    out = {}
    for name, value in options.items():
        if isinstance(value, str):
            out[name] = s.getsockopt(*PLACE[name], 16).rstrip(b"\0").hex()
        else:
            out[name] = s.getsockopt(*PLACE[name])
    return out


def info(s):
    b = s.getsockopt(TCP, 11, 256)
    return {"snd_wscale": b[6] & 15, "snd_mss": struct.unpack_from("I", b, 16)[0],
            "snd_wnd": struct.unpack_from("I", b, 228)[0]}


def listener(port, options):
    ls = socket.socket()
    ls.setsockopt(SOL, socket.SO_REUSEADDR, 1)
    apply(ls, options)
    ls.bind(("", port))
    ls.listen()
    return ls


def waiting(ls, n):
    """What TCP_INFO says of the accept queue, once N are in it."""
    end = time.monotonic() + 20 * SLOW
    while (seen := struct.unpack_from("2I", ls.getsockopt(TCP, 11, 256), 24))[0] < n and time.monotonic() < end:
        time.sleep(0.01)
    return seen


def serve(port):
    control, _ = listener(port, {}).accept()
    f = control.makefile("rw")
    f.write("0\n")
    f.flush()
    for line in f:
        q = json.loads(line)
        ls = listener(port + 1, q["options"])
        f.write(json.dumps(read(ls, q["options"])) + "\n")
        f.flush()
        if "queue" in q:
            f.write(json.dumps(waiting(ls, q["queue"])) + "\n")
            f.flush()
            for _ in range(q["queue"]):
                ls.accept()[0].close()
            f.readline()
            ls.close()
            continue
        apply(ls, q.get("then", {}))
        s, _ = ls.accept()
        if q.get("tell"):
            f.write("0\n")
            f.flush()
        a = read(s, q["options"])
        s.settimeout(20 * SLOW)
        s.setsockopt(SOL, socket.SO_RCVLOWAT, 1)
        if s.recv(1) != b"x":
            a = "nothing came"
        s.settimeout(None)
        s.send(b"y")
        f.write(json.dumps([a, info(s)]) + "\n")
        f.flush()
        f.readline()
        s.setsockopt(SOL, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
        ls.close()


class Caller:
    def __init__(self, address, port):
        self.to = (address, port + 1)
        self.control = socket.create_connection((address, port), 20 * SLOW)
        self.f = self.control.makefile("rw")
        self.f.readline()

    def heard(self):
        return json.loads(self.f.readline())

    def word(self, what):
        self.f.write(json.dumps(what) + "\n")
        self.f.flush()

    def deferred(self, seconds, then, data):
        """Is a connection accepted by one that waits SECONDS for data, which may change its mind? And when?"""
        self.word({"options": {"TCP_DEFER_ACCEPT": seconds}, "then": then, "tell": 1})
        kept = self.heard()["TCP_DEFER_ACCEPT"]
        began = time.monotonic()    # before the listener can have: who is held up in between sees more time, not less
        s = socket.create_connection(self.to, 20 * SLOW)
        if data:
            s.send(b"x")
        self.heard()
        took = time.monotonic() - began
        if not data:
            s.send(b"x")
        s.recv(1)
        self.heard()
        self.word(0)
        s.close()
        return kept, took

    def open(self, listens, own=None, use=None):
        """A connection to one that LISTENS so; what the listener, the accepted socket and both TCP_INFO say."""
        self.word({"options": listens})
        ls = self.heard()
        s = socket.socket()
        apply(s, own or {})
        s.connect(self.to)
        first = info(s)     # what the SYN-ACK said
        s.send(b"x")
        s.recv(1)
        a, theirs = self.heard()
        end = time.monotonic() + 10 * SLOW
        while info(s)["snd_mss"] == 0 and time.monotonic() < end:
            time.sleep(0.01)
        ours = info(s)
        mss = s.getsockopt(TCP, 2)
        if use:
            use(s)
        self.word(0)
        s.close()
        return ls, a, first, ours, theirs, mss


def inherited(c, say):
    wanted = {name: v for name, _, _, v in FLAGS} | {name: v.hex() for name, _, _, v in OTHERS}
    ls, a, *_ = c.open(wanted)
    for name in wanted:
        say(name, ls[name], a[name])


def windows(c, say):
    """The first window and its scale, by SO_RCVBUF of either side. Linux rounds down to segments."""
    for size in 5000, 10000, 30000, 65536, 100000, 200000:
        _, _, first, _, theirs, _ = c.open({"SO_RCVBUF": size}, {"SO_RCVBUF": size})
        near = "it" if size - 1460 <= first["snd_wnd"] <= size else "64 KB" if 60000 < first["snd_wnd"] < 65536 else first["snd_wnd"]
        say(size, "the SYN-ACK offers", near, "scales by", first["snd_wscale"], "and the SYN by", theirs["snd_wscale"])


    for size in 5000, 30000:
        _, _, first, _, _, _ = c.open({"TCP_WINDOW_CLAMP": size})
        say(size, "as clamp, the SYN-ACK offers", "it" if size - 1460 <= first["snd_wnd"] <= size else first["snd_wnd"])


def unsent(s):
    return struct.unpack("i", fcntl.ioctl(s, 0x894B, b"1234"))[0]   # SIOCOUTQNSD


def held(c, say):
    """What is written to one that does not read, with and without TCP_NOTSENT_LOWAT."""
    def fill(s):
        sent, p = 0, select.poll()
        s.setblocking(False)
        p.register(s, select.POLLOUT)
        while p.poll(300):
            sent += s.send(bytes(10000))
        say("of", "less than 64 KB" if sent < 65536 else "much", "not sent is", "little" if unsent(s) < 1000 + 10000 else "much")

    c.open({"SO_RCVBUF": 10000}, {"SO_SNDBUF": 200000, "TCP_NOTSENT_LOWAT": 1000}, fill)
    c.open({"SO_RCVBUF": 10000}, {"SO_SNDBUF": 200000}, fill)


def segments(c, say):
    for listens, own in ({"TCP_MAXSEG": 900}, {}), ({}, {"TCP_MAXSEG": 800}), ({"TCP_MAXSEG": 1000}, {"TCP_MAXSEG": 700}):
        ls, a, _, ours, theirs, mss = c.open(listens, own)
        say(listens, own, ls, ours["snd_mss"], theirs["snd_mss"], mss)
    s = socket.socket()
    for bad in 87, 32768, -1:
        try:
            s.setsockopt(TCP, 2, bad)
            say(bad, "is taken")
        except OSError as e:
            say(bad, errno.errorcode[e.errno])


def inodes(c, say):
    def use(s):
        copy = s.dup()
        numbers = [os.fstat(f.fileno()).st_ino for f in (s, c.control, copy)]
        say("one's own", numbers[0] != numbers[1], "and that of a copy", numbers[0] == numbers[2])

    c.open({}, {}, use)


def deferred(c, say):
    """A second of waiting; data, or another mind of the listener, end a long one."""
    kept, took = c.deferred(1, {}, False)
    say(kept, "without data", "now" if took < 0.9 else "later")
    for then, data in ({}, True), ({"TCP_DEFER_ACCEPT": 0}, False):
        kept, took = c.deferred(100, then, data)
        say(kept, then, "with data" if data else "without data", "long before" if took < 60 else "too late")


def queued(c, say):
    c.word({"options": {}, "queue": 5})
    c.heard()
    s = [socket.create_connection(c.to, 20 * SLOW) for _ in range(5)]
    say("waiting, backlog:", c.heard())
    c.word(0)
    for x in s:
        x.close()


JUDGED = {
    "SO": (SOL, [(6, "BROADCAST"), (9, "KEEPALIVE"), (19, "SNDLOWAT"), (32, "SNDBUFFORCE"), (47, "MAX_PACING_RATE")]),
    "TCP": (TCP, [(1, "NODELAY"), (4, "KEEPIDLE"), (6, "KEEPCNT"), (8, "LINGER2"), (9, "DEFER_ACCEPT"), (10, "WINDOW_CLAMP"), (23, "FASTOPEN"),
                  (25, "NOTSENT_LOWAT"), (30, "FASTOPEN_CONNECT"), (33, "FASTOPEN_KEY"), (34, "FASTOPEN_NO_COOKIE")]),
    "IP": (IP, [(1, "TOS"), (2, "TTL"), (8, "PKTINFO"), (10, "MTU_DISCOVER"), (12, "RECVTTL"), (14, "MTU"), (49, "MULTICAST_ALL")]),
    "IPV6": (41, [(16, "UNICAST_HOPS"), (18, "MULTICAST_HOPS"), (19, "MULTICAST_LOOP"), (26, "V6ONLY"), (67, "TCLASS")]),
    "UDP": (17, [(103, "SEGMENT"), (104, "GRO")]),
}
UNEQUAL = {("TCP", "WINDOW_CLAMP", "get"), ("TCP", "FASTOPEN_KEY", "get"), ("IPV6", "UNICAST_HOPS", 0), ("SO", "MAX_PACING_RATE", 0),
           *(("SO", "MAX_PACING_RATE", b"\1" * n) for n in (12, 16, 32))}


def judged(c, say):
    """Values, lengths and levels, in three states and on a datagram socket; but for what stands in doc/sockopts.md."""
    def trial(s, *option, value=None):
        try:
            if value is not None:
                s.setsockopt(*option, value)
            return s.getsockopt(*option, 8).hex()
        except OSError as e:
            return errno.errorcode[e.errno]

    us = c.control.getsockname()[0]
    for state in "connected", "bound", "listening", "datagram":
        s = socket.socket(type=socket.SOCK_DGRAM if state == "datagram" else socket.SOCK_STREAM)
        if state == "connected":
            c.word({"options": {}})
            c.heard()
            s.connect(c.to)
        else:
            s.bind((us, 0))
        if state == "listening":
            s.listen()
        for lname, (level, options) in JUDGED.items():
            for number, name in options:
                out = []
                for value in ["get", -1, 0, 1, 2, 7, 255, 256, 70000, b"", b"1", b"12", b"\1" * 12, b"\1" * 16, b"\1" * 32]:
                    if (lname, name, value) in UNEQUAL or (name, state, value) == ("MTU", "connected", "get"):
                        continue    # of a way through lo Linux does not always know it
                    out.append(trial(s, level, number, value=None if value == "get" else value))
                say(state, lname, name, *out)
        if state == "connected":
            s.send(b"x")
            s.recv(1)
            c.heard()
            c.word(0)
        s.close()


SCENARIOS = [inherited, windows, held, segments, inodes, deferred, queued, judged]

if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    else:
        caller = Caller(sys.argv[2], int(sys.argv[3]))
        for f in SCENARIOS:
            f(caller, lambda *a, f=f: print(f"{f.__name__}:", *a, flush=True))
        print("the end")

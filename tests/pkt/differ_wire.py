# SPDX-License-Identifier: GPL-2.0-or-later
# differ_wire.py - for differ.py: frames without scapy, and our end of many connections to two targets at once
#
# We are 10.1.0.64 to 10.1.0.95 and fd00:0:0:1::40 to ::5f, and what follows them, with a MAC address of our own. A Side is our end of
# one connection with one target: it turns an event into a frame by what the target has said so far, and what the
# target says into facts without absolute numbers.
import json
import os
import select
import socket
import struct
import time

from differ_app import PATTERN

MAC = bytes.fromhex("020000000077")
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = 1, 2, 4, 8, 16, 32, 64, 128
LETTERS = {"F": FIN, "S": SYN, "R": RST, "P": PSH, "A": ACK, "U": URG, "E": ECE, "C": CWR}
M32 = 0xffffffff
SLOW = int(os.environ.get("SLOW", "1"))
N_ADDR = 32
OPTIONS = {  # by name: what else stands among the options
    "unknown": b"\xfd\x06\x12\x34\x56\x78", "zero-length": b"\x05\x00", "one-length": b"\x05\x01", "cut": b"\x08\x0a\x00\x00",
    "beyond": b"\x05\x26\x00\x00", "eol": b"\x00\x08\x0a\x01", "sack-odd": b"\x05\x09\0\0\0\0\0\0\0", "mss": b"\x02\x04\x02\x00",
    "ws": b"\x03\x03\x05\x01", "sackok": b"\x04\x02\x01\x01", "md5": b"\x13\x12" + b"x" * 16, "tfo-ask": b"\x22\x02\x01\x01",
    "tfo-bad": b"\x22\x0a" + b"c" * 8 + b"\1\1", "ws15": b"\x03\x03\x0f\x01", "mss0": b"\x02\x04\x00\x00",
    "ts-short": b"\x08\x06\x00\x00\x00\x01\x01\x01", "ts-twice": b"\x08\x0a" + bytes(8) + b"\1\1",
}


def bits(flags):
    return sum(LETTERS[f] for f in flags)


def letters(n):
    return "".join(k for k, v in LETTERS.items() if n & v)


def signed(x):
    x &= M32
    return x - (1 << 32) if x >> 31 else x


def fold(data):
    if len(data) & 1:
        data += b"\0"
    s = sum(struct.unpack(f"!{len(data) >> 1}H", data))
    s = (s & 0xffff) + (s >> 16)
    return ~((s & 0xffff) + (s >> 16)) & 0xffff


def our(family, i):
    return f"10.1.{(64 + i) >> 8}.{(64 + i) & 255}" if family == 4 else f"fd00:0:0:1::{0x40 + i:x}"


def pton(family, a):
    return socket.inet_pton(socket.AF_INET if family == 4 else socket.AF_INET6, a)


def parse_options(raw):
    o, i = {}, 0
    while i < len(raw) and raw[i]:
        if raw[i] == 1:
            i += 1
            continue
        n = raw[i + 1]
        o[raw[i]] = raw[i + 2:i + n]
        i += n
    return o


def malformed(raw):
    i = 0
    while i < len(raw) and raw[i]:
        if raw[i] == 1:
            i += 1
        elif i + 1 == len(raw) or raw[i + 1] < 2 or i + raw[i + 1] > len(raw):
            return True
        else:
            i += raw[i + 1]
    return False


def echo(n):
    m = struct.pack("!BBHHH", 8, 0, 0, 78, n)
    return m[:2] + fold(m).to_bytes(2, "big") + m[4:]


class Target:
    """A host, and the program on it; SPEC: IPv4 and IPv6 address, MAC address, path of the program's socket."""

    def __init__(self, name, spec):
        self.name = name
        v4, v6, mac, path = spec.split()
        self.addr = {4: v4, 6: v6}
        self.raw = {f: pton(f, a) for f, a in self.addr.items()}
        self.mac = bytes.fromhex(mac.replace(":", ""))
        self.s = socket.socket(socket.AF_UNIX)
        self.s.connect(path)
        self.f = self.s.makefile("rw")
        self.sides, self.cookies, self.echo = {}, {}, 0

    def ask(self, ops):
        self.f.write(json.dumps(ops) + "\n")
        self.f.flush()

    def ready(self):
        return bool(select.select([self.s], [], [], 0)[0])

    def answer(self):
        return json.loads(self.f.readline())


class Wire:
    """Our interface."""

    def __init__(self, targets):
        self.targets = {t.mac: t for t in targets}
        self.s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)      # SO_RCVBUFFORCE
        self.s.setsockopt(263, 23, 1)                           # PACKET_IGNORE_OUTGOING
        self.s.setsockopt(263, 15, 1)                           # PACKET_VNET_HDR: what one large frame is made of
        self.s.bind((os.environ["DIFFER_IF"], 0))
        index = struct.pack("=iHH8x", socket.if_nametoindex(os.environ["DIFFER_IF"]), 1, 0)
        self.s.setsockopt(263, 1, index)                        # promiscuous
        self.s.setblocking(False)
        self.n_sent = 0

    def send(self, frame):
        while True:
            try:
                self.s.send(bytes(10) + frame)
                break
            except (BlockingIOError, OSError) as e:
                if not isinstance(e, BlockingIOError) and e.errno != 105:
                    raise
                self.drain(0.001)
        self.n_sent += 1
        if not self.n_sent & 15:
            self.drain(0)

    def drain(self, seconds, until=None):
        """Takes what comes for so long, or UNTIL it is true."""
        end = time.monotonic() + seconds
        while True:
            try:
                while True:
                    f = self.s.recv(70000)
                    self.frame(f[10:], struct.unpack_from("=H", f, 4)[0])
            except BlockingIOError:
                pass
            left = end - time.monotonic()
            if left <= 0 or (until and until()):
                return
            select.select([self.s], [], [], min(left, 0.002) if until else left)

    def frame(self, f, gso):
        t = self.targets.get(f[6:12])
        if not t:
            return
        kind = f[12:14]
        if kind == b"\x08\x06":
            if f[20:22] == b"\0\1" and f[38:40] == b"\x0a\1" and f[40:42] >= b"\0\x40":
                self.send(t.mac + MAC + f[12:20] + b"\0\2" + MAC + f[38:42] + t.mac + f[28:32])
            return
        if kind == b"\x08\x00":
            family, proto, src, dst = 4, f[23], f[26:30], f[30:34]
            l4 = f[14 + (f[14] & 15) * 4:14 + int.from_bytes(f[16:18], "big")]
            tos = f[15]
        elif kind == b"\x86\xdd":
            family, proto, src, dst = 6, f[20], f[22:38], f[38:54]
            l4, tos = f[54:54 + int.from_bytes(f[18:20], "big")], (f[14] & 15) << 4 | f[15] >> 4
        else:
            return
        if proto == 6:
            side = t.sides.get((dst, int.from_bytes(l4[2:4], "big")))
            if side:
                side.take(l4, tos, gso)
            elif l4[2:4] == b"\0\x09" and l4[13] == SYN | ACK:
                t.cookies[dst] = parse_options(l4[20:(l4[12] >> 4) * 4])[34]
        elif proto == 58 and l4[0] == 135 and l4[8:22] == pton(6, "fd00:0:0:1::")[:14] and l4[22:24] >= b"\0\x40":
            a = l4[8:24]
            na = b"\x88\0\0\0\x60\0\0\0" + a + b"\2\1" + MAC
            self.send(t.mac + MAC + packet(6, a, t.raw[6], 58, na, csum_at=2, hops=255))
        elif proto == 1 and l4[0] == 0:
            t.echo = max(t.echo, int.from_bytes(l4[6:8], "big"))

    def greet(self):
        """Echoes from all our addresses: both shall know where we are before it counts. And a cookie for each."""
        for i in range(N_ADDR):
            for t in self.targets.values():
                self.echo_from(t, 4, pton(4, our(4, i)))
                self.echo_from(t, 6, pton(6, our(6, i)))
            self.drain(0.005)
        self.drain(0.3)
        self.fence()
        for flags in (SYN, RST):
            for t in self.targets.values():
                for raw in [pton(f, our(f, i)) for f in (4, 6) for i in range(N_ADDR)]:
                    l4 = struct.pack("!HHIIBBHHH", 9, 7001, 1000 + (flags == RST), 0, 0x60, flags, 1000, 0, 0) + b"\x22\2\1\1"
                    family = 4 if len(raw) == 4 else 6
                    self.send(t.mac + MAC + packet(family, raw, t.raw[family], 6, l4, csum_at=16))
            self.fence()
        if [len(t.cookies) for t in self.targets.values()] != 2 * [2 * N_ADDR]:
            raise RuntimeError("not all have a cookie")

    def echo_from(self, t, family, raw):
        m = echo(0) if family == 4 else struct.pack("!BBHHH", 128, 0, 0, 78, 0)
        self.send(t.mac + MAC + packet(family, raw, t.raw[family], 1 if family == 4 else 58, m, csum_at=None if family == 4 else 2))

    def hello(self, sides):
        """From addresses that were not used before."""
        for s in sides:
            self.echo_from(s.t, s.family, s.raw)
        if sides:
            self.drain(0.1)
            self.fence()

    def fence(self):
        """Until both have dealt with everything that was sent: two echoes, one after the other."""
        for n in (1, 2):
            for t in self.targets.values():
                t.echo = 0
                self.send(t.mac + MAC + packet(4, pton(4, our(4, 0)), t.raw[4], 1, echo(n)))
            self.drain(10 * SLOW, lambda: all(t.echo == n for t in self.targets.values()))
            if not all(t.echo == n for t in self.targets.values()):
                raise RuntimeError("no answer to an echo from " + ", ".join(t.name for t in self.targets.values() if t.echo != n))


def packet(family, a, b, proto, l4, tos=0, csum_at=None, hops=64):
    """Ethernet type and an IP packet; the checksum at CSUM_AT of L4 is filled in with a pseudo header."""
    if csum_at is not None:
        pseudo = a + b + (struct.pack("!HH", proto, len(l4)) if family == 4 else struct.pack("!II", len(l4), proto))
        l4 = l4[:csum_at] + fold(pseudo + l4).to_bytes(2, "big") + l4[csum_at + 2:]
    if family == 6:
        return b"\x86\xdd" + struct.pack("!IHBB", 6 << 28 | tos << 20, len(l4), proto, hops) + a + b + l4
    h = struct.pack("!BBHHHBBH", 0x45, tos, 20 + len(l4), 0, 0x4000, hops, proto, 0) + a + b
    return b"\x08\x00" + h[:10] + fold(h).to_bytes(2, "big") + h[12:] + l4


class Side:
    """Our end of CASE with TARGET: ours is ADDR, PORT."""

    def __init__(self, case, target, addr, port):
        self.case, self.t, self.port, self.family = case, target, port, case["family"]
        self.host = our(self.family, addr)
        self.raw = pton(self.family, self.host)
        self.key = f"{self.host}|{port}"
        self.isn = self.o = case["isn"]
        self.lport = None if case["active"] else case["port"]
        self.iss, self.n, self.u, self.acked, self.edge = None, 0x12345678, 0x12345678, None, None
        self.ws, self.ts_on, self.tsval, self.clock = 0, False, 0, case["clock"]
        self.seen, self.fin_out, self.wrong = set(), False, None
        self.trace, self.facts_of, self.at, self.size = [], [], 0, 0
        self.said = {}  # of what we say in this event
        self.begin()
        target.sides[(self.raw, port)] = self

    def begin(self):
        """A new step."""
        self.clock += 10
        self.rst, self.syn, self.dup, self.last, self.calling = set(), set(), 0, None, False
    # ---- in

    def rel(self, seq):
        return signed(seq - (self.iss if self.iss is not None else 0))

    def take(self, l4, tos, gso):
        """A segment, or several of which each has GSO bytes of text."""
        sport, _, seq, ack, off, flags, wnd, _, urp = struct.unpack("!HHIIBBHHH", l4[:20])
        o, data = parse_options(l4[20:(off >> 4) * 4]), l4[(off >> 4) * 4:]
        if flags & SYN and not flags & RST:
            self.take_syn(sport, seq, ack, flags, o)
        self.trace.append(f"< {letters(flags)} seq {self.rel(seq)} ack {signed(ack - self.isn) if flags & ACK else '-'} "
                          f"len {len(data)} wnd {wnd} urp {urp} opt {[(k, v.hex()) for k, v in o.items()]}")
        if flags & RST:
            self.rst.add((self.rel(seq) if seq else "0", letters(flags), signed(ack - self.isn) if flags & ACK else None))
            return
        if 8 in o:
            self.tsval, tsecr = struct.unpack("!II", o[8])
        else:
            tsecr = None
        end = (seq + len(data) + bool(flags & SYN) + bool(flags & FIN)) & M32
        if data and self.iss is not None:
            at = (seq - self.iss - 1) & 0xffff
            if data != (PATTERN + PATTERN)[at:at + len(data)]:
                self.wrong = self.wrong or f"other bytes at {self.rel(seq)}"
        fresh = signed(end - self.n) > 0
        if fresh:
            self.n = end
            self.size = max(self.size, gso or len(data))    # of the largest that was not sent before
        self.fin_out |= bool(flags & FIN)
        if not flags & ACK:
            return
        edge = (ack + (wnd << (0 if flags & SYN else self.ws))) & M32
        pure = end == seq
        forward = self.acked is None or signed(ack - self.acked) > 0
        wider = self.edge is not None and signed(edge - self.edge) > 0
        if forward:
            self.acked = ack
        elif pure and seq == self.n and not (wider and self.calling):
            self.dup += 1
        self.edge = edge
        sack = None
        if 5 in o:
            sack = [tuple(signed(x - self.isn) for x in struct.unpack_from("!II", o[5], i)) for i in range(0, len(o[5]) - 7, 8)]
        if not flags & SYN and (pure or fresh):
            self.last = {"sack": sack, "tsecr": None if tsecr is None else signed(tsecr - self.case["clock"]),
                         "zero": wnd == 0, "ece": bool(flags & ECE), "has_ts": 8 in o}

    def take_syn(self, sport, seq, ack, flags, o):
        if self.iss is None or (self.iss != seq and not flags & ACK):
            self.n = self.u = seq
            self.lport = sport
            self.acked = self.edge = None
        elif self.iss != seq:
            self.n, self.acked, self.edge = seq, None, None     # another connection in the place of this one
            self.u = seq
        self.iss = seq
        if flags & ACK or self.case["active"]:
            self.ts_on = self.case["ts"] and 8 in o
            self.ws = o[3][0] if 3 in o and self.case["ws"] is not None else 0
        this = (letters(flags), signed(ack - self.isn) if flags & ACK else None, tuple(sorted(k for k in o if k not in (34,))),
                len(o[34]) if 34 in o else None)
        if (seq, this[:2]) not in self.seen:    # not one that is repeated after a while, be it with less options
            self.seen.add((seq, this[:2]))
            self.syn.add(this)

    def facts(self):
        """What can be compared, of this step."""
        f = {"rst": sorted(self.rst, key=str), "syn": sorted(self.syn, key=str), "dup": bool(self.dup), "wrong": self.wrong,
             "acked": None if self.acked is None else signed(self.acked - self.isn),
             "sent": None if self.iss is None else signed(self.n - self.iss), "fin": self.fin_out}
        if self.last:
            f |= self.last
        if self.size and self.case.get("narrow"):
            f["size"] = self.size
        return f | self.said

    # ---- out

    def number(self, base, delta, ack):
        if base == "O":
            x = self.o
        elif base == "I":
            x = self.isn
        elif base == "K":
            x = self.acked if self.acked is not None else self.o
        elif base == "E":
            x = self.edge if self.edge is not None else self.o + 65535
        elif base == "N":
            x = self.n
        elif base == "U":
            x = self.u
        else:
            x = self.iss if self.iss is not None else 0x12345677
        return (x + delta) & M32

    def options(self, e, flags):
        c, o = self.case, b""
        if flags & SYN and not e.get("bare"):
            o += struct.pack("!BBH", 2, 4, c["mss"]) if c["mss"] is not None else b""
            o += b"\1\1\4\2" if c["sack"] else b""
            o += bytes((1, 3, 3, c["ws"])) if c["ws"] is not None else b""
        ts = e.get("ts", "now")
        if ts != "none" and (c["ts"] if flags & SYN and not e.get("bare") else self.ts_on or ts == "force"):
            val = {"old": self.clock - 1000, "zero": 0, "future": self.clock + 100000,
                   "ancient": self.clock - (1 << 31) + 1000}.get(ts, self.clock)
            ecr = {"ecr0": 0, "ecr-future": self.tsval + 100000, "ecr-old": self.tsval - 100000}.get(ts, self.tsval)
            o += b"\1\1" + struct.pack("!BBII", 8, 10, val & M32, (ecr & M32) if flags & ACK else 0)
        if e.get("sack"):
            blocks = [(self.number(b, x, True), self.number(b, y, True)) for b, x, y in e["sack"]]
            o += b"\1\1" + bytes((5, 2 + 8 * len(blocks))) + b"".join(struct.pack("!II", *b) for b in blocks)
        if e.get("opt") == "tfo":
            o += bytes((34, 10)) + self.t.cookies[self.raw] + b"\1\1"
        elif e.get("opt"):
            o += OPTIONS[e["opt"]]
        o = o[:40]
        o += b"\1" * (-len(o) % 4)
        self.said["malformed"] = malformed(o)
        return o

    def segment(self, e):
        flags = bits(e["f"])
        seq = self.number(e.get("sb", "O"), e.get("sd", 0), False)
        ack = self.number(e.get("ab", "N"), e.get("ad", 0), True) if flags & ACK or e.get("stray") else 0
        if flags & ACK:
            self.u = ack
        n = e.get("len", 0)
        at = (seq + bool(flags & SYN) - self.isn - 1) & 0xffff
        o = self.options(e, flags)
        self.said |= {"said_seq": signed(seq - (self.o if self.acked is None else self.acked)), "said_len": n,
                      "said_ack": self.rel(ack) if flags & ACK else None, "unacked": signed(self.n - ack)}
        l4 = struct.pack("!HHIIBBHHH", self.port, self.lport or 7000, seq, ack, (5 + len(o) // 4) << 4, flags,
                         e.get("wnd", 65535), 0, e.get("urp", 0)) + o + PATTERN[at:at + n]
        if e.get("adv"):
            end = (seq + n + bool(flags & SYN) + bool(flags & FIN)) & M32
            if signed(end - self.o) > 0:
                self.o = end
        self.trace.append(f"> {letters(flags)} seq {signed(seq - self.isn)} ack {self.rel(ack)} len {n} "
                          f"wnd {e.get('wnd', 65535)} opt {o.hex()}")
        return self.t.mac + MAC + packet(self.family, self.raw, self.t.raw[self.family], 6, l4, e.get("tos", 0), csum_at=16)

    def icmp(self, e):
        """An error about a segment of the target's."""
        seq = self.number(e["sb"], e["sd"], False)
        self.said["quoted"] = signed(self.n - seq)
        tcp = struct.pack("!HHIIBBHHH", self.lport or 7000, self.port, seq, self.o, 0x50, ACK, 1000, 0, 0)
        inner = packet(self.family, self.t.raw[self.family], self.raw, 6, tcp + bytes(e.get("size", 0)))[2:]
        if self.family == 4:
            m = struct.pack("!BBHI", e["type"], e["code"], 0, e.get("rest", 0)) + inner[:28 + e.get("more", 0)]
            m = m[:2] + fold(m).to_bytes(2, "big") + m[4:]
            return self.t.mac + MAC + packet(4, self.raw, self.t.raw[4], 1, m)
        m = struct.pack("!BBHI", e["type"], e["code"], 0, e.get("rest", 0)) + inner[:60]
        return self.t.mac + MAC + packet(6, self.raw, self.t.raw[6], 58, m, csum_at=2)

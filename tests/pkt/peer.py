# SPDX-License-Identifier: GPL-2.0-or-later
# peer.py - the other end of npp's connections, made by hand: addresses of our own, segments, clocks
#
# We are 10.1.0.64 to 10.1.0.95 and fd00:0:0:1::40 to ::5f with a MAC address of our own, so the kernel of
# our namespace neither answers nor disturbs. One thread reads the interface: it answers ARP and
# neighbour solicitations for us and gives every TCP segment, with the time at which the kernel
# took it, to its connection. Frames arrive as npp sends them, several segments in one: `gso`
# says where the port would cut.
#
# From the environment: NPP, NPP_TARGET, NPP_IF, NPP_MAC, NPP_IP, SLOW as in npppkt.py; PUPPET, the
# control socket of puppet.py.
import json
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import deque

import logging
logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
from npppkt import IFACE, NPP_IP, NPP_MAC, SLOW, wire  # noqa: E402
from scapy.all import ARP, ICMP, IP, TCP, Ether, ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6, Raw  # noqa: E402,F401

MAC = "02:00:00:00:00:77"
NPP6 = "fd00:0:0:1::b"
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = 1, 2, 4, 8, 16, 32, 64, 128
LETTERS = {"F": FIN, "S": SYN, "R": RST, "P": PSH, "A": ACK, "U": URG, "E": ECE, "C": CWR}
M32 = 0xffffffff
ETH = bytes.fromhex((NPP_MAC + MAC).replace(":", ""))


def our(family, i=0):
    return f"10.1.0.{64 + i}" if family == 4 else f"fd00:0:0:1::{0x40 + i:x}"


def npp(family):
    return NPP_IP if family == 4 else NPP6


def less(a, b):
    return (a - b) & M32 > 0x7fffffff


def checksum(data):
    data += b"\0" * (len(data) % 2)
    s = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff


def flag_bits(flags):
    return sum(LETTERS[f] for f in flags) if isinstance(flags, str) else flags


def parse_options(raw):
    """{kind: value}; SACK blocks as pairs."""
    o, i = {}, 0
    while i < len(raw) and raw[i]:
        if raw[i] == 1:
            i += 1
            continue
        n = raw[i + 1]
        body = raw[i + 2:i + n]
        if raw[i] == 5:
            o[5] = [struct.unpack_from("!II", body, k) for k in range(0, len(body), 8)]
        elif raw[i] == 8:
            o[8] = struct.unpack("!II", body)
        elif raw[i] in (2, 3):
            o[raw[i]] = int.from_bytes(body, "big")
        else:
            o[raw[i]] = body
        i += n
    return o


class Seg:
    """A segment that npp has sent."""

    def __init__(self, l4, gso, when, tos, ttl, df):
        self.sport, self.dport, self.seq, self.ack, off, self.flags, self.wnd, _, self.urp = struct.unpack("!HHIIBBHHH", l4[:20])
        self.options = parse_options(l4[20:(off >> 4) * 4])
        self.data = l4[(off >> 4) * 4:]
        self.gso, self.when, self.tos, self.ttl, self.df = gso, when, tos, ttl, df
        self.space = len(self.data) + bool(self.flags & SYN) + bool(self.flags & FIN)
        self.end = (self.seq + self.space) & M32
        self.again = False      # nothing in it that was not sent before

    def has(self, flags):
        return self.flags & flag_bits(flags) == flag_bits(flags)

    def is_only(self, flags):
        return self.flags & ~PSH & 0x3f == flag_bits(flags) & ~PSH

    def __repr__(self):
        names = "".join(k for k, v in LETTERS.items() if self.flags & v)
        return f"<{names} seq {self.seq} ack {self.ack} len {len(self.data)} wnd {self.wnd} {self.options or ''}>"


class Net:
    """The interface."""

    def __init__(self):
        self.lock = threading.RLock()
        self.cond = threading.Condition(self.lock)      # echoes and others; each connection has its own
        self.conns, self.echoes, self.others, self.n_echo = {}, {}, deque(maxlen=1000), 0
        self.next_port = 10000 + random.randrange(1000)
        self.cap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.cap.setsockopt(socket.SOL_SOCKET, 33, 32 << 20)    # SO_RCVBUFFORCE
        self.cap.setsockopt(socket.SOL_SOCKET, 35, 1)           # SO_TIMESTAMPNS
        self.cap.setsockopt(263, 15, 1)                         # PACKET_VNET_HDR
        self.cap.bind((IFACE, 0))
        index = socket.if_nametoindex(IFACE).to_bytes(4, sys.byteorder)
        self.cap.setsockopt(263, 1, index + (1).to_bytes(2, sys.byteorder) + bytes(10))  # promiscuous
        threading.Thread(target=self.read, daemon=True).start()

    def port(self):
        with self.lock:
            self.next_port += 1
            return self.next_port

    def read(self):
        while True:
            b, anc, _, _ = self.cap.recvmsg(70000, 256)
            when = time.time()
            for level, kind, value in anc:
                if level == socket.SOL_SOCKET and kind == 35:
                    sec, ns = struct.unpack("qq", value[:16])
                    when = sec + ns / 1e9
            gso, frame = struct.unpack_from("=H", b, 4)[0], b[10:]
            if frame[6:12] == ETH[:6]:
                self.frame(frame, gso, when)

    def frame(self, f, gso, when):
        kind = f[12:14]
        if kind == b"\x08\x06":
            self.arp(f)
        elif kind == b"\x08\x00":
            n, hlen = int.from_bytes(f[16:18], "big"), (f[14] & 15) * 4
            self.packet(4, socket.inet_ntoa(f[30:34]), f[23], f[14 + hlen:14 + n], gso, when, f[15], f[22], f[20] & 0x40)
        elif kind == b"\x86\xdd":
            n = int.from_bytes(f[18:20], "big")
            self.packet(6, socket.inet_ntop(socket.AF_INET6, f[38:54]), f[20], f[54:54 + n], gso, when,
                        (f[14] << 4 | f[15] >> 4) & 255, f[21], True)

    def packet(self, family, dst, proto, l4, gso, when, tos, ttl, df):
        if proto == 6:
            s = Seg(l4, gso, when, tos, ttl, df)
            c = self.conns.get((family, s.dport))
            if c and dst == c.addr:
                with self.lock:
                    c.take(s)
                    c.cond.notify_all()
        elif proto == 58 and l4[0] == 135:
            self.solicitation(l4)
        elif (proto, l4[0]) in ((1, 0), (58, 129)):
            with self.cond:
                self.echoes[int.from_bytes(l4[6:8], "big")] = when
                self.cond.notify_all()
        else:
            with self.cond:
                self.others.append((family, dst, proto, l4, when))
                self.cond.notify_all()

    def arp(self, f):
        if f[20:22] == b"\0\1" and f[38:41] == bytes((10, 1, 0)) and 64 <= f[41] < 96:
            wire(Ether(src=MAC, dst=NPP_MAC) / ARP(op=2, hwsrc=MAC, psrc=socket.inet_ntoa(f[38:42]), hwdst=NPP_MAC,
                                                    pdst=socket.inet_ntoa(f[28:32])))

    def solicitation(self, l4):
        target = l4[8:24]
        if target[:15] == socket.inet_pton(socket.AF_INET6, "fd00:0:0:1::")[:15] and 0x40 <= target[15] < 0x60:
            t = socket.inet_ntop(socket.AF_INET6, target)
            wire(Ether(src=MAC, dst=NPP_MAC) / IPv6(src=t, dst=NPP6, hlim=255) / ICMPv6ND_NA(tgt=t, R=0, S=1, O=1) /
                 ICMPv6NDOptDstLLAddr(lladdr=MAC))

    def wait(self, want, seconds=5.0, on=None):
        """Until WANT() is true; its value, or None after SECONDS."""
        end = time.monotonic() + seconds * SLOW
        with self.lock:
            while not (r := want()):
                left = end - time.monotonic()
                if left <= 0:
                    return None
                (on or self.cond).wait(min(left, 0.5))
            return r

    def fence(self):
        """Returns when npp has dealt with everything that was sent before (with one IOP): two echoes, the
        second after the first, so that what was put off to the end of a batch has been sent too."""
        for _ in range(2):
            with self.lock:
                self.n_echo = (self.n_echo + 1) & 0xffff
                n = self.n_echo
            wire(Ether(src=MAC, dst=NPP_MAC) / IP(src=our(4), dst=NPP_IP) / ICMP(id=77, seq=n) / Raw(b"fence"))
            if self.wait(lambda: self.echoes.pop(n, None), 10) is None:
                raise RuntimeError("no answer to an echo")


class Conn:
    """Our end of one connection. All numbers are absolute; o: our next, n: npp's next as seen, u: what we have
    acknowledged of it, edge: the right edge of its window."""

    def __init__(self, net, family, lport, addr=0, ts=False, ws=None, sack=False, mss=None):
        self.net, self.family, self.lport, self.port = net, family, lport, net.port()
        self.addr, self.npp = our(family, addr), npp(family)
        self.ts, self.ws, self.sack, self.mss = ts, ws, sack, mss or (1460 if family == 4 else 1440)
        self.isn = random.getrandbits(32)
        self.o, self.n, self.u, self.iss = self.isn, random.getrandbits(32), 0, None
        self.u = self.n
        self.acked, self.edge, self.peer_ws, self.ts_on, self.ts_recent = self.o, (self.o + 65535) & M32, 0, False, 0
        self.wnd, self.clock = 65535, random.getrandbits(30)
        self.inbox, self.log, self.cond, self.shrunk = deque(), [], threading.Condition(net.lock), None
        net.conns[(family, self.port)] = self

    @property
    def key(self):
        return f"{self.addr}|{self.port}"

    def drop(self):
        self.net.conns.pop((self.family, self.port), None)

    # ---- in

    def take(self, s):
        if s.flags & SYN:
            self.iss = s.seq
            self.lport = s.sport
            self.synopt = s.options
            if not self.log:
                self.n = self.u = s.seq
        self.ts_on = self.ts if s.flags & SYN and 8 in s.options else self.ts_on
        if 8 in s.options:
            self.ts_recent = s.options[8][0]
        if s.space and self.log:
            s.again = not less(self.n, s.end)
        if self.iss is not None and less(self.n, s.end):
            self.n = s.end
        if s.flags & ACK and not s.flags & RST:
            shift = 0 if s.flags & SYN or 3 not in getattr(self, "synopt", {}) or self.ws is None else self.synopt[3]
            edge = (s.ack + (s.wnd << shift)) & M32
            # RFC 7323, 2.4: what does not fit the scaled field may seem to shrink.
            if not s.flags & SYN and less(edge + (1 << shift) - 1, self.edge) and len(self.log) > 1:
                self.shrunk = s
            self.acked, self.edge = s.ack, edge
        self.log.append(s)
        self.inbox.append(s)

    def expect(self, want, seconds=5.0):
        """The first unread segment for which WANT is true; those before it are forgotten."""
        def look():
            while self.inbox:
                s = self.inbox.popleft()
                if want(s):
                    return s
            return None
        return self.net.wait(look, seconds, self.cond)

    def flush(self):
        with self.net.lock:
            self.inbox.clear()

    # ---- out

    def now(self):
        """Our clock of timestamps: milliseconds."""
        return (int(time.monotonic() * 1000) + self.clock) & M32

    def options(self, syn=False, sack=None, extra=b"", tsval=None, tsecr=None, ts=None):
        o = b""
        if syn:
            o += struct.pack("!BBH", 2, 4, self.mss)
            if self.sack:
                o += b"\x01\x01\x04\x02"
            if self.ws is not None:
                o += bytes((1, 3, 3, self.ws))
        if ts or (ts is None and (self.ts if syn else self.ts_on)):
            o += b"\x01\x01" + struct.pack("!BBII", 8, 10, self.now() if tsval is None else tsval & M32,
                                           self.ts_recent if tsecr is None else tsecr)
        if sack:
            o += b"\x01\x01" + bytes((5, 2 + 8 * len(sack))) + b"".join(struct.pack("!II", a & M32, b & M32) for a, b in sack)
        o += extra
        return o + b"\x01" * (-len(o) % 4)

    def seg(self, flags, seq=None, ack=None, data=b"", wnd=None, bad=False, tos=0, options=None, urp=0, **kw):
        """A frame with a segment; ack None: none."""
        flags = flag_bits(flags)
        seq = self.o if seq is None else seq
        if ack is None:
            ack = self.n if flags & ACK else 0
        o = self.options(syn=bool(flags & SYN), **kw) if options is None else options
        h = struct.pack("!HHIIBBHHH", self.port, self.lport, seq & M32, ack & M32, (5 + len(o) // 4) << 4, flags,
                        self.wnd if wnd is None else wnd, 0, urp) + o + data
        if self.family == 4:
            a, b = socket.inet_aton(self.addr), socket.inet_aton(self.npp)
            pseudo = a + b + struct.pack("!HH", 6, len(h))
        else:
            a, b = socket.inet_pton(socket.AF_INET6, self.addr), socket.inet_pton(socket.AF_INET6, self.npp)
            pseudo = a + b + struct.pack("!II", len(h), 6)
        c = checksum(pseudo + h) ^ (0x5555 if bad else 0)
        h = h[:16] + c.to_bytes(2, "big") + h[18:]
        return ETH + self.ip_header(a, b, len(h), 6, tos) + h

    def ip_header(self, a, b, n, proto, tos=0):
        if self.family == 6:
            return b"\x86\xdd" + struct.pack("!IHBB", 6 << 28 | tos << 20, n, proto, 64) + a + b
        h = struct.pack("!BBHHHBBH", 0x45, tos, 20 + n, 0, 0x4000, 64, proto, 0) + a + b
        return b"\x08\x00" + h[:10] + checksum(h).to_bytes(2, "big") + h[12:]

    def icmp(self, kind, code, seq, rest=0, quote=None, size=None):
        """An error about a segment that npp has sent with sequence number SEQ, in a packet of SIZE bytes; QUOTE: bytes
        of its TCP header."""
        v4 = self.family == 4
        a = (socket.inet_aton if v4 else lambda x: socket.inet_pton(socket.AF_INET6, x))(self.addr)
        b = (socket.inet_aton if v4 else lambda x: socket.inet_pton(socket.AF_INET6, x))(self.npp)
        tcp = struct.pack("!HHIIBBHHH", self.lport, self.port, seq & M32, self.o, 5 << 4, ACK, 1000, 0, 0)
        inner = self.ip_header(b, a, size - (20 if v4 else 40) if size else 20, 6)[2:] + tcp[:quote or (8 if v4 else 20)]
        m = struct.pack("!BBHI", kind, code, 0, rest) + inner
        c = checksum(m if v4 else a + b + struct.pack("!II", len(m), 58) + m)
        m = m[:2] + c.to_bytes(2, "big") + m[4:]
        return ETH + self.ip_header(a, b, len(m), 1 if v4 else 58) + m

    def send(self, flags, **kw):
        """Sends, and counts what takes sequence space, unless SEQ is given."""
        wire(self.seg(flags, **kw))
        if "seq" not in kw:
            bits = flag_bits(flags)
            self.o = (self.o + len(kw.get("data", b"")) + bool(bits & SYN) + bool(bits & FIN)) & M32

    def ack(self, **kw):
        self.u = kw.get("ack", self.n)
        self.send("A", **kw)

    # ---- to a state

    def open(self, flags="S", **kw):
        """As client, to ESTABLISHED; False: no SYN-ACK came."""
        self.send(flags, **kw)
        if not self.expect(lambda s: s.has("SA") and s.ack == self.o):
            return False
        self.ack()
        return True


class Puppet:
    """The program on the npp host."""

    def __init__(self):
        s = socket.socket(socket.AF_UNIX)
        s.connect(os.environ["PUPPET"])
        self.f, self.lock = s.makefile("rw"), threading.Lock()

    def do(self, op, **kw):
        with self.lock:
            self.f.write(json.dumps({"op": op, **kw}) + "\n")
            self.f.flush()
            a = json.loads(self.f.readline())
        if "error" in a:
            raise RuntimeError(f"{op}: {a['error']}\n{a['where']}")
        return a["ok"]


def connections():
    """{(family, our port): what npp conns says}; of several the first."""
    out = subprocess.run([os.environ["NPP"], "conns", os.environ["NPP_TARGET"], "--json"], check=True, capture_output=True,
                         timeout=20 * SLOW).stdout
    return {(6 if ":" in c["remote"] else 4, c["rport"]): c for c in reversed(json.loads(out)["connections"])}


def state_of(c):
    """The state of our Conn C, as npp conns names it."""
    x = connections().get((c.family, c.port))
    return x["state"] if x else "CLOSED"


def stay_on_one_core():
    """Frames from two cores may overtake each other on their way to the bridge."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

# SPDX-License-Identifier: GPL-2.0-or-later
# neighbours.py - the link layer over the wire: conflicts of addresses, the life of a neighbour, advertisements
#
# usage: neighbours.py [NAME...]       with NPP_SOAK=1 in the environment those that take 30 s and more, too
#
# A scenario is a function; its documentation is what must be so, and the RFC. They run one after the
# other. Neighbours are stations made here, each with an address and a MAC address of its own, that answer
# or keep silent as the scenario says. The NPP has `autoconf: yes`; its neighbour's times are cut short
# by a router's advertisement of 1 s.
import json
import os
import socket
import subprocess
import sys
import time
import traceback

from npppkt import NPP_IP, NPP_MAC, OUR_IP, SLOW, done, result, stat, wire
from peer import MAC, NPP6, Conn, Net, Puppet, stay_on_one_core
from scapy.all import (ARP, ICMP, IP, UDP, Ether, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA,
                       ICMPv6NDOptDstLLAddr, ICMPv6NDOptMTU, ICMPv6NDOptPrefixInfo, ICMPv6NDOptSrcLLAddr, IPv6, Raw, in6_getnsma,
                       in6_getnsmac)

PORT = 7031
LATE = 1.0 * SLOW
SCENARIOS = []
SOAK = bool(os.environ.get("NPP_SOAK"))
m = bytes.fromhex(NPP_MAC.replace(":", ""))
NPP_LL = socket.inet_ntop(socket.AF_INET6, bytes.fromhex("fe80000000000000") + bytes([m[0] ^ 2]) + m[1:3] + b"\xff\xfe" + m[3:])
ROUTER = "fe80::5252"


def scenario(families=(4, 6), soak=False):
    def add(f):
        SCENARIOS.append((f, families, soak))
        return f
    return add


def raw6(a):
    return socket.inet_pton(socket.AF_INET6, a)


class Env:
    def __init__(self, net, puppet, family, n):
        self.net, self.puppet, self.family, self.n, self.key = net, puppet, family, n, None
        self.cap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.cap.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)
        self.cap.bind((os.environ["NPP_IF"], 0))
        index = socket.if_nametoindex(os.environ["NPP_IF"]).to_bytes(4, sys.byteorder)
        self.cap.setsockopt(263, 1, index + (1).to_bytes(2, sys.byteorder) + bytes(10))
        self.now, self.heard, self.pending = time.monotonic, [], []

    def station(self, i=0):
        """An address that nobody answers for unless a scenario does, and a MAC address."""
        k = self.n * 4 + i
        return (f"10.1.0.{100 + k}" if self.family == 4 else socket.inet_ntop(socket.AF_INET6, raw6(f"fd00:0:0:1:5::{k:x}"))), f"02:00:00:00:5{self.family}:{k:02x}"

    def us(self):
        return NPP_IP if self.family == 4 else NPP6

    def frames(self):
        """What npp has sent and nobody has looked at, as [(when, packet)]."""
        self.cap.setblocking(False)
        got, self.pending = self.pending, []
        try:
            while True:
                b = self.cap.recv(70000)
                if b[6:12] == m:
                    got.append((self.now(), Ether(b)))
        except BlockingIOError:
            return got

    def wait(self, want, seconds=3.0):
        """The first frame for which WANT is true, with the time; those before it are in self.heard."""
        end = self.now() + seconds * SLOW
        while True:
            late, got = self.now() > end, self.frames()
            for i, (when, p) in enumerate(got):
                self.heard.append((when, p))
                if want(p):
                    self.pending = got[i + 1:]
                    return when, p
            if late:
                break
            time.sleep(0.002)
        raise AssertionError(f"not heard: {[p.summary() for _, p in self.heard[-12:]]}")

    def quiet(self, want, seconds):
        end = self.now() + seconds
        while self.now() < end:
            bad = [p.summary() for _, p in self.frames() if want(p)]
            assert not bad, bad
            time.sleep(0.01)

    def asks(self, addr, mac=None):
        """Is it a question for ADDR: to all, or to MAC alone?"""
        def want(p):
            if self.family == 4:
                hit = ARP in p and p[ARP].op == 1 and p[ARP].pdst == addr and p[ARP].psrc != addr
            else:
                hit = ICMPv6ND_NS in p and p[ICMPv6ND_NS].tgt == addr and p[IPv6].src != "::"
            return hit and (p.dst == mac if mac else p.dst.startswith("33:33") or p.dst == "ff:ff:ff:ff:ff:ff")
        return want

    def answer(self, addr, mac, solicited=1, override=1, dst=None):
        if self.family == 4:
            return Ether(src=mac, dst=NPP_MAC) / ARP(op=2, hwsrc=mac, psrc=addr, hwdst=NPP_MAC, pdst=NPP_IP)
        return (Ether(src=mac, dst=dst and "33:33:00:00:00:01" or NPP_MAC) / IPv6(src=addr, dst=dst or NPP6, hlim=255) /
                ICMPv6ND_NA(tgt=addr, R=0, S=solicited, O=override) / ICMPv6NDOptDstLLAddr(lladdr=mac))

    def question(self, addr, mac):
        """ADDR at MAC asks for npp's address."""
        if self.family == 4:
            return Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=mac, psrc=addr, pdst=NPP_IP)
        ns = raw6(NPP6)
        return (Ether(src=mac, dst=in6_getnsmac(ns)) / IPv6(src=addr, dst=socket.inet_ntop(socket.AF_INET6, in6_getnsma(ns)), hlim=255) /
                ICMPv6ND_NS(tgt=NPP6) / ICMPv6NDOptSrcLLAddr(lladdr=mac))

    def datagram_to(self, addr, body=b"hello"):
        """The program sends to ADDR."""
        if not self.key:
            self.key = f"nd|{self.n}|{self.family}"
            self.puppet.do("datagram_socket", key=self.key, family=self.family, port=PORT)
        self.puppet.do("sendto", key=self.key, host=addr, port=9, data=body.hex())

    def carries(self, addr, mac, body=b"hello"):
        ip = IP if self.family == 4 else IPv6
        return lambda p: ip in p and p[ip].dst == addr and UDP in p and bytes(p[UDP].payload)[:len(body)] == body and p.dst == mac

    def know(self, addr, mac):
        """Makes npp know ADDR: it asks, the station answers."""
        self.frames()
        self.datagram_to(addr)
        self.wait(self.asks(addr))
        wire(self.answer(addr, mac))
        self.wait(self.carries(addr, mac))

    def claim(self, mac, addr=None):
        """Somebody with MAC says that npp's address is his."""
        if self.family == 4:
            return Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=mac, psrc=addr or NPP_IP, pdst=addr or NPP_IP)
        a = addr or NPP6
        return (Ether(src=mac, dst="33:33:00:00:00:01") / IPv6(src=a if a != NPP6 else "fe80::66", dst="ff02::1", hlim=255) /
                ICMPv6ND_NA(tgt=a, R=0, S=0, O=1) / ICMPv6NDOptDstLLAddr(lladdr=mac))

    def defends(self):
        if self.family == 4:
            return lambda p: ARP in p and p[ARP].psrc == NPP_IP == p[ARP].pdst and p.dst == "ff:ff:ff:ff:ff:ff"
        return lambda p: ICMPv6ND_NA in p and p[ICMPv6ND_NA].tgt == NPP6 and p[IPv6].dst == "ff02::1"

    def ra(self, *options, src=ROUTER, hlim=255, code=0, **kw):
        kw = {"routerlifetime": 0, "reachabletime": 0, "retranstimer": 0, "chlim": 0, **kw}
        p = Ether(src=MAC, dst="33:33:00:00:00:01") / IPv6(src=src, dst="ff02::1", hlim=hlim) / ICMPv6ND_RA(code=code, **kw)
        for o in options:
            p = p / o
        return p

    def pings(self, addr, seconds=1.0):
        """Does npp answer for its address ADDR?"""
        self.frames()
        wire(Ether(src=MAC, dst=NPP_MAC) / IPv6(src="fd00:0:0:1::40", dst=addr) / ICMPv6EchoRequest(id=5, seq=self.n))
        try:
            return self.wait(lambda p: ICMPv6EchoReply in p and p[IPv6].src == addr, seconds)[1]
        except AssertionError:
            return None


def conflicts():
    """{address: entry} of npp status."""
    name = os.environ["NPP_TARGET"]
    out = subprocess.run([os.environ["NPP"], "status", name, "--json"], check=True, capture_output=True, timeout=20 * SLOW).stdout
    return {c["address"]: c for c in json.loads(out)[0]["conflicts"]}


def status_within(want, seconds=5):
    end = time.monotonic() + seconds * SLOW
    while time.monotonic() < end:
        c = conflicts()
        if want(c):
            return c
        time.sleep(0.05)
    raise AssertionError(f"npp status: {conflicts()}")


# ---- conflicts

@scenario()
def a_conflict_is_defended_counted_and_shown(e):
    """Said again at once, then not before 10 s (IPv4) or 1 s (IPv6) have passed; npp status names address and station; a connection
    lives on (RFC 5227 2.4 (c); 4862 5.4.4; 4861 7.2.6)"""
    thief = f"02:00:00:00:66:0{e.family}"
    c = Conn(e.net, e.family, PORT, addr=3)
    assert c.open()
    e.puppet.do("accepted", keys=[c.key])
    e.frames()
    before, began = stat(), time.monotonic()
    wire(e.claim(thief))
    e.wait(e.defends())
    quiet = 10 if e.family == 4 else 1
    for _ in range(50):
        wire(e.claim(thief))
    e.net.fence()
    now = stat()
    said = now["ism:acd.defended"] - before["ism:acd.defended"]
    assert said <= 1 + (time.monotonic() - began) / quiet, said
    assert now["ism:acd.conflicts"] - before["ism:acd.conflicts"] == 51
    got = status_within(lambda x: e.us() in x)[e.us()]
    assert got["mac"] == thief and got["count"] >= 1 and got["age_s"] <= 10 * SLOW, got
    c.send("PA", data=b"still here")
    assert bytes.fromhex(e.puppet.do("recv", keys=[c.key], n=10)["data"]) == b"still here"
    c.send("R")


@scenario(soak=True)
def it_is_defended_again_after_a_while(e):
    """(RFC 5227 2.4: DEFEND_INTERVAL)"""
    time.sleep(10.5)
    wire(e.claim("02:00:00:00:66:09"))
    e.wait(e.defends())


@scenario()
def who_probes_for_our_address_is_answered(e):
    """And learns that it is taken; nothing is learned of him, and that is no conflict for IPv4 (RFC 5227 2.6; 4862 5.4.3)"""
    before = stat()
    mac = "02:00:00:00:67:01"
    if e.family == 4:
        wire(Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=mac, psrc="0.0.0.0", pdst=NPP_IP))
        e.wait(lambda p: ARP in p and p[ARP].op == 2 and p[ARP].psrc == NPP_IP and p.dst == mac)
        assert stat()["ism:acd.conflicts"] == before["ism:acd.conflicts"]
        return
    time.sleep(1.1)     # the last defence
    ns = raw6(NPP6)
    wire(Ether(src=mac, dst=in6_getnsmac(ns)) / IPv6(src="::", dst=socket.inet_ntop(socket.AF_INET6, in6_getnsma(ns)), hlim=255) /
         ICMPv6ND_NS(tgt=NPP6))
    e.wait(e.defends())


@scenario(families=(4,))
def a_conflict_about_another_address_is_none(e):
    """An announcement of somebody else's own address (RFC 5227 2.3)"""
    before = stat()
    wire(e.claim("02:00:00:00:67:02", "10.1.0.99"))
    e.net.fence()
    assert stat()["ism:acd.conflicts"] == before["ism:acd.conflicts"]


# ---- the life of a neighbour

@scenario()
def incomplete_three_questions_a_second_apart_then_failed(e):
    """What waits is dropped; connect() fails soon; no question for 3 s (RFC 4861 7.2.2, 10; 1122 2.3.2.1)"""
    addr, _ = e.station()
    before = stat()
    e.frames()
    e.datagram_to(addr)
    times = [e.wait(e.asks(addr), 3)[0] for _ in range(3)]
    assert all(0.85 <= b - a <= 1.25 + LATE for a, b in zip(times, times[1:])), times
    e.quiet(e.asks(addr), 2.5)
    assert stat()["ism:drop.neigh_failed"] > before["ism:drop.neigh_failed"]
    e.datagram_to(addr)
    e.quiet(e.asks(addr), 0.2)


@scenario()
def incomplete_what_waits_leaves_when_the_answer_comes(e):
    """All of it in order, to the address that was named (RFC 4861 7.2.2, 7.2.5; 1122 2.3.2.2)"""
    addr, mac = e.station()
    e.frames()
    for i in range(4):
        e.datagram_to(addr, b"hello%d" % i)
    e.wait(e.asks(addr))
    wire(e.answer(addr, mac))
    for i in range(4):
        e.wait(e.carries(addr, mac, b"hello%d" % i))


@scenario()
def nobody_is_believed_who_was_not_asked(e):
    """An answer without a question makes no entry (RFC 4861 7.2.5; a bound of our own for ARP)"""
    addr, mac = e.station()
    wire(e.answer(addr, mac))
    wire(e.answer(addr, mac, solicited=0, dst="ff02::1"))
    e.net.fence()
    e.frames()
    e.datagram_to(addr)
    e.wait(e.asks(addr))
    wire(e.answer(addr, mac))
    e.wait(e.carries(addr, mac))


@scenario()
def who_asks_for_us_is_known(e):
    """He need not be asked (RFC 826; 4861 7.2.3)"""
    addr, mac = e.station()
    wire(e.question(addr, mac))
    e.net.fence()
    e.frames()
    e.datagram_to(addr)
    e.wait(e.carries(addr, mac))
    assert not [p for _, p in e.heard if e.asks(addr)(p)], "he was asked"


@scenario()
def reachable_nobody_asks(e):
    """A neighbour that has just answered is used without questions (RFC 4861 7.3.2)"""
    addr, mac = e.station()
    e.know(addr, mac)
    for i in range(5):
        e.datagram_to(addr, b"again%d" % i)
        e.wait(e.carries(addr, mac, b"again%d" % i))
    assert not [p for _, p in e.heard[-5:] if e.asks(addr)(p) or e.asks(addr, mac)(p)]


@scenario()
def a_live_neighbour_is_not_taken_over(e):
    """Another address for him only makes npp ask the known one (RFC 4861 7.2.5, 7.3.3; a bound of our own for override)"""
    addr, mac = e.station()
    e.know(addr, mac)
    thief = "02:00:00:00:66:06"
    before = stat()
    for claim in (e.answer(addr, thief), e.question(addr, thief)):
        e.frames()
        wire(claim)
        e.wait(e.asks(addr, mac))
        wire(e.answer(addr, mac))
        e.net.fence()
        e.datagram_to(addr, b"mine")
        e.wait(e.carries(addr, mac, b"mine"))
    assert stat()["ism:arp.conflicts"] >= before["ism:arp.conflicts"] + 2


@scenario()
def a_neighbour_that_moved_is_found_again(e):
    """The known address is asked twice alone, then everybody, and who answers then is believed (RFC 4861 7.3.3)"""
    addr, mac = e.station()
    new = mac[:-2] + "ff"
    e.know(addr, mac)
    e.frames()
    wire(e.question(addr, new))
    e.wait(e.asks(addr, mac))
    e.wait(e.asks(addr, mac))
    e.wait(e.asks(addr))
    wire(e.answer(addr, new))
    e.net.fence()
    e.datagram_to(addr, b"moved")
    e.wait(e.carries(addr, new, b"moved"))


def short_times(e, reachable=1000, retrans=0):
    wire(e.ra(reachabletime=reachable, retranstimer=retrans))
    e.net.fence()
    time.sleep(0.2)     # over nppd, and back


@scenario(families=(6,))
def stale_is_used_and_asked_alone(e):
    """After the reachable time that a router has named (here 1 s, so 0.5 to 1.5 s): the datagram goes at once, a question to the
    known address with it; an answer makes it REACHABLE (RFC 4861 6.3.4, 7.3.1, 7.3.2)"""
    addr, mac = e.station()
    short_times(e)
    e.know(addr, mac)
    time.sleep(1.7)
    e.frames()
    e.datagram_to(addr, b"stale")
    e.wait(e.asks(addr, mac))
    wire(e.answer(addr, mac))
    if not [p for _, p in e.heard if e.carries(addr, mac, b"stale")(p)]:  # one or the other may be first
        e.wait(e.carries(addr, mac, b"stale"))
    e.net.fence()
    e.quiet(e.asks(addr, mac), 0.4)


@scenario(families=(6,))
def probe_two_alone_then_three_to_all_then_failed(e):
    """By the interval that a router has named, here 300 ms (RFC 4861 6.3.4, 7.3.3, 10)"""
    addr, mac = e.station()
    short_times(e, 1000, 300)
    e.know(addr, mac)
    time.sleep(1.7)
    e.frames()
    e.datagram_to(addr, b"probe")
    e.heard.clear()
    times = [e.wait(e.asks(addr, mac))[0] for _ in range(2)] + [e.wait(e.asks(addr))[0] for _ in range(3)]
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert all(0.25 <= g <= 0.55 + LATE for g in gaps), gaps
    e.quiet(lambda p: e.asks(addr)(p) or e.asks(addr, mac)(p), 1.0)
    short_times(e, 0, 1000)


@scenario(families=(6,))
def an_idle_neighbour_is_left_alone(e):
    """No question without a use (RFC 4861 7.3.2)"""
    addr, mac = e.station()
    short_times(e)
    e.know(addr, mac)
    e.quiet(lambda p: e.asks(addr)(p) or e.asks(addr, mac)(p), 3)


@scenario(families=(6,))
def progress_of_tcp_confirms(e):
    """A connection whose data is acknowledged asks nothing, or one question at its start (RFC 4861 7.3.1)"""
    short_times(e, 4000)
    c = Conn(e.net, 6, PORT, addr=7)
    assert c.open()
    e.puppet.do("accepted", keys=[c.key])
    e.frames()
    asked = 0
    for _ in range(70):
        e.puppet.do("send", keys=[c.key], n=10)
        assert c.expect(lambda s: s.data and not s.again)
        c.ack()
        asked += len([1 for _, p in e.frames() if ICMPv6ND_NS in p and p[ICMPv6ND_NS].tgt == c.addr])
        time.sleep(0.1)
    assert asked <= 1, asked
    c.send("R")
    short_times(e, 30000)


@scenario(families=(4,), soak=True)
def reachable_for_30_seconds(e):
    """Then asked alone when used (RFC 1122 2.3.2.1; 4861 10)"""
    addr, mac = e.station()
    e.know(addr, mac)
    for _ in range(27):
        time.sleep(1)
        e.frames()
        e.datagram_to(addr)
        e.wait(e.carries(addr, mac))
        assert not [p for _, p in e.heard if e.asks(addr, mac)(p)], "asked too early"
        e.heard.clear()
    time.sleep(5)
    e.datagram_to(addr)
    e.wait(e.asks(addr, mac))
    wire(e.answer(addr, mac))


# ---- advertisements

def auto(prefix):
    return socket.inet_ntop(socket.AF_INET6, raw6(prefix)[:8] + raw6(NPP_LL)[8:])


def prefix(p, **kw):
    return ICMPv6NDOptPrefixInfo(**{"prefix": p, "prefixlen": 64, "L": 1, "A": 1, "validlifetime": 7200, "preferredlifetime": 7200, **kw})


@scenario(families=(6,))
def advertisements_that_make_no_sense_are_dropped(e):
    """From beyond a router, not from a link-local address, with a code, cut short, an option without a length or beyond the end, in front
    of a sound one: counted, and nothing of them counts (RFC 4861 6.1.2)"""
    good = prefix("fd00:0:0:a0::")
    whole = bytes(e.ra(good))
    short = bytearray(bytes(e.ra()))[:14 + 40 + 12]
    short[14 + 4:14 + 6] = (12).to_bytes(2, "big")
    bad = [e.ra(good, hlim=254), e.ra(good, src="fd00:0:0:1::40"), e.ra(good, src="::"), e.ra(good, code=1),
           e.ra(Raw(b"\x01\x00" + bytes(6)), good), e.ra(good, Raw(b"\x01\x00" + bytes(6))), e.ra(good, Raw(b"\x01\x09" + bytes(6)))]
    before = stat()
    for p in bad:
        wire(p)
    e.net.fence()
    now = stat()
    assert now["ism:drop.nd"] - before["ism:drop.nd"] == len(bad), (now["ism:drop.nd"] - before["ism:drop.nd"], len(bad))
    # A checksum that is wrong, and a body that is too short (its checksum made right by hand).
    broken = bytearray(whole)
    broken[14 + 40 + 2] ^= 0x55
    before = stat()
    wire(bytes(broken))
    body = short[54:]
    body[2:4] = b"\0\0"
    from peer import checksum
    pseudo = bytes(short[14 + 8:14 + 40]) + len(body).to_bytes(4, "big") + bytes((0, 0, 0, 58))
    body[2:4] = checksum(pseudo + bytes(body)).to_bytes(2, "big")
    wire(bytes(short[:54]) + bytes(body))
    e.net.fence()
    now = stat()
    rose = sum(now[k] - before.get(k, 0) for k in now if "drop" in k)
    assert rose == 2, {k: now[k] - before.get(k, 0) for k in now if "drop" in k and now[k] != before.get(k, 0)}
    assert e.pings(auto("fd00:0:0:a0::"), 0.4) is None


@scenario(families=(6,))
def prefixes_that_cannot_be_are_passed_over(e):
    """A length beyond 128 or of 0, preferred longer than valid, multicast, link-local, nothing asked of it, no 64 bits, an option of another
    size; what else the advertisement says counts (RFC 4862 5.5.3; 4861 6.3.4)"""
    wrong = [prefix("fd00:0:0:a1::", prefixlen=129), prefix("fd00:0:0:a2::", prefixlen=0),
             prefix("fd00:0:0:a3::", validlifetime=60, preferredlifetime=61), prefix("ff02::", prefixlen=64), prefix("fe80::"),
             prefix("fd00:0:0:a4::", L=0, A=0), prefix("fd00:0:0:a5::", prefixlen=63, L=0), prefix("fd00:0:0:a6::", validlifetime=0, preferredlifetime=0)]
    half = Raw(bytes(prefix("fd00:0:0:a7::"))[:1] + b"\x02" + bytes(prefix("fd00:0:0:a7::"))[2:16])
    for o in wrong + [half]:
        wire(e.ra(o))
    wire(e.ra(*wrong, half, prefix("fd00:0:0:a9::")))
    end = time.monotonic() + 5 * SLOW
    while not e.pings(auto("fd00:0:0:a9::"), 0.3):
        assert time.monotonic() < end, "the sound one does not count"
    for i in (1, 2, 3, 4, 5, 6, 7):
        assert e.pings(auto(f"fd00:0:0:a{i}::"), 0.15) is None, i


@scenario(families=(6,))
def an_address_that_answers_to_its_test_is_not_used(e):
    """Somebody has it already: it is given up, and the conflict shown (RFC 4862 5.4.5)"""
    a = auto("fd00:0:0:ab::")
    e.frames()
    wire(e.ra(prefix("fd00:0:0:ab::")))
    e.wait(lambda p: ICMPv6ND_NS in p and p[IPv6].src == "::" and p[ICMPv6ND_NS].tgt == a)
    wire(e.claim("02:00:00:00:66:08", a))
    e.net.fence()
    end = time.monotonic() + 5 * SLOW
    while e.pings(a, 0.2):
        assert time.monotonic() < end, "it is still used"


@scenario(families=(6,))
def the_mtu_of_the_link_is_kept_within_bounds(e):
    """From 1280 to that of the port; others change nothing (RFC 4861 6.3.4)"""
    def largest():
        """IPv6 bytes of a fragment of 1450 bytes, or of the whole."""
        e.frames()
        e.datagram_to("fd00:0:0:1::44", b"x" * 1400)
        return len(e.wait(lambda p: IPv6 in p and p[IPv6].dst == "fd00:0:0:1::44" and p[IPv6].nh in (17, 44))[1][IPv6])
    assert largest() == 1448
    for mtu, want in (1300, 1300), (1279, 1300), (0, 1300), (9000, 1300), (1500, 1500):
        wire(e.ra(ICMPv6NDOptMTU(mtu=mtu)))
        e.net.fence()
        time.sleep(0.3)
        n = largest()
        assert (n == 1448) if want == 1500 else (want - 8 < n <= want), (mtu, n)


@scenario(families=(6,))
def the_hop_limit_of_the_link_is_used(e):
    """0 says nothing (RFC 4861 6.3.4)"""
    for chlim, want in (33, 33), (0, 33), (64, 64):
        wire(e.ra(chlim=chlim))
        e.net.fence()
        time.sleep(0.3)
        p = e.pings(NPP6)
        assert p and p[IPv6].hlim == want, (chlim, p and p.summary())


@scenario(families=(6,))
def no_more_than_eight_routers_and_prefixes_are_kept(e):
    """Who comes first stays (a bound of our own); nothing else suffers"""
    for i in range(40):
        wire(e.ra(prefix(f"fd00:0:1:{i:x}::"), src=f"fe80::77:{i:x}", routerlifetime=30))
    e.net.fence()
    time.sleep(0.3)
    there = [i for i in range(40) if e.pings(auto(f"fd00:0:1:{i:x}::"), 0.1)]
    assert len(there) <= 8, there   # NPP_AUTO_MAX
    assert e.pings(NPP6) and e.pings(NPP_LL) is not None


def main():
    stay_on_one_core()
    net, puppet, only, n = Net(), Puppet(), sys.argv[1:], 0
    assert MAC and OUR_IP and ICMP
    puppet.do("listen", port=PORT)
    net.fence()
    for f, families, soak in SCENARIOS:
        if (only and f.__name__ not in only) or (soak and not SOAK and not only):
            continue
        for family in families:
            n += 1
            name = f"{f.__name__.replace('_', ' ')}, {'ARP' if family == 4 else 'ND'}"
            e = Env(net, puppet, family, n)
            try:
                f(e)
                result(True, name)
            except Exception:  # noqa: BLE001
                result(False, name, traceback.format_exc())
            finally:
                if e.key:
                    puppet.do("close", keys=[e.key])
                e.cap.close()
    done()


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-2.0-or-later
# multicast.py - groups over the wire: what is reported to which querier, what is let in, what goes out
#
# usage: multicast.py [NAME...]
#
# A scenario is a function; its documentation is what must be so, and the RFC. They run one after the
# other, since all of them are about the one membership state of the link, but over IPv4 (IGMP) and
# IPv6 (MLD) at the same time, unless they are to be alone (restarts, counters of both). We are the
# querier, other members and other senders.
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback

from npppkt import NPP_MAC, SLOW, done, pids, result, stat, wire
from peer import MAC, Net, Puppet, checksum, npp, our, stay_on_one_core
from scapy.all import IP, UDP, Ether, IPv6, Raw

PORT = 7021
IS_IN, IS_EX, TO_IN, TO_EX, ALLOW, BLOCK = range(1, 7)
LATE = 1.0 * SLOW
SCENARIOS = []
NPP_MAC_RAW = bytes.fromhex(NPP_MAC.replace(":", ""))
QUERIER = {4: "10.1.0.64", 6: "fe80::77"}


def scenario(families=(4, 6), alone=False):
    def add(f):
        SCENARIOS.append((f, families, alone))
        return f
    return add


def raw(family, addr):
    return socket.inet_pton(socket.AF_INET if family == 4 else socket.AF_INET6, addr)


def text(family, b):
    return socket.inet_ntop(socket.AF_INET if family == 4 else socket.AF_INET6, b)


def group_mac(family, group):
    g = raw(family, group)
    return bytes((1, 0, 0x5e, g[1] & 0x7f, g[2], g[3])) if family == 4 else b"\x33\x33" + g[12:]


class Message:
    """An IGMP or MLD message of npp; kind: report (of the newest version), join or leave (of an older one)."""

    def __init__(self, family, dst, proto, l4, when):
        self.family, self.dst, self.when, self.records, self.group, self.kind = family, dst, when, {}, None, None
        if family == 6:
            if proto != 0 or l4[0] != 58 or l4[2:6] != b"\x05\x02\0\0":   # hop-by-hop header with router alert, no other
                return
            l4 = l4[8:]
        elif proto != 2:
            return
        self.type, size = l4[0], 4 if family == 4 else 16
        if self.type in (0x22, 143):
            self.kind, at = "report", 8
            for _ in range(int.from_bytes(l4[6:8], "big")):
                n = int.from_bytes(l4[at + 2:at + 4], "big")
                g = text(family, l4[at + 4:at + 4 + size])
                at += 4 + size
                self.records.setdefault(g, []).append((l4[at - 4 - size], sorted(text(family, l4[at + i * size:at + (i + 1) * size]) for i in range(n))))
                at += n * size
        elif self.type in (0x12, 0x16, 0x17, 131, 132):
            self.kind = "leave" if self.type in (0x17, 132) else "join"
            self.group = text(family, l4[4:8] if family == 4 else l4[8:24])

    def __repr__(self):
        return f"<{self.kind} to {self.dst} {self.group or self.records}>"


class Env:
    def __init__(self, net, puppet, family, n):
        self.net, self.puppet, self.family, self.n, self.keys = net, puppet, family, n, []
        self.level = socket.IPPROTO_IP if family == 4 else socket.IPPROTO_IPV6

    def group(self, i=0):
        """A group that no other scenario uses."""
        return f"239.77.{self.n}.{i}" if self.family == 4 else f"ff15::77:{self.n:x}:{i:x}"

    # ---- the program

    def socket(self, name, port=PORT, **kw):
        key = f"{name}|{self.n}|{self.family}"
        self.puppet.do("datagram_socket", key=key, family=self.family, port=port, **kw)
        self.keys.append(key)
        return key

    def storage(self, addr):
        if self.family == 4:
            b = struct.pack("=HH4s", socket.AF_INET, 0, raw(4, addr))
        else:
            b = struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, raw(6, addr), 0)
        return b.ljust(128, b"\0")

    def option(self, key, name, group, source=None):
        names = {"join": 42, "leave": 45, "join-source": 46, "leave-source": 47, "block": 43, "unblock": 44}  # MCAST_*
        value = struct.pack("=Q", 0) + self.storage(group) + (self.storage(source) if source else b"")
        self.puppet.do("set", keys=[key], options=[[self.level, names[name], value.hex()]])

    def member(self, name, group, **kw):
        key = self.socket(name, **kw)
        self.option(key, "join", group)
        return key

    def close(self, key):
        self.puppet.do("close", keys=[key])
        self.keys.remove(key)

    def got(self, key, n=1, timeout=5.0 * SLOW):
        return [bytes.fromhex(d) for d, _ in self.puppet.do("datagrams", key=key, n=n, timeout=timeout)]

    # ---- the wire

    def messages(self, since=0):
        with self.net.lock:
            return [x for x in (Message(*o) for o in self.net.others if o[4] >= since and o[0] == self.family) if x.kind]

    def hear(self, want, since, seconds=3.0, n=1):
        """N messages since SINCE for which WANT is true."""
        r = self.net.wait(lambda: (lambda got: got if len(got) >= n else None)([x for x in self.messages(since) if want(x)]), seconds)
        assert r, f"not heard {n} times; what came: {self.messages(since)}"
        return r

    def quiet(self, want, since, seconds):
        """None for which WANT is true comes for so long."""
        time.sleep(max(0, since + seconds - time.time()))
        self.net.fence()
        got = [x for x in self.messages(since) if want(x)]
        assert not got, f"should not have come: {got}"

    def query(self, group=None, version=3, resp=1.0, sources=(), robust=2, dst=None, src=None, ttl=1, lie=None, cut=0):
        """A query of the version of IGMP, MLD counting from 2; RESP in seconds."""
        f = self.family
        g = raw(f, group) if group else bytes(4 if f == 4 else 16)
        n = len(sources) if lie is None else lie
        tail = b"" if version < 3 else struct.pack("!BBH", robust, 125, n) + b"".join(raw(f, s) for s in sources)
        dst = dst or group or ("224.0.0.1" if f == 4 else "ff02::1")
        src = src or QUERIER[f]
        if f == 4:
            b = struct.pack("!BBH", 0x11, 0 if version == 1 else int(resp * 10), 0) + g + tail
            b = b[:len(b) - cut]
            b = b[:2] + checksum(b).to_bytes(2, "big") + b[4:]
            h = struct.pack("!BBHHHBBH", 0x46, 0xc0, 24 + len(b), 0, 0, ttl, 2, 0) + raw(4, src) + raw(4, dst) + b"\x94\4\0\0"
            h = h[:10] + checksum(h).to_bytes(2, "big") + h[12:]
            return self.frame(b"\x08\0" + h + b, dst)
        b = struct.pack("!BBHHH", 130, 0, 0, int(resp * 1000), 0) + g + tail
        b = b[:len(b) - cut]
        pseudo = raw(6, src) + raw(6, dst) + struct.pack("!II", len(b), 58)
        b = b[:2] + checksum(pseudo + b).to_bytes(2, "big") + b[4:]
        h = struct.pack("!IHBB", 6 << 28, 8 + len(b), 0, ttl) + raw(6, src) + raw(6, dst)
        return self.frame(b"\x86\xdd" + h + b"\x3a\0\5\2\0\0\1\0" + b, dst)

    def report(self, group, version=2):
        """Another member's report, of an older version."""
        f, src = self.family, our(4, 3) if self.family == 4 else "fe80::78"
        if f == 4:
            b = struct.pack("!BBH", 0x16 if version == 2 else 0x12, 0, 0) + raw(4, group)
            b = b[:2] + checksum(b).to_bytes(2, "big") + b[4:]
            h = struct.pack("!BBHHHBBH", 0x46, 0xc0, 24 + len(b), 0, 0, 1, 2, 0) + raw(4, src) + raw(4, group) + b"\x94\4\0\0"
            h = h[:10] + checksum(h).to_bytes(2, "big") + h[12:]
            return self.frame(b"\x08\0" + h + b, group)
        b = struct.pack("!BBHHH", 131, 0, 0, 0, 0) + raw(6, group)
        pseudo = raw(6, src) + raw(6, group) + struct.pack("!II", len(b), 58)
        b = b[:2] + checksum(pseudo + b).to_bytes(2, "big") + b[4:]
        h = struct.pack("!IHBB", 6 << 28, 8 + len(b), 0, 1) + raw(6, src) + raw(6, group)
        return self.frame(b"\x86\xdd" + h + b"\x3a\0\5\2\0\0\1\0" + b, group)

    def frame(self, rest, dst):
        return group_mac(self.family, dst) + bytes.fromhex(MAC.replace(":", "")) + rest

    def data(self, group, body, src=None, port=PORT):
        """A datagram to a group."""
        ip = IP if self.family == 4 else IPv6
        hops = {"ttl": 4} if self.family == 4 else {"hlim": 4}
        return bytes(Ether(src=MAC, dst=":".join(f"{x:02x}" for x in group_mac(self.family, group))) /
                     ip(src=src or our(self.family), dst=group, **hops) / UDP(sport=5000, dport=port) / Raw(body))


def forget_queriers(e):
    """A new process in the link role starts without a querier of an older version, and reports all."""
    subprocess.run([os.environ["NPP"], "restart", "ism", "0", os.environ["NPP_TARGET"]], check=True, capture_output=True, timeout=60 * SLOW)
    for _ in range(100):
        try:
            pids()
            e.net.fence()
            break
        except RuntimeError:
            time.sleep(0.05)
    time.sleep(2.5)         # its first reports are over


def record(group, kind, sources=()):
    """Is it a report with this record?"""
    return lambda x: (kind, sorted(sources)) in x.records.get(group, [])


def about(group):
    return lambda x: group in x.records or x.group == group


# ---- what is reported

@scenario()
def a_group_is_reported_when_joined_and_left_each_twice(e):
    """TO_EX {} and TO_IN {}, at once and again within a second, to all routers of the newest version (RFC 3376 5.1; 3810 6.1)"""
    g, routers = e.group(), "224.0.0.22" if e.family == 4 else "ff02::16"
    for kind, do in (TO_EX, lambda: e.member("a", g)), (TO_IN, lambda: e.close(e.keys[0])):
        began = time.time()
        do()
        got = e.hear(record(g, kind), began, n=2)
        assert all(x.dst == routers for x in got), got
        assert got[0].when - began < LATE and got[1].when - got[0].when <= 1 + LATE, [x.when - began for x in got]
        e.quiet(about(g), got[1].when + 0.001, 1.3)


@scenario()
def only_the_first_and_the_last_member_count(e):
    """Other sockets of the same group change nothing on the link (RFC 3376 3.2; 3810 4.2)"""
    g = e.group()
    a = e.member("a", g)
    began = time.time()
    e.hear(record(g, TO_EX), 0, n=2)
    b = e.member("b", g)
    e.close(a)
    e.quiet(about(g), max(began, e.messages()[-1].when) + 0.001, 1.3)
    began = time.time()
    e.close(b)
    e.hear(record(g, TO_IN), began)


@scenario()
def sources_are_reported_by_difference(e):
    """ALLOW for a first and a second source, BLOCK for one that goes (RFC 3376 5.1; 3810 6.1)"""
    g, s1, s2 = e.group(), our(e.family, 1), our(e.family, 2)
    a = e.socket("a")
    for do, s, kind in ("join-source", s1, ALLOW), ("join-source", s2, ALLOW), ("leave-source", s1, BLOCK), ("leave-source", s2, BLOCK):
        began = time.time()
        e.option(a, do, g, s)
        got = e.hear(record(g, kind, [s]), began, n=2)
        e.quiet(about(g), got[1].when + 0.001, 1.2)


@scenario()
def an_exclusion_is_reported_with_its_sources(e):
    """BLOCK for a source that is shut out of a group joined for all, ALLOW when it is let in again (RFC 3376 5.1)"""
    g, s = e.group(), our(e.family, 1)
    a = e.member("a", g)
    e.hear(record(g, TO_EX), 0, n=2)
    for do, kind in ("block", BLOCK), ("unblock", ALLOW):
        began = time.time()
        e.option(a, do, g, s)
        e.hear(record(g, kind, [s]), began, n=2)


@scenario()
def two_filters_are_one_on_the_link(e):
    """A member for all and one for a source: TO_EX {} (RFC 3376 3.2)"""
    g, s = e.group(), our(e.family, 1)
    a = e.socket("a")
    e.option(a, "join-source", g, s)
    e.hear(record(g, ALLOW, [s]), 0, n=2)
    began = time.time()
    b = e.member("b", g)
    e.hear(record(g, TO_EX), began, n=2)
    began = time.time()
    e.close(b)
    e.hear(record(g, TO_IN, [s]), began)


# ---- what is answered

@scenario()
def a_general_query_is_answered_by_one_report(e):
    """For all groups, within the time it allows, not at once (RFC 3376 5.2, 9.1; 3810 6.2)"""
    g1, g2, s = e.group(1), e.group(2), our(e.family, 1)
    e.member("a", g1)
    e.option(e.socket("b"), "join-source", g2, s)
    e.hear(lambda x: record(g1, TO_EX)(x), 0, n=2)
    e.hear(lambda x: record(g2, ALLOW, [s])(x), 0, n=2)
    time.sleep(0.1)
    began = time.time()
    wire(e.query(resp=2))
    got = e.hear(record(g1, IS_EX), began, 4)
    assert record(g2, IS_IN, [s])(got[0]), got
    assert 0.009 <= got[0].when - began <= 2 + LATE, got[0].when - began
    assert all(h not in got[0].records for h in ("224.0.0.1", "ff02::1")), got
    e.quiet(about(g1), got[0].when + 0.001, 1.0)


@scenario()
def a_query_of_one_group_is_about_no_other(e):
    """IS_EX for it alone; nothing for a group that nobody has joined (RFC 3376 5.2)"""
    g1, g2 = e.group(1), e.group(2)
    e.member("a", g1)
    e.member("b", g2)
    e.hear(record(g2, TO_EX), 0, n=2)
    time.sleep(0.1)
    began = time.time()
    wire(e.query(g1))
    wire(e.query(e.group(3)))
    got = e.hear(record(g1, IS_EX), began)
    assert list(got[0].records) == [g1], got
    e.quiet(lambda x: about(g2)(x) or about(e.group(3))(x), began, 1.5)


@scenario()
def a_query_of_sources_is_answered_by_those_that_are_wanted(e):
    """IS_IN with what both have, or without what is shut out; silence if that is nothing (RFC 3376 5.2 table)"""
    g1, g2, s1, s2 = e.group(1), e.group(2), our(e.family, 1), our(e.family, 2)
    e.option(e.socket("a"), "join-source", g1, s1)
    b = e.member("b", g2)
    e.option(b, "block", g2, s1)
    e.hear(about(g2), 0, n=2)
    time.sleep(1.2)
    for g, want in (g1, s1), (g2, s2):
        began = time.time()
        wire(e.query(g, sources=[s1, s2]))
        got = e.hear(about(g), began)
        assert record(g, IS_IN, [want])(got[0]), got
    began = time.time()
    wire(e.query(g1, sources=[s2]))
    wire(e.query(g2, sources=[s1]))
    e.quiet(lambda x: about(g1)(x) or about(g2)(x), began, 1.5)


@scenario()
def a_storm_of_queries_is_answered_rarely(e):
    """Of many that wait for an answer one is given (RFC 3376 5.2 rule 1; a bound of our own)"""
    g = e.group()
    e.member("a", g)
    e.hear(record(g, TO_EX), 0, n=2)
    time.sleep(0.1)
    began = time.time()
    q = e.query(resp=0.1)
    for _ in range(200):
        wire(q)
    e.hear(record(g, IS_EX), began)
    time.sleep(0.3)
    n = len([x for x in e.messages(began) if record(g, IS_EX)(x)])
    assert n <= 1 + (time.time() - began) / 0.01, n


# ---- older versions

@scenario(alone=True)
def a_querier_of_version_2_is_answered_in_its_words(e):
    """IGMPv2 and MLDv1: a report for each group, to that group; leave and done to the routers by who reported last (RFC 2236 3; 2710 4, 5; 3376 7.2.1; 3810 8.2.1)"""
    g = e.group()
    a = e.member("a", g)
    e.hear(record(g, TO_EX), 0, n=2)
    time.sleep(0.1)
    try:
        began = time.time()
        wire(e.query(version=2, resp=1))
        got = e.hear(lambda x: x.kind == "join" and x.group == g, began)
        assert got[0].dst == g and got[0].type == (0x16 if e.family == 4 else 131), got
        assert 0.009 <= got[0].when - began <= 1 + LATE
        assert not [x for x in e.messages(began) if x.kind == "report"], e.messages(began)
        began = time.time()
        wire(e.query(g, version=2, resp=1))     # of one group
        e.hear(lambda x: x.kind == "join" and x.group == g, began)
        began = time.time()
        wire(e.query(resp=1))                   # of the newest version: still in the older words
        e.hear(lambda x: x.kind == "join" and x.group == g, began)
        e.quiet(lambda x: x.kind == "report", began, 1.2)
        began = time.time()
        e.close(a)
        got = e.hear(lambda x: x.kind == "leave", began)
        assert got[0].group == g and got[0].dst == ("224.0.0.2" if e.family == 4 else "ff02::2"), got
    finally:
        forget_queriers(e)


@scenario(alone=True)
def another_members_report_is_enough(e):
    """While an older querier is there: no report of ours before the time is over, and no leave (RFC 2236 3; 2710 4)"""
    g = e.group()
    a = e.member("a", g)
    e.hear(record(g, TO_EX), 0, n=2)
    try:
        wire(e.query(version=2, resp=0.1))
        e.hear(lambda x: x.kind == "join" and x.group == g, 0)
        time.sleep(0.5)
        for _ in range(5):      # after the longest of its ways our report may have been first, rarely
            began = time.time()
            wire(e.query(g, version=2, resp=20))
            wire(e.report(g))
            e.net.fence()
            if not [x for x in e.messages(began) if x.group == g]:
                break
        began = time.time()
        e.quiet(about(g), began, 2)
        e.close(a)
        e.quiet(lambda x: x.kind == "leave", began, 2.5)
    finally:
        forget_queriers(e)


@scenario(families=(4,), alone=True)
def a_querier_of_version_1_hears_no_leave(e):
    """IGMPv1 reports, and nothing when the group is left (RFC 1112; 3376 7.2.1)"""
    g = e.group()
    a = e.member("a", g)
    e.hear(record(g, TO_EX), 0, n=2)
    try:
        began = time.time()
        wire(e.query(version=1))
        got = e.hear(lambda x: x.kind == "join" and x.group == g, began, 12)
        assert got[0].type == 0x12 and got[0].dst == g, got
        began = time.time()
        e.close(a)
        e.quiet(lambda x: x.kind in ("leave", "report"), began, 2)
    finally:
        forget_queriers(e)


@scenario(alone=True)
def a_new_process_in_the_role_reports_all(e):
    """Every group again, when the process with the link role was replaced (RFC 3376 5.1)"""
    g = e.group()
    e.member("a", g)
    e.hear(record(g, TO_EX), 0, n=2)
    began = time.time()
    forget_queriers(e)
    e.hear(record(g, TO_EX), began, n=2)


# ---- nonsense

@scenario()
def queries_that_make_no_sense_change_nothing(e):
    """Another hop limit, no link-local source (MLD), cut short, more sources than there are, sources of no group, about no group,
    a general one to somewhere else (RFC 3376 4, 9.1; 3810 5.1.14, 6.2); each is a counted drop"""
    g = e.group()
    e.member("a", g)
    e.hear(record(g, TO_EX), 0, n=2)
    time.sleep(0.1)
    other = our(e.family, 5)
    bad = [e.query(ttl=2), e.query(cut=1), e.query(g, sources=[other], lie=9), e.query(sources=[other]), e.query(other, dst=g),
           e.query(dst=g), e.query(cut=3)]
    if e.family == 6:
        bad.append(e.query(src=our(6)))
    name = "ism:drop.igmp" if e.family == 4 else "ism:drop.mld"
    before, began = stat(), time.time()
    for q in bad:
        wire(q)
    e.net.fence()
    now = stat()
    assert now[name] - before[name] == len(bad), (now[name] - before[name], len(bad))
    e.quiet(about(g), began, 1.5)


@scenario(alone=True)
def a_wrong_checksum_is_a_counted_drop(e):
    """(RFC 3376 4.1.2; 3810 5.1)"""
    g = e.group()
    e.member("a", g)
    e.hear(record(g, TO_EX), 0, n=2)
    time.sleep(0.1)
    q = bytearray(e.query())
    q[14 + (24 if e.family == 4 else 48) + 2] ^= 0x55
    before, began = stat(), time.time()
    wire(bytes(q))
    e.net.fence()
    now = stat()
    rose = [k for k in now if "drop" in k and now[k] > before.get(k, 0)]
    assert rose, "not counted"
    e.quiet(about(g), began, 1.5)


# ---- data

@scenario(alone=True)
def data_reaches_members_and_nobody_else(e):
    """Each member one copy; by source where it said so; not a socket of the same port without the group (RFC 1112 7; 3376 2; 3678)"""
    g, s1, s2 = e.group(), our(e.family, 1), our(e.family, 2)
    all_, only, but = e.member("all", g), e.socket("only"), e.member("but", g)
    e.option(only, "join-source", g, s1)
    e.option(but, "block", g, s1)
    other = e.member("other", e.group(1))
    bound = e.member("bound", g, port=PORT + 1)
    for i in range(8):
        wire(e.data(g, b"one%d" % i, src=s1))
        wire(e.data(g, b"two%d" % i, src=s2))
    e.net.fence()
    got = {k: [d[:3] for d in e.got(k, n)] for k, n in ((all_, 16), (only, 8), (but, 8))}
    assert got[all_].count(b"one") == got[all_].count(b"two") == 8, got
    assert got[only] == [b"one"] * 8 and got[but] == [b"two"] * 8, got
    for k in all_, only, but, bound:
        assert e.got(k, 1, 0.2) == [], k
    # IP_MULTICAST_ALL is on by default: a wildcard socket hears groups that others here have joined.
    assert len(e.got(other, 16, 0.5)) in (0, 16)


@scenario(alone=True)
def what_nobody_has_joined_is_not_let_in(e):
    """Neither before the group is joined nor after it was left (a bound of our own: the dispatcher keeps it out)"""
    g = e.group()

    def dropped():
        before = stat()
        for _ in range(4):
            wire(e.data(g, b"x"))
        end = time.monotonic() + 5 * SLOW
        while time.monotonic() < end:
            now = stat()
            rose = sum(now[k] - before.get(k, 0) for k in ("dispatch:drop.ip_dst", "ism:drop.group"))
            if rose >= 4:
                return rose
            time.sleep(0.05)
        return 0
    assert dropped() == 4
    a = e.member("a", g)
    wire(e.data(g, b"y"))
    assert e.got(a) == [b"y"]
    e.close(a)
    assert dropped() == 4


@scenario(alone=True)
def data_from_a_source_that_is_not_wanted_is_counted(e):
    """(drop.group)"""
    g, s1, s2 = e.group(), our(e.family, 1), our(e.family, 2)
    a = e.socket("a")
    e.option(a, "join-source", g, s1)
    before = stat()
    wire(e.data(g, b"no", src=s2))
    wire(e.data(g, b"yes", src=s1))
    assert e.got(a) == [b"yes"]
    assert stat()["ism:drop.group"] == before["ism:drop.group"] + 1


@scenario(alone=True)
def fragments_to_a_group_come_together(e):
    """Each member gets the whole (RFC 1122 3.3.2)"""
    g = e.group()
    a, b = e.member("a", g), e.member("b", g)
    body = bytes(i & 255 for i in range(3000))
    if e.family == 4:
        from scapy.all import fragment
        ip = IP(src=our(4), dst=g, ttl=4, id=77) / UDP(sport=5000, dport=PORT) / Raw(body)
        parts = fragment(ip, 1400)
    else:
        from scapy.all import IPv6ExtHdrFragment, fragment6
        ip = IPv6(src=our(6), dst=g, hlim=4) / IPv6ExtHdrFragment(id=77) / UDP(sport=5000, dport=PORT) / Raw(body)
        parts = fragment6(ip, 1400)
    for p in parts:
        wire(bytes(Ether(src=MAC, dst=":".join(f"{x:02x}" for x in group_mac(e.family, g))) / p))
    assert e.got(a) == [body] and e.got(b) == [body]


@scenario(alone=True)
def what_goes_out_has_the_groups_ethernet_address(e):
    """Hop limit 1 unless the program says more; the members here hear it, unless it says no (RFC 1112 6.1, 6.4; 2464 7; 3493 5.2)"""
    g = e.group()
    a, s = e.member("a", g), e.socket("s", port=PORT + 2)
    cap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    cap.bind((os.environ["NPP_IF"], 0))
    cap.setsockopt(263, 1, socket.if_nametoindex(os.environ["NPP_IF"]).to_bytes(4, sys.byteorder) + (1).to_bytes(2, sys.byteorder) + bytes(10))
    cap.settimeout(0.2)
    opts = {4: ((0, 33), (0, 34)), 6: ((41, 18), (41, 19))}[e.family]  # hop limit, loop
    for n, (hops, loop) in enumerate(((1, True), (7, True), (7, False))):
        if n:
            e.puppet.do("set", keys=[s], options=[[*opts[0], hops], [*opts[1], int(loop)]])
        body = b"out%d" % n
        e.puppet.do("sendto", key=s, host=g, port=PORT, data=body.hex())
        end, seen = time.monotonic() + 5 * SLOW, None
        while not seen and time.monotonic() < end:
            try:
                f = cap.recv(70000)
            except TimeoutError:
                continue
            if body in f and f[6:12] == NPP_MAC_RAW:
                seen = f
        assert seen, "nothing left"
        assert seen[:6] == group_mac(e.family, g), seen[:6].hex()
        assert seen[22 if e.family == 4 else 21] == hops, seen[:40].hex()
        src = seen[26:30] if e.family == 4 else seen[22:38]
        assert text(e.family, src) == npp(e.family), src
        got = e.got(a, 1, 5 * SLOW if loop else 0.3)
        assert got == ([body] if loop else []), got
    cap.close()


def run(f, family, net, puppet, n, verdicts):
    e = Env(net, puppet, family, n)
    name = f"{f.__name__.replace('_', ' ')}, {'IGMP' if family == 4 else 'MLD'}"
    try:
        f(e)
        verdicts.append((True, name))
    except Exception:  # noqa: BLE001
        verdicts.append((False, name, traceback.format_exc()))
    finally:
        began = time.time()
        for key in list(e.keys):
            e.close(key)
        # What this one has left is reported twice; the next one begins after that.
        if e.messages(began - 0.5) or e.net.wait(lambda: e.messages(began), 0.2):
            time.sleep(1.1)


def main():
    stay_on_one_core()
    net, puppets, only, n = Net(), {4: Puppet(), 6: Puppet()}, sys.argv[1:], 0
    net.fence()
    for f, families, alone in SCENARIOS:
        if only and f.__name__ not in only:
            continue
        n, verdicts = n + 1, []
        threads = [threading.Thread(target=run, args=(f, x, net, puppets[x], n, verdicts)) for x in families]
        for t in threads:
            t.start()
            if alone:
                t.join()
        for t in threads:
            t.join()
        for v in verdicts:
            result(*v)
    done()


if __name__ == "__main__":
    main()

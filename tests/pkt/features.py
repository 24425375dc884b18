# SPDX-License-Identifier: GPL-2.0-or-later
# features.py - options, SACK, timestamps, windows, timers, ECN, path MTU: scenarios over the wire
#
# usage: features.py [NAME...]       NAME: scenarios to run; with NPP_SOAK=1 in the environment the long ones too
#
# A scenario is a function; its documentation is what must be so, and the RFC. All of them run at the same time,
# each with connections of its own, over IPv4 and IPv6. What must not come is known not to have come by the
# fence of peer.py. Times are those at which the kernel took the frame; a timer may be late on
# a busy machine but never early, so lower bounds are exact and upper ones generous. Where a timer of npp could
# spoil a case on a machine that was busy just then, the scenario says so (Retry) and is run again.
import os
import random
import socket
import struct
import sys
import threading
import time
import traceback

from npppkt import SLOW, done, result, wire
from peer import CWR, ECE, FIN, M32, Conn, Net, Puppet, RST, SYN, connections, less, state_of, stay_on_one_core

PORT = 7011
WAITS = 7012            # whose listener has TCP_DEFER_ACCEPT
LATE = 1.0 * SLOW       # what a timer and a frame may be late
EARLY = 0.03            # what the frame that began an interval may have been late
SCENARIOS = []


class Retry(Exception):
    pass


def scenario(families=(4, 6), soak=False):
    def add(f):
        SCENARIOS.append((f, families, soak))
        return f
    return add


class Env:
    """What a scenario needs."""

    def __init__(self, net, family):
        self.net, self.family, self.puppet, self.conns = net, family, Puppet(), []

    def conn(self, addr=0, port=PORT, **kw):
        c = Conn(self.net, self.family, port, addr, **kw)
        self.conns.append(c)
        return c

    def open(self, addr=0, wnd=65535, flags="S", **kw):
        """A connection in ESTABLISHED, and accepted."""
        c = self.conn(addr, **kw)
        c.wnd = wnd
        assert c.open(flags), "no SYN-ACK"
        self.puppet.do("accepted", keys=[c.key])
        c.flush()
        return c

    def send(self, c, n, **kw):
        return self.puppet.do("send", keys=[c.key], n=n, **kw)

    def recv(self, c, n, **kw):
        return self.puppet.do("recv", keys=[c.key], n=n, **kw)

    def set(self, c, *options):
        self.puppet.do("set", keys=[c.key], options=options)

    def fence(self):
        self.net.fence()

    def info(self, c):
        return connections().get((c.family, c.port))

    def after_fence(self, c):
        """What has come, and nothing more will at once."""
        self.fence()
        with self.net.lock:
            got = list(c.inbox)
            c.inbox.clear()
        return got


def data(c, upto, seconds=5.0):
    """Segments with new data until sequence number UPTO."""
    got = []
    while not got or less(got[-1].end, upto):
        s = c.expect(lambda s: s.data and not s.again, seconds)
        assert s, f"data up to {upto} did not come: {c.log}"
        got.append(s)
    return got


def full(c):
    """What one segment of npp can carry to C."""
    return c.mss - (12 if c.ts_on else 0)


def units(segs):
    """Payload sizes as the port cuts them."""
    for s in segs:
        n, unit = len(s.data), s.gso or len(s.data)
        while n > 0:
            yield min(n, unit)
            n -= unit


# ---- options

@scenario()
def options_are_answered_in_kind(e):
    """A SYN-ACK has what the SYN offered, and MSS always (RFC 9293 3.7.1 SHLD-5; 7323 2.2, 3.2; 2018 2)"""
    for ts in (False, True):
        for sack in (False, True):
            for ws in (None, 0, 14):
                c = e.conn(ts=ts, sack=sack, ws=ws)
                c.send("S", tsval=12345)
                s = c.expect(lambda s: s.has("SA"))
                assert s, "no SYN-ACK"
                o = s.options
                assert 2 in o and (8 in o) == ts and (4 in o) == sack and (3 in o) == (ws is not None), (ts, sack, ws, s)
                assert not ts or o[8][1] == 12345, s


@scenario()
def our_syn_offers_all(e):
    """A SYN of npp has MSS, SACK-permitted, timestamps with an echo of 0, window scale (RFC 9293 3.7.1; 7323 3.2)"""
    c = e.conn()
    e.puppet.do("connect", keys=[c.key])
    s = c.expect(lambda s: s.flags & SYN)
    assert s and {2, 3, 4, 8} <= set(s.options) and s.options[8][1] == 0 and s.options[3] <= 14, s


@scenario()
def what_was_not_agreed_is_not_used(e):
    """After a SYN-ACK without options a connection of npp uses none (RFC 7323 2.2, 3.2; 2018 2)"""
    c = e.conn()
    e.puppet.do("connect", keys=[c.key])
    assert c.expect(lambda s: s.flags & SYN), "no SYN"
    c.synopt = {}
    c.send("SA")
    assert c.expect(lambda s: s.is_only("A")), "no ACK"
    c.send("A", seq=c.o + 100, data=b"x" * 10)
    e.send(c, 1000)
    data(c, c.iss + 1 + 1000)
    assert all(not s.options for s in c.log[1:]), c.log


@scenario()
def what_a_syn_ack_carries_is_taken(e):
    """Data and FIN that come with a SYN-ACK are taken with it (RFC 9293 3.10.7.3)"""
    c = e.conn()
    e.puppet.do("connect", keys=[c.key])
    assert c.expect(lambda s: s.flags & SYN), "no SYN"
    c.synopt = {}
    c.send("SAF", data=b"hello")
    assert c.expect(lambda s: s.is_only("A") and s.ack == c.o), c.log
    assert e.recv(c, 5)["data"] == b"hello".hex()
    assert state_of(c) == "CLOSE-WAIT", state_of(c)


@scenario()
def unknown_options_are_skipped(e):
    """Any option in any segment is skipped by its length (RFC 9293 3.1 MUST-5, MUST-6)"""
    c = e.conn(ts=True, sack=True, ws=7)
    c.send("S", extra=b"\xfd\x06abcd\x01\x01")
    assert c.expect(lambda s: s.has("SA") and 8 in s.options), "SYN with an unknown option"
    c.send("A", extra=b"\x03\x03\x0e\x01")  # window scale in an ACK means nothing
    e.puppet.do("accepted", keys=[c.key])
    c.send("PA", data=b"hello", extra=b"\x63\x04xx")
    assert e.recv(c, 5)["data"] == b"hello".hex()


@scenario()
def segments_are_as_large_as_the_peer_says(e):
    """Nothing is larger than the peer's MSS less options, and data fills it (RFC 9293 3.7.1 MUST-16; 6691 2)"""
    for ts in (False, True):
        c = e.open(mss=700, ts=ts, sack=True)
        e.send(c, 5000)
        n = list(units(data(c, c.iss + 1 + 5000)))
        assert n[0] == 700 - 12 * ts and max(n) == n[0], n


@scenario()
def without_an_mss_option_the_default_holds(e):
    """536 bytes over IPv4, 1220 over IPv6 (RFC 9293 3.7.1 MUST-15)"""
    c = e.conn()
    c.send("S", options=b"")
    assert c.expect(lambda s: s.has("SA"))
    c.ack()
    e.puppet.do("accepted", keys=[c.key])
    e.send(c, 4000)
    n = list(units(data(c, c.iss + 1 + 4000)))
    assert n[0] == (536 if e.family == 4 else 1220), n


@scenario()
def our_mss_is_that_of_the_link(e):
    """The MSS option is the MTU less the headers without options (RFC 6691 2)"""
    c = e.conn(addr=8)
    c.send("S")
    s = c.expect(lambda s: s.has("SA"))
    assert s.options[2] == 1500 - (40 if e.family == 4 else 60), s


# ---- sequence numbers and the byte stream

@scenario()
def numbers_wrap(e):
    """The stream goes on beyond 2^32 (RFC 9293 3.4)"""
    c = e.conn(ts=True, sack=True, ws=7)
    c.isn = c.o = 0xfffffe00
    assert c.open()
    e.puppet.do("accepted", keys=[c.key])
    text = random.Random(7).randbytes(4000)
    for i in (1000, 0, 3000, 2000):
        c.send("PA", seq=0xfffffe01 + i, data=text[i:i + 1000])
    assert e.recv(c, 4000)["data"] == text.hex()


@scenario()
def overlaps_and_disorder_give_one_stream(e):
    """Segments may come in any order and overlap; the program reads each byte once (RFC 9293 3.10.7.4 (7))"""
    c = e.open(sack=True)
    text, rnd = random.Random(8).randbytes(6000), random.Random(9)
    pieces = [(i, i + 400 + rnd.randrange(600)) for i in range(0, 6000, 300)]
    rnd.shuffle(pieces)
    for a, b in pieces:
        c.send("A", seq=c.o + a, data=text[a:min(b, 6000)])
    assert e.recv(c, 6000)["data"] == text.hex()
    assert c.expect(lambda s: s.ack == (c.o + 6000) & M32), "not all acknowledged"


@scenario()
def a_reset_reaches_the_program(e):
    """recv() says ECONNRESET (RFC 9293 3.10.7.4 (2))"""
    c = e.open()
    c.send("R", ack=0)
    assert e.recv(c, 1)["errno"] == 104


@scenario()
def a_refused_connection_is_reported(e):
    """connect() fails with ECONNREFUSED (RFC 9293 3.10.7.3 (2))"""
    c = e.conn()
    e.puppet.do("connect", keys=[c.key])
    assert c.expect(lambda s: s.flags & SYN)
    c.send("RA", seq=0)
    end = time.monotonic() + 5 * SLOW
    while (err := int.from_bytes(bytes.fromhex(e.puppet.do("get", keys=[c.key], level=1, name=4, size=4)), "little")) == 0:
        assert time.monotonic() < end, "no error"
        time.sleep(0.01)
    assert err == 111, err


@scenario()
def the_peer_may_close_its_half_first(e):
    """After its FIN the peer still gets data (RFC 9293 3.6)"""
    c = e.open()
    c.send("FA")
    e.send(c, 3000)
    data(c, c.iss + 1 + 3000)


@scenario()
def unread_data_and_close_make_a_reset(e):
    """close() with data that nobody has read resets (RFC 9293 3.6.1; 2525 2.17)"""
    c = e.open()
    c.send("PA", data=b"x" * 100)
    assert c.expect(lambda s: s.ack == c.o)
    e.puppet.do("close", keys=[c.key])
    assert c.expect(lambda s: s.flags & RST), c.log


@scenario()
def linger_zero_makes_a_reset(e):
    """It has the next sequence number, so that the peer takes it (RFC 9293 3.10.5; 5961 3.2)"""
    c = e.open()
    e.puppet.do("abort", keys=[c.key])
    s = c.expect(lambda s: s.flags & RST)
    assert s and s.seq == c.n, c.log


# ---- TCP_INFO

@scenario()
def tcp_info_says_what_is(e):
    """State, options, scales, segment size, what is in flight and what has come (tcp(7))"""
    c = e.open(ts=True, sack=True, ws=7, wnd=60000 >> 7)

    def info():
        b = bytes.fromhex(e.puppet.do("get", keys=[c.key], level=6, name=11, size=232))
        state, ca, retransmits, probes, backoff, options, scales = b[:7]
        words = struct.unpack_from("24I", b, 8)
        return {"state": state, "options": options, "scales": (scales & 15, scales >> 4), "mss": words[2], "unacked": words[4],
                "pmtu": words[13], "advmss": words[19], "acked": struct.unpack_from("Q", b, 120)[0],
                "received": struct.unpack_from("Q", b, 128)[0], "notsent": struct.unpack_from("I", b, 144)[0]}
    c.send("PA", data=b"x" * 10)
    e.recv(c, 10)
    time.sleep(0.02)    # a brief is written at most every 10 ms
    e.send(c, 3000)
    data(c, c.iss + 1 + 3000)
    i = info()
    assert i["state"] == 1 and i["options"] & 7 == 7 and i["scales"] == (7, c.synopt[3]) and i["mss"] == full(c), i
    assert i["pmtu"] == 1500 and i["advmss"] == c.mss and i["received"] == 10 and i["acked"] == 0, i
    c.ack()
    end = time.monotonic() + 5 * SLOW
    while info()["acked"] != 3000:
        assert time.monotonic() < end, info()
        time.sleep(0.01)
    assert info()["unacked"] == 0, info()


# ---- urgent data

OOB = {"flags": socket.MSG_OOB, "timeout": 0}


def looks(e, c, want):
    """Until the program sees [at the mark, bytes before it, poll's bits]."""
    end = time.monotonic() + 5 * SLOW
    while (got := e.puppet.do("look", keys=[c.key])) != want:
        assert time.monotonic() < end, (got, want)
        time.sleep(0.01)


@scenario()
def the_urgent_pointer_points_behind_the_byte(e):
    """In both directions; one byte out of band, reads stop there (RFC 9293 3.8.5 MUST-62; 6093 4)"""
    c = e.open()
    c.send("PAU", data=b"abcXdef", urp=4)
    looks(e, c, [0, 3, 3])
    assert e.recv(c, 1, **OOB)["data"] == b"X".hex()
    assert e.recv(c, 3)["data"] == b"abc".hex()
    looks(e, c, [1, 0, 1])
    assert e.recv(c, 3)["data"] == b"def".hex()
    assert e.recv(c, 1, **OOB)["errno"] == 22
    e.send(c, 3, flags=socket.MSG_OOB)
    s = c.expect(lambda s: s.data)
    assert s and s.has("U") and s.urp == 3, s
    c.ack()
    e.send(c, 3)
    s = c.expect(lambda s: s.data)
    assert s and not s.has("U") and s.urp == 0, s


@scenario()
def a_pointer_is_told_before_its_byte(e):
    """By an empty segment too; of two the last counts (RFC 9293 3.8.5 MUST-32)"""
    c = e.open()
    c.send("AU", urp=3)
    e.fence()
    assert e.recv(c, 1, **OOB)["errno"] == 11
    c.send("PA", data=b"ab")
    looks(e, c, [0, 2, 1])
    c.send("PAU", data=b"XcY", urp=3)
    looks(e, c, [0, 4, 3])
    assert e.recv(c, 1, **OOB)["data"] == b"Y".hex()
    assert e.recv(c, 4)["data"] == b"abXc".hex()


@scenario()
def an_urgent_byte_out_of_order_can_be_read(e):
    """Before the data in front of it has come, as with Linux"""
    c = e.open(sack=True)
    c.send("PAU", seq=c.o + 5, data=b"fgX", urp=3)
    looks(e, c, [0, 0, 2])
    assert e.recv(c, 1, **OOB)["data"] == b"X".hex()
    c.send("PA", data=b"abcde")
    c.o += 3
    assert e.recv(c, 7)["data"] == b"abcdefg".hex()


@scenario()
def urgent_segments_are_cut_by_us(e):
    """A frame before the mark is one segment, each with a pointer of its own; what is sent again too"""
    c = e.open(sack=True, wnd=20000)
    e.send(c, 6000, flags=socket.MSG_OOB)
    got = data(c, c.iss + 1 + 6000)
    assert all(s.has("U") and not s.gso and (s.seq + s.urp) & M32 == (c.iss + 1 + 6000) & M32 for s in got), got
    s = c.expect(lambda s: s.again and s.data)
    assert s and s.has("U") and (s.seq + s.urp) & M32 == (c.iss + 1 + 6000) & M32, s
    c.ack()


@scenario()
def a_closed_window_hears_of_urgent_data(e):
    """With the window probe (RFC 9293 3.10.7.4 MUST-66 is the other side of it)"""
    c = e.open(wnd=0)
    e.send(c, 10, flags=socket.MSG_OOB)
    s = c.expect(lambda s: s.has("U"), 5)
    assert s and not s.data and (s.seq + s.urp) & M32 == (c.iss + 1 + 10) & M32, c.log
    c.wnd = 1000
    c.ack()
    data(c, c.iss + 1 + 10)


# ---- timestamps

@scenario()
def an_old_timestamp_is_not_taken(e):
    """PAWS: an ACK and nothing else (RFC 7323 5.3 R1)"""
    c = e.open(ts=True)
    c.send("PA", data=b"new", tsval=c.now() + 1000)
    assert c.expect(lambda s: s.ack == c.o)
    c.send("PA", seq=c.o, data=b"old", tsval=c.now() - 1000)
    s = c.expect(lambda s: s.is_only("A"))
    assert s and s.ack == c.o, s
    c.send("PA", seq=c.o, data=b"yes", tsval=c.now() + 2000)
    assert e.recv(c, 6)["data"] == b"newyes".hex()


@scenario()
def without_timestamp_it_is_dropped(e):
    """Once agreed, a segment without is dropped in silence, a RST is not (RFC 7323 3.2)"""
    c = e.open(ts=True)
    c.send("PA", seq=c.o, data=b"no", ts=False)
    assert not e.after_fence(c)
    wire(c.seg("R", options=b""))
    assert e.recv(c, 1)["errno"] == 104


@scenario()
def the_echo_is_of_what_was_acknowledged(e):
    """What stands behind a gap has its timestamp not echoed (RFC 7323 4.3)"""
    c = e.open(ts=True, sack=True)
    base = (c.now() + 1000) & M32
    c.send("PA", data=b"a" * 10, tsval=base)
    s = c.expect(lambda s: s.ack == c.o)
    assert s.options[8][1] == base, s
    c.send("PA", seq=c.o + 10, data=b"c" * 10, tsval=base + 50)
    s = c.expect(lambda s: s.is_only("A"))
    assert s.options[8][1] == base, s
    c.send("PA", data=b"b" * 10, tsval=base + 40)
    s = c.expect(lambda s: s.ack == (c.o + 10) & M32)
    assert s.options[8][1] == (base + 40) & M32, s


@scenario()
def its_clock_ticks(e):
    """Between 1 ms and 1 s a tick, never back (RFC 7323 4.1)"""
    c = e.open(ts=True)
    first = c.log[-1]
    time.sleep(1.2)
    c.send("PA", data=b"x")
    s = c.expect(lambda s: s.ack == c.o)
    ticks, ms = (s.options[8][0] - first.options[8][0]) & M32, (s.when - first.when) * 1000
    assert ms / 1000 - 1 <= ticks <= ms + 100, (ticks, ms)


# ---- SACK

@scenario()
def blocks_name_what_stands_out_of_order(e):
    """The latest block first, at most three beside timestamps, four without (RFC 2018 3, 4)"""
    for ts in (False, True):
        c = e.open(ts=ts, sack=True)
        at = [(c.o + k) & M32 for k in (1000, 3000, 5000, 7000, 9000)]
        for n, a in enumerate(at):
            c.send("A", seq=a, data=b"x" * 500)
            s = c.expect(lambda s: 5 in s.options and s.options[5][0] == (a, (a + 500) & M32))
            assert s and s.ack == c.o and len(s.options[5]) == min(n + 1, 3 if ts else 4), s
        c.send("A", seq=(c.o + 1500) & M32, data=b"y" * 750)
        c.send("A", seq=(c.o + 2250) & M32, data=b"y" * 750)
        s = c.expect(lambda s: 5 in s.options and s.options[5][0] == ((c.o + 1000) & M32, (c.o + 3500) & M32))
        assert s, c.log


@scenario()
def no_blocks_unless_agreed(e):
    """Neither side uses SACK that has not heard of it (RFC 2018 2)"""
    c = e.open(ts=True)
    c.send("A", seq=c.o + 1000, data=b"x" * 500)
    s = c.expect(lambda s: s.is_only("A"))
    assert s and s.ack == c.o and 5 not in s.options, s


@scenario()
def duplicates_are_told(e):
    """D-SACK of what was acknowledged, and of what stands out of order, with the block around it (RFC 2883 4)"""
    c = e.open(sack=True)
    c.send("PA", data=b"x" * 500)
    assert c.expect(lambda s: s.ack == c.o)
    c.send("A", seq=c.o - 500, data=b"x" * 500)
    s = c.expect(lambda s: s.is_only("A") and 5 in s.options)
    assert s and s.options[5][0] == ((c.o - 500) & M32, c.o) and s.ack == c.o, s
    c.send("A", seq=c.o + 1000, data=b"x" * 1000)
    c.send("A", seq=c.o + 1200, data=b"x" * 300)
    s = c.expect(lambda s: 5 in s.options and len(s.options[5]) == 2)
    assert s and s.options[5] == [((c.o + 1200) & M32, (c.o + 1500) & M32), ((c.o + 1000) & M32, (c.o + 2000) & M32)], c.log


@scenario()
def only_the_hole_is_sent_again(e):
    """What the peer has, by its blocks, is not sent again (RFC 6675 5; 8985 6.2)"""
    c = e.open(sack=True)
    n = full(c)
    e.send(c, 10 * n)
    data(c, c.iss + 1 + 10 * n)
    una = (c.iss + 1) & M32
    c.send("A", ack=una, sack=[(una + n, una + 10 * n)])
    s = c.expect(lambda s: s.data and s.seq == una)
    assert s and s.again and len(s.data) == n, s
    time.sleep(0.05)
    e.fence()
    last = (una + 9 * n) & M32  # a tail loss probe may have repeated that before the SACK came
    more = [s for s in c.log[2:] if s.data and s.seq not in (una, last)]
    assert not more, more


@scenario()
def three_duplicate_acks_are_a_loss(e):
    """Two are not (RFC 5681 3.2)"""
    c = e.open()
    n = full(c)
    e.send(c, 10 * n)
    began = data(c, c.iss + 1 + 10 * n)[0].when
    una = (c.iss + 1) & M32
    for _ in range(2):
        c.send("A", ack=una)
    got = [s for s in e.after_fence(c) if s.data]
    if time.time() - began > 0.18:
        raise Retry("the retransmission timer may have fired")
    assert not got, got
    c.send("A", ack=una)
    s = c.expect(lambda s: s.data, 0.1)
    if time.time() - began > 0.18:
        raise Retry("the retransmission timer may have fired")
    assert s and s.seq == una and s.again, (s, c.log)


# ---- the peer's window

@scenario()
def a_closed_window_is_probed(e):
    """After one retransmission timeout, then twice as long each time; data comes when it opens (RFC 9293 3.8.6.1
    MUST-36, SHLD-29, SHLD-30)"""
    c = e.open(wnd=2000, ts=True)
    e.send(c, 6000)
    data(c, c.iss + 1 + 2000 - 600)
    c.ack(wnd=0)
    start = time.time()
    probes = []
    while len(probes) < 4:
        s = c.expect(lambda s: True, 8)
        assert s, f"no probe after {probes}"
        assert len(s.data) <= 1 and not less(c.u, s.seq), s
        probes.append(s.when)
        c.send("A", ack=c.u, wnd=0)
    rto = 0.2
    assert probes[0] - start >= rto - EARLY, (probes, start)
    gaps = [b - a for a, b in zip(probes, probes[1:])]
    assert all(b >= 1.5 * a - LATE and b > a - LATE and b <= 2 * a + LATE for a, b in zip(gaps, gaps[1:])), gaps
    assert gaps[-1] >= 3 * rto, gaps
    c.send("A", ack=c.u, wnd=60000)
    data(c, c.iss + 1 + 6000, 2)


@scenario()
def a_peer_may_shrink_its_window(e):
    """What was sent beyond is not an error; it goes on when there is room again (RFC 9293 3.8.6 SHLD-16, MUST-34)"""
    c = e.open(wnd=8000)
    e.send(c, 12000)
    data(c, c.iss + 1 + 8000 - full(c))
    c.send("A", ack=(c.iss + 1001) & M32, wnd=500)
    c.flush()
    new = [s for s in e.after_fence(c) if s.data and not s.again]
    assert not new, new
    c.wnd = 65535
    end = time.monotonic() + 10 * SLOW
    while less(c.u, c.iss + 1 + 12000):
        assert time.monotonic() < end, c.log
        c.ack()
        c.expect(lambda s: s.data, 0.3)


@scenario()
def small_windows_are_not_filled(e):
    """The sender waits for a segment's worth or half the largest window, but not for ever (RFC 9293 3.8.6.2.1
    MUST-38)"""
    c = e.open(wnd=20000)
    e.send(c, 30000)
    data(c, c.iss + 1 + 14000)
    e.fence()
    c.ack(wnd=100)
    at = time.time()
    c.flush()
    s = c.expect(lambda s: s.data and not s.again)
    assert s and s.when - at >= 0.1 - EARLY, (s, s and s.when - at)


@scenario()
def everything_within_the_window(e):
    """Never a byte beyond the peer's right edge (RFC 9293 3.4)"""
    c = e.open(wnd=3000)
    sent = e.send(c, 40000)
    while less(c.u, c.iss + 1 + sent):
        s = c.expect(lambda s: s.data and less(c.u, s.end))
        assert s, c.log
        assert not less(c.u + c.wnd, s.end), (s, c.u, c.wnd)
        c.wnd = random.choice((1500, 2999, 5000, 4000))
        c.ack()


# ---- our window

def shut_window(e, c):
    """Sends until our window is full; how many bytes that took."""
    e.set(c, (socket.SOL_SOCKET, socket.SO_RCVBUF, 16384))
    sent = 0
    while 0 < (room := (c.edge - c.o) & M32) < 0x80000000:
        n = min(room, 1400)
        c.send("A", data=b"w" * n)
        sent += n
        assert c.expect(lambda s: s.ack == c.o), c.log[-5:]
        assert sent < 2000000, "the window never closes"
        e.fence()
    return sent


@scenario()
def a_window_opens_in_large_steps(e):
    """A full buffer closes the window; reading a little does not open it, reading much does (RFC 9293 3.8.6.2.2
    MUST-39); what was promised is taken, and what comes to a closed window is answered (3.8.6, MUST-35)"""
    c = e.open(ts=True)
    sent = shut_window(e, c)
    c.send("A", seq=c.o, data=b"p")
    s = c.expect(lambda s: s.is_only("A"))
    assert s and s.ack == c.o and s.wnd == 0, s
    c.flush()
    e.recv(c, 100)
    got = e.after_fence(c)
    assert all(s.wnd == 0 for s in got), got
    e.recv(c, sent - 100)
    s = c.expect(lambda s: s.wnd > 0)
    assert s and (c.edge - c.o) & M32 >= 1400, s


@scenario()
def a_closed_window_lets_acks_and_resets_in(e):
    """Text is refused, the ACK of the same segment counts, and so does a RST (RFC 9293 3.10.7.4 MUST-66)"""
    c = e.open(ts=True)
    shut_window(e, c)
    e.send(c, 1000)
    data(c, c.iss + 1 + 1000)
    c.send("A", seq=c.o, data=b"p")
    assert c.expect(lambda s: s.is_only("A") and s.ack == c.o and s.wnd == 0), c.log[-3:]
    end = time.monotonic() + 5 * SLOW
    while e.info(c)["unacked"]:
        assert time.monotonic() < end, e.info(c)
        time.sleep(0.02)
    c.send("R", ack=0)
    while e.info(c):
        assert time.monotonic() < end, e.info(c)
        time.sleep(0.02)


# ---- retransmission

def resent(c, seq, n, seconds):
    """When the first N transmissions of what begins at SEQ were taken."""
    times = []
    while len(times) < n:
        s = c.expect(lambda s: s.seq == seq & M32 and s.space, seconds)
        assert s, f"{len(times)} of {n}: {c.log}"
        times.append(s.when)
    return times


def doubling(times, first):
    gaps = [b - a for a, b in zip(times, times[1:])]
    for k, g in enumerate(gaps):
        assert first * 2 ** k - EARLY <= g <= first * 2 ** k + LATE, (k, gaps, first)


@scenario()
def the_timeout_doubles(e):
    """RTO, twice as long, four times as long; not below what was computed (RFC 6298 5.4 to 5.6)"""
    c = e.open()
    rto = e.info(c)["rto_us"] / 1e6
    assert rto >= 0.2, rto
    e.send(c, 100)
    doubling(resent(c, c.iss + 1, 4, 5), rto)


@scenario()
def what_was_sent_again_gives_no_sample(e):
    """Karn: the backed-off timeout stays for the next segment (RFC 6298 3, 5.7)"""
    c = e.open()
    rto = e.info(c)["rto_us"] / 1e6
    e.send(c, 100)
    resent(c, c.iss + 1, 3, 5)
    c.ack()
    e.send(c, 100)
    t = resent(c, c.iss + 101, 2, 5)
    assert t[1] - t[0] >= 2 * rto - EARLY, (t, rto)


@scenario()
def a_syn_is_sent_again_after_a_second(e):
    """1 s, then 2 s (RFC 6298 2.1, 5.5); the same SYN (RFC 9293 3.4)"""
    c = e.conn()
    e.puppet.do("connect", keys=[c.key])
    doubling(resent(c, c.expect(lambda s: s.flags & SYN).seq, 2, 5), 2)     # the first was taken here
    first = [s for s in c.log if s.flags & SYN]
    doubling([s.when for s in first], 1)


@scenario()
def a_syn_ack_is_sent_again_after_a_second(e):
    """1 s, then 2 s (RFC 6298 2.1, 5.5)"""
    c = e.conn()
    c.send("S")
    doubling(resent(c, c.expect(lambda s: s.has("SA")).seq, 2, 5), 2)
    doubling([s.when for s in c.log if s.flags & SYN], 1)


def waiting(e):
    """To ESTABLISHED, as we see it, with a listener that waits three seconds for data; when the SYN-ACK came."""
    c = e.conn(port=WAITS)
    c.send("S")
    s = c.expect(lambda s: s.has("SA"))
    assert s, "no SYN-ACK"
    c.ack()
    e.fence()
    assert state_of(c) == "SYN-RECEIVED", state_of(c)
    return c, s.when


@scenario()
def a_listener_may_wait_for_data(e):
    """The ACK of the handshake is no connection, data are (TCP_DEFER_ACCEPT, tcp(7))"""
    c, _ = waiting(e)
    c.send("PA", data=b"x" * 10)
    assert e.recv(c, 10)["data"] == (b"x" * 10).hex()
    assert state_of(c) == "ESTABLISHED"


@scenario()
def who_has_nothing_to_say_is_accepted_in_the_end(e):
    """One more SYN-ACK after three seconds, and its ACK makes the connection (TCP_DEFER_ACCEPT, tcp(7))"""
    c, began = waiting(e)
    s = c.expect(lambda s: s.has("SA"), 5)
    assert s and 3 - EARLY <= s.when - began <= 3 + LATE, c.log
    c.ack()
    e.puppet.do("accepted", keys=[c.key])
    assert state_of(c) == "ESTABLISHED"


@scenario()
def a_fin_is_sent_again(e):
    """As data (RFC 9293 3.4)"""
    c = e.open()
    e.puppet.do("shutdown", keys=[c.key])
    doubling(resent(c, c.iss + 1, 3, 5), 0.2)


@scenario()
def the_user_timeout_ends_it(e):
    """Data that nobody acknowledges ends the connection after TCP_USER_TIMEOUT (RFC 5482; 9293 3.8.3)"""
    c = e.open()
    e.set(c, (socket.IPPROTO_TCP, 18, 1500))
    e.send(c, 100)
    at = c.expect(lambda s: s.data).when
    r = e.recv(c, 1, timeout=10 * SLOW)
    assert r["errno"] == 110 and time.time() - at >= 1.5 - EARLY, r


# ---- acknowledgments

@scenario()
def every_second_segment_is_acknowledged(e):
    """At least (RFC 9293 3.8.6.3 SHLD-19; 5681 4.2)"""
    c = e.open()
    for _ in range(30):     # beyond any quick start
        c.send("A", data=b"x" * 1400)
    assert c.expect(lambda s: s.ack == c.o)
    late = 0
    for _ in range(10):
        c.flush()
        c.send("A", data=b"x" * 1400)
        c.send("A", data=b"x" * 1400)
        # The answer to the fence may overtake the ACK on its way to us, now and then.
        late += not any(s.ack == c.o for s in e.after_fence(c)) and c.expect(lambda s: s.ack == c.o) is not None
        assert c.acked == c.o, c.log[-5:]
    assert late <= 3, f"two full segments are not acknowledged at once: {late} of 10"


@scenario()
def no_acknowledgment_waits_half_a_second(e):
    """An acknowledgment may be delayed, but less than half a second (RFC 9293 3.8.6.3 MUST-40; 5681 4.2)"""
    c = e.open()
    for _ in range(5):
        c.send("PA", data=b"x")
        at = time.time()
        s = c.expect(lambda s: s.ack == c.o)
        assert s and s.when - at < 0.5 * SLOW, (s, s and s.when - at)


# ---- Nagle

@scenario()
def one_small_segment_at_a_time(e):
    """Nagle: the others wait for its ACK and go together (RFC 9293 3.7.4 SHLD-7)"""
    c = e.open()
    e.send(c, 10)
    first = c.expect(lambda s: s.data)
    for _ in range(5):
        e.send(c, 10)
    got = [s for s in e.after_fence(c) if s.data and not s.again]
    assert first and len(first.data) == 10 and not got, got
    c.ack()
    s = c.expect(lambda s: s.data and not s.again)
    assert s and len(s.data) == 50, s


@scenario()
def nagle_can_be_turned_off(e):
    """TCP_NODELAY: every write goes at once (RFC 9293 3.7.4 MUST-17)"""
    c = e.open()
    e.set(c, (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1))
    for k in range(5):
        e.send(c, 10)
        s = c.expect(lambda s: s.data and not s.again)
        assert s and len(s.data) == 10, (k, c.log)


@scenario()
def what_is_to_be_followed_by_more_waits_for_it(e):
    """MSG_MORE: a segment that is not full waits for the next write, 200 ms at most (send(2); as Linux)"""
    c = e.open()
    e.set(c, (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1))
    for k in range(20):
        began = time.time()
        e.send(c, 10, flags=socket.MSG_MORE)
        e.send(c, 5)
        s = c.expect(lambda s: s.data and not s.again)
        c.ack()
        if time.time() - began < 0.15: # else it may have waited for long enough
            break
        e.after_fence(c)
    assert s and len(s.data) == 15, (k, s)
    began = time.time()
    e.send(c, 10, flags=socket.MSG_MORE)
    s = c.expect(lambda s: s.data and not s.again)
    assert s and len(s.data) == 10 and 0.2 - EARLY <= s.when - began, (s, s and s.when - began)


# ---- keep-alive

def keep_alive(e, c, idle=1, interval=1, count=3):
    e.set(c, (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), (socket.IPPROTO_TCP, 4, idle), (socket.IPPROTO_TCP, 5, interval),
          (socket.IPPROTO_TCP, 6, count))


@scenario()
def an_idle_peer_is_probed(e):
    """At SND.NXT - 1, while it answers; then COUNT times more, and that is the end (RFC 9293 3.8.4 MUST-24 to MUST-29)"""
    c, quiet = e.open(), e.open()
    at = time.time()
    keep_alive(e, c)
    for _ in range(2):
        s = c.expect(lambda s: True, 4)
        assert s and s.seq == (c.n - 1) & M32 and len(s.data) <= 1 and s.when - at >= 1 - EARLY, (s, c.log)
        at = s.when
        c.send("A", ack=c.n)
    probes = [c.expect(lambda s: True, 4) for _ in range(3)]
    assert all(p and p.seq == (c.n - 1) & M32 for p in probes), c.log
    assert all(b.when - a.when >= 1 - EARLY for a, b in zip(probes, probes[1:])), c.log
    assert e.recv(c, 1, timeout=10)["errno"] == 110
    assert not quiet.inbox, "off by default (MUST-25)"


# ---- ECN

def ecn_open(e, **kw):
    c = e.open(flags="SEC", **kw)
    assert c.log[0].flags & (ECE | CWR) == ECE, c.log[0]
    return c


@scenario()
def ecn_is_agreed_on_request(e):
    """ECE in the SYN-ACK, for who asked with ECE and CWR; neither the SYN-ACK nor ACKs are ECT (RFC 3168 6.1.1, 6.1.4)"""
    c = ecn_open(e)
    c.send("PA", data=b"x")
    assert c.expect(lambda s: s.ack == c.o)
    assert all(s.tos & 3 == 0 for s in c.log), [s.tos for s in c.log]
    for flags in ("S", "SE"):
        c = e.open(flags=flags)
        assert not c.log[0].flags & (ECE | CWR), c.log[0]
        e.send(c, 100)
        assert c.expect(lambda s: s.data).tos & 3 == 0


@scenario()
def new_data_is_ect_and_what_is_sent_again_is_not(e):
    """ECT(0) on what is sent for the first time only (RFC 3168 6.1.2, 6.1.5)"""
    c = ecn_open(e)
    e.send(c, 100)
    s = c.expect(lambda s: s.data)
    assert s.tos & 3 == 2, s.tos
    s = c.expect(lambda s: s.data and s.again)
    assert s and s.tos & 3 == 0, s.tos


@scenario()
def a_mark_is_echoed_until_it_was_heard(e):
    """ECE in every ACK from CE to CWR (RFC 3168 6.1.3)"""
    c = ecn_open(e)
    steps = ((2, "PA", 0), (3, "PA", ECE), (2, "PA", ECE), (2, "PAC", 0), (2, "PA", 0))
    for tos, flags, want in steps:
        c.send(flags, data=b"x" * 100, tos=tos)
        s = c.expect(lambda s: s.ack == c.o)
        assert s and s.flags & ECE == want, (tos, flags, s)


@scenario()
def an_echo_halves_the_window_once(e):
    """CWR with the next new data, once per round trip (RFC 3168 6.1.2)"""
    c = ecn_open(e)
    before = e.info(c)["cwnd"]
    e.send(c, 3000)
    data(c, c.iss + 1 + 3000 - 500)
    c.send("AE", ack=(c.iss + 1 + 1000) & M32)
    e.fence()
    first = e.info(c)["cwnd"]
    c.send("AE", ack=(c.iss + 1 + 2000) & M32)
    e.fence()
    assert first < before and e.info(c)["cwnd"] >= first, (before, first, e.info(c)["cwnd"])
    c.ack()
    e.send(c, 500)
    s = c.expect(lambda s: s.data and not s.again)
    assert s and s.flags & CWR, s


# ---- path MTU

@scenario()
def a_small_path_is_learnt(e):
    """Too big: what was lost is sent again, in pieces that fit, DF set (RFC 1191 6.5; 8201 5.4)"""
    c = e.open(addr=16)
    n = full(c)
    e.send(c, 3 * n)
    assert all(s.df for s in data(c, c.iss + 1 + 3 * n))
    mtu = 1300
    wire(c.icmp(*((3, 4) if e.family == 4 else (2, 0)), seq=c.iss + 1, rest=mtu, size=1500))
    most = mtu - (40 if e.family == 4 else 60)
    # what a timer sent again before the message came does not count
    s = c.expect(lambda s: s.data and s.again and max(units([s])) == most, 2)
    assert s and s.seq == (c.iss + 1) & M32 and s.df, c.log


@scenario(families=(4,))
def an_old_router_names_no_mtu(e):
    """Then the next plateau below the size that it quotes is tried (RFC 1191 5)"""
    c = e.open(addr=17)
    n = full(c)
    e.send(c, 3 * n)
    data(c, c.iss + 1 + 3 * n)
    wire(c.icmp(3, 4, seq=c.iss + 1, rest=0, size=1500))
    s = c.expect(lambda s: s.data and s.again and max(units([s])) == 1492 - 40, 2)
    assert s, c.log


@scenario()
def a_path_below_the_least_is_not_believed(e):
    """IPv6: below 1280 ignored (RFC 8201 4); IPv4: not below 552 or so, so that nobody makes segments tiny (RFC 5927 7.2)"""
    c = e.open(addr=18)
    n = full(c)
    e.send(c, 3 * n)
    data(c, c.iss + 1 + 3 * n)
    wire(c.icmp(*((3, 4) if e.family == 4 else (2, 0)), seq=c.iss + 1, rest=100, size=1500))
    e.fence()
    assert e.info(c)["mss"] >= (500 if e.family == 4 else 1220), e.info(c)


# ---- long ones

@scenario(soak=True)
def time_wait_lasts_two_msl(e):
    """A minute here; a late FIN begins it anew (RFC 9293 3.4.2, 3.10.7.4 (8))"""
    c = e.open()
    e.puppet.do("close", keys=[c.key])
    assert c.expect(lambda s: s.flags & FIN)
    c.ack()
    c.send("FA")
    assert c.expect(lambda s: s.ack == c.o)
    time.sleep(30)
    c.send("FA", seq=c.o - 1)
    time.sleep(45)
    assert state_of(c) == "TIME-WAIT"
    time.sleep(20 + 5 * SLOW)
    assert state_of(c) == "CLOSED"


@scenario(soak=True)
def who_never_closes_is_forgotten(e):
    """FIN_WAIT_2 after close() ends after a minute, without a word (RFC 9293 3.6.1, 3.10.7.4)"""
    c = e.open()
    e.puppet.do("close", keys=[c.key])
    assert c.expect(lambda s: s.flags & FIN)
    c.ack()
    time.sleep(50)
    assert state_of(c) == "FIN-WAIT-2"
    time.sleep(12 + 5 * SLOW)
    assert state_of(c) == "CLOSED"


# ---- running

def attempt(net, f, family):
    for _ in range(8):
        e = Env(net, family)
        try:
            f(e)
            bad = [c.shrunk for c in e.conns if c.shrunk]
            return f"the window shrank: {bad[0]}" if bad else None
        except Retry as r:
            why = f"eight times: {r}"
        except Exception:  # noqa: BLE001
            return traceback.format_exc() + "\n".join(f"{c.key}: {c.log[-12:]}" for c in e.conns[-2:])
        finally:
            try:
                e.puppet.do("abort", keys=[c.key for c in e.conns])
            except Exception:  # noqa: BLE001
                pass
            for c in e.conns:
                c.drop()
    return why


def main():
    stay_on_one_core()
    net = Net()
    Puppet().do("listen", port=PORT)
    Puppet().do("listen", port=WAITS, options=[[socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 3]])
    jobs = []
    for f, families, soak in SCENARIOS:
        if (len(sys.argv) > 1 and f.__name__ not in sys.argv[1:]) or (soak and not os.environ.get("NPP_SOAK")):
            continue
        for family in families:
            out = []
            t = threading.Thread(target=lambda f=f, family=family, out=out: out.append(attempt(net, f, family)), daemon=True)
            jobs.append((f, family, t, out))
    for job in jobs:
        job[2].start()
    for f, family, t, out in jobs:
        t.join()
        result(out == [None], f"{f.__name__} over IPv{family}: {' '.join(f.__doc__.split())}", *[x for x in out if x])
    done()


if __name__ == "__main__":
    main()

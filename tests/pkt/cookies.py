# SPDX-License-Identifier: GPL-2.0-or-later
# cookies.py - SYN cookies over the wire: what they carry, and that nobody makes one up
#
# A listener's backlog is filled with handshakes that we do not complete; whoever comes then is answered by a
# cookie, and nothing is remembered of him (tcp.half_open does not rise). Each listener has a port of its own.
import random
import sys
import traceback

from npppkt import done, result, stat, wait_stat
from peer import CWR, ECE, M32, RST, Conn, Net, Puppet, connections, stay_on_one_core

BACKLOG = 16
SCENARIOS = []


def scenario(f):
    SCENARIOS.append(f)
    return f


class Env:
    def __init__(self, net, puppet, family, port):
        self.net, self.puppet, self.family, self.port = net, puppet, family, port
        puppet.do("listen", port=port, backlog=BACKLOG)
        self.flood = []
        for _ in range(BACKLOG):
            self.flood.append(c := Conn(net, family, port, addr=9))
            c.send("S")
        for c in self.flood:
            assert c.expect(lambda s: s.has("SA")), "a handshake that has room is not answered"
        net.fence()

    def conn(self, **kw):
        return Conn(self.net, self.family, self.port, **kw)

    def cookie(self, flags="S", **kw):
        """A connection that has got a cookie: our Conn, and npp's SYN-ACK."""
        before, c = stat(), self.conn(**kw)
        c.send(flags)
        s = c.expect(lambda s: s.has("SA"))
        assert s, "no SYN-ACK"
        assert c.o == s.ack
        now = stat()
        assert now["ism:tcp.cookies_out"] > before["ism:tcp.cookies_out"], "that was no cookie"
        assert now["ism:tcp.half_open"] == before["ism:tcp.half_open"], "it was remembered"
        return c, s

    def answers(self, c, send, **kw):
        """What npp answers to the segment SEND."""
        c.flush()
        c.send(send, **kw)
        self.net.fence()
        with self.net.lock:
            return list(c.inbox)

    def established(self, c):
        self.puppet.do("accepted", keys=[c.key])
        return connections()[(c.family, c.port)]

    def end(self):
        for c in self.flood:
            c.send("R")
            c.drop()


def echo(e, c, n):
    """N bytes from npp, in order."""
    c.flush()
    want = (c.n + n) & M32
    assert e.puppet.do("send", keys=[c.key], n=n) == n
    got = bytearray()
    while c.u != want:
        s = c.expect(lambda s: s.data and not s.again)
        assert s, f"{len(got)} of {n} bytes came: {c.log}"
        got += s.data
        c.ack()
    return got


@scenario
def a_cookie_opens_a_connection_that_works(e):
    """The last ACK is all that is needed; data goes both ways (RFC 4987 3.6)"""
    before = stat()
    c, _ = e.cookie()
    c.ack()
    e.established(c)
    assert stat()["ism:tcp.cookies_ok"] == before["ism:tcp.cookies_ok"] + 1
    c.send("PA", data=b"hello")
    assert bytes.fromhex(e.puppet.do("recv", keys=[c.key], n=5)["data"]) == b"hello"
    echo(e, c, 3000)


@scenario
def options_survive_by_timestamps(e):
    """Window scale, SACK and timestamps are those of the SYN (RFC 4987 3.6; 7323; 2018)"""
    for ws, sack in ((0, False), (7, True), (14, True), (None, True), (3, False)):
        c, s = e.cookie(ts=True, ws=ws, sack=sack)
        assert (3 in s.options) == (ws is not None) and (4 in s.options) == sack and 8 in s.options, s
        c.wnd = 5000
        c.ack()
        e.established(c)
        # SACK: what is out of order is named by a block, if it was agreed.
        c.flush()
        c.send("A", seq=(c.o + 1000) & M32, data=b"y" * 100)
        s = c.expect(lambda s: s.has("A"))
        assert s and s.ack == c.o and (5 in s.options) == sack, (ws, sack, s)
        assert not sack or s.options[5] == [((c.o + 1000) & M32, (c.o + 1100) & M32)], s
        assert 8 in s.options, s
        c.send("A", data=b"z" * 1000)
        c.o = (c.o + 100) & M32
        assert c.expect(lambda s: s.ack == c.o), "the hole is not filled"
        # Window scale: 5000 << WS is what npp may have in flight: as much as it sends at once, or 5000 at most.
        limit = 5000 << (ws or 0)
        c.flush()
        e.puppet.do("send", keys=[c.key], n=30000)
        e.net.fence()
        sent = (c.n - c.u) & M32
        least = min(limit - c.mss, 9 * (c.mss - 12))    # the initial window (RFC 6928) is ten segments
        assert least <= sent <= limit, (ws, sack, sent, limit)
        c.send("R", seq=c.o)


@scenario
def the_mss_is_kept_roughly(e):
    """Never more than was offered: the largest of eight values that does not exceed it (RFC 4987 3.6)"""
    for mss in (300, 600, 1100, 1300, 1460):
        c, _ = e.cookie(mss=mss)
        c.ack()
        e.established(c)
        c.flush()
        e.puppet.do("send", keys=[c.key], n=2000)
        s = c.expect(lambda s: s.data)
        size = s.gso or len(s.data)
        assert mss * 0.6 <= size <= mss, (mss, size)
        c.send("R", seq=c.o)


@scenario
def without_timestamps_there_are_no_options(e):
    """Nothing that could not be remembered is offered (RFC 4987 3.6)"""
    c, s = e.cookie(ws=7, sack=True)
    assert 3 not in s.options and 4 not in s.options and 2 in s.options, s
    c.wnd = 3000
    c.ack()
    e.established(c)
    e.puppet.do("send", keys=[c.key], n=30000)
    e.net.fence()
    assert 0 < (c.n - c.u) & M32 <= 3000, (c.n - c.u) & M32


@scenario
def ecn_survives_by_timestamps(e):
    """A connection whose SYN asked for it has it (RFC 3168 6.1.1)"""
    c, s = e.cookie(flags=2 | ECE | CWR, ts=True)
    assert s.flags & ECE and not s.flags & CWR, s
    c.ack()
    e.established(c)
    c.flush()
    c.send("A", data=b"x" * 100, tos=3)     # a router has marked it
    s = c.expect(lambda s: s.ack == c.o)
    assert s and s.flags & ECE, s


@scenario
def data_may_come_with_the_last_ack(e):
    """It is delivered (RFC 9293 3.10.7.4)"""
    c, _ = e.cookie(ts=True, ws=7, sack=True)
    c.send("PA", data=b"first words")
    assert bytes.fromhex(e.puppet.do("recv", keys=[c.key], n=11)["data"]) == b"first words"


@scenario
def what_is_no_cookie_is_reset(e):
    """Another number, another sequence number, another port, one of another connection: RST, no connection (RFC 9293 3.10.7.2)"""
    before = stat()
    for wrong in ("ack+1", "ack-1", "ack^top", "random", "seq", "port"):
        c, s = e.cookie(ts=True, ws=7, sack=True)
        ack, seq = s.ack, (s.seq + 1) & M32
        if wrong == "ack+1":
            seq = (seq + 1) & M32
        elif wrong == "ack-1":
            seq = (seq - 1) & M32
        elif wrong == "ack^top":
            seq ^= 1 << 27              # another period or MSS
        elif wrong == "random":
            seq = random.getrandbits(32)
        elif wrong == "seq":
            ack = (ack + 1) & M32
        if wrong == "port":
            d = e.conn(ts=True, ws=7, sack=True)
            d.ts_on, d.ts_recent = True, c.ts_recent
            got = e.answers(d, "A", seq=ack, ack=seq)
        else:
            got = e.answers(c, "A", seq=ack, ack=seq)
        assert [x for x in got if x.flags & RST and x.seq == seq], (wrong, got)
    now = stat()
    assert now["ism:tcp.cookies_ok"] == before["ism:tcp.cookies_ok"]


@scenario
def thousands_of_guesses_open_nothing(e):
    """24 bits of SipHash: none of 4000 guesses is right, and none is kept (RFC 4987 3.6)"""
    before = stat()
    c, s = e.cookie()
    top = (s.seq >> 24) << 24
    for i in range(4000):
        if i % 200 == 0:
            e.net.fence()       # the port has room for no more than 4000 frames that wait
        d = e.conn()
        d.send("A", seq=s.ack, ack=(top | random.getrandbits(24)) + 1 & M32)
        d.drop()
    e.net.fence()
    now = stat()
    assert now["ism:tcp.cookies_ok"] == before["ism:tcp.cookies_ok"]
    assert now["ism:tcp.conns"] <= before["ism:tcp.conns"], "a guess was kept"
    c.ack()
    e.established(c)


@scenario
def a_cookie_that_comes_twice_is_one_connection(e):
    """The second ACK belongs to the connection that is there"""
    before = stat()
    c, s = e.cookie(ts=True, ws=7, sack=True)
    c.ack()
    c.ack()
    e.established(c)
    assert stat()["ism:tcp.cookies_ok"] == before["ism:tcp.cookies_ok"] + 1


@scenario
def the_handshakes_before_the_flood_complete(e):
    """Those that were half open are connections when their ACK comes, all of them (RFC 4987 3.5)"""
    for c in e.flood:
        c.ack()
    e.puppet.do("accepted", keys=[c.key for c in e.flood])


@scenario
def after_the_flood_there_are_none(e):
    """When the half open ones are gone a handshake is remembered again"""
    for c in e.flood:
        c.send("R")
    e.net.fence()
    before, c = stat(), e.conn()
    c.send("S")
    assert c.expect(lambda s: s.has("SA"))
    rise, _ = wait_stat((["ism:tcp.half_open"], 1), before)
    assert rise >= 1 and stat()["ism:tcp.cookies_out"] == before["ism:tcp.cookies_out"]


def main():
    stay_on_one_core()
    net, puppet, port, only = Net(), Puppet(), 7100, sys.argv[1:]
    net.fence()
    for f in SCENARIOS:
        for family in (4, 6):
            if only and f.__name__ not in only:
                continue
            port += 1
            name = f"{f.__name__.replace('_', ' ')}, IPv{family}"
            e = None
            try:
                e = Env(net, puppet, family, port)
                f(e)
                result(True, name)
            except Exception:  # noqa: BLE001
                result(False, name, traceback.format_exc())
            if e:
                e.end()
                net.fence()
    done()


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-2.0-or-later
# ipv6.py - the packets of ipv6.t
#
# We are fd00:0:0:1::77 with a MAC address of our own, so the kernel of our namespace neither
# answers nor disturbs; what the NPP sends us is caught from the interface.
import os
import socket
import sys
import time

from npppkt import IFACE, NPP_MAC, SLOW, Ether, Raw, UDP, done, result, stat, wire
from scapy.all import (ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS,  # noqa: E402
                       ICMPv6ND_RA, ICMPv6ND_RS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptPrefixInfo, ICMPv6NDOptSrcLLAddr,
                       ICMPv6PacketTooBig, ICMPv6ParamProblem, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
                       IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, HBHOptUnknown, PadN, RouterAlert, in6_getnsma,
                       in6_getnsmac, inet_pton)

MAC = "02:00:00:00:00:77"
US, US_LL = "fd00:0:0:1::77", "fe80::77"
NPP6 = "fd00:0:0:1::b"
m = bytes.fromhex(NPP_MAC.replace(":", ""))
NPP_LL = socket.inet_ntop(socket.AF_INET6, bytes.fromhex("fe80000000000000") + bytes([m[0] ^ 2]) + m[1:3] +
                          b"\xff\xfe" + m[3:])

cap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x86dd))
cap.bind((IFACE, 0))
# PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC: frames for our own MAC
cap.setsockopt(263, 1, socket.if_nametoindex(IFACE).to_bytes(4, sys.byteorder) + (1).to_bytes(2, sys.byteorder) + bytes(10))
cap.settimeout(0.1)


def flush():
    cap.setblocking(False)
    try:
        while True:
            cap.recv(70000)
    except BlockingIOError:
        pass
    cap.settimeout(0.1)


def answers_nd(p):
    """Answers questions for our addresses, so that the NPP can send to us."""
    if ICMPv6ND_NS in p and p[ICMPv6ND_NS].tgt in (US, US_LL):
        wire(Ether(src=MAC, dst=NPP_MAC) / IPv6(src=p[ICMPv6ND_NS].tgt, dst=p[IPv6].src, hlim=255) /
             ICMPv6ND_NA(tgt=p[ICMPv6ND_NS].tgt, R=0, S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr=MAC))
        return True
    return False


def catch(want, seconds=3.0):
    """The first packet of the NPP for which WANT is true; None: none came."""
    end = time.monotonic() + seconds * SLOW
    while time.monotonic() < end:
        try:
            p = Ether(cap.recv(70000))
        except (socket.timeout, TimeoutError):
            continue
        if p.src.lower() != NPP_MAC.lower() or IPv6 not in p or answers_nd(p):
            continue
        if want(p):
            return p
    return None


def ask(packet, want, seconds=3.0):
    flush()
    for q in packet if isinstance(packet, list) else [packet]:
        wire(q)
    return catch(want, seconds)


def to(dst=NPP6, src=US, **kw):
    return Ether(src=MAC, dst=NPP_MAC) / IPv6(src=src, dst=dst, **kw)


def silent(name, packet, counter=None):
    before = stat()
    heard = ICMPv6ND_NA if packet.haslayer(ICMPv6ND_NS) else ICMPv6EchoReply
    p = ask(packet, lambda p: (heard in p and p[IPv6].dst in (US, US_LL)) or UDP in p, 0.4)
    now = stat()
    rose = [k for k in now if "drop." in k and now[k] > before.get(k, 0)]
    result(p is None and (counter is None or any(k.endswith(counter) for k in rose)), name, p and p.summary(), rose)


def is_echo(n):
    return lambda p: ICMPv6EchoReply in p and p[ICMPv6EchoReply].seq == n


# ---- neighbour discovery
nsmac = in6_getnsmac(inet_pton(socket.AF_INET6, NPP6))
nsma = socket.inet_ntop(socket.AF_INET6, in6_getnsma(inet_pton(socket.AF_INET6, NPP6)))
ns = Ether(src=MAC, dst=nsmac) / IPv6(src=US, dst=nsma, hlim=255) / ICMPv6ND_NS(tgt=NPP6) / ICMPv6NDOptSrcLLAddr(lladdr=MAC)
p = ask(ns, lambda p: ICMPv6ND_NA in p and p[ICMPv6ND_NA].tgt == NPP6)
result(p is not None and p[ICMPv6ND_NA].S == 1 and p[IPv6].hlim == 255 and
       p[ICMPv6NDOptDstLLAddr].lladdr.lower() == NPP_MAC.lower(), "a solicitation is answered", p and p.summary())
far = ns.copy()
far[IPv6].hlim = 254
silent("not one that has passed a router", far, "drop.nd")
bad = ns.copy()
bad[ICMPv6NDOptSrcLLAddr].len = 0
silent("nor one with an option without length", bad, "drop.nd")
p = ask(Ether(src=MAC, dst=nsmac) / IPv6(src="::", dst=nsma, hlim=255) / ICMPv6ND_NS(tgt=NPP6),
        lambda p: ICMPv6ND_NA in p and p[IPv6].dst == "ff02::1")
result(p is not None and p[ICMPv6ND_NA].S == 0, "who tests whether the address is free hears that it is not")

# ---- echo
p = ask(to() / ICMPv6EchoRequest(id=7, seq=1, data=b"x" * 64), is_echo(1))
result(p is not None and p[ICMPv6EchoReply].data == b"x" * 64, "echo is answered")
p = ask(to(NPP_LL, US_LL) / ICMPv6EchoRequest(id=7, seq=2), is_echo(2))
result(p is not None and p[IPv6].src == NPP_LL, "at the link-local address, from there")
bad = to() / ICMPv6EchoRequest(id=7, seq=3, cksum=0x1234)
silent("not with a wrong checksum", bad, "drop.l4_csum")
silent("not for somebody else", to("fd00:0:0:1::99") / ICMPv6EchoRequest(id=7, seq=4), "drop.ip_dst")
for src in "ff02::1", "::1", "::ffff:10.1.0.10", NPP6:
    silent(f"not from {src}", to(src=src) / ICMPv6EchoRequest(id=7, seq=5), "drop.ip_src")

# ---- extension headers
hbh = IPv6ExtHdrHopByHop(options=[RouterAlert(), PadN(optdata=b"\0\0")])
p = ask(to() / hbh / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)]) / ICMPv6EchoRequest(id=7, seq=10), is_echo(10))
result(p is not None, "known options are walked over")
for typ, code in (0x1e, None), (0x5e, None), (0x9e, 2), (0xde, 2):
    p = ask(to() / IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=typ, optlen=4, optdata=b"abcd")]) /
            ICMPv6EchoRequest(id=7, seq=11), lambda p: ICMPv6ParamProblem in p or is_echo(11)(p), 1.0)
    if typ == 0x1e:
        result(p is not None and ICMPv6EchoReply in p, "an unknown option of the kind to skip is skipped")
    elif code is None:
        result(p is None, "of the kind to discard discards")
    else:
        result(p is not None and ICMPv6ParamProblem in p and p[ICMPv6ParamProblem].code == 2 and
               p[ICMPv6ParamProblem].ptr == 42, f"of the kind {typ:#x} is complained about", p and p.summary())
p = ask(to() / IPv6ExtHdrRouting(type=0, addresses=[NPP6]) / ICMPv6EchoRequest(id=7, seq=12),
        lambda p: ICMPv6ParamProblem in p or is_echo(12)(p), 1.0)
result(p is not None and ICMPv6ParamProblem in p and p[ICMPv6ParamProblem].code == 0, "a source route is refused")
chain = to()
for i in range(12):
    chain = chain / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)])
silent("twelve headers are too many", chain / ICMPv6EchoRequest(id=7, seq=13), "drop.ip_header")
late = to() / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)]) / IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)])
silent("hop-by-hop options that come late", late / ICMPv6EchoRequest(id=7, seq=14), "drop.ip_header")
short = bytearray(bytes(to() / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)]) / ICMPv6EchoRequest(id=7, seq=15)))
short[55] = 200
silent("a header that ends behind the packet", Raw(bytes(short)), "drop.ip_header")
p = ask(to(nh=200) / Raw(b"x" * 20), lambda p: ICMPv6ParamProblem in p)
result(p is not None and p[ICMPv6ParamProblem].code == 1 and p[ICMPv6ParamProblem].ptr == 6, "an unknown protocol is named")

# ---- UDP and fragments
def datagram(n, sport, dport=7007):
    body = bytes(to()[IPv6] / UDP(sport=sport, dport=dport) / Raw(bytes(i & 255 for i in range(n))))
    return body[40:]


def frag(data, off, end, more, ident):
    return to(nh=44) / IPv6ExtHdrFragment(nh=17, offset=off // 8, m=more, id=ident) / Raw(data[off:end])


p = ask(to() / UDP(sport=4001, dport=7009) / Raw(b"abc"), lambda p: ICMPv6DestUnreach in p)
result(p is not None and p[ICMPv6DestUnreach].code == 4, "a closed port is unreachable")
zero = bytearray(bytes(to() / UDP(sport=4002, dport=7007) / Raw(b"abc")))
zero[60:62] = b"\0\0"
silent("no datagram without a checksum", Raw(bytes(zero)), "drop.l4_csum")


def echoed(sport):
    return lambda p: (UDP in p and p[UDP].dport == sport) or (IPv6ExtHdrFragment in p and p[IPv6ExtHdrFragment].nh == 17)


d = datagram(1200, 4003)
p = ask([frag(d, 0, 400, 1, 1), frag(d, 400, 800, 1, 1), frag(d, 800, len(d), 0, 1)], echoed(4003))
result(p is not None, "three fragments are one datagram")
d = datagram(1200, 4004)
p = ask([frag(d, 800, len(d), 0, 2), frag(d, 400, 800, 1, 2), frag(d, 400, 800, 1, 2), frag(d, 0, 400, 1, 2)], echoed(4004))
result(p is not None, "in any order, and one of them twice")
before = stat()
d = datagram(1200, 4005)
p = ask([frag(d, 0, 400, 1, 3), frag(d, 392, 800, 1, 3), frag(d, 400, 800, 1, 3), frag(d, 800, len(d), 0, 3)], echoed(4005), 0.5)
now = stat()
result(p is None and now["ism:drop.reass_overlap"] > before["ism:drop.reass_overlap"], "an overlap discards them all")
d = datagram(100, 4006)
p = ask(to(nh=44) / IPv6ExtHdrFragment(nh=17, offset=0, m=0, id=3) / Raw(d), echoed(4006))
result(p is not None, "an atomic fragment of the same identification is not touched by that")
p = ask(to(nh=44) / IPv6ExtHdrFragment(nh=60, offset=0, m=1, id=4) / Raw(b"\x11\x01\1\4\0\0\0\0"),
        lambda p: ICMPv6ParamProblem in p)
result(p is not None and p[ICMPv6ParamProblem].code == 3, "a first fragment without all headers is refused")

# ---- packet too big
sent = ask(to() / UDP(sport=4007, dport=7007) / Raw(b"y" * 1400), echoed(4007))
result(sent is not None and UDP in sent, "a datagram of 1400 bytes comes back whole")
ptb = Ether(src=MAC, dst=NPP_MAC) / IPv6(src="fe80::fe", dst=NPP6)
wire(ptb / ICMPv6PacketTooBig(mtu=1000) / Raw(bytes(sent[IPv6])[:200]))
other = sent[IPv6].copy()
other[UDP].sport = 7010
wire(ptb / ICMPv6PacketTooBig(mtu=1300) / Raw(bytes(other)[:200]))
p = ask(to() / UDP(sport=4007, dport=7007) / Raw(b"y" * 1400), echoed(4007))
result(p is not None and UDP in p and IPv6ExtHdrFragment not in p, "neither below 1280 nor about what we did not send")
wire(ptb / ICMPv6PacketTooBig(mtu=1300) / Raw(bytes(sent[IPv6])[:200]))
time.sleep(0.1 * SLOW)
p = ask(to() / UDP(sport=4007, dport=7007) / Raw(b"y" * 1400), lambda p: IPv6ExtHdrFragment in p)
result(p is not None and len(p[IPv6]) <= 1300, "a true one counts: fragments of at most 1300", p and p.summary())

# ---- advertisements
def ra(lifetime=1800, prefix="fd00:0:0:99::", valid=7200, hlim=255, src=US_LL):
    return (Ether(src=MAC, dst="33:33:00:00:00:01") / IPv6(src=src, dst="ff02::1", hlim=hlim) /
            ICMPv6ND_RA(routerlifetime=lifetime) / ICMPv6NDOptSrcLLAddr(lladdr=MAC) /
            ICMPv6NDOptPrefixInfo(prefix=prefix, prefixlen=64, L=1, A=1, validlifetime=valid, preferredlifetime=valid))


AUTO = socket.inet_ntop(socket.AF_INET6, bytes.fromhex("fd00000000000099") + inet_pton(socket.AF_INET6, NPP_LL)[8:])
silent("an advertisement from beyond a router", ra(hlim=64), "drop.nd")
silent("or not from a link-local address", ra(src=US), "drop.nd")
p = ask(to(AUTO) / ICMPv6EchoRequest(id=7, seq=30), is_echo(30), 0.5)
result(p is None, "changes nothing")
p = ask(ra(), lambda p: ICMPv6ND_NS in p and p[IPv6].src == "::")
result(p is not None and p[ICMPv6ND_NS].tgt == AUTO, "a true one gives an address, which is tested", AUTO, p and p.summary())
end = time.monotonic() + 5 * SLOW
p = None
while p is None and time.monotonic() < end:
    p = ask(to(AUTO) / ICMPv6EchoRequest(id=7, seq=31), is_echo(31), 0.3)
result(p is not None and p[IPv6].src == AUTO, "and used")
p = ask(to(AUTO, "2001:db8::1") / ICMPv6EchoRequest(id=7, seq=32), is_echo(32))
result(p is not None and p[Ether].dst.lower() == MAC, "its sender is the default router")
wire(ra(lifetime=0))
before = stat()
p = ask(to(AUTO, "2001:db8::1") / ICMPv6EchoRequest(id=7, seq=33), is_echo(33), 0.7)
result(p is None and stat()["ism:drop.no_route"] > before["ism:drop.no_route"], "until it says that it is none any more")
done()

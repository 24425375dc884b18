# SPDX-License-Identifier: GPL-2.0-or-later
# bad_input.py - truncated frames, wrong checksums, lengths that lie, overlaps, endless options, floods
#
# usage: bad_input.py PORT          PORT: of a TCP echo server on npp
import random
import subprocess
import sys

from npppkt import *  # noqa: F403

PORT = int(sys.argv[1])
random.seed(4)
w = Witness(PORT)
started = pids()
result(w.progressed(), "a connection is up", w.error)


def tcp(**kw):
    kw.setdefault("dport", PORT)
    kw.setdefault("sport", 1234)
    return TCP(**kw)


def udp(n=100, **kw):
    return UDP(sport=1234, dport=9, **kw) / Raw(b"x" * n)


def bare(payload):
    return bytes(eth() / ip() / payload)


good_tcp, good_udp = bare(tcp(flags="S")), bare(udp())

# ---- Ethernet and IP headers: the dispatcher
case("truncated in the IP header", [good_udp[:n] for n in range(14, 34)],
     ["dispatch:drop.short", "dispatch:drop.ip_header"], w)
case("truncated behind it", [good_udp[:n] for n in range(34, 142, 9)], ["dispatch:drop.ip_header"], w)
case("wrong IP header checksum", [patched(good_udp, 24, bytes([i, 1])) for i in range(20)], ["dispatch:drop.ip_csum"], w)
case("IP header length below 20", [ip_fixed(patched(good_udp, 14, bytes([0x40 + i]))) for i in range(5)],
     ["dispatch:drop.ip_header"], w)
case("IP header longer than the packet", [patched(good_udp[:50], 14, b"\x4f")], ["dispatch:drop.ip_header"], w)
case("total length beyond the frame", [ip_fixed(patched(good_udp, 16, bytes([i, 0xff]))) for i in range(1, 20)],
     ["dispatch:drop.ip_header"], w)
case("total length below the header's", [ip_fixed(patched(good_udp, 16, bytes([0, i]))) for i in range(20)],
     ["dispatch:drop.ip_header"], w)
case("IP version 5 and 6 in an IPv4 frame", [ip_fixed(patched(good_udp, 14, bytes([v]))) for v in (0x55, 0x65)],
     ["dispatch:drop.ip_version"], w)
case("an EtherType that nobody speaks", [bytes(eth(type=t) / Raw(b"x" * 50)) for t in (0x1234, 0x88cc, 0x8100)],
     ["dispatch:drop.ethertype"], w, exact=False)
case("somebody else's IP address", [bytes(eth() / ip(dst="10.1.0.77") / udp())], ["dispatch:drop.ip_dst"], w,
     exact=False)   # the kernel beside us sends to groups of its own
case("senders that cannot be", [bytes(eth() / ip(src=s) / udp()) for s in
                                ("224.0.0.1", "255.255.255.255", "127.0.0.1", "0.0.0.0", NPP_IP)],
     ["dispatch:drop.ip_src", "ism:drop.ip_src"], w)

# ---- options
opts = [b"\x07\x00\x00\x00", b"\x07\x01\x00\x00", b"\x07\x28\x04\x00", b"\x01\x01\x01\x44", b"\x83\x03\x04\x00",
        b"\xff\xff\xff\xff"]


def with_options(o):
    f = good_udp[:34] + o + good_udp[34:]
    f = patched(f, 14, bytes([0x45 + len(o) // 4]))
    return ip_fixed(patched(f, 16, (len(f) - 14).to_bytes(2, "big")))


case("IP options that never end, or route", [with_options(o) for o in opts],
     ["dispatch:drop.ip_header", "ism:drop.ip_options"], w)
endless = [b"\x08\x00", b"\x08\x01", b"\x08\x0a", b"\x05\xff", b"\x01\x01\x01\x02", b"\x03\x00" * 10, b"\xfe\x28" + b"\0" * 6]


def tcp_with(o, flags):
    o += b"\x01" * (-len(o) % 4)
    f = bytearray(bare(tcp(flags=flags, seq=5, ack=6)))
    f[46] = (5 + len(o) // 4) << 4
    f += o
    f[16:18] = (len(f) - 14).to_bytes(2, "big")
    return l4_fixed(bytes(f))


case("TCP options that never end", [tcp_with(o, fl) for o in endless[:4] for fl in ("S", "A")],
     ["ism:drop.tcp_header"], w)
case("TCP header length below 20 or beyond the segment",
     [l4_fixed(patched(good_tcp, 46, bytes([n << 4]))) for n in (0, 1, 4, 6, 15)],
     ["dispatch:drop.l4", "ism:drop.tcp_header"], w)

# ---- transport checksums and lengths
case("wrong TCP checksum", [patched(good_tcp, 50, bytes([i, 1])) for i in range(30)],
     ["dispatch:drop.l4_csum", "ism:drop.csum"], w)
case("wrong UDP checksum", [patched(good_udp, 40, bytes([i, 1])) for i in range(30)],
     ["dispatch:drop.l4_csum", "ism:drop.csum"], w)
case("wrong ICMP checksum", [patched(bare(ICMP() / Raw(b"ping" * 10)), 36, bytes([i, 1])) for i in range(10)],
     ["dispatch:drop.l4_csum", "ism:drop.csum"], w)
case("UDP length that lies", [l4_fixed(patched(good_udp, 38, n.to_bytes(2, "big"))) for n in (0, 1, 7, 109, 65535)],
     ["dispatch:drop.l4", "ism:drop.udp_header", "dispatch:drop.l4_csum"], w)
case("shorter than its transport header", [bytes(eth() / ip(proto=p) / Raw(b"x" * n)) for p in (6, 17) for n in (1, 4, 7)],
     ["dispatch:drop.l4", "ism:drop.udp_header", "ism:drop.tcp_header"], w)
case("a protocol that nobody speaks", [bytes(eth() / ip(proto=99) / Raw(b"x" * 30)) for _ in range(5)],
     ["ism:drop.no_protocol"], w)
case("an ICMP error about nothing of ours", [bytes(eth() / ip() / ICMP(type=3, code=3) / IP(src="9.9.9.9", dst="8.8.8.8") / udp(0)),
                                            bytes(eth() / ip() / ICMP(type=3, code=4) / Raw(b"abc"))],
     ["ism:drop.icmp", "dispatch:drop.l4"], w)

# ---- fragments
F = 504


def frag(ident, off, n=F, more=True, byte=b"f"):
    return bytes(eth() / ip(id=ident, frag=off // 8, flags="MF" if more else 0, proto=17) / Raw(byte * n))


case("overlapping fragments", [f for i in range(100, 110) for f in
                               (frag(i, 0), frag(i, F - 8), frag(i, F, more=False), frag(i, 0))],
     ["ism:drop.reass_overlap"], w, expect=10)
case("the same place with other bytes", [f for i in range(200, 210) for f in (frag(i, F), frag(i, F, byte=b"g"))],
     ["ism:drop.reass_overlap"], w, expect=10)
case("two ends", [f for i in range(300, 310) for f in (frag(i, F, more=False), frag(i, 2 * F, more=False))],
     ["ism:drop.reass_overlap"], w, expect=10)
case("beyond the largest datagram", [frag(400 + i, 65528, 16, more=bool(i % 2)) for i in range(10)],
     ["ism:drop.reass_bad", "dispatch:drop.fragment"], w)
case("a piece that is no multiple of eight", [frag(500 + i, 0, 13) for i in range(10)],
     ["ism:drop.reass_bad", "dispatch:drop.fragment"], w)
case("a first fragment that hides its TCP header", [bytes(eth() / ip(id=600 + i, flags="MF", proto=6) / Raw(b"x" * 8))
                                                    for i in range(10)],
     ["ism:drop.reass_bad", "dispatch:drop.fragment", "dispatch:drop.l4"], w)
before = stat()
for i in range(6000):   # first fragments that nobody completes
    wire(frag(i, 0, 1400, byte=bytes([i & 255])))
rise, seen = wait_stat((["ism:drop.reass_full", "dispatch:drop.ring_full"], 1), before)
result(rise > 0 and w.progressed(), "a flood of lone fragments reaches a bound", seen, w.error)

# ---- ARP
good_arp = bytes(eth(dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=OUR_MAC, psrc=OUR_IP, pdst=NPP_IP))
case("ARP that makes no sense", [patched(good_arp, at, b) for at, b in
                                 ((14, b"\0\2"), (16, b"\1\0"), (18, b"\5"), (19, b"\x10"), (20, b"\0\x63"))]
     + [good_arp[:n] for n in (15, 30, 41)], ["ism:drop.arp", "dispatch:drop.short"], w)
case("somebody claims our address", [bytes(eth(dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc="02:00:00:00:00:99", psrc=NPP_IP,
                                                                           pdst=NPP_IP))], ["ism:arp.conflicts"], w)
case("somebody claims a live neighbour's address", [bytes(eth() / ARP(op=2, hwsrc="02:00:00:00:00:99", psrc=OUR_IP,
                                                                     hwdst=NPP_MAC, pdst=NPP_IP))],
     ["ism:arp.conflicts"], w)

# ---- floods
half_open = stat().get("ism:tcp.half_open", 0)
for i in range(3000):
    wire(bytes(eth() / IP(src=f"10.1.0.{100 + i % 100}", dst=NPP_IP) / TCP(sport=1024 + i, dport=PORT, flags="S", seq=i)))
ok_new = True
try:
    with socket.create_connection((NPP_IP, PORT), timeout=10 * SLOW) as c:
        c.sendall(b"hello")
        ok_new = c.recv(5) == b"hello"
except OSError as e:
    ok_new = repr(e)
result(ok_new is True and w.progressed(), "during a SYN flood a new connection opens and the old one goes on",
       ok_new, w.error)
junk = [bytes([random.getrandbits(8) for _ in range(random.randint(14, 200))]) for _ in range(500)]
before = stat()
for j in junk:
    wire(patched(j, 0, bytes(eth())[:12] + (b"\x08\x00" if j[0] & 1 else b"\x08\x06")))
rise, seen = wait_stat(([k for k in before if "drop" in k], 400), before)
result(rise >= 400 and w.progressed(), "five hundred frames of noise", seen, w.error)

# ---- afterwards
ping = subprocess.run(["ping", "-c3", "-i0.2", "-W2", NPP_IP], capture_output=True, text=True)
result(ping.returncode == 0, "it answers ping", ping.stdout)
result(pids() == started, "no process died", started, pids())
result(w.error is None and w.worst < 2 * SLOW, f"the connection did {w.rounds} rounds in {w.seconds():.0f} s, the worst took {w.worst:.3f} s", w.error)
w.quit = True
done()

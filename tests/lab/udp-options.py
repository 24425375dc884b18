# SPDX-License-Identifier: GPL-2.0-or-later
# udp-options.py - datagram options as servers use them, for udp-options.t; prints "NAME good" or what went wrong
#   serve PORT        echoes on 0.0.0.0 and ::, from the address it was sent to
#   ask HOST PORT     asks that
#   segments HOST PORT SIZE COUNT   one send of COUNT datagrams by UDP_SEGMENT, counts the echoes
#   corners HOST PORT large and small datagrams, what may be cut and what not, broadcasts
#   heeds HOST PORT OWN ...   sends from ports OWN what must not be cut, says 'sent', and waits for a router's word about it
#   too_big FROM OWN HOST PORT MTU   is that router: what FROM sent from OWN to HOST's PORT is larger than MTU
#   refused HOST PORT errors of a connected socket, and from the error queue
import errno
import os
import select
import socket
import struct
import sys

IP_PKTINFO, IP_RECVERR, UDP_SEGMENT, UDP_GRO, SOL_UDP = 8, 11, 103, 104, 17
SLOW = int(os.environ.get("NPP_SLOW", "1"))


def serve(port):
    socks = []
    for family, addr in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        s = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            s.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
            s.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        s.setsockopt(SOL_UDP, UDP_GRO, 1)
        s.bind((addr, int(port)))
        socks.append(s)
    print("ready", flush=True)
    while True:
        for s in select.select(socks, [], [])[0]:
            data, control, flags, peer = s.recvmsg(65536, 512)
            out, size = [], 0
            for level, kind, value in control:
                if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
                    out.append((level, kind, struct.pack("=i", 0) + value[8:12] + b"\0" * 4))
                elif (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
                    out.append((level, kind, value))
                elif (level, kind) == (socket.IPPROTO_IP, socket.IP_TOS):
                    out.append((level, kind, struct.pack("=i", value[0])))
                elif (level, kind) == (SOL_UDP, UDP_GRO):
                    size = struct.unpack("=i", value)[0]
            for at in range(0, len(data), size or len(data) or 1):
                s.sendmsg([data[at:at + (size or len(data))]], out, 0, peer)


def ask(host, port):
    info = socket.getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)[0]
    s = socket.socket(info[0], socket.SOCK_DGRAM)
    s.settimeout(10 * SLOW)
    if info[0] == socket.AF_INET:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x48)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    s.sendto(b"hello", info[4])
    data, control, _, peer = s.recvmsg(100, 100)
    tos = [c[2][0] for c in control]
    print("ask", "good" if data == b"hello" and peer[0] == info[4][0] else (data, peer), *tos)


def segments(host, port, size, count):
    info = socket.getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)[0]
    s = socket.socket(info[0], socket.SOCK_DGRAM)
    s.settimeout(10 * SLOW)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    size, count = int(size), int(count)
    want = [bytes([i]) * size for i in range(count - 1)] + [b"last"]
    s.sendto(b"first", info[4])
    s.recv(100)
    s.sendmsg([b"".join(want)], [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", size))], 0, info[4])
    got = []
    try:
        while len(got) < count:
            got.append(s.recv(65536))
    except TimeoutError:
        pass
    print("segments", "good" if sorted(got) == sorted(want) else f"{len(got)} of {count}: {[len(g) for g in got][:9]}")


def refused(host, port):
    info = socket.getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)[0]
    s = socket.socket(info[0], socket.SOCK_DGRAM)
    v6 = info[0] == socket.AF_INET6
    s.settimeout(10 * SLOW)
    s.connect(info[4])
    s.send(b"x")
    try:
        s.recv(10)
        print("refused not")
        return
    except ConnectionRefusedError:
        pass
    # From the queue: of a connected socket, and of one that has no peer.
    bad = []
    for name in None, info[4]:
        if name:
            s = socket.socket(*info[:2])
        s.setsockopt(socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP, 25 if v6 else IP_RECVERR, 1)
        s.sendto(b"x", name) if name else s.send(b"x")
        p = select.poll()
        p.register(s, 0)
        if not p.poll(10000 * SLOW):
            bad.append((name, "no error"))
            continue
        _, control, flags, about = s.recvmsg(100, 512, socket.MSG_ERRQUEUE)
        err, _, kind, code = struct.unpack_from("=IBBB", control[0][2])
        if (err, kind, code) != (111, *((1, 4) if v6 else (3, 3))) or not flags & socket.MSG_ERRQUEUE or about[:2] != info[4][:2]:
            bad.append((name, err, kind, code, flags, about))
    print("refused", *bad or ["good"])


def corners(host, port):
    info = socket.getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)[0]
    v6 = info[0] == socket.AF_INET6
    level, discover, mtu, most = (socket.IPPROTO_IPV6, 23, 24, 65527) if v6 else (socket.IPPROTO_IP, 10, 14, 65507)
    s = socket.socket(*info[:2])
    s.settimeout(10 * SLOW)

    def said(f, *args):
        try:
            r = f(*args)
            return "good" if r is None else r
        except OSError as e:
            return errno.errorcode[e.errno]

    def echo(n, to=s.sendto):
        r = said(to, bytes([n % 251]) * n, info[4]) if to == s.sendto else said(to, bytes([n % 251]) * n)
        return r if r != n else "back" if s.recv(65536) == bytes([n % 251]) * n else "something else"

    print("most:", echo(most), echo(most + 1), echo(2000))
    print("MTU:", said(s.getsockopt, level, mtu), end=" ")
    s.connect(info[4])
    print(said(s.getsockopt, level, mtu))
    head = 48 if v6 else 28
    for mode in range(7):
        r = said(s.setsockopt, level, discover, mode)
        print("mode", mode, r, said(s.getsockopt, level, discover), echo(1500 - head, s.send), echo(1501 - head, s.send))
    print("class:", *[said(s.setsockopt, socket.IPPROTO_IPV6, socket.IPV6_TCLASS, v) for v in (255, 256, -1, -2) if v6])
    if not v6:
        b = socket.socket(*info[:2])
        for to in "255.255.255.255", "10.1.0.255":
            print(to, said(b.sendto, b"x", (to, 9)), said(b.connect, (to, 9)), end=" ")
            b.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            print(said(b.sendto, b"x", (to, 9)))
            b.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 0)
    corked(info, said, most)
    print("the end")


def corked(info, said, most):
    """One datagram of several sends."""
    more, cork = socket.MSG_MORE, 1
    s, other = (socket.socket(*info[:2]) for _ in range(2))
    s.settimeout(10 * SLOW)

    def parts(*sends):
        print("parts:", *[said(*f) for f in sends], end=" ")
        got = s.recv(65536)
        print("->", len(got), got[:8], got[-8:])

    parts((s.sendto, b"ab", more, info[4]), (s.send, b"", more), (s.send, b"cd", more), (s.send, b"ef"))
    parts((s.sendto, b"", more, info[4]), (s.sendto, b"x", info[4][:1] + (9,)))
    parts((s.sendmsg, [b"m", b"n"], [(socket.SOL_IP, socket.IP_TTL, struct.pack("=i", 7))] if len(info[4]) == 2 else [], more, info[4]),
          (s.sendmsg, [b"o", b"p"]))
    print("cork:", said(s.getsockopt, SOL_UDP, cork), said(s.setsockopt, SOL_UDP, cork, 5), said(s.getsockopt, SOL_UDP, cork),
          said(s.setsockopt, SOL_UDP, cork, b"x"))
    parts((s.sendto, b"12", info[4]), (s.send, b"34"), (s.send, b"5", more), (s.setsockopt, SOL_UDP, cork, 0))
    print("no address:", said(s.send, b"x", more), said(s.setsockopt, SOL_UDP, cork, 0))
    print("too large:", said(s.sendto, bytes(40000), more, info[4]), said(s.send, bytes(most - 40000), more), said(s.send, b"x", more), said(s.send, b"x"))
    parts((s.sendto, b"a" * 1400, more, info[4]), (s.send, b"b" * 1400, more), (s.send, b"c"))
    s.connect(info[4])
    parts((s.send, b"1", more), (s.send, b"2", more), (os.write, s.fileno(), b"3"))
    other.setsockopt(SOL_UDP, cork, 1)              # before it has an address
    other.settimeout(10 * SLOW)
    other.connect(info[4])
    print(said(other.send, b"7"), said(other.send, b"8"), said(other.setsockopt, SOL_UDP, cork, 0), other.recv(100))
    other.send(b"lost", more)
    other.close()


def heeds(host, port, *own):
    info = socket.getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)[0]
    v6 = info[0] == socket.AF_INET6
    level, discover, mtu, recverr, head = (41, 23, 24, 25, 48) if v6 else (0, 10, 14, IP_RECVERR, 28)
    socks = []
    for number in own:
        s = socket.socket(*info[:2])
        s.settimeout(10 * SLOW)
        s.bind(("::" if v6 else "0.0.0.0", int(number)))
        s.setsockopt(level, discover, 2)
        s.setsockopt(level, recverr, 1)
        s.connect(info[4])
        s.send(bytes(1500 - head))
        s.recv(2000)
        socks.append(s)
    print("sent", flush=True)
    for s in socks:
        p = select.poll()
        p.register(s, 0)
        if not p.poll(10000 * SLOW):
            print("heeds nothing")
            return
        _, control, _, _ = s.recvmsg(100, 512, socket.MSG_ERRQUEUE)
        err, *_, told = struct.unpack_from("=IBBBBI", control[0][2])
        said = [errno.errorcode[err], told, s.getsockopt(level, mtu)]
        for size in 1401, 1400:
            try:
                s.send(bytes(size - head))
                said.append(len(s.recv(2000)))
            except OSError as e:
                said.append(errno.errorcode[e.errno])
        print("heeds", *said)


def too_big(source, own, host, port, mtu):
    v6 = ":" in source
    family = socket.AF_INET6 if v6 else socket.AF_INET
    src, dst = (socket.inet_pton(family, a) for a in (source, host))
    udp = struct.pack("!HHHH", int(own), int(port), 1500 - (40 if v6 else 20), 0)
    if v6:
        message = struct.pack("!BBHI", 2, 0, 0, int(mtu)) + struct.pack("!IHBB", 6 << 28, 1460, 17, 64) + src + dst + udp
    else:
        message = struct.pack("!BBHI", 3, 4, 0, int(mtu)) + struct.pack("!BBHHHBBH", 0x45, 0, 1500, 1, 0x4000, 64, 17, 0)
        message += src + dst + udp
        total = sum(struct.unpack(f"!{len(message) // 2}H", message))
        total = (total & 0xffff) + (total >> 16)
        message = message[:2] + struct.pack("!H", ~((total & 0xffff) + (total >> 16)) & 0xffff) + message[4:]
    s = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP)
    s.sendto(message, (source, 0))


globals()[sys.argv[1]](*sys.argv[2:])

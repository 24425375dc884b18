# SPDX-License-Identifier: GPL-2.0-or-later
# mcast.py - multicast programs as anybody writes them, for mcast.t
#   recv GROUP PORT NAME [source=A] [bind=group] [first] [ttl] COUNT   joins, prints each datagram
#   send GROUP PORT COUNT [ttl=N] [noloop] [connect]                   sends COUNT, each from a port of its own
import socket
import struct
import sys

ttl_opt = {socket.AF_INET: (socket.IPPROTO_IP, socket.IP_MULTICAST_TTL),
           socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS)}
IP_ADD_SOURCE_MEMBERSHIP, MCAST_JOIN_SOURCE_GROUP = 39, 46


def opts(args):
    return dict(a.split("=", 1) if "=" in a else (a, True) for a in args)


def family_of(group):
    return socket.AF_INET6 if ":" in group else socket.AF_INET


def storage(addr):
    if family_of(addr) == socket.AF_INET:
        b = struct.pack("=HH4s", socket.AF_INET, 0, socket.inet_aton(addr))
    else:
        b = struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, socket.inet_pton(socket.AF_INET6, addr), 0)
    return b.ljust(128, b"\0")


def join(s, group, o):
    index = socket.if_nametoindex(o["if"]) if "if" in o else 0
    if "source" in o:
        level = socket.IPPROTO_IP if s.family == socket.AF_INET else socket.IPPROTO_IPV6
        s.setsockopt(level, MCAST_JOIN_SOURCE_GROUP, struct.pack("=Q", index) + storage(group) + storage(o["source"]))
    elif s.family == socket.AF_INET:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                     socket.inet_aton(group) + socket.inet_aton("0.0.0.0") + struct.pack("=i", index))
    else:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                     socket.inet_pton(socket.AF_INET6, group) + struct.pack("=I", index))


def recv(group, port, name, *args):
    o = opts(args)
    s = socket.socket(family_of(group), socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if s.family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
    else:
        s.setsockopt(socket.IPPROTO_IP, 8, 1)                     # IP_PKTINFO
        s.setsockopt(socket.IPPROTO_IP, 12, 1)                    # IP_RECVTTL
    if "first" in o:
        join(s, group, o)
    s.bind((group if "bind" in o else "", int(port)))
    if "first" not in o and "nojoin" not in o:
        join(s, group, o)
    print("ready", flush=True)
    while True:
        data, control, _, peer = s.recvmsg(65536, 256)
        to = hops = None
        for level, kind, value in control:
            if (level, kind) == (socket.IPPROTO_IP, 8):
                to = socket.inet_ntoa(value[8:12])
            elif (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
                to = socket.inet_ntop(socket.AF_INET6, value[:16])
            elif (level, kind) in ((socket.IPPROTO_IP, socket.IP_TTL), (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT)):
                hops = struct.unpack("=i", value)[0]
        print(name, data[:16].rstrip(b".").decode(), len(data), peer[0], to, hops, flush=True)


def send(group, port, count, *args):
    o = opts(args)
    for i in range(int(count)):
        s = socket.socket(family_of(group), socket.SOCK_DGRAM)
        index = socket.if_nametoindex(o["if"]) if "if" in o else 0
        if s.family == socket.AF_INET6 and index:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        elif index:
            s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4si", b"\0" * 4, b"\0" * 4, index))
        if "ttl" in o:
            s.setsockopt(*ttl_opt[s.family], int(o["ttl"]))
        if "noloop" in o:
            if s.family == socket.AF_INET:
                s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
            else:
                s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        text = f"{o.get('text', 'm')}{i}".encode().ljust(int(o.get("size", 16)), b".")
        if "connect" in o:
            s.connect((group, int(port)))
            s.send(text)
        else:
            s.sendto(text, (group, int(port)))
        s.close()


{"recv": recv, "send": send}[sys.argv[1]](*sys.argv[2:])

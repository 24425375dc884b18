# SPDX-License-Identifier: GPL-2.0-or-later
# differ_app.py - the program of differ.t: the same on npp and on the kernel
#
# usage: differ_app.py SOCKET     SOCKET: path of a unix socket
#
# One JSON line asks: [[KEY, OPERATION, ARGUMENT...], ...]; one answers: the list of what each gave. KEY is
# "ADDRESS|PORT" of the peer. Nothing blocks. Byte i of every stream is PATTERN[i % 65536], so that a byte
# that came to the wrong place is seen.
import errno
import fcntl
import json
import os
import select
import socket
import struct
import sys
import time

PATTERN = bytes((i * 7 + (i >> 8) * 13 + (i >> 3)) & 0xff for i in range(65536)) * 2
PORTS = {7000: {}, 7001: {"fastopen": True}, 7002: {"defer": True}}
TCP_FASTOPEN, TCP_FASTOPEN_KEY = 23, 33
ROOM = .2   # seconds for what has to ask for room
listeners, socks = [], {}


class One:
    """A socket, and how far its streams are."""

    def __init__(self, s):
        self.s, self.got, self.put = s, 0, 0


class Later:
    """An answer that is known when the socket has room, or AGAIN() tells that it has none."""

    def __init__(self, one, again):
        self.one, self.again = one, again


def name_of(e):
    return errno.errorcode.get(e.errno, str(e.errno))


def key_of(peer):
    return f"{peer[0]}|{peer[1]}"


def listen():
    for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        for port, kind in PORTS.items():
            ls = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            ls.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                ls.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if kind.get("fastopen"):
                ls.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN, 1024)
                ls.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_KEY, b"the same for all")
            if kind.get("defer"):
                ls.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)     # longer than any case
            ls.bind((host, port))
            ls.listen(4096)
            listeners.append(ls)


def accept_all():
    for ls in listeners:
        while True:
            try:
                s, peer = ls.accept()
            except OSError:
                break
            s.setblocking(False)
            old = socks.pop(key_of(peer), None)
            if old:
                old.s.close()
            socks[key_of(peer)] = One(s)


def op_connect(key, one, host, port, options):
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    for o in options:
        s.setsockopt(*o)
    socks[key] = One(s)
    e = s.connect_ex((host, port))
    return errno.errorcode.get(e, e)


def op_recv(key, one, n, flags=0):
    b = one.s.recv(n, flags)
    at = one.got & 0xffff
    if flags & socket.MSG_OOB:
        return ["oob", b.hex()]
    if not flags & socket.MSG_PEEK:
        one.got += len(b)
    if flags & ~socket.MSG_PEEK:
        return [len(b)]
    return [len(b), b == PATTERN[at:at + len(b)] or b.hex()[:40]]


def op_read(key, one):
    """Everything there is."""
    total, right = 0, True
    while True:
        try:
            b = one.s.recv(65536)
        except OSError as e:
            return [total, right, name_of(e)]
        if not b:
            return [total, right, "EOF"]
        at = one.got & 0xffff
        right = right and (b == PATTERN[at:at + len(b)] or [one.got, b.hex()[:40]])
        one.got += len(b)
        total += len(b)


def op_send(key, one, n, flags=0):
    at = one.put & 0xffff

    def send():
        sent = one.s.send(PATTERN[at:at + n], flags | socket.MSG_NOSIGNAL)
        one.put += sent
        return [sent]

    try:
        return send()
    except BlockingIOError:     # the first byte may wait for a buffer
        return Later(one, send)


def op_shutdown(key, one, how):
    one.s.shutdown(how)


def op_close(key, one):
    del socks[key]
    one.s.close()


def op_abort(key, one):
    del socks[key]
    one.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.s.close()


def op_set(key, one, level, name, value):
    one.s.setsockopt(level, name, value)


def op_error(key, one):
    e = one.s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return errno.errorcode.get(e, e)


def op_look(key, one):
    """State, what poll says, bytes to read, at the mark."""
    p = select.poll()
    p.register(one.s, select.POLLIN | select.POLLOUT | select.POLLPRI | 0x2000)
    got = [one.s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0], (p.poll(0) or [(0, 0)])[0][1]]
    for request in (0x541b, 0x8905):
        try:
            got.append(struct.unpack("i", fcntl.ioctl(one.s, request, bytes(4)))[0])
        except OSError as e:
            got.append(name_of(e))

    def room():
        p.modify(one.s, select.POLLOUT)
        return [got[0], got[1] | (p.poll(0) or [(0, 0)])[0][1]] + got[2:]

    if got[0] in (1, 8) and not got[1] & select.POLLOUT:    # room may have to be asked for
        return Later(one, room)
    return got


def do(key, op, *args):
    one = socks.get(key)
    if one is None and op != "connect":
        return "none"
    try:
        return globals()["op_" + op](key, one, *args)
    except OSError as e:
        return name_of(e)


def answers(questions):
    """What each gives. Those that have to wait for room do it all at once."""
    got = [do(*q) for q in questions]
    late = [a for a in got if isinstance(a, Later)]
    p, end = select.poll(), time.monotonic() + ROOM
    waits = {a.one.s.fileno() for a in late}
    for fd in waits:
        p.register(fd, select.POLLOUT)
    while waits and (left := end - time.monotonic()) > 0:
        for fd, _ in p.poll(left * 1000):
            p.unregister(fd)
            waits.remove(fd)
    for i, a in enumerate(got):
        if isinstance(a, Later):
            try:
                got[i] = a.again()
            except OSError as e:
                got[i] = name_of(e)
    return got


def main():
    path = sys.argv[1]
    listen()
    control = socket.socket(socket.AF_UNIX)
    control.bind(path + ".new")
    control.listen(4)
    os.rename(path + ".new", path)
    while True:
        f = control.accept()[0].makefile("rw")
        try:
            for line in f:
                accept_all()
                f.write(json.dumps(answers(json.loads(line))) + "\n")
                f.flush()
        except OSError:     # who asked has gone
            pass


if __name__ == "__main__":
    main()

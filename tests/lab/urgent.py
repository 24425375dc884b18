#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
# urgent.py - a program that sends and receives urgent data, and says what it saw
#
# usage: urgent.py read PORT           serves all scenarios once, prints what the calls gave, ends
#        urgent.py write ADDRESS PORT  the other end
#
# The reader asks for each step by a byte; it waits for what it expects to see, not for a time. What it
# prints depends on the socket calls alone: the same on the kernel and on npp.
import ctypes
import errno
import fcntl
import os
import select
import signal
import socket
import struct
import sys
import termios
import time

SLOW = int(os.environ.get("NPP_SLOW", "1"))
SIOCATMARK = 0x8905
F_GETOWN_EX = 16
SCENARIOS = []
signals = 0


def scenario(f):
    SCENARIOS.append(f)
    return f


def on_urg(_sig, _frame):
    global signals
    signals += 1


def without_setuid():
    """The C library ends a process whose threads differ in whether they may change the user."""
    libc, head, caps = ctypes.CDLL(None), struct.pack("Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
    assert libc.capget(head, caps) == 0
    words = list(struct.unpack("6I", caps.raw))
    has, words[0] = words[0], words[0] & ~(1 << 7)
    assert libc.capset(head, struct.pack("6I", *words)) == 0
    try:
        os.setresuid(-1, 12345, -1)
    finally:
        words[0] = has
        assert libc.capset(head, struct.pack("6I", *words)) == 0


class Reader:
    def __init__(self, s, name):
        self.s, self.name = s, name

    def say(self, what):
        print(f"{self.name}: {what}", flush=True)

    def ask(self):
        """The writer's next step."""
        self.s.sendall(b"n")

    def call(self, what, f):
        try:
            r = f()
        except OSError as e:
            r = errno.errorcode.get(e.errno, e.errno)
        self.say(f"{what} {r}")

    def recv(self, n=100, flags=0):
        names = [k for k in ("OOB", "PEEK", "WAITALL", "TRUNC") if flags & getattr(socket, "MSG_" + k)]
        wait = 0 if "WAITALL" in names else socket.MSG_DONTWAIT
        self.call(f"recv {n} {'|'.join(names)}", lambda: self.s.recv(n, flags | wait))

    def int_of(self, request):
        return struct.unpack("i", fcntl.ioctl(self.s, request, bytes(4)))[0]

    def look(self):
        p = select.poll()
        p.register(self.s, select.POLLIN | select.POLLPRI | select.POLLRDHUP)
        ready = p.poll(0)
        r, _, x = select.select([self.s], [], [self.s], 0)
        self.say(f"at mark {self.int_of(SIOCATMARK)}, queue {self.int_of(termios.FIONREAD)}, poll {ready[0][1] if ready else 0}, "
                 f"select {'r' if r else '-'}{'x' if x else '-'}")

    def wait(self, events, queue=None):
        """Until all EVENTS hold and QUEUE bytes are there before the mark."""
        end = time.monotonic() + 20 * SLOW
        p = select.poll()
        p.register(self.s, events)
        while True:
            got = p.poll(100)
            if got and got[0][1] & events == events and (queue is None or self.int_of(termios.FIONREAD) >= queue):
                return
            if got:
                time.sleep(0.002)
            if time.monotonic() > end:
                self.say(f"waited in vain for {events} {queue}, have {got}, {self.int_of(termios.FIONREAD)}")
                return

    def wait_signal(self, n):
        end = time.monotonic() + 20 * SLOW
        while signals < n and time.monotonic() < end:
            time.sleep(0.005)
        self.say(f"signals {'enough' if signals >= n else signals}")

    def until_mark(self, most=1 << 20):
        """Reads up to the mark: how many bytes, in order?"""
        n, good = 0, True
        while not (n and self.int_of(SIOCATMARK)) and n < most:
            b = self.s.recv(min(65536, most - n))
            if not b:
                break
            good = good and b == pattern(n, len(b))
            n += len(b)
        self.say(f"read {n} {'good' if good else 'bad'}")
        return n


def pattern(at, n):
    return bytes((i * 7 + i // 251) & 255 for i in range(at, at + n))


class Writer:
    def __init__(self, s):
        self.s = s

    def wait(self):
        self.s.recv(1, socket.MSG_WAITALL)

    def send(self, data):
        self.wait()
        self.s.sendall(data)

    def urgent(self, data):
        self.wait()
        self.s.send(data, socket.MSG_OOB)


@scenario
def ordinary(r, w):
    """A mark in the middle of data."""
    if w:
        w.urgent(b"abcX")
        w.send(b"def")
        return
    r.recv(1, socket.MSG_OOB)
    r.look()
    r.ask()
    r.wait(select.POLLIN | select.POLLPRI, 3)
    r.ask()
    r.look()
    r.recv(2)
    r.recv()
    r.wait(select.POLLIN)
    r.look()
    r.recv(1, socket.MSG_OOB | socket.MSG_PEEK)
    r.recv(5, socket.MSG_OOB)
    r.recv(1, socket.MSG_OOB)
    r.recv(3, socket.MSG_WAITALL)
    r.look()


@scenario
def not_read(r, w):
    """Who reads on loses the urgent byte."""
    if w:
        w.urgent(b"abcX")
        w.send(b"def")
        return
    r.ask()
    r.wait(select.POLLPRI, 3)
    r.ask()
    r.recv()
    r.recv(3, socket.MSG_WAITALL)
    r.recv(1, socket.MSG_OOB)
    r.look()


@scenario
def inline(r, w):
    if w:
        w.urgent(b"abcX")
        w.send(b"def")
        return
    r.s.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    r.say(f"inline {r.s.getsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE)}")
    r.ask()
    r.wait(select.POLLIN | select.POLLPRI, 4)
    r.recv(1, socket.MSG_OOB)
    r.ask()
    r.wait(select.POLLIN, 7)
    r.look()
    r.recv()
    r.look()
    r.recv()
    r.look()


@scenario
def last_byte(r, w):
    """The urgent byte is all there is."""
    if w:
        w.urgent(b"X")
        w.send(b"yz")
        return
    r.ask()
    r.wait(select.POLLPRI)
    r.look()
    r.recv(1, socket.MSG_OOB)
    r.look()
    r.recv()
    r.look()
    r.ask()
    r.wait(select.POLLIN)
    r.recv()


@scenario
def several_at_once(r, w):
    """Each new one puts a reader behind the one before that he stands at."""
    if w:
        w.urgent(b"A")
        w.urgent(b"B")
        w.urgent(b"xC")
        w.send(b"end")
        return
    r.ask()
    r.wait(select.POLLPRI)
    r.recv(1, socket.MSG_OOB)
    r.ask()
    r.wait(select.POLLPRI)
    r.look()
    r.recv(1, socket.MSG_OOB)
    r.ask()
    r.wait(select.POLLPRI)
    r.look()
    r.recv(1, socket.MSG_OOB)
    r.ask()
    r.recv()
    r.recv(3, socket.MSG_WAITALL)


@scenario
def peeking(r, w):
    if w:
        w.urgent(b"abX")
        w.send(b"cd")
        return
    r.ask()
    r.wait(select.POLLPRI, 2)
    r.ask()
    r.recv(10, socket.MSG_PEEK)
    r.recv(2)
    r.recv(2, socket.MSG_PEEK | socket.MSG_WAITALL)
    r.recv(1, socket.MSG_OOB | socket.MSG_PEEK)
    r.look()
    r.recv(2)


@scenario
def wait_for_all(r, w):
    if w:
        w.urgent(b"abcX")
        w.send(b"defg")
        return
    r.ask()
    r.ask()
    r.wait(select.POLLPRI, 3)
    r.recv(7, socket.MSG_WAITALL)
    r.recv(4, socket.MSG_WAITALL)


@scenario
def in_a_stream(r, w):
    """The mark stands where it was sent, whatever the segments were."""
    if w:
        for n, c in (200000, b"!"), (100000, b"?"):
            w.wait()
            w.s.sendall(pattern(0, n))
            w.s.send(c, socket.MSG_OOB)
        w.s.shutdown(socket.SHUT_WR)
        return
    for n in 200000, 100000:
        r.ask()
        r.until_mark(n)
        r.wait(select.POLLPRI)
        r.say(f"at mark {r.int_of(SIOCATMARK)}")
    r.wait(select.POLLPRI | select.POLLRDHUP)
    r.recv(1, socket.MSG_OOB)
    r.recv()
    r.look()


@scenario
def sigurg(r, w):
    """A signal tells of the pointer, even of one that comes while the window is closed."""
    if w:
        w.wait()
        w.s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200000)
        w.s.sendall(pattern(0, 75000))
        w.s.send(b"!", socket.MSG_OOB)
        w.send(b"end")
        return
    fcntl.fcntl(r.s, fcntl.F_SETOWN, os.getpid())
    r.say(f"owner {'me' if fcntl.fcntl(r.s, fcntl.F_GETOWN) == os.getpid() else 'other'}")
    kind, pid = struct.unpack("ii", fcntl.fcntl(r.s, F_GETOWN_EX, bytes(8)))
    r.say(f"owner {kind} {'me' if pid == os.getpid() else 'other'}")
    r.call("another user, without the capability of it in this thread", without_setuid)
    r.call("no such owner", lambda: fcntl.fcntl(r.s, fcntl.F_SETOWN, 0x3ffffff0))
    r.ask()
    r.wait_signal(1)
    r.recv(1, socket.MSG_OOB)
    r.until_mark()
    r.wait(select.POLLPRI)
    r.recv(1, socket.MSG_OOB)
    r.ask()
    r.recv(3, socket.MSG_WAITALL)
    r.call("no owner", lambda: fcntl.fcntl(r.s, fcntl.F_SETOWN, 0))


@scenario
def epoll(r, w):
    if w:
        w.urgent(b"X")
        w.send(b"y")
        w.urgent(b"Z")
        return
    e = select.epoll()
    e.register(r.s, select.EPOLLPRI)
    r.say(f"epoll {[m for _, m in e.poll(0)]}")
    r.ask()
    r.say(f"epoll {[m for _, m in e.poll(20 * SLOW)]}")
    r.recv(1, socket.MSG_OOB)
    r.say(f"epoll {[m for _, m in e.poll(0)]}")
    r.ask()
    r.wait(select.POLLIN)
    r.say(f"epoll {[m for _, m in e.poll(0)]}")
    r.recv()
    r.ask()
    r.say(f"epoll {[m for _, m in e.poll(20 * SLOW)]}")
    r.recv()
    r.say(f"epoll {[m for _, m in e.poll(0)]}")


@scenario
def end_of_file(r, w):
    """The mark and the end of the stream."""
    if w:
        w.urgent(b"abX")
        w.wait()
        w.s.shutdown(socket.SHUT_WR)
        return
    r.ask()
    r.wait(select.POLLPRI, 2)
    r.ask()
    r.wait(select.POLLRDHUP)
    r.recv()
    r.look()
    r.recv(1, socket.MSG_OOB)
    r.recv()
    r.recv(1, socket.MSG_OOB)
    r.look()


@scenario
def peer_sends_urgent_to_a_reader_that_shut(r, w):
    if w:
        w.urgent(b"X")
        return
    r.ask()
    r.wait(select.POLLPRI)
    r.s.shutdown(socket.SHUT_RD)
    r.recv(1, socket.MSG_OOB)
    r.recv(1, socket.MSG_OOB)


def main():
    if sys.argv[1] == "read":
        signal.signal(signal.SIGURG, on_urg)
        ls = socket.socket()
        ls.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        ls.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20000)
        ls.bind(("", int(sys.argv[2])))
        ls.listen()
        for f in SCENARIOS:
            s, _ = ls.accept()
            f(Reader(s, f.__name__), None)
            s.close()
    else:
        for f in SCENARIOS:
            s = socket.create_connection((sys.argv[2], int(sys.argv[3])), 20 * SLOW)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            f(None, Writer(s))
            try:
                while s.recv(100):
                    pass
            except OSError:
                pass
            s.close()


main()

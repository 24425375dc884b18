#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
# closing.py - a program that closes connections in all ways, and says what it and its peer saw
#
# usage: closing.py serve PORT          is closed at, and tells how it went; ends after all scenarios
#        closing.py call ADDRESS PORT   closes, and prints both sides' words
#
# The one that calls decides: by a line on a second connection it tells the other what to do, and
# asks what came of it. Times are only said as "at once", "waited", so that they are the same everywhere.
import errno
import fcntl
import json
import os
import select
import socket
import struct
import sys
import termios
import time

SLOW = int(os.environ.get("NPP_SLOW", "1"))
LONG = 1 if SLOW == 1 else 3     # seconds of waiting that are not taken for none on a machine that is busy
LINGER = socket.SO_LINGER


def name(e):
    return errno.errorcode.get(e.errno, str(e))


def outcome(f):
    try:
        return f()
    except OSError as e:
        return name(e)


def pause(seconds):
    """Until what was sent has surely come; what follows must not depend on how long it is."""
    time.sleep(seconds)


def read_to_end(s):
    n = 0
    try:
        while b := s.recv(1 << 16):
            n += len(b)
    except OSError as e:
        return f"{n} then {name(e)}"
    return f"{n} then the end"


def poll_of(s):
    p = select.poll()
    p.register(s, select.POLLIN | select.POLLOUT | select.POLLRDHUP)
    r = p.poll(0)
    return r[0][1] if r else 0


# ---- the side that serves: commands

def do(s, q):
    op = q["op"]
    if op == "read":
        return read_to_end(s)
    if op == "some":
        return len(s.recv(q["n"]))
    if op == "read_after":
        pause(q["s"])
        return read_to_end(s)
    if op == "send":
        return outcome(lambda: s.send(b"y" * q["n"], socket.MSG_NOSIGNAL))
    if op == "error":
        end = time.monotonic() + 10 * SLOW
        while not (e := s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)) and time.monotonic() < end:
            time.sleep(0.01)
        return errno.errorcode.get(e, e)
    if op == "when_reset":
        p = select.poll()
        p.register(s, 0)
        p.poll(10000)
        said = [read_to_end(s), read_to_end(s)]
        return said + [outcome(lambda: s.send(b"y", socket.MSG_NOSIGNAL)) for _ in range(2)] + [read_to_end(s)]
    if op == "small":
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        return 0
    raise ValueError(op)


def serve(port):
    ls = socket.socket()
    ls.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    ls.bind(("", port))
    ls.listen()
    control, _ = ls.accept()
    f, s = control.makefile("rw"), None
    f.write("0\n")
    f.flush()
    for line in f:
        q = json.loads(line)
        if q["op"] == "accept":
            if s:
                s.close()
            s, _ = ls.accept()
            a = 0
        elif q["op"] == "in_order":
            several = [ls.accept()[0] for _ in range(q["n"])]
            a = [x.recv(1).decode() for x in several]
        elif q["op"] == "hang_up":
            a = read_to_end(s)
            s.close()
            s = None
        else:
            a = outcome(lambda: do(s, q))
        f.write(json.dumps(a) + "\n")
        f.flush()


# ---- the side that calls: scenarios

class Caller:
    def __init__(self, address, port):
        self.to = (address, port)
        self.control = socket.create_connection(self.to, 20 * SLOW)
        self.f = self.control.makefile("rw")
        self.heard()    # nothing else is there yet that could be taken for it

    def tell(self, op, **kw):
        self.f.write(json.dumps({"op": op, **kw}) + "\n")
        self.f.flush()

    def heard(self):
        return json.loads(self.f.readline())

    def ask(self, op, **kw):
        self.tell(op, **kw)
        return self.heard()

    def open(self):
        self.tell("accept")
        s = socket.create_connection(self.to, 20 * SLOW)
        s.settimeout(None)
        self.heard()
        return s


def linger(s, on, seconds):
    s.setsockopt(socket.SOL_SOCKET, LINGER, struct.pack("ii", on, seconds))


def timed_close(s, least, most):
    """How long close() took, in words."""
    t = time.monotonic()
    s.close()
    t = time.monotonic() - t
    return "at once" if t < LONG / 2 else "waited" if least <= t <= most else f"{t:.2f} s"


def ordinary(c, say):
    s = c.open()
    s.sendall(b"x" * 1000)
    say("close", timed_close(s, 0, 0))
    say("peer", c.ask("read"))


def linger_zero(c, say):
    s = c.open()
    linger(s, 1, 0)
    say("linger", struct.unpack("ii", s.getsockopt(socket.SOL_SOCKET, LINGER, 8)))
    s.sendall(b"x" * 1000)
    c.ask("some", n=1000)
    say("close", timed_close(s, 0, 0))
    say("peer", c.ask("error"))


def reset_at_once(c, say):
    """What was written before and could be sent still comes, and then the reset."""
    for n in 1, 1000, 10000:
        s = c.open()
        linger(s, 1, 0)
        s.sendall(b"x" * n)
        s.close()
        say(n, c.ask("read"))
        s = c.open()
        c.ask("send", n=10)
        select.select([s], [], [])
        s.sendall(b"x" * n)
        s.close()
        say(n, "with unread data", c.ask("read"))


def reset_after_the_end(c, say):
    """All was said before, and stays so; who writes hears of the reset."""
    for n in 0, 1000:
        s = c.open()
        s.sendall(b"x" * n)
        s.shutdown(socket.SHUT_WR)
        linger(s, 1, 0)
        s.close()
        say(n, c.ask("when_reset"))


def linger_for_a_reader(c, say):
    """close() waits until all is acknowledged, no longer."""
    s = c.open()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 400000)
    linger(s, 1, 15 * LONG)
    s.sendall(b"x" * 350000)
    c.tell("read_after", s=LONG)
    say("close", timed_close(s, LONG / 2, 12 * LONG))
    say("peer", c.heard())


def linger_in_vain(c, say):
    """... and no longer than that; then it goes on by itself."""
    s = c.open()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 400000)
    linger(s, 1, LONG)
    s.sendall(b"x" * 350000)
    s.setblocking(False)    # which does not matter to close()
    say("close", timed_close(s, 0.9 * LONG, 4 * LONG))
    say("peer", c.ask("read"))


def unread(c, say):
    for how in None, socket.SHUT_RD:
        s = c.open()
        c.ask("send", n=10)
        select.select([s], [], [])
        if how is not None:
            s.shutdown(how)
        s.close()
        say(f"unread, {how}", c.ask("error"))


def accept_queue(c, say):
    """Who came first is accepted first."""
    for n in 1, 8:
        several = []
        for i in range(n):
            s = socket.create_connection(c.to, 20 * SLOW)
            s.send(b"%d" % i)
            while struct.unpack("i", fcntl.ioctl(s, termios.TIOCOUTQ, bytes(4)))[0]:
                time.sleep(0.001)   # what is acknowledged has come after the handshake
            several.append(s)
        say("accepted", c.ask("in_order", n=n))
        for s in several:
            s.close()


def closed_in_haste(c, say):
    """It may be over at once; when shutdown() was called it was not."""
    said = set()
    for _ in range(30):
        s = c.open()
        c.tell("hang_up")
        said.add(outcome(lambda: s.shutdown(socket.SHUT_WR)))
        c.heard()
        s.close()
    say("shutdown", said)


def half_closed(c, say):
    s = c.open()
    s.sendall(b"x" * 10)
    s.shutdown(socket.SHUT_WR)
    say("poll", poll_of(s))
    say("send", outcome(lambda: s.send(b"x", socket.MSG_NOSIGNAL)))
    say("again", outcome(lambda: s.shutdown(socket.SHUT_WR)))
    say("peer reads", c.ask("read"))
    say("peer sends", c.ask("send", n=100))
    say("recv", len(s.recv(100, socket.MSG_WAITALL)))
    s.shutdown(socket.SHUT_RD)
    say("recv", s.recv(10))
    say("poll", poll_of(s))
    s.close()


def shut_for_reading(c, say):
    """What comes is taken and can be read; then it is the end."""
    s = c.open()
    s.shutdown(socket.SHUT_RD)
    say("poll", poll_of(s))
    say("recv", s.recv(10))
    say("peer sends", c.ask("send", n=10))
    while (n := struct.unpack("i", fcntl.ioctl(s, 0x541b, bytes(4)))[0]) < 10:
        time.sleep(0.002)
    say("recv", len(s.recv(100)))
    say("recv", s.recv(10))
    say("send", s.send(b"z" * 5))
    s.close()
    say("peer", c.ask("read"))


def a_child_that_dies(c, say):
    for what in "nothing", "linger", "unread":
        s = c.open()
        if what == "linger":
            linger(s, 1, 0)
        if what == "unread":
            c.ask("send", n=10)
            select.select([s], [], [])
        r, w = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(w)
            s.send(b"q")
            os.read(r, 1)
            os._exit(0)
        os.close(r)
        s.close()
        say(what, c.ask("some", n=1))
        os.close(w)
        os.waitpid(pid, 0)
        say(what, c.ask("read") if what == "nothing" else c.ask("error"))


def after_the_end(c, say):
    s = c.open()
    linger(s, 1, 0)
    s2 = s.dup()
    s.shutdown(socket.SHUT_WR)
    say("peer", c.ask("read"))
    c.tell("accept")    # closes its end
    other = socket.create_connection(c.to, 20 * SLOW)
    c.heard()
    say("end", s2.recv(1))
    end = time.monotonic() + 10 * SLOW
    while (r := outcome(lambda: s2.shutdown(socket.SHUT_RDWR))) is None and time.monotonic() < end:
        time.sleep(0.01)
    say("shutdown", r)
    s.close()
    s2.close()
    other.close()


SCENARIOS = [ordinary, linger_zero, reset_at_once, reset_after_the_end, linger_for_a_reader, linger_in_vain, unread,
             accept_queue, closed_in_haste, half_closed, shut_for_reading, a_child_that_dies, after_the_end]

if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    else:
        caller = Caller(sys.argv[2], int(sys.argv[3]))
        for f in SCENARIOS:
            f(caller, lambda *a, f=f: print(f"{f.__name__}:", *a, flush=True))

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
# greedy.py - a host that takes all it can get, and never gives back
#
#   greedy.py take PEER        on the host: ports, listeners, connections to PEER:9000, datagrams to it; its
#                              own port 9001 takes connections and never reads; says what it has as JSON
#   greedy.py never            on the host: port 9001 takes no connection, however many come
#   greedy.py sink             on a client: port 9000 takes connections and never reads
#   greedy.py stuff ADDR N     on a client: N connections to ADDR:9001, each filled until it takes no more
import errno, json, os, resource, select, socket, sys, threading, time

SLOW = int(os.environ.get("NPP_SLOW", "1"))
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


def listener(port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("0.0.0.0", port))
    s.listen(4096)
    return s


def swallow(s, kept):
    while True:
        try:
            kept.append(s.accept()[0])
        except OSError:
            time.sleep(0.05)


def as_many(make, most):
    got, why = [], ""
    while len(got) < most:
        try:
            got.append(make(len(got)))
        except OSError as e:
            why = errno.errorcode.get(e.errno, str(e))
            break
    return got, why


def take(peer):
    kept = []
    threading.Thread(target=swallow, args=(listener(9001), kept), daemon=True).start()

    def udp(i):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("0.0.0.0", 10000 + i))
        return s

    def conn(i):
        s = socket.socket()
        s.settimeout(10 * SLOW)
        s.connect((peer, 9000))
        s.setblocking(False)
        try:
            while True:
                s.send(b"x" * 65536)
        except BlockingIOError:
            pass
        return s

    has, why = {}, {}
    for name, make, most in (("listeners", lambda i: listener(20000 + i), 6000), ("udp", udp, 6000), ("conns", conn, 6000)):
        got, why[name] = as_many(make, most)
        has[name] = len(got)
        kept.append(got)
    print(json.dumps({"has": has, "why": why}), flush=True)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setblocking(False)
    while True:
        try:
            for i in range(64):
                s.sendto(b"y" * 1000, (peer, 9))
        except OSError:
            time.sleep(0.001)


def stuff(addr, n):
    conns = []
    for i in range(n):
        try:
            c = socket.create_connection((addr, 9001), 2 * SLOW)
            c.setblocking(False)
            conns.append(c)
        except OSError:
            pass
    print("open", len(conns), flush=True)
    poll = select.poll()
    by_fd = {c.fileno(): c for c in conns}
    for fd in by_fd:
        poll.register(fd, select.POLLOUT)
    while True:
        for fd, _ in poll.poll(1000):
            try:
                while by_fd[fd].send(b"z" * 65536):
                    pass
            except BlockingIOError:
                pass
            except OSError:
                poll.unregister(fd)


if sys.argv[1] == "take":
    take(sys.argv[2])
elif sys.argv[1] == "never":
    s = listener(9001)
    print("ready", flush=True)
    time.sleep(3600)
elif sys.argv[1] == "sink":
    kept = []
    s = listener(9000)
    print("ready", flush=True)
    swallow(s, kept)
else:
    stuff(sys.argv[2], int(sys.argv[3]))

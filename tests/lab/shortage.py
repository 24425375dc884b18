# SPDX-License-Identifier: GPL-2.0-or-later
"""What a program on a host without memory hears: shortage.py try HOST | fork PORT | accept PORT | ask HOST PORT COUNT SECONDS

try: a connection, a listener, a datagram, each with its error, in one line.
fork: a server that forks for each connection; the child answers, or its parent with the error.
accept: one that keeps all connections, answers each, and prints the errors of accept().
ask: COUNT connections at once; what the first said, and how many had an answer in time.
"""
import errno
import os
import select
import socket
import sys
import time

SLOW = int(os.environ.get("NPP_SLOW", "1"))


def result(fn):
    try:
        fn()
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e.errno))
    return 'ok'


def connect(host):
    with socket.socket() as s:
        s.settimeout(10 * SLOW)
        s.connect((host, 9))


def listen():
    with socket.socket() as s:
        s.bind(('', 7071))
        s.listen()


def datagram(host):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b'x', (host, 9))


def server(port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(('', port))
    s.listen(512)
    return s


def accept_all(port):
    s, kept = server(port), []
    while True:
        try:
            kept.append(s.accept()[0])
            kept[-1].sendall(b'here')
        except OSError as e:
            print(errno.errorcode[e.errno], flush=True)
            time.sleep(0.05)


def ask(host, port, count, seconds):
    p, first, conns, end = select.poll(), None, {}, time.monotonic() + seconds
    for _ in range(count):
        c = socket.create_connection((host, port), 10 * SLOW)
        conns[c.fileno()] = c
        p.register(c, select.POLLIN)
    answered = 0
    while answered < count and time.monotonic() < end:
        for fd, _ in p.poll(100):
            text = conns[fd].recv(99).decode()
            first = first or text
            answered += text != ''
            p.unregister(fd)
    print(first, answered)


def fork_each(port):
    s = server(port)
    while True:
        c = s.accept()[0]
        try:
            pid = os.fork()
        except OSError as e:
            c.sendall(errno.errorcode[e.errno].encode())
            c.close()
            continue
        if pid == 0:
            c.sendall(b'child')
            os._exit(0)
        c.close()
        os.waitpid(pid, 0)


MODE = sys.argv[1]
if MODE == 'fork':
    fork_each(int(sys.argv[2]))
elif MODE == 'accept':
    accept_all(int(sys.argv[2]))
HOST = socket.gethostbyname(sys.argv[2])
if MODE == 'ask':
    ask(HOST, int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
else:
    print(result(lambda: connect(HOST)), result(listen), result(lambda: datagram(HOST)))

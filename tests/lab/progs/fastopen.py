# SPDX-License-Identifier: GPL-2.0-or-later
# fastopen.py - questions in SYNs, and who answers them
#
# usage: fastopen.py serve PORT [KEYS...]   each SIGUSR1 sets the next KEYS (TCP_FASTOPEN_KEY); it says what it has then
#        fastopen.py sendto|connect ADDRESS PORT COUNT
#        fastopen.py cookie KEY CLIENT SERVER   that Linux makes of KEY
import os
import signal
import socket
import sys

FASTOPEN, FASTOPEN_CONNECT, FASTOPEN_KEY, MSG_FASTOPEN = 23, 30, 33, 0x20000000
M = (1 << 64) - 1


def turn(v, by):
    return (v << by | v >> 64 - by) & M


def sip_round(a, b, c, d):
    a, c = a + b & M, c + d & M
    b, d = turn(b, 13) ^ a, turn(d, 16) ^ c
    a, c = turn(a, 32) + d & M, c + b & M
    b, d = turn(b, 17) ^ c, turn(d, 21) ^ a
    return a, b, turn(c, 32), d


def siphash(key, data):
    """SipHash-2-4, as bytes."""
    k, whole = [int.from_bytes(key[i:i + 8], 'little') for i in (0, 8)], len(data) & ~7
    a, b, c, d = (k[i & 1] ^ x for i, x in enumerate((0x736f6d6570736575, 0x646f72616e646f6d, 0x6c7967656e657261,
                                                      0x7465646279746573)))
    words = [int.from_bytes(data[i:i + 8], 'little') for i in range(0, whole, 8)]
    for m in [*words, int.from_bytes(data[whole:], 'little') | (len(data) & 255) << 56]:
        a, b, c, d = sip_round(*sip_round(a, b, c, d ^ m))
        a ^= m
    v = a, b, c ^ 0xff, d
    for _ in range(4):
        v = sip_round(*v)
    return (v[0] ^ v[1] ^ v[2] ^ v[3]).to_bytes(8, 'little')


def packed(address):
    return socket.inet_pton(socket.AF_INET6 if ':' in address else socket.AF_INET, address)


def serve(port, *keys):
    def next_key(*_):
        s.setsockopt(socket.IPPROTO_TCP, FASTOPEN_KEY, bytes.fromhex(keys.pop(0)))
        print('key', s.getsockopt(socket.IPPROTO_TCP, FASTOPEN_KEY, 64).hex(), flush=True)

    s, keys = socket.socket(), list(keys)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(('', port))
    s.setsockopt(socket.IPPROTO_TCP, FASTOPEN, 32)
    s.listen(32)
    signal.signal(signal.SIGUSR1, next_key)
    while True:
        c, _ = s.accept()
        data = c.recv(100)
        c.sendall(b'answer to ' + data)
        c.close()


def ask(how, addr, n):
    s = socket.socket()
    s.settimeout(10 * int(os.environ.get('NPP_SLOW', '1')))
    q = b'question %d' % n
    if how == 'sendto':
        s.setblocking(True)
        s.sendto(q, MSG_FASTOPEN, addr)
    else:
        s.setsockopt(socket.IPPROTO_TCP, FASTOPEN_CONNECT, 1)
        s.connect(addr)
        s.sendall(q)
    got = b''
    while part := s.recv(100):
        got += part
    s.close()
    return got == b'answer to ' + q


if sys.argv[1] == 'serve':
    serve(int(sys.argv[2]), *sys.argv[3:])
elif sys.argv[1] == 'cookie':
    print(siphash(bytes.fromhex(sys.argv[2]), packed(sys.argv[3]) + packed(sys.argv[4])).hex())
else:
    try:
        addr = (sys.argv[2], int(sys.argv[3]))
        print(sum(ask(sys.argv[1], addr, i) for i in range(int(sys.argv[4]))), 'answered')
    except ConnectionRefusedError:
        print('refused')

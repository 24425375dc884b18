# SPDX-License-Identifier: GPL-2.0-or-later
# fastopen.py - questions in SYNs, and who answers them
#
# usage: fastopen.py serve PORT | fastopen.py sendto|connect ADDRESS PORT COUNT
import os
import socket
import sys

FASTOPEN, FASTOPEN_CONNECT, MSG_FASTOPEN = 23, 30, 0x20000000


def serve(port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(('', port))
    s.setsockopt(socket.IPPROTO_TCP, FASTOPEN, 32)
    s.listen(32)
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
    serve(int(sys.argv[2]))
else:
    try:
        addr = (sys.argv[2], int(sys.argv[3]))
        print(sum(ask(sys.argv[1], addr, i) for i in range(int(sys.argv[4]))), 'answered')
    except ConnectionRefusedError:
        print('refused')

# SPDX-License-Identifier: GPL-2.0-or-later
# puppet.py - a program on npp that does with its sockets what a test tells it
#
# usage: puppet.py SOCKET     SOCKET: path of a unix socket; one JSON object per line and answer
#
# A socket is named by its peer, "ADDRESS|PORT"; a listener by its port. Each control connection has a
# thread, each listener one that accepts.
import fcntl
import json
import os
import random
import select
import socket
import struct
import sys
import threading
import time
import traceback

SLOW = int(os.environ.get("NPP_SLOW", "1"))
sockets, listeners, lock = {}, {}, threading.Lock()


def name_of(peer):
    return f"{peer[0].removeprefix('::ffff:')}|{peer[1]}"


def keep(key, s):
    with lock:
        sockets[key] = s


def of(key, seconds=10 * SLOW):
    """The socket KEY; an accepted one may still be on its way."""
    end = time.monotonic() + seconds
    while True:
        with lock:
            if key in sockets:
                return sockets[key]
        if time.monotonic() > end:
            raise KeyError(f"no socket {key}")
        time.sleep(0.002)


def set_options(s, options):
    for level, name, value in options:
        s.setsockopt(level, name, bytes.fromhex(value) if isinstance(value, str) else value)


def pattern(seed, n):
    return random.Random(seed).randbytes(n)


def serve_exchange(s):
    """The server's side of an exchange; its first eight bytes say of which bytes and how many."""
    try:
        head = b""
        while len(head) < 8:
            more = s.recv(8 - len(head))
            if not more:
                return
            head += more
        answer(s, *struct.unpack("!II", head))
    except OSError:
        pass
    finally:
        s.close()


def accept_all(ls, options, serve):
    while True:
        s, peer = ls.accept()
        set_options(s, options)
        if serve == "exchange":
            threading.Thread(target=serve_exchange, args=(s,), daemon=True).start()
        else:
            keep(name_of(peer), s)


def answer(s, seed, n):
    """Takes N bytes and sends as many others; the verdict is a last byte."""
    got, want = bytearray(), pattern(seed, n)
    t = threading.Thread(target=lambda: s.sendall(pattern(seed + 1, n)))
    t.start()
    while len(got) < n and (b := s.recv(1 << 17)):
        got += b
    t.join()
    s.sendall(b"y" if bytes(got) == want else b"n")
    s.shutdown(socket.SHUT_WR)
    while s.recv(4096):
        pass


def ask(s, seed, n):
    """The client's side."""
    s.sendall(struct.pack("!II", seed, n))
    error = []

    def send():
        try:
            s.sendall(pattern(seed, n))
        except OSError as e:
            error.append(repr(e))
    t = threading.Thread(target=send)
    t.start()
    got = bytearray()
    while len(got) < n + 1 and (b := s.recv(1 << 17)):
        got += b
    t.join()
    if error:
        return error[0]
    if bytes(got[:n]) != pattern(seed + 1, n):
        return f"{len(got)} bytes came back, not {n + 1}, or others"
    return True if got[n:] == b"y" else "the server got other bytes"


# ---- commands

def op_listen(q):
    ls = socket.socket(socket.AF_INET6)
    ls.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    set_options(ls, q.get("options", []))
    ls.bind(("::", q["port"]))
    ls.listen(q.get("backlog", 1024))
    listeners[q["port"]] = ls
    threading.Thread(target=accept_all, args=(ls, q.get("accepted", []), q.get("serve")), daemon=True).start()


def op_accepted(q):
    for key in q["keys"]:
        of(key)


def op_connect(q):
    for key in q["keys"]:
        host, port = key.split("|")
        s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        set_options(s, q.get("options", []))
        s.setblocking(False)
        s.connect_ex((host, int(port)))
        s.setblocking(True)
        keep(key, s)


def op_shutdown(q):
    for key in q["keys"]:
        of(key).shutdown(socket.SHUT_WR)


def op_close(q):
    for key in q["keys"]:
        of(key).close()
        with lock:
            del sockets[key]


def op_abort(q):
    """Closes KEYS with a reset; those that are no more are no error."""
    for key in q["keys"]:
        with lock:
            s = sockets.pop(key, None)
        if s:
            try:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            except OSError:
                pass
            s.close()


def send_some(s, data, flags):
    """As much of DATA as there is room for, but something."""
    while True:
        try:
            return s.send(data, flags)
        except BlockingIOError:
            select.select([], [s], [], 10 * SLOW)


def op_send(q):
    """N bytes to each of KEYS, as many as there is room for; how many that was. Nobody waits for room, but the
    first byte may have to wait for a buffer."""
    total = 0
    for key in q["keys"]:
        s = of(key)
        s.setblocking(False)
        data, at = memoryview(pattern(q.get("seed", 1), q["n"])), 0
        try:
            at = send_some(s, data, q.get("flags", 0))
            while at < len(data):
                at += s.send(data[at:], q.get("flags", 0))
        except BlockingIOError:
            pass
        finally:
            s.setblocking(True)
        total += at
    return total


def op_recv(q):
    """Up to N bytes within TIMEOUT, as hexadecimal; null: nothing came. An error by its number."""
    s = of(q["keys"][0])
    s.settimeout(q.get("timeout", 5 * SLOW))
    got = b""
    try:
        while len(got) < q["n"]:
            b = s.recv(q["n"] - len(got), q.get("flags", 0))
            if not b:
                break
            got += b
    except OSError as e:    # a time that has passed has no number, unlike ETIMEDOUT
        return {"errno": e.errno or 0, "data": got.hex()}
    finally:
        s.settimeout(None)
    return {"errno": 0, "data": got.hex()}


def op_look(q):
    """Is it at the mark, how many bytes before the mark, what poll says."""
    s = of(q["keys"][0])
    p = select.poll()
    p.register(s, select.POLLIN | select.POLLPRI)
    ready = p.poll(0)
    return [struct.unpack("i", fcntl.ioctl(s, r, bytes(4)))[0] for r in (0x8905, 0x541b)] + [ready[0][1] if ready else 0]


def op_set(q):
    for key in q["keys"]:
        set_options(of(key), q["options"])


def op_get(q):
    return of(q["keys"][0]).getsockopt(q["level"], q["name"], q.get("size", 256)).hex()


def op_datagram_socket(q):
    """A datagram socket named KEY, bound to ADDRESS and PORT."""
    s = socket.socket(socket.AF_INET6 if q["family"] == 6 else socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    set_options(s, q.get("options", []))
    s.bind((q.get("address", ""), q["port"]))
    keep(q["key"], s)


def op_datagrams(q):
    """What comes to KEY until N are there or TIMEOUT has passed with none: [[hexadecimal, from whom]]."""
    s, got = of(q["key"]), []
    s.settimeout(q.get("timeout", 5 * SLOW))
    try:
        while len(got) < q["n"]:
            b, peer = s.recvfrom(65536)
            got.append([b.hex(), peer[0]])
    except TimeoutError:
        pass
    finally:
        s.settimeout(None)
    return got


def op_sendto(q):
    of(q["key"]).sendto(bytes.fromhex(q["data"]), (q["host"], q["port"]))


def op_ask(q):
    """Connects, and exchanges N bytes in each direction with a server of the same kind."""
    s = socket.socket(socket.AF_INET6 if ":" in q["host"] else socket.AF_INET)
    set_options(s, q.get("options", []))
    s.settimeout(q.get("timeout", 30))
    s.connect((q["host"], q["port"]))
    r = ask(s, q["seed"], q["n"])
    s.close()
    return r


def serve(c):
    f = c.makefile("rw")
    for line in f:
        q = json.loads(line)
        try:
            a = {"ok": globals()["op_" + q["op"]](q)}
        except Exception as e:  # noqa: BLE001
            a = {"error": repr(e), "where": traceback.format_exc()}
        f.write(json.dumps(a) + "\n")
        f.flush()


def main():
    path = sys.argv[1]
    control = socket.socket(socket.AF_UNIX)
    control.bind(path + ".new")
    control.listen(64)
    os.rename(path + ".new", path)
    while True:
        threading.Thread(target=serve, args=(control.accept()[0],), daemon=True).start()


if __name__ == "__main__":
    main()

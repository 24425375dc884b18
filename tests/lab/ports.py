# SPDX-License-Identifier: GPL-2.0-or-later
# ports.py - one side of sessions that outlive a network port, for fig17b.t and fig17c.t
#
# echo PORT: answers each line on TCP, both families; on PORT + 1 it sends a pattern for ever, on PORT + 2 it
#   takes and checks it; on UDP it sends back to whoever it was, from one socket without a peer.
# ask N ADDR PORT [SCOPE]: N datagrams, one after the other; prints how many came back, and whence.
# reach ADDR PORT SCOPE: connects to a link-local address, speaks one line; prints "good" and the scope of both ends.
# bulk FILE SECONDS down|up ADDR: one connection to ADDR:7001 or 7002, until then or SIGTERM; then JSON: bytes,
#   longest time in ms in which none moved, error.
# talk FILE SECONDS ADDR...: keeps a TCP connection to each ADDR:7000, sends a line every 20 ms and
#   waits for its echo, as long; then writes JSON: per ADDR lines, longest wait in ms, error (null: none), own address.
import json, os, signal, socket, sys, threading, time

SLOW = int(os.environ.get("NPP_SLOW", "1"))
over = threading.Event()

def serve(conn):
    with conn:
        while True:
            data = conn.recv(65536)
            if not data:
                return
            conn.sendall(data)


PATTERN = bytes(i * 7 % 251 for i in range(251 * 512))


# Byte I of a stream is PATTERN[I % len]; DATA begins at AT.
def right(data, at):
    at %= len(PATTERN)
    want = PATTERN[at:] + PATTERN * (len(data) // len(PATTERN) + 1)
    return data == want[: len(data)]


def source(conn):
    with conn:
        try:
            while True:
                conn.sendall(PATTERN)
        except OSError:
            pass


def sink(conn):
    at = 0
    with conn:
        while True:
            data = conn.recv(1 << 18)
            if not data or not right(data, at):
                return  # the peer sees a reset if bytes were wrong
            at += len(data)


def bulk(addr, seconds, way):
    r = {"bytes": 0, "longest_ms": 0, "error": None}
    try:
        s = socket.create_connection((addr, 7001 if way == "down" else 7002), 10 * SLOW)
        s.settimeout(30 * SLOW)
        last = time.monotonic()
        end = last + seconds
        while last < end and not over.is_set():
            if way == "down":
                data = s.recv(1 << 18)
                if not data or not right(data, r["bytes"]):
                    raise OSError("wrong bytes")
                n = len(data)
            else:
                at = r["bytes"] % len(PATTERN)
                n = s.send(PATTERN[at : at + 65536])
            r["bytes"] += n
            now = time.monotonic()
            r["longest_ms"] = max(r["longest_ms"], round((now - last) * 1000))
            last = now
    except OSError as e:
        r["error"] = str(e)
    return r


def listen(port):
    s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(("::", port))
    s.listen(64)
    return s


def accept(s, server):
    while True:
        threading.Thread(target=server, args=(s.accept()[0],), daemon=True).start()


def datagrams(port):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(("::", port))
    threading.Thread(target=answer, args=(s,)).start()


def answer(s):
    while True:
        data, peer = s.recvfrom(2048)
        s.sendto(data, peer)


def ask(n, addr, port, scope=0):
    to = (addr, port, 0, scope) if ":" in addr else (addr, port)
    s = socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(SLOW)
    good = 0
    for i in range(n):
        s.sendto(b"%d" % i, to)
        try:
            while True:
                data, peer = s.recvfrom(100)
                if data == b"%d" % i and peer == to:
                    good += 1
                    break
        except TimeoutError:
            pass
        time.sleep(0.02)
    print(good, "of", n)


def reach(addr, port, scope):
    s = socket.socket(socket.AF_INET6)
    s.settimeout(10 * SLOW)
    s.connect((addr, port, 0, scope))
    s.sendall(b"hello\n")
    print("good" if s.recv(100) == b"hello\n" else "bad", s.getsockname()[3], s.getpeername()[3])


def echo(port):
    datagrams(port)
    pairs = [(listen(port + i), f) for i, f in enumerate((serve, source, sink))]
    print("ready", flush=True)
    for pair in pairs:
        threading.Thread(target=accept, args=pair).start()


def talk(addr, seconds, out):
    r = {"lines": 0, "longest_ms": 0, "error": None, "from": None}
    out[addr] = r
    try:
        s = socket.create_connection((addr, 7000), 10 * SLOW)
        s.settimeout(30 * SLOW)
        r["from"] = s.getsockname()[0]
        end = time.monotonic() + seconds
        while time.monotonic() < end and not over.is_set():
            line = b"%d %s\n" % (r["lines"], os.urandom(20).hex().encode())
            begin = time.monotonic()
            s.sendall(line)
            got = b""
            while len(got) < len(line):
                part = s.recv(4096)
                if not part:
                    raise OSError("end of file")
                got += part
            if got != line:
                raise OSError("wrong bytes")
            r["lines"] += 1
            r["longest_ms"] = max(r["longest_ms"], round((time.monotonic() - begin) * 1000))
            over.wait(0.02)
    except OSError as e:
        r["error"] = str(e)


if sys.argv[1] in ("bulk", "talk"):
    signal.signal(signal.SIGTERM, lambda *_: over.set())
if sys.argv[1] == "echo":
    echo(int(sys.argv[2]))
elif sys.argv[1] == "bulk":
    with open(sys.argv[2], "w") as f:
        json.dump(bulk(sys.argv[5], float(sys.argv[3]), sys.argv[4]), f)
elif sys.argv[1] == "ask":
    ask(int(sys.argv[2]), sys.argv[3], *map(int, sys.argv[4:]))
elif sys.argv[1] == "reach":
    reach(sys.argv[2], *map(int, sys.argv[3:]))
else:
    result = {}
    threads = [threading.Thread(target=talk, args=(a, float(sys.argv[3]), result)) for a in sys.argv[4:]]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    with open(sys.argv[2], "w") as f:
        json.dump(result, f)

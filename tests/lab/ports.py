# SPDX-License-Identifier: GPL-2.0-or-later
# ports.py - one side of sessions that outlive a network port, for fig17b.t and fig17c.t
#
# echo PORT: answers each line on TCP, both families.
# talk FILE SECONDS ADDR...: keeps a TCP connection to each ADDR:7000, sends a line every 20 ms and
#   waits for its echo; then writes JSON: per ADDR lines, longest wait in ms, error (null: none), own address.
import json, os, socket, sys, threading, time


def serve(conn):
    with conn:
        while True:
            data = conn.recv(65536)
            if not data:
                return
            conn.sendall(data)


def echo(port):
    s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(("::", port))
    s.listen(64)
    print("ready", flush=True)
    while True:
        threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()


def talk(addr, seconds, out):
    r = {"lines": 0, "longest_ms": 0, "error": None, "from": None}
    out[addr] = r
    try:
        s = socket.create_connection((addr, 7000), 10)
        s.settimeout(30)
        r["from"] = s.getsockname()[0]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
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
            time.sleep(0.02)
    except OSError as e:
        r["error"] = str(e)


if sys.argv[1] == "echo":
    echo(int(sys.argv[2]))
else:
    result = {}
    threads = [threading.Thread(target=talk, args=(a, float(sys.argv[3]), result)) for a in sys.argv[4:]]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    with open(sys.argv[2], "w") as f:
        json.dump(result, f)

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
# share-load.py - servers that are slow or quick, and clients that count who answers
#
#   share-load.py serve NAME PORT MS        answers each connection with NAME after MS, one thread for each
#   share-load.py ask ADDR PORT SECONDS N   N clients, a connection after the other: answers by name, as JSON;
#                                           a client whose connection stays unanswered stays with it
import json, os, socket, sys, threading, time

SLOW = int(os.environ.get("NPP_SLOW", "1"))

def serve(name, port, ms):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("0.0.0.0", port))
    s.listen(512)
    print("ready", flush=True)

    def one(c):
        try:
            c.recv(10)
            time.sleep(ms / 1000)
            c.send(name.encode())
        except OSError:
            pass
        c.close()

    while True:
        threading.Thread(target=one, args=(s.accept()[0],), daemon=True).start()


def ask(addr, port, seconds, n):
    end = time.time() + seconds
    last = end + 2 * SLOW  # what was begun before the end may be answered until then
    seen, late, lock = {}, {}, threading.Lock()

    def client():
        while time.time() < end:
            try:
                c = socket.create_connection((addr, port), last - time.time())
                c.settimeout(max(0.01, last - time.time()))
                c.send(b"x")
                name = c.recv(99).decode() or "!closed"
                c.close()
            except OSError as e:
                name = "!" + type(e).__name__
            with lock:
                seen[name] = seen.get(name, 0) + 1
                if time.time() > end - seconds / 2:
                    late[name] = late.get(name, 0) + 1

    threads = [threading.Thread(target=client) for _ in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print(json.dumps({"all": seen, "late": late}))


if sys.argv[1] == "serve":
    serve(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
else:
    ask(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))

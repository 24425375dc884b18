#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
# restart-load.py - load that npp-load has not: UDP echo, and listeners that come and go
#
#   udp-serve PORT                  sends every datagram back
#   udp HOST PORT SOCKETS SEED      asks on so many sockets, one datagram each at a time
#   doors-serve PORT COUNT          opens one listener after the other, answers one client each
#   doors HOST PORT COUNT SEED      that client
#   opens HOST PORT SEED            connections, one after the other, with a line both ways
#
# $FAMILY 6: over IPv6. Clients work until SIGTERM and then report in JSON: what was done, errors by name, and the
# longest time without an answer (gap_ms).
import errno, json, os, random, select, signal, socket, struct, sys, time

stop = False
SLOW = int(os.environ.get("NPP_SLOW", "1"))
FAMILY = socket.AF_INET6 if os.environ.get("FAMILY") == "6" else socket.AF_INET
ANY = "::" if FAMILY == socket.AF_INET6 else "0.0.0.0"


def on_term(*_):
    global stop
    stop = True


class Report:
    def __init__(self):
        self.done, self.gap, self.last, self.errors, self.more = 0, 0.0, None, {}, {}

    def one(self, now):
        if self.last is not None:
            if now - self.last > 1:
                print(f"{time.time():.3f} {now - self.last:.3f} s without an answer", file=sys.stderr, flush=True)
            self.gap = max(self.gap, now - self.last)
        self.last = now
        self.done += 1

    def error(self, what):
        self.errors[what] = self.errors.get(what, 0) + 1
        print(f"{time.time():.3f} {what}", file=sys.stderr, flush=True)

    def say(self):
        print(json.dumps({"done": self.done, "gap_ms": round(self.gap * 1000, 1), "errors": self.errors,
                          "errors_total": sum(self.errors.values()), **self.more}), flush=True)


def udp_serve(port):
    s = socket.socket(FAMILY, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    s.bind((ANY, port))
    while True:
        data, peer = s.recvfrom(65536)
        s.sendto(data, peer)


def udp(host, port, count, seed):
    rnd, rep = random.Random(seed), Report()
    lost = repeated = 0
    socks, poll = {}, select.poll()

    class Peer:
        pass

    def ask(p):
        p.number += 1
        p.sent = struct.pack("!IQ", p.index, p.number) + rnd.randbytes(rnd.randrange(0, 1400))
        p.due = time.monotonic() + 1
        p.sock.send(p.sent)

    for i in range(count):
        p = Peer()
        p.index, p.number = i, 0
        p.sock = socket.socket(FAMILY, socket.SOCK_DGRAM)
        p.sock.connect((host, port))
        socks[p.sock.fileno()] = p
        poll.register(p.sock, select.POLLIN)
        ask(p)
    while not stop:
        for fd, _ in poll.poll(50):
            p = socks[fd]
            try:
                data = p.sock.recv(65536)
            except OSError as e:
                rep.error(errno.errorcode.get(e.errno, "error"))
                continue
            if data == p.sent:
                rep.one(time.monotonic())
                ask(p)
            elif len(data) >= 12 and struct.unpack("!IQ", data[:12])[0] == p.index and \
                    struct.unpack("!IQ", data[:12])[1] <= p.number:
                repeated += 1
            else:
                rep.error("wrong")
        now = time.monotonic()
        for p in socks.values():
            if now > p.due:
                lost += 1
                ask(p)
    rep.more = {"lost": lost, "repeated": repeated}
    rep.say()


def doors_serve(port, count):
    n = 0
    while True:
        s = socket.socket(FAMILY, socket.SOCK_STREAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((ANY, port + n % count))
        s.listen(5)
        c, _ = s.accept()
        s.close()
        c.settimeout(60 * SLOW)
        try:
            c.sendall(b"door %d\n" % (n % count) + c.recv(100))
            c.close()
        except OSError as e:
            print(f"door {n}: {e}", flush=True)
        n += 1


def connection(host, port):
    s = socket.socket(FAMILY, socket.SOCK_STREAM)
    s.settimeout(60 * SLOW)
    try:
        s.connect((host, port))
    except OSError:
        s.close()
        raise
    return s


def talk(rep, s, words, want):
    try:
        s.sendall(words)
        got = b""
        while len(got) < len(want):
            more = s.recv(65536)
            if not more:
                break
            got += more
        if got == want:
            rep.one(time.monotonic())
            return True
        rep.error("closed" if want.startswith(got) else "wrong")
    except TimeoutError:
        rep.error("timeout")
    except OSError as e:
        rep.error(errno.errorcode.get(e.errno, "error"))
    finally:
        s.close()
    return False


def doors(host, port, count, seed):
    rnd, rep, n = random.Random(seed), Report(), 0
    while not stop:
        words = b"%x\n" % rnd.getrandbits(64)
        end = time.monotonic() + 60 * SLOW
        while True:                     # it may not be open yet
            try:
                s = connection(host, port + n % count)
                break
            except ConnectionRefusedError:
                if time.monotonic() > end:
                    rep.error("never opens")
                    rep.say()
                    return
                time.sleep(0.002)
            except OSError as e:
                rep.error(f"connect {errno.errorcode.get(e.errno, 'timeout')}")
                time.sleep(0.01)
        if not talk(rep, s, words, b"door %d\n" % (n % count) + words):
            break                       # who is at which door is not known any more
        n += 1
    rep.say()


def opens(host, port, seed):
    rnd, rep = random.Random(seed), Report()
    while not stop:
        words = b"%x\n" % rnd.getrandbits(64)
        try:
            s = connection(host, port)
        except OSError as e:
            rep.error(f"connect {errno.errorcode.get(e.errno, 'timeout')}")
            time.sleep(0.05)
            continue
        talk(rep, s, words, words)
    rep.say()


signal.signal(signal.SIGTERM, on_term)
verb, args = sys.argv[1], sys.argv[2:]
if verb.endswith("serve"):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
if verb == "udp-serve":
    udp_serve(int(args[0]))
elif verb == "udp":
    udp(args[0], int(args[1]), int(args[2]), int(args[3]))
elif verb == "doors-serve":
    doors_serve(int(args[0]), int(args[1]))
elif verb == "doors":
    doors(args[0], int(args[1]), int(args[2]), int(args[3]))
elif verb == "opens":
    opens(args[0], int(args[1]), int(args[2]))
else:
    sys.exit("restart-load.py: what?")

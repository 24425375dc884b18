#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
# failover.py - what a client sees while a host fails
#
#   failover.py serve NAME PORT [6]        TCP and UDP, IPv4 (and IPv6): answers each line with NAME
#   failover.py probe SECONDS OUT ADDR...  a connection and a datagram each 4 ms, to the addresses in turn,
#                                          and 40 connections that stay, asked each 20 ms
#   failover.py sum OUT T                  what OUT says about the fault at T (CLOCK_REALTIME), as JSON
import json, os, selectors, socket, sys, time

PORT = 7000
SLOW = int(os.environ.get("NPP_SLOW", "1"))


def serve(name, port, ip6):
    sel = selectors.DefaultSelector()
    listeners, dgrams = [], []
    for family, addr in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::"))[: 1 + ip6]:
        tcp, udp = socket.socket(family), socket.socket(family, socket.SOCK_DGRAM)
        for s in (tcp, udp):
            if family == socket.AF_INET6:
                s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((addr, port))
            s.setblocking(False)
        tcp.listen(512)
        listeners.append(tcp)
        dgrams.append(udp)
    for s in listeners + dgrams:
        sel.register(s, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in sel.select():
            s = key.fileobj
            try:
                if s in listeners:
                    c = s.accept()[0]
                    c.setblocking(False)
                    sel.register(c, selectors.EVENT_READ)
                elif s in dgrams:
                    data, peer = s.recvfrom(2048)
                    s.sendto(name + b" " + data, peer)
                else:
                    if s.recv(2048):
                        s.send(name + b"\n")
                    else:
                        sel.unregister(s)
                        s.close()
            except BlockingIOError:
                pass
            except OSError:
                if s not in listeners and s not in dgrams:
                    sel.unregister(s)
                    s.close()


def probe(seconds, out, addrs):
    """Lines: kind, begun, ended, outcome (the host's name, or !error), address."""
    # A connection that stays may have to wait for a retransmission after its network was away.
    limits = {"tcp": 3.0 * SLOW, "udp": 3.0 * SLOW, "stay": 15.0 * SLOW}
    sel = selectors.DefaultSelector()
    f = open(out, "w")
    busy = {}  # socket: [kind, begun, address, state]
    end = time.time() + seconds
    due = stay_due = time.time()
    stay, turn = {}, 0

    def done(s, outcome):
        kind, begun, addr, _ = busy.pop(s)
        print(kind, "%.4f" % begun, "%.4f" % time.time(), outcome, addr, file=f)
        if kind == "stay" and not outcome.startswith("!"):
            return
        sel.unregister(s)
        s.close()
        stay.pop(s, None)

    def begin(kind, addr):
        s = socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
        s.setblocking(False)
        busy[s] = [kind, time.time(), addr, 0]
        try:
            s.connect((addr, PORT))
        except BlockingIOError:
            pass
        except OSError as e:
            sel.register(s, selectors.EVENT_READ)
            done(s, "!" + (e.strerror or "error").replace(" ", "_"))
            return None
        if kind == "udp":
            sel.register(s, selectors.EVENT_READ)
            try:
                s.send(b"x\n")
            except OSError as e:
                done(s, "!send")
        else:
            sel.register(s, selectors.EVENT_WRITE)
        return s

    for i in range(40):
        s = begin("stay", addrs[i % len(addrs)])
        if s:
            stay[s] = addrs[i % len(addrs)]
    while time.time() < end or busy:
        now = time.time()
        if now >= end + max(limits.values()) + 1:
            break
        if now < end and now >= due:
            due = max(due + 0.004, now - 0.1)
            begin("tcp" if turn % 2 else "udp", addrs[turn // 2 % len(addrs)])
            turn += 1
        if now < end and now >= stay_due:
            stay_due = now + 0.02
            for s, addr in list(stay.items()):
                if s not in busy:
                    busy[s] = ["stay", now, addr, 1]
                    try:
                        s.send(b"x\n")
                    except OSError as e:
                        done(s, "!" + e.strerror.replace(" ", "_"))
        for s, b in list(busy.items()):
            if now - b[1] > limits[b[0]]:
                done(s, "!no_answer")
        for key, ev in sel.select(0.002):
            s = key.fileobj
            try:
                if ev & selectors.EVENT_WRITE:
                    err = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if err:
                        raise OSError(err, os.strerror(err))
                    s.send(b"x\n")
                    sel.modify(s, selectors.EVENT_READ)
                    continue
                data = s.recv(100)
                if not data:
                    raise OSError(0, "closed")
                if s in busy:
                    done(s, data.split()[0].decode())
            except BlockingIOError:
                pass
            except OSError as e:
                if s not in busy and s in stay:
                    busy[s] = ["stay", time.time(), stay[s], 1]
                if s in busy:
                    done(s, "!" + (e.strerror or "error").replace(" ", "_"))
    f.close()


def summary(out, t):
    rows = [l.split() for l in open(out)]
    r = {}
    for kind in ("tcp", "udp", "stay"):
        k = [(float(a), float(b), o, addr) for n, a, b, o, addr in rows if n == kind]
        before = [x for x in k if x[1] < t]
        bad = [x for x in k if x[2].startswith("!")]
        good = [x for x in k if not x[2].startswith("!")]
        who = {}
        for x in before:
            who[x[2]] = who.get(x[2], 0) + 1
        why = {}
        for x in bad:
            why[x[2][1:]] = why.get(x[2][1:], 0) + 1
        where = {}
        for x in k:
            where[x[3]] = where.get(x[3], 0) + x[2].startswith("!")
        after = sorted(x for x in good if x[0] >= t)
        slow = [x for x in after if x[1] - x[0] > 0.15]
        r[kind] = {
            "requests": len(k), "failed": len(bad), "failed_before": sum(x[1] < t for x in bad), "why": why,
            "before": who, "failed_at": where, "last_host": after[-1][2] if after else "",
            # ms after the fault: the last request that failed was begun, and ended; nothing was slow afterwards
            "last_bad_begun": round(1000 * (max(x[0] for x in bad) - t)) if bad else 0,
            "last_bad_ended": round(1000 * (max(x[1] for x in bad) - t)) if bad else 0,
            "slow": len(slow),
        }
    print(json.dumps(r))


if sys.argv[1] == "serve":
    serve(sys.argv[2].encode(), int(sys.argv[3]), sys.argv[4:] == ["6"])
elif sys.argv[1] == "probe":
    probe(float(sys.argv[2]), sys.argv[3], sys.argv[4:])
else:
    summary(sys.argv[2], float(sys.argv[3]))

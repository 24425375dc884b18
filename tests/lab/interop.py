# SPDX-License-Identifier: GPL-2.0-or-later
# interop.py - transfers between npp and the kernel of our namespace, with every combination of options
#
# usage: interop.py INTERFACE PUPPET BYTES      in the client's namespace; PUPPET: puppet.py's control socket
#
# Window scaling, SACK, timestamps, ECN and Fast Open on and off (sysctls of our namespace only), MTU of our link 9000,
# 1500 and the least, IPv4 and IPv6, either side as client. Each transfer goes both ways at the same time, its bytes are
# compared at both ends, and TCP_INFO of the kernel's socket must say that what both sides want is used, and
# nothing else.
import itertools
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "pkt"))
from puppet import ask, serve_exchange  # noqa: E402

SLOW = int(os.environ.get("NPP_SLOW", "1"))
IFACE, CONTROL, BYTES = sys.argv[1], sys.argv[2], int(sys.argv[3])
NPP, US = {4: "10.1.0.11", 6: "fd00:0:0:1::b"}, {4: "10.1.0.10", 6: "fd00:0:0:1::a"}
PORT, OUR_PORT = 7012, 7013
FASTOPEN, FASTOPEN_CONNECT = 23, 30
OPT_TS, OPT_SACK, OPT_WS, OPT_ECN, OPT_ECN_SEEN, OPT_SYN_DATA = 1, 2, 4, 8, 16, 32
OPT_KNOWN = 63
WARM = 8
NAMES = ("scaling", "SACK", "timestamps", "ECN", "Fast Open")


class Control:
    def __init__(self):
        s = socket.socket(socket.AF_UNIX)
        s.connect(CONTROL)
        self.f = s.makefile("rw")

    def do(self, op, **kw):
        self.f.write(json.dumps({"op": op, **kw}) + "\n")
        self.f.flush()
        a = json.loads(self.f.readline())
        if "error" in a:
            raise RuntimeError(a["error"] + "\n" + a["where"])
        return a["ok"]


def sysctl(name, value):
    with open(f"/proc/sys/net/ipv4/{name}", "w") as f:
        f.write(str(value))


def info(s):
    """Options and MSS of the kernel's socket."""
    b = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return b[5] & OPT_KNOWN, struct.unpack_from("I", b, 16)[0]


class Server:
    """The kernel's side as server: what it saw of the connection is kept."""

    def __init__(self):
        self.listener = socket.socket(socket.AF_INET6)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.setsockopt(socket.IPPROTO_TCP, FASTOPEN, 64)
        self.listener.bind(("::", OUR_PORT))
        self.listener.listen(64)
        self.seen, self.done = None, threading.Semaphore(0)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            s, _ = self.listener.accept()
            keep = socket.socket(fileno=os.dup(s.fileno()))
            serve_exchange(s)
            self.seen = info(keep)
            keep.close()
            self.done.release()


class Talks:
    def __init__(self):
        self.control, self.server, self.seed = Control(), Server(), 1
        self.control.do("listen", port=PORT, serve="exchange", options=[[socket.IPPROTO_TCP, FASTOPEN, 64]])

    def kernel_asks(self, family, tfo):
        s = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6)
        s.settimeout(20 * SLOW)
        if tfo:
            s.setsockopt(socket.IPPROTO_TCP, FASTOPEN_CONNECT, 1)
        s.connect((NPP[family], PORT))
        r = ask(s, self.seed, BYTES)
        seen = info(s)
        s.close()
        return r, seen

    def npp_asks(self, family, tfo):
        r = self.control.do("ask", host=US[family], port=OUR_PORT, seed=self.seed, n=BYTES,
                            options=[[socket.IPPROTO_TCP, FASTOPEN_CONNECT, 1]] if tfo else [])
        if not self.server.done.acquire(timeout=20 * SLOW):
            return "the server did not end", (0, 0)
        return r, self.server.seen

    def one(self, role, family, combo, mtu):
        """What is wrong with one transfer; None: nothing."""
        for name, value in zip(("tcp_window_scaling", "tcp_sack", "tcp_timestamps", "tcp_ecn"), combo):
            sysctl(name, int(value))
        self.seed += 10
        try:
            r, (options, mss) = (self.kernel_asks if role == "kernel" else self.npp_asks)(family, combo[4])
        except OSError as e:
            return repr(e)
        if r is not True:
            return r
        ws, sack, ts, ecn, tfo = combo
        want = OPT_WS * ws | OPT_SACK * sack | OPT_TS * ts | (OPT_ECN | OPT_ECN_SEEN) * ecn | OPT_SYN_DATA * tfo
        if options != want:
            return f"options {options:#x}, not {want:#x}"
        most = mtu - (40 if family == 4 else 60) - 12 * ts
        return None if mss <= most else f"segments of {mss} bytes, more than {most}"


def main():
    talks, n, failed = Talks(), 0, 0
    sysctl("tcp_fastopen", 3)
    # IPv6 first: its addresses go when the link becomes smaller than 1280.
    for family, mtu in (6, 9000), (6, 1500), (6, 1280), (4, 9000), (4, 1500), (4, 576):
        subprocess.run(["ip", "link", "set", IFACE, "mtu", str(mtu)], check=True)
        for role in ("kernel", "npp"):
            for _ in range(WARM):   # each IOP fetches a cookie of Fast Open for itself
                talks.one(role, family, (True, True, True, False, True), mtu)
            began, bad = time.monotonic(), []
            combos = list(itertools.product((False, True), repeat=5))
            for combo in combos:
                wrong = talks.one(role, family, combo, mtu)
                if wrong:
                    bad.append(f"{' '.join(x for x, on in zip(NAMES, combo) if on) or 'no options'}: {wrong}")
            n += 1
            failed += bool(bad)
            print(f"{'not ok' if bad else 'ok'} {n} - IPv{family}, MTU {mtu}, {role} as client: {len(combos)} combinations of options")
            print(f"# {time.monotonic() - began:.1f} s")
            for line in bad:
                print("#", line)
            sys.stdout.flush()
    print(f"1..{n}")
    sys.exit(failed != 0)


main()

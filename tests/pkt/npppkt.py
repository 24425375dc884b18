# SPDX-License-Identifier: GPL-2.0-or-later
# npppkt.py - for packet tests: frames on the wire, npp's counters, a connection that must not notice, TAP
#
# From the environment: NPP (the tool), NPP_TARGET (LAB/NODE), NPP_IF (our interface), NPP_MAC
# (of the NPP), NPP_IP (its address), OUR_IP, SLOW (1, more in builds with sanitizers).
import json
import os
import socket
import subprocess
import sys
import threading
import time
import traceback

import logging
logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
from scapy.all import ARP, ICMP, IP, TCP, UDP, Ether, Raw, conf, get_if_hwaddr  # noqa: E402,F401

NPP_MAC, NPP_IP, OUR_IP = os.environ["NPP_MAC"], os.environ["NPP_IP"], os.environ["OUR_IP"]
IFACE = os.environ["NPP_IF"]
SLOW = int(os.environ.get("SLOW", "1"))
OUR_MAC = get_if_hwaddr(IFACE)

# ---- TAP

n_tests = n_failed = 0


def result(good, name, *notes):
    global n_tests, n_failed
    n_tests += 1
    n_failed += not good
    print(f"{'ok' if good else 'not ok'} {n_tests} - {name}")
    if not good:
        for note in notes:
            for line in str(note).splitlines():
                print("#", line)
    sys.stdout.flush()


def done():
    print(f"1..{n_tests}")
    sys.exit(1 if n_failed else 0)


# ---- counters

def stat():
    out = subprocess.run([os.environ["NPP"], "stat", os.environ["NPP_TARGET"], "--json"], check=True,
                         capture_output=True, timeout=20 * SLOW).stdout
    total = {}
    for proc in json.loads(out)["processes"]:
        if not proc["up"]:
            raise RuntimeError(f"{proc['role']} {proc['index']} is down")
        for name, value in proc["counters"].items():
            key = f"{proc['role']}:{name}"
            total[key] = total.get(key, 0) + value
    return total


def pids():
    out = subprocess.run([os.environ["NPP"], "stat", os.environ["NPP_TARGET"], "--json"], check=True,
                         capture_output=True, timeout=20 * SLOW).stdout
    return [(p["role"], p["index"], p["pid"]) for p in json.loads(out)["processes"]]


def wait_stat(want, before, seconds=5):
    """Until the sum of the counters WANT has risen by at least N; returns by how much it did."""
    end = time.monotonic() + seconds * SLOW
    while True:
        now = stat()
        rise = sum(now.get(k, 0) - before.get(k, 0) for k in want[0])
        if rise >= want[1] or time.monotonic() > end:
            return rise, {k: v - before.get(k, 0) for k, v in now.items()
                          if v != before.get(k, 0) and ("drop" in k or k in want[0])}
        time.sleep(0.05)


# ---- frames

_raw = None


def wire(frame):
    """Puts a frame on the wire as it is: no offloads, nothing completed by the kernel."""
    global _raw
    if _raw is None:
        _raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        _raw.bind((IFACE, 0))
    _raw.send(bytes(frame))


def eth(dst=None, **kw):
    return Ether(src=OUR_MAC, dst=dst or NPP_MAC, **kw)


def ip(src=None, dst=None, **kw):
    return IP(src=src or OUR_IP, dst=dst or NPP_IP, **kw)


def patched(packet, offset, data):
    """The finished frame with DATA at OFFSET; checksums stay as they were."""
    b = bytearray(bytes(packet))
    b[offset:offset + len(data)] = data
    return bytes(b)


def ip_fixed(frame):
    """The frame with its IP header checksum made right after patching."""
    b = bytearray(frame)
    hlen = (b[14] & 15) * 4
    b[24:26] = b"\0\0"
    s = sum(int.from_bytes(b[14 + i:16 + i], "big") for i in range(0, hlen, 2))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    b[24:26] = (~s & 0xffff).to_bytes(2, "big")
    return bytes(b)


def l4_fixed(frame):
    """The same for the checksum of TCP or UDP (and the IP header)."""
    b = bytearray(ip_fixed(frame))
    l4 = 14 + (b[14] & 15) * 4
    at = l4 + (16 if b[23] == 6 else 6)
    b[at:at + 2] = b"\0\0"
    data = bytes(b[26:34]) + bytes([0, b[23]]) + (len(b) - l4).to_bytes(2, "big") + bytes(b[l4:])
    data += b"\0" * (len(data) % 2)
    s = sum(int.from_bytes(data[i:i + 2], "big") for i in range(0, len(data), 2))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    b[at:at + 2] = (~s & 0xffff or 0xffff).to_bytes(2, "big")
    return bytes(b)


# ---- the connection that must not notice

class Witness(threading.Thread):
    """Echoes a known stream over one TCP connection all the time."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.sock = socket.create_connection((NPP_IP, port), timeout=10 * SLOW)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.local = self.sock.getsockname()
        self.began = time.monotonic()
        self.rounds, self.error, self.worst, self.quit = 0, None, 0.0, False
        self.start()

    def run(self):
        try:
            while not self.quit:
                block = bytes([self.rounds & 0xff]) * (1 + self.rounds * 977 % 30000)
                began = time.monotonic()
                self.sock.sendall(block)
                got = bytearray()
                while len(got) < len(block):
                    more = self.sock.recv(65536)
                    if not more:
                        raise EOFError("connection closed")
                    got += more
                if bytes(got) != block:
                    raise ValueError(f"round {self.rounds}: other bytes came back")
                self.worst = max(self.worst, time.monotonic() - began)
                self.rounds += 1
        except Exception:  # noqa: BLE001
            self.error = traceback.format_exc()

    def seconds(self):
        return time.monotonic() - self.began

    def progressed(self):
        """It goes on: a round more within five seconds."""
        was, end = self.rounds, time.monotonic() + 5 * SLOW
        while self.rounds == was and not self.error and time.monotonic() < end:
            time.sleep(0.005)
        return self.error is None and self.rounds > was


def case(name, frames, counters, witness, expect=None, exact=True):
    """Sends FRAMES; the sum of COUNTERS must rise by EXPECT (default: one per frame), no less and,
    if EXACT, no more, and the witness must go on."""
    expect = len(frames) if expect is None else expect
    before = stat()
    for n, f in enumerate(frames):
        wire(f)
        if n % 50 == 49:
            time.sleep(0.002)
    rise, seen = wait_stat((counters, expect), before)
    alive = witness.progressed()
    result((rise == expect or (rise > expect and not exact)) and alive, name, f"sent {len(frames)}, {counters} rose by {rise}, not {expect}",
           f"what changed: {seen}", f"witness: {witness.error or 'goes on'}")

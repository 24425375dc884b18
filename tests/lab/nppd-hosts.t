# SPDX-License-Identifier: GPL-2.0-or-later
# nppd-hosts.t - a host that lies to the nppd of an NPP hurts itself alone
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/nppd-lib.sh"
nppd_begin hosts
need ip jq python3 curl

conf acc1 <<'Y'
npp: {name: acc1, iops: 2, port: {name: tacc1, netns: @NS@}, addresses: [10.77.0.11/24], memory: {connections: 256}, hugepages: never, host_frozen_ms: 0}
Y
conf web1 <<'Y'
host: {name: web1, npps: [acc1], memory: 32M, sockets: 4096, hugepages: never}
Y
does 'an NPP' nppd_start acc1 || done_testing
does 'a host' nppd_start web1 || done_testing
ip -n "$ns" addr add 10.77.0.1/24 dev tacc1
echo good >"$work/index.html"
ip netns exec "$ns" "$npp" run -- python3 -m http.server 8000 --directory "$work" >"$work/http.log" 2>&1 &
background+=($!)
served() { [ "$(ip netns exec "$ns" curl -s --max-time $patience http://10.77.0.11:8000/)" = good ]; }
ok 'it serves' wait_for 15 served

# Numbers of messages are read from the header that nppd was built with.
number() { sed -n "s/^\tNPP_CTL_$1 = \([0-9]*\),.*/\1/p" "$top_srcdir/lib/proto.h"; }
python3 - "$NPP_RUNDIR/acc1.sock" "$(number HOST_CONN)" "$(number ATTACH)" "$(number TOOL_STATUS)" >"$work/liar.log" 2>&1 <<'P'
import array, os, random, socket, struct, sys
path, HOST_CONN, ATTACH, TOOL = sys.argv[1], *map(int, sys.argv[2:5])
BELLS = 27
MAGIC = 0x6c74636e
rnd = random.Random(7)
count = 0

def tap(ok, text):
    print(("ok" if ok else "not ok"), text, flush=True)

class Conn:
    def __init__(self, name=None):
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.s.settimeout(3)
        self.s.connect(path)
        if name is not None:
            self.send(HOST_CONN, struct.pack("II32s", 0, 0, name))
            self.answer = self.recv()
    def send(self, typ, body=b"", fds=(), seq=1, magic=MAGIC, length=None, nfds=None):
        hdr = struct.pack("IHHIIi", magic, typ, len(fds) if nfds is None else nfds,
                          len(body) if length is None else length, seq, 0)
        anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self.s.sendmsg([hdr, body], anc)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False
    def recv(self):
        """(type, error, body, number of descriptors); None: closed."""
        try:
            data, anc, _, _ = self.s.recvmsg(70000, socket.CMSG_SPACE(4 * 253))
        except (ConnectionResetError, socket.timeout):
            return None
        n = 0
        for _, _, d in anc:
            a = array.array("i"); a.frombytes(d[:len(d) // 4 * 4])
            n += len(a)
            for f in a: os.close(f)
        if not data and not n: return None
        m, typ, _, _, _, err = struct.unpack("IHHIIi", data[:20])
        return typ, err, data[20:], n
    def closed(self):
        for _ in range(100):
            if self.recv() is None: return True
        return False
    def close(self): self.s.close()

status = Conn(); status.send(TOOL); st = status.recv()
abi, layout = struct.unpack_from("I", st[2], 0)[0], struct.unpack_from("Q", st[2], 56)[0]
tap(abi == 1 and st[1] == 0, "status has its layout")
def attach(c, mem, abi=abi, layout=layout, number=0, host=b"liar", fds=None):
    return c.send(ATTACH, struct.pack("IIQ32sII", abi, number, layout, host, 1000, 0), [mem] if fds is None else fds)
def memory(size=8 << 20, seals=True):
    fd = os.memfd_create("liar", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    if seals:
        import fcntl
        fcntl.fcntl(fd, 1033, 1 | 2 | 4)  # F_ADD_SEALS: SEAL, SHRINK, GROW
    return fd

for t in (TOOL, TOOL + 1, TOOL + 2):
    c = Conn(b"liar"); c.send(t)
    tap(c.answer[1] == 0 and c.closed(), f"a host asks what is for tools ({t}): closed")
c = Conn(); c.send(ATTACH, b"x" * 48)
r = c.recv(); tap(r is not None and r[1] < 0, "a tool attaches: refused")
for name in (b"", b"a/b", b"../x", b"A" * 32, b"\xff\xff"):
    c = Conn(name); tap(c.answer is None, f"a host named {name!r}: closed")
c = Conn(b"web1"); attach(c, memory())
r = c.recv(); tap(r is not None and r[1] < 0, "a name that is attached already: refused")
c = Conn(b"liar"); attach(c, memory(seals=False))
r = c.recv(); tap(r is not None and r[1] < 0, "memory that could shrink: refused")
c = Conn(b"liar"); attach(c, memory(size=64))
r = c.recv(); tap(r is not None and r[1] < 0, "memory that is too small: refused")
c = Conn(b"liar"); attach(c, os.open("/dev/null", os.O_RDWR))
r = c.recv(); tap(r is not None and r[1] < 0, "a device for memory: refused")
c = Conn(b"liar"); attach(c, memory(), layout=1)
r = c.recv(); tap(r is not None and r[1] < 0, "another layout: refused")
c = Conn(b"liar"); attach(c, memory(), number=4)
r = c.recv(); tap(r is not None and r[1] < 0, "a wrong attachment number: refused")
c = Conn(b"liar"); attach(c, memory(), fds=[0, 1])
tap(c.closed(), "two descriptors: closed")

e = os.eventfd(0)
def begun(): # attached but for the doorbells
    c = Conn(b"liar"); attach(c, memory()); return c
def bells(c, first, n, sent=None): c.send(BELLS, struct.pack("IIII", 0, first, n, 0), [e] * (n if sent is None else sent))
c = begun(); attach(c, memory()); tap(c.closed(), "ATTACH twice on one connection: closed")
for first, n, sent in ((0, 2, 1), (1024, 1, 1), (1023, 2, 2), (0xffffffff, 1, 1), (0, 0xffffffff, 1)):
    c = begun(); bells(c, first, n, sent)
    tap(c.closed(), f"doorbells {first}+{n}, {sent} sent: closed")
c = begun(); bells(c, 0, 1); bells(c, 0, 1)
tap(c.closed(), "a doorbell twice: closed")
c = begun(); bells(c, 0, 128); c.send(47); tap(c.closed(), "done without all doorbells: closed")

# Whole, with memory that makes no sense: the ISMs refuse it, the host is attached to nothing.
c = begun()
for i in range(0, 1024, 128): bells(c, i, 128)
c.send(47)
r = c.recv(); tap(r is not None and r[1] == 0 and r[3] == 5, "memory of zeros attaches")
def port(p, proto=6, addr=b"\0" * 16, typ=42):
    c.send(typ, addr + struct.pack("HBBI", p, proto, 0, 0)); return c.recv() if typ == 42 else None
r = port(8000); tap(r is not None and r[1] == -98, "the port of another host: in use")
r = port(9000); tap(r is not None and r[1] == 0, "a free port: granted")
r = port(0); tap(r is not None and r[1] == 0 and 32768 <= struct.unpack_from("H", r[2], 16)[0] <= 60999, "any port: an ephemeral one")
r = port(9001, proto=47); tap(r is not None and r[1] < 0, "a protocol without ports: refused")
r = port(9001, addr=b"\0" * 10 + b"\xff\xff\x01\x02\x03\x04"); tap(r is not None and r[1] == -99, "an address that is not the NPP's: refused")
for p in range(20000): c.send(42, b"\0" * 16 + struct.pack("HBBI", 1 + p, 6, 0, 0)) if p < 200 else None
tap(True, "200 requests without reading an answer")
c.close()

bad = 0
for i in range(1500):
    c = Conn(b"liar%d" % (i % 12)) if rnd.random() < 0.9 else Conn()
    for _ in range(rnd.randrange(1, 6)):
        k = rnd.random()
        typ = rnd.choice([HOST_CONN, 39, ATTACH, 42, 44, 47, BELLS, rnd.randrange(65536)])
        if typ == TOOL + 2: continue
        fds = [e] * rnd.choice([0, 0, 1, 2, 128])
        body = rnd.randbytes(rnd.choice([0, 4, 8, 16, 24, 40, 48, 56, rnd.randrange(3000)]))
        if k < 0.3:
            body = struct.pack("IIQ32sII", abi, rnd.randrange(5), layout, b"x", 1000, 0); fds = [memory(rnd.choice([4096, 1 << 20]))]; typ = ATTACH
            c.send(typ, body, fds); os.close(fds[0])
        elif k < 0.4: c.send(typ, body, fds, length=rnd.randrange(1 << 32))
        elif k < 0.5: c.send(typ, body, fds, magic=rnd.randrange(1 << 32))
        elif k < 0.6: c.send(typ, body, fds, nfds=rnd.randrange(300))
        else: c.send(typ, body, fds)
    c.close()
tap(True, "1500 connections of noise")
P
r=$?
while read -r verdict text; do
  case $verdict in
    ok) pass "$text" ;;
    not) fail "${text#ok }" ;;
    *) diag "$verdict $text" ;;
  esac
done <"$work/liar.log"
is 'the liar came to its end' $r 0
ok 'the other host is still attached' wait_for 5 sh -c "'$npp' status acc1 --json | jq -e '.[0].hosts == [\"web1\"]'"
ok 'and serves' served
is 'all processes live' "$("$npp" status --json | jq -r '[.[].children[].state] | unique | join(" ")')" ready
ok 'ports of the liar are free again' wait_for 5 grep -q 'host liar .* ports are free again' "$work/acc1.log"
fds() { find "/proc/${pid_of[acc1]}/fd" -mindepth 1 | wc -l; }
few_fds() { [ "$(fds)" -le 1150 ]; }
ok "nppd holds no more descriptors than one host needs" wait_for 5 few_fds
does 'they end' nppd_stop web1
does 'both' nppd_stop acc1
like 'no sanitizer complains' "$(grep -c 'ERROR: .*Sanitizer\|runtime error' "$work/acc1.log")" '^0$'
done_testing

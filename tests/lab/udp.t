# SPDX-License-Identifier: GPL-2.0-or-later
# udp.t - UDP echo on npp: small datagrams and fragmented ones of 40 KB, to every IOP
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin udp
need jq
python=/usr/bin/python3
[ -x $python ] || skip_all 'needs python3'

cat >"$work/server.py" <<'P'
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
s.bind(("0.0.0.0", 7))
print("ready", flush=True)
while True:
    data, peer = s.recvfrom(65536)
    s.sendto(data, peer)
P
cat >"$work/client.py" <<'P'
# client.py HOST SIZE COUNT CONNECT: one datagram from each of COUNT ports, each echoed
import os, socket, sys
host, size, count, connect = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "1"
good, tries = 0, 0
for i in range(count):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("0.0.0.0", 20000 + i * 7))
    s.settimeout(2 * int(os.environ["NPP_SLOW"]))
    if connect:
        s.connect((host, 7))
    data = os.urandom(size)
    for attempt in range(3):      # a datagram may be lost, but not all three
        tries += 1
        if connect:
            s.send(data)
        else:
            s.sendto(data, (host, 7))
        try:
            if s.recv(65536) == data:
                good += 1
                break
        except TimeoutError:
            pass
    s.close()
print(good, tries)
P

lab_up "$topologies/pair.yaml"
start server web1 $python -u "$work/server.py"
ok 'the server is ready' wait_for 10 grep -q ready "$evidence/server.log"

client() { on client1 timeout $((90 * slow)) $python "$work/client.py" web1 "$@"; }
for size in 1 512 1472; do
  like "64 echoes of $size bytes" "$(client $size 64 0)" '^64 '
done
like '64 echoes with connected sockets' "$(client 100 64 1)" '^64 '
cmp_num "every IOP delivered datagrams ($(iop_counters acc1 udp.in | xargs))" "$(iop_min acc1 udp.in)" -gt 0

fragmented=$(iop_sum acc1 ip.reassembled)
like '64 echoes of 40000 bytes, fragmented both ways' "$(client 40000 64 0)" '^64 '
like '8 echoes of 65507 bytes' "$(client 65507 8 0)" '^8 '
cmp_num 'they were put together' "$(($(iop_sum acc1 ip.reassembled) - fragmented))" -ge 72
cmp_num "by every IOP ($(iop_counters acc1 ip.reassembled | xargs))" "$(iop_min acc1 ip.reassembled)" -gt 0
cmp_num 'and handed on to the owner of the session' "$(iop_sum acc1 ip.handed_on)" -gt 0
cmp_num 'answers went out in fragments' "$(iop_sum acc1 ip.frags_out)" -gt 64
is 'nothing was left in reassembly' "$(iop_sum acc1 drop.reass_bad)+$(iop_sum acc1 drop.reass_overlap)" 0+0

# The other way: a program on npp asks, the kernel answers.
start kserver client1 $python -u "$work/server.py"
wait_for 10 grep -q ready "$evidence/kserver.log"
like 'a program on npp asks the kernel' \
  "$(on web1 timeout $((90 * slow)) $python "$work/client.py" client1 1000 16 0)" '^16 '
like 'with connected sockets and 40000 bytes' \
  "$(on web1 timeout $((90 * slow)) $python "$work/client.py" client1 40000 16 1)" '^16 '

# A port that nobody has: the kernel's client hears of it.
is 'ICMP port unreachable reaches the sender' "$(on client1 $python -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(int(sys.argv[1]))
s.connect(("web1", 9)); s.send(b"x")
try: s.recv(10)
except ConnectionRefusedError: print("refused")' $patience)" refused
done_testing

# SPDX-License-Identifier: GPL-2.0-or-later
# kernel-engine.t - engine: kernel: the TAP steers, and everything works as with the dispatcher
#
#   client1 .10 ---- lan 10.1.0.0/24 ---- .11 acc1 (4 IOPs, engine: kernel) == web1
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin kernel-engine
need nginx curl jq
load=$top_builddir/harness/load/npp-load
python=/usr/bin/python3
[ -x $python ] || skip_all 'needs python3'
permitted=$("$top_builddir/tests/unit/nppd/test_steer" 2>&1 </dev/null | head -n 1) 2>/dev/null
case $permitted in *SKIP*) skip_all 'this machine does not permit eBPF programs' ;; esac

lab_up "$topologies/pair.yaml" --set nodes.acc1.engine=kernel
like 'status names the engine' "$("$npplab" status "$lab")" 'acc1 .*engine kernel'
like 'npp stat names the engine' "$(npp_do stat acc1)" 'engine kernel'
is 'so does its JSON' "$(npp_do stat acc1 --json | jq -r 'if type == "array" then .[0] else . end | .engine')" kernel

# ---- TCP: every flow by itself where npp hash says ------------------------------------------
start echo web1 "$load" serve -p 7001 echo
ok 'a program listens' wait_for 15 listening web1 7001
start idle client1 "$load" -q -j -c 64 -H $((8 * slow)) idle web1 7001
idle=$started
conns() { npp_do conns acc1 --json | jq -r '[.. | objects | select(.lport? == 7001 and .state == "ESTABLISHED")]'; }
ok '64 connections stand' wait_for 10 sh -c "[ \$('$npp' conns '$lab/acc1' --json | jq '[.. | objects | select(.lport? == 7001 and .state == \"ESTABLISHED\")] | length') = 64 ]"
wrong=0 n=0
while read -r iop remote rport local; do
  said=$("$npp" hash "$lab/acc1" "$remote" "$rport" "$local" 7001 --json | jq .iop)
  [ "$said" = "$iop" ] || { wrong=$((wrong + 1)); diag "$remote $rport: on $iop, hash says $said"; }
  n=$((n + 1))
done < <(conns | jq -r '.[] | "\(.iop) \(.remote) \(.rport) \(.local)"')
is 'each is on the IOP that npp hash says' "$n $wrong" '64 0'
wait $idle
is 'and was answered at the end' $? 0

nginx_start web1
ok 'nginx listens' wait_for 15 listening web1 80
for what in '-c 32' '-c 16 -k'; do
  # shellcheck disable=SC2086
  ok "nginx under load: $what" on client1 "$load" -q -j $what -d 2 -B "$work/nginx-web1/www/index.html" http://web1/index.html
done
start sink web1 "$load" serve -p 7002 sink
start source web1 "$load" serve -p 7003 source
wait_for 15 listening web1 7003
ok 'bulk to the host' on client1 "$load" -q -j -c 4 -n 8 -b $((bulk / 16)) send web1 7002
ok 'bulk from the host' on client1 "$load" -q -j -c 4 -n 8 -b $((bulk / 16)) recv web1 7003
start kecho client1 "$load" serve -p 7001 echo
wait_for 15 listening client1 7001
ok 'programs on npp open connections' on web1 "$load" -q -j -c 16 -n 2000 -b 100 echo client1 7001
cmp_num "every IOP reads its frames ($(iop_counters acc1 port.frames | xargs))" "$(iop_min acc1 port.frames)" -gt 100
is 'no frame had to be handed on' "$(iop_sum acc1 port.handed_on)" 0
is 'the dispatcher has seen no segment' "$(dispatch_counter acc1 class.tcp)" 0
is 'nothing was refused' "$(iop_sum acc1 drop.port_l4_csum)+$(iop_sum acc1 drop.port_vnet)+$(iop_sum acc1 port.read_errors)" 0+0+0

# ---- datagrams, fragments, ICMP --------------------------------------------------------------
cat >"$work/udp.py" <<'P'
# udp.py serve | udp.py HOST SIZE COUNT: one datagram from each of COUNT ports, each echoed
import os, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
if sys.argv[1] == "serve":
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    s.bind(("0.0.0.0", 7))
    print("ready", flush=True)
    while True:
        data, peer = s.recvfrom(65536)
        s.sendto(data, peer)
host, size, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
good = 0
for i in range(count):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("0.0.0.0", 20000 + i * 7))
    s.settimeout(2 * int(os.environ["NPP_SLOW"]))
    data = os.urandom(size)
    for attempt in range(3):      # a datagram may be lost, but not all three
        s.sendto(data, (host, 7))
        try:
            if s.recv(65536) == data:
                good += 1
                break
        except TimeoutError:
            pass
    s.close()
print(good)
P
start udp web1 $python -u "$work/udp.py" serve
ok 'a datagram server is ready' wait_for 10 grep -q ready "$evidence/udp.log"
is '64 echoes of 512 bytes' "$(on client1 $python "$work/udp.py" web1 512 64)" 64
is 'no datagram had to be handed on' "$(iop_sum acc1 port.handed_on)" 0
is '48 echoes of 40000 bytes, fragmented both ways' "$(on client1 $python "$work/udp.py" web1 40000 48)" 48
cmp_num "fragments came to every IOP ($(iop_counters acc1 port.class.fragment | xargs))" "$(iop_min acc1 port.class.fragment)" -gt 0
is 'none by the dispatcher' "$(dispatch_counter acc1 class.fragment)+$(dispatch_counter acc1 class.udp)" 0+0
ok 'ping' on client1 ping -c 5 -i 0.1 -q web1
ok 'ping with fragments' on client1 ping -c 3 -i 0.1 -s 4000 -q web1
cmp_num 'echo requests come by the dispatcher' "$(dispatch_counter acc1 class.other)" -ge 5
is 'an ICMP error reaches the program that it is for' "$(on web1 $python -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(int(sys.argv[1]))
s.connect(("client1", 9)); s.send(b"x")
try: s.recv(10)
except ConnectionRefusedError: print("refused")' $patience)" refused
cmp_num 'by the dispatcher' "$(dispatch_counter acc1 class.icmp_error)" -gt 0

# An ISM that does not read: its queue is bounded, and who lost what is said.
drops() { npp_do stat acc1 --json | jq .port_drops; }
child() { "$npp" status "$lab/acc1" --json | jq -r --arg r "$1" --argjson i "$2" '.[0].children[] | select(.role == $r and .index == $i) | .pid'; }
before=$(drops)
pid=$(child ism 2)
kill -STOP "$pid"
on client1 $python -c '
import socket
for port in range(30000, 30064):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("0.0.0.0", port))
    for i in range(300): s.sendto(b"x", ("web1", 9))'
kill -CONT "$pid"
cmp_num "frames that its queue had no room for are counted ($(drops))" "$(drops)" -gt "$before"
like 'and shown' "$(npp_do stat acc1)" 'dropped by the port +[0-9]+  queue_full'
is 'it goes on' "$(on client1 $python "$work/udp.py" web1 512 16)" 16

# ---- restarts and deaths ---------------------------------------------------------------------
# So many that each IOP has some: of sixteen one time in twenty-five one has none.
start steady client1 "$load" -q -j -c 64 -d 600 -b 200 echo web1 7001
steady=$started
moving() { local a; a=$(iop_min acc1 port.frames); sleep 0.3; [ "$(iop_min acc1 port.frames)" -gt "$a" ]; }
ok 'flows go by every IOP' wait_for 10 moving
for i in 0 3; do
  like "ISM $i is replaced" "$("$npp" restart ism $i "$lab/acc1" 2>&1)" "took over from [0-9]+"
done
like 'the dispatcher is replaced' "$("$npp" restart dispatch "$lab/acc1" 2>&1)" "took over from [0-9]+"
back() { local p; p=$(child "$1" "$2"); [ -n "$p" ] && [ "$p" != 0 ] && [ "$p" != "$3" ]; }
pid=$(child dispatch 0)
kill -9 "$pid"
ok 'the dispatcher killed: flows go on' wait_for 10 moving
ok 'it comes back' wait_for 10 back dispatch 0 "$pid"
kill $steady
wait $steady
is 'no conversation saw any of this' $? 0
is 'no connection was reset' "$(iop_sum acc1 takeover.lost)" 0

start killed client1 "$load" -q -j -c 32 -d 600 http://web1/index.html
killed=$started
wait_for 10 moving
pid=$(child ism 1)
kill -9 "$pid"
ok 'a killed ISM comes back' wait_for 10 back ism 1 "$pid"
wait_for 10 moving
kill $killed
wait $killed
errors=$(jq .errors_total "$evidence/killed.log")
cmp_num "kill -9 of an ISM costs at most one connection ($errors)" "${errors:-99}" -le 1
ok 'all IOPs serve' on client1 "$load" -q -j -c 32 -n 2000 http://web1/index.html

# ---- the end -----------------------------------------------------------------------------------
for n in 1 2 3; do
  ok "the lab goes down ($n)" lab_down
  left=$(leftovers "$lab")
  is "nothing is left ($n)" "$left" ''
  [ $n = 3 ] || lab_up "$topologies/pair.yaml" --set nodes.acc1.engine=kernel --set nodes.acc1.iops=$n
  [ $n = 3 ] || ok "$n IOPs" on client1 ping -c 1 -W $patience web1
done
done_testing

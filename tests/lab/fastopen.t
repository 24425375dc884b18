# SPDX-License-Identifier: GPL-2.0-or-later
# fastopen.t - TCP Fast Open between programs on npp and Linux's own TCP, in both roles
#
#   client1 (the kernel) ---- lan ---- acc1 (4 IOPs) == web1
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin tfo
need python3

lab_up "$topologies/pair.yaml"
ip netns exec "$lab-client1" sysctl -q net.ipv4.tcp_fastopen=3
prog=$top_srcdir/tests/lab/progs/fastopen.py

start server web1 python3 "$prog" serve 7000
wait_for 15 listening web1 7000
out=$(on client1 python3 "$prog" sendto 10.1.0.11 7000 20)
is 'a kernel client: 20 questions are answered' "$out" '20 answered'
cmp_num 'all but the first with their SYN' "$(iop_sum acc1 tfo.in)" -ge 19
is 'no cookie was wrong, whichever IOP gave it' "$(iop_sum acc1 tfo.bad)" 0

start kserver client1 python3 "$prog" serve 7001
wait_for 15 on client1 sh -c "ss -Hltn sport = :7001 | grep -q ."
for how in sendto connect; do
  before=$(iop_sum acc1 tfo.out)
  out=$(on web1 python3 "$prog" $how 10.1.0.10 7001 20)
  is "a client on npp, $how: 20 questions are answered" "$out" '20 answered'
  cmp_num 'all but the first, whichever IOP they go by, with their SYN' "$(($(iop_sum acc1 tfo.out) - before))" -ge 17
done
passive=$(ip netns exec "$lab-client1" nstat -asz TcpExtTCPFastOpenPassive | awk '/TCPFastOpenPassive/ { print $2 }')
cmp_num 'the kernel took them' "${passive:-0}" -ge 34

# A listener's own keys (TCP_FASTOPEN_KEY): cookies are those that Linux makes of them.
k1=000102030405060708090a0b0c0d0e0f k2=f0e0d0c0b0a090807060504030201000
cookie_for() { on client1 ip tcp_metrics show "$1" | sed -n 's/.*fo_cookie \([0-9a-f]*\).*/\1/p'; }
made_of() { python3 "$prog" cookie "$1" 10.1.0.10 "$2"; }
next_key() { # NAME KEYS: that the server NAME has then
  kill -USR1 "${server[$1]}"
  ok "$1: getsockopt() says ${#2} digits of key" wait_for 10 grep -qx "key $2" "$evidence/$1.log"
}
declare -A server
start npp-server web1 python3 "$prog" serve 7002 $k1 $k2$k1 $k2
server[npp-server]=$started
start linux-server client1 python3 "$prog" serve 7003 $k1 $k2
server[linux-server]=$started
wait_for 15 listening web1 7002
wait_for 15 on client1 sh -c "ss -Hltn sport = :7003 | grep -q ."
on client1 ip tcp_metrics flush
next_key linux-server $k1
on client1 python3 "$prog" sendto 10.1.0.10 7003 2 >/dev/null
is 'Linux makes this of a key' "$(cookie_for 10.1.0.10)" "$(made_of $k1 10.1.0.10)"
next_key npp-server $k1
bad=$(iop_sum acc1 tfo.bad)
asked() { # WHAT KEY: 20 questions, and a cookie of KEY
  local before
  before=$(iop_sum acc1 tfo.in)
  is "$1: 20 questions are answered" "$(on client1 python3 "$prog" sendto 10.1.0.11 7002 20)" '20 answered'
  cmp_num "$1: all but the first with their SYN" "$(($(iop_sum acc1 tfo.in) - before))" -ge 19
  is "$1: the cookie that Linux makes of the key" "$(cookie_for 10.1.0.11)" "$(made_of $2 10.1.0.11)"
}
asked 'a key of its own' $k1
next_key npp-server $k2$k1
asked 'another one, the first as backup' $k2
ok 'an IOP is replaced' "$npp" restart ism 1 "$lab/acc1"
ok 'and the OSM' "$npp" restart osm "$lab/web1"
asked 'after that' $k2
next_key npp-server $k2
asked 'without the backup' $k2
is 'no cookie was wrong' "$(iop_sum acc1 tfo.bad)" "$bad"
out=$(on web1 python3 "$prog" connect 10.1.0.10 9 1)
is 'a closed port refuses' "$out" 'refused'
done_testing

# SPDX-License-Identifier: GPL-2.0-or-later
# wire.t - npp-wire between two namespaces: delay, loss, checksums, speed, live changes
#
#   n1 (left 10.9.0.1) ---- npp-wire ---- (right 10.9.0.2) n2
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin wire
need ping jq iperf3
n1=nppw$$-1 n2=nppw$$-2 wire=$top_builddir/harness/wire/npp-wire sock=$work/w.sock
at_end() { for n in $n1 $n2; do ip netns del $n 2>/dev/null; done; }
# Without IPv6, whose solicitations and reports are frames that nobody here asked for.
for n in $n1 $n2; do ip netns add $n; ip -n $n link set lo up; ip netns exec $n sysctl -qw net.ipv6.conf.all.disable_ipv6=1; done
$wire -a name=left,netns=/run/netns/$n1 -b name=right,netns=/run/netns/$n2,mtu=1500 -c "$sock" >"$evidence/wire.log" 2>&1 &
pid=$!
background+=("$pid")
ctl() { $wire ctl "$sock" "$@"; }
ok 'it answers' wait_for 10 ctl get
ip -n $n1 addr add 10.9.0.1/24 dev left
ip -n $n2 addr add 10.9.0.2/24 dev right
in1() { ip netns exec $n1 "$@"; }
in2() { ip netns exec $n2 "$@"; }
counter() { ctl get | jq ".$1.counters.$2"; }
ok 'frames pass' in1 ping -c3 -i0.05 -W$patience 10.9.0.2

# Delay. How late frames go is what the wire itself saw.
ok 'settings change while it runs' ctl set delay=20ms
ctl zero
# The quickest of them, for the machine may have other things to do.
rtt=$(in1 ping -q -c40 -i0.02 10.9.0.2 | sed -n 's|^rtt.*= \([0-9]*\).*|\1|p')
cmp_num 'a round trip takes twice the delay' "$rtt" -ge 40
cmp_num 'and not much more' "$rtt" -le 60
late=$(ctl get | jq '[.up.late_us.p99, .down.late_us.p99] | max | floor')
diag "late by p99 $late us (load $(cut -d' ' -f1 /proc/loadavg))"
ctl clear

# A run with the same seed repeats exactly.
lost() { ctl seed 5; in1 ping -q -c200 -i0.002 -W1 10.9.0.2 >/dev/null; ctl get | jq -c '[.up.counters.lost, .down.counters.lost]'; }
in2 sysctl -qw net.ipv4.icmp_ratelimit=0
in1 ip neigh replace 10.9.0.2 lladdr "$(in2 cat /sys/class/net/right/address)" dev left nud permanent
in2 ip neigh replace 10.9.0.1 lladdr "$(in1 cat /sys/class/net/left/address)" dev right nud permanent
ctl set up.loss=10%
ctl zero; a=$(lost)
ctl zero; b=$(lost)
is 'the same frames meet the same fate' "$a" "$b"
like 'losses are in one direction' "$a" '^\[[0-9]*[1-9][0-9]*,0\]$'
ctl clear

# Streams keep their content whatever happens to single frames.
head -c $((bulk / 64)) /dev/urandom >"$work/data"
sum=$(sha256sum <"$work/data")
stream()
{
  in2 timeout $((60 * slow)) nc -l -p 7000 -N >"$work/got" </dev/null &
  local nc=$!
  background+=("$nc")
  wait_for 10 in2 sh -c 'ss -Hltn "sport = :7000" | grep -q .'
  in1 timeout $((60 * slow)) nc -N 10.9.0.2 7000 <"$work/data" >/dev/null
  wait "$nc"
  is "$1" "$(sha256sum <"$work/got")" "$sum"
}
ctl zero
stream 'a stream over a clean wire'
cmp_num 'GSO frames stay whole' "$(counter up whole)" -gt 10
is 'none is cut' "$(counter up cut)" 0
ctl set corrupt=1% loss=0.5% duplicate=1% reorder=1%
stream 'a stream through losses, flipped bits, doubles and disorder'
cmp_num 'GSO frames were cut' "$(counter up cut)" -gt 0
cmp_num 'bits were flipped' "$(counter up corrupted)" -gt 0
ctl clear

ctl set blackout=yes
not_ok 'nothing passes in a blackout' in1 ping -c1 -W1 10.9.0.2
ctl set blackout=no
ok 'and again after it' in1 ping -c3 -i0.1 -W$patience 10.9.0.2
# Carriers.
carrier_is() { [ "$(ip netns exec "$1" cat /sys/class/net/$2/carrier 2>/dev/null)" = "$3" ]; }
is 'both ends have a carrier' "$(ctl get | jq -c .carrier)" '{"a":true,"b":true}'
in1 ip link set left down
ok 'an end that goes down leaves the other without' wait_for 5 carrier_is $n2 right 0
is 'which the wire shows' "$(ctl get | jq -c .carrier)" '{"a":true,"b":false}'
in1 ip link set left up
ok 'and with one when it is back' wait_for 5 carrier_is $n2 right 1
in2 ip link set right down
ok 'so it is the other way' wait_for 5 carrier_is $n1 left 0
in2 ip link set right up
ok 'and frames pass again' wait_for 5 in1 ping -c1 -W1 10.9.0.2
like 'what is wrong with a request is said' "$(ctl set dely=1ms 2>&1)" "did you mean 'delay'"

# Speed.
in2 iperf3 -s -1 >/dev/null 2>&1 &
background+=($!)
wait_for 10 in2 sh -c 'ss -Hltn "sport = :5201" | grep -q .'
cpu_us() { awk '{print int($1 / 1000)}' /proc/$pid/schedstat; }
c0=$(cpu_us)
mbit=$(in1 iperf3 -c 10.9.0.2 -t 2 -J | jq '.end.sum_received.bytes * 8 / 1e6 | floor')
c1=$(cpu_us)
diag "clean: $((mbit / 2)) Mbit/s, $(((c1 - c0) / 20000)) % of a core for the wire"
# By the time that the wire itself had, whatever else has run.
$sanitized || cmp_num 'a clean wire carries 3 Gbit/s on one core' $((mbit * 1000 / ((c1 - c0) / 1000 + 1))) -ge 3000
stop "$pid"
not_ok 'its ends go with it' in1 ip link show left
is 'its socket too' "$(ls "$sock" 2>/dev/null)" ''
done_testing

# SPDX-License-Identifier: GPL-2.0-or-later
# styles.t - servers of every style on npp, every byte checked
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin styles
need jq
progs=$top_builddir/tests/lab/progs

lab_up "$topologies/pair.yaml"
port=6000
for style in thread fork inetd prefork select poll level edge oneshot pool alarm exclusive; do
  port=$((port + 1))
  n=24
  [ $style != prefork ] || n=3
  start "$style" web1 "$progs/echo" $style $port
  server=$started
  wait_for 10 listening web1 $port
  ok "$style: many connections" on client1 timeout $((60 * slow)) "$progs/verify" web1 $port $n 20000 2
  ok "$style: much data" on client1 timeout $((60 * slow)) "$progs/verify" web1 $port 3 2000000
  ok "$style: from npp itself" on web1 timeout $((60 * slow)) "$progs/verify" web1 $port 3 300000
  ok "$style: over the loopback" on web1 timeout $((60 * slow)) "$progs/verify" 127.0.0.1 $port 3 300000
  stop $server
done
start kernel client1 "$progs/echo" level 7001
wait_for 10 listening client1 7001
ok 'a client on npp, a server on the kernel' on web1 timeout $((60 * slow)) "$progs/verify" client1 7001 32 200000 2
ok 'no listener is left' wait_for 20 sum_is acc1 tcp.listeners 0
is 'no protocol error' "$(iop_sum acc1 host.protocol_errors)" 0
done_testing

# SPDX-License-Identifier: GPL-2.0-or-later
# udp-options.t - control messages, many datagrams in one send, errors: on npp as on the kernel
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
here_lab=$(cd "$(dirname "$0")" && pwd)
. "$here_lab/lib.sh"
lab_begin udpopt
need jq
python=/usr/bin/python3
[ -x $python ] || skip_all 'needs python3'
program=$here_lab/udp-options.py

lab_up "$topologies/pair.yaml" --set ipv6=yes
npp4=10.1.0.11 npp6=fd00:0:0:1::b us4=10.1.0.10 us6=fd00:0:0:1::a
for node in web1 client1; do
  start "$node" $node $python -u "$program" serve 5353
  ok "the server on $node is ready" wait_for 10 grep -q ready "$evidence/$node.log"
done
say() { on "$1" timeout $((20 * slow)) $python "$program" "${@:2}" 2>&1; }
for to in "client1 $npp4" "web1 $us4" "web1 $npp4"; do
  is "an answer comes from where the question went (${to/ / to })" "$(say ${to% *} ask "${to#* }" 5353)" 'ask good 72'
done
for to in "client1 $npp6" "web1 $us6" "web1 $npp6"; do
  is "an answer comes from where the question went (${to/ / to })" "$(say ${to% *} ask "${to#* }" 5353)" 'ask good'
done
for to in "client1 $npp4" "client1 $npp6" "web1 $us4" "web1 $us6" "web1 $npp4" "web1 $npp6"; do
  is "40 datagrams of 1200 bytes in one send (${to/ / to })" "$(say ${to% *} segments "${to#* }" 5353 1200 40)" 'segments good'
  is "8 of nearly the MTU (${to/ / to })" "$(say ${to% *} segments "${to#* }" 5353 1400 8)" 'segments good'
done
for to in "client1 $npp4" "client1 $npp6" "web1 $us4" "web1 $us6" "web1 $npp4" "web1 $npp6"; do
  is "a socket hears that nobody listens, connected or by IP_RECVERR (${to/ / to })" "$(say ${to% *} refused "${to#* }" 9)" 'refused good'
done
# The kernel wants a route for 255.255.255.255, npp does not.
dev=$(on client1 ip -o route get $npp4 | sed 's/.* dev \([^ ]*\).*/\1/')
on client1 ip route add default dev "$dev"
for v in 4 6; do
  declare -n npp_v=npp$v us_v=us$v
  wanted=$(say client1 corners "$npp_v" 5353)
  like "corners of datagrams, IPv$v: the kernel comes to the end" "$wanted" 'the end$'
  is "corners of datagrams, IPv$v: npp does the same" "$(say web1 corners "$us_v" 5353)" "$wanted"
done
# The IOP that hears the router need not be the one that sends.
for v in 4 6; do
  declare -n npp_v=npp$v us_v=us$v
  start heeds$v web1 $python -u "$program" heeds "$us_v" 5353 6001 6002 6003 6004
  ok "IPv$v: 1500 bytes in one piece come back" wait_for $patience grep -q sent "$evidence/heeds$v.log"
  for own in 6001 6002 6003 6004; do
    say client1 too_big "$npp_v" $own "$us_v" 5353 1400
  done
  wait "$started"
  is "IPv$v: what a router says is told to each of four sockets, and heeded" \
    "$(sort "$evidence/heeds$v.log" | uniq -c | xargs)" "4 heeds EMSGSIZE 1400 1400 EMSGSIZE $((v == 4 ? 1372 : 1352)) 1 sent"
done
done_testing

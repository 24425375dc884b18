# SPDX-License-Identifier: GPL-2.0-or-later
# listeners.t - a listening socket stands on every IOP, npp listeners shows it, it goes again
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin listeners
need nc jq
python=/usr/bin/python3
[ -x $python ] || skip_all 'needs python3'

for n in 1 3 4; do
  lab_up "$topologies/pair.yaml" --set "nodes.acc1.iops=$n"
  is "N=$n: nothing listens at first" "$(iop_sum acc1 tcp.listeners)" 0
  start "l1-$n" web1 nc -k -l 4001
  l1=$started
  start "l2-$n" web1 nc -k -l 10.1.0.11 4002
  l2=$started
  ok "N=$n: a wildcard listener" wait_for 10 listening web1 4001
  ok "N=$n: one on the address of the NPP" wait_for 10 listening web1 4002
  is "N=$n: two replicas on each IOP" "$(iop_counters acc1 tcp.listeners | xargs)" \
    "$(yes 2 | head -n $n | xargs)"
  out=$(npp_do listeners web1)
  like "N=$n: npp listeners shows the port" "$out" '4001'
  like "N=$n: and the other" "$out" '4002'
  is "N=$n: with a replica on each of $n IOPs" \
    "$(npp_do listeners web1 --json | jq '[.. | objects | select(.port? == 4001)][0].replicas | length')" "$n"
  start "u-$n" web1 nc -u -l 4003
  u=$started
  ok "N=$n: a UDP socket is shown, too" wait_for 10 listening web1 4003
  is "N=$n: once for each IOP, as UDP" "$(npp_do listeners web1 --json |
    jq -r '[.listeners[] | select(.port == 4003)] | "\(length) \(.[0].proto) \(.[0].replicas | length)"')" "1 udp $n"
  stop $u KILL
  ok "N=$n: it can be reached" on client1 nc -z -w$patience web1 4001
  # (nc would share it: it sets SO_REUSEPORT.)
  like "N=$n: the port is taken" "$(on web1 timeout $((10 * slow)) $python -c '
import socket
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", 4001))
s.listen()' 2>&1)" 'Address already in use'
  stop $l1
  ok "N=$n: a listener goes with its program" wait_for 10 sum_is acc1 tcp.listeners "$n"
  not_ok "N=$n: its port refuses" on client1 nc -z -w2 web1 4001
  start "l3-$n" web1 nc -k -l 4001
  ok "N=$n: the port can be had again" wait_for 10 listening web1 4001
  stop $started KILL
  stop $l2 KILL
  ok "N=$n: also after kill -9" wait_for 10 sum_is acc1 tcp.listeners 0
  lab_down
done
done_testing

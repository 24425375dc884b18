# SPDX-License-Identifier: GPL-2.0-or-later
# bird.t - routers with BIRD: a link fails and routes move (topologies/ring.yaml), OSPF and RIP
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin bird
need ping jq curl python3
command -v bird >/dev/null || skip_all 'needs bird (package bird2)'

hop() { ip netns exec "$lab-$1" ip -j route get "$2" | jq -r '.[0].gateway // "link"'; }
hop_is() { [ "$(hop "$1" "$2")" = "$3" ]; }
ms() { date +%s%3N; }

# A smaller MTU in the middle, both ways: the first question and the first answer are lost, no more.
small_mtu()
{
  local f out
  for r in r1 r2; do ip -n "$lab-$r" link set direct mtu 1280; done
  for f in 4 6; do
    on client1 ping -$f -c2 -i0.2 -W2 -s 1400 web1 >/dev/null
    out=$(ping_all 4 client1 -$f -W$patience -s 1400 web1)
    like "ping -$f of 1400 bytes over a path of 1280" "$out" '4 packets transmitted, 4 received'
  done
  for r in r1 r2; do ip -n "$lab-$r" link set direct mtu 1500; done
}

try()
{
  local p=$1 t sets=()
  shift
  for r in r1 r2 r3; do sets+=(--set "nodes.$r.protocol=$p"); done
  lab_up "$topologies/ring.yaml" --set ipv6=yes --set 'nodes.r1.routes=[{to: 10.77.0.0/16, via: 10.9.1.20}]' "${sets[@]}"
  is "$p: up waits for the routes" "$(hop r1 10.9.2.11)" 10.9.12.2
  ok "$p: the client reaches the host" on client1 ping -c1 -W$patience web1
  ok "$p: by IPv6, too" on client1 ping -c1 -W$patience fd00:0:0:2::b
  [ "$p" != ospf ] || small_mtu
  ok "$p: a given route is told to the others" wait_for 10 hop_is r2 10.77.1.1 10.9.12.1
  start "serve-$p" web1 python3 -m http.server -d "$topologies" 80
  wait_for 10 listening web1 80
  on client1 curl -s -m $patience http://web1/ring.yaml >"$work/got"
  ok "$p: and asks it" cmp "$work/got" "$topologies/ring.yaml"
  "$npplab" fault --lab "$lab" link r1.direct down >/dev/null
  t=$(ms)
  ok "$p: a link fails, and the route goes by the third router" wait_for 15 hop_is r1 10.9.2.11 10.9.13.2
  ok "$p: so does the way back" wait_for 15 hop_is r2 10.9.1.20 10.9.23.2
  ok "$p: the host answers again" wait_for 10 on client1 curl -s -m 1 -o /dev/null http://web1/
  diag "$p: answers $(($(ms) - t)) ms after the link failed"
  "$npplab" fault --lab "$lab" link r1.direct up >/dev/null
  ok "$p: the link is back, and so is the route" wait_for 20 hop_is r1 10.9.2.11 10.9.12.2
  ok "$p: bird is killed by its role" "$npplab" fault --lab "$lab" kill router.r3.bird
  wait_for 5 eval '"$npplab" status "$lab" --json | jq -e ".nodes[] | select(.name == \"r3\" and .state == \"dead\")"'
  is "$p: its router is shown as dead" "$("$npplab" status "$lab" --json | jq -r '.nodes[] | select(.name == "r3").state')" dead
  ok "$p: down" lab_down
  is "$p: nothing is left" "$(leftovers "$lab")" ''
}
try ospf
try rip
done_testing

# SPDX-License-Identifier: GPL-2.0-or-later
# fig17c.t - the site of fig15 whose accelerators have two ports: both are used, either may fail
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin fig17c
need jq nginx curl ping
lab_up "$topologies/fig17c.yaml"
nginx_start web1
nginx_start web2
for w in web1 web2; do ok "$w serves" wait_for 10 listening $w 80; done

get() { on "$1" curl -s -m "${3:-$patience}" "http://$2/" | head -n1; }
for c in client1 client2; do
  for w in web1 web2; do
    is "$c gets the page of $w" "$(get $c $w)" "This is $w."
  done
done
# The router goes to acc1 by lan1 and to acc2 by lan2, or by the other if that does not answer in time; answers leave
# by the way that they came.
by_port() { npp_do stat "$1" --json | jq -c '[.ports[] | [.rx_frames, .tx_frames]]'; }
a=$(by_port acc1) b=$(by_port acc2)
ok 'load on both' on client1 "$top_builddir/harness/load/npp-load" -c 16 -d $((2 * slow)) -q http://web1/ http://web2/
# as_asked NPP BEFORE: of what came by each port as much went out by it, but for a tenth of all.
as_asked()
{
  local now
  now=$(by_port "$1")
  diag "$1: frames in and out of each port: $2, then $now"
  jq -ne --argjson o "$2" --argjson n "$now" '[range(2) as $p | [$n[$p][0] - $o[$p][0], $n[$p][1] - $o[$p][1]]]
    | (map(.[0]) | add) as $all | $all > 100 and all(.[]; .[0] - .[1] | fabs <= $all / 10 + 100)' >/dev/null
}
ok 'acc1 answered by the ports that it was asked by' as_asked acc1 "$a"
ok 'acc2 did' as_asked acc2 "$b"

for port in lan1 lan2; do
  ok "the ports to $port fail" eval "for n in acc1 acc2; do '$npplab' fault --lab '$lab' link \$n.$port down || exit 1; done"
  for w in web1 web2; do
    ok "$w is there without $port" wait_for 10 eval "[ \"\$(get client2 $w 3)\" = 'This is $w.' ]"
  done
  ok "they are back" eval "for n in acc1 acc2; do '$npplab' fault --lab '$lab' link \$n.$port up || exit 1; done"
  ok "and seen to be" wait_for 10 eval "[ \"\$(npp_do stat acc1 --json | jq -c '[.ports[].up]')\" = '[true,true]' ]"
done
ok 'the drawing has both links of an accelerator' eval "'$npplab' graph --lab '$lab' --json | jq -e '[.edges[] | select(.kind == \"link\" and .to == \"acc1\").from] == [\"net lan1\", \"net lan2\"]'"
lab_down
is 'nothing is left' "$(leftovers "$lab")" ''
done_testing

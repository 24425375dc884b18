# SPDX-License-Identifier: GPL-2.0-or-later
# join.t - switches and wires as nodes: one subnet over several networks (topologies/campus.yaml)
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin join
need ping curl jq python3
lab_up "$topologies/campus.yaml" --set ipv6=yes --set 'nodes.sw1.networks={hall: , desks: , lab1: {wire: {delay: 1ms}}}'
rtt() { on "$1" ping -q -c3 -i0.05 "$2" | sed -n 's|^rtt[^=]*= \([0-9]*\).*|\1|p'; }
ok 'a switch joins networks' on client1 ping -c1 -W$patience client2
ok 'a wire joins networks' on client1 ping -c1 -W$patience client3
ok 'IPv6 goes the same way' on client1 ping -c1 -W$patience fd00:0:0:1::16
cmp_num 'the wire delays in both directions' "$(rtt client1 client3)" -ge 10
cmp_num 'a link of a switch may have a wire of its own' "$(rtt client1 client2)" -ge 2
is 'nodes of one segment have one subnet' \
  "$("$npplab" status "$lab" --json | jq -r '[.nodes[].networks[].address | select(. != "") | split("/")[1]] | unique | join(" ")')" 24
start serve web1 python3 -m http.server -d "$topologies" 80
ok 'an NPP behind them listens' wait_for 10 listening web1 80
on client1 curl -s -m $patience http://web1/campus.yaml >"$work/got"
ok 'and serves' cmp "$work/got" "$topologies/campus.yaml"

# What a wire and a switch are for the other verbs.
ok 'a wire is impaired by its name' "$npplab" impair --lab "$lab" fibre delay=30ms
cmp_num 'at once' "$(rtt client1 client3)" -ge 60
is 'by either end' "$("$npplab" impair --lab "$lab" fibre.far --json | jq -r .up.delay_us)" \
  "$("$npplab" impair --lab "$lab" fibre.hall --json | jq -r .up.delay_us)"
ok 'and is clean again' "$npplab" impair --lab "$lab" fibre clear
is 'one direction is from its first network to its second' "$("$npplab" impair --lab "$lab" fibre up.loss=100% >"$work/impaired"
  start trap client1 ping -c1 -W1 client3; wait "$started"
  "$npplab" impair --lab "$lab" fibre --json | jq -c '[.up.counters.lost > 0, .down.counters.lost]')" '[true,0]'
like 'a change is shown' "$(cat "$work/impaired")" '^up +loss=100%$'
"$npplab" impair --lab "$lab" fibre clear >"$work/impaired"
ok 'a port of a switch goes down' "$npplab" fault --lab "$lab" link sw2.far down
not_ok 'and nothing passes' on client1 ping -c1 -W1 client3
"$npplab" fault --lab "$lab" link sw2.far up
ok 'up again' wait_for 10 on client1 ping -c1 -W1 client3
like 'links have both' "$("$npplab" links --lab "$lab")" '^fibre\.far .* up '
like 'the picture has the wire' "$("$npplab" graph "$lab" -w "$work/g.dot" && cat "$work/g.dot")" '"fibre" \[shape=cds'
ok 'a wire is killed by its role' "$npplab" fault --lab "$lab" kill wire.fibre
wait_for 5 eval '[ "$("$npplab" status "$lab" --json | jq -r ".nodes[] | select(.name == \"fibre\").state")" = dead ]'
is 'and shown as dead' "$("$npplab" status "$lab" --json | jq -r '.nodes[] | select(.name == "fibre").state')" dead
ok 'down' lab_down
is 'nothing is left' "$(leftovers "$lab")" ''
done_testing

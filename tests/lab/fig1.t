# SPDX-License-Identifier: GPL-2.0-or-later
# fig1.t - a LAN: everybody by name, who may go out, who may not come in
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin fig1
need nft nginx redis-server redis-cli curl ping jq
lab_up "$topologies/fig1.yaml"
for c in client1 client2 client3; do
  is "$c is served by the accelerated server" "$(on $c curl -s -m $patience http://server1/ | head -n1)" 'This is server1.'
done
is 'a client reaches storage' "$(on client1 timeout 10 redis-cli -h storage ping)" PONG
is 'so does the accelerated server' "$(on server1 timeout 10 redis-cli -h storage ping)" PONG
ok 'a client gets out' on client1 ping -c1 -W$patience outside
not_ok 'nobody gets in' on outside ping -c1 -W1 client1
"$npplab" graph "$lab" --json >"$work/g.json"
is 'the graph as JSON has all nodes and networks' "$(jq '.nodes | length' "$work/g.json")" 10
is 'and knows how they hang together' "$(jq -c '[.edges[] | select(.kind == "attached")] | length, ([.[] | .from, .to])' "$work/g.json" | xargs)" '1 [acc1,server1]'
is 'and that all live' "$(jq -c '[.nodes[] | select(.kind != "network").alive] | unique' "$work/g.json")" '[true]'
is 'logs as JSON' "$("$npplab" logs --lab "$lab" storage --json | jq 'length > 0 and all(.[]; .log == "storage.redis")')" true
is 'up of what is up: what is wrong, as JSON' "$("$npplab" up "$topologies/fig1.yaml" --name "$lab" --json 2>/dev/null | jq -c '[.ok, (.errors[0] | test("is up already"))]')" '[false,true]'
is 'down as JSON' "$("$npplab" down "$lab" --json | jq -c --arg l "$lab" '[.ok, .lab == $l, .errors]')" '[true,true,[]]'
is 'nothing is left' "$(leftovers "$lab")" ''
is 'down of what is not up' "$("$npplab" down "$lab" --json 2>/dev/null | jq -c '[.ok, (.errors[0] | test("there is no lab"))]')" '[false,true]'
done_testing

# SPDX-License-Identifier: GPL-2.0-or-later
# fig17b.t - NPPs with two ports on two networks: a port fails, its sessions live on
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin fig17b
need jq ping
python=/usr/bin/python3
[ -x $python ] || skip_all 'needs python3'
ports=$here/ports.py

# The ports of the other NPP are behind wires.
lab_up "$topologies/fig17b.yaml" --set ipv6=yes \
  --set 'nodes.acc2.networks={n615: {address: 10.6.15.12, wire: yes}, n617: {address: 10.6.17.12, wire: yes}}'
port() { npp_do stat "$1" --json | jq -c ".ports[$2].$3"; }	# NPP PORT KEY
is_port() { [ "$(port "$1" "$2" up)" = "$3" ]; }
is 'an NPP has two ports, with a carrier each' "$(npp_do stat acc1 --json | jq -c '[.ports[] | [.port, .bridge, .up]]')" \
  '[[0,"n615",true],[1,"n617",true]]'
for n in web1 client2 router; do
  start "echo-$n" $n $python -u "$ports" echo 7000
  ok "$n serves" wait_for 10 grep -q ready "$evidence/echo-$n.log"
done

# ---- addresses -------------------------------------------------------------------------------
answers() { on router ping -n -q -c 2 -i 0.2 -W "${2:-$patience}" "$1"; }
soon() { answers "$1" 1; }
for a in 10.6.15.11 10.6.17.11 10.6.14.11 fd00:0:0:1::b fd00:0:0:2::b fd00:0:0:ffff::a06:e0b; do
  ok "$a answers" answers $a
done
is 'ARP for an address is answered by its own port' \
  "$(on router sh -c 'ip -j neigh show 10.6.15.11; ip -j neigh show 10.6.17.11' | jq -sc '[.[][] | [.dev, .lladdr]]')" \
  '[["n615","02:00:0a:06:0f:0b"],["n617","02:01:0a:06:11:0b"]]'
like 'a host is known by the address of its NPP as a whole first' "$(on client1 getent ahostsv4 web1 | head -n1)" '^10\.6\.14\.11 '
is 'the dispatcher counts by port' "$(npp_do stat acc1 --json | jq -c '[.ports[] | .rx_frames > 0 and .tx_frames > 0]')" '[true,true]'

# ---- wires hide no carrier ----------------------------------------------------------------------
for i in 0 1; do
  net=n61$((5 + 2 * i))
  "$npplab" fault --lab "$lab" link acc2.$net down >/dev/null
  ok "a port behind a wire fails ($net)" wait_for 5 is_port acc2 $i false
  is 'and the other does not' "$(port acc2 $((1 - i)) up)" true
  "$npplab" fault --lab "$lab" link acc2.$net up >/dev/null
  ok "and is back ($net)" wait_for 5 is_port acc2 $i true
done
ok 'it answers by both' wait_for 10 soon 10.6.14.12

# ---- answers of a socket without a peer, and links --------------------------------------------
# The router has the same link-local address on both networks.
for i in 1 2; do
  ip -n "$lab-router" addr add fe80::1/64 dev n61$((3 + 2 * i)) nodad
  before=$(port acc1 $((i - 1)) tx_frames)
  like "datagrams to a link-local address come back ($i)" "$(on web1 $python "$ports" ask 20 fe80::1 7000 $i)" '^(1[6-9]|20) of 20$'
  is "and so does a connection ($i)" "$(on web1 $python "$ports" reach fe80::1 7000 $i)" "good $i $i"
  cmp_num "by the port of its scope ($i)" "$(port acc1 $((i - 1)) tx_frames)" -ge $((before + 20))
done
# The router is cut off from n615: the port there has a carrier, but leads nowhere.
ok 'the router loses network 615' "$npplab" fault --lab "$lab" link router.n615 down
reaches() { on client1 ping -n -q -c 1 -W 1 10.6.14.11; }
ok 'its ways move' wait_for 10 reaches
start ask1 client1 $python "$ports" ask 20 10.6.14.11 7000
ask1=$started
start ask2 client2 $python "$ports" ask 20 10.6.14.11 7000
wait $ask1 $started
# The first may meet a way that is still being looked for.
like 'datagrams of two clients are answered by the port that they came by' "$(cat "$evidence/ask1.log" "$evidence/ask2.log" | xargs)" \
  '^(1[6-9]|20) of 20 (1[6-9]|20) of 20$'
is 'the port has its carrier all the time' "$(port acc1 0 downs)" 0
ok 'network 615 is back' "$npplab" fault --lab "$lab" link router.n615 up
ok 'and works' wait_for 10 soon 10.6.15.11

# ---- a port fails, and returns ------------------------------------------------------------------
# Sessions opened by the client (both families), and by the host; one that takes all it can get each way.
bulk=()
start talk-in client1 $python "$ports" talk "$work/in" 600 10.6.14.11 fd00:0:0:ffff::a06:e0b
talk_in=$started
start talk-out web1 $python "$ports" talk "$work/out" 600 192.0.2.11
talk_out=$started
for way in down up; do
  start bulk-$way client2 $python "$ports" bulk "$work/$way" 600 $way 10.6.14.11
  bulk[${#bulk[@]}]=$started
done
conns() { npp_do conns acc1 --json | jq -c '[.connections[] | select(.state == "ESTABLISHED").interface] | unique'; }
many() { [ "$(npp_do conns acc1 --json | jq '[.connections[] | select(.state == "ESTABLISHED")] | length')" = 5 ]; }
on_port() { [ "$(conns)" = "$1" ]; }
ok 'five sessions' wait_for 10 many
is 'of port 0' "$(conns)" '[0]'
before=$(port acc1 1 tx_frames)
ok 'the port to network 615 fails' "$npplab" fault --lab "$lab" link acc1.n615 down
ok 'and is seen to be down' wait_for 5 is_port acc1 0 false
ok 'the sessions go on by port 1' wait_for 10 on_port '[1]'
like 'npp-lab says which link is down' "$("$npplab" links --lab "$lab" | grep acc1.n615)" ' down '
like 'npp stat says so, too' "$(npp_do stat acc1 | grep 'port 0')" 'n615 +down'
ok 'the address of the whole answers' wait_for 10 soon 10.6.14.11
not_ok 'that of the port does not' soon 10.6.15.11
ok 'what the host opens now works' on web1 timeout $((3 * patience)) $python "$ports" talk "$work/new" 0.5 192.0.2.11
is 'by the address of the whole' "$(jq -rc '.[].from' "$work/new")" 10.6.14.11
cmp_num 'frames leave by port 1' "$(port acc1 1 tx_frames)" -gt "$before"
ok 'the port is back' "$npplab" fault --lab "$lab" link acc1.n615 up
ok 'and is seen to be' wait_for 5 is_port acc1 0 true
ok 'its own address answers again' wait_for 10 soon 10.6.15.11
is 'one loss of carrier was counted' "$(port acc1 0 downs)" 1

# ---- a restart of each process with several ports --------------------------------------------------
for what in dispatch 'ism 0' 'ism 1'; do
  # shellcheck disable=SC2086
  ok "restart of $what" "$npp" restart $what "$lab/acc1"
done
for p in $talk_in $talk_out "${bulk[@]}"; do ours "$p" && kill "$p"; done # not if it has ended before
wait $talk_in
is 'the sessions of the client ended well' $? 0
wait $talk_out
is 'and that of the host' $? 0
for p in "${bulk[@]}"; do wait "$p"; done
diag "bulk: down $(cat "$work/down") up $(cat "$work/up")"
is 'nor was one that takes all it can get, either way' "$(jq -sc '[.[].error] | unique' "$work/down" "$work/up")" '[null]'
diag "in: $(cat "$work/in")"
diag "out: $(cat "$work/out")"
is 'not one was lost, no byte was wrong' "$(jq -sc '[.[][] | .error] | unique' "$work/in" "$work/out")" '[null]'
cmp_num 'each spoke most of the time' "$(jq -s '[.[][] | .lines] | min' "$work/in" "$work/out")" -ge 60
for a in 10.6.15.11 10.6.17.11 10.6.14.11; do
  ok "after the restarts $a answers" answers $a
done
is 'no session was reset' "$(iop_sum acc1 takeover.lost)" 0

# ---- what dies ------------------------------------------------------------------------------------
ok 'a wire is killed' "$npplab" fault --lab "$lab" kill wire.acc2.n615
ok 'and the port behind it has no carrier' wait_for 5 is_port acc2 0 false
is 'the other has' "$(port acc2 1 up)" true
ok 'sessions of the NPP go by it' wait_for 10 soon 10.6.14.12 # when the router's ways have moved
out=$("$npplab" status "$lab")
is 'status tells by its exit status' $? 1
like 'and by name' "$out" '^  dead: wire\.acc2\.n615$'
for role in npp.acc1.nppd npp.acc2.nppd host.web1.nppd host.web2.nppd; do "$npplab" fault --lab "$lab" kill $role >/dev/null; done
dead() { [ "$("$npplab" list --json | jq -r --arg l "$lab" '.[] | select(.name == $l).state')" = dead ]; }
ok 'a lab without an nppd is dead, though a wire lives' wait_for 5 dead
lab_down
is 'nothing is left' "$(leftovers "$lab")" ''
done_testing

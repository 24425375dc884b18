# SPDX-License-Identifier: GPL-2.0-or-later
# fig4.t - a whole site on the kernel's own stack: what npp-lab itself has to do
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin fig4
need nginx curl jq ping

lab_up "$topologies/fig4.yaml"
pass 'fig4 comes up'

st=$("$npplab" status "$lab" --json)
is 'status says up' "$(jq -r .state <<<"$st")" up
is 'all nodes are up' "$(jq -r '[.nodes[].state] | unique | join(" ")' <<<"$st")" up
is 'status knows addresses' "$(jq -r '.nodes[] | select(.name == "web1").networks[0].address' <<<"$st")" 10.1.0.11/24
like 'list has the lab' "$("$npplab" list)" "^$lab +up"

for c in client1 client2; do
  ok "$c reaches web1 by its name" on "$c" ping -c1 -W$patience web1
  ok "$c reaches web2 by its name" on "$c" ping -c1 -W$patience web2
done
ok 'clients of two ISPs reach each other' on client1 ping -c1 -W$patience client2
ok 'packets of full size pass' on client1 ping -c1 -W$patience -s 1472 -M "do" web1
is 'the way to a client goes over both routers' "$(on web1 ping -c1 -W$patience -t2 client1 | grep -c 'Time to live')" 1

is "a node has its own /sys/class/net" "$(on client1 sh -c 'cd /sys/class/net && echo *')" 'isp1 lo'
is "the machine's own hosts file is untouched" "$(grep -c web1 /etc/hosts)" 0

nginx_start web1
nginx_start web2
for c in client1 client2; do
  for w in web1 web2; do
    ok "$w answers" wait_for 10 on "$c" curl -sf -o /dev/null --max-time 2 "http://$w/"
    is "$c gets the page of $w" "$(on "$c" curl -s --max-time $patience "http://$w/" | head -n1)" "This is $w."
  done
done

ok 'offloads are on: the kernel sends large frames over the links' \
  sh -c "ip netns exec $lab-web1 ethtool -k lan | grep -q 'tcp-segmentation-offload: on'"
like 'bridge without STP and forward delay' \
  "$(ip netns exec "$lab-net-lan" ip -d link show lan)" 'forward_delay 0 .*stp_state 0 .*mcast_snooping 0'

not_ok 'exec on a node that is not there fails' on nobody true
on web1 sh -c 'exit 7'
is 'exec gives the status of the command' $? 7

ok 'down with programs running' lab_down
is 'nothing is left' "$(leftovers "$lab")" ''
not_ok 'down of a lab that is not there fails' lab_down
done_testing

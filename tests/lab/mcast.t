# SPDX-License-Identifier: GPL-2.0-or-later
# mcast.t - multicast through a bridge that snoops: unmodified programs, both families and directions, N = 4
#
#   client1 10.1.0.10 fd00:0:0:1::a ---- lan (snooping) ---- 10.1.0.11 fd00:0:0:1::b acc1 (4 IOPs) == web1
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
here_lab=$(cd "$(dirname "$0")" && pwd)
. "$here_lab/lib.sh"
lab_begin mcast
need jq
python=/usr/bin/python3
[ -x $python ] || skip_all 'needs python3'
program=$here_lab/mcast.py

lab_up "$topologies/pair.yaml" --set ipv6=yes
bridge=$(ip netns exec "$lab-net-lan" ip -j -d link show type bridge | jq -r '.[0].ifname')
ip netns exec "$lab-net-lan" ip link set "$bridge" type bridge mcast_snooping 1 mcast_querier 1 mcast_query_interval 300 \
  mcast_startup_query_interval 100 mcast_startup_query_count 3 mcast_igmp_version 3 mcast_mld_version 2

receivers=()
# receiver NODE NAME GROUP PORT [WORD...]: prints what it gets to $evidence/NAME.log
receiver() {
  local node=$1 name=$2
  shift 2
  start "$name" "$node" $python -u "$program" recv "$1" "$2" "$name" "${@:3}"
  [ "$node" != web1 ] || receivers+=("$started")
  wait_for 10 grep -q ready "$evidence/$name.log" || bail "$name does not listen"
}
# got NAME TEXT: how many datagrams whose text begins with TEXT
got() { grep -c "^$1 $2" "$evidence/$1.log"; }
has() { [ "$(got "$1" "$2")" -ge "$3" ]; }
sends() { on "$1" $python "$program" send "${@:2}"; }
snooped() { ip netns exec "$lab-net-lan" bridge -j mdb show | jq -r '[.[].mdb[]? | .grp] | unique | .[]' | grep -qx "$1"; }

# ---- in: from the kernel to sockets on npp ------------------------------------------------
g4=239.1.2.3 g6=ff15::77
receiver web1 A $g4 5007
receiver web1 B $g4 5007 bind
receiver web1 C $g4 5007 first source=10.1.0.10
receiver web1 D $g4 5007 source=10.1.0.99
receiver web1 E $g6 5008
receiver web1 F $g6 5008 bind
for g in $g4 $g6; do
  ok "the switch has heard that $g is wanted" wait_for 10 snooped $g
done
sends client1 $g4 5007 32 if=lan ttl=3
sends client1 $g6 5008 32 if=lan ttl=4
for name in A B C E F; do
  ok "32 datagrams to the group reach $name" wait_for 10 has $name m 32
done
is 'not one that wants another source' "$(got D m)" 0
like 'with the group they were sent to, and their hop limit' "$(head -2 "$evidence/A.log")" "A m[0-9]* 16 10.1.0.10 $g4 3"
like 'in IPv6, too' "$(head -2 "$evidence/E.log")" "E m[0-9]* 16 fd00:0:0:1::a $g6 4"
cmp_num 'every IOP gave some of them' "$(iop_min acc1 udp.in)" -ge 1
sends client1 239.1.2.4 5007 4 if=lan
sends client1 $g4 5007 1 if=lan text=last size=20000
ok 'fragments of a large one come together for all' wait_for 10 sh -c "grep -q '^A last0 20000' '$evidence/A.log' &&
  grep -q '^B last0 20000' '$evidence/B.log'"
is 'once' "$(got A last)" 1

# ---- out: to the kernel, and to members on the same NPP --------------------------------------
receiver client1 K $g4 5007 if=lan
receiver client1 L $g6 5008 if=lan
sends web1 $g4 5007 8 text=w ttl=5
sends web1 $g6 5008 8 text=w ttl=6 connect
ok 'what npp sends to a group reaches the kernel' wait_for 10 has K w 8
ok 'in IPv6, too' wait_for 10 has L w 8
like 'from its address and with the hop limit asked for' "$(grep '^K w' "$evidence/K.log" | head -1)" "K w[0-9]* 16 10.1.0.11 $g4 5"
like 'likewise' "$(grep '^L w' "$evidence/L.log" | head -1)" "L w[0-9]* 16 fd00:0:0:1::b $g6 6"
ok 'and the members on npp' wait_for 10 has A w 8
ok 'both' wait_for 10 has B w 8
ok 'in IPv6' wait_for 10 has E w 8
is 'not one that wants another source' "$(got C w)" 0
sends web1 $g4 5007 4 text=q noloop
ok 'without IP_MULTICAST_LOOP only the network' wait_for 10 has K q 4
is 'and not the members here' "$(got A q)" 0

# ---- a querier asks again and again; the link role moves; an ISM dies ---------------------------
reports=$(iop_sum acc1 igmp.out)
more_reports() { [ "$(iop_sum acc1 igmp.out)" -ge $((reports + 2)) ]; }
ok 'queries are answered' wait_for 20 more_reports
ok 'the IOP with the link role is replaced' "$npp" restart ism 0 "$lab/acc1"
sends client1 $g4 5007 16 if=lan text=r
ok 'members survive a restart of the IOP with the link role' wait_for 10 has A r 16
reports=$(iop_sum acc1 igmp.out)
isms() { npp_do stat acc1 --json | jq -r '.processes[] | select(.role == "ism" and .up) | .pid' | xargs; }
before=$(isms)
for pid in $before; do kill -9 "$pid"; done
ready() { local now; now=$(isms); [ "$(wc -w <<<"$now")" = 4 ] && ! grep -qwE "${before// /|}" <<<"$now"; }
ok 'all IOPs are killed and come back' wait_for 20 ready
sends client1 $g4 5007 16 if=lan text=k
sends client1 $g6 5008 16 if=lan text=k
ok 'members survive' wait_for 10 has A k 16
ok 'in IPv6' wait_for 10 has E k 16

# ---- and leave with their programs -----------------------------------------------------------------
like 'npp groups shows who has joined' "$(npp_do groups acc1)" "$g4"
for pid in "${receivers[@]}"; do stop "$pid"; done
dropped() { [ "$(dispatch_counter acc1 drop.ip_dst)" -ge $((drops + 4)) ]; }
gone() { [ "$(npp_do groups acc1 --json | jq '[.groups[] | select(.members > 0)] | length')" = 0 ]; }
ok 'no group is left when the programs have ended' wait_for 10 gone
drops=$(dispatch_counter acc1 drop.ip_dst)
sends client1 $g4 5007 4 if=lan
ok 'and what still comes is not let in' wait_for 10 dropped
is 'nothing is malformed' "$(iop_sum acc1 drop.igmp)+$(iop_sum acc1 drop.mld)" 0+0
done_testing

# SPDX-License-Identifier: GPL-2.0-or-later
# arp-ping.t - an NPP answers ARP and ping like one machine, whatever the number of IOPs
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin arp
need ping jq tcpdump

lab_up "$topologies/pair.yaml"
mac=$("$npplab" status "$lab" --json | jq -r '.nodes[] | select(.name == "acc1").networks[0].mac')
on client1 tcpdump -Z root -i lan -n -e --immediate-mode -U -w "$evidence/arp.pcap" arp 2>"$evidence/tcpdump.log" &
dump=$!
background+=("$dump")
wait_for 5 grep -q 'listening on' "$evidence/tcpdump.log"

ok 'it answers ping' on client1 ping -c3 -i0.2 -W$patience web1
is 'under its MAC address' "$(ip netns exec "$lab-client1" ip neigh show 10.1.0.11 | grep -o 'lladdr [^ ]*')" "lladdr $mac"
wait_for 3 sh -c "tcpdump -n -r '$evidence/arp.pcap' 2>/dev/null | grep -q 'Reply 10.1.0.11'"
stop $dump
is 'one question, one answer' \
  "$(tcpdump -n -r "$evidence/arp.pcap" 2>/dev/null | grep -c 'Reply 10.1.0.11')" \
  "$(tcpdump -n -r "$evidence/arp.pcap" 2>/dev/null | grep -c 'Request who-has 10.1.0.11 .*tell 10.1.0.10')"

for size in 0 56 1472 1473 8000 40000; do
  out=$(ping_all 4 client1 -W$patience -s $size web1)
  like "ping of $size bytes, each answered once" "$out" '4 packets transmitted, 4 received, 0% packet loss'
done
# As the kernel of the client counts them: ping does not wait for the last ones.
replies() { ip netns exec "$lab-client1" nstat -asz IcmpInEchoReps | awk '/IcmpInEchoReps/ { print $2 }'; }
answered() { [ "$(replies)" -ge $((before + 500)) ]; }
before=$(replies)
out=$(on client1 ping -f -c 500 -W$patience web1 2>&1)
like 'a flood of 500' "$out" '500 packets transmitted, '
wait_for 10 answered
is 'each is answered' "$(($(replies) - before))" 500
is 'no answer came twice' "$(grep -c duplicates <<<"$out")" 0

# The neighbour changes its MAC address: npp follows.
ip netns exec "$lab-client1" sh -c 'ip link set lan down; ip link set lan address 02:00:00:00:00:77; ip link set lan up'
ok 'after a change of the neighbour it answers again' wait_for 30 on client1 ping -c1 -W1 web1
ok 'an address that nobody has does not answer' \
  sh -c "! '$npplab' exec --lab '$lab' client1 -- ping -c1 -W1 10.1.0.99"
done_testing

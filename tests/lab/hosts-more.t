# SPDX-License-Identifier: GPL-2.0-or-later
# hosts-more.t - several hosts of one NPP as standby, by IPv6, with the kernel engine; eight of them; and
# a host that shares NPPs with others on two networks
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin hosts-more
need jq
python=/usr/bin/python3
[ -x $python ] || skip_all 'needs python3'
unset NPP_ENGINE	# chosen below
failover=$here/failover.py
serve() { rm -f "$evidence/serve-$1.log"; start "serve-$1" "$1" $python -u "$failover" serve "$1" 7000 6; wait_for 10 grep -q ready "$evidence/serve-$1.log"; }
hosts() { "$npp" hosts "$lab/acc1" --json | jq -c "$1"; }
state_is() { [ "$(hosts "[.[0].hosts[] | select(.name == \"$1\").state][0]")" = "\"$2\"" ]; }
# Who answers N connections to ADDR, and how often, from NODE.
cat >"$work/ask.py" <<'P'
import collections, os, socket, sys
limit = 10 * int(os.environ["NPP_SLOW"])
seen = collections.Counter()
for i in range(int(sys.argv[2])):
    with socket.create_connection((sys.argv[1], 7000), limit) as s:
        s.send(b"x\n")
        seen[s.recv(99).decode().split()[0]] += 1
print(*("%s" % k for k in sorted(seen)))
P
ask() { on "$1" timeout $((40 * slow)) $python "$work/ask.py" "$2" "$3"; }
answers() { [ "$(ask client1 "$1" 5)" = "$2" ]; }

# When nppd of acc1 first said so, in ms after T.
ms_after() { date -d "$(sed -n "/$2/{s/Z .*/Z/p;q}" "$rundir/$lab/acc1.log")" +%s%N | awk -v t="$1" '{printf "%d\n", $1 / 1e6 - t * 1000}'; }

# ---- standby, both families, each engine ------------------------------------------------------
for engine in process kernel; do
  say="standby, engine $engine"
  lab_up "$topologies/fig16d.yaml" --set ipv6=yes --set nodes.acc1.policy=standby --set "nodes.acc1.engine=$engine" \
    --set 'nodes.acc1.hosts=[web1, web2]'
  for w in web1 web2; do ok "$say: $w serves" serve $w; done
  start "probe-$engine" client1 $python "$failover" probe $((5 * slow)) "$work/$engine" 10.1.0.11 fd00:0:0:1::b
  probing=$started
  sleep "$slow"
  t=$(date +%s.%N)
  ok "$say: the first host is killed" "$npplab" fault --lab "$lab" kill host.web1
  wait "$probing"
  sum=$($python "$failover" sum "$work/$engine" "$t")
  failed=$(ms_after "$t" 'has failed')
  # By the time of day, which may be slewed meanwhile.
  cmp_num "$say: it has failed after the grace time" $((failed - $(ms_after "$t" 'is gone'))) -ge 998
  cmp_num "$say: and soon after it" $((failed - $(ms_after "$t" 'is gone'))) -le $((1500 * slow))
  diag "$say: $sum"
  is "$say: before, nothing fails" "$(jq '[.[].failed_before] | add' <<<"$sum")" 0
  for k in tcp udp; do
    is "$say: the first has all ($k)" "$(jq -r ".$k.before | keys | join(\" \")" <<<"$sum")" web1
    is "$say: then the second ($k)" "$(jq -r ".$k.last_host" <<<"$sum")" web2
    # Counted from when nppd took it for failed: the kill itself and that may be late on a busy machine.
    late=$(jq ".$k.last_bad_begun - $failed | floor" <<<"$sum")
    cmp_num "$say: new $k: none fails that began later than 300 ms after that ($late)" "$late" -le $((300 * slow))
  done
  is "$say: kept connections of both families are reset" "$(jq -c '[.stay.failed, (.stay.why | keys)]' <<<"$sum")" '[40,["Connection_reset_by_peer"]]'
  ip netns exec "$lab-web1" "$top_builddir/nppd/nppd" --rundir "$rundir/$lab" "$rundir/$lab/web1.yaml" >"$evidence/web1-again.log" 2>&1 &
  background+=($!)
  ok "$say: the first is back" wait_for 20 state_is web1 attached
  ok "$say: and serves" serve web1
  ok "$say: has all that is new" wait_for 15 answers 10.1.0.11 web1
  ok "$say: by IPv6 as well" wait_for 15 answers fd00:0:0:1::b web1
  is "$say: no protocol error" "$(iop_sum acc1 host.protocol_errors)" 0
  ok "$say: down" lab_down
  is "$say: nothing is left" "$(leftovers "$lab")" ''
done

# ---- weights, both families, kernel engine -----------------------------------------------------
lab_up "$topologies/fig16d.yaml" --set ipv6=yes --set nodes.acc1.engine=kernel
for w in web1 web2; do ok "kernel engine: $w serves" serve $w; done
is 'kernel engine: both hosts have a part' "$(ask client1 10.1.0.11 60)" 'web1 web2'
is 'kernel engine: by IPv6, too' "$(ask client2 fd00:0:0:1::b 60)" 'web1 web2'
ok 'kernel engine: down' lab_down

# ---- eight hosts ---------------------------------------------------------------------------------
{
  echo 'name: eight'
  echo 'networks: {lan: {subnet: 10.1.0.0/24}}'
  echo 'nodes:'
  echo '  client1: {kind: client, networks: {lan: 10.1.0.20}}'
  echo '  acc1: {kind: npp, iops: 2, networks: {lan: 10.1.0.11}}'
  for i in 1 2 3 4 5 6 7 8; do echo "  web$i: {kind: host, stack: npp, npps: [acc1], memory: 32M}"; done
} >"$work/eight.yaml"
lab_up "$work/eight.yaml"
is 'eight hosts: all are attached' "$(hosts '[.[0].hosts[] | select(.state == "attached")] | length')" 8
for i in 1 2 3 4 5 6 7 8; do serve "web$i"; done
is 'eight hosts: each has a part' "$(ask client1 10.1.0.11 200)" 'web1 web2 web3 web4 web5 web6 web7 web8'
for i in 2 3 5 7; do "$npplab" fault --lab "$lab" kill "host.web$i" >/dev/null; done
four_gone() { [ "$(hosts '[.[0].hosts[].state] | [(map(select(. == "attached")) | length), (map(select(. == "away")) | length)]')" = '[4,0]' ]; }
ok 'eight hosts: four fail' wait_for 10 four_gone
is 'eight hosts: the others have all' "$(ask client1 10.1.0.11 100)" 'web1 web4 web6 web8'
like 'a ninth is refused' "$(sed 's/^  web8:.*/&\n  web9: {kind: host, stack: npp, npps: [acc1]}/' "$work/eight.yaml" >"$work/nine.yaml"
  "$npplab" check "$work/nine.yaml" 2>&1)" "'acc1' has more than 8 hosts"
ok 'eight hosts: down' lab_down

# ---- a third host on NPPs of two others, on two networks (fig14) ----------------------------------
lab_up "$topologies/fig14.yaml" --set 'nodes.web3={kind: host, stack: npp, npps: [acc11, acc22]}'
for w in web1 web2 web3; do ok "fig14: $w serves" serve $w; done
is 'fig14: the third shares the NPP of one' "$(ask client1 10.6.15.11 60)" 'web1 web3'
is 'fig14: and that of the other, on the other network' "$(ask client1 10.6.16.12 60)" 'web2 web3'
is 'fig14: the others stay alone on theirs' "$(ask client1 10.6.16.11 20) $(ask client1 10.6.15.12 20)" 'web1 web2'
start serve-client2 client2 $python -u "$failover" serve client2 7000
wait_for 10 grep -q ready "$evidence/serve-client2.log"
is 'fig14: what it opens goes by the NPP that leads there' "$(ask web3 10.6.15.21 5) $(ask web3 10.6.16.21 5)" 'client2 client2'
ok 'fig14: the third is killed' "$npplab" fault --lab "$lab" kill host.web3
ok 'fig14: the first has its NPP alone' wait_for 15 eval '[ "$(ask client1 10.6.15.11 20)" = web1 ]'
ok 'fig14: the second, too' wait_for 15 eval '[ "$(ask client1 10.6.16.12 20)" = web2 ]'
ok 'fig14: down' lab_down
is 'nothing is left' "$(leftovers "$lab")" ''
done_testing

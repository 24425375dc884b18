# SPDX-License-Identifier: GPL-2.0-or-later
# fig16d.t - two hosts share one NPP: load goes to both, one fails, the other has everything, it returns
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin fig16d
need jq
python=/usr/bin/python3
[ -x $python ] || skip_all 'needs python3'

# Soon taken for frozen, so that the test is short.
sed "s/hosts: {web1: 2, web2: 1}/&, options: {host_frozen_ms: $((2000 * slow))}/" "$topologies/fig16d.yaml" >"$work/fig16d.yaml"
lab_up "$work/fig16d.yaml"
hosts() { "$npp" hosts "$lab/acc1" --json | jq -c "$1"; }
state_is() { [ "$(hosts "[.[0].hosts[] | select(.name == \"$1\").state][0]")" = "\"$2\"" ]; }
is 'both hosts are attached, with their weights' "$(hosts '[.[0].hosts[] | [.name, .state, .share]] | sort')" \
  '[["web1","attached",2],["web2","attached",1]]'
failover=$here/failover.py
serve() { start "serve-$1" "$1" $python -u "$failover" serve "$1" 7000; }
serve web1
serve web2
for w in web1 web2; do
  ok "$w serves" wait_for 10 grep -q ready "$evidence/serve-$w.log"
done
is 'both own the port' "$(hosts '[.[0].hosts[].ports]')" '[2,2]'

probe() { start "probe-$1" client1 $python "$failover" probe "$2" "$work/$1" 10.1.0.11; probing=$started; }
field() { jq -r "$2" <<<"${sum[$1]}"; }
declare -A sum
fault() # NAME COMMAND...: what the client sees of it
{
  local name=$1 t
  shift
  probe "$name" $((5 * slow))
  sleep $((1 * slow))
  t=$(date +%s.%N)
  "$@" >/dev/null 2>&1
  wait $probing
  sum[$name]=$($python "$failover" sum "$work/$name" "$t")
  diag "$name: ${sum[$name]}"
}

# ---- all processes of a host killed ---------------------------------------------------
fault kill "$npplab" fault --lab "$lab" kill host.web1
is 'before, nothing fails' "$(field kill '[.[].failed_before] | add')" 0
for k in tcp udp; do
  # Of about 120 flows a third, give or take 4.5 standard deviations: which ones is by a random key.
  like "$k goes to both, two to one" "$(field kill ".$k.before | .web2 / (.web1 + .web2) | if . > 0.13 and . < 0.54 then \"yes\" else . end")" yes
  is "then $k goes to web2" "$(field kill ".$k.last_host")" web2
  cmp_num "new $k: the last that failed began $(field kill ".$k.last_bad_begun") ms after the kill" \
    "$(field kill ".$k.last_bad_begun")" -le $((2500 * slow))
done
cmp_num "its connections are reset within $(field kill .stay.last_bad_ended) ms" "$(field kill .stay.last_bad_ended)" -le $((2500 * slow))
is 'and by nothing but a reset' "$(field kill '.stay.why | keys | join(" ")')" Connection_reset_by_peer
is 'those to the other host live' "$(field kill '.stay.last_host')" web2
is 'npp tells of the failure' "$(hosts '[.[0].hosts[] | select(.name == "web1") | .state, .failures]')" '["absent",1]'

# ---- it comes back ----------------------------------------------------------------------
ip netns exec "$lab-web1" "$top_builddir/nppd/nppd" --rundir "$rundir/$lab" "$rundir/$lab/web1.yaml" >"$evidence/web1-again.log" 2>&1 &
background+=($!)
ok 'the host is attached again' wait_for 20 state_is web1 attached
serve web1
ok 'its program serves' wait_for 10 grep -q ready "$evidence/serve-web1.log"

# ---- one that does not move ----------------------------------------------------------------
fault stop "$npplab" fault --lab "$lab" stop host.web2
is 'both take part again' "$(field stop '.tcp.before | keys | join(" ")')" 'web1 web2'
is 'before, nothing fails' "$(field stop '[.[].failed_before] | add')" 0
is 'a frozen host has failed: all goes to the other' "$(field stop '.tcp.last_host, .udp.last_host' | xargs)" 'web1 web1'
cmp_num "that took $(field stop .tcp.last_bad_begun) ms" "$(field stop .tcp.last_bad_begun)" -le $((3700 * slow))
ok 'it wakes' "$npplab" fault --lab "$lab" cont host.web2
ok 'and is attached again' wait_for 20 state_is web2 attached
answers() { on client1 timeout $((6 * patience)) $python -c '
import socket, sys
seen = {}
for i in range(60):
    s = socket.create_connection(("10.1.0.11", 7000), int(sys.argv[1])); s.send(b"x\n"); w = s.recv(99).decode().strip(); seen[w] = 1
print(*sorted(seen))' $patience; }
both() { [ "$(answers)" = 'web1 web2' ]; }
ok 'both answer' wait_for 15 both

# ---- declared down, and weights ----------------------------------------------------------------
ok 'a host is declared down' "$npp" hosts "$lab/acc1" web2 down
is 'at once the other has all' "$(answers)" web1
is 'it is shown' "$(hosts '[.[0].hosts[] | select(.name == "web2").state][0]')" '"down"'
ok 'and declared up' "$npp" hosts "$lab/acc1" web2 up
ok 'then it takes part' wait_for 20 both
ok 'weight 0: nothing new' "$npp" hosts "$lab/acc1" web1 weight 0
is 'the other has what is new' "$(answers)" web2
not_ok 'a host that is none' "$npp" hosts "$lab/acc1" web9 down
not_ok 'a weight that is none' "$npp" hosts "$lab/acc1" web1 weight 101

# ---- the death of the OSM alone is none of the host ---------------------------------------------
ok 'weights as before' "$npp" hosts "$lab/acc1" web1 weight 2
fault osm "$npplab" fault --lab "$lab" kill host.web2.osm
is 'an OSM dies: nothing fails' "$(field osm '[.[].failed] | add')" 0
is 'no protocol error of a host' "$(iop_sum acc1 host.protocol_errors)" 0
ok 'down' lab_down
is 'nothing is left' "$(leftovers "$lab")" ''
done_testing

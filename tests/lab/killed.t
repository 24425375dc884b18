# SPDX-License-Identifier: GPL-2.0-or-later
# killed.t - programs killed at any moment: npp cleans up, others do not notice
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin killed
need nginx curl jq
load=$top_builddir/harness/load/npp-load

lab_up "$topologies/pair.yaml"
start keep web1 "$load" serve -p 7001 echo
ok 'a program that lives on' wait_for 10 listening web1 7001
on client1 "$load" -q -j -c 4 -n 100 -b 100 echo web1 7001 >/dev/null
procs=$(osm_counter web1 procs)
live() { echo $(($(iop_sum acc1 tcp.conns) - $(iop_sum acc1 tcp.time_wait))); }
live_is() { [ "$(live)" = "$1" ]; }
accepted_since() { [ "$(iop_sum acc1 tcp.accepted)" -ge $(($1 + $2)) ]; }
quiet() { live_is 0 && osm_is web1 procs "$procs" && sum_is acc1 mem.rings 0; }
ok 'it is quiet' wait_for 20 quiet

# A conversation that must not be disturbed by what follows; it ends when it is told to.
start undisturbed client1 "$load" -q -j -c 4 -d 600 -b 200 echo web1 7001
undisturbed=$started

for round in 1 2 3; do
  nginx_start web1
  ok "$round: nginx listens" wait_for 15 listening web1 80
  wait_for 5 sh -c "[ \$(pgrep -c -P $nginx_pid) -ge 2 ]"
  kids=$(pgrep -P "$nginx_pid" | xargs)
  accepted=$(iop_sum acc1 tcp.accepted)
  start "load-$round" client1 "$load" -q -j -c 32 -d 60 http://web1/index.html
  client=$started
  wait_for 10 accepted_since "$accepted" 32
  sleep 0.$round # a moment like any other
  kill -9 $nginx_pid $kids
  wait $nginx_pid 2>/dev/null
  stop $client
  ok "$round: its listener is gone" wait_for 10 sum_is acc1 tcp.listeners 4
  ok "$round: its processes are forgotten" wait_for 10 osm_is web1 procs "$procs"
  not_ok "$round: port 80 refuses" on client1 curl -sf -o /dev/null --max-time 3 http://web1/
done

# Killed while it sends, and while it receives.
for mode in source sink; do
  start $mode web1 "$load" serve -p 7002 $mode
  victim=$started
  wait_for 10 listening web1 7002
  [ $mode = source ] && verb=recv || verb=send
  on client1 timeout 30 "$load" -q -j -c 8 -d 5 -b 1000000000 $verb web1 7002 >"$evidence/load-$mode" 2>&1 &
  client=$!
  wait_for 5 sh -c "[ \$('$npp' stat '$lab/acc1' --json | jq '[.. | objects | select(.role? == \"ism\").counters[\"tcp.conns\"]] | add') -gt 8 ]"
  kids=$(pgrep -P "$victim" | xargs)
  kill -9 $victim $kids
  wait $victim 2>/dev/null
  pkill -9 -P $client 2>/dev/null
  kill -9 $client 2>/dev/null
  wait $client 2>/dev/null
  ok "killed as a $mode: its listener is gone" wait_for 10 sum_is acc1 tcp.listeners 4
done

kill $undisturbed
wait $undisturbed
is 'the other conversation saw no error' $? 0
cmp_num 'and went on' "$(jq '.requests' "$evidence/undisturbed.log")" -gt 100
ok 'connections, processes and ring bytes are back' wait_for 60 quiet
is 'no protocol error' "$(iop_sum acc1 host.protocol_errors)" 0
ok 'the program that lives on still answers' on client1 "$load" -q -j -c 4 -n 100 -b 100 echo web1 7001
st=$("$npplab" status "$lab" --json)
is 'no process of npp has died' "$(jq -r '[.nodes[].state] | unique | join(" ")' <<<"$st")" up

# The last that can be killed; clean would now remove the lab.
ok 'with all of them status says so with its exit status' "$npplab" status "$lab"
"$npplab" fault --lab "$lab" kill npp.acc1.nppd >/dev/null
not_ok 'with one dead it does not' "$npplab" status "$lab"
is 'and names that one' "$("$npplab" status "$lab" --json | jq -c '[.state, .dead]')" '["up",["acc1"]]'
"$npplab" fault --lab "$lab" kill host.web1.nppd >/dev/null
dead() { [ "$("$npplab" list --json | jq -r --arg l "$lab" '.[] | select(.name == $l).state')" = dead ]; }
ok 'a lab whose nppds are all gone is dead' wait_for 5 dead
not_ok 'which status says with its exit status' "$npplab" status "$lab"
done_testing

# SPDX-License-Identifier: GPL-2.0-or-later
# forgotten.t - a host whose supervisor froze is taken for failed, and comes back with the same memory
#
# Its programs live on with sockets that nobody remembers: they are told, and what is new is as it was.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin forgotten
need jq
load=$top_builddir/harness/load/npp-load
rounds=${NPP_ROUNDS:-3}
lab_up "$topologies/pair.yaml"
start source web1 "$load" serve -p 6002 source
start sink web1 "$load" serve -p 6001 sink
start http web1 "$load" serve -p 8080 http
for p in 6001 6002 8080; do ok "a server on $p" wait_for 15 listening web1 $p; done

clients=()
client() # NAME COMMAND...
{
  local name=$1
  shift
  "$npplab" exec --lab "$lab" client1 -- "$load" -q -j -d 3600 "$@" >"$evidence/$name.json" 2>"$evidence/$name.err" </dev/null &
  clients+=("$name:$!")
  background+=($!)
}
client out -c 4 -b $((8 << 20)) recv web1 6002
client in -c 4 -b $((8 << 20)) send web1 6001
client keep -c 8 http://web1:8080/
client new -k -c 4 http://web1:8080/

osm() { "$npp" status "$lab/web1" --json | jq -r '.[0].children[] | select(.role == "osm") | "\(.pid) \(.state)"'; }
is_new_osm() { local pid state; read -r pid state <<<"$(osm)"; [ "$state" = ready ] && [ "$pid" != "$1" ]; }
failures() { grep -c 'host web1 (number 0) has failed' "$rundir/$lab/acc1.log"; }
failed_times() { [ "$(failures)" -ge "$1" ]; }
accepts() { [ "$(iop_sum acc1 tcp.accepted)" -gt "$1" ]; }

supervisor=$("$npp" status "$lab/web1" --json | jq -r '.[0].pid')
for ((i = 1; i <= rounds; i++)); do
  sleep 1
  read -r pid _ <<<"$(osm)"
  kill -STOP "$supervisor"
  kill -KILL "$pid"
  ok "$i: the NPP takes the host for failed" wait_for 20 failed_times "$i"
  kill -CONT "$supervisor"
  ok "$i: its npp-osm has a successor" wait_for 20 is_new_osm "$pid"
  n=$(iop_sum acc1 tcp.accepted)
  ok "$i: new connections come" wait_for 20 accepts "$n"
done
sleep 1
for c in "${clients[@]}"; do kill -TERM "${c#*:}"; done
for c in "${clients[@]}"; do
  wait "${c#*:}"
  j=$evidence/${c%%:*}.json
  is "${c%%:*}: no byte is wrong" "$(jq '.errors.wrong_content' "$j")" 0
  cmp_num "${c%%:*}: works" "$(jq '.requests' "$j")" -gt 0
  diag "${c%%:*}: $(jq -c '{requests, errors: (.errors | with_entries(select(.value > 0)))}' "$j")"
done
is 'no protocol error of the host' "$(iop_sum acc1 host.protocol_errors)" 0
not_ok 'none of the NPP' grep 'protocol error' "$rundir/$lab/web1.log"
done_testing

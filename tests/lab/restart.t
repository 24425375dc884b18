# SPDX-License-Identifier: GPL-2.0-or-later
# restart.t - processes replaced and killed at random moments, under every kind of load
#
#   client1 .10 ---- lan 10.1.0.0/24 ---- .11 acc1 (2 IOPs) == web1
#                                    ---- .12 acc2 (3 IOPs) == web2
#
# Ten restarts, fifty with NPP_SOAK=1; NPP_RESTARTS and NPP_KILLS say other numbers.
# NPP_SEED repeats the choice of moments and processes.
# NPP_IPV6=1: over IPv6.
# Where the machine stands still for seconds, nobody is taken for frozen and no client gives up: only
# the longest gap tells, and the control, which npp has no part in, says what may be forgiven.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin restart
need jq python3
load=$top_builddir/harness/load/npp-load
helper=$top_srcdir/tests/lab/restart-load.py
python=/usr/bin/python3
seed=${NPP_SEED:-$RANDOM}
n_restarts=${NPP_RESTARTS:-10} n_kills=${NPP_KILLS:-4}
[ -z "${NPP_SOAK:-}" ] || { n_restarts=${NPP_RESTARTS:-50}; n_kills=${NPP_KILLS:-25}; }
RANDOM=$seed
family=4 any=0.0.0.0 six=no
[ -z "${NPP_IPV6:-}" ] || family=6 any=:: six=yes
export FAMILY=$family
diag "NPP_SEED=$seed, IPv$family"

cat >"$work/two.yaml" <<'Y'
name: two
networks:
  lan: {subnet: 10.1.0.0/24}
nodes:
  client1: {kind: client, networks: {lan: 10.1.0.10}}
  acc1:    {kind: npp, iops: 2, networks: {lan: 10.1.0.11}, options: {host_frozen_ms: 0}}
  web1:    {kind: host, stack: npp, npps: [acc1]}
  acc2:    {kind: npp, iops: 3, networks: {lan: 10.1.0.12}, options: {host_frozen_ms: 0}}
  web2:    {kind: host, stack: npp, npps: [acc2]}
Y
lab_up "$work/two.yaml" --set ipv6=$six
processes=('ism 0 acc1' 'ism 1 acc1' 'dispatch acc1' 'osm web1'
  'ism 0 acc2' 'ism 1 acc2' 'ism 2 acc2' 'dispatch acc2' 'osm web2')

# ---- load ----------------------------------------------------------------------------------

start sink web1 "$load" serve -b $any -p 6001 sink
start source web1 "$load" serve -b $any -p 6002 source
start http web1 "$load" serve -b $any -p 8080 http
start echo2 web2 "$load" serve -b $any -p 7001 echo
start http2 web2 "$load" serve -b $any -p 8080 http
start udp web1 $python "$helper" udp-serve 7007
start udp2 web2 $python "$helper" udp-serve 7007
start echo0 client1 "$load" serve -b $any -p 7001 echo
ok 'servers listen' wait_for 15 listening web1 6001
for p in 'web1 6002' 'web1 8080' 'web2 7001' 'web2 8080' 'client1 7001'; do
  # shellcheck disable=SC2086
  wait_for 15 listening $p || fail "nobody listens on $p"
done

clients=()	# name:pid
client()	# NAME NODE COMMAND...
{
  local name=$1 node=$2
  shift 2
  "$npplab" exec --lab "$lab" "$node" -- "$@" >"$evidence/$phase-$name.json" 2>"$evidence/$phase-$name.err" </dev/null &
  clients+=("$name:$!")
  background+=($!)
}

# Every kind of load at once, for two hosts.
load_begin()
{
  phase=$1
  clients=()
  local m=$((1 << 20))
  doors=$((${doors:-8990} + 10))
  start "doors-$doors" web1 $python "$helper" doors-serve $doors 8
  doors_server=$started
  # How long this machine itself stands still: the kernel alone, without npp.
  client control client1 "$load" -q -j -$family -t 60000 -c 1 -r 200 -d 3600 -b 300 echo client1 7001
  client bulk-in client1 "$load" -q -j -$family -t 60000 -c 2 -d 3600 -b $((32 * m)) send web1 6001
  client bulk-out client1 "$load" -q -j -$family -t 60000 -c 2 -d 3600 -b $((32 * m)) recv web1 6002
  client keepalive client1 "$load" -q -j -$family -t 60000 -c 8 -d 3600 http://web1:8080/
  client keepalive2 client1 "$load" -q -j -$family -t 60000 -c 8 -d 3600 http://web2:8080/
  client close client1 "$load" -q -j -$family -t 60000 -k -c 4 -d 3600 http://web2:8080/
  client connect client1 "$load" -q -j -$family -t 60000 -c 2 -r 200 -d 3600 connect web1 8080
  client echo client1 "$load" -q -j -$family -t 60000 -c 2 -d 3600 -b 300 echo web2 7001
  client echo-opened web1 "$load" -q -j -$family -t 60000 -c 4 -d 3600 -b 500 echo client1 7001
  client between web2 "$load" -q -j -$family -t 60000 -c 2 -d 3600 -b 2000 http://web1:8080/
  client opens web1 $python "$helper" opens web2 7001 $RANDOM
  client udp client1 $python "$helper" udp web1 7007 4 $RANDOM
  client udp2 client1 $python "$helper" udp web2 7007 4 $RANDOM
  client doors client1 $python "$helper" doors web1 $doors 8 $RANDOM
}

report() { cat "$evidence/$phase-$1.json"; }

# Ends the load. Sets $errors, $wrong (of them in content), $gap in ms and $gap_of, and
# $gap_max, the bound: some RTOs in a row, and what the machine stood still.
load_end()
{
  local c name max
  errors=0 wrong=0 gap=0 gap_of=
  for c in "${clients[@]}"; do kill -TERM "${c#*:}" 2>/dev/null; done
  for c in "${clients[@]}"; do
    name=${c%%:*}
    wait "${c#*:}"
    if ! report "$name" | jq -e . >/dev/null 2>&1; then
      errors=$((errors + 1))
      diag "$phase: $name has not reported" "$(tail -n 5 "$evidence/$phase-$name.err")"
      continue
    fi
    read -r e w max <<<"$(report "$name" | jq -r '[.errors_total, ((.errors.wrong_content // 0) + (.errors.wrong // 0)),
      (.gap_ms // (if .mode == "send" or .mode == "recv" then 0 else .latency.max_us / 1000 end)) | floor] | join(" ")')"
    errors=$((errors + e)) wrong=$((wrong + w))
    if [ "$name" = control ]; then
      gap_max=$((5000 * slow + 2 * max))
    elif [ "$max" -gt "$gap" ]; then
      gap=$max gap_of=$name
    fi
    diag "$phase: $(printf %-12s "$name") $(report "$name" | jq -r '"\(.done // .requests) done, \(.errors_total) errors, longest gap \(.gap_ms // (.latency.max_us / 1000 | floor)) ms" +
      (if .lost then ", \(.lost) datagrams lost, \(.repeated) twice" else "" end) +
      (if .errors_total > 0 then " \(.errors | with_entries(select(.value > 0)))" else "" end)')"
    [ "$(report "$name" | jq '.done // .requests')" -gt 0 ] || { errors=$((errors + 1)); diag "$name has done nothing"; }
  done
  stop "$doors_server" # not before its client has heard the answer that it waits for
}

pause() { sleep "$(printf '0.%03d' $((RANDOM % 500 + 20)))"; }
audit() # what must hold afterwards
{
  is "$1: no protocol error" "$(($(iop_sum acc1 host.protocol_errors) + $(iop_sum acc2 host.protocol_errors)))" 0
  is "$1: nor one that an OSM saw" "$(grep -h 'protocol error' "$rundir/$lab"/web?.log)" ''
}

# ---- on purpose ----------------------------------------------------------------------------

restart_some()
{
  local i what r bad=0 ready=0 work=0
  for ((i = 0; i < n_restarts; i++)); do
    pause
    what=${processes[RANDOM % ${#processes[@]}]}
    # shellcheck disable=SC2086
    if ! r=$("$npp" restart --json ${what% *} "$lab/${what##* }" 2>&1); then
      bad=$((bad + 1))
      diag "restart $what: $r"
      continue
    fi
    read -r a b lost <<<"$(jq -r '"\(.ready_us) \(.work_us) \(.lost)"' <<<"$r")"
    diag "$((i + 1)): $(printf %-13s "$what") ready after $((a / 1000)) ms, at work after $((b / 1000)) ms, $lost lost"
    [ "$a" -le "$ready" ] || ready=$a
    [ "$b" -le "$work" ] || work=$b
    [ "$lost" = 0 ] || bad=$((bad + 1))
  done
  diag "longest: ready after $((ready / 1000)) ms, at work after $((work / 1000)) ms"
  is "$n_restarts restarts, none fails or loses anything" "$bad" 0
}

if [ "${NPP_RESTARTS:-}" != none ]; then
  load_begin purpose
  sleep 1
  if [ "$n_restarts" -gt 0 ]; then restart_some; else sleep 10; fi
  sleep 1
  load_end
  is 'no connection was lost' "$errors" 0
  is 'no byte is wrong' "$wrong" 0
  diag "longest gap of service: $gap ms ($gap_of)"
  cmp_num "the longest gap of service, $gap ms, is below $gap_max ms" "$gap" -lt $gap_max
  audit restarts
fi

# ---- kill -9 --------------------------------------------------------------------------------

child() # NAME OF THE PROCESS: "pid state restarts"
{
  # shellcheck disable=SC2086
  set -- $1
  local role=$1 index=0
  [ $# = 2 ] || index=$2
  "$npp" status "$lab/${*: -1}" --json | jq -r --arg r "$role" --argjson i "$index" \
    '.[0].children[] | select(.role == $r and .index == $i) | "\(.pid) \(.state) \(.restarts)"'
}
came_back() { local pid state; read -r pid state _ <<<"$(child "$1")"; [ "$state" = ready ] && [ "$pid" != "$2" ]; }
lost() { echo $(($(iop_sum acc1 takeover.lost) + $(iop_sum acc2 takeover.lost))); }
every_iop_accepts() # NPP HOST: new connections reach each of them
{
  local before after
  before=$(iop_counters "$1" tcp.accepted | xargs)
  on client1 "$load" -q -j -$family -t 60000 -k -c 4 -n 64 "http://$2:8080/" >/dev/null || return 1
  after=$(iop_counters "$1" tcp.accepted | xargs)
  # shellcheck disable=SC2086
  set -- $before
  for n in $after; do [ "$n" -gt "$1" ] || { echo "$before; then $after"; return 1; }; shift; done
}

# kill_some COUNT PROCESS...: at random moments; waits for the successor each time.
kill_some()
{
  local i what pid count=$1 bad=0
  shift
  for ((i = 0; i < count; i++)); do
    pause
    what=${*:RANDOM % $# + 1:1}
    read -r pid _ <<<"$(child "$what")"
    kill -KILL "$pid"
    if ! wait_for 20 came_back "$what" "$pid"; then
      bad=$((bad + 1))
      diag "$what has no successor: $(child "$what")"
    fi
    sleep 1.1 # who works so long did not die of what it found
  done
  is "$count times kill -9, each has a successor" "$bad" 0
}

if [ "$n_kills" -gt 0 ]; then
  load_begin kill
  sleep 1
  kill_some "$n_kills" 'dispatch acc1' 'osm web1' 'dispatch acc2' 'osm web2'
  load_end
  is 'dispatcher and OSM: no connection was lost' "$errors" 0
  is 'no byte is wrong' "$wrong" 0
  is 'and none is counted as lost' "$(lost)" 0
  cmp_num "the longest gap of service, $gap ms ($gap_of), is below $gap_max ms" "$gap" -lt $gap_max
  audit 'kill -9 of dispatcher and OSM'

  load_begin killism
  sleep 1
  kill_some "$n_kills" 'ism 0 acc1' 'ism 1 acc1' 'ism 0 acc2' 'ism 1 acc2' 'ism 2 acc2'
  ok 'each IOP of acc1 takes new connections' every_iop_accepts acc1 web1
  ok 'each IOP of acc2 takes new connections' every_iop_accepts acc2 web2
  load_end
  n=$(lost)
  diag "$n_kills ISMs killed: $n connections lost, $errors seen by clients"
  cmp_num 'at most the record that was being changed is lost' "$n" -le "$n_kills"
  cmp_num 'every error that a client saw is counted' "$errors" -le "$n"
  is 'no byte is wrong' "$wrong" 0
  cmp_num "the longest gap of service, $gap ms ($gap_of), is below $gap_max ms" "$gap" -lt $gap_max
  audit 'kill -9 of ISMs'
fi
done_testing

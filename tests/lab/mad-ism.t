# SPDX-License-Identifier: GPL-2.0-or-later
# mad-ism.t - ISMs that write garbage into the memory of a host: nothing dies, nothing hangs
#
#   client1 10.1.0.10 ---- lan 10.1.0.0/24 ---- 10.1.0.11 acc1 (2 IOPs), whose ISMs are mad ===== web1
#                                         '---- 10.1.0.12 acc2 (1 IOP), which is not ==========='
#
# Servers of web1 are reached by both NPPs. What came by acc1 is lost; what comes by acc2 must not
# notice, in the same programs: no byte lost, no wait beyond the patience of the library (2 s).
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin mad-ism
need jq
load=$top_builddir/harness/load/npp-load progs=$top_builddir/tests/lab/progs
[ -x "$progs/mad_ism" ] || skip_all "needs $progs/mad_ism (make check builds it)"

cat >"$work/lab.yaml" <<'Y'
name: mad-ism
networks:
  lan: {subnet: 10.1.0.0/24}
nodes:
  client1: {kind: client, networks: {lan: 10.1.0.10}}
  acc1:    {kind: npp, iops: 2, networks: {lan: 10.1.0.11}}
  acc2:    {kind: npp, iops: 1, networks: {lan: 10.1.0.12}}
  web1:    {kind: host, stack: npp, npps: [acc1, acc2]}
Y
lab_up "$work/lab.yaml"
servers=()
port=7001
for style in level thread poll pool; do
  start "$style" web1 "$progs/echo" $style $port
  servers+=("$started")
  ok "$style: listens" wait_for 15 listening web1 $port
  port=$((port + 1))
done
start udp web1 "$load" serve -p 7010 udp
servers+=("$started")
ok 'udp: listens' wait_for 15 listening web1 7010 || :
host=$("$npp" status "$lab/web1" --json | jq -r '.[0].pid')
children() { "$npp" status "$lab/$1" --json | jq -r '[.[0].children[].pid] | join(" ")'; }
web_children=$(children web1) acc_children=$(children acc1)

steady=() victims=()
for port in 7001 7002 7003 7004; do
  start "steady-$port" client1 "$load" -q -j -c 4 -d 600 -b 1000 -t $((8000 * slow)) echo 10.1.0.12 $port
  steady+=("$started")
  start "short-$port" client1 "$load" -q -j -c 2 -K 1 -d 600 -b 100 -r 20 -t $((8000 * slow)) echo 10.1.0.12 $port
  steady+=("$started")
  start "victim-$port" client1 "$load" -q -j -c 8 -d 600 -b 1000 -K 5 -t 1000 echo 10.1.0.11 $port
  victims+=("$started")
done
start victim-udp client1 "$load" -q -j -c 8 -d 600 -b 200 -t 500 udp 10.1.0.11 7010
victims+=("$started")
sleep 1
for seed in ${SEEDS:-1 2}; do
  "$progs/mad_ism" "$host" 0-1 ${MAD_SECONDS:-4} $seed >"$evidence/mad-$seed" 2>&1
  is "seed $seed: garbage was written" $? 0
  diag "$(tail -n1 "$evidence/mad-$seed")"
  is "seed $seed: the OSM lives" "$(children web1)" "$web_children"
  is "seed $seed: the ISMs of acc1 live" "$(children acc1)" "$acc_children"
done
alive=0
for p in "${servers[@]}"; do kill -0 "$p" 2>/dev/null && alive=$((alive + 1)); done
is 'all servers live' "$alive" "${#servers[@]}"
for p in "${victims[@]}"; do stop "$p" INT; done
for port in 7001 7002 7003 7004; do
  ok "port $port: new connections by acc2" on client1 timeout $((20 * slow)) "$load" -q -j -c 4 -n 40 -K 1 -t $((8000 * slow)) -b 100 echo 10.1.0.12 $port
done
for p in "${steady[@]}"; do stop "$p" INT; done
for port in 7001 7002 7003 7004; do
  is "port $port: what came by acc2 lost no byte" "$(jq .errors_total "$evidence/steady-$port.log")" 0
  is "port $port: nor did short connections" "$(jq .errors_total "$evidence/short-$port.log")" 0
  cmp_num "port $port: and was served" "$(jq .requests "$evidence/steady-$port.log")" -ge 50
done
errors=$(osm_counter web1 protocol_errors)
diag "the OSM counted $errors protocol errors, the ISMs $(iop_sum acc1 host.protocol_errors)"
cmp_num 'the OSM counted wrong messages' "$errors" -gt 0
# A program that is new, on the same host, has what it needs of the OSM.
start late web1 "$progs/echo" level 7020
ok 'the OSM serves a new program' wait_for 15 grep -q . <(listening web1 7020 && echo yes)
ok 'which is reached by acc2' on client1 timeout $((20 * slow)) "$load" -q -j -c 2 -n 20 -t $((8000 * slow)) -b 100 echo 10.1.0.12 7020
done_testing

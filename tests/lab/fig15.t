# SPDX-License-Identifier: GPL-2.0-or-later
# fig15.t - an unmodified nginx on two hosts with four processors each, two clients
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin fig15
need nginx curl wrk jq

lab_up "$topologies/fig15.yaml"
pass 'fig15 comes up'
is 'all nodes are up' "$("$npplab" status "$lab" --json | jq -r '[.nodes[].state] | unique | join(" ")')" up
is 'web1 has no link but the loopback' "$(on web1 sh -c 'cd /sys/class/net && echo *')" lo

nginx_start web1
nginx_start web2
for w in web1 web2; do
  ok "nginx listens on $w" wait_for 15 listening $w 80
  for c in client1 client2; do
    is "$c gets the page of $w" "$(on $c curl -s --max-time $patience "http://$w/" | head -n1)" "This is $w."
  done
done
ok 'nginx answers on the loopback of web1 too' on web1 curl -sf -o /dev/null --max-time $patience http://127.0.0.1/

run_wrk() # CLIENT HOST CONNECTIONS ARGS...: output to $evidence
{
  on "$1" timeout $((60 + patience)) wrk -c "$3" -t 2 -d 3 --timeout ${patience}s --latency "${@:4}" "http://$2/" >"$evidence/wrk-$1-$2" 2>&1
}
run_wrk client1 web1 64 &
first=$!
run_wrk client2 web2 96
is 'wrk of client2 (96 connections) ends well' $? 0
wait $first
is 'wrk of client1 (64 connections) ends well' $? 0
for x in client1-web1 client2-web2; do
  is "$x: no socket error, no wrong status" "$(grep -cE 'Socket errors|Non-2xx' "$evidence/wrk-$x")" 0
  n=$(awk '/requests in/ {print $1}' "$evidence/wrk-$x")
  cmp_num "$x: requests were served (${n:-none})" "${n:-0}" -gt 500
done
for acc in acc1 acc2; do
  cmp_num "$acc: every IOP accepted connections ($(iop_counters $acc tcp.accepted | xargs))" \
    "$(iop_min $acc tcp.accepted)" -gt 0
  cmp_num "$acc: every IOP sent" "$(iop_min $acc tx.frames)" -gt 0
  is "$acc: no frame had a wrong checksum" \
    "$(dispatch_counter $acc drop.l4_csum)+$(dispatch_counter $acc drop.ip_csum)+$(iop_sum $acc drop.csum)" 0+0+0
  is "$acc: no protocol error of the host" "$(iop_sum $acc host.protocol_errors)" 0
done

# Every byte of every answer, with connections kept and with one each.
page=$work/nginx-web1/www/index.html
ok 'every answer is the page, connections kept' on client2 \
  "$top_builddir/harness/load/npp-load" -q -j -c 64 -n 5000 -B "$page" http://web1/index.html
ok 'every answer is the page, a connection each' on client2 \
  "$top_builddir/harness/load/npp-load" -q -j -k -c 32 -n 2000 -B "$page" http://web1/index.html
run_wrk client1 web2 64 -H 'Connection: close'
is 'wrk with a connection for each request ends well' $? 0
is 'and has no errors' "$(grep -cE 'Socket errors|Non-2xx' "$evidence/wrk-client1-web2")" 0

ok 'down with nginx running' lab_down
is 'nothing is left' "$(leftovers "$lab")" ''
done_testing

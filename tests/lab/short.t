# SPDX-License-Identifier: GPL-2.0-or-later
# short.t - 10,000 short connections, in and out; then every count is back where it was
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin short
need nginx jq
load=$top_builddir/harness/load/npp-load
n=10000
if $sanitized; then n=2000; fi

time_wait=10
lab_up "$topologies/pair.yaml" --set "nodes.acc1.options={tcp: {time_wait: ${time_wait}s}}"
nginx_start web1
ok 'nginx listens' wait_for 15 listening web1 80
page=$work/nginx-web1/www/index.html
start serve client1 "$load" serve -p 7000 http
wait_for 10 listening client1 7000

# The first connections make what then stays: lanes, extents, descriptors.
on client1 "$load" -q -j -k -c 16 -n 200 -B "$page" http://web1/index.html >/dev/null
on web1 "$load" -q -j -k -c 16 -n 200 http://client1:7000/ >/dev/null

live() { echo $(($(iop_sum acc1 tcp.conns) - $(iop_sum acc1 tcp.time_wait))); }
live_is() { [ "$(live)" = "$1" ]; }
quiet() { live_is 0 && sum_is acc1 tcp.half_open 0 && sum_is acc1 mem.rings 0; }
state() # what must not grow
{
  echo "live $(live) half-open $(iop_sum acc1 tcp.half_open) rings $(iop_sum acc1 mem.rings)" \
    "listeners $(iop_sum acc1 tcp.listeners) ctxs $(osm_counter web1 ctxs) procs $(osm_counter web1 procs)"
}
state_is() { [ "$(state)" = "$1" ]; }
# Its program that has just ended may not be forgotten yet.
settled() { local a; a=$(state); sleep 0.5; quiet && state_is "$a"; }
ok 'it gets quiet after the first' wait_for 20 settled
before=$(state)
accepted=$(iop_sum acc1 tcp.accepted)
heap=$(osm_counter web1 heap.used)
diag "$before, heap $heap"

out=$(on client1 timeout $((120 * slow)) "$load" -q -j -k -c 16 -n $n -B "$page" http://web1/index.html)
is "$n connections are served, every byte right" "$(jq -r '"\(.requests) \(.errors_total)"' <<<"$out")" "$n 0"
is 'npp counts as many' "$(($(iop_sum acc1 tcp.accepted) - accepted))" "$n"
ok 'connections, half-open entries, ring bytes, contexts are back' wait_for 20 state_is "$before"
cmp_num 'host memory in use does not grow' "$(osm_counter web1 heap.used)" -le "$((heap + 1048576))"

connected=$(iop_sum acc1 tcp.connected)
out=$(on web1 timeout $((120 * slow)) "$load" -q -j -k -c 16 -n $n http://client1:7000/)
is "$n connections are opened by a program on npp" "$(jq -r '"\(.requests) \(.errors_total)"' <<<"$out")" "$n 0"
is 'npp counts as many' "$(($(iop_sum acc1 tcp.connected) - connected))" "$n"
ok 'all is back again' wait_for 20 state_is "$before"

# Those that npp closed first stand in TIME_WAIT for a while: then they go, with their ports.
cmp_num 'some stand in TIME_WAIT' "$(iop_sum acc1 tcp.time_wait)" -gt 0
ok 'TIME_WAIT ends when the settings say' wait_for $((time_wait + 15)) sum_is acc1 tcp.conns 0
is 'accepted + connected = closed' "$(iop_sum acc1 tcp.closed)" \
  "$(($(iop_sum acc1 tcp.accepted) + $(iop_sum acc1 tcp.connected)))"
ok 'after that nginx still answers' on client1 curl -sf -o /dev/null --max-time $patience http://web1/
done_testing

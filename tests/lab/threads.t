# SPDX-License-Identifier: GPL-2.0-or-later
# threads.t - a server with a thread for each connection goes on without its OSM
#
#   client1 10.1.0.10 ---- lan 10.1.0.0/24 ---- 10.1.0.11 acc1 (4 IOPs) == web1: echo, a thread each
#
# While the OSM is stopped (SIGSTOP) and while it is killed and started anew, every new connection
# is served by a new thread: contexts of threads that ended are used again, and some spare ones
# are there (npp-osm/libnpp/ctx_pool.c).
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin threads
need jq
load=$top_builddir/harness/load/npp-load

lab_up "$topologies/pair.yaml"
start thread web1 "$top_builddir/tests/lab/progs/echo" thread 7001
ok 'a server with a thread for each connection' wait_for 15 listening web1 7001
osm_pid() { "$npp" status "$lab/web1" --json | jq -r '.[0].children[] | select(.role == "osm").pid'; }
new_osm() { local p; p=$(osm_pid); [ -n "$p" ] && [ "$p" != 0 ] && [ "$p" != "$1" ]; }
# short SECONDS NAME: one request, one connection, one thread of the server, 16 at a time. So many a
# second that the client has ports for all of them: those of its connections are taken for a minute.
rate=500
short() { on client1 "$load" -q -j -c 16 -K 1 -r $rate -t $((4000 * slow)) -d "$1" -b 100 echo web1 7001 >"$evidence/load-$2" 2>&1; }

ok 'in peace' short $slow peace
peace=$(jq .requests "$evidence/load-peace")
opened=$(osm_counter web1 ctxs)
diag "$peace requests in $slow s, $opened contexts open afterwards"
cmp_num 'threads have ended by the hundred' "$peace" -gt 200
cmp_num 'and their contexts are used again' "$opened" -le 80

osm=$(osm_pid)
kill -STOP "$osm"
ok 'while the OSM is stopped nothing fails' short 2 stopped
kill -CONT "$osm"
cmp_num 'and requests are served' "$(jq .requests "$evidence/load-stopped")" -gt 100
diag "$(jq .requests "$evidence/load-stopped") requests in two seconds without an OSM"

short $((4 * slow)) killed &
client=$!
for round in 1 2 3; do
  osm=$(osm_pid)
  kill -KILL "$osm"
  ok "killed OSM number $round is replaced" wait_for 10 new_osm "$osm"
done
wait $client
is 'meanwhile nothing failed' $? 0
diag "$(jq .requests "$evidence/load-killed") requests in $((4 * slow)) seconds with three deaths of the OSM"
cmp_num 'and requests were served' "$(jq .requests "$evidence/load-killed")" -gt 200
contexts_back() { [ "$(osm_counter web1 ctxs)" -le 80 ]; }
ok 'no context is left behind' wait_for 10 contexts_back
is 'no protocol error' "$(iop_sum acc1 host.protocol_errors)" 0
done_testing

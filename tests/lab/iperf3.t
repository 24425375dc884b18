# SPDX-License-Identifier: GPL-2.0-or-later
# iperf3.t - iperf3 both ways, with the server and with the client on npp
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin iperf3
need iperf3 jq

lab_up "$topologies/pair.yaml"
tries=1
declare -A turns=([web1]=0 [client1]=0)
run() # NAME CLIENT-NODE SERVER ARGS...
{
  local name=$1 node=$2 server=$3 out bytes try
  shift 3
  for try in $(seq $tries); do
    wait_for $patience iperf_listens "server-$server" $((++turns[$server]))
    out=$(on "$node" timeout $((30 * slow)) iperf3 -c "$server" -t 1 -J "$@" 2>&1)
    bytes=$(jq -r '.end.sum_received.bytes // .end.sum.bytes // 0' <<<"$out" 2>/dev/null)
    [ "${bytes:-0}" = 0 ] || break
    [ "$try" = "$tries" ] || diag "$name: nothing moved in try $try"
  done
  printf '%s\n' "$out" >"$evidence/iperf3-${name// /-}.json"
  if [ "$(jq -r '.error // ""' <<<"$out" 2>/dev/null)" = '' ] && [ "${bytes%.*}" -gt 1000000 ] 2>/dev/null; then
    pass "$name ($(jq -r '(.end.sum_received.bits_per_second // .end.sum.bits_per_second) / 1e9 * 100 | floor / 100' <<<"$out") Gbit/s)"
  else
    fail "$name" "$(jq -r '.error // "moved \(.end.sum_received.bytes) bytes"' <<<"$out" 2>/dev/null || head -n3 <<<"$out")"
  fi
}

start server-web1 web1 iperf3 -s --forceflush
ok 'the server on npp listens' wait_for 10 listening web1 5201
run 'to npp' client1 web1
run 'to npp, -R' client1 web1 -R
run 'to npp, four streams' client1 web1 -P 4
run 'to npp, four streams, -R' client1 web1 -P 4 -R
# The server of iperf3 takes the first connection that it accepts as the one to receive on.
# Two connections that two IOPs finish at the same moment may be accepted in either order;
# then both sides wait.
tries=3
run 'to npp, both ways at once' client1 web1 --bidir
tries=1
run 'to npp, UDP' client1 web1 -u -b 20M
run 'to npp, UDP, -R' client1 web1 -u -b 20M -R
run 'to npp, UDP, four streams' client1 web1 -u -b 20M -P 4
run 'to npp, UDP, both ways at once' client1 web1 -u -b 20M --bidir

start server-client1 client1 iperf3 -s --forceflush
ok 'the server on the kernel listens' wait_for 10 listening client1 5201
run 'from npp' web1 client1
run 'from npp, -R' web1 client1 -R
run 'from npp, four streams' web1 client1 -P 4
run 'from npp, UDP' web1 client1 -u -b 20M
run 'from npp, UDP, -R' web1 client1 -u -b 20M -R
done_testing

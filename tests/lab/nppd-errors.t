# SPDX-License-Identifier: GPL-2.0-or-later
# nppd-errors.t - what cannot work is refused with file, line and key, and leaves nothing
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/nppd-lib.sh"
nppd_begin errors
need ip jq

base='hugepages: never, memory: {connections: 64}'

# refused NAME REGEX: nppd ends with 1 and says so; no port, no process, no new socket stays.
refused()
{
  local out r before
  before=$(ls "$NPP_RUNDIR")
  out=$(timeout 30 "$nppd" --rundir "$NPP_RUNDIR" "$work/$conf_name.yaml" 2>&1 </dev/null)
  r=$?
  is "$1: refused" $r 1
  like "$1: says why" "$out" "$2"
  is "$1: no link stays" "$(ip -n "$ns" -o link show type tun | wc -l)" "${tuns:-0}"
  is "$1: no socket stays" "$(ls "$NPP_RUNDIR")" "$before"
}
bad() { conf_name=$1; conf "$1"; }

bad bridge <<Y
npp:
  name: b1
  port: {netns: @NS@, bridge: br7}
  addresses: [10.79.0.11/24]
  $(sed 's/, memory/\n  memory/' <<<"$base")
Y
refused 'a bridge that is not there' "bridge.yaml:3: key 'npp.port.bridge': there is no link 'br7' in /run/netns/$ns"

ip -n "$ns" link add notabridge type veth peer name notabridge2
bad nobridge <<Y
npp: {name: b2, port: {netns: @NS@, bridge: notabridge}, addresses: [10.79.0.11/24], $base}
Y
refused 'a link that is no bridge' "nobridge.yaml:1: key 'npp.port.bridge': 'notabridge' is not a bridge"

bad netns <<Y
npp:
  name: n1
  addresses: [10.79.0.11/24]
  port:
    netns: /run/netns/nppd-not-there
Y
refused 'a namespace that is not there' "netns.yaml:5: key 'npp.port.netns': /run/netns/nppd-not-there: No such file"

bad notns <<Y
npp: {name: n2, addresses: [10.79.0.11/24], port: {netns: /etc/passwd}, $base}
Y
refused 'a file that is no namespace' "notns.yaml:1: key 'npp.port.netns': /etc/passwd: is not a network namespace"

bad port <<Y
npp: {name: p1, addresses: [10.79.0.11/24], port: {netns: @NS@, name: notabridge}, $base}
Y
refused 'a port name in use' "port.yaml:1: key 'npp.port.name': 'notabridge' is there already"

bad uid <<Y
npp: {name: u1, uid: 0, addresses: [10.79.0.11/24], $base}
Y
refused 'children as root' "uid.yaml:1: key 'npp.uid': 0 is too small"

# A bridge with somebody behind it who has our address.
ip -n "$ns" link add br0 type bridge
ip -n "$ns" link set br0 up
ip -n "$ns" addr add 10.79.0.11/24 dev br0
bad inuse <<Y
npp:
  name: i1
  iops: 2
  port: {netns: @NS@, bridge: br0}
  addresses:
    - 10.79.0.12/24
    - 10.79.0.11/24
  $(sed 's/, memory/\n  memory/' <<<"$base")
Y
refused 'an address in use on the network' "inuse.yaml:7: key 'npp.addresses\[1\]': 10.79.0.11 is in use on the network by "
ip -n "$ns" addr flush dev br0

# Twice the same.
conf one <<Y
npp: {name: one, iops: 1, port: {netns: @NS@, bridge: br0}, addresses: [10.79.0.20/24], $base}
Y
does 'one comes up' nppd_start one
tuns=1
bad again <<Y
npp: {name: one, iops: 1, port: {netns: @NS@, name: other}, addresses: [10.79.0.21/24], $base}
Y
refused 'a name that runs already' "again.yaml:1: key 'npp.name': 'one' is running already"
bad sameport <<Y
npp: {name: two, iops: 1, port: {netns: @NS@, name: one}, addresses: [10.79.0.21/24], $base}
Y
refused 'the port of another NPP' "sameport.yaml:1: key 'npp.port.name': 'one' is there already"
bad sameaddr <<Y
npp: {name: two, iops: 1, port: {netns: @NS@, bridge: br0}, addresses: [10.79.0.20/24], $base}
Y
refused 'the address of another NPP' "sameaddr.yaml:1: key 'npp.addresses\[0\]': 10.79.0.20 is in use on the network by 02:"
ok 'the first one does not mind' sh -c "'$npp' status one --json | jq -e '[.[0].children[].state] == [\"ready\", \"ready\"]'"
is 'and has seen no conflict: probes are none' "$("$npp" status one --json | jq -c '.[0].conflicts')" '[]'
# With `acd: announce` the second one starts; both announce, and each hears the other.
conf two <<Y
npp: {name: two, iops: 1, acd: announce, port: {netns: @NS@, bridge: br0}, addresses: [10.79.0.20/24], $base}
Y
does 'one that does not ask starts on an address that is taken' nppd_start two
conflicts() { "$npp" status "$1" --json | jq -c '[.[0].conflicts[] | select(.count > 0) | [.address, .mac]]'; }
sees() { [ "$(conflicts "$1")" != '[]' ]; }
for n in one two; do ok "$n sees a conflict" wait_for 10 sees $n; done
other_mac() { sed -n 's/.*10.79.0.20 is used by \([0-9a-f:]*\), too.*/\1/p' "$work/$1.log"; }
is 'and names the address' "$(conflicts one | jq -r '.[0][0]')" 10.79.0.20
is 'and the station, as its log does' "$(conflicts one | jq -r '.[0][1]')" "$(other_mac one)"
ok 'each the other one' [ "$(other_mac one)" != "$(other_mac two)" ]
like 'npp status says it in words' "$("$npp" status one)" 'one: 10.79.0.20 is used by [0-9a-f:]*, too: seen [0-9]* times, last [0-9]* s ago'
does 'the second ends' nppd_stop two
does 'it ends' nppd_stop one
tuns=0

bad always <<Y
npp: {name: a1, iops: 16, hugepages: always, addresses: [10.79.0.11/24], port: {netns: @NS@}, memory: {connections: 1048576}}
Y
refused 'hugepages that are not there' "always.yaml:1: key 'npp.hugepages': there are not enough for .*: [0-9]+ of [0-9]+ pages of 2 MB are missing: vm.nr_hugepages=[0-9]+ would do, or 'reserve: yes'"

# Without the right to load eBPF programs; who has none of CAP_SYS_ADMIN cannot enter namespaces either.
if [ "$(cat /proc/sys/kernel/unprivileged_bpf_disabled)" != 0 ] && command -v setpriv >/dev/null; then
  nppd_real=$nppd
  printf '#!/bin/sh\nexec ip netns exec %s setpriv --bounding-set -sys_admin,-bpf -- %s "$@"\n' "$ns" "$nppd" >"$work/unable"
  chmod 755 "$work/unable"
  nppd=$work/unable
  bad nobpf <<Y
npp: {name: e1, iops: 2, engine: kernel, addresses: [10.79.0.11/24], $base}
Y
  refused 'engine: kernel where it is not permitted' "nobpf.yaml:1: key 'npp.engine': this machine does not permit eBPF .* 'engine: process' does"
  nppd=$nppd_real
fi
bad engine <<Y
npp: {name: e2, engine: warp, addresses: [10.79.0.11/24], port: {netns: @NS@}, $base}
Y
refused 'an engine that nobody knows' "engine.yaml:1: key 'npp.engine': .*process, kernel"

# A program that cannot be started.
bad noexec <<Y
npp: {name: x1, iops: 2, addresses: [10.79.0.11/24], port: {netns: @NS@}, $base}
Y
mkdir -m 755 "$work/empty"
export NPP_EXECDIR=$work/empty
refused 'programs that are not there' 'npp-ism 0: npp-ism was not found'
for p in npp-ism npp-dispatch; do printf '#!/bin/sh\nexit 3\n' >"$work/empty/$p"; chmod 755 "$work/empty/$p"; done
refused 'children that end at once' 'npp-ism 0 \(pid [0-9]+\) .* before it was ready'
unset NPP_EXECDIR

out=$("$nppd" 2>&1); is 'no file: a usage error' $? 2
out=$("$nppd" --ready-fd 77 "$work/one.yaml" 2>&1); is 'a descriptor that is not open' $? 2
out=$("$nppd" "$work/nothing.yaml" 2>&1); is 'a file that is not there' $? 1
like 'says so' "$out" 'nothing.yaml: No such file or directory'
done_testing

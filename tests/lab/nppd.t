# SPDX-License-Identifier: GPL-2.0-or-later
# nppd.t - the supervisor: start, what children may do, deaths, and that nothing stays
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/nppd-lib.sh"
nppd_begin life
need ip jq ping python3

conf acc1 <<'Y'
npp:
  name: acc1
  iops: 3
  port: {name: tacc1, netns: @NS@}
  addresses: [10.77.0.11/24]
  gateway: 10.77.0.1
  memory: {connections: 256}
  hugepages: never
Y
conf web1 <<'Y'
host: {name: web1, npps: [acc1], memory: 16M, sockets: 4096, hugepages: never}
Y
start_all()
{
  nppd_start acc1 && nppd_start web1
}

# ---- start and stop --------------------------------------------------------------------
does 'an NPP comes up' nppd_start acc1 || done_testing
is 'with a dispatcher and an ISM per IOP' "$("$npp" status acc1 --json |
  jq -r '[.[0].children[] | "\(.role)\(.index):\(.state)"] | join(" ")')" \
  'dispatch0:ready ism0:ready ism1:ready ism2:ready'
ok 'and its port' link_there tacc1
is 'which has one queue attached and a name' "$(ip -n "$ns" -j link show tacc1 | jq -r '.[0].mtu')" 1500
is 'its socket is for root alone' "$(stat -c %a "$NPP_RUNDIR/acc1.sock")" 600
does 'a host comes up' nppd_start web1 || done_testing
is 'attached to it' "$("$npp" status acc1 --json | jq -r '.[0].hosts | join(" ")')" web1
is 'its programs may be anybody' "$(stat -c %a "$NPP_RUNDIR/web1.osm.sock")" 666
ip -n "$ns" addr add 10.77.0.1/24 dev tacc1
ok 'it answers ping' ip netns exec "$ns" ping -c2 -i0.2 -W$patience 10.77.0.11

# ---- what children may do --------------------------------------------------------------
seccomp=2
! $sanitized || seccomp=0
uids=
for c in $(children acc1) $(children web1); do
  name=$(tr '\0' ' ' <"/proc/$c/cmdline" 2>/dev/null)
  st() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$c/status"; }
  is "$name: no capabilities" "$(st CapEff) $(st CapPrm) $(st CapInh) $(st CapBnd) $(st CapAmb)" \
    '0000000000000000 0000000000000000 0000000000000000 0000000000000000 0000000000000000'
  is "$name: no new privileges, a filter" "$(st NoNewPrivs) $(st Seccomp)" "1 $seccomp"
  is "$name: no groups" "$(st Groups | tr -d ' ')" ''
  is "$name: one uid and gid, not root's" \
    "$(st Uid | tr '\t' '\n' | sort -u | wc -l) $(st Gid | tr '\t' '\n' | sort -u | wc -l) $(($(st Uid | cut -f1) >= 60000))" '1 1 1'
  is "$name: no descriptor of a file system" \
    "$(find /proc/"$c"/fd -lname '/*' ! -lname '/dev/*' ! -lname '/memfd:*' ! -lname "$work/*" | wc -l)" 0
  uids="$uids $(st Uid | cut -f1)"
done
is 'host and NPP run under different uids' "$(tr ' ' '\n' <<<"$uids" | sort -u | grep -c .)" 2

# ---- where they run ----------------------------------------------------------------------
where() { sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "/proc/$1/status"; }
here_are=$(where self)
is 'placement: auto leaves all to the scheduler' \
  "$(for c in $(children acc1) $(children web1); do where "$c"; done | sort -u)" "$here_are"
first=${here_are%%[-,]*} last=${here_are##*[-,]}
conf pinned <<Y
npp:
  name: pinned
  iops: 2
  port: {name: tpinned, netns: @NS@}
  addresses: [10.80.0.11/24]
  memory: {connections: 256}
  hugepages: never
  placement: [$last, $first]
Y
conf web2 <<Y
host: {name: web2, npps: [pinned], memory: 16M, sockets: 4096, hugepages: never, placement: [$last]}
Y
does 'an NPP whose processes are placed comes up' nppd_start pinned
does 'so does a host' nppd_start web2
where_all() { for c in $(children pinned dispatch) $(children pinned ism) $(children web2 osm); do where "$c"; done | xargs; }
is 'dispatcher, ISMs in turn and OSM are where they shall be' "$(where_all)" "$last $first $last $last"
old=$(child pinned ism 0)
like 'a successor' "$("$npp" restart ism 0 pinned 2>&1)" "took over from $old"
is 'is where its predecessor was' "$(where_all)" "$last $first $last $last"
does 'they end' nppd_stop web2
does 'both' nppd_stop pinned

# ---- deaths and successors ---------------------------------------------------------------
child_state() { "$npp" status "$1" --json | jq -r --arg r "$2" --argjson i "$3" '.[0].children[] | select(.role == $r and .index == $i) | .state'; }
state_is() { [ "$(child_state "$1" "$2" "$3")" = "$4" ]; }
is_new() { local p; p=$(child "$1" "$2" "$3"); [ "${p:-0}" -gt 0 ] && [ "$p" != "$4" ] && state_is "$1" "$2" "$3" ready; }
# A dead neighbour entry is not asked about again at once.
arp_answers()
{
  ip -n "$ns" neigh flush dev tacc1
  ip netns exec "$ns" sh -c \
    'for i in 1 2 3 4 5 6 7 8; do ping -c1 -W1 10.77.0.11 >/dev/null; ip neigh show 10.77.0.11 | grep -q lladdr && exit 0; done; exit 1'
}
for role in 'ism 0' 'ism 1' 'dispatch 0'; do
  # shellcheck disable=SC2086
  set -- $role
  victim=$(child acc1 "$@")
  kill -KILL "$victim"
  ok "a killed $1 $2 is noticed" wait_for 5 grep -q "(pid $victim) was killed by signal 9" "$work/acc1.log"
  ok 'and has a successor' wait_for 10 is_new acc1 "$1" "$2" "$victim"
  is 'its end is known' "$("$npp" status acc1 --json | jq -r --arg r "$1" --argjson i "$2" \
    '.[0].children[] | select(.role == $r and .index == $i) | "\(.exit_status) \(.restarts)"')" '9 1'
done
ok 'ARP is still answered' arp_answers
ok 'and the supervisor lives' kill -0 "${pid_of[acc1]}"

# One that says nonsense: into its control socket, as if it were PID that speaks.
say() # PID TYPE COUNT: TYPE empty: a packet without anything in it
{
  python3 - "$@" <<'P'
import ctypes, os, socket, struct, sys
pid, kind, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
fd = ctypes.CDLL(None, use_errno=True).syscall(438, os.pidfd_open(pid), 3, 0) # pidfd_getfd
s = socket.socket(fileno=fd)
for i in range(count):
    s.send(b'' if kind == 'empty' else struct.pack('<IHHIIi', 0x6c74636e, int(kind), 0, 0, 0, 0))
P
}
victim=$(child acc1 ism 2)
ok 'an ISM says what no ISM says' say "$victim" 999 300
ok 'the log has it' wait_for 5 grep -q 'npp-ism 2: unexpected message of type 999' "$work/acc1.log"
ok 'it sends an empty packet' say "$victim" empty 1
ok 'which is no message' wait_for 5 grep -q 'npp-ism 2: control socket: Protocol error' "$work/acc1.log"
ok 'it has a successor' wait_for 10 is_new acc1 ism 2 "$victim"
ok 'the log has a few of its words' test "$(grep -c 'npp-ism 2: unexpected message' "$work/acc1.log")" -lt 100

victim=$(child web1 osm 0)
kill -KILL "$victim"
ok 'a killed OSM has a successor' wait_for 10 is_new web1 osm 0 "$victim"
ok 'which goes on' wait_for 5 grep -q 'goes on with' "$work/web1.log"
ok 'and the NPP has it back' wait_for 5 grep -q 'host web1 (number 0) is back' "$work/acc1.log"
kill -0 "${pid_of[web1]}" && pass 'the host lives'

# Its pauses grow beyond the grace: the host is on its way, for its supervisor lives.
conf hasty <<'Y'
npp:
  name: hasty
  iops: 1
  port: {name: thasty, netns: @NS@}
  addresses: [10.81.0.11/24]
  memory: {connections: 256}
  hugepages: never
  host_grace_ms: 100
Y
conf web3 <<'Y'
host: {name: web3, npps: [hasty], memory: 16M, sockets: 4096, hugepages: never}
Y
does 'an NPP with little grace comes up' nppd_start hasty
does 'and a host of it' nppd_start web3
end=$((SECONDS + 30 * slow))
until grep -q '5 deaths in a row; the next try in 400 ms' "$work/web3.log" || [ $SECONDS -gt $end ]; do
  victim=$(child web3 osm 0)
  if [ "${victim:-0}" -gt 0 ]; then kill -KILL "$victim" 2>/dev/null; else sleep 0.02; fi
done
ok 'an OSM is away for longer than the grace' grep -q '5 deaths in a row; the next try in 400 ms' "$work/web3.log"
ok 'its successor comes' wait_for 10 is_new web3 osm 0 "$victim"
ok 'and the NPP has it back' wait_for 10 sh -c "[ \$(grep -c 'is gone' '$work/hasty.log') = \$(grep -c 'is back' '$work/hasty.log') ]"
not_ok 'as it was: it has not failed' grep 'has failed' "$work/hasty.log"
kill -KILL "${pid_of[web3]}"
wait "${pid_of[web3]}" 2>/dev/null
unset 'pid_of[web3]'
rm -f "$NPP_RUNDIR"/web3.*
ok 'without a supervisor it has' wait_for 5 grep -q 'host web3 (number 0) has failed' "$work/hasty.log"
does 'the NPP ends' nppd_stop hasty

for what in 'ism 2 acc1' 'dispatch acc1' 'osm web1'; do
  # shellcheck disable=SC2086
  like "npp restart $what" "$("$npp" restart $what 2>&1)" 'took over from [0-9]+; ready after [0-9.]+ ms'
done
like 'there is no ISM 9' "$("$npp" restart ism 9 acc1 2>&1)" 'there is no such process'
not_ok 'an OSM is not of an NPP' "$npp" restart osm acc1
not_ok 'a verb needs a process' "$npp" restart ism acc1
like 'JSON' "$("$npp" restart --json ism 1 acc1 | jq -r '.process, (.ready_us > 0), .lost')" '^0$'

# A program of another layout takes the place of npp-ism: here, the dispatcher.
tree=$work/tree
mkdir "$tree"
cp "$top_builddir/npp-ism/npp-ism" "$top_builddir/npp-dispatch/npp-dispatch" "$tree"
conf other <<'Y'
npp:
  name: other
  iops: 1
  port: {name: tother, netns: @NS@}
  addresses: [10.79.0.11/24]
  memory: {connections: 256}
  hugepages: never
Y
export NPP_EXECDIR=$tree
does 'an NPP with programs of its own comes up' nppd_start other
unset NPP_EXECDIR
old=$(child other ism 0)
mv "$tree/npp-ism" "$tree/fits"
cp "$tree/npp-dispatch" "$tree/npp-ism"
like 'npp restart of a program with another layout is refused' "$("$npp" restart ism 0 other 2>&1; echo "status $?")" \
  'another layout than the memory it should go on from; the running one goes on'
is 'the old one goes on' "$(child other ism 0) $(child_state other ism 0)" "$old ready"
ok 'the supervisor says why' grep -q 'does not fit its memory; the running one goes on' "$work/other.log"
mv -f "$tree/fits" "$tree/npp-ism"
like 'one that fits takes over' "$("$npp" restart ism 0 other 2>&1)" "took over from $old"
does 'it ends' nppd_stop other

# It dies again and again, as soon as it works: the link role moves, in the end it is given up.
murder()
{
  local p end=$((SECONDS + 60 * slow))
  until state_is acc1 ism 0 'given up' || [ $SECONDS -gt $end ]; do
    p=$(child acc1 ism 0)
    if [ "${p:-0}" -gt 0 ]; then kill -KILL "$p" 2>/dev/null; else sleep 0.02; fi
  done
}
murder
is 'who dies each time is given up' "$(child_state acc1 ism 0)" 'given up'
ok 'after growing pauses' grep -q '3 deaths in a row; the next try in 100 ms' "$work/acc1.log"
ok 'and a try without memory' grep -q 'npp-ism 0 begins anew' "$work/acc1.log"
ok 'another one has the link role' grep -Eq 'npp-ism [12] has the link role' "$work/acc1.log"
ok 'ARP is answered' arp_answers
ok 'the host has heard of it' wait_for 5 sh -c "'$npp' listeners web1 >/dev/null"
like 'npp restart begins it anew' "$("$npp" restart ism 0 acc1 2>&1)" 'took over from 0'
ok 'and it says HELLO' wait_for 5 is_new acc1 ism 0 0

kill -KILL "${pid_of[web1]}"
wait "${pid_of[web1]}" 2>/dev/null
ok 'a supervisor that is killed has a grace' wait_for 5 grep -q 'host web1 (number 0) is gone; it has 1000 ms' "$work/acc1.log"
ok 'then the host has failed' wait_for 5 grep -q 'host web1 (number 0) has failed' "$work/acc1.log"
does 'and can come again' nppd_start web1
pids=$(children acc1; children web1)
does 'SIGTERM ends a host' nppd_stop web1
does 'SIGINT ends an NPP' nppd_stop acc1 INT
ok 'all children are gone' wait_for 5 all_gone $pids
not_ok 'the port is gone' link_there tacc1
is 'no socket stays' "$(ls "$NPP_RUNDIR")" ''

# ---- ends that nobody planned --------------------------------------------------------------
does 'both come up again' start_all
pids=$(children acc1; children web1)
kill -KILL "${pid_of[acc1]}" "${pid_of[web1]}"
wait "${pid_of[acc1]}" "${pid_of[web1]}" 2>/dev/null
pid_of=()
ok 'kill -9 of the supervisors: the children end' wait_for 5 all_gone $pids
ok 'the port goes' wait_for 5 sh -c "! ip -n $ns link show tacc1"
not_ok 'nobody answers on the sockets' "$npp" status acc1
does 'the left-over sockets are no obstacle' start_all
like 'npp stop ends them' "$("$npp" stop web1 acc1 2>&1; echo "status $?")" '^status 0$'
does 'with status 0' nppd_wait web1
does 'both' nppd_wait acc1
is 'and no socket stays' "$(ls "$NPP_RUNDIR")" ''

# A host that comes first waits for its NPP.
nppd_launch web1
ok 'a host waits for its NPP' wait_for 10 grep -q 'waiting for NPP acc1' "$work/web1.log"
is 'and is not up yet' "$(wc -c <"$work/web1.ready")" 0
does 'until it comes' nppd_start acc1
ok 'then it is up' wait_for 5 test -s "$work/web1.ready"
does 'the NPP goes' nppd_stop acc1
ok 'the host notices' wait_for 10 grep -q 'NPP acc1 is gone' "$work/web1.log"
does 'the NPP comes back' nppd_start acc1
ok 'and the host attaches again' wait_for 10 grep -q 'host web1 is attached' "$work/acc1.log"
nppd_stop web1
nppd_stop acc1

# ---- hugepages --------------------------------------------------------------------------------
huge=/sys/kernel/mm/hugepages/hugepages-2048kB
conf huge <<'Y'
npp:
  name: huge
  iops: 1
  port: {name: thuge, netns: @NS@}
  addresses: [10.78.0.11/24]
  memory: {connections: 256}
  hugepages: auto
  reserve: yes
Y
want=$("$nppd" --check "$work/huge.yaml" | sed -n 's/^hugepages //p')
cmp_num '--check says how many hugepages it takes' "$want" -ge 2
does 'an NPP on borrowed hugepages comes up' nppd_start huge
have=$("$npp" status huge --json | jq '.[0].hugepages')
if [ "$have" = "$want" ]; then pass "it uses all $want"; else
  like "not so many are to be had: one warning" "$(grep -c 'not enough hugepages' "$work/huge.log")" '^1$'
fi
owner="nppd:huge:${pid_of[huge]}"
does 'it ends' nppd_stop huge
not_ok 'and has given them back' grep -q "^$owner " /run/npp/hugepages
does 'once more' nppd_start huge
owner="nppd:huge:${pid_of[huge]}"
kill -KILL "${pid_of[huge]}"
wait "${pid_of[huge]}" 2>/dev/null
pid_of=()
ok 'kill -9 of it: the port goes' wait_for 5 sh -c "! ip -n $ns link show thuge"
does 'whoever comes after kill -9' nppd_start huge
not_ok 'gives back what it had borrowed' grep -q "^$owner " /run/npp/hugepages
nppd_stop huge
[ -r $huge/nr_hugepages ] && diag "hugepages now: $(cat $huge/nr_hugepages), free $(cat $huge/free_hugepages)"
done_testing

# SPDX-License-Identifier: GPL-2.0-or-later
# npp-tool.t - npp's verbs: what they print, what they refuse
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/nppd-lib.sh"
nppd_begin tool
need ip jq python3 curl ping

# ---- with nothing there -------------------------------------------------------------------
out=$("$npp" 2>&1); is 'no verb: a usage error' $? 2
out=$("$npp" --help); is '--help' $? 0
for v in run stat conns listeners hash status stop; do
  like "--help names $v" "$out" "^  $v "
  like "$v --help" "$("$npp" $v --help)" "^usage: npp $v"
  said=$("$npp" $v --no-such-option 2>&1 >/dev/null); is "$v: an unknown option" $? 2
  like "$v: who says so" "$said" "^npp: $v: "
done
like '--version' "$("$npp" --version)" '^npp .*[0-9]'
like 'a verb with a mistake in it' "$("$npp" statt 2>&1)" "did you mean 'stat'"
like 'run without a host' "$("$npp" run -- true 2>&1)" 'no host is running under'
like 'stat without an NPP' "$("$npp" stat 2>&1)" 'is running under'
like 'stat of one that is not there' "$("$npp" stat nobody 2>&1)" "no 'nobody.sock'"

conf acc1 <<'Y'
npp:
  name: acc1
  iops: 3
  port: {name: tacc1, netns: @NS@}
  addresses: [10.77.0.11/24]
  memory: {connections: 256}
  hugepages: never
Y
conf web1 <<'Y'
host: {name: web1, npps: [acc1], memory: 32M, sockets: 4096, hugepages: never}
Y
does 'an NPP' nppd_start acc1 || done_testing
prefix="ip netns exec $ns"
does 'a host in the namespace' nppd_start web1 || done_testing
prefix=
ip -n "$ns" addr add 10.77.0.1/24 dev tacc1
ok 'the NPP answers ping' ip netns exec "$ns" ping -c2 -i0.2 -W$patience 10.77.0.11

# ---- run ---------------------------------------------------------------------------------------
is 'run joins the namespace of the host' "$("$npp" run -- readlink /proc/self/ns/net)" \
  "$(ip netns exec "$ns" readlink /proc/self/ns/net)"
is 'run --host' "$("$npp" run --host web1 -- sh -c 'echo $NPP_HOST_SOCK')" "$NPP_RUNDIR/web1.osm.sock"
# The runtime of a sanitizer wants to be the first library.
$sanitized || like 'run keeps an LD_PRELOAD' "$(LD_PRELOAD=libm.so.6 "$npp" run sh -c 'echo $LD_PRELOAD')" '^libm.so.6:.*/libnpp-preload.so$'
"$npp" run -- sh -c 'exit 7'; is 'run gives the status of the program' $? 7
"$npp" run -- no-such-program 2>/dev/null; is 'run: no such program' $? 127
"$npp" run -- /etc/passwd 2>/dev/null; is 'run: not a program' $? 126
like 'run --host nobody' "$("$npp" run --host nobody true 2>&1)" "no host 'nobody' is running"
like 'ping is told that it is on its own' "$("$npp" run -- ping -c1 -W1 127.0.0.1 2>&1)" '^npp: raw sockets and those of ping'
if echo 'int main(void){return 0;}' | gcc -static -x c - -o "$work/static" 2>/dev/null; then
  like 'run warns of a static program' "$("$npp" run -- "$work/static" 2>&1)" 'linked statically'
fi

mkdir "$work/www"; head -c 100000 /dev/zero >"$work/www/file"
"$npp" run -- python3 -m http.server 8000 --directory "$work/www" >"$work/http.log" 2>&1 &
background+=($!)
listening() { "$npp" listeners "$1" | grep -q ':8000 '; }
ok 'a server' wait_for 15 listening acc1
is 'it serves' "$(ip netns exec "$ns" curl -s --max-time $patience http://10.77.0.11:8000/file | wc -c)" 100000

# ---- what one sees --------------------------------------------------------------------------------
out=$("$npp" listeners web1)
like 'listeners: replicas on all IOPs' "$out" 'acc1 +web1 +tcp +0\.0\.0\.0:8000 .* 3 of 3 +0 1 2'
is 'listeners --json' "$("$npp" listeners --json | jq -c '.listeners[] | [.host, .proto, .port, (.replicas | map(.iop))]')" \
  '["web1","tcp",8000,[0,1,2]]'
mkfifo "$work/fifo"
ip netns exec "$ns" python3 -c '
import socket, sys
s = [socket.create_connection(("10.77.0.11", 8000)) for i in range(8)]
print("held", flush=True)
sys.stdin.read()' <"$work/fifo" >"$work/held" &
background+=($!)
exec 8>"$work/fifo"
ok 'eight connections' wait_for 10 grep -q held "$work/held"
established() { [ "$("$npp" conns "$1" --json | jq '[.connections[] | select(.state == "ESTABLISHED" and .lport == 8000)] | length')" = 8 ]; }
ok 'conns of the NPP shows them' wait_for 5 established acc1
ok 'conns of the host too' established web1
up=$(dirname "$NPP_RUNDIR") lab=$(basename "$NPP_RUNDIR")
is 'a lab as NAME is all in it' "$(NPP_RUNDIR=$up "$npp" status "$lab" --json | jq -c 'map(.name)')" "[\"$lab/acc1\",\"$lab/web1\"]"
is 'and does not show a connection twice' "$(NPP_RUNDIR=$up "$npp" conns "$lab" | grep -c ':8000 .*ESTABLISHED\|ESTABLISHED .*:8000 ')" 8
mkdir "$NPP_RUNDIR/none"
like 'a lab of which nothing runs' "$("$npp" stat none 2>&1)" "is running under $NPP_RUNDIR/none"
rmdir "$NPP_RUNDIR/none"
like 'as text' "$("$npp" conns)" 'acc1 +[012] +0 +web1 +ESTABLISHED +10\.77\.0\.11:8000 +10\.77\.0\.1:[0-9]+ '
wrong=0
while read -r iop rport; do
  [ "$("$npp" hash --json acc1 10.77.0.1 "$rport" 10.77.0.11 8000 | jq .iop)" = "$iop" ] || wrong=$((wrong + 1))
done < <("$npp" conns --json | jq -r '.connections[] | select(.state == "ESTABLISHED") | "\(.iop) \(.rport)"')
is 'npp hash names the IOP of each' "$wrong" 0
exec 8>&-

like 'hash explains' "$("$npp" hash 10.77.0.1 40000 10.77.0.11 80)" 'indirection table'
"$npp" hash 10.77.0.1 70000 10.77.0.11 80 2>/dev/null; is 'hash: a port that is none' $? 2
"$npp" hash 10.77.0.1 80 2>/dev/null; is 'hash: too few arguments' $? 2
"$npp" hash fd00::1 80 10.77.0.11 80 2>/dev/null; is 'hash: two families' $? 2
like 'hash: an address that no NPP has' "$("$npp" hash 10.77.0.1 80 10.77.0.12 80 2>&1)" 'no NPP that runs has the address 10.77.0.12$'
like 'hash: one that the NPP named has not' "$("$npp" hash acc1 10.77.0.1 80 10.77.0.12 80)" 'note  .*10.77.0.12 is no address of acc1'
is 'hash: one that it has' "$("$npp" hash acc1 10.77.0.1 80 10.77.0.11 80 | grep -c note)" 0
for words in 'stat none' 'conns none' 'listeners none' 'groups none' 'status none' 'hosts none' 'hosts none web1 down' 'restart dispatch none' \
  'hash 10.77.0.1 80 10.77.0.12 80' 'hosts acc1 none down'; do
  # shellcheck disable=SC2086
  out=$("$npp" $words --json 2>/dev/null); r=$?
  is "$words: a failure is JSON" "$r $(jq -c '[.ok, (.errors | length > 0)]' <<<"$out")" '1 [false,true]'
done
is 'what was changed is told in JSON' "$("$npp" hosts acc1 web1 up --json | jq -c 'map(.npp)')" '["acc1"]'
like 'stop of a lab says how that is done' "$(NPP_RUNDIR=$up "$npp" stop "$lab" 2>&1)" "npp-lab down $lab"

j=$("$npp" stat acc1 --json)
is 'stat --json: roles' "$(jq -r '[.processes[] | "\(.role)\(.index)"] | join(" ")' <<<"$j")" 'dispatch0 ism0 ism1 ism2'
is 'stat --json: pids' "$(jq -r '[.processes[].pid] | join(" ")' <<<"$j")" "$(children acc1 | xargs)"
is 'stat --json: totals are sums over the ISMs' "$(jq '.totals["rx.frames"]' <<<"$j")" \
  "$(jq '[.processes[] | select(.role == "ism").counters["rx.frames"]] | add' <<<"$j")"
cmp_num 'stat --json: they have counted' "$(jq '.totals["tcp.accepted"]' <<<"$j")" -ge 9
is 'stat of the host' "$("$npp" stat web1 --json | jq -r '.host + " " + .processes[0].role')" 'web1 osm'
like 'stat as text' "$("$npp" stat)" '^  ism 2 +[0-9]+ +[0-9.]+ % '
# A frame that no stack wants: of a type for local experiments.
ip netns exec "$ns" python3 -c '
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("tacc1", 0))
s.send(b"\xff" * 6 + b"\x02\0\0\0\0\1" + b"\x88\xb5" + bytes(46))'
drops() { "$npp" stat acc1 | grep -Eq 'dropped by dispatch +[0-9]+  [a-z_0-9]+: '; }
ok 'stat names drops' wait_for 5 drops
out=$(timeout $patience "$npp" stat --watch 0.2 --json acc1 | jq --unbuffered -c 1 | head -n 3 | wc -l)
cmp_num 'stat --watch goes on' "$out" -ge 3
like 'stat --watch 0.2: rates' "$(timeout $patience "$npp" stat --watch 0.2 acc1 | grep -m 1 'per second')" 'per second'
"$npp" stat --watch=never acc1 2>/dev/null; is 'stat --watch=never' $? 2
like 'not a tty: no escape sequences' "$("$npp" stat | grep -c "$(printf '\033')")" '^0$'

# ---- a process dies under the eyes of the tools ------------------------------------------------------
was=$(child acc1 ism 1)
kill -KILL "$was"
again() # its successor is ready
{
  [ "$("$npp" status acc1 --json | jq -r '.[0].children[] | select(.role == "ism" and .index == 1) |
    "\(.state) \(.restarts) \(.exit_status)"')" = 'ready 1 9' ]
}
ok 'status says what became of it, and that there is another' wait_for 10 again
ne() { [ "$1" != "$2" ]; }
ok 'which is another process' ne "$(child acc1 ism 1)" "$was"
like 'stat shows it as working' "$("$npp" stat acc1)" '^  ism 1 +[0-9]+ '
# counters go on from the dead one's, and so does the time that they are of
is 'and takes the time that was counted, not that of the new one alone' "$("$npp" stat acc1 --json | jq -c '.processes[] |
  select(.role == "ism" and .index == 1) | [.counted_us > .uptime_us, .counters.busy_us < .counted_us]')" '[true,true]'
was=$("$npp" status web1 acc1 --json | jq -c 'map({name, pid})')
"$npp" stop web1 acc1 --json >"$work/stopped"; is 'stop' $? 0
is 'and its answer as JSON' "$(jq -c '[.ok, .stopped]' "$work/stopped")" "[true,$was]"
nppd_wait web1; is 'the host ended well' $? 0
nppd_wait acc1; is 'so did the NPP' $? 0
"$npp" stop acc1 --json >"$work/stopped" 2>/dev/null; is 'stop of one that is gone' $? 1
is 'as JSON, too' "$(jq -c '[.ok, (.errors | length)]' "$work/stopped")" '[false,1]'
done_testing

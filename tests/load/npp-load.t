#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# npp-load.t - npp-load against its own server and against servers that lie, on loopback
set -u
load=$top_builddir/harness/load/npp-load
tmp=${TMPDIR:-/tmp}
# What a test that was killed at once has left; its servers have ended with it.
for d in "$tmp"/npp-load.[0-9]*.??????; do
	owner=${d##*/npp-load.}
	[ ! -e "$d" ] || kill -0 "${owner%%.*}" 2>/dev/null || rm -rf "$d"
done
dir=$(mktemp -d "$tmp/npp-load.$$.XXXXXX")
pids=
with_us=(setpriv --pdeathsig KILL --)
cleanup() { for p in $pids; do kill "$p" 2>/dev/null; wait "$p" 2>/dev/null; done; rm -rf "$dir"; }
trap cleanup EXIT

n=0
ok() { n=$((n + 1)); if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi; }
field() { python3 -c "import json,sys; d=json.load(open('$dir/out')); print(eval('d'+sys.argv[1]))" "$1"; }

# The kernel chooses a port that is free, and the server says which.
serve() { # [OPTION...] MODE -> sets $port; $address if it is not 127.0.0.1 (empty: none is given)
	local log rc
	served=$((${served:-0} + 1))
	log=$dir/serve.$served
	local at=(-b "${address:-127.0.0.1}")
	[ "${address-unset}" ] || at=()
	"${with_us[@]}" "$load" serve "${at[@]}" -p 0 "$@" 2>"$log" &
	local pid=$!
	for _ in $(seq 6000); do
		port=$(sed -n 's/.* on .*:\([0-9]*\)$/\1/p' "$log" 2>/dev/null)
		[ -z "$port" ] || { pids="$pids $pid"; return; }
		kill -0 $pid 2>/dev/null || break
		sleep 0.01
	done
	kill $pid 2>/dev/null && echo "# it does not say where it listens"
	wait $pid; rc=$?
	sed 's/^/# /' "$log"
	echo "Bail out! npp-load serve $* ends with $rc"; exit 1
}

echo 1..47
serve http
"$load" serve -b 127.0.0.1 -p "$port" http 2>"$dir/err"; [ $? = 1 ] && grep -q "127.0.0.1:$port: Address already in use" "$dir/err"
ok $? "a server takes a port that is free, and none that is not"
"$load" -q -j -n 2000 -c 8 "http://127.0.0.1:$port/x" >"$dir/out"; rc=$?
ok $rc "keep-alive requests succeed"
[ "$(field '["requests"]')" = 2000 ]; ok $? "exactly as many requests as asked for"
[ "$(field '["connects"]')" = 8 ]; ok $? "on exactly as many connections"
"$load" -q -j -k -n 500 -c 8 "http://127.0.0.1:$port/x" >"$dir/out"
[ "$(field '["requests"]') $(field '["errors_total"]')" = "500 0" ]; ok $? "a connection for each request"
head -c 612 /dev/zero >"$dir/zero"
"$load" -q -j -d 1 -c 2 -B "$dir/zero" "http://127.0.0.1:$port/x" >"$dir/out"; rc=$?
[ $rc = 1 ] && [ "$(field '["requests"]')" = 0 ] && [ "$(field '["errors"]["wrong_content"]')" -gt 0 ]
ok $? "a body that differs from the file is an error each time"
# A machine with other work may stand still at the end of a second: one of ten will do, but none may be too quick.
for _ in $(seq 10); do
	"$load" -q -j -d 1 -r 500 -c 4 "http://127.0.0.1:$port/x" >"$dir/out"
	r=$(field '["requests"]')
	[ "$r" -lt 400 ] || break
done
[ "$r" -ge 400 ] && [ "$r" -le 502 ]; ok $? "an open loop keeps its rate"
# On a machine with other work one run of many will do; if connections were opened every 20 ms only, none would.
for _ in $(seq 40); do
	"$load" -q -j -k -d 0.5 -r 200 -c 4 "http://127.0.0.1:$port/x" >"$dir/out"
	python3 -c "import json,sys; sys.exit(json.load(open('$dir/out'))['latency']['p50_us'] >= 5000)" && break
done; ok $? "and so it does with a connection for each request"

serve echo
"$load" -q -j -n 1000 -c 3 -b 5000 echo 127.0.0.1 "$port" >"$dir/out"; rc=$?
[ $rc = 0 ] && [ "$(field '["bytes_in"]')" = 5000000 ]; ok $? "echo returns every byte"
"$load" -q -j -c 300 -H 0 idle 127.0.0.1 "$port" >"$dir/out"; rc=$?
[ $rc = 0 ] && [ "$(field '["requests"]')" = 300 ]; ok $? "idle connections are held, then used"
# One of two workers has a second connection, due after two seconds; the other must not use its own before.
"$load" -q -w 2 -c 3 -r 1 -H 1 -I "$dir/series" idle 127.0.0.1 "$port" >/dev/null; rc=$?
[ $rc = 0 ] && [ "$(sed -n 's/.*"open": \([0-9]*\).*/\1/p' "$dir/series" | sort -n | tail -n1)" = 3 ]
ok $? "and all at the same time, whichever process has them"
# A server without a descriptor for the next peer waits until one goes; it does not try all the time.
nofile=$(ulimit -Sn)
ulimit -Sn 24
serve echo
ulimit -Sn "$nofile"
server=${pids##* }
"$load" -q -j -c 60 -H 1 -t 300 idle 127.0.0.1 "$port" >"$dir/out" 2>/dev/null
ticks=$(awk '{print $14 + $15}' "/proc/$server/stat")
[ "$ticks" -lt $((50 * $(getconf CLK_TCK) / 100)) ]; ok $? "a server without descriptors left is calm"
"$load" -q -j -n 50 -c 4 -k echo 127.0.0.1 "$port" >"$dir/out"; rc=$?
[ $rc = 0 ] && [ "$(field '["requests"]')" = 50 ]; ok $? "and serves when there are some again"
serve sink
"$load" -q -j -n 3 -c 2 -b 10000000 send 127.0.0.1 "$port" >"$dir/out"; rc=$?
[ $rc = 0 ] && [ "$(field '["bytes_out"]')" = 30000000 ]; ok $? "the sink confirms every byte"
serve source
"$load" -q -j -n 2 -c 2 -b 10000000 recv 127.0.0.1 "$port" >"$dir/out"; rc=$?
ok $rc "the source's bytes are right"

# Servers that lie, each for one connection after the other.
cat >"$dir/liar.py" <<'PY'
import socket, sys
kind, held = sys.argv[1], []
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(16)
print(s.getsockname()[1], flush=True)
while True:
    c, _ = s.accept()
    c.recv(4096)
    if kind == "short":
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
    elif kind == "flip":
        c.sendall(b"\xff\xff\xff\xff")
    elif kind == "status":
        c.sendall(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
    elif kind == "chunked":
        c.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    elif kind == "silent":
        held.append(c)
        continue
    c.close()
PY
liar() { "${with_us[@]}" python3 "$dir/liar.py" "$1" >"$dir/port.$1" & pids="$pids $!"
	for _ in $(seq 1000); do [ -s "$dir/port.$1" ] && break; sleep 0.01; done; port=$(cat "$dir/port.$1"); }
liar short; "$load" -q -j -d 0.2 -c 1 "http://127.0.0.1:$port/" >"$dir/out"
[ "$(field '["errors"]["closed_early"]')" -gt 0 ] && [ "$(field '["requests"]')" = 0 ]; ok $? "a response cut short is an error"
liar flip; "$load" -q -j -d 0.2 -c 1 -b 4 echo 127.0.0.1 "$port" >"$dir/out"
[ "$(field '["errors"]["wrong_content"]')" -gt 0 ]; ok $? "an echo that differs is an error"
liar status; "$load" -q -j -d 0.2 -c 1 "http://127.0.0.1:$port/" >"$dir/out"
[ "$(field '["errors"]["http_status"]')" -gt 0 ]; ok $? "a status other than 200 is an error"
[ "$(field '["reasons"]["http_status"]')" = 503 ]; ok $? "and is named"
liar chunked; "$load" -q -d 0.2 -c 1 "http://127.0.0.1:$port/" >"$dir/out"
grep -q "protocol [0-9]* (an answer without Content-Length)" "$dir/out"; ok $? "so is an answer that has no length"
liar silent; "$load" -q -d 0.5 -r 100 -c 2 "http://127.0.0.1:$port/" >"$dir/out"
grep -Eq "requests  0 .*unfinished [1-9][0-9]+$" "$dir/out"; ok $? "what was due and never answered is counted in an open loop"
"$load" -q -c nonsense http://127.0.0.1/ 2>"$dir/err"; rc=$?
[ $rc = 2 ] && grep -q nonsense "$dir/err"; ok $? "bad arguments are named"

serve -s 200000 http; first=$port
sum=$(curl -s "http://127.0.0.1:$port/" | sha256sum | cut -d' ' -f1)
"$load" -q -j -n 20 -c 2 -x "$sum" "http://127.0.0.1:$port/" >"$dir/out"; rc=$?
[ $rc = 0 ] && [ "$(field '["requests"]')" = 20 ]; ok $? "downloads have the SHA-256 that curl and sha256sum see"
"$load" -q -j -n 20 -c 2 -d 0.2 -x "${sum/[0-9]/x}" "http://127.0.0.1:$port/" 2>"$dir/err"; [ $? = 2 ]
ok $? "a sum that is none is refused"
"$load" -q -j -d 1 -c 2 -x "$(printf '%064d' 1)" "http://127.0.0.1:$port/" >"$dir/out"
[ "$(field '["requests"]')" = 0 ] && [ "$(field '["errors"]["wrong_content"]')" -gt 0 ]; ok $? "another sum is an error"
"$load" -q -j -n 20 -c 2 -u 3000000 "http://127.0.0.1:$port/" >"$dir/out"; rc=$?
[ $rc = 0 ] && [ "$(field '["requests"]')" = 20 ] && [ "$(field '["bytes_out"]')" -gt 60000000 ]
ok $? "uploads are taken and checked by the server"
"$load" -q -j -n 100 -c 4 -K 10 "http://127.0.0.1:$port/" >"$dir/out"
c=$(field '["connects"]'); [ "$c" -ge 10 ] && [ "$c" -le 14 ]; ok $? "connections churn: ten requests each"
"$load" -q -j -d 1 -c 4 -T 100-200 "http://127.0.0.1:$port/" >"$dir/out"
r=$(field '["requests"]'); [ "$r" -ge 4 ] && [ "$r" -le 44 ]; ok $? "clients think between requests"
"$load" -q -j -n 1 -c 1 -R 200000 "http://127.0.0.1:$port/" >"$dir/out"; rc=$?
[ $rc = 0 ] && python3 -c "import json; d=json.load(open('$dir/out')); assert d['seconds'] > 0.7, d['seconds']"
ok $? "a slow reader takes its time, and gets everything"

# Several targets, several profiles.
serve http; second=$port
# A connection stays with its target, so each request needs a new one for half of them to go to each.
"$load" -q -j -k -n 40 -c 4 -w 1 "http://127.0.0.1:$first/" "http://127.0.0.1:$second/" >"$dir/out"; rc=$?
[ $rc = 0 ] && [ "$(field '["bytes_in"]')" -lt 4900000 ] && [ "$(field '["bytes_in"]')" -gt 3100000 ]
ok $? "two targets take turns"
"$load" -q -j -N small -n 50 -c 2 "http://127.0.0.1:$second/" + -N large -n 30 -c 2 -K 1 "http://127.0.0.1:$first/" >"$dir/out"; rc=$?
[ $rc = 0 ] && [ "$(python3 -c "
import json
for p in json.load(open('$dir/out'))['profiles']: print(p['name'], p['requests'], end=';')")" = 'small 50;large 30;' ]
ok $? "two profiles at once are reported each"
"$load" -v -n 1500 -r 1000 -c 4 "http://127.0.0.1:$second/" >"$dir/text" 2>&1
grep -Eq '^ +1\.[0-9] s .*/s .* p50 .* p99 .* 0 errors' "$dir/text"; ok $? "figures over time, a line for each second"

# UDP
serve udp
"$load" -q -j -n 500 -c 4 -b 1000 udp 127.0.0.1 "$port" >"$dir/out"; rc=$?
[ $rc = 0 ] && [ "$(field '["requests"]') $(field '["lost"]') $(field '["late"]')" = '500 0 0' ]
ok $? "datagrams come back, none is lost"
cat >"$dir/lossy.py" <<'PY'
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
n = 0
while True:
    data, who = s.recvfrom(65536)
    n += 1
    if n % 10 == 0: continue                      # lost
    s.sendto(data, who)
    if n % 10 == 5: s.sendto(data, who)           # twice
PY
"${with_us[@]}" python3 "$dir/lossy.py" >"$dir/port.lossy" & pids="$pids $!"
for _ in $(seq 1000); do [ -s "$dir/port.lossy" ] && break; sleep 0.01; done
# Each run is of ten times ten; in one of them nothing else may take the 200 ms after which a datagram is lost.
for _ in $(seq 5); do
	"$load" -q -j -n 100 -c 1 -t 200 udp 127.0.0.1 "$(cat "$dir/port.lossy")" >"$dir/out"; rc=$?
	[ "$rc $(field '["lost"]') $(field '["requests"]')" = '0 10 90' ] && [ "$(field '["late"]')" -ge 9 ] && break
done; ok $? "lost and doubled datagrams are counted, and no error"

# IPv6 and names
if [ -e /proc/sys/net/ipv6/conf/lo/disable_ipv6 ] && [ "$(cat /proc/sys/net/ipv6/conf/lo/disable_ipv6)" = 0 ]; then
	address=::1 serve http
	"$load" -q -j -n 100 -c 2 "http://[::1]:$port/x" >"$dir/out"; rc=$?
	[ $rc = 0 ] && [ "$(field '["requests"]')" = 100 ]; ok $? "http over IPv6"
	address='' serve http
	for a in 127.0.0.1 '[::1]'; do "$load" -q -n 10 "http://$a:$port/x" >/dev/null || break; done; ok $? "a server that is told no address has both families"
	"$load" -q -j -n 10 -c 2 -S ::1 -4 "http://[::1]:$port/x" >"$dir/out" 2>"$dir/err"; [ $? = 1 ] && grep -q '::1' "$dir/err"
	ok $? "an address of the other family is refused"
else
	for _ in 1 2 3; do n=$((n + 1)); echo "ok $n # SKIP no IPv6 on the loopback"; done
fi
"$load" -q -j -n 50 -c 8 -S 127.0.0.2-127.0.0.5 "http://localhost:$second/" -4 >"$dir/out" 2>"$dir/err"; [ $? = 2 ]
ok $? "an option behind the targets is no target"
"$load" -q -j -4 -n 50 -c 8 -S 127.0.0.2-127.0.0.5 "http://localhost:$second/" >"$dir/out"; rc=$?
[ $rc = 0 ] && [ "$(field '["requests"]')" = 50 ]; ok $? "a name is resolved, source addresses are a range"

# ---- what is said when it goes wrong ----------------------------------------------------------
said() { grep -q -- "$1" "$dir/err"; }
"$load" ftp://127.0.0.1/ 2>"$dir/err"; [ $? = 2 ] && said "neither an http:// URL nor echo.*'ftp://127.0.0.1/'"
ok $? "what is no target is named"
"$load" echo 127.0.0.1 2>"$dir/err"; [ $? = 2 ] && said "HOST PORT is missing"; ok $? "so is what is missing"
"$load" -n 1 echo 127.0.0.1 99999 2>"$dir/err"; [ $? = 2 ] && said "no port: '99999'"; ok $? "99999 is no port"
"$load" -n 1 "http://127.0.0.1:70000/" 2>"$dir/err"; [ $? = 2 ] && said "no port"; ok $? "70000 is none in a URL"
"$load" -n 1 -S 192.0.2.77 echo 127.0.0.1 "$port" 2>"$dir/err"; [ $? = 1 ] && said "source 192.0.2.77: Cannot assign"
ok $? "a source address of another machine"
serve echo; closed=$port
kill "${pids##* }"; wait "${pids##* }" 2>/dev/null; pids=${pids% *}
"$load" -q -d 0.2 -c 2 echo 127.0.0.1 "$closed" >"$dir/out" 2>"$dir/err"; [ $? = 1 ] && grep -q 'connect [0-9]* (Connection refused)' "$dir/out"
ok $? "the report says why connections failed"
serve echo
"$load" -q -H 60 -c 4 idle 127.0.0.1 "$port" >"$dir/out" 2>"$dir/err" & pid=$!
for _ in $(seq 1000); do [ "$(ss -Htn state established "dport = :$port" | wc -l)" = 4 ] && break; sleep 0.01; done
kill $pid; wait $pid; [ $? = 1 ] && said 'stopped before all was done'; ok $? "one that was stopped has not done its work"
if unshare -n true 2>/dev/null; then
	cat >"$dir/ports" <<-'E'
		ip link set lo up
		echo 40000 40049 >/proc/sys/net/ipv4/ip_local_port_range
		"$1" serve -b 127.0.0.1 -p 7 echo 2>/dev/null & server=$!
		until ss -Htnl | grep -q ':7 '; do sleep 0.01; done
		"$1" -q -c 400 -H 0 idle 127.0.0.1 7; rc=$?
		kill $server; wait $server
		exit $rc
	E
	start=$(date +%s)
	timeout 60 unshare -n sh "$dir/ports" "$load" >"$dir/out"
	[ $? = 1 ] && grep -q 'local 3[0-9]* (no source port is left' "$dir/out" && [ $(($(date +%s) - start)) -lt 20 ]
	ok $? "more idle connections than ports: the rest is given up at once"
else
	n=$((n + 1)); echo "ok $n # SKIP no network namespaces"
fi

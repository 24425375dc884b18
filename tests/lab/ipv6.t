# SPDX-License-Identifier: GPL-2.0-or-later
# ipv6.t - IPv6 as an equal of IPv4: unmodified programs, both families at once, N = 4; then without IPv4
#
#   client1 10.1.0.10 fd00:0:0:1::a ---- lan ---- 10.1.0.11 fd00:0:0:1::b acc1 (4 IOPs) == web1
#   topologies/six.yaml
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin ip6
need nginx curl jq ping iperf3 python3

lab_up "$topologies/pair.yaml" --set ipv6=yes
us=fd00:0:0:1::a npp6=fd00:0:0:1::b
mac=$("$npplab" status "$lab" --json | jq -r '.nodes[] | select(.name == "acc1").networks[0].mac')
is 'the lab gives the NPP an address' \
  "$("$npplab" status "$lab" --json | jq -r '.nodes[] | select(.name == "acc1").networks[0].address6')" $npp6/64
is 'and its name both' "$(grep -c '	web1$' /etc/netns/"$lab"-client1/hosts)" 2

# ---- neighbour discovery, echo ---------------------------------------------------------
ok 'it answers ping' on client1 ping -6 -c3 -i0.2 -W$patience web1
is 'under its MAC address' "$(ip netns exec "$lab-client1" ip -6 neigh show $npp6 | grep -o 'lladdr [^ ]*')" "lladdr $mac"
for size in 0 1452 1453 8000 40000; do
  out=$(ping_all 4 client1 -6 -W$patience -s $size web1)
  like "ping of $size bytes, each answered once" "$out" '4 packets transmitted, 4 received, 0% packet loss'
done
IFS=: read -r a b c d e f <<<"$mac"
local6=fe80::$(printf '%x' $((0x$a ^ 2)))$b:${c}ff:fe$d:$e$f
ok 'at its link-local address, too' on client1 ping -6 -c1 -W$patience "$local6%lan"
ok 'an address that nobody has does not answer' sh -c "! '$npplab' exec --lab '$lab' client1 -- ping -6 -c1 -W1 fd00:0:0:1::99"

# ---- nginx, as Debian configures it: one socket for each family ----------------------------
nginx_start web1 2>/dev/null
wait_for 15 listening web1 80
stop "$nginx_pid"
sed 's/listen 80 backlog=1024;/listen 80; listen [::]:80;/' "$work/nginx-web1/nginx.conf" >"$work/nginx-web1/both.conf"
head -c 3000000 /dev/urandom >"$work/nginx-web1/www/big"
start nginx-both web1 nginx -e "$evidence/nginx-both-error.log" -c "$work/nginx-web1/both.conf"
both() { [ "$(npp_do listeners acc1 --json | jq -r '[.listeners[] | select(.port == 80) | .address] | sort | join(" ")')" = '0.0.0.0 ::' ]; }
ok 'listen 80 and listen [::]:80 are two listeners' wait_for 15 both
replicas() { npp_do listeners acc1 --json | jq -r '[.listeners[] | select(.port == 80) | .replicas | length] | join(" ")'; }
is 'each with a replica on every IOP' "$(replicas)" '4 4'
for f in 4 6; do
  is "curl -$f" "$(on client1 curl -$f -s -m $patience -o /dev/null -w '%{http_code} %{size_download}' http://web1/)" '200 612'
  is "curl -$f, 3 MB, every byte" "$(on client1 curl -$f -s -m $((3 * patience)) http://web1/big | md5sum)" "$(md5sum <"$work/nginx-web1/www/big")"
done
before=$(iop_sum acc1 tcp.accepted)
out=$(for f in 4 6; do
  on client1 sh -c "for i in \$(seq 100); do echo url=http://web1/; echo output=/dev/null; done |
    curl -$f -s -m $((3 * patience)) --no-keepalive -H 'Connection: close' -w '%{http_code}\n' -K -" &
done | sort | uniq -c | tr -s ' '; wait)
is '100 connections of each family at once' "$out" ' 200 200'
cmp_num 'are all accepted on npp' "$(($(iop_sum acc1 tcp.accepted) - before))" -ge 200
cmp_num 'by every IOP' "$(iop_min acc1 tcp.accepted)" -ge 1

# ---- programs that connect ------------------------------------------------------------------
start peer client1 python3 -m http.server --bind :: --directory "$work/nginx-web1/www" 8000
wait_for 10 on client1 curl -s -o /dev/null "http://[::1]:8000/"
is 'curl on npp reaches a server of the kernel' "$(on web1 curl -s -m $((3 * patience)) "http://[$us]:8000/big" | md5sum)" \
  "$(md5sum <"$work/nginx-web1/www/big")"
is 'from the right address' "$(on web1 curl -s -m $((3 * patience)) -o /dev/null -w '%{local_ip}' "http://[$us]:8000/")" "$npp6"
is 'and itself' "$(on web1 curl -s -m $patience -o /dev/null -w '%{http_code}' "http://[$npp6]/")" 200
is 'a closed port refuses' "$(on client1 curl -s -m 5 -o /dev/null "http://[$npp6]:9/"; echo $?)" 7
is 'and from npp' "$(on web1 curl -s -m 5 -o /dev/null "http://[$us]:9/"; echo $?)" 7

# ---- sockets ----------------------------------------------------------------------------------
cat >"$work/sockets.py" <<'P'
import errno, socket, sys
A4, A6, TCP, UDP = socket.AF_INET, socket.AF_INET6, socket.SOCK_STREAM, socket.SOCK_DGRAM

def bind(family, addr, port, v6only=None, kind=TCP):
    s = socket.socket(family, kind)
    if v6only is not None:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
    try:
        s.bind((addr, port))
        if kind == TCP:
            s.listen()
    except OSError as e:
        return errno.errorcode[e.errno]
    return s

def outcome(s):
    return s if isinstance(s, str) else "ok"

for kind in TCP, UDP:
    keep = [bind(A4, "0.0.0.0", 7001, None, kind)]
    print(outcome(keep[0]), outcome(bind(A6, "::", 7001, 0, kind)), outcome(bind(A6, "::", 7001, 1, kind)))
    keep = [bind(A6, "::", 7002, 0, kind)]
    print(outcome(keep[0]), outcome(bind(A4, "0.0.0.0", 7002, None, kind)), outcome(bind(A6, sys.argv[1], 7002, None, kind)))
print(keep[0].getsockname()[0], bind(A6, sys.argv[1], 7003).getsockname()[0])
s = bind(A6, "::", 7004, 0)
u = bind(A6, "::", 7004, 0, UDP)
print("ready", flush=True)
for i in range(2):
    c, peer = s.accept()
    print(peer[0], c.getsockname()[0], c.getpeername()[0], c.family == A6, flush=True)
    c.sendall(b"hello")
    c.close()
for i in range(4):
    d, peer = u.recvfrom(70000)
    print(len(d), peer[0], flush=True)
    u.sendto(d, peer)
P
cat >"$work/asker.py" <<'P'
import os, socket, sys
limit = 10 * int(os.environ["NPP_SLOW"])
for a in sys.argv[1:]:
    s = socket.create_connection((a, 7004), limit)
    assert s.recv(99) == b"hello"
for a in sys.argv[1:]:
    for n in 100, 30000:
        f = socket.AF_INET6 if ":" in a else socket.AF_INET
        s = socket.socket(f, socket.SOCK_DGRAM)
        s.settimeout(limit)
        d = bytes(i & 255 for i in range(n))
        s.sendto(d, (a, 7004))
        assert s.recv(70000) == d, n
print("all right")
P
# The same program on the kernel's stack says what is right.
ip netns exec "$lab-client1" python3 -u "$work/sockets.py" $us >"$work/kernel.out" 2>&1 &
kernel=$!
background+=("$kernel")
wait_for 10 grep -q ready "$work/kernel.out"
kill "$kernel"; wait "$kernel" 2>/dev/null
start sockets web1 python3 -u "$work/sockets.py" $npp6
wait_for 10 grep -q ready "$evidence/sockets.log"
is 'binds conflict as they do on Linux' "$(sed 's/fd00:0:0:1::b/US/; s/fd00:0:0:1::a/US/; /ready/q' "$evidence/sockets.log")" \
  "$(sed 's/fd00:0:0:1::a/US/' "$work/kernel.out")"
is 'a dual-stack listener and datagram socket serve both' "$(on client1 python3 "$work/asker.py" $npp6 10.1.0.11 2>&1 | tail -n1)" 'all right'
is 'under the addresses that belong' "$(sed '1,/ready/d' "$evidence/sockets.log")" \
  "fd00:0:0:1::a fd00:0:0:1::b fd00:0:0:1::a True
::ffff:10.1.0.10 ::ffff:10.1.0.11 ::ffff:10.1.0.10 True
100 fd00:0:0:1::a
30000 fd00:0:0:1::a
100 ::ffff:10.1.0.10
30000 ::ffff:10.1.0.10"

# ---- bulk ---------------------------------------------------------------------------------------
start iperf web1 iperf3 -s --forceflush
turn=0
for args in '' -R '-u -b 20M -l 1200'; do
  wait_for $patience iperf_listens iperf $((++turn))
  out=$(on client1 timeout $((30 * slow)) iperf3 -6 -c web1 -t 1 -J $args 2>&1)
  cmp_num "iperf3 -6 $args" "$(jq -r '(.end.sum_received.bytes // .end.sum.bytes // 0) | floor' <<<"$out" 2>/dev/null || echo 0)" -gt 1000000
done

ok 'npp hash speaks IPv6' sh -c "'$npp' hash '$lab/acc1' $us 40000 $npp6 80 | grep -q '^IOP'"

"$npplab" capture --lab "$lab" client1 -w "$work/four.pcap" --seconds $((30 * slow)) --count 6 ip and tcp >/dev/null 2>"$work/four.err" & capture=$!
wait_for 10 grep -q capturing "$work/four.err"
on client1 curl -4 -s -m $patience -o /dev/null http://web1/
wait $capture

# ---- IPv6 alone: a router and a firewall with BIRD, a switch, a wire -----------------------------
lab_down >/dev/null
lab=${lab}o
lab_up "$topologies/six.yaml"
store=$(awk '$2 == "store" { print $1 }' /etc/netns/"$lab"-client1/hosts)
is 'a lab without IPv4 has no address of it' \
  "$("$npplab" status "$lab" --json | jq -c '[.networks[].subnet, (.nodes[].networks[] | .address)] | unique')" '[""]'
is 'nor a name for one' "$(grep -v '^#' /etc/netns/"$lab"-client1/hosts | grep -v : | tr '\t' ' ')" '127.0.0.1 localhost'
is 'BIRD has routed it by the time it is up' "$(ip -n "$lab-isp" -6 route get 2001:db8:1::80 | grep -o 'via [^ ]*')" \
  "via $(ip -n "$lab-edge" -6 -j addr show dev core | jq -r '.[].addr_info[] | select(.scope == "link").local')"
head -c 300000 /dev/urandom >"$rundir/$lab/web1.dir/www/big"
"$npplab" capture --lab "$lab" client1.home -w "$work/get.pcap" --seconds $((30 * slow)) --json tcp port 80 >"$work/capture.out" 2>"$work/capture.err" & capture=$!
wait_for 10 grep -q capturing "$work/capture.err"
is 'nginx answers through the firewall, over a link of 1280 bytes' "$(on client1 curl -s -m $((3 * patience)) http://web1/big | md5sum)" \
  "$(md5sum <"$rundir/$lab/web1.dir/www/big")"
kill -INT $capture; wait $capture
cmp_num 'a capture that is interrupted has the frames that came before' "$(jq .frames "$work/capture.out")" -ge 10
ok 'npp-load puts load on it' "$npplab" load --lab "$lab" client1 -q -c 4 -n 100 http://web1/
is 'whom the firewall does not let in waits' "$(on client1 curl -s -m 1 -o /dev/null http://store/; echo $?)" 28
start duals web1 python3 -u "$work/sockets.py" 2001:db8:1::80
start store store "$top_builddir/harness/load/npp-load" serve -p 8080 http
wait_for 10 grep -q ready "$evidence/duals.log"
is 'a dual-stack socket has its peers' "$(on store python3 "$work/asker.py" 2001:db8:1::80 2001:db8:1::80 | tail -n1; sed -n '/ready/{n;p}' "$evidence/duals.log")" \
  'all right
'"$store 2001:db8:1::80 $store True"
wait_for 10 grep -q http "$evidence/store.log"
is 'curl on npp by name, to npp-load' "$(on web1 curl -s -m $patience -o /dev/null -w '%{http_code}' http://store:8080/)" 200
is 'an NPP without a given address has that of an advertisement' \
  "$(on web2 curl -s -m $patience -o /dev/null -w '%{http_code} %{local_ip}' http://web1/ | python3 -c 'import ipaddress as i, sys; c, a = input().split(); print(c, i.ip_address(a))')" \
  "200 $(awk '$2 == "web2" { print $1 }' /etc/netns/"$lab"-client1/hosts)"
is 'and is reached under it' "$(on client1 ping -c1 -W$patience web2 | grep -c '1 received')" 1
is 'and by IPv4 there is no such name' "$(on web1 curl -4 -s -m $patience http://store:8080/; echo $?)" 6
like 'a capture is replayed' "$("$npplab" replay --lab "$lab" client1 "$work/get.pcap" --to web1 2>&1)" '^[1-9][0-9]* frames sent on home'
like 'but not one of IPv4' "$("$npplab" replay --lab "$lab" client1 "$work/four.pcap" --to web1 2>&1)" "of IPv4, which was captured, 'client1'"
like 'of a name, the family that is asked for is missed' "$("$npplab" load --lab "$lab" client1 -4 -n 1 http://web1/ 2>&1)" 'web1:80: has no IPv4 address'
"$npplab" fault --lab "$lab" link acc1.rack flap 200ms >/dev/null
ok 'a link goes and comes back' wait_for 10 on store ping -c1 -W1 web1
is 'the table of links keeps its columns' "$("$npplab" links --lab "$lab" | awk '{ print index($0, NR == 1 ? "STATE" : " up ") + (NR > 1) }' | uniq -c | awk '{ print $1 }')" 11
like 'the graph names its networks' "$("$npplab" graph "$lab" -w "$work/six.dot"; cat "$work/six.dot")" 'core  2001:db8:2::/64'
done_testing

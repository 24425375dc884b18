# SPDX-License-Identifier: GPL-2.0-or-later
# greedy.t - one host takes all ports, connections and memory that it can get and floods: the other one on the
# same NPP is served as before, and can have new things of each kind
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin greedy
need jq
python=/usr/bin/python3
[ -x $python ] || skip_all 'needs python3'
load=$top_builddir/harness/load/npp-load
lab_up "$topologies/fig16d.yaml" --set 'nodes.acc1.hosts=[web1, web2]' --set 'nodes.acc1.options={memory: {connections: 512}}'
hosts() { "$npp" hosts "$lab/acc1" --json | jq -c "$1"; }
start serve web1 "$load" serve -p 80 http
start sink client2 $python -u "$here/greedy.py" sink
start echo client2 "$load" serve -p 7001 echo
ok 'the modest host serves' wait_for 10 listening web1 80
measure() { on client1 "$load" -q -j -c 16 -k -d $((3 * slow)) -r 300 -t $((5000 * slow)) http://10.1.0.11/; }
before=$(measure)

start take web2 $python -u "$here/greedy.py" take 10.1.0.21
ok 'the greedy host takes what it can' wait_for 60 grep -q has "$evidence/take.log"
diag "it has: $(cat "$evidence/take.log")"
start stuff client2 $python -u "$here/greedy.py" stuff 10.1.0.11 1500
ok 'and is stuffed by its clients' wait_for 30 grep -q open "$evidence/stuff.log"
diag "stuffed: $(cat "$evidence/stuff.log"), connections $(hosts '[.[0].hosts[] | [.name, .connections]]')"
cmp_num 'it has thousands of connections' "$(hosts '[.[0].hosts[] | select(.name == "web2").connections][0]')" -ge 1000
after=$(measure)
show() { jq -c '{requests, errors_total, latency: (.latency // .latency_ms // .latency_us)}' <<<"$1"; }
diag "before: $(show "$before")"
diag "beside it: $(show "$after")"
is 'no request to the modest host fails' "$(jq .errors_total <<<"$after")" 0
cmp_num 'as many are served' "$(jq .requests <<<"$after")" -ge $(($(jq .requests <<<"$before") * 8 / 10))
is 'it gets new listeners, datagram sockets and connections' "$(on web1 timeout $((3 * patience)) $python -c '
import socket
l, u = [], []
for i in range(100):
    s = socket.socket(); s.bind(("0.0.0.0", 30000 + i)); s.listen(); l.append(s)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("0.0.0.0", 30000 + i)); u.append(s)
n = 0
for i in range(50):
    c = socket.create_connection(("10.1.0.21", 7001), 20); c.settimeout(20); c.sendall(b"hello"); n += c.recv(9) == b"hello"
print(len(l), len(u), n)' 2>&1 | tail -n 1)" '100 100 50'
is 'memory: it sends and gets 64 MB' "$(on web1 timeout $((60 * slow)) "$load" -q -j -c 4 -n 64 -k -b 1000000 -t $((20000 * slow)) echo 10.1.0.21 7001 | jq -c '[.requests, .errors_total]')" '[64,0]'
is 'no protocol error' "$(iop_sum acc1 host.protocol_errors)" 0
ok 'the greedy one is killed' "$npplab" fault --lab "$lab" kill host.web2.python3
# Its peers, too: what it has sent and they do not read is owed to them.
"$npplab" fault --lab "$lab" kill client.client2.python3 >/dev/null
left() { hosts '[.[0].hosts[] | select(.name == "web2") | .connections, .ports]'; }
none_left() { [ "$(left)" = '[0,0]' ]; }
ok 'and all that it had is back' wait_for 30 none_left || diag "left: $(left) $(npp_do conns acc1 --json | jq -c '[.connections[].state] | group_by(.) | map({(.[0]): length}) | add')"
is 'the modest one was never interrupted' "$(measure | jq .errors_total)" 0
ok 'down' lab_down
is 'nothing is left' "$(leftovers "$lab")" ''
done_testing

# SPDX-License-Identifier: GPL-2.0-or-later
# nodes.t - wires, firewalls and programs of a topology
#
#   c1 ==wire== lan -- fw -- dmz ==wire== acc1 (2 IOPs) == web1
#   c2 ---------+             +---------- web2
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin nodes
need ping curl jq nft python3
cat >"$work/t.yaml" <<'Y'
networks:
  lan: {subnet: 10.1.0.0/24}
  dmz: {subnet: 10.2.0.0/24}
nodes:
  c1: {kind: client, networks: {lan: {wire: {delay: 10ms, down: {rate: 100mbit}}}}}
  c2: {kind: client, networks: lan}
  fw:
    kind: firewall
    networks: [lan, dmz]
    rules: |
      table inet filter {
        chain forward {
          type filter hook forward priority 0; policy drop;
          ct state established,related accept
          tcp dport 8080 accept
          ip protocol icmp accept
        }
      }
  acc1: {kind: npp, iops: 2, networks: {dmz: {wire: yes}}}
  web1: {kind: host, stack: npp, npps: [acc1], start: [{name: py, command: 'exec python3 -m http.server -d $NPP_LAB_FILES 8080', ready: {port: 8080}}]}
  web2:
    kind: host
    networks: dmz
    start:
      - {name: py, command: 'exec python3 -m http.server 8080', ready: {command: 'curl -s http://web2:8080/ >/dev/null'}}
      - {name: other, command: 'exec python3 -m http.server 8081', ready: {port: 8081}}
      - {command: 'echo hello $NPP_LAB_NODE; touch $NPP_LAB_DIR/here'}
Y
lab_up "$work/t.yaml"
rtt() { on c1 ping -q -c3 -i0.05 "$1" | sed -n 's|^rtt[^=]*= \([0-9]*\).*|\1|p'; }
ok 'the way is open' on c1 ping -c1 -W$patience web2
cmp_num 'a wire on the link of a client delays' "$(rtt web2)" -ge 20
ok 'the NPP behind a wire answers' on c2 ping -c1 -W$patience web1
on c1 curl -s -m $patience http://web1:8080/t.yaml >"$work/got"
ok 'a program on an npp host was started and serves' cmp "$work/got" "$work/t.yaml"
ok 'one on the kernel too' on c2 curl -s -m $patience -o /dev/null http://web2:8080/
not_ok 'the firewall lets nothing else through' on c2 curl -s -m 1 -o /dev/null http://web2:8081/
wait_for 5 test -s "$rundir/$lab/web2.echo.log"
is 'output goes to a log, the name comes from the command' "$(cat "$rundir/$lab/web2.echo.log")" 'hello web2'
ok 'a program has a directory' test -e "$rundir/$lab/web2.dir/here"
# A carrier that is lost at one end of a wire is lost at the other, as without a wire.
fault() { "$npplab" fault --lab "$lab" "$@"; }
port_is() { [ "$(npp_do stat acc1 --json | jq -c '.ports[0].up')" = "$1" ]; }
link_has() { "$npplab" links --lab "$lab" --json | jq -e --arg n "$1" --argjson c "$2" '.[] | select(.node == $n) | .carrier == $c'; }
sees() { [ "$(on "$1" cat "/sys/class/net/$2/carrier")" = "$3" ]; }
ok 'the link of an NPP behind a wire fails' fault link acc1 down
ok 'and the NPP sees it' wait_for 5 port_is false
ok 'the link is back' fault link acc1 up
ok 'so is the port' wait_for 5 port_is true
ok 'which works' wait_for 5 on c2 ping -c1 -W1 web1
ok 'the link of a client behind a wire fails' fault link c1 down
ok 'and the client sees it' wait_for 5 sees c1 lan 0
fault link c1 up >/dev/null
ok 'and its return' wait_for 5 sees c1 lan 1
on acc1 ip link set acc1 down
ok 'the network sees that the port of an NPP is gone' wait_for 5 link_has acc1 false
on acc1 ip link set acc1 up
ok 'and when it is back' wait_for 5 link_has acc1 true
ok 'all is as before' wait_for 5 on c1 curl -s -m 2 -o /dev/null http://web1:8080/t.yaml
ok 'down' lab_down
is 'nothing is left' "$(leftovers "$lab")" ''

# What goes wrong is said, and everything is taken down again.
refused()
{
  local name=$1 want=$2 out
  shift 2
  out=$("$npplab" up "$work/t.yaml" --name "$lab" "$@" 2>&1)
  is "$name: up fails" $? 1
  like "$name: says why" "$out" "$want"
  is "$name: nothing is left" "$(leftovers "$lab")" ''
}
refused 'a program that ends' "web2: 'bad' exited with status 3: oh no" \
  --set 'nodes.web2.start=[{name: bad, command: "echo oh no >&2; exit 3", ready: {port: 80}}]'
refused 'a program that is never ready' "web2: 'bad' is not ready after 0.3 s" \
  --set 'nodes.web2.start=[{name: bad, command: "exec sleep 60", ready: {port: 80}, deadline: 300ms}]'
refused 'a condition that does not end' "web2: 'bad' is not ready after 0.3 s" \
  --set 'nodes.web2.start=[{name: bad, command: "exec sleep 60", ready: {command: "sleep 50; true"}, deadline: 300ms}]'
# One without a condition has a tenth of a second for that: some try shows it.
fails_at_once()
{
  ! "$npplab" up "$work/t.yaml" --name "$lab" --set 'nodes.web2.start=[{name: bad, command: nosuchprogram}]' >"$work/at-once" 2>&1 ||
    { lab_down; false; }
}
ok 'a program that is not there: up fails' wait_for 60 fails_at_once
like 'a program that is not there: says why' "$(cat "$work/at-once")" "web2: 'bad' exited with status 127: .*not found"
refused 'rules that are wrong' "rules of 'fw': nft: .*syntax error" --set 'nodes.fw.rules=tabel x'
refused 'a setting that no wire has' "t.yaml:5: key 'nodes.c1.networks.lan.wire.dely': .*did you mean 'delay'" \
  --set 'nodes.c1.networks.lan.wire={dely: 3ms}'
refused 'a direction that is no map' 'expected a map of settings' --set 'nodes.c1.networks.lan.wire={up: 3ms}'
refused 'rules of a client' 'only a firewall has rules' --set 'nodes.c2.rules=x'
refused 'the same program twice' "'py' stands here twice" \
  --set 'nodes.web2.start=[{name: py, command: x}, {name: py, command: y}]'
done_testing

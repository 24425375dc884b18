# SPDX-License-Identifier: GPL-2.0-or-later
# two-switches.t - an NPP with a port on each of two switches of one LAN: one takes the other's place
#
#   client -- sw1 ==(tie)== sw2          10.80.0.0/24, both
#              |             |
#              +---- acc ----+           .11 and .12, and .100 as a whole
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin switches
need jq ping
python=/usr/bin/python3
[ -x $python ] || skip_all 'needs python3'
cat >"$work/lan.yaml" <<'Y'
ipv6: yes
networks: {sw1: {subnet: 10.80.0.0/24}, sw2: {}}
nodes:
  tie:    {kind: switch, networks: [sw1, sw2]}
  client: {kind: client, networks: {sw1: 10.80.0.20}}
  acc:    {kind: npp, iops: 2, networks: {sw1: 10.80.0.11, sw2: 10.80.0.12}, addresses: [10.80.0.100, 'fd00:0:0:1::100']}
  web:    {kind: host, stack: npp, npps: [acc]}
Y
lab_up "$work/lan.yaml"
start echo web $python -u "$here/ports.py" echo 7000
ok 'it serves' wait_for 10 grep -q ready "$evidence/echo.log"
mac() { on client ip -j neigh show "$1" | jq -r '.[0].lladdr'; }
answers() { on client ping -n -q -c 1 -W 2 "$1"; }
is_at() { answers "$1"; [ "$(mac "$1")" = "$2" ]; }
one=02:00:0a:50:00:0b two=02:01:0a:50:00:0c
for a in 10.80.0.100 fd00:0:0:1::100; do
  ok "$a answers" wait_for 10 answers $a
  is "$a is at the first port, and only there" "$(mac $a)" $one
done
ok 'the address of the second port is there' wait_for 10 is_at 10.80.0.12 $two

start talk client $python "$here/ports.py" talk "$work/talk" $((6 * slow)) 10.80.0.100 fd00:0:0:1::100 10.80.0.11
talk=$started
sleep $slow
ok 'the first port fails' "$npplab" fault --lab "$lab" link acc.sw1 down
# No packet of the client is needed: it is told.
told() { [ "$(mac "$1")" = "$2" ]; }
for a in 10.80.0.100 fd00:0:0:1::100 10.80.0.11; do
  ok "the client is told where $a is now" wait_for 5 told $a $two
done
like 'npp status says so' "$("$npp" status "$lab/acc")" 'port 0 \(acc on sw1\) has no carrier'
sleep $slow
ok 'it is back' "$npplab" fault --lab "$lab" link acc.sw1 up
for a in 10.80.0.100 fd00:0:0:1::100 10.80.0.11; do
  ok "the client is told again where $a is" wait_for 5 told $a $one
done
wait $talk
is 'the sessions ended well' $? 0
diag "$(cat "$work/talk")"
is 'none was lost' "$(jq -c '[.[].error] | unique' "$work/talk")" '[null]'
is 'the NPP does not take its own ports for somebody else' "$(iop_sum acc acd.conflicts)" 0
lab_down
is 'nothing is left' "$(leftovers "$lab")" ''
done_testing

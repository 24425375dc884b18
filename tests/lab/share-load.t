# SPDX-License-Identifier: GPL-2.0-or-later
# share-load.t - two hosts share one NPP by load: a slow one has less, a stuck one nothing new
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin share-load
need jq
python=/usr/bin/python3
[ -x $python ] || skip_all 'needs python3'
hosts() { "$npp" hosts "$lab/acc1" --json | jq -c "$1"; }
serve() { start "serve-$1-$2" "$1" $python -u "$here/share-load.py" serve "$1" "$2" "$3"; }
ask() { on client1 $python "$here/share-load.py" ask 10.1.0.11 "$@"; }
# Answers of web2 for each of web1, times 10.
ratio() { jq '((.all.web2 // 0) * 10 / (.all.web1 // 0.1)) | floor' <<<"$1"; }
wrong() { jq '[.all | to_entries[] | select(.key | startswith("!")).value] | add // 0' <<<"$1"; }

lab_up "$topologies/fig16d.yaml" --set 'nodes.acc1.hosts={web1: 1, web2: 1}' --set nodes.acc1.policy=load \
  --set 'nodes.web1.options={grace_ms: 300}'
is 'they share by load' "$(hosts '.[0].policy')" '"load"'
serve web1 7000 150
serve web2 7000 5
ok 'the slow host serves' wait_for 10 grep -q ready "$evidence/serve-web1-7000.log"
ok 'the quick host serves' wait_for 10 grep -q ready "$evidence/serve-web2-7000.log"
ok 'on all IOPs' wait_for 10 eval 'npp_do listeners acc1 --json | jq -e "[.listeners[] | select(.port == 7000).replicas | length] | add == 8"'
out=$(ask 7000 $((4 * slow)) 24)
diag "by load: $out"
is 'no connection is lost' "$(wrong "$out")" 0
cmp_num 'the quick host has most, by load' "$(ratio "$out")" -ge 40

# The program of one host stands still. It accepts nothing, so what it has stays open.
ok 'a program of the slow host is stopped' "$npplab" fault --lab "$lab" stop host.web1.python3
out=$(ask 7000 $((4 * slow)) 24)
diag "one stuck: $out"
cmp_num 'the other one serves on' "$(jq '.late.web2 // 0' <<<"$out")" -ge 50
ok 'it goes on' "$npplab" fault --lab "$lab" cont host.web1.python3
ok 'and answers again' wait_for 20 eval "ask 7000 1 24 | jq -e '.all.web1 > 0 and .all.web2 > 0'"
ok 'connections are counted down again' wait_for 10 eval "hosts '[.[0].hosts[].connections] | add == 0' | grep -q true"
like 'npp hosts shows the policy' "$("$npp" hosts "$lab/acc1")" 'web2 .* attached +load +1 '


# A host may ask for less patience than its NPP has (1000 ms).
ok 'all of the host is killed' "$npplab" fault --lab "$lab" kill host.web1
ok 'its own grace_ms counts' wait_for 10 grep -q 'host web1 (number [01]) is gone; it has 300 ms to come back' "$rundir/$lab/acc1.log"
ok 'and ends' wait_for 10 eval "hosts '[.[0].hosts[] | select(.name == \"web1\") | .state, .failures] == [\"absent\", 1]' | grep -q true"
is 'the other one has all' "$(ask 7000 1 8 | jq -c '.all | keys')" '["web2"]'
is 'no protocol error of a host' "$(iop_sum acc1 host.protocol_errors)" 0
ok 'down' lab_down
is 'nothing is left' "$(leftovers "$lab")" ''

# By weight the same two.
lab_up "$topologies/fig16d.yaml" --set 'nodes.acc1.hosts={web1: 1, web2: 1}'
serve web1 7000 150
serve web2 7000 5
wait_for 10 eval 'npp_do listeners acc1 --json | jq -e "[.listeners[] | select(.port == 7000).replicas | length] | add == 8"'
out=$(ask 7000 $((4 * slow)) 24)
diag "by weight: $out"
cmp_num 'by weight the slow host has as much' "$(ratio "$out")" -le 30
ok 'down again' lab_down
done_testing

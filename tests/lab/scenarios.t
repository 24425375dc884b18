# SPDX-License-Identifier: GPL-2.0-or-later
# scenarios.t - npp-lab run: the scenarios that come with npp, reports, what goes wrong
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin run
need nginx jq python3 curl nft haproxy redis-server redis-cli ping
labs+=("$lab")

run()
{
  "$npplab" run "$1" --name "$lab" -w "$work/report" "${@:2}" >"$work/out" 2>"$work/err" </dev/null
  status=$?
  [ "$status" = 0 ] || cp -r "$work/report" "$evidence/$(basename "$1" .yaml)" 2>/dev/null
  return "$status"
}
# Figures of a time in which nothing on this machine got to run mean nothing: the report
# says how long that was.
run_quiet()
{
  local i
  for i in 1 2 3; do
    run "$1" && return 0
    [ "$(jq '.late_ms | floor' "$work/report/report.json" 2>/dev/null || echo 0)" -ge 50 ] || return 1
  done
  return 1
}
shows() { cat "$work/out" "$work/err"; }

for s in isp-loss osm-killed host-fails network-fails port-fails nginx-reload dispatcher-restarted memory-gone hugepages-gone mixed \
  behind-firewall server-leaves baseline-kernel baseline-one way-fails; do
  if $sanitized && [ "$s" = mixed ]; then continue; fi	# its figures are of speed
  ok "$s passes" eval "run_quiet $topologies/scenarios/$s.yaml || { shows; false; }"
  is "$s: nothing is left" "$(leftovers "$lab")" ''
done

# A scenario that sees what it must: an error of each kind of figure.
cat >"$work/s.yaml" <<'Y'
name: short
topology: pair-kernel.yaml
set:
  - 'nodes.client1.networks={lan: {address: 10.1.0.10, wire: yes}}'
  - 'nodes.web1.start=[{command: "exec $NPP_LAB_LOAD serve -p 80 http", name: www, ready: {port: 80}}]'
timeline:
  - {at: 0s, load: c1, node: client1, target: 'http://web1/', connections: 4, rate: 100, for: 3s, options: -t 500}
  - {at: 1s, impair: client1, with: {blackout: 700ms}}
  - {at: 1s, run: 'echo "a <tag> & more in ${NPP_LAB_DIR##*/}"', node: web1}
expect:
  - {client: c1, errors: 0, during: [0s, 1s]}
  - {client: c1, rps: '>= 50', p50_ms: '<= 100', during: [0s, 900ms]}
  - {client: c1, errors: 0, gap_ms: '< 100'}
Y
cp "$topologies/pair-kernel.yaml" "$work"
run "$work/s.yaml"
is 'a blackout makes a scenario fail' $? 1
report=$work/report/report.json
is 'passed is false' "$(jq .passed "$report")" false
is 'before it all was well' "$(jq -c '[.expectations[] | select(.during) | .ok]' "$report")" '[true,true,true]'
cmp_num 'the gap was seen' "$(jq '.expectations[] | select(.metric == "gap_ms").got | floor' "$report")" -ge 400
cmp_num 'the series has a line for each interval' "$(jq '.clients[0].series | length' "$report")" -ge 20
is 'losses of wires were sampled' "$(jq -c '[.samples[] | select(.kind == "wire_drops").name]' "$report")" '["client1.lan"]'
is 'a command finds its place' "$(jq -r '.events[] | select(.said | test("tag")).said' "$report")" 'a <tag> & more in web1.dir'
well_formed()
{
  python3 - "$work/report" <<'P'
import re, sys, xml.dom.minidom as m
d = sys.argv[1]
suite = m.parse(d + '/junit.xml').getElementsByTagName('testsuite')[0]
assert int(suite.getAttribute('failures')) >= 1 and len(suite.getElementsByTagName('testcase')) == int(suite.getAttribute('tests'))
page = open(d + '/report.html').read()
svgs = re.findall(r'<svg.*?</svg>', page, re.S)
assert len(svgs) >= 3, len(svgs)
for s in svgs:
    m.parseString(s)
assert 'src=' not in page and 'href=' not in page and '<tag>' not in page
P
}
ok 'JUnit XML and the plots are well-formed' well_formed
is 'nothing is left' "$(leftovers "$lab")" ''

# When service is back, and what it cost: connections and datagrams.
sed -e '/^expect:/,$d' -e 's/blackout: 700ms/blackout: 500ms/' "$work/s.yaml" >"$work/b.yaml"
cat >>"$work/b.yaml" <<'Y'
expect:
  - {client: c1, back_ms: '>= 400', connects: '>= 1', during: [1s, 3s]}
  - {client: c1, lost: 0}
Y
ok 'a blackout: when service is back, and what had to be opened anew' eval 'run_quiet "$work/b.yaml" || { shows; false; }'

# Load that cannot even begin is no load that sees errors.
cat >"$work/n.yaml" <<'Y'
name: none
topology: pair-kernel.yaml
timeline:
  - {at: 0s, load: c1, node: client1, target: 'http://web1/', for: 100ms}
  - {at: 0s, load: c2, node: client1, target: 'http://web1/', for: 100ms, options: --bogus}
Y
run "$work/n.yaml"
is 'load that cannot begin makes a scenario fail' "$? $(jq -c '[.events[].failed]' "$report")" '1 [false,true]'

# What is wrong with a file is said before anything is made.
wrong()
{
  sed "$2" "$work/s.yaml" >"$work/w.yaml"
  run "$work/w.yaml"
  is "$1: refused" $? 1
  like "$1: says why" "$(shows)" "$3"
}
wrong 'a client that does not exist' 's/{client: c1, rps/{client: c9, rps/' "w.yaml:12: .*no 'load' of the time line is called 'c9'"
wrong 'an expectation that is none' "s/'>= 50'/'about 50'/" "w.yaml:12: .*rps.*'about 50' is no expectation"
wrong 'a setting no wire has' 's/blackout: 700ms/blakout: 700ms/' "w.yaml:8: .*did you mean 'blackout'"
wrong 'an impairment without settings' 's/{blackout: 700ms}/{}/' "w.yaml:8: .*has no settings"
wrong 'two things at once' 's/at: 1s, impair: client1/at: 1s, fault: kill x, impair: client1/' "w.yaml:8: .*expected one of"
wrong 'a window that ends first' 's/\[0s, 1s\]/[2s, 1s]/' 'w.yaml:11: .*ends before it begins'
wrong 'load without an end' 's/, for: 3s//' "w.yaml:7: .*load needs 'target'"
wrong 'a topology that is not there' 's/pair-kernel/nowhere/' 'nowhere.yaml'
wrong 'a node that is not there' 's/node: web1/node: web9/' "topology 'pair-kernel.yaml' has no node 'web9'"
is 'nothing is left of any' "$(leftovers "$lab")" ''

# check knows scenarios, and sees more: what the topology does not have.
for s in "$topologies"/scenarios/*.yaml; do
  like "check of $(basename "$s")" "$("$npplab" check "$s" 2>&1)" ": scenario '.*', [0-9.]+ s, "
done
sed 's/node: web1/node: web9/; s/impair: client1/impair: c9.lan/' "$work/s.yaml" >"$work/w.yaml"
out=$("$npplab" check "$work/w.yaml" 2>&1); is 'check of a wrong one' $? 1
like 'names the node' "$out" "w.yaml:[0-9]+: .*node': .* has no node 'web9'"
like 'and the link' "$out" "impair': .* has no link 'c9.lan'"
is 'check --json' "$("$npplab" check --json "$work/w.yaml" | jq -c '[.ok, (.errors | length > 0)]')" '[false,true]'
"$npplab" run "$work/s.yaml" --name "$lab" -w /proc/x >"$work/out" 2>"$work/err" </dev/null
is 'no place for the report: refused' $? 1
is 'before anything was done' "$(cat "$work/out" "$work/err")" 'npp-lab: cannot make /proc/x: No such file or directory'
is 'as JSON' "$("$npplab" run "$work/s.yaml" --name "$lab" -w /proc/x --json 2>/dev/null | jq -c '[.passed, .errors]')" \
  '[false,["cannot make /proc/x: No such file or directory"]]'
is 'a lab that does not come up, as JSON' "$("$npplab" run "$work/s.yaml" --name "$lab" -w "$work/none" --json \
  --set 'nodes.web1.start=[{command: "exit 3", name: www, ready: {port: 80}}]' 2>/dev/null | jq -c '[.passed, (.errors | length)]')" '[false,1]'
not_ok 'which leaves no empty report' test -e "$work/none"

# Interrupted in the middle: reported and taken down.
rm -f "$work/out" "$work/err"
"$npplab" run "$work/s.yaml" --name "$lab" -w "$work/report" >"$work/out" 2>"$work/err" </dev/null &
pid=$!
background+=("$pid")
wait_for 10 grep -q 'load c1' "$work/err"
kill -TERM "$pid"
wait "$pid"
is 'an interrupted run fails' $? 1
like 'and says so' "$(cat "$work/out")" 'FAILED.*interrupted'
ok 'in reports that are well-formed' eval 'jq . "$work/report/report.json" && ! grep -w nan "$work/report/"*'
is 'and leaves nothing' "$(leftovers "$lab")" ''

# Its lab taken down by somebody else. It does not mind that its terminal goes, being told not to.
rm -f "$work/out" "$work/err"
nohup "$npplab" run "$work/s.yaml" --name "$lab" -w "$work/report" --json >"$work/out" 2>"$work/err" </dev/null &
pid=$!
background+=("$pid")
wait_for 10 grep -q 'load c1' "$work/err"
kill -HUP "$pid"
ok 'somebody takes the lab of a run down' "$npplab" down "$lab"
wait "$pid"
is 'the run fails' $? 1
is 'the report does not say that all is well' "$(jq -c '[.passed, .interrupted]' "$work/out")" '[false,true]'
like 'but why' "$(cat "$work/err")" "lab '$lab' has gone"

# Killed in the middle: its lab is dead, since nobody would take it down. (Its own run directory: clean is for all.)
mkdir "$work/rundir"
rm -f "$work/err"
NPP_RUNDIR=$work/rundir "$npplab" run "$work/s.yaml" --name "$lab-k" -w "$work/report" >"$work/out" 2>"$work/err" </dev/null &
pid=$!
background+=("$pid")
wait_for 10 grep -q 'load c1' "$work/err"
kill -KILL "$pid"
wait "$pid" 2>/dev/null
is 'the lab of a run that was killed is dead' "$(NPP_RUNDIR=$work/rundir "$npplab" list --json | jq -r '.[].state')" dead
ok 'clean' env NPP_RUNDIR="$work/rundir" "$npplab" clean
is 'and nothing of it is left' "$(leftovers "$lab-k"; ls "$work/rundir")" ''

# All that is wrong is said at once, before a lab is made.
cp "$topologies/pair.yaml" "$work"
cat >"$work/bad.yaml" <<'Y'
name: bad
topology: pair.yaml
timeline:
  - {at: 0s, load: c1, node: nobody, target: 'http://web1/', for: 3x}
  - {at: 1s, impair: client9, with: {dely: 3ms}}
  - {at: 1s, impair: client1, with: {delay: 3ms}}
  - {at: 1s, fault: kil web1}
  - {at: 1s, fault: link nolink down}
  - {at: 1s, fault: kill npp.acc9.ism0}
  - {at: 1s, fault: kill wire.client1.lan}
  - {at: 1s, fault: partition lan web1}
  - {at: 1s, fault: heal wan}
  - {at: 1s, bogus: 3}
  - {at: 1s, fault: kill npp.acc1.ism4}
  - {at: 1s, fault: kill host.web1.dispatch}
  - {at: 1s, load: c2, node: client1, target: 'htp://web1/', for: 1s}
expect:
  - {client: zz, errors: none}
  - {client: c2, errors: 0, during: [90s, 91s]}
Y
run "$work/bad.yaml"
is 'a scenario full of errors' $? 1
is 'each line of it is named' "$(sed -n 's/.*bad.yaml:\([0-9]*\):.*/\1/p' "$work/err" | sort -n | uniq | xargs)" '4 5 6 7 8 9 10 11 12 13 14 15 16 18 19'
like 'with what is wrong: a node' "$(cat "$work/err")" "bad.yaml:4: key 'timeline.0..node': topology 'pair.yaml' has no node 'nobody'"
like 'a link without a wire' "$(cat "$work/err")" "bad.yaml:6: .*link 'client1' has no wire"
like 'a role' "$(cat "$work/err")" "bad.yaml:9: .*'npp.acc9.ism0' is no role"
like 'an IOP that is not there' "$(cat "$work/err")" "bad.yaml:14: .*'acc1' has nppd, dispatch, and ism0 to ism3"
like 'a target that is none' "$(cat "$work/err")" "bad.yaml:16: .*'htp://web1/' is none"
is 'as JSON, too' "$("$npplab" run "$work/bad.yaml" --name "$lab" --json 2>/dev/null | jq -c '[.passed, (.errors | length) >= 11]')" '[false,true]'
run "$work/bad.yaml" --set nodes.acc1.iops=77
like 'and what is wrong with its topology' "$(cat "$work/err")" "pair.yaml:[0-9]*: key 'nodes.acc1.iops': 77 is too large"
is 'no lab was made' "$(leftovers "$lab")" ''
done_testing

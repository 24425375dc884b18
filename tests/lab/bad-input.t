# SPDX-License-Identifier: GPL-2.0-or-later
# bad-input.t - what npp-lab says to files and wishes that cannot be, at once, and leaves nothing;
# the schema for editors knows the same keys as the loader
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin bad
need jq python3 setpriv
export NPP_RUNDIR=$work/run
rundir=$NPP_RUNDIR

# refused NAME STATUS REGEX COMMAND...: at once, with a clear answer
refused()
{
  local name=$1 status=$2 regex=$3 out got
  shift 3
  out=$(timeout $((20 * slow)) "$@" 2>&1 </dev/null)
  got=$?
  is "$name: refused" "$got" "$status"
  like "$name: says why" "$out" "$regex"
}

refused 'no file' 1 'nowhere.yaml: No such file' "$npplab" up "$work/nowhere.yaml" --name "$lab"
refused 'a directory' 1 'Is a directory' "$npplab" up "$work" --name "$lab"
head -c 100000 /dev/urandom >"$work/noise.yaml"
refused 'not YAML at all' 1 'noise.yaml: *not YAML|noise.yaml:[0-9]+: not YAML' "$npplab" up "$work/noise.yaml" --name "$lab"
: >"$work/empty.yaml"
refused 'an empty file' 1 'is empty' "$npplab" up "$work/empty.yaml" --name "$lab"
python3 -c "
print('networks: {lan: {subnet: 10.0.0.0/16}}\nnodes:')
for i in range(500): print(f'  n{i}: {{kind: client, networks: lan}}')" >"$work/many.yaml"
refused '500 nodes' 1 "nodes.: has 500 entries, at most 250 allowed" "$npplab" up "$work/many.yaml" --name "$lab"
python3 -c "print('a: ' + '[' * 100000)" >"$work/deep.yaml"
refused 'nested without end' 1 'nested deeper than|larger than' "$npplab" up "$work/deep.yaml" --name "$lab"
refused 'a name too long for a lab' 1 'is no name for a lab: 1 to 31' "$npplab" up "$topologies/pair.yaml" --name "$(printf 'x%.0s' $(seq 40))"
refused 'a name that begins like an option' 1 'is no name for a lab: .*the first a letter' "$npplab" up "$topologies/pair.yaml" --name -x
refused 'a name that leads elsewhere' 1 'is no name for a lab' "$npplab" up "$topologies/pair.yaml" --name ../x
refused 'down of what is not up' 1 "there is no lab '$lab'" "$npplab" down "$lab"
refused 'down, and none is up' 1 'no lab is up' "$npplab" down
refused 'status of what is not up' 1 "there is no lab '$lab'" "$npplab" status "$lab"
refused 'exec in what is not up' 125 "there is no lab '$lab'" "$npplab" exec --lab "$lab" x -- true
for v in up down clean; do
  arg=$([ $v = up ] && echo "$topologies/pair.yaml")
  # shellcheck disable=SC2086
  refused "$v without root" 1 "$v needs to be root" setpriv --reuid 65534 --clear-groups "$npplab" $v $arg
done
refused 'a run directory where none can be' 1 "cannot make /proc/nowhere" env NPP_RUNDIR=/proc/nowhere "$npplab" up "$topologies/pair.yaml"

# Options are checked with the file; what only nppd can know it says, and everything goes again.
refused 'an option that nppd does not have' 1 "'require' is not one of auto, always, never" "$npplab" up "$topologies/pair.yaml" --name "$lab" \
  --set 'nodes.web1.options={hugepages: require}'
refused 'an NPP that does not start, though its host stands before it' 1 "nppd of 'acc1' did not start" \
  "$npplab" up "$topologies/fig17b.yaml" --name "$lab" --set nodes.acc1.iops=16 \
  --set 'nodes.acc1.options={hugepages: always, reserve: no, memory: {rx_ring: 1G}}'
refused 'more hugepages than the machine has' 1 '[Hh]ugepages' "$npplab" up "$topologies/pair.yaml" --name "$lab" \
  --set nodes.web1.memory=64G --set 'nodes.web1.options={hugepages: always, reserve: no}'
is 'nothing is left of it' "$(leftovers "$lab")" ''

labs+=("$lab")
ok 'up, by somebody with a strict umask' sh -c 'umask 077; exec "$@"' - "$npplab" up "$topologies/pair-kernel.yaml" --name "$lab"
is 'servers that drop privileges reach their files all the same' "$(stat -c %a "$rundir/$lab" "/etc/netns/$lab-web1/hosts" | xargs)" '755 644'
refused 'up of what is up' 1 "lab '$lab' is up already" "$npplab" up "$topologies/pair-kernel.yaml" --name "$lab"
refused 'exec on a node that is not there' 125 "has no node and no network 'web9'" "$npplab" exec --lab "$lab" web9 -- true
refused 'a program that is not there' 127 'cannot run no-such-program' "$npplab" exec --lab "$lab" web1 -- no-such-program
is 'what su leaves out of PATH is there' "$(env -u PATH "$npplab" exec --lab "$lab" web1 -- sh -c 'echo $PATH')" \
  /usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin
(exec "$npplab" exec --lab "$lab" web1 -- sh -c 'exit 42')
is 'exec has the exit status of the program' $? 42
ok 'down' "$npplab" down "$lab"

# A lab.json that nobody can read stands in nobody's way for long.
mkdir -p "$rundir/$lab"
echo '{nonsense' >"$rundir/$lab/lab.json"
refused 'a lab.json that makes no sense' 1 'makes no sense, left alone' "$npplab" clean
like 'list shows it' "$("$npplab" list)" "^$lab +unreadable"
rm -r "${rundir:?}/$lab"
is 'clean as JSON, with nothing to do' "$("$npplab" clean --json | jq -c .)" '[]'

# The schema
"$npplab" schema >"$work/schema.json"
ok 'the schema is JSON' jq -e '.properties.nodes.additionalProperties.properties.kind.enum | index("npp")' "$work/schema.json"
is 'bounds are the loader'"'"'s' "$(jq -c '.properties.nodes.additionalProperties.properties.iops | [.minimum, .maximum, .default]' "$work/schema.json")" '[1,32,4]'
if python3 -c 'import jsonschema, yaml' 2>/dev/null; then
  follow_it()
  {
    python3 - "$work/schema.json" "$topologies"/*.yaml <<'P'
import copy, json, sys, jsonschema, yaml
schema = json.load(open(sys.argv[1]))
v = jsonschema.Draft202012Validator(schema)
v.check_schema(schema)
for name in sys.argv[2:]:
    doc = yaml.safe_load(open(name))
    errors = list(v.iter_errors(doc))
    assert not errors, (name, errors[0].message)
    node = next(iter(doc['nodes']))
    for change in ({'kind': 'server'}, {'iops': 33}, {'colour': 'red'}, {'start': [{'name': 'x'}]}):
        bad = copy.deepcopy(doc)
        bad['nodes'][node].update(change)
        assert list(v.iter_errors(bad)), (name, change)
P
  }
  ok 'all topologies follow it, and mistakes do not' follow_it
  same_units()
  {
    python3 - "$work/schema.json" "$topologies/pair.yaml" "$npplab" <<'P'
import copy, json, subprocess, sys, jsonschema, yaml
v = jsonschema.Draft202012Validator(json.load(open(sys.argv[1])))
doc = yaml.safe_load(open(sys.argv[2]))
doc['nodes']['web1']['start'] = [{'name': 'x', 'command': 'true', 'deadline': '1s'}]
values = {
    ('ipv6',): ['yes', 'no', 'on', 'true', 'maybe', '1'],
    ('nodes', 'web1', 'memory'): ['128M', '128m', '64MiB', '1.5G', '33554432', '1T', '64 M', 'M', '-64M', '64Mbit'],
    ('nodes', 'web1', 'start'): ['null', '[]', '{}', 'x'],
    ('nodes', 'web1', 'start', 0, 'ready'): ['null', '[]', 'x'],
    ('networks', 'lan', 'subnet'): ['10.1.0.0/24', '10.1.0.0/', 'lan', 'x y'],
    ('nodes', 'acc1', 'options'): ['null', '{dispatch: null}', '{dispatch: {mask: null}}', '{dispatch: {mask: []}}', '{tcp: null}'],
    ('networks',): ['null', '{}'],
    ('nodes', 'acc1', 'addresses'): ['null', '[]', '10.1.0.20', 'x y'],
    ('nodes', 'web1', 'start', 0, 'deadline'): ['5s', '500ms', '0.5min', '0.1h', '5', '0', '5 s', '5sec', 's', '-5s'],
}
for path, texts in values.items():
    for text in texts:
        new = copy.deepcopy(doc)
        at = new
        for key in path[:-1]:
            at = at[key]
        # As editors read it: YAML 1.2, in which yes and no are words.
        at[path[-1]] = text if text in ('yes', 'no', 'on') else yaml.safe_load(text)
        file = sys.argv[1] + '.yaml'
        open(file, 'w').write(yaml.safe_dump(new).replace(f"'{text}'", text))
        loads = subprocess.run([sys.argv[3], 'check', file], capture_output=True).returncode == 0
        assert loads == (not list(v.iter_errors(new))), (path, text, loads)
P
  }
  ok 'units mean the same to both' same_units
fi

# Completion
if [ -e "$top_srcdir/harness/completion/npp-lab" ]; then
  complete_() { # WORDS...: what completes the last one
    # shellcheck disable=SC1090,SC1091
    (. "$top_srcdir/harness/completion/$1"; COMP_WORDS=("${@:2}"); COMP_CWORD=$(($# - 2)); "_${1//-/_}"; printf '%s\n' "${COMPREPLY[@]}" | xargs)
  }
  is 'verbs complete' "$(complete_ npp-lab "$npplab" gr)" graph
  is 'options complete' "$(complete_ npp-lab "$npplab" capture --cou)" --count
  is 'settings of wires complete' "$(complete_ npp-lab "$npplab" impair c1 dupl)" duplicate=
  mkdir -p "$work/sites"
  touch "$work/sites/my site.yaml" "$work/sites/my notes"
  is 'topologies complete, blanks and all' "$(complete_ npp-lab "$npplab" up "$work/sites/my")" "$work/sites/my site.yaml"
  is 'verbs of npp complete' "$(complete_ npp "$npp" liste)" listeners
  mkdir -p "$work/names/l1"
  touch "$work/names/h9.osm.sock" "$work/names/h9.sock" "$work/names/l1/a1.sock" "$work/names/l1/wire.c.lan.sock"
  is 'hosts after --host' "$(NPP_RUNDIR=$work/names complete_ npp "$npp" run --host '')" h9
  is 'names, each once' "$(NPP_RUNDIR=$work/names complete_ npp "$npp" conns '')" 'h9 l1/a1 --json'
  is 'what can be restarted' "$(complete_ npp "$npp" restart d)" dispatch
  is 'what can be done with a host' "$(complete_ npp "$npp" hosts a1 h9 w)" weight
fi
is 'nothing is left' "$(leftovers "$lab")" ''
done_testing

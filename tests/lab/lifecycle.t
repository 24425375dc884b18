# SPDX-License-Identifier: GPL-2.0-or-later
# lifecycle.t - labs go away whole: two at once, sudden death, interruption, names in use
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin life
need ping jq
# clean looks at every lab there is: not at those of other tests.
export NPP_RUNDIR=$work/run
rundir=$NPP_RUNDIR

# Two labs with the same addresses.
a=$lab b=$lab-b
labs+=("$a" "$b")
ok 'a first lab' "$npplab" up "$topologies/fig4.yaml" --name "$a"
ok 'a second one of the same file' "$npplab" up "$topologies/fig4.yaml" --name "$b"
"$npplab" exec --lab "$a" web1 -- sh -c 'ip link set lan down'
not_ok 'the link is cut in the first' "$npplab" exec --lab "$a" client1 -- ping -c1 -W1 web1
ok 'and works in the second' "$npplab" exec --lab "$b" client1 -- ping -c1 -W$patience web1
like 'exec without a lab asks which' "$("$npplab" exec client1 -- true 2>&1)" 'several labs|no node|lab'
not_ok 'a name in use is refused' "$npplab" up "$topologies/fig4.yaml" --name "$a"
ok 'down of the first' lab_down "$a"
is 'nothing of the first is left' "$(leftovers "$a" | grep -v -- "$b")" ''
ok 'the second still works' "$npplab" exec --lab "$b" client1 -- ping -c1 -W$patience web1

# Names: a namespace of somebody else stays.
at_end() { ip netns del "$a-web1" 2>/dev/null; }
ip netns add "$a-web1"
out=$("$npplab" up "$topologies/fig4.yaml" --name "$a" 2>&1)
is 'up over a namespace of somebody else fails' $? 1
like 'and says which' "$out" "$a-web1"
ok 'that namespace is untouched' ip netns exec "$a-web1" true
ip netns del "$a-web1"
is 'and nothing else was made' "$(leftovers "$a" | grep -v -- "$b")" ''

# kill -9 at each step of up, then down.
bad= steps=0
for n in $(seq 1 200); do
  steps=$n
  NPP_LAB_DIE_AT=$n "$npplab" up "$topologies/fig4.yaml" --name "$a" >/dev/null 2>&1 && break
  "$npplab" down "$a" >"$evidence/down-$n" 2>&1 || bad="$bad down:$n"
  [ -z "$(leftovers "$a" | grep -v -- "$b")" ] || bad="$bad left:$n"
done 2>/dev/null
is "up killed at each of $((steps - 1)) steps leaves nothing after down" "$bad" ''
cmp_num 'there were steps' "$steps" -gt 15
lab_down "$a"

{ NPP_LAB_DIE_AT=10 "$npplab" up "$topologies/fig4.yaml" --name "$a"; } >/dev/null 2>&1
like 'list calls a half-made lab dead' "$("$npplab" list)" "^$a +dead"
not_ok 'exec in it is refused' "$npplab" exec --lab "$a" web1 -- true
ok 'clean removes it' "$npplab" clean
is 'nothing of it is left' "$(leftovers "$a" | grep -v -- "$b")" ''
ok 'clean leaves living labs alone' "$npplab" exec --lab "$b" client1 -- ping -c1 -W$patience web1

# A lab.json of another version of npp-lab: more keys, and fewer.
"$npplab" up "$topologies/fig4.yaml" --name "$a" >/dev/null
jq '.version = 99 | .colour = "red" | .networks[].colour = "blue" | .nodes[] |= (.colour = 1 | del(.iops, .engine)) |
  del(.keeper_pid, .owner_pid, .step)' "$rundir/$a/lab.json" >"$work/lab.json"
cp "$work/lab.json" "$rundir/$a/lab.json"
like 'the lab of another version of npp-lab is listed' "$("$npplab" list)" "^$a +up"
ok 'and can be taken down' "$npplab" down "$a"
is 'nothing of it is left' "$(leftovers "$a" | grep -v -- "$b")" ''

# A lab that is made for a process ends with it, as far as clean is concerned.
(NPP_LAB_KEEPER=$BASHPID "$npplab" up "$topologies/fig4.yaml" --name "$a" >/dev/null; "$npplab" clean; "$npplab" list) >"$work/keeper" 2>&1
like 'clean leaves a lab alone whose keeper lives' "$(<"$work/keeper")" "^$a +up"
ok 'and removes it afterwards' "$npplab" clean
is 'nothing of it is left either' "$(leftovers "$a" | grep -v -- "$b")" ''

# A failure in the middle rolls back: no nppd can be found there.
out=$(NPP_EXECDIR=/nonexistent "$npplab" up "$topologies/pair.yaml" --name "$a" 2>&1)
is 'up without nppd fails' $? 1
like 'and says why' "$out" 'nppd'
is 'and leaves nothing' "$(leftovers "$a" | grep -v -- "$b")" ''

# Programs that will not end.
"$npplab" up "$topologies/fig4.yaml" --name "$a"
"$npplab" exec --lab "$a" web1 -- sh -c 'trap "" TERM; while :; do sleep 100; done' &
stubborn=$!
wait_for 5 sh -c "[ \$('$npplab' status '$a' --json | jq '[.nodes[].processes] | add') -ge 1 ]"
ok 'down ends programs that ignore SIGTERM' lab_down "$a"
wait "$stubborn" 2>/dev/null
not_ok 'the program is gone' kill -0 "$stubborn"
is 'nothing is left of it' "$(leftovers "$a" | grep -v -- "$b")" ''
ok 'down of the second' lab_down "$b"
is 'nothing is left at all' "$(leftovers "$a")" ''
done_testing

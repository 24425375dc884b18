# SPDX-License-Identifier: GPL-2.0-or-later
# two-labs.t - two labs with NPPs at once; sudden death of npp-lab; nothing is left
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin two
need nc jq

# Hugepages borrowed for an nppd that does not live any more (other labs may be up as well).
owed()
{
  local owner pages pid rest
  while read -r owner pages pid rest; do
    [ -d "/proc/$pid" ] || echo "$pages for $owner"
  done </run/npp/hugepages
}
a=$lab b=$lab-b
labs+=("$a" "$b")
ok 'a first lab' "$npplab" up "$topologies/pair.yaml" --name "$a"
ok 'a second one' "$npplab" up "$topologies/pair.yaml" --name "$b" --set nodes.acc1.iops=2
for l in $a $b; do
  "$npplab" exec --lab "$l" web1 -- "$top_builddir/harness/load/npp-load" serve -p 7001 echo \
    >"$evidence/serve-$l" 2>&1 </dev/null &
  background+=($!)
  lab=$l
  ok "a server in ${l#"$a"}" wait_for 10 listening web1 7001
done
lab=$a
for l in $a $b; do
  "$npplab" exec --lab "$l" client1 -- "$top_builddir/harness/load/npp-load" -q -j -c 8 -n 2000 -b 500 echo web1 7001 \
    >"$evidence/load-$l" 2>&1 </dev/null &
  declare "job_${l//[^a-z0-9]/_}=$!"
done
for l in $a $b; do
  job=job_${l//[^a-z0-9]/_}
  wait "${!job}"
  is "load on lab ${l#"$a"} while the other has load" $? 0
done
ok 'down of the first' lab_down "$a"
is 'nothing of it is left' "$(leftovers "$a" | grep -v -- "$b")" ''
ok 'the second still answers' "$npplab" exec --lab "$b" client1 -- \
  "$top_builddir/harness/load/npp-load" -q -j -c 8 -n 200 -b 500 echo web1 7001
ok 'down of the second' lab_down "$b"
is 'nothing is left' "$(leftovers "$a")" ''

# kill -9 of npp-lab at each step of up, nppds included.
bad=
for n in $(seq 1 100); do
  { NPP_LAB_DIE_AT=$n "$npplab" up "$topologies/pair.yaml" --name "$a"; } >/dev/null 2>&1 && break
  "$npplab" down "$a" >"$evidence/down-$n" 2>&1 || bad="$bad down:$n"
  [ -z "$(leftovers "$a")" ] || bad="$bad left:$n"
done 2>/dev/null
is "up killed at each of $((n - 1)) steps leaves nothing after down" "$bad" ''
ok 'down of the one that lived' lab_down "$a"

# kill -9 at moments that no step names.
bad=
for ms in 5 20 50 100 200 400; do
  "$npplab" up "$topologies/fig15.yaml" --name "$a" >/dev/null 2>&1 &
  up=$!
  sleep "$(printf '0.%03d' $ms)"
  kill -9 $up 2>/dev/null
  wait $up 2>/dev/null
  [ ! -e "/run/npp/$a" ] || "$npplab" down "$a" >"$evidence/down-ms-$ms" 2>&1 || bad="$bad down:$ms"
  [ -z "$(leftovers "$a")" ] || bad="$bad left:$ms"
done
is 'nor does one killed after 5 to 400 ms' "$bad" ''

# SIGTERM in the middle: up takes it down itself.
"$npplab" up "$topologies/fig15.yaml" --name "$a" >"$evidence/term" 2>&1 &
up=$!
sleep 0.05
kill "$up" 2>/dev/null
wait "$up" 2>/dev/null
[ ! -e "/run/npp/$a" ] || lab_down "$a"
is 'nothing is left after SIGTERM' "$(leftovers "$a")" ''
# Those of other tests that were killed just now are given back by the next who comes.
none_owed() { [ -z "$(owed)" ]; }
ok 'all hugepages were given back' wait_for 20 none_owed || diag "$(owed)"
done_testing

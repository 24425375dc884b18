# SPDX-License-Identifier: GPL-2.0-or-later
# chaos.t - ten labs at once; npp-lab killed at random moments of up, down and run: after
# `npp-lab clean` nothing is left
#
# $NPP_SEED repeats the choice of moments.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin chaos
need jq curl
export NPP_RUNDIR=$work/run
rundir=$NPP_RUNDIR
mark=$lab
export NPP_TEST_MARK=$mark
rounds=40 labs_n=10
! $sanitized || { rounds=3 labs_n=4; }
RANDOM=$((${NPP_SEED:-$$} % 32768))
diag "seed ${NPP_SEED:-$$}"

# What must be as it was: links and sysctls of this machine's own network, its mounts but those
# of other labs, and processes that this test has not started itself.
machine()
{
  ip -br link | awk '{print "link", $1}'
  find /proc/sys/net/ipv4 /proc/sys/net/ipv6 /proc/sys/net/core -type f -perm -400 ! -name '*flush*' ! -name '*_key' 2>/dev/null |
    sort | while read -r f; do echo "$f $(tr '\t\n' '  ' <"$f")"; done 2>/dev/null
  awk '{print "mount", $5}' /proc/self/mountinfo | grep -v '/run/netns/' | sort
}

marked()
{
  local p
  for p in /proc/[0-9]*; do
    [ "$p" = "/proc/$$" ] || [ "$p" = "/proc/$BASHPID" ] || ! grep -qsaF "NPP_TEST_MARK=$mark" "$p/environ" ||
      grep -qsE '^PPid:\s+'"$$"'$' "$p/status" || grep -qs "^PPid:\s*$BASHPID\$" "$p/status" ||
      echo "process ${p#/proc/} $(tr '\0' ' ' <"$p/cmdline")"
  done 2>/dev/null
}

# Hugepages that are owed for processes that do not live any more, of labs of this test.
owed() { awk -v l="$lab" 'index($1, l)' "$(dirname "$rundir")/hugepages" /run/npp/hugepages 2>/dev/null; }

remains()
{
  leftovers "$lab"
  ls -d /run/netns/"$lab"* /etc/netns/"$lab"* 2>/dev/null
  find "$rundir" -mindepth 1 2>/dev/null
  marked
  owed
}

before=$(machine)

# ---- ten at once -----------------------------------------------------------------------

pids=()
for i in $(seq $labs_n); do
  l=$lab-$i
  labs+=("$l")
  file=$topologies/pair-kernel.yaml set=()
  [ $((i % 2)) = 0 ] || { file=$topologies/pair.yaml; set=(--set nodes.acc1.iops=2); }
  "$npplab" up "$file" --name "$l" "${set[@]}" >"$evidence/up-$i" 2>&1 </dev/null &
  pids+=($!)
done
bad=
for i in $(seq $labs_n); do
  wait "${pids[i - 1]}" || bad="$bad $i: $(tail -n1 "$evidence/up-$i")"
done
is "$labs_n labs come up at once" "$bad" ''
is 'all are listed as up' "$("$npplab" list --json | jq '[.[] | select(.state == "up")] | length')" $labs_n
pids=()
for i in $(seq $labs_n); do
  "$npplab" exec --lab "$lab-$i" client1 -- ping -c1 -W$patience web1 >"$evidence/ping-$i" 2>&1 </dev/null &
  pids+=($!)
done
bad=
for i in $(seq $labs_n); do wait "${pids[i - 1]}" || bad="$bad $i"; done
is 'in each the host answers its own client' "$bad" ''
pids=()
for i in $(seq $labs_n); do
  "$npplab" down "$lab-$i" >"$evidence/down-$i" 2>&1 </dev/null &
  pids+=($!)
done
bad=
for i in $(seq $labs_n); do
  wait "${pids[i - 1]}" || bad="$bad $i: $(tail -n1 "$evidence/down-$i")"
done
is 'and all go down at once' "$bad" ''
is 'of which nothing is left' "$(remains)" ''

# ---- sudden death ------------------------------------------------------------------------

cat >"$work/s.yaml" <<Y
topology: $topologies/pair.yaml
set: ['nodes.acc1.iops=1', 'nodes.client1.networks={lan: {wire: {delay: 1ms}}}',
  'nodes.web1.start=[{name: echo, command: "exec \$NPP_LAB_LOAD serve -p 7001 echo", ready: {port: 7001}}]']
timeline:
  - {at: 0s, load: c, node: client1, target: echo web1 7001, connections: 2, for: 1s}
  - {at: 300ms, fault: kill npp.acc1.ism0}
expect:
  - {client: c, errors: '< 1000000'}
Y

# killed MS COMMAND...: SIGKILL after MS; what it makes is its own, so that clean knows it for dead.
killed()
{
  local ms=$1 pid
  shift
  (NPP_LAB_KEEPER=$BASHPID; export NPP_LAB_KEEPER; exec "$npplab" "$@" >"$evidence/killed" 2>&1 </dev/null) &
  pid=$!
  sleep "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))"
  kill -KILL $pid 2>/dev/null
  wait $pid 2>/dev/null
}

k=$lab-k
labs+=("$k")
bad=
for n in $(seq $rounds); do
  case $((n % 3)) in
    0) what=down ms=$((RANDOM % 300))
      (NPP_LAB_KEEPER=$BASHPID "$npplab" up "$topologies/pair.yaml" --name "$k" --set nodes.acc1.iops=2) >"$evidence/up-k" 2>&1 ||
        bad="$bad up:$n"
      killed $ms down "$k" ;;
    1) what=up ms=$((RANDOM % 600))
      killed $ms up "$topologies/fig15.yaml" --name "$k" --set nodes.acc1.iops=1 --set nodes.acc2.iops=1 ;;
    2) what=run ms=$((RANDOM % 2500))
      killed $ms run "$work/s.yaml" --name "$k" -w "$work/report" ;;
  esac
  "$npplab" clean >"$evidence/clean-$n" 2>&1 </dev/null || bad="$bad clean:$what:$ms"
  rm -rf "$work/report"
  left=$(remains)
  [ -z "$left" ] || { bad="$bad left:$what:$ms"; printf '%s\n' "$left" | sed "s/^/# $what after $ms ms: /"; "$npplab" down "$k"; }
done 2>/dev/null
is "npp-lab killed $rounds times in up, down and run: clean leaves nothing" "$bad" ''
is 'this machine'"'"'s own links, sysctls and mounts are as they were' "$(diff <(echo "$before") <(machine))" ''
ok 'a lab comes up after all that' "$npplab" up "$topologies/pair.yaml" --name "$k"
ok 'and goes' "$npplab" down "$k"
done_testing

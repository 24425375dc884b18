# SPDX-License-Identifier: GPL-2.0-or-later
# leftovers.t - tests that are interrupted at any moment (Ctrl-C) leave nothing; what killed
# ones leave the next one removes
#
# A test runs as `make check` runs it: in a process group, its output read by a program
# that the interrupt ends first. Whatever it started knows $NPP_TEST_MARK.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin leftovers
need jq
pages=/sys/kernel/mm/hugepages/hugepages-2048kB
own=$lab

# Hugepages that nobody has borrowed: others may borrow and give back meanwhile.
unborrowed()
{
  local nr=0 surplus=0 again
  [ -e $pages ] || return 0
  {
    flock 9
    until
      again=$surplus nr=$(<$pages/nr_hugepages) surplus=$(<$pages/surplus_hugepages)
      [ "$again" = "$surplus" ]
    do :; done
    echo $((nr - surplus - $(awk '{n += $2} END {print n + 0}' "$rundir/hugepages")))
  } 9>>"$rundir/hugepages"
}

# Processes that carry MARK in their environment.
marked()
{
  local p
  for p in /proc/[0-9]*; do
    grep -qsaF "NPP_TEST_MARK=$1" "$p/environ" && echo "process ${p#/proc/} $(tr '\0' ' ' <"$p/cmdline")"
  done 2>/dev/null
  return 0
}
unmarked() { [ -z "$(marked "$1")" ]; }

# What a test of pid PID and its directory TMP can leave.
left_by()
{
  leftovers "t$1" 2>/dev/null
  ls -d /run/netns/nppd"$1"-* "$rundir/t$1"-* "$top_builddir"/tests/lab/evidence/*."$1" 2>/dev/null
  compgen -G "$(dirname "$rundir")/npp-logs-t$1-*"
  find "$2" -mindepth 1
}

said() { [ "$(grep -c '^ok' "$out")" -ge "$1" ]; }
begun() { compgen -G "$rundir/t$pid-*" || compgen -G "/run/netns/nppd$pid-*"; }
ended() { [ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"; }

# interrupt TEST WHEN...: SIGINT to its process group as soon as WHEN succeeds.
interrupt()
{
  local name=$1 mark tmp what
  shift
  n=$((${n:-0} + 1))
  mark=$own.$n tmp=$work/tmp.$n out=$work/out.$n
  mkdir -m 755 "$tmp"
  set -m
  NPP_TEST_MARK=$mark TMPDIR=$tmp env --default-signal=INT,QUIT bash "$here/$name" 2>&1 | cat >"$out" &
  set +m
  pid=$(jobs -p %%)
  what="$name, interrupted when it has $*:"
  wait_for 30 "$@" || { fail "$what does not come to that"; sed 's/^/# /' "$out"; }
  kill -INT -- "-$pid" 2>/dev/null
  ok "$what it ends" wait_for 30 ended "$pid"
  kill -KILL -- "-$pid" 2>/dev/null
  wait "$pid" 2>/dev/null
  wait_for 10 unmarked "$mark"
  is "$what no process is left" "$(marked "$mark")" ''
  is "$what no name, no file is left" "$(left_by "$pid" "$tmp")" ''
}

# killed TEST WHEN...: SIGKILL, of which no test can know; the next one cleans up after it.
killed()
{
  local name=$1 tmp what
  shift
  n=$((${n:-0} + 1))
  tmp=$work/tmp.$n out=$work/out.$n
  mkdir -m 755 "$tmp"
  set -m
  NPP_TEST_MARK=$own.$n TMPDIR=$tmp bash "$here/$name" 2>&1 | cat >"$out" &
  set +m
  pid=$(jobs -p %%)
  what="$name, killed when it has $*:"
  wait_for 30 "$@" || { fail "$what does not come to that"; sed 's/^/# /' "$out"; }
  kill -KILL -- "-$pid" 2>/dev/null
  wait "$pid" 2>/dev/null
  TMPDIR=$tmp sweep
  wait_for 10 unmarked "$own.$n"	# what got SIGKILL takes a moment to be gone
  is "$what no process is left by the next test" "$(marked "$own.$n")" ''
  rm -rf "$top_builddir"/tests/lab/evidence/*."$pid"
  is "$what no name, no file is left by it" "$(left_by "$pid" "$tmp")" ''
}

before=$(unborrowed)
interrupt listeners.t begun
interrupt listeners.t said 2
interrupt killed.t said 3
interrupt nppd.t begun
interrupt nppd.t said 4
interrupt lifecycle.t said 7
killed listeners.t said 2
killed nppd.t said 4
killed lifecycle.t said 7
is 'no hugepage is lost' "$(unborrowed)" "$before"

# One that fails, and takes its lab down before its end.
cat >"$work/fails.t" <<T
. "$here/lib.sh"
lab_begin fails
lab_up "\$topologies/pair-kernel.yaml"
fail 'on purpose'
lab_down
done_testing
T
kept=$(top_srcdir=$top_srcdir top_builddir=$top_builddir bash "$work/fails.t" 2>&1 | sed -n 's/^# evidence is in //p')
ok 'what was to be seen of a lab before it went is kept after a failure' eval 'test -s "$kept"/rundir-t*-fails/lab.json'
[ -z "$kept" ] || rm -rf "$kept"
done_testing

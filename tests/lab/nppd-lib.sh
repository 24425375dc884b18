# SPDX-License-Identifier: GPL-2.0-or-later
# nppd-lib.sh - for tests of nppd itself: namespaces and supervisors without npp-lab
#
#   . "$(dirname "$0")/nppd-lib.sh"
#   nppd_begin NAME             # skip everything unless root
#   conf acc1 <<< 'npp: ...'    # $work/acc1.yaml; @NS@ stands for the path of our namespace
#   nppd_start acc1             # waits until it is up; pid in ${pid_of[acc1]}
#
# Our namespace is $ns; run directory, files and namespace go away at the end.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
nppd=$top_builddir/nppd/nppd
declare -A pid_of=()

nppd_begin()
{
  test_name=$1
  [ "$(id -u)" = 0 ] || skip_all "needs root for network namespaces"
  [ -x "$nppd" ] && [ -x "$npp" ] || bail "nppd and npp are not built"
  sweep
  ns=nppd$$-$1
  work=$(mktemp -d "${TMPDIR:-/tmp}/npp-$ns.XXXXXX")
  chmod 755 "$work"
  NPP_RUNDIR=$work/run
  export NPP_RUNDIR
  mkdir "$NPP_RUNDIR"
  trap nppd_end EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP PIPE
  ip netns add "$ns" || bail "cannot make a network namespace"
  ip -n "$ns" link set lo up
}

nppd_end()
{
  local p status=$?
  trap - EXIT
  trap '' INT TERM HUP PIPE
  # First in peace: a supervisor that is killed cannot give hugepages back.
  for p in "${pid_of[@]}"; do kill -TERM "$p" 2>/dev/null; done
  for p in "${pid_of[@]}"; do wait_for 10 gone "$p"; done
  for p in "${pid_of[@]}" "${background[@]}"; do
    ! ours "$p" || kill -KILL "$p" 2>/dev/null
    wait "$p" 2>/dev/null
  done
  if [ "$tap_failed" != 0 ]; then
    for p in "$work"/*.log; do
      [ -s "$p" ] && { diag "$p:"; tail -n 30 "$p" | sed 's/^/# /'; }
    done
  fi
  ! sanitizer_reports "$work"/*.log || status=1
  case $status in
    0|130|143) ;;
    *)
      evidence=$top_builddir/tests/lab/evidence/$test_name.$$
      mkdir -p "$evidence"
      find "$work" -maxdepth 1 -type f -exec cp -t "$evidence" {} +
      echo "# evidence is in $evidence" ;;
  esac
  ip netns del "$ns" 2>/dev/null
  rm -rf "$work"
  exit "$status"
}

# does NAME COMMAND...: like ok, but in this shell, so that the command can keep something.
does()
{
  local name=$1
  shift
  if "$@" >"$work/does.out" 2>&1 </dev/null; then
    pass "$name"
  else
    fail "$name" "failed ($?): $*"
    tail -n 25 "$work/does.out" | sed 's/^/# /'
    return 1
  fi
}

conf() { sed "s#@NS@#/run/netns/$ns#g" >"$work/$1.yaml"; }

# nppd_launch NAME [OPTION...]: without waiting.
nppd_launch()
{
  local name=$1
  shift
  : >"$work/$name.ready"
  # $prefix: e.g. "ip netns exec $ns", for a host
  ${prefix:-} "$nppd" -v --rundir "$NPP_RUNDIR" --ready-fd 9 "$@" "$work/$name.yaml" \
    9>"$work/$name.ready" >"$work/$name.log" 2>&1 </dev/null &
  pid_of[$name]=$!
}
# nppd_start NAME: until it says that it is up, or ends.
nppd_start()
{
  nppd_launch "$@"
  wait_for 20 ready_or_gone "$1"
  [ -s "$work/$1.ready" ] || { cat "$work/$1.log"; return 1; }
}
ready_or_gone() { [ -s "$work/$1.ready" ] || gone "${pid_of[$1]}"; }
# gone PID: it has ended, though perhaps nobody has waited for it.
gone() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:.Z' "/proc/$1/status"; }
# nppd_wait NAME: waits for its end and returns its exit status.
nppd_wait()
{
  local r
  wait_for 15 gone "${pid_of[$1]}"
  wait "${pid_of[$1]}"
  r=$?
  unset "pid_of[$1]"
  return $r
}
# nppd_stop NAME [SIGNAL]
nppd_stop()
{
  kill -"${2:-TERM}" "${pid_of[$1]}"
  nppd_wait "$1"
}
# children NAME [ROLE]: their pids
children()
{
  "$npp" status "$1" --json | jq -r --arg r "${2:-}" '.[0].children[] | select(.pid > 0 and ($r == "" or .role == $r)) | .pid'
}
child() # NAME ROLE INDEX
{
  "$npp" status "$1" --json | jq -r --arg r "$2" --argjson i "$3" '.[0].children[] | select(.role == $r and .index == $i) | .pid'
}
link_there() { ip -n "$ns" link show "$1"; }

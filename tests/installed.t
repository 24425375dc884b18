# SPDX-License-Identifier: GPL-2.0-or-later
# installed.t - what `make install` has installed works, and nothing of it needs the build tree
#
# Run by `make installcheck`, which says in $bindir, $sbindir ... where that is.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lab/lib.sh"
npplab=$bindir/npp-lab npp=$bindir/npp
lab_begin installed
need jq curl

ok 'npp-load is there' "$bindir/npp-load" --help
ok 'an installed topology is found by its name' env -C "$work" "$npplab" check pair
lab_up pair
supervisor() { readlink "/proc/$("$npp" status "$lab/$1" --json | jq -r '.[0].pid')/exe"; }
is 'with the installed supervisors' "$(supervisor acc1; supervisor web1)" \
  "$(readlink -f "$sbindir/nppd" "$sbindir/nppd")"
is 'and the installed preload library' "$(on web1 sh -c 'readlink -f $LD_PRELOAD')" \
  "$(readlink -f "$pkglibdir/libnpp-preload.so")"
nginx_start web1
ok 'nginx listens on npp' wait_for 15 listening web1 80
is 'and serves a page' "$(on client1 curl -s -o /dev/null -w '%{http_code} %{size_download}' --max-time 5 http://web1/)" '200 612'
kids=$("$npp" status "$lab/acc1" --json | jq -r '.[0].children[].pid')
is 'dispatcher and ISMs are the installed ones' \
  "$(for p in $kids; do readlink "/proc/$p/exe"; done | xargs -n1 dirname | sort -u)" "$(readlink -f "$pkglibexecdir")"
ok 'npp run works by itself' env NPP_RUNDIR="$rundir/$lab" ip netns exec "$lab-web1" \
  "$npp" run --host web1 -- curl -sf -o /dev/null --max-time 5 http://web1/
ok 'it goes down' lab_down
is 'nothing is left' "$(leftovers "$lab")" ''
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# stack.t - bench/stack: every operation does its work, on each library that is there
set -u
: "${top_builddir:=.}"
bench=$top_builddir/bench/stack
n=0
ok() { n=$((n + 1)); if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; failed=1; fi; }
failed=0

out=$("$bench" -l npp -c 1,100 -n 640 -j 2>&1); rc=$?
ok $rc "seven operations on npp's stack, with 1 and 100 connections"
[ "$rc" = 0 ] || printf '%s\n' "$out" | sed 's/^/# /'
[ "$(grep -c '"lib":"npp"' <<<"$out")" = 14 ]; ok $? "a row for each"
if "$bench" -z 2>&1 | grep -q 'libraries: npp lwip'; then
  out=$("$bench" -l lwip -c 100 -n 64 -j 2>&1); rc=$?
  ok $rc "lwIP does the same"
  [ "$rc" = 0 ] || printf '%s\n' "$out" | sed 's/^/# /'
else
  n=$((n + 1)); echo "ok $n - lwIP does the same # SKIP lwIP was not there to build with"
fi
out=$("$bench" -l npp -c 100 -o segment -n 64 -i 1000 -j 2>&1); ok $? "the time between the frames of a connection can be told"
out=$("$bench" -l npp -c 100 -o segment -n 64 -p -j 2>&1); ok $? "it does without huge pages"
out=$("$bench" -l npp -c 10000 -o segment -n 64)
[[ $out =~ ([0-9]+)\ bytes\ for\ each\;\ room\ for\ one\ more\ takes\ ([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -le 728 ] && [ "${BASH_REMATCH[2]}" -le 570 ]
ok $? "10,000 connections take what they did, and one more no more than that"
"$bench" -c none >/dev/null 2>&1; [ $? = 2 ]; ok $? "what is no number is refused"
echo "1..$n"
[ "$failed" = 0 ]

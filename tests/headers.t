# SPDX-License-Identifier: GPL-2.0-or-later
# headers.t - every header compiles alone, after config.h
set -u
: "${top_srcdir:=.}" "${top_builddir:=$top_srcdir}" "${CC:=cc}" "${HEADER_FLAGS:=}"
. "$top_srcdir/tests/tree.sh"

n=0 failed=0
for h in $(sources '*.h'); do
  n=$((n + 1))
  # shellcheck disable=SC2086
  if out=$($CC -std=gnu11 -Wall -Wextra -Wno-unused-function -Werror $HEADER_FLAGS -I"$top_srcdir" -I"$top_builddir" \
    -include config.h -fsyntax-only -x c "$top_srcdir/$h" 2>&1 </dev/null); then
    echo "ok $n - $h"
  else
    failed=$((failed + 1))
    echo "not ok $n - $h"
    printf '%s\n' "$out" | sed 's/^/# /'
  fi
done
echo "1..$n"
[ "$failed" = 0 ]

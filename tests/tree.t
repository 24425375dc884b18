# SPDX-License-Identifier: GPL-2.0-or-later
# tree.t - what holds for every file: first lines, length of functions, READMEs, manuals
set -u
: "${top_srcdir:=.}" "${top_builddir:=$top_srcdir}" "${PROGRAMS:=}"
. "$top_srcdir/tests/tree.sh"

n=0 failed=0
# nothing NAME TEXT: passes if there is no text, which names the offenders.
nothing()
{
  n=$((n + 1))
  if [ -z "$2" ]; then
    echo "ok $n - $1"
  else
    failed=$((failed + 1))
    echo "not ok $n - $1"
    printf '%s\n' "$2" | sed 's/^/# /'
  fi
}

# FILE:LINE and length of every function with more than $1 lines, braces included.
long_functions()
{
  sources '*.c' | (cd "$top_srcdir" && xargs awk -v max="$1" '
    FNR == 1 { start = 0 }
    /^\{/ { start = FNR }
    /^\}/ && start { if (FNR - start + 1 > max) print FILENAME ":" start ": " FNR - start + 1 " lines"; start = 0 }')
}

no_licence()
{
  for f in $(sources '*.[ch]') $(sources '*.t') $(sources '*.sh') $(sources local.am); do
    head -n 2 "$top_srcdir/$f" | grep -q 'SPDX-License-Identifier: GPL-2.0-or-later' || echo "$f"
  done
}

# A file says what it is: "NAME - ..." in its first lines.
no_title()
{
  for f in $(sources '*.[ch]') $(sources '*.t') $(sources '*.sh'); do
    head -n 3 "$top_srcdir/$f" | grep -qF "$(basename "$f") - " || echo "$f"
  done
}

# Directories with sources have a README; unit tests have one together.
no_readme()
{
  { sources '*.c'; sources '*.t'; } | sed 's:/[^/]*$::; s:^tests/unit/.*:tests/unit:' | sort -u | while read -r d; do
    [ -e "$top_srcdir/$d/README" ] || echo "$d"
  done
}

# Source files that the README of their directory does not speak of ('tcp_cc*.c', 'conn' and so
# on are names, too). Unit tests have one README together.
not_in_readme()
{
  sources '*.[ch]' | grep -v '^tests/unit/' | while read -r f; do
    name=$(basename "${f%.[ch]}")
    [ -e "$top_srcdir/$(dirname "$f")/README" ] || continue
    set -f
    for word in $(tr -cs 'A-Za-z0-9_*.-' ' ' <"$top_srcdir/$(dirname "$f")/README"); do
      word=${word%.} word=${word%.[ch]}
      # shellcheck disable=SC2254
      case $name in $word) continue 2 ;; esac
    done
    echo "$f"
  done
}

no_manual()
{
  for p in $PROGRAMS; do
    p=$(basename "$p")
    ls "$top_srcdir/doc/man/$p".[18] >/dev/null 2>&1 || echo "$p"
  done
}

# Files in git that are ignored, and binary ones that are not a fuzzer's inputs.
built_in_git()
{
  cd "$top_srcdir" || return
  git ls-files --cached --ignored --exclude-standard
  git diff --numstat "$(git hash-object -t tree /dev/null)" HEAD -- . ':!tests/fuzz/corpus' | sed -n 's/^-\t-\t//p'
}

nothing 'no function is longer than 100 lines' "$(long_functions 100)"
nothing 'every file names its licence' "$(no_licence)"
nothing 'every file says what it is' "$(no_title)"
nothing 'every directory has a README' "$(no_readme)"
nothing 'every source file stands in the README of its directory' "$(not_in_readme)"
nothing 'every program has a manual page' "$(no_manual)"
if command -v mandoc >/dev/null; then
  nothing 'manual pages are well-formed' "$(mandoc -T lint -W warning "$top_srcdir"/doc/man/*.[1-8] 2>&1)"
else
  n=$((n + 1))
  echo "ok $n - manual pages are well-formed # SKIP needs mandoc"
fi
# shellcheck disable=SC2046
nothing 'pages of programs say what they exit with' "$(cd "$top_srcdir/doc/man" && grep -L '^\.Sh EXIT STATUS' $(ls *.[18]))"
if [ -e "$top_srcdir/.git" ]; then
  nothing 'nothing built is in git' "$(built_in_git)"
else
  n=$((n + 1))
  echo "ok $n - nothing built is in git # SKIP not a git tree"
fi
echo "1..$n"
[ "$failed" = 0 ]

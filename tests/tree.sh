# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# tree.sh - for tests of the source tree itself: which files are its sources

# sources PATTERN: files of that name in the source directories, relative to $top_srcdir.
# What a build, a distribution or a CI run leaves in the tree is not among them.
sources()
{
  (cd "$top_srcdir" && for d in net shm lib npp-*/ nppd npp harness tests bench; do
    case $d in npp-[0-9]*) continue ;; esac
    [ ! -d "$d" ] || find "${d%/}" -name "$1" -type f
  done | sort)
}

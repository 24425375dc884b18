# SPDX-License-Identifier: GPL-2.0-or-later
# usage.t - what the programs say to who asks for help, mistypes, or is not root
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
load=$top_builddir/harness/load/npp-load

for p in "$npplab" "$npp" "$top_builddir/nppd/nppd" "$load"; do
  name=$(basename "$p")
  out=$("$p" --help 2>/dev/null)
  is "$name --help" $? 0
  like "$name --help says how to use it" "$(head -n1 <<<"$out")" "^usage: $name "
  is "$name --help has no blanks at the ends of lines" "$(grep -c ' $' <<<"$out")" 0
  out=$("$p" --version 2>/dev/null)
  is "$name --version" $? 0
  like "$name --version names it" "$out" "^$name \(npp\) [0-9]"
  "$p" >/dev/null 2>&1
  is "$name alone is a usage error" $? 2
  "$p" --no-such-option >/dev/null 2>&1
  is "$name: an unknown option is a usage error" $? 2
done

for p in npp-dispatch npp-ism npp-osm; do
  is "$p --version" "$("$top_builddir/$p/$p" --version)" "$p $("$npp" --version | sed 's/.* //')"
  ok "$p --help" "$top_builddir/$p/$p" --help
  not_ok "$p alone fails" "$top_builddir/$p/$p"
  like "$p alone says who starts it" "$("$top_builddir/$p/$p" 2>&1)" 'is started by nppd'
done

for v in up down status exec load check list clean; do
  out=$("$npplab" $v --help 2>/dev/null)
  is "npp-lab $v --help" $? 0
  like "npp-lab $v --help is about it" "$out" "^usage: npp-lab \[-v\] $v"
  out=$("$npplab" $v --no-such-option 2>&1)
  is "npp-lab $v: an unknown option" $? 2
  like "npp-lab $v: who says so" "$out" "^npp-lab: $v: "
done
like 'conns is about TCP' "$("$npp" conns --help)" '^TCP connections'

out=$("$npplab" upp 2>&1)
is 'a verb with a mistake in it' $? 2
like 'gets a hint' "$out" "did you mean 'up'"
like 'messages of a tool have its name and nothing else in front' "$out" '^npp-lab: there is no'
like 'those of npp too' "$("$npp" statt 2>&1)" '^npp: there is no'
like 'an option of another verb' "$("$npplab" shell --json x 2>&1)" 'json is not for this verb'
like 'too little for exec' "$("$npplab" exec x 2>&1)" 'expected NODE -- COMMAND'
like 'too little for load' "$("$npplab" load x 2>&1)" 'load: expected NODE'

# What cannot be printed is told, and no file that is opened later is written to instead.
out=$("$npplab" schema 2>&1 >/dev/full)
is 'a full disk behind standard output' $? 1
like 'is told' "$out" 'cannot write to standard output: No space left'
is 'the schema is JSON also when asked' "$("$npplab" schema --json | cksum)" "$("$npplab" schema | cksum)"
ok 'standard output may be closed' bash -c '"$1" schema >&-' - "$npplab"


out=$("$load" serve -p 80x http 2>&1)
is 'npp-load serve: no port' $? 2
like 'is named' "$out" "-p '80x': expected a number from 0 to 65535"
"$load" serve http echo >/dev/null 2>&1
is 'npp-load serve: one conversation only' $? 2

# A load of which nothing came is no success, and who is refused does not ask again without a pause.
unanswered()
{
  python3 - "$load" <<'P'
import json, socket, subprocess, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('127.0.0.1', 0))
def load(*words):
    return subprocess.run([sys.argv[1], '-q', '-j', '-c', '1', *words, 'udp', '127.0.0.1', str(s.getsockname()[1])], capture_output=True, text=True)
silent = load('-N', 'silent', '-d', '0.3', '-t', '100')
assert silent.returncode == 1, silent
assert json.loads(silent.stdout)['errors_total'] == 0, silent
assert silent.stderr == 'npp-load: silent: nothing was done in all this time\n', silent
other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
other.connect(s.getsockname()) # who is not known to S: its port is refused to all others
s.connect(other.getsockname())
refused = load('-d', '0.5')
assert refused.returncode == 1 and 0 < json.loads(refused.stdout)['errors_total'] < 100, refused
P
}
if command -v python3 >/dev/null; then
  ok 'npp-load: nobody answers, or nobody is there' unanswered
fi
done_testing

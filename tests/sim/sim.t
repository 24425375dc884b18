# SPDX-License-Identifier: GPL-2.0-or-later
# sim.t - the simulator: the plans of what was found once, then a range of seeds
#
# SIM_SEEDS chooses others, SIM_JOBS how many run at a time; a failure leaves its plan, trace and
# captures in sim-out/.
: "${top_srcdir:=.}" "${top_builddir:=$top_srcdir}"
sim=$top_builddir/tests/sim/npp-sim out=$top_builddir/sim-out

set -- "$top_srcdir"/tests/sim/regress/*.plan
echo "1..$(($# + 1))"
n=0
told() { # STATUS NAME
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi
}
for plan; do
	"$sim" --plan "$plan" --shrink 0 2>&1
	told $? "$(basename "$plan" .plan)"
done
"$sim" --seeds "${SIM_SEEDS:-1-4000}" --jobs "${SIM_JOBS:-2}" --shrink 20 --out "$out" 2>&1
told $? "everything holds for these seeds"

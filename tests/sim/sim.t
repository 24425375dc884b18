# SPDX-License-Identifier: GPL-2.0-or-later
# sim.t - the simulator over a range of seeds that are known to hold
#
# SIM_SEEDS chooses others; a failure leaves its plan, trace and captures in sim-out/.
: "${top_srcdir:=.}" "${top_builddir:=$top_srcdir}"
exec "$top_builddir/tests/sim/npp-sim" --seeds "${SIM_SEEDS:-1-250}" --tap --shrink 20 --out "$top_builddir/sim-out"

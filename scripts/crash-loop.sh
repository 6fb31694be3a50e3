#!/bin/sh
# Kills a kept practice swarm N times (50 if nothing is said) at random points and prints what came
# back each time. HEARTH_SEED=... kills at the same points again.
#
#   scripts/crash-loop.sh [N]
#   scripts/crash-loop.sh --power [N]      cuts the power N times (20) instead: the swarm lies on a file
#                                          system of its own, and what was not written to it is gone.
#                                          Needs root, for mounting.
set -e
cd "$(dirname "$0")/.."
if [ "${1:-}" = --power ]; then
  export HEARTH_CUTS="${2:-20}"
  exec cargo test --release --test recovery -- --ignored --nocapture the_long_form_of_power_cuts
fi
export HEARTH_KILLS="${1:-50}"
exec cargo test --release --test recovery -- --ignored --nocapture --exact kills::the_long_form

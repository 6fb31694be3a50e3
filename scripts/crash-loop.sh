#!/bin/sh
# Kills a kept practice swarm N times (50 if nothing is said) at random points and prints what came
# back each time. HEARTH_SEED=... kills at the same points again.
set -e
cd "$(dirname "$0")/.."
HEARTH_KILLS="${1:-50}" exec cargo test --release --test recovery -- --ignored --nocapture the_long_form

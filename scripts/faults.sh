#!/usr/bin/env bash
# Everything that can go wrong, one after the other, and how soon Hearth trained again by itself: a table.
# The long form of the tests of faults and recovery; takes some minutes. Ends with status 1 if a fault was
# not recovered from. Arguments go to cargo.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
for suite in faults recovery; do
  [ -e "tests/$suite.rs" ] || [ -e "tests/$suite/main.rs" ] || continue
  cargo test --release --test "$suite" "$@" -- --include-ignored --nocapture --test-threads=1 2>&1 |
    tee -a "$log" | grep --line-buffered '^test .*\(ok\|FAILED\)$\|^fault |' >&2
  [ "${PIPESTATUS[0]}" -eq 0 ] || status=1
done

echo
printf '%-46s %-32s %s\n' "what went wrong" "what came of it" "limit"
grep -ao 'fault | .*' "$log" | awk -F ' *[|] *' '{ printf "%-46s %-32s %s\n", $2, $3, $4 }'
grep -a '^test .* FAILED$\|^test result' "$log"
if [ "$status" -ne 0 ]; then
  grep -a 'panicked at' -A 3 "$log" >&2
fi
exit "$status"

#!/usr/bin/env bash
# Lets a whole practice swarm train for a long time and looks for growth: memory, descriptors, threads
# and files of the one process that holds it all.
#
#   scripts/soak.sh [MINUTES]      30 by default; at least 3
#
# Uses target/release/hearth (set HEARTH to take another one) and a folder of its own, which is removed.
# Prints a line a minute, then a table: the medians of the third quarter against those of the last one.
# The first half is left out: caches fill, histories reach their bounds. Ends with
# status 1 if anything grew. What is allowed is what one and the same state scatters by
# (docs/faults.md has the measurements), so it is a bound for what is looked at, not a rate of growth.
set -euo pipefail
cd "$(dirname "$0")/.."

minutes=${1:-30}
hearth=${HEARTH:-target/release/hearth}
[ -x "$hearth" ] || { echo "build it first: cargo build --release" >&2; exit 2; }
[ -r /proc/self/status ] || { echo "this reads /proc: Linux only" >&2; exit 2; }
[ "$minutes" -ge 3 ] || { echo "3 minutes at least" >&2; exit 2; }

home=$(mktemp -d)
process=""
cleanup() {
  if [ -n "$process" ]; then kill "$process" 2>/dev/null || true; wait "$process" 2>/dev/null || true; fi
  rm -rf "$home"
}
trap cleanup EXIT

HEARTH_HOME="$home/hearth" "$hearth" demo --json --preset nano --backend cpu --minutes "$minutes" \
  >"$home/events" 2>"$home/errors" &
process=$!

# Seconds, resident kB, descriptors, threads, files, kB on disk.
sample() {
  local resident threads descriptors files disk
  resident=$(awk '/^VmRSS/ {print $2}' "/proc/$process/status") || return 1
  threads=$(awk '/^Threads/ {print $2}' "/proc/$process/status") || return 1
  [ -n "$resident" ] && [ -n "$threads" ] || return 1
  descriptors=$(find "/proc/$process/fd" -mindepth 1 2>/dev/null | wc -l)
  files=$(find "$home/hearth" -type f 2>/dev/null | wc -l)
  disk=$(du -sk "$home/hearth" 2>/dev/null | cut -f1)
  echo "$SECONDS $resident $descriptors $threads $files ${disk:-0}"
}

printf '%7s %12s %12s %8s %7s %9s %7s\n' minute "memory kB" descriptors threads files "disk kB" epochs
SECONDS=0
end=$((minutes * 60 - 3))
while [ "$SECONDS" -lt "$end" ] && line=$(sample); do
  echo "$line" >>"$home/samples"
  if [ $((SECONDS / 60)) -ne "${shown:--1}" ]; then
    shown=$((SECONDS / 60))
    # shellcheck disable=SC2086
    set -- $line
    epochs=$(grep -c '"phase":"weights_uploading".*"stage":0\|"stage":0.*"phase":"weights_uploading"' "$home/events" || true)
    printf '%7d %12d %12d %8d %7d %9d %7d\n' "$shown" "$2" "$3" "$4" "$5" "$6" "$epochs"
  fi
  sleep 2
done

status=0
wait "$process" || status=$?
process=""
if [ "$status" -ne 0 ]; then
  echo "it ended with status $status:" >&2
  tail -5 "$home/errors" >&2
  exit 1
fi
grep '"event":"summary"' "$home/events" | tail -1

# The third quarter against the last one, by their medians.
awk '
  { for (i = 2; i <= 6; i++) value[NR, i] = $i }
  function median(column, from, to,    n, i, j, t, list) {
    n = 0
    for (i = from; i <= to; i++) list[++n] = value[i, column]
    for (i = 2; i <= n; i++) { t = list[i]; for (j = i - 1; j > 0 && list[j] > t; j--) list[j + 1] = list[j]; list[j + 1] = t }
    return list[int((n + 1) / 2)]
  }
  END {
    split("x memory-kB descriptors threads files disk-kB", name, " ")
    # A share, and an amount. Files and what they take swing with every epoch (270 to 400): their medians
    # do not. Connections come and go in pairs.
    split("0 0.01 0 0 0.05 0.05", share, " ")
    split("0 0 4 1 0 0", amount, " ")
    half = int(NR / 2); quarter = int(NR / 4)
    printf "\n%-12s %12s %12s %12s  %s\n", "", "3rd quarter", "last", "allowed", ""
    for (i = 2; i <= 6; i++) {
      before = median(i, half + 1, half + quarter); after = median(i, half + quarter + 1, NR)
      most = before * (1 + share[i]) + amount[i]
      word = after > most ? "GREW" : "ok"
      if (after > most) bad = 1
      printf "%-12s %12d %12d %12d  %s\n", name[i], before, after, most, word
    }
    exit bad
  }' "$home/samples"

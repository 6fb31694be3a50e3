#!/usr/bin/env bash
# What the dashboard takes of one core while a practice swarm trains: the processor time of the thread that
# draws, from the kernel's own count. Needs Linux and tmux. The goal: at most 0.5 % at ten frames a second.
#   scripts/screen-cost.sh [BINARY] [SECONDS] [KEY]     KEY is the screen's, 1 to 8
set -euo pipefail
binary=$(realpath "${1:-target/release/hearth}")
seconds=${2:-60}
key=${3:-1}
home=$(mktemp -d)
socket=hearth-cost-$$
trap 'tmux -L "$socket" kill-server 2>/dev/null || true; rm -rf "$home"' EXIT
tmux -L "$socket" new-session -d -x 200 -y 50 \
    "HEARTH_HOME='$home' exec '$binary' demo --preset demo --backend cpu --minutes 30"
sleep 20
tmux -L "$socket" send-keys "$key"
pid=$(tmux -L "$socket" list-panes -F '#{pane_pid}')
for task in /proc/"$pid"/task/*; do
    [ "$(cat "$task/comm")" = screen ] && thread=$task
done
: "${thread:?no thread that draws: is it a dashboard?}"
count() { cut -d' ' -f1 "$thread/schedstat"; }
# Frames: the thread writes one with each, to the terminal.
writes() { awk '/^syscw/ { print $2 }' "$thread/io"; }
before=$(count) frames=$(writes)
sleep "$seconds"
after=$(count) frames=$(($(writes) - frames))
awk -v ns=$((after - before)) -v s="$seconds" -v f="$frames" -v load="$(cut -d' ' -f1 /proc/loadavg)" 'BEGIN {
    printf "%.3f %% of one core, %.1f frames a second, %.3f ms a frame; load %s\n",
        ns / s / 1e7, f / s, ns / 1e6 / (f ? f : 1), load
}'

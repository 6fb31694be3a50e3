#!/usr/bin/env bash
# The service under a real systemd: one is booted in namespaces of its own, over a copy-on-write view of
# this machine, with no network but a loopback; nothing outside changes. Prints a table.
#
#   scripts/systemd.sh PROGRAM          start, status, reload, stop, uninstall (seconds)
#   scripts/systemd.sh PROGRAM --long   also: three crashes, and that the fourth start does not mine (2 min)
#
# Needs root, systemd and a unified control group tree; without them it says why in one line and ends
# with status 77.
# Functions are called by name, as conditions that are waited for.
# shellcheck disable=SC2317
set -euo pipefail

program=$(realpath "${1:?the program to install}")
form=${2:-}
work=$(mktemp -d)
groups=""

skip() { echo "no systemd can be booted here: $1"; exit 77; }
[ "$(id -u)" = 0 ] || skip "it takes root"
[ -x /lib/systemd/systemd ] || skip "systemd is not installed"
for tool in unshare nsenter; do command -v "$tool" >/dev/null || skip "there is no $tool"; done
# Only the hierarchy of version 2 will do, wherever this machine has it.
unified=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
[ -n "$unified" ] || skip "there is no unified control group tree"
groups="$unified/hearth-test-$$"
mkdir "$groups" 2>/dev/null || skip "no control group can be made"

down() {
  # All that runs in there goes with its first process.
  [ -z "${first:-}" ] || kill -9 "$first" 2>/dev/null || true
  [ -z "${outer:-}" ] || wait "$outer" 2>/dev/null || true
  for _ in $(seq 50); do
    find "$groups" -depth -type d -exec rmdir {} \; 2>/dev/null || true
    [ -d "$groups" ] || break
    sleep 0.1
  done
  rm -rf "$work"
}
trap down EXIT

cat >"$work/boot" <<'BOOT'
set -e
work=$1
mount --make-rprivate /
mount -t tmpfs tmpfs "$work/layer"
mkdir "$work/layer/upper" "$work/layer/work" "$work/layer/root"
root=$work/layer/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/layer/upper,workdir=$work/layer/work" "$root"
mount -t proc proc "$root/proc"
for folder in run dev tmp; do mount -t tmpfs tmpfs "$root/$folder"; done
for device in null zero full random urandom tty; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts devpts "$root/dev/pts" -o newinstance,ptmxmode=0666
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
touch "$root/dev/console"
mount --bind "$work/console" "$root/dev/console"
mount -t sysfs sysfs "$root/sys" -o ro
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup" 2>/dev/null ||
  { mount -t tmpfs tmpfs "$root/sys/fs/cgroup"; mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"; }
# Whatever this machine starts by itself is not started a second time in there.
rm -f "$root"/etc/systemd/system/*.wants/* 2>/dev/null || true
cp "$work/program" "$root/usr/local/bin/hearth"
ip link set lo up 2>/dev/null || true
cd "$root"
mkdir -p outside
pivot_root . outside
umount -l /outside
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --unit=multi-user.target --show-status=0
BOOT
mkdir "$work/layer"
: >"$work/console"
cp "$program" "$work/program"

(
  echo 0 >"$groups/cgroup.procs"
  exec unshare --pid --mount --net --cgroup --uts --ipc --fork --kill-child bash "$work/boot" "$work"
) >"$work/log" 2>&1 </dev/null &
outer=$!

inside() { nsenter -t "$first" -p -m -n -C -u -i -- "$@" </dev/null; }
# The value of one property of the service.
property() { inside systemctl show hearth --property "$1" --value; }
# Waits until a command is content, for so many seconds.
until_ok() {
  local tries=$(($1 * 10))
  shift
  while ! "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep 0.1
  done
}
booted() {
  first=$(pgrep -P "$(pgrep -P "$outer" -x unshare || echo "$outer")" -x systemd | head -1)
  [ -n "$first" ] && inside systemctl is-system-running | grep -qx 'running\|degraded'
}
until_ok 60 booted || { why=$(tail -1 "$work/log"); first=${first:-}; skip "${why:-it did not start}"; }

failed=0
now() { date +%s%N; }
say() { printf '%-46s %-34s %s\n' "$1" "$2" "$3"; }
# A row: what, how long a command took to be content, and the most it may take.
row() {
  local what=$1 limit=$2 since took
  shift 2
  since=$(now)
  if until_ok "$limit" "$@"; then
    took=$((($(now) - since) / 1000000))
    say "$what" "$((took / 1000)).$((took % 1000 / 100)) s" "$limit s"
  else
    say "$what" "FAILED" "$limit s"
    failed=1
  fi
}
is() { [ "$(property "$1")" = "$2" ]; }
says() { property StatusText | grep -q "$1"; }

say "what" "took" "limit"
inside hearth service install --system --no-start --set network=http://127.0.0.1:9 \
  --set accept_unpaid=true --set backend=cpu --set join=pool \
  --set hotkey_file=/var/lib/hearth/hotkey >/dev/null
# The well-known words of nobody's account.
inside sh -c 'umask 077; mkdir -p /var/lib/private/hearth; ln -sfn private/hearth /var/lib/hearth
  echo "bottom drive obey lake curtain smoke basket hold race lonely fit walk" >/var/lib/hearth/hotkey'
row "starts and says that it is ready" 20 inside systemctl start hearth
row "systemd knows what it does" 20 says "registering: "
row "hearth service status agrees" 5 inside hearth service status
row "reloads its settings" 5 inside systemctl reload hearth
row "is alive after that" 5 is ActiveState active
row "stops in order" 10 inside systemctl stop hearth
row "ended well" 1 is Result success

if [ "$form" = --long ]; then
  # The start above counts too.
  inside systemctl reset-failed hearth
  inside systemctl start hearth
  for crash in 1 2 3; do
    pid=$(property MainPID)
    until_ok 20 says "registering: "
    inside kill -9 "$pid"
    if [ "$crash" -lt 3 ]; then
      again() { is ActiveState active && ! is MainPID "$pid"; }
      row "started again after crash $crash (it waits 30 s)" 45 again
    else
      row "the fourth start does not mine" 45 is ExecMainStatus 1
      row "nor is there a fifth" 45 is ActiveState failed
    fi
  done
  looped() { inside journalctl -u hearth --no-pager | grep -q 'explain crash-loop'; }
  row "and says why" 5 looped
fi
row "is taken away again" 10 inside hearth service uninstall --system
row "with nothing of it left to start" 1 inside sh -c '! systemctl cat hearth'
if [ "$failed" != 0 ]; then
  inside journalctl -u hearth --no-pager | tail -20 >&2 || true
fi
exit "$failed"

#!/usr/bin/env bash
# All tests, on a fresh machine that has only a Rust toolchain.
#
# The kernels are also tested on a GPU adapter. Where there is none, Mesa's software Vulkan driver
# is installed (Debian and Ubuntu, when this may be done without a question); where that cannot be
# done, one line says so and those tests are skipped by name. The same goes for the tests of links
# between homes, which need root, `ip` and `nft`, and for those of a real keyring, which need
# gnome-keyring and `dbus-run-session`. Arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "$0")/.."

has_vulkan_driver() {
  local folder
  [ -n "${VK_ICD_FILENAMES:-}${VK_DRIVER_FILES:-}" ] && return 0
  for folder in /usr/share/vulkan/icd.d /etc/vulkan/icd.d /usr/local/share/vulkan/icd.d; do
    if compgen -G "$folder/*.json" >/dev/null; then return 0; fi
  done
  return 1
}

# Installs Debian packages without a question, or says in `why` what is in the way.
install() {
  local sudo=""
  command -v apt-get >/dev/null 2>&1 || { why="this is no Debian or Ubuntu"; return 1; }
  if [ "$(id -u)" != 0 ]; then
    sudo="sudo -n"
    $sudo true 2>/dev/null || { why="installing needs root"; return 1; }
  fi
  echo "installing $*"
  $sudo apt-get update -qq >/dev/null 2>&1 || true
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null 2>&1 ||
    { why="the package could not be installed"; return 1; }
}

why=""
if [ "$(uname -s)" = Linux ] && ! has_vulkan_driver; then
  install mesa-vulkan-drivers libvulkan1 ||
    echo "no Vulkan driver: $why; the wgpu tests are skipped (install mesa-vulkan-drivers to run them)"
fi

if [ "$(uname -s)" = Linux ] && [ "$(id -u)" = 0 ]; then
  if ! command -v ip >/dev/null 2>&1 || ! command -v nft >/dev/null 2>&1; then
    install iproute2 nftables ||
      echo "no ip or nft: $why; the tests of links between homes are skipped"
  fi
fi

if [ "$(uname -s)" = Linux ]; then
  for program in dbus-run-session gnome-keyring-daemon keyctl; do
    command -v "$program" >/dev/null 2>&1 && continue
    install dbus gnome-keyring keyutils ||
      echo "no $program: $why; the tests of a real keyring are skipped"
    break
  done
fi
# A display and a person for the tests of the sensors.
if [ "$(uname -s)" = Linux ]; then
  for program in Xvfb xdotool; do
    command -v "$program" >/dev/null 2>&1 && continue
    install xvfb xdotool || echo "no $program: $why; the tests of a real display are skipped"
    break
  done
fi
# Read by the tests of the installers.
for tool in shellcheck zip busybox; do
  if [ "$(uname -s)" = Linux ] && ! command -v "$tool" >/dev/null 2>&1; then
    install "$tool" || echo "no $tool: $why; the tests that need it are skipped"
  fi
done

# Judges the service's units.
if [ "$(uname -s)" = Linux ] && ! command -v systemd-analyze >/dev/null 2>&1; then
  install systemd || echo "no systemd-analyze: $why; the units are not verified"
fi

# Bittensor's wallet library is installed by the tests of wallet files, into a folder of the build.
if [ "$(uname -s)" = Linux ] && ! python3 -c "import ensurepip, venv" >/dev/null 2>&1; then
  install python3 python3-venv ||
    echo "no Python that makes environments: $why; the tests against the wallet library are skipped"
fi

exec cargo test --release --no-fail-fast "$@"

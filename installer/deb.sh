#!/bin/sh
# Makes a Debian package from a Linux archive of a release folder, and notes it in SHA256SUMS.
# The program and its files are the archive's own; only the places are Debian's.
set -eu

fail() {
  printf 'deb: %s\n' "$*" >&2
  exit 1
}

case ${1:-} in
  '' | -h | --help)
    echo "sh installer/deb.sh RELEASE-FOLDER/hearth-VERSION-TARGET.tar.gz
HEARTH_MAINTAINER=\"Name <address>\" is the package's maintainer."
    [ $# -gt 0 ] && exit 0
    exit 2
    ;;
esac
command -v dpkg-deb >/dev/null 2>&1 || fail "this needs dpkg-deb (the package dpkg)"
[ -f "$1" ] || fail "$1: there is no such archive"
folder=$(CDPATH='' cd -- "$(dirname -- "$1")" && pwd)
name=$(basename -- "$1" .tar.gz)
case $name in
  hearth-*-x86_64-unknown-linux-gnu) architecture=amd64 triple=x86_64-unknown-linux-gnu ;;
  hearth-*-aarch64-unknown-linux-gnu) architecture=arm64 triple=aarch64-unknown-linux-gnu ;;
  *) fail "$name is for no Debian: x86_64-unknown-linux-gnu and aarch64-unknown-linux-gnu are" ;;
esac
version=${name#hearth-}
version=${version%-"$triple"}

umask 022
work=$(mktemp -d "${TMPDIR:-/tmp}/hearth-deb.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
tar -xzf "$1" -C "$work"
from=$work/$name
to=$work/package
share=$to/usr/share
mkdir -p "$to/DEBIAN" "$to/usr/bin" "$share/doc" "$share/zsh"
cp -p "$from/bin/hearth" "$to/usr/bin/hearth"
for one in bash-completion fish man applications icons; do cp -pR "$from/share/$one" "$share/$one"; done
cp -pR "$from/share/zsh/site-functions" "$share/zsh/vendor-completions"
gzip -n -9 "$share"/man/man1/*.1
# The machine's service, for those who start it: the same text that hearth service install writes.
services=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)/services
mkdir -p "$to/usr/lib/systemd/system"
sed -e 's#@PROGRAM@#/usr/bin/hearth#; s#@ARGUMENTS@##; s#@RESTARTS@#RestartSec=30#' \
  -e '/@CREDENTIALS@/d; s#@GROUPS@#render video#' "$services/hearth.service" \
  >"$to/usr/lib/systemd/system/hearth.service"
doc=$share/doc/hearth-miner
cp -pR "$from/share/doc/hearth" "$doc"
mv "$doc/CHANGELOG.md" "$doc/changelog"
gzip -n -9 "$doc/changelog"
{
  printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n'
  printf 'Upstream-Name: hearth-miner\n\nFiles: *\nCopyright: %s\nLicense: MIT or Apache-2.0\n' \
    "$(sed -n 's/^Copyright (c) //p' "$doc/LICENSE-MIT" | sed q)"
  printf '\nLicense: MIT\n'
  sed 's/^$/./; s/^/ /' "$doc/LICENSE-MIT"
  printf '\nLicense: Apache-2.0\n On Debian it is in /usr/share/common-licenses/Apache-2.0.\n'
} >"$doc/copyright"
rm "$doc/LICENSE-MIT" "$doc/LICENSE-APACHE"

# The newest C library that the program asks for.
libc=$(LC_ALL=C grep -ao 'GLIBC_2\.[0-9][0-9]*' "$to/usr/bin/hearth" | sort -t . -k 2 -n | tail -n 1 || true)
libc=${libc#GLIBC_}
size=$(du -sk "$to/usr" | cut -f 1)
cat >"$to/DEBIAN/control" <<END
Package: hearth-miner
Version: $(printf '%s' "$version" | sed 's/-/~/g')
Architecture: $architecture
Maintainer: ${HEARTH_MAINTAINER:-The Hearth maintainers}
Installed-Size: $size
Depends: libc6${libc:+ (>= $libc)}, libgcc-s1, ca-certificates
Recommends: libvulkan1, bash-completion
Suggests: mesa-vulkan-drivers, gnome-keyring
Section: net
Priority: optional
Description: train a large language model together, at home
 Hearth is a terminal app with which home machines train one model too large
 for any of them. It is a miner for IOTA, subnet 9 of Bittensor, and can show
 the whole thing on one machine: hearth demo.
END
(cd "$to" && find usr -type f | LC_ALL=C sort | while IFS= read -r file; do md5sum "$file"; done) \
  >"$to/DEBIAN/md5sums"
package=hearth-miner_$(printf '%s' "$version" | sed 's/-/~/g')_$architecture.deb
epoch=$(stat -c %Y "$from/bin/hearth")
find "$to" -exec touch -h -d "@$epoch" {} +
SOURCE_DATE_EPOCH=$epoch dpkg-deb --root-owner-group --build "$to" "$work/$package" >/dev/null
mv -f "$work/$package" "$folder/$package"
(
  cd "$folder"
  { grep -v "[ *]$package\$" SHA256SUMS || true; } >"$work/SHA256SUMS"
  sha256sum "$package" >>"$work/SHA256SUMS"
  LC_ALL=C sort -k 2 "$work/SHA256SUMS" >SHA256SUMS.new
  mv -f SHA256SUMS.new SHA256SUMS
)
printf '%s\n' "$folder/$package"

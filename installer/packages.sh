#!/bin/sh
# Fills the templates of installer/packages (Homebrew, winget) for one release. Every address is the
# base that is given plus a file's name, and every checksum is read from the release's SHA256SUMS:
# nothing is made up, and what the release lacks is left out and said.
set -eu

fail() {
  printf 'packages: %s\n' "$*" >&2
  exit 1
}

case ${1:-} in
  '' | -h | --help)
    echo "sh installer/packages.sh VERSION BASE_URL [RELEASE-FOLDER] [OUT-FOLDER]
BASE_URL is where the files of RELEASE-FOLDER [target/release-folder] can be downloaded.
HEARTH_HOMEPAGE is the project's page [BASE_URL]."
    [ $# -gt 0 ] && exit 0
    exit 2
    ;;
esac
[ $# -ge 2 ] || fail "VERSION and BASE_URL are needed; try --help"
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
version=$1
base=${2%/}
release=${3:-$root/target/release-folder}
out=${4:-$release/packages}
homepage=${HEARTH_HOMEPAGE:-$base}
case $version in *[!0-9A-Za-z.+-]* | '') fail "$version is no version" ;; esac
case $base$homepage in
  *[!0-9A-Za-z:/._~%+@-]*) fail "an address may hold no quotes, spaces or other such characters" ;;
esac
case $base in https://*) ;; *) fail "$base: packages are downloaded over https only" ;; esac
[ -f "$release/SHA256SUMS" ] || fail "$release has no SHA256SUMS: make it with installer/release.sh"

# The checksum of one file of the release, or nothing.
checksum() { awk -v name="$1" '$2 == name || $2 == "*" name { print $1 }' "$release/SHA256SUMS"; }

# Fills a template: blocks between "@IF TARGET@" and "@END@" stay only if the release has the target,
# with its address and checksum in place of @URL@ and @SHA256@.
fill() {
  mkdir -p "$(dirname -- "$2")"
  while IFS= read -r line; do
    case $line in
      *'@IF '*'@'*)
        target=${line#*@IF }
        target=${target%%@*}
        suffix=tar.gz
        case $target in *windows*) suffix=zip ;; esac
        name=hearth-$version-$target
        sum=$(checksum "$name.$suffix")
        url=$base/$name.$suffix
        inside=yes
        continue
        ;;
      *'@END@'*)
        inside=no
        continue
        ;;
    esac
    if [ "$inside" = yes ] && [ -z "$sum" ]; then continue; fi
    printf '%s\n' "$line" | sed -e "s|@VERSION@|$version|g" -e "s|@HOMEPAGE@|$homepage|g" \
      -e "s|@NAME@|$name|g" -e "s|@URL@|$url|g" -e "s|@SHA256@|$sum|g" \
      -e "s|@UPPER_SHA256@|$(printf '%s' "$sum" | tr a-f A-F)|g"
  done <"$1" >"$2.new"
  if grep -q '@[A-Z_0-9]*@' "$2.new"; then fail "$1 holds a placeholder that nothing fills"; fi
  mv -f "$2.new" "$2"
  printf '%s\n' "$2"
}

# Whether the release has any of these targets.
has() {
  for one in "$@"; do
    case $one in *windows*) suffix=zip ;; *) suffix=tar.gz ;; esac
    [ -z "$(checksum "hearth-$version-$one.$suffix")" ] || return 0
  done
  return 1
}

inside=no sum='' name='' url=''
made=no
if has x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu x86_64-apple-darwin aarch64-apple-darwin; then
  fill "$root/installer/packages/hearth-miner.rb" "$out/homebrew/hearth-miner.rb"
  made=yes
else
  echo "no Homebrew formula: the release has nothing for macOS or Linux" >&2
fi
if has x86_64-pc-windows-msvc aarch64-pc-windows-msvc; then
  for template in "$root"/installer/packages/winget/*.yaml; do
    fill "$template" "$out/winget/${template##*/}"
  done
  made=yes
else
  echo "no winget manifests: the release has nothing for Windows" >&2
fi
[ "$made" = yes ] || fail "$release has no archive of version $version"

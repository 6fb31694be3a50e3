#!/bin/sh
# Makes a release folder from a built program: one archive per target, and SHA256SUMS over all of
# them. The same program gives the same archive to the byte: names are sorted, owners and times are
# fixed. Run it once per target with the same --out.
set -eu

usage() {
  cat <<'END'
sh installer/release.sh --binary FILE [--target TRIPLE] [--out FOLDER] [--generator FILE]

  --binary FILE      the program, built with: cargo build --profile dist --locked
  --target TRIPLE    what it was built for [this machine, as rustc names it]
  --out FOLDER       the release folder; archives of other targets in it stay [target/release-folder]
  --generator FILE   a Hearth that runs here and writes completions and manual pages, where the
                     program itself cannot [the program]

SOURCE_DATE_EPOCH is the time that files in the archive carry [the last commit's].
END
}

fail() {
  printf 'release: %s\n' "$*" >&2
  exit 1
}

read_arguments() {
  binary='' target='' generator='' out=$root/target/release-folder
  while [ $# -gt 0 ]; do
    case $1 in
      --help | -h)
        usage
        exit 0
        ;;
      --binary | --target | --out | --generator) [ $# -gt 1 ] || fail "$1 needs a value" ;;
      *) fail "$1 means nothing here; try --help" ;;
    esac
    case $1 in
      --binary) binary=$2 ;;
      --target) target=$2 ;;
      --out) out=$2 ;;
      --generator) generator=$2 ;;
    esac
    shift 2
  done
  [ -f "$binary" ] || fail "--binary names no file; build one with: cargo build --profile dist --locked"
  [ -n "$target" ] || target=$(rustc -vV | sed -n 's/^host: //p')
  [ -n "$target" ] || fail "name the target with --target"
  [ -n "$generator" ] || generator=$binary
  case $generator in */*) ;; *) generator=./$generator ;; esac
  version=$("$generator" --version | sed -n 's/^hearth //p')
  [ -n "$version" ] || fail "$generator does not say its version; name one that runs here with --generator"
}

# The time all files carry.
stamp() {
  [ -z "${SOURCE_DATE_EPOCH:-}" ] || {
    echo "$SOURCE_DATE_EPOCH"
    return
  }
  # Without a history: the first moment that every archive format can express.
  git -C "$root" log -1 --format=%ct 2>/dev/null || echo 315532800
}

# GNU's date or BSD's.
touch_time() {
  TZ=UTC0 date -d "@$1" +%Y%m%d%H%M.%S 2>/dev/null || TZ=UTC0 date -r "$1" +%Y%m%d%H%M.%S
}

put() { install -d "$(dirname "$2")" && install -m "$3" "$1" "$2"; }

fill() {
  program=hearth
  case $target in *windows*) program=hearth.exe ;; esac
  put "$binary" "$tree/bin/$program" 755
  for file in LICENSE-MIT LICENSE-APACHE README.md CHANGELOG.md; do
    put "$root/$file" "$tree/share/doc/hearth/$file" 644
  done
  for shell in bash zsh fish powershell; do
    "$generator" completions "$shell" >"$work/$shell"
    [ -s "$work/$shell" ] || fail "$generator wrote no completions for $shell"
  done
  case $target in
    *windows*)
      put "$work/powershell" "$tree/share/powershell/hearth.ps1" 644
      put "$root/installer/install.ps1" "$tree/lib/hearth/install.ps1" 644
      return
      ;;
  esac
  put "$work/bash" "$tree/share/bash-completion/completions/hearth" 644
  put "$work/zsh" "$tree/share/zsh/site-functions/_hearth" 644
  put "$work/fish" "$tree/share/fish/vendor_completions.d/hearth.fish" 644
  "$generator" man "$work/man" >/dev/null
  for page in "$work"/man/*.1; do put "$page" "$tree/share/man/man1/${page##*/}" 644; done
  put "$root/installer/install.sh" "$tree/lib/hearth/install.sh" 755
  case $target in
    *linux*)
      put "$root/installer/hearth.desktop" "$tree/share/applications/hearth.desktop" 644
      put "$root/installer/hearth.svg" "$tree/share/icons/hicolor/scalable/apps/hearth.svg" 644
      ;;
  esac
}

# Packs the tree: sorted, owned by nobody in particular, all of one time.
pack() {
  when=$(stamp)
  moment=$(touch_time "$when")
  find "$tree" -exec env TZ=UTC0 touch -h -t "$moment" {} +
  (cd "$work" && find "$top" -type f | LC_ALL=C sort) >"$work/list"
  case $target in
    *windows*)
      archive=$top.zip
      command -v zip >/dev/null 2>&1 || fail "packing for Windows needs zip"
      (cd "$work" && TZ=UTC0 zip -q -X -9 "$archive" -@ <list)
      ;;
    *)
      archive=$top.tar.gz
      if tar --version 2>/dev/null | grep -q GNU; then
        owner='--owner=0 --group=0 --numeric-owner'
      else
        owner='--uid 0 --gid 0 --numeric-owner'
      fi
      # shellcheck disable=SC2086 # several words on purpose
      (cd "$work" && tar --format=ustar $owner -cf "$top.tar" -T list && gzip -n "$top.tar")
      ;;
  esac
  mv -f "$work/$archive" "$out/$archive.new"
  mv -f "$out/$archive.new" "$out/$archive"
}

# One line for each file of the folder, as sha256sum writes and checks them.
sums() {
  for script in install.sh install.ps1; do put "$root/installer/$script" "$out/$script" 755; done
  (
    cd "$out"
    for file in *; do
      case $file in SHA256SUMS*) continue ;; esac
      [ -f "$file" ] || continue
      if command -v sha256sum >/dev/null 2>&1; then sha256sum "$file"; else shasum -a 256 "$file"; fi
    done
  ) >"$work/SHA256SUMS"
  mv -f "$work/SHA256SUMS" "$out/SHA256SUMS"
}

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
read_arguments "$@"
work=$(mktemp -d "${TMPDIR:-/tmp}/hearth-release.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
mkdir -p "$out"
out=$(CDPATH='' cd -- "$out" && pwd)
top=hearth-$version-$target
tree=$work/$top
fill
pack
sums
printf '%s\n' "$out/$archive"

#!/usr/bin/env bash
# Type checks the library and the program for the systems that this machine is not: Windows and macOS.
#
# Nothing is linked, so no foreign C compiler is needed: the C parts of dependencies are replaced by
# empty objects. The targets' standard libraries are fetched by rustup.
set -euo pipefail
cd "$(dirname "$0")/.."

stubs=$(mktemp -d)
trap 'rm -rf "$stubs"' EXIT

# "Compiles" to an empty object, and answers questions about itself.
cat >"$stubs/cc" <<'END'
#!/bin/sh
previous=""
for argument in "$@"; do
  case "$argument" in
    -E) exec cc "$@" ;;
    -o?*) : >"${argument#-o}" ;;
  esac
  [ "$previous" = -o ] && : >"$argument"
  previous="$argument"
done
exit 0
END

# "Archives" nothing.
cat >"$stubs/ar" <<'END'
#!/bin/sh
for argument in "$@"; do
  case "$argument" in *.a | *.lib) : >"$argument" ;; esac
done
exit 0
END
chmod +x "$stubs/cc" "$stubs/ar"

for target in x86_64-pc-windows-gnu aarch64-apple-darwin; do
  rustup target add "$target" >/dev/null 2>&1 || {
    echo "$target: its standard library could not be fetched; not checked"
    continue
  }
  name=${target//-/_}
  echo "== $target"
  env "CC_$name=$stubs/cc" "CXX_$name=$stubs/cc" "AR_$name=$stubs/ar" SDKROOT="$stubs" \
    cargo check --release --target "$target" --lib --bins --quiet
done

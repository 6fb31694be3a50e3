#!/usr/bin/env bash
# Checks the licences, bans and sources of all dependencies (deny.toml says what is allowed).
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v cargo-deny >/dev/null 2>&1; then
  echo "installing cargo-deny (once, a few minutes)"
  cargo install cargo-deny --locked --quiet --target-dir target/tools
fi
cargo deny --all-features check --hide-inclusion-graph licenses bans sources

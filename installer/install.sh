#!/bin/sh
# Installs Hearth for one user on Linux and macOS: no root, nothing outside of this user's folders,
# every file noted in a manifest so that `--uninstall` removes exactly those. `--help` says more.
# Everything is in functions and called from the last line, so that half a script does nothing.
set -eu

usage() {
  cat <<'END'
Installs Hearth for you alone, without root.

  sh install.sh --from FOLDER-OR-URL   from a release (a folder with SHA256SUMS, or its address)
  sh install.sh --from-source          from the source tree this script lies in (needs Rust);
                                       --from FOLDER names another tree
  sh install.sh --uninstall            removes the program; keys and data stay

  --version VERSION    this version instead of the newest in the release
  --prefix FOLDER      where it goes: FOLDER/bin, FOLDER/share, FOLDER/lib/hearth [~/.local]
  --no-modify-path     leave the shell's profile alone
  --keep-keys          with --uninstall: also delete settings and data, but not the keys
  --purge              with --uninstall: delete everything, also the keys
  --yes                do not ask before deleting

The program is run once (`hearth --version`) before it takes the place of an older one, which is
kept as hearth.previous. A Hearth that runs goes on with the version it was started with.
END
}

say() { printf '%s\n' "$*"; }
note() { printf 'hearth: %s\n' "$*" >&2; }
fail() { note "$*"; exit 1; }
misused() { note "$*; try --help"; exit 2; }
have() { command -v "$1" >/dev/null 2>&1; }

# ---- what was asked ----

read_arguments() {
  action=install origin=release from='' wanted='' prefix='' modify_path=yes keep=everything yes=no
  while [ $# -gt 0 ]; do
    flag=$1
    shift
    case $flag in
      --from=* | --version=* | --prefix=*)
        value=${flag#*=}
        flag=${flag%%=*}
        ;;
      --from | --version | --prefix)
        [ $# -gt 0 ] || misused "$flag needs a value"
        value=$1
        shift
        ;;
    esac
    case $flag in
      --from) from=$value ;;
      --version) wanted=${value#v} ;;
      --prefix) prefix=$value ;;
      --from-source) origin=source ;;
      --no-modify-path) modify_path=no ;;
      --uninstall) action=uninstall ;;
      --keep-keys) keep=keys ;;
      --purge) keep=nothing ;;
      --yes) yes=yes ;;
      --help | -h)
        usage
        exit 0
        ;;
      *) misused "$flag means nothing here" ;;
    esac
  done
  if [ "$action" = install ] && [ "$keep" != everything ]; then
    misused "--keep-keys and --purge belong to --uninstall"
  fi
}

# ---- places ----

# An XDG folder counts only if it is absolute.
xdg() { case $1 in /*) printf '%s' "$1" ;; *) printf '%s' "$2" ;; esac }

find_places() {
  script_folder=''
  case $0 in *install.sh) script_folder=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) ;; esac
  home=${HOME:-}
  [ -n "$home" ] || [ -n "$prefix" ] ||
    fail "HOME is not set, so there is no place to install to; name one with --prefix"
  # The copy that was installed knows where it was installed to.
  if [ -z "$prefix" ] && [ "$action" = uninstall ] && [ -f "$script_folder/manifest" ]; then
    prefix=${script_folder%/lib/hearth}
  fi
  default_prefix=$home/.local
  [ -n "$prefix" ] || prefix=$default_prefix
  case $prefix in /*) ;; *) prefix=$(pwd)/$prefix ;; esac
  while [ "$prefix" != / ] && [ "${prefix%/}" != "$prefix" ]; do prefix=${prefix%/}; done
  case $prefix in
    *:* | *'
'*) fail "a folder with a colon or a line break in its name cannot be on the PATH: $prefix" ;;
  esac
  bin=$prefix/bin
  share=$prefix/share
  if [ "$prefix" = "$default_prefix" ]; then share=$(xdg "${XDG_DATA_HOME:-}" "$share"); fi
  lib=$prefix/lib/hearth
  manifest=$lib/manifest
}

# Hearth's own folders, one a line, the one with the keys first (src/config/folders.rs).
data_folders() {
  if [ -n "${HEARTH_HOME:-}" ]; then
    for one in data config state cache; do say "$HEARTH_HOME/$one"; done
  elif [ -z "$home" ]; then
    return
  elif [ "$(uname -s)" = Darwin ]; then
    say "$home/Library/Application Support/hearth"
    say "$home/Library/Caches/hearth"
  else
    say "$(xdg "${XDG_DATA_HOME:-}" "$home/.local/share")/hearth"
    say "$(xdg "${XDG_CONFIG_HOME:-}" "$home/.config")/hearth"
    say "$(xdg "${XDG_STATE_HOME:-}" "$home/.local/state")/hearth"
    say "$(xdg "${XDG_CACHE_HOME:-}" "$home/.cache")/hearth"
  fi
}

# ---- the release: find, fetch, check, unpack ----

# Sets `system` and `machine` as a person knows them, `candidates` as releases name them.
find_targets() {
  system=$(uname -s)
  machine=$(uname -m)
  case $machine in
    x86_64 | amd64) cpu=x86_64 ;;
    aarch64 | arm64) cpu=aarch64 ;;
    *) cpu=$machine ;;
  esac
  case $system in
    Linux)
      # A 32-bit system on a 64-bit kernel cannot run a 64-bit program.
      if [ "$(getconf LONG_BIT 2>/dev/null || echo 64)" = 32 ]; then
        cpu="32-bit-$cpu"
        machine="$machine with 32-bit programs"
      fi
      case $(ldd --version 2>&1 || true) in
        *musl*) candidates=$cpu-unknown-linux-musl ;;
        *) candidates="$cpu-unknown-linux-gnu $cpu-unknown-linux-musl" ;;
      esac
      ;;
    Darwin)
      # A translated shell says x86_64 on an Apple processor.
      [ "$(sysctl -n sysctl.proc_translated 2>/dev/null || echo 0)" = 1 ] && cpu=aarch64
      candidates=$cpu-apple-darwin
      ;;
    MINGW* | MSYS* | CYGWIN*) fail "this is Windows: run install.ps1 in PowerShell instead" ;;
    *) candidates=$cpu-unknown-$system ;;
  esac
}

is_url() { case $1 in http://* | https://*) return 0 ;; esac; return 1; }

check_origin() {
  [ -n "$from" ] || fail "there is no public release of Hearth yet, so there is nothing to download.
Build it here:          sh install.sh --from-source   (in the source tree; needs Rust)
Or name a release:      sh install.sh --from FOLDER-OR-URL"
  case $from in
    http://localhost[:/]* | http://127.0.0.1[:/]* | 'http://[::1]'[:/]*) ;;
    http://*) fail "$from: over http anybody on the way could swap the program; use https" ;;
    https://*) ;;
    *://*) fail "$from: only folders and https addresses can be installed from" ;;
    *) [ -d "$from" ] || fail "$from: there is no such folder" ;;
  esac
  if is_url "$from"; then
    from=${from%/}
    have curl || have wget || fail "neither curl nor wget is here to download with: install one of \
them, or download the release folder another way and name it with --from FOLDER"
  fi
}

# Brings one file of the release into the work folder; says why it could not.
get() {
  if ! is_url "$from"; then
    [ -f "$from/$1" ] || fail "$from has no $1: is it a release folder?"
    cp -- "$from/$1" "$work/$1" || fail "$from/$1 cannot be copied to $work"
    return
  fi
  if have curl; then
    protocols='=https'
    case $from in http://*) protocols='=http' ;; esac
    curl --fail --silent --show-error --location --proto "$protocols" --connect-timeout 20 \
      --speed-limit 1024 --speed-time 60 --output "$work/$1" "$from/$1" && return
  else
    # BusyBox has a wget too: with fewer options, one of which it dies of.
    patience=''
    case $(wget --version 2>&1 || true) in *GNU*) patience='--timeout=60 --tries=3' ;; esac
    # shellcheck disable=SC2086 # several words on purpose
    wget -q $patience -O "$work/$1" "$from/$1" && return
  fi
  fail "$from/$1 could not be downloaded; nothing was changed. Check the address and the network"
}

# Sets `archive`, `version` and `top`: the newest version that runs here, or the one asked for.
choose_archive() {
  for target in $candidates; do
    archive=$(LC_ALL=C awk -v target="$target" -v wanted="$wanted" '
      { name = $2; sub(/^\*/, "", name) }
      name !~ /^hearth-[0-9][0-9A-Za-z._+-]*\.tar\.gz$/ { next }
      {
        rest = substr(name, 8, length(name) - 14)
        at = length(rest) - length(target)
        if (at < 2 || substr(rest, at) != "-" target) next
        version = substr(rest, 1, at - 1)
        if (wanted != "" && version != wanted) next
        split(version, part, /[.+-]/)
        key = sprintf("%09d%09d%09d%d", part[1], part[2], part[3], version !~ /-/)
        if (key >= best) { best = key; chosen = name }
      }
      END { print chosen }' "$work/SHA256SUMS")
    [ -z "$archive" ] || break
  done
  if [ -z "$archive" ]; then
    offered=$(sed -n 's/^[0-9a-f]*  *\**\(hearth-.*\)\.tar\.gz$/  \1/p' "$work/SHA256SUMS")
    fail "$from has no Hearth ${wanted:+$wanted }for $system on $machine. It has:
${offered:-  nothing for Linux or macOS}
On other machines build it: sh install.sh --from-source (in the source tree; needs Rust)"
  fi
  top=${archive%.tar.gz}
  version=${top#hearth-}
  version=${version%-"$target"}
}

hash_of() {
  if have sha256sum; then
    sha256sum <"$1" | cut -d ' ' -f 1
  elif have shasum; then
    shasum -a 256 <"$1" | cut -d ' ' -f 1
  else
    fail "neither sha256sum nor shasum is here, so the download cannot be checked; install one"
  fi
}

check_archive() {
  expected=$(awk -v name="$archive" '$2 == name || $2 == "*" name { print tolower($1) }' \
    "$work/SHA256SUMS")
  found=$(hash_of "$work/$archive")
  [ "$found" = "$expected" ] || fail "$archive is not what SHA256SUMS says: it has the checksum
  $found
instead of
  $expected
It was not unpacked and nothing was changed. Download it again; if that does not help, do not use it"
}

unpack() {
  tar -tzf "$work/$archive" >"$work/names" || fail "$archive cannot be unpacked; nothing was changed"
  if grep -v "^$top/" "$work/names" || grep -E '(^|/)\.\.(/|$)' "$work/names"; then
    fail "$archive holds files outside of its own folder; nothing was changed"
  fi
  tar -xzf "$work/$archive" -C "$work" || fail "$archive cannot be unpacked; nothing was changed"
  [ -f "$work/$top/bin/hearth" ] || fail "$archive holds no bin/hearth; nothing was changed"
}

build_release() {
  tree=${from:-${script_folder:+$script_folder/..}}
  if [ -z "$tree" ] || ! grep -qs '^name = "hearth-miner"' "$tree/Cargo.toml"; then
    fail "${tree:-this} is not Hearth's source tree; name it: --from-source --from FOLDER"
  fi
  tree=$(CDPATH='' cd -- "$tree" && pwd)
  have cargo || fail "building needs Rust and cargo is not here; get it from https://rustup.rs or \
your system's packages, then run this again"
  host=$(rustc -vV | sed -n 's/^host: //p')
  built=${CARGO_TARGET_DIR:-$tree/target}
  say "Building Hearth in $built (this takes a while)"
  (cd "$tree" && cargo build --profile dist --locked --bin hearth --target "$host" \
    --target-dir "$built") || fail "it could not be built; the lines above say why"
  sh "$tree/installer/release.sh" --binary "$built/$host/dist/hearth" --target "$host" \
    --out "$work/release" || fail "the release could not be made"
  from=$work/release
}

# ---- installing ----

# Where a file of the archive goes; nothing for those this system has no use for.
destination() {
  case $1 in
    bin/*) say "$bin/${1#bin/}" ;;
    lib/hearth/*) say "$lib/${1#lib/hearth/}" ;;
    share/man/*) say "$prefix/$1" ;;
    share/applications/* | share/icons/*) [ "$system" = Darwin ] || say "$share/${1#share/}" ;;
    share/*) say "$share/${1#share/}" ;;
  esac
}

listed() { [ -f "$manifest" ] && grep -Fxq -- "$1 $2" "$manifest"; }

# Makes a folder and its parents, and remembers which were not there.
make_folder() {
  [ ! -d "$1" ] || return 0
  make_folder "$(dirname -- "$1")"
  mkdir -- "$1" 2>"$work/why" ||
    fail "$1 cannot be made ($(sed 's/.*: //' "$work/why")); choose another place with --prefix"
  say "folder $1" >>"$work/folders"
}

# Puts a file in its place in one step: nobody ever sees half of it.
put() {
  make_folder "$(dirname -- "$2")"
  pending=$2$new
  { cp -- "$1" "$pending" && chmod "$3" "$pending" && mv -f -- "$pending" "$2"; } ||
    fail "$2 cannot be written; is the disk full?"
  pending=''
}

plan_files() {
  (cd "$work/$top" && find . -type f) | sed 's|^\./||' | LC_ALL=C sort >"$work/found"
  : >"$work/plan"
  : >"$work/folders"
  while IFS= read -r file; do
    place=$(destination "$file")
    [ -z "$place" ] || say "$file|$place" >>"$work/plan"
  done <"$work/found"
  while IFS='|' read -r file place; do
    if { [ -e "$place" ] || [ -L "$place" ]; } && ! listed file "$place"; then
      fail "$place is already there and was not put there by this installer. Remove it, or choose \
another place with --prefix"
    fi
  done <"$work/plan"
}

# The new program beside the old one, and proof that it runs here.
stage_program() {
  make_folder "$bin"
  staged=$bin/hearth$new
  { cp -- "$work/$top/bin/hearth" "$staged" && chmod 755 "$staged"; } 2>"$work/why" ||
    fail "$bin cannot be written ($(sed 's/.*: //;q' "$work/why")); choose another place with --prefix"
  if ! said=$("$staged" --version 2>&1); then
    fail "this Hearth ($top) does not run here: $(say "$said" | sed q)
Nothing was changed. Build it on this machine instead: sh install.sh --from-source"
  fi
  [ "$said" = "hearth $version" ] ||
    fail "the archive of version $version holds a program that says \"$said\"; nothing was changed"
}

# Everything that is ours, before the first file is placed: an interrupted installation can be
# repeated or removed.
write_manifest() {
  make_folder "$lib"
  while IFS='|' read -r file place; do make_folder "$(dirname -- "$place")"; done <"$work/plan"
  {
    say "version $version"
    sed 's/^[^|]*|/file /' "$work/plan"
    say "file $bin/hearth.previous"
    say "file $manifest"
    if [ -f "$manifest" ]; then grep -E '^(folder|block|made|file) ' "$manifest" || true; fi
    cat "$work/folders"
  } | awk '!seen[$0]++' >"$work/manifest"
  put "$work/manifest" "$manifest" 644
}

place_files() {
  while IFS='|' read -r file place; do
    case $file in
      bin/hearth) continue ;;
      share/applications/hearth.desktop)
        # The menu does not know the shell's PATH.
        quoted=$(printf '%s' "$bin/hearth" | sed 's/\\/\\\\\\\\/g; s/["`$]/\\\\&/g; s/%/%%/g')
        PROGRAM="\"$quoted\"" awk '/^Exec=/ { print "Exec=" ENVIRON["PROGRAM"]; next } { print }' \
          "$work/$top/$file" >"$work/entry"
        put "$work/entry" "$place" 644
        ;;
      *.sh) put "$work/$top/$file" "$place" 755 ;;
      *) put "$work/$top/$file" "$place" 644 ;;
    esac
  done <"$work/plan"
  changed=no
  if [ ! -e "$bin/hearth" ]; then
    mv -f -- "$staged" "$bin/hearth" || fail "$bin/hearth cannot be written"
    changed=new
  elif ! cmp -s "$staged" "$bin/hearth"; then
    # A second name for the old file: there is no moment without a program.
    previous=$bin/hearth.previous$new
    if ! { ln -- "$bin/hearth" "$previous" 2>/dev/null || cp -p -- "$bin/hearth" "$previous"; } ||
      ! mv -f -- "$previous" "$bin/hearth.previous" || ! mv -f -- "$staged" "$bin/hearth"; then
      fail "$bin/hearth cannot be replaced"
    fi
    changed=upgraded
  else
    rm -f -- "$staged"
  fi
  staged=''
}

# What an older version had and this one has not.
drop_stale() {
  { sed 's/^[^|]*|/file /' "$work/plan"; say "file $manifest"; say "file $bin/hearth.previous"; } \
    >"$work/wanted"
  grep '^file ' "$manifest" | grep -Fxv -f "$work/wanted" | sed 's/^file //' >"$work/stale" || true
  while IFS= read -r file; do rm -f -- "$file"; done <"$work/stale"
  sed 's/^/file /' "$work/stale" >"$work/gone"
  if [ -s "$work/gone" ]; then
    grep -Fxv -f "$work/gone" "$manifest" >"$work/manifest"
    put "$work/manifest" "$manifest" 644
  fi
}

install_hearth() {
  if [ -n "${SUDO_USER:-}" ] && [ "$(id -u)" = 0 ]; then
    note "installing for $(id -un), with files that are root's; $SUDO_USER can run this without sudo"
  fi
  if [ "$origin" = source ]; then build_release; fi
  check_origin
  find_targets
  get SHA256SUMS
  choose_archive
  if is_url "$from"; then say "Downloading $archive"; fi
  get "$archive"
  check_archive
  unpack
  plan_files
  fresh=yes
  [ ! -f "$manifest" ] || fresh=no
  stage_program
  placing=yes
  write_manifest
  place_files
  drop_stale
  placing=no
  case $changed in
    new) say "Hearth $version is installed: $bin/hearth" ;;
    upgraded) say "Hearth is now $version: $bin/hearth (before: $bin/hearth.previous)" ;;
    no) say "Hearth $version was already installed: $bin/hearth" ;;
  esac
  tell_running "It goes on with the version it was started with until you start it again."
  offer_path
  say "Start it:     hearth"
  say "To remove it: sh $(quoted_for_shell "$lib/install.sh") --uninstall"
}

# ---- the shell's PATH ----

quoted_for_shell() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }

# The lines for one profile, between marks by which they are found again.
block_for() {
  folder=$(quoted_for_shell "$bin")
  say "# >>> hearth: $bin >>>"
  case $1 in
    *.fish) say "contains -- $folder \$PATH; or set -gx PATH $folder \$PATH" ;;
    *)
      say "case \":\$PATH:\" in *:$folder:*) ;; *) PATH=$folder:\"\$PATH\"; export PATH ;; esac"
      case $1 in *.zshenv) say "fpath=($(quoted_for_shell "$share/zsh/site-functions") \$fpath)" ;; esac
      ;;
  esac
  say "# <<< hearth: $bin <<<"
}

# The files that this user's shell reads, one a line; none for a shell we do not know.
profiles() {
  [ -n "$home" ] || return 0
  case ${SHELL##*/} in
    bash)
      say "$home/.bashrc"
      for one in .bash_profile .bash_login .profile; do
        [ "$one" = .profile ] || [ -f "$home/$one" ] || continue
        say "$home/$one"
        break
      done
      ;;
    zsh) say "${ZDOTDIR:-$home}/.zshenv" ;;
    fish) say "$(xdg "${XDG_CONFIG_HOME:-}" "$home/.config")/fish/conf.d/hearth.fish" ;;
    sh | dash | ash | ksh) say "$home/.profile" ;;
  esac
}

offer_path() {
  case ":${PATH:-}:" in *":$bin:"*) return ;; esac
  SHELL=${SHELL:-}
  profiles >"$work/profiles"
  if [ "$modify_path" = no ] || [ ! -s "$work/profiles" ]; then
    say "$bin is not on your PATH. Add it in your shell's profile:"
    block_for .profile | sed -n 's/^case/  case/p'
    return
  fi
  while IFS= read -r profile; do add_block "$profile"; done <"$work/profiles"
  say "Open a new terminal, or for this one: PATH=$(quoted_for_shell "$bin"):\"\$PATH\""
}

add_block() {
  if grep -Fxqs -- "# >>> hearth: $bin >>>" "$1"; then return; fi
  say "$bin is not on your PATH: adding it in $1"
  : >"$work/folders"
  make_folder "$(dirname -- "$1")"
  {
    cat "$work/folders"
    [ -e "$1" ] || say "made $1"
    say "block $1"
  } >"$work/added"
  block_for "$1" >"$work/block"
  # A last line without its end would swallow ours.
  if [ -s "$1" ] && [ -n "$(tail -c 1 -- "$1")" ]; then ended=no; else ended=yes; fi
  if { [ "$ended" = yes ] || say ''; cat "$work/block"; } 2>/dev/null >>"$1"; then
    { cat "$manifest"; cat "$work/added"; } | awk '!seen[$0]++' >"$work/manifest"
    put "$work/manifest" "$manifest" 644
  else
    note "$1 cannot be written; add this line to your shell's profile:"
    sed -n 2p "$work/block" >&2
  fi
}

# Takes our lines out of a profile. A link stays a link.
remove_block() {
  [ -f "$1" ] || return 0
  MARK="hearth: $bin" awk '
    $0 == "# >>> " ENVIRON["MARK"] " >>>" { inside = 1 }
    !inside { print }
    $0 == "# <<< " ENVIRON["MARK"] " <<<" { inside = 0 }' "$1" >"$work/profile"
  if cmp -s "$work/profile" "$1"; then return 0; fi
  if [ ! -s "$work/profile" ] && listed made "$1"; then
    rm -f -- "$1"
  elif [ -L "$1" ]; then
    cat "$work/profile" >"$1"
  else
    pending=$1$new
    { cp -p -- "$1" "$pending" && cat "$work/profile" >"$pending" && mv -f -- "$pending" "$1"; } ||
      fail "$1 cannot be written; take the lines between the hearth marks out of it by hand"
    pending=''
  fi
}

# ---- uninstalling ----

# The processes that run our program, by number. It may have been replaced since they started.
running() {
  for process in /proc/[0-9]*; do
    program=$(readlink "$process/exe" 2>/dev/null) || continue
    case ${program% (deleted)} in
      "$bin/hearth" | "$bin/hearth.previous") printf '%s ' "${process#/proc/}" ;;
    esac
  done
  if [ ! -d /proc/self ] && have pgrep; then
    pgrep -f "^$bin/hearth( |\$)" | tr '\n' ' ' || true
  fi
}

tell_running() {
  processes=$(running)
  [ -z "$processes" ] || say "Hearth is running (process ${processes% }). $1"
}

remove_files() {
  sed -n 's/^block //p' "$manifest" >"$work/blocks"
  while IFS= read -r profile; do remove_block "$profile"; done <"$work/blocks"
  sed -n 's/^file //p' "$manifest" | grep -Fxv -- "$manifest" >"$work/files" || true
  sed -n 's/^folder //p' "$manifest" | LC_ALL=C sort -r >"$work/made"
  while IFS= read -r file; do
    rm -f -- "$file" "$file$new" || fail "$file cannot be removed; run this again when it can"
  done <"$work/files"
  # Last, so that an interrupted removal can be repeated.
  rm -f -- "$manifest" "$manifest$new"
  while IFS= read -r folder; do rmdir -- "$folder" 2>/dev/null || true; done <"$work/made"
}

# The names of the keys that are not in our folders; the list of them is.
kept_in_keyring() {
  [ -x "$bin/hearth" ] || return 0
  { "$bin/hearth" keys list --json </dev/null 2>/dev/null || true; } |
    sed -n '/"store":"keyring"/s/.*"name":"\([^"]*\)".*/\1/p' | tr '\n' ' '
}

ask_to_delete() {
  say "This deletes for ever:"
  sed 's/^/  /' "$work/data"
  if [ "$keep" = nothing ]; then
    say "with every key in it. Coins that were paid to a key whose words you do not have are lost."
    names=$(kept_in_keyring)
    [ -z "$names" ] || say "These keys are in the system's keyring and stay there: $names
To delete them as well, stop here and run: hearth keys remove NAME"
  else
    say "but not the keys in it."
  fi
  [ "$yes" = no ] || return 0
  if ! (: </dev/tty) 2>/dev/null; then
    fail "nothing was deleted: without a terminal to ask at, add --yes"
  fi
  printf 'Type "delete" to go on: '
  IFS= read -r answer </dev/tty || answer=''
  [ "$answer" = delete ] || fail "nothing was deleted"
}

delete_data() {
  while IFS= read -r folder; do
    if [ "$keep" = keys ] && [ -d "$folder/keys" ]; then
      find "$folder" -mindepth 1 -maxdepth 1 ! -name keys -exec rm -rf -- {} + ||
        fail "$folder cannot be emptied"
      say "Kept: $folder/keys"
    else
      rm -rf -- "$folder" || fail "$folder cannot be deleted"
    fi
  done <"$work/data"
  say "Deleted the settings and data."
  [ "$keep" = keys ] || say "Bittensor's own wallet folders were not touched."
}

uninstall_hearth() {
  if [ -n "${SUDO_USER:-}" ] && [ "$(id -u)" = 0 ]; then
    note "installing for $(id -un), with files that are root's; $SUDO_USER can run this without sudo"
  fi
  data_folders | awk '!seen[$0]++' | while IFS= read -r one; do
    [ ! -d "$one" ] || say "$one"
  done >"$work/data"
  if [ "$keep" != everything ]; then
    processes=$(running)
    [ -z "$processes" ] || fail "Hearth is running (process ${processes% }) and uses what would be \
deleted; stop it first. Nothing was changed"
    [ ! -s "$work/data" ] || ask_to_delete
  fi
  if [ "$keep" != everything ] && [ -s "$work/data" ]; then delete_data; fi
  if [ -f "$manifest" ]; then
    tell_running "It goes on until you stop it."
    remove_files
    say "Hearth is removed from $prefix."
  else
    say "There is no Hearth under $prefix that this installer put there (another --prefix?)."
  fi
  if [ "$keep" = everything ] && [ -s "$work/data" ]; then
    say "Your keys and data were kept:"
    sed 's/^/  /' "$work/data"
  fi
}

# ---- start and end ----

# Leaves nothing half done behind, however it ends.
clean_up() {
  [ -z "$staged" ] || rm -f -- "$staged"
  [ -z "$pending" ] || rm -f -- "$pending"
  if [ "$placing" = yes ] && [ "$fresh" = no ]; then
    note "the installation is not complete; run it again"
  elif [ "$placing" = yes ] && [ -f "$manifest" ]; then
    remove_files
  elif [ "$status" != 0 ] && [ -f "$work/folders" ]; then
    sed -n 's/^folder //p' "$work/folders" | LC_ALL=C sort -r | while IFS= read -r folder; do
      rmdir -- "$folder" 2>/dev/null || true
    done
  fi
  rm -rf -- "$work"
}

main() {
  read_arguments "$@"
  find_places
  # What a file is called until it is whole.
  new=.hearth-new
  staged='' pending='' placing=no fresh=no status=0
  work=$(mktemp -d "${TMPDIR:-/tmp}/hearth-install.XXXXXX") || fail "no temporary folder can be made"
  trap 'status=$?; trap - EXIT; clean_up; exit "$status"' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  if [ "$action" = install ]; then install_hearth; else uninstall_hearth; fi
}

main "$@"

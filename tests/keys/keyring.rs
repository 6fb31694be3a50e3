//! A real Secret Service: gnome-keyring in a D-Bus session of its own, with a home of its own.

use std::process::{Command, Output};

use super::{ALICE, ALICE_SEED, Home, alone, no_secret_in, refused, set_mode, succeeded};

/// A bus that starts nothing by itself.
const BARE_BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy></busconfig>"#;

/// Starts the daemon with an empty password; `dbus-run-session` ends it with the bus.
const UNLOCKED: &str =
    "printf '\\n' | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1\n";

const LOCK: &str = "dbus-send --session --print-reply --dest=org.freedesktop.secrets \
    /org/freedesktop/secrets org.freedesktop.Secret.Service.Lock \
    array:objpath:/org/freedesktop/secrets/collection/login >/dev/null\n";

/// Says what is missing, so that a skipped test is seen.
fn is_missing() -> bool {
    let there = |program: &str| Command::new(program).arg("--version").output().is_ok();
    let missing = !there("dbus-run-session") || !there("gnome-keyring-daemon");
    if missing {
        println!("skipped: needs dbus-run-session and gnome-keyring-daemon (scripts/test.sh)");
    }
    missing
}

impl Home {
    /// Runs a script in a session of its own; `$HEARTH` is the binary.
    fn session(&self, options: &[&str], script: &str) -> Output {
        let runtime = self.0.path().join("runtime");
        std::fs::create_dir_all(&runtime).unwrap();
        set_mode(&runtime, 0o700);
        let mut command = Command::new("dbus-run-session");
        alone(&mut command);
        command
            .args(options)
            .args(["--", "sh", "-c", &format!("set -e\n{script}")])
            .env("HOME", self.0.path())
            .env("XDG_RUNTIME_DIR", &runtime)
            .env("XDG_DATA_HOME", self.0.path().join("share"))
            .env("HEARTH", env!("CARGO_BIN_EXE_hearth"))
            .env("HEARTH_HOME", self.path())
            .env("RUST_LOG", "trace");
        let output = command.output().unwrap();
        no_secret_in(&output);
        output
    }
}

#[test]
fn a_key_goes_into_the_keyring_survives_the_session_and_is_deleted() {
    if is_missing() {
        return;
    }
    let home = Home::new();
    let seed = home.file("hot", ALICE_SEED);
    let to = home.path().join("wallet");
    let kept = home.session(
        &[],
        &format!("{UNLOCKED}$HEARTH keys import --hotkey-file {seed}; $HEARTH keys list --json"),
    );
    let told = succeeded(&kept);
    assert!(told.contains(ALICE) && told.contains("Secret Service"), "{told}");
    assert!(told.contains("\"store\":\"keyring\""), "{told}");
    assert!(!home.key_file("default").exists());
    let again = home.session(
        &[],
        &format!(
            "{UNLOCKED}$HEARTH keys export default --to {}; $HEARTH keys remove default --yes; \
             $HEARTH keys list --json",
            to.display()
        ),
    );
    assert!(!succeeded(&again).contains("\"event\""));
    let exported =
        std::fs::read_to_string(to.join("hearth").join("hotkeys").join("default")).unwrap();
    assert!(exported.contains(ALICE_SEED));
    // What is listed but not there any more is named as such.
    let (index, old) = ("keys.json", "keys.json.old");
    let keys = home.path().join("data").join("keys");
    std::fs::rename(keys.join(old), keys.join(index)).unwrap();
    let gone = home.session(&[], &format!("{UNLOCKED}$HEARTH run --headless --accept-unpaid"));
    refused(&gone, 4, &["not in the Secret Service", "any more"]);
}

#[test]
fn a_key_moves_between_the_stores_and_is_in_one_of_them_at_a_time() {
    if is_missing() {
        return;
    }
    let home = Home::new();
    home.import("default", ALICE_SEED);
    let passphrase = home.passphrase();
    let there = home.session(
        &[],
        &format!("{UNLOCKED}$HEARTH keys move default --to keyring --passphrase-file {passphrase}"),
    );
    assert!(succeeded(&there).contains("Secret Service"));
    assert!(!home.key_file("default").exists());
    let back = home.session(
        &[],
        &format!(
            "{UNLOCKED}$HEARTH keys move default --to file --passphrase-file {passphrase}\n\
             $HEARTH keys list --json\n\
             dbus-send --session --print-reply --dest=org.freedesktop.secrets \
             /org/freedesktop/secrets org.freedesktop.Secret.Service.SearchItems \
             dict:string:string:service,hearth,username,{ALICE}"
        ),
    );
    let told = succeeded(&back);
    assert!(told.contains("\"store\":\"encrypted-file\""), "{told}");
    assert!(!told.contains("object path"), "still in the keyring: {told}");
    assert!(home.key_file("default").exists());
}

#[test]
fn a_locked_keyring_is_named_with_what_to_do() {
    if is_missing() {
        return;
    }
    let home = Home::new();
    let seed = home.file("hot", ALICE_SEED);
    let locked = home.session(
        &[],
        &format!(
            "{UNLOCKED}$HEARTH keys import --hotkey-file {seed}\n{LOCK}\
             exec $HEARTH run --headless --accept-unpaid"
        ),
    );
    refused(&locked, 4, &["locked", "unlock it", "keys move default --to file"]);
    let other = home.file("other", super::PHRASE);
    let keep = home.session(
        &[],
        &format!(
            "{UNLOCKED}{LOCK}exec $HEARTH keys import --name b --store keyring --hotkey-file {other}"
        ),
    );
    refused(&keep, 4, &["locked", "--store file"]);
}

#[test]
fn without_a_daemon_or_a_bus_an_encrypted_file_is_used_and_that_is_said() {
    let home = Home::new();
    let (seed, passphrase) = (home.file("hot", ALICE_SEED), home.passphrase());
    let import = ["keys", "import", "--hotkey-file", &seed, "--passphrase-file", &passphrase];
    let no_bus = home.run(&import);
    let said = String::from_utf8_lossy(&no_bus.stderr).into_owned();
    assert!(succeeded(&no_bus).contains("encrypted file"));
    assert!(said.contains("no Secret Service"), "{said}");
    let forced = [&import[..], &["--store", "keyring", "--name", "b", "--device", "7"]].concat();
    refused(&home.run(&forced), 4, &["no Secret Service", "--store file"]);
    if is_missing() {
        return;
    }
    let elsewhere = Home::new();
    let bus = elsewhere.file("bus.conf", BARE_BUS);
    let script = format!("$HEARTH keys import --hotkey-file {seed} --passphrase-file {passphrase}");
    let no_daemon = elsewhere.session(&[&format!("--config-file={bus}")], &script);
    let said = String::from_utf8_lossy(&no_daemon.stderr).into_owned();
    assert!(succeeded(&no_daemon).contains("encrypted file"));
    assert!(said.contains("no Secret Service"), "{said}");
}

#[test]
fn an_unlocked_key_needs_no_passphrase_until_it_is_locked() {
    if Command::new("keyctl").arg("--version").output().is_err() {
        println!("skipped: needs keyctl, which gives a session a kernel keyring of its own");
        return;
    }
    let home = Home::new();
    home.import("default", ALICE_SEED);
    let passphrase = home.passphrase();
    let script = format!(
        "set -e\n$HEARTH keys unlock --passphrase-file {passphrase}\n\
         $HEARTH keys export default --to {to}\n\
         $HEARTH keys lock\n\
         exec $HEARTH run --headless --accept-unpaid",
        to = home.path().join("out").display()
    );
    let mut command = Command::new("keyctl");
    alone(&mut command);
    command
        .args(["session", "-", "sh", "-c", &script])
        .env("HEARTH", env!("CARGO_BIN_EXE_hearth"))
        .env("HEARTH_HOME", home.path());
    let output = command.output().unwrap();
    no_secret_in(&output);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if said.contains("keyctl_join_session_keyring") || said.contains("kernel's keyring cannot") {
        println!("skipped: this machine allows no kernel keyring: {said}");
        return;
    }
    let out = home.path().join("out").join("hearth").join("hotkeys").join("default");
    assert!(out.exists(), "{said}");
    refused(&output, 4, &["--passphrase-file"]);
}

//! The texts of the service, as the binary prints them, judged by systemd's own tools where they are.

use std::path::Path;
use std::process::{Command, Output};

use crate::server::bare;

fn print(home: &Path, more: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_hearth");
    let mut command = bare(home);
    command.args(["service", "install", "--print", "--program", "/bin/sh"]).args(more);
    command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", home);
    command.output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

fn text(home: &Path, more: &[&str]) -> String {
    let output = print(home, more);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `systemd-analyze`, if it is here.
fn analyze(home: &Path) -> Option<Command> {
    let mut command = Command::new("systemd-analyze");
    command.env("XDG_RUNTIME_DIR", home).env("HOME", home);
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("no systemd-analyze: the units are not verified");
        return None;
    }
    Some(command)
}

#[test]
fn printing_changes_nothing_and_the_lines_that_matter_are_there() {
    let home = tempfile::tempdir().unwrap();
    let unit = text(home.path(), &["--system", "--set", "hours=mon-fri 22:00-07:00"]);
    for line in [
        "Type=notify",
        "ExecStart=/bin/sh run --headless --set \"hours=mon-fri 22:00-07:00\"",
        "DynamicUser=yes",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "PrivateTmp=yes",
        "DeviceAllow=char-drm rw",
        "KillSignal=SIGTERM",
        "Restart=on-failure",
        "RestartPreventExitStatus=2 3 4 5 6 7 9 130",
    ] {
        assert!(unit.lines().any(|told| told == line), "{line:?} is missing in:\n{unit}");
    }
    assert!(!unit.contains("MemoryDenyWriteExecute="), "drivers compile shaders");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "nothing was written");

    let credential = ["--system", "--passphrase-file", "/etc/hearth/pass", "--encrypted"];
    let unit = text(home.path(), &credential);
    assert!(unit.contains("\nLoadCredentialEncrypted=hearth-passphrase:/etc/hearth/pass\n"));
}

#[test]
fn a_secret_and_a_program_in_a_home_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let refused = |more: &[&str]| {
        let output = print(home.path(), more);
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = refused(&["--system", "--set", "alert_webhook=https://a.example/hidden-word"]);
    assert!(said.contains("settings file") && !said.contains("hidden-word"), "{said}");
    let mut command = bare(home.path());
    command.args(["service", "install", "--print", "--system", "--program", "/home/me/hearth"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--user"));
}

#[cfg(target_os = "linux")]
#[test]
fn systemd_takes_the_units_as_they_are_and_finds_the_machines_well_guarded() {
    let home = tempfile::tempdir().unwrap();
    for level in ["--system", "--user"] {
        let path = home.path().join("hearth.service");
        std::fs::write(&path, text(home.path(), &[level])).unwrap();
        let Some(mut verify) = analyze(home.path()) else { return };
        let output = verify.args(["verify", "--man=no", level]).arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(!said.contains("hearth.service"), "{said}");
        if level == "--system" {
            let mut security = analyze(home.path()).unwrap();
            security.args(["security", "--offline=true", "--threshold=25"]).arg(&path);
            let output = security.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        }
    }
}

/// A systemd of the test's own, in namespaces that it makes.
#[cfg(target_os = "linux")]
#[test]
fn a_real_systemd_installs_starts_reloads_stops_and_removes_it() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/systemd.sh");
    let output = Command::new(script).arg(env!("CARGO_BIN_EXE_hearth")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    match output.status.code() {
        Some(0) => assert!(said.lines().count() >= 9, "{said}"),
        Some(77) => println!("skipped: {said}"),
        code => panic!("{code:?}\n{said}\n{}", String::from_utf8_lossy(&output.stderr)),
    }
}

#[test]
fn a_service_that_is_not_there_is_said() {
    let home = tempfile::tempdir().unwrap();
    let mut command = bare(home.path());
    command.env("HOME", home.path()).env("PATH", std::env::var_os("PATH").unwrap());
    let output = command.args(["service", "status", "--user", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&line["event"], &line["state"]), (&"service".into(), &"not-installed".into()));
}

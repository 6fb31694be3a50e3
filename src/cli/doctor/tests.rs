//! The doctor as a whole: made-up machines, one finding for each check, and what is printed.

use super::*;
use crate::config::folders::{FolderError, Folders};
use crate::config::settings::{Settings, SettingsError};
use crate::host::Roots;
use crate::host::surroundings::Variables;

fn settings(text: &str) -> Result<Settings, SettingsError> {
    Settings::of_text(std::path::Path::new("config.toml"), text)
}

struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    async fn findings(
        &self,
        folders: Result<Folders, FolderError>,
        settings: Result<Settings, SettingsError>,
        asking: Asking,
    ) -> Vec<Finding> {
        let roots = Roots::under(self.folder.path());
        let variables = Variables::from([("LANG".to_owned(), "C.UTF-8".to_owned())]);
        let clock = Clock::system();
        let scope = Arc::new(Scope::new(folders, settings, asking, roots, variables, &clock));
        let expected = checks(&scope).len();
        let mut findings = Vec::new();
        examine(&scope, |finding| findings.push(finding)).await;
        assert_eq!(findings.len(), expected, "one finding for each check");
        for found in &findings {
            assert!(found.what.ends_with('.'), "{found:?}");
            assert!(found.severity == Severity::Info || !found.fix.is_empty(), "{found:?}");
        }
        findings
    }

    fn home(&self) -> Folders {
        Folders::under(&self.folder.path().join("home"))
    }
}

fn codes(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|found| found.code).collect()
}

#[tokio::test]
async fn a_machine_without_home_and_settings_is_told_so_and_nothing_breaks() {
    let world = World::new();
    let missing = || Err(SettingsError::Missing("mine.toml".into()));
    let found = world.findings(Err(FolderError::NoHome), missing(), Asking::Network).await;
    let codes = codes(&found);
    for code in ["no-home", "config-missing", "no-hotkey"] {
        assert!(codes.contains(&code), "{code} is missing in {codes:?}");
    }
}

#[tokio::test]
async fn offline_asks_nobody_and_says_so() {
    let world = World::new();
    let found = world.findings(Ok(world.home()), settings(""), Asking::Nobody).await;
    assert!(codes(&found).contains(&"offline"));
    assert!(found.iter().filter(|found| found.area == Area::Network).count() == 1);
    assert!(!world.folder.path().join("home").exists(), "a look leaves nothing behind");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_and_the_rest_is_not_guessed() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let world = World::new();
    let text = format!("network = \"http://127.0.0.1:{port}\"\n");
    let found = world.findings(Ok(world.home()), settings(&text), Asking::Network).await;
    let of = |check: &str| found.iter().find(|found| found.check == check).unwrap();
    assert_eq!(
        (of("orchestrator").code, of("orchestrator").severity),
        ("server-unreachable", Severity::Error)
    );
    assert_eq!(of("clock").code, "not-checked");
    assert_eq!(of("dns").severity, Severity::Info);
}

#[tokio::test]
async fn a_wrong_value_is_named_with_its_line() {
    let world = World::new();
    let found =
        world.findings(Ok(world.home()), settings("\njoin = \"club\"\n"), Asking::Nobody).await;
    let found = found.iter().find(|found| found.check == "settings").unwrap();
    assert_eq!((found.code, found.severity), ("config-value", Severity::Error));
    assert!(
        found.what.contains("line 2") && found.what.contains("pool or metagraph"),
        "{}",
        found.what
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn wsl_and_a_laptop_on_its_battery_are_recognised() {
    let world = World::new();
    world.write("proc/sys/kernel/osrelease", "5.15.0-microsoft-standard-WSL2");
    world.write("sys/class/power_supply/BAT0/type", "Battery");
    world.write("sys/class/power_supply/BAT0/status", "Discharging");
    let found = world.findings(Ok(world.home()), settings(""), Asking::Nobody).await;
    let codes = codes(&found);
    for code in ["wsl", "wsl-no-adapter", "wsl-double-nat", "on-battery"] {
        assert!(codes.contains(&code), "{code} is missing in {codes:?}");
    }
}

#[test]
fn the_worst_stands_last_and_the_verdict_counts() {
    let found = |check, area, judgement| Finding::of(check, area, judgement);
    let findings = [
        found(
            "disk",
            Area::Machine,
            Judgement::error("disk-full", "The disk is full.", "Make room."),
        ),
        found("settings", Area::Settings, Judgement::fine("The settings are in order.")),
        found("power", Area::Machine, Judgement::fine("The machine is plugged in.")),
        found("hotkey", Area::Keys, Judgement::warning("no-hotkey", "There is none.", "Make one.")),
    ];
    let mut printed = Vec::new();
    print(&findings, &mut printed).unwrap();
    let printed = String::from_utf8(printed).unwrap();
    let at = |text: &str| printed.find(text).unwrap_or_else(|| panic!("{text}: {printed}"));
    assert!(at("Settings") < at("Keys and payout") && at("Keys and payout") < at("This machine"));
    assert!(
        at("plugged in") < at("disk is full")
            && at("Fix: Make room. (hearth explain disk-full)") > 0
    );
    assert!(printed.ends_with("4 checks: 1 error to fix, 1 warning.\n"), "{printed}");
}

//! Screens of a record as pictures and as text.

use std::path::Path;

use super::record;

/// `hearth screenshot` of the record that is kept here.
fn screenshot(home: &Path, arguments: &[&str]) -> std::process::Output {
    let record = record();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hearth"));
    command.env("HEARTH_HOME", home).env("TZ", "UTC").arg("screenshot").args(arguments);
    command.arg("--record").arg(record).output().unwrap()
}

/// The README's pictures are what this program draws of the record that is kept here. Where that was
/// meant to change: `HEARTH_WRITE_SCREENS=docs` writes them.
#[test]
fn the_readmes_pictures_are_what_is_drawn() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let home = tempfile::tempdir().unwrap();
    for (screen, size, at) in
        [("now", "120x40", "40s"), ("now", "80x24", "40s"), ("training", "120x40", "60s")]
    {
        let output = screenshot(home.path(), &[screen, "--size", size, "--at", at]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let name = format!("dashboard-{screen}-{size}.svg");
        let drawn = String::from_utf8(output.stdout).unwrap();
        assert!(drawn.contains("Hearth") && drawn.contains("TRAINING"), "{drawn}");
        if let Some(folder) = std::env::var_os("HEARTH_WRITE_SCREENS") {
            std::fs::write(root.join(folder).join(&name), drawn).unwrap();
            continue;
        }
        let kept = std::fs::read_to_string(root.join("docs").join(&name)).unwrap();
        assert!(kept == drawn, "docs/{name} is stale: write it with HEARTH_WRITE_SCREENS=docs");
    }
}

#[test]
fn a_screen_of_a_record_is_text_too_and_what_is_none_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| screenshot(home.path(), arguments);
    let of = |screen: &str| {
        let output = run(&[screen, "--text", "--size", "80x24"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    for (place, screen) in
        ["now", "earnings", "training", "network", "peers", "machine", "log", "swarm"]
            .into_iter()
            .enumerate()
    {
        let text = of(screen);
        assert_eq!(text.lines().count(), 24);
        let mark = format!("[{} ", place + 1);
        assert!(text.lines().nth(1).unwrap().contains(&mark), "{text}");
    }
    // The same facts in lines, without frames and charts.
    let told = run(&["network", "--plain"]);
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("held back by: ") && told.contains("m0 (you): "), "{told}");
    assert!(!told.contains(['│', '█', '─']), "{told}");
    let home = run(&["home"]);
    assert_eq!(home.status.code(), Some(2));
    let late = run(&["now", "--at", "30h"]);
    assert_eq!(late.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&late.stderr).contains("begin earlier"));
}

//! What is left when a part breaks: the terminal as it was, and a report.

use std::path::Path;

use super::pty::Terminal;
use super::{is_sane, record};

/// What the reports of crashes say.
fn reports(home: &Path) -> Vec<String> {
    let reports = hearth::telemetry::crash::list(&home.join("state/crashes"));
    reports.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// A run with something secret in its surroundings, one part of which breaks.
fn broken(home: &Path, part: &str, arguments: &[&str]) -> Terminal {
    let variables = [
        ("HEARTH_HOME", home.to_str().unwrap()),
        ("HEARTH_BREAK", part),
        ("HEARTH_PASSPHRASE", "sesame-4711"),
    ];
    Terminal::start(24, 80, arguments, &variables)
}

#[test]
fn a_screen_that_breaks_gives_the_terminal_back_and_leaves_a_report() {
    let record = record();
    let demo = ["demo", "--backend", "cpu", "--preset", "nano", "--minutes", "20"];
    let replay = ["replay", record.to_str().unwrap()];
    for arguments in [&demo[..], &replay[..]] {
        let home = tempfile::tempdir().unwrap();
        let mut terminal = broken(home.path(), "screen", arguments);
        assert_eq!(terminal.ended(), 1, "{}", terminal.text());
        let written = String::from_utf8_lossy(&terminal.written()).into_owned();
        assert!(written.contains("\u{1b}[?1049h") && written.contains("\u{1b}[?25l"), "no screen");
        assert!(is_sane(&terminal), "{}", terminal.text());
        assert!(terminal.look(|screen| !screen.bracketed_paste()), "{}", terminal.text());
        let said = terminal.text().replace('\n', "");
        for words in ["the screen broke", "A report", "state/crashes/crash-", "hearth explain"] {
            let words = words.to_lowercase();
            assert!(said.to_lowercase().contains(&words), "{words:?}: {said}");
        }
        let [report] = &reports(home.path())[..] else { panic!("not one report") };
        for words in ["place: src/telemetry/crash.rs", "names the screen", "thread: ", "turns"] {
            assert!(report.contains(words), "{words:?}: {report}");
        }
        assert!(!report.contains("sesame"), "{report}");
        #[cfg(unix)]
        assert!(terminal.is_cooked(), "the terminal does not echo what is typed");
    }
}

#[test]
fn a_miner_that_breaks_leaves_the_screen_alone_which_says_where_the_report_lies() {
    let home = tempfile::tempdir().unwrap();
    let demo = ["demo", "--backend", "cpu", "--preset", "nano", "--minutes", "20"];
    // All six of them, at once.
    let mut terminal = broken(home.path(), "miner", &demo);
    terminal.wait_for("what broke", |text| text.contains("It stopped: q leaves"));
    assert!(terminal.look(|screen| screen.alternate_screen()), "{}", terminal.text());
    terminal.press("q");
    assert_eq!(terminal.ended(), 1, "{}", terminal.text());
    assert!(is_sane(&terminal), "{}", terminal.text());
    let reports = reports(home.path());
    assert!(!reports.is_empty());
    assert!(reports.iter().all(|report| report.contains("names the miner")), "{reports:?}");
    let said = terminal.text().replace('\n', "");
    assert!(said.contains("state/crashes/crash-"), "{said}");
}

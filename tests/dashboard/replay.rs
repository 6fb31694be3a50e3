//! Runs of the past on the dashboard.

use super::pty::Terminal;
use super::{is_sane, record};

/// The scrubber on the Log screen: keys, a click, the ends.
#[test]
fn a_replay_is_scrubbed_by_keys_and_by_clicks() {
    let home = tempfile::tempdir().unwrap();
    let record = record();
    let arguments = ["replay", record.to_str().unwrap(), "--from", "30s"];
    let variables = [("HEARTH_HOME", home.path().to_str().unwrap())];
    let mut terminal = Terminal::start(24, 80, &arguments, &variables);
    terminal.wait_for("the replay", |text| text.contains("REPLAY 1x"));
    terminal.press(" ");
    terminal.wait_for("it stands still", |text| text.contains("REPLAY held"));
    // The names of the screens take clicks.
    let column = terminal.text().lines().nth(1).unwrap().find("7 Log").unwrap() + 1;
    terminal.press(&format!("\u{1b}[<0;{column};2M\u{1b}[<0;{column};2m"));
    terminal.wait_for("the scrubber", |text| text.contains("The record") && text.contains("●"));
    let at = |terminal: &Terminal| {
        let text = terminal.text();
        let line = text.lines().find(|line| line.contains("held") && line.contains('│'));
        let line =
            line.or(text.lines().find(|line| line.contains("at its end") && line.contains('│')));
        line.unwrap_or_else(|| panic!("{text}")).trim_matches(['│', ' ']).to_owned()
    };
    let before = at(&terminal);
    terminal.press("\u{1b}[C");
    terminal.wait_for("a step", |text| text.contains("held") && !text.contains(&before));
    terminal.press("\u{1b}[H");
    terminal.wait_for("the beginning", |text| text.contains("│ 0:00 of "));
    terminal.press("]");
    terminal.wait_for("a leap", |text| !text.contains("│ 0:00 of ") && text.contains("held"));
    terminal.press("[");
    terminal.wait_for("back again", |text| text.contains("│ 0:00 of "));
    terminal.press("\u{1b}[F");
    terminal.wait_for("the end", |text| text.contains("at its end"));
    // The first cell of its line.
    let row = terminal.text().lines().position(|line| line.contains('●')).unwrap() + 1;
    terminal.press(&format!("\u{1b}[<0;11;{row}M\u{1b}[<0;11;{row}m"));
    terminal.wait_for("the beginning by a click", |text| text.contains("│ 0:00 of "));
    terminal.press("q");
    assert_eq!(terminal.ended(), 0, "{}", terminal.text());
    assert!(is_sane(&terminal));
}

/// Cut anywhere, a record shows what was written before, or is refused with a code.
#[test]
fn a_record_cut_anywhere_is_shown_as_far_as_it_goes_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let record = record();
    let whole = std::fs::read(record).unwrap();
    let mut shown = 0;
    for sixteenth in 0..16 {
        for less in [0, 1, 7] {
            let length = (whole.len() * sixteenth / 16).saturating_sub(less);
            let path = folder.path().join("cut.record");
            std::fs::write(&path, &whole[..length]).unwrap();
            let log = hearth::telemetry::logs::Ring::default();
            match hearth::cli::replay::standing(&path, None, &log) {
                Ok((control, place)) => {
                    assert_eq!(control.first().borrow().name, "m0");
                    assert!(place.at <= place.length);
                    shown += 1;
                }
                Err(failure) => assert!(failure.code.starts_with("record-"), "{failure}"),
            }
        }
    }
    assert!(shown >= 20, "{shown} of 48 could be shown");
}

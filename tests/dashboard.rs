//! The dashboard as a person meets it: the real binary in a real terminal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/picture.rs"]
mod picture;
#[path = "support/pty.rs"]
mod pty;

use std::path::Path;

use pty::Terminal;

fn demo(home: &Path, rows: u16, cols: u16, flags: &[&str]) -> Terminal {
    let mut arguments = vec!["demo", "--backend", "cpu"];
    arguments.extend(flags);
    Terminal::start(rows, cols, &arguments, &[("HEARTH_HOME", home.to_str().unwrap())])
}

/// Left as it was found: no alternate screen, the cursor visible.
fn is_sane(terminal: &Terminal) -> bool {
    terminal.look(|screen| !screen.alternate_screen() && !screen.hide_cursor())
}

#[test]
fn keys_work_and_the_terminal_is_given_back() {
    for (rows, cols) in [(24, 80), (40, 120)] {
        let home = tempfile::tempdir().unwrap();
        let flags = ["--preset", "nano", "--minutes", "20"];
        let mut terminal = demo(home.path(), rows, cols, &flags);
        terminal.wait_for("the loss", |text| text.contains("Loss") && text.contains("->"));
        terminal.wait_for("the stages", |text| text.contains("stage 2") && text.contains("(you)"));
        terminal.press("?");
        terminal.wait_for("the help", |text| text.contains("Pause your miner"));
        terminal.press("?");
        terminal.wait_for("no help", |text| !text.contains("Pause your miner"));
        terminal.press("p");
        terminal.wait_for("what a pause costs", |text| text.contains("Nothing is lost"));
        terminal.press("\u{1b}");
        terminal.wait_for("no question", |text| !text.contains("Nothing is lost"));
        terminal.press("p");
        terminal.wait_for("the question again", |text| text.contains("Nothing is lost"));
        terminal.press("p");
        terminal.wait_for("the pause", |text| text.contains("PAUSED"));
        terminal.press("r");
        terminal.wait_for("work again", |text| !text.contains("PAUSED"));
        terminal.resize(20, 60);
        terminal.wait_for("a word on the size", |text| text.contains("80 x 24"));
        terminal.resize(rows, cols);
        terminal.wait_for("the screen again", |text| text.contains("Stages and their miners"));
        terminal.press("q");
        assert_eq!(terminal.ended(), 0, "{}", terminal.text());
        assert!(is_sane(&terminal), "{}", terminal.text());
    }
}

#[test]
fn a_finished_demo_stays_on_its_summary_until_q() {
    let home = tempfile::tempdir().unwrap();
    let mut terminal = demo(home.path(), 40, 120, &["--preset", "nano", "--epochs", "1"]);
    terminal.wait_for("the summary", |text| text.contains("Finished: q leaves"));
    terminal.wait_for("the sample", |text| text.contains("After training, the model writes"));
    terminal.press("q");
    assert_eq!(terminal.ended(), 0);
    assert!(is_sane(&terminal));
    assert!(terminal.text().contains("Done in"), "{}", terminal.text());
}

#[test]
fn ctrl_c_stops_in_order() {
    let home = tempfile::tempdir().unwrap();
    let mut terminal = demo(home.path(), 24, 80, &["--preset", "nano", "--minutes", "20"]);
    terminal.wait_for("the loss", |text| text.contains("->"));
    terminal.press("\u{3}");
    assert_eq!(terminal.ended(), 0, "{}", terminal.text());
    assert!(is_sane(&terminal));
}

/// Keeps pictures of a real demo for the README when `HEARTH_WRITE_SCREENS` names a folder.
#[test]
fn a_screen_can_be_kept_as_a_picture() {
    let (flags, until): (&[&str], usize) = match picture::folder() {
        Some(_) => (&["--epochs", "2"], 140),
        None => (&["--preset", "nano", "--epochs", "2"], 2),
    };
    for (rows, cols) in [(24, 80), (40, 120)] {
        let home = tempfile::tempdir().unwrap();
        let mut terminal = demo(home.path(), rows, cols, flags);
        terminal.wait_for("some progress", |text| tokens(text) >= until * 128);
        picture::keep(&terminal, &format!("dashboard-{cols}x{rows}"));
        terminal.press("q");
        terminal.ended();
    }
}

/// The figure at the right end of the loss chart's axis.
fn tokens(text: &str) -> usize {
    let Some((before, _)) = text.split_once(" tokens│") else { return 0 };
    let digits = before.rsplit(' ').next().unwrap_or_default().replace(',', "");
    digits.parse().unwrap_or(0)
}

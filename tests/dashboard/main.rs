//! The dashboard as a person meets it: the real binary in a real terminal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod breaks;
mod cost;
mod keys;
mod lines;
mod pictures;
#[path = "../support/pty.rs"]
mod pty;
mod replay;
mod watched;

use std::path::{Path, PathBuf};

use pty::Terminal;

fn demo(home: &Path, rows: u16, cols: u16, flags: &[&str]) -> Terminal {
    let mut arguments = vec!["demo", "--backend", "cpu"];
    arguments.extend(flags);
    let variables = [("HEARTH_HOME", home.to_str().unwrap()), ("COLORTERM", "truecolor")];
    Terminal::start(rows, cols, &arguments, &variables)
}

/// Left as it was found: no alternate screen, the cursor visible, the mouse the terminal's own.
fn is_sane(terminal: &Terminal) -> bool {
    let free = vt100::MouseProtocolMode::None;
    terminal.look(|screen| {
        !screen.alternate_screen() && !screen.hide_cursor() && screen.mouse_protocol_mode() == free
    })
}

/// Leaves a run that goes on: that is asked.
fn leave(terminal: &mut Terminal) {
    terminal.press("q");
    terminal.wait_for("what leaving means", |text| {
        text.contains("Leave?") && text.contains("ends when you leave")
    });
    terminal.press("q");
}

/// The record of a practice run that is kept here.
fn record() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records/practice.record")
}

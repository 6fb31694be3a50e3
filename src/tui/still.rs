//! One frame without a terminal: a screen as it was at one moment, as cells.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use super::draw::words;
use super::look::{Look, ScreenName};
use super::theme::Theme;
use super::view::View;
use super::{draw, screens};
use crate::clock::Clock;
use crate::control::Control;
use crate::telemetry::logs::Ring;

/// Columns and rows of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Columns.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

/// What `screen` showed of a run at that time (Unix seconds), in such a window.
pub fn still(
    (control, log, clock): (&Control, &Ring, &Clock),
    unix: u64,
    screen: ScreenName,
    window: Window,
    theme: Theme,
) -> Buffer {
    let look = Look { screen, ..Look::default() };
    let view = View::collect(control, log, clock, &look).at(unix);
    let mut terminal = match Terminal::new(TestBackend::new(window.columns, window.rows)) {
        Ok(terminal) => terminal,
        Err(never) => match never {},
    };
    match terminal.draw(|frame| draw(frame, &view, &theme)) {
        Ok(_) => terminal.backend().buffer().clone(),
        Err(never) => match never {},
    }
}

/// The same screen's facts in lines, without a picture.
pub fn told(
    (control, log, clock): (&Control, &Ring, &Clock),
    unix: u64,
    screen: ScreenName,
) -> String {
    let view = View::collect(control, log, clock, &Look::default()).at(unix);
    let signs = Theme::from_environment().signs();
    let lines = screens::told(screen, &view).into_iter();
    lines.map(|line| format!("{}\n", words(&line, signs))).collect()
}

/// The cells as lines of text, without what is empty at their ends.
pub fn to_text(buffer: &Buffer) -> String {
    let area = buffer.area;
    let line = |y: u16| {
        let cells = (0..area.width).filter_map(|x| buffer.cell((x, y)));
        let line: String = cells.map(|cell| cell.symbol()).collect();
        format!("{}\n", line.trim_end())
    };
    (0..area.height).map(line).collect()
}

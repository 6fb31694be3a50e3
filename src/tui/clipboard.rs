//! Text onto the user's clipboard, through the terminal: the sequence (OSC 52) that most terminals
//! take, over a remote shell too. One that does not take it ignores it.

use std::io;

use crossterm::clipboard::CopyToClipboard;
use crossterm::execute;
use ratatui::buffer::Buffer;

/// What is said when it was sent. Whether the terminal took it, it does not tell.
pub(super) const COPIED: &str = "Sent to the clipboard, as text.";

/// Sends what a screen shows to the clipboard.
pub(super) fn copy(shown: &Buffer) -> io::Result<()> {
    execute!(io::stdout(), CopyToClipboard::to_clipboard_from(text(shown)))
}

/// A screen as lines of text.
pub(super) fn text(shown: &Buffer) -> String {
    let width = usize::from(shown.area.width).max(1);
    let rows = shown.content().chunks(width);
    rows.map(|row| {
        let line: String = row.iter().map(|cell| cell.symbol()).collect();
        line.trim_end().to_owned() + "\n"
    })
    .collect()
}

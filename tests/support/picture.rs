//! Screens of a real terminal as pictures, for the README: kept when `HEARTH_WRITE_SCREENS` names a
//! folder.

use std::path::PathBuf;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use crate::pty::Terminal;

/// Where pictures are to be kept.
pub fn folder() -> Option<PathBuf> {
    std::env::var_os("HEARTH_WRITE_SCREENS").map(PathBuf::from)
}

/// Draws the screen as it is, and keeps the picture as `name.svg` where that is asked for.
pub fn keep(terminal: &Terminal, name: &str) {
    let svg = terminal.look(|screen| hearth::tui::svg::to_svg(&picture(screen)));
    assert!(svg.contains("Hearth") && svg.contains("</svg>"));
    if let Some(folder) = folder() {
        std::fs::write(folder.join(format!("{name}.svg")), svg).unwrap();
    }
}

fn picture(screen: &vt100::Screen) -> Buffer {
    let (rows, cols) = screen.size();
    let (rows, cols) = (rows.get(), cols.get());
    let mut buffer = Buffer::empty(Rect::new(0, 0, cols, rows));
    for y in 0..rows {
        for x in 0..cols {
            let Some(cell) = screen.cell(y, x) else { continue };
            let mut style = Style::new().fg(colour(cell.fgcolor())).bg(colour(cell.bgcolor()));
            if cell.bold() {
                style = style.add_modifier(Modifier::BOLD);
            }
            if cell.inverse() {
                let paper = match colour(cell.fgcolor()) {
                    Color::Reset => Color::Gray,
                    ink => ink,
                };
                style = style.fg(Color::Black).bg(paper);
            }
            let symbol = if cell.has_contents() { cell.contents() } else { " " };
            buffer[(x, y)].set_symbol(symbol).set_style(style);
        }
    }
    buffer
}

fn colour(colour: vt100::Color) -> Color {
    match colour {
        vt100::Color::Default => Color::Reset,
        vt100::Color::Idx(0) => Color::Black,
        vt100::Color::Idx(1 | 9) => Color::Red,
        vt100::Color::Idx(2 | 10) => Color::Green,
        vt100::Color::Idx(3) => Color::Yellow,
        vt100::Color::Idx(11) => Color::LightYellow,
        vt100::Color::Idx(4 | 12) => Color::Blue,
        vt100::Color::Idx(5 | 13) => Color::Magenta,
        vt100::Color::Idx(6 | 14) => Color::Cyan,
        vt100::Color::Idx(7) => Color::Gray,
        vt100::Color::Idx(8) => Color::DarkGray,
        vt100::Color::Idx(n @ 16..) => Color::Indexed(n),
        vt100::Color::Idx(_) => Color::White,
        vt100::Color::Rgb(r, g, b) => Color::Rgb(r, g, b),
    }
}

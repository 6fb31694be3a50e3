//! A drawn screen as SVG, for the README: one rectangle per run of background, one text per run of
//! the same style.

use std::borrow::Cow;
use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

/// Width of a character cell in SVG units.
const CELL_WIDTH: f64 = 8.4;
/// Height of a character cell.
const CELL_HEIGHT: f64 = 18.0;
/// Space around the screen.
const MARGIN: f64 = 10.0;

const BACKGROUND: &str = "#16130f";
const FOREGROUND: &str = "#e8e2d6";

/// The screen as an SVG document.
pub fn to_svg(buffer: &Buffer) -> String {
    let area = buffer.area;
    let width = f64::from(area.width) * CELL_WIDTH + 2.0 * MARGIN;
    let height = f64::from(area.height) * CELL_HEIGHT + 2.0 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         font-family=\"'DejaVu Sans Mono', 'Cascadia Mono', Menlo, Consolas, monospace\" \
         font-size=\"14\">\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n"
    );
    for y in 0..area.height {
        for (from, to) in runs(buffer, y) {
            run(&mut svg, buffer, y, from, to);
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// Runs of cells with the same style, as (first, one past the last) columns.
fn runs(buffer: &Buffer, y: u16) -> Vec<(u16, u16)> {
    let width = buffer.area.width;
    let mut runs = Vec::new();
    let mut from = 0;
    for x in 1..=width {
        let same = x < width && buffer.cell((x, y)).map(look) == buffer.cell((from, y)).map(look);
        if !same {
            runs.push((from, x));
            from = x;
        }
    }
    runs
}

fn look(cell: &Cell) -> (Color, Color, Modifier) {
    (cell.fg, cell.bg, cell.modifier)
}

fn run(svg: &mut String, buffer: &Buffer, y: u16, from: u16, to: u16) {
    let Some(first) = buffer.cell((from, y)) else { return };
    let text: String =
        (from..to).filter_map(|x| buffer.cell((x, y))).map(|cell| cell.symbol()).collect();
    let left = MARGIN + f64::from(from) * CELL_WIDTH;
    let top = MARGIN + f64::from(y) * CELL_HEIGHT;
    let width = f64::from(to - from) * CELL_WIDTH;
    if let Some(fill) = css(first.bg) {
        let _ = writeln!(
            svg,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{CELL_HEIGHT}\" \
             fill=\"{fill}\"/>"
        );
    }
    if text.trim().is_empty() {
        return;
    }
    let fill = css(first.fg).unwrap_or(Cow::Borrowed(FOREGROUND));
    let weight = if first.modifier.contains(Modifier::BOLD) { " font-weight=\"bold\"" } else { "" };
    let baseline = top + CELL_HEIGHT * 0.76;
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(
        svg,
        "<text x=\"{left:.1}\" y=\"{baseline:.1}\" fill=\"{fill}\"{weight} xml:space=\"preserve\" \
         textLength=\"{width:.1}\" lengthAdjust=\"spacingAndGlyphs\">{escaped}</text>"
    );
}

fn css(colour: Color) -> Option<Cow<'static, str>> {
    Some(Cow::Borrowed(match colour {
        Color::Reset => return None,
        Color::Rgb(r, g, b) => return Some(hex([r, g, b])),
        Color::Indexed(n @ 16..=231) => {
            let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
            let cube = n - 16;
            return Some(hex([level(cube / 36), level(cube / 6 % 6), level(cube % 6)]));
        }
        Color::Indexed(n @ 232..) => return Some(hex([8 + 10 * (n - 232); 3])),
        Color::Black => "#000000",
        Color::Red | Color::LightRed => "#ef6a5a",
        Color::Green | Color::LightGreen => "#8fc46b",
        Color::Yellow => "#d9963a",
        Color::LightYellow => "#f5bf5b",
        Color::Blue | Color::LightBlue => "#6fa3d8",
        Color::Magenta | Color::LightMagenta => "#c58bd0",
        Color::Cyan | Color::LightCyan => "#7cc5c0",
        Color::DarkGray => "#6d665b",
        Color::Gray => "#b8b0a2",
        _ => FOREGROUND,
    }))
}

fn hex([r, g, b]: [u8; 3]) -> Cow<'static, str> {
    Cow::Owned(format!("#{r:02x}{g:02x}{b:02x}"))
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    #[test]
    fn every_kind_of_colour_has_its_own() {
        let of = |colour| css(colour).map(Cow::into_owned);
        assert_eq!(of(Color::Reset), None);
        assert_eq!(of(Color::Rgb(1, 2, 255)).as_deref(), Some("#0102ff"));
        assert_eq!(of(Color::Indexed(16)).as_deref(), Some("#000000"));
        assert_eq!(of(Color::Indexed(221)).as_deref(), Some("#ffd75f"));
        assert_eq!(of(Color::Indexed(231)).as_deref(), Some("#ffffff"));
        assert_eq!(of(Color::Indexed(232)).as_deref(), Some("#080808"));
        assert_eq!(of(Color::Indexed(255)).as_deref(), Some("#eeeeee"));
    }

    #[test]
    fn text_is_escaped_and_grouped_by_style() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 6, 1));
        buffer.set_string(0, 0, "a<b", Style::new().fg(Color::Red));
        buffer.set_string(3, 0, "cd", Style::new());
        let svg = to_svg(&buffer);
        assert!(svg.contains(">a&lt;b</text>"), "{svg}");
        assert_eq!(svg.matches("<text ").count(), 2, "{svg}");
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }
}

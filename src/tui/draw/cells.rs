//! Words, frames and curves as cells. The toolkit can do more than a screen of ours needs (lines that break,
//! styles in layers, signs of any width, one layer of the whole window for each curve), and takes most of a
//! frame's time for it; what is drawn ten times a second is drawn here. It looks the same, cell by cell.

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use crate::tui::theme::Theme;

/// Writes a line into at most so many cells.
pub(in crate::tui) fn put(buffer: &mut Buffer, (x, y): (u16, u16), line: &Line<'_>, width: u16) {
    let area = buffer.area;
    if y < area.top() || y >= area.bottom() || x < area.left() {
        return;
    }
    let end = x.saturating_add(width).min(area.right());
    let mut at = x;
    for span in &line.spans {
        if at >= end {
            return;
        }
        let style = line.style.patch(span.style);
        if !span.content.chars().all(is_simple) {
            // Signs of other widths, or ones that belong together.
            (at, _) = buffer.set_stringn(at, y, &span.content, usize::from(end - at), style);
            continue;
        }
        let cells = row(buffer, y, at..end);
        let mut written = 0;
        for (cell, c) in cells.iter_mut().zip(span.content.chars()) {
            cell.set_char(c);
            dress(cell, style);
            written += 1;
        }
        at += written;
    }
}

/// One sign in one cell, whatever stands beside it: what nearly all of a screen is made of.
fn is_simple(c: char) -> bool {
    matches!(c, ' '..='~' | '°' | '·' | '…' | '\u{2190}'..='\u{2193}')
        || matches!(c, '\u{2500}'..='\u{259f}' | '●' | '\u{2800}'..='\u{28ff}')
}

/// The cells of a row; empty where there is none.
fn row(buffer: &mut Buffer, y: u16, columns: std::ops::Range<u16>) -> &mut [Cell] {
    let area = buffer.area;
    let columns = columns.start.max(area.left())..columns.end.min(area.right());
    if y < area.top() || y >= area.bottom() || columns.is_empty() {
        return &mut [];
    }
    let start = usize::from(y - area.top()) * usize::from(area.width);
    let from = start + usize::from(columns.start - area.left());
    buffer.content.get_mut(from..from + columns.len()).unwrap_or_default()
}

fn dress(cell: &mut Cell, style: Style) {
    if let Some(colour) = style.fg {
        cell.fg = colour;
    }
    if let Some(colour) = style.bg {
        cell.bg = colour;
    }
    cell.modifier.insert(style.add_modifier);
    cell.modifier.remove(style.sub_modifier);
}

/// A sign in a cell, if the cell is on the picture.
fn sign(buffer: &mut Buffer, (x, y): (u16, u16), c: char, style: Style) {
    if let Some(cell) = row(buffer, y, x..x.saturating_add(1)).first_mut() {
        cell.set_char(c);
        dress(cell, style);
    }
}

/// A frame with its titles.
#[derive(Debug)]
pub(in crate::tui) struct Pane<'a> {
    title: Line<'a>,
    /// At its right end.
    aside: Option<Line<'a>>,
    /// On its lower side.
    below: Option<Line<'a>>,
    style: Style,
}

impl<'a> Pane<'a> {
    pub(in crate::tui) fn new(title: &'a str, theme: &Theme) -> Self {
        let title = Line::styled(title, theme.quiet());
        Self { title, aside: None, below: None, style: theme.dim() }
    }

    /// With such a line at the right end of its upper side.
    #[must_use]
    pub(in crate::tui) fn aside(self, line: Line<'a>) -> Self {
        Self { aside: Some(line), ..self }
    }

    /// With such a line on its lower side.
    #[must_use]
    pub(in crate::tui) fn below(self, line: Line<'a>) -> Self {
        Self { below: Some(line), ..self }
    }

    /// What is in it.
    pub(in crate::tui) fn inner(area: Rect) -> Rect {
        Rect {
            x: area.x.saturating_add(1).min(area.right()),
            y: area.y.saturating_add(1).min(area.bottom()),
            width: area.width.saturating_sub(2),
            height: area.height.saturating_sub(2),
        }
    }

    /// Draws it, and says what is in it.
    pub(in crate::tui) fn draw(&self, buffer: &mut Buffer, area: Rect) -> Rect {
        if area.is_empty() {
            return area;
        }
        let (right, low) = (area.right() - 1, area.bottom() - 1);
        for y in [area.top(), low] {
            for cell in row(buffer, y, area.left()..area.right()) {
                cell.set_char('─');
                dress(cell, self.style);
            }
        }
        for y in area.top()..area.bottom() {
            let ends = match y {
                y if y == area.top() => ['╭', '╮'],
                y if y == low => ['╰', '╯'],
                _ => ['│', '│'],
            };
            sign(buffer, (area.left(), y), ends[0], self.style);
            sign(buffer, (right, y), ends[1], self.style);
        }
        let room = area.width.saturating_sub(2);
        if let Some(aside) = &self.aside {
            let width = u16::try_from(aside.width()).unwrap_or(room).min(room);
            put(buffer, (right - width, area.top()), aside, width);
        }
        put(buffer, (area.left() + 1, area.top()), &self.title, room);
        if let Some(below) = &self.below {
            put(buffer, (area.left() + 1, low), below, room);
        }
        Self::inner(area)
    }
}

/// A curve over its axes, with levels that it is compared with.
#[derive(Debug)]
pub(in crate::tui) struct Plot<'a> {
    /// Points from the left to the right.
    pub(in crate::tui) curve: &'a [(f64, f64)],
    /// The same in colours.
    pub(in crate::tui) style: Style,
    /// Heights that go through all of it.
    pub(in crate::tui) levels: Vec<(f64, Style)>,
    /// Where its right end is, above 0.
    pub(in crate::tui) end: f64,
    /// Below the right end.
    pub(in crate::tui) end_label: Line<'a>,
    /// The lowest and the highest value, which differ.
    pub(in crate::tui) range: (f64, f64),
    /// Beside them: at the lower end, in the middle, at the upper end.
    pub(in crate::tui) labels: [Line<'a>; 3],
    /// Of the axes.
    pub(in crate::tui) axes: Style,
}

/// Dots of one cell.
const ACROSS: u16 = 2;
/// See [`ACROSS`].
const DOWN: u16 = 4;
/// The bit of each dot of a braille letter, by row and column.
const BRAILLE: [[u8; ACROSS as usize]; DOWN as usize] =
    [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

impl Plot<'_> {
    /// Draws it. Where there is no room for the axes there is nothing to see.
    pub(in crate::tui) fn draw(&self, buffer: &mut Buffer, area: Rect) {
        let widest = self.labels.iter().map(Line::width).max().unwrap_or(0);
        let beside = u16::try_from(widest).unwrap_or(u16::MAX).min(area.width / 3);
        if area.height < 3 || area.width < beside + 2 {
            return;
        }
        let field = Rect {
            x: area.x + beside + 1,
            y: area.y,
            width: area.width - beside - 1,
            height: area.height - 2,
        };
        self.draw_axes(buffer, area, field);
        for (height, style) in &self.levels {
            let up = self.up(*height, field.height);
            for cell in row(buffer, field.y + up, field.left()..field.right()) {
                cell.set_char('•');
                dress(cell, *style);
            }
        }
        self.draw_curve(buffer, field);
    }

    fn draw_axes(&self, buffer: &mut Buffer, area: Rect, field: Rect) {
        let (x, y) = (field.x - 1, field.bottom());
        for row in field.top()..field.bottom() {
            sign(buffer, (x, row), '│', self.axes);
        }
        for cell in row(buffer, y, field.left()..field.right()) {
            cell.set_char('─');
            dress(cell, self.axes);
        }
        sign(buffer, (x, y), '└', self.axes);
        sign(buffer, (x, y + 1), '0', self.axes);
        let room = field.width / 2;
        let width = u16::try_from(self.end_label.width()).unwrap_or(room).min(room);
        put(buffer, (field.right() - width, y + 1), &self.end_label, width);
        for (label, step) in self.labels.iter().zip(0..) {
            let above = step * (field.height - 1) / 2;
            put(buffer, (area.x, field.bottom() - 1 - above), label, x - area.x);
        }
    }

    fn draw_curve(&self, buffer: &mut Buffer, field: Rect) {
        let (across, down) = (field.width * ACROSS, field.height * DOWN);
        let mut dots = vec![0_u8; usize::from(field.width) * usize::from(field.height)];
        let mut dot = |x: usize, y: usize| {
            let cell = y / BRAILLE.len() * usize::from(field.width) + x / BRAILLE[0].len();
            if let Some(cell) = dots.get_mut(cell) {
                *cell |= BRAILLE[y % BRAILLE.len()][x % BRAILLE[0].len()];
            }
        };
        let place = |(x, y): (f64, f64)| {
            let right = x.clamp(0.0, self.end) * f64::from(across - 1) / self.end;
            (rounded(right), usize::from(self.up(y, down)))
        };
        let mut before = None;
        for point in self.curve.iter().copied().map(place) {
            straight(before.unwrap_or(point), point, &mut dot);
            before = Some(point);
        }
        for (part, y) in dots.chunks(usize::from(field.width)).zip(field.top()..) {
            for (bits, cell) in part.iter().zip(row(buffer, y, field.left()..field.right())) {
                if *bits > 0 {
                    cell.set_char(char::from_u32(0x2800 + u32::from(*bits)).unwrap_or('*'));
                    dress(cell, self.style);
                }
            }
        }
    }

    /// How far below the upper end a value is, in so many steps.
    fn up(&self, value: f64, steps: u16) -> u16 {
        let (low, high) = self.range;
        let below = high - value.clamp(low, high.max(low));
        let below = rounded(below * f64::from(steps.saturating_sub(1)) / (high - low));
        u16::try_from(below).unwrap_or(0)
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn rounded(number: f64) -> usize {
    number.round() as usize
}

/// The dots from one to another, both of them too (Bresenham's way, in whole numbers).
fn straight(one: (usize, usize), other: (usize, usize), dot: &mut impl FnMut(usize, usize)) {
    let (wide, high) = (one.0.abs_diff(other.0), one.1.abs_diff(other.1));
    let is_flat = high < wide;
    let along = |p: (usize, usize)| if is_flat { p } else { (p.1, p.0) };
    let (mut from, mut to) = (along(one), along(other));
    if from.0 > to.0 {
        std::mem::swap(&mut from, &mut to);
    }
    let (long, short) = (wide.max(high).cast_signed(), wide.min(high).cast_signed());
    let (mut across, mut ahead) = (from.1, 2 * short - long);
    for at in from.0..=to.0 {
        match is_flat {
            true => dot(at, across),
            false => dot(across, at),
        }
        if ahead > 0 {
            across = if from.1 > to.1 { across.saturating_sub(1) } else { across + 1 };
            ahead -= 2 * long;
        }
        ahead += 2 * short;
    }
}

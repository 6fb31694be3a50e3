//! In which cells a picture differs from the one that stands on the terminal. The toolkit asks each cell
//! how wide its sign is, in every frame; here only rows that differ are looked at twice, and nearly all of
//! them have signs of one cell alone.

use ratatui::buffer::{Buffer, Cell};

/// The cells of `new` that are to be written over `old`, a picture of the same size.
pub(super) fn changes<'a>(old: &'a Buffer, new: &'a Buffer) -> Vec<(u16, u16, &'a Cell)> {
    let width = usize::from(new.area.width).max(1);
    let rows = old.content.chunks(width).zip(new.content.chunks(width)).zip(new.area.top()..);
    let mut all = Vec::new();
    for ((before, after), y) in rows {
        let pairs = before.iter().zip(after).zip(new.area.left()..);
        let so_far = all.len();
        let changed = pairs.filter(|((before, after), _)| before != after);
        all.extend(changed.map(|((_, after), x)| (x, y, after)));
        if all.len() > so_far && !before.iter().chain(after).all(is_narrow) {
            all.truncate(so_far);
            all.extend(among_wide(old, new, y));
        }
    }
    all
}

/// Whether its sign takes this cell and no other, as far as that can be told at a glance: ASCII, frames,
/// blocks, braille.
fn is_narrow(cell: &Cell) -> bool {
    match cell.symbol().as_bytes() {
        // ASCII, ° and ·.
        [_] | [0xc2, 0xb0 | 0xb7] => true,
        // U+2500 to U+259F, U+2800 to U+28FF.
        [0xe2, 0x94..=0x95, _] | [0xe2, 0x96, 0x80..=0x9f] | [0xe2, 0xa0..=0xa3, _] => true,
        // … and the arrows.
        [0xe2, 0x80, 0xa6] | [0xe2, 0x86, 0x90..=0x93] => true,
        _ => false,
    }
}

/// The same in a row with signs of two cells: what they cover has its own rules, which the toolkit knows.
fn among_wide<'a>(old: &Buffer, new: &'a Buffer, y: u16) -> Vec<(u16, u16, &'a Cell)> {
    let row = |of: &Buffer| {
        let area = ratatui::layout::Rect { y, height: 1, ..of.area };
        let cells = (area.left()..area.right()).filter_map(|x| of.cell((x, y)).cloned());
        Buffer { area, content: cells.collect() }
    };
    let (before, after) = (row(old), row(new));
    let places: Vec<u16> = before.diff_iter(&after).map(|(x, ..)| x).collect();
    places.into_iter().filter_map(|x| Some((x, y, new.cell((x, y))?))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ratatui::layout::Rect;
    use ratatui::style::{Color, Style};

    use super::*;

    const WIDTH: u16 = 12;
    const HEIGHT: u16 = 3;
    const SIGNS: [&str; 12] =
        ["a", "é", "…", "·", "█", "⣿", "漢字", "e\u{301}", "→", "👍", "☀\u{fe0f}", "◽"];

    /// A few words in a few places, as widgets leave them.
    fn picture() -> impl Strategy<Value = Buffer> {
        let word = prop::collection::vec(prop::sample::select(&SIGNS[..]), 1..4);
        let place = (0..WIDTH, 0..HEIGHT, word, 0_u8..4);
        prop::collection::vec(place, 0..8).prop_map(|words| {
            let mut buffer = Buffer::empty(Rect::new(0, 0, WIDTH, HEIGHT));
            for (x, y, word, colour) in words {
                let style = Style::new().bg(Color::Indexed(colour));
                buffer.set_string(x, y, word.concat(), style);
            }
            buffer
        })
    }

    proptest! {
        /// The toolkit finds the same, cell by cell and in the same order.
        #[test]
        fn changes_are_those_that_the_toolkit_finds((old, new) in (picture(), picture())) {
            let wanted: Vec<_> = old.diff_iter(&new).collect();
            prop_assert_eq!(changes(&old, &new), wanted);
            prop_assert!(changes(&new, &new).is_empty());
        }
    }

    #[test]
    fn a_glance_takes_nothing_wide_for_narrow() {
        use ratatui::buffer::CellWidth as _;
        for c in '\u{21}'..='\u{3ffff}' {
            let mut cell = Cell::EMPTY;
            cell.set_char(c);
            if !c.is_control() && is_narrow(&cell) {
                assert_eq!(cell.cell_width(), 1, "{c:?} {:x}", u32::from(c));
            }
        }
    }
}

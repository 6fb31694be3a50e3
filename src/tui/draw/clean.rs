//! The last look at a frame before it goes to the terminal: nothing in it commands the terminal or
//! turns the writing around, whoever wrote it, and where only ASCII is wanted there is nothing else.

use ratatui::buffer::Buffer;

use super::super::theme::Signs;

/// What stands where something cannot be shown.
const UNSHOWN: &str = "\u{fffd}";

/// Characters that one cell may hold: a letter with its accents. A heap of them is no letter.
const MOST: usize = 4;

/// Cleans the whole frame.
pub(in crate::tui) fn clean(buffer: &mut Buffer, signs: Signs) {
    for cell in &mut buffer.content {
        let symbol = cell.symbol();
        if let [b' '..=b'~'] = symbol.as_bytes() {
            continue;
        }
        if symbol.chars().any(is_harmful) || symbol.chars().nth(MOST).is_some() {
            cell.set_symbol(UNSHOWN);
        }
        if signs == Signs::Ascii {
            let plain = ascii(cell.symbol());
            cell.set_symbol(plain);
        }
    }
}

/// The same for words that go out as a line.
pub(in crate::tui) fn words(line: &str, signs: Signs) -> String {
    let shown = |c: char| match (is_harmful(c), signs, c.is_ascii()) {
        (true, Signs::Unicode, _) => UNSHOWN.to_owned(),
        (true, Signs::Ascii, _) => "?".to_owned(),
        (false, Signs::Ascii, false) => ascii(&c.to_string()).to_owned(),
        (false, ..) => c.to_string(),
    };
    line.chars().map(shown).collect()
}

/// Control characters, and those that turn the direction of what follows or take no place.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The nearest thing in ASCII, one cell wide.
fn ascii(symbol: &str) -> &'static str {
    const PRINTABLE: &str = " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`\
                             abcdefghijklmnopqrstuvwxyz{|}~";
    let c = symbol.chars().next().unwrap_or(' ');
    if let Some(place) = PRINTABLE.find(c).filter(|_| symbol.len() == 1) {
        return &PRINTABLE[place..=place];
    }
    match c {
        '│' | '┃' | '║' | '▏' | '▎' | '▍' => "|",
        '─' | '━' | '═' => "-",
        '╭' | '╮' | '╰' | '╯' | '┌' | '┐' | '└' | '┘' | '├' | '┤' | '┬' | '┴' | '┼' => {
            "+"
        }
        '█' | '▓' | '▉' | '▊' => "#",
        '▒' | '▌' | '▋' | '▐' => "=",
        '░' => ".",
        '▁' | '▂' => "_",
        '▃' | '▄' => "-",
        '▅' | '▆' | '▇' => "=",
        '\u{2800}' => " ",
        '\u{2801}'..='\u{28ff}' | '•' | '●' => "*",
        '·' => ".",
        '…' => "~",
        '←' => "<",
        '→' => ">",
        '↑' => "^",
        '↓' => "v",
        '×' => "x",
        '°' => "'",
        ' ' | '\u{a0}' => " ",
        _ => "?",
    }
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;

    use super::*;

    fn cleaned(symbols: &[&str], signs: Signs) -> Vec<String> {
        #[allow(clippy::cast_possible_truncation)]
        let mut buffer = Buffer::empty(Rect::new(0, 0, symbols.len() as u16, 1));
        for (cell, symbol) in buffer.content.iter_mut().zip(symbols) {
            cell.set_symbol(symbol);
        }
        clean(&mut buffer, signs);
        buffer.content.iter().map(|cell| cell.symbol().to_owned()).collect()
    }

    #[test]
    fn what_commands_a_terminal_is_not_shown() {
        let harmful = ["\u{1b}", "a\u{202e}", "\u{9b}", "\u{7f}", "\u{200b}", "\n"];
        assert!(cleaned(&harmful, Signs::Unicode).iter().all(|symbol| symbol == UNSHOWN));
        assert!(cleaned(&harmful, Signs::Ascii).iter().all(|symbol| symbol == "?"));
        let heap = format!("e{}", "\u{301}".repeat(MOST));
        assert_eq!(cleaned(&[&heap], Signs::Unicode), [UNSHOWN]);
        let fine = ["a", "é", "█", "⣿", "漢", "e\u{301}"];
        assert_eq!(cleaned(&fine, Signs::Unicode), fine);
    }

    #[test]
    fn ascii_is_ascii() {
        let all: Vec<String> = ('\u{20}'..='\u{2fff}').map(String::from).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let shown = cleaned(&all, Signs::Ascii);
        assert!(shown.iter().all(|symbol| symbol.len() == 1 && symbol.is_ascii()));
        assert_eq!(shown[..95].concat(), all[..95].concat());
    }
}

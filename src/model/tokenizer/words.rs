//! Cuts text where the standard byte-level split cuts it, so that a word met before need not be
//! encoded again. Only for characters whose class is certain; a line that holds any other is handed
//! over whole, and the crate's own rules apply to it.

use std::str::Chars;

/// A part of the text that encodes the same alone as inside the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    /// One word of the byte-level split (with its leading space), worth remembering.
    Word(&'t str),
    /// A stretch that must be encoded as a whole.
    Line(&'t str),
}

impl<'t> Piece<'t> {
    /// The text of this piece.
    pub(super) fn text(self) -> &'t str {
        match self {
            Piece::Word(text) | Piece::Line(text) => text,
        }
    }
}

/// What the split's regular expression sees in a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Letter,
    Digit,
    Space,
    Other,
}

/// Iterator over the pieces of a text, in order, without gaps.
pub(super) struct Pieces<'t> {
    rest: &'t str,
    /// Bytes of `rest` that belong to the current line.
    line: usize,
    /// Whether every character of the current line has a known class.
    known: bool,
}

impl<'t> Pieces<'t> {
    /// Starts at the beginning of `text`.
    pub(super) fn new(text: &'t str) -> Self {
        Self { rest: text, line: 0, known: true }
    }

    /// Measures the next line: up to a line end that follows a visible character. The split always
    /// cuts there, and nothing before that place looks past it.
    fn measure_line(&mut self) {
        let mut visible = false;
        self.known = true;
        for (at, character) in self.rest.char_indices() {
            if character == '\n' && visible {
                self.line = at;
                return;
            }
            let class = class(character);
            self.known &= class.is_some();
            // An unknown character may be a space; then the line just goes on.
            visible = matches!(class, Some(Class::Letter | Class::Digit | Class::Other));
        }
        self.line = self.rest.len();
    }
}

impl<'t> Iterator for Pieces<'t> {
    type Item = Piece<'t>;

    fn next(&mut self) -> Option<Piece<'t>> {
        if self.rest.is_empty() {
            return None;
        }
        if self.line == 0 {
            self.measure_line();
        }
        let length = if self.known { word_length(&self.rest[..self.line]) } else { self.line };
        let (piece, rest) = self.rest.split_at(length);
        self.rest = rest;
        self.line -= length;
        Some(if self.known { Piece::Word(piece) } else { Piece::Line(piece) })
    }
}

/// Bytes of the first match of
/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+` in `line`, which
/// is not empty and whose characters all have a known class.
fn word_length(line: &str) -> usize {
    const CONTRACTIONS: [&str; 7] = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];
    if let Some(found) = CONTRACTIONS.iter().find(|ending| line.starts_with(**ending)) {
        return found.len();
    }
    let after_space = usize::from(line.starts_with(' '));
    let run = |class| run_length(line[after_space..].chars(), class);
    match line[after_space..].chars().next().and_then(class) {
        Some(kind @ (Class::Letter | Class::Digit | Class::Other)) => after_space + run(kind),
        _ => blank_length(line),
    }
}

/// Length of the run of white space at the start of `line`: all of it at the end of the text, else
/// all but the last character (which belongs to what follows), but at least one.
fn blank_length(line: &str) -> usize {
    let whole = run_length(line.chars(), Class::Space);
    if whole == line.len() {
        return whole;
    }
    let last = line[..whole].chars().next_back().map_or(0, char::len_utf8);
    if whole > last { whole - last } else { whole }
}

fn run_length(characters: Chars<'_>, wanted: Class) -> usize {
    characters.take_while(|c| class(*c) == Some(wanted)).map(char::len_utf8).sum()
}

/// The class of a character, for the scripts whose blocks are settled; `None` for all others.
pub(super) fn class(character: char) -> Option<Class> {
    let found = match character {
        'a'..='z' | 'A'..='Z' => Class::Letter,
        '0'..='9' => Class::Digit,
        ' ' | '\t'..='\r' => Class::Space,
        '!'..='~' => Class::Other,
        // Latin with accents, but for the two signs among them.
        '×' | '÷' => Class::Other,
        'À'..='ɏ' => Class::Letter,
        // Greek and Cyrillic.
        'Α'..='Ρ' | 'Σ'..='ώ' | 'Ѐ'..='ҁ' | 'Ҋ'..='ԯ' => Class::Letter,
        // Dashes, quotes, dots.
        '\u{2010}'..='\u{2027}' => Class::Other,
        // Kana and the common ideographs, with their comma and full stop.
        '、'..='〃' => Class::Other,
        'ぁ'..='ゖ' | 'ァ'..='ヺ' | '一'..='\u{9fef}' => Class::Letter,
        _ => return None,
    };
    Some(found)
}

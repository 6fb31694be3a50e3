//! Colours by purpose, in as many as the terminal has: true colour, 256, 16 or none (`NO_COLOR`). None
//! of them carries a meaning that the words do not. And signs: those of Unicode, or ASCII alone.

use ratatui::style::{Color, Modifier, Style};

use crate::miner::State;

/// How many colours there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// None.
    None,
    /// The 16 that every terminal has.
    Sixteen,
    /// The 256 of most.
    Indexed,
    /// All.
    True,
}

/// Which signs charts and frames are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signs {
    /// Lines, blocks and braille.
    Unicode,
    /// Nothing beyond ASCII.
    Ascii,
}

/// Styles by purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    depth: Depth,
    signs: Signs,
}

/// One colour in its three forms.
struct Ink(u32, u8, Color);

const TITLE: Ink = Ink(0xf5_bf_5b, 221, Color::LightYellow);
const DIM: Ink = Ink(0x7d_75_69, 243, Color::DarkGray);
const QUIET: Ink = Ink(0xb8_b0_a2, 249, Color::Gray);
const BAR: Ink = Ink(0xd9_96_3a, 172, Color::Yellow);
const BLUE: Ink = Ink(0x6f_a3_d8, 74, Color::Blue);
const VIOLET: Ink = Ink(0xc5_8b_d0, 176, Color::Magenta);
const GOOD: Ink = Ink(0x8f_c4_6b, 113, Color::LightGreen);
const BAD: Ink = Ink(0xef_6a_5a, 203, Color::LightRed);
const CALM: Ink = Ink(0x7c_c5_c0, 116, Color::LightCyan);

impl Theme {
    /// With the 16 colours.
    pub fn colourful() -> Self {
        Self { depth: Depth::Sixteen, signs: Signs::Unicode }
    }

    /// Without any.
    pub fn plain() -> Self {
        Self { depth: Depth::None, ..Self::colourful() }
    }

    /// With so many colours.
    #[must_use]
    pub fn with_depth(self, depth: Depth) -> Self {
        Self { depth, ..self }
    }

    /// With these signs.
    #[must_use]
    pub fn with_signs(self, signs: Signs) -> Self {
        Self { signs, ..self }
    }

    /// The signs.
    pub fn signs(self) -> Signs {
        self.signs
    }

    /// As the user's environment asks (`NO_COLOR`, see no-color.org; `COLORTERM`, `TERM`;
    /// `HEARTH_ASCII`, or a locale without UTF-8).
    pub fn from_environment() -> Self {
        Self::of(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn of(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let term = variable("TERM").unwrap_or_default();
        let depth = match (variable("NO_COLOR"), variable("COLORTERM").as_deref()) {
            (Some(_), _) => Depth::None,
            (None, _) if term == "dumb" => Depth::None,
            (None, Some("truecolor" | "24bit")) => Depth::True,
            (None, _) if term.contains("256") => Depth::Indexed,
            _ => Depth::Sixteen,
        };
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable);
        let narrow = locale.is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            !locale.contains("utf-8") && !locale.contains("utf8") && locale.contains('.')
        });
        let signs = match narrow || variable("HEARTH_ASCII").is_some() {
            true => Signs::Ascii,
            false => Signs::Unicode,
        };
        Self { depth, signs }
    }

    fn fg(self, ink: &Ink) -> Style {
        match self.depth {
            Depth::None => Style::new(),
            Depth::Sixteen => Style::new().fg(ink.2),
            Depth::Indexed => Style::new().fg(Color::Indexed(ink.1)),
            Depth::True => Style::new().fg(Color::from_u32(ink.0)),
        }
    }

    /// Names and headings.
    pub fn title(self) -> Style {
        self.fg(&TITLE).add_modifier(Modifier::BOLD)
    }

    /// Labels, frames, axis.
    pub fn dim(self) -> Style {
        self.fg(&DIM)
    }

    /// Explanations that are to be read.
    pub fn quiet(self) -> Style {
        self.fg(&QUIET)
    }

    /// Figures.
    pub fn number(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The loss curve.
    pub fn curve(self) -> Style {
        self.fg(&TITLE)
    }

    /// The first of the two reference lines.
    pub fn reference(self) -> Style {
        self.fg(&BLUE)
    }

    /// The second.
    pub fn reference_two(self) -> Style {
        self.fg(&VIOLET)
    }

    /// Bars.
    pub fn bar(self) -> Style {
        self.fg(&BAR)
    }

    /// What is as it should be.
    pub fn good(self) -> Style {
        self.fg(&GOOD)
    }

    /// What somebody should look at.
    pub fn warning(self) -> Style {
        self.fg(&TITLE)
    }

    /// What is wrong.
    pub fn bad(self) -> Style {
        self.fg(&BAD)
    }

    /// The screen that is shown, in the line of their names.
    pub fn chosen(self) -> Style {
        self.title().add_modifier(Modifier::REVERSED)
    }

    /// What was searched for and found.
    pub fn found(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// The word of a state.
    pub fn state(self, state: State) -> Style {
        let ink = match state {
            State::Training | State::Uploading | State::Merging => &GOOD,
            State::Fault => &BAD,
            State::Paused | State::Waiting => &TITLE,
            _ => &CALM,
        };
        self.fg(ink).add_modifier(Modifier::BOLD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Theme {
        Theme::of(&|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned()).filter(|value| !value.is_empty())
        })
    }

    #[test]
    fn the_terminal_says_how_many_colours_there_are() {
        for (variables, depth) in [
            (&[][..], Depth::Sixteen),
            (&[("TERM", "xterm")], Depth::Sixteen),
            (&[("TERM", "xterm-256color")], Depth::Indexed),
            (&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")], Depth::True),
            (&[("COLORTERM", "24bit"), ("NO_COLOR", "1")], Depth::None),
            (&[("COLORTERM", "24bit"), ("NO_COLOR", "")], Depth::True),
            (&[("TERM", "dumb")], Depth::None),
        ] {
            assert_eq!(of(variables).depth, depth, "{variables:?}");
        }
    }

    #[test]
    fn ascii_is_for_who_asks_and_for_locales_that_have_no_more() {
        for (variables, signs) in [
            (&[][..], Signs::Unicode),
            (&[("LANG", "de_DE.UTF-8")], Signs::Unicode),
            (&[("LANG", "C")], Signs::Unicode),
            (&[("LANG", "de_DE.ISO-8859-1")], Signs::Ascii),
            (&[("LC_ALL", "C.utf8"), ("LANG", "de_DE.ISO-8859-1")], Signs::Unicode),
            (&[("HEARTH_ASCII", "1")], Signs::Ascii),
        ] {
            assert_eq!(of(variables).signs, signs, "{variables:?}");
        }
    }

    #[test]
    fn each_depth_uses_its_own_kind_of_colour() {
        let at = |depth| Theme::colourful().with_depth(depth).bad().fg;
        assert_eq!(at(Depth::None), None);
        assert_eq!(at(Depth::Sixteen), Some(Color::LightRed));
        assert!(matches!(at(Depth::Indexed), Some(Color::Indexed(_))));
        assert!(matches!(at(Depth::True), Some(Color::Rgb(..))));
    }
}

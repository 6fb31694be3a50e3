//! Colours, from the 16 that every terminal has; none of them carries a meaning that the words do
//! not. `NO_COLOR` turns them off.

use ratatui::style::{Color, Modifier, Style};

use crate::miner::State;

/// Styles by purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    colour: bool,
}

impl Theme {
    /// With colours.
    pub fn colourful() -> Self {
        Self { colour: true }
    }

    /// Without any.
    pub fn plain() -> Self {
        Self { colour: false }
    }

    /// As the user's environment asks (`NO_COLOR`, see no-color.org).
    pub fn from_environment() -> Self {
        Self { colour: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) }
    }

    fn fg(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    /// Names and headings.
    pub fn title(self) -> Style {
        self.fg(Color::LightYellow).add_modifier(Modifier::BOLD)
    }

    /// Labels, frames, axis.
    pub fn dim(self) -> Style {
        self.fg(Color::DarkGray)
    }

    /// Explanations that are to be read.
    pub fn quiet(self) -> Style {
        self.fg(Color::Gray)
    }

    /// Figures.
    pub fn number(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The loss curve.
    pub fn curve(self) -> Style {
        self.fg(Color::LightYellow)
    }

    /// The first of the two reference lines.
    pub fn reference(self) -> Style {
        self.fg(Color::Blue)
    }

    /// The second.
    pub fn reference_two(self) -> Style {
        self.fg(Color::Magenta)
    }

    /// Bars.
    pub fn bar(self) -> Style {
        self.fg(Color::Yellow)
    }

    /// The word of a state.
    pub fn state(self, state: State) -> Style {
        let colour = match state {
            State::Training | State::Uploading | State::Merging => Color::LightGreen,
            State::Fault => Color::LightRed,
            State::Paused | State::Waiting => Color::LightYellow,
            _ => Color::LightCyan,
        };
        self.fg(colour).add_modifier(Modifier::BOLD)
    }
}

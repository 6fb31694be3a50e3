//! The setup wizard: four screens from a fresh machine to a miner that is ready. [`Wizard`] is a pure
//! state machine, [`draw()`] a function of it, and [`run`] the loop between them and a terminal.
//! Everything that computes, signs or talks is asked for as a [`Request`].

mod draw;
pub mod facts;
pub mod field;
pub mod key;
pub mod limits;
pub mod quiz;
pub mod request;
pub mod rule_text;
pub mod rules;
#[cfg(test)]
mod samples;
mod state;
pub mod step;
pub mod text;
pub mod twice;

use std::sync::mpsc::Receiver;
use std::time::Duration;

use crossterm::event::{self, Event as Input, KeyEventKind};
use tokio::sync::watch;

use super::TuiError;
use super::terminal::Screen as Terminal;
use super::theme::Theme;
use crate::config::screen::Mouse;

pub use draw::draw;
pub use request::{Answer, Choices, Remembered, Request, Screen};
pub use state::{Outcome, Saving, Wizard};

/// Between two looks at the answers.
const TICK: Duration = Duration::from_millis(50);

/// Shows the wizard until the user is done with it, and says what the user wants. Blocks its thread.
/// `ask` must not block; its answers come through `answers`. `stop` turns true when the process was
/// asked to end.
pub fn run(
    wizard: &mut Wizard,
    ask: &dyn Fn(Request),
    answers: &Receiver<Answer>,
    stop: &watch::Receiver<bool>,
) -> Result<Outcome, TuiError> {
    let mut terminal = Terminal::open(Mouse::Off)?;
    let theme = Theme::from_environment();
    terminal.draw(|frame| draw(frame, wizard, &theme))?;
    // The first picture stands before anything else is done.
    wizard.begin().into_iter().for_each(ask);
    loop {
        if *stop.borrow() {
            wizard.leave().into_iter().for_each(ask);
        }
        if let Some(outcome) = wizard.outcome() {
            return Ok(outcome);
        }
        let mut changed = take_answers(wizard, ask, answers);
        if event::poll(if changed == Changed::No { TICK } else { Duration::ZERO })? {
            changed = changed.max(input(wizard, ask, event::read()?));
            changed = changed.max(take_answers(wizard, ask, answers));
        }
        match changed {
            Changed::No => {}
            Changed::Content => terminal.draw(|frame| draw(frame, wizard, &theme))?,
            Changed::Torn => terminal.repaint(|frame| draw(frame, wizard, &theme))?,
        }
    }
}

/// What became of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Changed {
    /// Nothing.
    No,
    /// It shows something else.
    Content,
    /// Somebody else may have written over it.
    Torn,
}

/// Hears everything that has been answered.
fn take_answers(wizard: &mut Wizard, ask: &dyn Fn(Request), answers: &Receiver<Answer>) -> Changed {
    let mut changed = Changed::No;
    while let Ok(answer) = answers.try_recv() {
        changed = changed.max(if opened_a_device(wizard, &answer) {
            Changed::Torn
        } else {
            Changed::Content
        });
        wizard.hear(answer).into_iter().for_each(ask);
    }
    changed
}

/// Whether a graphics driver was loaded before this answer: some complain on standard error, which is
/// the same terminal.
fn opened_a_device(wizard: &Wizard, answer: &Answer) -> bool {
    use facts::{Practice, Topic};
    match answer {
        Answer::Adapters(_) | Answer::Found(Topic::Kernels | Topic::Speed, _) => true,
        // Which card is asked for its heat is found through its driver.
        Answer::Unknown(_) => true,
        Answer::Practice(Practice::Running(_)) => !matches!(wizard.practice, Practice::Running(_)),
        _ => false,
    }
}

/// One event of the terminal.
fn input(wizard: &mut Wizard, ask: &dyn Fn(Request), input: Input) -> Changed {
    let requests = match input {
        Input::Key(key) if key.kind != KeyEventKind::Release => wizard.press(key),
        Input::Paste(text) => wizard.paste(&zeroize::Zeroizing::new(text)),
        // A window of another size is painted anew.
        Input::Resize(..) => return Changed::Torn,
        _ => return Changed::No,
    };
    requests.into_iter().for_each(ask);
    Changed::Content
}

#[cfg(test)]
mod tests;

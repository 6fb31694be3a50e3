//! The screen on which a secret is shown, once: the terminal's second screen, cleared before and
//! after, so that nothing stays in what one can scroll back to. Keys are read one by one, so that
//! Ctrl-C gives the terminal back instead of leaving the secret there.

use std::io::{self, IsTerminal as _, Write as _};

use crossterm::cursor::{MoveTo, Show};
use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers, read};
use crossterm::execute;
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use zeroize::Zeroizing;

/// Longer answers are not taken.
const LONGEST: usize = 64;

/// Whether somebody sits at a terminal who can read and answer.
pub(crate) fn somebody_is_there() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// What somebody answered.
pub(super) enum Answer {
    /// A line.
    Line(Zeroizing<String>),
    /// Esc or Ctrl-C.
    Left,
}

/// The second screen. Dropping it clears it and gives the terminal back, a panic included.
pub(super) struct SecretScreen;

impl SecretScreen {
    pub(super) fn open() -> io::Result<Self> {
        enable_raw_mode()?;
        let screen = Self;
        execute!(io::stdout(), EnterAlternateScreen)?;
        Ok(screen)
    }

    /// Clears the screen and shows these lines.
    pub(super) fn show(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout();
        execute!(out, Clear(ClearType::All), MoveTo(0, 0), Show)?;
        for line in text.lines() {
            write!(out, "{line}\r\n")?;
        }
        out.flush()
    }

    /// Asks for a line, which is shown as it is typed.
    pub(super) fn ask(&self, question: &str) -> io::Result<Answer> {
        let mut out = io::stdout();
        write!(out, "{question} ")?;
        out.flush()?;
        let mut line = Zeroizing::new(String::with_capacity(4 * LONGEST));
        loop {
            let Event::Key(key) = read()? else { continue };
            if key.kind == KeyEventKind::Release {
                continue;
            }
            match key.code {
                KeyCode::Esc => return Ok(Answer::Left),
                KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                    return Ok(Answer::Left);
                }
                KeyCode::Enter => {
                    write!(out, "\r\n")?;
                    out.flush()?;
                    return Ok(Answer::Line(line));
                }
                KeyCode::Backspace if line.pop().is_some() => write!(out, "\u{8} \u{8}")?,
                KeyCode::Char(c) if line.chars().count() < LONGEST && !c.is_control() => {
                    line.push(c);
                    write!(out, "{c}")?;
                }
                _ => {}
            }
            out.flush()?;
        }
    }
}

impl Drop for SecretScreen {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that is gone.
        let _ =
            execute!(io::stdout(), Clear(ClearType::All), MoveTo(0, 0), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

//! The screen on which a secret is shown, once: the terminal's second screen, cleared before and
//! after, so that nothing stays in what one can scroll back to. And questions whose answers are not
//! shown. Keys are read one by one, so that Ctrl-C gives the terminal back instead of leaving the
//! secret there, or a shell that shows nothing any more.

use std::io::{self, IsTerminal as _, Write as _};

use crossterm::cursor::{MoveTo, Show};
use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers, read};
use crossterm::execute;
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use zeroize::{Zeroize as _, Zeroizing};

/// Longer answers are not taken, in bytes. A phrase with a path and a password fits.
const LONGEST: usize = 2048;

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
pub(super) struct SecretScreen {
    _raw: RawMode,
}

impl SecretScreen {
    pub(super) fn open() -> io::Result<Self> {
        let screen = Self { _raw: RawMode::on()? };
        crate::tui::take();
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
        read_line(Echo::Shown)
    }
}

/// Asks for a line that is not shown, in the middle of the ordinary screen.
pub(super) fn ask_hidden(question: &str) -> io::Result<Answer> {
    // Before the question: what is typed at once must not be shown either.
    let _raw = RawMode::on()?;
    let mut out = io::stderr();
    write!(out, "{question}")?;
    out.flush()?;
    let answer = read_line(Echo::Hidden);
    write!(out, "\r\n")?;
    answer
}

/// Keys come one by one and unseen; dropping it gives the terminal back.
struct RawMode;

impl RawMode {
    fn on() -> io::Result<Self> {
        enable_raw_mode()?;
        Ok(Self)
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that is gone.
        let _ = disable_raw_mode();
    }
}

/// Whether one sees what one types.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Echo {
    Shown,
    Hidden,
}

fn read_line(echo: Echo) -> io::Result<Answer> {
    let mut out = io::stdout();
    let mut line = Zeroizing::new(String::with_capacity(LONGEST + 4));
    loop {
        let Event::Key(key) = read()? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        let mut shown = String::new();
        match (key.code, key.modifiers.contains(KeyModifiers::CONTROL)) {
            (KeyCode::Esc, _) | (KeyCode::Char('c' | 'd'), true) => return Ok(Answer::Left),
            // A pasted line may end with the other sign for its end.
            (KeyCode::Enter, _) | (KeyCode::Char('j' | 'm'), true) => {
                shown.push_str("\r\n");
            }
            (KeyCode::Char('u'), true) => {
                shown = "\u{8} \u{8}".repeat(line.chars().count());
                line.zeroize();
            }
            (KeyCode::Backspace, _) if line.pop().is_some() => shown.push_str("\u{8} \u{8}"),
            (KeyCode::Char(c), false) if line.len() < LONGEST && !c.is_control() => {
                line.push(c);
                shown.push(c);
            }
            _ => {}
        }
        if echo == Echo::Shown {
            write!(out, "{shown}")?;
            out.flush()?;
        }
        let is_end = shown == "\r\n";
        shown.zeroize();
        if is_end {
            return Ok(Answer::Line(line));
        }
    }
}

impl Drop for SecretScreen {
    fn drop(&mut self) {
        crate::tui::restore();
    }
}

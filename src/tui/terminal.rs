//! The terminal, taken and given back: on every way out, a panic included, the user finds the
//! shell as it was.

use std::io::{self, BufWriter, Stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::thread::{self, ThreadId};

use crossterm::cursor::{MoveTo, Show};
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::execute;
#[cfg(not(windows))]
use crossterm::style::Print;
use crossterm::terminal::{
    Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal};

use super::painter::Painter;
use super::stderr;
use crate::clock::Clock;
use crate::config::screen::Mouse;

/// Bytes that are held until a frame is whole: more than most have.
const FRAME: usize = 1 << 16;

/// The terminal while the screen is shown. Dropping it gives the terminal back.
#[derive(Debug)]
pub(super) struct Screen {
    terminal: Terminal<Painter<BufWriter<Stdout>>>,
    mouse: Mouse,
}

impl Screen {
    pub(super) fn open(mouse: Mouse) -> io::Result<Self> {
        restore_on_panic();
        enable_raw_mode()?;
        take();
        if let Err(error) = execute!(io::stdout(), EnterAlternateScreen) {
            restore();
            return Err(error);
        }
        stderr::divert();
        // Old consoles cannot; there a paste arrives as keys.
        let _ = execute!(io::stdout(), EnableBracketedPaste);
        let terminal = Terminal::new(Painter::new(BufWriter::with_capacity(FRAME, io::stdout())))
            .inspect_err(|_| restore())?;
        hear(mouse);
        Ok(Self { terminal, mouse })
    }
}

impl Screen {
    /// Shows a frame.
    pub(super) fn draw(&mut self, frame: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(frame).map(|_| ())
    }

    /// The same, painting every cell: somebody else may have written over the picture. The toolkit's
    /// own way asks the terminal where its cursor is, which not every terminal answers.
    pub(super) fn repaint(&mut self, frame: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.backend_mut().forget();
        self.terminal.swap_buffers();
        self.draw(frame)
    }
}

/// So long a stopped program may take to be stopped. It is far less; and a program that its surroundings
/// do not let stop is back after it.
#[cfg(unix)]
const STOPPING: std::time::Duration = std::time::Duration::from_millis(250);

impl Screen {
    /// Gives the terminal to the shell until the user comes back (`fg`). What is shown then must be
    /// painted anew.
    pub(super) fn suspend(&mut self, clock: &Clock) -> io::Result<()> {
        restore();
        stop_here(clock)?;
        enable_raw_mode()?;
        take();
        execute!(io::stdout(), EnterAlternateScreen)?;
        stderr::divert();
        let _ = execute!(io::stdout(), EnableBracketedPaste);
        hear(self.mouse);
        Ok(())
    }

    /// The window.
    pub(super) fn area(&mut self) -> Rect {
        self.terminal.get_frame().area()
    }

    /// The same picture once more, for who wants to have it.
    pub(super) fn picture(&mut self, frame: impl FnOnce(&mut Frame<'_>)) -> io::Result<Buffer> {
        self.terminal.draw(frame).map(|done| done.buffer.clone())
    }
}

/// Stops this program as Ctrl-Z does elsewhere; comes back when it is continued. Time goes on while a
/// program is stopped, so the wait is over then.
#[cfg(unix)]
fn stop_here(clock: &Clock) -> io::Result<()> {
    use rustix::process::{Signal, getpid, kill_process};
    kill_process(getpid(), Signal::TSTP)?;
    clock.block(STOPPING);
    Ok(())
}

#[cfg(not(unix))]
fn stop_here(_: &Clock) -> io::Result<()> {
    Ok(())
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Whether the terminal was asked for clicks.
static HEARD: AtomicBool = AtomicBool::new(false);

/// Asks for clicks and the wheel, and for nothing else: each movement would wake the program.
#[cfg(not(windows))]
fn hear(mouse: Mouse) {
    if mouse == Mouse::On {
        HEARD.store(true, Ordering::SeqCst);
        let _ = execute!(io::stdout(), Print("\u{1b}[?1000h\u{1b}[?1006h"));
    }
}

#[cfg(windows)]
fn hear(mouse: Mouse) {
    if mouse == Mouse::On {
        HEARD.store(true, Ordering::SeqCst);
        let _ = execute!(io::stdout(), crossterm::event::EnableMouseCapture);
    }
}

/// Leaves clicks and the wheel to the terminal again.
fn unhear() {
    if !HEARD.swap(false, Ordering::SeqCst) {
        return;
    }
    #[cfg(not(windows))]
    let _ = execute!(io::stdout(), Print("\u{1b}[?1006l\u{1b}[?1000l"));
    #[cfg(windows)]
    let _ = execute!(io::stdout(), crossterm::event::DisableMouseCapture);
}

/// Whether the terminal's second screen is ours.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Notes that the second screen is about to be taken: whatever ends the program gives it back.
pub(crate) fn take() {
    TAKEN.store(true, Ordering::SeqCst);
}

/// Gives the terminal back, with nothing of ours left on its second screen. Where that was never
/// taken nothing is written: standard output may be somebody's file.
pub(crate) fn restore() {
    stderr::give_back();
    // Nothing can be done about a terminal that is gone.
    let _ = disable_raw_mode();
    unhear();
    if TAKEN.swap(false, Ordering::SeqCst) {
        // A panic may have come in the middle of a frame.
        let _ = execute!(io::stdout(), EndSynchronizedUpdate, DisableBracketedPaste);
        let _ = execute!(io::stdout(), Clear(ClearType::All), MoveTo(0, 0));
        let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
    }
}

/// The thread that draws. A panic on another one leaves the screen alone: it goes on, and tells of it.
static OWNER: Mutex<Option<ThreadId>> = Mutex::new(None);

/// A panic's message must land on the user's own screen, not on the one that vanishes.
fn restore_on_panic() {
    static HOOK: Once = Once::new();
    *OWNER.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread::current().id());
    HOOK.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let owner = *OWNER.lock().unwrap_or_else(PoisonError::into_inner);
            if owner == Some(thread::current().id()) {
                restore();
            }
            previous(info);
        }));
    });
}

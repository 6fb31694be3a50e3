//! The terminal, taken and given back: on every way out, a panic included, the user finds the
//! shell as it was.

use std::io::{self, BufWriter, Stdout, Write};
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
use ratatui::backend::Backend as _;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal};

use super::changes::changes;
use super::painter::Painter;
use super::stderr;
use crate::clock::Clock;
use crate::config::screen::Mouse;

/// Bytes that are held until a frame is whole: more than most have.
const FRAME: usize = 1 << 16;

/// The terminal while the screen is shown. Dropping it gives the terminal back.
#[derive(Debug)]
pub(super) struct Screen {
    sheet: Sheet<BufWriter<Stdout>>,
    mouse: Mouse,
}

/// Pictures one after the other, of which each writes what it changes.
#[derive(Debug)]
struct Sheet<W: Write> {
    /// The toolkit's, for its size and the frame to draw in.
    terminal: Terminal<Painter<W>>,
    /// What stands on it.
    shown: Buffer,
    /// So many more frames until it is asked how large it is: the system opens a file for that.
    until_asked: u8,
}

/// A window whose new size nobody told is asked once in so many frames.
const ASKED: u8 = 10;

impl<W: Write> Sheet<W> {
    fn new(painter: Painter<W>) -> io::Result<Self> {
        let terminal = Terminal::new(painter)?;
        Ok(Self { terminal, shown: Buffer::default(), until_asked: 0 })
    }

    fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.fit()?;
        draw(&mut self.terminal.get_frame());
        let mut drawn = std::mem::take(self.terminal.current_buffer_mut());
        let backend = self.terminal.backend_mut();
        let written = (|| {
            backend.draw(changes(&self.shown, &drawn).into_iter())?;
            backend.hide_cursor()?;
            backend.flush()
        })();
        std::mem::swap(&mut self.shown, &mut drawn);
        drawn.reset();
        *self.terminal.current_buffer_mut() = drawn;
        written
    }

    /// Takes the size that the window has now.
    fn fit(&mut self) -> io::Result<()> {
        if let Some(fewer) = self.until_asked.checked_sub(1) {
            self.until_asked = fewer;
            return Ok(());
        }
        self.until_asked = ASKED;
        self.terminal.autoresize()?;
        let area = self.terminal.get_frame().area();
        if self.shown.area != area {
            self.shown = Buffer::empty(area);
        }
        Ok(())
    }

    /// Nothing is known of what stands there any more.
    fn forget(&mut self) {
        self.terminal.backend_mut().forget();
        self.shown.reset();
        self.until_asked = 0;
    }
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
        let sheet = Sheet::new(Painter::new(BufWriter::with_capacity(FRAME, io::stdout())))
            .inspect_err(|_| restore())?;
        hear(mouse);
        Ok(Self { sheet, mouse })
    }
}

impl Screen {
    /// Shows a frame.
    pub(super) fn draw(&mut self, frame: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.sheet.draw(frame)
    }

    /// The same, painting every cell: somebody else may have written over the picture.
    pub(super) fn repaint(&mut self, frame: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.sheet.forget();
        self.draw(frame)
    }

    /// The window has another size, or may have.
    pub(super) fn stretched(&mut self) {
        self.sheet.until_asked = 0;
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
    pub(super) fn area(&self) -> Rect {
        self.sheet.shown.area
    }

    /// What stands there.
    pub(super) fn picture(&self) -> &Buffer {
        &self.sheet.shown
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

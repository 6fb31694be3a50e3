//! What goes from a frame to the terminal: only what changed, in one piece, and where nothing changed
//! not a byte. The toolkit's own way sends colours, marks and the cursor's state with every frame.

use std::io::{self, Write};

use crossterm::queue;
use crossterm::terminal::{BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate};
use ratatui::backend::{Backend, ClearType as Region, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};

/// More columns and rows than any window has. A terminal that claims more is not believed: the cells of
/// what it claims would take gigabytes.
pub(super) const LARGEST: Size = Size { width: 1000, height: 500 };

/// What a terminal says of its size, as far as it can be true.
pub(super) fn believable(said: Size) -> Size {
    Size { width: said.width.min(LARGEST.width), height: said.height.min(LARGEST.height) }
}

/// Writes frames.
#[derive(Debug)]
pub(super) struct Painter<W: Write> {
    inner: CrosstermBackend<W>,
    /// Whether the next frame begins on an empty screen.
    wipes: bool,
    /// Whether the cursor is hidden already.
    hidden: bool,
}

impl<W: Write> Painter<W> {
    pub(super) fn new(to: W) -> Self {
        Self { inner: CrosstermBackend::new(to), wipes: false, hidden: false }
    }

    /// Somebody else may have had the terminal: nothing is known of it any more.
    pub(super) fn forget(&mut self) {
        (self.wipes, self.hidden) = (true, false);
    }
}

impl<W: Write> Backend for Painter<W> {
    type Error = io::Error;

    /// Writes a frame, whole: a terminal that knows how to wait for the end of it never shows half of
    /// one. The others take no notice of the marks.
    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut content = content.peekable();
        if content.peek().is_none() && !self.wipes {
            return Ok(());
        }
        queue!(self.inner, BeginSynchronizedUpdate)?;
        if std::mem::take(&mut self.wipes) {
            queue!(self.inner, Clear(ClearType::All))?;
        }
        self.inner.draw(content)?;
        queue!(self.inner, EndSynchronizedUpdate)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.hidden, true) {
            self.inner.hide_cursor()?;
        }
        Ok(())
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.hidden = false;
        self.inner.show_cursor()
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        self.inner.get_cursor_position()
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.inner.set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.clear_region(Region::All)
    }

    /// The whole screen is cleared with the next frame, not before it: that would be a flash.
    fn clear_region(&mut self, region: Region) -> io::Result<()> {
        if region == Region::All {
            self.wipes = true;
            return Ok(());
        }
        self.inner.clear_region(region)
    }

    fn size(&self) -> io::Result<Size> {
        self.inner.size().map(believable)
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        let said = self.inner.window_size()?;
        Ok(WindowSize { columns_rows: believable(said.columns_rows), ..said })
    }

    fn flush(&mut self) -> io::Result<()> {
        Backend::flush(&mut self.inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use ratatui::layout::Rect;
    use ratatui::widgets::Paragraph;
    use ratatui::{Terminal, TerminalOptions, Viewport};

    use super::*;

    /// What was written so far.
    #[derive(Clone, Debug, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Paper {
        fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
        }
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_frame_like_the_last_one_writes_nothing_and_another_only_what_differs() {
        let paper = Paper::default();
        let viewport = Viewport::Fixed(Rect::new(0, 0, 20, 2));
        let painter = Painter::new(paper.clone());
        let mut terminal = Terminal::with_options(painter, TerminalOptions { viewport }).unwrap();
        let mut show = |text: &'static str| {
            terminal.draw(|frame| frame.render_widget(Paragraph::new(text), frame.area())).unwrap();
            paper.take()
        };
        assert!(show("for 41 s").contains("41"));
        for _ in 0..3 {
            assert_eq!(show("for 41 s"), "");
        }
        let second = show("for 42 s");
        assert!(second.contains("\u{1b}[1;6H2") && !second.contains("42"), "{second:?}");
        assert!(second.starts_with("\u{1b}[?2026h") && second.ends_with("\u{1b}[?2026l"));
        assert_eq!(show("for 42 s"), "");
    }

    #[test]
    fn what_somebody_else_wrote_is_wiped_within_the_next_frame() {
        let paper = Paper::default();
        let viewport = Viewport::Fixed(Rect::new(0, 0, 20, 1));
        let painter = Painter::new(paper.clone());
        let mut terminal = Terminal::with_options(painter, TerminalOptions { viewport }).unwrap();
        terminal.draw(|frame| frame.render_widget("here", frame.area())).unwrap();
        paper.take();
        terminal.backend_mut().forget();
        terminal.swap_buffers();
        terminal.draw(|frame| frame.render_widget("here", frame.area())).unwrap();
        let written = paper.take();
        assert!(written.starts_with("\u{1b}[?2026h\u{1b}[2J"), "{written:?}");
        assert!(written.contains("here") && written.contains("\u{1b}[?25l"), "{written:?}");
    }

    #[test]
    fn a_size_that_no_window_has_is_not_believed() {
        let said = |width, height| believable(Size { width, height });
        assert_eq!(said(65_535, 65_535), LARGEST);
        assert_eq!(said(0, 0), Size { width: 0, height: 0 });
        assert_eq!(said(200, 60), Size { width: 200, height: 60 });
    }
}

//! Standard error while a screen is shown: graphics drivers and other libraries write there on their
//! own, which would land in the middle of the picture. What they say goes to the log instead.

#[cfg(unix)]
pub(super) use unix::{divert, give_back};

#[cfg(unix)]
mod unix {
    use std::io::{self, BufRead, BufReader, IsTerminal, PipeReader, Read};
    use std::os::fd::OwnedFd;
    use std::sync::{Mutex, PoisonError};

    use rustix::io::fcntl_dupfd_cloexec;
    use rustix::stdio::dup2_stderr;

    /// The most of one line that is kept, in bytes.
    const LONGEST: u64 = 1024;

    /// Where standard error really goes, while it is diverted.
    static OWN: Mutex<Option<OwnedFd>> = Mutex::new(None);

    /// Sends standard error to the log, if it is a terminal. Where that cannot be done, it stays.
    pub(in crate::tui) fn divert() {
        let mut own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
        if own.is_some() || !io::stderr().is_terminal() {
            return;
        }
        match diverted() {
            Ok(real) => *own = Some(real),
            Err(error) => tracing::debug!("standard error stays on the screen: {error}"),
        }
    }

    fn diverted() -> io::Result<OwnedFd> {
        let real = fcntl_dupfd_cloexec(io::stderr(), 3)?;
        let (reader, writer) = io::pipe()?;
        std::thread::Builder::new().name("stderr".into()).spawn(move || log(reader))?;
        dup2_stderr(writer)?;
        Ok(real)
    }

    /// Until nobody can write any more.
    fn log(reader: PipeReader) {
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        while let Ok(1..) = reader.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
            tracing::debug!(target: "stderr", "{}", String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
    }

    /// Gives standard error back.
    pub(in crate::tui) fn give_back() {
        let real = OWN.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(real) = real
            && let Err(error) = dup2_stderr(real)
        {
            tracing::debug!("standard error is not given back: {error}");
        }
    }
}

/// Elsewhere drivers do not write there.
#[cfg(not(unix))]
pub(super) fn divert() {}

/// Elsewhere it was never taken.
#[cfg(not(unix))]
pub(super) fn give_back() {}

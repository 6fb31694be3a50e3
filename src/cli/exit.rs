//! How the process ends: the exit codes that scripts rely on, and the one line that says why.

use std::fmt;

use crate::config::folders::FolderError;
use crate::config::settings::SettingsError;
use crate::miner::MinerError;
use crate::telemetry::crash;
use crate::tui::TuiError;

/// Exit codes. Stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or an orderly stop (SIGTERM, the first Ctrl-C).
    Done = 0,
    /// Failed.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// A setting is wrong.
    Configuration = 3,
    /// The key is missing or locked.
    Key = 4,
    /// The server refuses this version.
    Version = 5,
    /// The network refused this miner.
    Refused = 6,
    /// No device can be used.
    NoDevice = 7,
    /// The disk is full, read-only, or not ours.
    Disk = 8,
    /// Another Hearth already runs here.
    AlreadyRunning = 9,
    /// `hearth status`: waiting for somebody else.
    Waiting = 10,
    /// `hearth status`: paused.
    Paused = 11,
    /// `hearth status`: somebody here must act.
    NeedsYou = 20,
    /// `hearth status`: it cannot go on by itself.
    Fault = 30,
    /// No Hearth runs here.
    NotRunning = 40,
    /// The second Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// The stable word of a failure of which nothing more is known.
    pub fn code(self) -> &'static str {
        match self {
            // Those of `hearth status` are no failures.
            Self::Done
            | Self::Failed
            | Self::Waiting
            | Self::Paused
            | Self::NeedsYou
            | Self::Fault => "failed",
            Self::Usage => "usage",
            Self::Configuration => "configuration",
            Self::Key => "key-unusable",
            Self::Version => "version-refused",
            Self::Refused => "refused",
            Self::NoDevice => "no-device",
            Self::Disk => "disk-unusable",
            Self::AlreadyRunning => "already-running",
            Self::NotRunning => "not-running",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not do its work: one line for the person (what, why, what now) and a code
/// for the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// One line.
    pub line: String,
    /// How the process ends.
    pub exit: Exit,
    /// Stable word that `hearth explain` knows.
    pub code: &'static str,
}

impl Failure {
    /// From any error whose message is written for the person.
    pub fn new(exit: Exit, line: impl fmt::Display) -> Self {
        let line = line.to_string();
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        Self { line, exit, code: exit.code() }
    }

    /// The same with a code that says more than the exit code does.
    #[must_use]
    pub fn coded(self, code: &'static str) -> Self {
        Self { code, ..self }
    }

    /// Settings that cannot be used.
    pub fn of_settings(error: &SettingsError) -> Self {
        Self::new(Exit::Configuration, error).coded(error.code())
    }

    /// A screen that ended by itself.
    pub fn of_screen(error: &TuiError) -> Self {
        Self::new(Exit::Failed, error).coded(error.code())
    }

    /// A folder that cannot be used.
    pub fn of_folder(error: &FolderError) -> Self {
        Self::new(Exit::Disk, error).coded(error.code())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

impl std::error::Error for Failure {}

/// What came of writing to standard output. Who closed the pipe has read enough.
pub(super) fn written(printed: std::io::Result<()>) -> Result<Exit, Failure> {
    match printed {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Failed, format!("cannot write: {error}")).coded("output-lost"))
        }
        _ => Ok(Exit::Done),
    }
}

/// The line and exit code for a miner that ended by an error.
pub fn miner_failure(name: &str, error: &MinerError) -> Failure {
    let exit = match error {
        MinerError::Version(_) => Exit::Version,
        MinerError::Disk(_) => Exit::Disk,
        MinerError::Device(_) | MinerError::DeviceGone(_) | MinerError::NoDevice(_) => {
            Exit::NoDevice
        }
        MinerError::Refused(_) => Exit::Refused,
        MinerError::Settings(_) => Exit::Configuration,
        _ => Exit::Failed,
    };
    let report = match error {
        MinerError::Broken(_) => format!("; {}", crash::last_words()),
        _ => String::new(),
    };
    Failure::new(exit, format!("{name}: {error}{report}")).coded(error.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line() {
        let failure = Failure::new(Exit::Disk, "the disk\n  is full;\tmake room");
        assert_eq!(failure.line, "the disk is full; make room");
        assert_eq!(failure.exit as u8, 8);
    }
}

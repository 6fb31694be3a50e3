//! How much is logged, in the words of the setting, and what that means for the program's own lines
//! and for those of the libraries under it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// Where [`super::tell`] writes events: files have them, the terminal prints them by itself.
pub(super) const EVENTS: &str = "hearth::event";

/// The libraries' own lines that mean nothing to a user: the GPU layer's warnings are about drivers'
/// optional layers, and its errors reach us as errors.
const QUIET: &str = "wgpu=off,wgpu_core=off,wgpu_hal=off,naga=off,s3s=off,s3s_fs=off,iroh=error,\
                     iroh::socket=off,noq=off,noq_proto=off,noq_udp=off,netwatch=error,sqlx=error";

/// Libraries whose lines hold secrets: the object store prints each address with its signature.
const TELLTALES: [&str; 2] = ["s3s", "s3s_fs"];

/// The filter that a user wrote, in which those libraries are silent whatever it says.
pub(super) fn without_secrets(text: &str) -> Result<EnvFilter, ParseError> {
    let is_telltale = |part: &str| {
        let target = part.split(['=', '[']).next().unwrap_or_default().trim();
        let name = target.split("::").next().unwrap_or_default();
        TELLTALES.contains(&name)
    };
    let mut parts: Vec<String> =
        text.split(',').filter(|part| !is_telltale(part)).map(str::to_owned).collect();
    parts.extend(TELLTALES.map(|name| format!("{name}=off")));
    EnvFilter::try_new(parts.join(","))
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What does not work.
    Error,
    /// And what does not work as it should.
    Warn,
    /// And what happens.
    Info,
    /// And each step.
    Debug,
    /// And everything else.
    Trace,
}

impl Level {
    /// From the least to the most.
    pub const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// Its word in the settings.
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    /// Which lines are wanted: ours down to this level, warnings of the libraries.
    pub(super) fn filter(self) -> EnvFilter {
        let others = self.min(Self::Warn).word();
        EnvFilter::new(format!("{others},hearth={},{QUIET}", self.word()))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// There is no such level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is error, warn, info, debug or trace")]
pub struct NoLevel;

impl FromStr for Level {
    type Err = NoLevel;

    fn from_str(text: &str) -> Result<Self, NoLevel> {
        Self::ALL.into_iter().find(|level| level.word() == text).ok_or(NoLevel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_is_read_back_and_makes_a_filter() {
        for level in Level::ALL {
            assert_eq!(level.word().parse(), Ok(level));
            let filter = level.filter().to_string();
            assert!(filter.contains(&format!("hearth={level}")), "{filter}");
        }
        assert_eq!("loud".parse::<Level>(), Err(NoLevel));
    }

    #[test]
    fn libraries_that_print_signatures_stay_silent() {
        for text in ["trace", "trace,s3s=trace", "s3s::ops[call]=debug,info, s3s_fs=trace"] {
            let filter = without_secrets(text).unwrap().to_string();
            assert!(filter.contains("s3s=off") && filter.contains("s3s_fs=off"), "{filter}");
            assert_eq!(filter.matches("s3s").count(), 2, "{filter}");
        }
        assert!(without_secrets("hearth=debug").unwrap().to_string().contains("hearth=debug"));
        assert!(without_secrets("hearth=loudest").is_err());
    }

    #[test]
    fn the_level_is_about_our_own_lines() {
        assert!(Level::Trace.filter().to_string().contains("warn"));
        let least = Level::Error.filter().to_string();
        assert!(!least.contains("warn"), "{least}");
    }
}

//! A setting as others may see it: its value without its secrets, and where it came from.

use serde::Serialize;

use super::key::Key;
use super::settings::{Origin, Settings};

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Its name in the file.
    pub key: &'static str,
    /// What counts now, without secrets; none where nothing does.
    pub value: Option<String>,
    /// `default`, `file`, `environment`, `flag`.
    pub origin: String,
    /// On which line of the file it is, if it is from there.
    pub line: Option<usize>,
    /// Its environment variable.
    pub variable: String,
    /// What may be written there.
    pub allowed: &'static str,
}

impl Shown {
    /// The setting as it is now.
    pub fn of(settings: &Settings, key: Key) -> Self {
        let written = settings.text(key);
        let origin = written.map_or(Origin::Default, |written| written.origin);
        let default = || Some(key.default_words().to_owned()).filter(|words| !words.is_empty());
        Self {
            key: key.name(),
            value: written.map(|written| key.shown(&written.value)).or_else(default),
            origin: origin.to_string(),
            line: settings.line(key).filter(|_| origin == Origin::File),
            variable: key.variable(),
            allowed: key.allowed(),
        }
    }
}

//! Where an unfinished setup stands, kept in the state folder so that the next start goes on there.
//! Nothing in it is secret.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::folders::{FolderError, Folders, prepare, write_atomically};
use crate::tui::wizard::Remembered;

/// The file's form.
const VERSION: u32 = 1;
/// Its name in the state folder.
const FILE: &str = "setup.json";

/// An unfinished setup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Unfinished {
    version: u32,
    /// The screen and the answers.
    pub(super) wizard: Remembered,
    /// Name of the hotkey that was made or imported in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) hotkey: Option<String>,
}

impl Unfinished {
    /// A setup that stands here.
    pub(super) fn new(wizard: Remembered, hotkey: Option<String>) -> Self {
        Self { version: VERSION, wizard, hotkey }
    }

    fn path(folders: &Folders) -> PathBuf {
        folders.state.join(FILE)
    }

    /// The one that was left, if any. A file that cannot be read counts as none: only a few answers
    /// are asked again.
    pub(super) fn read(folders: &Folders) -> Option<Self> {
        let text = fs::read_to_string(Self::path(folders)).ok()?;
        serde_json::from_str::<Self>(&text).ok().filter(|kept| kept.version == VERSION)
    }

    /// Keeps it.
    pub(super) fn write(&self, folders: &Folders) -> Result<(), FolderError> {
        prepare(&folders.state)?;
        let path = Self::path(folders);
        let text = serde_json::to_vec(self).map_err(|error| FolderError::NotWritable {
            path: path.clone(),
            source: std::io::Error::other(error),
        })?;
        write_atomically(&path, &text)
    }

    /// Forgets it: the setup is finished.
    pub(super) fn remove(folders: &Folders) {
        // One that cannot be removed makes the next start ask once more, no worse.
        let _ = fs::remove_file(Self::path(folders));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::wizard::{Choices, Screen};

    #[test]
    fn an_unfinished_setup_comes_back_and_a_damaged_one_does_not() {
        let home = tempfile::tempdir().unwrap();
        let folders = Folders::under(home.path());
        assert_eq!(Unfinished::read(&folders), None);
        let wizard = Remembered { screen: Screen::Limits, choices: Choices::default() };
        let kept = Unfinished::new(wizard, Some("default".into()));
        kept.write(&folders).unwrap();
        assert_eq!(Unfinished::read(&folders), Some(kept));
        let path = Unfinished::path(&folders);
        let text = fs::read_to_string(&path).unwrap();
        for bad in ["{", &text.replace("\"version\":1", "\"version\":2")] {
            fs::write(&path, bad).unwrap();
            assert_eq!(Unfinished::read(&folders), None, "{bad}");
        }
        Unfinished::remove(&folders);
        assert!(!path.exists());
    }
}

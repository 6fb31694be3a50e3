//! What the user asked for last, kept on disk: a pause that was asked for must not end because the
//! computer was started again.

use std::path::{Path, PathBuf};

use crate::config::folders::{FolderError, write_atomically};
use crate::host::rules::UserWish;
use crate::protocol::Hotkey;

/// The file of one hotkey.
#[derive(Clone, Debug)]
pub(super) struct PauseFile(PathBuf);

impl PauseFile {
    /// The file in `folder`.
    pub(super) fn new(folder: &Path, hotkey: &Hotkey) -> Self {
        Self(folder.join(format!("pause-{hotkey}.json")))
    }

    /// What was kept; a damaged file counts as nothing, and is said.
    pub(super) fn load(&self) -> UserWish {
        let Ok(bytes) = std::fs::read(&self.0) else { return UserWish::Rules };
        serde_json::from_slice(&bytes).unwrap_or_else(|error| {
            tracing::warn!("{} is damaged ({error}); no pause is kept", self.0.display());
            UserWish::Rules
        })
    }

    /// Keeps it.
    pub(super) fn save(&self, wish: UserWish) -> Result<(), FolderError> {
        if wish == UserWish::Rules {
            return match std::fs::remove_file(&self.0) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    Err(FolderError::NotWritable { path: self.0.clone(), source })
                }
                _ => Ok(()),
            };
        }
        if let Some(folder) = self.0.parent() {
            let refused = |source| FolderError::NotWritable { path: folder.to_owned(), source };
            std::fs::create_dir_all(folder).map_err(refused)?;
        }
        // A wish is words and numbers: it always serialises.
        write_atomically(&self.0, &serde_json::to_vec(&wish).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_kept_and_forgotten_and_damage_is_no_pause() {
        let folder = tempfile::tempdir().unwrap();
        let hotkey = Hotkey::from_public_key(&[7; 32]);
        let file = PauseFile::new(&folder.path().join("new"), &hotkey);
        assert_eq!(file.load(), UserWish::Rules);
        for wish in [
            UserWish::Pause { since: 1.5, until: None },
            UserWish::Pause { since: 1.5, until: Some(9) },
            UserWish::RunAnyway { since: 2.0, until: 9 },
        ] {
            file.save(wish).unwrap();
            assert_eq!(file.load(), wish);
        }
        std::fs::write(&file.0, b"{\"wish\": ").unwrap();
        assert_eq!(file.load(), UserWish::Rules);
        file.save(UserWish::Rules).unwrap();
        assert!(!file.0.exists());
        file.save(UserWish::Rules).unwrap();
    }
}

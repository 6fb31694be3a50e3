//! The passphrase of an encrypted key file, and where it comes from: a file, a systemd credential, or
//! whoever sits at the terminal (asked by the caller through [`AskPassphrase`]).

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::KeyName;
use crate::wallet::bittensor::file::{Exposure, exposure};

/// A new passphrase has at least as many characters.
pub const SHORTEST: usize = 8;
/// No passphrase is longer, in bytes.
const LONGEST: usize = 1024;
/// The name of our credential in systemd's folder of them.
const CREDENTIAL: &str = "hearth-passphrase";
/// Where systemd says that folder is.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// A passphrase. Wiped from memory when dropped, never printed.
pub struct Passphrase(Zeroizing<String>);

/// Why there is no passphrase.
#[derive(Debug, thiserror::Error)]
pub enum PassphraseError {
    /// Nobody can be asked.
    #[error(
        "the key {0} is in an encrypted file, and nobody can be asked for its passphrase here: run \
         this at a terminal, or give a file with --passphrase-file (setting passphrase_file), or the \
         systemd credential hearth-passphrase"
    )]
    NobodyToAsk(KeyName),
    /// The user gave none.
    #[error("no passphrase was given, so nothing was done")]
    NotGiven,
    /// Two entries differ.
    #[error("the two passphrases differ, so nothing was done: try again")]
    Differs,
    /// Too short for a new one.
    #[error(
        "a new passphrase has at least {SHORTEST} characters; four random words make a good one"
    )]
    TooShort,
    /// Too long.
    #[error("a passphrase has at most {LONGEST} bytes: choose a shorter one")]
    TooLong,
    /// The file cannot be read.
    #[error(
        "the passphrase file {path} cannot be read ({why}): check the path and its permissions"
    )]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// The file has no passphrase.
    #[error(
        "the passphrase file {0} is empty, or holds more than one line: its one line is the passphrase"
    )]
    NotOneLine(PathBuf),
    /// Others can read it.
    #[error(
        "others on this machine can read the passphrase file {0}: take that right away (chmod 600), \
         and change the passphrase if they may have read it"
    )]
    Exposed(PathBuf),
    /// The terminal failed.
    #[error("the terminal cannot be asked for the passphrase ({0})")]
    Terminal(String),
}

/// What keeps others from reading a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Guard {
    /// Its own mode.
    OwnMode,
    /// The folder it is in.
    Folder,
}

impl Passphrase {
    /// A passphrase that exists already.
    pub fn existing(text: Zeroizing<String>) -> Result<Self, PassphraseError> {
        match text.len() {
            0 => Err(PassphraseError::NotGiven),
            length if length > LONGEST => Err(PassphraseError::TooLong),
            _ => Ok(Self(text)),
        }
    }

    /// A new passphrase: not too short.
    pub fn new(text: Zeroizing<String>) -> Result<Self, PassphraseError> {
        let passphrase = Self::existing(text)?;
        passphrase.long_enough()
    }

    /// This passphrase, unless it is too short for a new one.
    pub fn long_enough(self) -> Result<Self, PassphraseError> {
        if self.0.chars().count() < SHORTEST { Err(PassphraseError::TooShort) } else { Ok(self) }
    }

    /// The only line of a file that nobody else may read.
    pub fn of_file(path: &Path) -> Result<Self, PassphraseError> {
        Self::of_line(path, Guard::OwnMode)
    }

    fn of_line(path: &Path, guard: Guard) -> Result<Self, PassphraseError> {
        let unreadable = |error: std::io::Error| PassphraseError::File {
            path: path.to_owned(),
            why: error.to_string(),
        };
        let file = File::open(path).map_err(unreadable)?;
        let meta = file.metadata().map_err(unreadable)?;
        let exposed = guard == Guard::OwnMode && exposure(&meta) == Exposure::Readable;
        if meta.is_file() && exposed {
            return Err(PassphraseError::Exposed(path.to_owned()));
        }
        // Room for all of it at once: a growing buffer would leave copies behind.
        let mut content = Zeroizing::new(String::with_capacity(LONGEST + 3));
        file.take(LONGEST as u64 + 3).read_to_string(&mut content).map_err(unreadable)?;
        let line = content.strip_suffix('\n').unwrap_or(&content);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() || line.contains('\n') {
            return Err(PassphraseError::NotOneLine(path.to_owned()));
        }
        Self::existing(Zeroizing::new(line.to_owned()))
    }

    /// The passphrase that lies ready: in the file that the user named, or as a systemd credential.
    /// `None` when somebody must be asked.
    pub fn ready(
        named: Option<&Path>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, PassphraseError> {
        if let Some(path) = named {
            return Self::of_file(path).map(Some);
        }
        let Some(folder) = environment(CREDENTIALS).filter(|folder| !folder.is_empty()) else {
            return Ok(None);
        };
        let path = Path::new(&folder).join(CREDENTIAL);
        // systemd lets nobody else into that folder, whatever the file's own mode says.
        if path.exists() { Self::of_line(&path, Guard::Folder).map(Some) } else { Ok(None) }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// What a passphrase is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To open what exists.
    Open,
    /// To lock something new: ask twice.
    Lock,
}

/// Whoever knows the passphrase of a key.
pub trait AskPassphrase {
    /// Gives the passphrase of the key `name`.
    fn ask(&mut self, name: &KeyName, purpose: Purpose) -> Result<Passphrase, PassphraseError>;
}

/// Nobody is there.
#[derive(Clone, Copy, Debug)]
pub struct Nobody;

impl AskPassphrase for Nobody {
    fn ask(&mut self, name: &KeyName, _: Purpose) -> Result<Passphrase, PassphraseError> {
        Err(PassphraseError::NobodyToAsk(name.clone()))
    }
}

/// A passphrase that was asked for before, such as by a screen.
#[derive(Debug)]
pub struct Given(pub Zeroizing<String>);

impl AskPassphrase for Given {
    fn ask(&mut self, _: &KeyName, purpose: Purpose) -> Result<Passphrase, PassphraseError> {
        match purpose {
            Purpose::Open => Passphrase::existing(self.0.clone()),
            Purpose::Lock => Passphrase::new(self.0.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path, content: &str) -> PathBuf {
        let path = folder.join("passphrase");
        crate::config::folders::write_privately(&path, content.as_bytes()).unwrap();
        path
    }

    #[test]
    fn the_one_line_of_a_file_is_the_passphrase() {
        let folder = tempfile::tempdir().unwrap();
        for content in ["four random words", "four random words\n", "four random words\r\n"] {
            let passphrase = Passphrase::of_file(&file(folder.path(), content)).unwrap();
            assert_eq!(passphrase.as_bytes(), b"four random words");
        }
        for content in ["", "\n", "one\ntwo\n"] {
            let error = Passphrase::of_file(&file(folder.path(), content)).unwrap_err();
            assert!(matches!(error, PassphraseError::NotOneLine(_)), "{error}");
        }
        let error = Passphrase::of_file(&file(folder.path(), &"x".repeat(2000))).unwrap_err();
        assert!(matches!(error, PassphraseError::TooLong), "{error}");
        assert!(Passphrase::of_file(&folder.path().join("none")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_passphrase_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), "four random words");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = Passphrase::of_file(&path).unwrap_err();
        assert!(matches!(error, PassphraseError::Exposed(_)), "{error}");
    }

    #[test]
    fn a_named_file_comes_before_the_systemd_credential() {
        let folder = tempfile::tempdir().unwrap();
        let credential = folder.path().join(CREDENTIAL);
        crate::config::folders::write_privately(&credential, b"of systemd").unwrap();
        let named = file(folder.path(), "of the file");
        let environment =
            |name: &str| (name == CREDENTIALS).then(|| folder.path().display().to_string());
        let bytes = |found: Option<Passphrase>| found.unwrap().as_bytes().to_vec();
        assert_eq!(bytes(Passphrase::ready(None, environment).unwrap()), b"of systemd");
        assert_eq!(bytes(Passphrase::ready(Some(&named), environment).unwrap()), b"of the file");
        assert!(Passphrase::ready(None, |_| None).unwrap().is_none());
    }

    #[test]
    fn a_new_passphrase_is_not_too_short_and_none_is_printed() {
        let text = |text: &str| Zeroizing::new(text.to_owned());
        assert!(matches!(Passphrase::new(text("seven77")), Err(PassphraseError::TooShort)));
        assert!(Passphrase::existing(text("seven77")).is_ok());
        assert!(matches!(Passphrase::existing(text("")), Err(PassphraseError::NotGiven)));
        let shown = format!("{:?}", Passphrase::new(text("four random words")).unwrap());
        assert!(!shown.contains("random"), "{shown}");
    }
}

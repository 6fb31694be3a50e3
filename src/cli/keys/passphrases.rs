//! The passphrase of an encrypted key file: from the file that was named, from systemd, or from
//! whoever sits at the terminal.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::screen::{Answer, ask_hidden};
use crate::config::settings::{Key, Settings};
use crate::wallet::secret::KeySecret;
use crate::wallet::store::{
    AskPassphrase, KeyName, KeyRecord, KeyStoreError, KeyStores, Passphrase, PassphraseError,
    Purpose,
};

/// So often a passphrase may be mistyped at the terminal.
const TRIES: usize = 3;

/// Whoever knows passphrases on a command line.
pub(crate) struct Passphrases {
    named: Option<PathBuf>,
    /// Whether the last one was typed, and may have been mistyped.
    typed: bool,
    /// The new one that was typed: several keys of one command take the same.
    new: Option<Zeroizing<String>>,
}

impl Passphrases {
    /// By the setting `passphrase_file`, if it is set.
    pub(crate) fn new(settings: &Settings) -> Self {
        let named = settings.text(Key::PassphraseFile).map(|path| PathBuf::from(&path.value));
        Self { named, typed: false, new: None }
    }

    /// Reads the secret of a key; asks again when a passphrase was mistyped.
    pub(crate) fn open(
        &mut self,
        stores: &KeyStores,
        name: &KeyName,
    ) -> Result<KeySecret, KeyStoreError> {
        self.tried(|ask| stores.get(name, ask))
    }

    /// Remembers the secret of a key in the kernel's keyring; asks again like [`Self::open`].
    pub(super) fn unlock(
        &mut self,
        stores: &KeyStores,
        name: &KeyName,
    ) -> Result<KeyRecord, KeyStoreError> {
        self.tried(|ask| stores.unlock(name, ask))
    }

    fn tried<T>(
        &mut self,
        work: impl Fn(&mut dyn AskPassphrase) -> Result<T, KeyStoreError>,
    ) -> Result<T, KeyStoreError> {
        let mut left = TRIES;
        loop {
            left -= 1;
            match work(self) {
                Err(error) if error.is_wrong_passphrase() && self.typed && left > 0 => {
                    eprintln!("That is not the passphrase.");
                }
                other => return other,
            }
        }
    }
}

impl AskPassphrase for Passphrases {
    fn ask(&mut self, name: &KeyName, purpose: Purpose) -> Result<Passphrase, PassphraseError> {
        let ready =
            Passphrase::ready(self.named.as_deref(), |variable| std::env::var(variable).ok())?;
        if let Some(passphrase) = ready {
            return match purpose {
                Purpose::Open => Ok(passphrase),
                Purpose::Lock => passphrase.long_enough(),
            };
        }
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Err(PassphraseError::NobodyToAsk(name.clone()));
        }
        self.typed = true;
        match purpose {
            Purpose::Open => Passphrase::existing(hidden(&format!("Passphrase of key {name}: "))?),
            Purpose::Lock => {
                let text = match &self.new {
                    Some(text) => text.clone(),
                    None => twice(&format!("key {name}"))?,
                };
                let passphrase = Passphrase::new(text.clone())?;
                self.new = Some(text);
                Ok(passphrase)
            }
        }
    }
}

/// Asks for a new passphrase twice.
pub(super) fn twice(what: &str) -> Result<Zeroizing<String>, PassphraseError> {
    let first = hidden(&format!("New passphrase for {what}: "))?;
    let second = hidden("The same again: ")?;
    if *first == *second { Ok(first) } else { Err(PassphraseError::Differs) }
}

/// Asks for a line that is not shown.
pub(super) fn hidden(question: &str) -> Result<Zeroizing<String>, PassphraseError> {
    match ask_hidden(question) {
        Ok(Answer::Line(line)) => Ok(line),
        Ok(Answer::Left) => Err(PassphraseError::NotGiven),
        Err(error) => Err(PassphraseError::Terminal(error.to_string())),
    }
}

//! The wizard's keys: words are drawn here, keys checked and kept, wallets listed, addresses judged.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use zeroize::Zeroizing;

use super::desk::World;
use crate::clock::Entropy;
use crate::config::settings::{Key, Settings};
use crate::tui::wizard::Answer;
use crate::tui::wizard::facts::{AddressVerdict, KeyFacts, PassphraseNeed, StoreFacts, WalletKey};
use crate::tui::wizard::quiz::QUESTIONS;
use crate::tui::wizard::request::{KeySource, Purpose, Secret, WordCount};
use crate::wallet::address::PayoutCheck;
use crate::wallet::bittensor::{self, ColdkeyFile, FoundHotkey, HotkeyState, read_hotkey};
use crate::wallet::phrase::{Phrase, Words};
use crate::wallet::secret::{KeySecret, seed_from_hex};
use crate::wallet::store::{
    AskPassphrase, Given, KeyName, KeyRecord, KeyStoreError, KeyStores, NewKey, Nobody, Probe,
    StoreKind, StoreState, Trouble, preferred,
};

/// Said of a hotkey that its owner encrypted.
const ENCRYPTED: &str = "it is encrypted: `hearth keys import` asks for its password";

/// The keys of this machine.
pub(super) struct Keys {
    stores: KeyStores,
    data: PathBuf,
    given: Settings,
    /// Name of the key that was made or imported in this setup.
    kept: Mutex<Option<String>>,
    /// The store that new keys go to, once it is known.
    store: Mutex<Option<StoreKind>>,
}

impl Keys {
    pub(super) fn new(world: &World, hotkey: Option<String>) -> Self {
        Self {
            stores: KeyStores::open(&world.folders.data, &world.clock),
            data: world.folders.data.clone(),
            given: world.given.clone(),
            kept: Mutex::new(hotkey),
            store: Mutex::new(None),
        }
    }

    /// Name of the key that was made or imported in this setup.
    pub(super) fn kept(&self) -> Option<String> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Which key there is, and which store a new one goes to.
    pub(super) fn look(&self) -> Answer {
        let probes = self.stores.probe();
        let kind = preferred(&probes);
        *self.store.lock().unwrap_or_else(PoisonError::into_inner) = Some(kind);
        Answer::Keys { store: self.store_facts(kind, &probes), kept: self.there_is() }
    }

    fn store_facts(&self, kind: StoreKind, probes: &[Probe]) -> StoreFacts {
        let trouble = |kind: StoreKind| {
            let probe = probes.iter().find(|probe| probe.store == kind);
            probe.and_then(|probe| match &probe.state {
                StoreState::Works => None,
                StoreState::Locked(trouble) | StoreState::Absent(trouble) => Some(trouble),
            })
        };
        if let Some(Trouble { why, fix }) = trouble(kind) {
            let words = format!("No key can be kept here: {why}. {}", sentence(fix));
            return StoreFacts { words, passphrase: PassphraseNeed::No };
        }
        if kind == StoreKind::Keyring {
            let words = format!("A new key is kept in the {kind}.");
            return StoreFacts { words, passphrase: PassphraseNeed::No };
        }
        let folder = self.stores.file_of(&KeyName::usual());
        let folder = folder.parent().unwrap_or(&self.data).display().to_string();
        let why = trouble(StoreKind::Keyring).map_or("", |trouble| &trouble.why);
        let words = format!(
            "A new key is kept in an encrypted file in {folder}, since the keyring cannot be used \
             ({why})."
        );
        StoreFacts { words, passphrase: PassphraseNeed::New }
    }

    /// The key that a run would take now: of this setup, of the settings, or the only one.
    fn there_is(&self) -> Option<KeyFacts> {
        let settings = &self.given;
        if self.kept().is_none()
            && let Some(file) = settings.text(Key::HotkeyFile)
        {
            let path = Path::new(&file.value);
            let (pair, _) = read_hotkey(path).ok()?;
            let place = format!("the file {}", path.display());
            return Some(KeyFacts { name: None, address: pair.address().to_string(), place });
        }
        let named = self.kept().or_else(|| settings.text(Key::Hotkey).map(|v| v.value.clone()));
        let name = named.and_then(|name| name.parse::<KeyName>().ok());
        self.stores.choose(name.as_ref()).ok().map(|record| facts(&record))
    }

    /// Draws a phrase, and which of its words are asked back.
    pub(super) fn draw(&self, purpose: Purpose, count: WordCount) -> Answer {
        let mut entropy = Entropy::system();
        let words = match count {
            WordCount::Twelve => Words::Twelve,
            WordCount::TwentyFour => Words::TwentyFour,
        };
        let phrase = Phrase::generate(words, &mut entropy);
        let quiz = questions(words.count(), &mut entropy);
        Answer::Words { purpose, words: Secret::from(phrase.text()), quiz }
    }

    /// Says whether this is a key, and which.
    pub(super) fn check(&self, source: KeySource) -> Answer {
        match self.secret(&source).and_then(|secret| address_of(&secret)) {
            Ok(address) => Answer::KeyChecked { source, address },
            Err(why) => Answer::Refused(sentence(&why)),
        }
    }

    /// Keeps it.
    pub(super) fn keep(&self, source: &KeySource, passphrase: Option<&Secret>) -> Answer {
        let kept = self.secret(source).and_then(|secret| self.put(&secret, passphrase));
        match kept {
            Ok(record) => {
                let name = record.name.to_string();
                *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(name);
                Answer::KeyKept(facts(&record))
            }
            Err(why) => Answer::Refused(sentence(&why)),
        }
    }

    fn put(&self, secret: &KeySecret, passphrase: Option<&Secret>) -> Result<KeyRecord, String> {
        let store = *self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let store = store.unwrap_or_else(|| preferred(&self.stores.probe()));
        let mut given;
        let mut nobody = Nobody;
        let ask: &mut dyn AskPassphrase = match passphrase {
            Some(passphrase) => {
                given = Given(Zeroizing::new(passphrase.reveal().to_owned()));
                &mut given
            }
            None => &mut nobody,
        };
        let name = self.free_name().map_err(|error| error.to_string())?;
        let key = NewKey { name, secret, device: None };
        match self.stores.put(&key, store, ask, &mut Entropy::system()) {
            Ok(record) => Ok(record),
            // It is here already: that one is meant.
            Err(KeyStoreError::KeptAlready { name, .. }) => {
                self.stores.find(&name).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// `default`, or `default-2`, .. where that is taken.
    fn free_name(&self) -> Result<KeyName, KeyStoreError> {
        let taken = self.stores.list()?;
        let usual = KeyName::usual();
        let free = |name: &KeyName| taken.iter().all(|key| key.name != *name);
        if free(&usual) {
            return Ok(usual);
        }
        let mut numbered =
            (2..=taken.len() + 2).filter_map(|n| format!("{usual}-{n}").parse::<KeyName>().ok());
        Ok(numbered.find(free).unwrap_or(usual))
    }

    fn secret(&self, source: &KeySource) -> Result<KeySecret, String> {
        match source {
            KeySource::New(words) | KeySource::Words(words) => {
                KeySecret::parse(words.reveal()).map_err(|error| error.to_string())
            }
            KeySource::Seed(seed) => {
                let seed = seed_from_hex(seed.reveal()).map_err(|error| error.to_string())?;
                Ok(KeySecret::Seed(seed))
            }
            KeySource::Wallet(file) => bittensor::read_secret(Path::new(file))
                .map(|(secret, _)| secret)
                .map_err(|error| error.to_string()),
        }
    }

    /// The hotkeys in a folder of wallets.
    pub(super) fn list_wallets(&self, folder: &str) -> Answer {
        let folder = match folder {
            "" => bittensor::default_folder(),
            written => Some(under_home(written)),
        };
        let Some(folder) = folder else {
            return Answer::Refused("No home directory is known here: type the folder.".into());
        };
        match bittensor::list(&folder) {
            Ok(wallets) => {
                let keys = wallets.into_iter().flat_map(|wallet| {
                    let name = wallet.name;
                    wallet.hotkeys.into_iter().map(move |hotkey| wallet_key(name.clone(), hotkey))
                });
                Answer::Wallets { keys: keys.collect(), folder: folder.display().to_string() }
            }
            Err(error) => Answer::Refused(sentence(&error.to_string())),
        }
    }

    /// The address of a coldkey whose words the user has written down, and its wallet where a password
    /// was given. The secret is gone when this returns.
    pub(super) fn make_coldkey(&self, words: &Secret, password: Option<&Secret>) -> Answer {
        match coldkey(words, password) {
            Ok((address, file)) => Answer::ColdkeyMade { address, file },
            Err(why) => Answer::Refused(sentence(&why)),
        }
    }
}

fn wallet_key(wallet: String, hotkey: FoundHotkey) -> WalletKey {
    let address = match (hotkey.state, hotkey.address) {
        (HotkeyState::Ready, address) => Ok(address.map_or_else(String::new, |a| a.to_string())),
        (HotkeyState::Encrypted, _) => Err(ENCRYPTED.to_owned()),
        (HotkeyState::Unusable(why), _) => Err(why),
    };
    WalletKey { wallet, hotkey: hotkey.name, file: hotkey.path.display().to_string(), address }
}

/// The wallet of a new coldkey, beside those that are there already.
const COLDKEY_WALLET: &str = "hearth";

fn coldkey(words: &Secret, password: Option<&Secret>) -> Result<(String, Option<String>), String> {
    let phrase = Phrase::parse(words.reveal()).map_err(|error| error.to_string())?;
    let address = bittensor::export::coldkey_address(&phrase).map_err(|error| error.to_string())?;
    let Some(password) = password else { return Ok((address.to_string(), None)) };
    let folder = bittensor::default_folder()
        .ok_or("no home directory is known here, so there is no place for the file; Esc, then Enter without a password")?;
    let mut entropy = Entropy::system();
    let file = ColdkeyFile::Encrypted { password: password.reveal(), entropy: &mut entropy };
    let written = bittensor::write_coldkey(&folder, &free_wallet(&folder), &phrase, file)
        .map_err(|error| error.to_string())?;
    let file = written.encrypted.map(|path| path.display().to_string());
    Ok((written.address.to_string(), file))
}

/// `hearth`, or `hearth-2`, .. where that is taken.
fn free_wallet(folder: &Path) -> String {
    let numbered = (2..100).map(|n| format!("{COLDKEY_WALLET}-{n}"));
    let mut names = std::iter::once(COLDKEY_WALLET.to_owned()).chain(numbered);
    let free = names.find(|name| !folder.join(name).exists());
    // One that exists is refused when it is written.
    free.unwrap_or_else(|| COLDKEY_WALLET.to_owned())
}

/// What everybody may know of a kept key.
fn facts(record: &KeyRecord) -> KeyFacts {
    KeyFacts {
        name: Some(record.name.to_string()),
        address: record.address.to_string(),
        place: format!("the {} (as {:?})", record.store, record.name.as_str()),
    }
}

fn address_of(secret: &KeySecret) -> Result<String, String> {
    secret.pair().map(|pair| pair.address().to_string()).map_err(|error| error.to_string())
}

/// Three different places below `count`, rising.
fn questions(count: usize, entropy: &mut Entropy) -> [usize; QUESTIONS] {
    let mut left: Vec<usize> = (0..count).collect();
    let mut drawn = [0; QUESTIONS];
    for place in &mut drawn {
        *place = left.swap_remove(entropy.below(left.len()));
    }
    drawn.sort_unstable();
    drawn
}

/// `~/x` as the shell means it.
fn under_home(written: &str) -> PathBuf {
    let home = directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_owned());
    match (written.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(written),
    }
}

/// What is to be said of a payout address.
pub(super) fn address_verdict(text: &str) -> AddressVerdict {
    let check = PayoutCheck::of(text);
    let sentence = sentence(&check.to_string());
    match check {
        PayoutCheck::Incomplete { .. } => AddressVerdict::Incomplete(sentence),
        PayoutCheck::Good(_) => AddressVerdict::Good(sentence),
        PayoutCheck::ASecret => AddressVerdict::Secret(sentence),
        PayoutCheck::OtherChain { .. }
        | PayoutCheck::BadChecksum { .. }
        | PayoutCheck::NotAnAddress { .. } => AddressVerdict::Bad(sentence),
    }
}

/// A clause with a capital and a full stop.
pub(super) fn sentence(clause: &str) -> String {
    let mut characters = clause.chars();
    let Some(first) = characters.next() else { return String::new() };
    let end = if clause.ends_with(['.', '!', '?', '…']) { "" } else { "." };
    format!("{}{}{end}", first.to_uppercase(), characters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_three_different_places_in_order() {
        let mut entropy = Entropy::seeded(5, "quiz");
        for count in [3, 12, 24] {
            for _ in 0..50 {
                let [a, b, c] = questions(count, &mut entropy);
                assert!(a < b && b < c && c < count);
            }
        }
    }

    #[test]
    fn a_clause_becomes_a_sentence() {
        assert_eq!(sentence("it is so"), "It is so.");
        assert_eq!(sentence("Is it?"), "Is it?");
        assert_eq!(sentence(""), "");
    }

    #[test]
    fn a_tilde_means_home() {
        assert_eq!(under_home("/a/b"), PathBuf::from("/a/b"));
        if let Some(dirs) = directories::BaseDirs::new() {
            assert_eq!(under_home("~/x"), dirs.home_dir().join("x"));
        }
    }
}

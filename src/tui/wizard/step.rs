//! Where the user can be on the third screen, and the ways that lead on from there. Secrets live in
//! the step that needs them and are wiped with it.

use super::facts::{AddressVerdict, WalletKey};
use super::field::Field;
use super::quiz::{QUESTIONS, Quiz};
use super::request::{KeySource, Purpose, Request, Secret, WordCount};
use super::twice::Twice;

/// Where a press leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Go {
    /// This screen.
    Stay,
    /// The screen before.
    Back,
    /// The screen after.
    Next,
}

/// What a press asks for, and where it leads.
#[derive(Debug, PartialEq, Eq)]
pub struct Turn {
    /// What is to be done.
    pub requests: Vec<Request>,
    /// Where it leads.
    pub go: Go,
}

impl Turn {
    /// Nothing happens.
    pub fn stay() -> Self {
        Self { requests: Vec::new(), go: Go::Stay }
    }

    /// This is to be done.
    pub fn ask(request: Request) -> Self {
        Self { requests: vec![request], go: Go::Stay }
    }

    /// Another screen.
    pub fn go(go: Go) -> Self {
        Self { requests: Vec::new(), go }
    }
}

/// A way to a hotkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyWay {
    /// The one there is.
    Keep,
    /// A new one.
    New(WordCount),
    /// One that the user has.
    Import(ImportWay),
    /// None for now.
    Later,
}

/// A way to bring a hotkey along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportWay {
    /// Its words.
    Words,
    /// Its seed.
    Seed,
    /// A Bittensor wallet folder.
    Wallet,
}

/// A way to a payout address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayWay {
    /// The one that was given.
    Keep,
    /// Paste one.
    Paste,
    /// Make a coldkey here.
    Make,
    /// None for now.
    Later,
}

/// Where the user is on this screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The ways to a hotkey.
    Choose {
        /// Which is marked.
        selected: usize,
    },
    /// New words are shown.
    Words(Drawn),
    /// Three of them are asked back.
    Quiz(Drawn, Quiz),
    /// A key is typed in, or the folder it is in.
    Import(ImportWay, Field),
    /// The hotkeys of a folder of wallets.
    Pick {
        /// The folder.
        folder: String,
        /// What is in it.
        keys: Vec<WalletKey>,
        /// Which is marked.
        selected: usize,
    },
    /// The passphrase of the encrypted file.
    Passphrase {
        /// The key it will protect.
        source: KeySource,
        /// Typed twice.
        form: Twice,
    },
    /// The ways to a payout address.
    Payout {
        /// Which is marked.
        selected: usize,
    },
    /// An address is typed in.
    Address {
        /// What was typed.
        field: Field,
        /// What is to be said of it.
        verdict: Option<AddressVerdict>,
    },
    /// Whether the new coldkey is kept as an encrypted file.
    ColdkeyFile {
        /// Its words.
        words: Secret,
        /// The file's password, typed twice; empty for no file.
        form: Twice,
    },
    /// The coldkey was made, and forgotten.
    ColdkeyMade {
        /// Its address.
        address: String,
        /// Its encrypted file.
        file: Option<String>,
    },
}

/// A new phrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// What for.
    pub purpose: Purpose,
    /// The words, with spaces between them.
    pub words: Secret,
    /// Which of them are asked back.
    pub quiz: [usize; QUESTIONS],
}

//! What the wizard asks for, and the answers it hears. It does none of the work itself: whoever runs
//! it answers, in any order and at any time.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::facts::{
    Adapter, AddressVerdict, Finding, KeyFacts, Practice, StoreFacts, Topic, WalletKey,
};
use super::rules::Rules;
use crate::config::settings::Key;

/// A text that nobody may see by accident: wiped when it is dropped, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text over.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<Zeroizing<String>> for Secret {
    fn from(text: Zeroizing<String>) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// How many words a new phrase has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordCount {
    /// 128 bits.
    Twelve,
    /// 256 bits.
    TwentyFour,
}

/// What a new phrase is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The key that signs this miner's requests.
    Hotkey,
    /// The key that is paid.
    Coldkey,
}

/// Where a hotkey comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// Made here; its words.
    New(Secret),
    /// Words that the user had.
    Words(Secret),
    /// A seed in hex that the user had.
    Seed(Secret),
    /// The file of a hotkey in a Bittensor wallet folder.
    Wallet(String),
}

/// Who is paid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payout {
    /// Nothing was decided.
    #[default]
    Undecided,
    /// This address.
    Address(String),
    /// Nobody, until the user says otherwise; the consequence was read.
    Later,
}

/// The answers that are no secrets, as they are written to the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choices {
    /// `mainnet`, `testnet`, or a server's address.
    pub network: String,
    /// `pool` or `metagraph`.
    pub join: String,
    /// `auto`, `wgpu` or `cpu`.
    pub backend: String,
    /// Threads of the processor that compute; all of them when there is none.
    pub cpu_threads: Option<usize>,
    /// Who is paid.
    pub payout: Payout,
    /// When it works, and how much of the disk and the line it takes.
    #[serde(default)]
    pub rules: Rules,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            network: "mainnet".into(),
            join: "pool".into(),
            backend: "auto".into(),
            cpu_threads: None,
            payout: Payout::Undecided,
            rules: Rules::default(),
        }
    }
}

/// Something the wizard wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Look at everything of this machine that can be seen without sending anything.
    Probe,
    /// Ask the servers of this network, and learn how other miners reach this machine.
    TestLink {
        /// As in [`Choices::network`].
        network: String,
    },
    /// Start the practice swarm.
    StartPractice,
    /// Stop it in order.
    StopPractice,
    /// Which key there is, and which store a new one goes to.
    LookAtKeys,
    /// Draw a new phrase.
    MakeWords {
        /// What for.
        purpose: Purpose,
        /// How long.
        count: WordCount,
    },
    /// Is this a key, and which?
    CheckKey(KeySource),
    /// Keep this key.
    KeepKey {
        /// The key.
        source: KeySource,
        /// What protects it, where the store asks for that.
        passphrase: Option<Secret>,
    },
    /// Which hotkeys are in this folder of wallets? An empty text means the usual one.
    ListWallets(String),
    /// Can this be paid? Secret, because people paste the wrong thing.
    JudgeAddress(Secret),
    /// The address of a coldkey that was made here; with a password, its encrypted file as well. The
    /// words are forgotten afterwards.
    MakeColdkey {
        /// Its words.
        words: Secret,
        /// The password of its file; no file without one.
        password: Option<Secret>,
    },
    /// Does this text name a network?
    JudgeNetwork(String),
    /// Which rules are about something that cannot be known on this machine?
    LookAtRules,
    /// Keep where the wizard stands, for the next time.
    Remember(Box<Remembered>),
    /// Write the settings.
    Save(Box<Choices>),
}

/// Something the wizard is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The devices of this machine.
    Adapters(Vec<Adapter>),
    /// A topic is being looked at.
    Working(Topic, String),
    /// What was found.
    Found(Topic, Finding),
    /// Where the practice swarm stands.
    Practice(Practice),
    /// The store for a new key, and the key there is already.
    Keys {
        /// The store.
        store: StoreFacts,
        /// The key.
        kept: Option<KeyFacts>,
    },
    /// A new phrase.
    Words {
        /// What for.
        purpose: Purpose,
        /// The words, with spaces between them.
        words: Secret,
        /// Which of them are asked back, 0-based, rising.
        quiz: [usize; 3],
    },
    /// No phrase could be made, no wallets listed, or no key kept: what, why, what now.
    Refused(String),
    /// It is a key, with this address.
    KeyChecked {
        /// As it was asked for.
        source: KeySource,
        /// Its address.
        address: String,
    },
    /// The key is kept.
    KeyKept(KeyFacts),
    /// The hotkeys in a folder of wallets.
    Wallets {
        /// The folder, written out.
        folder: String,
        /// What is in it.
        keys: Vec<WalletKey>,
    },
    /// What is to be said of an address.
    Address {
        /// As it was typed.
        text: Secret,
        /// The verdict.
        verdict: AddressVerdict,
    },
    /// The coldkey's secret is forgotten.
    ColdkeyMade {
        /// Its address.
        address: String,
        /// Its encrypted file.
        file: Option<String>,
    },
    /// What is to be said of a network's name: nothing, or what is wrong.
    Network {
        /// As it was typed.
        text: String,
        /// What is wrong.
        problem: Option<String>,
    },
    /// The rules that are about something that cannot be known here, with the reason.
    Unknown(Vec<(Key, String)>),
    /// The settings are written; the file.
    Saved(String),
    /// They are not: what, why, what now.
    NotSaved(String),
}

/// The four screens, and what comes after them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Screen {
    /// What this machine can do.
    #[default]
    Machine,
    /// The practice swarm.
    Practice,
    /// The hotkey, and who is paid.
    Key,
    /// What Hearth may use.
    Limits,
    /// All answers, saved.
    Ready,
}

impl Screen {
    /// All of them, in their order.
    pub const ALL: [Self; 5] =
        [Self::Machine, Self::Practice, Self::Key, Self::Limits, Self::Ready];
}

/// What is kept when the wizard is left before its end. Nothing in it is secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remembered {
    /// The screen it was left on.
    pub screen: Screen,
    /// The answers so far.
    pub choices: Choices,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let source = KeySource::Words(Secret::new("bottom drive obey".into()));
        let request = Request::KeepKey { source, passphrase: Some(Secret::new("hush".into())) };
        let text = format!("{request:?}");
        assert!(!text.contains("obey") && !text.contains("hush"), "{text}");
    }

    #[test]
    fn what_is_remembered_reads_back() {
        let choices = Choices { payout: Payout::Address("5abc".into()), ..Choices::default() };
        let kept = Remembered { screen: Screen::Limits, choices };
        let text = serde_json::to_string(&kept).unwrap();
        assert_eq!(serde_json::from_str::<Remembered>(&text).unwrap(), kept);
        assert!(serde_json::from_str::<Remembered>(&text.replace("limits", "moon")).is_err());
    }
}

//! The command line of `hearth keys`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::wallet::phrase::Words;
use crate::wallet::store::{KeyName, StoreKind};

/// Make, bring, keep, show and remove hotkeys.
#[derive(Clone, Debug, Args)]
pub struct KeysArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: KeysCommand,
}

/// What `hearth keys` does.
#[derive(Clone, Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a hotkey (or, with --payout, a coldkey of which only the address is kept)
    New(NewArguments),
    /// Bring a hotkey: words or a seed typed in, a hotkey file, or a Bittensor wallet folder
    Import(ImportArguments),
    /// All keys: names, addresses, where they are kept
    List(Common),
    /// One key; with --secret its words, at a terminal
    Show(ShowArguments),
    /// Write a key as a Bittensor wallet's hotkey file, which is not encrypted
    Export(ExportArguments),
    /// Move a key into another store
    Move(MoveArguments),
    /// Delete a key from this machine; after that only its words bring it back
    Remove(RemoveArguments),
    /// Remember the secret of an encrypted file in the kernel's keyring until a restart (Linux)
    Unlock(UnlockArguments),
    /// Forget what unlock remembered
    Lock(UnlockArguments),
    /// Check that the words you wrote down are those of a key
    Verify(VerifyArguments),
}

/// What every one of them takes.
#[derive(Clone, Debug, Default, Args)]
pub struct Common {
    /// One JSON object a line, nothing else on standard output; never a secret
    #[arg(long)]
    pub json: bool,
    /// A file whose one line is the passphrase of encrypted key files
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Settings file instead of the one in the configuration folder
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Where a key is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Store {
    /// The system's keyring
    Keyring,
    /// A file that is encrypted under a passphrase
    File,
}

impl Store {
    /// The store meant.
    pub fn kind(self) -> StoreKind {
        match self {
            Self::Keyring => StoreKind::Keyring,
            Self::File => StoreKind::EncryptedFile,
        }
    }
}

/// How many words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Count {
    /// 128 bits
    #[default]
    #[value(name = "12")]
    Twelve,
    /// 256 bits
    #[value(name = "24")]
    TwentyFour,
}

impl Count {
    /// The same for a phrase.
    pub fn words(self) -> Words {
        match self {
            Self::Twelve => Words::Twelve,
            Self::TwentyFour => Words::TwentyFour,
        }
    }
}

/// `hearth keys new`.
#[derive(Clone, Debug, Args)]
pub struct NewArguments {
    /// Its name [default: default]
    #[arg(long, value_name = "NAME")]
    pub name: Option<KeyName>,
    /// How many words stand for it
    #[arg(long, value_enum, default_value_t)]
    pub words: Count,
    /// Where it is kept [default: the keyring if it works, else an encrypted file]
    #[arg(long, value_enum)]
    pub store: Option<Store>,
    /// Take the key of device N, derived from the words as //hearth//N
    #[arg(long, value_name = "N")]
    pub device: Option<u32>,
    /// Derive it from the words of a key that is kept already; needs --device
    #[arg(long, value_name = "NAME", requires = "device", conflicts_with = "payout")]
    pub from: Option<KeyName>,
    /// Make a coldkey to be paid to: its words are shown once, only its address is kept
    #[arg(long, conflicts_with_all = ["device", "store"])]
    pub payout: bool,
    /// With --payout: also write the coldkey as an encrypted Bittensor wallet below this folder
    #[arg(long, value_name = "FOLDER", requires = "payout")]
    pub wallet_folder: Option<PathBuf>,
    /// With --payout: replace a payout address that is set already
    #[arg(long, requires = "payout")]
    pub yes: bool,
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
}

/// `hearth keys import`.
#[derive(Clone, Debug, Args)]
pub struct ImportArguments {
    /// Its name [default: default]
    #[arg(long, value_name = "NAME")]
    pub name: Option<KeyName>,
    /// A Bittensor hotkey file, or a file with words or a seed; without this they are asked for
    #[arg(long, value_name = "FILE", conflicts_with = "wallet_folder")]
    pub hotkey_file: Option<PathBuf>,
    /// A Bittensor wallet's folder (such as ~/.bittensor/wallets/NAME), or the folder of all of them
    #[arg(long, value_name = "FOLDER")]
    pub wallet_folder: Option<PathBuf>,
    /// Which hotkey of the wallet folder: HOTKEY or WALLET/HOTKEY, where there are several
    #[arg(long, value_name = "HOTKEY", requires = "wallet_folder")]
    pub hotkey: Option<String>,
    /// Keep the key of device N (//hearth//N) instead
    #[arg(long, value_name = "N", conflicts_with = "devices")]
    pub device: Option<u32>,
    /// Keep the keys of devices 0 to N-1 as well, as NAME-0, NAME-1, ...
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub devices: Option<u32>,
    /// Where it is kept [default: the keyring if it works, else an encrypted file]
    #[arg(long, value_enum)]
    pub store: Option<Store>,
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
}

/// `hearth keys show`.
#[derive(Clone, Debug, Args)]
pub struct ShowArguments {
    /// Which key [default: the one that hearth run takes]
    pub name: Option<KeyName>,
    /// Show its words or seed, at a terminal, after a yes
    #[arg(long, conflicts_with = "json")]
    pub secret: bool,
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
}

/// `hearth keys export`.
#[derive(Clone, Debug, Args)]
pub struct ExportArguments {
    /// Which key
    pub name: KeyName,
    /// The folder of wallets, such as ~/.bittensor/wallets; the key becomes WALLET/hotkeys/NAME in it
    #[arg(long, value_name = "FOLDER")]
    pub to: PathBuf,
    /// The wallet in it
    #[arg(long, value_name = "WALLET", default_value = "hearth")]
    pub wallet: String,
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
}

/// `hearth keys move`.
#[derive(Clone, Debug, Args)]
pub struct MoveArguments {
    /// Which key
    pub name: KeyName,
    /// Into which store
    #[arg(long, value_enum)]
    pub to: Store,
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
}

/// `hearth keys remove`.
#[derive(Clone, Debug, Args)]
pub struct RemoveArguments {
    /// Which key
    pub name: KeyName,
    /// Do not ask for the name again
    #[arg(long)]
    pub yes: bool,
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
}

/// `hearth keys unlock` and `hearth keys lock`.
#[derive(Clone, Debug, Args)]
pub struct UnlockArguments {
    /// Which key [default: the one that hearth run takes]
    pub name: Option<KeyName>,
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
}

/// `hearth keys verify`.
#[derive(Clone, Debug, Args)]
pub struct VerifyArguments {
    /// Which key [default: the one that hearth run takes]
    pub name: Option<KeyName>,
    /// Ask for three of the words instead of all
    #[arg(long)]
    pub quiz: bool,
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
}

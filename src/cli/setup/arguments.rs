//! The command line of `hearth setup`: each answer of the wizard is a flag as well.

use std::path::PathBuf;

use clap::Args;

use crate::cli::given::Given;
use crate::config::settings::{Flags, Key};

/// Set this machine up: what it can do, a practice run, your key, your limits. Each answer is also a
/// flag here, an environment variable (HEARTH_NETWORK, ..) and a setting.
#[derive(Clone, Debug, Default, Args)]
pub struct SetupArguments {
    /// Ask nothing: take the answers from flags, environment and settings, check them, and save
    #[arg(long)]
    pub non_interactive: bool,
    /// One JSON object a line, nothing else on standard output; implies --non-interactive
    #[arg(long)]
    pub json: bool,
    /// Network: mainnet, testnet, or a server's address [default: mainnet]
    #[arg(long, value_name = "NETWORK")]
    pub network: Option<String>,
    /// How to join: pool (no registration on the chain) or metagraph [default: pool]
    #[arg(long, value_name = "HOW")]
    pub join: Option<String>,
    /// Pool: the address that is paid
    #[arg(long, value_name = "ADDRESS")]
    pub payout_address: Option<String>,
    /// Pool: work although no address is paid
    #[arg(long)]
    pub accept_unpaid: bool,
    /// What computes: auto, wgpu or cpu [default: auto]
    #[arg(long, value_name = "BACKEND")]
    pub backend: Option<String>,
    /// Threads of the processor that compute, where it does [default: all]
    #[arg(long, value_name = "N")]
    pub cpu_threads: Option<usize>,
    /// The hotkey: the name of a kept key (see hearth keys list)
    #[arg(long, value_name = "NAME")]
    pub hotkey: Option<String>,
    /// The hotkey: a file with it, which stays where it is
    #[arg(long, value_name = "FILE", conflicts_with = "hotkey")]
    pub hotkey_file: Option<PathBuf>,
    /// With --non-interactive: make a hotkey if there is none. Back it up afterwards: hearth keys
    /// show --secret, or hearth keys export
    #[arg(long)]
    pub new_key: bool,
    /// A file whose one line is the passphrase of an encrypted key file
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// With --non-interactive: ask the network's servers as well
    #[arg(long)]
    pub test_link: bool,
    /// Any setting, such as --set duty=50% (hearth config show lists them); may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<Given>,
    /// Settings file instead of the one in the configuration folder
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Size of the practice swarm's model (nano for tests)
    #[arg(long, value_name = "PRESET", default_value = "demo", hide = true)]
    pub practice_preset: String,
}

impl SetupArguments {
    /// What the flags say, by setting.
    pub fn flags(&self) -> Flags {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let mut flags = vec![
            (Key::Network, self.network.clone()),
            (Key::Join, self.join.clone()),
            (Key::PayoutAddress, self.payout_address.clone()),
            (Key::AcceptUnpaid, self.accept_unpaid.then(|| "true".to_owned())),
            (Key::Backend, self.backend.clone()),
            (Key::CpuThreads, self.cpu_threads.map(|threads| threads.to_string())),
            (Key::Hotkey, self.hotkey.clone()),
            (Key::HotkeyFile, path(&self.hotkey_file)),
            (Key::PassphraseFile, path(&self.passphrase_file)),
        ];
        flags.extend(self.set.iter().map(Given::flag));
        flags
    }
}

//! The command line of `hearth run`, laid over the saved settings and checked before anything starts.

use std::num::NonZero;
use std::path::PathBuf;

use clap::Args;

use crate::cli::device::{Backend, Compute};
use crate::cli::given::Given;
use crate::cli::{Exit, Failure};
use crate::config::Constants;
use crate::config::devices::{DeviceKey, KeySelector, read as read_devices};
use crate::config::network::{Hosts, NetworkChoice};
use crate::config::settings::{Flags, Key, Settings, SettingsError};
use crate::config::values::{JoinWay, link_speed};
use crate::miner::joining::{Disclosure, Joining};
use crate::miner::{FleetTelemetry, PayoutAddress};
use crate::network::attestation::Provider;
use crate::network::peers::RelayServer;
use crate::protocol::messages::NodeLocation;
use crate::wallet::store::KeyName;

/// Mine with the saved settings; every flag beats them.
#[derive(Clone, Debug, Default, Args)]
pub struct RunArguments {
    /// Lines instead of a screen
    #[arg(long)]
    pub headless: bool,
    /// The dashboard in lines, for a screen reader; words that you type are the keys
    #[arg(long, conflicts_with_all = ["headless", "json"])]
    pub plain: bool,
    /// One JSON object a line, nothing else on standard output
    #[arg(long)]
    pub json: bool,
    /// Start although the last starts crashed one after the other
    #[arg(long)]
    pub again: bool,
    /// Network: mainnet, testnet, practice, or a server's address [default: mainnet]
    #[arg(long, value_name = "NETWORK")]
    pub network: Option<String>,
    /// How to join: pool (no registration on the chain) or metagraph
    #[arg(long, value_name = "HOW")]
    pub join: Option<String>,
    /// Pool: the address that is paid
    #[arg(long, value_name = "ADDRESS")]
    pub payout_address: Option<String>,
    /// Pool: work although no address is paid
    #[arg(long)]
    pub accept_unpaid: bool,
    /// The hotkey: a Bittensor hotkey file, or a file with its words or seed
    #[arg(long, value_name = "FILE", conflicts_with = "hotkey")]
    pub hotkey_file: Option<PathBuf>,
    /// The hotkey: the name of a kept key (see hearth keys list) [default: the only one, or default]
    #[arg(long, value_name = "NAME")]
    pub hotkey: Option<String>,
    /// A file whose one line is the passphrase of the key, where that is in an encrypted file
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// What computes: auto, wgpu or cpu [default: auto]
    #[arg(long, value_name = "BACKEND")]
    pub backend: Option<String>,
    /// Threads of the processor that compute, where it does [default: all]
    #[arg(long, value_name = "N")]
    pub cpu_threads: Option<usize>,
    /// One of several devices with the hotkey that mines on it, such as wgpu:0=rig-a; once for each
    #[arg(
        long = "device",
        value_name = "DEVICE=HOTKEY",
        conflicts_with_all = ["hotkey", "hotkey_file", "backend"]
    )]
    pub devices: Vec<String>,
    /// The run's tokenizer.json, where this machine does not have it
    #[arg(long, value_name = "FILE")]
    pub tokenizer: Option<PathBuf>,
    /// UDP port for other miners; 0 for any [default: 0]
    #[arg(long, value_name = "PORT")]
    pub peer_port: Option<u16>,
    /// Practice: size of the model, demo or nano [default: what it was, at first demo]
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// Practice: what is to go wrong, to watch the recovery, such as device-lost=30s@m0
    #[arg(long, value_name = "SPEC", value_delimiter = ',')]
    pub faults: Vec<String>,
    /// Any setting, such as --set duty=50% (hearth config show lists them); may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<Given>,
    /// Settings file instead of the one in the configuration folder
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl RunArguments {
    /// What the flags say, by setting.
    pub fn flags(&self) -> Flags {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let mut flags = vec![
            (Key::Network, self.network.clone()),
            (Key::Join, self.join.clone()),
            (Key::PayoutAddress, self.payout_address.clone()),
            (Key::AcceptUnpaid, self.accept_unpaid.then(|| "true".to_owned())),
            (Key::HotkeyFile, path(&self.hotkey_file)),
            (Key::Hotkey, self.hotkey.clone()),
            (Key::PassphraseFile, path(&self.passphrase_file)),
            (Key::Backend, self.backend.clone()),
            (Key::CpuThreads, self.cpu_threads.map(|threads| threads.to_string())),
            (Key::Devices, listed(&self.devices)),
            (Key::Tokenizer, path(&self.tokenizer)),
            (Key::PeerPort, self.peer_port.map(|port| port.to_string())),
        ];
        flags.extend(self.set.iter().map(Given::flag));
        flags
    }
}

/// A repeated flag as the list that its setting is; none where it was not given.
fn listed(words: &[String]) -> Option<String> {
    // A list of texts always has a form in JSON.
    (!words.is_empty()).then(|| serde_json::to_string(words).unwrap_or_default())
}

/// Whether work that nobody is paid for was agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// There is an address, or the chain pays.
    NotNeeded,
    /// The user said yes beforehand.
    Given,
    /// It must be asked for.
    Needed,
}

/// Which relays carry what cannot go directly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relays {
    /// Those of the peer library.
    Default,
    /// None.
    Off,
    /// These addresses.
    These(Vec<RelayServer>),
}

/// Where the key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HotkeySource {
    /// A file that the user names.
    File(PathBuf),
    /// The key stores: the named key, or the usual one.
    Stored(Option<KeyName>),
}

/// Everything that a run goes by.
#[derive(Clone, Debug)]
pub struct RunPlan {
    /// The network's name.
    pub network: NetworkChoice,
    /// Its servers.
    pub hosts: Hosts,
    /// Its numbers.
    pub constants: Constants,
    /// Where the key comes from, where one device mines.
    pub hotkey: HotkeySource,
    /// The devices with their keys, where several were named; none for one device and [`Self::hotkey`].
    pub devices: Vec<DeviceKey>,
    /// How it joins.
    pub joining: Joining,
    /// Whether unpaid work was agreed to.
    pub consent: Consent,
    /// What computes, and how much of it.
    pub compute: Compute,
    /// A tokenizer of the user's.
    pub tokenizer: Option<PathBuf>,
    /// Whether the model hub may be asked.
    pub tokenizer_download: bool,
    /// Who attests.
    pub attestation: Provider,
    /// UDP port.
    pub peer_port: Option<u16>,
    /// Relays.
    pub relays: Relays,
    /// What is told of the machine.
    pub disclosure: Disclosure,
    /// Whether the operator gets measurements.
    pub telemetry: FleetTelemetry,
}

fn wrong(error: SettingsError) -> Failure {
    Failure::of_settings(&error)
}

impl RunPlan {
    /// Reads and checks the settings.
    pub fn new(settings: &Settings) -> Result<Self, Failure> {
        let network = network(settings)?;
        let constants = settings.constants(Constants::live()).map_err(wrong)?;
        let hosts = hosts(&network, &constants)?;
        let hotkey = hotkey(settings)?;
        let devices = devices(settings)?;
        let joining = joining(settings, &hotkey)?;
        let consent = match &joining {
            Joining::Pool(None) if settings.is_on(Key::AcceptUnpaid).map_err(wrong)? => {
                Consent::Given
            }
            Joining::Pool(None) => Consent::Needed,
            _ => Consent::NotNeeded,
        };
        let provider = settings.list(Key::AttestationCommand).map_err(wrong)?;
        Ok(Self {
            hosts,
            constants,
            hotkey,
            devices,
            joining,
            consent,
            compute: compute(settings)?,
            tokenizer: settings.text(Key::Tokenizer).map(|path| PathBuf::from(&path.value)),
            tokenizer_download: settings.is_on(Key::TokenizerDownload).map_err(wrong)?,
            attestation: provider
                .filter(|words| !words.is_empty())
                .map_or(Provider::Nobody, Provider::Program),
            peer_port: settings
                .get::<u16>(Key::PeerPort)
                .map_err(wrong)?
                .map(|port| port.value)
                .filter(|port| *port != 0),
            relays: relays(settings)?,
            disclosure: disclosure(settings)?,
            telemetry: match settings.is_on(Key::FleetTelemetry).map_err(wrong)? {
                true => FleetTelemetry::On,
                false => FleetTelemetry::Off,
            },
            network,
        })
    }
}

/// Which network; the live one where nobody says anything.
pub(in crate::cli) fn network(settings: &Settings) -> Result<NetworkChoice, Failure> {
    let network = settings.get::<NetworkChoice>(Key::Network).map_err(wrong)?;
    Ok(network.map_or(NetworkChoice::Mainnet, |given| given.value))
}

/// The servers of a network.
pub(in crate::cli) fn hosts(
    network: &NetworkChoice,
    constants: &Constants,
) -> Result<Hosts, Failure> {
    let of_table = |addresses: &crate::config::network::Addresses| {
        addresses.hosts().map_err(|error| {
            Failure::new(Exit::Configuration, format!("in [constants]: {error}"))
                .coded("config-value")
        })
    };
    match network {
        NetworkChoice::Mainnet => of_table(&constants.mainnet),
        NetworkChoice::Testnet => of_table(&constants.testnet),
        NetworkChoice::Server(url) => Ok(Hosts::of_server(url)),
        NetworkChoice::Practice => Err(Failure::new(
            Exit::Usage,
            "the practice swarm has no servers but those it starts itself: `hearth run --network \
             practice`, or `hearth demo` for a fresh one",
        )),
    }
}

/// The file or the name, whichever was said with more weight (a flag beats the environment, that beats
/// the file); a hotkey file where both were said alike.
pub(in crate::cli) fn hotkey(settings: &Settings) -> Result<HotkeySource, Failure> {
    let name = settings.get::<KeyName>(Key::Hotkey).map_err(wrong)?;
    let file = settings.text(Key::HotkeyFile);
    Ok(match (file, name) {
        (Some(file), Some(name)) if name.origin > file.origin => {
            HotkeySource::Stored(Some(name.value))
        }
        (Some(file), _) => HotkeySource::File(PathBuf::from(&file.value)),
        (None, name) => HotkeySource::Stored(name.map(|name| name.value)),
    })
}

/// The devices of the settings. None where the key or the backend of a single one was said with more
/// weight.
pub(in crate::cli) fn devices(settings: &Settings) -> Result<Vec<DeviceKey>, Failure> {
    let Some(words) = settings.list(Key::Devices).map_err(wrong)? else { return Ok(Vec::new()) };
    let origin = |key| settings.text(key).map(|given| given.origin);
    let single = [Key::Hotkey, Key::HotkeyFile, Key::Backend].into_iter().filter_map(origin).max();
    if single > origin(Key::Devices) {
        return Ok(Vec::new());
    }
    read_devices(&words).map_err(|error| wrong(settings.refuse(Key::Devices, error)))
}

/// Metagraph where a key file is all that is known: its owner brings a hotkey that is registered.
/// Saved settings say it themselves; without a word there, the pool, which needs no registration.
pub(in crate::cli) fn joining(
    settings: &Settings,
    hotkey: &HotkeySource,
) -> Result<Joining, Failure> {
    let payout = settings.get::<PayoutAddress>(Key::PayoutAddress).map_err(wrong)?;
    let payout = payout.map(|given| given.value);
    match settings.get::<JoinWay>(Key::Join).map_err(wrong)?.map(|given| given.value) {
        Some(JoinWay::Metagraph) => Ok(Joining::Metagraph),
        Some(JoinWay::Pool) => Ok(Joining::Pool(payout)),
        None if payout.is_some() || settings.has_saved() => Ok(Joining::Pool(payout)),
        None => {
            let is_file = |device: &DeviceKey| matches!(device.hotkey, KeySelector::File(_));
            let only_files = match &devices(settings)?[..] {
                [] => matches!(hotkey, HotkeySource::File(_)),
                several => several.iter().all(is_file),
            };
            Ok(if only_files { Joining::Metagraph } else { Joining::Pool(None) })
        }
    }
}

/// What computes.
pub(in crate::cli) fn compute(settings: &Settings) -> Result<Compute, Failure> {
    let threads = settings.get::<NonZero<u16>>(Key::CpuThreads).map_err(wrong)?;
    Ok(Compute {
        backend: backend(settings)?,
        threads: threads.map(|given| usize::from(given.value.get())),
    })
}

fn backend(settings: &Settings) -> Result<Backend, Failure> {
    use clap::ValueEnum as _;
    let Some(given) = settings.text(Key::Backend) else { return Ok(Backend::Auto) };
    Backend::from_str(&given.value, true)
        .map_err(|_| wrong(settings.refuse(Key::Backend, "there is no such backend")))
}

/// The relays of the settings.
pub(in crate::cli) fn relays(settings: &Settings) -> Result<Relays, Failure> {
    let Some(list) = settings.list(Key::Relays).map_err(wrong)? else { return Ok(Relays::Default) };
    Ok(match list.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] | ["default"] => Relays::Default,
        ["none"] => Relays::Off,
        _ => {
            let servers: Result<Vec<RelayServer>, _> =
                list.iter().map(|address| address.parse()).collect();
            Relays::These(servers.map_err(|error| wrong(settings.refuse(Key::Relays, error)))?)
        }
    })
}

fn disclosure(settings: &Settings) -> Result<Disclosure, Failure> {
    let text = |key| settings.text(key).map(|given| given.value.clone());
    let (country, city) = (text(Key::LocationCountry), text(Key::LocationCity));
    let told = country.is_some() || city.is_some();
    let location = told.then(|| NodeLocation { country, city, ..NodeLocation::default() });
    let bandwidth = match settings.text(Key::LinkSpeed) {
        None => None,
        Some(given) => Some(
            link_speed(&given.value)
                .map_err(|error| wrong(settings.refuse(Key::LinkSpeed, error)))?,
        ),
    };
    Ok(Disclosure { location, bandwidth })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

    fn plan(file: &str, arguments: RunArguments) -> Result<RunPlan, Failure> {
        let folder = tempfile::tempdir().unwrap();
        if !file.is_empty() {
            std::fs::write(folder.path().join("config.toml"), file).unwrap();
        }
        let settings =
            Settings::read(None, folder.path(), |_| None, arguments.flags()).map_err(wrong)?;
        RunPlan::new(&settings)
    }

    fn with_key() -> RunArguments {
        RunArguments { hotkey_file: Some("hot".into()), ..RunArguments::default() }
    }

    #[test]
    fn a_key_file_alone_means_mainnet_and_metagraph() {
        let plan = plan("", with_key()).unwrap();
        assert_eq!((plan.network, plan.joining), (NetworkChoice::Mainnet, Joining::Metagraph));
        assert_eq!(plan.hosts.bridge.path(), "/bridge");
        assert_eq!(plan.consent, Consent::NotNeeded);
        assert_eq!(plan.disclosure, Disclosure::default());
        assert_eq!(plan.attestation, Provider::Nobody);
        assert_eq!(plan.telemetry, FleetTelemetry::Off);
    }

    #[test]
    fn the_pool_needs_an_address_or_a_yes() {
        let pool = || RunArguments { join: Some("pool".into()), ..with_key() };
        assert_eq!(plan("", pool()).unwrap().consent, Consent::Needed);
        let agreed = RunArguments { accept_unpaid: true, ..pool() };
        assert_eq!(plan("", agreed).unwrap().consent, Consent::Given);
        let paid = RunArguments { payout_address: Some(ALICE.into()), ..pool() };
        assert_eq!(plan("", paid).unwrap().consent, Consent::NotNeeded);
        let typo = RunArguments { payout_address: Some(ALICE.replace("QY", "QX")), ..pool() };
        let failure = plan("", typo).unwrap_err();
        assert_eq!(failure.exit, Exit::Configuration);
        assert!(failure.line.contains("typing error"), "{failure}");
    }

    #[test]
    fn saved_settings_decide_how_to_join() {
        let saved = plan("network = \"testnet\"", with_key()).unwrap();
        assert_eq!((saved.network, saved.joining), (NetworkChoice::Testnet, Joining::Pool(None)));
        let saved = plan("join = \"metagraph\"", with_key()).unwrap();
        assert_eq!(saved.joining, Joining::Metagraph);
    }

    #[test]
    fn a_servers_address_brings_its_bridge() {
        let server = RunArguments { network: Some("http://127.0.0.1:9".into()), ..with_key() };
        let hosts = plan("", server).unwrap().hosts;
        assert_eq!(hosts.bridge.as_str(), "http://127.0.0.1:9/bridge");
        assert!(hosts.are_local());
    }

    #[test]
    fn without_a_key_file_a_kept_key_is_taken_and_the_pool_joined() {
        let alone = plan("", RunArguments::default()).unwrap();
        assert_eq!(alone.hotkey, HotkeySource::Stored(None));
        assert_eq!((alone.joining, alone.consent), (Joining::Pool(None), Consent::Needed));
        let source = |file: &str, arguments| plan(file, arguments).unwrap().hotkey;
        let rig = || HotkeySource::Stored(Some("rig".parse().unwrap()));
        let named = || RunArguments { hotkey: Some("rig".into()), ..RunArguments::default() };
        assert_eq!(source("hotkey = \"rig\"", RunArguments::default()), rig());
        assert_eq!(source("hotkey_file = \"hot\"", named()), rig());
        assert_eq!(source("hotkey = \"rig\"", with_key()), HotkeySource::File("hot".into()));
        let wrong = RunArguments { hotkey: Some("../rig".into()), ..RunArguments::default() };
        assert_eq!(plan("", wrong).unwrap_err().exit, Exit::Configuration);
    }

    #[test]
    fn what_is_wrong_has_its_exit_code() {
        let bad = |file: &str| plan(file, with_key()).unwrap_err();
        for file in [
            "network = \"moon\"",
            "join = \"club\"",
            "backend = \"abacus\"",
            "relays = [\"nowhere\"]",
            "link_speed = \"fast\"",
            "peer_port = 70000",
        ] {
            let failure = bad(file);
            assert_eq!(failure.exit, Exit::Configuration, "{failure}");
            let key = file.split(' ').next().unwrap();
            assert!(failure.line.contains(key) || key == "network", "{failure}");
        }
    }
}

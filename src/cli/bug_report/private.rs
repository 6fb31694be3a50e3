//! What is private on this machine, as far as it can be known: what the settings name, what the
//! environment holds, who is logged in, what the machine is called.

use std::path::Path;

use url::Url;

use crate::clock::Clock;
use crate::config::Constants;
use crate::config::folders::Folders;
use crate::config::settings::{Key, Settings};
use crate::config::values;
use crate::host::surroundings::Variables;
use crate::network::disclosed;
use crate::telemetry::scrub::{Kind, Scrubber};
use crate::wallet::store::KeyStores;

/// Ends of names of variables that hold secrets.
const SECRET_VARIABLES: [&str; 8] =
    ["TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "_KEY", "_PASS", "MNEMONIC"];
/// Longer files are no passphrases.
const LONGEST_PASSPHRASE: u64 = 4096;

/// A scrubber that knows them.
pub(super) fn scrubber(
    folders: &Folders,
    settings: Option<&Settings>,
    variables: &Variables,
    clock: &Clock,
) -> Scrubber {
    let mut scrubber = Scrubber::new();
    keep_what_everybody_knows(&mut scrubber);
    call_folders(&mut scrubber, folders);
    hide_the_environment(&mut scrubber, variables);
    hide_the_machine(&mut scrubber, variables);
    if let Some(settings) = settings {
        for key in Key::ALL {
            if let Some(written) = settings.text(key) {
                hide_setting(&mut scrubber, key, &written.value);
            }
        }
    }
    if let Ok(keys) = KeyStores::open(&folders.data, clock).list() {
        for key in keys {
            scrubber.hide(Kind::Name, key.name.as_str());
            scrubber.hide(Kind::Address, key.address.as_str());
        }
    }
    scrubber
}

fn keep_what_everybody_knows(scrubber: &mut Scrubber) {
    let constants = Constants::live();
    let hub = Url::parse(&constants.hub).ok();
    let servers = [&constants.mainnet, &constants.testnet];
    let servers = servers.into_iter().filter_map(|addresses| addresses.hosts().ok());
    let hosts = servers.flat_map(|hosts| [hosts.orchestrator, hosts.bridge]).chain(hub);
    for host in hosts.filter_map(|url| url.host_str().map(str::to_owned)) {
        scrubber.keep_host(&host);
    }
    for call in disclosed::ALL.iter().filter_map(|entry| entry.call.split_once(' ')) {
        scrubber.keep_web_path(call.1);
    }
}

fn call_folders(scrubber: &mut Scrubber, folders: &Folders) {
    for (folder, word) in [
        (&folders.data, "data"),
        (&folders.config, "config"),
        (&folders.state, "state"),
        (&folders.cache, "cache"),
    ] {
        scrubber.call_folder(&folder.to_string_lossy(), word);
        // Errors may name it as the system does, without links.
        if let Ok(real) = folder.canonicalize() {
            scrubber.call_folder(&real.to_string_lossy(), word);
        }
    }
    if let Some(dirs) = directories::BaseDirs::new() {
        scrubber.call_folder(&dirs.home_dir().to_string_lossy(), "home");
    }
}

fn hide_the_environment(scrubber: &mut Scrubber, variables: &Variables) {
    for (name, value) in variables {
        let name = name.to_uppercase();
        // A file or a number is no secret, and would be missed in the report.
        let plain =
            value.len() < 6 || value.starts_with('/') || value.chars().all(|c| c.is_ascii_digit());
        if SECRET_VARIABLES.iter().any(|end| name.ends_with(end)) && !plain {
            scrubber.hide(Kind::Secret, value);
        }
    }
}

fn hide_the_machine(scrubber: &mut Scrubber, variables: &Variables) {
    for name in ["USER", "LOGNAME", "USERNAME", "SUDO_USER"] {
        if let Some(user) = variables.get(name) {
            scrubber.hide(Kind::User, user);
        }
    }
    if let Some(dirs) = directories::BaseDirs::new()
        && let Some(name) = dirs.home_dir().file_name()
    {
        scrubber.hide(Kind::User, &name.to_string_lossy());
    }
    let names =
        ["HOSTNAME", "COMPUTERNAME"].iter().filter_map(|name| variables.get(*name).cloned());
    for name in names.chain(sysinfo::System::host_name()) {
        scrubber.hide(Kind::Host, name.split('.').next().unwrap_or(&name));
        scrubber.hide(Kind::Host, &name);
    }
}

fn hide_setting(scrubber: &mut Scrubber, key: Key, value: &str) {
    match key {
        Key::AlertWebhook
        | Key::AlertNtfy
        | Key::AlertKuma
        | Key::OtelEndpoint
        | Key::ChainEndpoint
        | Key::PriceSource => {
            hide_address(scrubber, value);
        }
        Key::AttestationCommand | Key::AlertCommand => {
            let words = values::list(value).unwrap_or_default();
            let arguments = words.iter().skip(1).filter(|word| word.len() >= 4);
            arguments.for_each(|word| scrubber.hide(Kind::Secret, word));
            scrubber.hide(Kind::Secret, value);
        }
        Key::Network | Key::Relays => {
            for word in values::list(value).unwrap_or_default() {
                hide_host(scrubber, &word);
            }
        }
        Key::Hotkey | Key::LocationCountry | Key::LocationCity => scrubber.hide(Kind::Name, value),
        Key::Devices => {
            for word in values::list(value).unwrap_or_default() {
                if let Some((_, hotkey)) = word.split_once('=') {
                    scrubber.hide(Kind::Name, hotkey);
                }
            }
        }
        Key::PayoutAddress => scrubber.hide(Kind::Address, value),
        Key::HotkeyFile | Key::Tokenizer => scrubber.hide(Kind::Path, value),
        Key::PassphraseFile => {
            hide_passphrase(scrubber, Path::new(value.trim()));
            scrubber.hide(Kind::Path, value);
        }
        _ => {}
    }
}

/// An address is a secret as a whole, and so is each part of it.
fn hide_address(scrubber: &mut Scrubber, value: &str) {
    scrubber.hide(Kind::Secret, value);
    let Ok(url) = value.trim().parse::<Url>() else { return };
    let parts = url.path_segments().into_iter().flatten().filter(|part| part.len() >= 4);
    parts.for_each(|part| scrubber.hide(Kind::Secret, part));
    url.query_pairs().for_each(|(_, value)| scrubber.hide(Kind::Secret, &value));
    for part in [url.username(), url.password().unwrap_or_default()] {
        scrubber.hide(Kind::Secret, part);
    }
    hide_host(scrubber, value);
}

fn hide_host(scrubber: &mut Scrubber, address: &str) {
    let Ok(url) = address.trim().parse::<Url>() else { return };
    match url.host() {
        Some(url::Host::Domain(name)) if name != "localhost" => scrubber.hide(Kind::Host, name),
        _ => {}
    }
}

fn hide_passphrase(scrubber: &mut Scrubber, file: &Path) {
    let small = std::fs::metadata(file).is_ok_and(|about| about.len() <= LONGEST_PASSPHRASE);
    if let (true, Ok(text)) = (small, std::fs::read_to_string(file)) {
        scrubber.hide(Kind::Secret, text.trim());
    }
}

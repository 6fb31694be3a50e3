//! `hearth setup --non-interactive`: the wizard's answers from flags, environment and settings. Every
//! finding is a line; the settings are saved when all of them can be used.

use std::io::{self, Stdout};
use std::path::PathBuf;
use std::sync::Arc;

use super::arguments::SetupArguments;
use super::{read_settings, save, settings_path};
use crate::cli::doctor::{self, Asking, Scope};
use crate::cli::keys::{Passphrases, refused};
use crate::cli::print::{Printer, Style};
use crate::cli::run::{Consent, HotkeySource, RunPlan, network};
use crate::cli::{Exit, Failure};
use crate::clock::{Clock, Entropy};
use crate::config::edit::EditError;
use crate::config::folders::Folders;
use crate::config::network::NetworkChoice;
use crate::config::settings::Settings;
use crate::telemetry::{Event, Severity, logs};
use crate::wallet::bittensor::read_hotkey;
use crate::wallet::phrase::{Phrase, Words};
use crate::wallet::secret::KeySecret;
use crate::wallet::store::{KeyName, KeyRecord, KeyStoreError, KeyStores, NewKey, preferred};

/// Runs it.
pub(super) fn run(arguments: &SetupArguments) -> Result<Exit, Failure> {
    logs::to_stderr();
    let style = if arguments.json { Style::Json } else { Style::Readable };
    let clock = Clock::system();
    let mut lines = Lines(Printer::new(style, io::stdout(), clock.clone()));
    let folders = Folders::find().map_err(|error| Failure::of_folder(&error))?;
    let settings = read_settings(arguments, &folders)?;
    // The practice swarm makes its own keys, and pays nobody.
    let source = match network(&settings)? {
        NetworkChoice::Practice => None,
        _ => Some(signer(&settings)?),
    };
    examine(arguments, &mut lines, &clock)?;
    let quiet = Quiet { arguments, folders: &folders, settings: &settings, clock: &clock };
    let hotkey = match source {
        Some(source) => quiet.hotkey(&source, &mut lines)?,
        None => None,
    };
    let path = quiet.save(hotkey)?;
    let saved =
        format!("The answers are saved in {}. `hearth run` mines with them.", path.display());
    lines.finding("setup-saved", saved)?;
    Ok(Exit::Done)
}

/// The key to mine with; every other setting of a run is checked on the way.
fn signer(settings: &Settings) -> Result<HotkeySource, Failure> {
    let plan = RunPlan::new(settings)?;
    if plan.consent == Consent::Needed {
        let why = "nobody would be paid for this miner's work: name an address with \
                   --payout-address, or agree to work unpaid with --accept-unpaid";
        return Err(Failure::new(Exit::Configuration, why));
    }
    Ok(plan.hotkey)
}

/// Findings on standard output.
struct Lines(Printer<Stdout>);

impl Lines {
    fn event(&mut self, event: &Event) -> Result<(), Failure> {
        let gone = |error| Failure::new(Exit::Failed, format!("nobody reads the output: {error}"));
        self.0.event(event).map_err(gone)
    }

    fn finding(&mut self, code: &str, what: String) -> Result<(), Failure> {
        let (code, fix) = (code.to_owned(), String::new());
        self.event(&Event::Finding { severity: Severity::Info, code, what, fix })
    }
}

/// The doctor's findings; of the network only when that was asked for.
fn examine(arguments: &SetupArguments, lines: &mut Lines, clock: &Clock) -> Result<(), Failure> {
    let asking = if arguments.test_link { Asking::Network } else { Asking::Nobody };
    let named = arguments.config.as_deref().filter(|path| path.exists());
    let scope = Arc::new(Scope::of_user(named, arguments.flags(), asking, clock));
    let runtime = crate::cli::runtime()?;
    let mut told = Ok(());
    runtime.block_on(doctor::examine(&scope, |finding| {
        // The key is looked at below, once it is there.
        if told.is_ok() && finding.check != "hotkey" {
            told = lines.event(&finding.event());
        }
    }));
    runtime.shutdown_background();
    told
}

/// What the rest works with.
struct Quiet<'a> {
    arguments: &'a SetupArguments,
    folders: &'a Folders,
    settings: &'a Settings,
    clock: &'a Clock,
}

impl Quiet<'_> {
    /// Proves that there is a key, or makes one where that was asked for. Gives its name, unless it is
    /// a file.
    fn hotkey(&self, source: &HotkeySource, lines: &mut Lines) -> Result<Option<KeyName>, Failure> {
        let name = match source {
            HotkeySource::File(path) => {
                let (pair, _) =
                    read_hotkey(path).map_err(|error| Failure::new(Exit::Key, error))?;
                let what = format!("Hotkey {}, from the file {}.", pair.address(), path.display());
                lines.finding("setup-hotkey", what)?;
                return Ok(None);
            }
            HotkeySource::Stored(name) => name,
        };
        let stores = KeyStores::open(&self.folders.data, self.clock);
        let record = match stores.choose(name.as_ref()) {
            Ok(record) => record,
            Err(KeyStoreError::NoKeys | KeyStoreError::Unknown { .. })
                if self.arguments.new_key =>
            {
                self.make(&stores, name.clone().unwrap_or_else(KeyName::usual))?
            }
            Err(error) => return Err(refused(error)),
        };
        let (name, address, store) = (record.name, record.address, record.store);
        lines
            .finding("setup-hotkey", format!("Hotkey {name} ({address}), kept in the {store}."))?;
        Ok(Some(name))
    }

    fn make(&self, stores: &KeyStores, name: KeyName) -> Result<KeyRecord, Failure> {
        let mut entropy = Entropy::system();
        let secret = KeySecret::from_phrase(Phrase::generate(Words::Twelve, &mut entropy));
        let key = NewKey { name, secret: &secret, device: None };
        let mut passphrases = Passphrases::new(self.settings);
        stores
            .put(&key, preferred(&stores.probe()), &mut passphrases, &mut entropy)
            .map_err(refused)
    }

    /// Writes everything that flags and environment say, beside what the file says.
    fn save(&self, hotkey: Option<KeyName>) -> Result<PathBuf, Failure> {
        let path = settings_path(self.arguments, self.folders);
        let choices = save::choices(self.settings).map_err(|error| Failure::of_settings(&error))?;
        let refused = |error: EditError| {
            let exit = match &error {
                EditError::Folder(_) => Exit::Disk,
                _ => Exit::Configuration,
            };
            Failure::new(exit, &error).coded(error.code())
        };
        let hotkey = hotkey.as_ref().map(KeyName::as_str);
        save::save(&path, &choices, hotkey, self.settings).map_err(refused)?;
        super::kept::Unfinished::remove(self.folders);
        Ok(path)
    }
}

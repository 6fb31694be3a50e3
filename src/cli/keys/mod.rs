//! `hearth keys`: hotkeys are made, brought, kept, moved, shown and removed. A secret is never an
//! argument and never printed, except on a terminal's second screen after a yes.

mod arguments;
mod bring;
mod make;
mod move_remove;
mod passphrases;
mod payout;
mod quiz;
mod screen;
mod show;
mod verify;

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;
use zeroize::Zeroizing;

pub use arguments::{KeysArguments, Store};
pub(crate) use passphrases::Passphrases;

use super::exit::written;
use super::{Exit, Failure, signals};
use crate::clock::{Clock, Entropy};
use crate::config::folders::Folders;
use crate::config::settings::{Key, Settings};
use crate::wallet::secret::KeySecret;
use crate::wallet::store::{
    KeyName, KeyRecord, KeyStoreError, KeyStores, NewKey, Probe, StoreKind, StoreState, preferred,
};
use arguments::{Common, KeysCommand};
use screen::{Answer, ask_hidden};

/// Runs the command.
pub fn run(arguments: &KeysArguments) -> Result<Exit, Failure> {
    // Whatever ends this, no words stay on the screen.
    signals::listen();
    match &arguments.command {
        KeysCommand::New(new) if new.payout => payout::run(new),
        KeysCommand::New(new) => make::run(new),
        KeysCommand::Import(import) => bring::run(import),
        KeysCommand::List(common) => show::list(common),
        KeysCommand::Show(arguments) => show::one(arguments),
        KeysCommand::Export(arguments) => bring::export(arguments),
        KeysCommand::Move(arguments) => move_remove::move_key(arguments),
        KeysCommand::Remove(arguments) => move_remove::remove(arguments),
        KeysCommand::Unlock(arguments) => move_remove::unlock(arguments),
        KeysCommand::Lock(arguments) => move_remove::lock(arguments),
        KeysCommand::Verify(arguments) => verify::run(arguments),
    }
}

/// What every command about keys works with.
struct Desk {
    folders: Folders,
    stores: KeyStores,
    passphrases: Passphrases,
    settings: Settings,
    entropy: Entropy,
    json: bool,
}

impl Desk {
    fn open(common: &Common) -> Result<Self, Failure> {
        let folders = Folders::find().map_err(|error| Failure::of_folder(&error))?;
        let file = common.passphrase_file.as_ref().map(|path| path.display().to_string());
        let flags = vec![(Key::PassphraseFile, file)];
        let environment = |name: &str| std::env::var(name).ok();
        let settings =
            Settings::read(common.config.as_deref(), &folders.config, environment, flags)
                .map_err(|error| Failure::of_settings(&error))?;
        Ok(Self {
            stores: KeyStores::open(&folders.data, &Clock::system()),
            passphrases: Passphrases::new(&settings),
            entropy: Entropy::system(),
            json: common.json,
            folders,
            settings,
        })
    }

    /// The store to use: the chosen one, else the best that works, which is said.
    fn store(&self, chosen: Option<Store>) -> StoreKind {
        if let Some(store) = chosen {
            return store.kind();
        }
        let probes = self.stores.probe();
        if let [Probe { state: StoreState::Locked(t) | StoreState::Absent(t), .. }, _] = &probes {
            self.note(&format!("An encrypted file is used, for {}.", t.why));
        }
        preferred(&probes)
    }

    /// Keeps a key and says where.
    fn keep(
        &mut self,
        name: KeyName,
        secret: &KeySecret,
        device: Option<u32>,
        store: StoreKind,
    ) -> Result<KeyRecord, Failure> {
        let key = NewKey { name, secret, device };
        let record = self
            .stores
            .put(&key, store, &mut self.passphrases, &mut self.entropy)
            .map_err(refused)?;
        self.tell(&record)?;
        Ok(record)
    }

    /// One key, for a person or a script.
    fn tell(&self, record: &KeyRecord) -> Result<(), Failure> {
        if self.json {
            return self.print(&json_line(record)?);
        }
        let device = record.device.map_or_else(String::new, |n| format!(", device {n}"));
        self.print(&format!("{}  {}  {}{device}", record.name, record.address, record.store))
    }

    /// A line on standard output.
    fn print(&self, line: &str) -> Result<(), Failure> {
        written(writeln!(io::stdout(), "{line}")).map(drop)
    }

    /// A line for a person, beside the results.
    fn note(&self, line: &str) {
        if !self.json {
            eprintln!("{line}");
        }
    }
}

/// A key, for scripts.
#[derive(Serialize)]
struct KeyLine<'a> {
    event: &'static str,
    #[serde(flatten)]
    key: &'a KeyRecord,
}

fn json_line(record: &KeyRecord) -> Result<String, Failure> {
    serde_json::to_string(&KeyLine { event: "key", key: record })
        .map_err(|error| Failure::new(Exit::Failed, error))
}

/// How the process ends when a kept key cannot be used.
pub(crate) fn refused(error: KeyStoreError) -> Failure {
    let exit = match &error {
        KeyStoreError::Folder(_) | KeyStoreError::Index(_) => Exit::Disk,
        KeyStoreError::NameTaken { .. }
        | KeyStoreError::KeptAlready { .. }
        | KeyStoreError::ThereAlready { .. } => Exit::Usage,
        _ => Exit::Key,
    };
    Failure::new(exit, &error).coded(error.code())
}

fn usage(line: &str) -> Failure {
    Failure::new(Exit::Usage, line)
}

fn broken_terminal(error: io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("the terminal: {error}")).coded("terminal-lost")
}

/// Nothing was done because the user stopped.
fn stopped() -> Failure {
    Failure::new(Exit::Failed, "stopped: nothing was kept or changed")
}

/// Asks for a secret, which is not shown as it is typed.
fn ask_secret(question: &str) -> Result<Zeroizing<String>, Failure> {
    match ask_hidden(question).map_err(broken_terminal)? {
        Answer::Line(line) => Ok(line),
        Answer::Left => Err(stopped()),
    }
}

/// Asks for a line, which is shown as it is typed. Fails where nobody can be asked.
fn ask_line(question: &str) -> Result<String, Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(usage("this must be answered at a terminal; for scripts there is --yes"));
    }
    eprint!("{question} ");
    io::stderr().flush().map_err(broken_terminal)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(broken_terminal)?;
    Ok(answer.trim().to_owned())
}

/// Asks for a yes.
fn agrees(question: &str) -> Result<bool, Failure> {
    let answer = ask_line(&format!("{question} [y/N]"))?;
    Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
}

//! `hearth keys import` and `hearth keys export`: keys come from words, seeds, files and Bittensor
//! wallet folders, and go back into such folders.

use std::path::Path;

use super::arguments::{ExportArguments, ImportArguments};
use super::passphrases::twice;
use super::screen::somebody_is_there;
use super::{Desk, ask_secret, refused, usage};
use crate::cli::{Exit, Failure};
use crate::wallet::bittensor::{
    self, ColdkeyFile, Exposure, FoundHotkey, FoundWallet, HotkeyState, export_hotkey, read_secret,
    unlock_hotkey,
};
use crate::wallet::phrase::Phrase;
use crate::wallet::secret::KeySecret;
use crate::wallet::store::{KeyName, KeyStoreError, NewKey};

/// Brings a key.
pub(super) fn run(arguments: &ImportArguments) -> Result<Exit, Failure> {
    let mut desk = Desk::open(&arguments.common)?;
    let name = arguments.name.clone().unwrap_or_else(KeyName::usual);
    desk.stores.admits(&name, None).map_err(refused)?;
    let secret = secret(&desk, arguments)?;
    let wanted = wanted(&name, &secret, arguments)?;
    let store = desk.store(arguments.store);
    let mut kept = 0;
    for (name, secret, device) in wanted {
        let key = NewKey { name, secret: &secret, device };
        match desk.stores.put(&key, store, &mut desk.passphrases, &mut desk.entropy) {
            Ok(record) => {
                kept += 1;
                desk.tell(&record)?;
            }
            // One of several that was here already is no reason to leave out the others.
            Err(error @ KeyStoreError::KeptAlready { .. }) if arguments.devices.is_some() => {
                desk.note(&error.to_string());
            }
            Err(error) => return Err(refused(error)),
        }
    }
    if kept == 0 {
        desk.note("Nothing new was kept.");
    }
    Ok(Exit::Done)
}

/// Writes a key as a Bittensor wallet's hotkey file.
pub(super) fn export(arguments: &ExportArguments) -> Result<Exit, Failure> {
    let mut desk = Desk::open(&arguments.common)?;
    let name = &arguments.name;
    let secret = desk.passphrases.open(&desk.stores, name).map_err(refused)?;
    let path = export_hotkey(&arguments.to, &arguments.wallet, name.as_str(), &secret)
        .map_err(|error| Failure::new(Exit::Disk, error))?;
    let record = desk.stores.find(name).map_err(refused)?;
    desk.tell(&record)?;
    desk.note(&format!("Written to {}, not encrypted, readable by you alone.", path.display()));
    Ok(Exit::Done)
}

/// Whether a new coldkey can be written there; asked before its words are shown.
pub(super) fn check_coldkey(wallets: &Path, wallet: &KeyName) -> Result<(), Failure> {
    let folder = wallets.join(wallet.as_str());
    match ["coldkey", "coldkeypub.txt"].map(|name| folder.join(name)).iter().find(|p| p.exists()) {
        None => Ok(()),
        Some(path) => Err(usage(&format!(
            "{} exists already and is left as it is: choose another name with --name",
            path.display()
        ))),
    }
}

/// Writes a coldkey that was made here as an encrypted Bittensor wallet.
pub(super) fn write_coldkey(
    desk: &mut Desk,
    wallets: &Path,
    wallet: &KeyName,
    phrase: &Phrase,
) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(Exit::Failed, error);
    let password =
        twice(&format!("the coldkey file of wallet {wallet}")).map_err(|e| failed(&e))?;
    desk.note("Encrypting as Bittensor's programs do, which takes some seconds and 512 MiB.");
    let file = ColdkeyFile::Encrypted { password: &password, entropy: &mut desk.entropy };
    let written = bittensor::write_coldkey(wallets, wallet.as_str(), phrase, file)
        .map_err(|error| failed(&error))?;
    desk.note(&format!("Written: {}", written.public.with_file_name("coldkey").display()));
    Ok(())
}

/// A key to keep, its name, and the device whose key it is.
type Wanted = (KeyName, KeySecret, Option<u32>);

/// The keys to keep of what was brought.
fn wanted(
    name: &KeyName,
    secret: &KeySecret,
    arguments: &ImportArguments,
) -> Result<Vec<Wanted>, Failure> {
    let derived =
        |number: u32| secret.derive_device(number).map_err(|error| Failure::new(Exit::Key, error));
    if let Some(number) = arguments.device {
        return Ok(vec![(name.clone(), derived(number)?, Some(number))]);
    }
    let mut wanted = vec![(name.clone(), secret.clone(), device_of(secret))];
    for number in 0..arguments.devices.unwrap_or(0) {
        let name = name.of_device(number).map_err(|error| Failure::new(Exit::Usage, error))?;
        wanted.push((name, derived(number)?, Some(number)));
    }
    Ok(wanted)
}

/// The device that a typed path names.
fn device_of(secret: &KeySecret) -> Option<u32> {
    match secret {
        KeySecret::Phrase { path, .. } => path.device_number(),
        _ => None,
    }
}

fn secret(desk: &Desk, arguments: &ImportArguments) -> Result<KeySecret, Failure> {
    if let Some(path) = &arguments.hotkey_file {
        return of_file(desk, path);
    }
    if let Some(folder) = &arguments.wallet_folder {
        return of_wallet(desk, folder, arguments.hotkey.as_deref());
    }
    if !somebody_is_there() {
        return Err(usage(
            "words and seeds are typed at a terminal, never given as arguments: run this there, or \
             name a file with --hotkey-file or --wallet-folder",
        ));
    }
    let typed =
        ask_secret("The hotkey's words, or its 0x seed (not shown as you type; pasting works): ")?;
    KeySecret::parse(&typed).map_err(|error| Failure::new(Exit::Key, error))
}

fn of_file(desk: &Desk, path: &Path) -> Result<KeySecret, Failure> {
    let (secret, exposure) = read_secret(path).map_err(|error| Failure::new(Exit::Key, error))?;
    if exposure == Exposure::Readable {
        desk.note(&format!(
            "{} can be read by others on this machine: take that right away (chmod 600).",
            path.display()
        ));
    }
    Ok(secret)
}

fn of_wallet(desk: &Desk, folder: &Path, hotkey: Option<&str>) -> Result<KeySecret, Failure> {
    let wallets = bittensor::list(folder).map_err(|error| Failure::new(Exit::Key, error))?;
    let found = choose(&wallets, hotkey)?;
    match &found.state {
        HotkeyState::Ready => of_file(desk, &found.path),
        HotkeyState::Encrypted if somebody_is_there() => {
            let password = ask_secret(&format!("Password of hotkey {}: ", found.name))?;
            desk.note("Decrypting, which takes some seconds and 512 MiB.");
            let unlocked = unlock_hotkey(&found.path, &password);
            unlocked.map(|(secret, _)| secret).map_err(|error| Failure::new(Exit::Key, error))
        }
        HotkeyState::Encrypted => Err(usage(
            "this hotkey's file is encrypted, and its password is asked for at a terminal: run this \
             there",
        )),
        HotkeyState::Unusable(why) => Err(Failure::new(Exit::Key, why)),
    }
}

/// The hotkey that is meant: the named one, or the only one.
fn choose<'a>(
    wallets: &'a [FoundWallet],
    hotkey: Option<&str>,
) -> Result<&'a FoundHotkey, Failure> {
    let all: Vec<(String, &FoundHotkey)> = wallets
        .iter()
        .flat_map(|wallet| {
            wallet.hotkeys.iter().map(|hotkey| (format!("{}/{}", wallet.name, hotkey.name), hotkey))
        })
        .collect();
    let is_meant = |(full, found): &&(String, &FoundHotkey)| {
        hotkey.is_none_or(|name| name == full || name == found.name)
    };
    let mut meant = all.iter().filter(is_meant);
    let names = || all.iter().map(|(full, _)| full.as_str()).collect::<Vec<_>>().join(", ");
    match (meant.next(), meant.next()) {
        (Some((_, found)), None) => Ok(found),
        (Some(_), Some(_)) => {
            Err(usage(&format!("there are several hotkeys: say which with --hotkey ({})", names())))
        }
        (None, _) if all.is_empty() => Err(Failure::new(
            Exit::Key,
            "this wallet has no hotkeys: make one here with hearth keys new",
        )),
        (None, _) => Err(usage(&format!("there is no such hotkey; there are {}", names()))),
    }
}

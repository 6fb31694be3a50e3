//! `hearth keys list` and `hearth keys show`.

use std::io;

use zeroize::Zeroizing;

use super::arguments::{Common, ShowArguments};
use super::quiz::table;
use super::screen::{SecretScreen, somebody_is_there};
use super::{Desk, agrees, broken_terminal, refused, stopped, usage};
use crate::cli::{Exit, Failure};
use crate::config::settings::{Key, Settings};
use crate::wallet::secret::KeySecret;
use crate::wallet::store::{KeyName, KeyRecord, KeyStores};

/// Lists all keys.
pub(super) fn list(common: &Common) -> Result<Exit, Failure> {
    let desk = Desk::open(common)?;
    let keys = desk.stores.list().map_err(refused)?;
    for key in &keys {
        desk.tell(key)?;
    }
    if keys.is_empty() {
        desk.note(
            "No hotkey is kept here. Make one with hearth keys new, or bring one with hearth keys \
             import.",
        );
    }
    Ok(Exit::Done)
}

/// Shows one key.
pub(super) fn one(arguments: &ShowArguments) -> Result<Exit, Failure> {
    let mut desk = Desk::open(&arguments.common)?;
    let record = chosen(&desk.stores, &desk.settings, arguments.name.as_ref())?;
    if !arguments.secret {
        desk.tell(&record)?;
        if !desk.json {
            desk.print(&format!("kept since {}", record.made))?;
        }
        return Ok(Exit::Done);
    }
    if !somebody_is_there() {
        return Err(usage(
            "a secret is shown only at a terminal: run this there, without redirecting it",
        ));
    }
    let question = "Whoever sees the secret can use the key in your place. Is nobody looking, and \
                    nothing recording this screen?";
    if !agrees(question)? {
        return Err(stopped());
    }
    let secret = desk.passphrases.open(&desk.stores, &record.name).map_err(refused)?;
    let text = secret_text(&record, &secret)?;
    on_screen(&text).map_err(broken_terminal)?;
    Ok(Exit::Done)
}

/// The named key, else the one that `hearth run` takes.
pub(super) fn chosen(
    stores: &KeyStores,
    settings: &Settings,
    named: Option<&KeyName>,
) -> Result<KeyRecord, Failure> {
    let set = settings.get::<KeyName>(Key::Hotkey).map_err(|error| Failure::of_settings(&error))?;
    let set = set.map(|given| given.value);
    stores.choose(named.or(set.as_ref())).map_err(refused)
}

fn on_screen(text: &str) -> io::Result<()> {
    let screen = SecretScreen::open()?;
    screen.show(text)?;
    screen.ask("Enter when done:").map(|_| ())
}

fn secret_text(record: &KeyRecord, secret: &KeySecret) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::with_capacity(2048));
    text.push_str(&format!("{}  {}\n\n", record.name, record.address));
    if let KeySecret::Phrase { phrase, password, path } = secret {
        text.push_str(&table(phrase));
        if !path.is_root() {
            text.push_str(&format!("\npath      {path}\n"));
        }
        if !password.is_empty() {
            text.push_str("password  ");
            text.push_str(password);
            text.push('\n');
        }
        return Ok(text);
    }
    let broken = |error| Failure::new(Exit::Key, error);
    match secret.mini_secret().map_err(broken)? {
        Some(seed) => push_hex(&mut text, "seed", seed.as_slice()),
        None => push_hex(&mut text, "private key", secret.expanded().map_err(broken)?.as_slice()),
    }
    Ok(text)
}

fn push_hex(text: &mut String, what: &str, bytes: &[u8]) {
    let digits = Zeroizing::new(hex::encode(bytes));
    text.push_str(what);
    text.push_str("  0x");
    text.push_str(&digits);
    text.push('\n');
}

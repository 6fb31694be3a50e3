//! `hearth keys verify`: whether what was written down is the key.

use super::arguments::VerifyArguments;
use super::quiz::ask_back;
use super::screen::{SecretScreen, somebody_is_there};
use super::show::chosen;
use super::{Desk, ask_secret, broken_terminal, refused, stopped, usage};
use crate::cli::{Exit, Failure};
use crate::wallet::secret::KeySecret;
use crate::wallet::store::KeyRecord;

/// Runs the command.
pub(super) fn run(arguments: &VerifyArguments) -> Result<Exit, Failure> {
    let mut desk = Desk::open(&arguments.common)?;
    let record = chosen(&desk.stores, &desk.settings, arguments.name.as_ref())?;
    if !somebody_is_there() {
        return Err(usage("words are asked for at a terminal: run this there"));
    }
    let right = if arguments.quiz { quiz(&mut desk, &record)? } else { compare(&record)? };
    if !right {
        return Err(Failure::new(
            Exit::Failed,
            format!(
                "these are not the words of {}: look for the right ones while the key is still \
                     here, or see them with hearth keys show {} --secret",
                record.name, record.name
            ),
        ));
    }
    desk.tell(&record)?;
    desk.note("The words are right.");
    Ok(Exit::Done)
}

/// All words, typed without being shown; the kept secret is not even opened.
fn compare(record: &KeyRecord) -> Result<bool, Failure> {
    let typed = ask_secret("The key's words (not shown as you type; pasting works): ")?;
    let wrong = |error: &dyn std::fmt::Display| Failure::new(Exit::Failed, error);
    let secret = KeySecret::parse(&typed).map_err(|error| wrong(&error))?;
    let is_it = |secret: &KeySecret| {
        secret.pair().map(|pair| *pair.address() == record.address).map_err(|error| wrong(&error))
    };
    if is_it(&secret)? {
        return Ok(true);
    }
    match record.device {
        Some(number) => is_it(&secret.derive_device(number).map_err(|error| wrong(&error))?),
        None => Ok(false),
    }
}

/// Three of the words.
fn quiz(desk: &mut Desk, record: &KeyRecord) -> Result<bool, Failure> {
    let secret = desk.passphrases.open(&desk.stores, &record.name).map_err(refused)?;
    let KeySecret::Phrase { phrase, .. } = &secret else {
        return Err(usage("this key came without words, so there are none to ask for"));
    };
    let screen = SecretScreen::open().map_err(broken_terminal)?;
    ask_back(&screen, phrase, &mut desk.entropy).map_err(broken_terminal)?.ok_or_else(stopped)
}

//! `hearth keys new`: a new hotkey, its words shown once and asked back, then kept.

use super::arguments::NewArguments;
use super::quiz::{Written, show_and_ask};
use super::{Desk, broken_terminal, refused, screen, stopped};
use crate::cli::{Exit, Failure};
use crate::wallet::phrase::Phrase;
use crate::wallet::secret::KeySecret;
use crate::wallet::store::KeyName;

/// Runs the command.
pub(super) fn run(arguments: &NewArguments) -> Result<Exit, Failure> {
    let mut desk = Desk::open(&arguments.common)?;
    let name = arguments.name.clone().unwrap_or_else(KeyName::usual);
    // Words that could not be kept must not be shown.
    desk.stores.admits(&name, None).map_err(refused)?;
    let broken = |error| Failure::new(Exit::Failed, error);
    if let Some(from) = &arguments.from {
        let number = arguments.device.unwrap_or_default();
        let secret = desk.passphrases.open(&desk.stores, from).map_err(refused)?;
        let secret = secret.derive_device(number).map_err(broken)?;
        let store = desk.store(arguments.store);
        desk.keep(name, &secret, Some(number), store)?;
        return Ok(Exit::Done);
    }
    let phrase = Phrase::generate(arguments.words.words(), &mut desk.entropy);
    let shown = !desk.json && screen::somebody_is_there();
    if shown {
        let heading = format!(
            "These words are the hotkey {name}. Write them down on paper, in this order, and keep them \
             where nobody else looks: they bring the key back when this machine is lost."
        );
        let written =
            show_and_ask(&heading, &phrase, &mut desk.entropy).map_err(broken_terminal)?;
        if written == Written::Left {
            return Err(stopped());
        }
    }
    let secret = KeySecret::from_phrase(phrase);
    let secret = match arguments.device {
        Some(number) => secret.derive_device(number).map_err(broken)?,
        None => secret,
    };
    let store = desk.store(arguments.store);
    desk.keep(name.clone(), &secret, arguments.device, store)?;
    if !shown {
        desk.note(&format!(
            "Its words were not shown, as nobody sits at a terminal here. Write them down soon: \
             hearth keys show {name} --secret"
        ));
    }
    Ok(Exit::Done)
}

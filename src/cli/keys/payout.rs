//! `hearth keys new --payout`: a coldkey to be paid to, made here and offline. Its words are shown
//! once and asked back; then only its address is kept, as the setting `payout_address`.

use std::path::PathBuf;

use super::arguments::NewArguments;
use super::quiz::{Written, show_and_ask};
use super::screen::somebody_is_there;
use super::{Desk, agrees, broken_terminal, stopped, usage};
use crate::cli::{Exit, Failure};
use crate::config::edit;
use crate::config::settings::{FILE_NAME, Key};
use crate::wallet::bittensor::export::coldkey_address;
use crate::wallet::phrase::Phrase;
use crate::wallet::store::KeyName;

const HEADING: &str = "\
These words are a coldkey: whoever has them has the money that is paid to it. Write them down on
paper, in this order, and keep them where nobody else looks. Hearth forgets them after this screen;
nobody can bring them back.";

/// Runs the command.
pub(super) fn run(arguments: &NewArguments) -> Result<Exit, Failure> {
    let mut desk = Desk::open(&arguments.common)?;
    if desk.json || !somebody_is_there() {
        return Err(usage(
            "a coldkey's words are shown once, on a terminal and nowhere else: run this there, \
             without --json and without redirecting it",
        ));
    }
    if let Some(old) = desk.settings.text(Key::PayoutAddress)
        && !arguments.yes
        && !agrees(&format!("You are paid to {} now. Replace that address?", old.value))?
    {
        return Err(stopped());
    }
    let name = arguments.name.clone().unwrap_or_else(KeyName::usual);
    if let Some(folder) = &arguments.wallet_folder {
        super::bring::check_coldkey(folder, &name)?;
    }
    let phrase = Phrase::generate(arguments.words.words(), &mut desk.entropy);
    let written = show_and_ask(HEADING, &phrase, &mut desk.entropy).map_err(broken_terminal)?;
    if written == Written::Left {
        return Err(stopped());
    }
    let address = coldkey_address(&phrase).map_err(|error| Failure::new(Exit::Failed, error))?;
    if let Some(folder) = &arguments.wallet_folder {
        super::bring::write_coldkey(&mut desk, folder, &name, &phrase)?;
    }
    drop(phrase);
    let file = settings_file(&desk, arguments);
    edit::set(&file, &[(Key::PayoutAddress, Some(address.to_string()))])
        .map_err(|error| Failure::new(Exit::Configuration, &error).coded(error.code()))?;
    desk.print(&format!("payout_address  {address}"))?;
    desk.note(&format!("Saved in {}. The coldkey's secret is forgotten here.", file.display()));
    Ok(Exit::Done)
}

fn settings_file(desk: &Desk, arguments: &NewArguments) -> PathBuf {
    arguments.common.config.clone().unwrap_or_else(|| desk.folders.config.join(FILE_NAME))
}

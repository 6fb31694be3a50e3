//! `hearth keys move` and `hearth keys remove`.

use super::arguments::{MoveArguments, RemoveArguments};
use super::{Desk, ask_line, refused, stopped};
use crate::cli::{Exit, Failure};

/// Moves a key into another store.
pub(super) fn move_key(arguments: &MoveArguments) -> Result<Exit, Failure> {
    let mut desk = Desk::open(&arguments.common)?;
    let (name, store) = (&arguments.name, arguments.to.kind());
    let moved = desk.stores.move_to(name, store, &mut desk.passphrases, &mut desk.entropy);
    let moved = moved.map_err(refused)?;
    desk.tell(&moved.record)?;
    match moved.left_behind {
        None => Ok(Exit::Done),
        Some(why) => Err(Failure::new(
            Exit::Key,
            format!("the key is in the {store} now, but the old copy could not be deleted: {why}"),
        )),
    }
}

/// Forgets a key.
pub(super) fn remove(arguments: &RemoveArguments) -> Result<Exit, Failure> {
    let desk = Desk::open(&arguments.common)?;
    let name = &arguments.name;
    let record = desk.stores.find(name).map_err(refused)?;
    if !arguments.yes {
        desk.note(&format!(
            "{name} is {}, kept in the {}. Without its words or a copy it is lost for good, and with \
             it what the network has credited to it.",
            record.address, record.store
        ));
        if ask_line("Type the key's name to remove it:")? != name.as_str() {
            return Err(stopped());
        }
    }
    let removed = desk.stores.remove(name).map_err(refused)?;
    desk.tell(&removed)?;
    desk.note("It is removed.");
    Ok(Exit::Done)
}

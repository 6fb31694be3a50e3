//! `hearth keys move`, `remove`, `unlock` and `lock`.

use super::arguments::{MoveArguments, RemoveArguments, UnlockArguments};
use super::show::chosen;
use super::{Desk, ask_line, refused, stopped};
use crate::cli::{Exit, Failure};
use crate::wallet::store::StoreKind;

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

/// Remembers a secret in the kernel's keyring.
pub(super) fn unlock(arguments: &UnlockArguments) -> Result<Exit, Failure> {
    let mut desk = Desk::open(&arguments.common)?;
    let record = chosen(&desk.stores, &desk.settings, arguments.name.as_ref())?;
    if record.store == StoreKind::Keyring {
        desk.tell(&record)?;
        desk.note("It is in the system's keyring, which unlocks it by itself.");
        return Ok(Exit::Done);
    }
    // What was remembered before is read anew, so that a wrong passphrase is noticed.
    desk.stores.lock(&record.name).map_err(refused)?;
    desk.passphrases.unlock(&desk.stores, &record.name).map_err(refused)?;
    desk.tell(&record)?;
    desk.note("It is unlocked until hearth keys lock, a restart, or about three days without use.");
    Ok(Exit::Done)
}

/// Forgets what was remembered.
pub(super) fn lock(arguments: &UnlockArguments) -> Result<Exit, Failure> {
    let desk = Desk::open(&arguments.common)?;
    let record = chosen(&desk.stores, &desk.settings, arguments.name.as_ref())?;
    let record = desk.stores.lock(&record.name).map_err(refused)?;
    desk.tell(&record)?;
    Ok(Exit::Done)
}

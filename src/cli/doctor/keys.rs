//! Checks of the key and of who is paid.

use std::path::Path;

use super::finding::Judgement;
use super::scope::Scope;
use super::settings::sentence;
use crate::config::settings::Key;
use crate::config::values::JoinWay;
use crate::miner::joining::PayoutAddress;
use crate::wallet::file::{Exposure, read_hotkey};

/// Whether there is a key that can sign.
pub(super) fn hotkey(scope: &Scope) -> Judgement {
    let settings = scope.usable_settings();
    match settings.text(Key::HotkeyFile) {
        Some(file) => of_file(Path::new(&file.value)),
        None => Judgement::warning(
            "no-hotkey",
            "There is no hotkey yet: the practice swarm needs none, a network does.",
            "`hearth setup`, or `hearth keys new`.",
        ),
    }
}

fn of_file(path: &Path) -> Judgement {
    match read_hotkey(path) {
        Ok((hotkey, Exposure::Private)) => {
            Judgement::fine(format!("The hotkey {} is in {}.", hotkey.address(), path.display()))
        }
        Ok((_, Exposure::Readable)) => {
            let what = format!("{} can be read by others on this machine.", path.display());
            let fix = format!("Run `chmod 600 {}`.", path.display());
            Judgement::warning("key-readable", what, fix)
        }
        Err(error) => {
            let fix = "Give a hotkey's file, or make one with `hearth keys new`.";
            Judgement::error("key-file", sentence(&error.to_string()), fix)
        }
    }
}

/// Whether anybody is paid for the work.
pub(super) fn payout(scope: &Scope) -> Judgement {
    let settings = scope.usable_settings();
    if let Ok(Some(way)) = settings.get::<JoinWay>(Key::Join)
        && way.value == JoinWay::Metagraph
    {
        return Judgement::fine("The chain pays the owner of the hotkey.");
    }
    match settings.get::<PayoutAddress>(Key::PayoutAddress) {
        Ok(Some(address)) => Judgement::fine(format!("The pool pays {}.", address.value)),
        Ok(None) => Judgement::warning(
            "payout-unset",
            "No payout address is set: a pool pays nobody for this miner's work, and nothing later for \
             the time until there is one.",
            "`hearth config set payout_address ADDRESS`, or make one with `hearth keys new --payout`.",
        ),
        Err(error) => {
            let fix = "Copy the address again: `hearth config set payout_address ADDRESS`.";
            Judgement::error("config-value", sentence(&error.to_string()), fix)
        }
    }
}

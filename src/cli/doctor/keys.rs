//! Checks of the key, of where it is kept, and of who is paid.

use std::path::Path;

use super::finding::Judgement;
use super::scope::Scope;
use super::settings::sentence;
use crate::cli::Failure;
use crate::cli::run::{HotkeySource, devices as devices_of, hotkey as source_of, joining};
use crate::config::settings::Settings;
use crate::miner::Joining;
use crate::wallet::bittensor::{Exposure, read_hotkey};
use crate::wallet::store::{
    KEYRING_NAME, KeyStoreError, KeyStores, StoreKind, StoreState, Trouble,
};

/// Whether the system's keyring can be used. It need not: a key may be kept in an encrypted file.
pub(super) fn keyring(scope: &Scope) -> Judgement {
    let data = scope.folders.as_ref().map(|folders| folders.data.clone()).unwrap_or_default();
    let stores = KeyStores::open(&data, &scope.clock);
    let state = stores.probe_keyring();
    let kept = stores.list().unwrap_or_default();
    let holds_keys = kept.iter().any(|key| key.store == StoreKind::Keyring);
    judge_keyring(&state, holds_keys, scope.here.ssh)
}

fn judge_keyring(state: &StoreState, holds_keys: bool, ssh: bool) -> Judgement {
    let judged: fn(&'static str, String, String) -> Judgement = match holds_keys {
        true => |code, what, fix| Judgement::error(code, what, fix),
        false => |code, what, fix| {
            Judgement::note(code, what + " Keys are kept in encrypted files instead.", fix)
        },
    };
    let what = |trouble: &Trouble| {
        let over_ssh =
            if ssh { " Over SSH it opens only after a login at the desktop." } else { "" };
        sentence(&trouble.why) + over_ssh
    };
    match state {
        StoreState::Works => Judgement::fine(format!("The {KEYRING_NAME} can be used.")),
        StoreState::Locked(why) => judged("keyring-locked", what(why), sentence(&why.fix)),
        StoreState::Absent(why) => judged("keyring-absent", what(why), sentence(&why.fix)),
    }
}

/// Whether there is a key that can sign.
pub(super) fn hotkey(scope: &Scope) -> Judgement {
    if scope.practises() {
        return Judgement::fine("The practice swarm needs no hotkey of yours.");
    }
    let settings = scope.usable_settings();
    if devices_of(&settings).is_ok_and(|devices| !devices.is_empty()) {
        return Judgement::fine("Each device has a hotkey of its own.");
    }
    judge_source(scope, source_of(&settings))
}

/// Whether the key that a source names can sign.
pub(super) fn judge_source(scope: &Scope, source: Result<HotkeySource, Failure>) -> Judgement {
    match source {
        Ok(HotkeySource::File(path)) => of_file(&path),
        Ok(HotkeySource::Stored(name)) => {
            let Ok(folders) = &scope.folders else {
                let what = "There is no folder in which a key could be kept.";
                return Judgement::warning(
                    "no-hotkey",
                    what,
                    "Set HEARTH_HOME to a folder that may be written.",
                );
            };
            let stores = KeyStores::open(&folders.data, &scope.clock);
            match stores.choose(name.as_ref()) {
                Ok(key) => Judgement::fine(format!(
                    "The hotkey {} ({}) is kept in the {}.",
                    key.name, key.address, key.store
                )),
                Err(KeyStoreError::NoKeys) => Judgement::warning(
                    "no-hotkey",
                    "There is no hotkey yet: the practice swarm needs none, a network does.",
                    "`hearth setup`, or `hearth keys new`.",
                ),
                Err(error) => Judgement::error(
                    "key-store",
                    sentence(&error.to_string()),
                    "`hearth keys list` shows what there is.",
                ),
            }
        }
        Err(failure) => Judgement::error(
            "config-value",
            sentence(&failure.line),
            "Correct it: `hearth config set hotkey NAME`.",
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
    if scope.practises() {
        return Judgement::fine("The practice swarm pays nobody, so no address is needed.");
    }
    judge_payout(&scope.usable_settings())
}

/// As a run with these settings would join.
fn judge_payout(settings: &Settings) -> Judgement {
    match source_of(settings).and_then(|source| joining(settings, &source)) {
        Ok(Joining::Metagraph) => Judgement::fine("The chain pays the owner of the hotkey."),
        Ok(Joining::Pool(Some(address))) => Judgement::fine(format!("The pool pays {address}.")),
        Ok(Joining::Pool(None)) => Judgement::warning(
            "payout-unset",
            "No payout address is set: a pool pays nobody for this miner's work, and nothing later for \
             the time until there is one.",
            "`hearth config set payout_address ADDRESS`, or make one with `hearth keys new --payout`.",
        ),
        Err(failure) => {
            let fix = "Correct it: `hearth config set KEY VALUE`.";
            Judgement::error("config-value", sentence(&failure.line), fix)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::judged;
    use crate::telemetry::Severity;

    #[test]
    fn who_is_paid_is_judged_as_a_run_would_join() {
        let of = |variables: &[(&str, &str)]| {
            let value = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let settings =
                Settings::read(None, std::path::Path::new("nowhere"), value, Vec::new()).unwrap();
            judged(&judge_payout(&settings))
        };
        assert_eq!(of(&[]), "payout-unset");
        // A key file alone is a registered hotkey's, and the chain pays its owner.
        assert_eq!(of(&[("HEARTH_HOTKEY_FILE", "hot")]), "fine");
        assert_eq!(of(&[("HEARTH_HOTKEY_FILE", "hot"), ("HEARTH_JOIN", "pool")]), "payout-unset");
        assert_eq!(of(&[("HEARTH_JOIN", "club")]), "config-value");
        assert_eq!(of(&[("HEARTH_PAYOUT_ADDRESS", "5abc")]), "config-value");
    }

    #[test]
    fn a_keyring_matters_only_where_it_holds_the_key() {
        let trouble = || Trouble { why: "nobody answers on the bus".into(), fix: "log in".into() };
        let judged = |state: &StoreState, holds| match judge_keyring(state, holds, true) {
            Judgement::Fine(_) => ("fine", Severity::Info),
            Judgement::Trouble { code, severity, what, .. } => {
                assert!(what.contains("SSH"), "{what}");
                (code, severity)
            }
        };
        assert_eq!(judged(&StoreState::Works, true).0, "fine");
        let (locked, absent) = (StoreState::Locked(trouble()), StoreState::Absent(trouble()));
        assert_eq!(judged(&locked, true), ("keyring-locked", Severity::Error));
        assert_eq!(judged(&locked, false), ("keyring-locked", Severity::Info));
        assert_eq!(judged(&absent, false), ("keyring-absent", Severity::Info));
    }
}

//! Whether the hotkey has a place on the chain, if a node of it was named.

use std::time::Duration;

use super::finding::Judgement;
use super::scope::Scope;
use super::settings::sentence;
use crate::cli::earnings::chain::watch_within;
use crate::cli::earnings::own::own_hotkey;
use crate::cli::run::{hotkey as source_of, joining};
use crate::config::settings::Key;
use crate::earnings::chain::{Fact, Known, Registration};
use crate::miner::Joining;

/// How long the node may take; the check itself has a little more.
const LIMIT: Duration = Duration::from_secs(10);

/// Asks the named node.
pub(super) async fn registered(scope: &Scope) -> Judgement {
    let settings = scope.usable_settings();
    let joins = source_of(&settings).and_then(|source| joining(&settings, &source));
    let needs_a_place = matches!(joins, Ok(Joining::Metagraph));
    if scope.practises() {
        return Judgement::fine("The practice swarm is on no chain.");
    }
    if settings.text(Key::ChainEndpoint).is_none() {
        return match needs_a_place {
            false => Judgement::fine(
                "No node of the chain is named; one of a pool needs no place on it.",
            ),
            true => Judgement::note(
                "chain-not-asked",
                "No node of the chain is named, so nobody was asked whether the hotkey is registered.",
                "`hearth config set chain_endpoint wss://...`, with a node that you trust.",
            ),
        };
    }
    let Ok(folders) = &scope.folders else {
        return Judgement::note("chain-not-asked", "There is no folder for Hearth's files.", "");
    };
    let Some(hotkey) = own_hotkey(&settings, folders, &scope.clock) else {
        let what = "There is no hotkey to ask the chain about.";
        return Judgement::note("chain-not-asked", what, "`hearth keys new` makes one.");
    };
    let watch = watch_within(&settings, Some(hotkey), folders, &scope.clock, LIMIT);
    let mut watch = match watch {
        Ok((watch, _)) => watch,
        Err(failure) => {
            let fix = "Correct it: `hearth config set chain_endpoint ADDRESS`.";
            return Judgement::warning(failure.code, sentence(&failure.line), fix);
        }
    };
    let look = watch.look(scope.clock.unix()).await;
    if let Some(error) = look.trouble {
        let fix = "`hearth earnings chain` tries again; `hearth config set chain_endpoint` names another.";
        return Judgement::warning(error.code(), sentence(&error.to_string()), fix);
    }
    judge(look.known.as_ref(), needs_a_place)
}

fn judge(known: Option<&Known>, needs_a_place: bool) -> Judgement {
    let registration = known.map(|known| &known.reading.registration);
    let subnet = known.map_or(0, |known| known.reading.place.netuid);
    match registration {
        Some(Fact::Known(Registration::Registered { uid })) => {
            Judgement::fine(format!("The hotkey is registered on subnet {subnet}, as uid {uid}."))
        }
        Some(Fact::Known(Registration::NotRegistered)) if !needs_a_place => {
            Judgement::fine("The hotkey is not registered; one of a pool need not be.")
        }
        Some(Fact::Known(Registration::NotRegistered)) => Judgement::warning(
            "chain-not-registered",
            format!(
                "The hotkey is not registered on subnet {subnet}, so it cannot join as a miner of its own."
            ),
            "Join as one of a pool (`hearth config set join pool`), or register it; what that costs \
             cannot be recovered.",
        ),
        Some(Fact::Unknown(why)) => {
            let what = format!("The chain does not say whether the hotkey is registered: {why}.");
            Judgement::note("chain-not-asked", what, "Look for a newer version of Hearth.")
        }
        None => Judgement::note("chain-not-asked", "The chain said nothing.", ""),
    }
}

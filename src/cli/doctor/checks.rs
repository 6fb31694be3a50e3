//! The table of checks and how they are run: all at once, each within its time, each with one finding.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;

use super::finding::{Area, Finding, Judgement};
use super::scope::{Asking, Scope};
use super::{chain, graphics, keys, machine, network, rules, settings, several, system};

/// How long a check that asks nobody may take.
const SHORT: Duration = Duration::from_secs(8);
/// How long one may take that asks somebody.
const LONG: Duration = Duration::from_secs(14);

/// One check.
pub struct Check {
    /// Its name, and the code of its finding when all is well.
    pub name: &'static str,
    /// Its group.
    pub area: Area,
    run: fn(Arc<Scope>) -> BoxFuture<'static, Judgement>,
}

/// A check that may block: it gets a thread of its own.
macro_rules! blocking {
    ($look:path) => {
        |scope| Box::pin(on_a_thread(move || $look(&scope)))
    };
}

/// A check that waits for others.
macro_rules! waiting {
    ($look:path) => {
        |scope| Box::pin(async move { $look(&scope).await })
    };
}

async fn on_a_thread(look: impl FnOnce() -> Judgement + Send + 'static) -> Judgement {
    match tokio::task::spawn_blocking(look).await {
        Ok(judgement) => judgement,
        Err(error) => broke(&error.to_string()),
    }
}

fn broke(why: &str) -> Judgement {
    let what = format!("This check itself failed ({why}).");
    Judgement::warning("check-broke", what, "Please report it: it is a fault in Hearth.")
}

const fn check(
    name: &'static str,
    area: Area,
    run: fn(Arc<Scope>) -> BoxFuture<'static, Judgement>,
) -> Check {
    Check { name, area, run }
}

/// The checks of every system.
const EVERYWHERE: [Check; 20] = [
    check("settings", Area::Settings, blocking!(settings::settings)),
    check("folders", Area::Settings, blocking!(settings::folders)),
    check("tokenizer", Area::Settings, blocking!(settings::tokenizer)),
    check("memory", Area::Machine, blocking!(machine::memory)),
    check("disk", Area::Machine, blocking!(machine::disk)),
    check("power", Area::Machine, waiting!(machine::power)),
    check("sleep", Area::Machine, waiting!(machine::sleep)),
    check("rules", Area::Machine, waiting!(rules::rules)),
    check("other-miners", Area::Machine, blocking!(machine::other_miners)),
    check("graphics-driver", Area::Graphics, blocking!(graphics::driver)),
    check("device", Area::Graphics, waiting!(graphics::device)),
    check("kernels", Area::Graphics, waiting!(graphics::kernels)),
    check("fit", Area::Graphics, waiting!(graphics::fits)),
    check("devices", Area::Graphics, blocking!(several::devices)),
    check("keyring", Area::Keys, blocking!(keys::keyring)),
    check("hotkey", Area::Keys, blocking!(keys::hotkey)),
    check("payout", Area::Keys, blocking!(keys::payout)),
    check("surroundings", Area::System, blocking!(system::surroundings)),
    check("terminal", Area::System, waiting!(system::terminal)),
    check("network", Area::Network, blocking!(network::whom)),
];

/// The checks of this system alone.
#[cfg(target_os = "linux")]
const HERE: [Check; 2] = [
    check("lingering", Area::System, blocking!(system::linux::lingering)),
    check("wsl-network", Area::System, waiting!(system::linux::wsl_network)),
];

/// The checks of this system alone.
#[cfg(target_os = "macos")]
const HERE: [Check; 3] = [
    check("quarantine", Area::System, waiting!(system::macos::quarantine)),
    check("keychain-prompt", Area::System, waiting!(system::macos::keychain_prompt)),
    check("app-nap", Area::System, waiting!(system::macos::app_nap)),
];

/// The checks of this system alone.
#[cfg(windows)]
const HERE: [Check; 4] = [
    check("quarantine", Area::System, waiting!(system::windows::quarantine)),
    check("defender", Area::System, waiting!(system::windows::defender)),
    check("firewall", Area::System, waiting!(system::windows::firewall)),
    check("service-account", Area::System, blocking!(system::windows::service_account)),
];

/// The checks of this system alone: none.
#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
const HERE: [Check; 0] = [];

/// The checks that ask the chosen network.
const OUTSIDE: [Check; 7] = [
    check("dns", Area::Network, waiting!(network::names)),
    check("tls", Area::Network, waiting!(network::certificate)),
    check("orchestrator", Area::Network, waiting!(network::orchestrator)),
    check("clock", Area::Network, waiting!(network::clock)),
    check("bridge", Area::Network, waiting!(network::bridge)),
    check("reachability", Area::Network, waiting!(network::reachability)),
    check("chain", Area::Network, waiting!(chain::registered)),
];

/// The checks that make sense for a scope, in the order of their groups.
pub fn checks(scope: &Scope) -> Vec<&'static Check> {
    let outside = match (scope.asking, &scope.target) {
        (Asking::Network, Some(_)) => &OUTSIDE[..],
        _ => &[],
    };
    EVERYWHERE.iter().chain(&HERE).chain(outside).collect()
}

/// Runs all checks at once; `tell` hears each finding when it is there, the fast ones first.
pub async fn examine(scope: &Arc<Scope>, mut tell: impl FnMut(Finding)) {
    let run = |check: &'static Check| {
        let scope = Arc::clone(scope);
        async move {
            let limit = if check.area == Area::Network { LONG } else { SHORT };
            let judged = scope.clock.timeout(limit, (check.run)(Arc::clone(&scope))).await;
            Finding::of(check.name, check.area, judged.unwrap_or_else(|late| too_late(late.0)))
        }
    };
    let mut running: FuturesUnordered<_> = checks(scope).into_iter().map(run).collect();
    while let Some(finding) = running.next().await {
        tell(finding);
    }
}

fn too_late(limit: Duration) -> Judgement {
    let what = format!("This could not be found out within {} s.", limit.as_secs());
    Judgement::warning(
        "check-timed-out",
        what,
        "Run `hearth doctor` again when the machine is less busy.",
    )
}

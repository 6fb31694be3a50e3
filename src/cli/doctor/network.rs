//! Checks that ask somebody: only the servers of the chosen network, and its relay. One visit to the
//! orchestrator answers for its certificate, its health and the clock.

use std::time::Duration;

use reqwest::header::DATE;
use reqwest::{Method, StatusCode, Url};

use super::finding::Judgement;
use super::scope::{Asking, Scope};
use super::settings::sentence;
use crate::cli::run::{Relays, hosts, relays};
use crate::clock::{Clock, Entropy};
use crate::config::Constants;
use crate::config::network::{Hosts, NetworkChoice};
use crate::config::settings::{Key, Settings};
use crate::network::Traffic;
use crate::network::http::{Answer, ExchangeError, HttpClient, Route, skew};
use crate::network::peers::probe::probe;
use crate::network::peers::{PeerReach, RelayChoice, Verdict};

/// How long one look-up, one visit or the relay may take.
const LIMIT: Duration = Duration::from_secs(9);
/// Largest answer read.
const MOST: usize = 64 << 10;
/// A request that looks older than ten seconds to the orchestrator is refused; what the way takes must
/// fit in as well.
const REFUSED_BEHIND: i64 = 8;
/// More than this is no rounding any more.
const NOTICED: i64 = 3;

/// Whom to ask.
#[derive(Clone, Debug)]
pub struct Target {
    /// The network.
    pub network: NetworkChoice,
    /// Its servers.
    pub hosts: Hosts,
    /// How other miners would reach this one.
    pub reach: PeerReach,
    /// Its numbers.
    pub constants: Constants,
}

impl Target {
    /// The network of the settings, as `hearth run` would take it; none for the practice swarm, and
    /// where the settings cannot be understood.
    pub fn of(settings: &Settings) -> Option<Self> {
        let network = settings.get::<NetworkChoice>(Key::Network).ok()?;
        let network = network.map_or(NetworkChoice::Mainnet, |given| given.value);
        let constants = settings.constants(Constants::live()).ok()?;
        let hosts = hosts(&network, &constants).ok()?;
        let relays = match relays(settings).ok()? {
            Relays::Default => RelayChoice::IrohDefault,
            Relays::Off => RelayChoice::None,
            Relays::These(list) => RelayChoice::Listed(list),
        };
        let port = settings.get::<u16>(Key::PeerPort).ok()?.map(|port| port.value);
        let reach = match hosts.are_local() {
            true => PeerReach::Loopback,
            false => PeerReach::Internet { port: port.filter(|port| *port != 0), relays },
        };
        Some(Self { network, hosts, reach, constants })
    }
}

/// What came of the visit to the orchestrator.
#[derive(Debug)]
pub(super) enum Visit {
    /// An answer, how long it took, and what the clock said when it came.
    Answered { answer: Answer, took: Duration, unix: Duration },
    /// None.
    Failed(String),
}

/// Whom the checks ask.
pub(super) fn whom(scope: &Scope) -> Judgement {
    match (&scope.target, scope.asking) {
        (Some(target), _) => {
            let (first, second) = (&target.hosts.orchestrator, &target.hosts.bridge);
            Judgement::fine(format!(
                "The network is {}: {first} and {second} are asked.",
                target.network
            ))
        }
        (None, Asking::Nobody) => Judgement::note(
            "offline",
            "Nothing outside this machine was asked, so servers, clock and reachability are not known.",
            "`hearth doctor` without --offline asks the chosen network.",
        ),
        (None, Asking::Network) if scope.settings.is_ok() && !scope.has_chosen() => {
            Judgement::note(
                "network-none",
                "No network is chosen yet, so nobody was asked.",
                "`hearth doctor --network mainnet` asks the servers of the network that pays, and the relays.",
            )
        }
        (None, Asking::Network) => match scope.practises() {
            true => Judgement::fine("The network is the practice swarm, on this machine alone."),
            false => Judgement::note(
                "not-checked",
                "The settings do not say which network to ask.",
                "Correct the settings first: `hearth config check`.",
            ),
        },
    }
}

/// A check of a scope without a target is never in the table.
fn nobody() -> Judgement {
    Judgement::note(
        "not-checked",
        "There is no network to ask.",
        "Choose one: `hearth config set network mainnet`.",
    )
}

/// Whether the servers' names lead anywhere.
pub(super) async fn names(scope: &Scope) -> Judgement {
    let Some(target) = &scope.target else { return nobody() };
    let mut found = Vec::new();
    for url in [&target.hosts.orchestrator, &target.hosts.bridge] {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().unwrap_or(443);
        let Err(why) = resolve(&scope.clock, &host, port).await else {
            found.push(host);
            continue;
        };
        let what = format!("The name {host} cannot be looked up ({why}).");
        let fix = "Check the internet connection and the system's DNS settings.";
        return Judgement::error("dns-failed", what, fix);
    }
    found.dedup();
    Judgement::fine(format!("{} can be looked up.", found.join(" and ")))
}

async fn resolve(clock: &Clock, host: &str, port: u16) -> Result<(), String> {
    match clock.timeout(LIMIT, tokio::net::lookup_host((host, port))).await {
        Ok(Ok(mut addresses)) => addresses.next().map(drop).ok_or("it has no address".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(late) => Err(late.to_string()),
    }
}

async fn visit<'a>(scope: &'a Scope, target: &Target) -> &'a Visit {
    let url = at(&target.hosts.orchestrator, "healthcheck");
    scope.visit.get_or_init(|| get(&scope.clock, url, &target.hosts)).await
}

fn at(server: &Url, path: &str) -> Url {
    let mut url = server.clone();
    url.set_path(&format!("{}/{path}", server.path().trim_end_matches('/')));
    url
}

/// One request without a signature: nobody needs to know who asks.
async fn get(clock: &Clock, url: Url, hosts: &Hosts) -> Visit {
    let route = if hosts.are_local() { Route::Loopback } else { Route::Internet };
    let client = match HttpClient::new(route, LIMIT, clock.clone(), Traffic::default()) {
        Ok(client) => client,
        Err(error) => return Visit::Failed(error.to_string()),
    };
    let request = match client.requests().request(Method::GET, url).build() {
        Ok(request) => request,
        Err(error) => return Visit::Failed(error.to_string()),
    };
    let asked = clock.now();
    match client.exchange(request, MOST, LIMIT).await {
        Ok(answer) => {
            Visit::Answered { answer, took: clock.now().since(asked), unix: clock.unix() }
        }
        Err(ExchangeError::Timeout(limit)) => {
            Visit::Failed(format!("it did not answer within {} s", limit.as_secs()))
        }
        Err(error) => Visit::Failed(error.to_string()),
    }
}

/// Whether the orchestrator proves who it is.
pub(super) async fn certificate(scope: &Scope) -> Judgement {
    let Some(target) = &scope.target else { return nobody() };
    let server = &target.hosts.orchestrator;
    if server.scheme() != "https" {
        return if target.hosts.are_local() {
            Judgement::fine("The server is on this machine: nothing needs to be encrypted.")
        } else {
            let what =
                format!("{server} is spoken to in the open: everybody on the way reads along.");
            Judgement::warning(
                "not-encrypted",
                what,
                "Ask whoever hosts the swarm for an https address.",
            )
        };
    }
    match visit(scope, target).await {
        Visit::Answered { .. } => Judgement::fine("The orchestrator's certificate is in order."),
        Visit::Failed(why) if is_about_certificates(why) => {
            let what = format!("The orchestrator's certificate is not accepted ({why}).");
            let fix = "Check the machine's date; a proxy or virus scanner that opens connections must have its certificate installed in the system.";
            Judgement::error("tls-failed", what, fix)
        }
        Visit::Failed(_) => {
            let what = "The orchestrator was not reached, so its certificate was not seen.";
            Judgement::note("not-checked", what, "See what is said of the orchestrator.")
        }
    }
}

fn is_about_certificates(why: &str) -> bool {
    let why = why.to_lowercase();
    ["certificate", "tls", "unknownissuer", "handshake"].iter().any(|word| why.contains(word))
}

/// Whether the orchestrator answers.
pub(super) async fn orchestrator(scope: &Scope) -> Judgement {
    let Some(target) = &scope.target else { return nobody() };
    judge_server(&target.hosts.orchestrator, "orchestrator", visit(scope, target).await)
}

/// Whether the bridge, where miners find each other, answers.
pub(super) async fn bridge(scope: &Scope) -> Judgement {
    let Some(target) = &scope.target else { return nobody() };
    let visit = get(&scope.clock, target.hosts.bridge.clone(), &target.hosts).await;
    judge_server(&target.hosts.bridge, "bridge", &visit)
}

fn judge_server(server: &Url, role: &str, visit: &Visit) -> Judgement {
    match visit {
        Visit::Answered { answer, .. }
            if answer.status.is_server_error() && answer.status != StatusCode::NOT_IMPLEMENTED =>
        {
            let what =
                format!("The {role} {server} answers with status {}.", answer.status.as_u16());
            let fix = "Nothing is wrong here: wait, Hearth tries again by itself.";
            Judgement::warning("server-trouble", what, fix)
        }
        Visit::Answered { took, .. } => {
            Judgement::fine(format!("The {role} {server} answers in {} ms.", took.as_millis()))
        }
        Visit::Failed(why) => {
            let what = format!("The {role} {server} cannot be reached ({why}).");
            let fix = "Check the internet connection, that a firewall or proxy lets HTTPS to this host through, and `hearth config show network`.";
            Judgement::error("server-unreachable", what, fix)
        }
    }
}

/// Whether this machine's clock agrees with the orchestrator's.
pub(super) async fn clock(scope: &Scope) -> Judgement {
    let Some(target) = &scope.target else { return nobody() };
    let skew = match visit(scope, target).await {
        Visit::Answered { answer, took, unix } => {
            let date = answer.headers.get(DATE).and_then(|date| date.to_str().ok());
            date.and_then(|date| skew(date, *unix, *took))
        }
        Visit::Failed(_) => None,
    };
    skew.map_or_else(
        || {
            let what =
                "The orchestrator did not tell the time, so the clock could not be compared.";
            Judgement::note(
                "not-checked",
                what,
                "See to it that the system sets its clock by the network.",
            )
        },
        judge_skew,
    )
}

fn judge_skew(ahead: i64) -> Judgement {
    let seconds = ahead.unsigned_abs();
    let side = if ahead > 0 { "ahead of" } else { "behind" };
    if ahead <= -REFUSED_BEHIND {
        let what = format!(
            "This machine's clock is {seconds} s behind the network's: its requests are refused as stale."
        );
        return Judgement::error("clock-skew", what, SET_CLOCK);
    }
    if ahead.abs() > NOTICED {
        let what = format!("This machine's clock is {seconds} s {side} the network's.");
        return Judgement::warning("clock-skew", what, SET_CLOCK);
    }
    Judgement::fine("The clock agrees with the network's.")
}

#[cfg(target_os = "linux")]
const SET_CLOCK: &str = "Run `sudo timedatectl set-ntp true`.";
#[cfg(target_os = "macos")]
const SET_CLOCK: &str =
    "Run `sudo sntp -sS time.apple.com`, and switch on \"Set time automatically\".";
#[cfg(windows)]
const SET_CLOCK: &str =
    "As administrator, run `w32tm /resync`, and switch on \"Set time automatically\".";
#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
const SET_CLOCK: &str = "Let the system set its clock by the network.";

/// Whether other miners can reach this one, and by which way.
pub(super) async fn reachability(scope: &Scope) -> Judgement {
    let Some(target) = &scope.target else { return nobody() };
    let rules = &target.constants.peers;
    let seen = probe(&target.reach, rules, &scope.clock, &mut Entropy::system(), LIMIT).await;
    let seen = match seen {
        Ok(seen) => seen,
        Err(error) => {
            let fix =
                "Allow UDP for Hearth, or choose another port: `hearth config set peer_port 0`.";
            return Judgement::error("peers-blocked", sentence(&error.to_string()), fix);
        }
    };
    let relay = seen.relay_url.map(|url| format!(" The relay is {url}.")).unwrap_or_default();
    let what = seen.reachability.sentence + &relay;
    match (seen.reachability.verdict, seen.reachability.advice) {
        (Verdict::Unreachable, advice) => {
            Judgement::error("unreachable", what, advice.unwrap_or_else(|| CHECK_UDP.to_owned()))
        }
        (_, Some(advice)) => Judgement::warning("reach-limited", what, advice),
        (_, None) => Judgement::fine(what),
    }
}

const CHECK_UDP: &str =
    "Check the internet connection, and that a firewall lets HTTPS and UDP out.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_date_tells_how_far_the_clock_is_off() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let at = |unix| skew(date, Duration::from_secs(unix), Duration::from_secs(1));
        assert_eq!(at(784_111_777 + 1), Some(0));
        assert_eq!(at(784_111_777 - 60), Some(-61));
        assert_eq!(skew("yesterday", Duration::from_secs(9), Duration::ZERO), None);
    }

    #[test]
    fn a_clock_that_is_behind_is_worse_than_one_that_is_ahead() {
        let severity = |ahead| match judge_skew(ahead) {
            Judgement::Fine(_) => "fine",
            Judgement::Trouble { severity: crate::telemetry::Severity::Error, .. } => "error",
            Judgement::Trouble { .. } => "warning",
        };
        for (ahead, expected) in [
            (0, "fine"),
            (3, "fine"),
            (5, "warning"),
            (60, "warning"),
            (-5, "warning"),
            (-60, "error"),
        ] {
            assert_eq!(severity(ahead), expected, "{ahead}");
        }
    }

    #[test]
    fn the_settings_say_whom_to_ask() {
        let of =
            |text: &str| Target::of(&Settings::of_text(std::path::Path::new("x"), text).unwrap());
        let server = of("network = \"http://127.0.0.1:9\"\n").unwrap();
        assert_eq!(server.reach, PeerReach::Loopback);
        assert_eq!(of("").unwrap().network, NetworkChoice::Mainnet);
        assert!(of("network = \"practice\"\n").is_none());
        assert!(of("network = \"moon\"\n").is_none());
        let reach = of("relays = \"none\"\npeer_port = 4711\n").unwrap().reach;
        assert_eq!(reach, PeerReach::Internet { port: Some(4711), relays: RelayChoice::None });
    }
}

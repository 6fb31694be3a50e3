//! `hearth privacy`: everything that leaves this machine with the settings as they are: to whom, what,
//! and how much.

use std::io::{self, Write};

use clap::Args;
use serde::Serialize;

use super::arguments::{Consent, Relays, RunArguments, RunPlan, network};
use super::{joining_words, settings};
use crate::cli::exit::written;
use crate::cli::{Exit, Failure};
use crate::clock::Clock;
use crate::config::folders::Folders;
use crate::config::network::NetworkChoice;
use crate::config::settings::{Key, Settings};
use crate::miner::FleetTelemetry;
use crate::network::attestation::Provider;
use crate::network::disclosed::{ALL, Disclosed, HEADERS, Recipient, When};
use crate::wallet::store::KeyStores;

/// Everything that leaves this machine.
#[derive(Clone, Debug, Default, Args)]
pub struct PrivacyArguments {
    /// The settings of a run.
    #[command(flatten)]
    pub run: RunArguments,
}

/// One line of the list, for scripts.
#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    host: &'a str,
    sent: bool,
    #[serde(flatten)]
    what: &'a Disclosed,
}

/// Prints the list.
pub fn run(arguments: &PrivacyArguments) -> Result<Exit, Failure> {
    let folders = Folders::find().map_err(|error| Failure::of_folder(&error))?;
    let mut settings = settings(&arguments.run, &folders)?;
    let mut out = io::stdout().lock();
    if network(&settings)? == NetworkChoice::Practice {
        return written(match arguments.run.json {
            true => print_own_json(&settings, &mut out),
            false => writeln!(out, "{NOTHING}").and_then(|()| print_own(&settings, &mut out)),
        });
    }
    // The list is the same for every key, so none is needed; how one joins without a word about it
    // depends on whether one is kept.
    let kept = KeyStores::open(&folders.data, &Clock::system()).list();
    if kept.is_ok_and(|keys| keys.is_empty()) && settings.text(Key::Hotkey).is_none() {
        settings.assume(Key::HotkeyFile, "(none)");
    }
    let plan = RunPlan::new(&settings)?;
    written(match arguments.run.json {
        true => print_json(&plan, &mut out).and_then(|()| print_own_json(&settings, &mut out)),
        false => print(&plan, &settings, &mut out),
    })
}

/// What goes where the user alone said so, whatever the network.
fn own(settings: &Settings) -> impl Iterator<Item = (&'static Disclosed, Option<String>)> {
    let key = |what: &Disclosed| match what.call {
        "POST alert_webhook" => Some(Key::AlertWebhook),
        "POST alert_ntfy" => Some(Key::AlertNtfy),
        "GET alert_kuma" => Some(Key::AlertKuma),
        _ => match what.to {
            Recipient::Collector => Some(Key::OtelEndpoint),
            Recipient::Chain => Some(Key::ChainEndpoint),
            Recipient::Prices => Some(Key::PriceSource),
            _ => None,
        },
    };
    let theirs = ALL.iter().filter(|what| is_own(what.to));
    theirs.filter_map(move |what| {
        let key = key(what)?;
        Some((what, settings.text(key).map(|written| key.shown(&written.value))))
    })
}

fn is_own(to: Recipient) -> bool {
    matches!(to, Recipient::Alerts | Recipient::Collector | Recipient::Chain | Recipient::Prices)
}

fn print_own_json(settings: &Settings, out: &mut impl Write) -> io::Result<()> {
    for (what, host) in own(settings) {
        let (sent, host) = (host.is_some(), host.unwrap_or_default());
        let line = Line { event: "disclosure", host: &host, sent, what };
        writeln!(out, "{}", serde_json::to_string(&line).map_err(io::Error::other)?)?;
    }
    Ok(())
}

fn print_own(settings: &Settings, out: &mut impl Write) -> io::Result<()> {
    let set: Vec<_> = own(settings).filter_map(|(what, host)| Some((what, host?))).collect();
    if set.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\nWhere you wanted alerts, measurements, the chain or prices, whatever the network"
    )?;
    for (what, host) in set {
        writeln!(out, "  {} to {host}: {}", what.call, one_line(what.size))?;
        if !what.fields.is_empty() {
            writeln!(out, "      {}", what.fields.join(", "))?;
        }
    }
    Ok(())
}

const NOTHING: &str = "Nothing leaves this machine: the practice swarm listens on loopback only.";

fn print_json(plan: &RunPlan, out: &mut impl Write) -> io::Result<()> {
    for what in ALL.iter().filter(|what| !is_own(what.to)) {
        let host = host(plan, what.to);
        let line = Line { event: "disclosure", host: &host, sent: is_sent(plan, what), what };
        writeln!(out, "{}", serde_json::to_string(&line).map_err(io::Error::other)?)?;
    }
    Ok(())
}

fn print(plan: &RunPlan, settings: &Settings, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "What leaves this machine while it mines on {}.", plan.network)?;
    writeln!(out, "Joining: {}.", joining_words(&plan.joining))?;
    if plan.consent == Consent::Needed {
        writeln!(out, "No payout address is set: nobody is paid for the work.")?;
    }
    for to in [
        Recipient::Orchestrator,
        Recipient::Bridge,
        Recipient::Store,
        Recipient::Peers,
        Recipient::Relays,
        Recipient::Hub,
    ] {
        writeln!(out, "\n{}", host(plan, to))?;
        if to == Recipient::Orchestrator {
            writeln!(out, "  with each call: {}", HEADERS.join(", "))?;
        }
        for what in ALL.iter().filter(|what| what.to == to) {
            let off = if is_sent(plan, what) { "" } else { " [off]" };
            writeln!(out, "  {}{off}: {}", what.call, one_line(what.size))?;
            if !what.fields.is_empty() {
                writeln!(out, "      {}", what.fields.join(", "))?;
            }
        }
    }
    print_own(settings, out)?;
    writeln!(
        out,
        "\nNothing else: no telemetry, no location look-up, no speed test, no update check, no \
         other host."
    )
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether the settings let it leave.
fn is_sent(plan: &RunPlan, what: &Disclosed) -> bool {
    let local = plan.hosts.are_local();
    match (what.to, what.when, what.call) {
        (Recipient::Relays, ..) => !local && plan.relays != Relays::Off,
        (Recipient::Hub, ..) => plan.tokenizer_download && plan.tokenizer.is_none(),
        (_, When::Chosen, "POST /miner/fleet-telemetry") => plan.telemetry == FleetTelemetry::On,
        // No miner asks for it.
        (_, When::Chosen, "GET /public/network") => false,
        (_, When::Chosen, "POST /miner/register") => plan.disclosure.location.is_some(),
        (_, When::Chosen, _) => {
            matches!(plan.joining, crate::miner::Joining::Pool(Some(_)))
        }
        _ => true,
    }
}

/// The hosts of a recipient.
fn host(plan: &RunPlan, to: Recipient) -> String {
    match to {
        Recipient::Orchestrator => {
            let attests = match plan.attestation {
                Provider::Nobody => "",
                Provider::Program(_) => " (and what your attestation program answers)",
            };
            format!("The orchestrator, {}{attests}", plan.hosts.orchestrator)
        }
        Recipient::Bridge => format!("The bridge, {}", plan.hosts.bridge),
        Recipient::Store => "The object store that the orchestrator's addresses name".to_owned(),
        Recipient::Peers => "Other miners of the run, by the addresses in its registry".to_owned(),
        Recipient::Relays => match &plan.relays {
            Relays::Default => "Relays: those of the peer library (iroh)".to_owned(),
            Relays::Off => "Relays: none".to_owned(),
            Relays::These(list) => {
                let urls: Vec<&str> = list.iter().map(|server| server.url.as_str()).collect();
                format!("Relays: {}", urls.join(", "))
            }
        },
        Recipient::Hub => format!("The model hub, {}", plan.constants.hub),
        Recipient::Alerts => "Where you wanted alerts".to_owned(),
        Recipient::Collector => "Your OpenTelemetry collector".to_owned(),
        Recipient::Chain => "The node of the chain that you named".to_owned(),
        Recipient::Prices => "The price source that you named".to_owned(),
    }
}

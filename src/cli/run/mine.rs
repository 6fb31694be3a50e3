//! A run from start to end: one miner for each device, each with its own key and settings; shows what
//! they do, passes commands on, and lets them finish. One that ends by a fault does not stop the others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use super::arguments::{Relays, RunPlan};
use super::limits::{follow, limits};
use super::rigs::Rig;
use crate::cli::beside::ledger::{Earner, Keeping};
use crate::cli::beside::sensing::{Counted, Sensing};
use crate::cli::beside::{Beside, Running};
use crate::cli::demo::face::{Face, Shown};
use crate::cli::exit::miner_failure;
use crate::cli::print::Style;
use crate::cli::{Exit, Failure, signals};
use crate::clock::{Clock, Entropy};
use crate::config::folders::Folders;
use crate::config::live::LiveSettings;
use crate::config::network::NetworkChoice;
use crate::config::values::JoinWay;
use crate::control::{Addressee, Control, Histories, Miners, Order, Progress};
use crate::host::readings::Readings;
use crate::miner::text_source::TokenizerSource;
use crate::miner::{
    Command, Joining, Miner, MinerError, MinerHandle, MinerSettings, MinerSnapshot, Purse,
    RuleSource, Seat,
};
use crate::network::Line;
use crate::network::http::Route;
use crate::network::hub::{Download, Hub};
use crate::network::peers::{PeerIdentity, PeerReach, RelayChoice};
use crate::telemetry::logs::Ring;
use crate::telemetry::pulse::Pulse;
use crate::telemetry::{Event, Events, Severity};
use crate::training::record::Recorder;
use crate::training::terms::LearningRateRule;
use crate::tui::{Furniture, Left, TuiError};

/// Everything a run is made of.
pub(super) struct Mine {
    pub(super) plan: RunPlan,
    pub(super) settings: LiveSettings,
    pub(super) folders: Folders,
    /// At least one.
    pub(super) rigs: Vec<Rig>,
    /// Lines, or a screen.
    pub(super) shown: Shown,
    /// The screen's log lines.
    pub(super) log: Option<Ring>,
}

/// A miner that runs, as orders reach it.
struct Started {
    name: String,
    hotkey: String,
    commands: mpsc::UnboundedSender<Command>,
    snapshot: watch::Receiver<MinerSnapshot>,
    pulse: Pulse,
    purse: Purse,
}

/// The miners that have not ended, each with its name.
type Ends = JoinSet<(String, Result<(), MinerError>)>;

impl Mine {
    pub(super) async fn run(mut self, clock: &Clock) -> Result<Exit, Failure> {
        let signal = signals::watch();
        let events = Events::new();
        let mut told = events.subscribe();
        let kept = self.kept();
        let devices = self.rigs.iter().map(|rig| rig.computing.clone()).collect();
        let counted = Counted::Here;
        let (sensing, readings) =
            Sensing::start(devices, counted, &self.settings, &self.folders, clock).await;
        let line = Line::new(clock.clone());
        line.set(limits(&self.settings.now())?);
        let following = follow(self.settings.clone(), line.clone());
        tokio::pin!(following);
        let (started, mut ends) = self.start(clock, &events, &line, readings);
        let (progress, watched) = watch::channel(Progress::Running);
        let (close, closed) = watch::channel(false);
        let pulses = started.iter().map(|miner| miner.pulse.clone()).collect();
        let keeping = self.keeping(&started, &events, clock);
        let control = control(started, watched, clock)?;
        let beside = Beside::start(&Running {
            control: control.clone(),
            pulses,
            events: events.clone(),
            say: events.clone(),
            settings: self.settings.clone(),
            folders: self.folders.clone(),
            clock: clock.clone(),
        })?
        .sense(sensing, control.clone())
        .keep(keeping);
        let mut face = self.face(control.clone(), closed, clock)?;
        for kept in kept {
            if let Some(log) = &self.log {
                log.push(&kept);
            }
            // A reader that is gone already is noticed by the next event.
            let _ = face.event(&Event::Finding {
                severity: Severity::Info,
                code: "hotkey".to_owned(),
                what: kept,
                fix: String::new(),
            });
        }
        let mut failures: Vec<Failure> = Vec::new();
        let mut asked = false;
        let stop = |asked: &mut bool| {
            *asked = true;
            control.send_to_all(Command::Stop);
        };
        loop {
            tokio::select! {
                Some(event) = told.recv() => {
                    if face.event(&event).is_err() {
                        stop(&mut asked);
                    }
                }
                ended = ends.join_next() => {
                    let Some(ended) = ended else { break };
                    failures.extend(fault(ended));
                    if ends.is_empty() {
                        break;
                    }
                }
                () = &mut following => {}
                () = turned_true(signal.clone()), if !asked => stop(&mut asked),
                left = face.left(), if !asked => match left {
                    Ok(Left::Interrupted) => return Ok(Exit::Interrupted),
                    Ok(_) => stop(&mut asked),
                    // What the miner has in hand is handed in all the same.
                    Err(error @ TuiError::Broke(_)) => {
                        failures.push(Failure::of_screen(&error));
                        stop(&mut asked);
                    }
                    Err(error) => return Err(Failure::of_screen(&error)),
                },
            }
        }
        for event in rest(&mut told) {
            // Whoever read has gone; the end is the same.
            let _ = face.event(&event);
        }
        let failure = worst(failures);
        if let Some(failure) = &failure
            && !asked
        {
            // The screen stays on the reason until it is left.
            let _ = progress.send(Progress::Failed(failure.line.clone()));
            let _ = face.left_if_screen().await;
        }
        let _ = close.send(true);
        let _ = face.left_if_screen().await;
        beside.end().await;
        failure.map_or(Ok(Exit::Done), Err)
    }

    /// Where each key is kept, and on which device it mines where there are several.
    fn kept(&self) -> Vec<String> {
        let several = self.rigs.len() > 1;
        let words = |rig: &Rig| match several {
            true => format!("{} on {}: {}", rig.name, rig.device.name(), rig.signer.kept),
            false => rig.signer.kept.clone(),
        };
        self.rigs.iter().map(words).collect()
    }

    /// Starts every miner.
    fn start(
        &mut self,
        clock: &Clock,
        events: &Events,
        line: &Line,
        readings: Vec<watch::Receiver<Readings>>,
    ) -> (Vec<Started>, Ends) {
        let (mut started, mut ends) = (Vec::new(), Ends::new());
        let seats = Seat::among(self.rigs.len());
        let rigs = std::mem::take(&mut self.rigs).into_iter().zip(readings);
        for ((rig, readings), seat) in rigs.zip(seats) {
            let settings = self.miner_settings(&rig, line, readings);
            let hotkey = rig.signer.hotkey.address().to_string();
            let (clock, events) = (clock.clone(), events.clone());
            let entropy = Entropy::system();
            let miner = Miner::start_among(settings, rig.device, seat, clock, entropy, events);
            let MinerHandle { commands, snapshot, pulse, purse, join } = miner;
            let name = rig.name.clone();
            started.push(Started { name, hotkey, commands, snapshot, pulse, purse });
            ends.spawn(async move {
                let ended = join.await;
                let ended =
                    ended.unwrap_or_else(|error| Err(MinerError::Broken(error.to_string())));
                (rig.name, ended)
            });
        }
        (started, ends)
    }

    /// The ledger of these miners.
    fn keeping(&self, started: &[Started], events: &Events, clock: &Clock) -> Keeping {
        let earner = |miner: &Started| Earner {
            hotkey: miner.hotkey.clone(),
            snapshot: miner.snapshot.clone(),
            purse: miner.purse.clone(),
            paid_to: match &self.plan.joining {
                // The chain pays the hotkey.
                Joining::Metagraph => Some(miner.hotkey.clone()),
                Joining::Pool(address) => address.as_ref().map(ToString::to_string),
            },
        };
        Keeping {
            folder: self.folders.data.clone(),
            network: self.plan.network.clone(),
            server: self.plan.hosts.orchestrator.clone(),
            join: match &self.plan.joining {
                Joining::Metagraph => JoinWay::Metagraph,
                Joining::Pool(_) => JoinWay::Pool,
            },
            settings: Some(self.settings.clone()),
            earners: started.iter().map(earner).collect(),
            say: events.clone(),
            clock: clock.clone(),
        }
    }

    fn face(
        &self,
        control: Control,
        closed: watch::Receiver<bool>,
        clock: &Clock,
    ) -> Result<Face, Failure> {
        let Some(log) = self.log.clone() else {
            return Ok(
                Face::lines(self.shown.style.unwrap_or(Style::Readable), clock).with_states()
            );
        };
        let now = self.settings.now();
        let (keys, mouse) = (now.keys().clone(), now.mouse());
        let medium = self.shown.medium;
        let furniture = Furniture { log, clock: clock.clone(), keys, mouse, medium, stop: closed };
        Face::screen(control, furniture).map_err(|error| {
            Failure::new(Exit::Failed, format!("no thread for the screen: {error}"))
                .coded("no-threads")
        })
    }

    fn miner_settings(
        &self,
        rig: &Rig,
        line: &Line,
        readings: watch::Receiver<Readings>,
    ) -> MinerSettings {
        let plan = &self.plan;
        let local = plan.hosts.are_local();
        MinerSettings {
            name: rig.name.clone(),
            orchestrator: plan.hosts.orchestrator.clone(),
            bridge: plan.hosts.bridge.clone(),
            route: if local { Route::Loopback } else { Route::Internet },
            reach: if local { PeerReach::Loopback } else { self.reach(rig.peer_port) },
            peer_identity: PeerIdentity::Kept(rig.peer_identity.clone()),
            hotkey: Arc::clone(&rig.signer.hotkey),
            constants: Arc::new(plan.constants.clone()),
            // Who hosts a swarm says how fast it learns; the operator's network has its constant.
            learning_rate: match plan.network {
                NetworkChoice::Mainnet | NetworkChoice::Testnet => LearningRateRule::Constant,
                _ => LearningRateRule::FromRun,
            },
            data: self.folders.data.clone(),
            joining: plan.joining.clone(),
            disclosure: plan.disclosure.clone(),
            line: line.clone(),
            attestation: plan.attestation.clone(),
            telemetry: plan.telemetry,
            state: self.folders.state.clone(),
            tokenizer: match &plan.tokenizer {
                Some(path) => TokenizerSource::File(path.clone()),
                None => TokenizerSource::Named(self.hub()),
            },
            in_flight: None,
            recorder: Recorder::off(),
            weights_seed: GENESIS_SEED,
            rules: RuleSource::Live { settings: self.settings.clone(), readings },
        }
    }

    fn reach(&self, port: Option<u16>) -> PeerReach {
        let relays = match &self.plan.relays {
            Relays::Default => RelayChoice::IrohDefault,
            Relays::Off => RelayChoice::None,
            Relays::These(servers) => RelayChoice::Listed(servers.clone()),
        };
        PeerReach::Internet { port, relays }
    }

    fn hub(&self) -> Hub {
        let variable = |name: &str| std::env::var(name).ok();
        let base = self.plan.constants.hub.clone();
        hub_of(&self.folders.cache, base, self.plan.tokenizer_download, variable)
    }
}

/// What a face attaches to: all miners, each reached by its name.
fn control(
    started: Vec<Started>,
    progress: watch::Receiver<Progress>,
    clock: &Clock,
) -> Result<Control, Failure> {
    let mut snapshots = started.iter().map(|miner| miner.snapshot.clone());
    let Some(first) = snapshots.next() else {
        return Err(Failure::new(Exit::Failed, "no miner could be started"));
    };
    let miners = Miners::new(first, snapshots.collect());
    let names = started.iter().map(|miner| (miner.hotkey.clone(), miner.name.clone()));
    Ok(Control {
        histories: Histories::begin(miners.clone(), clock.clone()),
        miners,
        swarm: None,
        to_swarm: None,
        names: Arc::new(names.collect::<BTreeMap<_, _>>()),
        epochs: None,
        progress,
        send: Arc::new(move |order: Order| {
            let meant = |miner: &&Started| match &order.to {
                Addressee::All => true,
                Addressee::One(name) => *name == miner.name,
            };
            for miner in started.iter().filter(meant) {
                // A miner that has ended takes no commands, and needs none.
                let _ = miner.commands.send(order.command);
            }
        }),
    })
}

/// The fault by which a miner ended, if it did. While others went on it has told of it itself.
fn fault(
    ended: Result<(String, Result<(), MinerError>), tokio::task::JoinError>,
) -> Option<Failure> {
    let failure = match ended {
        Ok((_, Ok(()))) => return None,
        Ok((name, Err(error))) => miner_failure(&name, &error),
        Err(error) => miner_failure("a miner", &MinerError::Broken(error.to_string())),
    };
    tracing::warn!("{failure}");
    Some(failure)
}

/// The failure by which a run ends: the one with the highest exit code, and how many more there were.
fn worst(failures: Vec<Failure>) -> Option<Failure> {
    let others = failures.len().saturating_sub(1);
    // Of equal ones the first.
    let worst = failures.into_iter().rev().max_by_key(|failure| failure.exit as u8)?;
    Some(match others {
        0 => worst,
        1 => Failure { line: format!("{} (another device failed too)", worst.line), ..worst },
        n => Failure { line: format!("{} ({n} other devices failed too)", worst.line), ..worst },
    })
}

/// The model hub at `base` by its own conventions: `HF_HUB_CACHE`, `HF_HOME`, `HF_TOKEN`.
pub fn hub_of(
    own_cache: &Path,
    base: String,
    may_download: bool,
    variable: impl Fn(&str) -> Option<String>,
) -> Hub {
    let variable = |name: &str| variable(name).filter(|text| !text.is_empty());
    let home = variable("HF_HOME").map(PathBuf::from).or_else(|| {
        directories::BaseDirs::new().map(|dirs| dirs.home_dir().join(".cache").join("huggingface"))
    });
    let cache = variable("HF_HUB_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| home.as_ref().map(|home| home.join("hub")));
    let download = if may_download {
        let of_file = || std::fs::read_to_string(home?.join("token")).ok();
        Download::Allowed(variable("HF_TOKEN").or_else(of_file).map(Zeroizing::new))
    } else {
        Download::Forbidden
    };
    Hub { cache, shelf: own_cache.join("tokenizers"), base, download }
}

/// Seed of the first weights (spec 8.7).
const GENESIS_SEED: u64 = 42;

async fn turned_true(mut watched: watch::Receiver<bool>) {
    if watched.wait_for(|on| *on).await.is_err() {
        std::future::pending().await
    }
}

fn rest(told: &mut mpsc::UnboundedReceiver<Event>) -> Vec<Event> {
    std::iter::from_fn(|| told.try_recv().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_exit_code_ends_a_run() {
        let failure = |exit, line: &str| Failure::new(exit, line);
        assert_eq!(worst(Vec::new()), None);
        let one = failure(Exit::Failed, "one");
        assert_eq!(worst(vec![one.clone()]), Some(one.clone()));
        let two = worst(vec![one, failure(Exit::Refused, "two")]).unwrap();
        assert_eq!(
            (two.exit, two.line.as_str()),
            (Exit::Refused, "two (another device failed too)")
        );
    }
}

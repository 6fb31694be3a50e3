//! One miner from start to end: puts its settings together, shows what it does, and lets it finish.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use zeroize::Zeroizing;

use super::arguments::{Relays, RunPlan};
use crate::cli::beside::{Beside, Running};
use crate::cli::demo::face::Face;
use crate::cli::exit::miner_failure;
use crate::cli::print::Style;
use crate::cli::{Exit, Failure, signals};
use crate::clock::{Clock, Entropy};
use crate::compute::Device;
use crate::config::folders::Folders;
use crate::config::live::LiveSettings;
use crate::config::network::NetworkChoice;
use crate::control::{Control, Miners, Order, Progress};
use crate::miner::text_source::TokenizerSource;
use crate::miner::{Command, DeviceWorker, Miner, MinerError, MinerHandle, MinerSettings};
use crate::network::http::Route;
use crate::network::hub::{Download, Hub};
use crate::network::peers::{PeerIdentity, PeerReach, RelayChoice};
use crate::telemetry::logs::Ring;
use crate::telemetry::{Event, Events, Severity};
use crate::training::record::Recorder;
use crate::training::terms::LearningRateRule;
use crate::tui::Left;
use crate::wallet::HotkeyPair;

/// The name of the one miner of a run.
const NAME: &str = "m0";

/// Everything a run is made of.
pub(super) struct Mine {
    pub(super) plan: RunPlan,
    pub(super) settings: LiveSettings,
    pub(super) folders: Folders,
    pub(super) hotkey: Arc<HotkeyPair>,
    /// Where the key is kept, in words.
    pub(super) kept: String,
    pub(super) device: Arc<dyn Device>,
    /// Lines, or a screen.
    pub(super) style: Option<Style>,
    /// The screen's log lines.
    pub(super) log: Option<Ring>,
}

impl Mine {
    pub(super) async fn run(self, clock: &Clock) -> Result<Exit, Failure> {
        let signal = signals::watch();
        let events = Events::new();
        let mut told = events.subscribe();
        let worker = DeviceWorker::start(Arc::clone(&self.device)).map_err(|error| {
            Failure::new(Exit::Failed, format!("no thread for the device: {error}"))
                .coded("no-threads")
        })?;
        let mut miner = Miner::start(
            self.miner_settings(),
            worker,
            clock.clone(),
            Entropy::system(),
            events.clone(),
        );
        let (progress, watched) = watch::channel(Progress::Running);
        let (close, closed) = watch::channel(false);
        let control = self.control(&miner, watched);
        let _beside = Beside::start(&Running {
            control: control.clone(),
            pulses: vec![miner.pulse.clone()],
            events,
            settings: self.settings.clone(),
            folders: self.folders.clone(),
            clock: clock.clone(),
        })?;
        let mut face = self.face(control, closed, clock)?;
        if let Some(log) = &self.log {
            log.push(&self.kept);
        }
        // A reader that is gone already is noticed by the next event.
        let _ = face.event(&Event::Finding {
            severity: Severity::Info,
            code: "hotkey".to_owned(),
            what: self.kept.clone(),
            fix: String::new(),
        });
        let mut asked = false;
        let ended = loop {
            tokio::select! {
                Some(event) = told.recv() => {
                    if face.event(&event).is_err() {
                        stop(&miner, &mut asked);
                    }
                }
                ended = &mut miner.join => {
                    break ended.unwrap_or_else(|error| Err(MinerError::Broken(error.to_string())));
                }
                () = turned_true(signal.clone()), if !asked => stop(&miner, &mut asked),
                left = face.left(), if !asked => match left {
                    Ok(Left::Interrupted) => return Ok(Exit::Interrupted),
                    Ok(_) => stop(&miner, &mut asked),
                    Err(error) => {
                        return Err(Failure::new(Exit::Failed, error).coded("terminal-lost"));
                    }
                },
            }
        };
        for event in rest(&mut told) {
            // Whoever read has gone; the end is the same.
            let _ = face.event(&event);
        }
        let failure = ended.err().map(|error| miner_failure(NAME, &error));
        if let Some(failure) = &failure
            && !asked
        {
            // The screen stays on the reason until it is left.
            let _ = progress.send(Progress::Failed(failure.line.clone()));
            let _ = face.left_if_screen().await;
        }
        let _ = close.send(true);
        let _ = face.left_if_screen().await;
        failure.map_or(Ok(Exit::Done), Err)
    }

    fn control(&self, miner: &MinerHandle, progress: watch::Receiver<Progress>) -> Control {
        let commands = miner.commands.clone();
        Control {
            miners: Miners::one(miner.snapshot.clone()),
            swarm: None,
            names: Arc::new(BTreeMap::from([(self.hotkey.address().to_string(), NAME.to_owned())])),
            epochs: None,
            progress,
            send: Arc::new(move |order: Order| {
                // A miner that has ended takes no commands, and needs none.
                let _ = commands.send(order.command);
            }),
        }
    }

    fn face(
        &self,
        control: Control,
        closed: watch::Receiver<bool>,
        clock: &Clock,
    ) -> Result<Face, Failure> {
        let Some(log) = self.log.clone() else {
            return Ok(Face::lines(self.style.unwrap_or(Style::Readable), clock).with_states());
        };
        Face::screen(control, log, clock.clone(), closed).map_err(|error| {
            Failure::new(Exit::Failed, format!("no thread for the screen: {error}"))
                .coded("no-threads")
        })
    }

    fn miner_settings(&self) -> MinerSettings {
        let plan = &self.plan;
        let local = plan.hosts.are_local();
        MinerSettings {
            name: NAME.to_owned(),
            orchestrator: plan.hosts.orchestrator.clone(),
            bridge: plan.hosts.bridge.clone(),
            route: if local { Route::Loopback } else { Route::Internet },
            reach: if local { PeerReach::Loopback } else { self.reach() },
            peer_identity: PeerIdentity::Kept(self.folders.data.join("peer-identity")),
            hotkey: Arc::clone(&self.hotkey),
            constants: Arc::new(plan.constants.clone()),
            // Who hosts a swarm says how fast it learns; the operator's network has its constant.
            learning_rate: match plan.network {
                NetworkChoice::Mainnet | NetworkChoice::Testnet => LearningRateRule::Constant,
                _ => LearningRateRule::FromRun,
            },
            data: self.folders.data.clone(),
            joining: plan.joining.clone(),
            disclosure: plan.disclosure.clone(),
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
        }
    }

    fn reach(&self) -> PeerReach {
        let relays = match &self.plan.relays {
            Relays::Default => RelayChoice::IrohDefault,
            Relays::Off => RelayChoice::None,
            Relays::These(servers) => RelayChoice::Listed(servers.clone()),
        };
        PeerReach::Internet { port: self.plan.peer_port, relays }
    }

    fn hub(&self) -> Hub {
        let variable = |name: &str| std::env::var(name).ok();
        let base = self.plan.constants.hub.clone();
        hub_of(&self.folders.cache, base, self.plan.tokenizer_download, variable)
    }
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

/// Asks the miner to finish what it has in hand.
fn stop(miner: &MinerHandle, asked: &mut bool) {
    *asked = true;
    // It has ended by itself if nobody hears this.
    let _ = miner.commands.send(Command::Stop);
}

async fn turned_true(mut watched: watch::Receiver<bool>) {
    if watched.wait_for(|on| *on).await.is_err() {
        std::future::pending().await
    }
}

fn rest(told: &mut mpsc::UnboundedReceiver<Event>) -> Vec<Event> {
    std::iter::from_fn(|| told.try_recv().ok()).collect()
}

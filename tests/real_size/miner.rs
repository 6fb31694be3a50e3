//! The miner's own process: the library's miner on the CPU backend, saying at each change what its
//! snapshot shows and how much memory it took since the last change of state.

use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Arc;

use hearth::clock::{Clock, Entropy};
use hearth::compute::cpu::CpuDevice;
use hearth::config::Constants;
use hearth::host::memory::available;
use hearth::miner::text_source::TokenizerSource;
use hearth::miner::{
    Command, DeviceWorker, Disclosure, FleetTelemetry, Joining, Miner, MinerSettings,
    MinerSnapshot, RuleSource,
};
use hearth::model::tokenizer::Tokenizer;
use hearth::network::Route;
use hearth::network::attestation::Provider;
use hearth::network::peers::{PeerIdentity, PeerReach};
use hearth::telemetry::{Event, Events, Severity};
use hearth::training::record::Recorder;
use hearth::training::terms::LearningRateRule;
use hearth::wallet::HotkeyPair;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::memory;

/// Where the servers are, and which folder is the miner's.
pub const SERVER: &str = "HEARTH_REAL_SIZE_SERVER";
pub const FOLDER: &str = "HEARTH_REAL_SIZE_FOLDER";
/// GiB of memory that the miner leaves alone; 1 if not set.
const SPARE: &str = "HEARTH_REAL_SIZE_SPARE_GIB";
/// How a line for the test begins.
pub const MARK: &str = "real-size ";

/// What the process says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    /// The miner's snapshot as it is shown to faces.
    pub snapshot: Value,
    /// Most memory since the state changed last.
    pub peak: u64,
    /// Warnings and errors so far.
    pub findings: Vec<String>,
    /// How it ended; set in the last line.
    pub end: Option<Result<(), String>>,
}

pub fn live_if_asked() {
    let (Ok(server), Ok(folder)) = (std::env::var(SERVER), std::env::var(FOLDER)) else { return };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(live(&server, folder.as_ref()));
}

fn settings(server: &str, folder: &Path) -> MinerSettings {
    let server: url::Url = server.parse().unwrap();
    let mut constants = Constants::practice();
    // As strict as the live network with what it downloads.
    constants.training.min_cosine_similarity_download =
        Constants::live().training.min_cosine_similarity_download;
    MinerSettings {
        name: "m0".to_owned(),
        bridge: server.join("/bridge").unwrap(),
        orchestrator: server,
        route: Route::Loopback,
        reach: PeerReach::Loopback,
        peer_identity: PeerIdentity::ThrowAway,
        hotkey: Arc::new(HotkeyPair::generate(&mut Entropy::seeded(1, "key"))),
        constants: Arc::new(constants),
        learning_rate: LearningRateRule::Constant,
        data: folder.join("data"),
        joining: Joining::Metagraph,
        disclosure: Disclosure::default(),
        attestation: Provider::Nobody,
        line: hearth::network::Line::new(Clock::system()),
        telemetry: FleetTelemetry::Off,
        state: folder.join("state"),
        tokenizer: TokenizerSource::Given(Arc::new(Tokenizer::shipped().unwrap())),
        in_flight: None,
        recorder: Recorder::off(),
        weights_seed: 42,
        rules: RuleSource::Off,
    }
}

/// What the machine has, without what the test's own servers and its other users shall keep.
fn host_memory() -> Option<u64> {
    let spare = std::env::var(SPARE).ok().and_then(|gib| gib.parse().ok()).unwrap_or(1);
    available().map(|bytes| bytes.saturating_sub(spare << 30))
}

async fn live(server: &str, folder: &Path) {
    let events = Events::new();
    let mut told = events.subscribe();
    let worker = DeviceWorker::start(Arc::new(CpuDevice::new(None))).unwrap();
    let worker = worker.with_host_memory(host_memory);
    let settings = settings(server, folder);
    let entropy = Entropy::system();
    let miner = Miner::start(settings, worker, Clock::system(), entropy, events);
    let commands = miner.commands.clone();
    // A line, or the test's end, asks it to stop.
    std::thread::spawn(move || {
        let mut line = String::new();
        drop(std::io::stdin().lock().read_line(&mut line));
        // Who has ended by itself hears nothing any more.
        commands.send(Command::Stop).unwrap_or_default();
    });
    let mut snapshot = miner.snapshot.clone();
    let mut findings = Vec::new();
    let mut state = None;
    let say = |snapshot: &MinerSnapshot, findings: &[String], end| {
        let snapshot = serde_json::to_value(snapshot).unwrap();
        let line = Line { snapshot, peak: memory::peak(), findings: findings.to_vec(), end };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{MARK}{}", serde_json::to_string(&line).unwrap()).unwrap();
        out.flush().unwrap();
    };
    while snapshot.changed().await.is_ok() {
        while let Ok(event) = told.try_recv() {
            let Event::Finding { severity, code, what, .. } = event else { continue };
            if severity != Severity::Info {
                findings.push(format!("{code}: {what}"));
            }
        }
        let now = snapshot.borrow_and_update().clone();
        say(&now, &findings, None);
        let reason = (now.status.state, now.status.reason.code());
        if state != Some(reason) {
            state = Some(reason);
            memory::forget_peak();
        }
    }
    let last = snapshot.borrow().clone();
    let end = miner.ended().await.map_err(|error| error.to_string());
    say(&last, &findings, Some(end));
}

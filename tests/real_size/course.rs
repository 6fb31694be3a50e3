//! The course: a miner's process from registration over an optimizer step, the upload, the merge and
//! the merged weights to a restart, each step asserted on what the servers and peers saw and on what
//! the miner shows.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use hearth::clock::Clock;
use hearth::config::Constants;
use hearth::network::storage::Storage;
use hearth::network::{HttpClient, Route, Traffic};
use hearth::protocol::messages::Direction;
use hearth::protocol::{ActivationId, StageIndex};
use hearth::swarm::stories::Stories;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::miner::{FOLDER, Line, MARK, SERVER};
use crate::model::Model;
use crate::neighbour::Neighbour;
use crate::orchestrator::Orchestrator;

/// Longest time of one step.
const PATIENCE: Duration = Duration::from_secs(1500);
/// What a program takes that has no stage: code, runtime, connections.
const BASE: u64 = 300 << 20;
/// Bytes of the parts of uploads (spec 5.3).
const PART: u64 = 10 << 20;

/// What was found of one stage.
pub struct Row {
    name: String,
    parameters: u64,
    planned: u64,
    peak: u64,
    phases: Vec<(&'static str, f64, u64)>,
}

/// All rows, with the seconds and the peak of each step.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from("stage          parameters        planned           peak\n");
    for row in rows {
        let Row { name, parameters, planned, peak, phases } = row;
        writeln!(text, "{name:<12} {parameters:>12} {planned:>14} {peak:>14}").unwrap();
        for (phase, seconds, peak) in phases {
            writeln!(text, "  {phase:<24} {seconds:>8.1} s  peak {peak:>14}").unwrap();
        }
    }
    text
}

/// The miner's process.
struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    last: Option<Line>,
    /// Most memory so far, and since [`Process::mark`].
    peak: u64,
    step_peak: u64,
    began: Instant,
    phases: Vec<(&'static str, f64, u64)>,
}

impl Process {
    fn start(server: &str, folder: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_miners_own_process", "--ignored", "--nocapture"])
            .env(SERVER, server)
            .env(FOLDER, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let began = Instant::now();
        Self { child, lines, last: None, peak: 0, step_peak: 0, began, phases: Vec::new() }
    }

    async fn next(&mut self) -> Option<Line> {
        loop {
            let line = self.lines.next_line().await.unwrap()?;
            // The harness writes the test's name before the first one.
            let Some((_, line)) = line.split_once(MARK) else { continue };
            let line: Line = serde_json::from_str(line).unwrap();
            self.peak = self.peak.max(line.peak);
            self.step_peak = self.step_peak.max(line.peak);
            self.last = Some(line.clone());
            return Some(line);
        }
    }

    /// Waits for a snapshot of which `wanted` is true.
    async fn until(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let waiting = async {
            while let Some(line) = self.next().await {
                if wanted(&line.snapshot) {
                    return Some(line.snapshot);
                }
                assert!(line.end.is_none(), "{what}: {line:#?}");
            }
            None
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(Some(snapshot)) => snapshot,
            _ => panic!("no {what}: {:#?}", self.last),
        }
    }

    /// A step of the course ends.
    fn mark(&mut self, step: &'static str) {
        let seconds = self.began.elapsed().as_secs_f64();
        println!("  {step}: {seconds:.1} s, peak {}", self.step_peak);
        self.phases.push((step, seconds, self.step_peak));
        (self.began, self.step_peak) = (Instant::now(), 0);
    }

    /// Asks it to stop; gives its findings.
    async fn stop(&mut self) -> Vec<String> {
        self.child.stdin.take().unwrap().write_all(b"stop\n").await.unwrap();
        let ending = async {
            loop {
                let line = self.next().await.expect("a last line");
                if let Some(end) = line.end {
                    end.unwrap();
                    return line.findings;
                }
            }
        };
        let findings = tokio::time::timeout(Duration::from_secs(120), ending).await.unwrap();
        assert!(self.child.wait().await.unwrap().success());
        findings
    }
}

fn is_training(snapshot: &Value, epoch: u64) -> bool {
    snapshot["status"]["state"] == "training" && snapshot["epoch"] == epoch
}

/// One stage's course.
pub async fn run(model: &Model, stage: usize) -> Row {
    println!("{} stage {stage}", model.name);
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("miner");
    let servers = Orchestrator::start(model, stage, &folder.path().join("store")).await;
    let mut before = Neighbour::join(&servers.base, stage - 1).await;
    let mut after = match stage {
        1 => Some(Neighbour::join(&servers.base, 2).await),
        _ => None,
    };

    let mut process = Process::start(&servers.base, &home);
    let snapshot = process.until("training", |s| is_training(s, 1)).await;
    process.mark("register, build, save");
    let planned = snapshot["device"]["planned_bytes"].as_u64().unwrap();
    let line = snapshot["device"]["memory"].as_str().unwrap().to_owned();
    assert!(line.starts_with("this stage takes"), "{line}");
    println!("  {line}");
    assert_eq!(servers.seen("/miner/register").len(), 1);
    let saved = snapshots(&home);
    let parameters = parameters_of(&saved[0]);
    if let Some(known) = model.known_parameters(stage) {
        assert_eq!(parameters, known);
    }

    train(model, stage, &servers, &mut before, after.as_mut()).await;
    process.until("optimizer step", |s| s["work"]["optimizer_steps"] == 1).await;
    process.mark("train");

    servers.phase("weights_uploading", 1);
    servers.asked("/miner/submit_weights", 1, PATIENCE).await;
    process.until("upload", |s| s["status"]["reason"]["code"] == "others-uploading").await;
    process.mark("upload");
    uploaded(&servers, parameters).await;

    servers.phase("merging_partitions", 1);
    process.until("merge", |s| s["work"]["partitions_merged"] == 2).await;
    process.mark("merge");
    merged(&servers, stage, parameters).await;

    servers.phase("training", 2);
    process.until("the next epoch", |s| is_training(s, 2)).await;
    process.mark("load, save");
    assert_eq!(snapshots(&home).len(), 2, "the last epoch's snapshot is kept");
    assert_eq!(process.stop().await, Vec::<String>::new());
    process.mark("stop");

    let asked = servers.seen("/common/get_merged_partitions").len();
    let mut again = Process::start(&servers.base, &home);
    let snapshot = again.until("training again", |s| is_training(s, 2)).await;
    again.mark("restart: all of it");
    assert_eq!(snapshot["recovered"], 2, "{snapshot:#}");
    assert_eq!(snapshot["device"]["planned_bytes"], planned);
    assert_eq!(servers.seen("/miner/register").len(), 2);
    assert_eq!(servers.seen("/common/get_merged_partitions").len(), asked + 1);
    let came = |s: &Value| s["work"]["bytes_received"].as_u64() >= Some(2 * parameters);
    again.until("the bytes of the merged weights", came).await;
    assert_eq!(again.stop().await, Vec::<String>::new());

    before.leave().await;
    if let Some(after) = after {
        after.leave().await;
    }
    let peak = process.peak.max(again.peak);
    let mut phases = std::mem::take(&mut process.phases);
    phases.append(&mut again.phases);
    if cfg!(target_os = "linux") {
        let most = planned + planned / 20 + BASE;
        assert!(peak <= most, "took {peak} bytes, planned {planned}: {phases:?}");
    }
    let name = format!("{} {}", model.name, if stage == 1 { "body" } else { "tail" });
    Row { name, parameters, planned, peak, phases }
}

/// One activation there and back.
async fn train(
    model: &Model,
    stage: usize,
    servers: &Orchestrator,
    before: &mut Neighbour,
    after: Option<&mut Neighbour>,
) {
    let id = ActivationId::from("activation-1");
    let own = StageIndex(stage);
    let forward = (Direction::Forward, 1.0);
    let (sent, reports) = match after {
        Some(after) => {
            before.push(model, forward, &id, own, Some("unused".to_owned())).await;
            let (sent, _) = receive(after, model, Direction::Forward).await;
            after.push(model, (Direction::Backward, 1e-3), &id, own, None).await;
            (sent, 2)
        }
        None => {
            let sample = sample(model);
            servers.store.put("sample", sample.into_bytes()).await.unwrap();
            let sample = servers.store.presign_get("sample");
            before.push(model, forward, &id, own, Some(sample)).await;
            (id.clone(), 1)
        }
    };
    let (returned, _) = receive(before, model, Direction::Backward).await;
    assert_eq!((&sent, &returned), (&id, &id));
    let reported = servers.asked("/miner/submit_activation", reports, PATIENCE).await;
    for report in &reported {
        assert_eq!(report["activation_id"], "activation-1");
        assert_eq!(report["output_activation_hash"].as_str().map(str::len), Some(64));
    }
    assert!(reported.iter().any(|report| report["direction"] == "backward"));
    if reports == 1 {
        let loss = servers.asked("/miner/report_loss", 1, PATIENCE).await;
        let loss = loss[0]["loss"].as_f64().unwrap();
        // Fresh weights know nothing: every token is about as likely as any other.
        #[allow(clippy::cast_precision_loss)]
        let guess = (model.vocabulary as f64).ln();
        assert!((loss - guess).abs() < 1.5, "{loss} where {guess} is a guess");
    }
}

async fn receive(
    from: &mut Neighbour,
    model: &Model,
    direction: Direction,
) -> (ActivationId, Vec<f32>) {
    tokio::time::timeout(PATIENCE, from.receive(model, direction)).await.expect("a push")
}

/// A text of enough tokens.
fn sample(model: &Model) -> String {
    let tokenizer = hearth::model::tokenizer::Tokenizer::shipped().unwrap();
    let mut stories = Stories::new(3).stream("sample");
    let mut text = String::new();
    while tokenizer.encode(&text).unwrap().len() < model.tokens() {
        text.push_str(&stories.next_text());
        text.push('\n');
    }
    text
}

/// What lies in the miner's folder, newest first.
fn snapshots(home: &Path) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(home.join("data").join("snapshots")).unwrap();
    let folder = folders.map(|entry| entry.unwrap().path()).next().unwrap();
    let names = ["current.snapshot", "previous.snapshot"].map(|name| folder.join(name));
    names.into_iter().filter(|path| path.exists()).collect()
}

/// Weights and two moments of four bytes each, after a description and before a hash.
fn parameters_of(snapshot: &Path) -> u64 {
    let bytes = std::fs::metadata(snapshot).unwrap().len();
    let mut start = vec![0; 16];
    std::io::Read::read_exact(&mut std::fs::File::open(snapshot).unwrap(), &mut start).unwrap();
    let meta = u64::from_le_bytes(start[8..].try_into().unwrap());
    assert!(meta < 4096);
    (bytes - 16 - meta - 32) / 12
}

fn storage() -> Storage {
    let clock = Clock::system();
    let limit = Duration::from_secs(10);
    let http = HttpClient::new(Route::Loopback, limit, clock.clone(), Traffic::default()).unwrap();
    Storage::new(http, Constants::practice().storage, clock)
}

/// The pseudo-gradient lies in the store as the specification has it.
async fn uploaded(servers: &Orchestrator, parameters: u64) {
    let asked = servers.seen("/miner/initiate_file_upload");
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0]["file_type"], "weights");
    let bytes = 2 * parameters;
    let parts = asked[0]["num_parts"].as_u64().unwrap();
    assert!(parts == bytes.div_ceil(PART) || parts == (bytes + 4096).div_ceil(PART), "{parts}");
    assert_eq!(asked[0]["multipart"], parts > 1);
    let completed = servers.seen("/miner/complete_multipart_upload");
    assert_eq!(completed.len(), usize::from(parts > 1));
    if let Some(completed) = completed.first() {
        assert_eq!(completed["parts"].as_array().unwrap().len() as u64, parts);
    }
    let object = servers.play().weights.clone().unwrap();
    let trailer = storage().weights_trailer(&servers.store.presign_get(&object)).await.unwrap();
    assert_eq!(trailer.len as u64, parameters);
    assert_eq!((trailer.num_sections, trailer.local_optimization_steps), (2, 1));
}

/// Both partitions were merged, submitted, and lie in the store.
async fn merged(servers: &Orchestrator, stage: usize, parameters: u64) {
    let merged = servers.play().merged.clone();
    assert_eq!(merged.keys().copied().collect::<Vec<_>>(), [0, 1]);
    let storage = storage();
    let mut total = 0;
    for (chunk, object) in merged {
        let url = servers.store.presign_get(&object);
        let trailer = storage.partition_trailer(&url).await.unwrap();
        assert_eq!((trailer.chunk.0 as u64, trailer.layer.0), (chunk, stage));
        assert_eq!(trailer.optimizer_state.map(|state| state.len), Some(trailer.weights.len));
        total += trailer.weights.len as u64;
    }
    assert_eq!(total, parameters);
}

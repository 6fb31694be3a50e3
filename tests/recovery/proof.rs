//! Reads what a killed process left, as a program that never was interrupted: every miner's snapshot,
//! and from it straight on through everything that was noted, whichever process noted it. Each
//! backward must come out as the process wrote that it came out, to the bit; so the numbers with which
//! it computed were those of an uninterrupted run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hearth::clock::Clock;
use hearth::compute::cpu::CpuDevice;
use hearth::model::MomentKind;
use hearth::model::Stage;
use hearth::model::presets::Preset;
use hearth::protocol::messages::RunFlags;
use hearth::protocol::{Epoch, Hotkey, RunId, StageIndex};
use hearth::training::journal::{Change, JournalReader, Record};
use hearth::training::keep::KeepPlace;
use hearth::training::local::LocalStage;
use hearth::training::record::Recorder;
use hearth::training::recover::{Recovered, Taken, recover};
use hearth::training::snapshot::{Generation, SnapshotStore};
use hearth::training::terms::{HyperParameters, Terms};
use hearth::training::worker::Worker;
use sqlx::{ConnectOptions as _, Row as _};

use crate::process::copy;

const RUN: &str = "practice-nano";
const STAGES: usize = 3;

/// One miner's files.
struct Files {
    name: String,
    hotkey: Hotkey,
    stage: StageIndex,
    folder: PathBuf,
}

/// What the files of all miners of a killed swarm say.
#[derive(Debug, Default)]
pub struct Verdict {
    /// The swarm's phases and epochs when it died: `training 3`..
    pub state: String,
    /// Backwards of the running epochs that the orchestrator had counted.
    pub counted: u64,
    /// Of those, backwards that a miner does not get back.
    pub lost: u64,
    /// Backwards that were done again and came out the same.
    pub again: u64,
    /// Of those, after a process went on with another one's work.
    pub after_resuming: u64,
    /// Vectors of moments that were compared with what the process itself wrote later.
    pub moments: u64,
    /// Every miner with its stage and the epoch that it gets back.
    pub reached: Vec<(String, u64, u64)>,
    /// What was damaged or came out otherwise.
    pub wrong: Vec<String>,
}

/// Looks at a copy of the kept swarm's folder.
pub async fn judge(practice: &Path) -> Verdict {
    let mut verdict = Verdict::default();
    let counted = counts(&practice.join("swarm/books.sqlite"), &mut verdict).await;
    let worker = Worker::start("proof").unwrap();
    for files in miners(practice) {
        let recovered = straight_on(&worker, &files, &mut verdict).await;
        if let Some((at, _)) = recovered {
            verdict.reached.push((files.name.clone(), files.stage.0 as u64, at.0));
        }
        let of = |(key, stage, _, _): &&(String, usize, u64, u64)| {
            *key == files.hotkey.as_str() && *stage == files.stage.0
        };
        if let (Some((_, _, epoch, count)), Some((at, backwards))) =
            (counted.iter().find(of), recovered)
        {
            verdict.counted += count;
            // At zero the epoch's work was handed in.
            let kept = if at.0 == *epoch { backwards.unwrap_or(*count) } else { 0 };
            verdict.lost += count.saturating_sub(kept);
        }
        moments_of_the_next_epoch(&worker, &files, practice, &mut verdict).await;
    }
    verdict
}

/// Backwards of every miner in its stage's epoch, by the books: hotkey, stage, epoch, count.
async fn counts(books: &Path, verdict: &mut Verdict) -> Vec<(String, usize, u64, u64)> {
    if !books.exists() {
        return Vec::new();
    }
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(books);
    let mut db = options.connect().await.unwrap();
    let Ok(stages) =
        sqlx::query("SELECT phase, epoch FROM stages ORDER BY stage").fetch_all(&mut db).await
    else {
        return Vec::new();
    };
    let mut phases: Vec<String> = stages
        .iter()
        .map(|row| format!("{} {}", row.get::<String, _>(0), row.get::<i64, _>(1)))
        .collect();
    phases.dedup();
    verdict.state = phases.join(", ");
    let rows = sqlx::query(
        "SELECT p.hotkey, p.stage, s.epoch, COUNT(*) FROM passes p
         JOIN activations a ON a.id = p.activation
         JOIN stages s ON s.stage = p.stage AND s.epoch = a.epoch
         WHERE p.direction = 'backward' GROUP BY p.hotkey, p.stage, s.epoch",
    );
    let number = |row: &sqlx::sqlite::SqliteRow, at: usize| row.get::<i64, _>(at).unsigned_abs();
    let rows = rows.fetch_all(&mut db).await.unwrap();
    let count = |row: &sqlx::sqlite::SqliteRow| {
        (row.get(0), usize::try_from(number(row, 1)).unwrap(), number(row, 2), number(row, 3))
    };
    rows.iter().map(count).collect()
}

fn miners(practice: &Path) -> Vec<Files> {
    let mut found = Vec::new();
    for miner in 0..2 * STAGES {
        let name = format!("m{miner}");
        let folder = practice.join("miners").join(&name);
        let Ok(entries) = std::fs::read_dir(folder.join("snapshots")) else { continue };
        for entry in entries.map(Result::unwrap) {
            let text = entry.file_name().into_string().unwrap();
            let parts: Vec<&str> = text.split('-').collect();
            found.push(Files {
                name: name.clone(),
                hotkey: parts[0].parse().unwrap(),
                stage: StageIndex(parts[2].parse().unwrap()),
                folder: folder.clone(),
            });
        }
    }
    found
}

fn place(files: &Files, ground: String) -> KeepPlace {
    let store =
        SnapshotStore::new(&files.folder, &files.hotkey, &RunId(RUN.to_owned()), files.stage);
    KeepPlace { store, hotkey: files.hotkey.clone(), ground, clock: Clock::system() }
}

async fn stage(worker: &Worker<Stage>, files: &Files) -> LocalStage {
    let preset = Preset::named("nano").unwrap();
    let spec = preset.stage_specs(STAGES).unwrap().swap_remove(files.stage.0);
    let hyper = HyperParameters {
        batch: preset.batch,
        sequence: preset.seq,
        accumulation: u32::try_from(preset.accumulation).unwrap(),
        learning_rate: preset.learning_rate,
        grad_clip_norm: preset.grad_clip_norm,
        ..HyperParameters::default()
    };
    let terms = Terms {
        run: RunId(RUN.to_owned()),
        stage: files.stage,
        stages: STAGES,
        partitions: 2,
        epoch: Epoch(1),
        flags: RunFlags::default(),
        hyper,
        tokenizer: None,
        spec,
    };
    let device = Arc::new(CpuDevice::new(Some(1)));
    let (key, recorder) = (files.hotkey.clone(), Recorder::off());
    LocalStage::build(worker, device, terms, 1, key, recorder).await.unwrap()
}

/// What computed the journals of a miner; they are done again only by the same.
fn ground(files: &Files) -> Option<String> {
    let journals = place(files, String::new()).store.journals();
    let head = |path: &Path| Some(JournalReader::open(path, 1 << 20).ok()?.head().ground.clone());
    journals.iter().find_map(|(_, path)| head(path))
}

/// Recovers a miner's newest state; gives its epoch, and its backwards unless they are handed in.
async fn straight_on(
    worker: &Worker<Stage>,
    files: &Files,
    verdict: &mut Verdict,
) -> Option<(Epoch, Option<u64>)> {
    let ground = ground(files)?;
    let place = place(files, ground);
    for (_, path) in place.store.journals() {
        verdict.after_resuming += backwards_after_resuming(&path);
    }
    let mut stage = stage(worker, files).await;
    let recovered: Recovered = recover(&mut stage, &place, 1, &|_| {}).await.unwrap();
    let name = &files.name;
    verdict.wrong.extend(recovered.losses.iter().map(|loss| format!("{name}: {loss}")));
    if recovered.taken == Taken::Nothing {
        return None;
    }
    if !recovered.goes_on {
        verdict.wrong.push(format!("{name}: its epoch does not go on"));
    }
    verdict.again += recovered.again as u64;
    let done = stage.count().backwards;
    let handed_in = done == 0 && recovered.again > 0;
    Some((recovered.epoch, (!handed_in).then_some(done)))
}

/// Backwards that another process than the first noted in a journal.
fn backwards_after_resuming(path: &Path) -> u64 {
    let Ok(mut reader) = JournalReader::open(path, 1 << 20) else { return 0 };
    let (mut resumed, mut count) = (false, 0);
    while let Ok(Some(record)) = reader.record() {
        match record {
            Record::Change(Change::Resumed) => resumed = true,
            Record::Backward { .. } if resumed => count += 1,
            _ => {}
        }
    }
    count
}

/// The generation before the newest, gone on with to its end: its moments must be those with which the
/// process itself began the next epoch.
async fn moments_of_the_next_epoch(
    worker: &Worker<Stage>,
    files: &Files,
    practice: &Path,
    verdict: &mut Verdict,
) {
    let store = |place: &KeepPlace, generation| {
        place.store.open(generation, &files.hotkey, &RunId(RUN.to_owned()), files.stage)
    };
    let Some(ground) = ground(files) else { return };
    let here = place(files, ground.clone());
    let (Ok(mut newest), Ok(before)) =
        (store(&here, Generation::Newest), store(&here, Generation::Before))
    else {
        return;
    };
    if newest.meta.epoch.0 != before.meta.epoch.0 + 1 {
        return;
    }
    let count = newest.meta.weights;
    newest.next(count).unwrap();
    let apart = practice.with_extension(format!("{}-before", files.name));
    copy(&files.folder, &apart);
    let files = Files {
        folder: apart.clone(),
        hotkey: files.hotkey.clone(),
        name: files.name.clone(),
        ..*files
    };
    let there = place(&files, ground);
    std::fs::remove_file(there.store.current()).unwrap();
    let mut stage = stage(worker, &files).await;
    let recovered = recover(&mut stage, &there, 1, &|_| {}).await.unwrap();
    let name = &files.name;
    verdict.wrong.extend(recovered.losses.iter().map(|loss| format!("{name}, before: {loss}")));
    for moment in [MomentKind::First, MomentKind::Second] {
        let theirs = newest.next(count).unwrap();
        let ours = stage.read_moments(moment, 0..count).await.unwrap();
        if ours.iter().map(|x| x.to_bits()).ne(theirs.iter().map(|x| x.to_bits())) {
            verdict.wrong.push(format!("{name}: {moment:?} moments are others"));
        }
        verdict.moments += 1;
    }
    std::fs::remove_dir_all(apart).unwrap();
}

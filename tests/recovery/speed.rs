//! How fast a large stage comes back, beside how fast the disk reads the same file.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use hearth::clock::Clock;
use hearth::compute::cpu::CpuDevice;
use hearth::model::presets::Preset;
use hearth::protocol::messages::RunFlags;
use hearth::protocol::{Epoch, Hotkey, RunId, StageIndex};
use hearth::training::keep::KeepPlace;
use hearth::training::local::LocalStage;
use hearth::training::record::Recorder;
use hearth::training::recover::{Taken, recover};
use hearth::training::snapshot::SnapshotStore;
use hearth::training::terms::{HyperParameters, Terms};
use hearth::training::worker::Worker;

/// A stage of 63 million weights: a snapshot of three quarters of a gigabyte.
const LARGE: Preset = Preset {
    name: "large",
    vocab_size: 4096,
    emb_dim: 1024,
    bottleneck_dim: 256,
    hidden_dim: 4096,
    n_layers: 12,
    n_heads: 16,
    n_kv_groups: 8,
    seq: 32,
    batch: 1,
    local_batch: 1,
    learning_rate: 1e-3,
    accumulation: 1,
    backwards_per_epoch: 1,
    grad_clip_norm: 1.0,
};

async fn stage(hotkey: &Hotkey) -> LocalStage {
    let terms = Terms {
        run: RunId("r".to_owned()),
        stage: StageIndex(1),
        stages: 3,
        partitions: 1,
        epoch: Epoch(1),
        flags: RunFlags::default(),
        hyper: HyperParameters::default(),
        tokenizer: None,
        spec: LARGE.stage_specs(3).unwrap().swap_remove(1),
    };
    let worker = Worker::start("speed").unwrap();
    let device = Arc::new(CpuDevice::new(None));
    LocalStage::build(&worker, device, terms, 1, hotkey.clone(), Recorder::off()).await.unwrap()
}

/// Reads a file as it lies; gives bytes a second.
fn read(path: &Path) -> f64 {
    let began = Instant::now();
    let mut file = File::open(path).unwrap();
    let (mut bytes, mut buffer) = (0, vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer).unwrap() {
            0 => return bytes as f64 / began.elapsed().as_secs_f64(),
            count => bytes += count,
        }
    }
}

/// From the disk, not from memory. Needs root; without it nothing is dropped, and that is said.
fn drop_caches() {
    drop(std::process::Command::new("sync").status());
    if std::fs::write("/proc/sys/vm/drop_caches", "3").is_err() {
        println!("the page cache could not be dropped: both are read from memory");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: cargo test --release --test recovery -- --ignored --nocapture large_stage"]
async fn a_large_stage_is_back_at_most_of_the_disks_speed() {
    let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let hotkey = Hotkey::from_public_key(&[7; 32]);
    let mut first = stage(&hotkey).await;
    let store = SnapshotStore::new(folder.path(), &hotkey, &RunId("r".into()), StageIndex(1));
    let place = KeepPlace { store, hotkey, ground: "here".to_owned(), clock: Clock::system() };
    first.begin_epoch(Epoch(1), Vec::new()).await.unwrap();
    let began = Instant::now();
    first.keep(&place).await.unwrap();
    let begun = began.elapsed();
    first.kept().await.unwrap();
    let written = began.elapsed();
    drop(first);
    let path = place.store.current();
    let bytes = path.metadata().unwrap().len() as f64;
    drop_caches();
    let raw = read(&path);
    let mut again = stage(&place.hotkey).await;
    drop_caches();
    let began = Instant::now();
    let recovered = recover(&mut again, &place, 1, &|_| {}).await.unwrap();
    let back = began.elapsed();
    assert_eq!((recovered.taken, recovered.goes_on), (Taken::All, true));
    let speed = bytes / back.as_secs_f64();
    println!(
        "{:.0} MB: begun in {:.3} s, written in {:.2} s ({:.0} MB/s); read raw at {:.0} MB/s; back \
         in {:.2} s ({:.0} MB/s, {:.0} % of raw)",
        bytes / 1e6,
        begun.as_secs_f64(),
        written.as_secs_f64(),
        bytes / 1e6 / written.as_secs_f64(),
        raw / 1e6,
        back.as_secs_f64(),
        speed / 1e6,
        100.0 * speed / raw,
    );
}

//! Power cuts: everything of Hearth's lies on an ext4 file system in a file. While the practice swarm
//! trains the process is stopped and that file copied: what the kernel had not written by then is not in
//! it, as after a power cut. The copy is mounted, and the swarm must go on with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hearth::clock::Entropy;
use serde_json::Value;
use sqlx::{ConnectOptions as _, Row as _};

use crate::process::{Running, copy, hearth};
use crate::proof::{Verdict, judge};

/// What docs/recovery.md promises, and a moment for a machine that is busy with other tests.
const MOST_LOST: Duration = Duration::from_millis(5_000 + 1_500);

/// A file system that can lose its power. Mounted for as long as this lives.
struct Disk {
    folder: tempfile::TempDir,
    cuts: usize,
}

fn does(program: &str, arguments: &[&std::ffi::OsStr]) -> Result<(), String> {
    let run = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = run.map_err(|error| format!("{program}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

impl Disk {
    /// A new one; or why there can be none here.
    fn new() -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        let disk = Self { folder, cuts: 0 };
        let file = std::fs::File::create(disk.image()).unwrap();
        file.set_len(256 << 20).unwrap();
        std::fs::create_dir(disk.home()).unwrap();
        does("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), disk.image().as_ref()])?;
        disk.mount()?;
        Ok(disk)
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join(format!("disk{}", self.cuts))
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn mount(&self) -> Result<(), String> {
        let (image, home) = (self.image(), self.home());
        does("mount", &["-o".as_ref(), "loop".as_ref(), image.as_ref(), home.as_ref()])
    }

    fn unmount(&self) -> Result<(), String> {
        does("umount", &[self.home().as_ref()])
    }

    /// Cuts the power, and gives it back: what had not reached the disk is gone.
    fn cut(&mut self, running: Option<&mut Running>) {
        let before = self.image();
        self.cuts += 1;
        let after = self.image();
        // Nobody asks for anything to be written from here on; what the kernel writes by itself
        // meanwhile shows as a difference, and then the copy is of no one moment.
        while does("cp", &["--sparse=always".as_ref(), before.as_ref(), after.as_ref()])
            .and_then(|()| does("cmp", &["-s".as_ref(), before.as_ref(), after.as_ref()]))
            .is_err()
        {}
        if let Some(running) = running {
            running.kill();
        }
        self.unmount().unwrap();
        self.mount().unwrap();
        std::fs::remove_file(before).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // It may not have been mounted at all.
        let _ = self.unmount();
    }
}

fn signal(running: &Running, name: &str) {
    let id = running.child.id().to_string();
    assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
}

/// What was told before a cut, and when.
#[derive(Default)]
struct Told {
    losses: Vec<(Instant, String)>,
    /// When a stage entered an epoch.
    epochs: Vec<(Instant, u64, u64)>,
    /// Warnings and worse.
    findings: Vec<String>,
}

impl Told {
    fn note(&mut self, event: &Value) {
        let now = Instant::now();
        match event["event"].as_str().unwrap() {
            "loss" => self.losses.push((now, event["activation"].as_str().unwrap().to_owned())),
            "phase" if event["phase"] == "training" => {
                let number = |field: &str| event[field].as_u64().unwrap();
                self.epochs.push((now, number("stage"), number("epoch")));
            }
            "finding" if event["severity"] != "info" => {
                self.findings.push(format!("{}: {}", event["code"], event["what"]));
            }
            _ => {}
        }
    }

    /// Hears what is told until `time`, and then until as many losses.
    fn hear(&mut self, running: &Running, time: Instant, mut losses: usize) {
        loop {
            let left = time.saturating_duration_since(Instant::now());
            if left.is_zero() && losses == 0 {
                return;
            }
            let patience = if left.is_zero() { Duration::from_secs(60) } else { left };
            match running.events.recv_timeout(patience) {
                Ok(event) => {
                    self.note(&event);
                    if left.is_zero() && event["event"] == "loss" {
                        losses = losses.saturating_sub(1);
                    }
                }
                Err(_) => assert!(!left.is_zero(), "no loss"),
            }
        }
    }

    /// The epoch in which a stage was for longer than may be lost.
    fn safe_epoch(&self, stage: u64, cut: Instant) -> u64 {
        let known = |(at, of, _): &&(Instant, u64, u64)| {
            *of == stage && cut.saturating_duration_since(*at) > MOST_LOST
        };
        self.epochs.iter().filter(known).map(|(_, _, epoch)| *epoch).max().unwrap_or(0)
    }
}

/// What one cut did.
struct Row {
    at: Duration,
    left: Verdict,
    /// How long ago the oldest work was told of that the swarm's books have lost.
    lost: Duration,
    /// From the start of the next process to its first loss.
    back: Duration,
    wrong: Vec<String>,
}

async fn losses_in(books: &Path) -> BTreeSet<String> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(books);
    let mut db = options.connect().await.unwrap();
    let rows = sqlx::query("SELECT activation FROM losses").fetch_all(&mut db).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Small files that must never change by themselves: keys, settings.
fn kept(home: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![home.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if path.is_dir() {
                folders.push(path);
            } else if name.contains("key") || name == "config.toml" {
                found.insert(path.clone(), std::fs::read(path).unwrap());
            }
        }
    }
    found
}

fn print_row(number: usize, row: &Row) {
    let Row { at, left, lost, back, wrong } = row;
    let well = if wrong.is_empty() { "yes".to_owned() } else { wrong.join("; ") };
    println!(
        "{number:>4} {:>8.2}  {:<34} {:>8.2} {:>6} {:>9.2}  {well}",
        at.as_secs_f64(),
        left.state,
        lost.as_secs_f64(),
        left.again,
        back.as_secs_f64(),
    );
}

async fn all_is_well(cuts: usize) {
    let mut disk = match Disk::new() {
        Ok(disk) => disk,
        Err(why) => {
            println!("left out: no disk can be made and mounted here ({why})");
            return;
        }
    };
    let seed = std::env::var("HEARTH_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| Entropy::system().next_u64() >> 32);
    println!("seed {seed}: HEARTH_SEED={seed} cuts at the same points");
    let mut dice = Entropy::seeded(seed, "power");

    // What a command said it saved is saved.
    let mut setup = hearth(&disk.home());
    setup.args(["setup", "--non-interactive", "--network", "practice", "--set", "duty=99%"]);
    let said = setup.output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    disk.cut(None);
    let saved = std::fs::read_to_string(disk.home().join("config/config.toml")).unwrap();
    assert!(saved.contains("duty = \"99%\""), "{saved}");

    println!(
        "{:>4} {:>8}  {:<34} {:>8} {:>6} {:>9}  well",
        "cut", "after s", "state on the disk", "lost s", "redone", "back in s"
    );
    let mut running = Running::practice(&disk.home());
    running.until("a merge", |event| event["event"] == "merge");
    let mut keys = kept(&disk.home());
    let mut rows = Vec::new();
    for number in 1..=cuts {
        let mut told = Told::default();
        let wait = Duration::from_secs(8).mul_f64(dice.unit());
        told.hear(&running, Instant::now() + wait, dice.below(8));
        signal(&running, "-STOP");
        let cut = Instant::now();
        let at = running.started.elapsed();
        disk.cut(Some(&mut running));
        while let Ok(event) = running.events.try_recv() {
            told.note(&event);
        }

        let apart = tempfile::tempdir().unwrap();
        copy(&disk.home().join("data/practice"), apart.path());
        let books = losses_in(&apart.path().join("swarm/books.sqlite")).await;
        let gone = told.losses.iter().filter(|(_, activation)| !books.contains(activation));
        let oldest = gone.map(|(at, _)| *at).min();
        let lost = oldest.map_or(Duration::ZERO, |at| cut.saturating_duration_since(at));
        let left = judge(apart.path()).await;
        let mut wrong = left.wrong.clone();
        if lost > MOST_LOST {
            wrong.push(format!("work of {lost:.1?} ago is lost"));
        }
        for (miner, stage, epoch) in &left.reached {
            let safe = told.safe_epoch(*stage, cut);
            if *epoch < safe {
                wrong.push(format!("{miner} is in epoch {epoch}, and was in {safe} long before"));
            }
        }
        let now = kept(&disk.home());
        wrong.extend(
            keys.iter()
                .filter(|(path, was)| now.get(*path) != Some(was))
                .map(|(path, _)| format!("{} is not what it was", path.display())),
        );
        keys = now;

        running = Running::practice(&disk.home());
        let mut told = Told::default();
        told.hear(&running, Instant::now(), 1);
        let back = running.started.elapsed();
        wrong.extend(told.findings);
        let row = Row { at, left, lost, back, wrong };
        print_row(number, &row);
        rows.push(row);
    }
    // In the end it still is a swarm that trains and merges, and ends in order.
    running.until("a merge", |event| event["event"] == "merge");
    running.until("a loss", |event| event["event"] == "loss");
    assert_eq!(running.terminate(), 0);
    for (number, row) in rows.iter().enumerate() {
        assert!(row.wrong.is_empty(), "cut {}: {:?}", number + 1, row.wrong);
    }
    let again: u64 = rows.iter().map(|row| row.left.again).sum();
    println!("{cuts} cuts, {cuts} recoveries; {again} backwards done again to the bit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_costs_seconds_and_damages_nothing() {
    all_is_well(2).await;
}

/// `scripts/crash-loop.sh --power`: 20 cuts, or as many as HEARTH_CUTS says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: scripts/crash-loop.sh --power"]
async fn the_long_form_of_power_cuts() {
    let told = std::env::var("HEARTH_CUTS").ok().and_then(|cuts| cuts.parse().ok());
    all_is_well(told.unwrap_or(20)).await;
}

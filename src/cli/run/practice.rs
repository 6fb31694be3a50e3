//! `hearth run --network practice`: the practice swarm of `hearth demo`, kept. Its books, objects, keys
//! and snapshots stay in the data folder, and the next start goes on where this one stopped.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::arguments::RunArguments;
use crate::cli::demo::arguments::{DemoPlan, End, preset};
use crate::cli::demo::drive::Demo;
use crate::cli::demo::face::{self, Shown};
use crate::cli::demo::faults::Faults;
use crate::cli::demo::{open_feed, session};
use crate::cli::{Exit, Failure, device};
use crate::clock::{Clock, Entropy};
use crate::config::folders::{Folders, prepare, write_atomically, write_privately};
use crate::config::live::LiveSettings;
use crate::swarm::Rules;
use crate::swarm::feed::{Source, TokenizerChoice};
use crate::telemetry::logs::Ring;
use crate::training::record::Recorder;
use crate::wallet::HotkeyPair;
use crate::wallet::bittensor::{HotkeyFileError, read_hotkey};

/// Stages of the kept swarm.
const STAGES: usize = 3;
/// Miners of each of its stages.
const MINERS_PER_STAGE: usize = 2;
/// Version of [`Notes`].
const VERSION: u32 = 1;

/// What the swarm is, written down at its first start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Notes {
    version: u32,
    preset: String,
    /// Fixes weights and choices; drawn once.
    seed: u64,
    /// How often it was started: the stories of each start are other ones.
    starts: u64,
}

/// The folder of the kept swarm. The lock of the run sees to it that one process has it at a time.
struct Kept {
    folder: PathBuf,
    notes: Notes,
}

/// Runs the swarm until it is stopped.
pub(super) fn run(
    arguments: &RunArguments,
    compute: device::Compute,
    settings: LiveSettings,
    folders: &Folders,
    shown: Shown,
    log: Option<Ring>,
) -> Result<Exit, Failure> {
    let kept = Kept::open(folders, arguments.preset.as_deref(), &mut Entropy::system())?;
    let plan = kept.plan(&arguments.faults)?;
    let clock = Clock::system();
    let start = super::begin(arguments, folders, &clock, shown.style)?;
    let ended = (|| {
        let opened = device::open(compute, folders, &clock, &mut face::notice)?;
        face::tell(shown.style, &opened.findings, &clock)?;
        let demo = Demo {
            seed: kept.notes.seed,
            port: 0,
            folder: &kept.folder,
            keys: session::names(&plan)
                .map(|name| Ok((name.clone(), kept.key(&name, &mut Entropy::system())?)))
                .collect::<Result<_, Failure>>()?,
            device: opened.device,
            feed: open_feed(&plan)?,
            recorder: Recorder::off(),
            plan: &plan,
            run: Some((settings, folders.clone())),
            shown,
            log,
        };
        let runtime = crate::cli::runtime()?;
        let ended = runtime.block_on(demo.run(&clock));
        // Whatever still sleeps or serves is of no use any more.
        runtime.shutdown_background();
        ended
    })();
    start.ended(&ended);
    ended
}

impl Kept {
    /// Opens the folder, or makes it with a swarm of `preset` (or the default).
    fn open(
        folders: &Folders,
        wanted: Option<&str>,
        entropy: &mut Entropy,
    ) -> Result<Self, Failure> {
        let disk = |error| Failure::new(Exit::Disk, error);
        let folder = folders.data.join("practice");
        prepare(&folder).map_err(disk)?;
        let path = folder.join("practice.json");
        let mut notes = match Self::read(&path)? {
            Some(notes) => notes,
            None => {
                let preset = preset(wanted.unwrap_or("demo"))?.name.to_owned();
                let mut seed = [0; 8];
                entropy.fill(&mut seed);
                // Books keep it as a signed number.
                let seed = u64::from_le_bytes(seed) >> 1;
                Notes { version: VERSION, preset, seed, starts: 0 }
            }
        };
        if let Some(wanted) = wanted.filter(|wanted| *wanted != notes.preset) {
            let (kept, folder) = (&notes.preset, folder.display());
            let line = format!(
                "the practice swarm in {folder} is of preset {kept}, not {wanted}: leave --preset \
                 out to go on with it, or move that folder away to begin a new one"
            );
            return Err(Failure::new(Exit::Configuration, line).coded("practice-other"));
        }
        notes.starts += 1;
        let text =
            serde_json::to_vec_pretty(&notes).map_err(|error| Failure::new(Exit::Failed, error))?;
        write_atomically(&path, &text).map_err(disk)?;
        Ok(Self { folder, notes })
    }

    fn read(path: &Path) -> Result<Option<Notes>, Failure> {
        let wrong = |why: String| {
            let line = format!(
                "{} cannot be used ({why}): move the folder it is in away to begin a new practice \
                 swarm",
                path.display()
            );
            Failure::new(Exit::Configuration, line).coded("practice-damaged")
        };
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(wrong(error.to_string())),
        };
        let notes: Notes =
            serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        if notes.version != VERSION {
            return Err(wrong(format!("it is of version {}", notes.version)));
        }
        Ok(Some(notes))
    }

    fn plan(&self, faults: &[String]) -> Result<DemoPlan, Failure> {
        // Each start tells other stories, all of them known from the seed.
        let stories = self.notes.seed.wrapping_add(self.notes.starts - 1);
        let miners: Vec<String> = (0..STAGES * MINERS_PER_STAGE).map(|i| format!("m{i}")).collect();
        Ok(DemoPlan {
            faults: Faults::read(faults, &miners)?,
            say: None,
            preset: preset(&self.notes.preset)?,
            stages: STAGES,
            miners_per_stage: MINERS_PER_STAGE,
            in_flight: None,
            end: End::Never,
            source: Source::Stories { seed: stories },
            tokenizer: TokenizerChoice::Shipped,
            rules: Rules::lenient(),
        })
    }

    /// The key of a miner: drawn once, then kept, so that its score and its snapshots stay its own.
    fn key(&self, name: &str, entropy: &mut Entropy) -> Result<HotkeyPair, Failure> {
        let unusable = |error: &dyn std::fmt::Display| Failure::new(Exit::Key, error);
        let path = self.folder.join("keys").join(name);
        match read_hotkey(&path) {
            Ok((pair, _)) => Ok(pair),
            Err(HotkeyFileError::Missing(_)) => {
                let mut seed = Zeroizing::new([0; 32]);
                entropy.fill(seed.as_mut());
                let text = Zeroizing::new(hex::encode(seed.as_ref()));
                write_privately(&path, text.as_bytes())
                    .map_err(|error| Failure::new(Exit::Disk, error))?;
                HotkeyPair::from_mini_secret(&seed).map_err(|error| unusable(&error))
            }
            Err(error) => Err(unusable(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folders: &Folders, preset: Option<&str>) -> Result<Kept, Failure> {
        Kept::open(folders, preset, &mut Entropy::seeded(1, "practice"))
    }

    #[test]
    fn a_kept_swarm_stays_what_it_was() {
        let home = tempfile::tempdir().unwrap();
        let folders = Folders::under(home.path());
        let first = open(&folders, Some("nano")).unwrap();
        let address = |kept: &Kept| {
            kept.key("m0", &mut Entropy::system()).unwrap().address().as_str().to_owned()
        };
        let (notes, key) = (first.notes.clone(), address(&first));
        let second = open(&folders, None).unwrap();
        assert_eq!(second.notes, Notes { starts: 2, ..notes });
        assert_eq!(address(&second), key);
        let other = open(&folders, Some("demo")).err().unwrap();
        assert_eq!(other.exit, Exit::Configuration);
        assert!(other.line.contains("nano"), "{other}");
    }

    #[test]
    fn damaged_notes_are_named_and_not_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let folders = Folders::under(home.path());
        drop(open(&folders, None).unwrap());
        let path = folders.data.join("practice/practice.json");
        std::fs::write(&path, b"{\"version\": 7").unwrap();
        let failure = open(&folders, None).err().unwrap();
        assert!(failure.line.contains("practice.json"), "{failure}");
        assert_eq!(std::fs::read(&path).unwrap(), b"{\"version\": 7");
    }
}

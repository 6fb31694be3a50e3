//! What Hearth has on the disk, and what of it may go.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::config::folders::Folders;

/// A stage's snapshots that were not written for so long, while others were, are of no miner that runs.
const LIVING: Duration = Duration::from_secs(24 * 3600);

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Bytes of all files.
    pub(super) used: u64,
    /// What may go.
    things: Vec<Thing>,
}

/// Something that may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Thing {
    /// In words.
    pub(super) what: String,
    /// A file, or a folder with all that is in it.
    path: PathBuf,
    /// What that frees.
    pub(super) bytes: u64,
    /// When it was written last.
    written: SystemTime,
}

impl Survey {
    /// Removes what is oldest until so many bytes are free; gives what went. Blocks.
    pub(super) fn free(&self, bytes: u64) -> Vec<Thing> {
        let mut things = self.things.clone();
        things.sort_by_key(|thing| thing.written);
        let mut gone = Vec::new();
        let mut freed = 0;
        for thing in things {
            if freed >= bytes {
                break;
            }
            let removed = if thing.path.is_dir() {
                fs::remove_dir_all(&thing.path)
            } else {
                fs::remove_file(&thing.path)
            };
            match removed {
                Ok(()) => {
                    freed += thing.bytes;
                    gone.push(thing);
                }
                Err(error) => tracing::warn!("{} stays: {error}", thing.path.display()),
            }
        }
        gone
    }
}

/// A file or folder: its bytes, and when anything in it was written last.
#[derive(Clone, Copy, Debug)]
struct Weight {
    bytes: u64,
    written: SystemTime,
}

impl Weight {
    const NONE: Self = Self { bytes: 0, written: SystemTime::UNIX_EPOCH };

    fn and(self, other: Self) -> Self {
        let written = self.written.max(other.written);
        Self { bytes: self.bytes.saturating_add(other.bytes), written }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// Links are not followed: what they lead to is not ours.
fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|meta| meta.is_dir())
}

fn weigh(path: &Path) -> Weight {
    let Ok(meta) = path.symlink_metadata() else { return Weight::NONE };
    if meta.is_dir() {
        return entries(path).iter().map(|path| weigh(path)).fold(Weight::NONE, Weight::and);
    }
    let written = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    Weight { bytes: meta.len(), written }
}

/// Looks at all folders of this user. Blocks.
pub(super) fn survey(folders: &Folders) -> Survey {
    // On some platforms some of them are the same.
    let mut roots = vec![folders.data.clone(), folders.state.clone(), folders.cache.clone()];
    roots.sort();
    roots.dedup();
    let all = roots.clone();
    roots.retain(|root| !all.iter().any(|other| other != root && root.starts_with(other)));
    let used = roots.iter().map(|root| weigh(root).bytes).sum();
    let mut survey = Survey { used, things: Vec::new() };
    let mut snapshots = Vec::new();
    roots.iter().for_each(|root| find_snapshots(root, &mut snapshots));
    old_snapshots(&snapshots, &mut survey.things);
    all_but_newest(&folders.state.join("logs"), "a log file", &mut survey.things);
    all_but_newest(&folders.state.join("records"), "the record of a run", &mut survey.things);
    cached(&folders.cache, &mut survey.things);
    survey
}

/// Every folder of that name, however deep.
fn find_snapshots(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in entries(folder).into_iter().filter(|path| is_folder(path)) {
        if path.file_name() == Some(OsStr::new("snapshots")) {
            found.push(path);
        } else {
            find_snapshots(&path, found);
        }
    }
}

/// Snapshots of stages that are not trained any more, and what was found damaged. Of every miner the
/// stage that was written last stays, unless nothing was written there for a day while others wrote.
fn old_snapshots(folders: &[PathBuf], things: &mut Vec<Thing>) {
    let stages = folders.iter().flat_map(|folder| entries(folder));
    let weighed: Vec<(PathBuf, Weight)> = stages
        .filter(|stage| is_folder(stage))
        .map(|stage| {
            let weight = weigh(&stage);
            (stage, weight)
        })
        .collect();
    let newest = weighed.iter().map(|(_, weight)| weight.written).max();
    let mut last: BTreeMap<(PathBuf, String), SystemTime> = BTreeMap::new();
    for (stage, weight) in &weighed {
        let written = last.entry(owner(stage)).or_insert(weight.written);
        *written = (*written).max(weight.written);
    }
    for (stage, weight) in weighed {
        let living = newest.is_some_and(|newest| {
            newest.duration_since(weight.written).unwrap_or_default() < LIVING
        });
        if living && last.get(&owner(&stage)) == Some(&weight.written) {
            let damaged = stage.join("damaged.snapshot");
            if damaged.exists() {
                let what = "a damaged snapshot".to_owned();
                let Weight { bytes, written } = weigh(&damaged);
                things.push(Thing { what, path: damaged, bytes, written });
            }
            continue;
        }
        let what = "the snapshots of a stage that is not trained any more".to_owned();
        let Weight { bytes, written } = weight;
        things.push(Thing { what, path: stage, bytes, written });
    }
}

/// Whose a stage's folder is: where it lies, and the hotkey in its name.
fn owner(stage: &Path) -> (PathBuf, String) {
    let name = stage.file_name().map(|name| name.to_string_lossy().into_owned());
    let hotkey = name.as_deref().and_then(|name| name.split('-').next()).unwrap_or_default();
    (stage.parent().unwrap_or(stage).to_owned(), hotkey.to_owned())
}

fn all_but_newest(folder: &Path, what: &str, things: &mut Vec<Thing>) {
    let mut files: Vec<(PathBuf, Weight)> = entries(folder)
        .into_iter()
        .filter(|path| !is_folder(path))
        .map(|path| {
            let weight = weigh(&path);
            (path, weight)
        })
        .collect();
    files.sort_by(|a, b| (a.1.written, &a.0).cmp(&(b.1.written, &b.0)));
    files.pop();
    for (path, Weight { bytes, written }) in files {
        things.push(Thing { what: what.to_owned(), path, bytes, written });
    }
}

/// Everything in the cache can be had again.
fn cached(folder: &Path, things: &mut Vec<Thing>) {
    for path in entries(folder) {
        if is_folder(&path) {
            cached(&path, things);
        } else {
            let what = "something that was kept to save a download".to_owned();
            let Weight { bytes, written } = weigh(&path);
            things.push(Thing { what, path, bytes, written });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    /// A file of `bytes` that was written so many hours ago.
    fn file(path: &Path, bytes: u64, hours: u64) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = File::create(path).unwrap();
        file.set_len(bytes).unwrap();
        let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        file.set_modified(noon - Duration::from_secs(hours * 3600)).unwrap();
    }

    fn names(things: &[Thing], home: &Path) -> Vec<String> {
        let name = |thing: &Thing| {
            thing.path.strip_prefix(home).unwrap().to_string_lossy().replace('\\', "/")
        };
        things.iter().map(name).collect()
    }

    fn filled(home: &Path) -> Folders {
        let data = home.join("data/snapshots");
        // The stage that is trained, one before it, and one of a key that is not used any more.
        file(&data.join("5A-r-1/current.snapshot"), 100, 0);
        file(&data.join("5A-r-1/previous.snapshot"), 100, 90);
        file(&data.join("5A-r-1/damaged.snapshot"), 10, 5);
        file(&data.join("5A-r-0/current.snapshot"), 100, 30);
        file(&data.join("5B-r-1/current.snapshot"), 100, 50);
        // Another device's miner.
        file(&home.join("data/devices/gpu1/snapshots/5C-r-2/current.snapshot"), 100, 1);
        file(&home.join("data/keys/secret"), 5, 1000);
        file(&home.join("state/logs/hearth-1.log"), 20, 40);
        file(&home.join("state/logs/hearth-2.log"), 20, 0);
        file(&home.join("state/records/a.record"), 20, 20);
        file(&home.join("state/records/b.record"), 20, 0);
        file(&home.join("cache/tokenizers/t/tokenizer.json"), 30, 60);
        Folders::under(home)
    }

    #[test]
    fn the_oldest_goes_first_and_nothing_that_is_needed() {
        let home = tempfile::tempdir().unwrap();
        let folders = filled(home.path());
        let survey = survey(&folders);
        assert_eq!(survey.used, 625);
        let gone = survey.free(140);
        assert_eq!(
            names(&gone, home.path()),
            [
                "cache/tokenizers/t/tokenizer.json",
                "data/snapshots/5B-r-1",
                "state/logs/hearth-1.log"
            ]
        );
        let all = super::survey(&folders).free(u64::MAX);
        assert_eq!(
            names(&all, home.path()),
            [
                "data/snapshots/5A-r-0",
                "state/records/a.record",
                "data/snapshots/5A-r-1/damaged.snapshot"
            ]
        );
        assert!(super::survey(&folders).free(u64::MAX).is_empty());
        for kept in [
            "data/snapshots/5A-r-1/current.snapshot",
            "data/snapshots/5A-r-1/previous.snapshot",
            "data/devices/gpu1/snapshots/5C-r-2/current.snapshot",
            "data/keys/secret",
            "state/logs/hearth-2.log",
            "state/records/b.record",
        ] {
            assert!(home.path().join(kept).exists(), "{kept}");
        }
    }

    #[test]
    fn the_stages_of_a_machine_that_was_off_for_long_are_all_kept() {
        let home = tempfile::tempdir().unwrap();
        let folders = Folders::under(home.path());
        file(&folders.data.join("snapshots/5A-r-1/current.snapshot"), 100, 900);
        file(&folders.data.join("snapshots/5B-r-1/current.snapshot"), 100, 901);
        assert!(survey(&folders).free(u64::MAX).is_empty());
    }
}

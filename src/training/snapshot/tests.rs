//! A snapshot survives what happens to disks: torn writes, flipped bits, no room, no permission.

use std::fs;

use super::*;
use crate::model::MomentPrecision;

/// A whole snapshot in memory.
#[derive(Debug, PartialEq)]
struct Snapshot {
    meta: SnapshotMeta,
    numbers: Vec<f32>,
}

/// Reads all numbers, in uneven pieces, and has them verified.
fn whole(mut snapshot: Opened) -> Result<Snapshot, Damage> {
    let mut numbers = Vec::new();
    loop {
        let piece = snapshot.next(77)?;
        if piece.is_empty() {
            return Ok(Snapshot { meta: snapshot.finish()?, numbers });
        }
        numbers.extend(piece);
    }
}

fn write(store: &SnapshotStore, meta: &SnapshotMeta, numbers: &[f32]) -> Result<(), SaveError> {
    let mut new = store.begin(meta)?;
    numbers.chunks(99).try_for_each(|piece| new.put(piece))?;
    new.finish(&Permit::default())
}

fn meta(epoch: u64, weights: usize, optimizer: usize) -> SnapshotMeta {
    SnapshotMeta {
        hotkey: Hotkey::from_public_key(&[7; 32]),
        run: RunId("run/../../etc".into()),
        stage: StageIndex(1),
        epoch: Epoch(epoch),
        weights,
        optimizer,
        step: 5,
        moments: MomentPrecision::F32,
        mu_product_bits: 0.25_f64.to_bits(),
        progress: None,
    }
}

fn store(folder: &Path) -> SnapshotStore {
    let meta = meta(0, 0, 0);
    SnapshotStore::new(folder, &meta.hotkey, &meta.run, meta.stage)
}

fn save(store: &SnapshotStore, epoch: u64) -> Snapshot {
    let numbers: Vec<f32> = (0..1077_u16).map(|i| f32::from(i) * 0.5 - epoch as f32).collect();
    let meta = meta(epoch, 1000, 77);
    write(store, &meta, &numbers).unwrap();
    Snapshot { meta, numbers }
}

fn load(store: &SnapshotStore, generation: Generation) -> Result<Snapshot, Damage> {
    let meta = meta(0, 0, 0);
    whole(store.open(generation, &meta.hotkey, &meta.run, meta.stage)?)
}

fn newest(store: &SnapshotStore) -> Snapshot {
    load(store, Generation::Newest).unwrap()
}

fn previous(store: &SnapshotStore) -> Snapshot {
    load(store, Generation::Before).unwrap()
}

#[test]
fn the_newest_is_read_back_and_the_one_before_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    for generation in Generation::ALL {
        assert!(matches!(load(&store, generation), Err(Damage::Missing(_))));
    }
    let first = save(&store, 1);
    let second = save(&store, 2);
    assert_eq!(newest(&store), second);
    assert_eq!(previous(&store), first);
    assert!(store.current().starts_with(folder.path().join("snapshots")));
}

#[test]
fn any_flipped_byte_and_any_cut_is_noticed_and_the_previous_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let first = save(&store, 1);
    save(&store, 2);
    let good = fs::read(store.current()).unwrap();
    for place in (0..good.len()).step_by(97).chain([0, 8, 15, 20, good.len() - 1]) {
        let mut bad = good.clone();
        bad[place] ^= 0x40;
        fs::write(store.current(), &bad).unwrap();
        let damage = load(&store, Generation::Newest).unwrap_err();
        assert!(damage.to_string().contains("current.snapshot"), "{place}: {damage}");
        assert_eq!(previous(&store), first);
    }
    for length in [0, 1, 8, 17, good.len() / 2, good.len() - 1] {
        fs::write(store.current(), &good[..length]).unwrap();
        assert!(load(&store, Generation::Newest).is_err(), "cut to {length}");
    }
}

#[test]
fn a_crash_between_the_renames_leaves_the_previous_generation() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let first = save(&store, 1);
    fs::rename(store.current(), store.previous()).unwrap();
    fs::write(store.temporary(), b"torn").unwrap();
    assert_eq!(previous(&store), first);
    let second = save(&store, 2);
    assert_eq!(newest(&store), second);
}

#[test]
fn useless_generations_are_told_apart_from_missing_ones() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    save(&store, 1);
    save(&store, 2);
    fs::write(store.current(), b"x").unwrap();
    fs::write(store.previous(), b"HEARTHS1 and then nothing of sense follows").unwrap();
    for generation in Generation::ALL {
        assert!(matches!(load(&store, generation), Err(Damage::Corrupt { .. })));
    }
}

#[test]
fn a_snapshot_of_the_first_version_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let saved = save(&store, 1);
    // Only the first bytes differ, and what they are counted into.
    let mut bytes = fs::read(store.current()).unwrap();
    bytes[..8].copy_from_slice(FIRST_MAGIC);
    let end = bytes.len() - HASH_BYTES;
    let hash = *blake3::hash(&bytes[..end]).as_bytes();
    bytes[end..].copy_from_slice(&hash);
    fs::write(store.current(), bytes).unwrap();
    assert_eq!(newest(&store), saved);
}

#[test]
fn numbers_that_are_not_finite_and_foreign_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    write(&store, &meta(1, 2, 0), &[1.0, f32::NAN]).unwrap();
    let damage = load(&store, Generation::Newest).unwrap_err();
    assert!(damage.to_string().contains("finite"), "{damage}");
    let foreign = SnapshotMeta { stage: StageIndex(0), ..meta(1, 1, 0) };
    write(&store, &foreign, &[1.0]).unwrap();
    assert!(matches!(load(&store, Generation::Newest), Err(Damage::Foreign(_))));
}

#[test]
fn a_writer_whose_leave_was_withdrawn_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let first = save(&store, 1);
    let permit = Permit::default();
    let mut new = store.begin(&meta(2, 3, 0)).unwrap();
    new.put(&[1.0; 3]).unwrap();
    permit.withdraw();
    assert!(new.finish(&permit).is_err());
    assert_eq!(newest(&store), first);
}

#[test]
fn journals_go_with_their_generation() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let of = |mark: &str| Mark::try_from(mark.to_owned()).unwrap();
    for (epoch, mark) in [(1, "a"), (2, "b"), (3, "c")] {
        let (mark, joined) = (of(mark), Epoch(1));
        let progress = Progress { mark, joined, backwards: 0, steps: 0, start: 0, merged: None };
        let meta = SnapshotMeta { progress: Some(progress), ..meta(epoch, 1, 0) };
        write(&store, &meta, &[1.0]).unwrap();
    }
    let marks = ["a", "b", "c", "d", "e"].map(of);
    marks.iter().for_each(|mark| fs::write(store.journal(mark), b"").unwrap());
    store.sweep(&[of("d")]);
    let mut left: Vec<String> =
        store.journals().into_iter().map(|(mark, _)| mark.as_str().to_owned()).collect();
    left.sort();
    assert_eq!(left, ["b", "c", "d"]);
    assert!(Mark::try_from("../x".to_owned()).is_err());
}

#[test]
fn a_folder_that_cannot_be_made_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("snapshots"), b"a file where a folder should be").unwrap();
    let error = write(&store(folder.path()), &meta(1, 1, 0), &[1.0]).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("data folder") || text.contains("check the disk"), "{text}");
    let full = io::Error::from(io::ErrorKind::StorageFull);
    let text = SaveError::from_io(Path::new("/data"), 5, full).to_string();
    assert!(text.contains("full") && text.contains("/data"), "{text}");
}

#[test]
fn a_snapshot_that_is_broken_off_leaves_the_old_ones_and_no_rubbish() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let first = save(&store, 1);
    let mut new = store.begin(&meta(2, 3, 0)).unwrap();
    new.put(&[1.0]).unwrap();
    assert!(store.temporary().exists());
    drop(new);
    assert!(!store.temporary().exists());
    let mut short = store.begin(&meta(2, 3, 0)).unwrap();
    short.put(&[1.0]).unwrap();
    assert!(short.finish(&Permit::default()).is_err());
    assert!(write(&store, &meta(2, 3, 0), &[1.0; 4]).is_err());
    assert!(!store.temporary().exists());
    assert_eq!(newest(&store), first);
}

//! A snapshot survives what happens to disks: torn writes, flipped bits, no room, no permission.

use std::fs;

use super::*;

/// A whole snapshot in memory.
#[derive(Debug, PartialEq)]
struct Snapshot {
    meta: SnapshotMeta,
    numbers: Vec<f32>,
}

/// Reads all numbers, in uneven pieces.
fn whole(mut snapshot: Verified) -> Snapshot {
    let mut numbers = Vec::new();
    loop {
        let piece = snapshot.next(77).unwrap();
        if piece.is_empty() {
            return Snapshot { meta: snapshot.meta, numbers };
        }
        numbers.extend(piece);
    }
}

fn write(store: &SnapshotStore, meta: &SnapshotMeta, numbers: &[f32]) -> Result<(), SaveError> {
    let mut new = store.begin(meta)?;
    numbers.chunks(99).try_for_each(|piece| new.put(piece))?;
    new.finish()
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
        mu_product_bits: 0.25_f64.to_bits(),
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

fn load(store: &SnapshotStore) -> Found {
    let meta = meta(0, 0, 0);
    store.find(&meta.hotkey, &meta.run, meta.stage)
}

fn newest(store: &SnapshotStore) -> Snapshot {
    match load(store) {
        Found::Newest(snapshot) => whole(snapshot),
        other => panic!("{other:?}"),
    }
}

fn previous(store: &SnapshotStore) -> Snapshot {
    match load(store) {
        Found::Previous { snapshot, .. } => whole(snapshot),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_newest_is_read_back_and_the_one_before_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    assert!(matches!(load(&store), Found::Nothing));
    let first = save(&store, 1);
    let second = save(&store, 2);
    assert_eq!(newest(&store), second);
    assert_eq!(whole(Verified::open(&store.previous()).unwrap()), first);
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
        let found = load(&store);
        let Found::Previous { snapshot, newest } = found else { panic!("{place}: {found:?}") };
        assert_eq!(whole(snapshot), first);
        assert!(newest.to_string().contains("current.snapshot"), "{newest}");
    }
    for length in [0, 1, 8, 17, good.len() / 2, good.len() - 1] {
        fs::write(store.current(), &good[..length]).unwrap();
        assert!(matches!(load(&store), Found::Previous { .. }), "cut to {length}");
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
fn two_useless_generations_are_told_apart_from_none() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    save(&store, 1);
    save(&store, 2);
    fs::write(store.current(), b"x").unwrap();
    fs::write(store.previous(), b"HEARTHS1 and then nothing of sense follows").unwrap();
    assert!(matches!(load(&store), Found::Lost { .. }));
}

#[test]
fn numbers_that_are_not_finite_and_foreign_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    write(&store, &meta(1, 2, 0), &[1.0, f32::NAN]).unwrap();
    let found = load(&store);
    let Found::Lost { newest: Damage::Corrupt { what, .. }, .. } = found else {
        panic!("{found:?}")
    };
    assert!(what.contains("finite"));
    let foreign = SnapshotMeta { stage: StageIndex(0), ..meta(1, 1, 0) };
    write(&store, &foreign, &[1.0]).unwrap();
    assert!(matches!(load(&store), Found::Lost { newest: Damage::Foreign(_), .. }));
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
    assert!(short.finish().is_err());
    assert!(write(&store, &meta(2, 3, 0), &[1.0; 4]).is_err());
    assert!(!store.temporary().exists());
    assert_eq!(newest(&store), first);
}

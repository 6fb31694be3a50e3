//! A snapshot survives what happens to disks: torn writes, flipped bits, no room, no permission.

use super::*;

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
    let weights: Vec<f32> = (0..1000_u16).map(|i| f32::from(i) * 0.5 - epoch as f32).collect();
    let optimizer = vec![epoch as f32; 77];
    let meta = meta(epoch, weights.len(), optimizer.len());
    store.save(&meta, &weights, &optimizer).unwrap();
    Snapshot { meta, weights, optimizer }
}

fn load(store: &SnapshotStore) -> Found {
    let meta = meta(0, 0, 0);
    store.load(&meta.hotkey, &meta.run, meta.stage)
}

#[test]
fn the_newest_is_read_back_and_the_one_before_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    assert!(matches!(load(&store), Found::Nothing));
    let first = save(&store, 1);
    let second = save(&store, 2);
    assert!(matches!(load(&store), Found::Newest(found) if found == second));
    assert_eq!(read(&store.previous()).ok(), Some(first));
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
        assert_eq!(snapshot, first);
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
    assert!(matches!(load(&store), Found::Previous { snapshot, .. } if snapshot == first));
    let second = save(&store, 2);
    assert!(matches!(load(&store), Found::Newest(found) if found == second));
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
    store.save(&meta(1, 2, 0), &[1.0, f32::NAN], &[]).unwrap();
    let found = load(&store);
    let Found::Lost { newest: Damage::Corrupt { what, .. }, .. } = found else {
        panic!("{found:?}")
    };
    assert!(what.contains("finite"));
    let foreign = SnapshotMeta { stage: StageIndex(0), ..meta(1, 1, 0) };
    store.save(&foreign, &[1.0], &[]).unwrap();
    assert!(matches!(load(&store), Found::Lost { newest: Damage::Foreign(_), .. }));
}

#[test]
fn a_folder_that_cannot_be_made_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("snapshots"), b"a file where a folder should be").unwrap();
    let error = store(folder.path()).save(&meta(1, 1, 0), &[1.0], &[]).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("data folder") || text.contains("check the disk"), "{text}");
    let full = io::Error::from(io::ErrorKind::StorageFull);
    let text = SaveError::from_io(Path::new("/data"), 5, full).to_string();
    assert!(text.contains("full") && text.contains("/data"), "{text}");
}

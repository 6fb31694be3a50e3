//! What comes back from the disk is what there was, whenever the process died; and what is damaged is
//! noticed and does not get in the way.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::clock::Clock;
use crate::model::MomentPrecision;
use crate::protocol::Hotkey;
use crate::training::snapshot::{BYTES_A_WEIGHT, Permit, SnapshotStore};
use crate::training::test_world::{built, trained, work, world};

const SEED: u64 = 7;

fn place(stage: &LocalStage, folder: &Path) -> KeepPlace {
    let (terms, hotkey) = (stage.terms(), Hotkey::from_public_key(&[7; 32]));
    KeepPlace {
        store: SnapshotStore::new(folder, &hotkey, &terms.run, terms.stage),
        hotkey,
        ground: "here".to_owned(),
        clock: Clock::system(),
    }
}

/// Everything a stage knows, the summed gradients as what they make of a step.
#[derive(Debug, PartialEq)]
struct State {
    numbers: Vec<Vec<u32>>,
    progress: OptimizerProgress,
    count: crate::training::local::EpochCount,
    start: Vec<u32>,
    epoch: Epoch,
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

async fn state(stage: &LocalStage) -> State {
    let count = stage.param_count().await.unwrap();
    let mut numbers = vec![bits(&stage.weights().await.unwrap())];
    for moment in MOMENTS {
        numbers.push(bits(&stage.read_moments(moment, 0..count).await.unwrap()));
    }
    State {
        numbers,
        progress: stage.optimizer_progress().await.unwrap(),
        count: stage.count(),
        start: bits(stage.previous().unwrap()),
        epoch: stage.epoch(),
    }
}

/// A stage at the start of epoch 5 that keeps its durable points in `folder`.
async fn kept(folder: &Path) -> LocalStage {
    let mut stage = trained().await;
    stage.keep(&place(&stage, folder)).await.unwrap();
    stage.kept().await.unwrap();
    stage
}

/// What a new process finds there.
async fn back(folder: &Path) -> (LocalStage, Recovered) {
    let (_, _, mut fresh, _) = world().await;
    let place = place(&fresh, folder);
    let recovered = recover(&mut fresh, &place, SEED, &|_| {}).await.unwrap();
    fresh.terms_mut().hyper.accumulation = 3;
    (fresh, recovered)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn journal(stage: &LocalStage, folder: &Path) -> PathBuf {
    let mut journals = place(stage, folder).store.journals();
    assert_eq!(journals.len(), 1);
    journals.pop().unwrap().1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_the_process_dies_the_state_of_the_last_whole_record_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = kept(folder.path()).await;
    // Bytes of the journal, and what the stage was then.
    let file = journal(&stage, folder.path());
    let mut states = vec![(fs::metadata(&file).unwrap().len(), state(&stage).await)];
    for salt in 0..8 {
        work(&mut stage, salt).await;
        states.push((fs::metadata(&file).unwrap().len(), state(&stage).await));
        if stage.step_if_due().await.unwrap().is_some() {
            states.push((fs::metadata(&file).unwrap().len(), state(&stage).await));
        }
    }
    let whole = fs::read(&file).unwrap();
    let ends: Vec<u64> = states.iter().map(|(end, _)| *end).collect();
    assert!(ends.windows(2).all(|pair| pair[0] < pair[1]), "{ends:?}");
    // At every end, just before it, and somewhere within.
    for (number, end) in ends.iter().enumerate() {
        let cuts = [*end, end + 7, end + 60].into_iter().filter(|cut| *cut <= whole.len() as u64);
        for cut in cuts.filter(|cut| ends.get(number + 1).is_none_or(|next| cut < next)) {
            fs::write(&file, &whole[..usize::try_from(cut).unwrap()]).unwrap();
            let (fresh, recovered) = back(folder.path()).await;
            assert!(recovered.goes_on && recovered.losses.is_empty(), "{recovered:?}");
            let expected = &states[number].1;
            assert_eq!(recovered.again as u64, expected.count.backwards);
            assert_eq!(fresh.done().count(), recovered.again);
            assert!(state(&fresh).await == *expected, "cut at {cut} after state {number}");
        }
    }
    // A flipped byte ends it as well.
    let mut bad = whole.clone();
    bad[usize::try_from(ends[3]).unwrap() + 50] ^= 1;
    fs::write(&file, &bad).unwrap();
    let (fresh, _) = back(folder.path()).await;
    assert!(state(&fresh).await == states[3].1);
    assert!(fs::metadata(&file).unwrap().len() > ends[3], "it goes on there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_miner_that_dies_again_and_again_ends_like_one_that_never_did() {
    let (folder, quiet) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut stage = kept(folder.path()).await;
    let mut never = kept(quiet.path()).await;
    for salt in 0..14 {
        for one in [&mut stage, &mut never] {
            work(one, salt).await;
            one.step_if_due().await.unwrap();
        }
        if salt % 3 != 2 {
            continue;
        }
        if salt == 8 {
            // In the middle of the epoch, right after a step.
            let place = place(&stage, folder.path());
            stage.keep(&place).await.unwrap();
            stage.kept().await.unwrap();
        }
        drop(stage);
        let (fresh, recovered) = back(folder.path()).await;
        assert!(recovered.goes_on && recovered.losses.is_empty(), "{recovered:?}");
        stage = fresh;
    }
    assert!(state(&stage).await == state(&never).await);
    for one in [&mut stage, &mut never] {
        one.terms_mut().hyper.accumulation = 1;
        assert!(one.step_if_due().await.unwrap().is_some(), "what was summed up is stepped with");
    }
    assert!(state(&stage).await == state(&never).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_newest_generation_costs_nothing_where_the_one_before_has_its_journals() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = kept(folder.path()).await;
    for salt in 0..3 {
        work(&mut stage, salt).await;
    }
    stage.step_if_due().await.unwrap().unwrap();
    let place = place(&stage, folder.path());
    stage.keep(&place).await.unwrap();
    stage.kept().await.unwrap();
    work(&mut stage, 4).await;
    let was = state(&stage).await;
    drop(stage);
    let current = place.store.current();
    let mut bytes = fs::read(&current).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(&current, bytes).unwrap();
    let (fresh, recovered) = back(folder.path()).await;
    assert!(recovered.goes_on, "{recovered:?}");
    assert!(recovered.losses[0].contains("current.snapshot"), "{:?}", recovered.losses);
    assert!(state(&fresh).await == was);
    assert!(!current.exists() && place.store.damaged().exists() && place.store.previous().exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_useless_generations_leave_a_stage_as_it_was_built() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = kept(folder.path()).await;
    let place = place(&stage, folder.path());
    stage.keep(&place).await.unwrap();
    stage.kept().await.unwrap();
    drop(stage);
    for path in [place.store.current(), place.store.previous()] {
        let mut bytes = fs::read(&path).unwrap();
        // The last number: all the others are in the stage by then.
        let at = bytes.len() - 33;
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    let (fresh, recovered) = back(folder.path()).await;
    assert_eq!((recovered.taken, recovered.goes_on), (Taken::Nothing, false));
    assert_eq!(recovered.losses.len(), 3, "{:?}", recovered.losses);
    let (_, _, built, _) = world().await;
    assert!(fresh.weights().await.unwrap() == built.weights().await.unwrap());
    assert!(fresh.previous().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_comes_out_otherwise_is_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = kept(folder.path()).await;
    let at_start = state(&stage).await;
    work(&mut stage, 1).await;
    let place = place(&stage, folder.path());
    drop(stage);
    // The same journal, on top of other weights.
    let mut good = place
        .store
        .open(Generation::Newest, &place.hotkey, &"r".into(), crate::protocol::StageIndex(1))
        .unwrap();
    let meta = good.meta.clone();
    let mut numbers = good.next(usize::MAX).unwrap();
    numbers[0] += 0.25;
    let mut new = place.store.begin(&meta).unwrap();
    new.put(&numbers).unwrap();
    new.finish(&Permit::default()).unwrap();
    let (fresh, recovered) = back(folder.path()).await;
    assert_eq!((recovered.taken, recovered.goes_on), (Taken::All, false));
    assert!(recovered.losses[0].contains("came out otherwise"), "{:?}", recovered.losses);
    assert_eq!(fresh.count().backwards, 0);
    let moments = state_of_moments(&fresh).await;
    assert!(moments == at_start.numbers[1..]);
    // On another machine it may: nobody can expect the same last bits there.
    let (_, _, mut fresh, _) = world().await;
    let elsewhere = KeepPlace { ground: "elsewhere".to_owned(), ..place };
    let recovered = recover(&mut fresh, &elsewhere, SEED, &|_| {}).await.unwrap();
    assert!(recovered.goes_on);
    assert_eq!(fresh.count().backwards, 1);
}

async fn state_of_moments(stage: &LocalStage) -> Vec<Vec<u32>> {
    let count = stage.param_count().await.unwrap();
    let mut moments = Vec::new();
    for moment in MOMENTS {
        moments.push(bits(&stage.read_moments(moment, 0..count).await.unwrap()));
    }
    moments
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handed_in_epoch_a_roll_back_and_a_warm_up_are_done_again_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = trained().await;
    // One that joined lately puts its weights back after every step.
    stage.terms_mut().epoch = Epoch(4);
    stage.keep(&place(&stage, folder.path())).await.unwrap();
    for salt in 0..4 {
        work(&mut stage, salt).await;
        stage.step_if_due().await.unwrap();
    }
    stage.kept().await.unwrap();
    let was = state(&stage).await;
    assert!(was.numbers[0] == was.start && was.count.steps == 1);
    let elsewhere = tempfile::tempdir().unwrap();
    copy(folder.path(), elsewhere.path());
    let (fresh, _) = back(elsewhere.path()).await;
    assert!(state(&fresh).await == was);
    assert_eq!(fresh.terms().epoch, Epoch(4), "when it joined is not when it came back");
    stage.roll_back().await.unwrap();
    work(&mut stage, 9).await;
    stage.end_epoch().await.unwrap();
    let was = state(&stage).await;
    assert_eq!(was.count.backwards, 0);
    drop(stage);
    let (fresh, recovered) = back(folder.path()).await;
    assert!(recovered.goes_on);
    assert!(state(&fresh).await == was);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_snapshot_with_an_impossible_optimizer_only_the_weights_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let stage = kept(folder.path()).await;
    let place = place(&stage, folder.path());
    let (run, number) = (stage.terms().run.clone(), stage.terms().stage);
    let mut good = place.store.open(Generation::Newest, &place.hotkey, &run, number).unwrap();
    let meta = good.meta.clone();
    let count = meta.weights;
    let mut numbers = good.next(usize::MAX).unwrap();
    // The last second moment.
    numbers[3 * count - 1] = -1.0;
    let write = |meta: &SnapshotMeta, numbers: &[f32]| {
        let mut new = place.store.begin(meta).unwrap();
        new.put(numbers).unwrap();
        new.finish(&Permit::default()).unwrap();
    };
    write(&meta, &numbers);
    let (fresh, recovered) = back(folder.path()).await;
    assert_eq!((recovered.taken, recovered.goes_on), (Taken::Weights, false));
    assert!(fresh.weights().await.unwrap() == stage.weights().await.unwrap());
    let (_, _, built, _) = world().await;
    assert!(state_of_moments(&fresh).await == state_of_moments(&built).await);

    write(&SnapshotMeta { weights: 3, optimizer: 6, ..meta }, &[1.0; 9]);
    let (fresh, recovered) = back(folder.path()).await;
    assert_eq!(recovered.taken, Taken::Nothing);
    assert!(fresh.weights().await.unwrap() == built.weights().await.unwrap());
}

/// What a process finds that builds the stage another way.
async fn back_with(folder: &Path, moments: MomentPrecision) -> (LocalStage, Recovered, KeepPlace) {
    let mut stage = built(moments).await;
    let place = KeepPlace { ground: format!("with moments in {moments}"), ..place(&stage, folder) };
    let recovered = recover(&mut stage, &place, SEED, &|_| {}).await.unwrap();
    stage.terms_mut().hyper.accumulation = 3;
    (stage, recovered, place)
}

/// One that starts to keep what it learns, some way into its run.
async fn kept_with(folder: &Path, moments: MomentPrecision) -> LocalStage {
    let mut stage = built(moments).await;
    stage.terms_mut().hyper.accumulation = 1;
    stage.terms_mut().epoch = Epoch(1);
    work(&mut stage, 1).await;
    stage.step_if_due().await.unwrap().unwrap();
    stage.begin_epoch(Epoch(5), Vec::new()).await.unwrap();
    stage.terms_mut().hyper.accumulation = 3;
    let place = KeepPlace { ground: format!("with moments in {moments}"), ..place(&stage, folder) };
    stage.keep(&place).await.unwrap();
    stage.kept().await.unwrap();
    stage
}

fn rounded(moments: &[Vec<u32>]) -> Vec<Vec<u32>> {
    let round = |bits: &u32| half::bf16::from_f32(f32::from_bits(*bits)).to_f32().to_bits();
    moments.iter().map(|numbers| numbers.iter().map(round).collect()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_down_to_rounded_moments_counts_every_gradient_once() {
    for (from, to) in [
        (MomentPrecision::F32, MomentPrecision::Bf16),
        (MomentPrecision::Bf16, MomentPrecision::F32),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut stage = kept_with(folder.path(), from).await;
        let before = state(&stage).await;
        // Two backwards and no step: gradients do not know of moments.
        work(&mut stage, 2).await;
        work(&mut stage, 3).await;
        let was = state(&stage).await;
        let ids: Vec<_> = stage.done().cloned().collect();
        drop(stage);
        let copied = tempfile::tempdir().unwrap();
        copy(folder.path(), copied.path());
        let (mut same, _, _) = back_with(copied.path(), from).await;
        let (mut other, recovered, _) = back_with(folder.path(), to).await;
        assert!(recovered.goes_on && recovered.losses.is_empty(), "{recovered:?}");
        assert_eq!((recovered.taken, recovered.again), (Taken::All, 2));
        let is = state(&other).await;
        assert_eq!((is.count, is.progress, is.epoch), (was.count, was.progress, was.epoch));
        assert!(other.done().eq(&ids));
        assert!(is.numbers[0] == was.numbers[0] && is.start == was.start);
        match to {
            MomentPrecision::F32 => assert!(is.numbers[1..] == before.numbers[1..]),
            MomentPrecision::Bf16 => assert!(is.numbers[1..] == rounded(&before.numbers[1..])),
        }
        // The same sum to the bit, seen in its norm; only then does it matter how moments are kept.
        let mut norms = Vec::new();
        for stage in [&mut same, &mut other] {
            work(stage, 4).await;
            norms.push(stage.step_if_due().await.unwrap().unwrap().grad_norm.to_bits());
        }
        assert_eq!(norms[0], norms[1]);
        assert_eq!(other.count(), same.count());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_another_build_went_on_with_is_no_journal_that_lies() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = kept_with(folder.path(), MomentPrecision::F32).await;
    for salt in 2..5 {
        work(&mut stage, salt).await;
    }
    stage.step_if_due().await.unwrap().unwrap();
    drop(stage);
    let (mut stage, recovered, _) = back_with(folder.path(), MomentPrecision::Bf16).await;
    assert!(recovered.goes_on && recovered.losses.is_empty(), "{recovered:?}");
    // Now the weights have taken another way: what is noted from here on does not come out to the same
    // bits where the journal began.
    for salt in 5..8 {
        work(&mut stage, salt).await;
    }
    stage.step_if_due().await.unwrap().unwrap();
    work(&mut stage, 8).await;
    let was = stage.count();
    drop(stage);
    let (stage, recovered, _) = back_with(folder.path(), MomentPrecision::F32).await;
    assert!(recovered.goes_on && recovered.losses.is_empty(), "{recovered:?}");
    assert_eq!((stage.count(), recovered.again), (was, 7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_says_how_its_moments_were_kept_and_old_ones_meant_f32() {
    let folder = tempfile::tempdir().unwrap();
    let stage = kept_with(folder.path(), MomentPrecision::Bf16).await;
    let place = place(&stage, folder.path());
    let (run, number) = (stage.terms().run.clone(), stage.terms().stage);
    let snapshot = place.store.open(Generation::Newest, &place.hotkey, &run, number).unwrap();
    assert_eq!(snapshot.meta.moments, MomentPrecision::Bf16);
    let mut text = serde_json::to_value(&snapshot.meta).unwrap();
    assert_eq!(text["moments"], "bf16");
    text.as_object_mut().unwrap().remove("moments");
    let old: SnapshotMeta = serde_json::from_value(text).unwrap();
    assert_eq!(old.moments, MomentPrecision::F32);
    assert!(serde_json::to_value(&old).unwrap().get("moments").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generation_takes_what_the_doctor_reckons_with() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = kept(folder.path()).await;
    let place = place(&stage, folder.path());
    let weights = stage.param_count().await.unwrap() as u64;
    let bytes = || fs::metadata(place.store.current()).unwrap().len();
    // Its description and its hash are all that comes on top.
    let head = 2048;
    let at_start = 12 * weights;
    assert!((at_start..at_start + head).contains(&bytes()), "{} of {weights}", bytes());
    for salt in 0..3 {
        work(&mut stage, salt).await;
    }
    stage.step_if_due().await.unwrap().unwrap();
    stage.keep(&place).await.unwrap();
    stage.kept().await.unwrap();
    let within = BYTES_A_WEIGHT * weights;
    assert!((within..within + head).contains(&bytes()), "{} of {weights}", bytes());
}

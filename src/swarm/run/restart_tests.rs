//! A run that is taken up from its books goes on where they end.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::protocol::NodeId;
use crate::protocol::messages::Direction;

fn plan(miners_per_stage: usize) -> RunPlan {
    RunPlan {
        run_id: "test".into(),
        stages: 1,
        miners_per_stage,
        backwards_per_miner: 3,
        epochs: None,
        seed: 1,
        num_partitions: 1,
        tokens_per_activation: 10,
        rules: Rules::lenient(),
        names: BTreeMap::new(),
    }
}

fn hotkey(number: u8) -> Hotkey {
    Hotkey::from_public_key(&[number; 32])
}

fn at(seconds: u64) -> Moment {
    Moment(Duration::from_secs(seconds))
}

/// What the books of epoch 4 say: each miner did so many backwards.
fn books(phase: Phase, backwards: &[u64]) -> Restored {
    let of = |(number, count): (usize, &u64)| {
        let hotkey = hotkey(u8::try_from(number).unwrap());
        let miner = RestoredMiner {
            hotkey: hotkey.clone(),
            stage: 0,
            order: number as u64,
            node_id: "n".to_owned(),
            score: 9,
        };
        let direction = Direction::Backward;
        (miner, RestoredWork { stage: 0, hotkey, direction, count: *count })
    };
    let (miners, work) = backwards.iter().enumerate().map(of).unzip();
    Restored {
        epoch: 4,
        stages: vec![(0, phase, 4)],
        miners,
        work,
        handed_out: 5,
        ..Restored::default()
    }
}

fn register(run: &mut Run, number: u8, now: Moment) {
    run.register(&hotkey(number), &NodeId::from_bytes(&[1; 32]), now).unwrap();
    run.seen(&hotkey(number), now);
}

#[test]
fn the_epoch_goes_on_with_what_was_counted() {
    let mut run = Run::new(plan(1), books(Phase::Training, &[2]), at(0));
    run.advance(at(1));
    register(&mut run, 0, at(1));
    assert_eq!(run.place(&hotkey(0)).unwrap(), (StageIndex(0), Phase::Training, Epoch(4)));
    assert_eq!(run.allowance(&hotkey(0), 10), Ok(1), "two of three are done");
    let id = run.hand_out(&hotkey(0), "s".into(), at(1));
    let mut fresh =
        Run::new(plan(1), Restored { handed_out: 0, ..books(Phase::Training, &[2]) }, at(0));
    register(&mut fresh, 0, at(1));
    assert_ne!(fresh.hand_out(&hotkey(0), "s".into(), at(1)), id, "no id comes twice");
}

#[test]
fn an_epoch_whose_work_was_done_waits_for_its_miners_and_not_for_those_who_lost_it() {
    let stranded = Rules::lenient().limits.stranded.as_secs();
    let mut restored = books(Phase::MergingPartitions, &[3, 3]);
    let (key, object) = (hotkey(0), "o".to_owned());
    restored.submissions.push((0, Submission { hotkey: key, object, factor: 4 }));
    let mut run = Run::new(plan(2), restored, at(0));
    let phase = |run: &Run| run.stages[0].phase;
    // Nobody is there yet: no reason to go on without a merge.
    run.advance(at(1));
    assert_eq!(phase(&run), Phase::WeightsUploading);
    register(&mut run, 0, at(2));
    register(&mut run, 1, at(2));
    run.advance(at(3));
    assert_eq!(phase(&run), Phase::WeightsUploading, "the second has not handed in");
    for second in 3..=3 + stranded {
        (0..2).for_each(|number| run.seen(&hotkey(number), at(second)));
        run.advance(at(second));
    }
    assert_eq!(phase(&run), Phase::MergingPartitions, "it has nothing to hand in");
    assert_eq!(run.sources(&hotkey(0)).unwrap().1[0].factor, 4);
    assert!(run.own_upload(&hotkey(0), Some(FileType::Weights), "o").is_ok());
}

#[test]
fn whoever_comes_back_gets_its_old_stage_and_keeps_what_it_did() {
    let two = RunPlan { stages: 2, ..plan(1) };
    let mut restored = books(Phase::Training, &[1, 2]);
    restored.stages.push((1, Phase::Training, 4));
    restored.miners[1].stage = 1;
    restored.work[1].stage = 1;
    let mut run = Run::new(two, restored, at(0));
    register(&mut run, 1, at(1));
    assert_eq!(run.place(&hotkey(1)).unwrap().0, StageIndex(1), "though stage 0 is as empty");
    register(&mut run, 0, at(1));
    assert_eq!(run.stages.iter().map(|stage| stage.backwards).collect::<Vec<_>>(), [1, 2]);
    // Again, while the swarm lives.
    register(&mut run, 1, at(2));
    assert_eq!(run.miner(&hotkey(1)).unwrap().backwards, 2);
}

//! The end of an epoch: uploads, merges, what is kept of them.

use super::*;

#[test]
fn chunks_go_to_two_different_contributors_and_a_lone_one_merges_alone() {
    for (miners, copies) in [(1, 1), (2, 2), (3, 2), (5, 2)] {
        let mut run = Run::new(plan(1, miners, 1), Restored::default(), Moment::default());
        run.stages[0].phase = Phase::WeightsUploading;
        for n in 1..=miners as u8 {
            run.register(&hotkey(n), &node(), Moment::default()).unwrap();
            let object = format!("w{n}");
            run.begin_upload(&hotkey(n), FileType::Weights, &object).unwrap();
            run.submit_weights(&hotkey(n), &object).unwrap();
        }
        run.assign_chunks(0);
        let mut held: BTreeMap<Hotkey, usize> = BTreeMap::new();
        for chunk in &run.stages[0].chunks {
            assert_eq!(chunk.len(), copies);
            assert!(copies == 1 || chunk[0].hotkey != chunk[1].hotkey);
            chunk.iter().for_each(|copy| *held.entry(copy.hotkey.clone()).or_default() += 1);
        }
        // The load is even.
        assert_eq!(held.len(), miners);
        assert!(held.values().max().unwrap() - held.values().min().unwrap() <= 1);
    }
}

#[test]
fn only_the_miners_own_uploads_of_the_right_kind_count() {
    let (mut run, _) = pair();
    run.stages[0].phase = Phase::WeightsUploading;
    run.begin_upload(&hotkey(2), FileType::Weights, "theirs").unwrap();
    run.begin_upload(&hotkey(1), FileType::Partition, "other").unwrap();
    run.begin_upload(&hotkey(1), FileType::Weights, "mine").unwrap();
    assert!(run.submit_weights(&hotkey(1), "theirs").is_err());
    assert!(run.submit_weights(&hotkey(1), "other").is_err());
    run.submit_weights(&hotkey(1), "mine").unwrap();
    let early = run.submit_weights(&hotkey(2), "theirs").unwrap_err();
    assert!(matches!(early, ServerError::LayerState { actual: Phase::Training, .. }));
}

#[test]
fn the_factor_is_one_more_than_the_backwards_and_scores_add_up() {
    let mut world = World::new(plan(2, 2, 3), 5);
    while world.run.all_training() {
        world.step();
    }
    let backwards: Vec<u64> = world.alive.iter().map(|h| world.run.miners[h].backwards).collect();
    assert_eq!(backwards.iter().sum::<u64>(), 2 * 6);
    for hotkey in world.alive.clone() {
        world.upload(&hotkey);
    }
    for submission in &world.run.stages[0].submissions {
        assert_eq!(submission.factor, 1 + world.run.miners[&submission.hotkey].backwards);
    }
    world.run_to(1);
    let score: u64 = world.run.miners.values().map(|miner| miner.score).sum();
    // Four chunks a stage, each merged twice (or once, where only one miner had work).
    assert!((2 * 6 + 2 * 4..=2 * 6 + 2 * 8).contains(&score), "{score}");
}

#[test]
fn old_objects_are_pruned_and_the_newest_weights_are_not() {
    let mut world = World::new(plan(1, 1, 2), 3);
    for chunk in 0..2 {
        world.run.publish_first(
            StageIndex(0),
            crate::protocol::ChunkNumber(chunk),
            format!("g{chunk}"),
        );
    }
    let mut pruned = Vec::new();
    while world.run.epochs_done() < 3 {
        let partitions = world.alive[0].clone();
        world.end_of_epoch();
        world.fetch();
        world.do_task();
        world.run.seen(&partitions, world.now);
        world.run.advance(world.now);
        pruned.extend(world.run.take_outcome().prune);
    }
    assert!(pruned.contains(&"g0".to_owned()));
    assert!(pruned.iter().any(|object| object.starts_with("weights/1")), "{pruned:?}");
    assert!(!pruned.iter().any(|object| object.starts_with("weights/3")));
    let listed = world.run.merged_partitions(&world.alive[0]).unwrap();
    assert!(listed.iter().all(|(.., merged)| !pruned.contains(&merged.object)));
    assert!(listed.iter().all(|(.., merged)| merged.epoch == 3));
}

#[test]
fn until_the_merge_is_over_the_previous_weights_are_listed() {
    let mut world = World::new(plan(1, 2, 2), 9);
    let chunk = crate::protocol::ChunkNumber;
    (0..4).for_each(|c| world.run.publish_first(StageIndex(0), chunk(c), format!("g{c}")));
    while world.run.stages[0].phase != Phase::MergingPartitions {
        world.step();
    }
    let listed = |world: &World| -> Vec<String> {
        let merged = world.run.merged_partitions(&world.alive[0]).unwrap();
        merged.into_iter().map(|(.., merged)| merged.object).collect()
    };
    let (first, second) = (world.alive[1].clone(), world.alive[0].clone());
    world.merge(&first);
    assert_eq!(listed(&world), ["g0", "g1", "g2", "g3"]);
    world.merge(&second);
    world.run.advance(world.now);
    let expected: Vec<String> = (0..4).map(|c| format!("partition/1/{c}/{first}")).collect();
    assert_eq!(listed(&world), expected, "the copy that came first");
}

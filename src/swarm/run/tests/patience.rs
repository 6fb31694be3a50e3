//! How long a run waits for whom.

use super::*;

/// Both miners answer, and nothing else happens, for so long.
fn wait(world: &mut World, time: Duration) {
    for _ in 0..time.as_secs() {
        world.now = world.now + Duration::from_secs(1);
        for hotkey in world.alive.clone() {
            world.run.seen(&hotkey, world.now);
        }
        world.run.advance(world.now);
    }
}

#[test]
fn a_miner_that_is_held_back_is_not_waited_for_where_others_have_its_stage() {
    let stranded = Rules::lenient().limits.stranded;
    let mut world = World::new(plan(1, 2, 3), 5);
    while world.run.all_training() {
        world.step();
    }
    let (held, other) = (world.alive[0].clone(), world.alive[1].clone());
    assert!(world.run.miners.values().all(|miner| miner.backwards > 0));
    world.upload(&other);
    wait(&mut world, stranded);
    assert_eq!(world.run.stages[0].phase, Phase::WeightsUploading, "it may come yet");
    wait(&mut world, Duration::from_secs(2));
    assert_eq!(world.run.stages[0].phase, Phase::MergingPartitions);
    world.merge(&other);
    world.run.advance(world.now);
    assert!(world.run.all_training());

    // Held back when it has handed in: its copies are not waited for either.
    while world.run.all_training() {
        world.step();
    }
    world.upload(&held);
    world.upload(&other);
    world.run.advance(world.now);
    world.merge(&other);
    wait(&mut world, stranded - Duration::from_secs(1));
    assert_eq!(world.run.stages[0].phase, Phase::MergingPartitions, "it may come yet");
    wait(&mut world, Duration::from_secs(3));
    assert!(world.run.all_training());
    assert_eq!(world.run.epochs_done(), 2);
}

#[test]
fn a_miner_that_is_alone_on_its_stage_is_waited_for() {
    let mut world = World::new(plan(1, 1, 3), 5);
    while world.run.all_training() {
        world.step();
    }
    wait(&mut world, 3 * Rules::lenient().limits.stranded);
    assert_eq!(world.run.stages[0].phase, Phase::WeightsUploading);
}

#[test]
fn work_that_nobody_reports_about_is_given_up_by_what_the_others_take() {
    let mut world = World::new(plan(2, 1, 20), 5);
    while world.run.stages[1].backwards < 10 {
        world.step();
    }
    // Somebody drops all that is under way, and says nothing.
    world.tasks.clear();
    assert!(world.run.open().count() > 0);
    wait(&mut world, Duration::from_secs(15));
    assert_eq!(world.run.open().count(), 0);
    let head = world.at_stage(0).unwrap();
    assert!(world.run.allowance(&head, 20).unwrap() > 0);
}

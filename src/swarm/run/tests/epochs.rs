//! Epochs end, in whatever order things happen.

use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn epochs_end_whatever_the_order_of_work(
        seed in any::<u64>(), stages in 1_usize..5, miners in 1_usize..4, backwards in 1_u64..6,
    ) {
        let mut world = World::new(plan(stages, miners, backwards), seed);
        world.run_to(2);
        // Without losses nothing waits for a guard.
        prop_assert!(world.now.0 < Duration::from_secs(20), "{:?}", world.now);
        let losses = world.events.iter().filter(|e| matches!(e, Event::Loss { .. })).count() as u64;
        prop_assert!(losses >= 2 * miners as u64 * backwards);
    }

    #[test]
    fn epochs_end_although_miners_vanish(
        seed in any::<u64>(), stages in 1_usize..4, kills in prop::collection::vec(0_usize..200, 1..4),
    ) {
        let mut world = World::new(plan(stages, 2, 4), seed);
        for pause in kills {
            for _ in 0..pause {
                world.step();
            }
            if world.alive.len() > 1 {
                world.kill();
                world.join();
            }
        }
        let epochs = world.run.epochs_done();
        world.run_to(epochs + 2);
    }
}

#[test]
fn a_run_that_reached_its_epochs_hands_out_nothing() {
    let mut world = World::new(RunPlan { epochs: Some(1), ..plan(2, 1, 2) }, 3);
    world.run_to(1);
    assert!(world.run.is_finished() && world.run.all_training());
    let head = world.at_stage(0).unwrap();
    assert_eq!(world.run.allowance(&head, 4).unwrap(), 0);
}

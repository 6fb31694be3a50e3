//! Whole epochs played through without a server: miners that do their work in any order, lose each
//! other, lie about hashes. The rules must count right and never wait for what cannot come.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::protocol::messages::{Direction, FileType, LossReportRequest, SubmitActivationRequest};
use crate::protocol::{ActivationHash, NodeId};

fn plan(stages: usize, miners_per_stage: usize, backwards_per_miner: u64) -> RunPlan {
    RunPlan {
        run_id: "test".into(),
        stages,
        miners_per_stage,
        backwards_per_miner,
        epochs: None,
        seed: 1,
        num_partitions: miners_per_stage * 2,
        tokens_per_activation: 10,
        rules: Rules::lenient(),
        names: BTreeMap::new(),
    }
}

fn hotkey(number: u8) -> Hotkey {
    Hotkey::from_public_key(&[number; 32])
}

fn node() -> NodeId {
    NodeId::from_bytes(&[1; 32])
}

fn hash(id: &ActivationId, stage: usize, direction: Direction) -> String {
    ActivationHash::of(format!("{id}/{stage}/{}", direction.as_str()).as_bytes()).to_string()
}

/// The report of an honest miner.
fn report(
    id: &ActivationId,
    stage: usize,
    stages: usize,
    direction: Direction,
) -> SubmitActivationRequest {
    let mut report = SubmitActivationRequest::new(id.clone(), direction);
    report.output_activation_hash = Some(hash(id, stage, direction));
    report.input_activation_hash = match direction {
        Direction::Forward => stage.checked_sub(1).map(|s| hash(id, s, direction)),
        Direction::Backward if stage + 1 < stages => Some(hash(id, stage + 1, direction)),
        Direction::Backward => None,
    };
    report
}

/// A piece of work at a miner, or a report on its way to the orchestrator.
#[derive(Clone, Debug)]
enum Task {
    Work { id: ActivationId, stage: usize, direction: Direction, at: Hotkey },
    Report { id: ActivationId, stage: usize, direction: Direction, by: Hotkey },
}

/// Honest miners around a run, in random order.
struct World {
    run: Run,
    now: Moment,
    dice: Entropy,
    tasks: Vec<Task>,
    /// Who took the forward of which activation at which stage.
    route: HashMap<(ActivationId, usize), Hotkey>,
    alive: Vec<Hotkey>,
    next: u8,
    lost_someone: bool,
    events: Vec<Event>,
}

impl World {
    fn new(plan: RunPlan, seed: u64) -> Self {
        let now = Moment(Duration::from_secs(1));
        let mut world = Self {
            run: Run::new(plan, Restored::default(), now),
            now,
            dice: Entropy::seeded(seed, "world"),
            tasks: Vec::new(),
            route: HashMap::new(),
            alive: Vec::new(),
            next: 1,
            lost_someone: false,
            events: Vec::new(),
        };
        for _ in 0..world.run.plan.stages * world.run.plan.miners_per_stage {
            world.join();
        }
        world
    }

    fn join(&mut self) {
        let hotkey = hotkey(self.next);
        self.next += 1;
        self.run.register(&hotkey, &node(), self.now).unwrap();
        self.alive.push(hotkey);
    }

    /// Somebody vanishes without a word.
    fn kill(&mut self) {
        let victim = self.alive.remove(self.dice.below(self.alive.len()));
        self.tasks.retain(|task| match task {
            Task::Work { at, .. } => *at != victim,
            Task::Report { .. } => true,
        });
        self.lost_someone = true;
    }

    fn at_stage(&mut self, stage: usize) -> Option<Hotkey> {
        let there: Vec<Hotkey> = self
            .alive
            .iter()
            .filter(|hotkey| self.run.place(hotkey).is_ok_and(|place| place.0.0 == stage))
            .cloned()
            .collect();
        there.get(self.dice.below(there.len())).cloned()
    }

    /// One thing happens. Returns whether anything could.
    fn step(&mut self) -> bool {
        let acted = match self.dice.below(3) {
            0 => self.fetch() || self.do_task() || self.end_of_epoch(),
            1 => self.do_task() || self.end_of_epoch() || self.fetch(),
            _ => self.end_of_epoch() || self.fetch() || self.do_task(),
        };
        if !acted {
            self.now = self.now + Duration::from_secs(1);
        }
        for hotkey in &self.alive {
            self.run.seen(hotkey, self.now);
        }
        self.run.advance(self.now);
        self.check();
        // Who was dropped comes back, and a stage without anybody gets somebody new.
        if (0..self.run.plan.stages).any(|stage| self.run.living_in(stage).next().is_none()) {
            self.join();
        }
        for hotkey in self.alive.clone() {
            if self.run.place(&hotkey).is_err() {
                self.run.register(&hotkey, &node(), self.now).unwrap();
            }
        }
        let events = self.run.take_outcome().events;
        self.events.extend(events);
        acted
    }

    /// No stage ever has fewer backwards than it should when training ends in good order.
    fn check(&self) {
        for (stage, state) in self.run.stages.iter().enumerate() {
            if state.phase == Phase::WeightsUploading {
                assert!(state.backwards >= self.run.goal(), "stage {stage} lost backwards");
                if !self.lost_someone {
                    assert_eq!(state.backwards, self.run.goal(), "stage {stage}");
                }
            }
        }
    }

    /// All living miners, beginning with anyone.
    fn anyone(&mut self) -> Vec<Hotkey> {
        let mut all = self.alive.clone();
        let first = self.dice.below(all.len());
        all.rotate_left(first);
        all
    }

    fn fetch(&mut self) -> bool {
        let wanted = 1 + self.dice.below(3);
        self.anyone().iter().any(|head| {
            let count = self.run.allowance(head, wanted).unwrap_or(0);
            for _ in 0..count {
                let id = self.run.hand_out(head, "sample".into(), self.now);
                let (direction, at) = (Direction::Forward, head.clone());
                self.tasks.push(Task::Work { id, stage: 0, direction, at });
            }
            count > 0
        })
    }

    fn do_task(&mut self) -> bool {
        if self.tasks.is_empty() {
            return false;
        }
        let task = self.tasks.swap_remove(self.dice.below(self.tasks.len()));
        match task {
            Task::Report { id, stage, direction, by } => {
                let report = report(&id, stage, self.run.plan.stages, direction);
                let answer = self.run.submit_activation(&by, &report, self.now);
                // Training does not wait for the report of a forward whose backward is done.
                let needed = direction == Direction::Backward && !self.lost_someone;
                assert!(answer.is_ok() || !needed, "{answer:?}");
            }
            Task::Work { id, stage, direction, at } => self.work(id, stage, direction, at),
        }
        true
    }

    fn work(&mut self, id: ActivationId, stage: usize, direction: Direction, at: Hotkey) {
        let last = self.run.plan.stages - 1;
        let (tid, by) = (id.clone(), at.clone());
        self.tasks.push(Task::Report { id: tid, stage, direction, by });
        match direction {
            Direction::Forward => {
                self.route.insert((id.clone(), stage), at.clone());
                if stage == last {
                    let loss =
                        LossReportRequest { activation_id: id.clone(), loss: 2.5, layer_idx: None };
                    let answer = self.run.report_loss(&at, &loss, self.now);
                    assert!(answer.is_ok() || self.lost_someone, "{answer:?}");
                    self.tasks.push(Task::Work { id, stage, direction: Direction::Backward, at });
                } else if let Some(at) = self.at_stage(stage + 1) {
                    self.tasks.push(Task::Work { id, stage: stage + 1, direction, at });
                }
            }
            Direction::Backward if stage > 0 => {
                let at = self.route[&(id.clone(), stage - 1)].clone();
                if self.alive.contains(&at) {
                    self.tasks.push(Task::Work { id, stage: stage - 1, direction, at });
                }
            }
            Direction::Backward => {}
        }
    }

    fn end_of_epoch(&mut self) -> bool {
        self.anyone().iter().any(|hotkey| match self.run.place(hotkey).map(|place| place.1) {
            Ok(Phase::WeightsUploading) => self.upload(hotkey),
            Ok(Phase::MergingPartitions) => self.merge(hotkey),
            _ => false,
        })
    }

    fn upload(&mut self, hotkey: &Hotkey) -> bool {
        let (stage, _, epoch) = self.run.place(hotkey).unwrap();
        let submitted = &self.run.stages[stage.0].submissions;
        let has = submitted.iter().any(|s| s.hotkey == *hotkey);
        if has || self.run.miner(hotkey).unwrap().backwards == 0 {
            return false;
        }
        let object = format!("weights/{epoch}/{hotkey}");
        self.run.begin_upload(hotkey, FileType::Weights, &object).unwrap();
        self.run.submit_weights(hotkey, &object).unwrap();
        true
    }

    fn merge(&mut self, hotkey: &Hotkey) -> bool {
        let (stage, _, epoch) = self.run.place(hotkey).unwrap();
        let mut mine =
            self.run.stages[stage.0].chunks.iter().flatten().filter(|copy| copy.hotkey == *hotkey);
        if mine.all(|copy| copy.object.is_some()) {
            return false;
        }
        let mut partitions = self.run.partitions_of(hotkey).unwrap();
        for partition in &mut partitions {
            let chunk = partition.chunk_number().unwrap();
            let object = format!("partition/{epoch}/{chunk}/{hotkey}");
            self.run.begin_upload(hotkey, FileType::Partition, &object).unwrap();
            partition.set_blob_path(object);
        }
        self.run.submit_merged(hotkey, &partitions).unwrap();
        true
    }

    fn run_to(&mut self, epochs: u64) {
        // Generous, but finite: a rule that waits for what cannot come ends here. While nothing can
        // be done time runs, so the guards are reached too.
        for _ in 0..60_000 {
            if self.run.epochs_done() >= epochs {
                return;
            }
            self.step();
        }
        panic!("stuck in {:?} with {:?}", self.run.stages, self.tasks);
    }
}

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

/// A run with one miner a stage, and an activation handed to the first.
fn pair() -> (Run, ActivationId) {
    let mut run = Run::new(plan(2, 1, 1), Restored::default(), Moment::default());
    assert_eq!(run.register(&hotkey(1), &node(), Moment::default()).unwrap().0, 0);
    assert_eq!(run.register(&hotkey(2), &node(), Moment::default()).unwrap().0, 1);
    assert_eq!(run.allowance(&hotkey(1), 5).unwrap(), 1);
    let id = run.hand_out(&hotkey(1), "s".into(), Moment::default());
    (run, id)
}

fn submit(run: &mut Run, by: u8, report: &SubmitActivationRequest) -> Result<(), String> {
    let answer = run.submit_activation(&hotkey(by), report, Moment::default());
    answer.map_err(|error| error.name().to_owned())
}

#[test]
fn miners_go_where_fewest_are_and_come_back_to_their_stage() {
    let mut run = Run::new(plan(3, 2, 1), Restored::default(), Moment::default());
    let stages: Vec<usize> =
        (1..=6).map(|n| run.register(&hotkey(n), &node(), Moment::default()).unwrap().0).collect();
    assert_eq!(stages, [0, 1, 2, 0, 1, 2]);
    assert_eq!(run.register(&hotkey(5), &node(), Moment::default()).unwrap().0, 1);
    run.drop_miner(&hotkey(2), Moment::default());
    assert_eq!(run.register(&hotkey(7), &node(), Moment::default()).unwrap().0, 1);
    run.plan.rules.limits.miners = 6;
    let refused = run.register(&hotkey(8), &node(), Moment::default());
    assert!(matches!(refused, Err(ServerError::RunFull { .. })));
}

#[test]
fn nothing_is_handed_out_before_every_stage_has_a_miner_or_beyond_the_goal() {
    let mut run = Run::new(plan(2, 1, 3), Restored::default(), Moment::default());
    run.register(&hotkey(1), &node(), Moment::default()).unwrap();
    assert_eq!(run.allowance(&hotkey(1), 5).unwrap(), 0);
    run.register(&hotkey(2), &node(), Moment::default()).unwrap();
    assert_eq!(run.allowance(&hotkey(2), 5).unwrap(), 0, "only the first stage");
    assert_eq!(run.allowance(&hotkey(1), 5).unwrap(), 3);
    run.hand_out(&hotkey(1), "s".into(), Moment::default());
    assert_eq!(run.allowance(&hotkey(1), 5).unwrap(), 2);
    assert!(run.allowance(&hotkey(9), 5).is_err());
}

#[test]
fn the_first_work_waits_for_the_planned_miners_but_not_for_ever() {
    let mut run = Run::new(plan(1, 2, 3), Restored::default(), Moment::default());
    run.register(&hotkey(1), &node(), Moment::default()).unwrap();
    let late = Moment(run.plan.rules.limits.muster + Duration::from_secs(1));
    run.seen(&hotkey(1), late);
    run.advance(Moment::default());
    assert_eq!(run.allowance(&hotkey(1), 5).unwrap(), 0);
    run.advance(late);
    assert_eq!(run.allowance(&hotkey(1), 5).unwrap(), 5);
}

#[test]
fn a_broken_hash_chain_is_refused_and_told() {
    let (mut run, id) = pair();
    let first = report(&id, 0, 2, Direction::Forward);
    submit(&mut run, 1, &first).unwrap();
    submit(&mut run, 1, &first).unwrap();
    let mut lie = report(&id, 1, 2, Direction::Forward);
    lie.input_activation_hash = Some(hash(&id, 9, Direction::Forward));
    assert_eq!(submit(&mut run, 2, &lie), Err("ActivationHashError".into()));
    lie.input_activation_hash = None;
    assert_eq!(submit(&mut run, 2, &lie), Err("ActivationHashError".into()));
    lie.input_activation_hash = Some("soon".into());
    assert_eq!(submit(&mut run, 2, &lie), Err("ActivationHashError".into()));
    let events = run.take_outcome().events;
    let evidence = events.iter().filter(|e| matches!(e, Event::Evidence { .. })).count();
    assert_eq!(evidence, 3);
    submit(&mut run, 2, &report(&id, 1, 2, Direction::Forward)).unwrap();
}

#[test]
fn the_chain_is_checked_even_if_the_later_stage_reports_first() {
    let (mut run, id) = pair();
    submit(&mut run, 2, &report(&id, 1, 2, Direction::Forward)).unwrap();
    let mut other = report(&id, 0, 2, Direction::Forward);
    other.output_activation_hash = Some(hash(&id, 7, Direction::Forward));
    assert_eq!(submit(&mut run, 1, &other), Err("ActivationHashError".into()));
}

#[test]
fn strangers_and_unknown_activations_get_nowhere() {
    let (mut run, id) = pair();
    assert_eq!(run.register(&hotkey(3), &node(), Moment::default()).unwrap().0, 0);
    let foreign = submit(&mut run, 3, &report(&id, 0, 2, Direction::Forward));
    assert_eq!(foreign, Err("NotYourActivationError".into()));
    let unknown = report(&"nope".into(), 0, 2, Direction::Forward);
    assert_eq!(submit(&mut run, 1, &unknown), Err("UnknownActivationError".into()));
    let nobody = submit(&mut run, 9, &report(&id, 0, 2, Direction::Forward));
    assert_eq!(nobody, Err("EntityNotRegisteredError".into()));
}

#[test]
fn losses_are_positive_numbers_of_the_last_stage_and_count_once() {
    let (mut run, id) = pair();
    let report = |loss| LossReportRequest { activation_id: id.clone(), loss, layer_idx: None };
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(run.report_loss(&hotkey(2), &report(bad), Moment::default()).is_err());
    }
    assert!(run.report_loss(&hotkey(1), &report(3.0), Moment::default()).is_err());
    run.report_loss(&hotkey(2), &report(3.0), Moment::default()).unwrap();
    run.report_loss(&hotkey(2), &report(4.0), Moment::default()).unwrap();
    assert_eq!(run.tokens(), 10);
}

#[test]
fn a_lost_miners_work_is_handed_out_again() {
    let (mut run, id) = pair();
    submit(&mut run, 1, &report(&id, 0, 2, Direction::Forward)).unwrap();
    submit(&mut run, 2, &report(&id, 1, 2, Direction::Forward)).unwrap();
    assert_eq!(run.allowance(&hotkey(1), 5).unwrap(), 0);
    run.register(&hotkey(2), &node(), Moment::default()).unwrap();
    assert_eq!(run.allowance(&hotkey(1), 5).unwrap(), 1, "it forgot what it had");
    let late = submit(&mut run, 2, &report(&id, 1, 2, Direction::Backward));
    assert_eq!(late, Err("UnknownActivationError".into()));
}

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

#[test]
fn a_run_that_reached_its_epochs_hands_out_nothing() {
    let mut world = World::new(RunPlan { epochs: Some(1), ..plan(2, 1, 2) }, 3);
    world.run_to(1);
    assert!(world.run.is_finished() && world.run.all_training());
    let head = world.at_stage(0).unwrap();
    assert_eq!(world.run.allowance(&head, 4).unwrap(), 0);
}

//! Honest miners around a run, in random order.

use super::*;

/// A piece of work at a miner, or a report on its way to the orchestrator.
#[derive(Clone, Debug)]
pub(super) enum Task {
    Work { id: ActivationId, stage: usize, direction: Direction, at: Hotkey },
    Report { id: ActivationId, stage: usize, direction: Direction, by: Hotkey },
}

/// Honest miners around a run, in random order.
pub(super) struct World {
    pub(super) run: Run,
    pub(super) now: Moment,
    pub(super) dice: Entropy,
    pub(super) tasks: Vec<Task>,
    /// Who took the forward of which activation at which stage.
    pub(super) route: HashMap<(ActivationId, usize), Hotkey>,
    pub(super) alive: Vec<Hotkey>,
    pub(super) next: u8,
    pub(super) lost_someone: bool,
    pub(super) events: Vec<Event>,
}

impl World {
    pub(super) fn new(plan: RunPlan, seed: u64) -> Self {
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

    pub(super) fn join(&mut self) {
        let hotkey = hotkey(self.next);
        self.next += 1;
        self.run.register(&hotkey, &node(), self.now).unwrap();
        self.alive.push(hotkey);
    }

    /// Somebody vanishes without a word.
    pub(super) fn kill(&mut self) {
        let victim = self.alive.remove(self.dice.below(self.alive.len()));
        self.tasks.retain(|task| match task {
            Task::Work { at, .. } => *at != victim,
            Task::Report { .. } => true,
        });
        self.lost_someone = true;
    }

    pub(super) fn at_stage(&mut self, stage: usize) -> Option<Hotkey> {
        let there: Vec<Hotkey> = self
            .alive
            .iter()
            .filter(|hotkey| self.run.place(hotkey).is_ok_and(|place| place.0.0 == stage))
            .cloned()
            .collect();
        there.get(self.dice.below(there.len())).cloned()
    }

    /// One thing happens. Returns whether anything could.
    pub(super) fn step(&mut self) -> bool {
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
    pub(super) fn check(&self) {
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
    pub(super) fn anyone(&mut self) -> Vec<Hotkey> {
        let mut all = self.alive.clone();
        let first = self.dice.below(all.len());
        all.rotate_left(first);
        all
    }

    pub(super) fn fetch(&mut self) -> bool {
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

    pub(super) fn do_task(&mut self) -> bool {
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

    pub(super) fn work(
        &mut self,
        id: ActivationId,
        stage: usize,
        direction: Direction,
        at: Hotkey,
    ) {
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

    pub(super) fn end_of_epoch(&mut self) -> bool {
        self.anyone().iter().any(|hotkey| match self.run.place(hotkey).map(|place| place.1) {
            Ok(Phase::WeightsUploading) => self.upload(hotkey),
            Ok(Phase::MergingPartitions) => self.merge(hotkey),
            _ => false,
        })
    }

    pub(super) fn upload(&mut self, hotkey: &Hotkey) -> bool {
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

    pub(super) fn merge(&mut self, hotkey: &Hotkey) -> bool {
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

    pub(super) fn run_to(&mut self, epochs: u64) {
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

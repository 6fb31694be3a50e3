//! Activations: handing them out, following them through the stages and back, giving up what is
//! lost (spec 14.2). The work of an epoch is counted per stage, so that random routing by the miners
//! does not matter and no backward is lost at its end.

use super::{Entry, Run, refusal};
use crate::clock::Moment;
use crate::protocol::messages::{Direction, LossReportRequest, SubmitActivationRequest};
use crate::protocol::{ActivationHash, ActivationId, Hotkey, Phase, ServerError};
use crate::telemetry::Event;

/// Most activations handed out by one call.
const MOST_PER_CALL: usize = 64;

/// One activation of this epoch.
#[derive(Clone, Debug)]
pub struct Open {
    /// Object name of its text.
    pub sample: String,
    /// Whom it was handed to.
    pub head: Hotkey,
    /// Still under way, or what became of it.
    pub state: State,
    handed: Moment,
    touched: Moment,
    forwards: Vec<Option<Pass>>,
    backwards: Vec<Option<Pass>>,
    loss: Option<f64>,
    /// Where its first forward must be uploaded, if it is spot-checked.
    pub(super) spot_check: Option<String>,
}

/// What became of an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// On its way.
    Open,
    /// Every stage did its backward.
    Done,
    /// Lost; another one was handed out instead.
    GivenUp,
}

/// One stage's report about an activation, in one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Who did it.
    pub hotkey: Hotkey,
    /// Hash of the bytes it received.
    pub input: Option<String>,
    /// Hash of the bytes it produced.
    pub output: Option<String>,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Done => "done",
            State::GivenUp => "given_up",
        }
    }
}

impl Run {
    /// How many activations `hotkey` may have now, if it asks for `wanted`: none unless it is in the
    /// first stage, every stage trains and has a miner, the planned ones have come (or were waited
    /// for), and the epoch needs more work.
    ///
    /// # Errors
    /// [`ServerError::LayerState`] when its stage is not in training; benched or frozen.
    pub fn allowance(&self, hotkey: &Hotkey, wanted: usize) -> Result<usize, ServerError> {
        let stage = self.stage_in(hotkey, Phase::Training)?;
        self.must_work(hotkey)?;
        let manned =
            self.mustered && (0..self.stages.len()).all(|s| self.working_in(s).next().is_some());
        if stage != 0 || !self.in_step() || !manned || self.is_finished() {
            return Ok(0);
        }
        // One head must not take the whole epoch while the others are still loading.
        let heads = self.working_in(0).count().max(1) as u64;
        let share = usize::try_from(self.goal().div_ceil(heads)).unwrap_or(usize::MAX);
        let held = self.open().filter(|(_, activation)| activation.head == *hotkey).count();
        let room = share.saturating_sub(held);
        let needed = usize::try_from(self.needed()).unwrap_or(usize::MAX);
        Ok(wanted.min(MOST_PER_CALL).min(room).min(needed))
    }

    /// Whether all stages train in the same epoch.
    fn in_step(&self) -> bool {
        let epoch = self.stages.first().map_or(1, |stage| stage.epoch);
        self.all_training() && self.stages.iter().all(|stage| stage.epoch == epoch)
    }

    /// Activations that must still be handed out so that every stage reaches its goal, if all that
    /// are under way come back.
    fn needed(&self) -> u64 {
        let needed_by = |(index, stage): (usize, &super::Stage)| {
            let coming = self.open().filter(|(_, a)| a.backwards[index].is_none()).count() as u64;
            self.goal().saturating_sub(stage.backwards + coming)
        };
        self.stages.iter().enumerate().map(needed_by).max().unwrap_or(0)
    }

    pub(super) fn open(&self) -> impl Iterator<Item = (&ActivationId, &Open)> {
        self.activations.iter().filter(|(_, activation)| activation.state == State::Open)
    }

    /// Hands out one activation with the text in `sample`. Ask [`Run::allowance`] first.
    pub fn hand_out(&mut self, hotkey: &Hotkey, sample: String, now: Moment) -> ActivationId {
        let id = ActivationId(self.ids.uuid());
        let stages = self.stages.len();
        let activation = Open {
            sample: sample.clone(),
            head: hotkey.clone(),
            state: State::Open,
            handed: now,
            touched: now,
            forwards: vec![None; stages],
            backwards: vec![None; stages],
            loss: None,
            spot_check: None,
        };
        self.samples.push((self.epoch().0, sample));
        self.activations.insert(id.clone(), activation);
        self.note_activation(&id);
        id
    }

    fn note_activation(&mut self, id: &ActivationId) {
        let Some(activation) = self.activations.get(id) else { return };
        let entry = Entry::Activation {
            id: id.clone(),
            epoch: self.epoch().0,
            sample: activation.sample.clone(),
            head: activation.head.clone(),
            state: activation.state.as_str(),
        };
        self.note(entry);
    }

    /// Takes a report that a stage is done with an activation. The same report again is fine, since
    /// an answer can be lost.
    ///
    /// # Errors
    /// The wrong phase, an unknown activation, another miner's work, or hashes that are missing or do
    /// not fit the neighbour's report.
    pub fn submit_activation(
        &mut self,
        hotkey: &Hotkey,
        report: &SubmitActivationRequest,
        now: Moment,
    ) -> Result<(), ServerError> {
        let stage = self.stage_in(hotkey, Phase::Training)?;
        self.must_work(hotkey)?;
        let id = report.activation_id.clone().unwrap_or_default();
        let activation = self.known(&id)?;
        let passes = activation.passes(report.direction);
        if let Some(pass) = &passes[stage] {
            return if pass.hotkey == *hotkey { Ok(()) } else { Err(not_yours(&id)) };
        }
        if activation.state == State::GivenUp {
            return Err(unknown(&id));
        }
        let forward = activation.forwards[stage].as_ref();
        if stage == 0 && activation.head != *hotkey
            || forward.is_some_and(|pass| pass.hotkey != *hotkey)
        {
            return Err(not_yours(&id));
        }
        let pass = Pass {
            hotkey: hotkey.clone(),
            input: report.input_activation_hash.clone(),
            output: report.output_activation_hash.clone(),
        };
        if let Err(reason) = check_hashes(activation, stage, report.direction, &pass) {
            let (miner, check) = (self.name(hotkey), "activation_hash".to_owned());
            self.tell(Event::Evidence { miner, check, detail: format!("{id}: {reason}") });
            return Err(refusal("ActivationHashError", reason));
        }
        self.check_path(hotkey, &id, stage, report)?;
        self.record(stage, id, report.direction, pass, now);
        Ok(())
    }

    fn known(&self, id: &ActivationId) -> Result<&Open, ServerError> {
        self.activations.get(id).ok_or_else(|| unknown(id))
    }

    fn record(
        &mut self,
        stage: usize,
        id: ActivationId,
        direction: Direction,
        pass: Pass,
        now: Moment,
    ) {
        if let Some(miner) = self.miners.get_mut(&pass.hotkey) {
            match direction {
                Direction::Forward => miner.forwards += 1,
                Direction::Backward => {
                    miner.backwards += 1;
                    miner.score += 1;
                    self.stages[stage].backwards += 1;
                }
            }
        }
        let Some(activation) = self.activations.get_mut(&id) else { return };
        self.patience.note(now.since(activation.touched));
        activation.touched = now;
        activation.passes_mut(direction)[stage] = Some(pass.clone());
        let done = activation.backwards.iter().all(Option::is_some);
        if done {
            activation.state = State::Done;
        }
        let Pass { hotkey, input, output } = pass;
        self.note(Entry::Pass { activation: id.clone(), stage, direction, hotkey, input, output });
        if done {
            self.note_activation(&id);
        }
    }

    /// Takes the loss of an activation from the last stage.
    ///
    /// # Errors
    /// The wrong phase or stage, an unknown activation, or a number that is no cross-entropy.
    pub fn report_loss(
        &mut self,
        hotkey: &Hotkey,
        report: &LossReportRequest,
        now: Moment,
    ) -> Result<(), ServerError> {
        let stage = self.stage_in(hotkey, Phase::Training)?;
        self.must_work(hotkey)?;
        if report.layer_idx.is_some_and(|layer| layer.0 != stage) {
            let message = format!("your stage is {stage}, not the one you report for");
            return Err(refusal("WrongLayerError", message));
        }
        if stage + 1 != self.stages.len() {
            return Err(refusal("WrongLayerError", "only the last stage knows the loss"));
        }
        if !report.loss.is_finite() || report.loss <= 0.0 {
            let message = format!("{} is not a cross-entropy: it must be positive", report.loss);
            return Err(refusal("LossError", message));
        }
        let (id, epoch) = (&report.activation_id, self.epoch().0);
        let activation = self.activations.get_mut(id).ok_or_else(|| unknown(id))?;
        if activation.state == State::GivenUp {
            return Err(unknown(id));
        }
        if activation.loss.is_some() {
            return Ok(());
        }
        activation.loss = Some(report.loss);
        activation.touched = now;
        let tokens = self.plan.tokens_per_activation;
        self.tokens += tokens;
        self.tally.note_loss(report.loss);
        let activation = id.to_string();
        self.tell(Event::Loss { epoch, activation, loss: report.loss });
        let (activation, hotkey) = (id.clone(), hotkey.clone());
        self.note(Entry::Loss { epoch, activation, hotkey, loss: report.loss, tokens });
        Ok(())
    }

    /// Gives up what a lost miner had under way. What had not been reported yet may have been on its
    /// way there too: see [`crate::swarm::rules::Limits::stranded`].
    pub(super) fn lose_work_of(&mut self, hotkey: &Hotkey, now: Moment) {
        let at = |passes: &[Option<Pass>], stage: usize| {
            passes[stage].as_ref().is_some_and(|pass| pass.hotkey == *hotkey)
        };
        let held = |a: &Open| {
            let stages = 0..a.forwards.len();
            (a.head == *hotkey && a.backwards[0].is_none())
                || stages.into_iter().any(|s| at(&a.forwards, s) && a.backwards[s].is_none())
        };
        let lost = self.open().filter(|(_, a)| held(a)).map(|(id, _)| id.clone()).collect();
        self.lost_at = Some(now);
        self.give_up(lost);
    }

    /// Gives up what nobody reported about for too long.
    pub(super) fn give_up_stale(&mut self, now: Moment) {
        let limits = self.plan.rules.limits;
        let patience = self.patience.at_most(limits.activation);
        let stale = |a: &Open| {
            let idle = now.since(a.touched);
            let stranded = self.lost_at.is_some_and(|at| at >= a.handed);
            idle > patience || (stranded && idle > limits.stranded)
        };
        let lost = self.open().filter(|(_, a)| stale(a)).map(|(id, _)| id.clone()).collect();
        self.give_up(lost);
    }

    pub(super) fn give_up_all(&mut self) {
        let lost = self.open().map(|(id, _)| id.clone()).collect();
        self.give_up(lost);
    }

    fn give_up(&mut self, lost: Vec<ActivationId>) {
        for id in lost {
            if let Some(activation) = self.activations.get_mut(&id) {
                activation.state = State::GivenUp;
            }
            self.note_activation(&id);
        }
    }

    /// Objects of samples that were handed out up to `epoch`.
    pub(super) fn old_samples(&mut self, epoch: u64) -> Vec<String> {
        let (old, kept) = std::mem::take(&mut self.samples).into_iter().partition(|s| s.0 <= epoch);
        self.samples = kept;
        let old: Vec<(u64, String)> = old;
        old.into_iter().map(|(_, object)| object).collect()
    }
}

impl Open {
    fn passes(&self, direction: Direction) -> &[Option<Pass>] {
        match direction {
            Direction::Forward => &self.forwards,
            Direction::Backward => &self.backwards,
        }
    }

    fn passes_mut(&mut self, direction: Direction) -> &mut [Option<Pass>] {
        match direction {
            Direction::Forward => &mut self.forwards,
            Direction::Backward => &mut self.backwards,
        }
    }
}

/// Checks that the hashes which must be there are, and that what one stage sent is what its neighbour
/// received. Reports of neighbours may arrive in any order, so both sides are looked at.
fn check_hashes(
    activation: &Open,
    stage: usize,
    direction: Direction,
    pass: &Pass,
) -> Result<(), String> {
    let last = activation.forwards.len() - 1;
    for hash in [&pass.input, &pass.output].into_iter().flatten() {
        hash.parse::<ActivationHash>().map_err(|_| format!("{hash:.80?} is not a BLAKE3 hash"))?;
    }
    let sends = match direction {
        Direction::Forward => stage < last,
        Direction::Backward => stage > 0,
    };
    // A tail's backward starts from its own loss; what it received is the forward of the stage
    // before it.
    let (source, receives) = match direction {
        Direction::Forward => (stage.checked_sub(1).map(|s| &activation.forwards[s]), stage > 0),
        Direction::Backward if stage == last => {
            (stage.checked_sub(1).map(|s| &activation.forwards[s]), false)
        }
        Direction::Backward => (activation.backwards.get(stage + 1), true),
    };
    if receives && pass.input.is_none() {
        return Err("the hash of the received bytes is missing".to_owned());
    }
    if sends && pass.output.is_none() {
        return Err("the hash of the produced bytes is missing".to_owned());
    }
    let sent = source.and_then(|s| s.as_ref()).and_then(|s| s.output.as_ref());
    if let (Some(sent), Some(received)) = (sent, &pass.input)
        && sent != received
    {
        return Err(format!("received {received:.16}, but the stage before sent {sent:.16}"));
    }
    let target = match direction {
        Direction::Forward => activation.forwards.get(stage + 1),
        Direction::Backward => stage.checked_sub(1).map(|s| &activation.backwards[s]),
    };
    let received = target.and_then(|t| t.as_ref()).and_then(|t| t.input.as_ref());
    if let (Some(received), Some(sent)) = (received, &pass.output)
        && sent != received
    {
        return Err(format!("sent {sent:.16}, but the next stage received {received:.16}"));
    }
    Ok(())
}

fn unknown(id: &ActivationId) -> ServerError {
    refusal("UnknownActivationError", format!("no activation {:.80} is under way", id.0))
}

fn not_yours(id: &ActivationId) -> ServerError {
    refusal("NotYourActivationError", format!("another miner works on activation {id}"))
}

//! The self-test of a device: every kernel that it would use, against the oracle, on awkward, real
//! and random shapes, several times over to catch races.
//!
//! A kind of op that fails in its fast form is tried in the next simpler one ([`KernelForm`]); one
//! that fails in all of them makes the device unusable. Time is bounded by the caller, who may stop
//! after any case: kernels come in the order of their importance, first one case for each, then the
//! rest.

mod queue;

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::conformance::{self, Case, Failure};
use super::cpu::CpuDevice;
use super::device::{BuildError, Device, DeviceFault, DeviceKind};
use super::kind::OpKind;
use super::wgpu::{KernelChoice, KernelForm, WgpuDevice};

use queue::KindQueue;

/// A device whose kernels can be tested and put into other forms.
pub trait Testable {
    /// The device with its kernels in these forms.
    fn in_forms(&self, choice: KernelChoice) -> Box<dyn Device>;

    /// Names of the compiled kernels that a case runs: the same name stands for the same code.
    fn kernels_of(&self, choice: KernelChoice, case: &Case) -> BTreeSet<String>;
}

impl Testable for WgpuDevice {
    fn in_forms(&self, choice: KernelChoice) -> Box<dyn Device> {
        Box::new(self.with_choice(choice))
    }

    fn kernels_of(&self, choice: KernelChoice, case: &Case) -> BTreeSet<String> {
        let programs = std::slice::from_ref(case.program());
        // What cannot be lowered fails when it is run, and is reported then.
        self.with_choice(choice).variants(case.layout(), programs).unwrap_or_default()
    }
}

impl Testable for CpuDevice {
    fn in_forms(&self, _choice: KernelChoice) -> Box<dyn Device> {
        Box::new(self.clone())
    }

    /// The processor has one form of each.
    fn kernels_of(&self, _choice: KernelChoice, case: &Case) -> BTreeSet<String> {
        case.kind().map(|kind| kind.word().to_owned()).into_iter().collect()
    }
}

/// How thorough a test is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thoroughness {
    /// Runs of every case on the same numbers.
    pub repeats: usize,
    /// Random cases of each family beside the fixed ones.
    pub drawn: usize,
    /// Seed of the random ones.
    pub seed: u64,
}

impl Thoroughness {
    /// What a device of this kind is tested with: a race shows on a GPU, and there runs are cheap.
    pub fn of(kind: DeviceKind) -> Self {
        match kind {
            DeviceKind::Gpu => Self { repeats: 20, drawn: 4, seed: 1 },
            _ => Self { repeats: 3, drawn: 2, seed: 1 },
        }
    }
}

/// How far a test is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Cases that were run.
    pub done: usize,
    /// All cases; more only where a kernel is replaced and tried again.
    pub total: usize,
    /// What is tested now.
    pub kind: OpKind,
    /// Whether every kernel that is to be used was run once by now.
    pub covered: bool,
}

/// A form of a kernel that failed, and on what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormFailure {
    /// The form.
    pub form: KernelForm,
    /// The case.
    pub case: String,
    /// What was wrong.
    pub why: String,
}

/// What came out for a kind of op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every case that was run passed, in the fastest form.
    Passed,
    /// The fast form failed; a simpler one passed and is used.
    Replaced,
    /// No form passed.
    Failed,
    /// There was no time for it.
    Untested,
}

impl Outcome {
    /// Its word in reports and files. Stable.
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Replaced => "replaced",
            Self::Failed => "failed",
            Self::Untested => "untested",
        }
    }
}

/// The verdict on a kind of op.
#[derive(Clone, Debug, PartialEq)]
pub struct KindVerdict {
    /// Which.
    pub kind: OpKind,
    /// What came out.
    pub outcome: Outcome,
    /// The form that is used (the last one tried, if it failed).
    pub form: KernelForm,
    /// Cases that it passed in this form.
    pub cases: usize,
    /// Largest relative error there.
    pub error: f64,
    /// The forms that failed.
    pub failures: Vec<FormFailure>,
}

/// The verdict on a device.
#[derive(Clone, Debug, PartialEq)]
pub struct TestReport {
    /// One for every kind, in the order of their importance.
    pub kinds: Vec<KindVerdict>,
    /// The forms to use.
    pub choice: KernelChoice,
    /// Cases that were run.
    pub done: usize,
    /// Whether every compiled kernel was run at least once.
    pub covered: bool,
    /// Whether the caller stopped it before all cases were run.
    pub stopped: bool,
    /// Why the device was lost on the way, if it was.
    pub lost: Option<String>,
}

impl TestReport {
    /// Whether the device may be used.
    pub fn is_usable(&self) -> bool {
        self.lost.is_none() && self.kinds.iter().all(|kind| kind.outcome != Outcome::Failed)
    }

    /// Verdicts with this outcome.
    pub fn with_outcome(&self, outcome: Outcome) -> impl Iterator<Item = &KindVerdict> {
        self.kinds.iter().filter(move |kind| kind.outcome == outcome)
    }

    /// Why the device may not be used, in words; none if it may.
    pub fn refusal(&self) -> Option<String> {
        if let Some(why) = &self.lost {
            return Some(format!("the device was lost in the self-test ({why})"));
        }
        let failed = self.with_outcome(Outcome::Failed).next()?;
        let (case, why) = failed.failures.last().map_or(("?", "?"), |f| (&f.case, &f.why));
        Some(format!("its kernel {} gives wrong results on {case}: {why}", failed.kind))
    }
}

/// Tests a device. `watch` is told before every case, and may stop the test.
pub fn run(
    device: &dyn Testable,
    how: Thoroughness,
    watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> TestReport {
    let mut cases = conformance::cases();
    cases.extend(conformance::drawn(how.seed, how.drawn));
    run_cases(device, &cases, how, watch)
}

/// Tests a device with these cases.
pub fn run_cases(
    device: &dyn Testable,
    cases: &[Case],
    how: Thoroughness,
    watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> TestReport {
    let mut test = Test {
        device,
        oracle: CpuDevice::oracle(),
        how,
        watch,
        choice: KernelChoice::default(),
        done: 0,
        total: cases.len(),
        lost: None,
    };
    let mut queues: Vec<KindQueue<'_>> =
        OpKind::ALL.into_iter().map(|kind| KindQueue::new(kind, device, cases)).collect();
    let mut stopped = false;
    for round in [Round::Cover, Round::Rest] {
        for queue in &mut queues {
            if !stopped && test.lost.is_none() {
                stopped = test.advance(queue, round).is_break();
            }
        }
    }
    let stopped = stopped && test.lost.is_none();
    let covered = test.lost.is_none() && queues.iter().all(|q| q.next(Round::Cover).is_none());
    let kinds = queues.into_iter().map(KindQueue::into_verdict).collect();
    TestReport { kinds, choice: test.choice, done: test.done, covered, stopped, lost: test.lost }
}

/// The two passes over the kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// One case for every compiled kernel.
    Cover,
    /// The others.
    Rest,
}

/// A test under way.
struct Test<'a> {
    device: &'a dyn Testable,
    oracle: CpuDevice,
    how: Thoroughness,
    watch: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
    choice: KernelChoice,
    done: usize,
    total: usize,
    lost: Option<String>,
}

impl Test<'_> {
    /// Runs a kind's cases of a round, in simpler forms where it fails.
    fn advance(&mut self, queue: &mut KindQueue<'_>, round: Round) -> ControlFlow<()> {
        while let Some(case) = queue.next(round) {
            let covered = round == Round::Rest;
            let (done, total) = (self.done, self.total.max(self.done + 1));
            (self.watch)(Progress { done, total, kind: queue.kind, covered })?;
            self.done += 1;
            let device = self.device.in_forms(self.choice);
            match conformance::run_often(case, device.as_ref(), &self.oracle, self.how.repeats) {
                Ok(verdict) => queue.passed(verdict.error),
                Err(why) => {
                    self.lost = loss(&why);
                    queue.failed(case, &why);
                    if self.lost.is_some() {
                        return ControlFlow::Break(());
                    }
                    self.simplify(queue, case);
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Takes the next form of a kind that is another kernel for the case that failed.
    fn simplify(&mut self, queue: &mut KindQueue<'_>, case: &Case) {
        let kind = queue.kind;
        let failing = self.device.kernels_of(self.choice, case);
        let mut form = self.choice.form(kind);
        while let Some(simpler) = form.simpler() {
            let choice = self.choice.with(kind, simpler);
            form = simpler;
            if self.device.kernels_of(choice, case) != failing {
                self.choice = choice;
                queue.start_again(simpler);
                return;
            }
        }
        queue.give_up();
    }
}

/// The driver's words, if the device is gone.
fn loss(failure: &Failure) -> Option<String> {
    match failure {
        Failure::Fault(DeviceFault::Lost { why, .. })
        | Failure::Build(BuildError::Fault(DeviceFault::Lost { why, .. })) => Some(why.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

//! Where a stage is built: on a device that works (one that was lost is opened again first), within the
//! memory there is (a plan that finds none steps down), and with what is kept of it on the disk. The
//! duty that builds a stage works here, and so does the training phase that has lost one.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::watch;

use super::board::Board;
use super::device::{AWAITED, DeviceWorker, Renewal, Sound, pause_after};
use super::duties::not_durable;
use super::error::MinerError;
use super::life::MinerSettings;
use super::snapshot::{Reason, State, Who};
use crate::clock::Clock;
use crate::compute::{BuildError, Device, DeviceFault, ReopenError};
use crate::protocol::Epoch;
use crate::telemetry::Severity;
use crate::training::floor::Wish;
use crate::training::keep::{KeepError, KeepPlace};
use crate::training::local::{LocalError, LocalStage, PrepareError};
use crate::training::memory;
use crate::training::memory::ladder::{self, FitError, Rung};
use crate::training::memory::share::HostPlan;
use crate::training::mend::{LostStage, Mender};
use crate::training::recover::{Taken, awaits_hand_in, recover};
use crate::training::snapshot::SnapshotStore;
use crate::training::terms::Terms;

/// So often the same work may take the device down before it is given up.
const RECOVERIES: u32 = 2;

/// Why there is no stage.
#[derive(Debug)]
pub(super) enum Unbuilt {
    /// It was lost again on the way; in plain words.
    Lost(String),
    /// No repetition helps.
    Hopeless(MinerError),
}

/// Whether a stage that was built can go on where it stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It starts from merged weights.
    None,
    /// It holds the work of an epoch, to go on with.
    GoesOn,
}

/// What building a stage takes.
pub(super) struct Workshop {
    settings: Arc<MinerSettings>,
    pub(super) device: DeviceWorker,
    clock: Clock,
    board: Arc<Board>,
    wish: watch::Receiver<Wish>,
    /// What the stage was said to take of the machine's memory.
    planned: Option<HostPlan>,
    /// How the stage that was planned last is built.
    rung: Option<Rung>,
    /// The highest rung that may be taken, where memory ran out above it.
    highest: Option<Rung>,
    /// The rung as the stage was read from the run.
    read: Option<Rung>,
    /// Recoveries in a row that the device did not survive.
    lost_in_recovery: u32,
    /// Stages lost since the last training phase that ended as it should.
    rebuilds: u32,
    /// Whether a snapshot was ever written.
    pub(super) saved: bool,
    /// Why a lost stage could not be mended, where no repetition helps.
    pub(super) failure: Option<MinerError>,
}

impl Workshop {
    /// Nothing is built yet.
    pub(super) fn new(
        settings: Arc<MinerSettings>,
        device: DeviceWorker,
        clock: Clock,
        board: Arc<Board>,
        wish: watch::Receiver<Wish>,
    ) -> Self {
        Self {
            settings,
            device,
            clock,
            board,
            wish,
            planned: None,
            rung: None,
            highest: None,
            read: None,
            lost_in_recovery: 0,
            rebuilds: 0,
            saved: false,
            failure: None,
        }
    }

    /// Builds the stage and takes over what is kept of it. The terms are those of the run; the stage's
    /// own are on the rung that this machine has room for.
    pub(super) async fn build(&mut self, asked: &Terms) -> Result<(LocalStage, Progress), Unbuilt> {
        self.read = Some(Rung::of(asked));
        let mut stage = loop {
            let device = self.sound_device(asked).await?;
            let terms = self.plan_memory(asked)?.applied_to(asked);
            let stage = LocalStage::build(
                &self.device.worker,
                Arc::clone(&device),
                terms,
                self.settings.weights_seed,
                self.settings.hotkey.address().clone(),
                self.settings.recorder.clone(),
            );
            match stage.await {
                Ok(stage) => break stage,
                // Asked again: the fault may have come in the words of some other refusal.
                Err(error) if device.health().is_err() => return Err(lost(&error)),
                Err(PrepareError::Build(BuildError::OutOfMemory { needed, .. })) => {
                    let why = format!(
                        "the device has no room for the {} of it",
                        memory::Size(needed as u64)
                    );
                    self.step_down(asked, &why)?;
                }
                Err(error @ (PrepareError::Plan(_) | PrepareError::Build(_))) => {
                    return Err(Unbuilt::Hopeless(MinerError::Device(error.to_string())));
                }
                Err(PrepareError::Local(error)) => return Err(lost(&error)),
            }
        };
        let bytes = stage.memory_bytes().await.map_err(|error| lost(&error))?;
        let terms = stage.terms();
        let plan = terms.spec.plan().map_err(|error| lost(&error))?;
        let (flops, tokens) = (plan.product_flops("backward"), terms.tokens() as u64);
        self.board.update(|snapshot| {
            snapshot.device.stage_bytes = bytes;
            // A backward computes the forward once again: its products are those of both.
            let peak = snapshot.device.peak_flops;
            snapshot.measured.utilisation.of_stage(flops, tokens, peak);
        });
        let progress = self.recover(&mut stage).await.map_err(|error| lost(&error))?;
        Ok((stage, progress))
    }

    /// Whether the disk has work of this epoch that was not handed in.
    pub(super) async fn holds_work_of(&self, terms: &Terms, epoch: Epoch) -> bool {
        let (place, terms) = (self.place(terms), terms.clone());
        let looked = tokio::task::spawn_blocking(move || awaits_hand_in(&place, &terms, epoch));
        looked.await.unwrap_or(false)
    }

    /// A training phase has ended as it should: whatever was lost before it is past.
    pub(super) fn all_is_well(&mut self) {
        self.rebuilds = 0;
    }

    /// How long to wait before the stage that was just lost is built again.
    pub(super) fn pause(&mut self) -> Duration {
        self.rebuilds += 1;
        rebuild_pause(self.rebuilds)
    }

    /// Shows why there is no stage yet.
    fn say(&self, reason: Reason, next: &str) {
        // What ends shows that it ends.
        if !self.wish.borrow().stops() {
            self.board.status(State::Loading, reason, Who::Machine, next);
        }
    }

    fn warn(&self, code: &'static str, what: String, fix: &str) {
        self.board.finding(Severity::Warning, code, what, fix);
    }

    /// The device, opened again if it was lost: as often as it takes, for as long as a driver may take
    /// to be replaced.
    async fn sound_device(&mut self, terms: &Terms) -> Result<Arc<dyn Device>, Unbuilt> {
        let since = self.clock.now();
        let mut tries = 0;
        loop {
            let why = match self.device.sound().await {
                Ok(Sound { device, renewal }) => {
                    if let Some(renewal) = renewal {
                        self.tell_renewal(&renewal, terms)?;
                    }
                    return Ok(device);
                }
                Err(ReopenError::NotBack(why)) => why,
                Err(ReopenError::Unusable(why)) => {
                    return Err(Unbuilt::Hopeless(MinerError::DeviceGone(why)));
                }
            };
            tries += 1;
            let waited = self.clock.now().since(since);
            if waited >= AWAITED {
                let minutes = AWAITED.as_secs() / 60;
                let what = format!(
                    "the device did not come back within {minutes} min ({why}); check its power and \
                     driver, or use --backend cpu"
                );
                return Err(Unbuilt::Hopeless(MinerError::DeviceGone(what)));
            }
            let reason = Reason::DeviceGone { what: why };
            let next = format!("the driver must give the device back ({tries} tries so far)");
            self.say(reason, &next);
            self.clock.sleep(pause_after(tries)).await;
        }
    }

    /// Says how the device came back. Where memory had run out, the plan steps down.
    fn tell_renewal(&mut self, renewal: &Renewal, terms: &Terms) -> Result<(), Unbuilt> {
        let Renewal { fault, in_flight, changed } = renewal;
        if let DeviceFault::OutOfMemory { .. } = fault {
            return self.step_down(terms, &fault.to_string());
        }
        let busy = if in_flight.is_empty() { "nothing" } else { in_flight };
        let what = format!("{fault}; it was busy with {busy}.");
        let fix = "Nothing: it is open again, and training goes on from the last good state. If this \
                   repeats, update its driver and look at its power and heat.";
        self.board.finding(Severity::Warning, "device-lost", what, fix);
        if let Some(changed) = changed {
            let fix = "Update the driver; Hearth tests the fast form again with another one.";
            self.board.finding(Severity::Warning, "kernel-banned", changed.clone(), fix);
        }
        Ok(())
    }

    /// The next rung of the ladder from now on, after memory ran out.
    fn step_down(&mut self, terms: &Terms, why: &str) -> Result<(), Unbuilt> {
        // Another miner's device, before this one has built anything.
        let Some(rung) = self.rung else { return Ok(()) };
        let Ok(Some(lower)) = ladder::below(terms, rung) else {
            let what = format!(
                "{why}, and the stage is as small as it gets ({rung}); close other programs that use \
                 the device, or use one with more memory"
            );
            return Err(Unbuilt::Hopeless(MinerError::Device(what)));
        };
        let what = format!(
            "Memory ran out: {why}. The stage is built again from its last good state: {lower} instead \
             of {rung}."
        );
        let fix = "Nothing: it goes on learning. Close other programs that use the device.";
        self.board.finding(Severity::Warning, "memory-stepped-down", what, fix);
        self.highest = Some(lower);
        Ok(())
    }

    /// Says what the stage will take of this machine, if it has that.
    fn plan_memory(&mut self, terms: &Terms) -> Result<Rung, Unbuilt> {
        // Its own earlier plan is over, and its stage gone.
        self.planned = None;
        let (device, rules) = (self.device.device(), &self.settings.constants.storage);
        let (room, highest) = (self.device.room(), self.highest);
        let mut others = 0;
        let planned = self.device.plans.plan(|theirs| {
            others = theirs;
            let room = room.without(theirs);
            let (rung, plan) = ladder::fit(terms, device.info(), rules, room, highest)?;
            Ok::<_, FitError>((plan.host(), (rung, plan)))
        });
        match planned {
            Ok((planned, (rung, plan))) => {
                self.planned = Some(planned);
                tracing::info!(miner = self.settings.name, "{plan}");
                self.rung = Some(rung);
                self.board.update(|snapshot| {
                    snapshot.device.planned_bytes = plan.total();
                    snapshot.device.memory = plan.to_string();
                });
                Ok(rung)
            }
            Err(error) => Err(does_not_fit(&error, others)),
        }
    }
}

impl Workshop {
    /// Takes what is on the disk into a stage that was just built.
    async fn recover(&mut self, stage: &mut LocalStage) -> Result<Progress, LocalError> {
        let place = self.place(stage.terms());
        if self.lost_in_recovery >= RECOVERIES {
            // The device does not survive that work.
            let store = place.store.clone();
            drop(tokio::task::spawn_blocking(move || store.drop_journals()).await);
            let what =
                "The noted work of this epoch could not be done again: the device failed at it \
                        each time. The snapshot before it is used."
                    .to_owned();
            self.warn("snapshot-damaged", what, "Nothing: what is good is used.");
        }
        let began = self.clock.now();
        let told = |backwards: usize| {
            let next = format!("noted work must be done again ({backwards} so far)");
            self.say(Reason::BuildingStage, &next);
        };
        let recovered = recover(stage, &place, self.settings.weights_seed, &told).await;
        let recovered = recovered.inspect_err(|_| self.lost_in_recovery += 1)?;
        self.lost_in_recovery = 0;
        if !recovered.losses.is_empty() {
            let what = format!("{}.", recovered.losses.join("; "));
            self.warn("snapshot-damaged", what, "Nothing: what is good is used.");
        }
        if recovered.taken == Taken::Nothing {
            return Ok(Progress::None);
        }
        let (epoch, again) = (recovered.epoch, recovered.again);
        let seconds = self.clock.now().since(began).as_secs_f64();
        tracing::info!(
            miner = self.settings.name, %epoch, again, seconds, taken = ?recovered.taken,
            "snapshot taken over"
        );
        let in_it = stage.count().backwards;
        self.board.update(|snapshot| {
            snapshot.recovered = Some(epoch.0);
            if recovered.goes_on {
                snapshot.work.backwards_this_epoch = in_it;
            }
        });
        if !recovered.goes_on {
            return Ok(Progress::None);
        }
        // It is on the disk, whoever wrote it.
        self.saved = true;
        Ok(Progress::GoesOn)
    }

    /// Where durable points of these terms go.
    pub(super) fn place(&self, terms: &Terms) -> KeepPlace {
        let hotkey = self.settings.hotkey.address();
        let device = self.device.device();
        let info = device.info();
        KeepPlace {
            store: SnapshotStore::new(&self.settings.data, hotkey, &terms.run, terms.stage),
            hotkey: hotkey.clone(),
            ground: format!(
                "{} {}, {}, Hearth {}",
                info.backend,
                info.name,
                Rung::of(terms),
                env!("CARGO_PKG_VERSION")
            ),
            clock: self.clock.clone(),
        }
    }
    /// One try to have the lost stage as it was; none where it cannot go on with its epoch.
    async fn mended(&mut self, lost: &LostStage) -> Result<Option<LocalStage>, Unbuilt> {
        let read = self.read.unwrap_or_else(|| Rung::of(&lost.terms));
        let (mut stage, progress) = self.build(&read.applied_to(&lost.terms)).await?;
        let same = progress == Progress::GoesOn
            && stage.previous().is_some()
            && stage.epoch() == lost.epoch
            && stage.merged() == lost.merged.as_deref();
        if !same {
            return Ok(None);
        }
        if !stage.is_kept() {
            match stage.keep(&self.place(stage.terms())).await {
                Ok(()) => {}
                Err(KeepError::Local(error)) => return Err(Unbuilt::Lost(error.to_string())),
                Err(error) => not_durable(&self.board, error.to_string()),
            }
        }
        Ok(Some(stage))
    }
}

impl Mender for Workshop {
    fn mend<'a>(&'a mut self, lost: &'a LostStage) -> BoxFuture<'a, Result<LocalStage, String>> {
        Box::pin(async move {
            let mut why = lost.why.clone();
            loop {
                let reason = Reason::StageLost { what: why.clone() };
                self.say(reason, "the stage must be built again");
                let pause = self.pause();
                self.clock.sleep(pause).await;
                match self.mended(lost).await {
                    Ok(Some(stage)) => return Ok(stage),
                    Ok(None) => return Err(why),
                    Err(Unbuilt::Lost(again)) => why = again,
                    Err(Unbuilt::Hopeless(error)) => {
                        let what = error.to_string();
                        self.failure = Some(error);
                        return Err(what);
                    }
                }
            }
        })
    }
}

/// How long to wait before a stage is built again, the so-manieth time since a training phase ended as
/// it should: the first time not at all.
fn rebuild_pause(times: u32) -> Duration {
    match times {
        0 | 1 => Duration::ZERO,
        2..8 => Duration::from_secs(1 << (times - 2)),
        _ => Duration::from_secs(60),
    }
}

/// `others` are the bytes that this process's other miners will still take.
fn does_not_fit(error: &FitError, others: u64) -> Unbuilt {
    let what = match (error, others) {
        (FitError::NoRoom(_), 1..) => {
            let theirs = memory::Size(others);
            format!("{error}; {theirs} more are kept for this machine's other miners")
        }
        _ => error.to_string(),
    };
    Unbuilt::Hopeless(MinerError::Device(what))
}

fn lost(error: &dyn std::fmt::Display) -> Unbuilt {
    Unbuilt::Lost(error.to_string())
}

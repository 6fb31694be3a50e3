//! Building the stage: on a device that works (one that was lost is opened again first), within the
//! memory there is (a plan that finds none steps down).

use std::sync::Arc;

use super::super::MinerError;
use super::super::device::{AWAITED, Renewal, Sound, pause_after};
use super::super::life::Life;
use super::super::machine::Outcome;
use super::super::snapshot::{Reason, State, Who};
use crate::compute::{BuildError, Device, DeviceFault, ReopenError};
use crate::telemetry::Severity;
use crate::training::local::{LocalStage, PrepareError};
use crate::training::memory;
use crate::training::memory::ladder::{self, FitError, Rung};
use crate::training::terms::Terms;

impl Life {
    /// Builds the stage and takes over what is kept of it.
    pub(super) async fn build_stage(&mut self, terms: &mut Terms) -> Result<(), Outcome> {
        let asked = terms.clone();
        let mut stage = loop {
            let device = self.sound_device(&asked).await?;
            *terms = self.plan_memory(&asked)?.applied_to(&asked);
            let stage = LocalStage::build(
                &self.device.worker,
                Arc::clone(&device),
                terms.clone(),
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
                    self.step_down(&asked, &why)?;
                }
                Err(error @ (PrepareError::Plan(_) | PrepareError::Build(_))) => {
                    self.failure = Some(MinerError::Device(error.to_string()));
                    return Err(Outcome::Hopeless(error.to_string()));
                }
                Err(PrepareError::Local(error)) => return Err(lost(&error)),
            }
        };
        let bytes = stage.memory_bytes().await.map_err(|error| lost(&error))?;
        let plan = terms.spec.plan().map_err(|error| lost(&error))?;
        let (flops, tokens) = (plan.product_flops("backward"), terms.tokens() as u64);
        self.board.update(|snapshot| {
            snapshot.device.stage_bytes = bytes;
            // A backward computes the forward once again: its products are those of both.
            let peak = snapshot.device.peak_flops;
            snapshot.measured.utilisation.of_stage(flops, tokens, peak);
        });
        if let Err(error) = self.recover(&mut stage).await {
            return Err(lost(&error));
        }
        self.stage = Some(stage);
        Ok(())
    }

    /// The device, opened again if it was lost: as often as it takes, for as long as a driver may take
    /// to be replaced.
    async fn sound_device(&mut self, terms: &Terms) -> Result<Arc<dyn Device>, Outcome> {
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
                    self.failure = Some(MinerError::DeviceGone(why.clone()));
                    return Err(Outcome::Hopeless(why));
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
                self.failure = Some(MinerError::DeviceGone(what.clone()));
                return Err(Outcome::Hopeless(what));
            }
            let reason = Reason::DeviceGone { what: why };
            let next = format!("the driver must give the device back ({tries} tries so far)");
            self.board.status(State::Loading, reason, Who::Machine, &next);
            self.clock.sleep(pause_after(tries)).await;
        }
    }

    /// Says how the device came back. Where memory had run out, the plan steps down.
    fn tell_renewal(&mut self, renewal: &Renewal, terms: &Terms) -> Result<(), Outcome> {
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
    fn step_down(&mut self, terms: &Terms, why: &str) -> Result<(), Outcome> {
        // Another miner's device, before this one has built anything.
        let Some(rung) = self.rung else { return Ok(()) };
        let Ok(Some(lower)) = ladder::below(terms, rung) else {
            let what = format!(
                "{why}, and the stage is as small as it gets ({rung}); close other programs that use \
                 the device, or use one with more memory"
            );
            self.failure = Some(MinerError::Device(what.clone()));
            return Err(Outcome::Hopeless(what));
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
    fn plan_memory(&mut self, terms: &Terms) -> Result<Rung, Outcome> {
        // Its own earlier plan is over, and its stage gone.
        self.planned = None;
        let (device, rules) = (self.device.device(), &self.services.constants.storage);
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
            Err(error) => Err(self.does_not_fit(&error, others)),
        }
    }

    /// `others` are the bytes that this process's other miners will still take.
    fn does_not_fit(&mut self, error: &FitError, others: u64) -> Outcome {
        let what = match (error, others) {
            (FitError::NoRoom(_), 1..) => {
                let theirs = memory::Size(others);
                format!("{error}; {theirs} more are kept for this machine's other miners")
            }
            _ => error.to_string(),
        };
        self.failure = Some(MinerError::Device(what.clone()));
        Outcome::Hopeless(what)
    }
}

fn lost(error: &dyn std::fmt::Display) -> Outcome {
    Outcome::StageLost(error.to_string())
}

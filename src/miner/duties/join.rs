//! Getting a stage: registration, what the run needs of this machine, building, settling among the
//! peers.

use std::sync::Arc;

use super::super::MinerError;
use super::super::joining::Joining;
use super::super::life::{Held, Life};
use super::super::machine::Outcome;
use super::super::register::{RegisterError, Registrar};
use super::super::ticket::{Away, TicketFile};
use super::super::workshop::{Progress, Unbuilt};
use super::{of_call, out_of_order};
use crate::network::registry::{Registry, RegistrySetup};
use crate::protocol::Phase;
use crate::protocol::messages::{ChipInfo, Flag, MinerStatus, RegisterMinerRequest, SystemData};
use crate::telemetry::crash::{self, Part};
use crate::training::cache::{Capacity, lifetime};
use crate::training::desk::Desk;
use crate::training::memory::ladder::Rung;
use crate::training::terms::Terms;

/// Backwards that are watched to find the cache's size (flag `auto_max_cache`).
const MEASURED_BACKWARDS: u32 = 3;

impl Life {
    pub(super) async fn register(&mut self) -> Outcome {
        let registrar = Registrar {
            orchestrator: self.services.orchestrator.clone(),
            attestor: self.services.attestor.clone(),
            request: self.registration_request(),
            file: TicketFile::new(&self.settings.state, self.settings.hotkey.address()),
            board: Arc::clone(&self.board),
            clock: self.clock.clone(),
            entropy: self.entropy.split("registration"),
            away: Away::No,
        };
        let answer = match registrar.start().ended().await {
            Ok(answer) => answer,
            Err(RegisterError::Call(error)) => return of_call(&error),
            Err(RegisterError::Attestation(sentence)) => {
                self.failure = Some(MinerError::Refused(sentence.clone()));
                return Outcome::Hopeless(sentence);
            }
            Err(error) => return Outcome::Trouble(format!("{error}.")),
        };
        let terms = match Terms::read(&answer, self.settings.learning_rate) {
            Ok(terms) => terms,
            Err(error) => return Outcome::Hopeless(error.to_string()),
        };
        self.board.update(|snapshot| {
            snapshot.run = Some(terms.run.to_string());
            snapshot.stage = Some(terms.stage.0);
            snapshot.stages = terms.stages;
            snapshot.epoch = terms.epoch.0;
        });
        self.benched = answer.status.as_ref().is_some_and(MinerStatus::is_benched);
        self.announcer.say(Phase::Training, MinerStatus::Initializing);
        self.terms = Some(terms);
        Outcome::Done
    }

    /// What the network is asked, and told.
    fn registration_request(&self) -> RegisterMinerRequest {
        let mut request = RegisterMinerRequest::new(self.peers.node_id().clone());
        request.system_data = self.system_data();
        request.location.clone_from(&self.settings.disclosure.location);
        if let Joining::Pool(payout) = &self.settings.joining {
            request.register_as_metagraph_miner = false;
            request.coldkey = payout.as_ref().map(ToString::to_string);
        }
        request
    }

    /// What is told of the machine: device and architecture, nothing that names it.
    fn system_data(&self) -> Option<String> {
        let device = self.workshop.device.device();
        let info = device.info();
        let cores = std::thread::available_parallelism().ok().map(|n| n.get() as u64);
        let gpus = if info.backend == "cpu" { Vec::new() } else { vec![info.name.clone()] };
        let machine = std::env::consts::ARCH.to_owned();
        let chip_info = ChipInfo { machine, cpu: None, cores, memory_gb: None };
        let bandwidth = self.settings.disclosure.bandwidth;
        serde_json::to_string(&SystemData { gpus, chip_info, bandwidth }).ok()
    }

    pub(super) async fn build(&mut self) -> Outcome {
        let Some(mut terms) = self.terms.clone() else { return out_of_order("a registration") };
        if let Err(outcome) = self.find_tokenizer(&terms).await {
            return outcome;
        }
        match &mut self.stage {
            // Weights and optimizer in memory are the best there is (spec 9.7).
            Some(stage) if terms.same_stage(stage.terms()) => {
                terms = Rung::of(stage.terms()).applied_to(&terms);
                let joined = stage.terms().epoch;
                let kept = stage.previous().is_some();
                *stage.terms_mut() = terms.clone();
                if kept {
                    // Registered anew with weights and optimizer of its own: no newcomer.
                    stage.terms_mut().epoch = joined;
                    self.held = Held::Epoch;
                }
            }
            _ => {
                self.stage = None;
                self.held = Held::Nothing;
                self.new_here = true;
                match self.workshop.build(&terms).await {
                    Ok((stage, progress)) => {
                        crash::break_if_asked(Part::Miner);
                        self.stage = Some(stage);
                        if progress == Progress::GoesOn {
                            self.held = Held::Epoch;
                        }
                    }
                    Err(Unbuilt::Lost(what)) => return Outcome::StageLost(what),
                    Err(Unbuilt::Hopeless(error)) => {
                        let what = error.to_string();
                        self.failure = Some(error);
                        return Outcome::Hopeless(what);
                    }
                }
            }
        }
        self.settle(&terms).await
    }

    /// The run's tokenizer, before memory is taken for a stage that could not work without.
    async fn find_tokenizer(&mut self, terms: &Terms) -> Result<(), Outcome> {
        self.tokenizer = None;
        if !terms.is_first() && !terms.is_last() {
            return Ok(());
        }
        let (name, vocabulary) = (terms.tokenizer.as_deref(), terms.spec.config.vocab_size);
        match self.settings.tokenizer.find(&self.http, name, vocabulary).await {
            Ok(tokenizer) => {
                self.tokenizer = Some(tokenizer);
                Ok(())
            }
            Err(error) if error.may_pass() => Err(Outcome::Trouble(format!("{error}."))),
            Err(error) => {
                self.failure = Some(MinerError::Settings(error.to_string()));
                Err(Outcome::Hopeless(error.to_string()))
            }
        }
    }

    /// Sets up queue and cache, opens the door, joins the registry.
    async fn settle(&mut self, terms: &Terms) -> Outcome {
        if let Some(registry) = self.announcer.leave() {
            registry.stop().await;
        }
        let most = match self.settings.in_flight {
            Some(most) if terms.is_first() => most.max(1),
            _ => terms.hyper.cache,
        };
        let capacity = if terms.flags.is_on(Flag::AutoMaxCache) {
            Capacity::Measuring { backwards_left: MEASURED_BACKWARDS }
        } else {
            Capacity::Fixed(most)
        };
        let per_stage = self.services.constants.training.activation_cache_timeout;
        let patience = lifetime(per_stage, terms.stages, terms.stage.0);
        let desk = Arc::new(Desk::new(capacity, patience));
        if let Some(stage) = &self.stage {
            desk.note_done(stage.done());
        }
        self.peers.set_served_activations(terms.hyper.cache);
        let joined = Registry::join(RegistrySetup {
            bridge: self.bridge.clone(),
            run: terms.run.clone(),
            hotkey: self.settings.hotkey.address().clone(),
            address: self.peers.address_watch(),
            stage: terms.stage,
            status: self.announcer.status(),
            directory: self.peers.directory().clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.split("registry"),
        })
        .await;
        match joined {
            Ok(registry) => {
                let place = (terms.stage, terms.stages);
                self.announcer.settle(place, Arc::clone(&desk), registry);
                self.door.open(terms, Arc::clone(&desk));
                self.desk = Some(desk);
                Outcome::Done
            }
            Err(error) => {
                Outcome::Trouble(format!("The registry of miners cannot be joined: {error}."))
            }
        }
    }
}

//! The life cycle as a table: which duty follows which, given how the last one ended. Pure, so that
//! every pair can be tested; who carries a duty out is in `life`.

use std::time::Duration;

use crate::config::Constants;
use crate::protocol::messages::MinerStatus;
use crate::protocol::{Phase, ServerError};

/// What the miner is busy with. Each is carried out from start to end, and ends with an
/// [`Outcome`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Duty {
    /// Get a run and a stage.
    Register,
    /// Take memory for the stage and compile it.
    Build,
    /// Wait until the stage trains.
    AwaitTraining,
    /// Load the merged weights, save the snapshot.
    Load,
    /// Work on activations until the phase changes.
    Train,
    /// Hand in the pseudo-gradient.
    Upload,
    /// Wait until the stage merges.
    AwaitMerging,
    /// Merge the own partitions.
    Merge,
    /// The end, as asked for.
    Stopped,
    /// The end, because nothing helps.
    Fault,
}

impl Duty {
    /// All duties.
    pub const ALL: [Duty; 10] = [
        Duty::Register,
        Duty::Build,
        Duty::AwaitTraining,
        Duty::Load,
        Duty::Train,
        Duty::Upload,
        Duty::AwaitMerging,
        Duty::Merge,
        Duty::Stopped,
        Duty::Fault,
    ];

    /// Whether the miner's life is over.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Stopped | Self::Fault)
    }
}

/// Why the network lets this miner not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bench {
    /// It was frozen; for how long is the network's business.
    Frozen,
    /// It begins with the next epoch.
    Initializing,
}

impl Bench {
    /// What peers are told (spec 1.4).
    pub fn status(self) -> MinerStatus {
        match self {
            Self::Frozen => MinerStatus::Frozen,
            Self::Initializing => MinerStatus::Initializing,
        }
    }
}

/// How a duty ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// As it should.
    Done,
    /// The stage is in this phase, which is not the duty's.
    PhaseIs(Phase),
    /// The stage has gone on to another epoch without this miner.
    NewEpoch,
    /// The stage is in this phase of the epoch whose work this miner has kept: it goes on there.
    Resumed(Phase),
    /// There is nothing to do yet: partitions were not assigned, sources not uploaded.
    NotYet,
    /// The orchestrator does not know this miner (any more).
    NotRegistered,
    /// The orchestrator wants another version.
    WrongVersion(String),
    /// The run has no room.
    RunFull,
    /// The orchestrator benched this miner.
    Benched(Bench),
    /// A server or the store does not do its part; in plain words.
    Trouble(String),
    /// The weights on this machine cannot be trusted, or cannot be had: start over.
    Reset(String),
    /// The device or a computation failed; the stage must be built again.
    StageLost(String),
    /// The network refuses this miner's attestation, in its own words.
    AttestationRefused(String),
    /// Something no repetition can help with: a full disk, a model that does not fit.
    Hopeless(String),
    /// The user asked to stop, and the work in hand is done.
    StopAsked,
    /// A pause does not let it go on; it goes on after the pause.
    Held,
}

impl Outcome {
    /// What the miner makes of an application error (spec 1.11).
    pub fn of(error: &ServerError) -> Self {
        match error {
            ServerError::LayerState { actual, .. } => Self::PhaseIs(*actual),
            ServerError::EntityNotRegistered { .. } => Self::NotRegistered,
            ServerError::SpecVersion { .. } => Self::WrongVersion(error.to_string()),
            ServerError::RunFull { .. } => Self::RunFull,
            ServerError::MinerFrozen { .. } => Self::Benched(Bench::Frozen),
            ServerError::MinerInitializing { .. } => Self::Benched(Bench::Initializing),
            ServerError::Other { .. } if error.is_about_attestation() => {
                Self::AttestationRefused(error.to_string())
            }
            ServerError::Other { .. } => Self::Trouble(error.to_string()),
        }
    }
}

/// What to wait for before the next duty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pause {
    /// Nothing.
    None,
    /// The reset back-off: longer with each reset since the last good training phase (spec 1.13).
    Reset,
    /// The pause before a stage is built again: none at first, longer with each time.
    Rebuild,
    /// The pause between registrations.
    Registration,
    /// The pause of a full run.
    RunFull,
    /// The pause of a benched miner.
    Benched,
    /// The pause between two looks for partitions or sources.
    NotYet,
    /// The pause after trouble with a server.
    Trouble,
}

impl Pause {
    /// How long, except for [`Pause::Reset`] and [`Pause::Rebuild`], whose length depends on history.
    pub fn length(self, constants: &Constants) -> Duration {
        match self {
            Self::None | Self::Reset | Self::Rebuild => Duration::ZERO,
            Self::Registration => constants.registration_pause,
            Self::RunFull => constants.run_full_pause,
            Self::Benched => constants.benched_pause,
            Self::NotYet => constants.no_partitions_poll,
            Self::Trouble => constants.wait_for_phase_poll,
        }
    }
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// The next duty.
    pub duty: Duty,
    /// After this pause.
    pub pause: Pause,
}

/// How often a duty may end in trouble in a row before the miner starts over.
pub const MAX_TROUBLES: u32 = 3;

/// The table. `troubles` counts how often this duty ended in trouble in a row, this time included.
pub fn next(duty: Duty, outcome: &Outcome, troubles: u32) -> Next {
    let go = |duty| Next { duty, pause: Pause::None };
    let after = |pause, duty| Next { duty, pause };
    if duty.is_end() {
        return go(duty);
    }
    match outcome {
        Outcome::StopAsked => go(Duty::Stopped),
        Outcome::WrongVersion(_) | Outcome::Hopeless(_) | Outcome::AttestationRefused(_) => {
            go(Duty::Fault)
        }
        Outcome::Done => go(following(duty)),
        Outcome::Resumed(Phase::Training) => go(Duty::Train),
        Outcome::Resumed(Phase::WeightsUploading) => go(Duty::Upload),
        Outcome::Resumed(Phase::MergingPartitions) => go(Duty::Merge),
        Outcome::NewEpoch if duty == Duty::Load => after(Pause::Trouble, duty),
        Outcome::NewEpoch => go(Duty::Load),
        Outcome::PhaseIs(phase) => {
            let to = for_phase(duty, *phase);
            // Told to do what it does already: the server and this miner disagree for a moment.
            let again =
                to == duty && !matches!(duty, Duty::Train | Duty::AwaitTraining | Duty::Register);
            if again { after(Pause::Trouble, to) } else { go(to) }
        }
        Outcome::RunFull => after(Pause::RunFull, Duty::Register),
        Outcome::NotYet => after(Pause::NotYet, duty),
        // Whoever carries duties out waits for the end of the pause before it begins again.
        Outcome::Held => go(duty),
        Outcome::Benched(_) if duty == Duty::Register => after(Pause::Registration, duty),
        // Phases go on while a miner is benched: look again where the stage stands.
        Outcome::Benched(_) => after(Pause::Benched, Duty::AwaitTraining),
        Outcome::NotRegistered if duty == Duty::Register => after(Pause::Registration, duty),
        Outcome::Trouble(_) if duty == Duty::Register => after(Pause::Registration, duty),
        Outcome::Trouble(_) if troubles < MAX_TROUBLES || is_patient(duty) => {
            after(Pause::Trouble, duty)
        }
        Outcome::NotRegistered | Outcome::Reset(_) | Outcome::Trouble(_) => {
            after(Pause::Reset, Duty::Register)
        }
        Outcome::StageLost(_) => after(Pause::Rebuild, Duty::Build),
    }
}

/// Duties whose troubles pass by themselves or are overtaken by the next phase: starting over would
/// only lose what is in memory.
fn is_patient(duty: Duty) -> bool {
    matches!(
        duty,
        Duty::AwaitTraining | Duty::AwaitMerging | Duty::Train | Duty::Upload | Duty::Merge
    )
}

fn following(duty: Duty) -> Duty {
    match duty {
        Duty::Register => Duty::Build,
        Duty::Build | Duty::Merge => Duty::AwaitTraining,
        Duty::AwaitTraining => Duty::Load,
        Duty::Load => Duty::Train,
        Duty::Train => Duty::Upload,
        Duty::Upload => Duty::AwaitMerging,
        Duty::AwaitMerging => Duty::Merge,
        Duty::Stopped => Duty::Stopped,
        Duty::Fault => Duty::Fault,
    }
}

/// Where a phase that the duty did not expect leads.
fn for_phase(duty: Duty, phase: Phase) -> Duty {
    match (duty, phase) {
        // The answer to a registration says nothing of phases; a stage has to be built first.
        (Duty::Register, _) => Duty::Register,
        (Duty::Build, _) => Duty::AwaitTraining,
        // A phase that began while the weights were loaded is not ours to contribute to.
        (Duty::AwaitTraining | Duty::Load, Phase::WeightsUploading | Phase::MergingPartitions) => {
            Duty::AwaitTraining
        }
        (Duty::Train, Phase::Training) => Duty::Train,
        // Everything else meets new merged weights.
        (_, Phase::Training) => Duty::Load,
        // Merging twice, or uploading after merging, is refused by the orchestrator; wait instead.
        (Duty::Merge, Phase::WeightsUploading) => Duty::AwaitMerging,
        (Duty::Upload, Phase::WeightsUploading) => Duty::AwaitMerging,
        (_, Phase::WeightsUploading) => Duty::Upload,
        (_, Phase::MergingPartitions) => Duty::Merge,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::StageIndex;

    fn text() -> String {
        "because".into()
    }

    fn outcomes() -> Vec<Outcome> {
        let phases = Phase::ALL.map(Outcome::PhaseIs);
        let others = [
            Outcome::Done,
            Outcome::NewEpoch,
            Outcome::NotYet,
            Outcome::NotRegistered,
            Outcome::WrongVersion(text()),
            Outcome::RunFull,
            Outcome::Benched(Bench::Frozen),
            Outcome::Benched(Bench::Initializing),
            Outcome::Trouble(text()),
            Outcome::Reset(text()),
            Outcome::StageLost(text()),
            Outcome::Hopeless(text()),
            Outcome::AttestationRefused(text()),
            Outcome::StopAsked,
            Outcome::Held,
        ];
        phases.into_iter().chain(others).collect()
    }

    #[test]
    fn a_healthy_epoch_goes_round() {
        let mut duty = Duty::Register;
        let mut path = Vec::new();
        for _ in 0..9 {
            path.push(duty);
            let outcome = match duty {
                Duty::Train => Outcome::PhaseIs(Phase::WeightsUploading),
                _ => Outcome::Done,
            };
            let step = next(duty, &outcome, 0);
            assert_eq!(step.pause, Pause::None);
            duty = step.duty;
        }
        use Duty::{AwaitMerging, AwaitTraining, Build, Load, Merge, Register, Train, Upload};
        assert_eq!(
            path,
            [
                Register,
                Build,
                AwaitTraining,
                Load,
                Train,
                Upload,
                AwaitMerging,
                Merge,
                AwaitTraining
            ]
        );
    }

    #[test]
    fn every_pair_leads_somewhere_and_only_stop_and_hopeless_ends() {
        for duty in Duty::ALL {
            for outcome in outcomes() {
                for troubles in 1..6 {
                    let step = next(duty, &outcome, troubles);
                    let ends = matches!(
                        outcome,
                        Outcome::StopAsked
                            | Outcome::WrongVersion(_)
                            | Outcome::Hopeless(_)
                            | Outcome::AttestationRefused(_)
                    );
                    assert_eq!(step.duty.is_end(), ends || duty.is_end(), "{duty:?} {outcome:?}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_repeated_without_a_pause() {
        for duty in Duty::ALL.into_iter().filter(|duty| !duty.is_end()) {
            for outcome in outcomes() {
                let step = next(duty, &outcome, 1);
                // Training goes on by itself when told that it is training; registering has its own
                // pauses, and its answer never names a phase.
                let fine = matches!(outcome, Outcome::PhaseIs(_))
                    && matches!(duty, Duty::Train | Duty::AwaitTraining | Duty::Register);
                if step.duty == duty && !fine && outcome != Outcome::Held {
                    assert_ne!(step.pause, Pause::None, "{duty:?} {outcome:?}");
                }
            }
        }
    }

    #[test]
    fn being_dropped_means_registering_again_with_back_off() {
        for duty in [Duty::Load, Duty::Train, Duty::Upload, Duty::Merge, Duty::AwaitMerging] {
            let step = next(duty, &Outcome::NotRegistered, 0);
            assert_eq!(step, Next { duty: Duty::Register, pause: Pause::Reset });
        }
    }

    #[test]
    fn whoever_kept_its_work_goes_on_where_the_stage_is() {
        for (phase, duty) in [
            (Phase::Training, Duty::Train),
            (Phase::WeightsUploading, Duty::Upload),
            (Phase::MergingPartitions, Duty::Merge),
        ] {
            let step = next(Duty::AwaitTraining, &Outcome::Resumed(phase), 0);
            assert_eq!(step, Next { duty, pause: Pause::None });
        }
    }

    #[test]
    fn three_failed_loads_start_over_but_waiting_is_patient() {
        let trouble = Outcome::Trouble(text());
        assert_eq!(next(Duty::Load, &trouble, 2).duty, Duty::Load);
        assert_eq!(next(Duty::Load, &trouble, 3).duty, Duty::Register);
        assert_eq!(next(Duty::AwaitTraining, &trouble, 99).duty, Duty::AwaitTraining);
        assert_eq!(next(Duty::Train, &trouble, 99).duty, Duty::Train);
        // Starting over would throw the pseudo-gradient away; the next try goes on with it.
        assert_eq!(next(Duty::Upload, &trouble, 99).duty, Duty::Upload);
    }

    #[test]
    fn error_bodies_are_acted_on_as_the_specification_says() {
        let state = ServerError::LayerState {
            layer: StageIndex(0),
            expected: Phase::Training,
            actual: Phase::WeightsUploading,
            message: text(),
        };
        assert_eq!(next(Duty::Train, &Outcome::of(&state), 0).duty, Duty::Upload);
        let full = Outcome::of(&ServerError::RunFull { message: text() });
        assert_eq!(
            next(Duty::Register, &full, 0),
            Next { duty: Duty::Register, pause: Pause::RunFull }
        );
        let frozen = Outcome::of(&ServerError::MinerFrozen { message: text() });
        assert_eq!(next(Duty::Train, &frozen, 0).pause, Pause::Benched);
        let version = ServerError::SpecVersion { expected: 2, actual: "1".into(), message: text() };
        assert_eq!(next(Duty::Register, &Outcome::of(&version), 0).duty, Duty::Fault);
    }

    #[test]
    fn a_late_miner_joins_the_phase_it_finds() {
        let found = |duty, phase| next(duty, &Outcome::PhaseIs(phase), 0).duty;
        assert_eq!(found(Duty::Upload, Phase::MergingPartitions), Duty::Merge);
        assert_eq!(found(Duty::Upload, Phase::Training), Duty::Load);
        assert_eq!(found(Duty::AwaitMerging, Phase::Training), Duty::Load);
        assert_eq!(found(Duty::Load, Phase::MergingPartitions), Duty::AwaitTraining);
        assert_eq!(found(Duty::Train, Phase::MergingPartitions), Duty::Merge);
    }
}

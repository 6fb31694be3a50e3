//! What a person can do about each reason of the status line, or that there is nothing to do.

use crate::miner::Reason;

/// The advice for a reason.
pub fn of(reason: &Reason) -> &'static str {
    match reason {
        Reason::Start | Reason::StopRequested => "Nothing to do: this takes seconds.",
        Reason::Stopped { .. } => "`hearth` starts a miner; `hearth demo` another demo.",
        Reason::AskingForStage | Reason::ConfirmingPlace => {
            "Nothing to do: it goes on when the orchestrator answers."
        }
        Reason::Queued => "Leave it running: stopping for long loses the place.",
        Reason::QueueSilent => "Leave it running: it asks again, and the place is kept.",
        Reason::BuildingStage => "Nothing to do: a large stage takes a minute at first.",
        Reason::LoadingWeights => "Nothing to do: it takes as long as your line needs.",
        Reason::WorkAvailable => "Nothing to do.",
        Reason::CacheFull | Reason::NoActivation => {
            "Nothing to do: others have the work. See Peers if it lasts."
        }
        Reason::OtherStageNotTraining => "Nothing to do: Network shows who holds the run back.",
        Reason::UploadingWeights => "Leave it running: what comes too late is lost.",
        Reason::OthersUploading | Reason::OthersMerging => {
            "Nothing to do: it ends when they are done, or at its limit."
        }
        Reason::MergingPartitions => "Leave it running: others wait for this merge.",
        Reason::Rule { .. } => "It goes on when the rule lets it. Machine shows the rules.",
        Reason::SwitchedOff => "Switch it on again when you like.",
        Reason::NetworkTrouble { .. } => {
            "It tries again. `hearth doctor` tells if it is your line."
        }
        Reason::StageLost { .. } => "It is built again by itself. If it repeats: `hearth doctor`.",
        Reason::DeviceGone { .. } => "Look at the card and its driver, or ask `hearth doctor`.",
        Reason::RunFull => "Nothing to do: it asks for another run by itself.",
        Reason::Frozen => "The network decides that and gives no reason. See the log.",
        Reason::NextEpoch => "Nothing to do: it joins when the next epoch begins.",
        Reason::NotRegistered => "It registers again by itself. If it repeats, see the log.",
        Reason::BackOff { .. } => "It tries again by itself, after longer and longer waits.",
        Reason::Failed { .. } => "Do what the line says, then start Hearth again.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::miner::snapshot::{Kept, Rule};

    fn all() -> Vec<Reason> {
        let what = || "the store does not answer".to_owned();
        vec![
            Reason::Start,
            Reason::AskingForStage,
            Reason::Queued,
            Reason::ConfirmingPlace,
            Reason::QueueSilent,
            Reason::BuildingStage,
            Reason::LoadingWeights,
            Reason::WorkAvailable,
            Reason::CacheFull,
            Reason::NoActivation,
            Reason::OtherStageNotTraining,
            Reason::UploadingWeights,
            Reason::OthersUploading,
            Reason::MergingPartitions,
            Reason::OthersMerging,
            Reason::Rule { rule: Rule::TooHot, sentence: "It is too hot.".into() },
            Reason::SwitchedOff,
            Reason::StopRequested,
            Reason::Stopped { kept: Kept::Nothing },
            Reason::Stopped { kept: Kept::Place },
            Reason::Stopped { kept: Kept::Snapshot },
            Reason::Stopped { kept: Kept::Key },
            Reason::NetworkTrouble { what: what() },
            Reason::StageLost { what: what() },
            Reason::DeviceGone { what: what() },
            Reason::RunFull,
            Reason::Frozen,
            Reason::NextEpoch,
            Reason::NotRegistered,
            Reason::BackOff { attempt: 3 },
            Reason::Failed { what: what() },
        ]
    }

    #[test]
    fn every_reason_has_a_sentence_and_an_advice_that_read_as_kept() {
        let lines: String = all()
            .iter()
            .map(|reason| format!("{}\n  {}\n  {}\n", reason.code(), reason.sentence(), of(reason)))
            .collect();
        insta::assert_snapshot!("reasons", lines);
        for reason in all() {
            assert!(of(&reason).ends_with('.') && of(&reason).chars().count() <= 62, "{reason:?}");
        }
    }
}

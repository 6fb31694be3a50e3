//! When a stage goes on to its next phase (spec 1.3, design 5a): by work that is done, never by time,
//! with a time limit only as a guard. A pure rule, so that every case of it can be tested.

use crate::protocol::Phase;

/// What the rule looks at: the work of the phase that the stage is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Facts {
    /// Counted over the whole run, because an activation passes all stages.
    Training {
        /// Backwards that every stage must reach.
        goal: u64,
        /// Backwards of the stage that has fewest.
        fewest: u64,
        /// Activations handed out and not yet back.
        open: usize,
    },
    /// Counted over the stage.
    Uploading {
        /// Living miners that trained in this epoch and have not submitted.
        awaited: usize,
        /// Submissions so far.
        submitted: usize,
    },
    /// Counted over the stage.
    Merging {
        /// Copies of partitions that living miners still have to submit.
        awaited: usize,
    },
}

/// Whether the phase has reached its time limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// Within the limit.
    Left,
    /// Over.
    Up,
}

/// What becomes of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The phase goes on.
    Stay,
    /// The next phase begins.
    To(Phase),
    /// Nobody contributed: straight to the next epoch, with the weights it has.
    SkipMerge,
}

/// The rule.
///
/// *Training* ends when every stage has its backwards and nothing is under way, so that no backward
/// is lost; at its time limit it ends if every stage has done something at all. *Uploading* ends when
/// everybody who has something to give gave it. *Merging* ends when nobody is awaited any more.
pub fn step(facts: Facts, time: Time) -> Step {
    match facts {
        Facts::Training { goal, fewest, open } => {
            let complete = fewest >= goal && open == 0;
            if complete || (time == Time::Up && fewest > 0) {
                Step::To(Phase::WeightsUploading)
            } else {
                Step::Stay
            }
        }
        Facts::Uploading { awaited, submitted } => match (awaited, submitted, time) {
            (0, 0, _) | (_, 0, Time::Up) => Step::SkipMerge,
            (0, _, _) | (_, _, Time::Up) => Step::To(Phase::MergingPartitions),
            _ => Step::Stay,
        },
        Facts::Merging { awaited } => {
            if awaited == 0 || time == Time::Up {
                Step::To(Phase::Training)
            } else {
                Step::Stay
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_of_the_rule() {
        use Facts::{Merging, Training, Uploading};
        let upload = Step::To(Phase::WeightsUploading);
        let merge = Step::To(Phase::MergingPartitions);
        let train = Step::To(Phase::Training);
        let table = [
            (Training { goal: 8, fewest: 7, open: 1 }, Step::Stay, upload),
            (Training { goal: 8, fewest: 8, open: 1 }, Step::Stay, upload),
            (Training { goal: 8, fewest: 8, open: 0 }, upload, upload),
            (Training { goal: 8, fewest: 9, open: 0 }, upload, upload),
            (Training { goal: 8, fewest: 7, open: 0 }, Step::Stay, upload),
            (Training { goal: 8, fewest: 0, open: 3 }, Step::Stay, Step::Stay),
            (Uploading { awaited: 2, submitted: 0 }, Step::Stay, Step::SkipMerge),
            (Uploading { awaited: 1, submitted: 1 }, Step::Stay, merge),
            (Uploading { awaited: 0, submitted: 2 }, merge, merge),
            (Uploading { awaited: 0, submitted: 0 }, Step::SkipMerge, Step::SkipMerge),
            (Merging { awaited: 3 }, Step::Stay, train),
            (Merging { awaited: 0 }, train, train),
        ];
        for (facts, in_time, late) in table {
            assert_eq!(step(facts, Time::Left), in_time, "{facts:?} in time");
            assert_eq!(step(facts, Time::Up), late, "{facts:?} late");
        }
    }
}

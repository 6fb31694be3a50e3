//! The three phases every stage of a run goes through, with their exact wire names (spec 1.3).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::reading::excerpt;

/// What a stage of a run is doing now.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Activations flow; miners take local optimizer steps.
    #[default]
    Training,
    /// Miners upload their pseudo-gradients.
    WeightsUploading,
    /// Miners merge the partitions they were given.
    MergingPartitions,
}

impl Phase {
    /// All phases, in their order.
    pub const ALL: [Phase; 3] =
        [Phase::Training, Phase::WeightsUploading, Phase::MergingPartitions];

    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Training => "training",
            Phase::WeightsUploading => "weights_uploading",
            Phase::MergingPartitions => "merging_partitions",
        }
    }

    /// The phase that follows this one in a healthy run.
    pub fn next(self) -> Phase {
        match self {
            Phase::Training => Phase::WeightsUploading,
            Phase::WeightsUploading => Phase::MergingPartitions,
            Phase::MergingPartitions => Phase::Training,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A phase name that this version does not know; a long one is shortened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server named the phase `{0}`, which this version does not know; update Hearth")]
pub struct UnknownPhase(pub String);

impl FromStr for Phase {
    type Err = UnknownPhase;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Phase::ALL
            .into_iter()
            .find(|phase| phase.as_str() == text)
            .ok_or_else(|| UnknownPhase(excerpt(text, 40)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_names_and_serde_agree_and_the_phases_form_a_circle() {
        for phase in Phase::ALL {
            assert_eq!(serde_json::to_value(phase).unwrap(), phase.as_str());
            assert_eq!(phase.as_str().parse::<Phase>(), Ok(phase));
            assert_eq!(phase.next().next().next(), phase);
            assert_ne!(phase.next(), phase);
        }
        assert!("is_training".parse::<Phase>().is_err());
    }
}

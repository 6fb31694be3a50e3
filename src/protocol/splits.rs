//! Which blocks of the model each stage holds (spec 8.2): boundaries as they cross the wire, and the
//! balanced split that a run starts from.

use serde::{Deserialize, Serialize};

use super::ids::StageIndex;

/// The blocks `[start, end)` of one stage. `None` means the model's own edge: no start makes a stage
/// that owns the embedding, no end one that owns the output head. On the wire `[-1, 4]`, `[4, -1]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "[i64; 2]", into = "[i64; 2]")]
pub struct Split {
    /// First block, or the model's beginning.
    pub start: Option<usize>,
    /// The block after the last, or the model's end.
    pub end: Option<usize>,
}

/// Why a model cannot be split that way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// There must be a stage.
    #[error("a model needs at least 1 stage")]
    NoStages,
    /// A stage must hold at least one block.
    #[error("{stages} stages do not fit a model of {layers} blocks: each needs at least one")]
    TooManyStages {
        /// Stages asked for.
        stages: usize,
        /// Blocks of the model.
        layers: usize,
    },
    /// A boundary pair that is not `-1` or ascending.
    #[error("[{0}, {1}] is not a range of model blocks")]
    Boundary(i64, i64),
}

impl Split {
    /// The whole model in one stage.
    pub const WHOLE: Split = Split { start: None, end: None };

    /// Whether the stage owns the token embedding.
    pub fn is_first(self) -> bool {
        self.start.is_none()
    }

    /// Whether the stage owns the final norm and the output head.
    pub fn is_last(self) -> bool {
        self.end.is_none()
    }

    /// How many blocks (ordinary and bottleneck) the stage holds of a model with `layers` blocks;
    /// 0 if the boundaries lie outside it.
    pub fn blocks(self, layers: usize) -> usize {
        self.end.unwrap_or(layers).min(layers).saturating_sub(self.start.unwrap_or(0))
    }
}

impl TryFrom<[i64; 2]> for Split {
    type Error = SplitError;

    fn try_from([start, end]: [i64; 2]) -> Result<Self, Self::Error> {
        let edge = |at: i64| match at {
            -1 => Ok(None),
            at => usize::try_from(at).map(Some).map_err(|_| SplitError::Boundary(start, end)),
        };
        let split = Split { start: edge(start)?, end: edge(end)? };
        match (split.start, split.end) {
            (Some(a), Some(b)) if a >= b => Err(SplitError::Boundary(start, end)),
            _ => Ok(split),
        }
    }
}

impl From<Split> for [i64; 2] {
    fn from(split: Split) -> [i64; 2] {
        let edge = |at: Option<usize>| at.map_or(-1, |at| i64::try_from(at).unwrap_or(i64::MAX));
        [edge(split.start), edge(split.end)]
    }
}

/// How many blocks each of `stages` stages gets of `layers`: the two ends get one less than the
/// average when that is at least 3, since they also hold embedding and head.
pub fn balanced_sizes(layers: usize, stages: usize) -> Result<Vec<usize>, SplitError> {
    if stages == 0 {
        return Err(SplitError::NoStages);
    }
    if stages > layers {
        return Err(SplitError::TooManyStages { stages, layers });
    }
    if stages == 1 {
        return Ok(vec![layers]);
    }
    if stages == 2 {
        return Ok(vec![layers / 2, layers - layers / 2]);
    }
    let base = layers / stages;
    let end = if base >= 3 { base - 1 } else { base.max(1) };
    let (middle, inner) = (layers - 2 * end, stages - 2);
    if middle < inner {
        return Ok(spread(layers, stages));
    }
    let mut sizes = vec![end];
    sizes.extend(spread(middle, inner));
    sizes.push(end);
    Ok(sizes)
}

/// The boundaries of [`balanced_sizes`], one [`Split`] per stage.
pub fn balanced_splits(layers: usize, stages: usize) -> Result<Vec<Split>, SplitError> {
    let sizes = balanced_sizes(layers, stages)?;
    let mut at = 0;
    let splits = sizes.iter().enumerate().map(|(stage, size)| {
        let start = (stage > 0).then_some(at);
        at += size;
        Split { start, end: (stage + 1 < stages).then_some(at) }
    });
    Ok(splits.collect())
}

/// The blocks of `stage`; `None` if there is no such stage.
pub fn of_stage(splits: &[Split], stage: StageIndex) -> Option<Split> {
    splits.get(stage.0).copied()
}

/// Spreads `count` over `places` evenly, the remainder to the leftmost.
fn spread(count: usize, places: usize) -> Vec<usize> {
    (0..places).map(|place| count / places + usize::from(place < count % places)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_split_covers_the_model_and_no_stage_is_empty() {
        for layers in 1..120 {
            for stages in 1..=layers {
                let sizes = balanced_sizes(layers, stages).unwrap();
                assert_eq!(sizes.len(), stages);
                assert_eq!(sizes.iter().sum::<usize>(), layers);
                assert!(sizes.iter().all(|&size| size > 0), "{layers} {stages} {sizes:?}");
                let splits = balanced_splits(layers, stages).unwrap();
                let blocks: Vec<_> = splits.iter().map(|split| split.blocks(layers)).collect();
                assert_eq!(blocks, sizes);
            }
        }
    }

    #[test]
    fn impossible_splits_are_refused() {
        assert_eq!(balanced_sizes(4, 0), Err(SplitError::NoStages));
        let too_many = SplitError::TooManyStages { stages: 5, layers: 4 };
        assert_eq!(balanced_sizes(4, 5), Err(too_many));
        assert_eq!(Split::try_from([4, 4]), Err(SplitError::Boundary(4, 4)));
        assert_eq!(Split::try_from([-2, 4]), Err(SplitError::Boundary(-2, 4)));
        assert_eq!(serde_json::to_string(&Split::WHOLE).unwrap(), "[-1,-1]");
    }
}

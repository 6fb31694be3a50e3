//! What a swarm publishes of itself to anybody, without a key: stages and miners, phases, progress, and
//! who holds the run up. `docs/sources.md` describes the address and the fields.

use serde::{Deserialize, Serialize};

use super::snapshot::{LossPoint, MinerView, StageView, SwarmSnapshot};
use crate::protocol::Phase;

/// Where it is, below the orchestrator's address.
pub const PATH: &str = "/public/network";
/// The form of what is there.
pub const VERSION: u32 = 1;
/// Losses that are published: enough for a curve.
const MOST_LOSSES: usize = 256;
/// So much of its phase's work a stage must be behind the others before it is said to hold them up.
const BEHIND: f64 = 0.05;

/// Who holds the run up, by the orchestrator's books.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldUpBy {
    /// The stage that is furthest behind.
    pub stage: usize,
    /// Wire word of its phase.
    pub phase: String,
    /// Addresses of its miners that have not done their part, as far as the books can tell.
    pub miners: Vec<String>,
}

/// A network as anybody may see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PublicNetwork {
    /// Form of this object.
    pub version: u32,
    /// When it was made, Unix seconds.
    pub at: u64,
    /// Run id.
    pub run: String,
    /// The newest epoch of any stage.
    pub epoch: u64,
    /// Epochs whose merge completed in every stage.
    pub epochs_done: u64,
    /// Share of this epoch's work that is done, 0 to 1.
    pub epoch_progress: f64,
    /// Tokens that reached the last stage.
    pub tokens: u64,
    /// Of those, a second, over 10 s, 60 s, 15 min.
    pub tokens_per_second: [f64; 3],
    /// The stages, first to last.
    pub stages: Vec<StageView>,
    /// Who holds the run up; none while nobody is behind.
    pub held_up_by: Option<HeldUpBy>,
    /// Losses, thinned evenly, the newest last.
    pub losses: Vec<LossPoint>,
}

impl PublicNetwork {
    /// What is public of a swarm.
    pub fn of(swarm: &SwarmSnapshot, at: u64) -> Self {
        let every = swarm.losses.len().div_ceil(MOST_LOSSES).max(1);
        let losses = swarm.losses.iter().rev().step_by(every).copied();
        let mut losses: Vec<LossPoint> = losses.collect();
        losses.reverse();
        Self {
            version: VERSION,
            at,
            run: swarm.run.clone(),
            epoch: swarm.epoch,
            epochs_done: swarm.epochs_done,
            epoch_progress: swarm.epoch_progress,
            tokens: swarm.tokens,
            tokens_per_second: swarm.tokens_per_second,
            held_up_by: held_up_by(&swarm.stages),
            stages: swarm.stages.clone(),
            losses,
        }
    }
}

/// The stage that is furthest behind the one that is furthest ahead, if any is.
pub fn held_up_by(stages: &[StageView]) -> Option<HeldUpBy> {
    let place = |stage: &StageView| {
        let phase: Option<Phase> = stage.phase.parse().ok();
        let phase = phase.and_then(|phase| Phase::ALL.iter().position(|one| *one == phase));
        // How many phases have gone by since the beginning.
        phase.map(|phase| (stage.epoch * Phase::ALL.len() as u64 + phase as u64, stage.progress))
    };
    let places: Vec<_> = stages.iter().filter_map(|stage| Some((place(stage)?, stage))).collect();
    let order = |a: &(u64, f64), b: &(u64, f64)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1));
    let (last, behind) = places.iter().min_by(|(a, _), (b, _)| order(a, b))?;
    let (first, _) = places.iter().max_by(|(a, _), (b, _)| order(a, b))?;
    let is_behind = last.0 < first.0 || first.1 - last.1 > BEHIND;
    is_behind.then(|| HeldUpBy {
        stage: behind.stage,
        phase: behind.phase.clone(),
        miners: behind.miners.iter().filter(|miner| awaited(behind, miner)).map(key).collect(),
    })
}

/// Whether a miner's part of its stage's phase is still to be done.
fn awaited(stage: &StageView, miner: &MinerView) -> bool {
    match (stage.phase.as_str(), miner.status.as_str()) {
        (_, "silent") => true,
        ("weights_uploading", status) => status != "uploaded",
        ("merging_partitions", status) => status != "merged",
        // In training all share the work.
        _ => false,
    }
}

fn key(miner: &MinerView) -> String {
    miner.hotkey.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(stage: usize, phase: &str, epoch: u64, progress: f64, miners: &[&str]) -> StageView {
        let miners = miners.iter().enumerate().map(|(n, status)| MinerView {
            hotkey: format!("{stage}{n}"),
            status: (*status).to_owned(),
            forwards: 0,
            backwards: 0,
            partitions: 0,
            score: 0.0,
        });
        StageView { stage, phase: phase.into(), epoch, progress, miners: miners.collect() }
    }

    fn who(stages: &[StageView]) -> Option<(usize, Vec<String>)> {
        held_up_by(stages).map(|held| (held.stage, held.miners))
    }

    #[test]
    fn the_stage_that_is_furthest_behind_holds_the_others_up() {
        let training = |n, progress| stage(n, "training", 2, progress, &["training"]);
        assert_eq!(who(&[training(0, 0.5), training(1, 0.48)]), None, "side by side");
        assert_eq!(who(&[training(0, 0.5), training(1, 0.2)]), Some((1, vec![])));
        let uploading = stage(2, "weights_uploading", 2, 0.5, &["uploaded", "training", "silent"]);
        assert_eq!(who(&[training(0, 0.99), uploading.clone()]), Some((0, vec![])));
        let merging = stage(0, "merging_partitions", 2, 0.1, &["uploaded", "merged"]);
        let named = vec!["21".to_owned(), "22".to_owned()];
        assert_eq!(who(&[merging.clone(), uploading]), Some((2, named)));
        let next = stage(1, "training", 3, 0.0, &["training"]);
        assert_eq!(who(&[merging, next]), Some((0, vec!["00".to_owned()])));
        assert_eq!(who(&[]), None);
    }

    #[test]
    fn a_long_curve_is_thinned_and_its_newest_loss_is_there() {
        let loss = |n: u32| LossPoint { at: 0.0, tokens: u64::from(n), epoch: 1, loss: 2.0 };
        for many in [0, 1, 255, 256, 257, 4096] {
            let swarm =
                SwarmSnapshot { losses: (0..many).map(loss).collect(), ..Default::default() };
            let public = PublicNetwork::of(&swarm, 7);
            assert!(public.losses.len() <= MOST_LOSSES);
            assert_eq!(public.losses.last(), swarm.losses.last());
            let text = serde_json::to_string(&public).unwrap();
            assert_eq!(serde_json::from_str::<PublicNetwork>(&text).unwrap(), public);
        }
    }
}

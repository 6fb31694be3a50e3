//! Which peer of the next stage gets a forward (spec 6.10): weighted by its free cache and its queue;
//! among those never heard of only when nobody has room.

use super::messages::{MinerStatus, PeerStatus};
use super::phase::Phase;

/// A candidate's weight; `None` when it must not be chosen by weight: never heard of, in another
/// phase, benched, or full.
#[allow(clippy::cast_precision_loss)] // Cache sizes are small.
pub fn weight(status: &PeerStatus) -> Option<f64> {
    let heard = status.last_status_received != 0.0;
    let trains = status.layer_phase == Phase::Training.as_str();
    let free = status.cache_capacity.saturating_sub(status.cache_size);
    if !(heard && trains && takes_work(status) && free > 0) {
        return None;
    }
    // A peer may claim anything; a negative queue counts as empty.
    Some((free as f64).ln() + 1.0 / (1.0 + status.forward_queue_size.max(0) as f64))
}

/// The index of the chosen candidate; `None` when all must wait. `unit` is uniform in [0, 1).
pub fn choose(candidates: &[PeerStatus], unit: f64) -> Option<usize> {
    let weights: Vec<f64> = candidates.iter().map(|status| weight(status).unwrap_or(0.0)).collect();
    let total: f64 = weights.iter().sum();
    if total > 0.0 {
        return pick(&weights, unit * total);
    }
    let fallback: Vec<f64> =
        candidates.iter().map(|status| if takes_work(status) { 1.0 } else { 0.0 }).collect();
    pick(&fallback, unit * fallback.iter().sum::<f64>())
}

fn takes_work(status: &PeerStatus) -> bool {
    status.miner_status == MinerStatus::Training
}

/// The index at distance `at` along the weights; the last positive one when rounding overshoots.
fn pick(weights: &[f64], mut at: f64) -> Option<usize> {
    let mut last = None;
    for (i, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
        last = Some(i);
        if at < *weight {
            break;
        }
        at -= weight;
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(free: i64, heard: f64, status: MinerStatus) -> PeerStatus {
        PeerStatus {
            cache_capacity: free,
            last_status_received: heard,
            miner_status: status,
            ..PeerStatus::default()
        }
    }

    #[test]
    fn weights_decide_among_peers_with_room() {
        let peers = [
            peer(0, 1.0, MinerStatus::Training),
            peer(1, 1.0, MinerStatus::Training),
            peer(16, 1.0, MinerStatus::Training),
            peer(16, 1.0, MinerStatus::Frozen),
        ];
        let counts = (0..1000).fold([0; 4], |mut counts, i| {
            counts[choose(&peers, f64::from(i) / 1000.0).unwrap()] += 1;
            counts
        });
        // 1 against ln 16 + 1.
        assert_eq!((counts[0], counts[3]), (0, 0));
        assert!((208..=211).contains(&counts[1]), "{counts:?}");
    }

    #[test]
    fn without_room_any_training_peer_will_do_and_without_one_nobody() {
        let full = [peer(0, 0.0, MinerStatus::Frozen), peer(0, 0.0, MinerStatus::Training)];
        for unit in [0.0, 0.5, 0.999_999] {
            assert_eq!(choose(&full, unit), Some(1));
        }
        assert_eq!(choose(&full[..1], 0.3), None);
        assert_eq!(choose(&[], 0.3), None);
    }

    #[test]
    fn absurd_claims_do_not_break_the_choice() {
        let mut absurd = peer(i64::MAX, 1.0, MinerStatus::Training);
        absurd.cache_size = i64::MIN;
        absurd.forward_queue_size = -1;
        let weight = weight(&absurd).unwrap();
        assert!(weight.is_finite() && weight < 50.0);
    }
}

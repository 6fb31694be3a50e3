//! Brings what is measured into the snapshot, now and then and not with each change: a face shows no
//! more, and a paused miner must cost next to nothing.

use std::time::Duration;

use super::board::Board;
use super::snapshot::State;
use super::snapshot::compute::Utilisation;
use super::snapshot::time::{TimeView, Waterfall, Window};
use crate::network::peers::Peers;
use crate::telemetry::spent::{Leg, TimeSheet};

mod links;
pub(super) mod machine;

/// Between two looks while the miner is at work.
const AT_WORK: Duration = Duration::from_secs(2);
/// While it pauses, so many of them pass until one counts.
const AT_REST: u32 = 8;

/// Looks for as long as the life on the network lasts.
pub(super) async fn keep(board: &Board, peers: &Peers) {
    let mut looks = 0;
    loop {
        board.clock().sleep(AT_WORK).await;
        looks += 1;
        let rests = board.read(|snapshot| snapshot.status.state == State::Paused);
        if rests && looks < AT_REST {
            continue;
        }
        looks = 0;
        board.refresh_measured();
        links::show(board, peers);
    }
}

impl Board {
    /// Shows what the time went into and what the device gives, as of now.
    pub(super) fn refresh_measured(&self) {
        let [minute, quarter, epoch] = self.time().read().map(|(seconds, parts)| {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let seconds = seconds as u64;
            Window { seconds, parts }
        });
        let waterfall = waterfall(self.time());
        self.refresh_rates();
        self.update(|snapshot| {
            let tokens = snapshot.tokens_per_second;
            let measured = &mut snapshot.measured;
            measured.time = TimeView { minute, quarter, epoch, waterfall };
            measured.utilisation.refresh(tokens);
        });
    }
}

fn waterfall(time: &TimeSheet) -> Waterfall {
    // Tenths of a millisecond: finer ones would only make figures flicker.
    let leg = |leg| time.leg(leg).map(|millis| (millis * 10.0).round() / 10.0);
    Waterfall {
        receive: leg(Leg::Receive),
        queue: leg(Leg::Queue),
        forward: leg(Leg::Forward),
        send: leg(Leg::Send),
        wait: leg(Leg::Wait),
        backward: leg(Leg::Backward),
        send_back: leg(Leg::SendBack),
    }
}

impl Utilisation {
    /// Says what the passes of a stage take and what its device can do.
    pub(super) fn of_stage(&mut self, flops_per_activation: u64, tokens: u64, peak: Option<u64>) {
        #[allow(clippy::cast_precision_loss)]
        let flops = flops_per_activation as f64;
        #[allow(clippy::cast_precision_loss)]
        let (tokens, peak) = (tokens as f64, peak.map(|peak| peak as f64));
        *self = Self {
            flops_per_activation: Some(flops),
            flops_per_token: Some(flops / tokens).filter(|share| share.is_finite()),
            peak,
            share: None,
        };
    }

    fn refresh(&mut self, tokens_per_second: [f64; 3]) {
        let both = self.flops_per_token.zip(self.peak.filter(|peak| *peak > 0.0));
        // To a thousandth: more would only make figures flicker.
        self.share = both.map(|(flops, peak)| {
            tokens_per_second.map(|rate| (rate * flops / peak * 1e3).round() / 1e3)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utilisation_is_known_only_with_a_plan_and_a_measured_peak() {
        let mut known = Utilisation::default();
        known.refresh([10.0; 3]);
        assert_eq!(known.share, None);
        known.of_stage(4_000_000_000, 1000, None);
        known.refresh([1000.0; 3]);
        assert_eq!(known.share, None, "never a vendor's figure");
        known.of_stage(4_000_000_000, 1000, Some(16_000_000_000));
        known.refresh([2000.0, 1000.0, 0.0]);
        assert_eq!(known.share, Some([0.5, 0.25, 0.0]));
    }
}

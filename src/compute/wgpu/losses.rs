//! Which kernel is to blame when a device is lost time and again.

use std::collections::VecDeque;
use std::time::Duration;

use crate::compute::kind::{KindSet, OpKind};

/// Losses further apart than this have nothing to do with each other.
pub const TOGETHER: Duration = Duration::from_secs(1800);
/// Losses that are remembered.
const MOST: usize = 16;

/// The losses of one device, with what was in flight at each.
#[derive(Clone, Debug, Default)]
pub struct Losses {
    recent: VecDeque<(Duration, KindSet)>,
}

impl Losses {
    /// Notes a loss at this time. Returns the kernel that was in flight now and at an earlier loss
    /// shortly before, if that is a single one: where several are common, nobody knows which it was.
    pub fn note(&mut self, at: Duration, in_flight: KindSet) -> Option<OpKind> {
        self.recent.retain(|(then, _)| at.saturating_sub(*then) <= TOGETHER);
        let earlier =
            self.recent.iter().fold(KindSet::default(), |all, (_, kinds)| all.either(*kinds));
        self.recent.push_back((at, in_flight));
        if self.recent.len() > MOST {
            self.recent.pop_front();
        }
        let guilty = in_flight.common(earlier).only()?;
        // Its next form begins without a record.
        self.recent.clear();
        Some(guilty)
    }

    /// Losses shortly before the last one, that one included.
    pub fn count(&self) -> usize {
        self.recent.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NORM: OpKind = OpKind::RmsNorm;

    fn set(kinds: &[OpKind]) -> KindSet {
        kinds.iter().copied().collect()
    }

    fn at(minutes: u64) -> Duration {
        Duration::from_secs(60 * minutes)
    }

    #[test]
    fn two_losses_with_the_same_kernel_name_it() {
        let mut losses = Losses::default();
        assert_eq!(losses.note(at(0), set(&[NORM, OpKind::Rope, OpKind::GemmNt])), None);
        assert_eq!(losses.note(at(5), set(&[NORM])), Some(NORM));
        // The form that replaces it is not to blame for what the first one did.
        assert_eq!(losses.note(at(6), set(&[NORM])), None);
        assert_eq!(losses.note(at(7), set(&[NORM])), Some(NORM));
    }

    #[test]
    fn one_loss_nothing_in_flight_or_several_suspects_name_nobody() {
        let mut losses = Losses::default();
        assert_eq!(losses.note(at(0), set(&[NORM, OpKind::Rope])), None);
        assert_eq!(losses.note(at(1), set(&[])), None);
        assert_eq!(losses.note(at(2), set(&[NORM, OpKind::Rope])), None);
        assert_eq!(losses.note(at(3), set(&[OpKind::Embed])), None);
        assert_eq!(losses.count(), 4);
    }

    #[test]
    fn losses_far_apart_have_nothing_to_do_with_each_other() {
        let mut losses = Losses::default();
        assert_eq!(losses.note(at(0), set(&[NORM])), None);
        assert_eq!(losses.note(at(31), set(&[NORM])), None);
        assert_eq!(losses.note(at(60), set(&[NORM])), Some(NORM));
    }

    #[test]
    fn memory_is_bounded() {
        let mut losses = Losses::default();
        for _ in 0..100 {
            losses.note(at(0), set(&[]));
        }
        assert_eq!(losses.count(), MOST);
    }
}

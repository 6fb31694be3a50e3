//! How long an activation may be silent before it is given up. What a miner dropped is never reported
//! again, and nobody says so; the others show how long a report takes here.

use std::time::Duration;

/// Never less than this: a machine may be busy with something else for a while.
const LEAST: Duration = Duration::from_secs(10);
/// So many times what the others take.
const TIMES: u32 = 8;
/// Nothing is known from fewer reports.
const FEWEST: u32 = 16;
/// What a long silence still counts for after one more report, in percent.
const FADES: u32 = 98;

/// The silences before the latest reports.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Patience {
    reports: u32,
    longest: Duration,
}

impl Patience {
    /// A report came, so long after the one before it about the same activation.
    pub(super) fn note(&mut self, silence: Duration) {
        self.reports = self.reports.saturating_add(1);
        self.longest = silence.max(self.longest * FADES / 100);
    }

    /// How long one without a report is waited for, `limit` at most.
    pub(super) fn at_most(&self, limit: Duration) -> Duration {
        if self.reports < FEWEST {
            return limit;
        }
        limit.min(LEAST.max(self.longest * TIMES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_until_it_is_known_what_a_report_takes() {
        let (limit, second) = (Duration::from_secs(60), Duration::from_secs(1));
        let mut patience = Patience::default();
        for _ in 1..FEWEST {
            patience.note(second / 10);
            assert_eq!(patience.at_most(limit), limit);
        }
        patience.note(second / 10);
        assert_eq!(patience.at_most(limit), LEAST);
        patience.note(second * 3);
        assert_eq!(patience.at_most(limit), second * 24);
        patience.note(second * 10);
        assert_eq!(patience.at_most(limit), limit);
        // One slow report is not kept in mind for ever.
        (0..400).for_each(|_| patience.note(second / 10));
        assert_eq!(patience.at_most(limit), LEAST);
    }
}

//! What has changed and is worth hearing: compared with what was told last, not with the look before,
//! so that nothing is told twice, and what flickers is not told at all.

use crate::miner::{MinerSnapshot, State};
use crate::swarm::Writing;
use crate::telemetry::logs::Ring;
use crate::tui::draw;
use crate::tui::text::{plain as say, writing};
use crate::tui::view::{View, is_warning};

/// Between two status lines, in seconds.
const STATUS_EVERY: u64 = 2;
/// Between two losses, in seconds.
const LOSS_EVERY: u64 = 30;
/// Warnings that are told one by one, in so many seconds.
const WARNINGS: (usize, u64) = (3, 10);

/// What a listener knows.
#[derive(Clone, Debug, Default)]
pub(super) struct News {
    /// The miner that was told of last.
    miner: Option<Known>,
    status_at: u64,
    /// Name and state of each own miner, where there are several.
    own: Vec<(String, State)>,
    /// What the practice swarm's model wrote last.
    written: Option<Writing>,
    loss: Option<f64>,
    loss_at: u64,
    /// Log lines that were seen.
    lines: u64,
    warned: usize,
    unsaid: usize,
    warned_since: u64,
}

/// What is known of one miner.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    name: String,
    state: State,
    why: String,
    run: Option<String>,
    place: Option<usize>,
    epoch: u64,
    phase: Option<String>,
    finishing: bool,
}

impl Known {
    fn of(miner: &MinerSnapshot) -> Self {
        Self {
            name: miner.name.clone(),
            state: miner.status.state,
            why: miner.status.reason.sentence(),
            run: miner.run.clone(),
            place: miner.stage,
            epoch: miner.epoch,
            phase: miner.phase.clone(),
            finishing: miner.finishing,
        }
    }
}

impl News {
    /// Nothing is known any more but which log lines were seen.
    pub(super) fn begin_anew(&mut self) {
        *self = Self { lines: self.lines, ..Self::default() };
    }

    /// The lines for what differs from what is known.
    pub(super) fn of(&mut self, view: &View) -> Vec<String> {
        let now = Known::of(&view.miner);
        let mut lines = Vec::new();
        let known = self.miner.as_ref().filter(|known| known.name == now.name);
        let is_due = known.is_none() || view.unix >= self.status_at + STATUS_EVERY;
        if is_due && known != Some(&now) {
            let moved =
                known.is_none_or(|k| (k.run.as_ref(), k.place) != (now.run.as_ref(), now.place));
            if moved {
                lines.push(say::seat(&view.miner));
            }
            if known.is_none_or(|k| (k.epoch, &k.phase) != (now.epoch, &now.phase)) {
                lines.extend(say::phase(&view.miner));
            }
            if known.is_none_or(|k| (k.state, &k.why) != (now.state, &now.why)) {
                lines.extend(say::status(view));
            }
            if now.finishing && known.is_some_and(|k| !k.finishing) {
                lines.push(say::FINISHING.to_owned());
            }
            (self.miner, self.status_at) = (Some(now), view.unix);
        }
        lines.extend(self.others(view));
        lines.extend(self.written(view));
        lines.extend(self.loss(view));
        lines
    }

    /// The own miners that are not shown.
    fn others(&mut self, view: &View) -> Vec<String> {
        let now: Vec<_> = view.own.iter().map(|own| (own.name.clone(), own.state)).collect();
        let news = now.iter().filter(|(name, state)| {
            *name != view.miner.name && !self.own.contains(&(name.clone(), *state))
        });
        let lines = news.map(|(name, state)| say::other(name, state.word())).collect();
        self.own = now;
        lines
    }

    /// What the swarm's model has written, when it was asked.
    fn written(&mut self, view: &View) -> Option<String> {
        let now = view.swarm.as_ref().map(|swarm| swarm.writing.clone())?;
        let before = self.written.replace(now.clone());
        if before.as_ref().is_none_or(|before| *before == now) {
            return None;
        }
        match now {
            Writing::Done(text) => Some(say::wrote(&text.begun, &text.text)),
            Writing::Failed { why } => Some(writing::failed(&why)),
            _ => None,
        }
    }

    fn loss(&mut self, view: &View) -> Option<String> {
        let (first, last) = draw::losses(view)?;
        if self.loss.is_some() && view.unix < self.loss_at + LOSS_EVERY {
            return None;
        }
        let is_new = self.loss.is_none_or(|told| (told - last).abs() >= 0.0005);
        (self.loss, self.loss_at) = (Some(last), view.unix);
        is_new.then(|| say::loss(first, last))
    }

    /// The warnings that were logged since; of many only the first few, and how many there were.
    pub(super) fn logged(&mut self, log: &Ring, unix: u64) -> Vec<String> {
        let (seen, new) = log.since(self.lines);
        self.lines = seen;
        let mut lines = Vec::new();
        if unix >= self.warned_since + WARNINGS.1 {
            if self.unsaid > 0 {
                lines.push(say::unsaid(self.unsaid));
            }
            (self.warned, self.unsaid, self.warned_since) = (0, 0, unix);
        }
        for line in new.iter().filter(|line| is_warning(line)) {
            if self.warned < WARNINGS.0 {
                self.warned += 1;
                lines.push(say::warning(line));
            } else {
                self.unsaid += 1;
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::miner::{Eta, Reason, Who};
    use crate::tui::draw::samples::{miner, swarm, training, view};

    #[test]
    fn what_is_known_is_not_told_again_and_what_changes_is() {
        let mut news = News::default();
        let mut now = view(training(), Some(swarm(["training"; 3], 40)));
        let first = news.of(&now);
        assert!(first[0].contains("m0") && first[0].contains("stage 0"), "{first:?}");
        assert!(first.iter().any(|line| line.starts_with("Training for ")), "{first:?}");
        assert!(first.last().unwrap().starts_with("Loss "), "{first:?}");
        // Figures tick, the state is the same.
        for unix in 1_043..1_060 {
            now.unix = unix;
            now.miner.work.forwards += 7;
            assert_eq!(news.of(&now), Vec::<String>::new());
        }
        now.miner.status = miner(
            State::Merging,
            Reason::OthersMerging,
            "stage 2 must finish merging",
            Who::Peer,
            Eta::Unknown,
        )
        .status;
        let told = news.of(&now);
        assert!(told[0].starts_with("Merging for ") && told[1].contains("stage 2"), "{told:?}");
        assert_eq!(news.of(&now), Vec::<String>::new());
    }

    #[test]
    fn a_state_that_flickers_is_told_once_in_two_seconds() {
        let mut news = News::default();
        let mut now = view(training(), None);
        news.of(&now);
        let mut told = 0;
        for look in 0..100_u64 {
            // Ten seconds in looks of a tenth.
            now.unix = 1_042 + look / 10;
            now.miner.status.state = if look % 2 == 0 { State::Waiting } else { State::Training };
            told += usize::from(!news.of(&now).is_empty());
        }
        assert!(told <= 6, "{told}");
    }

    #[test]
    fn a_flood_of_warnings_is_counted_and_not_read_out() {
        let (mut news, log) = (News::default(), Ring::default());
        for i in 0..1_000 {
            log.push(&format!(" WARN peer {i} is gone"));
            log.push(" INFO quiet");
        }
        let told = news.logged(&log, 100);
        assert_eq!(told.len(), WARNINGS.0, "{told:?}");
        assert!(told[0].starts_with("Warning: peer"), "{told:?}");
        assert_eq!(news.logged(&log, 105), Vec::<String>::new());
        let later = news.logged(&log, 111);
        assert_eq!(later.len(), 1);
        assert!(later[0].contains("log"), "{later:?}");
        assert_eq!(news.logged(&log, 130), Vec::<String>::new());
    }
}

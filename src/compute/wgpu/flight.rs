//! What a device was given and has not answered for: when it is lost, one of these kernels is to blame.
//! After a loss a device is watched: every kernel is waited for before the next one is given out, so
//! that a second loss names a single one.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::compute::kind::KindSet;

/// Submissions that are told apart; older ones than that are one.
const MOST: usize = 256;

/// How a device is given its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// As much at once as a watchdog allows.
    Full,
    /// One kernel after the other.
    OneByOne,
}

/// What is in flight on a device. Its stages share it, since they share its queue. `I` names a
/// submission.
#[derive(Debug)]
pub(super) struct Flight<I> {
    log: Mutex<Log<I>>,
}

#[derive(Debug)]
struct Log<I> {
    /// Oldest first: it is answered for before the next one. Numbered in the order they were given out.
    submitted: VecDeque<(u64, I, KindSet)>,
    /// The number of the next one.
    next: u64,
    /// Programs that are still run one kernel after the other.
    watched: u32,
}

impl<I> Default for Flight<I> {
    fn default() -> Self {
        Self { log: Mutex::new(Log { submitted: VecDeque::new(), next: 0, watched: 0 }) }
    }
}

impl<I: Clone> Flight<I> {
    fn log(&self) -> MutexGuard<'_, Log<I>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These were given out.
    pub(super) fn began(&self, submission: I, kinds: KindSet) {
        let mut log = self.log();
        let number = log.next;
        log.next += 1;
        let submitted = &mut log.submitted;
        submitted.push_back((number, submission, kinds));
        if submitted.len() > MOST
            && let (Some((_, _, old)), Some((_, _, next))) =
                (submitted.pop_front(), submitted.front_mut())
        {
            *next = next.either(old);
        }
    }

    /// The oldest submission that is not answered for, with its number.
    pub(super) fn oldest(&self) -> Option<(u64, I)> {
        self.log().submitted.front().map(|(number, submission, _)| (*number, submission.clone()))
    }

    /// The one of this number is done, and so are all before it. Another stage may have seen that first.
    pub(super) fn answered(&self, number: u64) {
        let submitted = &mut self.log().submitted;
        while submitted.front().is_some_and(|(first, ..)| *first <= number) {
            submitted.pop_front();
        }
    }

    /// What is not answered for.
    pub(super) fn kinds(&self) -> KindSet {
        let all = |all: KindSet, (_, _, kinds): &(u64, I, KindSet)| all.either(*kinds);
        self.log().submitted.iter().fold(KindSet::default(), all)
    }

    /// Has so many programs run one kernel after the other.
    pub(super) fn watch(&self, programs: u32) {
        self.log().watched = programs;
    }

    /// The pace of the program that begins now.
    pub(super) fn pace(&self) -> Pace {
        let watched = &mut self.log().watched;
        match watched.checked_sub(1) {
            Some(left) => {
                *watched = left;
                Pace::OneByOne
            }
            None => Pace::Full,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::kind::OpKind;

    fn set(kind: OpKind) -> KindSet {
        [kind].into_iter().collect()
    }

    #[test]
    fn what_is_given_out_stays_until_it_is_answered_for() {
        let flight = Flight::default();
        flight.began(1, set(OpKind::RmsNorm));
        flight.began(2, set(OpKind::Rope));
        assert_eq!((flight.kinds().words(), flight.kinds().only()), ("norm, rope".into(), None));
        assert_eq!(flight.oldest(), Some((0, 1)));
        flight.answered(0);
        // Two stages wait for the same one, and both hear of its end.
        flight.answered(0);
        assert_eq!((flight.oldest(), flight.kinds().only()), (Some((1, 2)), Some(OpKind::Rope)));
        flight.answered(1);
        assert!(flight.kinds().is_empty() && flight.oldest().is_none());
    }

    #[test]
    fn no_suspect_is_forgotten_however_many_submissions_there_are() {
        let flight = Flight::default();
        flight.began(0, set(OpKind::Embed));
        for submission in 1..2000 {
            flight.began(submission, set(OpKind::Rope));
        }
        assert_eq!(flight.kinds().words(), "rope, embed");
        assert!(flight.log().submitted.len() <= MOST);
    }

    #[test]
    fn a_watch_ends_after_its_programs() {
        let flight: Flight<u32> = Flight::default();
        assert_eq!(flight.pace(), Pace::Full);
        flight.watch(2);
        let paces = [flight.pace(), flight.pace(), flight.pace()];
        assert_eq!(paces, [Pace::OneByOne, Pace::OneByOne, Pace::Full]);
    }
}

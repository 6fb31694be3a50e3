//! Which peers answer, and whose fault it is when one does not. A peer that fails several times in a
//! row rests for a growing time, so that the work goes to others at once instead of after a time
//! limit; then one request is let through as a probe. Failures while nobody at all answers are the
//! own uplink's: they make no peer rest.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Moment;
use crate::config::constants::{PeerConstants, doubling_pause};
use crate::protocol::ids::NodeId;

/// Nodes remembered at most; far more than a run has miners.
const REMEMBERED: usize = 4096;

/// The least bytes of a message by which a speed is measured.
const LEAST_MEASURED: usize = 16 << 10;
/// The speed of a push counts for one in so many.
const SPEED_FOLLOWS: f64 = 4.0;

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The peer's: others answer, or none was asked.
    Peer,
    /// Our own connection's: nobody answers.
    OwnUplink,
}

/// How one node fared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PeerRecord {
    /// Requests that were answered, refusals included.
    pub answered: u64,
    /// Attempts that failed by the peer's fault.
    pub failed_by_peer: u64,
    /// Attempts that failed while our own connection was down.
    pub failed_by_own_uplink: u64,
    /// Of the peer's, those on a way through a relay.
    pub failed_at_relay: u64,
    /// Requests that it answered with no.
    pub refused: u64,
    /// Bytes of messages sent to it.
    pub sent: u64,
    /// Bytes of messages that came from it.
    pub received: u64,
    /// Bytes a second of the last pushes, each from its first byte to its answer.
    pub push_speed: Option<f64>,
    /// When something last came from it.
    pub heard: Option<Moment>,
    /// What went wrong last.
    pub last_failure: Option<String>,
    /// Until when it is left alone.
    pub rests_until: Option<Moment>,
}

#[derive(Debug, Default)]
struct Entry {
    record: PeerRecord,
    /// Failures by its own fault since it last answered.
    in_a_row: u32,
    /// How often it was sent to rest since it last answered.
    rests: u32,
    touched: Moment,
}

#[derive(Debug, Default)]
struct Book {
    entries: HashMap<NodeId, Entry>,
    /// Who failed, and when last, since anybody was heard.
    silent: HashMap<NodeId, Moment>,
}

/// The records of all nodes.
#[derive(Debug)]
pub(super) struct Breakers {
    failures: u32,
    first_rest: Duration,
    longest_rest: Duration,
    uplink_window: Duration,
    book: Mutex<Book>,
}

impl Breakers {
    pub(super) fn new(rules: &PeerConstants) -> Self {
        Self {
            failures: rules.breaker_failures.max(1),
            first_rest: rules.breaker_first_rest,
            longest_rest: rules.breaker_longest_rest,
            uplink_window: rules.uplink_window,
            book: Mutex::default(),
        }
    }

    /// Until when `node` is to be left alone.
    pub(super) fn rests_until(&self, node: &NodeId, now: Moment) -> Option<Moment> {
        let book = self.lock();
        book.entries.get(node).and_then(|entry| entry.record.rests_until).filter(|at| *at > now)
    }

    /// A request to `node` starts. After a rest it is the probe: until it is answered, or for another
    /// rest, there is no second one.
    pub(super) fn starts(&self, node: &NodeId, now: Moment) {
        let mut book = self.lock();
        let Some(entry) = book.entries.get_mut(node) else { return };
        if entry.record.rests_until.is_some_and(|at| at <= now) {
            entry.record.rests_until = Some(now + self.rest(entry.rests));
        }
    }

    /// `node` answered, whatever it said.
    pub(super) fn answered(&self, node: &NodeId, now: Moment) {
        let mut book = self.lock();
        book.silent.clear();
        let entry = book.entry(node, now);
        entry.record.answered += 1;
        entry.record.heard = Some(now);
        entry.record.rests_until = None;
        (entry.in_a_row, entry.rests) = (0, 0);
    }

    /// An attempt to reach `node` failed.
    pub(super) fn failed(&self, node: &NodeId, now: Moment, why: String) -> Blame {
        let mut book = self.lock();
        let window = self.uplink_window;
        book.silent.retain(|_, at| now.since(*at) <= window);
        let others = book.silent.keys().any(|other| other != node);
        book.silent.insert(node.clone(), now);
        let entry = book.entry(node, now);
        entry.record.last_failure = Some(why);
        if others {
            entry.record.failed_by_own_uplink += 1;
            return Blame::OwnUplink;
        }
        entry.record.failed_by_peer += 1;
        entry.in_a_row += 1;
        if entry.in_a_row >= self.failures {
            entry.record.rests_until = Some(now + self.rest(entry.rests));
            entry.rests = entry.rests.saturating_add(1);
            // The next rest follows the failure of one probe.
            entry.in_a_row = self.failures - 1;
        }
        Blame::Peer
    }

    /// What `node` was asked went through a relay, and failed by no fault of ours.
    pub(super) fn failed_at_relay(&self, node: &NodeId, now: Moment) {
        self.lock().entry(node, now).record.failed_at_relay += 1;
    }

    /// `node` answered with no.
    pub(super) fn refused(&self, node: &NodeId, now: Moment) {
        self.lock().entry(node, now).record.refused += 1;
    }

    /// So many bytes went to `node`, and so many came back, in this time.
    pub(super) fn exchanged(
        &self,
        node: &NodeId,
        now: Moment,
        (sent, received): (usize, usize),
        took: Duration,
    ) {
        let mut book = self.lock();
        let record = &mut book.entry(node, now).record;
        record.sent += sent as u64;
        record.received += received as u64;
        record.heard = Some(now);
        // Small messages measure the way's length and not its width.
        if sent >= LEAST_MEASURED && !took.is_zero() {
            #[allow(clippy::cast_precision_loss)]
            let speed = sent as f64 / took.as_secs_f64();
            let before = record.push_speed.unwrap_or(speed);
            record.push_speed = Some(before + (speed - before) / SPEED_FOLLOWS);
        }
    }

    /// So many bytes came from `node` by its own wish. Only one that the registry lists is counted:
    /// strangers must not fill the book.
    pub(super) fn came(&self, node: &NodeId, now: Moment, bytes: usize) {
        let mut book = self.lock();
        let record = &mut book.entry(node, now).record;
        record.received += bytes as u64;
        record.heard = Some(now);
    }

    /// Something came from outside: our own connection works.
    pub(super) fn heard_somebody(&self) {
        self.lock().silent.clear();
    }

    /// There is reason to think that `node` lives: it moved, or was heard. It may be tried at once.
    pub(super) fn revive(&self, node: &NodeId) {
        let mut book = self.lock();
        if let Some(entry) = book.entries.get_mut(node) {
            entry.record.rests_until = None;
            entry.rests = 0;
        }
    }

    /// Our own network is another one, or works again: everybody may be tried at once.
    pub(super) fn revive_all(&self) {
        let mut book = self.lock();
        book.silent.clear();
        for entry in book.entries.values_mut() {
            entry.record.rests_until = None;
            entry.rests = 0;
        }
    }

    /// How every node fared.
    pub(super) fn records(&self) -> Vec<(NodeId, PeerRecord)> {
        let book = self.lock();
        book.entries.iter().map(|(node, entry)| (node.clone(), entry.record.clone())).collect()
    }

    fn rest(&self, before: u32) -> Duration {
        doubling_pause(self.first_rest, before, self.longest_rest)
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// The entry of `node`; made if there is none, at the cost of the one that was longest quiet.
    fn entry(&mut self, node: &NodeId, now: Moment) -> &mut Entry {
        if self.entries.len() >= REMEMBERED && !self.entries.contains_key(node) {
            let quiet = self.entries.iter().min_by_key(|(_, entry)| entry.touched);
            if let Some(quiet) = quiet.map(|(node, _)| node.clone()) {
                self.entries.remove(&quiet);
            }
        }
        let entry = self.entries.entry(node.clone()).or_default();
        entry.touched = now;
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    fn node(number: u8) -> NodeId {
        NodeId::from_bytes(&[number; 32])
    }

    /// Three failures, rests of 2, 4, 8 and at most 10 s, an uplink window of 20 s.
    fn breakers() -> Breakers {
        Breakers::new(&PeerConstants {
            breaker_failures: 3,
            breaker_first_rest: Duration::from_secs(2),
            breaker_longest_rest: Duration::from_secs(10),
            uplink_window: Duration::from_secs(20),
            ..PeerConstants::default()
        })
    }

    fn fail(breakers: &Breakers, number: u8, second: u64) -> Blame {
        breakers.failed(&node(number), at(second), "timeout".to_owned())
    }

    #[test]
    fn failures_in_a_row_make_a_peer_rest_for_a_growing_time_with_one_probe_between() {
        let breakers = breakers();
        let rests = |second| breakers.rests_until(&node(1), at(second));
        for _ in 0..2 {
            fail(&breakers, 1, 0);
            assert_eq!(rests(0), None);
        }
        fail(&breakers, 1, 0);
        assert_eq!(rests(1), Some(at(2)));
        assert_eq!(rests(2), None, "half open");
        breakers.starts(&node(1), at(2));
        assert_eq!(rests(2), Some(at(6)), "one probe at a time");
        fail(&breakers, 1, 3);
        assert_eq!(rests(3), Some(at(7)), "one failed probe, four seconds");
        let mut now = 7;
        for rest in [8, 10, 10] {
            breakers.starts(&node(1), at(now));
            fail(&breakers, 1, now);
            assert_eq!(rests(now), Some(at(now + rest)));
            now += rest;
        }
        breakers.starts(&node(1), at(now));
        breakers.answered(&node(1), at(now));
        assert_eq!(rests(now), None);
        fail(&breakers, 1, now);
        fail(&breakers, 1, now);
        assert_eq!(rests(now), None, "it starts from nothing again");
        fail(&breakers, 1, now);
        assert_eq!(rests(now), Some(at(now + 2)));
    }

    #[test]
    fn a_probe_that_was_called_off_is_followed_by_another() {
        let breakers = breakers();
        for _ in 0..3 {
            fail(&breakers, 1, 0);
        }
        breakers.starts(&node(1), at(2));
        assert!(breakers.rests_until(&node(1), at(3)).is_some());
        assert!(breakers.rests_until(&node(1), at(6)).is_none());
    }

    #[test]
    fn when_nobody_answers_it_is_our_own_uplink_and_no_peer_rests() {
        let breakers = breakers();
        assert_eq!(fail(&breakers, 1, 0), Blame::Peer);
        for second in 1..20 {
            assert_eq!(fail(&breakers, 2, second), Blame::OwnUplink);
        }
        assert_eq!(breakers.rests_until(&node(2), at(20)), None);
        breakers.answered(&node(3), at(21));
        assert_eq!(fail(&breakers, 2, 22), Blame::Peer, "others answer");
        assert_eq!(fail(&breakers, 1, 23), Blame::OwnUplink);
        breakers.heard_somebody();
        assert_eq!(fail(&breakers, 1, 24), Blame::Peer);
        assert_eq!(fail(&breakers, 2, 60), Blame::Peer, "long ago says nothing");
        let records: HashMap<_, _> = breakers.records().into_iter().collect();
        let second = &records[&node(2)];
        assert_eq!((second.failed_by_own_uplink, second.failed_by_peer), (19, 2));
        assert_eq!(second.last_failure.as_deref(), Some("timeout"));
        assert_eq!(records[&node(3)].answered, 1);
    }

    #[test]
    fn a_peer_that_shows_itself_is_tried_at_once() {
        let breakers = breakers();
        for _ in 0..3 {
            fail(&breakers, 1, 0);
        }
        breakers.revive(&node(1));
        assert_eq!(breakers.rests_until(&node(1), at(0)), None);
        fail(&breakers, 1, 0);
        assert_eq!(breakers.rests_until(&node(1), at(0)), Some(at(2)));
        breakers.revive_all();
        assert_eq!(breakers.rests_until(&node(1), at(0)), None);
    }

    #[test]
    fn records_are_bounded_and_the_quietest_goes() {
        let breakers = breakers();
        for number in 0..=REMEMBERED {
            let mut key = [7; 32];
            key[..8].copy_from_slice(&number.to_le_bytes());
            breakers.answered(&NodeId::from_bytes(&key), at(number as u64));
        }
        let records = breakers.records();
        assert_eq!(records.len(), REMEMBERED);
        let mut first = [7; 32];
        first[..8].copy_from_slice(&0_usize.to_le_bytes());
        assert!(records.iter().all(|(node, _)| node != &NodeId::from_bytes(&first)));
    }
}

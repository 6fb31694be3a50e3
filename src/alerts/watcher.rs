//! Sees from a miner's snapshots and events what is worth an alert. Pure: it is asked with the time.

use std::collections::BTreeMap;

use super::{Alert, Kind};
use crate::miner::snapshot::{MinerSnapshot, Reason, State, Who};
use crate::telemetry::{Event, Severity, UploadVerdict};

/// No work for so long is worth a word, in seconds.
const NO_WORK: f64 = 30.0 * 60.0;
/// Codes of findings that tell of a lost device.
const DEVICE_CODES: [&str; 3] = ["device-lost", "device-gone", "device-back"];

/// What was seen of the miners so far.
#[derive(Debug, Default)]
pub struct Watcher {
    miners: BTreeMap<String, Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// What was told since it last trained.
    open: Vec<Kind>,
    /// The state and reason that were looked at last, and since when they hold.
    last: Option<(State, &'static str)>,
}

impl Seen {
    /// Each once: a miner that comes and goes for days has one list of a few words.
    fn note(&mut self, kind: Kind) {
        if !self.open.contains(&kind) {
            self.open.push(kind);
        }
    }
}

impl Watcher {
    /// Looks at a snapshot.
    pub fn look(&mut self, miner: &MinerSnapshot, unix: f64) -> Vec<Alert> {
        let status = &miner.status;
        let seen = self.miners.entry(miner.name.clone()).or_default();
        let now = (status.state, status.reason.code());
        let is_new = seen.last != Some(now);
        seen.last = Some(now);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let at = unix.max(0.0) as u64;
        let tell = |kind, text: String| Alert::of(kind, &miner.name, text, now.1, at);
        let sentence = || match status.next.is_empty() {
            true => status.reason.sentence(),
            false => {
                format!("{} Next: {}.", status.reason.sentence(), status.next.trim_end_matches('.'))
            }
        };
        if let Some(kind) = kind_of(miner) {
            if !is_new {
                return Vec::new();
            }
            seen.note(kind);
            return vec![tell(kind, sentence())];
        }
        let is_idle = matches!(
            status.reason,
            Reason::NoActivation | Reason::OtherStageNotTraining | Reason::RunFull
        );
        if is_idle && unix - status.since >= NO_WORK && !seen.open.contains(&Kind::NoWork) {
            seen.open.push(Kind::NoWork);
            return vec![tell(Kind::NoWork, sentence())];
        }
        let works = status.state == State::Training && status.reason == Reason::WorkAvailable;
        if works && !seen.open.is_empty() {
            let open: Vec<&str> = seen.open.drain(..).map(Kind::word).collect();
            return vec![tell(
                Kind::Recovered,
                format!("It trains again, after: {}.", open.join(", ")),
            )];
        }
        Vec::new()
    }

    /// Hears an event.
    pub fn hear(&mut self, event: &Event, unix: f64) -> Option<Alert> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let at = unix.max(0.0) as u64;
        match event {
            Event::Upload { miner, verdict: UploadVerdict::Misses, by_seconds, .. } => {
                let late =
                    by_seconds.map_or_else(String::new, |by| format!(" by {:.0} s", by.abs()));
                let text = format!("At its present speed the upload misses its deadline{late}.");
                let seen = self.miners.entry(miner.clone()).or_default();
                let is_new = !seen.open.contains(&Kind::UploadLate);
                if is_new {
                    seen.open.push(Kind::UploadLate);
                }
                is_new.then(|| Alert::of(Kind::UploadLate, miner, text, "alerts", at))
            }
            Event::Finding { severity, code, what, fix } if *severity != Severity::Info => {
                let kind = match code.as_str() {
                    // Room was made: nobody has to do anything.
                    "disk-cleaned" => return None,
                    code if code.starts_with("disk") => Kind::Disk,
                    code if DEVICE_CODES.contains(&code) => Kind::DeviceLost,
                    _ => return None,
                };
                let text = format!("{what} {fix}");
                // Findings begin with the miner's name.
                let name = what.split_once(": ").map(|(name, _)| name);
                let name = name.filter(|name| self.miners.contains_key(*name));
                Some(match name {
                    Some(name) => {
                        let alert = Alert::of(kind, name, text.trim_end(), code, at);
                        self.miners.entry(name.to_owned()).or_default().note(kind);
                        alert
                    }
                    None => Alert::of_all(kind, text.trim_end(), code, at),
                })
            }
            _ => None,
        }
    }
}

/// What a state by itself is worth telling of.
fn kind_of(miner: &MinerSnapshot) -> Option<Kind> {
    let status = &miner.status;
    match (&status.state, &status.reason) {
        (State::Fault, _) => Some(Kind::Fault),
        (_, Reason::NotRegistered | Reason::Frozen) => Some(Kind::Kicked),
        (State::Paused, reason) if ["user-paused", "switched-off"].contains(&reason.code()) => None,
        (State::Paused, _) => Some(Kind::PausedByRule),
        (State::Stopping | State::Stopped, _) => None,
        _ if status.who == Who::You => Some(Kind::NeedsYou),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::miner::board::Board;
    use crate::miner::snapshot::DeviceView;
    use crate::telemetry::Events;

    fn board() -> Board {
        Board::new("m0", "5abc", DeviceView::default(), Clock::system(), Events::new())
    }

    fn kinds(alerts: &[Alert]) -> Vec<&'static str> {
        alerts.iter().map(|alert| alert.kind.word()).collect()
    }

    #[test]
    fn each_turn_is_told_once_and_so_is_the_recovery() {
        let board = board();
        let mut watcher = Watcher::default();
        let mut look = |state, reason, who| {
            board.status(state, reason, who, "x must happen");
            let first = board.read(|snapshot| watcher.look(snapshot, 2e9));
            let again = board.read(|snapshot| watcher.look(snapshot, 2e9));
            assert_eq!(again, []);
            kinds(&first)
        };
        let trains = (State::Training, Reason::WorkAvailable, Who::Machine);
        assert!(look(trains.0, trains.1.clone(), trains.2).is_empty());
        assert_eq!(look(State::Registering, Reason::NotRegistered, Who::Network), ["kicked"]);
        assert!(look(State::Registering, Reason::AskingForStage, Who::Network).is_empty());
        assert_eq!(look(trains.0, trains.1.clone(), trains.2), ["recovered"]);
        assert!(look(State::Paused, Reason::SwitchedOff, Who::You).is_empty());
        let failed = Reason::Failed { what: "The disk is gone.".into() };
        assert_eq!(look(State::Fault, failed, Who::You), ["fault"]);
        assert_eq!(look(State::Waiting, Reason::QueueSilent, Who::You), ["needs-you"]);
        assert_eq!(look(trains.0, trains.1, trains.2), ["recovered"]);
    }

    #[test]
    fn no_work_is_told_after_half_an_hour() {
        let board = board();
        board.status(State::Training, Reason::NoActivation, Who::Peer, "work");
        let since = board.read(|snapshot| snapshot.status.since);
        let mut watcher = Watcher::default();
        let mut look = |after: f64| board.read(|snapshot| watcher.look(snapshot, since + after));
        assert!(look(1700.0).is_empty());
        assert_eq!(kinds(&look(1801.0)), ["no-work"]);
        assert!(look(9000.0).is_empty());
    }

    #[test]
    fn events_tell_of_disks_devices_and_late_uploads() {
        let finding = |severity, code: &str| Event::Finding {
            severity,
            code: code.into(),
            what: "m0: it is so.".into(),
            fix: "Do that.".into(),
        };
        let mut watcher = Watcher::default();
        let mut hear = |event| watcher.hear(&event, 5.0).map(|alert| alert.kind.word());
        assert_eq!(hear(finding(Severity::Warning, "disk-full")), Some("disk"));
        assert_eq!(hear(finding(Severity::Error, "device-lost")), Some("device-lost"));
        assert_eq!(hear(finding(Severity::Info, "disk-full")), None);
        assert_eq!(hear(finding(Severity::Warning, "clock")), None);
    }
}

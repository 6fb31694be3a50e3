//! Shows uploads to the faces: how far each is, whether it will be there in time, and a warning, once,
//! when it will not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::board::Board;
use super::snapshot::transfers::{Deadline as Due, MOST_TRANSFERS, TransferView};
use super::snapshot::{Eta, State};
use crate::clock::Moment;
use crate::network::line::Share;
use crate::network::storage::{Deadline, Escort, UploadProgress, UploadWatch, Verdict};
use crate::protocol::messages::FileType;
use crate::telemetry::{Event, Severity, UploadVerdict};

/// Watches the uploads of one duty.
pub(super) struct UploadView<'a> {
    board: &'a Board,
    name: &'a str,
    deadline: Deadline,
    warned: AtomicBool,
}

impl<'a> UploadView<'a> {
    /// For the uploads of a phase that began at `began` and lasts at most `limit`.
    pub(super) fn new(board: &'a Board, name: &'a str, began: Moment, limit: Duration) -> Self {
        let deadline = Deadline::At(began + limit);
        Self { board, name, deadline, warned: AtomicBool::new(false) }
    }

    /// What an upload takes along.
    pub(super) fn escort(&self) -> Escort<'_> {
        Escort { watch: self, deadline: self.deadline }
    }

    fn warn(&self, progress: &UploadProgress, late_by: f64) {
        if self.warned.swap(true, Ordering::Relaxed) {
            return;
        }
        let what = format!(
            "at {:.1} MB/s the upload of {} will miss its deadline by {late_by:.0} s: \
             what comes too late does not count",
            progress.bytes_per_second / 1e6,
            words(progress.file),
        );
        let fix = "Stop other uploads on this line; a cable is often faster than Wi-Fi.";
        self.board.finding(Severity::Warning, "upload-too-slow", what, fix);
    }

    /// The user's own limit makes it late: said while that can still be changed.
    fn warn_of_limit(&self, progress: &UploadProgress, share: Share, late_by: f64) {
        if self.warned.swap(true, Ordering::Relaxed) {
            return;
        }
        let missing = progress.total.saturating_sub(progress.sent);
        #[allow(clippy::cast_precision_loss)]
        let needed = missing as f64 / progress.deadline_in.unwrap_or_default() / 125_000.0;
        let needed = match needed {
            mbits if mbits.is_finite() && mbits > 0.0 => format!("{mbits:.1} Mbit/s"),
            _ => "more time than there is".to_owned(),
        };
        let shared = match share.uploads {
            1 => String::new(),
            uploads => format!(", which {uploads} uploads share"),
        };
        let what = format!(
            "the upload of {} needs {needed} to be there in time, but upload_limit is {:.1} \
             Mbit/s{shared}: it will be {late_by:.0} s late, and what comes too late does not count",
            words(progress.file),
            share.limit.megabits(),
        );
        let fix = "Raise upload_limit, or set it to off: `hearth config set upload_limit off`.";
        self.board.finding(Severity::Warning, "upload-limit-too-low", what, fix);
    }

    /// Among the uploads of this phase.
    fn list(&self, progress: &UploadProgress) {
        let now = self.board.clock().unix_seconds();
        let seen = TransferView {
            file: word(progress.file).to_owned(),
            began: now.round(),
            ended: (progress.parts_done == progress.parts).then_some(now.round()),
            sent: progress.sent,
            total: progress.total,
            parts_done: progress.parts_done,
            parts: progress.parts,
            bytes_per_second: progress.bytes_per_second.round(),
            deadline_at: progress.deadline_in.map(|left| (now + left).round()),
            verdict: match progress.verdict {
                Verdict::Unknown => Due::Unknown,
                Verdict::Fits { by } => Due::Fits { by: by.round() },
                Verdict::Misses { by } => Due::Misses { by: by.round() },
            },
            held_back: progress.held_back.map(|share| share.bytes().round()),
        };
        self.board.update(|snapshot| note(&mut snapshot.measured.transfers, seen));
    }

    /// The status line of a miner that does nothing but upload.
    fn show(&self, progress: &UploadProgress) {
        if progress.total == 0 {
            return;
        }
        #[allow(clippy::cast_precision_loss)]
        let (sent, total) = (progress.sent as f64, progress.total as f64);
        let missing = (total - sent) / progress.bytes_per_second;
        let eta = if missing.is_finite() { Eta::Seconds(missing) } else { Eta::Unknown };
        let (percent, megabytes) = (100.0 * sent / total, total / 1e6);
        let timing = match progress.verdict {
            Verdict::Unknown => String::new(),
            Verdict::Fits { by } => format!(", fits by {by:.0} s"),
            Verdict::Misses { by } => format!(", misses its deadline by {by:.0} s"),
        };
        let what = words(progress.file);
        self.board.update(|snapshot| {
            if snapshot.status.state == State::Uploading {
                snapshot.status.next = format!(
                    "{what} must be uploaded ({percent:.0} % of {megabytes:.1} MB{timing})"
                );
                snapshot.status.eta = eta;
            }
        });
    }
}

impl UploadWatch for UploadView<'_> {
    fn note(&self, progress: &UploadProgress) {
        let (verdict, by_seconds) = match progress.verdict {
            Verdict::Unknown => (UploadVerdict::Unknown, None),
            Verdict::Fits { by } => (UploadVerdict::Fits, Some(by)),
            Verdict::Misses { by } => (UploadVerdict::Misses, Some(by)),
        };
        self.board.events().emit(Event::Upload {
            miner: self.name.to_owned(),
            file: progress.file,
            sent: progress.sent,
            total: progress.total,
            parts_done: progress.parts_done,
            parts: progress.parts,
            bytes_per_second: progress.bytes_per_second,
            deadline_in: progress.deadline_in,
            verdict,
            by_seconds,
        });
        match (progress.verdict, progress.held_back) {
            (Verdict::Misses { by }, Some(share)) => self.warn_of_limit(progress, share, by),
            (Verdict::Misses { by }, None) => self.warn(progress, by),
            _ => {}
        }
        self.show(progress);
        self.list(progress);
    }
}

/// The same object goes on where it was; another one is added, and pushes the oldest out.
fn note(transfers: &mut Vec<TransferView>, seen: TransferView) {
    let same = |known: &&mut TransferView| {
        known.ended.is_none() && known.file == seen.file && known.total == seen.total
    };
    match transfers.iter_mut().rev().find(same) {
        Some(known) => *known = TransferView { began: known.began, ..seen },
        None => {
            if transfers.len() >= MOST_TRANSFERS {
                transfers.remove(0);
            }
            transfers.push(seen);
        }
    }
}

/// As the wire calls it.
fn word(file: FileType) -> &'static str {
    match file {
        FileType::Weights => "weights",
        FileType::OptimizerState => "optimizer_state",
        FileType::Activation => "activation",
        FileType::Partition => "partition",
    }
}

fn words(file: FileType) -> &'static str {
    match file {
        FileType::Weights => "the pseudo-gradient",
        FileType::OptimizerState => "the optimizer's state",
        FileType::Activation => "an activation",
        FileType::Partition => "a merged partition",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::miner::snapshot::{DeviceView, Reason, Who};
    use crate::network::Speed;
    use crate::telemetry::Events;

    fn progress(verdict: Verdict) -> UploadProgress {
        UploadProgress {
            file: FileType::Weights,
            sent: 25_000_000,
            total: 100_000_000,
            parts_done: 2,
            parts: 10,
            bytes_per_second: 1e6,
            deadline_in: Some(35.0),
            verdict,
            held_back: None,
        }
    }

    #[tokio::test]
    async fn a_limit_that_makes_an_upload_late_is_named_with_what_it_would_take() {
        let events = Events::new();
        let mut heard = events.subscribe();
        let board = Board::new("m0", "5x", DeviceView::default(), Clock::system(), events);
        let view = UploadView::new(&board, "m0", Moment::default(), Duration::from_secs(60));
        let limit = Some(Share { limit: Speed::of_megabits(2.0), uploads: 2 });
        let late = UploadProgress { held_back: limit, ..progress(Verdict::Misses { by: 265.0 }) };
        view.note(&late);
        view.note(&late);
        let mut said = Vec::new();
        while let Ok(event) = heard.try_recv() {
            if let Event::Finding { code, what, .. } = event {
                said.push((code, what));
            }
        }
        let [(code, what)] = &said[..] else { panic!("{said:?}") };
        assert_eq!(code, "upload-limit-too-low");
        // 75 MB in 35 s.
        for words in
            ["17.1 Mbit/s", "upload_limit is 2.0 Mbit/s, which 2 uploads share", "265 s late"]
        {
            assert!(what.contains(words), "{words:?} is missing in {what}");
        }
    }

    #[tokio::test]
    async fn an_upload_is_one_line_from_its_first_part_to_its_last() {
        let device = DeviceView::default();
        let board = Board::new("m0", "5x", device, Clock::system(), Events::new());
        let view = UploadView::new(&board, "m0", Moment::default(), Duration::from_secs(60));
        view.note(&progress(Verdict::Unknown));
        view.note(&progress(Verdict::Misses { by: 40.4 }));
        let transfers = board.read(|s| s.measured.transfers.clone());
        let [one] = &transfers[..] else { panic!("{transfers:?}") };
        assert_eq!((one.parts_done, one.parts, one.ended), (2, 10, None));
        assert_eq!(one.verdict, Due::Misses { by: 40.0 });
        let whole = UploadProgress { parts_done: 10, ..progress(Verdict::Fits { by: 1.0 }) };
        view.note(&whole);
        view.note(&progress(Verdict::Unknown));
        for total in 0..2 * MOST_TRANSFERS as u64 {
            view.note(&UploadProgress { total, ..whole });
        }
        let transfers = board.read(|s| s.measured.transfers.clone());
        assert_eq!(transfers.len(), MOST_TRANSFERS);
        assert!(transfers.iter().all(|one| one.ended.is_some()));
    }

    #[tokio::test]
    async fn a_late_upload_is_told_every_time_and_warned_of_once() {
        let events = Events::new();
        let mut heard = events.subscribe();
        let device = DeviceView::default();
        let board = Board::new("m0", "5x", device, Clock::system(), events);
        board.status(State::Uploading, Reason::UploadingWeights, Who::Machine, "upload");
        let view = UploadView::new(&board, "m0", Moment::default(), Duration::from_secs(60));
        view.escort().watch.note(&progress(Verdict::Fits { by: 5.0 }));
        assert_eq!(board.read(|s| s.status.eta), Eta::Seconds(75.0));
        let next = board.read(|s| s.status.next.clone());
        assert!(next.contains("25 % of 100.0 MB, fits by 5 s"), "{next}");
        view.note(&progress(Verdict::Misses { by: 40.0 }));
        view.note(&progress(Verdict::Misses { by: 41.0 }));
        let mut seen = Vec::new();
        while let Ok(event) = heard.try_recv() {
            match event {
                Event::Upload { verdict, by_seconds, .. } => seen.push((verdict, by_seconds)),
                Event::Finding { code, what, severity, .. } => {
                    assert_eq!((code.as_str(), severity), ("upload-too-slow", Severity::Warning));
                    assert!(what.contains("miss its deadline by 40 s"), "{what}");
                    seen.push((UploadVerdict::Unknown, None));
                }
                _ => {}
            }
        }
        let (fits, misses) = (UploadVerdict::Fits, UploadVerdict::Misses);
        assert_eq!(
            seen,
            [
                (fits, Some(5.0)),
                (misses, Some(40.0)),
                (UploadVerdict::Unknown, None),
                (misses, Some(41.0))
            ]
        );
    }
}

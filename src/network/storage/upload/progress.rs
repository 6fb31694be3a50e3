//! How far an upload is, how fast it goes, and whether it will be there in time.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Moment;
use crate::network::line::Share;
use crate::protocol::messages::FileType;

/// Between two reports.
pub(super) const REPORT_EVERY: Duration = Duration::from_secs(1);
/// The speed is that of the last so many seconds.
const WINDOW: Duration = Duration::from_secs(10);
/// Samples closer together than this are one.
const GRAIN: Duration = Duration::from_millis(250);
/// Nothing is called late before so much time: connections start slowly.
const TOO_EARLY: Duration = Duration::from_secs(2);

/// Until when an upload is of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// Nobody said.
    Unknown,
    /// This moment.
    At(Moment),
}

impl Deadline {
    /// Seconds left; negative when it has passed.
    pub(super) fn left(self, now: Moment) -> Option<f64> {
        match self {
            Self::Unknown => None,
            Self::At(end) => Some(end.since(now).as_secs_f64() - now.since(end).as_secs_f64()),
        }
    }

    /// The earlier of this one and `end`.
    pub(super) fn or_earlier(self, end: Option<Moment>) -> Self {
        match (self, end) {
            (Self::At(own), Some(end)) => Self::At(own.min(end)),
            (Self::Unknown, Some(end)) => Self::At(end),
            (own, None) => own,
        }
    }
}

/// Whether an upload meets its deadline at its present speed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// No deadline is known, or no speed yet.
    Unknown,
    /// It will be there so many seconds before.
    Fits {
        /// Seconds.
        by: f64,
    },
    /// It will be so many seconds late.
    Misses {
        /// Seconds.
        by: f64,
    },
}

/// How far an upload is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UploadProgress {
    /// What is uploaded.
    pub file: FileType,
    /// Bytes sent, those of earlier attempts included.
    pub sent: u64,
    /// Bytes of the object.
    pub total: u64,
    /// Parts that the store has.
    pub parts_done: usize,
    /// All parts.
    pub parts: usize,
    /// Over the last ten seconds.
    pub bytes_per_second: f64,
    /// Seconds until the deadline, if one is known; negative when it has passed.
    pub deadline_in: Option<f64>,
    /// Whether it will be there in time.
    pub verdict: Verdict,
    /// What it gets of the line's limit, where that alone makes it late.
    pub held_back: Option<Share>,
}

/// Told about uploads: at the start, at most once a second, and at the end. Must return at once.
pub trait UploadWatch: Send + Sync {
    /// An upload is so far.
    fn note(&self, progress: &UploadProgress);
}

/// Nobody is told.
#[derive(Clone, Copy, Debug)]
pub struct Untold;

impl UploadWatch for Untold {
    fn note(&self, _: &UploadProgress) {}
}

/// Who is told about an upload, and until when it is of use.
#[derive(Clone, Copy)]
pub struct Escort<'a> {
    /// Who is told.
    pub watch: &'a dyn UploadWatch,
    /// Until when.
    pub deadline: Deadline,
}

impl Escort<'static> {
    /// Nobody is told, and there is no hurry.
    pub fn none() -> Self {
        Self { watch: &Untold, deadline: Deadline::Unknown }
    }
}

/// Measures an upload and tells about it.
pub(super) struct Gauge<'a> {
    escort: Escort<'a>,
    file: FileType,
    total: u64,
    parts: usize,
    started: Moment,
    /// Bytes sent by then, oldest first, at least a grain apart.
    samples: VecDeque<(Moment, u64)>,
    latest: (Moment, u64),
    told: Option<Moment>,
}

impl<'a> Gauge<'a> {
    /// A gauge of an upload that begins (or goes on) with `sent` of `total` bytes.
    pub(super) fn new(
        escort: Escort<'a>,
        (file, total, parts): (FileType, u64, usize),
        now: Moment,
        sent: u64,
    ) -> Self {
        let samples = VecDeque::from([(now, sent)]);
        Self { escort, file, total, parts, started: now, samples, latest: (now, sent), told: None }
    }

    /// Takes note of `sent` bytes and tells if it is time.
    pub(super) fn note(&mut self, now: Moment, sent: u64, parts_done: usize, share: Option<Share>) {
        // A part that failed is sent again: no progress until it is further than before.
        let sent = self.latest.1.max(sent);
        self.latest = (now, sent);
        if self.samples.back().is_none_or(|(at, _)| now.since(*at) >= GRAIN) {
            self.samples.push_back(self.latest);
        }
        while self.samples.get(1).is_some_and(|(at, _)| now.since(*at) >= WINDOW) {
            self.samples.pop_front();
        }
        let ends = parts_done == self.parts;
        if ends || self.told.is_none_or(|told| now.since(told) >= REPORT_EVERY) {
            self.told = Some(now);
            self.escort.watch.note(&self.progress(now, sent, parts_done, share));
        }
    }

    /// Bytes per second over the window; 0 as long as nothing can be said.
    pub(super) fn speed(&self) -> f64 {
        let Some((first, before)) = self.samples.front() else { return 0.0 };
        let seconds = self.latest.0.since(*first).as_secs_f64();
        #[allow(clippy::cast_precision_loss)]
        let bytes = self.latest.1.saturating_sub(*before) as f64;
        if seconds > 0.0 { bytes / seconds } else { 0.0 }
    }

    fn progress(
        &self,
        now: Moment,
        sent: u64,
        parts_done: usize,
        share: Option<Share>,
    ) -> UploadProgress {
        let speed = self.speed();
        let left = self.escort.deadline.left(now);
        let missing = if parts_done == self.parts { 0 } else { self.total.saturating_sub(sent) };
        // What the limit alone does to it is known before a byte has gone.
        let at_limit = share.map(|share| (share, judge(missing, share.bytes(), left)));
        let (verdict, held_back) = match (judge(missing, speed, left), at_limit) {
            (_, Some((share, late @ Verdict::Misses { .. }))) => (late, Some(share)),
            (Verdict::Misses { .. }, _) if now.since(self.started) < TOO_EARLY => {
                (Verdict::Unknown, None)
            }
            (verdict, _) => (verdict, None),
        };
        UploadProgress {
            file: self.file,
            sent,
            total: self.total,
            parts_done,
            parts: self.parts,
            bytes_per_second: speed,
            deadline_in: left,
            verdict,
            held_back,
        }
    }
}

/// Whether `missing` bytes at `speed` bytes per second arrive within the `left` seconds.
fn judge(missing: u64, speed: f64, left: Option<f64>) -> Verdict {
    let Some(left) = left else { return Verdict::Unknown };
    #[allow(clippy::cast_precision_loss)]
    let needed = if missing == 0 { 0.0 } else { missing as f64 / speed };
    let spare = left - needed;
    if !spare.is_finite() {
        Verdict::Unknown
    } else if spare >= 0.0 {
        Verdict::Fits { by: spare }
    } else {
        Verdict::Misses { by: -spare }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::line::Speed;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Heard(Mutex<Vec<UploadProgress>>);

    impl UploadWatch for Heard {
        fn note(&self, progress: &UploadProgress) {
            self.0.lock().unwrap().push(*progress);
        }
    }

    fn at(seconds: f64) -> Moment {
        Moment(Duration::from_secs_f64(seconds))
    }

    /// A steady upload of 1000 bytes in 100 parts at 10 bytes a second, until `end`.
    fn upload(deadline: Deadline, end: u64) -> Vec<UploadProgress> {
        limited(deadline, end, None)
    }

    fn limited(deadline: Deadline, end: u64, share: Option<Share>) -> Vec<UploadProgress> {
        let heard = Heard::default();
        let escort = Escort { watch: &heard, deadline };
        let mut gauge = Gauge::new(escort, (FileType::Weights, 1000, 100), at(0.0), 0);
        for tenth in 0..=end * 10 {
            #[allow(clippy::cast_precision_loss)]
            let now = at(tenth as f64 / 10.0);
            gauge.note(now, tenth, usize::try_from(tenth / 10).unwrap(), share);
        }
        heard.0.into_inner().unwrap()
    }

    #[test]
    fn it_tells_at_the_start_once_a_second_and_at_the_end() {
        let heard = upload(Deadline::Unknown, 100);
        assert_eq!(heard.len(), 101);
        assert_eq!((heard[0].sent, heard[0].verdict), (0, Verdict::Unknown));
        assert_eq!((heard[100].sent, heard[100].parts_done), (1000, 100));
        assert!((heard[50].bytes_per_second - 10.0).abs() < 0.2);
        assert_eq!(heard[50].deadline_in, None);
    }

    #[test]
    fn the_verdict_follows_from_speed_and_time_left() {
        let verdict = |deadline, second: usize| upload(Deadline::At(at(deadline)), 100)[second];
        let fits = verdict(130.0, 40);
        assert_eq!(fits.deadline_in, Some(90.0));
        assert!(matches!(fits.verdict, Verdict::Fits { by } if (by - 30.0).abs() < 1.0));
        let misses = verdict(60.0, 30).verdict;
        assert!(matches!(misses, Verdict::Misses { by } if (by - 40.0).abs() < 1.0), "{misses:?}");
        assert_eq!(verdict(60.0, 1).verdict, Verdict::Unknown, "too early to say");
        let over = verdict(60.0, 70);
        assert_eq!(over.deadline_in, Some(-10.0));
        assert!(matches!(over.verdict, Verdict::Misses { by } if (by - 40.0).abs() < 1.0));
        assert!(matches!(verdict(100.5, 100).verdict, Verdict::Fits { by } if by < 1.0));
    }

    #[test]
    fn bytes_sent_twice_are_no_progress_and_a_standstill_has_no_verdict() {
        let heard = Heard::default();
        let escort = Escort { watch: &heard, deadline: Deadline::At(at(1000.0)) };
        let mut gauge = Gauge::new(escort, (FileType::Weights, 1000, 2), at(0.0), 0);
        gauge.note(at(5.0), 500, 0, None);
        gauge.note(at(10.0), 100, 0, None);
        assert!((gauge.speed() - 50.0).abs() < 1e-9);
        gauge.note(at(20.0), 400, 0, None);
        gauge.note(at(30.0), 500, 0, None);
        let last = *heard.0.lock().unwrap().last().unwrap();
        assert_eq!((last.sent, last.bytes_per_second), (500, 0.0));
        assert_eq!(last.verdict, Verdict::Unknown);
    }

    #[test]
    fn a_limit_that_makes_it_late_is_known_from_the_first_moment_on() {
        let deadline = Deadline::At(at(130.0));
        // 1000 bytes at 5 bytes a second, which is half of the limit.
        let share = |bytes: f64| {
            Some(Share { limit: Speed::of_megabits(2.0 * bytes / 125_000.0), uploads: 2 })
        };
        let slow = limited(deadline, 100, share(5.0));
        assert!(matches!(slow[0].verdict, Verdict::Misses { by } if (by - 70.0).abs() < 1.0));
        assert_eq!(slow[0].held_back.map(|share| share.bytes().round()), Some(5.0));
        // It went faster than that, so that in the end it is in time after all.
        assert_eq!(slow[99].held_back, None);
        let fast = limited(deadline, 100, share(1e5));
        assert!(fast.iter().all(|progress| progress.held_back.is_none()));
        assert_eq!(fast[0].verdict, Verdict::Unknown);
    }

    #[test]
    fn the_earlier_deadline_counts() {
        let phase = Deadline::At(at(50.0));
        assert_eq!(phase.or_earlier(Some(at(20.0))), Deadline::At(at(20.0)));
        assert_eq!(phase.or_earlier(Some(at(70.0))), phase);
        assert_eq!(phase.or_earlier(None), phase);
        assert_eq!(Deadline::Unknown.or_earlier(Some(at(1.0))), Deadline::At(at(1.0)));
    }
}

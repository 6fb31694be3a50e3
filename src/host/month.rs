//! Bytes sent and received in this calendar month, by the local time: kept in a small file, because a
//! month is longer than a run. It is written seldom, so a killed process forgets at most a minute.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::clock::{Clock, Moment, local_zone};
use crate::config::folders::{FolderError, write_atomically};

/// Its name in the folder of what is kept.
const FILE: &str = "month.json";
/// As many months are kept: a clock that jumps must not lose the right one.
const KEPT: usize = 12;
/// Between two writes.
const EVERY: Duration = Duration::from_secs(60);
/// A clock before this month was never set.
const FIRST: &str = "2025-01";

/// The counter.
#[derive(Debug)]
pub struct MonthCounter {
    path: PathBuf,
    clock: Clock,
    zone: TimeZone,
    /// Bytes of each month, by `2026-11`.
    months: BTreeMap<String, u64>,
    /// The total of each source at the last look.
    seen: BTreeMap<String, u64>,
    written: Option<Moment>,
    changed: bool,
}

impl MonthCounter {
    /// Goes on with what the folder holds; a file that cannot be read counts as none.
    pub fn open(folder: &Path, clock: &Clock) -> Self {
        Self::with_zone(folder, clock, local_zone())
    }

    fn with_zone(folder: &Path, clock: &Clock, zone: TimeZone) -> Self {
        let path = folder.join(FILE);
        let months = std::fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok());
        Self {
            path,
            clock: clock.clone(),
            zone,
            months: months.unwrap_or_default(),
            seen: BTreeMap::new(),
            written: None,
            changed: false,
        }
    }

    /// A source has sent and received so many bytes since it began. One that begins again counts from
    /// nothing.
    pub fn note(&mut self, source: &str, total: u64) {
        let before = self.seen.insert(source.to_owned(), total).unwrap_or(0);
        let new = if total < before { total } else { total - before };
        if new == 0 {
            return;
        }
        let month = self.month();
        let bytes = self.months.entry(month.clone()).or_default();
        *bytes = bytes.saturating_add(new);
        self.changed = true;
        // The oldest go, but never the one that counts now.
        while self.months.len() > KEPT {
            let Some(oldest) = self.months.keys().find(|key| **key != month).cloned() else {
                break;
            };
            self.months.remove(&oldest);
        }
    }

    /// Bytes of this month.
    pub fn bytes(&self) -> u64 {
        self.months.get(&self.month()).copied().unwrap_or(0)
    }

    /// Writes what is new, if the last write is long enough ago.
    ///
    /// # Errors
    /// [`FolderError`] if it cannot be written; it is tried again a minute later.
    pub fn keep(&mut self) -> Result<(), FolderError> {
        let now = self.clock.now();
        if self.written.is_some_and(|written| now.since(written) < EVERY) {
            return Ok(());
        }
        self.flush()
    }

    /// Writes what is new.
    ///
    /// # Errors
    /// [`FolderError`] if it cannot be written.
    pub fn flush(&mut self) -> Result<(), FolderError> {
        if !self.changed {
            return Ok(());
        }
        self.written = Some(self.clock.now());
        let text = serde_json::to_vec(&self.months).unwrap_or_default();
        write_atomically(&self.path, &text)?;
        self.changed = false;
        Ok(())
    }

    /// The month by the clock. While that was never set, as on small boards before the network is up,
    /// the newest month that is known counts.
    fn month(&self) -> String {
        let month = month_of(self.clock.unix(), &self.zone);
        match self.months.keys().next_back() {
            Some(newest) if month.as_str() < FIRST => newest.clone(),
            _ => month,
        }
    }
}

impl Drop for MonthCounter {
    fn drop(&mut self) {
        if let Err(error) = self.flush() {
            tracing::warn!("the month's count of bytes could not be kept: {error}");
        }
    }
}

fn month_of(unix: Duration, zone: &TimeZone) -> String {
    let seconds = i64::try_from(unix.as_secs()).unwrap_or(i64::MAX);
    let moment = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    let date = zone.to_datetime(moment);
    format!("{:04}-{:02}", date.year(), date.month())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(folder: &Path) -> MonthCounter {
        MonthCounter::with_zone(folder, &Clock::system(), TimeZone::UTC)
    }

    #[test]
    fn a_month_survives_restarts_and_sources_that_begin_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = counter(folder.path());
        first.note("m0", 100);
        first.note("m1", 10);
        first.note("m0", 150);
        // The miner was started anew.
        first.note("m0", 30);
        assert_eq!(first.bytes(), 190);
        drop(first);
        let mut second = counter(folder.path());
        assert_eq!(second.bytes(), 190);
        second.note("m0", 10);
        assert_eq!(second.bytes(), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_written_at_most_once_a_minute() {
        let folder = tempfile::tempdir().unwrap();
        let mut counter = counter(folder.path());
        let file = folder.path().join(FILE);
        counter.note("m0", 1);
        counter.keep().unwrap();
        let first = std::fs::read(&file).unwrap();
        counter.note("m0", 2);
        counter.keep().unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), first);
        tokio::time::advance(EVERY).await;
        counter.keep().unwrap();
        assert_ne!(std::fs::read(&file).unwrap(), first);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_clock_that_jumps_takes_no_month_with_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "{\"1999-01\":7,\"2039-01\":9}").unwrap();
        let mut counter = counter(folder.path());
        assert_eq!(counter.bytes(), 0);
        for month in 1..=20 {
            counter.months.insert(format!("20{:02}-01", 40 + month), 1);
        }
        counter.note("m0", 5);
        assert_eq!(counter.bytes(), 5);
        assert!(counter.months.len() <= KEPT, "{:?}", counter.months);
    }

    #[test]
    fn a_damaged_file_counts_from_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "{\"2026-").unwrap();
        assert_eq!(counter(folder.path()).bytes(), 0);
    }

    #[test]
    fn a_month_begins_at_local_midnight() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        // 2026-11-30 23:30 UTC.
        let late = Duration::from_secs(1_796_081_400);
        assert_eq!(month_of(late, &TimeZone::UTC), "2026-11");
        assert_eq!(month_of(late, &zone), "2026-12");
        assert_eq!(month_of(Duration::ZERO, &TimeZone::UTC), "1970-01");
    }
}

//! The hours of the week in which it may train: `mon-fri 22:00-07:00, sat-sun 00:00-24:00`. A window
//! that ends before it begins goes on into the next day. On the days when the clocks change a window
//! begins and ends at the hours that were written, and lasts an hour more or less.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// Minutes of a day.
const DAY: u16 = 24 * 60;
/// Minutes of a week.
const WEEK: usize = 7 * DAY as usize;
/// So many days ahead the next change is looked for: a week, and the day that is under way.
const AHEAD: i64 = 8;
/// The days as they are written, Monday first.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Hours that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoursError {
    /// There is nothing in it.
    #[error("there are no hours in it")]
    Empty,
    /// Not a day.
    #[error("{0:?} is no day: they are mon, tue, wed, thu, fri, sat, sun, or daily")]
    Day(String),
    /// Not a time of day.
    #[error("{0:?} is no time of day such as 07:00 or 24:00")]
    Time(String),
    /// Days without hours.
    #[error("{0:?} has days but no hours such as 22:00-07:00")]
    NoHours(String),
}

/// Windows of a week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hours {
    /// All of it.
    Always,
    /// These.
    Windows(Vec<Window>),
}

/// The same hours on some days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// One bit a day, Monday lowest.
    days: u8,
    /// Minutes after midnight.
    from: u16,
    /// Minutes after midnight; not above `from` if it ends on the next day.
    to: u16,
}

/// Where a moment lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Inside a window, until this time; none if it never ends.
    Inside(Option<Timestamp>),
    /// Outside, until this time; none if no window ever begins.
    Outside(Option<Timestamp>),
}

impl Window {
    /// Minutes from its beginning to its end.
    fn length(self) -> u16 {
        match self.to >= self.from {
            true => self.to - self.from,
            false => DAY - self.from + self.to,
        }
    }

    fn is_on(self, day: Weekday) -> bool {
        self.days & (1 << day.to_monday_zero_offset()) != 0
    }

    /// When it begins and ends, if it begins on `date`.
    fn on(self, date: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        if !self.is_on(date.weekday()) {
            return None;
        }
        let end = if self.to > self.from { date } else { date.tomorrow().ok()? };
        let span = (moment(date, self.from, zone)?, moment(end, self.to, zone)?);
        (span.0 < span.1 && self.length() > 0).then_some(span)
    }
}

/// A time of day as a moment. One that the change of the clocks skips is the moment of the change; of
/// one that comes twice it is the first.
fn moment(date: Date, minutes: u16, zone: &TimeZone) -> Option<Timestamp> {
    let date = if minutes >= DAY { date.tomorrow().ok()? } else { date };
    let minutes = minutes % DAY;
    let (hour, minute) = (i8::try_from(minutes / 60).ok()?, i8::try_from(minutes % 60).ok()?);
    Some(date.at(hour, minute, 0, 0).to_zoned(zone.clone()).ok()?.timestamp())
}

impl Hours {
    /// Minutes of an ordinary week that lie in them.
    pub fn minutes_a_week(&self) -> u32 {
        let Self::Windows(windows) = self else { return u32::from(DAY) * 7 };
        let mut week = vec![false; WEEK];
        for window in windows {
            for day in (0..7).filter(|day| window.days & (1 << day) != 0) {
                let start = day * usize::from(DAY) + usize::from(window.from);
                for minute in start..start + usize::from(window.length()) {
                    week[minute % WEEK] = true;
                }
            }
        }
        week.into_iter().map(u32::from).sum()
    }

    /// An ordinary week in half hours, Monday first: whether any of it lies in them. None where all
    /// of it does, that is where there is no such rule.
    pub fn grid(&self) -> Option<[[bool; 48]; 7]> {
        let Self::Windows(windows) = self else { return None };
        let mut week = [[false; 48]; 7];
        for window in windows {
            for day in (0..7).filter(|day| window.days & (1 << day) != 0) {
                let start = day * usize::from(DAY) + usize::from(window.from);
                for minute in start..start + usize::from(window.length()) {
                    let minute = minute % WEEK;
                    let (day, minute) = (minute / usize::from(DAY), minute % usize::from(DAY));
                    if let Some(cell) = week.get_mut(day).and_then(|day| day.get_mut(minute / 30)) {
                        *cell = true;
                    }
                }
            }
        }
        Some(week)
    }

    /// Where `now` lies, and until when.
    pub fn at(&self, now: Timestamp, zone: &TimeZone) -> Place {
        let Self::Windows(windows) = self else { return Place::Inside(None) };
        let spans = spans(windows, now, zone);
        match spans.iter().find(|(_, end)| *end > now) {
            Some((start, _)) if *start > now => Place::Outside(Some(*start)),
            Some(_) if self.minutes_a_week() == u32::from(DAY) * 7 => Place::Inside(None),
            Some((_, end)) => Place::Inside(Some(*end)),
            None => Place::Outside(None),
        }
    }
}

/// The windows around `now`, in order, those that touch made one.
fn spans(windows: &[Window], now: Timestamp, zone: &TimeZone) -> Vec<(Timestamp, Timestamp)> {
    let today = zone.to_datetime(now).date();
    let dates = (-1..=AHEAD).filter_map(|days| today.checked_add(days.days()).ok());
    let mut found: Vec<_> = dates
        .flat_map(|date| windows.iter().filter_map(move |window| window.on(date, zone)))
        .collect();
    found.sort_unstable();
    let mut spans: Vec<(Timestamp, Timestamp)> = Vec::new();
    for (start, end) in found {
        match spans.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => spans.push((start, end)),
        }
    }
    spans
}

impl FromStr for Hours {
    type Err = HoursError;

    fn from_str(text: &str) -> Result<Self, HoursError> {
        if text.trim().eq_ignore_ascii_case("always") {
            return Ok(Self::Always);
        }
        let mut windows = Vec::new();
        // "mon, wed 10:00-12:00": days without hours take those that follow.
        let mut days = 0;
        let mut waiting = None;
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let words: Vec<&str> = part.split_whitespace().collect();
            let (named, hours) = match words.split_last() {
                Some((last, days)) if last.contains(':') => (days, Some(*last)),
                _ => (&words[..], None),
            };
            for word in named {
                days |= days_of(word)?;
            }
            let Some(hours) = hours else {
                waiting = Some(part.to_owned());
                continue;
            };
            if days == 0 {
                days = 0b111_1111;
            }
            let (from, to) =
                hours.split_once(['-', '–']).ok_or_else(|| HoursError::Time(hours.to_owned()))?;
            windows.push(Window { days, from: time_of(from)? % DAY, to: time_of(to)? });
            (days, waiting) = (0, None);
        }
        match waiting {
            Some(days) => Err(HoursError::NoHours(days)),
            None if windows.is_empty() => Err(HoursError::Empty),
            None => Ok(Self::Windows(windows)),
        }
    }
}

/// `mon`, `mon-fri`, `daily`.
fn days_of(word: &str) -> Result<u8, HoursError> {
    let wrong = || HoursError::Day(word.to_owned());
    let number = |name: &str| {
        let name = name.to_lowercase();
        let full = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
        DAYS.iter().zip(full).position(|(short, long)| name == *short || name == long)
    };
    if word.eq_ignore_ascii_case("daily") {
        return Ok(0b111_1111);
    }
    let (first, last) = word.split_once(['-', '–']).unwrap_or((word, word));
    let (first, last) = (number(first).ok_or_else(wrong)?, number(last).ok_or_else(wrong)?);
    let count = (last + 7 - first) % 7;
    Ok((first..=first + count).fold(0, |days, day| days | 1 << (day % 7)))
}

/// `07:00`, `7:30`, `24:00`.
fn time_of(text: &str) -> Result<u16, HoursError> {
    let wrong = || HoursError::Time(text.to_owned());
    let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
    let number = |text: &str| {
        let digits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| digits)
    };
    match (number(hours).ok_or_else(wrong)?, number(minutes).ok_or_else(wrong)?) {
        (hours @ 0..=23, minutes @ 0..=59) => Ok(hours * 60 + minutes),
        (24, 0) => Ok(DAY),
        _ => Err(wrong()),
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Windows(windows) = self else { return f.write_str("always") };
        let words: Vec<String> = windows.iter().map(ToString::to_string).collect();
        f.write_str(&words.join(", "))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        write!(f, "{} {}-{}", days_text(self.days), time(self.from), time(self.to))
    }
}

/// `mon-fri`, `mon, wed`, `daily`.
fn days_text(days: u8) -> String {
    if days == 0b111_1111 {
        return "daily".to_owned();
    }
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for day in (0..7).filter(|day| days & (1 << day) != 0) {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == day => *last = day,
            _ => parts.push((day, day)),
        }
    }
    let words = parts.into_iter().map(|(first, last)| match first == last {
        true => DAYS[first].to_owned(),
        false => format!("{}-{}", DAYS[first], DAYS[last]),
    });
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(text: &str) -> Hours {
        text.parse().unwrap()
    }

    fn at(hours: &Hours, local: &str, zone: &TimeZone) -> (bool, Option<String>) {
        let now = local.parse::<jiff::civil::DateTime>().unwrap().to_zoned(zone.clone()).unwrap();
        let text = |t: Option<Timestamp>| t.map(|t| zone.to_datetime(t).to_string());
        match hours.at(now.timestamp(), zone) {
            Place::Inside(until) => (true, text(until)),
            Place::Outside(until) => (false, text(until)),
        }
    }

    #[test]
    fn hours_are_read_as_people_write_them_and_shown_so_that_they_read_again() {
        for (text, shown, a_week) in [
            ("always", "always", 168.0),
            ("mon-fri 22:00-07:00, sat-sun 00:00-24:00", "", 5.0 * 9.0 + 48.0 - 7.0),
            ("22:00-07:00", "daily 22:00-07:00", 63.0),
            ("daily 1:30-2:00", "daily 01:30-02:00", 3.5),
            ("Mon, wed 10:00-12:00", "mon, wed 10:00-12:00", 4.0),
            ("saturday-monday 10:00-11:00", "mon, sat-sun 10:00-11:00", 3.0),
            ("mon 10:00-14:00, mon 12:00-16:00", "mon 10:00-14:00, mon 12:00-16:00", 6.0),
            ("sun 23:00-02:00", "sun 23:00-02:00", 3.0),
            ("mon 10:00-10:00", "mon 10:00-10:00", 0.0),
        ] {
            let read = hours(text);
            let expected = if shown.is_empty() { text } else { shown };
            assert_eq!(read.to_string(), expected);
            assert_eq!(hours(&read.to_string()), read);
            assert_eq!(f64::from(read.minutes_a_week()) / 60.0, a_week, "{text}");
        }
    }

    #[test]
    fn what_is_no_hours_is_refused_in_words() {
        for text in ["", " , ", "mon", "someday 10:00-12:00", "mon 25:00-26:00", "mon 10-12"] {
            assert!(text.parse::<Hours>().is_err(), "{text}");
        }
        for text in ["mon 10:00", "mon 10:60-11:00", "mon 24:01-25:00", "mon +1:00-2:00"] {
            assert!(text.parse::<Hours>().is_err(), "{text}");
        }
        assert_eq!("x 1:00-2:00".parse::<Hours>(), Err(HoursError::Day("x".into())));
    }

    #[test]
    fn a_moment_knows_the_next_change() {
        let zone = TimeZone::UTC;
        let nights = hours("mon-fri 22:00-07:00, sat-sun 00:00-24:00");
        // 2026-11-23 is a Monday.
        let text = |t: &str| Some(t.to_owned());
        assert_eq!(at(&nights, "2026-11-23T12:00", &zone), (false, text("2026-11-23T22:00:00")));
        assert_eq!(at(&nights, "2026-11-23T22:00", &zone), (true, text("2026-11-24T07:00:00")));
        assert_eq!(at(&nights, "2026-11-24T06:59", &zone), (true, text("2026-11-24T07:00:00")));
        assert_eq!(at(&nights, "2026-11-24T07:00", &zone), (false, text("2026-11-24T22:00:00")));
        // Friday night runs into the weekend, and that is one stretch; Monday 00:00 ends it.
        assert_eq!(at(&nights, "2026-11-27T23:00", &zone), (true, text("2026-11-30T00:00:00")));
        let once = hours("wed 10:00-11:00");
        assert_eq!(at(&once, "2026-11-25T11:00", &zone), (false, text("2026-12-02T10:00:00")));
        assert_eq!(at(&hours("always"), "2026-11-25T11:00", &zone), (true, None));
        assert_eq!(at(&hours("daily 00:00-24:00"), "2026-11-25T11:00", &zone), (true, None));
        assert_eq!(at(&hours("mon 10:00-10:00"), "2026-11-25T11:00", &zone), (false, None));
    }

    #[test]
    fn the_change_of_the_clocks_neither_splits_nor_loses_a_window() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let nights = hours("daily 22:00-07:00");
        let length = |local: &str| {
            let start = local.parse::<jiff::civil::DateTime>().unwrap();
            let start = start.to_zoned(zone.clone()).unwrap().timestamp();
            match nights.at(start, &zone) {
                Place::Inside(Some(end)) => (end.as_second() - start.as_second()) / 3600,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(length("2026-03-28T22:00"), 8);
        assert_eq!(length("2026-06-01T22:00"), 9);
        assert_eq!(length("2026-10-24T22:00"), 10);

        // 01:30 comes once on that night, 02:30 twice: a window that begins there begins once.
        let late = hours("sun 02:30-04:00");
        let night = "2026-10-25T00:00".parse::<jiff::civil::DateTime>().unwrap();
        let start = night.to_zoned(zone.clone()).unwrap().timestamp().as_second();
        let inside = |minute: i64| {
            let now = Timestamp::from_second(start + minute * 60).unwrap();
            matches!(late.at(now, &zone), Place::Inside(_))
        };
        let changes = (1..12 * 60).filter(|m| inside(*m) != inside(m - 1)).count();
        assert_eq!(changes, 2);

        // 02:30 is skipped in spring: what begins there begins when the clocks have moved.
        let gap = hours("sun 02:30-04:00");
        let (_, until) = at(&gap, "2026-03-29T00:00", &zone);
        assert_eq!(until.unwrap(), "2026-03-29T03:30:00");
    }
}

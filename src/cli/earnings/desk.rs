//! What `hearth earnings` works with: all rows of the ledger, read at one moment, and the settings by which
//! they are valued.

use std::path::PathBuf;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::PlaceArguments;
use crate::cli::{Exit, Failure};
use crate::clock::{Clock, local_zone};
use crate::config::folders::Folders;
use crate::config::settings::{Key, Settings};
use crate::config::values::JoinWay;
use crate::earnings::ledger::{At, FILE_NAME, LedgerError, Reader, Rows, Span, Verified};
use crate::earnings::power::Tariff;
use crate::earnings::report::{MinerDay, miners, report};
use crate::earnings::rules::PayRules;
use crate::earnings::summary::{self, By, Summary, Time, summary};
use crate::earnings::walk::{Step, Walker};
use crate::earnings::why::{Explained, Question, Registration, why};
use crate::earnings::worth::pool_prices;

/// A moment as the user names it: a day of this place, or a moment with its offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The beginning of a day.
    Day(Date),
    /// Exactly this one.
    At(At),
}

/// It is neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is a day such as 2026-08-01, or a moment such as 2026-08-01T20:00:00Z")]
pub struct MomentError;

impl FromStr for Moment {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<Self, MomentError> {
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return u64::try_from(time.as_millisecond())
                .map(|at| Self::At(At(at)))
                .map_err(|_| MomentError);
        }
        text.parse().map(Self::Day).map_err(|_| MomentError)
    }
}

impl Moment {
    fn at(self, zone: &TimeZone) -> Option<At> {
        match self {
            Self::Day(date) => summary::day(date, zone).map(|day| day.since),
            Self::At(at) => Some(at),
        }
    }
}

/// The desk.
#[derive(Debug)]
pub(super) struct Desk {
    file: PathBuf,
    pub(super) rows: Rows,
    pub(super) tariff: Option<Tariff>,
    pub(super) currency: Option<String>,
    pub(super) rules: PayRules,
    pub(super) zone: TimeZone,
    pub(super) now: At,
    join: JoinWay,
}

fn failure(error: &LedgerError) -> Failure {
    let exit = match error {
        LedgerError::Missing(_) | LedgerError::Foreign(_) => Exit::Usage,
        LedgerError::Unusable { .. } => Exit::Disk,
        LedgerError::Newer { .. } | LedgerError::Damaged { .. } => Exit::Failed,
    };
    Failure::new(exit, error).coded(error.code())
}

impl Desk {
    /// Reads everything; none where no ledger was begun yet and none was named.
    pub(super) fn open(place: &PlaceArguments) -> Result<Option<Self>, Failure> {
        let folders = Folders::find().map_err(|error| Failure::of_folder(&error))?;
        let read = |name: &str| std::env::var(name).ok();
        let settings = Settings::read(place.config.as_deref(), &folders.config, read, Vec::new())
            .map_err(|error| Failure::of_settings(&error))?;
        let tariff = Tariff::read(&settings).map_err(|error| Failure::of_settings(&error))?;
        let file = place.ledger.clone().unwrap_or_else(|| folders.data.join(FILE_NAME));
        let rows = crate::cli::runtime()?
            .block_on(async { Reader::open(&file).await?.rows(Span::ALL).await });
        let rows = match rows {
            Err(LedgerError::Missing(_)) if place.ledger.is_none() => return Ok(None),
            rows => rows.map_err(|error| failure(&error))?,
        };
        let mut rows = rows;
        rows.prices.extend(pool_prices(&rows.readings));
        let now = At(Clock::system().unix_millis());
        let currency = tariff.as_ref().map(|tariff| tariff.currency.clone());
        Ok(Some(Self {
            file,
            currency: currency.or_else(|| priced_in(&rows)),
            rows,
            tariff,
            rules: PayRules::at(now, settings.earnings()),
            zone: local_zone(),
            now,
            join: join(&settings)?,
        }))
    }

    /// The file, for people.
    pub(super) fn file(&self) -> String {
        self.file.display().to_string()
    }

    /// By what figures become values.
    pub(super) fn by(&self) -> By<'_> {
        let currency = self.currency.as_deref();
        By { tariff: self.tariff.as_ref(), currency, zone: &self.zone }
    }

    /// One of the times that are always shown.
    pub(super) fn of(&self, time: Time) -> Span {
        time.span(self.now, &self.zone)
    }

    /// A span that the user named; open where no end was named.
    pub(super) fn span(&self, since: Option<Moment>, until: Option<Moment>) -> Span {
        let at = |moment: Option<Moment>| moment.and_then(|moment| moment.at(&self.zone));
        Span {
            since: at(since).unwrap_or(Span::ALL.since),
            until: at(until).unwrap_or(Span::ALL.until),
        }
    }

    /// A calendar day, today where none is named.
    pub(super) fn day(&self, date: Option<Date>) -> Result<(Date, Span), Failure> {
        let date = date.or_else(|| summary::date(self.now, &self.zone));
        let day = date.and_then(|date| Some((date, summary::day(date, &self.zone)?)));
        day.ok_or_else(|| Failure::new(Exit::Usage, "there is no such day in the calendar"))
    }

    /// The sums of a time.
    pub(super) fn summary(&self, span: Span) -> Summary {
        summary(&self.rows, span, self.by())
    }

    /// The way from work to pay, of each miner.
    pub(super) fn walks(&self) -> Vec<(String, String, Vec<Step>)> {
        let walk = |(network, hotkey): (String, String)| {
            let walker = Walker {
                rows: &self.rows,
                network: &network,
                hotkey: &hotkey,
                rules: &self.rules,
                currency: self.currency.as_deref(),
                now: self.now,
            };
            let steps = walker.steps();
            (network, hotkey, steps)
        };
        miners(&self.rows).into_iter().map(walk).collect()
    }

    /// Why nothing was paid, for each miner.
    pub(super) fn why(&self, span: Span) -> Vec<Explained> {
        let ask = |(network, hotkey): (String, String)| {
            let registration = self.registration(&network, &hotkey);
            let (network, hotkey) = (network.as_str(), hotkey.as_str());
            why(&Question { rows: &self.rows, network, hotkey, span, registration })
        };
        miners(&self.rows).into_iter().map(ask).collect()
    }

    /// The report of a time.
    pub(super) fn report(&self, span: Span) -> Vec<MinerDay> {
        let registration = |network: &str, hotkey: &str| self.registration(network, hotkey);
        report(&self.rows, span, self.by(), registration)
    }

    /// Plays the stored answers again.
    pub(super) fn verify(&self) -> Result<Verified, Failure> {
        let verified = crate::cli::runtime()?
            .block_on(async { Reader::open(&self.file).await?.verify().await });
        verified.map_err(|error| failure(&error))
    }

    fn registration(&self, network: &str, hotkey: &str) -> Registration {
        registration(self.join, &self.rows, network, hotkey)
    }
}

/// What the chain said of a hotkey last. In the pool no hotkey needs a place on the chain.
pub fn registration(join: JoinWay, rows: &Rows, network: &str, hotkey: &str) -> Registration {
    match join {
        JoinWay::Metagraph => Registration::of(rows, network, hotkey),
        JoinWay::Pool => Registration::NotAsked,
    }
}

/// How it joins; where nobody says, a key file alone joins the metagraph.
pub fn join(settings: &Settings) -> Result<JoinWay, Failure> {
    let said = settings.get::<JoinWay>(Key::Join).map_err(|error| Failure::of_settings(&error))?;
    let bare = settings.text(Key::HotkeyFile).is_some() && settings.text(Key::Hotkey).is_none();
    Ok(said.map_or(if bare { JoinWay::Metagraph } else { JoinWay::Pool }, |said| said.value))
}

/// The currency of the newest price, where the user set none.
pub fn priced_in(rows: &Rows) -> Option<String> {
    let money = rows.prices.iter().filter(|price| !price.currency.eq_ignore_ascii_case("tao"));
    money.max_by_key(|price| price.at).map(|price| price.currency.to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_days_or_moments() {
        let day = "2026-08-01".parse::<Moment>().unwrap();
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        assert_eq!(day.at(&berlin), "2026-07-31T22:00:00Z".parse::<Moment>().unwrap().at(&berlin));
        for wrong in ["", "yesterday", "2026-13-01", "1900-01-01T00:00:00Z"] {
            assert_eq!(wrong.parse::<Moment>(), Err(MomentError), "{wrong}");
        }
    }
}

//! What an hour of work would leave after electricity, for the rule that asks: read from the ledger, which
//! another task writes, and reckoned at the price of this hour.

use std::path::PathBuf;
use std::time::Duration;

use crate::clock::{Clock, Moment, local_zone};
use crate::config::settings::{Key, Settings};
use crate::config::units;
use crate::earnings::expected::{Expectation, expected};
use crate::earnings::ledger::{At, FILE_NAME, LedgerError, Reader};
use crate::earnings::power::Tariff;
use crate::earnings::rules::PayRules;
use crate::earnings::summary::Time;
use crate::earnings::worth::pool_prices;
use crate::host::readings::Known;

/// Between two looks into the ledger: pay and tariffs change by the hour.
const EVERY: Duration = Duration::from_secs(60);

/// The sum, looked up now and then.
#[derive(Debug)]
pub struct NetGauge {
    ledger: PathBuf,
    clock: Clock,
    looked: Option<Moment>,
    last: Known<f64>,
}

impl NetGauge {
    /// By the ledger in this folder.
    pub fn new(data: &std::path::Path, clock: &Clock) -> Self {
        let ledger = data.join(FILE_NAME);
        Self { ledger, clock: clock.clone(), looked: None, last: Known::NotAsked }
    }

    /// What is left an hour; looked up anew once a minute.
    pub async fn read(&mut self, settings: &Settings) -> Known<f64> {
        let now = self.clock.now();
        if self.looked.is_none_or(|before| now.since(before) >= EVERY) {
            self.looked = Some(now);
            self.last = match self.look(settings).await {
                Ok(net) => Known::Is(net),
                Err(why) => Known::No(why),
            };
        }
        self.last.clone()
    }

    async fn look(&self, settings: &Settings) -> Result<f64, String> {
        let tariff = Tariff::read(settings).map_err(|error| error.to_string())?;
        let tariff = tariff.ok_or("what a kWh costs is not set (kwh_price)")?;
        let watts = settings.text(Key::Watts);
        let watts = watts.and_then(|text| units::or_off(&text.value, units::amount).ok().flatten());
        let (now, zone) = (At(self.clock.unix_millis()), local_zone());
        let rows = match Reader::open(&self.ledger).await {
            Ok(mut reader) => reader.rows(Time::Week.span(now, &zone)).await,
            Err(LedgerError::Missing(_)) => return Err("nothing was earned here yet".to_owned()),
            Err(error) => Err(error),
        };
        let mut rows = rows.map_err(|error| error.to_string())?;
        rows.prices.extend(pool_prices(&rows.readings));
        let rules = PayRules::at(now, settings.earnings());
        let by =
            Expectation { rows: &rows, rules: &rules, tariff: &tariff, watts, now, zone: &zone };
        expected(&by).map(|net| net.to_double())
    }
}

//! What an hour of work would leave after electricity, for the rule that asks: read from the ledger, which
//! another task writes, and reckoned at the price of this hour.

use std::path::PathBuf;
use std::time::Duration;

use crate::clock::{Clock, Moment, local_zone};
use crate::config::settings::{Key, Settings};
use crate::earnings::expected::{Expectation, expected};
use crate::earnings::ledger::{At, FILE_NAME, LedgerError, Reader};
use crate::earnings::power::{Tariff, stated_watts};
use crate::earnings::rules::PayRules;
use crate::earnings::summary::{Time, is_practice};
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
        let network = settings.text(Key::Network);
        if network.is_some_and(|network| is_practice(network.value.trim())) {
            return Err("practice points have no price".to_owned());
        }
        let tariff = Tariff::read(settings).map_err(|error| error.to_string())?;
        let tariff = tariff.ok_or("what a kWh costs is not set (kwh_price)")?;
        let watts = stated_watts(settings);
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::earnings::ledger::tests::{answer, scores, work};
    use crate::earnings::ledger::{AnswerKind, Ledger, Price, Work};
    use crate::earnings::money::Unit;

    fn settings(text: &str) -> Settings {
        Settings::of_text(Path::new("config.toml"), text).unwrap()
    }

    #[tokio::test]
    async fn it_looks_into_the_ledger_once_a_minute_and_says_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        // Five minutes after the work.
        let clock = Clock::with_wall(|| Duration::from_secs(1_800_000_300));
        let ask =
            async |text: &str| NetGauge::new(folder.path(), &clock).read(&settings(text)).await;
        let price = "kwh_price = \"0.50 EUR\"\n";
        assert_eq!(ask(price).await, Known::No("nothing was earned here yet".to_owned()));
        let practice = format!("network = \"practice\"\n{price}");
        assert_eq!(ask(&practice).await, Known::No("practice points have no price".to_owned()));

        let path = folder.path().join(FILE_NAME);
        let (mut ledger, _) = Ledger::open(&path, At(1)).await.unwrap();
        ledger.record_work(&Work { network: "mainnet".to_owned(), ..work(0) }).await.unwrap();
        let body = serde_json::to_vec(&scores(&[("m0", 1.0), ("m9", 999.0)], 0.0)).unwrap();
        let mut told = answer(AnswerKind::SubnetScores, body, 1_800_000_000_000);
        told.network = "mainnet".to_owned();
        ledger.record_answer(&told).await.unwrap();
        for (of, currency, price) in [(Unit::Alpha, "tao", "0.05"), (Unit::Tao, "EUR", "300")] {
            let (currency, price) = (currency.to_owned(), price.parse().unwrap());
            let at = At(1_800_000_000_000);
            let price = Price { at, of, currency, price, source: "s".to_owned() };
            ledger.record_price(&price).await.unwrap();
        }
        // 0.123 alpha an hour are 1.845 EUR; 100 W cost 0.05.
        assert_eq!(ask(price).await, Known::Is(1.795));
        let unpriced = ask("").await;
        assert!(matches!(&unpriced, Known::No(why) if why.contains("kwh_price")), "{unpriced:?}");

        let mut gauge = NetGauge::new(folder.path(), &clock);
        assert_eq!(gauge.read(&settings(price)).await, Known::Is(1.795));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(gauge.read(&settings(price)).await, Known::Is(1.795), "not looked up again");
    }
}

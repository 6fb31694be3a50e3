//! What an amount was worth at a moment, by the prices of the ledger, and by which of them.

use serde::Serialize;

use super::chain;
use super::exact::Exact;
use super::ledger::{At, Price, Reading};
use super::money::{Amount, Unit};

/// The currency of prices in the chain's own token.
pub const TAO: &str = "tao";

/// A value, and the prices that it goes by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Worth {
    /// How much of the currency.
    pub value: Exact,
    /// By these prices.
    pub prices: Vec<Price>,
}

/// Why something has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoWorth {
    /// It is no money.
    #[error("practice points are worth nothing")]
    Points,
    /// No price is known of that time.
    #[error("no price of {of} in {currency} is known of that time")]
    NoPrice {
        /// Of what.
        of: Unit,
        /// In what.
        currency: String,
    },
}

/// The prices of alpha in TAO that looks at the chain found in the subnet's pool.
pub fn pool_prices(readings: &[Reading]) -> Vec<Price> {
    let looks = readings.iter().filter_map(|row| Some((row.at, row.look()?)));
    let price = |(at, look): (At, chain::Reading)| {
        let price = look.pool.known()?.price()?;
        let source = format!("the subnet's pool, block {}", look.block.number);
        Some(Price { at, of: Unit::Alpha, currency: TAO.to_owned(), price, source })
    };
    looks.filter_map(price).collect()
}

/// The newest price at or before that moment.
fn price<'a>(prices: &'a [Price], of: Unit, currency: &str, at: At) -> Option<&'a Price> {
    let fits = |price: &&Price| {
        price.of == of && price.currency.eq_ignore_ascii_case(currency) && price.at <= at
    };
    prices.iter().filter(fits).max_by_key(|price| price.at)
}

/// What `amount` was worth. Alpha goes by its own price in that currency, else by way of TAO.
///
/// # Errors
/// It is no money, or no price is known.
pub fn worth(prices: &[Price], amount: Amount, currency: &str, at: At) -> Result<Worth, NoWorth> {
    let units = amount.rao.units();
    let missing = |of| NoWorth::NoPrice { of, currency: currency.to_owned() };
    let by = |way: Vec<&Price>| {
        let value = way.iter().fold(units.clone(), |value, price| value * price.price.clone());
        Worth { value, prices: way.into_iter().cloned().collect() }
    };
    match amount.unit {
        Unit::Points => Err(NoWorth::Points),
        Unit::Tao if currency.eq_ignore_ascii_case(TAO) => Ok(by(Vec::new())),
        Unit::Tao => price(prices, Unit::Tao, currency, at)
            .map(|price| by(vec![price]))
            .ok_or_else(|| missing(Unit::Tao)),
        Unit::Alpha => {
            if let Some(direct) = price(prices, Unit::Alpha, currency, at) {
                return Ok(by(vec![direct]));
            }
            let pool = price(prices, Unit::Alpha, TAO, at).ok_or_else(|| missing(Unit::Alpha))?;
            let tao = price(prices, Unit::Tao, currency, at);
            tao.map(|tao| by(vec![pool, tao])).ok_or_else(|| missing(Unit::Tao))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::earnings::money::Rao;

    fn price(at: u64, of: Unit, currency: &str, text: &str) -> Price {
        let (currency, source) = (currency.to_owned(), "s".to_owned());
        Price { at: At(at), of, currency, price: text.parse().unwrap(), source }
    }

    #[test]
    fn alpha_goes_by_way_of_tao_and_by_the_price_of_its_time() {
        let prices = [
            price(10, Unit::Alpha, "tao", "0.05"),
            price(10, Unit::Tao, "EUR", "300"),
            price(20, Unit::Tao, "EUR", "400"),
        ];
        let two = Amount { rao: Rao(2_000_000_000), unit: Unit::Alpha };
        let value = |at| worth(&prices, two, "eur", At(at)).map(|worth| worth.value);
        assert_eq!(value(15), Ok(Exact::from(30)));
        assert_eq!(value(20), Ok(Exact::from(40)));
        assert_eq!(worth(&prices, two, "eur", At(20)).unwrap().prices.len(), 2);
        assert!(matches!(value(9), Err(NoWorth::NoPrice { of: Unit::Alpha, .. })));
        assert_eq!(worth(&prices, two, "TAO", At(15)).unwrap().value, "0.1".parse().unwrap());
        assert!(matches!(
            worth(&prices, two, "usd", At(15)),
            Err(NoWorth::NoPrice { of: Unit::Tao, .. })
        ));
        let points = Amount { unit: Unit::Points, ..two };
        assert_eq!(worth(&prices, points, "eur", At(15)), Err(NoWorth::Points));
    }
}

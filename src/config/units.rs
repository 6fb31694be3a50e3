//! Amounts as people write them in settings and on the command line: times, sizes, shares.

use std::time::Duration;

/// An amount that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a time.
    #[error("it is a time such as 30m, 2h or 14d")]
    Span,
    /// Not a size.
    #[error("it is an amount such as 500MB or 20GB")]
    Bytes,
    /// Not a share.
    #[error("it is a share from 1% to 100%")]
    Share,
    /// Not two temperatures.
    #[error("it is two numbers, the higher one first, such as 85/75")]
    Pair,
    /// Not a number above zero.
    #[error("it is a number above 0")]
    Amount,
    /// Not a price.
    #[error("it is a price and three letters of a currency, such as 0.32 EUR")]
    Price,
    /// Not an amount of money.
    #[error("it is an amount such as 0, 0.05 or -0.02")]
    Money,
    /// Not a word for batteries.
    #[error("it is pause, run, or a level such as 40%")]
    Battery,
}

/// What happens on battery power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatteryRule {
    /// It pauses.
    Pause,
    /// It goes on.
    Run,
    /// It goes on down to this level, in percent.
    Above(u8),
}

/// Reads `off`, or what `read` reads.
///
/// # Errors
/// Those of `read`.
pub fn or_off<T>(
    text: &str,
    read: impl Fn(&str) -> Result<T, UnitError>,
) -> Result<Option<T>, UnitError> {
    if text.trim().eq_ignore_ascii_case("off") { Ok(None) } else { read(text).map(Some) }
}

/// Reads a time: `30m`, `1h 30m`, `14d`.
///
/// # Errors
/// [`UnitError::Span`] for anything else, and for no time at all.
pub fn span(text: &str) -> Result<Duration, UnitError> {
    match humantime::parse_duration(text.trim()) {
        Ok(span) if !span.is_zero() => Ok(span),
        _ => Err(UnitError::Span),
    }
}

/// Reads a size in bytes: `500MB`, `20 GB`, `8GiB`.
///
/// # Errors
/// [`UnitError::Bytes`] for anything else.
pub fn bytes(text: &str) -> Result<u64, UnitError> {
    text.trim()
        .parse::<bytesize::ByteSize>()
        .map(|size| size.as_u64())
        .map_err(|_| UnitError::Bytes)
}

/// Reads a share in percent: `50%` or `50`.
///
/// # Errors
/// [`UnitError::Share`] for anything but 1 to 100.
pub fn share(text: &str) -> Result<u8, UnitError> {
    match text.trim().trim_end_matches('%').trim_end().parse() {
        Ok(share @ 1..=100) => Ok(share),
        _ => Err(UnitError::Share),
    }
}

/// Reads two temperatures in degrees Celsius, the one to pause at and the lower one to go on at.
///
/// # Errors
/// [`UnitError::Pair`] for anything else.
pub fn pair(text: &str) -> Result<(f64, f64), UnitError> {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|t| (1.0..=150.0).contains(t));
    let two = text.split_once('/').and_then(|(high, low)| Some((number(high)?, number(low)?)));
    two.filter(|(high, low)| high > low).ok_or(UnitError::Pair)
}

/// Reads a number above zero: watts, Mbit/s.
///
/// # Errors
/// [`UnitError::Amount`] for anything else.
pub fn amount(text: &str) -> Result<f64, UnitError> {
    match text.trim().parse::<f64>() {
        Ok(amount) if amount.is_finite() && amount > 0.0 => Ok(amount),
        _ => Err(UnitError::Amount),
    }
}

/// Most digits of a price: more would be no price.
const PRICE_DIGITS: usize = 20;

/// Reads a price with its currency: `0.32 EUR`. Gives the number as it was written, so that nothing is
/// rounded, and the currency in capitals.
///
/// # Errors
/// [`UnitError::Price`] for anything else.
pub fn price(text: &str) -> Result<(String, String), UnitError> {
    let (number, currency) = text.trim().split_once(' ').ok_or(UnitError::Price)?;
    let currency = currency.trim().to_uppercase();
    let letters = currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase());
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let short = number.len() <= PRICE_DIGITS && number.starts_with(|c: char| c.is_ascii_digit());
    match letters && plain && short && number.parse::<f64>().is_ok() {
        true => Ok((number.to_owned(), currency)),
        false => Err(UnitError::Price),
    }
}

/// Reads an amount of money, which may be below zero.
///
/// # Errors
/// [`UnitError::Money`] for anything that is no number.
pub fn money(text: &str) -> Result<f64, UnitError> {
    match text.trim().parse::<f64>() {
        Ok(amount) if amount.is_finite() && amount.abs() < 1e9 => Ok(amount),
        _ => Err(UnitError::Money),
    }
}

/// Reads what happens on battery power.
///
/// # Errors
/// [`UnitError::Battery`] for anything else.
pub fn battery(text: &str) -> Result<BatteryRule, UnitError> {
    match text.trim() {
        "pause" => Ok(BatteryRule::Pause),
        "run" => Ok(BatteryRule::Run),
        level => share(level).map(BatteryRule::Above).map_err(|_| UnitError::Battery),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        assert_eq!(span("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(span("14d"), Ok(Duration::from_secs(14 * 86_400)));
        assert_eq!(bytes("5GB"), Ok(5_000_000_000));
        assert_eq!(bytes("8 GiB"), Ok(8 << 30));
        assert_eq!((share("50%"), share(" 7 "), share("100 %")), (Ok(50), Ok(7), Ok(100)));
        assert_eq!(pair("85/75"), Ok((85.0, 75.0)));
        assert_eq!(amount("2.5"), Ok(2.5));
        assert_eq!(battery("40%"), Ok(BatteryRule::Above(40)));
        assert_eq!(price("0.320 eur"), Ok(("0.320".to_owned(), "EUR".to_owned())));
        assert_eq!((money("-0.05"), money("0")), (Ok(-0.05), Ok(0.0)));
        assert_eq!(or_off("off", span), Ok(None));
        assert_eq!(or_off("10m", span), Ok(Some(Duration::from_secs(600))));
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        assert_eq!(span("soon"), Err(UnitError::Span));
        assert_eq!(span("0s"), Err(UnitError::Span));
        assert_eq!(bytes("much"), Err(UnitError::Bytes));
        assert_eq!(share("0"), Err(UnitError::Share));
        assert_eq!(share("101%"), Err(UnitError::Share));
        assert_eq!(pair("75/85"), Err(UnitError::Pair));
        assert_eq!(amount("-1"), Err(UnitError::Amount));
        assert_eq!(amount("NaN"), Err(UnitError::Amount));
        assert_eq!(battery("maybe"), Err(UnitError::Battery));
        for text in ["0.32", "EUR", "0,32 EUR", "-1 EUR", "1e3 EUR", "1.2.3 EUR", "1 EURO", ". EUR"]
        {
            assert_eq!(price(text), Err(UnitError::Price), "{text}");
        }
        assert_eq!(money("inf"), Err(UnitError::Money));
    }
}

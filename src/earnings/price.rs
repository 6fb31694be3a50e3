//! The price of TAO in a currency, as a source that the user named writes it. Without a source there is
//! no price and nothing is shown in a currency. The number is taken from the text itself: no rounding.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::exact::Exact;

/// Less than this, or more than its inverse, nobody ever paid for anything.
const LEAST: &str = "0.000000001";
/// The most.
const MOST: &str = "1000000000";
/// How much of a source's words is said again.
const EXCERPT: usize = 40;

/// What a source said, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// What one TAO is worth.
    pub price: Exact,
    /// In which currency.
    pub currency: String,
    /// Who says so, without what may be a secret.
    pub source: String,
    /// When it was fetched, in seconds since 1970.
    pub at: u64,
}

/// Why an answer holds no price.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// A web page, most likely.
    #[error("the price source answers with {form}, not with JSON: check price_source")]
    NotJson {
        /// What it looks like.
        form: &'static str,
    },
    /// The field is not there.
    #[error("the price source's answer has no {field}: check price_field")]
    NoField {
        /// The field that was looked for.
        field: String,
    },
    /// There is no number in it.
    #[error("the price source has {found:?} at {field}, which is no number: check price_field")]
    NotANumber {
        /// Where.
        field: String,
        /// What is there, cut.
        found: String,
    },
    /// Nothing, or less than nothing.
    #[error("the price source says that one TAO is worth {price}: that is no price")]
    NotPositive {
        /// What it says.
        price: String,
    },
    /// Beyond all sense.
    #[error(
        "the price source says that one TAO is worth {price}: that cannot be; check price_field"
    )]
    Absurd {
        /// What it says, cut.
        price: String,
    },
}

impl PriceError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotJson { .. } => "price-not-json",
            Self::NoField { .. } => "price-no-field",
            Self::NotANumber { .. } => "price-not-a-number",
            Self::NotPositive { .. } => "price-not-positive",
            Self::Absurd { .. } => "price-absurd",
        }
    }
}

/// The number at `field` (a JSON pointer, such as `/bittensor/usd`) of a source's answer.
pub fn price_of(answer: &[u8], field: &str) -> Result<Exact, PriceError> {
    let text = std::str::from_utf8(answer).map_err(|_| PriceError::NotJson { form: "no text" })?;
    let whole: &RawValue = serde_json::from_str(text).map_err(|_| {
        let form = match text.trim_start().starts_with('<') {
            true => "a web page",
            false => "something else",
        };
        PriceError::NotJson { form }
    })?;
    let missing = || PriceError::NoField { field: cut(field) };
    let mut here = whole;
    for step in field.split('/').skip(1) {
        here = below(here, &step.replace("~1", "/").replace("~0", "~")).ok_or_else(missing)?;
    }
    let found = here.get();
    // Some write their numbers as text, so that nobody rounds them.
    let quoted: Option<String> = serde_json::from_str(found).ok();
    let number = quoted.as_deref().unwrap_or(found);
    let price: Exact = number
        .parse()
        .map_err(|_| PriceError::NotANumber { field: cut(field), found: cut(number) })?;
    let within = |least: &str, most: &str| {
        let bounds = (least.parse::<Exact>(), most.parse::<Exact>());
        matches!(bounds, (Ok(least), Ok(most)) if price >= least && price <= most)
    };
    if price.is_negative() || price.is_zero() {
        return Err(PriceError::NotPositive { price: cut(number) });
    }
    match within(LEAST, MOST) {
        true => Ok(price),
        false => Err(PriceError::Absurd { price: cut(number) }),
    }
}

/// One level down: a field of an object, or a place in a list.
fn below<'a>(value: &'a RawValue, step: &str) -> Option<&'a RawValue> {
    let text = value.get();
    if text.starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
        return items.get(step.parse::<usize>().ok()?).copied();
    }
    let mut fields: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    fields.remove(step)
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(EXCERPT).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_number_is_the_one_that_is_written() {
        let answer = br#"{"bittensor": {"usd": 412.123456789012345678901, "eur": "380.5"},
                          "list": [{"a/b": 1e2}, 3]}"#;
        for (field, price) in [
            ("/bittensor/usd", "412.123456789012345678901"),
            ("/bittensor/eur", "380.5"),
            ("/list/0/a~1b", "100"),
            ("/list/1", "3"),
        ] {
            assert_eq!(price_of(answer, field).unwrap(), price.parse().unwrap(), "{field}");
        }
        assert_eq!(price_of(b"7", ""), Ok(Exact::from(7)), "the whole answer");
    }

    #[test]
    fn what_is_no_price_is_refused_by_name() {
        for (answer, field, code) in [
            (&b"<!DOCTYPE html><html>busy</html>"[..], "/usd", "price-not-json"),
            (b"", "/usd", "price-not-json"),
            (b"\xff\xfe", "/usd", "price-not-json"),
            (br#"{"usd": 1"#, "/usd", "price-not-json"),
            (br#"{"usd": NaN}"#, "/usd", "price-not-json"),
            (br#"{"eur": 1}"#, "/usd", "price-no-field"),
            (br#"{"usd": 1}"#, "/usd/now", "price-no-field"),
            (b"[1]", "/7", "price-no-field"),
            (br#"{"usd": null}"#, "/usd", "price-not-a-number"),
            (br#"{"usd": "a lot"}"#, "/usd", "price-not-a-number"),
            (br#"{"usd": {"now": 1}}"#, "/usd", "price-not-a-number"),
            (br#"{"usd": "1/0"}"#, "/usd", "price-not-a-number"),
            (br#"{"usd": 0}"#, "/usd", "price-not-positive"),
            (br#"{"usd": 0.0e9}"#, "/usd", "price-not-positive"),
            (br#"{"usd": -412.5}"#, "/usd", "price-not-positive"),
            (br#"{"usd": 1e300}"#, "/usd", "price-absurd"),
            (br#"{"usd": 1e-300}"#, "/usd", "price-absurd"),
        ] {
            let error = price_of(answer, field).unwrap_err();
            assert_eq!(error.code(), code, "{}", String::from_utf8_lossy(answer));
        }
    }

    proptest! {
        #[test]
        fn no_answer_breaks_it(answer in any::<Vec<u8>>(), field in "(/[a-z0-9~]{0,3}){0,3}") {
            let _ = price_of(&answer, &field);
        }

        #[test]
        fn every_price_comes_back_as_it_is_written(whole in 1_u64..1_000_000, part in 0_u64..1_000_000_000) {
            let text = format!("{whole}.{part:09}");
            let answer = format!("{{\"usd\": {text}}}");
            prop_assert_eq!(price_of(answer.as_bytes(), "/usd").unwrap(), text.parse().unwrap());
        }
    }
}

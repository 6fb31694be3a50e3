//! Numbers without rounding. Money is reckoned in fractions of whole numbers, so that shares sum to
//! one and two programs that do the same sums come to the same rao.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Mul, Sub};
use std::str::FromStr;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};
use serde::{Deserialize, Serialize};

/// Longest text that is read as a number.
const MOST_DIGITS: usize = 8192;
/// Largest exponent of ten that is read.
const MOST_EXPONENT: i32 = 400;

/// A fraction of whole numbers. Written as `3/7`, or `3` where it is whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Exact(BigRational);

/// Why a text is not a number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a number; write it like 0.25 or 1/4")]
pub struct NotANumber {
    /// The text, cut.
    pub text: String,
}

impl Exact {
    /// Nothing.
    pub fn zero() -> Self {
        Self(BigRational::zero())
    }

    /// The whole.
    pub fn one() -> Self {
        Self(BigRational::one())
    }

    /// `over` / `under`; nothing if `under` is zero.
    pub fn ratio(over: u64, under: u64) -> Option<Self> {
        (under != 0).then(|| Self(BigRational::new(over.into(), under.into())))
    }

    /// A number as a server's JSON gives it: the shortest decimal that reads as the same double, which is
    /// what is written there. None for what is not finite.
    pub fn of_double(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        format!("{value:e}").parse().ok()
    }

    /// Divided by `by`; none if that is zero.
    pub fn over(&self, by: &Self) -> Option<Self> {
        (!by.0.is_zero()).then(|| Self(&self.0 / &by.0))
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        self.0.is_negative()
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    /// The next whole number downwards; none if that is negative or beyond 64 bits.
    pub fn floor(&self) -> Option<u64> {
        self.0.floor().to_integer().to_u64()
    }

    /// For a chart or a rate: the nearest double.
    pub fn to_double(&self) -> f64 {
        self.0.to_f64().unwrap_or(f64::NAN)
    }

    /// As a decimal with `places` digits after the point, half to even.
    pub fn decimal(&self, places: usize) -> String {
        let ten = BigInt::from(10).pow(u32::try_from(places).unwrap_or(u32::MAX).min(60));
        let scaled = &self.0 * BigRational::from_integer(ten);
        let (down, half) = (scaled.floor(), BigRational::new(1.into(), 2.into()));
        let rest = &scaled - &down;
        let odd = (down.to_integer() % 2i32) != BigInt::zero();
        let up = rest > half || (rest == half && odd);
        let whole = down.to_integer() + i32::from(up);
        let digits = format!("{:0>width$}", whole.magnitude().to_string(), width = places + 1);
        let (before, after) = digits.split_at(digits.len() - places);
        let sign = if whole.is_negative() { "-" } else { "" };
        if places == 0 { format!("{sign}{before}") } else { format!("{sign}{before}.{after}") }
    }
}

impl From<u64> for Exact {
    fn from(value: u64) -> Self {
        Self(BigRational::from_integer(value.into()))
    }
}

impl FromStr for Exact {
    type Err = NotANumber;

    /// Reads `3/7`, `-0.25`, `1e-3`.
    fn from_str(text: &str) -> Result<Self, NotANumber> {
        let no = || NotANumber { text: text.chars().take(40).collect() };
        if text.len() > MOST_DIGITS {
            return Err(no());
        }
        if let Some((over, under)) = text.split_once('/') {
            let (over, under) = (whole(over).ok_or_else(no)?, whole(under).ok_or_else(no)?);
            return (!under.is_zero()).then(|| Self(BigRational::new(over, under))).ok_or_else(no);
        }
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent: i32 = exponent.parse().map_err(|_| no())?;
        let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let bare = before.strip_prefix('-').unwrap_or(before);
        let digits_only = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if bare.is_empty() || !digits_only(bare) || !digits_only(after) {
            return Err(no());
        }
        let digits = whole(&format!("{before}{after}")).ok_or_else(no)?;
        let power = exponent.saturating_sub(i32::try_from(after.len()).unwrap_or(i32::MAX));
        if power.abs() > MOST_EXPONENT {
            return Err(no());
        }
        let ten = BigInt::from(10).pow(power.unsigned_abs());
        let value = match power < 0 {
            true => BigRational::new(digits, ten),
            false => BigRational::from_integer(digits * ten),
        };
        Ok(Self(value))
    }
}

fn whole(text: &str) -> Option<BigInt> {
    text.parse().ok()
}

impl TryFrom<String> for Exact {
    type Error = NotANumber;

    fn try_from(text: String) -> Result<Self, NotANumber> {
        text.parse()
    }
}

impl From<Exact> for String {
    fn from(value: Exact) -> Self {
        value.to_string()
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Add for Exact {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Exact {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Mul for Exact {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self(self.0 * other.0)
    }
}

impl Sum for Exact {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::zero(), Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(text: &str) -> Exact {
        text.parse().unwrap()
    }

    #[test]
    fn decimals_and_fractions_are_read_as_they_are_written() {
        for (text, is) in [
            ("0.25", "1/4"),
            ("-1.5", "-3/2"),
            ("1e-3", "1/1000"),
            ("2.50E2", "250"),
            ("7", "7"),
            ("6/8", "3/4"),
            ("-0", "0"),
            ("1.", "1"),
        ] {
            assert_eq!(exact(text).to_string(), is, "{text}");
        }
        for text in
            ["", ".5", "-", "1/0", "NaN", "0x1", "1e9999", "1e", "--1", "1,5", "+1e+-2", " 1"]
        {
            assert!(text.parse::<Exact>().is_err(), "{text}");
        }
        assert!("9".repeat(8193).parse::<Exact>().is_err());
    }

    #[test]
    fn a_double_is_the_shortest_decimal_that_reads_as_it() {
        assert_eq!(Exact::of_double(0.1), Some(exact("1/10")));
        assert_eq!(Exact::of_double(1.0 / 3.0), Some(exact("0.3333333333333333")));
        assert_eq!(Exact::of_double(-2.5e-7), Some(exact("-0.00000025")));
        assert_eq!(Exact::of_double(f64::NAN), None);
        assert_eq!(Exact::of_double(f64::INFINITY), None);
        assert!(
            Exact::of_double(f64::MAX).is_some() && Exact::of_double(f64::MIN_POSITIVE).is_some()
        );
    }

    #[test]
    fn decimals_are_rounded_half_to_even_and_signed() {
        for (text, places, is) in [
            ("1/8", 2, "0.12"),
            ("3/8", 2, "0.38"),
            ("-1/8", 2, "-0.12"),
            ("1/3", 4, "0.3333"),
            ("5", 0, "5"),
            ("1/2", 0, "0"),
            ("3/2", 0, "2"),
            ("-1/3", 3, "-0.333"),
            ("0.999", 2, "1.00"),
            ("-0.001", 2, "0.00"),
        ] {
            assert_eq!(exact(text).decimal(places), is, "{text}");
        }
    }

    #[test]
    fn it_is_written_and_read_without_loss() {
        for text in ["1/3", "-7/9", "12345678901234567890123", "0"] {
            let json = serde_json::to_string(&exact(text)).unwrap();
            assert_eq!(serde_json::from_str::<Exact>(&json).unwrap(), exact(text));
        }
        assert_eq!(exact("7/2").floor(), Some(3));
        assert_eq!(exact("-1/2").floor(), None);
        assert_eq!(exact("1e30").floor(), None);
        assert_eq!(exact("1").over(&Exact::zero()), None);
    }
}

//! How the chain writes numbers that are not whole: shares of a stake, as binary fixed point in older
//! runtimes and as a decimal with its exponent in newer ones. Both are taken without rounding.

use subxt::dynamic::{At, Value};

use crate::earnings::Exact;

/// Two to the power of 64: what a fixed point number of 64 binary places is divided by.
const TWO_64: &str = "18446744073709551616";

/// A share as `Alpha` and `TotalHotkeyShares` (`bits`, 64 binary places) or `AlphaV2` and
/// `TotalHotkeySharesV2` (`mantissa` and `exponent` of ten) hold it; none if it has neither form.
pub(super) fn share<T>(value: &Value<T>) -> Option<Exact> {
    if let Some(bits) = value.at("bits").and_then(Value::as_u128) {
        return format!("{bits}/{TWO_64}").parse().ok();
    }
    let mantissa = value.at("mantissa").and_then(Value::as_u128)?;
    let exponent = value.at("exponent").and_then(Value::as_i128)?;
    format!("{mantissa}e{exponent}").parse().ok()
}

/// The number in a value, also where it is wrapped in types of one field each.
pub(super) fn whole<T>(value: &Value<T>) -> Option<u64> {
    let mut inner = value;
    while let Some(next) = inner.at(0) {
        inner = next;
    }
    inner.as_u128().and_then(|number| u64::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_both_forms_are_exact() {
        let fixed = |bits| Value::named_composite([("bits", Value::u128(bits))]);
        assert_eq!(share(&fixed(3_u128 << 63)), Some("3/2".parse().unwrap()));
        assert_eq!(share(&fixed(1)), Some(format!("1/{TWO_64}").parse().unwrap()));
        assert!(share(&fixed(u128::MAX)).is_some());
        let float = |mantissa, exponent| {
            Value::named_composite([
                ("mantissa", Value::u128(mantissa)),
                ("exponent", Value::i128(exponent)),
            ])
        };
        assert_eq!(share(&float(150_000_000_000_000_000_000, -20)), Some("3/2".parse().unwrap()));
        assert_eq!(share(&float(0, 0)), Some(Exact::zero()));
        assert_eq!(share(&float(7, 2)), Some("700".parse().unwrap()));
        assert_eq!(share(&float(7, 100_000)), None, "beyond all sense");
        assert_eq!(share(&Value::u128(7)), None);
    }

    #[test]
    fn wrapped_numbers_are_unwrapped() {
        let wrapped = Value::unnamed_composite([Value::unnamed_composite([Value::u128(12)])]);
        assert_eq!(whole(&wrapped), Some(12));
        assert_eq!(whole(&Value::u128(u128::from(u64::MAX) + 1)), None);
        assert_eq!(whole(&Value::bool(true)), None);
    }
}

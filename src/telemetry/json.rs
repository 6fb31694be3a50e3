//! Numbers that JSON has no word for. A loss that is not a number is written as `null`; these read it
//! back, so that an attached screen and a replay show what was there.

use serde::{Deserialize, Deserializer};

/// Reads a number, and `null` as NaN.
///
/// # Errors
/// Whatever is neither.
pub fn number<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(from)?.unwrap_or(f64::NAN))
}

/// Reads a list of such numbers.
///
/// # Errors
/// Whatever is no such list.
pub fn numbers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
    let read = Vec::<Option<f64>>::deserialize(from)?;
    Ok(read.into_iter().map(|number| number.unwrap_or(f64::NAN)).collect())
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Losses {
        #[serde(deserialize_with = "number")]
        last: f64,
        #[serde(deserialize_with = "numbers")]
        all: Vec<f64>,
    }

    #[test]
    fn what_is_not_a_number_comes_back_as_such() {
        let written = Losses { last: f64::NAN, all: vec![2.5, f64::INFINITY, f64::NAN] };
        let read: Losses = serde_json::from_str(&serde_json::to_string(&written).unwrap()).unwrap();
        assert!(read.last.is_nan());
        assert_eq!(read.all[0], 2.5);
        assert!(read.all[1].is_nan() && read.all[2].is_nan());
    }
}

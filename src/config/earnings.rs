//! The file's `[earnings]` table: rules of pay that the user knows better than this program does. Each
//! stays text until it is reckoned with, so that nothing is rounded on the way.

use std::collections::BTreeMap;

/// What can be overridden, and what it is.
pub const NAMES: [(&str, &str); 7] = [
    ("payout_minimum", "alpha that must be owed before it is paid"),
    ("transfer_fee", "alpha that a payout costs"),
    ("blocks_per_day", "blocks of the chain in a day"),
    ("alpha_per_block", "alpha that the subnet gets a block"),
    ("miners_share", "the miners' share of that, from 0 to 1"),
    ("fallback_burn", "the share that is burnt where nobody publishes it, from 0 to 1"),
    ("payout_hours", "hours between two payouts"),
];

/// Longest number that is read.
const LONGEST: usize = 40;

/// The overrides by name, each a number as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EarningsTable(BTreeMap<&'static str, String>);

/// An `[earnings]` table that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EarningsTableError {
    /// Nothing is called so.
    #[error("in [earnings], {0:?} is nothing that can be set; there are {all}", all = names())]
    Unknown(String),
    /// Not a number.
    #[error("in [earnings], {name} must be a number such as 0.4: {what}")]
    NoNumber {
        /// Which one.
        name: &'static str,
        /// What it is.
        what: &'static str,
    },
}

fn names() -> String {
    NAMES.map(|(name, _)| name).join(", ")
}

impl EarningsTable {
    /// What the table says.
    ///
    /// # Errors
    /// The first thing in it that makes no sense.
    pub fn read(table: &toml::Table) -> Result<Self, EarningsTableError> {
        let mut overrides = BTreeMap::new();
        for (written, value) in table {
            let known = NAMES.into_iter().find(|(name, _)| name == written);
            let (name, what) = known.ok_or_else(|| EarningsTableError::Unknown(written.clone()))?;
            let text = match value {
                toml::Value::String(text) => text.trim().to_owned(),
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Float(number) => number.to_string(),
                _ => String::new(),
            };
            let share = matches!(name, "miners_share" | "fallback_burn");
            let most = if share { 1.0 } else { 1e9 };
            let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            let number = text.parse::<f64>().ok().filter(|number| (0.0..=most).contains(number));
            if !plain || text.starts_with('.') || text.len() > LONGEST || number.is_none() {
                return Err(EarningsTableError::NoNumber { name, what });
            }
            overrides.insert(name, text);
        }
        Ok(Self(overrides))
    }

    /// The number that was written for this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_as_they_were_written() {
        let read = |text: &str| EarningsTable::read(&text.parse().unwrap());
        let table = read("payout_minimum = 0.40\ntransfer_fee = \"0.0001\"\nblocks_per_day = 7200");
        let table = table.unwrap();
        assert_eq!(table.get("transfer_fee"), Some("0.0001"));
        assert_eq!((table.get("blocks_per_day"), table.get("miners_share")), (Some("7200"), None));
        for wrong in [
            "payout_minimum = -1",
            "miners_share = 1.5",
            "transfer_fee = \"1e3\"",
            "payout_hours = true",
        ] {
            assert!(matches!(read(wrong), Err(EarningsTableError::NoNumber { .. })), "{wrong}");
        }
        let unknown = read("minimum = 1").unwrap_err();
        assert!(unknown.to_string().contains("payout_minimum"), "{unknown}");
    }
}

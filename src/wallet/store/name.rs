//! The name that a user gives a key. It becomes a file's name, so little is allowed in it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longer names are refused.
const LONGEST: usize = 32;
/// File names that Windows keeps for itself.
const RESERVED: [&str; 4] = ["con", "prn", "aux", "nul"];

/// A key's name: 1 to 32 of `a-z`, `0-9`, `-` and `_`, beginning with a letter or a digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyName(String);

/// Why a text is no name of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyNameError {
    /// Nothing, or too much.
    #[error("a key's name has 1 to 32 characters, such as \"default\" or \"living-room\"")]
    Length,
    /// A character that is not allowed.
    #[error(
        "a key's name is made of small letters, digits, - and _, and begins with a letter or digit, \
         such as \"living-room\"; {0:?} cannot stand there"
    )]
    Character(char),
    /// The name belongs to the system.
    #[error("{0:?} is a name that Windows keeps for itself: choose another")]
    Reserved(String),
}

impl KeyName {
    /// The name that a key has when nobody chose one.
    pub fn usual() -> Self {
        Self("default".to_owned())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of device `number`'s key beside this one: `NAME-3`.
    pub fn of_device(&self, number: u32) -> Result<Self, KeyNameError> {
        format!("{}-{number}", self.0).parse()
    }
}

impl FromStr for KeyName {
    type Err = KeyNameError;

    fn from_str(text: &str) -> Result<Self, KeyNameError> {
        let Some(first) = text.chars().next().filter(|_| text.len() <= LONGEST) else {
            return Err(KeyNameError::Length);
        };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if !plain(first) {
            return Err(KeyNameError::Character(first));
        }
        if let Some(wrong) = text.chars().find(|c| !plain(*c) && !matches!(c, '-' | '_')) {
            return Err(KeyNameError::Character(wrong));
        }
        let numbered = text.len() == 4 && (text.starts_with("com") || text.starts_with("lpt"));
        if RESERVED.contains(&text) || (numbered && text.ends_with(|c: char| c.is_ascii_digit())) {
            return Err(KeyNameError::Reserved(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for KeyName {
    type Error = KeyNameError;

    fn try_from(text: String) -> Result<Self, KeyNameError> {
        text.parse()
    }
}

impl From<KeyName> for String {
    fn from(name: KeyName) -> String {
        name.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_safe_as_file_names_are_taken_and_no_others() {
        for good in ["default", "a", "living-room", "rig_2", "9"] {
            assert_eq!(good.parse::<KeyName>().unwrap().as_str(), good);
        }
        assert_eq!("".parse::<KeyName>(), Err(KeyNameError::Length));
        assert_eq!("a".repeat(33).parse::<KeyName>(), Err(KeyNameError::Length));
        for (bad, at) in [("../x", '.'), ("a/b", '/'), ("Default", 'D'), ("-x", '-'), ("ä", 'ä')]
        {
            assert_eq!(bad.parse::<KeyName>(), Err(KeyNameError::Character(at)), "{bad}");
        }
        assert!(matches!("nul".parse::<KeyName>(), Err(KeyNameError::Reserved(_))));
        assert!(matches!("com1".parse::<KeyName>(), Err(KeyNameError::Reserved(_))));
        assert!("comet".parse::<KeyName>().is_ok());
    }

    #[test]
    fn a_devices_name_follows_from_the_keys() {
        assert_eq!(KeyName::usual().of_device(3).unwrap().as_str(), "default-3");
        assert!("x".repeat(31).parse::<KeyName>().unwrap().of_device(3).is_err());
    }
}

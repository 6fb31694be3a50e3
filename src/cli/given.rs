//! `--set KEY=VALUE`: any setting as a flag.

use std::str::FromStr;

use crate::config::settings::{Key, nearest};

/// A setting with its value, as it was given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    key: Key,
    value: String,
}

/// It is no setting with a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GivenError {
    /// There is no `=`.
    #[error("it is written KEY=VALUE, such as duty=50%")]
    Shape,
    /// There is no such setting.
    #[error("there is no setting {name:?}{}", near(.nearest))]
    Unknown {
        /// As written.
        name: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
}

fn near(nearest: &Option<&'static str>) -> String {
    match nearest {
        Some(near) => format!("; did you mean {near:?}?"),
        None => ": `hearth config show` lists all".to_owned(),
    }
}

/// The setting of that name.
pub fn key_named(name: &str) -> Result<Key, GivenError> {
    Key::of_name(name).ok_or_else(|| GivenError::Unknown {
        name: name.chars().filter(|c| !c.is_control()).take(60).collect(),
        nearest: nearest(name).and_then(Key::of_name).map(Key::name),
    })
}

impl FromStr for Given {
    type Err = GivenError;

    fn from_str(text: &str) -> Result<Self, GivenError> {
        let (name, value) = text.split_once('=').ok_or(GivenError::Shape)?;
        // Written with hyphens, as flags are, it is meant as well.
        let key = key_named(&name.trim().replace('-', "_"))?;
        Ok(Self { key, value: value.to_owned() })
    }
}

impl Given {
    /// As the settings take it.
    pub fn flag(&self) -> (Key, Option<String>) {
        (self.key, Some(self.value.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_given_by_its_name() {
        let given: Given = "duty=50%".parse().unwrap();
        assert_eq!(given.flag(), (Key::Duty, Some("50%".to_owned())));
        let given: Given = "alert-webhook=https://a/b?c=d".parse().unwrap();
        assert_eq!(given.flag(), (Key::AlertWebhook, Some("https://a/b?c=d".to_owned())));
    }

    #[test]
    fn what_is_no_setting_is_refused_with_what_was_meant() {
        assert_eq!("duty".parse::<Given>(), Err(GivenError::Shape));
        let error = "dutty=1".parse::<Given>().unwrap_err().to_string();
        assert!(error.contains("did you mean \"duty\""), "{error}");
        let error = "entirely-else=1".parse::<Given>().unwrap_err().to_string();
        assert!(error.contains("hearth config show"), "{error}");
    }
}

//! A passphrase that is typed twice, unseen.

use super::field::{Field, Shown};
use super::request::Secret;
use super::text;

/// Fewer characters are guessed too soon, even against the slow key derivation.
pub const FEWEST: usize = 8;

/// Whether nothing at all is an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Second {
    /// There must be a passphrase.
    Required,
    /// No passphrase means: not this.
    MayBeEmpty,
}

/// The two lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Twice {
    first: Field,
    /// There once the first is done.
    second: Option<Field>,
}

impl Default for Twice {
    fn default() -> Self {
        Self { first: Field::new(Shown::Dots), second: None }
    }
}

impl Twice {
    /// The line under the user's fingers.
    pub fn field(&self) -> &Field {
        self.second.as_ref().unwrap_or(&self.first)
    }

    /// See [`Twice::field`].
    pub fn field_mut(&mut self) -> &mut Field {
        self.second.as_mut().unwrap_or(&mut self.first)
    }

    /// The first line, once it is done.
    pub fn first(&self) -> Option<&Field> {
        self.second.is_some().then_some(&self.first)
    }

    /// The line is done. `Ok(None)`: the other one is next; `Ok(Some(..))`: both are there and the
    /// same (the inner option is empty where nothing was typed and that is allowed); else what is
    /// wrong.
    #[allow(clippy::option_option)]
    pub fn enter(&mut self, need: Second) -> Result<Option<Option<Secret>>, String> {
        let Some(second) = &self.second else {
            if self.first.text().is_empty() && need == Second::MayBeEmpty {
                return Ok(Some(None));
            }
            if self.first.text().chars().count() < FEWEST {
                return Err(text::passphrase_too_short());
            }
            self.second = Some(Field::new(Shown::Dots));
            return Ok(None);
        };
        if second.text() != self.first.text() {
            *self = Self::default();
            return Err(text::PASSPHRASES_DIFFER.to_owned());
        }
        Ok(Some(Some(self.first.secret())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(texts: [&str; 2], need: Second) -> Result<Option<Option<Secret>>, String> {
        let mut form = Twice::default();
        form.field_mut().insert(texts[0]);
        match form.enter(need) {
            Ok(None) => {}
            other => return other,
        }
        form.field_mut().insert(texts[1]);
        form.enter(need)
    }

    #[test]
    fn both_must_be_there_long_enough_and_the_same() {
        let good = typed(["long enough", "long enough"], Second::Required).unwrap();
        assert_eq!(good.unwrap().unwrap().reveal(), "long enough");
        assert!(typed(["short", ""], Second::Required).is_err());
        assert!(typed(["", ""], Second::Required).is_err());
        assert!(typed(["long enough", "long enuogh"], Second::Required).is_err());
        assert_eq!(typed(["", ""], Second::MayBeEmpty), Ok(Some(None)));
    }
}

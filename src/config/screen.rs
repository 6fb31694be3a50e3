//! The file's `[screen]` table: how the dashboard takes part in the terminal.

/// Whether clicks and the wheel are for the dashboard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mouse {
    /// They are; with shift they are the terminal's own, to mark text.
    #[default]
    On,
    /// They stay the terminal's own.
    Off,
}

/// A `[screen]` table that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScreenError {
    /// Nothing is called so.
    #[error("in [screen], {0:?} is nothing that can be set; there is mouse")]
    Unknown(String),
    /// Neither on nor off.
    #[error("in [screen], mouse must be true or false")]
    NoSwitch,
}

impl Mouse {
    /// What the table says.
    ///
    /// # Errors
    /// The first thing in it that makes no sense.
    pub fn read(table: &toml::Table) -> Result<Self, ScreenError> {
        let mut mouse = Self::default();
        for (name, value) in table {
            if name != "mouse" {
                return Err(ScreenError::Unknown(name.clone()));
            }
            mouse = match value.as_bool().ok_or(ScreenError::NoSwitch)? {
                true => Self::On,
                false => Self::Off,
            };
        }
        Ok(mouse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mouse_is_on_unless_somebody_says_otherwise() {
        let read = |text: &str| Mouse::read(&text.parse().unwrap());
        assert_eq!((read(""), read("mouse = false")), (Ok(Mouse::On), Ok(Mouse::Off)));
        assert_eq!(read("mouse = 'yes'"), Err(ScreenError::NoSwitch));
        assert_eq!(read("mose = false"), Err(ScreenError::Unknown("mose".into())));
    }
}

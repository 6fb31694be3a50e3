//! A line that the user types. What is typed may be a secret, so it never leaves a copy behind.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use zeroize::Zeroizing;

use super::request::Secret;

/// The most characters a line takes: 24 words with a derivation path and a password fit. The memory
/// is taken once, so that growing leaves no copy of a secret behind.
const MOST: usize = 480;

/// Whether what is typed is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// As it is.
    Plain,
    /// As dots.
    Dots,
}

/// One line of text under the user's fingers; the cursor is at its end.
#[derive(Clone, PartialEq, Eq)]
pub struct Field {
    text: Zeroizing<String>,
    shown: Shown,
}

impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Field(..)")
    }
}

impl Field {
    /// An empty line.
    pub fn new(shown: Shown) -> Self {
        Self { text: Zeroizing::new(String::with_capacity(4 * MOST)), shown }
    }

    /// A line with something in it.
    pub fn with(shown: Shown, text: &str) -> Self {
        let mut field = Self::new(shown);
        field.insert(text);
        field
    }

    /// What was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Nothing was typed.
    pub fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// What was typed, as a secret.
    pub fn secret(&self) -> Secret {
        Secret::from(self.text.clone())
    }

    /// What the screen shows.
    pub fn display(&self) -> Zeroizing<String> {
        match self.shown {
            Shown::Plain => self.text.clone(),
            Shown::Dots => Zeroizing::new("•".repeat(self.text.chars().count())),
        }
    }

    /// Forgets what was typed.
    pub fn clear(&mut self) {
        *self = Self::new(self.shown);
    }

    /// Adds text; line ends and tabs become spaces, other control characters vanish.
    pub fn insert(&mut self, text: &str) {
        for c in text.chars() {
            let c = if c.is_whitespace() { ' ' } else { c };
            if !c.is_control() && self.text.chars().count() < MOST {
                self.text.push(c);
            }
        }
    }

    /// A key press. Says whether the text changed.
    pub fn press(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('u') if control => {
                self.clear();
                true
            }
            KeyCode::Char('w') if control => {
                let kept = self.text.trim_end().rfind(' ').map_or(0, |at| at + 1);
                self.text.truncate(kept);
                true
            }
            KeyCode::Char(c)
                if !control && !key.modifiers.contains(KeyModifiers::ALT) && !c.is_control() =>
            {
                self.insert(c.encode_utf8(&mut [0; 4]));
                true
            }
            KeyCode::Backspace => self.text.pop().is_some(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode, modifiers: KeyModifiers) -> KeyEvent {
        KeyEvent::new(code, modifiers)
    }

    #[test]
    fn a_line_is_typed_and_corrected() {
        let mut field = Field::new(Shown::Plain);
        field.insert("one\ntwo\u{7} three");
        assert_eq!(field.text(), "one two three");
        assert!(field.press(key(KeyCode::Char('w'), KeyModifiers::CONTROL)));
        assert_eq!(field.text(), "one two ");
        field.press(key(KeyCode::Backspace, KeyModifiers::NONE));
        field.press(key(KeyCode::Char('X'), KeyModifiers::SHIFT));
        assert_eq!(field.text(), "one twoX");
        assert!(!field.press(key(KeyCode::Enter, KeyModifiers::NONE)));
        field.press(key(KeyCode::Char('u'), KeyModifiers::CONTROL));
        assert!(field.is_empty());
    }

    #[test]
    fn a_secret_line_shows_dots_and_a_long_one_ends() {
        let mut field = Field::with(Shown::Dots, "hush");
        assert_eq!(field.display().as_str(), "••••");
        assert!(!format!("{field:?}").contains("hush"));
        field.insert(&"x".repeat(2 * MOST));
        assert_eq!(field.text().chars().count(), MOST);
    }
}

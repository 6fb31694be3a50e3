//! The second page of the fourth screen as a state machine: when Hearth may work, and how much of the
//! disk and the line it takes. Each row is a setting; what it may hold is judged where settings are.

use std::collections::BTreeMap;

use crossterm::event::{KeyCode, KeyEvent};
use serde::{Deserialize, Serialize};

use super::field::{Field, Shown};
use super::key::{Go, Turn};
use super::rule_text;
use crate::config::hours::Hours;
use crate::config::settings::Key;
use crate::config::values;

/// The settings of this page, from the top, with what is offered beside what is set already.
const ROWS: [(Key, &[&str]); 12] = [
    (Key::Hours, &["always", NIGHTS, NIGHTS_AND_WEEKENDS]),
    (Key::IdleAfter, &["off", "5m", "10m", "30m"]),
    (Key::OnBattery, &["pause", "50%", "run"]),
    (Key::Temperature, &["off", "75/65", "80/70", "85/75", "90/80"]),
    (Key::PauseFor, &[]),
    (Key::Fullscreen, &["run", "pause"]),
    (Key::Metered, &["pause", "run"]),
    (Key::UploadLimit, &["off", "5", "10", "20", "50", "100"]),
    (Key::DownloadLimit, &["off", "10", "20", "50", "100", "200"]),
    (Key::DiskCap, &["off", "20GB", "60GB", "100GB", "200GB"]),
    (Key::DiskReserve, &["2GB", "5GB", "10GB", "20GB", "50GB"]),
    (Key::KeepAwake, &["true", "false"]),
];

/// While most people sleep.
pub const NIGHTS: &str = "22:00-07:00";
/// The same, and all of Saturday and Sunday.
pub const NIGHTS_AND_WEEKENDS: &str = "mon-fri 22:00-07:00, sat-sun 00:00-24:00";

/// What is set on this page: only what differs from what counts anyway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Rules(BTreeMap<Key, String>);

/// A name that is no setting of this page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no rule")]
pub struct NoRule(String);

impl TryFrom<BTreeMap<String, String>> for Rules {
    type Error = NoRule;

    fn try_from(named: BTreeMap<String, String>) -> Result<Self, NoRule> {
        let mut rules = Self::default();
        for (name, value) in named {
            let known = Self::keys().find(|key| key.name() == name);
            rules.set(known.ok_or(NoRule(name))?, &value);
        }
        Ok(rules)
    }
}

impl From<Rules> for BTreeMap<String, String> {
    fn from(rules: Rules) -> Self {
        rules.0.into_iter().map(|(key, value)| (key.name().to_owned(), value)).collect()
    }
}

impl Rules {
    /// The settings that can be set here.
    pub fn keys() -> impl Iterator<Item = Key> {
        ROWS.into_iter().map(|(key, _)| key)
    }

    /// How many are set.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether all are as they are anyway.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was set, if anything was.
    pub fn given(&self, key: Key) -> Option<&str> {
        self.0.get(&key).map(String::as_str)
    }

    /// What counts.
    pub fn value(&self, key: Key) -> &str {
        self.given(key).unwrap_or(key.default_words())
    }

    /// Sets one; what counts anyway need not be set.
    pub fn set(&mut self, key: Key, value: &str) {
        let value = value.trim();
        if value == key.default_words() || value.is_empty() || value == "[]" {
            self.0.remove(&key);
        } else {
            self.0.insert(key, value.to_owned());
        }
    }
}

/// What a row holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    /// One of these.
    OneOf { all: Vec<String>, at: usize },
    /// A text.
    Text(Field),
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    key: Key,
    form: Form,
}

/// The page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesPage {
    rows: Vec<Row>,
    at: usize,
    /// Hours that are none of those that are offered.
    own_hours: Field,
    /// What was wrong with the last press.
    pub problem: Option<String>,
    /// What cannot be known on this machine, and why, by the rule that asks.
    pub unknown: BTreeMap<Key, String>,
}

/// A row as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownRow {
    /// Which setting.
    pub key: Key,
    /// Its value in words.
    pub value: String,
    /// It is under the user's fingers.
    pub is_marked: bool,
    /// There is another value to the left.
    pub has_less: bool,
    /// There is another value to the right.
    pub has_more: bool,
}

impl RulesPage {
    /// With these answers.
    pub fn new(rules: &Rules) -> Self {
        let mut own_hours = Field::new(Shown::Plain);
        let row = |(key, offered): (Key, &[&str])| {
            let value = rules.value(key);
            if offered.is_empty() {
                let names = values::list(value).unwrap_or_default().join(", ");
                return Row { key, form: Form::Text(Field::with(Shown::Plain, &names)) };
            }
            let mut all: Vec<String> = offered.iter().map(|one| (*one).to_owned()).collect();
            let at = all.iter().position(|one| one == value).unwrap_or(all.len());
            if key == Key::Hours {
                // One step beyond what is offered is what the user types.
                if at == all.len() {
                    own_hours.insert(value);
                }
                all.push(String::new());
            } else if at == all.len() {
                all.push(value.to_owned());
            }
            Row { key, form: Form::OneOf { all, at } }
        };
        let rows = ROWS.into_iter().map(row).collect();
        Self { rows, at: 0, own_hours, problem: None, unknown: BTreeMap::new() }
    }

    /// The answers of this page.
    pub fn rules(&self) -> Rules {
        let mut rules = Rules::default();
        for row in &self.rows {
            rules.set(row.key, &self.value(row));
        }
        rules
    }

    fn value(&self, row: &Row) -> String {
        match &row.form {
            Form::OneOf { all, at } => match all.get(*at).map(String::as_str) {
                Some("") | None => self.own_hours.text().trim().to_owned(),
                Some(value) => value.to_owned(),
            },
            Form::Text(names) => {
                let names = names.text();
                let names: Vec<&str> =
                    names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
                serde_json::to_string(&names).unwrap_or_default()
            }
        }
    }

    /// The setting under the user's fingers.
    pub fn key(&self) -> Key {
        self.rows.get(self.at).map_or(Key::Hours, |row| row.key)
    }

    /// The rows from the top.
    pub fn shown(&self) -> Vec<ShownRow> {
        let one = |(index, row): (usize, &Row)| {
            let is_marked = index == self.at;
            let cursor = if is_marked && self.is_typing() { "_" } else { "" };
            let (value, has_less, has_more) = match &row.form {
                Form::OneOf { all, at } => {
                    let value = match self.types_hours(row) {
                        true => format!("{}{cursor}", self.own_hours.text()),
                        false => rule_text::value(row.key, &self.value(row)),
                    };
                    (value, *at > 0, at + 1 < all.len())
                }
                Form::Text(names) if names.is_empty() && !is_marked => {
                    (rule_text::NO_PROGRAMS.to_owned(), false, false)
                }
                Form::Text(names) => (format!("{}{cursor}", names.text()), false, false),
            };
            ShownRow { key: row.key, value, is_marked, has_less, has_more }
        };
        self.rows.iter().enumerate().map(one).collect()
    }

    /// Hours of a week that these rules leave; none while they make no sense.
    pub fn hours_a_week(&self) -> Option<f64> {
        let hours: Hours = self.rules().value(Key::Hours).parse().ok()?;
        Some(f64::from(hours.minutes_a_week()) / 60.0)
    }

    fn types_hours(&self, row: &Row) -> bool {
        match &row.form {
            Form::OneOf { all, at } => row.key == Key::Hours && at + 1 == all.len(),
            Form::Text(_) => false,
        }
    }

    /// Whether letters are text here, and no commands.
    pub fn is_typing(&self) -> bool {
        self.rows
            .get(self.at)
            .is_some_and(|row| matches!(row.form, Form::Text(_)) || self.types_hours(row))
    }

    /// Where what is typed goes.
    fn field(&mut self) -> Option<&mut Field> {
        if !self.is_typing() {
            return None;
        }
        match &mut self.rows.get_mut(self.at)?.form {
            Form::Text(field) => Some(field),
            Form::OneOf { .. } => Some(&mut self.own_hours),
        }
    }

    /// A key press.
    pub fn press(&mut self, key: KeyEvent) -> Turn {
        match key.code {
            KeyCode::Esc => return Turn::go(Go::Back),
            KeyCode::Enter => return self.enter(),
            KeyCode::Up | KeyCode::BackTab => self.move_by(-1),
            KeyCode::Down | KeyCode::Tab => self.move_by(1),
            KeyCode::Left => self.turn(-1),
            KeyCode::Right => self.turn(1),
            KeyCode::Char(' ') if !self.is_typing() => self.turn(1),
            _ => {
                if self.field().is_some_and(|field| field.press(key)) {
                    self.problem = None;
                }
            }
        }
        Turn::stay()
    }

    /// Text that was pasted.
    pub fn paste(&mut self, text: &str) -> Turn {
        if let Some(field) = self.field() {
            field.insert(text);
            self.problem = None;
        }
        Turn::stay()
    }

    /// On to the end, unless something makes no sense; then the mark goes there.
    fn enter(&mut self) -> Turn {
        for index in 0..self.rows.len() {
            let Some(problem) = self.rows.get(index).and_then(|row| self.wrong(row)) else {
                continue;
            };
            (self.at, self.problem) = (index, Some(problem));
            return Turn::stay();
        }
        self.problem = None;
        Turn::go(Go::Next)
    }

    fn wrong(&self, row: &Row) -> Option<String> {
        let value = self.value(row);
        if row.key == Key::Hours {
            let read: Result<Hours, _> = value.parse();
            return match read {
                Err(error) => Some(rule_text::hours_wrong(&error.to_string())),
                Ok(hours) if hours.minutes_a_week() == 0 => Some(rule_text::NO_HOURS.to_owned()),
                Ok(_) => None,
            };
        }
        row.key.read(&value).err()
    }

    fn move_by(&mut self, by: isize) {
        self.at = self.at.saturating_add_signed(by).min(self.rows.len().saturating_sub(1));
        self.problem = None;
    }

    fn turn(&mut self, by: isize) {
        if let Some(Row { form: Form::OneOf { all, at }, .. }) = self.rows.get_mut(self.at) {
            *at = at.saturating_add_signed(by).min(all.len().saturating_sub(1));
        }
        self.problem = None;
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyModifiers;

    use super::*;

    fn press(page: &mut RulesPage, code: KeyCode) -> Turn {
        page.press(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn type_in(page: &mut RulesPage, text: &str) {
        for letter in text.chars() {
            press(page, KeyCode::Char(letter));
        }
    }

    fn to(page: &mut RulesPage, key: Key) {
        while page.key() != key {
            press(page, KeyCode::Down);
        }
    }

    fn rules(given: &[(Key, &str)]) -> Rules {
        let mut rules = Rules::default();
        given.iter().for_each(|(key, value)| rules.set(*key, value));
        rules
    }

    #[test]
    fn enter_alone_changes_nothing() {
        let mut page = RulesPage::new(&Rules::default());
        assert_eq!(press(&mut page, KeyCode::Enter), Turn::go(Go::Next));
        assert_eq!(page.rules(), Rules::default());
        assert_eq!(page.hours_a_week(), Some(168.0));
    }

    #[test]
    fn what_is_offered_fits_its_setting() {
        for (key, offered) in ROWS {
            for value in offered {
                assert!(key.read(value).is_ok(), "{}: {value}", key.name());
                assert!(!rule_text::value(key, value).is_empty());
            }
            assert!(
                offered.is_empty() || offered.contains(&key.default_words()),
                "{}: the default is offered",
                key.name()
            );
        }
    }

    #[test]
    fn answers_go_in_come_out_and_are_kept() {
        let given = rules(&[
            (Key::Hours, "mon 10:00-12:30"),
            (Key::IdleAfter, "17m"),
            (Key::OnBattery, "33%"),
            (Key::PauseFor, "[\"steam\",\"a game\"]"),
            (Key::KeepAwake, "false"),
        ]);
        let page = RulesPage::new(&given);
        assert_eq!(page.rules(), given);
        assert_eq!(page.hours_a_week(), Some(2.5));
        let text = serde_json::to_string(&given).unwrap();
        assert_eq!(serde_json::from_str::<Rules>(&text).unwrap(), given);
        assert!(serde_json::from_str::<Rules>("{\"hotkey\":\"x\"}").is_err());
    }

    #[test]
    fn nights_are_two_presses_away() {
        let mut page = RulesPage::new(&Rules::default());
        press(&mut page, KeyCode::Right);
        assert_eq!(page.rules(), rules(&[(Key::Hours, NIGHTS)]));
        assert_eq!(page.hours_a_week(), Some(63.0));
        press(&mut page, KeyCode::Left);
        assert_eq!(page.rules(), Rules::default());
    }

    #[test]
    fn own_hours_are_typed_and_judged() {
        let mut page = RulesPage::new(&Rules::default());
        for _ in 0..3 {
            press(&mut page, KeyCode::Right);
        }
        assert!(page.is_typing());
        assert_eq!(press(&mut page, KeyCode::Enter), Turn::stay(), "nothing was typed");
        type_in(&mut page, "mon 10:00-10:00");
        assert!(page.problem.is_none());
        to(&mut page, Key::Metered);
        assert_eq!(press(&mut page, KeyCode::Enter), Turn::stay());
        assert_eq!(page.key(), Key::Hours, "the mark goes where the problem is");
        assert_eq!(page.problem.as_deref(), Some(rule_text::NO_HOURS));
        page.paste(", tue q");
        assert_eq!(press(&mut page, KeyCode::Enter), Turn::stay());
        for _ in 0..7 {
            press(&mut page, KeyCode::Backspace);
        }
        page.paste(", tue 10:00-12:00");
        assert_eq!(press(&mut page, KeyCode::Enter), Turn::go(Go::Next));
        assert_eq!(page.rules().given(Key::Hours), Some("mon 10:00-10:00, tue 10:00-12:00"));
    }

    #[test]
    fn programs_are_typed_with_commas() {
        let mut page = RulesPage::new(&Rules::default());
        to(&mut page, Key::PauseFor);
        type_in(&mut page, "steam, , A Quiet Game.exe ");
        assert_eq!(page.rules().given(Key::PauseFor), Some("[\"steam\",\"A Quiet Game.exe\"]"));
        // Letters are no commands, and spaces turn nothing.
        assert_eq!(page.rules().0.len(), 1);
    }
}

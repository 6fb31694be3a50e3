//! The settings: one table of keys, each with its default, its place in the file, its environment
//! variable and its flag. Flags beat the environment, the environment beats the file, and each value
//! knows where it came from, so that a face can say so.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::constants::Constants;
use super::earnings::EarningsTable;
pub use super::key::Key;
use super::keys::Keys;
use super::rules::RuleSettings;
use super::screen::Mouse;
use super::values;

/// The table in the file that overrides network constants.
const CONSTANTS: &str = "constants";
/// The table in the file that gives other keys to what the dashboard does.
const KEYS: &str = "keys";
/// The table of the rules of pay that the user knows better.
const EARNINGS: &str = "earnings";
/// The table of what the dashboard does with its terminal.
const SCREEN: &str = "screen";
/// The file in the configuration folder.
pub const FILE_NAME: &str = "config.toml";

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The configuration file.
    File,
    /// An environment variable.
    Environment,
    /// The command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Flag => "flag",
        })
    }
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file named by `--config` is not there.
    #[error("there is no configuration file {0}: check the path, or leave --config out")]
    Missing(PathBuf),
    /// The file cannot be read.
    #[error("the configuration file {path} cannot be read ({why}): check its permissions")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// The file is not TOML, or its `constants` have a wrong name or type.
    #[error("the configuration file {path} is wrong: {why}. Correct that line, or remove it")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and what.
        why: String,
    },
    /// A key that does not exist.
    #[error("{path}, line {line}, has a setting {name:?} that does not exist{}", near(.nearest))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// Where, counted from 1.
        line: usize,
        /// As written.
        name: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
    /// A value that does not fit its key.
    #[error("{name} is {value:?} (from the {origin}{place}), but {why}: it may be {allowed}")]
    Value {
        /// The key.
        name: &'static str,
        /// As written.
        value: String,
        /// Who said it.
        origin: Origin,
        /// Where exactly, as words that follow the origin.
        place: String,
        /// What is wrong.
        why: String,
        /// What may be written.
        allowed: &'static str,
    },
    /// Rules that never let the miner work.
    #[error(
        "these rules leave 0 hours a week: {why} ({name}). Change it with `hearth config set {name}`"
    )]
    NeverRuns {
        /// The setting that decides.
        name: &'static str,
        /// Why, as a clause.
        why: String,
    },
}

impl SettingsError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "config-missing",
            Self::Unreadable { .. } => "config-unreadable",
            Self::Syntax { .. } | Self::UnknownKey { .. } => "config-broken",
            Self::Value { .. } => "config-value",
            Self::NeverRuns { .. } => "rules-never-run",
        }
    }
}

fn near(nearest: &Option<&'static str>) -> String {
    nearest.map_or_else(|| "; remove it".to_owned(), |name| format!("; did you mean {name:?}?"))
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Valued<T> {
    /// The value.
    pub value: T,
    /// Its origin.
    pub origin: Origin,
}

/// All layers together. Lists are kept as JSON text, as they are written in the environment.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    values: BTreeMap<Key, Valued<String>>,
    constants: Option<toml::Table>,
    keys: Keys,
    mouse: Mouse,
    earnings: EarningsTable,
    /// The file that was read.
    file: Option<PathBuf>,
    /// On which line of it a setting is, counted from 1.
    lines: BTreeMap<Key, usize>,
}

/// The values of the command line.
pub type Flags = Vec<(Key, Option<String>)>;

impl Settings {
    /// Reads the file (`named`, which must exist, or the one in `folder`, which may be absent), then
    /// the environment, then the flags.
    pub fn read(
        named: Option<&Path>,
        folder: &Path,
        environment: impl Fn(&str) -> Option<String>,
        flags: Flags,
    ) -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        let path = named.map_or_else(|| folder.join(FILE_NAME), Path::to_owned);
        match std::fs::read_to_string(&path) {
            Ok(text) => settings.read_file(&path, &text)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if named.is_some() {
                    return Err(SettingsError::Missing(path));
                }
            }
            Err(error) => {
                return Err(SettingsError::Unreadable { path, why: error.to_string() });
            }
        }
        for key in Key::ALL {
            if let Some(value) = environment(&key.variable()).filter(|value| !value.is_empty()) {
                settings.values.insert(key, Valued { value, origin: Origin::Environment });
            }
        }
        for (key, value) in flags {
            if let Some(value) = value {
                settings.values.insert(key, Valued { value, origin: Origin::Flag });
            }
        }
        Ok(settings)
    }

    /// The settings that the text of a file makes, without environment and flags. `path` is for the
    /// errors.
    pub fn of_text(path: &Path, text: &str) -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        settings.read_file(path, text)?;
        Ok(settings)
    }

    fn read_file(&mut self, path: &Path, text: &str) -> Result<(), SettingsError> {
        let syntax =
            |why: String| SettingsError::Syntax { path: path.to_owned(), why: one_line(&why) };
        // Its own words with the line, not the line itself: that may hold an address with a secret.
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            syntax(format!("line {line}: {}", error.message()))
        })?;
        let lines = lines(text);
        let line_of = |name: &str| lines.get(name).copied().unwrap_or(1);
        for (name, value) in table {
            if name == CONSTANTS {
                let toml::Value::Table(overrides) = value else {
                    return Err(syntax("constants must be a table".to_owned()));
                };
                overrides
                    .clone()
                    .try_into::<Constants>()
                    .map_err(|error| syntax(format!("in [constants]: {error}")))?;
                self.constants = Some(overrides);
                continue;
            }
            if name == KEYS {
                let toml::Value::Table(table) = value else {
                    return Err(syntax("keys must be a table: [keys]".to_owned()));
                };
                self.keys = Keys::read(&table).map_err(|error| syntax(error.to_string()))?;
                continue;
            }
            if name == SCREEN {
                let toml::Value::Table(table) = value else {
                    return Err(syntax("screen must be a table: [screen]".to_owned()));
                };
                self.mouse = Mouse::read(&table).map_err(|error| syntax(error.to_string()))?;
                continue;
            }
            if name == EARNINGS {
                let toml::Value::Table(table) = value else {
                    return Err(syntax("earnings must be a table: [earnings]".to_owned()));
                };
                self.earnings =
                    EarningsTable::read(&table).map_err(|error| syntax(error.to_string()))?;
                continue;
            }
            let Some(key) = Key::of_name(&name) else {
                let (nearest, line) = (nearest(&name), line_of(&name));
                let path = path.to_owned();
                return Err(SettingsError::UnknownKey { path, line, name, nearest });
            };
            let line = line_of(&name);
            let value = written(&value)
                .ok_or_else(|| syntax(format!("line {line}: {name} must be {}", key.allowed())))?;
            self.lines.insert(key, line);
            self.values.insert(key, Valued { value, origin: Origin::File });
        }
        self.file = Some(path.to_owned());
        Ok(())
    }

    /// Takes `value` for a setting that nobody gave.
    pub fn assume(&mut self, key: Key, value: &str) {
        let value = Valued { value: value.to_owned(), origin: Origin::Default };
        self.values.entry(key).or_insert(value);
    }

    /// The text of a setting, if anybody gave one.
    pub fn text(&self, key: Key) -> Option<&Valued<String>> {
        self.values.get(&key)
    }

    /// A setting, read.
    pub fn get<T>(&self, key: Key) -> Result<Option<Valued<T>>, SettingsError>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let Some(written) = self.values.get(&key) else { return Ok(None) };
        match written.value.trim().parse() {
            Ok(value) => Ok(Some(Valued { value, origin: written.origin })),
            Err(error) => Err(self.wrong(key, written, format!("that cannot be read ({error})"))),
        }
    }

    /// A setting that is on or off; as its default says unless somebody said otherwise.
    pub fn is_on(&self, key: Key) -> Result<bool, SettingsError> {
        let Some(written) = self.values.get(&key) else { return Ok(key.default_words() == "true") };
        values::switch(&written.value)
            .ok_or_else(|| self.wrong(key, written, "it is on or off".to_owned()))
    }

    /// A setting that is a list: a JSON list, or words with spaces between them.
    pub fn list(&self, key: Key) -> Result<Option<Vec<String>>, SettingsError> {
        let Some(written) = self.values.get(&key) else { return Ok(None) };
        values::list(&written.value)
            .map(Some)
            .ok_or_else(|| self.wrong(key, written, "it is not a list of texts".to_owned()))
    }

    /// Whether clicks are for the dashboard.
    pub fn mouse(&self) -> Mouse {
        self.mouse
    }

    /// The rules of pay that the user knows better.
    pub fn earnings(&self) -> &EarningsTable {
        &self.earnings
    }

    /// Which key does what on the dashboard.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The settings that are not the same in `other`.
    pub fn differing(&self, other: &Self) -> Vec<Key> {
        let value = |settings: &Self, key| settings.text(key).map(|text| text.value.clone());
        Key::ALL.into_iter().filter(|key| value(self, *key) != value(other, *key)).collect()
    }

    /// Whether the file, the environment or a flag says anything at all.
    pub fn has_saved(&self) -> bool {
        self.values.values().any(|value| value.origin == Origin::File)
    }

    /// A complaint about a value.
    pub fn refuse(&self, key: Key, why: impl fmt::Display) -> SettingsError {
        let written = self.values.get(&key).cloned();
        let written = written.unwrap_or(Valued { value: String::new(), origin: Origin::Default });
        self.wrong(key, &written, why.to_string())
    }

    /// Every value that does not fit its key, in the order of the keys; where all fit, whether the
    /// rules among them ever let the miner work.
    pub fn check(&self) -> Vec<SettingsError> {
        let wrong = |(key, written): (&Key, &Valued<String>)| match key.read(&written.value) {
            Ok(_) => None,
            Err(why) => Some(self.wrong(*key, written, why)),
        };
        let wrong: Vec<_> = self.values.iter().filter_map(wrong).collect();
        match wrong.is_empty() {
            true => RuleSettings::read(self).err().into_iter().collect(),
            false => wrong,
        }
    }

    /// The file that was read, if there was one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// On which line of the file a setting is, counted from 1.
    pub fn line(&self, key: Key) -> Option<usize> {
        self.lines.get(&key).copied()
    }

    fn place(&self, key: Key, origin: Origin) -> String {
        match (origin, &self.file, self.lines.get(&key)) {
            (Origin::Environment, ..) => format!(", {}", key.variable()),
            (Origin::File, Some(path), Some(line)) => {
                format!(" {}, line {line}", path.display())
            }
            _ => String::new(),
        }
    }

    fn wrong(&self, key: Key, written: &Valued<String>, why: String) -> SettingsError {
        SettingsError::Value {
            name: key.name(),
            value: key.shown(&written.value),
            origin: written.origin,
            place: self.place(key, written.origin),
            why,
            allowed: key.allowed(),
        }
    }

    /// The constants of a network: `base` with what the file overrides.
    pub fn constants(&self, base: Constants) -> Result<Constants, SettingsError> {
        let Some(overrides) = &self.constants else { return Ok(base) };
        let syntax = |why: String| SettingsError::Syntax {
            path: self.file.clone().unwrap_or_default(),
            why: format!("in [constants]: {}", one_line(&why)),
        };
        let mut table = toml::Table::try_from(&base).map_err(|error| syntax(error.to_string()))?;
        overlay(&mut table, overrides);
        table.try_into().map_err(|error: toml::de::Error| syntax(error.to_string()))
    }
}

/// Lays `over` onto `table`, table by table.
fn overlay(table: &mut toml::Table, over: &toml::Table) {
    for (name, value) in over {
        match (table.get_mut(name), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(over)) => overlay(inner, over),
            _ => {
                table.insert(name.clone(), value.clone());
            }
        }
    }
}

/// A value as text; `None` for what no setting can be.
fn written(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(on) => Some(on.to_string()),
        toml::Value::Array(items) => {
            let texts: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
            serde_json::to_string(&texts?).ok()
        }
        _ => None,
    }
}

/// On which line each setting begins, counted from 1.
fn lines(text: &str) -> BTreeMap<String, usize> {
    let Ok(table) = toml::de::DeTable::parse(text) else { return BTreeMap::new() };
    let line = |offset: usize| text[..offset].matches('\n').count() + 1;
    let keys = table.get_ref().keys();
    keys.map(|key| (key.get_ref().to_string(), line(key.span().start))).collect()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The key whose name differs in the fewest letters, if that is few.
pub fn nearest(name: &str) -> Option<&'static str> {
    let names = Key::ALL.into_iter().map(Key::name).chain([CONSTANTS, KEYS, SCREEN]);
    let (distance, best) =
        names.map(|known| (edits(name, known), known)).min_by_key(|(distance, _)| *distance)?;
    (distance <= best.len() / 3 + 1).then_some(best)
}

/// Letters to insert, delete or change to make `a` from `b`.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(corner + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str, env: &[(&str, &str)], flags: Flags) -> Result<Settings, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE_NAME), file).unwrap();
        let env: BTreeMap<String, String> =
            env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Settings::read(None, folder.path(), |name| env.get(name).cloned(), flags)
    }

    #[test]
    fn the_dashboards_keys_are_a_table_and_nonsense_in_it_is_refused() {
        use crate::config::keys::{Action, Press};
        let settings = read("network = \"testnet\"\n[keys]\npause = \"z\"\n", &[], Vec::new());
        assert_eq!(settings.unwrap().keys().press(Action::Pause), Press::Char('z'));
        for (file, word) in [
            ("[keys]\npauze = \"z\"\n", "nothing that a key can do"),
            ("[keys]\npause = \"q\"\n", "pause and quit both have q"),
            ("keys = 3\n", "must be a table"),
        ] {
            let error = read(file, &[], Vec::new()).unwrap_err();
            assert_eq!(error.code(), "config-broken");
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn flags_beat_the_environment_and_the_environment_beats_the_file() {
        let file = "network = \"testnet\"\njoin = \"pool\"\npeer_port = 4000\n";
        let env = [("HEARTH_NETWORK", "mainnet"), ("HEARTH_JOIN", "metagraph")];
        let flags = vec![(Key::Network, Some("practice".to_owned())), (Key::Join, None)];
        let settings = read(file, &env, flags).unwrap();
        let origin = |key| settings.text(key).unwrap().origin;
        assert_eq!(settings.text(Key::Network).unwrap().value, "practice");
        assert_eq!(origin(Key::Network), Origin::Flag);
        assert_eq!(origin(Key::Join), Origin::Environment);
        assert_eq!(settings.get::<u16>(Key::PeerPort).unwrap().unwrap().value, 4000);
        assert_eq!(origin(Key::PeerPort), Origin::File);
        assert_eq!(settings.text(Key::Backend), None);
    }

    #[test]
    fn lists_are_written_as_lists_or_as_words() {
        let settings = read("attestation_command = [\"a b\", \"c\"]", &[], vec![]).unwrap();
        assert_eq!(settings.list(Key::AttestationCommand).unwrap().unwrap(), ["a b", "c"]);
        let settings = read("", &[("HEARTH_RELAYS", "http://a http://b")], vec![]).unwrap();
        assert_eq!(settings.list(Key::Relays).unwrap().unwrap(), ["http://a", "http://b"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let text = |file: &str| read(file, &[], vec![]).unwrap_err().to_string();
        assert!(text("netwrok = \"x\"").contains("did you mean \"network\""));
        assert!(text("entirely_else = 1").contains("remove it"));
        assert!(text("network = ").contains("line 1"));
        assert!(text("network = 1.5").contains("mainnet"));
        assert!(text("[constants]\nhartbeat = 3").contains("hartbeat"));
        let settings = read("peer_port = \"many\"", &[], vec![]).unwrap();
        let error = settings.get::<u16>(Key::PeerPort).unwrap_err().to_string();
        assert!(error.contains("peer_port") && error.contains("file"), "{error}");
        assert!(
            read("accept_unpaid = \"maybe\"", &[], vec![])
                .unwrap()
                .is_on(Key::AcceptUnpaid)
                .is_err()
        );
    }

    #[test]
    fn the_file_overrides_constants_and_leaves_the_others() {
        let file = "[constants]\nspec_version = 30018\n[constants.http]\nattempts = 5\n";
        let settings = read(file, &[], vec![]).unwrap();
        let practice = Constants::practice();
        let changed = settings.constants(practice.clone()).unwrap();
        assert_eq!((changed.spec_version, changed.http.attempts), (30018, 5));
        assert_eq!(changed.heartbeat, practice.heartbeat);
        assert_eq!(changed.http.timeout, practice.http.timeout);
    }

    #[test]
    fn a_file_that_was_named_must_exist() {
        let folder = tempfile::tempdir().unwrap();
        let named = folder.path().join("mine.toml");
        let error = Settings::read(Some(&named), folder.path(), |_| None, vec![]).unwrap_err();
        assert!(error.to_string().contains("mine.toml"));
        assert!(Settings::read(None, folder.path(), |_| None, vec![]).is_ok());
    }
}

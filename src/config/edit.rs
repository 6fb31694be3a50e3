//! Changing the settings file: one line each, with comments and order kept. A value is checked
//! before it is written, and a file that cannot be understood is never overwritten.

use std::fs;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::folders::{FolderError, write_privately};
use super::rules::RuleSettings;
use super::settings::{Key, Settings, SettingsError};

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The file is wrong as it is.
    #[error("{0}. Nothing was changed")]
    Broken(#[source] SettingsError),
    /// A value does not fit its key.
    #[error("{name} cannot be {value:?}: {why}. It may be {allowed}. Nothing was changed")]
    Value {
        /// The key.
        name: &'static str,
        /// As given; hidden where it may hold a secret.
        value: String,
        /// What is wrong.
        why: String,
        /// What may be written.
        allowed: &'static str,
    },
    /// With this change the miner could never work.
    #[error("these rules leave 0 hours a week: {why} ({name}). Nothing was changed")]
    NeverRuns {
        /// The setting that decides.
        name: &'static str,
        /// Why, as a clause.
        why: String,
    },
    /// The file is written in a way that cannot be changed safely.
    #[error(
        "{path} is written in a way that Hearth cannot change without losing something ({name}): \
         change it in an editor. Nothing was changed"
    )]
    Unusual {
        /// The file.
        path: PathBuf,
        /// The setting in question.
        name: &'static str,
    },
    /// It cannot be written.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

impl EditError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Broken(_) => "config-broken",
            Self::Value { .. } => "config-value",
            Self::NeverRuns { .. } => "rules-never-run",
            Self::Unusual { .. } => "config-unusual",
            Self::Folder(_) => "folder-not-writable",
        }
    }
}

/// Writes settings into the file `path`: a value, or none to take the setting out. Makes the file if
/// there is none. Either all changes are made, or none.
///
/// # Errors
/// [`EditError`]; the file is then as it was.
pub fn set(path: &Path, changes: &[(Key, Option<String>)]) -> Result<(), EditError> {
    let before = read(path)?;
    Settings::of_text(path, &before).map_err(EditError::Broken)?;
    let mut text = before.clone();
    for (key, value) in changes {
        text = match value {
            Some(value) => with(path, &text, *key, &written(*key, value)?)?,
            None => without(&text, *key),
        };
    }
    if text == before {
        return Ok(());
    }
    prove(path, &before, &text, changes)?;
    let rules = Settings::of_text(path, &text).and_then(|after| RuleSettings::read_each(&after));
    if let Ok(Some((key, why))) = rules.map(|rules| rules.never_run())
        && changes.iter().any(|(changed, value)| *changed == key && value.is_some())
    {
        return Err(EditError::NeverRuns { name: key.name(), why });
    }
    // A link stays a link: people keep their settings elsewhere.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    Ok(write_privately(&target, text.as_bytes())?)
}

fn read(path: &Path) -> Result<String, EditError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => {
            let (path, why) = (path.to_owned(), error.to_string());
            Err(EditError::Broken(SettingsError::Unreadable { path, why }))
        }
    }
}

/// The value as it stands in the file.
fn written(key: Key, value: &str) -> Result<String, EditError> {
    key.read(value).map(|value| value.to_string()).map_err(|why| EditError::Value {
        name: key.name(),
        value: key.shown(value),
        why,
        allowed: key.allowed(),
    })
}

/// Where a setting and its value stand.
struct Place {
    key: Range<usize>,
    value: Range<usize>,
}

/// The places of all settings, in the order of the file.
fn places(text: &str) -> Vec<(Key, Place)> {
    let Ok(table) = toml::de::DeTable::parse(text) else { return Vec::new() };
    let known = table.get_ref().iter().filter_map(|(name, value)| {
        let key = Key::of_name(name.get_ref())?;
        Some((key, Place { key: name.span(), value: value.span() }))
    });
    let mut places: Vec<_> = known.collect();
    places.sort_by_key(|(_, place)| place.key.start);
    places
}

fn with(path: &Path, text: &str, key: Key, value: &str) -> Result<String, EditError> {
    let places = places(text);
    if let Some((_, place)) = places.iter().find(|(known, _)| *known == key) {
        let Range { start, end } = place.value.clone();
        return Ok(format!("{}{value}{}", &text[..start], &text[end..]));
    }
    let line = format!("{} = {value}\n", key.name());
    // After the last setting, or before the first table: what follows a table's name belongs to it.
    let at = match places.last() {
        Some((_, place)) => end_of_line(text, place.value.end),
        None => first_table(text),
    };
    let (before, after) = text
        .split_at_checked(at)
        .ok_or_else(|| EditError::Unusual { path: path.to_owned(), name: key.name() })?;
    let newline = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
    Ok(format!("{before}{newline}{line}{after}"))
}

fn without(text: &str, key: Key) -> String {
    let places = places(text);
    let Some((_, place)) = places.iter().find(|(known, _)| *known == key) else {
        return text.to_owned();
    };
    let start = text[..place.key.start].rfind('\n').map_or(0, |newline| newline + 1);
    let end = end_of_line(text, place.value.end);
    format!("{}{}", &text[..start], &text[end..])
}

/// The offset behind the line break that follows `from`.
fn end_of_line(text: &str, from: usize) -> usize {
    text[from..].find('\n').map_or(text.len(), |newline| from + newline + 1)
}

/// The offset of the first line that opens a table. Only asked while no setting stands before it.
fn first_table(text: &str) -> usize {
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with('[') {
            return offset;
        }
        offset += line.len();
    }
    offset
}

/// Reads the new text back: the changed settings are as wanted, all else is as it was.
fn prove(
    path: &Path,
    before: &str,
    after: &str,
    changes: &[(Key, Option<String>)],
) -> Result<(), EditError> {
    let table = |text: &str| text.parse::<toml::Table>().ok();
    let unusual = |key: Key| EditError::Unusual { path: path.to_owned(), name: key.name() };
    let first = changes.first().map_or(Key::Network, |(key, _)| *key);
    let (Some(mut wanted), Some(found)) = (table(before), table(after)) else {
        return Err(unusual(first));
    };
    for (key, value) in changes {
        match value.as_deref().map(|value| key.read(value)) {
            Some(Ok(value)) => {
                wanted.insert(key.name().to_owned(), value);
            }
            _ => {
                wanted.remove(key.name());
            }
        }
    }
    if wanted == found { Ok(()) } else { Err(unusual(first)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# my settings\nnetwork = \"testnet\" # for now\n\n# the door\npeer_port = 4000\n\
                        \n[constants]\nspec_version = 7\n";

    fn edited(file: &str, changes: &[(Key, Option<&str>)]) -> Result<String, EditError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        if !file.is_empty() {
            fs::write(&path, file).unwrap();
        }
        let changes: Vec<_> =
            changes.iter().map(|(key, value)| (*key, value.map(str::to_owned))).collect();
        let result = set(&path, &changes);
        let text = fs::read_to_string(&path).unwrap_or_default();
        if result.is_err() {
            assert_eq!(text, file, "nothing may change");
        }
        result.map(|()| text)
    }

    #[test]
    fn a_value_changes_and_everything_around_it_stays() {
        let text = edited(FILE, &[(Key::Network, Some("mainnet"))]).unwrap();
        assert_eq!(text, FILE.replace("\"testnet\"", "\"mainnet\""));
        let text = edited(FILE, &[(Key::PeerPort, Some("0"))]).unwrap();
        assert_eq!(text, FILE.replace("4000", "0"));
    }

    #[test]
    fn a_new_setting_stands_before_the_tables() {
        let text = edited(FILE, &[(Key::AcceptUnpaid, Some("yes"))]).unwrap();
        assert!(text.contains("peer_port = 4000\naccept_unpaid = true\n\n[constants]"), "{text}");
        let text = edited("# x\n[constants]\nspec_version = 7\n", &[(Key::Join, Some("pool"))]);
        assert_eq!(text.unwrap(), "# x\njoin = \"pool\"\n[constants]\nspec_version = 7\n");
        assert_eq!(edited("", &[(Key::Join, Some("pool"))]).unwrap(), "join = \"pool\"\n");
        let text = edited("network = \"mainnet\"", &[(Key::Join, Some("pool"))]).unwrap();
        assert_eq!(text, "network = \"mainnet\"\njoin = \"pool\"\n");
    }

    #[test]
    fn a_setting_goes_with_its_line_and_lists_over_several_lines_go_whole() {
        let text = edited(FILE, &[(Key::Network, None)]).unwrap();
        assert_eq!(text, FILE.replace("network = \"testnet\" # for now\n", ""));
        let file = "relays = [\n  \"https://a.example\", # one\n  \"https://b.example\",\n]\njoin = \"pool\"\n";
        assert_eq!(edited(file, &[(Key::Relays, None)]).unwrap(), "join = \"pool\"\n");
        let text = edited(file, &[(Key::Relays, Some("none"))]).unwrap();
        assert_eq!(text, "relays = \"none\"\njoin = \"pool\"\n");
        let text = edited(file, &[(Key::Relays, Some("https://c.example https://d.example"))]);
        assert!(text.unwrap().starts_with("relays = [\"https://c.example\", "));
        assert_eq!(edited(FILE, &[(Key::Join, None)]).unwrap(), FILE);
    }

    #[test]
    fn a_broken_file_or_a_wrong_value_changes_nothing() {
        let error = edited("network = \n", &[(Key::Join, Some("pool"))]).unwrap_err();
        assert!(error.to_string().contains("line 1") && error.code() == "config-broken", "{error}");
        let error = edited("\nnetwrok = \"x\"\n", &[(Key::Join, Some("pool"))]).unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
        let both = [(Key::Network, Some("mainnet")), (Key::Join, Some("club"))];
        let error = edited(FILE, &both).unwrap_err().to_string();
        assert!(error.contains("join") && error.contains("pool or metagraph"), "{error}");
    }

    #[test]
    fn a_wrong_value_can_be_repaired_by_setting_it() {
        let text = edited("join = \"club\"\n", &[(Key::Join, Some("pool"))]).unwrap();
        assert_eq!(text, "join = \"pool\"\n");
    }

    proptest::proptest! {
        #[test]
        fn any_text_survives_the_way_into_the_file_and_back(city in "[^\\s\\p{Cc}][^\\p{Cc}]{0,20}[^\\s\\p{Cc}]") {
            let text = edited(FILE, &[(Key::LocationCity, Some(&city))]).unwrap();
            let settings = Settings::of_text(Path::new("x"), &text).unwrap();
            proptest::prop_assert_eq!(&settings.text(Key::LocationCity).unwrap().value, city.trim());
        }
    }
}

//! What wallets and hotkeys lie below a folder, told without opening anything that is encrypted.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::file::{COLDKEY_PUBLIC, HotkeyFileError, public_address, read, read_secret};
use super::key_json::KeyJson;
use super::sealed::Protection;
use crate::protocol::ids::Hotkey;

/// The folder of a wallet in which its hotkeys lie.
pub(super) const HOTKEYS: &str = "hotkeys";
/// How the file beside a hotkey ends that holds its public half.
pub(super) const PUBLIC_END: &str = "pub.txt";

/// Where Bittensor's programs keep wallets, unless told otherwise: `~/.bittensor/wallets`.
pub fn default_folder() -> Option<PathBuf> {
    let home = directories::BaseDirs::new()?.home_dir().to_owned();
    Some(home.join(".bittensor").join("wallets"))
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// There is no such folder.
    #[error("there is no folder {0}: Bittensor keeps its wallets in ~/.bittensor/wallets")]
    Missing(PathBuf),
    /// It cannot be read.
    #[error("the folder {path} cannot be read ({why}): give this user permission to read it")]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// It holds something else.
    #[error(
        "{0} holds no Bittensor wallet: give the folder with wallets, a wallet (with hotkeys/ in \
         it), or its hotkeys/ folder"
    )]
    NoWallets(PathBuf),
}

/// One wallet's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundWallet {
    /// Its name, that of the folder.
    pub name: String,
    /// The address in its `coldkeypub.txt`, which can be paid.
    pub coldkey: Option<Hotkey>,
    /// Its hotkeys, by name.
    pub hotkeys: Vec<FoundHotkey>,
}

/// One hotkey's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundHotkey {
    /// Its name, that of the file.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// The address, where the file (or the public one beside it) tells.
    pub address: Option<Hotkey>,
    /// What can be done with it.
    pub state: HotkeyState,
}

/// Whether a hotkey can be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HotkeyState {
    /// As it is.
    Ready,
    /// With its password.
    Encrypted,
    /// Not at all, for this reason.
    Unusable(String),
}

/// The wallets in `folder`, by name. It may be a folder of wallets, `.bittensor` itself, one wallet,
/// or a wallet's `hotkeys` folder.
pub fn list(folder: &Path) -> Result<Vec<FoundWallet>, ListError> {
    let folder = match folder.join("wallets") {
        inside if inside.is_dir() && !is_wallet(folder) => inside,
        _ => folder.to_owned(),
    };
    let entries = names(&folder)?;
    if is_wallet(&folder) {
        return Ok(vec![wallet(&folder)?]);
    }
    if folder.file_name() == Some(OsStr::new(HOTKEYS)) {
        let above = folder.parent().unwrap_or(&folder);
        return Ok(vec![wallet(above)?]);
    }
    let wallets: Vec<FoundWallet> = entries
        .into_iter()
        .map(|name| folder.join(name))
        .filter(|path| is_wallet(path))
        .map(|path| wallet(&path))
        .collect::<Result<_, _>>()?;
    if wallets.is_empty() { Err(ListError::NoWallets(folder)) } else { Ok(wallets) }
}

fn is_wallet(folder: &Path) -> bool {
    folder.join(HOTKEYS).is_dir() || folder.join(COLDKEY_PUBLIC).is_file()
}

fn wallet(folder: &Path) -> Result<FoundWallet, ListError> {
    let hotkeys = folder.join(HOTKEYS);
    let names = if hotkeys.is_dir() { names(&hotkeys)? } else { Vec::new() };
    let hotkeys = names
        .into_iter()
        .filter(|name| !name.ends_with(PUBLIC_END))
        .map(|name| hotkeys.join(name))
        .filter(|path| path.is_file())
        .map(hotkey)
        .collect();
    let coldkey = public_address(&folder.join(COLDKEY_PUBLIC));
    Ok(FoundWallet { name: name_of(folder), coldkey, hotkeys })
}

fn hotkey(path: PathBuf) -> FoundHotkey {
    let name = name_of(&path);
    let beside = || public_address(&path.with_file_name(format!("{name}{PUBLIC_END}")));
    let (address, state) = match judge(&path) {
        Ok((address, state)) => (address.or_else(beside), state),
        Err(error) => (beside(), HotkeyState::Unusable(error.to_string())),
    };
    FoundHotkey { name, path, address, state }
}

fn judge(path: &Path) -> Result<(Option<Hotkey>, HotkeyState), HotkeyFileError> {
    let (content, _) = read(path)?;
    if Protection::of(&content) == Protection::Nacl {
        return Ok((None, HotkeyState::Encrypted));
    }
    // A file that tells its address is believed here: to check it takes a few milliseconds each, and
    // is done when the key is imported. Others are read whole.
    let told = std::str::from_utf8(&content).ok().and_then(|text| KeyJson::read(text).ok());
    match told.and_then(|json| json.address().filter(|_| json.has_secret())) {
        Some(address) => Ok((Some(address), HotkeyState::Ready)),
        None => {
            let pair = read_secret(path)?.0.pair();
            Ok((pair.ok().map(|pair| pair.address().clone()), HotkeyState::Ready))
        }
    }
}

/// What is in a folder, sorted; hidden names and names that are no text are passed over.
fn names(folder: &Path) -> Result<Vec<String>, ListError> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => ListError::Missing(folder.to_owned()),
        _ => ListError::Unreadable { path: folder.to_owned(), why: error.to_string() },
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        names.extend(name.to_str().filter(|name| !name.starts_with('.')).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wallet::bittensor::export::{export_hotkey, write_coldkeypub};
    use crate::wallet::secret::KeySecret;

    const SEED: &str = "0xe5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a";
    const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
    const BOB: &str = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty";

    fn wallets() -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        let wallets = home.path().join("wallets");
        let alice = KeySecret::parse(SEED).unwrap();
        export_hotkey(&wallets, "cold", "hot", &alice).unwrap();
        write_coldkeypub(&wallets, "cold", &BOB.parse().unwrap()).unwrap();
        let hotkeys = wallets.join("cold").join(HOTKEYS);
        fs::write(hotkeys.join("seed"), SEED).unwrap();
        fs::write(hotkeys.join("locked"), "$NACLxxxx").unwrap();
        fs::write(hotkeys.join("old"), "$ANSIBLE_VAULT;1.1").unwrap();
        fs::write(hotkeys.join("watch"), format!(r#"{{"ss58Address":"{ALICE}"}}"#)).unwrap();
        fs::write(hotkeys.join(".hidden"), "x").unwrap();
        fs::create_dir(hotkeys.join("folder")).unwrap();
        fs::create_dir_all(wallets.join("empty").join(HOTKEYS)).unwrap();
        fs::create_dir(wallets.join("other")).unwrap();
        home
    }

    #[test]
    fn wallets_and_hotkeys_are_listed_with_what_can_be_done() {
        let home = wallets();
        let found = list(&home.path().join("wallets")).unwrap();
        let names: Vec<&str> = found.iter().map(|wallet| wallet.name.as_str()).collect();
        assert_eq!(names, ["cold", "empty"]);
        assert_eq!(found[0].coldkey.as_ref().unwrap().as_str(), BOB);
        let hotkeys = &found[0].hotkeys;
        let names: Vec<&str> = hotkeys.iter().map(|hotkey| hotkey.name.as_str()).collect();
        assert_eq!(names, ["hot", "locked", "old", "seed", "watch"]);
        for ready in [&hotkeys[0], &hotkeys[3]] {
            assert_eq!(ready.state, HotkeyState::Ready);
            assert_eq!(ready.address.as_ref().unwrap().as_str(), ALICE);
            assert_eq!(
                read_secret(&ready.path).unwrap().0.pair().unwrap().address().as_str(),
                ALICE
            );
        }
        assert_eq!(hotkeys[1].state, HotkeyState::Encrypted);
        let why = |hotkey: &FoundHotkey| match &hotkey.state {
            HotkeyState::Unusable(why) => why.clone(),
            other => panic!("{other:?}"),
        };
        assert!(why(&hotkeys[2]).contains("older"), "{}", why(&hotkeys[2]));
        assert!(why(&hotkeys[4]).contains("public half"), "{}", why(&hotkeys[4]));
    }

    #[test]
    fn any_folder_of_the_tree_leads_to_the_wallets() {
        let home = wallets();
        let wallets = home.path().join("wallets");
        let all = list(&wallets).unwrap();
        assert_eq!(list(home.path()).unwrap(), all);
        let one = list(&wallets.join("cold")).unwrap();
        assert_eq!(one, all[..1]);
        assert_eq!(list(&wallets.join("cold").join(HOTKEYS)).unwrap(), one);
    }

    #[test]
    fn a_folder_without_wallets_says_what_to_give() {
        let home = wallets();
        let refusal = |path: PathBuf| list(&path).unwrap_err().to_string();
        assert!(refusal(home.path().join("nothing")).contains("there is no folder"));
        assert!(refusal(home.path().join("wallets").join("other")).contains("holds no Bittensor"));
        let file = home.path().join("wallets").join("cold").join(COLDKEY_PUBLIC);
        assert!(refusal(file).contains("cannot be read"));
    }
}

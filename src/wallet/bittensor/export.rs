//! Key files for Bittensor's own programs: hotkeys, the public half of a coldkey, and a coldkey that
//! was made here, encrypted. Nothing that exists is written over: it could be somebody's only copy.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::file::{COLDKEY, COLDKEY_PUBLIC, public_address};
use super::folder::{HOTKEYS, PUBLIC_END};
use super::key_json::KeyJson;
use super::sealed::{self, SealError};
use crate::clock::Entropy;
use crate::config::folders::{FolderError, write_privately};
use crate::wallet::HotkeyError;
use crate::wallet::address::PayoutAddress;
use crate::wallet::phrase::Phrase;
use crate::wallet::secret::KeySecret;

/// Names longer than this make trouble on some file systems.
const LONGEST_NAME: usize = 64;

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The name would lead elsewhere, or be taken for another file.
    #[error(
        "a wallet's or hotkey's name is 1 to 64 letters, digits, -, _ or dots between them, such as default; choose \
         another name"
    )]
    Name,
    /// There is something already.
    #[error("{0} exists already and is left as it is: choose another name or folder")]
    Exists(PathBuf),
    /// The key has no key pair.
    #[error(transparent)]
    Key(#[from] HotkeyError),
    /// It cannot be encrypted.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// It cannot be written.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// Writes a hotkey as `wallets/WALLET/hotkeys/HOTKEY`, unencrypted as Bittensor's programs read it,
/// and its public half beside it. Gives the hotkey's path.
pub fn export_hotkey(
    wallets: &Path,
    wallet: &str,
    hotkey: &str,
    secret: &KeySecret,
) -> Result<PathBuf, ExportError> {
    check_name(wallet)?;
    check_name(hotkey)?;
    let folder = wallets.join(wallet).join(HOTKEYS);
    let (path, public) = (folder.join(hotkey), folder.join(format!("{hotkey}{PUBLIC_END}")));
    refuse_existing(&[&path, &public])?;
    let json = KeyJson::of(secret)?;
    write_privately(&path, &json.written())?;
    let address = secret.pair()?.address().clone();
    write_privately(&public, &KeyJson::public(&address).written())?;
    Ok(path)
}

/// Writes the public half of the coldkey with this address as `wallets/WALLET/coldkeypub.txt`, by
/// which Bittensor's programs know a wallet. One that says the same is left as it is.
pub fn write_coldkeypub(
    wallets: &Path,
    wallet: &str,
    address: &PayoutAddress,
) -> Result<PathBuf, ExportError> {
    check_name(wallet)?;
    let path = wallets.join(wallet).join(COLDKEY_PUBLIC);
    let hotkey = address.key();
    if path.exists() {
        return match public_address(&path) {
            Some(there) if there == *hotkey => Ok(path),
            _ => Err(ExportError::Exists(path)),
        };
    }
    write_privately(&path, &KeyJson::public(hotkey).written())?;
    Ok(path)
}

/// Whether a new coldkey's secret is kept in a file.
pub enum ColdkeyFile<'a> {
    /// Encrypted under a password, as Bittensor's programs open it. Takes seconds and 512 MiB.
    Encrypted {
        /// The password.
        password: &'a str,
        /// For the nonce; the system's, except in tests.
        entropy: &'a mut Entropy,
    },
    /// No: only the words that were written down lead back to it.
    AddressOnly,
}

/// What [`write_coldkey`] left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenColdkey {
    /// What is paid.
    pub address: PayoutAddress,
    /// The file with the public half.
    pub public: PathBuf,
    /// The encrypted file.
    pub encrypted: Option<PathBuf>,
}

/// The address of a coldkey with these words.
pub fn coldkey_address(phrase: &Phrase) -> Result<PayoutAddress, HotkeyError> {
    let pair = KeySecret::from_phrase(phrase.clone()).pair()?;
    Ok(PayoutAddress::of_key(pair.address()))
}

/// Writes the wallet of a coldkey that was made here: its `coldkeypub.txt`, and its secret only as an
/// encrypted file.
pub fn write_coldkey(
    wallets: &Path,
    wallet: &str,
    phrase: &Phrase,
    file: ColdkeyFile<'_>,
) -> Result<WrittenColdkey, ExportError> {
    check_name(wallet)?;
    let folder = wallets.join(wallet);
    let path = folder.join(COLDKEY);
    refuse_existing(&[&path, &folder.join(COLDKEY_PUBLIC)])?;
    let address = coldkey_address(phrase)?;
    let encrypted = match file {
        ColdkeyFile::AddressOnly => None,
        ColdkeyFile::Encrypted { password, entropy } => {
            let plain: Zeroizing<Vec<u8>> =
                KeyJson::of(&KeySecret::from_phrase(phrase.clone()))?.written();
            write_privately(&path, &sealed::seal(&plain, password, entropy)?)?;
            Some(path)
        }
    };
    let public = write_coldkeypub(wallets, wallet, &address)?;
    Ok(WrittenColdkey { address, public, encrypted })
}

fn refuse_existing(paths: &[&PathBuf]) -> Result<(), ExportError> {
    match paths.iter().find(|path| path.symlink_metadata().is_ok()) {
        Some(path) => Err(ExportError::Exists((*path).clone())),
        None => Ok(()),
    }
}

fn check_name(name: &str) -> Result<(), ExportError> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    // A name with a dot at its end is another one on Windows.
    let misleading = name.starts_with('.') || name.ends_with('.') || name.ends_with(PUBLIC_END);
    let fits = (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(allowed);
    if fits && !misleading { Ok(()) } else { Err(ExportError::Name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wallet::bittensor::{HotkeyFileError, read_hotkey};

    const DEV: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";

    fn secret() -> KeySecret {
        KeySecret::parse(&format!("{DEV}//hearth//1")).unwrap()
    }

    #[test]
    fn an_exported_hotkey_is_private_and_reads_back() {
        let home = tempfile::tempdir().unwrap();
        let path = export_hotkey(home.path(), "cold", "hot", &secret()).unwrap();
        assert_eq!(path, home.path().join("cold").join("hotkeys").join("hot"));
        let (pair, exposure) = read_hotkey(&path).unwrap();
        assert_eq!(pair.address(), secret().pair().unwrap().address());
        assert_eq!(exposure, crate::wallet::bittensor::Exposure::Private);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("bottom"), "the words of all devices stay here");
        let public = path.with_file_name("hotpub.txt");
        let refused = read_hotkey(&public).unwrap_err();
        assert!(matches!(refused, HotkeyFileError::PublicOnly(_)), "{refused}");
    }

    #[test]
    fn nothing_is_written_over_and_no_name_leads_elsewhere() {
        let home = tempfile::tempdir().unwrap();
        let path = export_hotkey(home.path(), "cold", "hot", &secret()).unwrap();
        let before = std::fs::read(&path).unwrap();
        let again = export_hotkey(home.path(), "cold", "hot", &KeySecret::parse(DEV).unwrap());
        assert!(matches!(again, Err(ExportError::Exists(at)) if at == path));
        assert_eq!(std::fs::read(&path).unwrap(), before);
        for name in ["", ".", "..", "a/b", "a\\b", "hotpub.txt", "c:", &"x".repeat(65), "é"] {
            let refused = export_hotkey(home.path(), "cold", name, &secret());
            assert!(matches!(refused, Err(ExportError::Name)), "{name}");
            let refused = export_hotkey(home.path(), name, "hot", &secret());
            assert!(matches!(refused, Err(ExportError::Name)), "{name}");
        }
    }

    #[test]
    fn a_coldkey_leaves_its_address_and_no_secret_unless_asked() {
        let home = tempfile::tempdir().unwrap();
        let phrase = Phrase::parse(DEV).unwrap();
        let written = write_coldkey(home.path(), "pay", &phrase, ColdkeyFile::AddressOnly).unwrap();
        assert_eq!(written.address.as_str(), "5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV");
        assert_eq!(written.encrypted, None);
        let names: Vec<_> = std::fs::read_dir(home.path().join("pay")).unwrap().collect();
        assert_eq!(names.len(), 1);
        let text = std::fs::read_to_string(&written.public).unwrap();
        assert!(text.contains(written.address.as_str()) && !text.contains("secret"), "{text}");
        // The same address once more is nothing new; another coldkey's place is not taken.
        write_coldkeypub(home.path(), "pay", &written.address).unwrap();
        let other = PayoutAddress::of_key(secret().pair().unwrap().address());
        let refused = write_coldkeypub(home.path(), "pay", &other);
        assert!(matches!(refused, Err(ExportError::Exists(_))));
        let refused = write_coldkey(home.path(), "pay", &phrase, ColdkeyFile::AddressOnly);
        assert!(matches!(refused, Err(ExportError::Exists(_))));
    }
}

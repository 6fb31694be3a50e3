//! The peer identity of a miner: a random ed25519 secret, kept in a file so that peers find the same
//! node again after a restart. It is not derived from the hotkey, as the reference does, since the
//! hotkey's address is public and anybody could then pose as this miner (spec 6.2; 13 #1).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::clock::Entropy;
use crate::config::folders::{FolderError, write_privately};

/// Where a miner's peer secret comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PeerIdentity {
    /// A new one at each start.
    #[default]
    ThrowAway,
    /// The one in this file, which is made at the first start.
    Kept(PathBuf),
}

/// A peer secret, and what was found.
#[derive(Debug)]
pub struct LoadedIdentity {
    /// The secret.
    pub secret: Zeroizing<[u8; 32]>,
    /// Where the file that was damaged lies now; peers see a new node then.
    pub damaged: Option<PathBuf>,
}

/// The peer secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file cannot be read.
    #[error(
        "the peer key {path} cannot be read: {source}. Make it readable for the user that Hearth \
         runs as, or move it away: a new one is then made"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// A damaged file cannot be moved aside.
    #[error(
        "the peer key {path} is damaged and cannot be moved aside: {source}. Move it away: a new \
         one is then made"
    )]
    Stuck {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// A new file cannot be written.
    #[error(transparent)]
    Unwritable(#[from] FolderError),
}

/// A fresh secret.
pub fn random_secret(entropy: &mut Entropy) -> Zeroizing<[u8; 32]> {
    let mut secret = Zeroizing::new([0; 32]);
    entropy.fill(secret.as_mut());
    secret
}

impl PeerIdentity {
    /// The secret; makes and keeps a new one where there is none. A damaged file is kept aside.
    pub fn load(&self, entropy: &mut Entropy) -> Result<LoadedIdentity, IdentityError> {
        let Self::Kept(path) = self else {
            return Ok(LoadedIdentity { secret: random_secret(entropy), damaged: None });
        };
        let damaged = match fs::read(path).map(Zeroizing::new) {
            Ok(content) => match parse(&content) {
                Some(secret) => return Ok(LoadedIdentity { secret, damaged: None }),
                None => Some(set_aside(path)?),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(IdentityError::Unreadable { path: path.clone(), source }),
        };
        let secret = random_secret(entropy);
        write_privately(path, &text(&secret))?;
        Ok(LoadedIdentity { secret, damaged })
    }
}

/// 64 hex digits and a line's end.
fn text(secret: &[u8; 32]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(vec![b'\n'; 65]);
    // Cannot fail: the place has the size of what is put there.
    if hex::encode_to_slice(secret, &mut out[..64]).is_err() {
        out.clear();
    }
    out
}

fn parse(content: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut secret = Zeroizing::new([0; 32]);
    hex::decode_to_slice(content.trim_ascii(), secret.as_mut()).ok()?;
    // What a disk full of zeroes leaves behind is nobody's secret.
    secret.iter().any(|byte| *byte != 0).then_some(secret)
}

/// Renames the file to the first free `.damaged-N`.
fn set_aside(path: &Path) -> Result<PathBuf, IdentityError> {
    let place = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".damaged-{number}"));
        PathBuf::from(name)
    };
    let free = (1..=MOST_KEPT).map(place).find(|place| !place.exists());
    let aside = free.unwrap_or_else(|| place(MOST_KEPT));
    fs::rename(path, &aside)
        .map_err(|source| IdentityError::Stuck { path: path.to_owned(), source })?;
    Ok(aside)
}

/// Damaged files that are kept; the last is then replaced.
const MOST_KEPT: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(folder: &Path) -> PeerIdentity {
        PeerIdentity::Kept(folder.join("peer.key"))
    }

    #[test]
    fn a_restart_finds_the_same_key_and_another_folder_has_another() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut entropy = Entropy::seeded(1, "peer key");
        let first = kept(one.path()).load(&mut entropy).unwrap();
        let again = kept(one.path()).load(&mut entropy).unwrap();
        let other = kept(two.path()).load(&mut entropy).unwrap();
        assert_eq!(first.secret, again.secret);
        assert_ne!(first.secret, other.secret);
        let thrown = PeerIdentity::ThrowAway.load(&mut entropy).unwrap();
        assert_ne!(thrown.secret, PeerIdentity::ThrowAway.load(&mut entropy).unwrap().secret);
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        kept(folder.path()).load(&mut Entropy::seeded(1, "peer key")).unwrap();
        let mode = fs::metadata(folder.path().join("peer.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_key_is_replaced_and_kept_aside_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let mut entropy = Entropy::seeded(1, "peer key");
        let path = folder.path().join("peer.key");
        let zeroes = "0".repeat(64);
        for (round, content) in ["", "abc", zeroes.as_str(), "\u{0}\u{1}"].iter().enumerate() {
            fs::write(&path, content).unwrap();
            let loaded = kept(folder.path()).load(&mut entropy).unwrap();
            let aside = loaded.damaged.expect("it is said where the old one is");
            assert!(aside.ends_with(format!("peer.key.damaged-{}", round + 1)), "{aside:?}");
            assert_eq!(fs::read_to_string(aside).unwrap(), *content);
            let again = kept(folder.path()).load(&mut entropy).unwrap();
            assert_eq!((again.secret, again.damaged), (loaded.secret, None));
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error_that_names_the_file_and_shows_no_key() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("peer.key")).unwrap();
        let refused = kept(folder.path()).load(&mut Entropy::seeded(1, "peer key")).unwrap_err();
        assert!(refused.to_string().contains("peer.key"), "{refused}");
    }
}

//! Where the local API of a running miner is: a file in the state folder, written at the start, taken
//! away at an orderly end.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::token::Token;
use crate::config::folders::{FolderError, Folders, write_privately};

/// The file with everything.
const FILE: &str = "api.json";
/// The token alone, for programs that read theirs from a file (Prometheus does).
const TOKEN_FILE: &str = "api.token";
/// What this version writes.
const VERSION: u32 = 1;

/// Where it is, and what opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The process.
    pub pid: u32,
    /// Since when it runs, Unix seconds.
    pub since: u64,
    /// TCP port on loopback.
    pub port: u16,
    /// What opens it.
    pub token: Token,
}

/// What stands in the file.
#[derive(Serialize, Deserialize)]
struct Written {
    version: u32,
    pid: u32,
    since: u64,
    port: u16,
    token: String,
}

impl Address {
    /// Reads the file. None where there is none, or one that makes no sense: nothing runs there then
    /// that this program could talk to.
    pub fn read(folders: &Folders) -> Option<Self> {
        let bytes = fs::read(path(folders)).ok()?;
        let written: Written = serde_json::from_slice(&bytes).ok()?;
        let Written { version: VERSION, pid, since, port, token } = written else { return None };
        Some(Self { pid, since, port, token: Token::read(&token)? })
    }

    /// The address in a browser's words.
    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// The files while the process runs. Dropped, they are gone.
#[derive(Debug)]
pub(super) struct Posted {
    folders: Folders,
    address: Address,
}

impl Posted {
    /// Writes them.
    pub(super) fn write(folders: &Folders, address: Address) -> Result<Self, FolderError> {
        let text = address.token.text();
        let written = Written {
            version: VERSION,
            pid: address.pid,
            since: address.since,
            port: address.port,
            token: text.to_string(),
        };
        // Numbers and letters always have a text.
        let json = zeroize::Zeroizing::new(serde_json::to_vec(&written).unwrap_or_default());
        write_privately(&token_path(folders), text.as_bytes())?;
        write_privately(&path(folders), &json)?;
        Ok(Self { folders: folders.clone(), address })
    }

    /// TCP port on loopback.
    pub(super) fn port(&self) -> u16 {
        self.address.port
    }
}

impl Drop for Posted {
    fn drop(&mut self) {
        // Another process may have written its own by now.
        if Address::read(&self.folders).is_some_and(|now| now == self.address) {
            remove(&path(&self.folders));
            remove(&token_path(&self.folders));
        }
    }
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!("{} stays behind: {error}", path.display());
        }
        _ => {}
    }
}

fn path(folders: &Folders) -> PathBuf {
    folders.state.join(FILE)
}

fn token_path(folders: &Folders) -> PathBuf {
    folders.state.join(TOKEN_FILE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Entropy;

    fn address(seed: u64) -> Address {
        let token = Token::draw(&mut Entropy::seeded(seed, "address"));
        Address { pid: 7, since: 8, port: 9, token }
    }

    #[test]
    fn the_file_is_there_while_it_runs_and_only_for_its_owner() {
        let home = tempfile::tempdir().unwrap();
        let folders = Folders::under(home.path());
        assert_eq!(Address::read(&folders), None);
        let posted = Posted::write(&folders, address(1)).unwrap();
        assert_eq!(Address::read(&folders), Some(address(1)));
        #[cfg(unix)]
        for file in [path(&folders), token_path(&folders)] {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        drop(posted);
        assert_eq!(fs::read_dir(&folders.state).unwrap().count(), 0);
    }

    #[test]
    fn nobody_takes_the_file_of_another_away() {
        let home = tempfile::tempdir().unwrap();
        let folders = Folders::under(home.path());
        let old = Posted::write(&folders, address(1)).unwrap();
        let new = Posted::write(&folders, address(2)).unwrap();
        drop(old);
        assert_eq!(Address::read(&folders), Some(address(2)));
        drop(new);
        for nonsense in [&b"{"[..], b"{\"version\":2}", b"", &[0xff; 99]] {
            fs::write(path(&folders), nonsense).unwrap();
            assert_eq!(Address::read(&folders), None);
        }
    }
}

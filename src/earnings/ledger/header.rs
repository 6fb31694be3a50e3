//! The first hundred bytes of an SQLite file, read without SQLite: whose file it is and of which version,
//! before anything opens it. A file that is not ours is not touched, not even by a lock.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::schema::{APPLICATION, VERSION};

/// How every SQLite file begins.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Length of the header.
const LENGTH: usize = 100;

/// What a file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// There is no file.
    Absent,
    /// A ledger that this version knows.
    Ours,
    /// A ledger of a later version.
    Newer(u32),
    /// An SQLite file of another program.
    Foreign,
    /// No SQLite file.
    Damaged,
}

/// Looks at the file.
pub(super) fn look(path: &Path) -> io::Result<Header> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Header::Absent),
        Err(error) => return Err(error),
    };
    let mut bytes = [0; LENGTH];
    match file.read_exact(&mut bytes) {
        Ok(()) => Ok(judge(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Header::Damaged),
        Err(error) => Err(error),
    }
}

fn judge(bytes: &[u8; LENGTH]) -> Header {
    let number = |at: usize| {
        let mut four = [0; 4];
        four.copy_from_slice(&bytes[at..at + 4]);
        u32::from_be_bytes(four)
    };
    if !bytes.starts_with(MAGIC) {
        return Header::Damaged;
    }
    match (number(68), number(60)) {
        (APPLICATION, version) if version > VERSION => Header::Newer(version),
        (APPLICATION, 1..=VERSION) => Header::Ours,
        (APPLICATION, _) => Header::Damaged,
        _ => Header::Foreign,
    }
}

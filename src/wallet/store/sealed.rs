//! A secret in a file, under a passphrase. One line of JSON says how it is locked and whose key it
//! is; the second line is the secret, encrypted with XChaCha20-Poly1305 under a key that Argon2id
//! makes of the passphrase. The first line is authenticated with it, so that nobody can lower the
//! cost or exchange the address unnoticed.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::Aead as _;
use chacha20poly1305::aead::Payload;
use chacha20poly1305::{AeadInOut as _, KeyInit as _, XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Passphrase;
use crate::clock::Entropy;
use crate::protocol::ids::Hotkey;

/// The only form of the file so far.
const VERSION: u32 = 1;
const KDF: &str = "argon2id";
const CIPHER: &str = "xchacha20-poly1305";
/// Larger files are no keys.
pub(super) const LARGEST: usize = 64 << 10;
/// Poly1305's tag, bytes.
const TAG: usize = 16;

/// What a guess at the passphrase costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Memory, KiB.
    pub memory_kib: u32,
    /// How often it is filled.
    pub passes: u32,
    /// Threads that could fill it at once.
    pub lanes: u32,
}

impl Cost {
    /// About a second on an ordinary machine, and as much memory as small machines have.
    pub const USUAL: Self = Self { memory_kib: 256 << 10, passes: 3, lanes: 1 };

    /// Whether a file may ask for it: a damaged or hostile one must not take the machine's memory or
    /// an hour, nor be so cheap that it was never ours.
    fn is_sane(self) -> bool {
        (8 << 10..=1 << 20).contains(&self.memory_kib)
            && (1..=16).contains(&self.passes)
            && (1..=4).contains(&self.lanes)
            && u64::from(self.memory_kib) * u64::from(self.passes) <= 4 << 20
    }
}

/// Why a file gives no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It is no such file.
    #[error("it is not a key file of Hearth, or its first line is damaged: use a copy of it")]
    NotAKeyFile,
    /// Another version made it.
    #[error(
        "it has form {0}, which this version does not know: use the Hearth that wrote it, or a newer one"
    )]
    Version(u64),
    /// It ends early.
    #[error("it is cut off or was edited: use a copy of it, or import the key's words again")]
    CutOff,
    /// Its cost is out of bounds.
    #[error(
        "it asks for more memory or time than a key file of Hearth does, or for less: it is damaged or was edited; use a copy of it"
    )]
    Cost,
    /// The passphrase does not open it.
    #[error("the passphrase is wrong, or the file was edited: try again")]
    WrongPassphrase,
    /// The machine cannot do it.
    #[error(
        "there is not enough free memory ({0} MiB) to work with it: close something and try again"
    )]
    Memory(u32),
    /// The cipher refused.
    #[error("it cannot be encrypted")]
    Cipher,
}

/// The first line.
#[derive(Serialize, Deserialize)]
struct Header {
    hearth_key: u32,
    address: Hotkey,
    kdf: String,
    #[serde(flatten)]
    cost: Cost,
    salt: String,
    cipher: String,
    nonce: String,
}

/// Only what every version has.
#[derive(Deserialize)]
struct AnyVersion {
    hearth_key: u64,
}

/// The content of a key file.
pub(super) fn seal(
    secret: &[u8],
    address: &Hotkey,
    passphrase: &Passphrase,
    cost: Cost,
    entropy: &mut Entropy,
) -> Result<Vec<u8>, SealError> {
    let (mut salt, mut nonce) = ([0_u8; 16], [0_u8; 24]);
    entropy.fill(&mut salt);
    entropy.fill(&mut nonce);
    let header = Header {
        hearth_key: VERSION,
        address: address.clone(),
        kdf: KDF.to_owned(),
        cost,
        salt: hex::encode(salt),
        cipher: CIPHER.to_owned(),
        nonce: hex::encode(nonce),
    };
    let mut file = serde_json::to_vec(&header).map_err(|_| SealError::Cipher)?;
    let cipher = cipher(passphrase, &salt, cost)?;
    let payload = Payload { msg: secret, aad: &file };
    let sealed = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::Cipher)?;
    file.push(b'\n');
    file.extend_from_slice(hex::encode(sealed).as_bytes());
    file.push(b'\n');
    Ok(file)
}

/// The secret in a key file, and the address that it says.
pub(super) fn open(
    file: &[u8],
    passphrase: &Passphrase,
) -> Result<(Zeroizing<Vec<u8>>, Hotkey), SealError> {
    let (line, header, mut sealed) = parts(file)?;
    let (mut salt, mut nonce) = ([0_u8; 16], [0_u8; 24]);
    hex::decode_to_slice(&header.salt, &mut salt).map_err(|_| SealError::NotAKeyFile)?;
    hex::decode_to_slice(&header.nonce, &mut nonce).map_err(|_| SealError::NotAKeyFile)?;
    if !header.cost.is_sane() {
        return Err(SealError::Cost);
    }
    cipher(passphrase, &salt, header.cost)?
        .decrypt_in_place(&XNonce::from(nonce), line, &mut *sealed)
        .map_err(|_| SealError::WrongPassphrase)?;
    Ok((sealed, header.address))
}

/// Whether a file is whole, as far as one sees without the passphrase.
pub(super) fn check(file: &[u8]) -> Result<(), SealError> {
    parts(file).map(|_| ())
}

/// Whose key it is, as the file says.
pub(super) fn address(file: &[u8]) -> Result<Hotkey, SealError> {
    parts(file).map(|(_, header, _)| header.address)
}

/// The first line, read and as it stands, and the bytes of the second.
fn parts(file: &[u8]) -> Result<(&[u8], Header, Zeroizing<Vec<u8>>), SealError> {
    let end = file.iter().position(|byte| *byte == b'\n').unwrap_or(file.len());
    let line = &file[..end];
    let any: AnyVersion = serde_json::from_slice(line).map_err(|_| SealError::NotAKeyFile)?;
    if any.hearth_key != u64::from(VERSION) {
        return Err(SealError::Version(any.hearth_key));
    }
    let header: Header = serde_json::from_slice(line).map_err(|_| SealError::NotAKeyFile)?;
    if header.kdf != KDF || header.cipher != CIPHER {
        return Err(SealError::NotAKeyFile);
    }
    let rest = file.get(end + 1..).and_then(|rest| rest.strip_suffix(b"\n"));
    let sealed = rest.and_then(|rest| hex::decode(rest).ok()).map(Zeroizing::new);
    let sealed = sealed.filter(|sealed| sealed.len() > TAG).ok_or(SealError::CutOff)?;
    Ok((line, header, sealed))
}

fn cipher(
    passphrase: &Passphrase,
    salt: &[u8],
    cost: Cost,
) -> Result<XChaCha20Poly1305, SealError> {
    let mut key = Zeroizing::new([0_u8; 32]);
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(key.len()))
        .map_err(|_| SealError::Cost)?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, key.as_mut())
        .map_err(|error| match error {
            argon2::Error::OutOfMemory => SealError::Memory(cost.memory_kib >> 10),
            _ => SealError::Cost,
        })?;
    XChaCha20Poly1305::new_from_slice(key.as_ref()).map_err(|_| SealError::Cipher)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory_kib: 8 << 10, passes: 1, lanes: 1 };
    const SECRET: &[u8] = b"bottom drive obey lake";

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::existing(Zeroizing::new(text.to_owned())).unwrap()
    }

    fn address() -> Hotkey {
        Hotkey::from_public_key(&[7; 32])
    }

    fn sealed() -> Vec<u8> {
        let mut entropy = Entropy::seeded(1, "seal");
        seal(SECRET, &address(), &passphrase("right"), CHEAP, &mut entropy).unwrap()
    }

    #[test]
    fn the_right_passphrase_opens_it_and_no_other() {
        let file = sealed();
        let (secret, told) = open(&file, &passphrase("right")).unwrap();
        assert_eq!((secret.as_slice(), told), (SECRET, address()));
        let wrong = open(&file, &passphrase("wrong")).unwrap_err();
        assert_eq!(wrong, SealError::WrongPassphrase);
        assert!(!String::from_utf8(file).unwrap().contains("bottom"));
    }

    #[test]
    fn two_files_of_one_secret_have_nothing_in_common_but_the_address() {
        let mut entropy = Entropy::seeded(1, "two");
        let mut make =
            || seal(SECRET, &address(), &passphrase("right"), CHEAP, &mut entropy).unwrap();
        let (one, two) = (make(), make());
        let second = |file: &[u8]| file.split(|byte| *byte == b'\n').nth(1).unwrap().to_vec();
        assert_ne!(second(&one), second(&two));
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_noticed() {
        let file = sealed();
        let right = passphrase("right");
        for end in 0..file.len() {
            assert!(check(&file[..end]).is_err(), "cut at {end}");
        }
        // Each place once would be an Argon2id run each; the header's fields and the text are enough.
        let text = String::from_utf8(file.clone()).unwrap();
        let other = Hotkey::from_public_key(&[8; 32]);
        for edited in [
            text.replace(address().as_str(), other.as_str()),
            text.replace("\"passes\":1", "\"passes\":2"),
            text.replace("\"lanes\":1", "\"lanes\":2"),
            {
                let at = text.len() - 2;
                let flipped = if text.as_bytes()[at] == b'0' { "1" } else { "0" };
                format!("{}{flipped}\n", &text[..at])
            },
        ] {
            assert_ne!(edited, text);
            assert_eq!(open(edited.as_bytes(), &right).unwrap_err(), SealError::WrongPassphrase);
        }
    }

    /// Made once: each takes an Argon2id run.
    static SEALED: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(sealed);

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, at in 0_usize..400, byte: u8) {
            let _ = check(&bytes);
            let mut file = SEALED.clone();
            let at = at % file.len();
            file[at] = byte;
            // Whatever one byte does, the address is that of the line that will be authenticated.
            if let Ok(told) = super::address(&file) {
                proptest::prop_assert!(String::from_utf8_lossy(&file).contains(told.as_str()));
            }
        }
    }

    #[test]
    fn absurd_costs_and_other_versions_are_refused_before_any_memory_is_taken() {
        let text = String::from_utf8(sealed()).unwrap();
        let right = passphrase("right");
        let refused = |from: &str, to: &str| {
            let edited = text.replace(from, to);
            assert_ne!(edited, text);
            open(edited.as_bytes(), &right).unwrap_err()
        };
        for memory in ["4294967295", "1048577", "8"] {
            let to = format!("\"memory_kib\":{memory}");
            assert_eq!(refused("\"memory_kib\":8192", &to), SealError::Cost);
        }
        assert_eq!(refused("\"passes\":1", "\"passes\":4000000000"), SealError::Cost);
        assert_eq!(refused("\"lanes\":1", "\"lanes\":200"), SealError::Cost);
        assert_eq!(refused("\"hearth_key\":1", "\"hearth_key\":2"), SealError::Version(2));
        assert_eq!(refused("argon2id", "argon2zz"), SealError::NotAKeyFile);
        assert_eq!(open(b"$NACLxxxx", &right).unwrap_err(), SealError::NotAKeyFile);
        assert!(Cost::USUAL.is_sane());
    }
}

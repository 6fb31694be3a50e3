//! Encrypted key files: `$NACL`, a nonce, and a secret box over the key's JSON, as the current
//! Bittensor wallet library writes them. Its password hash takes 512 MiB of memory and about five
//! seconds: call this away from a screen's thread.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use crypto_secretbox::aead::AeadInPlace as _;
use crypto_secretbox::{Key, KeyInit as _, Nonce, Tag, XSalsa20Poly1305};
use zeroize::{Zeroize as _, Zeroizing};

use crate::clock::Entropy;

/// How an encrypted file begins.
const NACL: &[u8] = b"$NACL";
/// How those of older programs begin (Ansible Vault, Fernet).
const LEGACY: [&[u8]; 2] = [b"$ANSIBLE_VAULT", b"gAAAAA"];
/// The library's salt: the same for every file.
const SALT: &[u8; 16] = b"\x13q\x83\xdf\xf1Z\t\xbc\x9c\x90\xb5Q\x879\xe9\xb1";
/// Argon2i with libsodium's "sensitive" cost: KiB of memory, and passes over it.
const MEMORY_KIB: u32 = 512 << 10;
const PASSES: u32 = 8;
const NONCE: usize = 24;
const TAG: usize = 16;
/// What stands before the encrypted text.
const HEAD: usize = NACL.len() + NONCE + TAG;

/// How a key file is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Not at all: JSON, or words.
    None,
    /// The current form.
    Nacl,
    /// A form of older programs, which is not read.
    Legacy,
}

impl Protection {
    /// By how the file begins.
    pub fn of(content: &[u8]) -> Self {
        if content.starts_with(NACL) {
            Self::Nacl
        } else if LEGACY.iter().any(|start| content.starts_with(start)) {
            Self::Legacy
        } else {
            Self::None
        }
    }
}

/// Why a file was not encrypted or decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// No password.
    #[error("an empty password protects nothing: choose one")]
    NoPassword,
    /// The password's hash needs more memory than there is.
    #[error(
        "there is not enough memory: Bittensor's encryption takes 512 MiB for a moment; close other \
         programs and try again"
    )]
    Memory,
    /// Wrong password, or a damaged file: they look the same.
    #[error("the password is wrong, or the file is damaged: try the password again")]
    Password,
    /// Older programs' encryption.
    #[error(
        "this file is encrypted the way older Bittensor programs did it: restore the key from its \
         words, or open it with the program that made it and save it anew"
    )]
    Legacy,
    /// Not an encrypted file, or cut short.
    #[error("this is not an encrypted Bittensor key file, or its end is missing")]
    NotSealed,
}

/// Encrypts `plain` under `password`. Takes seconds and 512 MiB.
pub fn seal(plain: &[u8], password: &str, entropy: &mut Entropy) -> Result<Vec<u8>, SealError> {
    let key = key(password)?;
    let mut nonce = Nonce::default();
    entropy.fill(&mut nonce);
    close_box(plain, &key, &nonce)
}

/// Decrypts what [`seal`] or the library wrote. Takes seconds and 512 MiB.
pub fn open(sealed: &[u8], password: &str) -> Result<Zeroizing<Vec<u8>>, SealError> {
    match Protection::of(sealed) {
        Protection::Nacl if sealed.len() >= HEAD => open_box(sealed, &*key(password)?),
        Protection::Legacy => Err(SealError::Legacy),
        Protection::Nacl | Protection::None => Err(SealError::NotSealed),
    }
}

fn close_box(plain: &[u8], key: &[u8; 32], nonce: &Nonce) -> Result<Vec<u8>, SealError> {
    // Room for all of it at once, so that the plain text has no copy that is not overwritten.
    let mut sealed = Vec::with_capacity(HEAD + plain.len());
    sealed.extend_from_slice(NACL);
    sealed.extend_from_slice(nonce);
    sealed.extend_from_slice(&[0; TAG]);
    sealed.extend_from_slice(plain);
    // Only a text of many gigabytes is refused.
    let tag = XSalsa20Poly1305::new(Key::from_slice(key))
        .encrypt_in_place_detached(nonce, b"", &mut sealed[HEAD..])
        .map_err(|_| SealError::Memory)?;
    sealed[HEAD - TAG..HEAD].copy_from_slice(&tag);
    Ok(sealed)
}

fn open_box(sealed: &[u8], key: &[u8; 32]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let (head, text) = sealed.split_at_checked(HEAD).ok_or(SealError::NotSealed)?;
    let (nonce, tag) = head[NACL.len()..].split_at(NONCE);
    let mut plain = Zeroizing::new(text.to_vec());
    XSalsa20Poly1305::new(Key::from_slice(key))
        .decrypt_in_place_detached(
            Nonce::from_slice(nonce),
            b"",
            plain.as_mut_slice(),
            Tag::from_slice(tag),
        )
        .map_err(|_| SealError::Password)?;
    Ok(plain)
}

fn key(password: &str) -> Result<Zeroizing<[u8; 32]>, SealError> {
    if password.is_empty() {
        return Err(SealError::NoPassword);
    }
    let params = Params::new(MEMORY_KIB, PASSES, 1, Some(32)).map_err(|_| SealError::Memory)?;
    let mut memory: Vec<Block> = Vec::new();
    memory.try_reserve_exact(params.block_count()).map_err(|_| SealError::Memory)?;
    memory.resize(params.block_count(), Block::default());
    let mut key = Zeroizing::new([0_u8; 32]);
    let hashed = Argon2::new(Algorithm::Argon2i, Version::V0x13, params)
        .hash_password_into_with_memory(password.as_bytes(), SALT, key.as_mut(), &mut memory);
    memory.iter_mut().for_each(|block| block.zeroize());
    hashed.map_err(|_| SealError::Memory)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_encrypted_file_is_refused_before_any_work() {
        let refusal = |content: &[u8]| open(content, "pw").unwrap_err();
        assert_eq!(refusal(b""), SealError::NotSealed);
        assert_eq!(refusal(b"{}"), SealError::NotSealed);
        assert_eq!(refusal(b"$NACL0123456789012345678901230123456789"), SealError::NotSealed);
        assert_eq!(refusal(b"$ANSIBLE_VAULT;1.1"), SealError::Legacy);
        assert_eq!(refusal(b"gAAAAABf"), SealError::Legacy);
        let none = seal(b"x", "", &mut Entropy::seeded(1, "seal")).unwrap_err();
        assert_eq!(none, SealError::NoPassword);
    }

    #[test]
    fn a_box_opens_with_its_key_only_and_only_whole() {
        let sealed = close_box(b"{\"a\":1}", &[7; 32], &Nonce::default()).unwrap();
        assert_eq!(Protection::of(&sealed), Protection::Nacl);
        assert_eq!(open_box(&sealed, &[7; 32]).unwrap().as_slice(), b"{\"a\":1}");
        assert_eq!(open_box(&sealed, &[8; 32]).unwrap_err(), SealError::Password);
        for place in NACL.len()..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert_eq!(open_box(&changed, &[7; 32]).unwrap_err(), SealError::Password);
        }
        for end in HEAD..sealed.len() {
            assert_eq!(open_box(&sealed[..end], &[7; 32]).unwrap_err(), SealError::Password);
        }
        assert_eq!(open_box(&sealed[..HEAD - 1], &[7; 32]).unwrap_err(), SealError::NotSealed);
    }
}

//! The raw activation pull (spec 6.6): version 2 is signed by the asking hotkey; version 1 and the
//! legacy form are recognised only to be answered "unauthorized".

use schnorrkel::Keypair;

use crate::protocol::constants::P2P_AUTH_TIMEOUT_MS;
use crate::protocol::epistula::{EpistulaError, digest_message, is_stale, sign, verify};
use crate::protocol::ids::{ActivationId, Hotkey};

const ADDRESS_LEN: usize = 48;
const SIGNATURE_LEN: usize = 64;

/// Why bytes are not a pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PullError {
    /// Too short, or longer than it says.
    #[error("the peer's request has the wrong length")]
    Length,
    /// The id or the address is not text.
    #[error("the peer's request holds bytes that are not text")]
    Text,
    /// The address has a wrong checksum or another network's prefix.
    #[error("the peer's request names an asker that is not an address")]
    Address,
}

/// A request for an activation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PullRequest {
    /// Version 2.
    Signed(Box<SignedPull>),
    /// Version 1 or the legacy form: to be answered "unauthorized".
    Unsigned(ActivationId),
}

/// A signed request for an activation. [`SignedPull::verify`] before serving it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedPull {
    /// When it was signed, Unix milliseconds.
    pub timestamp_ms: u64,
    /// Who asks.
    pub asker: Hotkey,
    /// sr25519, over [`SignedPull::message`].
    pub signature: [u8; 64],
    /// What is asked for.
    pub activation_id: ActivationId,
}

impl SignedPull {
    /// A request for `activation_id`, signed at `timestamp_ms`. `fill` must give unpredictable bytes.
    pub fn sign(
        keypair: &Keypair,
        activation_id: ActivationId,
        timestamp_ms: u64,
        fill: &mut dyn FnMut(&mut [u8]),
    ) -> Self {
        let message = signed_message(&activation_id, timestamp_ms);
        Self {
            timestamp_ms,
            asker: Hotkey::from_public_key(&keypair.public.to_bytes()),
            signature: sign(keypair, message.as_bytes(), fill),
            activation_id,
        }
    }

    /// The text that is signed.
    pub fn message(&self) -> String {
        signed_message(&self.activation_id, self.timestamp_ms)
    }

    /// Fails unless the signature fits and is not older than 30 s at `now_ms`. Any hotkey may ask.
    pub fn verify(&self, now_ms: u64) -> Result<(), EpistulaError> {
        if is_stale(i128::from(self.timestamp_ms), now_ms, P2P_AUTH_TIMEOUT_MS) {
            return Err(EpistulaError::Stale);
        }
        verify(&self.asker.public_key()?, self.message().as_bytes(), &self.signature)
    }

    /// The request on the wire. `None` when the id is longer than 65535 bytes.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let id = length_prefixed(&self.activation_id)?;
        let mut bytes = vec![2];
        bytes.extend_from_slice(&self.timestamp_ms.to_be_bytes());
        let mut address = [0; ADDRESS_LEN];
        let text = self.asker.as_str().as_bytes();
        address.get_mut(..text.len())?.copy_from_slice(text);
        bytes.extend_from_slice(&address);
        bytes.extend_from_slice(&self.signature);
        bytes.extend_from_slice(&id);
        Some(bytes)
    }
}

/// A version 1 request, which every current miner refuses; for tests of that.
/// `None` when the id is longer than 65535 bytes.
pub fn unsigned_pull(activation_id: &ActivationId) -> Option<Vec<u8>> {
    let mut bytes = vec![1];
    bytes.extend_from_slice(&length_prefixed(activation_id)?);
    Some(bytes)
}

/// Reads a raw message as a pull request.
pub fn decode_pull(message: &[u8]) -> Result<PullRequest, PullError> {
    match message.split_first() {
        Some((1, rest)) => Ok(PullRequest::Unsigned(id(rest)?)),
        Some((2, rest)) => signed(rest).map(|pull| PullRequest::Signed(Box::new(pull))),
        _ => Ok(PullRequest::Unsigned(id(message)?)),
    }
}

fn signed(bytes: &[u8]) -> Result<SignedPull, PullError> {
    let (timestamp, bytes) = bytes.split_first_chunk::<8>().ok_or(PullError::Length)?;
    let (address, bytes) = bytes.split_first_chunk::<ADDRESS_LEN>().ok_or(PullError::Length)?;
    let (signature, bytes) = bytes.split_first_chunk::<SIGNATURE_LEN>().ok_or(PullError::Length)?;
    let end = address.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let address = std::str::from_utf8(&address[..end]).map_err(|_| PullError::Text)?;
    Ok(SignedPull {
        timestamp_ms: u64::from_be_bytes(*timestamp),
        asker: address.parse().map_err(|_| PullError::Address)?,
        signature: *signature,
        activation_id: id(bytes)?,
    })
}

fn id(bytes: &[u8]) -> Result<ActivationId, PullError> {
    let (len, text) = bytes.split_first_chunk::<2>().ok_or(PullError::Length)?;
    if text.len() != usize::from(u16::from_be_bytes(*len)) {
        return Err(PullError::Length);
    }
    std::str::from_utf8(text).map(ActivationId::from).map_err(|_| PullError::Text)
}

fn length_prefixed(id: &ActivationId) -> Option<Vec<u8>> {
    let text = id.as_str().as_bytes();
    let mut bytes = u16::try_from(text.len()).ok()?.to_be_bytes().to_vec();
    bytes.extend_from_slice(text);
    Some(bytes)
}

fn signed_message(id: &ActivationId, timestamp_ms: u64) -> String {
    digest_message(id.as_str().as_bytes(), &timestamp_ms.to_string(), "")
}

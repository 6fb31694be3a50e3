//! Request signing and checking (spec 3.2 to 3.4): an sr25519 signature, context `substrate`, over
//! `sha256(canonical body) . timestamp . signed_for`. Also used for peer pull requests (spec 6.6).

use rand_core_06::{CryptoRng, RngCore};
use schnorrkel::context::attach_rng;
use schnorrkel::{Keypair, PublicKey, Signature, signing_context};
use sha2::{Digest, Sha256};

use super::canonical::{CanonicalError, canonical_body};
use super::ids::Hotkey;
use super::ss58::Ss58Error;

/// Header: Unix milliseconds.
pub const HEADER_TIMESTAMP: &str = "Epistula-Timestamp";
/// Header: SS58 address of the signing hotkey.
pub const HEADER_SIGNED_BY: &str = "Epistula-Signed-By";
/// Header: `0x` and 128 hexadecimal digits.
pub const HEADER_SIGNATURE: &str = "Epistula-Request-Signature";
/// Header: whom the request is for; never sent to the orchestrator.
pub const HEADER_SIGNED_FOR: &str = "Epistula-Signed-For";
/// Header: protocol version.
pub const HEADER_SPEC_VERSION: &str = "X-Spec-Version";
/// Header: UUID of the logical request; the answer repeats it.
pub const HEADER_REQUEST_ID: &str = "X-Request-Id";
/// Header: whether a host app runs the miner, `true` or `false`.
pub const HEADER_IS_MOUNTED: &str = "X-Is-Mounted";
/// Header: the host app's version, only when there is one.
pub const HEADER_HOST_VERSION: &str = "X-Host-Version";

/// The three headers that a signature consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHeaders {
    /// Value of [`HEADER_TIMESTAMP`].
    pub timestamp: String,
    /// Value of [`HEADER_SIGNED_BY`].
    pub signed_by: Hotkey,
    /// Value of [`HEADER_SIGNATURE`].
    pub signature: String,
}

/// Why a signed request is refused.
#[derive(Debug, thiserror::Error)]
pub enum EpistulaError {
    /// The body has no canonical form.
    #[error("the request's body cannot be checked: {0}")]
    Body(#[from] CanonicalError),
    /// The signer is not an address.
    #[error("the request's signer is wrong: {0}")]
    Signer(#[from] Ss58Error),
    /// The signature is not `0x` and 128 hexadecimal digits of a signature.
    #[error("the request's signature is malformed")]
    Malformed,
    /// The signature does not fit.
    #[error("the request's signature does not match its body, time and signer")]
    Mismatch,
    /// The timestamp is not a number.
    #[error("the request's timestamp is not a number")]
    Timestamp,
    /// Older than the server allows.
    #[error("Request is too stale")]
    Stale,
}

/// The text that is signed for a request with this canonical body.
/// `signed_for` is empty towards the orchestrator, so that the text ends with a dot.
pub fn message(canonical_body: &str, timestamp: &str, signed_for: &str) -> String {
    digest_message(canonical_body.as_bytes(), timestamp, signed_for)
}

/// `hex(sha256(bytes)) . timestamp . signed_for`.
pub(super) fn digest_message(bytes: &[u8], timestamp: &str, signed_for: &str) -> String {
    format!("{}.{timestamp}.{signed_for}", hex::encode(Sha256::digest(bytes)))
}

/// Signs a request with body `body` (empty when there is none), sent at `timestamp_ms`.
/// `fill` must give unpredictable bytes.
pub fn sign_request(
    keypair: &Keypair,
    body: &[u8],
    timestamp_ms: u64,
    fill: &mut dyn FnMut(&mut [u8]),
) -> Result<SignedHeaders, CanonicalError> {
    let timestamp = timestamp_ms.to_string();
    let message = message(&canonical_body(body)?, &timestamp, "");
    let signature = sign(keypair, message.as_bytes(), fill);
    Ok(SignedHeaders {
        timestamp,
        signed_by: Hotkey::from_public_key(&keypair.public.to_bytes()),
        signature: format!("0x{}", hex::encode(signature)),
    })
}

/// Checks a request's signature over `body` (empty when there is none) and that it is not older than
/// `timeout_ms` at `now_ms`. Future timestamps pass, as on the live network.
pub fn verify_request(
    signed_by: &str,
    signature: &str,
    timestamp: &str,
    body: &[u8],
    now_ms: u64,
    timeout_ms: u64,
) -> Result<Hotkey, EpistulaError> {
    if is_stale(parse_timestamp(timestamp)?, now_ms, timeout_ms) {
        return Err(EpistulaError::Stale);
    }
    let hotkey: Hotkey = signed_by.parse()?;
    let public = hotkey.public_key()?;
    let digits = signature.strip_prefix("0x").unwrap_or(signature);
    let mut bytes = [0_u8; 64];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| EpistulaError::Malformed)?;
    let message = message(&canonical_body(body)?, timestamp, "");
    verify(&public, message.as_bytes(), &bytes)?;
    Ok(hotkey)
}

/// Whether a request made at `timestamp_ms` is too old at `now_ms`.
pub fn is_stale(timestamp_ms: i128, now_ms: u64, timeout_ms: u64) -> bool {
    timestamp_ms + i128::from(timeout_ms) < i128::from(now_ms)
}

/// `int(float(text))`, as the server reads a timestamp.
fn parse_timestamp(text: &str) -> Result<i128, EpistulaError> {
    let seconds: f64 = text.parse().map_err(|_| EpistulaError::Timestamp)?;
    if !seconds.is_finite() {
        return Err(EpistulaError::Timestamp);
    }
    #[allow(clippy::cast_possible_truncation)] // Saturates, which is as stale or as future.
    Ok((seconds as i128).clamp(i128::from(i64::MIN), i128::from(i64::MAX)))
}

/// Signs `message` with context `substrate`. `fill` must give unpredictable bytes: the signature is
/// randomised, so that no fault can reveal the key.
pub fn sign(keypair: &Keypair, message: &[u8], fill: &mut dyn FnMut(&mut [u8])) -> [u8; 64] {
    let transcript = signing_context(b"substrate").bytes(message);
    keypair.sign(attach_rng(transcript, Filled(fill))).to_bytes()
}

/// Checks `signature` over `message`, plain or in the `<Bytes>` wrapper of browser wallets.
pub fn verify(
    public: &[u8; 32],
    message: &[u8],
    signature: &[u8; 64],
) -> Result<(), EpistulaError> {
    let public = PublicKey::from_bytes(public).map_err(|_| EpistulaError::Malformed)?;
    let signature = Signature::from_bytes(signature).map_err(|_| EpistulaError::Malformed)?;
    let context = signing_context(b"substrate");
    if public.verify(context.bytes(message), &signature).is_ok() {
        return Ok(());
    }
    let wrapped = [b"<Bytes>", message, b"</Bytes>"].concat();
    public.verify(context.bytes(&wrapped), &signature).map_err(|_| EpistulaError::Mismatch)
}

/// Lets the signature crate draw from the caller's randomness.
struct Filled<'a>(&'a mut dyn FnMut(&mut [u8]));

impl RngCore for Filled<'_> {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        (self.0)(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        (self.0)(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        (self.0)(out);
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), rand_core_06::Error> {
        (self.0)(out);
        Ok(())
    }
}

impl CryptoRng for Filled<'_> {}

#[cfg(test)]
mod tests {
    use schnorrkel::{ExpansionMode, MiniSecretKey};

    use super::*;

    fn keypair() -> Keypair {
        MiniSecretKey::from_bytes(&[9; 32]).unwrap().expand_to_keypair(ExpansionMode::Ed25519)
    }

    fn count() -> impl FnMut(&mut [u8]) {
        let mut next = 0_u8;
        move |out: &mut [u8]| {
            for byte in out {
                next = next.wrapping_add(37);
                *byte = next;
            }
        }
    }

    const NOW: u64 = 1_784_300_000_000;

    #[test]
    fn a_signed_request_verifies_however_its_json_is_laid_out() {
        let signed = sign_request(&keypair(), br#"{"b":1,"a":0.10}"#, NOW, &mut count()).unwrap();
        let check = |body: &[u8], stamp: &str, now| {
            let (by, sig) = (signed.signed_by.as_str(), signed.signature.as_str());
            verify_request(by, sig, stamp, body, now, 10_000)
        };
        assert_eq!(
            check(br#"{ "a": 0.1, "b": 1 }"#, &signed.timestamp, NOW).unwrap(),
            signed.signed_by
        );
        let other_body = check(br#"{"a":0.1,"b":2}"#, &signed.timestamp, NOW);
        assert!(matches!(other_body, Err(EpistulaError::Mismatch)));
        let other_time = check(br#"{"a":0.1,"b":1}"#, "1784300000001", NOW);
        assert!(matches!(other_time, Err(EpistulaError::Mismatch)));
        assert!(matches!(check(b"{", &signed.timestamp, NOW), Err(EpistulaError::Body(_))));
        assert!(matches!(check(b"", "soon", NOW), Err(EpistulaError::Timestamp)));
    }

    #[test]
    fn old_requests_are_stale_at_the_exact_millisecond_and_future_ones_are_not() {
        let signed = sign_request(&keypair(), b"", NOW, &mut count()).unwrap();
        let at = |now| {
            let (by, sig) = (signed.signed_by.as_str(), signed.signature.as_str());
            verify_request(by, sig, &signed.timestamp, b"{}", now, 10_000)
        };
        assert!(at(NOW + 10_000).is_ok());
        assert!(matches!(at(NOW + 10_001), Err(EpistulaError::Stale)));
        assert!(at(0).is_ok());
    }

    #[test]
    fn malformed_signers_and_signatures_are_refused() {
        let signed = sign_request(&keypair(), b"", NOW, &mut count()).unwrap();
        let by = signed.signed_by.as_str();
        for bad in ["", "0x", "0x00", &format!("0x{}", "zz".repeat(64)), &"0".repeat(128)] {
            let refused = verify_request(by, bad, &signed.timestamp, b"", NOW, 1);
            assert!(matches!(refused, Err(EpistulaError::Malformed)), "{bad}");
        }
        let refused = verify_request("5Grw", &signed.signature, &signed.timestamp, b"", NOW, 1);
        assert!(matches!(refused, Err(EpistulaError::Signer(_))));
    }

    #[test]
    fn the_randomness_is_the_callers() {
        let twice: Vec<_> = (0..2).map(|_| sign(&keypair(), b"m", &mut count())).collect();
        assert_eq!(twice[0], twice[1]);
        let public = keypair().public.to_bytes();
        assert!(verify(&public, b"m", &twice[0]).is_ok());
        let wrapped = sign(&keypair(), b"<Bytes>m</Bytes>", &mut count());
        assert!(verify(&public, b"m", &wrapped).is_ok());
    }
}

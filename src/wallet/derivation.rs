//! Paths from one secret to many keys, the Substrate way: `//hard` and `/soft` steps. They are here so
//! that several devices take keys of one phrase, and so that keys made elsewhere with a path work.

use std::fmt;
use std::str::FromStr;

use blake2::{Blake2b256, Digest as _};
use rand_core_06::{CryptoRng, RngCore};
use schnorrkel::derive::{ChainCode, Derivation as _};
use schnorrkel::{ExpansionMode, MiniSecretKey, SecretKey};
use zeroize::Zeroizing;

/// The name below which the keys of devices are.
const DEVICES: &str = "hearth";

/// Why a text is not a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DerivationError {
    /// It does not begin with a slash.
    #[error("a derivation path begins with / or //, such as //hearth//1")]
    Start,
    /// A slash with nothing after it, or three of them.
    #[error(
        "each step of a derivation path is /name or //name, such as //hearth//1; there is a slash \
         too many"
    )]
    Slash,
}

/// How a step mixes its name into the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// The step needs the secret; whoever knows the key after it cannot go back.
    Hard,
    /// The step could be taken with the public key alone.
    Soft,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Junction {
    kind: Kind,
    name: String,
}

impl Junction {
    /// The 32 bytes that stand for the name: a number as 8 bytes, a text as SCALE writes it; hashed
    /// when longer, filled with zeros when shorter.
    fn chain_code(&self) -> ChainCode {
        let encoded = match self.name.parse::<u64>() {
            Ok(number) => number.to_le_bytes().to_vec(),
            Err(_) => scale_text(&self.name),
        };
        let mut code = [0_u8; 32];
        if encoded.len() > code.len() {
            code.copy_from_slice(&Blake2b256::digest(&encoded));
        } else {
            code[..encoded.len()].copy_from_slice(&encoded);
        }
        ChainCode(code)
    }
}

/// A text with its length in front in SCALE's compact form.
fn scale_text(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let mut bytes = match length {
        0..=0x3f => vec![length.to_le_bytes()[0] << 2],
        0x40..=0x3fff => ((length << 2) | 1).to_le_bytes()[..2].to_vec(),
        0x4000..=0x3fff_ffff => ((length << 2) | 2).to_le_bytes().to_vec(),
        _ => [&[3][..], &length.to_le_bytes()].concat(),
    };
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// A path of steps; empty means the root itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Derivation(Vec<Junction>);

impl Derivation {
    /// The path of device `number`: `//hearth//N`.
    pub fn device(number: u32) -> Self {
        Self(vec![hard(DEVICES), hard(&number.to_string())])
    }

    /// The device that the end of this path names, if it does.
    pub fn device_number(&self) -> Option<u32> {
        match self.0.as_slice() {
            [.., above, last] if *above == hard(DEVICES) && last.kind == Kind::Hard => {
                last.name.parse().ok()
            }
            _ => None,
        }
    }

    /// Whether this is the root itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path of device `number` beside the one that this path names, or below this path when it
    /// names none.
    pub(super) fn sibling_device(&self, number: u32) -> Self {
        let above = if self.device_number().is_some() { self.0.len() - 2 } else { self.0.len() };
        Self([&self.0[..above], &Self::device(number).0].concat())
    }

    /// The key at the end of this path. A mini secret remains one as long as all steps are hard.
    pub(super) fn apply(&self, from: Derived) -> Derived {
        self.0.iter().fold(from, |key, junction| {
            let code = junction.chain_code();
            match junction.kind {
                Kind::Hard => {
                    let (mini, _) = key.secret.hard_derive_mini_secret_key(Some(code), b"");
                    match key.mini {
                        Some(_) => Derived::from_mini(&mini),
                        None => Derived { secret: expand(&mini), mini: None },
                    }
                }
                Kind::Soft => {
                    let (secret, _) = key.secret.derived_key_simple_rng(code, b"", Nothing);
                    Derived { secret, mini: None }
                }
            }
        })
    }
}

fn hard(name: &str) -> Junction {
    Junction { kind: Kind::Hard, name: name.to_owned() }
}

fn expand(mini: &MiniSecretKey) -> SecretKey {
    mini.expand(ExpansionMode::Ed25519)
}

/// A secret on its way along a path.
pub(super) struct Derived {
    /// What signs.
    pub(super) secret: SecretKey,
    /// What it was expanded from, where that is known.
    pub(super) mini: Option<Zeroizing<[u8; 32]>>,
}

impl Derived {
    pub(super) fn from_mini(mini: &MiniSecretKey) -> Self {
        Self { secret: expand(mini), mini: Some(Zeroizing::new(mini.to_bytes())) }
    }
}

/// Randomness that adds nothing. A soft step draws the new key's nonce seed from the old one, the
/// secret and a random source; without the last, the same path always gives the same bytes.
struct Nothing;

impl RngCore for Nothing {
    fn next_u32(&mut self) -> u32 {
        0
    }

    fn next_u64(&mut self) -> u64 {
        0
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        out.fill(0);
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), rand_core_06::Error> {
        out.fill(0);
        Ok(())
    }
}

impl CryptoRng for Nothing {}

impl FromStr for Derivation {
    type Err = DerivationError;

    fn from_str(text: &str) -> Result<Self, DerivationError> {
        let mut steps = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let after = rest.strip_prefix('/').ok_or(DerivationError::Start)?;
            let (kind, after) = match after.strip_prefix('/') {
                Some(after) => (Kind::Hard, after),
                None => (Kind::Soft, after),
            };
            let end = after.find('/').unwrap_or(after.len());
            let (name, next) = after.split_at(end);
            if name.is_empty() {
                return Err(DerivationError::Slash);
            }
            steps.push(Junction { kind, name: name.to_owned() });
            rest = next;
        }
        Ok(Self(steps))
    }
}

impl fmt::Display for Derivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.0 {
            let slashes = if step.kind == Kind::Hard { "//" } else { "/" };
            write!(f, "{slashes}{}", step.name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_survive_a_round_trip_and_bad_ones_say_why() {
        for text in ["", "/a", "//Alice", "//hearth//1", "/soft//hard/2", "//with space"] {
            assert_eq!(text.parse::<Derivation>().unwrap().to_string(), text);
        }
        let refusal = |text: &str| text.parse::<Derivation>().unwrap_err();
        assert_eq!(refusal("Alice"), DerivationError::Start);
        for text in ["/", "//", "///a", "//a/", "//a///b"] {
            assert_eq!(refusal(text), DerivationError::Slash, "{text}");
        }
    }

    #[test]
    fn names_become_the_bytes_that_substrate_gives_them() {
        let code = |name: &str| hard(name).chain_code().0;
        let mut alice = [0; 32];
        alice[..6].copy_from_slice(b"\x14Alice");
        assert_eq!(code("Alice"), alice);
        let mut number = [0; 32];
        number[..2].copy_from_slice(&[0x01, 0x02]);
        assert_eq!(code("513"), number);
        // 32 bytes are the most that fit, with the length in front of 31 letters.
        assert_eq!(code(&"x".repeat(31))[0], 31 << 2);
        assert_ne!(code(&"x".repeat(32))[0], 32 << 2);
        assert_eq!(scale_text(&"x".repeat(64))[..2], [0x01, 0x01]);
    }

    #[test]
    fn devices_have_their_own_hard_path() {
        let device = Derivation::device(7);
        assert_eq!(device.to_string(), "//hearth//7");
        assert_eq!(device.device_number(), Some(7));
        assert_eq!(device.sibling_device(8), Derivation::device(8));
        let below: Derivation = "//rig".parse().unwrap();
        assert_eq!(below.sibling_device(2).to_string(), "//rig//hearth//2");
        for none in ["", "//hearth", "//hearth/7", "/hearth//7", "//hearth//x"] {
            assert_eq!(none.parse::<Derivation>().unwrap().device_number(), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_path_that_says_the_same_or_is_refused(text in "[/a-c0-9é]{0,20}") {
            if let Ok(path) = text.parse::<Derivation>() {
                prop_assert_eq!(path.to_string(), text);
            }
        }
    }
}

//! What a person types or pastes as the address to be paid at, judged while it is typed: a wrong one
//! would pay somebody else or nobody, and what is pasted here may even be a secret.

use std::fmt;
use std::str::FromStr;

use bip39::Language;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::protocol::ids::Hotkey;
use crate::protocol::ss58::{self, Ss58Error};

/// Letters of an SS58 address with prefix 42; no other length is possible.
const LENGTH: usize = 48;
/// Longer texts are no addresses of anybody.
const LONGEST: usize = 200;
/// What a right one looks like; shortened, so that nobody pays this one.
const EXAMPLE: &str = "a right one has 48 letters and digits, such as 5FHneW46…jM694ty";

/// An address that may be paid. Its secret is never needed, and never here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayoutAddress(Hotkey);

impl PayoutAddress {
    /// The address of a key.
    pub fn of_key(key: &Hotkey) -> Self {
        Self(key.clone())
    }

    /// The address as that of a key.
    pub fn key(&self) -> &Hotkey {
        &self.0
    }

    /// The text of the address.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for PayoutAddress {
    type Err = Ss58Error;

    fn from_str(text: &str) -> Result<Self, Ss58Error> {
        text.trim().parse().map(Self)
    }
}

impl fmt::Display for PayoutAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a text is, as an address to be paid at. Its `Display` is one sentence for the user's eye,
/// which never repeats what was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayoutCheck {
    /// Right so far; may become an address.
    Incomplete {
        /// Letters that are there.
        letters: usize,
    },
    /// An address of this network with a right checksum.
    Good(PayoutAddress),
    /// An address of another chain, or the beginning of one.
    OtherChain {
        /// Whose, in words.
        name: String,
    },
    /// Of the right form, with a typing error.
    BadChecksum {
        /// The first letter that no address has: its place, counted from 1, and what was probably
        /// meant.
        alien: Option<(usize, &'static str)>,
    },
    /// Nothing that could become an address.
    NotAnAddress {
        /// What is wrong with it.
        why: &'static str,
    },
    /// Words, a seed or a key file: what must never be given to anybody.
    ASecret,
}

impl PayoutCheck {
    /// Judges `text`.
    pub fn of(text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() {
            return Self::Incomplete { letters: 0 };
        }
        if is_secret(text) {
            return Self::ASecret;
        }
        if let Ok(address) = text.parse() {
            return Self::Good(address);
        }
        if text.len() > LONGEST || text.contains(char::is_whitespace) {
            return Self::NotAnAddress { why: "an address is one piece, without spaces" };
        }
        match other_chain(text) {
            Some(name) => Self::OtherChain { name },
            None => ours_or_nothing(text),
        }
    }

    /// The address, when it is a good one.
    pub fn address(&self) -> Option<&PayoutAddress> {
        match self {
            Self::Good(address) => Some(address),
            _ => None,
        }
    }
}

impl fmt::Display for PayoutCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete { letters: 0 } => {
                write!(f, "a Bittensor address (coldkey) begins with 5; {EXAMPLE}")
            }
            Self::Incomplete { letters } => {
                write!(f, "{letters} of {LENGTH} letters so far; {EXAMPLE}")
            }
            Self::Good(_) => f.write_str("a Bittensor address, its checksum is right"),
            Self::OtherChain { name } => {
                write!(f, "this looks like {name}, which cannot be paid here; {EXAMPLE}")
            }
            Self::BadChecksum { alien: None } => {
                write!(
                    f,
                    "a letter is wrong (the checksum does not match): copy it again; {EXAMPLE}"
                )
            }
            Self::BadChecksum { alien: Some((place, meant)) } => write!(
                f,
                "letter {place} is one that addresses never use ({meant}): copy it again; {EXAMPLE}"
            ),
            Self::NotAnAddress { why } => write!(f, "{why}; {EXAMPLE}"),
            Self::ASecret => write!(
                f,
                "this looks like a secret (words, a seed or a key file): never give that to anybody, \
                 Hearth needs only the public address; {EXAMPLE}"
            ),
        }
    }
}

/// A text that begins as ours do, or like nobody's.
fn ours_or_nothing(text: &str) -> PayoutCheck {
    if !text.starts_with('5') {
        return PayoutCheck::NotAnAddress { why: "a Bittensor address begins with 5" };
    }
    if let Some(alien) = alien(text) {
        return alien;
    }
    match text.len() {
        letters if letters < LENGTH => PayoutCheck::Incomplete { letters },
        LENGTH => PayoutCheck::BadChecksum { alien: None },
        _ => PayoutCheck::NotAnAddress { why: "this is too long for an address" },
    }
}

/// The first letter that is not of the base58 alphabet, which leaves out those that look alike.
fn alien(text: &str) -> Option<PayoutCheck> {
    let found = text.chars().enumerate().find(|(_, letter)| match letter {
        '0' | 'O' | 'I' | 'l' => true,
        _ => !letter.is_ascii_alphanumeric(),
    });
    let (index, letter) = found?;
    let meant = match letter {
        '0' => "there is no digit 0 in them",
        'O' => "there is no capital O in them",
        'I' => "there is no capital I in them",
        'l' => "there is no small L in them; digit 1?",
        _ => {
            return Some(PayoutCheck::NotAnAddress {
                why: "an address has letters and digits only",
            });
        }
    };
    Some(PayoutCheck::BadChecksum { alien: Some((index + 1, meant)) })
}

/// Whether `text` is a secret, or most of one.
fn is_secret(text: &str) -> bool {
    let file = text.starts_with("$NACL")
        || text.starts_with("$ANSIBLE_VAULT")
        || ["secretPhrase", "secretSeed", "privateKey"].iter().any(|field| text.contains(field));
    // A path after the words or the seed makes it no less of a secret.
    let base = text.split('/').next().unwrap_or(text);
    let words: Vec<&str> = base.split_whitespace().take(24).collect();
    let known = |word: &&&str| {
        let word = Zeroizing::new(word.to_lowercase());
        Language::English.find_word(&word).is_some()
    };
    let count = words.iter().filter(known).count();
    // Not all: one may be mistyped, and the last may still be written.
    let phrase = count >= 2 && 2 * count > words.len();
    let digits = base.trim();
    let bare = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let hex = bare.unwrap_or(digits).bytes().all(|letter| letter.is_ascii_hexdigit());
    let seed = match bare {
        // Longer than an Ethereum address: on its way to a seed.
        Some(bare) => bare.len() > 40 && hex,
        None => matches!(digits.len(), 64 | 128) && hex,
    };
    file || phrase || seed
}

/// Whose address `text` is, when it is somebody else's.
fn other_chain(text: &str) -> Option<String> {
    if text.starts_with("0x") || text.starts_with("0X") {
        let hex = text[2..].bytes().all(|letter| letter.is_ascii_hexdigit());
        return (hex && text.len() <= 42).then(|| "an Ethereum address".to_owned());
    }
    bech32(text).or_else(|| substrate(text)).or_else(|| base58_check(text)).or_else(|| solana(text))
}

/// Chains that write a name, the digit 1, and then data in letters of their own (BIP-173).
fn bech32(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let (name, data) = lower.rsplit_once('1')?;
    let of_the_alphabet =
        data.bytes().all(|letter| b"qpzry9x8gf2tvdw0s3jn54khce6mua7l".contains(&letter));
    let named = !name.is_empty() && name.bytes().all(|letter| letter.is_ascii_lowercase());
    if !named || !of_the_alphabet {
        return None;
    }
    match name {
        "bc" | "tb" => Some("a Bitcoin address".to_owned()),
        "ltc" => Some("a Litecoin address".to_owned()),
        "addr" => Some("a Cardano address".to_owned()),
        "cosmos" => Some("a Cosmos address".to_owned()),
        _ => (data.len() >= 38).then(|| "an address of a Cosmos-style network".to_owned()),
    }
}

/// Chains of the Substrate family write the same key with another prefix.
fn substrate(text: &str) -> Option<String> {
    Some(match ss58::network_of(text)? {
        0 => "a Polkadot address (prefix 0)".to_owned(),
        2 => "a Kusama address (prefix 2)".to_owned(),
        prefix => format!("an address of another Substrate network (prefix {prefix})"),
    })
}

/// Bitcoin's older addresses and their likes: version, 20 bytes, 4 bytes of a double SHA-256.
fn base58_check(text: &str) -> Option<String> {
    let bytes = decoded(text)?;
    let (payload, sum) = bytes.split_at_checked(21)?;
    if sum.len() != 4 || Sha256::digest(Sha256::digest(payload))[..4] != *sum {
        return None;
    }
    Some(match payload[0] {
        0 | 5 => "a Bitcoin address".to_owned(),
        30 => "a Dogecoin address".to_owned(),
        48 => "a Litecoin address".to_owned(),
        65 => "a Tron address".to_owned(),
        _ => "an address of a Bitcoin-style network".to_owned(),
    })
}

/// Solana writes 32 bytes without a checksum. One that begins with 5 cannot be told from an
/// unfinished address of ours.
fn solana(text: &str) -> Option<String> {
    let fits = !text.starts_with('5') && decoded(text)?.len() == 32;
    fits.then(|| "a Solana address".to_owned())
}

/// Base58, of texts short enough for a decoder whose time grows with the square of the length.
fn decoded(text: &str) -> Option<Vec<u8>> {
    (text.len() <= 64).then(|| bs58::decode(text).into_vec().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOB: &str = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty";

    fn said(text: &str) -> String {
        PayoutCheck::of(text).to_string()
    }

    #[test]
    fn only_a_real_address_can_be_paid() {
        assert_eq!(format!(" {BOB} ").parse::<PayoutAddress>().unwrap().as_str(), BOB);
        for text in ["", "creators", "default", &BOB.replace("ty", "tz")] {
            assert!(text.parse::<PayoutAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_is_incomplete_until_its_last_letter() {
        for end in 0..LENGTH {
            let check = PayoutCheck::of(&BOB[..end]);
            assert_eq!(check, PayoutCheck::Incomplete { letters: end });
            assert!(check.to_string().contains("5FHneW46…"));
        }
        assert_eq!(PayoutCheck::of(&format!(" {BOB}\n")).address().unwrap().as_str(), BOB);
        assert!(said(&format!("{BOB}x")).contains("too long"));
    }

    #[test]
    fn typing_errors_are_told_with_the_letter_that_cannot_be() {
        let changed = BOB.replace("GX", "GY");
        assert_eq!(PayoutCheck::of(&changed), PayoutCheck::BadChecksum { alien: None });
        for (letter, word) in [("0", "digit 0"), ("O", "capital O"), ("I", "capital I"), ("l", "L")]
        {
            let typed = format!("{}{letter}{}", &BOB[..10], &BOB[11..]);
            let told = said(&typed);
            assert!(told.contains("letter 11") && told.contains(word), "{told}");
        }
        assert!(said("5FHn-eW4").contains("letters and digits"));
        assert!(said("5FHn eW4").contains("without spaces"));
        assert!(said("hello").contains("begins with 5"));
    }

    #[test]
    fn addresses_of_other_chains_are_named() {
        for (text, name) in [
            ("14E5nqKAp3oAJcmzgZhUD2RcptBeUBScxKHgJKU4HPNcKVf3", "Polkadot"),
            ("GLdQ4D4wkeEJUX8DBT9HkpycFVYQZ3fmJyQ5ZgBRxZ4LD3S", "Kusama"),
            ("0x52908400098527886E0F7030069857D2E4169EE7", "Ethereum"),
            ("0x", "Ethereum"),
            ("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "Bitcoin"),
            ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "Bitcoin"),
            ("3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy", "Bitcoin"),
            ("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", "Solana"),
            ("cosmos1fl48vsnmsdzcv85q5d2q4z5ajdha8yu34mf0eh", "Cosmos"),
            ("osmo1fl48vsnmsdzcv85q5d2q4z5ajdha8yu3zx2ra5", "Cosmos-style"),
        ] {
            assert!(matches!(PayoutCheck::of(text), PayoutCheck::OtherChain { .. }), "{text}");
            assert!(said(text).contains(name), "{text}: {}", said(text));
        }
    }

    #[test]
    fn every_prefix_but_ours_is_another_network() {
        for prefix in (0..46_u16).chain([63, 64, 172, 255, 1284, 7391, 16_383]) {
            let text = ss58::encode_for(prefix, &[7; 32]).unwrap();
            match PayoutCheck::of(&text) {
                PayoutCheck::Good(_) => assert_eq!(prefix, 42),
                PayoutCheck::OtherChain { name } => {
                    assert!(name.contains(&format!("prefix {prefix})")), "{prefix}: {name}");
                }
                other => panic!("{prefix}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_secret_is_recognised_also_while_it_is_typed() {
        let seed = "9f8e7d6c5b4a39281706f5e4d3c2b1a00f1e2d3c4b5a69788796a5b4c3d2e1f0";
        for text in [
            "bottom drive obey lake curtain smoke basket hold race lonely fit walk",
            "Bottom Drive obey l",
            "bottom drive",
            "bottom drive obey lake//hearth//1///pw",
            seed,
            &format!("0x{seed}"),
            &format!("0x{seed}{seed}"),
            &format!("{seed}{seed}"),
            &format!("0x{}", &seed[..50]),
            r#"{"secretSeed":"0x"}"#,
            "$NACL...",
        ] {
            assert_eq!(PayoutCheck::of(text), PayoutCheck::ASecret, "{text}");
            assert!(said(text).contains("never give"), "{text}");
        }
        assert!(matches!(PayoutCheck::of("two horses"), PayoutCheck::NotAnAddress { .. }));
    }

    proptest! {
        #[test]
        fn any_text_gets_a_sentence_that_does_not_repeat_it(text in "\\PC{9,80}") {
            let check = PayoutCheck::of(&text);
            prop_assert!(check.address().is_none());
            prop_assert!(!check.to_string().contains(text.trim()));
        }

        #[test]
        fn every_key_has_an_address_and_every_slip_is_seen(
            key in any::<[u8; 32]>(), place in 1..48_usize, letter in "[1-9A-HJ-NP-Za-km-z]",
        ) {
            let right = ss58::encode(&key);
            prop_assert_eq!(right.len(), LENGTH);
            prop_assert!(right.starts_with('5'));
            prop_assert!(PayoutCheck::of(&right).address().is_some());
            let wrong = format!("{}{letter}{}", &right[..place], &right[place + 1..]);
            if wrong != right {
                // Two bytes of checksum let one slip in 65536 pass.
                let check = PayoutCheck::of(&wrong);
                prop_assert!(
                    check.address().is_none() || ss58::decode(&wrong).is_ok(), "{}", check
                );
            }
        }
    }
}

//! The words of a key: made, read, and judged word by word. They are here, apart from the keys they
//! lead to, because a person writes them down, types them back, and gets one of them wrong.

use std::fmt;

use bip39::{Language, Mnemonic};
use pbkdf2::pbkdf2_hmac;
use sha2::Sha512;
use zeroize::Zeroizing;

use crate::clock::Entropy;

/// How many words a phrase may have.
const COUNTS: [usize; 5] = [12, 15, 18, 21, 24];
/// So many words of the list are proposed for a wrong one.
const PROPOSALS: usize = 3;
/// Rounds of PBKDF2 from the entropy to the seed, as all Substrate wallets do it.
const ROUNDS: u32 = 2048;

/// How long a new phrase is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// 12 words, 128 random bits; what Bittensor's wallet makes.
    Twelve,
    /// 24 words, 256 random bits.
    TwentyFour,
}

impl Words {
    /// The number of words.
    pub fn count(self) -> usize {
        match self {
            Self::Twelve => 12,
            Self::TwentyFour => 24,
        }
    }
}

/// Why a text is not a phrase. No message repeats what was typed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhraseError {
    /// Too few or too many words.
    #[error(
        "a phrase has 12, 15, 18, 21 or 24 words, but {} here: write all of them, with a space \
         between two",
        counted(*.0)
    )]
    Count(usize),
    /// A word that is not in the list.
    #[error("word {position} is not one of the 2048 that phrases are made of: {}", proposed(.near))]
    Unknown {
        /// Which one, counted from 1.
        position: usize,
        /// Words of the list that look like it, the likeliest first; may be empty.
        near: Vec<&'static str>,
    },
    /// Every word is in the list, but they do not belong together.
    #[error(
        "each word is in the list, but together they are no phrase (the checksum does not match): \
         two words may have changed places, or one is another word of the list"
    )]
    Checksum,
}

fn counted(count: usize) -> String {
    match count {
        0 => "there is none".to_owned(),
        1 => "there is 1".to_owned(),
        n => format!("there are {n}"),
    }
}

fn proposed(near: &[&'static str]) -> String {
    match near {
        [] => "compare it with what you wrote down".to_owned(),
        [one] => format!("did you mean {one}?"),
        [others @ .., last] => format!("did you mean {} or {last}?", others.join(", ")),
    }
}

/// English words that stand for a random number, with a checksum in them (BIP-39). Wiped from memory
/// when dropped, never printed by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Phrase(Mnemonic);

impl Phrase {
    /// New words. `entropy` must be the system's, except in tests.
    pub fn generate(words: Words, entropy: &mut Entropy) -> Self {
        let mut random = Zeroizing::new([0_u8; 32]);
        let random = &mut random[..words.count() * 4 / 3];
        loop {
            entropy.fill(random);
            // 16 and 32 bytes are never refused.
            if let Ok(mnemonic) = Mnemonic::from_entropy(random) {
                return Self(mnemonic);
            }
        }
    }

    /// Reads words with white space between them, in capitals or not.
    pub fn parse(text: &str) -> Result<Self, PhraseError> {
        // One pass, so that a text of any length costs nothing.
        let words: Vec<&str> = text.split_whitespace().take(COUNTS[4] + 1).collect();
        if !COUNTS.contains(&words.len()) {
            return Err(PhraseError::Count(text.split_whitespace().count()));
        }
        let list = Language::English.word_list();
        let mut known = Zeroizing::new(String::with_capacity(text.len()));
        for (index, word) in words.into_iter().enumerate() {
            let word = Zeroizing::new(word.to_lowercase());
            let Some(found) = Language::English.find_word(&word) else {
                return Err(PhraseError::Unknown { position: index + 1, near: nearest(&word) });
            };
            known.push_str(list[usize::from(found)]);
            known.push(' ');
        }
        Mnemonic::parse_in_normalized(Language::English, known.trim_end())
            .map(Self)
            .map_err(|_| PhraseError::Checksum)
    }

    /// The words in order.
    pub fn words(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.words()
    }

    /// The words with one space between them, to be shown once or stored.
    pub fn text(&self) -> Zeroizing<String> {
        // Room for all of them at once: a growing text would leave copies behind.
        let length = self.words().map(|word| word.len() + 1).sum();
        let mut text = Zeroizing::new(String::with_capacity(length));
        for word in self.words() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
        }
        text
    }

    /// The mini secret: the entropy, not the words, goes through PBKDF2 with the password as salt
    /// (the Substrate way, which differs from Bitcoin's).
    pub(super) fn mini_secret(&self, password: &str) -> Zeroizing<[u8; 32]> {
        let entropy = Zeroizing::new(self.0.to_entropy());
        let salt = Zeroizing::new(["mnemonic", password].concat());
        let mut seed = Zeroizing::new([0_u8; 64]);
        pbkdf2_hmac::<Sha512>(&entropy, salt.as_bytes(), ROUNDS, seed.as_mut());
        let mut mini = Zeroizing::new([0_u8; 32]);
        mini.copy_from_slice(&seed[..32]);
        mini
    }
}

impl fmt::Debug for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phrase(..)")
    }
}

/// The words of the list that a wrong word was probably meant to be, the likeliest first. Words of
/// the list differ in their first four letters, so these count more than the rest.
pub fn nearest(wrong: &str) -> Vec<&'static str> {
    // Nobody mistypes a word into one much longer than the longest of the list (8 letters).
    let letters: Zeroizing<Vec<char>> = Zeroizing::new(wrong.chars().take(24).collect());
    let mut judged: Vec<(usize, bool, &'static str)> = Language::English
        .word_list()
        .iter()
        .filter_map(|word| {
            let begins_alike =
                letters.len() >= 4 && word.chars().take(4).eq(letters[..4].iter().copied());
            let edits = distance(&letters, word);
            // Who wrote down the first four letters of each word wrote enough.
            let cost = match begins_alike && word.chars().zip(&*letters).all(|(a, b)| a == *b) {
                true => 0,
                false => 2 * edits - usize::from(begins_alike).min(edits),
            };
            let alike = begins_alike || (edits <= 2 && edits < letters.len());
            // Of equals the one with the same first letter.
            alike.then_some((cost, word.chars().next() != letters.first().copied(), *word))
        })
        .collect();
    judged.sort_unstable();
    judged.into_iter().take(PROPOSALS).map(|(_, _, word)| word).collect()
}

/// How many letters must be added, dropped, changed, or swapped with their neighbour.
fn distance(from: &[char], to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut before_last = vec![0; to.len() + 1];
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let mut least = (last[j] + usize::from(a != b)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && from[i - 1] == *b && to[j - 1] == *a {
                least = least.min(before_last[j - 1] + 1);
            }
            row.push(least);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DEV: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";

    fn refusal(text: &str) -> PhraseError {
        Phrase::parse(text).unwrap_err()
    }

    #[test]
    fn new_phrases_have_the_asked_length_and_differ() {
        let mut entropy = Entropy::system();
        for words in [Words::Twelve, Words::TwentyFour] {
            let one = Phrase::generate(words, &mut entropy);
            assert_eq!(one.words().count(), words.count());
            assert_eq!(Phrase::parse(&one.text()).unwrap(), one);
            assert_ne!(Phrase::generate(words, &mut entropy), one);
        }
    }

    #[test]
    fn capitals_and_stray_space_do_not_matter() {
        let typed = format!("  {}\n", DEV.to_uppercase().replace(' ', "  \t"));
        assert_eq!(Phrase::parse(&typed).unwrap().text().as_str(), DEV);
    }

    #[test]
    fn a_wrong_word_is_named_by_its_place_with_the_likely_right_one() {
        for (typed, meant) in [("oby", "obey"), ("obye", "obey"), ("obeey", "obey")] {
            let error = refusal(&DEV.replace("obey", typed));
            let PhraseError::Unknown { position, near } = &error else { panic!("{error}") };
            assert_eq!((*position, near[0]), (3, meant));
            let said = error.to_string();
            assert!(said.contains("word 3") && said.contains(meant), "{said}");
        }
        // Four letters are enough to know a word.
        assert_eq!(nearest("abst")[0], "abstract");
        assert_eq!(nearest("curtains")[0], "curtain");
        let far = refusal(&DEV.replace("obey", "0xffffffffffffffff"));
        assert!(far.to_string().contains("wrote down"), "{far}");
    }

    #[test]
    fn a_wrong_count_names_the_right_ones_and_a_swap_is_seen() {
        assert_eq!(refusal(""), PhraseError::Count(0));
        let eleven = refusal(DEV.strip_suffix(" walk").unwrap());
        assert_eq!(eleven, PhraseError::Count(11));
        assert!(eleven.to_string().contains("12, 15, 18, 21 or 24"), "{eleven}");
        assert_eq!(refusal(&"walk ".repeat(5000)), PhraseError::Count(5000));
        let swapped = DEV.replace("fit walk", "walk fit");
        assert_eq!(refusal(&swapped), PhraseError::Checksum);
    }

    #[test]
    fn no_message_and_no_debug_text_shows_the_words() {
        let phrase = Phrase::parse(DEV).unwrap();
        assert_eq!(format!("{phrase:?}"), "Phrase(..)");
        for typed in [DEV.replace("walk", "wxyz"), DEV.replace("fit walk", "walk fit")] {
            let said = format!("{0} {0:?}", refusal(&typed));
            for word in DEV.split(' ').filter(|word| *word != "walk") {
                assert!(!said.split(' ').any(|part| part == word), "{said}");
            }
        }
    }

    #[test]
    fn the_password_is_part_of_the_secret() {
        let phrase = Phrase::parse(DEV).unwrap();
        assert_ne!(phrase.mini_secret(""), phrase.mini_secret("hearth"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,300}") {
            // A phrase by chance would be 2^-100 luck.
            prop_assert!(Phrase::parse(&text).is_err());
        }

        #[test]
        fn a_letter_changed_is_found_at_its_word(
            seed in any::<u64>(), place in 0..12_usize, letter in "[a-z]",
        ) {
            let phrase = Phrase::generate(Words::Twelve, &mut Entropy::seeded(seed, "words"));
            let words: Vec<&str> = phrase.words().collect();
            let typed = format!("{}{letter}", words[place]);
            let mut all = words.clone();
            all[place] = &typed;
            match Phrase::parse(&all.join(" ")) {
                Err(PhraseError::Unknown { position, near }) => {
                    prop_assert_eq!(position, place + 1);
                    // Others of the list may be as near; no more than a few are proposed.
                    let meant = near.contains(&words[place]) || near.len() == PROPOSALS;
                    prop_assert!(meant, "{} {:?}", typed, near);
                }
                // The letter made another word of the list.
                other => prop_assert!(
                    other.is_err_and(|e| e == PhraseError::Checksum)
                        || Language::English.find_word(&typed).is_some()
                ),
            }
        }
    }
}

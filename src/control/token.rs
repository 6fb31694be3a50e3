//! The secret of a running miner's local API: drawn at each start, kept in a file that only its owner
//! can read, and never sent to a server that has not shown that it knows it.

use std::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::clock::Entropy;

/// What a proof is about, so that it is good for nothing else.
const PROOF: &[u8] = b"hearth local api\0";

/// Who has it may look at the miner and command it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Zeroizing<[u8; 32]>);

impl Token {
    /// A new one.
    pub fn draw(entropy: &mut Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(bytes.as_mut());
        Self(bytes)
    }

    /// From its text.
    pub fn read(text: &str) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text.trim(), bytes.as_mut()).ok()?;
        Some(Self(bytes))
    }

    /// Its text.
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.0.as_ref()))
    }

    /// Whether `given` is this token. Takes equally long whatever is wrong with it.
    pub fn is(&self, given: &str) -> bool {
        let text = self.text();
        bool::from(text.as_bytes().ct_eq(given.as_bytes()))
    }

    /// What only somebody who has the token can answer to `question`.
    pub fn proof(&self, question: &str) -> String {
        blake3::keyed_hash(&self.0, &[PROOF, question.as_bytes()].concat()).to_hex().to_string()
    }

    /// Whether `proof` answers `question`.
    pub fn proves(&self, question: &str, proof: &str) -> bool {
        bool::from(self.proof(question).as_bytes().ct_eq(proof.as_bytes()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(not shown)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_itself_is_taken_and_only_it_proves_anything() {
        let token = Token::draw(&mut Entropy::seeded(1, "a token"));
        let other = Token::draw(&mut Entropy::seeded(2, "a token"));
        let text = token.text();
        assert_eq!(text.len(), 64);
        assert!(token.is(&text) && Token::read(&text).as_ref() == Some(&token));
        for wrong in ["", &text[1..], &other.text(), &text.to_uppercase(), "Bearer"] {
            assert!(!token.is(wrong), "{wrong:?}");
        }
        assert!(token.proves("who are you?", &token.proof("who are you?")));
        assert!(!token.proves("who are you?", &other.proof("who are you?")));
        assert!(!token.proves("who are you?", &token.proof("who am I?")));
        assert!(!format!("{token:?}").contains(&text[..8]));
    }
}

//! Text to token ids and back: one wrapper around the `tokenizers` crate, so that the rest of the
//! program sees one small type, clear errors, and an encoder fast enough to count a million tokens
//! while a screen is waiting.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{
    DecoderWrapper, ModelWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
    TokenizerBuilder,
};

mod words;

/// The shipped tokenizer: byte-level BPE with 4,096 entries, trained on the practice stories.
const SHIPPED: &[u8] = include_bytes!("../../assets/tokenizer.json");

/// Words remembered per tokenizer. Common words come first in any text, so a full memory still
/// holds what matters.
const REMEMBERED_WORDS: usize = 1 << 16;

/// Bytes that byte-level BPE must be able to spell: no vocabulary can be smaller.
const BYTE_VALUES: usize = 256;

/// Why a tokenizer could not be loaded, made or used.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// There is no such file.
    #[error(
        "the tokenizer file {0} does not exist; check the path, or leave --tokenizer out to use the shipped one"
    )]
    Missing(PathBuf),
    /// The file is there but cannot be read (permissions, a folder, a disk error).
    #[error(
        "the tokenizer file {path} cannot be read: {reason}; check its permissions, or leave --tokenizer out"
    )]
    Unreadable {
        /// The file asked for.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The file has no content.
    #[error("the tokenizer file {0} is empty; get it again, or leave --tokenizer out")]
    Empty(PathBuf),
    /// The content is not a tokenizer description.
    #[error(
        "{origin} is not a tokenizer.json: {reason}; use a file in the Hugging Face `tokenizers` format, or `--tokenizer train`"
    )]
    NotATokenizer {
        /// Where the bytes came from.
        origin: String,
        /// What the parser said.
        reason: String,
    },
    /// The vocabulary does not fit the model's embedding table.
    #[error(
        "the tokenizer has {entries} entries but the model has room for {room}; choose a larger preset, a smaller tokenizer, or `--tokenizer train`"
    )]
    TooLarge {
        /// Ids the tokenizer can produce.
        entries: usize,
        /// Rows of the model's embedding table.
        room: usize,
    },
    /// Training was asked for a vocabulary that cannot spell every byte.
    #[error(
        "a byte-level tokenizer needs at least 256 entries, but {0} were asked for; choose a larger preset"
    )]
    TooSmall(usize),
    /// Training got no text.
    #[error("there is no text to train a tokenizer on; point --corpus at a file with text in it")]
    NothingToTrainOn,
    /// The crate refused to train, encode or decode.
    #[error("the tokenizer failed to {action}: {reason}; try the shipped tokenizer instead")]
    Failed {
        /// What it was doing: "encode", "decode", "train" or "save".
        action: &'static str,
        /// What the crate said.
        reason: String,
    },
}

/// Byte-pair encoder and decoder. Cheap to share by reference between threads.
#[derive(Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// Ids by word, for tokenizers whose word boundaries [`words`] knows; `None` for all others.
    remembered: Option<RwLock<HashMap<Box<str>, Box<[u32]>>>>,
    vocab_size: usize,
}

impl Tokenizer {
    /// The tokenizer that comes with Hearth: 4,096 entries, no special tokens.
    pub fn shipped() -> Result<Self, TokenizerError> {
        Self::parse(SHIPPED, "the shipped tokenizer")
    }

    /// Reads the content of a `tokenizer.json`.
    pub fn from_json_bytes(bytes: &[u8]) -> Result<Self, TokenizerError> {
        Self::parse(bytes, "the tokenizer description")
    }

    /// Reads a `tokenizer.json` from disk.
    pub fn from_file(path: &Path) -> Result<Self, TokenizerError> {
        let bytes = std::fs::read(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => TokenizerError::Missing(path.to_owned()),
            _ => TokenizerError::Unreadable { path: path.to_owned(), reason: error.to_string() },
        })?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(TokenizerError::Empty(path.to_owned()));
        }
        Self::parse(&bytes, &path.display().to_string())
    }

    /// Trains byte-level BPE on `texts` with at most `vocab` entries (fewer when the texts hold
    /// fewer distinct pairs). Deterministic: the same texts in any order give the same tokenizer.
    pub fn train_bpe<I>(texts: I, vocab: usize) -> Result<Self, TokenizerError>
    where
        I: IntoIterator<Item = String>,
        I::IntoIter: Send,
    {
        if vocab < BYTE_VALUES {
            return Err(TokenizerError::TooSmall(vocab));
        }
        let mut texts = texts.into_iter().filter(|text| !text.is_empty()).peekable();
        if texts.peek().is_none() {
            return Err(TokenizerError::NothingToTrainOn);
        }
        let failed = |error: tokenizers::Error| TokenizerError::Failed {
            action: "train",
            reason: error.to_string(),
        };
        let mut trainer = BpeTrainer::builder()
            .vocab_size(vocab)
            .min_frequency(2)
            .show_progress(false)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build();
        let plain = ByteLevel::default().add_prefix_space(false);
        let mut inner =
            TokenizerBuilder::<BPE, NormalizerWrapper, ByteLevel, ByteLevel, ByteLevel>::new()
                .with_model(BPE::default())
                .with_pre_tokenizer(Some(plain))
                .with_decoder(Some(plain))
                .build()
                .map_err(failed)?;
        inner.train(&mut trainer, texts).map_err(failed)?;
        let json = inner.to_string(false).map_err(failed)?;
        Self::parse(json.as_bytes(), "the trained tokenizer")
    }

    /// The tokenizer as the text of a `tokenizer.json`.
    pub fn to_json(&self) -> Result<String, TokenizerError> {
        self.inner
            .to_string(false)
            .map_err(|error| TokenizerError::Failed { action: "save", reason: error.to_string() })
    }

    /// Token ids of `text`, as the network's miners count them (spec 5.4): a tokenizer that defines
    /// a beginning-of-text token prepends it. The shipped one and trained ones define none.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let Some(remembered) = &self.remembered else {
            return self.encode_whole(text);
        };
        let mut ids = Vec::with_capacity(text.len() / 3);
        let mut unknown: Vec<(Box<str>, Box<[u32]>)> = Vec::new();
        for piece in words::Pieces::new(text) {
            let known = remembered.read().unwrap_or_else(PoisonError::into_inner);
            match (piece, known.get(piece.text())) {
                (_, Some(found)) => ids.extend_from_slice(found),
                (words::Piece::Word(word), None) => {
                    drop(known);
                    let fresh = self.encode_whole(word)?;
                    ids.extend_from_slice(&fresh);
                    unknown.push((word.into(), fresh.into()));
                    if unknown.len() >= 256 {
                        self.remember(&mut unknown);
                    }
                }
                (words::Piece::Line(line), None) => {
                    drop(known);
                    ids.extend(self.encode_whole(line)?);
                }
            }
        }
        self.remember(&mut unknown);
        Ok(ids)
    }

    /// The text of `ids`, without special tokens. Bytes that are no UTF-8 on their own (a cut
    /// character) become U+FFFD; ids outside the vocabulary are left out.
    pub fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        self.inner
            .decode(ids, true)
            .map_err(|error| TokenizerError::Failed { action: "decode", reason: error.to_string() })
    }

    /// Rows an embedding table needs: the largest id plus one.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Refuses a vocabulary that does not fit `room` embedding rows.
    pub fn fit_into(self, room: usize) -> Result<Self, TokenizerError> {
        if self.vocab_size > room {
            return Err(TokenizerError::TooLarge { entries: self.vocab_size, room });
        }
        Ok(self)
    }

    fn parse(bytes: &[u8], origin: &str) -> Result<Self, TokenizerError> {
        let not_one =
            |reason: String| TokenizerError::NotATokenizer { origin: origin.to_owned(), reason };
        let mut inner =
            tokenizers::Tokenizer::from_bytes(bytes).map_err(|error| not_one(error.to_string()))?;
        // A file saved for one use may cut or pad; samples are cut by whoever asked for them.
        inner.with_truncation(None).map_err(|error| not_one(error.to_string()))?;
        inner.with_padding(None);
        let largest = inner.get_vocab(true).into_values().max();
        let vocab_size = match largest {
            Some(id) => id as usize + 1,
            None => return Err(not_one("its vocabulary is empty".to_owned())),
        };
        let remembered = splits_like_words(&inner).then(RwLock::default);
        Ok(Self { inner, remembered, vocab_size })
    }

    fn encode_whole(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let encoding = self.inner.encode_fast(text, true).map_err(|error| {
            TokenizerError::Failed { action: "encode", reason: error.to_string() }
        })?;
        Ok(encoding.get_ids().to_vec())
    }

    fn remember(&self, fresh: &mut Vec<(Box<str>, Box<[u32]>)>) {
        if let Some(remembered) = &self.remembered
            && !fresh.is_empty()
        {
            let mut known = remembered.write().unwrap_or_else(PoisonError::into_inner);
            let room = REMEMBERED_WORDS.saturating_sub(known.len());
            known.extend(fresh.drain(..).take(room));
        }
        fresh.clear();
    }
}

/// True when encoding word by word, with the boundaries of [`words`], is the same as encoding the
/// whole text: the standard byte-level split and nothing that looks beyond a word.
fn splits_like_words(inner: &tokenizers::Tokenizer) -> bool {
    let plain_split = matches!(
        inner.get_pre_tokenizer(),
        Some(PreTokenizerWrapper::ByteLevel(split)) if split.use_regex && !split.add_prefix_space
    );
    let plain_model = matches!(inner.get_model(), ModelWrapper::BPE(bpe) if bpe.dropout.is_none());
    let plain_end =
        matches!(inner.get_post_processor(), None | Some(PostProcessorWrapper::ByteLevel(_)));
    let plain_decoder = matches!(inner.get_decoder(), Some(DecoderWrapper::ByteLevel(_)));
    plain_split
        && plain_model
        && plain_end
        && plain_decoder
        && inner.get_normalizer().is_none()
        && inner.get_added_vocabulary().is_empty()
}

#[cfg(test)]
mod tests;

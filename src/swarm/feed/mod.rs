//! The data feed: cuts a source of text into samples for stage 0 (and, as targets, the tail stage),
//! keeps some text aside that is never trained on, and measures what that text costs a model that
//! only counts. The orchestrator hands the samples out; the miners encode them (spec 5.4).

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::tokenizer::{Tokenizer, TokenizerError};

mod baselines;
mod choice;
mod corpus;
mod source;

pub use baselines::Baselines;
pub use choice::TokenizerChoice;
pub use corpus::{Corpus, Skipped};
pub use source::{Source, Split};

use source::Reader;

/// Why a feed could not be opened, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// There is no such file or folder.
    #[error("the corpus {0} does not exist; check the path given to --corpus")]
    Missing(PathBuf),
    /// No text at all.
    #[error(
        "the corpus {0} has no text in it; point --corpus at a UTF-8 text file or a folder of them"
    )]
    Empty(PathBuf),
    /// Not even one sample can be cut from the part that is trained on.
    #[error(
        "the corpus {path} is too short: it has {tokens} tokens to train on and one sample needs {needed}; add more text, or choose a smaller preset"
    )]
    TooShort {
        /// What was opened.
        path: PathBuf,
        /// Tokens in the part that is trained on.
        tokens: usize,
        /// Tokens of one sample (sequence length times batch size).
        needed: usize,
    },
    /// The named file is not text.
    #[error("the corpus {path} is not UTF-8 text ({reason}); convert it to UTF-8 text first")]
    Binary {
        /// The file.
        path: PathBuf,
        /// What was found in it, and where.
        reason: String,
    },
    /// The system refused to read it, or it changed during the run.
    #[error(
        "the corpus {path} cannot be read: {reason}; check its permissions and that it stays in place"
    )]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The tokenizer failed or does not fit.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}

/// Samples of one source, in a fixed order: the n-th sample of a source, tokenizer and size is the
/// same in every run. Any thread may draw.
#[derive(Debug)]
pub struct Feed {
    source: Source,
    tokenizer: Arc<Tokenizer>,
    tokens_per_sample: usize,
    training: Mutex<Reader>,
    held_out: Mutex<Reader>,
}

impl Feed {
    /// A feed of samples with at least `tokens_per_sample` tokens each (sequence length times
    /// batch size). Fails when the source is too short for one sample.
    pub fn new(
        source: Source,
        tokenizer: Arc<Tokenizer>,
        tokens_per_sample: usize,
    ) -> Result<Self, FeedError> {
        source.must_have(tokens_per_sample, &tokenizer)?;
        let training = Mutex::new(source.reader(Split::Training));
        let held_out = Mutex::new(source.reader(Split::HeldOut));
        Ok(Self { source, tokenizer, tokens_per_sample, training, held_out })
    }

    /// The next text to train on. A finite corpus starts again after its end.
    pub fn next_sample(&self) -> Result<String, FeedError> {
        self.draw(&self.training)
    }

    /// The next text that is never trained on. Starts again after its end.
    pub fn held_out_sample(&self) -> Result<String, FeedError> {
        self.draw(&self.held_out)
    }

    /// The beginning of the text that is never trained on: the same at every call.
    pub fn opening(&self) -> Result<String, FeedError> {
        let mut reader = self.source.reader(Split::HeldOut);
        Ok(reader.next_piece()?.unwrap_or_default())
    }

    /// The first tokens of the text that is never trained on: the same at every call. Fewer than
    /// `count` where there is no more of it.
    pub fn held_out_tokens(&self, count: usize) -> Result<Vec<u32>, FeedError> {
        let mut reader = self.source.reader(Split::HeldOut);
        let mut tokens = Vec::new();
        while tokens.len() < count
            && let Some(piece) = reader.next_piece()?
        {
            tokens.extend(self.tokenizer.encode(&piece)?);
        }
        tokens.truncate(count);
        Ok(tokens)
    }

    /// Where the text comes from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The tokenizer that samples are measured with.
    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.tokenizer
    }

    /// Tokens that every sample has at least.
    pub fn tokens_per_sample(&self) -> usize {
        self.tokens_per_sample
    }

    /// Joins pieces of text until they encode to enough tokens. The sum of the pieces' own counts
    /// tells when to stop; the joined text is then encoded once more, because a word may merge
    /// across a cut.
    fn draw(&self, reader: &Mutex<Reader>) -> Result<String, FeedError> {
        let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        let mut tokens = 0;
        while tokens < self.tokens_per_sample {
            let piece = self.piece(&mut reader)?;
            tokens += self.tokenizer.encode(&piece)?.len();
            text.push_str(&piece);
            if tokens >= self.tokens_per_sample {
                tokens = self.tokenizer.encode(&text)?.len();
            }
        }
        Ok(text)
    }

    /// The next piece, from the beginning again after the end.
    fn piece(&self, reader: &mut Reader) -> Result<String, FeedError> {
        if let Some(piece) = reader.next_piece()? {
            return Ok(piece);
        }
        reader.rewind();
        match (reader.next_piece()?, &self.source) {
            (Some(piece), _) => Ok(piece),
            (None, Source::Corpus(corpus)) => Err(FeedError::Empty(corpus.path().to_owned())),
            (None, Source::Stories { .. }) => Ok(String::new()),
        }
    }
}

#[cfg(test)]
mod tests;

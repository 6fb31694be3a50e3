//! Which tokenizer a practice swarm uses: the shipped one, a file of the user's, or one trained on
//! the corpus (`--tokenizer PATH/train`).

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use super::{FeedError, Source};
use crate::model::tokenizer::Tokenizer;

/// Text that a tokenizer is trained on, at most, in bytes. More changes little and takes longer.
const TRAINING_BYTES: usize = 3 << 20;

/// Where the tokenizer comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TokenizerChoice {
    /// The one in the program: 4,096 entries, trained on the stories.
    #[default]
    Shipped,
    /// A `tokenizer.json`.
    File(PathBuf),
    /// A new one, trained on the source itself.
    Train,
}

impl FromStr for TokenizerChoice {
    type Err = Infallible;

    /// `train`, `shipped` or a path (write `./train` for a file of that name).
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "train" => TokenizerChoice::Train,
            "shipped" => TokenizerChoice::Shipped,
            path => TokenizerChoice::File(PathBuf::from(path)),
        })
    }
}

impl TokenizerChoice {
    /// Loads or trains the tokenizer. It has at most `room` entries (the rows of the model's
    /// embedding table); a larger one is refused.
    pub fn load(&self, source: &Source, room: usize) -> Result<Tokenizer, FeedError> {
        let tokenizer = match self {
            TokenizerChoice::Shipped => Tokenizer::shipped()?,
            TokenizerChoice::File(path) => Tokenizer::from_file(path)?,
            TokenizerChoice::Train => Tokenizer::train_bpe(source.texts(TRAINING_BYTES)?, room)?,
        };
        Ok(tokenizer.fit_into(room)?)
    }
}

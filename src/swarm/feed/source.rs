//! Where a feed's text comes from, and the two streams cut out of it: what is trained on and what
//! is held out.

use super::FeedError;
use super::corpus::{Corpus, CorpusReader};
use crate::model::tokenizer::Tokenizer;
use crate::swarm::stories::{Stories, StoryStream};

/// A source of text.
#[derive(Clone, Debug)]
pub enum Source {
    /// The practice stories of a seed: endless.
    Stories {
        /// Same seed, same stories.
        seed: u64,
    },
    /// A text file or folder of the user's: read again from the start after its end.
    Corpus(Corpus),
}

/// Which of the two streams of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// What the swarm trains on.
    Training,
    /// What it never sees: other stories, or every tenth block of a corpus.
    HeldOut,
}

/// A position in one stream of a source.
#[derive(Debug)]
pub(super) enum Reader {
    Stories(Box<StoryStream>),
    Corpus(CorpusReader),
}

impl Source {
    /// Starts at the beginning of a stream.
    pub(super) fn reader(&self, split: Split) -> Reader {
        match self {
            Source::Stories { seed } => {
                let name = match split {
                    Split::Training => "training",
                    Split::HeldOut => "held out",
                };
                Reader::Stories(Box::new(Stories::new(*seed).stream(name)))
            }
            Source::Corpus(corpus) => Reader::Corpus(corpus.reader(split)),
        }
    }

    /// About `bytes` bytes of the training stream, in pieces; all of it when there is less.
    pub(super) fn texts(&self, bytes: usize) -> Result<Vec<String>, FeedError> {
        let mut reader = self.reader(Split::Training);
        let mut texts = Vec::new();
        let mut read = 0;
        while read < bytes
            && let Some(piece) = reader.next_piece()?
        {
            read += piece.len();
            texts.push(piece);
        }
        Ok(texts)
    }

    /// The first `tokens` ids of a stream; all of it when there are fewer.
    pub(super) fn ids(
        &self,
        split: Split,
        tokens: usize,
        tokenizer: &Tokenizer,
    ) -> Result<Vec<u32>, FeedError> {
        let mut reader = self.reader(split);
        let mut ids = Vec::new();
        while ids.len() < tokens
            && let Some(piece) = reader.next_piece()?
        {
            ids.extend(tokenizer.encode(&piece)?);
        }
        ids.truncate(tokens);
        Ok(ids)
    }

    /// Fails unless the training stream has at least `needed` tokens and something is held out.
    pub(super) fn must_have(&self, needed: usize, tokenizer: &Tokenizer) -> Result<(), FeedError> {
        let Source::Corpus(corpus) = self else {
            return Ok(());
        };
        let tokens = self.ids(Split::Training, needed, tokenizer)?.len();
        let held_out = self.ids(Split::HeldOut, 1, tokenizer)?.len();
        if tokens < needed || held_out == 0 {
            let path = corpus.path().to_owned();
            return Err(FeedError::TooShort { path, tokens, needed });
        }
        Ok(())
    }
}

impl Reader {
    /// The next stretch of text; `None` at the end of a corpus.
    pub(super) fn next_piece(&mut self) -> Result<Option<String>, FeedError> {
        match self {
            Reader::Stories(stream) => Ok(Some(stream.next_text())),
            Reader::Corpus(reader) => reader.next_piece(),
        }
    }

    /// Goes back to the beginning of a corpus. Stories have no end to come back from.
    pub(super) fn rewind(&mut self) {
        if let Reader::Corpus(reader) = self {
            reader.rewind();
        }
    }
}

//! Practice stories: short English children's stories, told from a grammar and a lexicon written
//! for Hearth (`assets/stories/`). Endless, reproducible by seed, and learnable: things, places and
//! characters come back, names turn into pronouns, verbs agree with far subjects, sums are right.
//! They are what the practice swarm trains on when the user names no corpus.

use std::sync::LazyLock;

use crate::clock::Entropy;

mod cast;
mod grammar;
mod inflect;
mod lexicon;
mod polish;
mod teller;

pub use cast::{Character, Pronoun};

use grammar::Grammar;
use lexicon::Lexicon;

/// What stands between two stories of a stream.
pub const BETWEEN_STORIES: &str = "\n\n";

static LEXICON: LazyLock<Lexicon> = LazyLock::new(Lexicon::written);
static GRAMMAR: LazyLock<Grammar> = LazyLock::new(|| Grammar::written(&LEXICON));

/// All stories of one seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stories {
    seed: u64,
}

/// One story and what is known about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Story {
    /// Paragraphs separated by line ends; no line end after the last.
    pub text: String,
    /// Who was in it.
    pub cast: Vec<Character>,
    /// How surprising the choices were that made it, in nats: a reader who knows the grammar
    /// perfectly would need no more than this to predict the whole text.
    pub nats: f64,
}

/// An endless sequence of stories.
#[derive(Clone, Debug)]
pub struct StoryStream {
    entropy: Entropy,
}

impl Stories {
    /// The stories of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The stream called `name`. Streams of different names or seeds share no randomness, so that
    /// one can be held out.
    pub fn stream(self, name: &str) -> StoryStream {
        StoryStream { entropy: Entropy::seeded(self.seed, &format!("stories {name}")) }
    }
}

impl StoryStream {
    /// The next story.
    pub fn next_story(&mut self) -> Story {
        teller::tell(&GRAMMAR, &LEXICON, &mut self.entropy)
    }

    /// The next story's text with the separator behind it.
    pub fn next_text(&mut self) -> String {
        let mut text = self.next_story().text;
        text.push_str(BETWEEN_STORIES);
        text
    }
}

impl Iterator for StoryStream {
    type Item = Story;

    fn next(&mut self) -> Option<Story> {
        Some(self.next_story())
    }
}

#[cfg(test)]
mod tests;

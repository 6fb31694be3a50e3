//! Three of the words that were shown are asked back: the cheapest proof that they were written down.

use super::field::{Field, Shown};
use super::request::Secret;

/// How many words are asked back.
pub const QUESTIONS: usize = 3;

/// A quiz that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quiz {
    /// Which words, 0-based.
    positions: [usize; QUESTIONS],
    /// How many were answered.
    answered: usize,
    /// The answer being typed.
    pub field: Field,
}

/// What an answer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Right, and there is another question.
    Next,
    /// Right, and it was the last.
    Passed,
    /// Wrong.
    Wrong,
}

impl Quiz {
    /// Asks for the words at these positions, 0-based.
    pub fn new(positions: [usize; QUESTIONS]) -> Self {
        Self { positions, answered: 0, field: Field::new(Shown::Plain) }
    }

    /// The number of the word that is asked for now, from 1.
    pub fn number(&self) -> usize {
        self.positions.get(self.answered).map_or(0, |position| position + 1)
    }

    /// How many were answered.
    pub fn answered(&self) -> usize {
        self.answered
    }

    /// Marks the answer that was typed, and clears it.
    pub fn answer(&mut self, words: &Secret) -> Mark {
        let wanted = self
            .positions
            .get(self.answered)
            .and_then(|&position| words.reveal().split_whitespace().nth(position));
        let given = self.field.text().trim().to_lowercase();
        let right = wanted.is_some_and(|word| word == given);
        self.field.clear();
        if !right {
            return Mark::Wrong;
        }
        self.answered += 1;
        if self.answered == QUESTIONS { Mark::Passed } else { Mark::Next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_words_in_their_order_pass() {
        let words = Secret::new("alpha beta gamma delta".into());
        let mut quiz = Quiz::new([0, 2, 3]);
        let mut say = |word: &str| {
            quiz.field.insert(word);
            quiz.answer(&words)
        };
        assert_eq!(say("beta"), Mark::Wrong);
        assert_eq!(say(" Alpha "), Mark::Next);
        assert_eq!(say(""), Mark::Wrong);
        assert_eq!(say("gamma"), Mark::Next);
        assert_eq!(say("delta"), Mark::Passed);
        assert_eq!(say("delta"), Mark::Wrong);
    }
}

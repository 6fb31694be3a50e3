//! The words that the screens and the messages take for known, each in a sentence or two:
//! `hearth explain words`, or one of them.

use serde::Serialize;

/// A word and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Word {
    /// As the screens write it.
    pub word: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

const fn word(word: &'static str, meaning: &'static str) -> Word {
    Word { word, meaning }
}

/// All of them, in the order of a text that explains the whole.
pub const WORDS: [Word; 28] = [
    word("run", "One training of one model, from its first weights to its last, by many machines."),
    word(
        "orchestrator",
        "The server of a run. It lets miners in, gives each its stage and text, says which phase it \
         is, and keeps the books.",
    ),
    word("miner", "A device of somebody's machine that works in a run, with a key of its own."),
    word(
        "stage",
        "A part of the model: some of its layers. A miner holds one stage; text goes through all of \
         them in order, from miner to miner.",
    ),
    word(
        "activation",
        "What a stage makes of a piece of text, or of what the stage before it made. Miners send \
         these to each other.",
    ),
    word("forward", "To compute a stage's activation, on the way from the text to the loss."),
    word(
        "backward",
        "The way back: to compute what each weight had to do with the loss. Only this is learning, \
         and it is what scores count.",
    ),
    word(
        "in flight",
        "Activations that went on to the next stage, and whose way back has not come yet. There is \
         room for a fixed number; then the miner waits.",
    ),
    word(
        "loss",
        "How wrong the model's guesses of the next word are. Lower is better; how low it can go \
         depends on the text.",
    ),
    word(
        "word counts",
        "The loss of who knows only how often each word occurs. A model below it has learned more \
         than that; word pairs are the same for who knows which word follows which.",
    ),
    word("weights", "The numbers that the model is made of, and that training changes."),
    word("gradient", "By how much, and in which direction, each weight is to be changed."),
    word(
        "optimizer",
        "The rule that makes a change of the weights out of gradients; each use is a step.",
    ),
    word(
        "epoch",
        "One round of a run: train, upload, merge. All miners end it with the same weights as the \
         others of their stage.",
    ),
    word("phase", "The part of an epoch that a stage is in: training, uploading or merging."),
    word(
        "merge",
        "To make one set of weights out of what all miners of a stage learned on their own. Each \
         merges some partitions for all of them.",
    ),
    word(
        "partition",
        "A piece of a stage's weights. Two miners merge each, so that one can be checked by the other.",
    ),
    word(
        "validator",
        "Somebody on the chain who checks miners' work and says what it is worth. Payouts follow \
         from that.",
    ),
    word("hotkey", "The key that signs a miner's work. It owns no money."),
    word(
        "coldkey",
        "The key that owns what is earned. Hearth needs its address, and never its secret.",
    ),
    word(
        "pool",
        "Miners without a place of their own on the chain: the operator of the run pays the address \
         that each gave.",
    ),
    word(
        "metagraph",
        "The chain's list of the miners that are registered with it; the chain pays their coldkeys.",
    ),
    word("TAO", "The coin of Bittensor's chain, in which fees and balances are counted."),
    word(
        "alpha",
        "The coin of one subnet, in which its miners are paid. It can be changed for TAO, at a price \
         that moves.",
    ),
    word(
        "incentive",
        "The part of what a subnet pays its miners that goes to one of them, by its scores.",
    ),
    word(
        "immunity",
        "The time after a registration in which no newcomer can take the place, whatever the score.",
    ),
    word(
        "relay",
        "A server that passes packets on between two machines that cannot reach each other directly. \
         It cannot read them.",
    ),
    word(
        "FLOP/s",
        "Computations a second. The share that is shown is what training got out of the device, of \
         what `hearth bench` measured as its most.",
    ),
];

/// What a word means; in capitals or not, one or several of it.
pub fn meaning(wanted: &str) -> Option<&'static Word> {
    let wanted = wanted.trim().replace('-', " ").to_lowercase();
    let is = |word: &&Word| {
        let known = word.word.to_lowercase();
        known == wanted || wanted.strip_suffix('s').is_some_and(|one| one == known)
    };
    WORDS.iter().find(is)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::text::labels;

    #[test]
    fn the_words_that_stand_beside_figures_are_explained() {
        for label in [
            labels::BACKWARDS,
            labels::EPOCH,
            labels::FORWARDS,
            labels::IN_FLIGHT,
            labels::RUN,
            labels::STAGE,
            labels::STAGES,
            "activations",
            "miners",
            "Loss",
            "Validator",
        ] {
            assert!(meaning(label).is_some(), "{label}");
        }
        assert!(labels::OF_ITS_FLOP_S.contains("FLOP/s") && meaning("flop/s").is_some());
        assert!(
            labels::PARTITIONS_MERGED.contains("partitions") && meaning("partitions").is_some()
        );
        assert_eq!(meaning("in-flight"), meaning("in flight"));
        assert_eq!(meaning("fnord"), None);
    }

    #[test]
    fn each_word_is_there_once_and_is_a_sentence() {
        for word in WORDS {
            assert_eq!(meaning(word.word), Some(&word), "{}", word.word);
            assert!(word.meaning.ends_with('.'), "{}", word.word);
        }
    }
}

//! Words are shown once and asked back: three of them, so that nobody goes on without having written
//! them down.

use std::io;

use zeroize::Zeroizing;

use super::screen::{Answer, SecretScreen};
use crate::clock::Entropy;
use crate::wallet::phrase::Phrase;

/// How many words are asked back.
const ASKED: usize = 3;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// All asked words were right.
    Yes,
    /// The user left.
    Left,
}

/// Different places in `0..count`, in order.
fn places(count: usize, entropy: &mut Entropy) -> Vec<usize> {
    let mut places: Vec<usize> = Vec::with_capacity(ASKED);
    while places.len() < ASKED.min(count) {
        let place = entropy.below(count);
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places.sort_unstable();
    places
}

/// The words in numbered columns.
pub(super) fn table(phrase: &Phrase) -> Zeroizing<String> {
    let words: Vec<&str> = phrase.words().collect();
    let rows = words.len().div_ceil(3);
    let mut table = Zeroizing::new(String::with_capacity(64 * rows));
    for row in 0..rows {
        for column in 0..3 {
            let at = column * rows + row;
            if let Some(word) = words.get(at) {
                table.push_str(&format!("  {:>2}. {word:<12}", at + 1));
            }
        }
        table.push('\n');
    }
    table
}

/// Shows the words below `heading` and asks three of them back, until they are right or the user
/// leaves.
pub(super) fn show_and_ask(
    heading: &str,
    phrase: &Phrase,
    entropy: &mut Entropy,
) -> io::Result<Written> {
    let screen = SecretScreen::open()?;
    let mut remark = "";
    loop {
        let table = table(phrase);
        let text = Zeroizing::new(format!("{remark}{heading}\n\n{}\n", *table));
        screen.show(&text)?;
        let done = "Enter when they are written down, Esc to stop:";
        if matches!(screen.ask(done)?, Answer::Left) {
            return Ok(Written::Left);
        }
        match ask_back(&screen, phrase, entropy)? {
            Some(true) => return Ok(Written::Yes),
            Some(false) => remark = "That was another word. Here they are again.\n\n",
            None => return Ok(Written::Left),
        }
    }
}

/// Asks three words back on a cleared screen; `None` when the user leaves.
pub(super) fn ask_back(
    screen: &SecretScreen,
    phrase: &Phrase,
    entropy: &mut Entropy,
) -> io::Result<Option<bool>> {
    screen.show("Three of the words, to be sure that they are written down right.\n\n")?;
    let words: Vec<&str> = phrase.words().collect();
    for place in places(words.len(), entropy) {
        match screen.ask(&format!("Word {}:", place + 1))? {
            Answer::Left => return Ok(None),
            Answer::Line(line) if line.trim().to_lowercase() == words[place] => {}
            Answer::Line(_) => return Ok(Some(false)),
        }
    }
    Ok(Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wallet::phrase::Words;

    #[test]
    fn three_different_places_are_asked_in_order_and_all_come_up() {
        let mut entropy = Entropy::seeded(1, "quiz");
        let mut seen = [false; 12];
        for _ in 0..200 {
            let places = places(12, &mut entropy);
            assert_eq!(places.len(), 3);
            assert!(places[0] < places[1] && places[1] < places[2] && places[2] < 12);
            places.iter().for_each(|place| seen[*place] = true);
        }
        assert_eq!(seen, [true; 12]);
    }

    #[test]
    fn the_table_has_every_word_with_its_number() {
        for words in [Words::Twelve, Words::TwentyFour] {
            let phrase = Phrase::generate(words, &mut Entropy::seeded(2, "table"));
            let table = table(&phrase);
            assert!(table.lines().all(|line| line.chars().count() < 80));
            for (at, word) in phrase.words().enumerate() {
                assert!(table.contains(&format!("{:>2}. {word}", at + 1)), "{}", at + 1);
            }
        }
    }
}

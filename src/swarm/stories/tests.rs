//! What the stories promise: reproducible, varied, and grammatical where the grammar decides.

use std::collections::BTreeSet;

use super::*;

fn told(seed: u64, count: usize) -> Vec<Story> {
    Stories::new(seed).stream("training").take(count).collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphabetic() && c != '-').filter(|word| !word.is_empty())
}

#[test]
fn the_grammar_is_understood_completely() {
    assert_eq!(GRAMMAR.faults, Vec::<String>::new());
    assert_eq!(GRAMMAR.start(), 0);
}

#[test]
fn stories_repeat_by_seed_and_differ_by_seed_and_stream() {
    assert_eq!(told(1, 20), told(1, 20));
    assert_ne!(told(1, 1), told(2, 1));
    let held_out: Vec<Story> = Stories::new(1).stream("held out").take(20).collect();
    let training = told(1, 20);
    assert!(held_out.iter().all(|story| !training.contains(story)));
}

#[test]
fn thousands_of_words_are_known_and_used() {
    let known = LEXICON.forms().len();
    println!("{known} word forms");
    assert!(known >= 3600, "only {known} word forms");
    let stories = told(3, 6000);
    let used: BTreeSet<&str> = stories.iter().flat_map(|story| words(&story.text)).collect();
    println!("{} words in use", used.len());
    assert!(used.len() >= 2900, "only {} words in use", used.len());
}

#[test]
fn no_markup_is_left_in_a_story() {
    for story in told(4, 2000) {
        let left = story.text.find(['{', '}', '[', ']', '*', '^', '/', '#']);
        assert_eq!(left, None, "{}", story.text);
        assert!(!story.text.contains("  ") && !story.text.contains(" ."), "{}", story.text);
        assert!(story.text.ends_with(['.', '!', '?', '"']), "{}", story.text);
    }
}

#[test]
fn pronouns_match_somebody_in_the_story() {
    let groups = [(Pronoun::She, ["she", "her", "herself"]), (Pronoun::He, ["he", "his", "him"])];
    let mut seen = 0;
    for story in told(5, 3000) {
        for (pronoun, forms) in &groups {
            let present = story
                .cast
                .iter()
                .any(|one| one.pronoun == *pronoun && story.text.contains(&one.name));
            let lower = story.text.to_lowercase();
            let spoken = words(&lower).any(|word| forms.contains(&word));
            assert!(present || !spoken, "{forms:?} without anybody: {}", story.text);
            seen += usize::from(spoken);
        }
    }
    assert!(seen > 1000, "pronouns hardly occur");
}

/// After a name, the next subject pronoun of a sentence agrees with it when nobody else is near.
#[test]
fn a_name_is_followed_by_its_own_pronoun() {
    let mut seen = 0;
    for story in told(6, 3000) {
        let [hero, friend, elder] = &story.cast[..] else { panic!("three characters") };
        for sentence in story.text.split_inclusive(['.', '?', '!', '\n']) {
            let others = [friend, elder].iter().any(|one| sentence.contains(&one.name));
            let Some(at) = sentence.find(&format!("{} ", hero.name)) else { continue };
            if others || sentence.contains('"') {
                continue;
            }
            let rest = sentence[at..].to_lowercase();
            let Some(found) = words(&rest).find(|word| ["she", "he"].contains(word)) else {
                continue;
            };
            assert_eq!(found, hero.pronoun.subject(), "{sentence}");
            seen += 1;
        }
    }
    assert!(seen > 100, "only {seen} sentences to look at");
}

/// The verb after a long clause agrees with the noun before it.
#[test]
fn verbs_agree_over_a_distance() {
    let number: std::collections::HashMap<&str, bool> = LEXICON
        .words("thing")
        .iter()
        .filter_map(|word| match word {
            lexicon::Word::Noun { one, many } if one != many => {
                Some([(one.as_str(), false), (many.as_str(), true)])
            }
            _ => None,
        })
        .flatten()
        .collect();
    let (mut singular, mut plural) = (0, 0);
    for story in told(7, 4000) {
        for sentence in story.text.split(['.', '\n', ',']) {
            let Some((subject, clause)) = sentence.split_once(" that the old ") else { continue };
            let Some(several) = words(subject).last().and_then(|noun| number.get(noun)) else {
                continue;
            };
            let verb = words(clause).find(|word| ["was", "were"].contains(word));
            let expected = if *several { "were" } else { "was" };
            assert_eq!(verb, Some(expected), "{sentence}");
            plural += usize::from(*several);
            singular += usize::from(!several);
        }
    }
    assert!(singular > 50 && plural > 50, "{singular} and {plural} sentences to look at");
}

#[test]
fn sums_are_right() {
    let value = |word: &str| (0..=200).find(|n| inflect::number(*n) == word);
    let mut seen = 0;
    for story in told(8, 2000) {
        let all: Vec<&str> = words(&story.text).collect();
        for window in all.windows(5) {
            if let [a, "and", b, "make", sum] = window
                && let (Some(a), Some(b)) = (value(&a.to_lowercase()), value(b))
            {
                assert_eq!(value(sum), Some(a + b), "{}", story.text);
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "only {seen} sums");
}

#[test]
fn articles_agree_with_the_next_sound() {
    for story in told(9, 1500) {
        let all: Vec<&str> = story.text.split_whitespace().collect();
        for pair in all.windows(2) {
            if let [article @ ("a" | "an" | "A" | "An"), next] = pair {
                let expected = inflect::article(next);
                assert_eq!(article.to_lowercase(), expected, "{article} {next}");
            }
        }
    }
}

#[test]
fn two_remembered_words_of_a_class_differ() {
    for story in told(10, 1000) {
        assert!(story.cast[0].name != story.cast[1].name);
        assert!(story.nats.is_finite() && story.nats > 0.0);
    }
}

/// Prints stories to read: `HEARTH_SHOW_STORIES=30 cargo test --release --lib show_stories -- --nocapture`.
#[test]
fn show_stories() {
    let count = std::env::var("HEARTH_SHOW_STORIES").ok().and_then(|n| n.parse().ok());
    let stories = told(11, count.unwrap_or(1));
    if count.is_some() {
        stories.iter().for_each(|story| println!("{}\n", story.text));
    }
    assert!(stories.iter().all(|story| story.text.len() > 200));
}

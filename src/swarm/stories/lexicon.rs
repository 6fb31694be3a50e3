//! The words the stories are told with, read once from `assets/stories/` into classes.

#[cfg(test)]
use std::collections::BTreeSet;
use std::collections::HashMap;

use super::inflect;

/// The word lists. Classes are told apart by what their words can do.
const NOUNS: &str = include_str!("../../../assets/stories/nouns.txt");
const PLACES: &str = include_str!("../../../assets/stories/places.txt");
const VERBS: &str = include_str!("../../../assets/stories/verbs.txt");
const DESCRIPTIONS: &str = include_str!("../../../assets/stories/describe.txt");
const NAMES: &str = include_str!("../../../assets/stories/names.txt");

/// A word with its forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// A noun and its plural.
    Noun { one: String, many: String },
    /// A verb: base, third person, past, participle, `-ing`.
    Verb { base: String, third: String, past: String, participle: String, gerund: String },
    /// An adjective or adverb, or anything else with no form but comparison.
    Plain(String),
    /// A place: how one is there ("in", "on", "at"), its name, things found there.
    Place { preposition: String, name: String, things: Vec<Word> },
}

/// A named list of words, common ones first.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) name: &'static str,
    pub(super) words: Vec<Word>,
}

/// All classes.
#[derive(Debug)]
pub(super) struct Lexicon {
    pub(super) classes: Vec<Class>,
    by_name: HashMap<&'static str, usize>,
}

impl Lexicon {
    /// The lexicon in the assets.
    pub(super) fn written() -> Self {
        let mut classes = Vec::new();
        read(NOUNS, ',', noun, &mut classes);
        read(PLACES, '\n', place, &mut classes);
        read(VERBS, ',', verb, &mut classes);
        read(DESCRIPTIONS, ',', |word| Word::Plain(word.to_owned()), &mut classes);
        read(NAMES, ',', |word| Word::Plain(word.to_owned()), &mut classes);
        let by_name = classes.iter().enumerate().map(|(at, class)| (class.name, at)).collect();
        Self { classes, by_name }
    }

    /// The number of the class called `name`.
    pub(super) fn class(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The words of the class called `name`; none when there is no such class.
    pub(super) fn words(&self, name: &str) -> &[Word] {
        self.class(name).map_or(&[], |at| &self.classes[at].words)
    }

    /// Every distinct form of every word.
    #[cfg(test)]
    pub(super) fn forms(&self) -> BTreeSet<String> {
        let mut forms = BTreeSet::new();
        for class in &self.classes {
            for word in &class.words {
                word.collect_forms(&mut forms);
            }
        }
        forms
    }
}

impl Word {
    /// The word as a dictionary lists it.
    pub(super) fn base(&self) -> &str {
        match self {
            Word::Noun { one, .. } => one,
            Word::Verb { base, .. } => base,
            Word::Plain(word) => word,
            Word::Place { name, .. } => name,
        }
    }

    #[cfg(test)]
    fn collect_forms(&self, forms: &mut BTreeSet<String>) {
        match self {
            Word::Noun { one, many } => forms.extend([one.clone(), many.clone()]),
            Word::Verb { base, third, past, participle, gerund } => {
                forms.extend([base, third, past, participle, gerund].into_iter().cloned())
            }
            Word::Plain(word) => {
                forms.insert(word.clone());
            }
            Word::Place { name, things, .. } => {
                forms.insert(name.clone());
                things.iter().for_each(|thing| thing.collect_forms(forms));
            }
        }
    }
}

/// Reads `@class` sections; entries end at `separator` or a line end.
fn read(
    text: &'static str,
    separator: char,
    parse: impl Fn(&str) -> Word,
    classes: &mut Vec<Class>,
) {
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('@') {
            classes.push(Class { name, words: Vec::new() });
        } else if let Some(class) = classes.last_mut() {
            let entries = line.split(separator).map(str::trim).filter(|entry| !entry.is_empty());
            class.words.extend(entries.map(&parse));
        }
    }
}

/// `one` or `one/many`.
fn noun(entry: &str) -> Word {
    let (one, many) = match entry.split_once('/') {
        Some((one, many)) => (one, many.to_owned()),
        None => (entry, inflect::add_s(entry)),
    };
    Word::Noun { one: one.to_owned(), many }
}

/// `base`, `base/past`, `base/past/participle` or `base/past/participle/gerund`.
fn verb(entry: &str) -> Word {
    let mut parts = entry.split('/');
    let base = parts.next().unwrap_or_default();
    let past = parts.next().map_or_else(|| inflect::add_ed(base), str::to_owned);
    let participle = parts.next().map_or_else(|| past.clone(), str::to_owned);
    let gerund = parts.next().map_or_else(|| inflect::add_ing(base), str::to_owned);
    Word::Verb { base: base.to_owned(), third: inflect::add_s(base), past, participle, gerund }
}

/// `preposition|name|thing,thing,...`; the things may be left out.
fn place(entry: &str) -> Word {
    let mut parts = entry.split('|');
    let preposition = parts.next().unwrap_or_default().to_owned();
    let name = parts.next().unwrap_or_default().to_owned();
    let things = parts.next().unwrap_or_default();
    let things = things.split(',').filter(|thing| !thing.is_empty()).map(noun).collect();
    Word::Place { preposition, name, things }
}

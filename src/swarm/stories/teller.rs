//! Tells one story: follows the grammar, remembers what was said, and keeps references clear.

use std::collections::HashMap;

use super::Story;
use super::cast::{Character, Pronoun};
use super::grammar::{Amount, Form, Grammar, Mention, Part, Role, WordRef};
use super::inflect;
use super::lexicon::{Lexicon, Word};
use super::polish::polish;
use crate::clock::Entropy;

/// A character is named again after this many pronouns, as a careful writer would.
const PRONOUNS_IN_A_ROW: usize = 3;
/// A grammar that calls itself for ever is cut off here; the tests see that none does.
const DEEPEST: usize = 24;
/// How even the choice among common and rare words is, from 0 to 1.
const EVENNESS: f64 = 0.06;
/// So many new words of a class in a row differ from each other.
const APART: usize = 3;
/// Chance that a noun whose number is open is several.
const SEVERAL: f64 = 0.5;

/// Tells the next story of `entropy`.
pub(super) fn tell(grammar: &Grammar, lexicon: &Lexicon, entropy: &mut Entropy) -> Story {
    let mut chooser = Chooser { entropy, nats: 0.0 };
    let cast = casting(lexicon, &mut chooser);
    let mut teller = Teller {
        grammar,
        lexicon,
        chooser,
        cast,
        raw: String::new(),
        words: HashMap::new(),
        recent: HashMap::new(),
        several: HashMap::new(),
        numbers: HashMap::new(),
        clear: HashMap::new(),
        pronouns: 0,
    };
    teller.group(grammar.start(), 0);
    let text = polish(&teller.raw);
    Story { text, nats: teller.chooser.nats, cast: teller.cast.into() }
}

/// Draws, and adds up how surprising the draws were.
struct Chooser<'e> {
    entropy: &'e mut Entropy,
    nats: f64,
}

impl Chooser<'_> {
    /// Uniform in `0..n`.
    fn even(&mut self, n: usize) -> usize {
        self.nats += (n.max(1) as f64).ln();
        self.entropy.below(n)
    }

    /// In `0..n`, the first ones much more often, so that common words are common and rare ones
    /// do come (see [`stretched`]).
    fn common(&mut self, n: usize) -> usize {
        let at = ((n as f64) * stretched(self.entropy.unit())) as usize;
        let share = |upto: usize| unstretched(upto as f64 / n as f64);
        self.nats -= (share(at + 1) - share(at)).ln();
        at.min(n.saturating_sub(1))
    }

    fn chance(&mut self, of: f64) -> bool {
        let yes = self.entropy.unit() < of;
        self.nats -= if yes { of.ln() } else { (1.0 - of).ln() };
        yes
    }

    fn word<'l>(&mut self, words: &'l [Word]) -> Option<&'l Word> {
        if words.is_empty() {
            return None;
        }
        words.get(self.common(words.len()))
    }
}

/// Maps an even draw in [0, 1) to a skewed one: mostly near 0, but no word is more than
/// `1 / EVENNESS` times as likely as in an even draw.
fn stretched(unit: f64) -> f64 {
    let square = unit * unit;
    EVENNESS * unit + (1.0 - EVENNESS) * square * square
}

/// The draw that [`stretched`] maps to `value`, by bisection.
fn unstretched(value: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..30 {
        let middle = 0.5 * (low + high);
        if stretched(middle) < value {
            low = middle;
        } else {
            high = middle;
        }
    }
    if value >= 1.0 { 1.0 } else { high }
}

/// Draws hero, friend and elder, all with different names.
fn casting(lexicon: &Lexicon, chooser: &mut Chooser<'_>) -> [Character; 3] {
    let hero = match chooser.even(10) {
        0..6 => child(lexicon, chooser),
        6..9 => animal(lexicon, chooser),
        _ => pair(lexicon, chooser),
    };
    let mut friend = hero.clone();
    while hero.name.contains(&friend.name) {
        friend = match chooser.even(10) {
            0..6 => child(lexicon, chooser),
            _ => animal(lexicon, chooser),
        };
    }
    [hero, friend, elder(lexicon, chooser)]
}

fn drawn(lexicon: &Lexicon, class: &str, chooser: &mut Chooser<'_>) -> String {
    chooser.word(lexicon.words(class)).map_or_else(String::new, |word| word.base().to_owned())
}

fn one_of_two(chooser: &mut Chooser<'_>) -> Pronoun {
    if chooser.even(2) == 0 { Pronoun::She } else { Pronoun::He }
}

fn child(lexicon: &Lexicon, chooser: &mut Chooser<'_>) -> Character {
    let pronoun = one_of_two(chooser);
    let (class, kind) = if pronoun == Pronoun::She { ("girl", "girl") } else { ("boy", "boy") };
    Character { name: drawn(lexicon, class, chooser), kind: kind.to_owned(), pronoun }
}

fn animal(lexicon: &Lexicon, chooser: &mut Chooser<'_>) -> Character {
    let pronoun = one_of_two(chooser);
    let kind = drawn(lexicon, "hero", chooser);
    Character { name: drawn(lexicon, "pet", chooser), kind, pronoun }
}

fn pair(lexicon: &Lexicon, chooser: &mut Chooser<'_>) -> Character {
    let (girl, boy) = (drawn(lexicon, "girl", chooser), drawn(lexicon, "boy", chooser));
    let name = format!("{girl} and {boy}");
    Character { name, kind: "twins".to_owned(), pronoun: Pronoun::They }
}

fn elder(lexicon: &Lexicon, chooser: &mut Chooser<'_>) -> Character {
    let pronoun = one_of_two(chooser);
    let title = if pronoun == Pronoun::She { "Mrs" } else { "Mr" };
    let name = format!("{title} {}", drawn(lexicon, "surname", chooser));
    Character { name, kind: "elder".to_owned(), pronoun }
}

/// A story in the making.
struct Teller<'t> {
    grammar: &'t Grammar,
    lexicon: &'t Lexicon,
    chooser: Chooser<'t>,
    cast: [Character; 3],
    raw: String,
    words: HashMap<WordRef, &'t Word>,
    /// The last new words of each class, newest first.
    recent: HashMap<usize, Vec<&'t Word>>,
    several: HashMap<WordRef, bool>,
    numbers: HashMap<u8, usize>,
    /// Whom each pronoun means now.
    clear: HashMap<&'static str, Role>,
    pronouns: usize,
}

impl<'t> Teller<'t> {
    fn group(&mut self, group: usize, depth: usize) {
        let grammar = self.grammar;
        let templates = &grammar.groups[group];
        if templates.is_empty() || depth > DEEPEST {
            return;
        }
        // A sentence starts here, also after a quote that ends with `!` or `?`.
        if self.raw.trim_end().ends_with('"') {
            self.raw.push('^');
        }
        for part in &templates[self.chooser.even(templates.len())] {
            self.part(part, depth);
        }
    }

    fn part(&mut self, part: &'t Part, depth: usize) {
        match part {
            Part::Text(text) => self.text(text),
            Part::Group(group) => self.group(*group, depth + 1),
            Part::Cast(role, mention) => self.mention(*role, mention),
            Part::Word(word, form) => self.word(*word, *form),
            Part::Count(amount, noun) => self.count(*amount, *noun),
            Part::CountAgreeing(amount, one, many) => {
                let word = if self.amount(*amount) == 1 { one } else { many };
                self.raw.push_str(word);
            }
        }
    }

    /// Plain text. `/` starts a new paragraph, where names are said again.
    fn text(&mut self, text: &str) {
        for (at, stretch) in text.split('/').enumerate() {
            if at > 0 {
                let end = self.raw.trim_end().len();
                self.raw.truncate(end);
                self.raw.push('\n');
                self.clear.clear();
            }
            let start = if at > 0 { stretch.trim_start() } else { stretch };
            self.raw.push_str(start);
        }
    }

    fn mention(&mut self, role: Role, mention: &Mention) {
        let character = &self.cast[role as usize];
        let pronoun = character.pronoun;
        let word = match mention {
            Mention::Possessive => pronoun.possessive(),
            Mention::Reflexive => pronoun.reflexive(),
            Mention::Kind => &character.kind,
            Mention::Agreeing(one, many) => pronoun.agree(one, many),
            Mention::Subject if self.is_clear(role) => pronoun.subject(),
            Mention::Object if self.is_clear(role) => pronoun.object(),
            Mention::Subject | Mention::Object | Mention::Name => &character.name,
        };
        let named = word == character.name;
        self.raw.push_str(word);
        if named {
            self.clear.insert(pronoun.subject(), role);
            self.pronouns = 0;
        } else if matches!(mention, Mention::Subject | Mention::Object) {
            self.pronouns += 1;
        }
    }

    /// Whether the character's pronoun can only mean this character. A sentence that comes after
    /// many pronouns starts with the name.
    fn is_clear(&self, role: Role) -> bool {
        let pronoun = self.cast[role as usize].pronoun.subject();
        let starts = self.raw.trim_end_matches([' ', '^']).ends_with(['.', '!', '?', '"']);
        self.clear.get(pronoun) == Some(&role) && !(starts && self.pronouns >= PRONOUNS_IN_A_ROW)
    }

    fn chosen(&mut self, wanted: WordRef) -> Option<&'t Word> {
        if let Some(word) = self.words.get(&wanted) {
            return Some(word);
        }
        let lexicon = self.lexicon;
        let words = &lexicon.classes[wanted.class].words;
        let mut word = self.chooser.word(words)?;
        for _ in 0..words.len() {
            if !self.is_used(wanted, word) {
                break;
            }
            word = self.chooser.word(words)?;
        }
        if wanted.remembered.is_some() {
            self.words.insert(wanted, word);
        } else {
            let recent = self.recent.entry(wanted.class).or_default();
            recent.truncate(APART - 1);
            recent.insert(0, word);
        }
        Some(word)
    }

    /// Whether another choice would read better: two remembered words of a class differ, and so do
    /// a few words of a class in a row.
    fn is_used(&self, wanted: WordRef, word: &Word) -> bool {
        let remembered =
            self.words.iter().any(|(known, used)| known.class == wanted.class && *used == word);
        let recent = self.recent.get(&wanted.class).is_some_and(|recent| recent.contains(&word));
        remembered || recent
    }

    fn word(&mut self, wanted: WordRef, form: Form) {
        if let Some(word) = self.chosen(wanted) {
            let text = self.inflected(wanted, word, form);
            self.raw.push_str(&text);
        }
    }

    fn inflected(&mut self, wanted: WordRef, word: &'t Word, form: Form) -> String {
        let text = match (form, word) {
            (Form::Drawn, Word::Noun { one, many }) => self.agree(wanted, one, many),
            (Form::Agreeing(one, many), _) => self.agree(wanted, one, many),
            (Form::WithS, Word::Noun { many, .. }) => many,
            (Form::WithS, Word::Verb { third, .. }) => third,
            (Form::Past, Word::Verb { past, .. }) => past,
            (Form::Participle, Word::Verb { participle, .. }) => participle,
            (Form::Gerund, Word::Verb { gerund, .. }) => gerund,
            (Form::Comparative, word) => return inflect::comparative(word.base()),
            (Form::Superlative, word) => return inflect::superlative(word.base()),
            (Form::Locative, Word::Place { preposition, name, .. }) => {
                return format!("{preposition} the {name}");
            }
            (Form::Found | Form::FoundMany, Word::Place { things, .. }) => {
                return match (self.chooser.word(things), form) {
                    (Some(Word::Noun { many, .. }), Form::FoundMany) => many.clone(),
                    (Some(thing), _) => thing.base().to_owned(),
                    (None, _) => String::new(),
                };
            }
            (_, word) => word.base(),
        };
        text.to_owned()
    }

    /// `one` or `many`, by the number that the word has in this story.
    fn agree<'w>(&mut self, wanted: WordRef, one: &'w str, many: &'w str) -> &'w str {
        let several = match self.several.get(&wanted) {
            Some(several) => *several,
            None => {
                let several = self.chooser.chance(SEVERAL);
                self.several.insert(wanted, several);
                several
            }
        };
        if several { many } else { one }
    }

    fn number(&mut self, index: u8) -> usize {
        if let Some(number) = self.numbers.get(&index) {
            return *number;
        }
        let number = 1 + self.chooser.even(9);
        self.numbers.insert(index, number);
        number
    }

    fn amount(&mut self, amount: Amount) -> usize {
        match amount {
            Amount::Drawn(index) => self.number(index),
            Amount::Sum(a, b) => self.number(a) + self.number(b),
            Amount::Product(a, b) => self.number(a) * self.number(b),
        }
    }

    fn count(&mut self, amount: Amount, noun: Option<WordRef>) {
        let amount = self.amount(amount);
        self.raw.push_str(&inflect::number(amount));
        if let Some((noun, word)) = noun.and_then(|noun| Some((noun, self.chosen(noun)?))) {
            let form = if amount == 1 { Form::Base } else { Form::WithS };
            let text = self.inflected(noun, word, form);
            self.raw.push(' ');
            self.raw.push_str(&text);
        }
    }
}

//! The story grammar: groups of templates, read once from `assets/stories/grammar.txt`.
//!
//! A template is text with `[group]` (tell one of that group here) and `{slot}`:
//!
//! | slot | is |
//! |---|---|
//! | `{h}` `{f}` `{e}` | hero, friend, elder as a subject: the name, or the pronoun when it is clear |
//! | `{h:n}` `{h:o}` `{h:his}` `{h:self}` `{h:kind}` | name; object; possessive; reflexive; what they are |
//! | `{h:was}` `{h:is}` `{h:has}` `{h:does}` `{h~like}` | a verb that agrees with them |
//! | `{h:a}` `{h:I}` `{h:my}` `{h:me}` `{h:am}` | "a" or "two"; how they speak of themselves, one or two of them |
//! | `{thing}` `{thing:s}` `{go:ed}` `{find:en}` `{go:ing}` `{size:er}` `{size:est}` | a new word of a class, in a form |
//! | `{thing1}` | the same, remembered: the same word all through the story |
//! | `{thing1:#}` `{thing1:was}` `{thing1:it}` `{thing1:them}` `{thing1:its}` | one or several, chosen once; what agrees with it |
//! | `{place1:at}` `{place1:in}` `{place1:ins}` | "on the hill"; a thing found there; several of them |
//! | `{n1}` `{n1 fruit1}` `{n1+n2 fruit1}` `{n1*n2}` `{n1:was}` | a number from one to nine; counted words; sums and products |
//!
//! A line that starts with `3*` counts three times. `a*` becomes "a" or "an".

use std::collections::HashMap;

use super::lexicon::Lexicon;

const TEMPLATES: &str = include_str!("../../../assets/stories/grammar.txt");

/// A class of the lexicon by its number; a remembered word has an index too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct WordRef {
    pub(super) class: usize,
    pub(super) remembered: Option<u8>,
}

/// A member of the cast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Hero,
    Friend,
    Elder,
}

/// How a character is mentioned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mention {
    Subject,
    Name,
    Object,
    Possessive,
    Reflexive,
    Kind,
    /// A word for one and a word for several.
    Agreeing(String, String),
}

/// The form of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Base,
    /// Plural of a noun, third person of a verb.
    WithS,
    Past,
    Participle,
    Gerund,
    Comparative,
    Superlative,
    /// One or several, as drawn for the word.
    Drawn,
    /// One of two words, by the drawn number.
    Agreeing(&'static str, &'static str),
    /// "in the forest".
    Locative,
    /// A thing found at a place.
    Found,
    /// Several things found at a place.
    FoundMany,
}

/// A number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Amount {
    Drawn(u8),
    Sum(u8, u8),
    Product(u8, u8),
}

/// A stretch of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    Group(usize),
    Cast(Role, Mention),
    Word(WordRef, Form),
    Count(Amount, Option<WordRef>),
    CountAgreeing(Amount, &'static str, &'static str),
}

/// Templates by group.
#[derive(Debug)]
pub(super) struct Grammar {
    pub(super) groups: Vec<Vec<Vec<Part>>>,
    names: HashMap<&'static str, usize>,
    /// What could not be understood: empty, or the tests fail.
    pub(super) faults: Vec<String>,
}

impl Grammar {
    /// The grammar in the assets.
    pub(super) fn written(lexicon: &Lexicon) -> Self {
        Self::read(TEMPLATES, lexicon)
    }

    /// The group that a telling starts from.
    pub(super) fn start(&self) -> usize {
        self.names.get("story").copied().unwrap_or(0)
    }

    fn read(text: &'static str, lexicon: &Lexicon) -> Self {
        let lines = || text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let headings = lines().filter_map(|line| line.strip_prefix("== "));
        let names: HashMap<&'static str, usize> =
            headings.enumerate().map(|(at, name)| (name, at)).collect();
        let mut grammar = Self { groups: vec![Vec::new(); names.len()], names, faults: Vec::new() };
        let mut group = 0;
        for line in lines() {
            if let Some(name) = line.strip_prefix("== ") {
                group = grammar.names.get(name).copied().unwrap_or(0);
                continue;
            }
            let (times, template) = match line.split_once("* ") {
                Some((times, rest)) if times.parse::<usize>().is_ok() => {
                    (times.parse().unwrap_or(1), rest)
                }
                _ => (1, line),
            };
            let parts = grammar.parts(template, lexicon);
            grammar.groups[group].extend(std::iter::repeat_n(parts, times));
        }
        for (name, at) in &grammar.names {
            if grammar.groups[*at].is_empty() {
                grammar.faults.push(format!("group {name} is empty"));
            }
        }
        grammar
    }

    /// Cuts a template at its brackets and braces.
    fn parts(&mut self, template: &str, lexicon: &Lexicon) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some(open) = rest.find(['[', '{']) {
            if open > 0 {
                parts.push(Part::Text(rest[..open].to_owned()));
            }
            let inside = &rest[open + 1..];
            let closing = if rest[open..].starts_with('[') { ']' } else { '}' };
            let Some(close) = inside.find(closing) else {
                self.faults.push(format!("no {closing} in: {template}"));
                return parts;
            };
            let code = &inside[..close];
            let part = match closing {
                ']' => self.names.get(code).map(|at| Part::Group(*at)),
                _ => slot(code, lexicon),
            };
            match part {
                Some(part) => parts.push(part),
                None => self.faults.push(format!("unknown {code} in: {template}")),
            }
            rest = &inside[close + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        parts
    }
}

fn slot(code: &str, lexicon: &Lexicon) -> Option<Part> {
    cast_slot(code).or_else(|| count_slot(code, lexicon)).or_else(|| word_slot(code, lexicon))
}

fn cast_slot(code: &str) -> Option<Part> {
    let role = match code.get(..1)? {
        "h" => Role::Hero,
        "f" => Role::Friend,
        "e" => Role::Elder,
        _ => return None,
    };
    let agreeing = |one: &str, many: &str| Mention::Agreeing(one.to_owned(), many.to_owned());
    let mention = match &code[1..] {
        "" => Mention::Subject,
        ":n" => Mention::Name,
        ":o" => Mention::Object,
        ":his" => Mention::Possessive,
        ":self" => Mention::Reflexive,
        ":kind" => Mention::Kind,
        ":was" => agreeing("was", "were"),
        ":is" => agreeing("is", "are"),
        ":has" => agreeing("has", "have"),
        ":does" => agreeing("does", "do"),
        ":a" => agreeing("a*", "two"),
        ":I" => agreeing("I", "we"),
        ":my" => agreeing("my", "our"),
        ":me" => agreeing("me", "us"),
        ":yourself" => agreeing("yourself", "yourselves"),
        ":am" => agreeing("am", "are"),
        other => {
            let verb = other.strip_prefix('~')?;
            agreeing(&super::inflect::add_s(verb), verb)
        }
    };
    Some(Part::Cast(role, mention))
}

fn count_slot(code: &str, lexicon: &Lexicon) -> Option<Part> {
    let (amount, rest) = match code.find([' ', ':']) {
        Some(at) => (&code[..at], &code[at..]),
        None => (code, ""),
    };
    let index = |text: &str| text.strip_prefix('n')?.parse::<u8>().ok();
    let amount = match (amount.split_once('+'), amount.split_once('*')) {
        (Some((a, b)), _) => Amount::Sum(index(a)?, index(b)?),
        (_, Some((a, b))) => Amount::Product(index(a)?, index(b)?),
        _ => Amount::Drawn(index(amount)?),
    };
    match rest {
        "" => Some(Part::Count(amount, None)),
        ":was" => Some(Part::CountAgreeing(amount, "was", "were")),
        ":is" => Some(Part::CountAgreeing(amount, "is", "are")),
        noun => Some(Part::Count(amount, Some(word_ref(noun.strip_prefix(' ')?, lexicon)?))),
    }
}

fn word_slot(code: &str, lexicon: &Lexicon) -> Option<Part> {
    let (name, form) = code.split_once(':').unwrap_or((code, ""));
    let form = match form {
        "" => Form::Base,
        "s" => Form::WithS,
        "ed" => Form::Past,
        "en" => Form::Participle,
        "ing" => Form::Gerund,
        "er" => Form::Comparative,
        "est" => Form::Superlative,
        "#" => Form::Drawn,
        "was" => Form::Agreeing("was", "were"),
        "is" => Form::Agreeing("is", "are"),
        "has" => Form::Agreeing("has", "have"),
        "it" => Form::Agreeing("it", "they"),
        "them" => Form::Agreeing("it", "them"),
        "its" => Form::Agreeing("its", "their"),
        "this" => Form::Agreeing("this", "these"),
        "a" => Form::Agreeing("a*", "some"),
        "at" => Form::Locative,
        "in" => Form::Found,
        "ins" => Form::FoundMany,
        _ => return None,
    };
    Some(Part::Word(word_ref(name, lexicon)?, form))
}

fn word_ref(name: &str, lexicon: &Lexicon) -> Option<WordRef> {
    let class = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let remembered = name[class.len()..].parse().ok();
    Some(WordRef { class: lexicon.class(class)?, remembered })
}

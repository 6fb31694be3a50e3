//! `hearth explain CODE`: a page for every stable code that Hearth prints: what it means, why it
//! happens, what to do now. A test walks the source, so that no code is without its page. And the words
//! that the screens take for known: `hearth explain words`.

mod pages;
pub mod words;

use std::io::{self, Write};

use clap::Args;
use serde::Serialize;

use self::words::{WORDS, Word, meaning};
use super::exit::written;
use super::{Exit, Failure};

/// A page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Page {
    /// The code.
    pub code: &'static str,
    /// In a few words.
    pub title: &'static str,
    /// What it means.
    pub what: &'static str,
    /// Why it happens.
    pub why: &'static str,
    /// What to do now.
    pub now: &'static str,
}

const fn page(
    code: &'static str,
    title: &'static str,
    what: &'static str,
    why: &'static str,
    now: &'static str,
) -> Page {
    Page { code, title, what, why, now }
}

/// All pages, by chapter.
pub const CHAPTERS: [(&str, &[Page]); 14] = [
    ("How a command ends", pages::ends::PAGES),
    ("Settings and files", pages::settings::PAGES),
    ("Keys and payout", pages::keys::PAGES),
    ("The machine", pages::machine::PAGES),
    ("Several devices", pages::several::PAGES),
    ("Operating systems", pages::systems::PAGES),
    ("The network", pages::network::PAGES),
    ("While it trains", pages::training::PAGES),
    ("A running miner", pages::control::PAGES),
    ("Reasons for a state", pages::reasons::PAGES),
    ("When and how hard it works", pages::rules::PAGES),
    ("Records, reports and alerts", pages::telemetry::PAGES),
    ("Earnings", pages::earnings::PAGES),
    ("Earnings: the chain and prices", pages::chain::PAGES),
];

/// The page of a code.
pub fn find(code: &str) -> Option<&'static Page> {
    all().find(|page| page.code == code)
}

fn all() -> impl Iterator<Item = &'static Page> {
    CHAPTERS.iter().flat_map(|(_, pages)| pages.iter())
}

/// What a code means: what, why, what now. Or a word.
#[derive(Clone, Debug, Default, Args)]
pub struct ExplainArguments {
    /// The code, as printed; a word of the screens, such as stage; or words, for all of those.
    /// Without one, all codes are listed
    #[arg(value_name = "CODE")]
    pub code: Option<String>,
    /// One JSON object a line, nothing else on standard output
    #[arg(long)]
    pub json: bool,
}

/// One page, for scripts.
#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    chapter: &'static str,
    #[serde(flatten)]
    page: &'a Page,
}

/// A word, for scripts.
#[derive(Serialize)]
struct WordLine<'a> {
    event: &'static str,
    #[serde(flatten)]
    word: &'a Word,
}

/// What asks for all words.
const ALL_WORDS: &str = "words";

/// Prints a page, or the list of all.
pub fn run(arguments: &ExplainArguments) -> Result<Exit, Failure> {
    let mut out = io::stdout().lock();
    let printed = match (&arguments.code, arguments.json) {
        (Some(code), json) if code.trim().eq_ignore_ascii_case(ALL_WORDS) => {
            WORDS.iter().try_for_each(|word| tell(word, json, &mut out))
        }
        (Some(code), json) => {
            let page = find(&code.trim().to_lowercase());
            // Some are a word as well.
            let word = meaning(code);
            if page.is_none() && word.is_none() {
                return Err(unknown(code));
            }
            let printed = match page {
                Some(page) if json => print_json(&mut out, |other| other == page),
                Some(page) => print(page, &mut out),
                None => Ok(()),
            };
            let apart = if page.is_some() && word.is_some() && !json { "\n" } else { "" };
            printed
                .and_then(|()| write!(out, "{apart}"))
                .and_then(|()| word.map_or(Ok(()), |word| tell(word, json, &mut out)))
        }
        (None, true) => print_json(&mut out, |_| true),
        (None, false) => list(&mut out),
    };
    written(printed)
}

fn print(page: &Page, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}: {}", page.code, page.title)?;
    for (word, text) in [("What", page.what), ("Why", page.why), ("Now", page.now)] {
        writeln!(out, "\n{word}")?;
        for line in wrapped(text, 76) {
            writeln!(out, "  {line}")?;
        }
    }
    Ok(())
}

/// Prints what a word means.
fn tell(word: &Word, json: bool, out: &mut impl Write) -> io::Result<()> {
    if json {
        let line = WordLine { event: "word", word };
        return writeln!(out, "{}", serde_json::to_string(&line).map_err(io::Error::other)?);
    }
    writeln!(out, "{}", word.word)?;
    wrapped(word.meaning, 76).iter().try_for_each(|line| writeln!(out, "  {line}"))
}

fn list(out: &mut impl Write) -> io::Result<()> {
    for (chapter, pages) in CHAPTERS {
        writeln!(out, "{chapter}")?;
        for page in pages {
            writeln!(out, "  {:26} {}", page.code, page.title)?;
        }
        writeln!(out)?;
    }
    writeln!(out, "`hearth explain CODE` prints the page; `hearth explain words`, what words mean.")
}

fn print_json(out: &mut impl Write, wanted: impl Fn(&Page) -> bool) -> io::Result<()> {
    for (chapter, pages) in CHAPTERS {
        for page in pages.iter().filter(|page| wanted(page)) {
            let line = Line { event: "explanation", chapter, page };
            writeln!(out, "{}", serde_json::to_string(&line).map_err(io::Error::other)?)?;
        }
    }
    Ok(())
}

/// A code that nobody prints; names those that look like it.
fn unknown(code: &str) -> Failure {
    let shown: String = code.chars().filter(|c| !c.is_control()).take(60).collect();
    let alike: Vec<&str> = all()
        .map(|page| page.code)
        .filter(|known| code.split('-').any(|part| part.len() > 3 && known.contains(part)))
        .take(5)
        .collect();
    let near = match alike.is_empty() {
        true => String::new(),
        false => format!(" (alike: {})", alike.join(", ")),
    };
    let line = format!("there is no code {shown:?}{near}: `hearth explain` lists all");
    Failure::new(Exit::Usage, line)
}

/// The words of `text` in lines of at most `width` letters.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_complete_and_every_code_is_a_word_of_its_own() {
        let mut seen = std::collections::BTreeSet::new();
        for page in all() {
            let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(page.code.chars().all(word), "{}", page.code);
            assert!(seen.insert(page.code), "{} has two pages", page.code);
            assert!(!page.title.ends_with('.') && page.title.len() < 60, "{}", page.code);
            for text in [page.what, page.why, page.now] {
                assert!(
                    text.ends_with('.') && text.len() >= "Nothing.".len(),
                    "{}: {text}",
                    page.code
                );
            }
        }
    }

    #[test]
    fn lines_are_wrapped_between_words() {
        assert_eq!(wrapped("aa bb cc", 5), ["aa bb", "cc"]);
        assert_eq!(wrapped("", 5), [""]);
    }

    #[test]
    fn an_unknown_code_names_those_alike() {
        let failure = unknown("disk-fulll");
        assert!(failure.exit == Exit::Usage && failure.line.contains("disk-full"), "{failure}");
    }
}

//! Every stable code that the source can print has a page in `hearth explain`, and every page has a
//! code that something prints.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use hearth::cli::explain::CHAPTERS;

/// What stands before a code, apart from a severity.
const BEFORE: [&str; 10] = [
    ".coded(",
    ".finding(",
    ".finding_once(",
    ".warn(",
    "Judgement::note(",
    "Judgement::warning(",
    "Judgement::error(",
    " check(",
    " judged(",
    "code: ",
];

fn sources(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let shipped = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
            let name = path.to_string_lossy().replace('\\', "/");
            if !name.ends_with("tests.rs") && !name.contains("cli/explain/pages/") {
                found.push((path, shipped));
            }
        }
    }
}

/// The literal at the beginning of `text`, behind a severity if there is one.
fn literal(text: &str) -> Option<&str> {
    let text = text.trim_start();
    let text = match text.strip_prefix("Severity::") {
        Some(rest) => rest.split_once(',')?.1.trim_start(),
        None => text,
    };
    let text = text.strip_prefix("Some(").unwrap_or(text);
    let inside = text.strip_prefix('"')?.split('"').next()?;
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (!inside.is_empty() && inside.chars().all(word)).then_some(inside)
}

/// The codes that a source prints.
fn codes(text: &str) -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for before in BEFORE {
        let places = text.match_indices(before);
        codes.extend(places.filter_map(|(at, _)| literal(&text[at + before.len()..])));
    }
    // The arms of a function that gives codes.
    for (at, _) in text.match_indices("fn code(") {
        let body = text[at..].split("\n    }\n").next().unwrap();
        codes.extend(body.split("=> ").skip(1).filter_map(literal));
    }
    codes.into_iter().map(str::to_owned).collect()
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let mut all = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    let mut printed: BTreeMap<String, PathBuf> = BTreeMap::new();
    for (path, text) in all {
        for code in codes(&text) {
            printed.insert(code, path.clone());
        }
    }
    assert!(printed.len() > 80, "the source was not read: {printed:?}");
    let pages: BTreeSet<&str> =
        CHAPTERS.iter().flat_map(|(_, pages)| pages.iter().map(|page| page.code)).collect();
    let missing: Vec<_> =
        printed.iter().filter(|(code, _)| !pages.contains(code.as_str())).collect();
    assert!(missing.is_empty(), "codes without a page in src/cli/explain/pages: {missing:#?}");
    let idle: Vec<_> = pages.iter().filter(|code| !printed.contains_key(**code)).collect();
    assert!(idle.is_empty(), "pages of codes that nothing prints: {idle:?}");
}

#[test]
fn the_walk_finds_codes_however_they_are_written() {
    let text = "board.finding(\n  Severity::Info,\n  \"a-one\", x); Failure::new(e).coded(\"b-two\")\n\
                self.warn(\"c\", y); Judgement::error(\n \"d-4\", z)\n\
                \x20   fn code(&self) -> &'static str {\n match self {\n A => \"e\",\n B => { x }\n C =>\n \"f\",\n }\n    }\n => \"not\"\n\
                finding(severity, code, \"words with spaces\")";
    let found = codes(text);
    let wanted: BTreeSet<String> =
        ["a-one", "b-two", "c", "d-4", "e"].into_iter().map(str::to_owned).collect();
    assert_eq!(found, wanted);
}

//! The last pass over a told story: articles by sound, capitals at sentence starts.

use super::inflect;

/// What templates write where "a" or "an" belongs.
const ARTICLE: &str = "a*";

/// Turns a raw telling into text: `a*` becomes "a" or "an", sentences start with capitals, spaces
/// are single.
pub(super) fn polish(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    for (at, line) in raw.split('\n').enumerate() {
        if at > 0 {
            text.push('\n');
        }
        let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        for (at, word) in words.iter().enumerate() {
            let before = at.checked_sub(1).map(|before| words[before]);
            if before.is_some() {
                text.push(' ');
            }
            let next = words.get(at + 1).copied().unwrap_or_default();
            let word = with_article(word, next);
            if before.is_none_or(ends_sentence) || opens_speech(&word) {
                push_capitalised(&mut text, &word);
            } else {
                text.push_str(&word);
            }
        }
    }
    text
}

fn with_article(word: &str, next: &str) -> String {
    match word.strip_suffix(ARTICLE) {
        Some(before) => format!("{before}{}", inflect::article(next)),
        None => word.to_owned(),
    }
}

/// A full stop ends a sentence, also inside a closing quote; `!"` and `?"` may be followed by who
/// said it, so there the template writes `^` where a sentence does start.
fn ends_sentence(word: &str) -> bool {
    word.ends_with(['.', '!', '?']) || word.ends_with(".\"")
}

fn opens_speech(word: &str) -> bool {
    word.starts_with(['"', '^'])
}

fn push_capitalised(text: &mut String, word: &str) {
    let word = word.trim_start_matches('^');
    let quotes = word.len() - word.trim_start_matches('"').len();
    text.push_str(&word[..quotes]);
    let mut letters = word[quotes..].chars();
    text.extend(letters.next().map(|first| first.to_ascii_uppercase()));
    text.push_str(letters.as_str());
}

#[cfg(test)]
mod tests {
    use super::polish;

    #[test]
    fn articles_and_capitals_are_set() {
        assert_eq!(
            polish(
                "a* old man had a*  apple. it was red.\n\"yes!\" he said. \"a* hour?\" ^she left."
            ),
            "An old man had an apple. It was red.\n\"Yes!\" he said. \"An hour?\" She left."
        );
    }
}

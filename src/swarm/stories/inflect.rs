//! English inflection by rule: plurals, verb forms, comparatives, numbers in words. What a rule
//! does not give is spelled out in the lexicon.

/// Splits a word into what stays and whether its last letter is `y` after a consonant.
fn consonant_y(word: &str) -> Option<&str> {
    let stem = word.strip_suffix('y')?;
    let before = stem.chars().next_back()?;
    (!is_vowel(before)).then_some(stem)
}

fn is_vowel(letter: char) -> bool {
    matches!(letter, 'a' | 'e' | 'i' | 'o' | 'u')
}

/// Groups of vowels, which is about the number of syllables.
fn vowel_groups(word: &str) -> usize {
    let mut groups = 0;
    let mut inside = false;
    for letter in word.chars() {
        let vowel = is_vowel(letter) || (letter == 'y' && groups > 0);
        groups += usize::from(vowel && !inside);
        inside = vowel;
    }
    groups
}

/// Whether the last consonant doubles before an ending: one syllable, consonant-vowel-consonant.
fn doubles(word: &str) -> bool {
    let mut back = word.chars().rev();
    let (Some(last), Some(middle)) = (back.next(), back.next()) else {
        return false;
    };
    let first_is_vowel = back.next().is_some_and(is_vowel);
    let after_q = word.len() > 3 && word[..word.len() - 2].ends_with("qu");
    !is_vowel(last)
        && !matches!(last, 'w' | 'x' | 'y')
        && is_vowel(middle)
        && (!first_is_vowel || after_q)
        && (vowel_groups(word) == 1 || after_q)
}

fn with_last_doubled(word: &str) -> String {
    let mut longer = word.to_owned();
    longer.extend(word.chars().next_back());
    longer
}

/// `-s`: the plural of a noun and the third person of a verb.
pub(super) fn add_s(word: &str) -> String {
    if let Some(stem) = consonant_y(word) {
        return format!("{stem}ies");
    }
    let hisses = ["s", "x", "z", "ch", "sh", "o"].iter().any(|ending| word.ends_with(ending));
    let plain_o = word.ends_with("io") || word.ends_with("oo") || word.ends_with("iano");
    if hisses && !plain_o { format!("{word}es") } else { format!("{word}s") }
}

/// `-ed`.
pub(super) fn add_ed(word: &str) -> String {
    if let Some(stem) = consonant_y(word) {
        format!("{stem}ied")
    } else if word.ends_with('e') {
        format!("{word}d")
    } else if doubles(word) {
        format!("{}ed", with_last_doubled(word))
    } else {
        format!("{word}ed")
    }
}

/// `-ing`.
pub(super) fn add_ing(word: &str) -> String {
    let silent_e = word.ends_with('e') && !["ee", "oe", "ye"].iter().any(|end| word.ends_with(end));
    if silent_e {
        format!("{}ing", &word[..word.len() - 1])
    } else if doubles(word) {
        format!("{}ing", with_last_doubled(word))
    } else {
        format!("{word}ing")
    }
}

/// The comparative: `-er` for short words, `more` for long ones.
pub(super) fn comparative(word: &str) -> String {
    match word {
        "good" => "better".to_owned(),
        "bad" => "worse".to_owned(),
        _ => match short_stem(word) {
            Some(stem) => format!("{stem}er"),
            None => format!("more {word}"),
        },
    }
}

/// The superlative: `-est` for short words, `most` for long ones.
pub(super) fn superlative(word: &str) -> String {
    match word {
        "good" => "best".to_owned(),
        "bad" => "worst".to_owned(),
        _ => match short_stem(word) {
            Some(stem) => format!("{stem}est"),
            None => format!("most {word}"),
        },
    }
}

/// What `-er` and `-est` are put on; `None` for words that take `more` and `most`.
fn short_stem(word: &str) -> Option<String> {
    if word.contains('-') {
        return None;
    }
    if let Some(stem) = consonant_y(word) {
        return (vowel_groups(stem) <= 1).then(|| format!("{stem}i"));
    }
    let silent_e = word.ends_with('e');
    let syllables = vowel_groups(word) - usize::from(silent_e && vowel_groups(word) > 1);
    let participle = word.ends_with("ed") || word.ends_with("ing");
    let fixed = matches!(word, "lost" | "torn" | "gone" | "stuck" | "fun" | "wrong" | "right");
    if syllables > 1 || participle || fixed {
        return None;
    }
    if silent_e {
        return Some(word[..word.len() - 1].to_owned());
    }
    Some(if doubles(word) { with_last_doubled(word) } else { word.to_owned() })
}

/// "a" or "an" before `word`, by its first sound.
pub(super) fn article(word: &str) -> &'static str {
    let word = word.to_ascii_lowercase();
    let silent_h = ["hour", "honest", "honour", "heir"].iter().any(|start| word.starts_with(start));
    let says_you =
        ["use", "uni", "usu", "eu", "ukulele"].iter().any(|start| word.starts_with(start))
            && !word.starts_with("unin")
            && !word.starts_with("unim");
    let says_won = word == "one" || word == "once";
    let vowel = word.chars().next().is_some_and(is_vowel);
    if silent_h || (vowel && !says_you && !says_won) { "an" } else { "a" }
}

/// A number below 1,000 in words.
pub(super) fn number(value: usize) -> String {
    const SMALL: [&str; 20] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 10] =
        ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    match value {
        0..20 => SMALL[value].to_owned(),
        20..100 if value.is_multiple_of(10) => TENS[value / 10].to_owned(),
        20..100 => format!("{}-{}", TENS[value / 10], SMALL[value % 10]),
        100..1000 if value.is_multiple_of(100) => format!("{} hundred", SMALL[value / 100]),
        100..1000 => format!("{} hundred and {}", SMALL[value / 100], number(value % 100)),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals_and_third_persons_follow_the_spelling() {
        let cases = [
            ("box", "boxes"),
            ("berry", "berries"),
            ("key", "keys"),
            ("bench", "benches"),
            ("radio", "radios"),
            ("piano", "pianos"),
            ("potato", "potatoes"),
            ("cat", "cats"),
            ("carry", "carries"),
            ("go", "goes"),
            ("wish", "wishes"),
            ("play", "plays"),
        ];
        for (word, expected) in cases {
            assert_eq!(add_s(word), expected);
        }
    }

    #[test]
    fn past_forms_double_and_drop_letters() {
        let cases = [
            ("stop", "stopped", "stopping"),
            ("bake", "baked", "baking"),
            ("carry", "carried", "carrying"),
            ("visit", "visited", "visiting"),
            ("look", "looked", "looking"),
            ("play", "played", "playing"),
            ("hug", "hugged", "hugging"),
            ("show", "showed", "showing"),
            ("open", "opened", "opening"),
            ("agree", "agreed", "agreeing"),
            ("fix", "fixed", "fixing"),
            ("nod", "nodded", "nodding"),
        ];
        for (word, past, gerund) in cases {
            assert_eq!(add_ed(word), past);
            assert_eq!(add_ing(word), gerund);
        }
    }

    #[test]
    fn comparatives_are_short_for_short_words() {
        let cases = [
            ("big", "bigger", "biggest"),
            ("happy", "happier", "happiest"),
            ("large", "larger", "largest"),
            ("careful", "more careful", "most careful"),
            ("good", "better", "best"),
            ("tired", "more tired", "most tired"),
            ("kind", "kinder", "kindest"),
        ];
        for (word, more, most) in cases {
            assert_eq!(comparative(word), more);
            assert_eq!(superlative(word), most);
        }
    }

    #[test]
    fn articles_follow_the_sound() {
        let cases = [
            ("apple", "an"),
            ("hour", "an"),
            ("useful", "a"),
            ("umbrella", "an"),
            ("kite", "a"),
            ("Ella", "an"),
            ("one", "a"),
            ("house", "a"),
            ("uniform", "a"),
        ];
        for (word, expected) in cases {
            assert_eq!(article(word), expected, "{word}");
        }
    }

    #[test]
    fn numbers_are_spelled() {
        assert_eq!(number(7), "seven");
        assert_eq!(number(13), "thirteen");
        assert_eq!(number(40), "forty");
        assert_eq!(number(81), "eighty-one");
        assert_eq!(number(305), "three hundred and five");
    }
}

//! Round trips, the fast path against the crate's own, and every error.

use proptest::prelude::*;

use super::*;

/// Enough text to learn a few hundred merges from.
fn training_texts() -> Vec<String> {
    let people = ["the baker", "a gardener", "my aunt", "the children", "nobody", "the old king"];
    let acts =
        ["went home", "slept late", "carried the bread", "sang again", "were here and there"];
    let told = |person: &str, act: &str| format!("{person} {act}, and then {person} slept.\n");
    people.iter().flat_map(|person| acts.iter().map(|act| told(person, act))).collect()
}

fn shipped() -> Tokenizer {
    Tokenizer::shipped().unwrap()
}

#[test]
fn the_shipped_tokenizer_has_4096_entries_and_no_special_tokens() {
    let tokenizer = shipped();
    assert_eq!(tokenizer.vocab_size(), 4096);
    assert!(tokenizer.inner.get_added_vocabulary().is_empty());
    assert!(tokenizer.remembered.is_some());
    assert_eq!(tokenizer.encode("").unwrap(), Vec::<u32>::new());
}

#[test]
fn common_story_words_are_one_token() {
    let tokenizer = shipped();
    for word in [" the", " and", " was", " they", " forest", " said"] {
        assert_eq!(tokenizer.encode(word).unwrap().len(), 1, "{word}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_comes_back_exactly(text in any::<String>()) {
        let tokenizer = shipped_once();
        let ids = tokenizer.encode(&text).unwrap();
        prop_assert_eq!(tokenizer.decode(&ids).unwrap(), text);
    }

    #[test]
    fn remembered_words_change_nothing(text in "[a-zA-Zéß×Жж漢かー一“”—… \t\n\r\u{a0}\u{2028}0-9'’.,!?\"<|>_-]{0,60}") {
        let tokenizer = shipped_once();
        let whole = tokenizer.encode_whole(&text).unwrap();
        prop_assert_eq!(tokenizer.encode(&text).unwrap(), whole.clone());
        prop_assert_eq!(tokenizer.encode(&text).unwrap(), whole);
    }

    #[test]
    fn contractions_and_blanks_split_alike(text in "('s|'t|'re|'ve|'m|'ll|'d|'|''| |  |\n|\n\n|\t|a|b1|1|,|\\?'){0,20}") {
        let tokenizer = shipped_once();
        prop_assert_eq!(tokenizer.encode(&text).unwrap(), tokenizer.encode_whole(&text).unwrap());
    }
}

fn shipped_once() -> &'static Tokenizer {
    static SHIPPED_ONCE: std::sync::OnceLock<Tokenizer> = std::sync::OnceLock::new();
    SHIPPED_ONCE.get_or_init(shipped)
}

/// Each character whose class the fast path claims to know behaves like that class in the crate.
#[test]
fn every_known_character_has_the_class_the_crate_gives_it() {
    use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};
    let split = ByteLevel::default().add_prefix_space(false);
    for character in (0..0x3_0000_u32).filter_map(char::from_u32) {
        let Some(class) = words::class(character) else { continue };
        let joined = |other: &str| {
            let mut text = PreTokenizedString::from(format!("{other}{character}{other}"));
            split.pre_tokenize(&mut text).unwrap();
            text.get_splits(OffsetReferential::Original, OffsetType::Byte).len() == 1
        };
        let found = match class {
            words::Class::Letter => joined("a"),
            words::Class::Digit => joined("1"),
            words::Class::Space => joined("\t"),
            words::Class::Other => joined("%"),
        };
        assert!(found, "{character:?} is not a {class:?}");
    }
}

#[test]
fn training_is_deterministic_and_respects_the_size() {
    let texts = training_texts();
    let one = Tokenizer::train_bpe(texts.clone(), 300).unwrap();
    let mut reversed = texts;
    reversed.reverse();
    let two = Tokenizer::train_bpe(reversed, 300).unwrap();
    assert_eq!(one.vocab_size(), 300);
    assert_eq!(one.to_json().unwrap(), two.to_json().unwrap());
}

#[test]
fn training_on_nothing_or_into_nothing_is_refused() {
    let none = Tokenizer::train_bpe(Vec::new(), 512);
    assert!(matches!(none, Err(TokenizerError::NothingToTrainOn)));
    let small = Tokenizer::train_bpe(vec!["text".to_owned()], 100);
    assert!(matches!(small, Err(TokenizerError::TooSmall(100))));
}

#[test]
fn special_tokens_of_a_users_file_are_added_and_not_decoded() {
    let json = Tokenizer::train_bpe(training_texts(), 300).unwrap().to_json().unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&json).unwrap();
    value["added_tokens"] = serde_json::json!([{
        "id": 300, "content": "<begin>", "single_word": false, "lstrip": false,
        "rstrip": false, "normalized": false, "special": true
    }]);
    value["post_processor"] = serde_json::json!({
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<begin>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [],
        "special_tokens": {"<begin>": {"id": "<begin>", "ids": [300], "tokens": ["<begin>"]}}
    });
    value["truncation"] = serde_json::json!({
        "direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0
    });
    let tokenizer = Tokenizer::from_json_bytes(value.to_string().as_bytes()).unwrap();
    let text = "the children went home and slept";
    let ids = tokenizer.encode(text).unwrap();
    assert_eq!(ids[0], 300);
    assert_eq!(tokenizer.decode(&ids).unwrap(), text);
    assert_eq!(tokenizer.vocab_size(), 301);
    assert!(matches!(
        tokenizer.fit_into(300),
        Err(TokenizerError::TooLarge { entries: 301, room: 300 })
    ));
}

#[test]
fn a_missing_tokenizer_file_is_named() {
    let error = Tokenizer::from_file(Path::new("no/such/tokenizer.json")).unwrap_err();
    assert!(matches!(error, TokenizerError::Missing(_)), "{error}");
    assert!(error.to_string().contains("does not exist"));
}

#[test]
fn an_empty_tokenizer_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    std::fs::write(&path, "\n").unwrap();
    let error = Tokenizer::from_file(&path).unwrap_err();
    assert!(matches!(error, TokenizerError::Empty(_)), "{error}");
}

#[test]
fn a_folder_is_no_tokenizer_file() {
    let folder = tempfile::tempdir().unwrap();
    let error = Tokenizer::from_file(folder.path()).unwrap_err();
    assert!(matches!(error, TokenizerError::Unreadable { .. }), "{error}");
}

#[test]
fn other_json_binary_and_empty_vocabularies_are_refused() {
    let empty = r#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],
        "normalizer":null,"pre_tokenizer":null,"post_processor":null,"decoder":null,
        "model":{"type":"BPE","vocab":{},"merges":[]}}"#;
    for bytes in [b"{\"a\": 1}".as_slice(), b"hello", &[0, 159, 146, 150], empty.as_bytes()] {
        let error = Tokenizer::from_json_bytes(bytes).unwrap_err();
        assert!(matches!(error, TokenizerError::NotATokenizer { .. }), "{error}");
    }
}

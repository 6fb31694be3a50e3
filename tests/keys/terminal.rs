//! Keys at a real terminal: words are shown once on a screen that leaves nothing behind, asked back,
//! and typed in without being seen.

use std::collections::BTreeMap;

use super::pty::Terminal;
use super::{Home, PASSPHRASE, PHRASE, PHRASE_ADDRESS};

fn start(home: &Home, arguments: &[&str]) -> Terminal {
    let path = home.path().display().to_string();
    Terminal::start(24, 80, arguments, &[("HEARTH_HOME", &path)])
}

/// The numbered words on the screen.
fn words(text: &str) -> BTreeMap<usize, String> {
    let pieces: Vec<&str> = text.split_whitespace().collect();
    let numbered = pieces.windows(2).filter_map(|pair| {
        let number = pair[0].strip_suffix('.')?.parse().ok()?;
        Some((number, pair[1].to_owned()))
    });
    numbered.collect()
}

/// The number in the last "Word 7:" on the screen.
fn asked(text: &str) -> Option<usize> {
    let (_, last) = text.rsplit_once("Word ")?;
    last.split_once(':').filter(|(_, typed)| typed.trim().is_empty())?.0.parse().ok()
}

/// Reads the words, goes on, and answers the three questions.
fn pass_the_quiz(terminal: &mut Terminal) -> BTreeMap<usize, String> {
    terminal.wait_for("the words", |text| text.contains("12. ") && text.contains("Enter when"));
    let words = words(&terminal.text());
    assert_eq!(words.len(), 12, "{}", terminal.text());
    terminal.press("\r");
    let mut before = 0;
    for _ in 0..3 {
        terminal.wait_for("a question", |text| asked(text).is_some_and(|number| number > before));
        before = asked(&terminal.text()).unwrap();
        terminal.press(&format!("{}\r", words[&before]));
    }
    words
}

#[track_caller]
fn left_nothing(terminal: &Terminal, words: &BTreeMap<usize, String>) {
    assert!(terminal.look(|screen| !screen.alternate_screen() && !screen.hide_cursor()));
    let text = terminal.text();
    let shown = words.values().filter(|word| text.split_whitespace().any(|seen| seen == *word));
    assert!(shown.count() < 3, "words are still on the screen:\n{text}");
}

#[test]
fn words_are_shown_once_asked_back_and_leave_nothing_on_the_screen() {
    let home = Home::new();
    let mut terminal = start(&home, &["keys", "new", "--store", "file"]);
    let words = pass_the_quiz(&mut terminal);
    terminal.wait_for("the passphrase", |text| text.contains("New passphrase for key default"));
    left_nothing(&terminal, &words);
    terminal.press(&format!("{PASSPHRASE}\r"));
    terminal.wait_for("it again", |text| text.contains("same again"));
    terminal.press(&format!("{PASSPHRASE}\r"));
    assert_eq!(terminal.ended(), 0, "{}", terminal.text());
    assert!(terminal.text().contains("encrypted file"), "{}", terminal.text());
    assert!(!terminal.text().contains(PASSPHRASE), "{}", terminal.text());

    // The words that were shown are the key.
    let phrase = words.values().cloned().collect::<Vec<_>>().join(" ");
    let mut terminal = start(&home, &["keys", "verify"]);
    terminal.wait_for("the question", |text| text.contains("not shown as you type"));
    terminal.press(&format!("{phrase}\r"));
    assert_eq!(terminal.ended(), 0, "{}", terminal.text());
    assert!(terminal.text().contains("The words are right"), "{}", terminal.text());
    left_nothing(&terminal, &words);
    let mut terminal = start(&home, &["keys", "verify"]);
    terminal.wait_for("the question", |text| text.contains("not shown as you type"));
    terminal.press(&format!("{PHRASE}\r"));
    assert_eq!(terminal.ended(), 1, "{}", terminal.text());
    assert!(terminal.text().contains("not the words of default"), "{}", terminal.text());

    // They are shown again after a yes and the passphrase.
    let mut terminal = start(&home, &["keys", "show", "--secret"]);
    terminal.wait_for("the warning", |text| text.contains("[y/N]"));
    terminal.press("y\r");
    terminal.wait_for("the passphrase", |text| text.contains("Passphrase of key default"));
    terminal.press("not this one\r");
    terminal.wait_for("another try", |text| text.contains("not the passphrase"));
    terminal.press(&format!("{PASSPHRASE}\r"));
    terminal.wait_for("the words", |text| text.contains("12. "));
    assert_eq!(self::words(&terminal.text()), words);
    terminal.press("\r");
    assert_eq!(terminal.ended(), 0);
    left_nothing(&terminal, &words);
}

#[test]
fn whatever_ends_it_while_words_are_shown_leaves_no_word_and_a_terminal_that_works() {
    for signal in ["TERM", "INT", "HUP"] {
        let home = Home::new();
        let mut terminal = start(&home, &["keys", "new", "--store", "file"]);
        terminal.wait_for("the words", |text| text.contains("12. ") && text.contains("Enter when"));
        let words = words(&terminal.text());
        terminal.signal(signal);
        assert_eq!(terminal.ended(), 0, "{}", terminal.text());
        left_nothing(&terminal, &words);
        assert!(!home.key_file("default").exists());
    }
}

#[test]
fn a_wrong_answer_shows_the_words_again_and_leaving_keeps_nothing() {
    let home = Home::new();
    let mut terminal = start(&home, &["keys", "new", "--store", "file"]);
    terminal.wait_for("the words", |text| text.contains("12. ") && text.contains("Enter when"));
    let first = words(&terminal.text());
    terminal.press("\r");
    terminal.wait_for("a question", |text| asked(text).is_some());
    terminal.press("zebra-crossing\r");
    terminal.wait_for("the words again", |text| text.contains("another word"));
    assert_eq!(words(&terminal.text()), first);
    terminal.press("\u{3}");
    assert_eq!(terminal.ended(), 1, "{}", terminal.text());
    assert!(terminal.text().contains("nothing was kept"), "{}", terminal.text());
    left_nothing(&terminal, &first);
    assert!(!home.key_file("default").exists());
    assert_eq!(home.done(&["keys", "list"]), "");
}

#[test]
fn typed_words_are_not_shown_and_wrong_ones_are_named_by_their_place() {
    let home = Home::new();
    let import = ["keys", "import", "--store", "file"];
    let mut terminal = start(&home, &import);
    terminal.wait_for("the question", |text| text.contains("not shown as you type"));
    terminal.press(&format!("{}\r", PHRASE.replace("lake", "lakke")));
    assert_eq!(terminal.ended(), 4, "{}", terminal.text());
    assert!(terminal.text().contains('4'), "{}", terminal.text());
    assert!(!terminal.text().contains("bottom"), "{}", terminal.text());

    let mut terminal = start(&home, &import);
    terminal.wait_for("the question", |text| text.contains("not shown as you type"));
    terminal.press(&format!("{PHRASE}\r"));
    terminal.wait_for("the passphrase", |text| text.contains("New passphrase"));
    terminal.press("short\r");
    terminal.wait_for("it again", |text| text.contains("same again"));
    terminal.press("short\r");
    assert_eq!(terminal.ended(), 4, "{}", terminal.text());
    assert!(terminal.text().contains("at least 8"), "{}", terminal.text());

    let mut terminal = start(&home, &import);
    terminal.wait_for("the question", |text| text.contains("not shown as you type"));
    terminal.press(&format!("{PHRASE}\r"));
    for question in ["New passphrase", "same again"] {
        terminal.wait_for(question, |text| text.contains(question));
        terminal.press(&format!("{PASSPHRASE}\r"));
    }
    assert_eq!(terminal.ended(), 0, "{}", terminal.text());
    assert!(terminal.text().contains(&PHRASE_ADDRESS[..20]), "{}", terminal.text());
    assert!(!terminal.text().contains("bottom"), "{}", terminal.text());
}

#[test]
fn removing_a_key_wants_its_name_typed_again() {
    let home = Home::new();
    home.import("rig", PHRASE);
    let mut terminal = start(&home, &["keys", "remove", "rig"]);
    terminal.wait_for("the question", |text| text.contains("Type the key's name"));
    terminal.press("yes\r");
    assert_eq!(terminal.ended(), 1, "{}", terminal.text());
    assert!(home.key_file("rig").exists());
    let mut terminal = start(&home, &["keys", "remove", "rig"]);
    terminal.wait_for("the question", |text| text.contains("Type the key's name"));
    terminal.press("rig\r");
    assert_eq!(terminal.ended(), 0, "{}", terminal.text());
    assert!(!home.key_file("rig").exists());
}

#[test]
fn a_coldkey_made_here_leaves_only_its_address() {
    let home = Home::new();
    let mut terminal = start(&home, &["keys", "new", "--payout"]);
    let words = pass_the_quiz(&mut terminal);
    assert_eq!(terminal.ended(), 0, "{}", terminal.text());
    left_nothing(&terminal, &words);
    let config = home.path().join("config").join("config.toml");
    let saved = std::fs::read_to_string(config).unwrap();
    let address = saved.split('"').nth(1).unwrap().to_owned();
    assert!(saved.contains("payout_address") && address.starts_with('5'), "{saved}");
    let phrase = words.values().cloned().collect::<Vec<_>>().join(" ");
    for file in super::files_below(&home.path()) {
        let content = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        assert!(!content.contains(&phrase), "{} holds the words", file.display());
    }
    // The words that were shown are those of the address.
    let told = home.import("check", &phrase);
    assert!(told.contains(&address), "{told} {address}");

    let mut terminal = start(&home, &["keys", "new", "--payout"]);
    terminal.wait_for("a question", |text| text.contains("Replace that address?"));
    terminal.press("n\r");
    assert_eq!(terminal.ended(), 1, "{}", terminal.text());
}

#[test]
fn a_coldkey_goes_encrypted_into_a_bittensor_wallet_if_wanted() {
    let home = Home::new();
    let wallets = home.path().join("wallets");
    let folder = wallets.display().to_string();
    let new = ["keys", "new", "--payout", "--name", "pay", "--wallet-folder", &folder];
    let mut terminal = start(&home, &new);
    pass_the_quiz(&mut terminal);
    for question in ["New passphrase for the coldkey", "same again"] {
        terminal.wait_for(question, |text| text.contains(question));
        terminal.press(&format!("{PASSPHRASE}\r"));
    }
    terminal.wait_for("the address", |text| text.contains("payout_address"));
    assert_eq!(terminal.ended(), 0, "{}", terminal.text());
    let wallet = wallets.join("pay");
    assert!(std::fs::read(wallet.join("coldkey")).unwrap().starts_with(b"$NACL"));
    let public = std::fs::read_to_string(wallet.join("coldkeypub.txt")).unwrap();
    let public: serde_json::Value = serde_json::from_str(&public).unwrap();
    let saved = std::fs::read_to_string(home.path().join("config").join("config.toml")).unwrap();
    assert!(saved.contains(public["ss58Address"].as_str().unwrap()), "{saved}");
    // Once more in the same place is refused before any words are shown.
    let mut terminal = start(&home, &[&new[..], &["--yes"]].concat());
    assert_eq!(terminal.ended(), 2, "{}", terminal.text());
    assert!(terminal.text().contains("exists already"), "{}", terminal.text());
}

#[test]
fn leaving_a_hidden_question_keeps_nothing_and_gives_the_terminal_back() {
    let home = Home::new();
    let import = ["keys", "import", "--store", "file"];
    for key in ["\u{3}", "\u{1b}"] {
        let mut terminal = start(&home, &import);
        terminal.wait_for("the question", |text| text.contains("not shown as you type"));
        terminal.press("bottom drive ");
        terminal.press(key);
        assert_eq!(terminal.ended(), 1, "{}", terminal.text());
        assert!(terminal.text().contains("nothing was kept"), "{}", terminal.text());
        assert!(!terminal.text().contains("bottom"), "{}", terminal.text());
    }
    assert_eq!(home.done(&["keys", "list"]), "");
}

//! Every path through the wizard, without a terminal.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::facts::{AddressVerdict, PassphraseNeed, Practice};
use super::key::{KeyWay, Step};
use super::request::{
    Answer, Choices, KeySource, Payout, Purpose, Remembered, Request, Screen, Secret, WordCount,
};
use super::samples::{ALICE, WORDS, kept, keys, view, wallets};
use super::state::{Outcome, Saving, Wizard};

fn wizard(screen: Screen) -> Wizard {
    Wizard::new(Remembered { screen, choices: Choices::default() }, 2)
}

fn press(wizard: &mut Wizard, code: KeyCode) -> Vec<Request> {
    wizard.press(KeyEvent::new(code, KeyModifiers::NONE))
}

fn enter(wizard: &mut Wizard) -> Vec<Request> {
    press(wizard, KeyCode::Enter)
}

fn type_in(wizard: &mut Wizard, text: &str) -> Vec<Request> {
    text.chars().flat_map(|c| press(wizard, KeyCode::Char(c))).collect()
}

/// Presses Down until this way is marked.
fn mark(wizard: &mut Wizard, way: KeyWay) {
    let at = wizard.key.key_ways().iter().position(|known| *known == way).unwrap();
    for _ in 0..at {
        press(wizard, KeyCode::Down);
    }
}

fn words(purpose: Purpose) -> Answer {
    Answer::Words { purpose, words: Secret::new(WORDS.into()), quiz: [1, 4, 10] }
}

fn answer_quiz(wizard: &mut Wizard) -> Vec<Request> {
    let mut last = Vec::new();
    for word in ["drive", "curtain", "fit"] {
        type_in(wizard, word);
        last = enter(wizard);
    }
    last
}

#[test]
fn by_the_defaults_it_leads_from_the_machine_to_mining() {
    let mut w = wizard(Screen::Machine);
    assert_eq!(w.begin(), [Request::Probe, Request::LookAtKeys]);
    assert!(enter(&mut w).contains(&Request::StartPractice));
    w.hear(Answer::Practice(Practice::Running(Box::new(view(90)))));
    w.hear(keys(PassphraseNeed::No));
    enter(&mut w);
    assert_eq!(w.screen, Screen::Key);
    let asked = enter(&mut w);
    let draw = Request::MakeWords { purpose: Purpose::Hotkey, count: WordCount::Twelve };
    assert_eq!(asked, [draw]);
    w.hear(words(Purpose::Hotkey));
    enter(&mut w);
    let source = KeySource::New(Secret::new(WORDS.into()));
    assert_eq!(answer_quiz(&mut w), [Request::KeepKey { source, passphrase: None }]);
    w.hear(Answer::KeyKept(kept()));
    assert!(matches!(w.key.step, Step::Payout { .. }));
    enter(&mut w);
    let judged = type_in(&mut w, ALICE);
    assert_eq!(judged.last(), Some(&Request::JudgeAddress(Secret::new(ALICE.into()))));
    let verdict = AddressVerdict::Good("fine".into());
    w.hear(Answer::Address { text: Secret::new(ALICE.into()), verdict });
    enter(&mut w);
    assert_eq!((w.screen, &w.key.payout), (Screen::Limits, &Payout::Address(ALICE.into())));
    assert_eq!(enter(&mut w), [Request::LookAtRules], "the rules are its second page");
    let saved = enter(&mut w);
    assert_eq!(saved, [Request::Save(Box::new(w.choices()))]);
    assert!(enter(&mut w).is_empty() && w.outcome().is_none(), "nothing before it is saved");
    w.hear(Answer::Saved("config.toml".into()));
    enter(&mut w);
    assert_eq!(w.outcome(), Some(Outcome::Mine));
}

#[test]
fn going_back_and_forth_loses_no_answer() {
    let mut w = wizard(Screen::Limits);
    w.key.payout = Payout::Address(ALICE.into());
    w.hear(Answer::KeyKept(kept()));
    press(&mut w, KeyCode::Right);
    let choices = w.choices();
    assert_eq!(choices.backend, "wgpu");
    for screen in [Screen::Key, Screen::Key, Screen::Practice, Screen::Machine, Screen::Machine] {
        press(&mut w, KeyCode::Esc);
        assert_eq!(w.screen, screen);
    }
    w.hear(Answer::Practice(Practice::Running(Box::new(view(3)))));
    let requests = [enter(&mut w), enter(&mut w)].concat();
    assert!(!requests.contains(&Request::StartPractice), "it runs already");
    assert_eq!(w.key.key_ways().first(), Some(&KeyWay::Keep));
    enter(&mut w);
    enter(&mut w);
    assert_eq!((w.screen, w.choices()), (Screen::Limits, choices));
}

#[test]
fn leaving_keeps_the_place_and_the_answers() {
    for screen in [Screen::Machine, Screen::Practice, Screen::Key, Screen::Limits] {
        let mut w = wizard(screen);
        w.key.payout = Payout::Later;
        let kept = press(&mut w, KeyCode::Char('q'));
        let remembered = w.remembered();
        assert_eq!(kept, [Request::Remember(Box::new(remembered.clone()))]);
        assert_eq!(w.outcome(), Some(Outcome::Left));
        let again = Wizard::new(remembered, 2);
        assert_eq!((again.screen, again.choices()), (screen, w.choices()));
        assert_eq!(again.begin().contains(&Request::StartPractice), screen == Screen::Practice);
    }
}

#[test]
fn letters_are_text_where_text_is_typed() {
    let mut w = wizard(Screen::Key);
    w.hear(keys(PassphraseNeed::No));
    mark(&mut w, KeyWay::Import(super::key::ImportWay::Words));
    enter(&mut w);
    type_in(&mut w, "q");
    assert_eq!((w.outcome(), w.key.field().unwrap().text()), (None, "q"));
    w.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
    assert_eq!(w.outcome(), Some(Outcome::Left));
}

#[test]
fn a_wrong_answer_in_the_quiz_keeps_nothing() {
    let mut w = wizard(Screen::Key);
    w.hear(keys(PassphraseNeed::No));
    enter(&mut w);
    w.hear(words(Purpose::Hotkey));
    enter(&mut w);
    type_in(&mut w, "wrong");
    assert!(enter(&mut w).is_empty());
    assert!(w.key.problem.as_ref().unwrap().contains("not word 2"));
    press(&mut w, KeyCode::Esc);
    assert!(matches!(w.key.step, Step::Words(_)), "the words once more");
    enter(&mut w);
    assert_eq!(answer_quiz(&mut w).len(), 1);
    // Keeping it fails; Enter tries again with the words that were proven.
    w.hear(Answer::Refused("the keyring is locked".into()));
    assert!(matches!(enter(&mut w)[..], [Request::KeepKey { .. }]));
}

#[test]
fn a_passphrase_is_typed_twice_where_there_is_no_keyring() {
    let mut w = wizard(Screen::Key);
    w.hear(keys(PassphraseNeed::New));
    enter(&mut w);
    w.hear(words(Purpose::Hotkey));
    enter(&mut w);
    assert!(answer_quiz(&mut w).is_empty());
    assert!(matches!(w.key.step, Step::Passphrase { .. }));
    for text in ["correct horse", "correct house", "correct horse"] {
        type_in(&mut w, text);
        assert!(enter(&mut w).is_empty());
    }
    type_in(&mut w, "correct horse");
    let asked = enter(&mut w);
    let [Request::KeepKey { passphrase: Some(passphrase), .. }] = &asked[..] else {
        panic!("{asked:?}")
    };
    assert_eq!(passphrase.reveal(), "correct horse");
}

#[test]
fn imported_words_are_checked_before_they_are_kept() {
    let mut w = wizard(Screen::Key);
    w.hear(keys(PassphraseNeed::No));
    mark(&mut w, KeyWay::Import(super::key::ImportWay::Words));
    enter(&mut w);
    assert!(enter(&mut w).is_empty() && w.key.problem.is_some(), "nothing typed");
    w.paste("bottom drive\nobey");
    let asked = enter(&mut w);
    let source = KeySource::Words(Secret::new("bottom drive obey".into()));
    assert_eq!(asked, [Request::CheckKey(source.clone())]);
    w.hear(Answer::Refused("3 words are no phrase".into()));
    assert_eq!(w.key.problem.as_deref(), Some("3 words are no phrase"));
    assert_eq!(w.key.field().unwrap().text(), "bottom drive obey", "it can be corrected");
    enter(&mut w);
    let keep = w.hear(Answer::KeyChecked { source: source.clone(), address: ALICE.into() });
    assert_eq!(keep, [Request::KeepKey { source, passphrase: None }]);
}

#[test]
fn a_hotkey_is_picked_from_a_wallet_folder() {
    let mut w = wizard(Screen::Key);
    w.hear(keys(PassphraseNeed::No));
    mark(&mut w, KeyWay::Import(super::key::ImportWay::Wallet));
    enter(&mut w);
    assert_eq!(enter(&mut w), [Request::ListWallets(String::new())]);
    w.hear(wallets());
    press(&mut w, KeyCode::Down);
    assert!(enter(&mut w).is_empty());
    assert!(w.key.problem.as_ref().unwrap().contains("only its address"));
    press(&mut w, KeyCode::Up);
    assert!(matches!(&enter(&mut w)[..], [Request::CheckKey(KeySource::Wallet(file))]
        if file.ends_with("first")));
}

#[test]
fn a_pasted_secret_leaves_the_screen_and_no_bad_address_is_taken() {
    let mut w = wizard(Screen::Key);
    w.key.step = Step::Payout { selected: 0 };
    enter(&mut w);
    w.paste(WORDS);
    let text = Secret::new(WORDS.into());
    w.hear(Answer::Address { text, verdict: AddressVerdict::Secret("never".into()) });
    assert!(w.key.field().unwrap().is_empty());
    enter(&mut w);
    assert_eq!(w.key.problem.as_deref(), Some("never"));
    w.paste("5Bad");
    let stale = Answer::Address {
        text: Secret::new("5B".into()),
        verdict: AddressVerdict::Good("stale".into()),
    };
    w.hear(stale);
    enter(&mut w);
    assert_eq!((w.screen, &w.key.payout), (Screen::Key, &Payout::Undecided));
}

#[test]
fn a_coldkey_is_made_and_only_its_address_stays() {
    let mut w = wizard(Screen::Key);
    w.hear(Answer::KeyKept(kept()));
    press(&mut w, KeyCode::Down);
    let asked = enter(&mut w);
    assert!(matches!(asked[..], [Request::MakeWords { purpose: Purpose::Coldkey, .. }]));
    w.hear(words(Purpose::Coldkey));
    enter(&mut w);
    answer_quiz(&mut w);
    assert!(matches!(w.key.step, Step::ColdkeyFile { .. }));
    let asked = enter(&mut w);
    assert!(matches!(asked[..], [Request::MakeColdkey { password: None, .. }]));
    w.hear(Answer::ColdkeyMade { address: ALICE.into(), file: None });
    assert!(!format!("{w:?}").contains("curtain"));
    assert!(matches!(&w.key.step, Step::ColdkeyMade { .. }));
    enter(&mut w);
    assert_eq!((w.screen, &w.key.payout), (Screen::Limits, &Payout::Address(ALICE.into())));
}

#[test]
fn without_a_key_it_still_leads_to_the_end() {
    let mut w = wizard(Screen::Key);
    mark(&mut w, KeyWay::Later);
    enter(&mut w);
    press(&mut w, KeyCode::Down);
    press(&mut w, KeyCode::Down);
    enter(&mut w);
    assert_eq!((w.screen, &w.key.payout), (Screen::Limits, &Payout::Later));
    enter(&mut w);
    enter(&mut w);
    w.hear(Answer::NotSaved("the disk is full".into()));
    assert_eq!(w.saving, Saving::Failed("the disk is full".into()));
    assert!(matches!(enter(&mut w)[..], [Request::Save(_)]), "Enter tries again");
    w.hear(Answer::Saved("config.toml".into()));
    enter(&mut w);
    assert_eq!(w.outcome(), Some(Outcome::Finished), "there is nothing to mine with");
}

#[test]
fn what_was_given_up_is_not_taken_later() {
    let mut w = wizard(Screen::Key);
    w.hear(keys(PassphraseNeed::No));
    enter(&mut w);
    assert!(w.key.busy.is_some());
    assert!(enter(&mut w).is_empty(), "nothing else is heard meanwhile");
    press(&mut w, KeyCode::Esc);
    w.hear(words(Purpose::Hotkey));
    assert!(matches!(w.key.step, Step::Choose { .. }));
}

#[test]
fn the_practice_swarm_is_stopped_and_started_again() {
    let mut w = wizard(Screen::Practice);
    w.hear(Answer::Practice(Practice::Running(Box::new(view(90)))));
    assert_eq!(press(&mut w, KeyCode::Char('s')), [Request::StopPractice]);
    w.hear(Answer::Practice(Practice::Stopped(None)));
    assert!(w.practice.fall().is_some(), "its last picture stays");
    assert_eq!(press(&mut w, KeyCode::Char('s')), [Request::StartPractice]);
}

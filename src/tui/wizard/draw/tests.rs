//! Whole screens, drawn from made-up states and compared with the pictures kept in `snapshots/`.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use super::super::facts::{AddressVerdict, PassphraseNeed, Practice};
use super::super::field::{Field, Shown};
use super::super::key::{Drawn, ImportWay, Step};
use super::super::limits::{NETWORKS, Page, Row};
use super::super::quiz::Quiz;
use super::super::request::{Answer, Choices, KeySource, Payout, Purpose, Remembered, Secret};
use super::super::rules::Rules;
use super::super::samples::{ALICE, WORDS, kept, keys, machine, view, wallets};
use super::super::state::Saving;
use super::super::twice::Twice;
use super::*;
use crate::config::settings::Key;

fn at(screen: Screen, change: impl FnOnce(&mut Wizard)) -> Wizard {
    let mut wizard = Wizard::new(Remembered { screen, ..Remembered::default() }, 8);
    change(&mut wizard);
    wizard
}

fn step(step: Step) -> Wizard {
    at(Screen::Key, |w| {
        w.hear(keys(PassphraseNeed::New));
        w.key.step = step;
    })
}

fn drawn_words(purpose: Purpose, twice: usize) -> Drawn {
    let words = [WORDS].repeat(twice).join(" ");
    Drawn { purpose, words: Secret::new(words), quiz: [1, 4, 10] }
}

fn machine_stories() -> Vec<(&'static str, Wizard)> {
    vec![
        ("machine_first", at(Screen::Machine, |_| {})),
        ("machine", at(Screen::Machine, |w| w.machine = machine())),
        (
            "practice_starting",
            at(Screen::Practice, |w| {
                w.practice = Practice::Starting("placing miner 3 of 6 …".into());
            }),
        ),
        (
            "practice",
            at(Screen::Practice, |w| {
                w.practice = Practice::Running(Box::new(view(90)));
            }),
        ),
        (
            "practice_failed",
            at(Screen::Practice, |w| {
                w.practice = Practice::Failed(
                    "The disk is full: make room where Hearth keeps its files, then press s."
                        .into(),
                );
            }),
        ),
    ]
}

fn key_stories() -> Vec<(&'static str, Wizard)> {
    let typed = |text: &str| Field::with(Shown::Plain, text);
    vec![
        ("key", step(Step::Choose { selected: 0 })),
        ("key_kept", at(Screen::Key, |w| {
            w.hear(keys(PassphraseNeed::No));
            w.key.kept = Some(kept());
        })),
        ("words_12", step(Step::Words(drawn_words(Purpose::Hotkey, 1)))),
        ("words_24", step(Step::Words(drawn_words(Purpose::Coldkey, 2)))),
        ("quiz", at(Screen::Key, |w| {
            let mut quiz = Quiz::new([1, 4, 10]);
            quiz.field.insert("drove");
            w.key.step = Step::Quiz(drawn_words(Purpose::Hotkey, 1), quiz);
            w.key.problem = Some(text::quiz_wrong(2));
        })),
        ("import_words", at(Screen::Key, |w| {
            w.key.step = Step::Import(ImportWay::Words, typed(&[WORDS].repeat(3).join(" ")));
            w.key.busy = Some(text::CHECKING_KEY);
        })),
        ("import_seed", step(Step::Import(ImportWay::Seed, typed("0xe5be")))),
        ("pick", at(Screen::Key, |w| {
            w.key.busy = Some(text::READING_WALLETS);
            w.hear(wallets());
        })),
        ("passphrase", step(Step::Passphrase {
            source: KeySource::New(Secret::new(WORDS.into())),
            form: {
                let mut form = Twice::default();
                form.field_mut().insert("hush hush");
                form
            },
        })),
        ("payout", at(Screen::Key, |w| {
            w.hear(Answer::KeyKept(kept()));
        })),
        ("address_good", step(Step::Address {
            field: typed(ALICE),
            verdict: Some(AddressVerdict::Good("A Bittensor address. It can be paid.".into())),
        })),
        ("address_bad", step(Step::Address {
            field: typed("1a1LcBX6hGPKg5aQ6DXZpAHCCzWjckhea4sz3P1PvL3oc4F"),
            verdict: Some(AddressVerdict::Bad(
                "This is an address of another network (Polkadot). Paste one that begins with 5."
                    .into(),
            )),
        })),
        ("coldkey_file", step(Step::ColdkeyFile {
            words: Secret::new(WORDS.into()),
            form: Twice::default(),
        })),
        ("coldkey_made", step(Step::ColdkeyMade { address: ALICE.into(), file: None })),
    ]
}

/// Hours that make no sense, on a machine that does not tell whether anybody is there.
fn own_rules() -> Wizard {
    let mut rules = Rules::default();
    rules.set(Key::Hours, "mon-fri 22:00-07:00, sat 10:00-19:00, sun 10:00-19:00, moon");
    rules.set(Key::IdleAfter, "10m");
    rules.set(Key::OnBattery, "40%");
    rules.set(Key::Temperature, "85/75");
    rules.set(Key::PauseFor, "[\"steam\",\"blender\"]");
    rules.set(Key::UploadLimit, "20");
    rules.set(Key::DiskCap, "60GB");
    rules.set(Key::KeepAwake, "false");
    let choices = Choices { rules, ..Choices::default() };
    let mut wizard = Wizard::new(Remembered { screen: Screen::Limits, choices }, 8);
    wizard.limits.page = Page::Rules;
    let why = "nobody is logged in at this machine's own screen".to_owned();
    wizard.hear(Answer::Unknown(vec![(Key::IdleAfter, why)]));
    wizard.press(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE));
    wizard
}

fn limit_stories() -> Vec<(&'static str, Wizard)> {
    vec![
        ("limits", at(Screen::Limits, |_| {})),
        (
            "limits_server",
            at(Screen::Limits, |w| {
                w.limits.network = NETWORKS.len();
                w.limits.row = Row::Server;
                w.limits.paste("htp://swarm");
                w.limits.judged("htp://swarm", Some("only http and https are spoken".into()));
                w.limits.problem = Some(text::NO_SERVER_YET.into());
            }),
        ),
        (
            "rules",
            at(Screen::Limits, |w| {
                w.limits.page = Page::Rules;
            }),
        ),
        ("rules_own", own_rules()),
        (
            "ready",
            at(Screen::Limits, |w| {
                w.key.kept = Some(kept());
                w.key.payout = Payout::Address(ALICE.into());
                w.screen = Screen::Ready;
                w.saving = Saving::Done("/home/you/.config/hearth/config.toml".into());
            }),
        ),
        (
            "ready_without",
            at(Screen::Limits, |w| {
                w.screen = Screen::Ready;
                w.saving = Saving::Failed("the disk is full: make room.".into());
            }),
        ),
    ]
}

fn stories() -> Vec<(&'static str, Wizard)> {
    [machine_stories(), key_stories(), limit_stories()].concat()
}

fn drawn(wizard: &Wizard, theme: &Theme, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, wizard, theme)).unwrap();
    terminal.backend().buffer().clone()
}

fn text_of(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width);
    let cells: Vec<&str> = buffer.content().iter().map(|cell| cell.symbol()).collect();
    cells.chunks(width).map(|row| row.concat().trim_end().to_owned() + "\n").collect()
}

#[test]
fn screens_look_as_kept() {
    for (name, wizard) in stories() {
        for (width, height) in [(80, 24), (120, 40)] {
            let buffer = drawn(&wizard, &Theme::colourful(), width, height);
            insta::assert_snapshot!(format!("{name}_{width}x{height}"), text_of(&buffer));
        }
    }
}

#[test]
fn without_colour_the_words_are_the_same() {
    for (name, wizard) in stories() {
        for (width, height) in [(80, 24), (120, 40)] {
            let colourful = drawn(&wizard, &Theme::colourful(), width, height);
            let plain = drawn(&wizard, &Theme::plain(), width, height);
            assert_eq!(text_of(&colourful), text_of(&plain), "{name}");
            for cell in plain.content() {
                assert_eq!(cell.fg, ratatui::style::Color::Reset, "{name} uses a colour");
            }
        }
    }
}

#[test]
fn every_size_is_drawn_without_a_panic() {
    for (_, wizard) in stories() {
        for (width, height) in
            [(1, 1), (20, 5), (79, 24), (80, 23), (200, 60), (80, 100), (300, 24)]
        {
            let text = text_of(&drawn(&wizard, &Theme::colourful(), width, height));
            if width == 79 {
                assert!(text.contains("80 x 24"), "{text}");
            }
        }
    }
}

#[test]
fn what_must_be_read_is_on_the_smallest_screen() {
    let shown = |wizard: &Wizard| text_of(&drawn(wizard, &Theme::plain(), 80, 24));
    let words = shown(&step(Step::Words(drawn_words(Purpose::Coldkey, 2))));
    for word in WORDS.split(' ') {
        assert_eq!(words.matches(word).count(), 2, "{word} in {words}");
    }
    for (name, wizard) in stories() {
        let text = shown(&wizard);
        assert!(text.contains(" leave") && text.contains("Ready"), "{name}: {text}");
    }
    let secret = shown(&key_stories().into_iter().find(|(n, _)| *n == "passphrase").unwrap().1);
    assert!(!secret.contains("hush"), "{secret}");
}

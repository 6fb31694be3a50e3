//! The wizard: presses and answers go in, requests come out. It does no work and knows no time, so
//! that every path through it can be tested.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::facts::{Line, MachineFacts, Practice};
use super::key::{Go, KeyScreen, Turn};
use super::limits::{Limits, PRACTICE};
use super::request::{Answer, Choices, Remembered, Request, Screen};
use super::text;

/// What the user wants after the wizard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// To leave; the answers are kept for the next time.
    Left,
    /// To leave; everything is saved.
    Finished,
    /// To mine now.
    Mine,
}

/// How saving the settings went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Saving {
    /// Nobody has asked for it.
    #[default]
    NotYet,
    /// It is under way.
    Asked,
    /// They are in this file.
    Done(String),
    /// They could not be written: what, why, what now.
    Failed(String),
}

/// All four screens.
#[derive(Clone, Debug, PartialEq)]
pub struct Wizard {
    /// Which is shown.
    pub screen: Screen,
    /// The first.
    pub machine: MachineFacts,
    /// The second.
    pub practice: Practice,
    /// The third.
    pub key: KeyScreen,
    /// The fourth.
    pub limits: Limits,
    /// The end.
    pub saving: Saving,
    outcome: Option<Outcome>,
}

impl Wizard {
    /// Where it was left, or at its beginning. `cores` is how many threads this machine has.
    pub fn new(remembered: Remembered, cores: usize) -> Self {
        Self {
            // The end is only shown after saving.
            screen: remembered.screen.min(Screen::Limits),
            machine: MachineFacts::default(),
            practice: Practice::Off,
            limits: Limits::new(&remembered.choices, cores),
            key: KeyScreen::new(remembered.choices.payout),
            saving: Saving::NotYet,
            outcome: None,
        }
    }

    /// What is wanted from the start on.
    pub fn begin(&self) -> Vec<Request> {
        let mut requests = vec![Request::Probe, Request::LookAtKeys];
        if self.screen == Screen::Practice {
            requests.push(Request::StartPractice);
        }
        requests
    }

    /// What the user wants, once the wizard is over.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// The answers that are no secrets.
    pub fn choices(&self) -> Choices {
        self.limits.choices(self.key.payout.clone())
    }

    /// Where it stands.
    pub fn remembered(&self) -> Remembered {
        Remembered { screen: self.screen, choices: self.choices() }
    }

    /// Whether it mines when the user goes on: there is a key to do it with.
    pub fn can_mine(&self) -> bool {
        self.key.kept.is_some() || self.limits.network() == PRACTICE
    }

    /// Whether letters are text now, and no commands.
    pub fn is_typing(&self) -> bool {
        match self.screen {
            Screen::Key => self.key.is_typing(),
            Screen::Limits => self.limits.is_typing(),
            _ => false,
        }
    }

    /// A key press.
    pub fn press(&mut self, key: KeyEvent) -> Vec<Request> {
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return self.leave();
        }
        if key.code == KeyCode::Char('q') && !self.is_typing() {
            return self.leave();
        }
        let turn = match self.screen {
            Screen::Machine => self.press_machine(key),
            Screen::Practice => self.press_practice(key),
            Screen::Key => self.key.press(key),
            Screen::Limits => self.limits.press(key),
            Screen::Ready => return self.press_ready(key),
        };
        self.follow(turn)
    }

    /// Text that was pasted.
    pub fn paste(&mut self, text: &str) -> Vec<Request> {
        let turn = match self.screen {
            Screen::Key => self.key.paste(text),
            Screen::Limits => self.limits.paste(text),
            _ => return Vec::new(),
        };
        self.follow(turn)
    }

    /// Leaves, and keeps where it stands.
    pub fn leave(&mut self) -> Vec<Request> {
        if let Saving::Done(_) = self.saving {
            self.outcome = Some(Outcome::Finished);
            return Vec::new();
        }
        self.outcome = Some(Outcome::Left);
        vec![Request::Remember(Box::new(self.remembered()))]
    }

    fn press_machine(&mut self, key: KeyEvent) -> Turn {
        match key.code {
            KeyCode::Enter | KeyCode::Right => Turn::go(Go::Next),
            KeyCode::Char('l') => Turn::ask(Request::TestLink { network: self.limits.network() }),
            KeyCode::Char('t') => Turn::ask(Request::Probe),
            _ => Turn::stay(),
        }
    }

    fn press_practice(&mut self, key: KeyEvent) -> Turn {
        match key.code {
            KeyCode::Enter | KeyCode::Right => Turn::go(Go::Next),
            KeyCode::Esc | KeyCode::Left => Turn::go(Go::Back),
            KeyCode::Char('s') => match self.practice {
                Practice::Running(_) | Practice::Starting(_) => Turn::ask(Request::StopPractice),
                _ => Turn::ask(Request::StartPractice),
            },
            _ => Turn::stay(),
        }
    }

    fn press_ready(&mut self, key: KeyEvent) -> Vec<Request> {
        match (key.code, &self.saving) {
            (KeyCode::Enter, Saving::Done(_)) => {
                let next = if self.can_mine() { Outcome::Mine } else { Outcome::Finished };
                self.outcome = Some(next);
                Vec::new()
            }
            (KeyCode::Enter, Saving::Failed(_)) => self.save(),
            (KeyCode::Esc | KeyCode::Left, _) => {
                self.saving = Saving::NotYet;
                self.screen = Screen::Limits;
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn follow(&mut self, turn: Turn) -> Vec<Request> {
        let mut requests = turn.requests;
        let at = Screen::ALL.iter().position(|screen| *screen == self.screen).unwrap_or(0);
        let to = match turn.go {
            Go::Stay => return requests,
            Go::Back => at.saturating_sub(1),
            Go::Next => at + 1,
        };
        let Some(&screen) = Screen::ALL.get(to) else { return requests };
        if screen == self.screen {
            return requests;
        }
        self.screen = screen;
        requests.extend(self.arrive());
        requests
    }

    fn arrive(&mut self) -> Vec<Request> {
        if self.screen == Screen::Ready {
            return self.save();
        }
        let mut requests = vec![Request::Remember(Box::new(self.remembered()))];
        match self.screen {
            Screen::Practice if self.practice == Practice::Off => {
                requests.push(Request::StartPractice);
            }
            // A keyring may have been unlocked meanwhile.
            Screen::Key => requests.push(Request::LookAtKeys),
            _ => {}
        }
        requests
    }

    fn save(&mut self) -> Vec<Request> {
        self.saving = Saving::Asked;
        vec![Request::Save(Box::new(self.choices()))]
    }

    /// An answer.
    pub fn hear(&mut self, answer: Answer) -> Vec<Request> {
        match answer {
            Answer::Adapters(adapters) => self.machine.adapters = Some(adapters),
            Answer::Working(topic, what) => {
                self.machine.lines.insert(topic, Line::Working(what));
            }
            Answer::Found(topic, finding) => {
                self.machine.lines.insert(topic, Line::Known(finding));
            }
            Answer::Practice(Practice::Stopped(None)) => {
                let last = match std::mem::take(&mut self.practice) {
                    Practice::Running(view) => Some(view),
                    Practice::Stopped(last) => last,
                    _ => None,
                };
                self.practice = Practice::Stopped(last);
            }
            Answer::Practice(practice) => self.practice = practice,
            Answer::Network { text, problem } => self.limits.judged(&text, problem),
            Answer::Unknown(rules) => self.limits.rules.unknown = rules.into_iter().collect(),
            Answer::Saved(path) => self.saving = Saving::Done(path),
            Answer::NotSaved(why) => self.saving = Saving::Failed(why),
            other => return self.key.hear(other),
        }
        Vec::new()
    }

    /// The keys that do something now, for the footer.
    pub fn keys(&self) -> Vec<(&'static str, &'static str)> {
        text::keys(self)
    }
}

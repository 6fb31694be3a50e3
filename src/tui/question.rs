//! The questions that the dashboard asks before it does what cannot be undone: what each costs, and
//! which key answers what. The loop and the picture read the same list.

use super::seat::Kind;
use super::text::questions as words;
use super::view::View;
use crate::config::keys::{Action, Press};
use crate::control::Progress;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Pause?
    Pause,
    /// For how long?
    Snooze,
    /// End after this epoch?
    Finish,
    /// Stop a miner of another process?
    Stop,
    /// Leave?
    Quit,
    /// Kill the miner that is chosen?
    Kill,
}

/// What the user says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Pause until somebody says resume.
    Pause,
    /// Pause for so many seconds.
    Snooze(u64),
    /// End after this epoch.
    Finish,
    /// Stop all own miners, and stay.
    Stop,
    /// Leave the screen.
    Leave,
    /// Kill the miner that is chosen.
    Kill,
}

/// One way to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The keys, the first of which is shown.
    pub keys: Vec<Press>,
    /// What it means.
    pub words: String,
    /// The answer.
    pub answer: Answer,
}

fn choice(keys: &[Press], words: impl Into<String>, answer: Answer) -> Choice {
    Choice { keys: keys.to_vec(), words: words.into(), answer }
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// The key of an action, as it is written.
fn asked_key(view: &View, action: Action) -> String {
    view.keys.press(action).to_string()
}

impl Question {
    /// The question that an action asks.
    pub fn of_action(action: Action) -> Option<Self> {
        match action {
            Action::Pause => Some(Self::Pause),
            Action::Snooze => Some(Self::Snooze),
            Action::Finish => Some(Self::Finish),
            Action::Stop => Some(Self::Stop),
            Action::Quit => Some(Self::Quit),
            Action::KillMiner => Some(Self::Kill),
            _ => None,
        }
    }

    /// Its title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Pause => words::PAUSE,
            Self::Snooze => words::SNOOZE,
            Self::Finish => words::FINISH,
            Self::Stop => words::STOP,
            Self::Quit => words::QUIT,
            Self::Kill => words::KILL,
        }
    }

    /// What it means for the user, before the choices.
    pub fn text(self, view: &View) -> String {
        let cost = || view.miner.pause_cost();
        match (self, view.kind) {
            (Self::Pause | Self::Snooze, _) => cost().pause,
            (Self::Finish, _) => words::FINISH_MEANS.to_owned(),
            (Self::Kill, _) => {
                let name = view.chosen().map(|miner| view.name_of(&miner.hotkey));
                words::kill_means(&name.unwrap_or_default(), &asked_key(view, Action::StartMiner))
            }
            (Self::Stop, _) => format!("{} {}", words::STOP_MEANS, cost().stop),
            (Self::Quit, Kind::Other(pid)) => words::goes_on(pid),
            (Self::Quit, _) if view.swarm.is_some() => words::PRACTICE_ENDS.to_owned(),
            (Self::Quit, _) => format!("{} {}", cost().stop, words::BACKGROUND),
        }
    }

    /// How it can be answered. The key that asked says yes as well, where there is one yes.
    pub fn choices(self, view: &View) -> Vec<Choice> {
        let asked = |action| view.keys.press(action);
        let yes = |action| [Press::Char('y'), Press::Enter, asked(action)];
        match (self, view.kind) {
            (Self::Pause, _) => {
                vec![choice(&yes(Action::Pause), words::YES_PAUSE, Answer::Pause)]
            }
            (Self::Snooze, _) => vec![
                choice(&[Press::Char('1')], words::SNOOZES[0], Answer::Snooze(15 * MINUTE)),
                choice(&[Press::Char('2')], words::SNOOZES[1], Answer::Snooze(HOUR)),
                choice(&[Press::Char('3')], words::SNOOZES[2], Answer::Snooze(4 * HOUR)),
                choice(&[Press::Char('4')], words::SNOOZES[3], Answer::Snooze(8 * HOUR)),
            ],
            (Self::Finish, _) => {
                vec![choice(&yes(Action::Finish), words::YES_FINISH, Answer::Finish)]
            }
            (Self::Kill, _) => vec![choice(&yes(Action::KillMiner), words::YES_KILL, Answer::Kill)],
            (Self::Stop, _) => vec![choice(&yes(Action::Stop), words::YES_STOP, Answer::Stop)],
            (Self::Quit, Kind::Other(_)) => vec![
                choice(&yes(Action::Quit), words::LEAVE, Answer::Leave),
                choice(
                    &[asked(Action::Stop)],
                    words::stop_costs(&view.miner.pause_cost().stop),
                    Answer::Stop,
                ),
            ],
            (Self::Quit, _) if view.swarm.is_some() => {
                vec![choice(&yes(Action::Quit), words::YES_LEAVE, Answer::Leave)]
            }
            (Self::Quit, _) => vec![
                choice(&yes(Action::Quit), words::YES_QUIT, Answer::Leave),
                choice(&[asked(Action::Finish)], words::YES_FINISH, Answer::Finish),
            ],
        }
    }

    /// Whether there is anything to ask: not where all has ended already.
    pub fn is_due(self, view: &View) -> bool {
        let running = view.progress == Progress::Running;
        match self {
            Self::Pause => running && !view.is_paused_by_user(),
            Self::Snooze | Self::Finish | Self::Stop => running,
            Self::Quit => running && !view.is_leaving,
            Self::Kill => running && view.chosen().is_some_and(|m| view.may_be_hurt(&m.hotkey)),
        }
    }
}

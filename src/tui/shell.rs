//! What keys do: from a press to a command for a miner, a wish for a playback, or another look.

mod lab;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, MouseEvent};
use ratatui::layout::Rect;

use super::keymap::{self, Action, Binding, Keys, Press};
use super::look::{Lines, Look, ScreenName, Search};
use super::pointer::{self, Target};
use super::question::{Answer, Question};
use super::seat::{Kind, Run, Swarm};
use super::view::View;
use super::{Left, clipboard};
use crate::clock::Clock;
use crate::control::{Addressee, Control, Order, Place, Playback, Progress, Wish};
use crate::miner::{Command, State};
use crate::swarm::SwarmCommand;
use crate::telemetry::logs::Ring;

/// A word that is looked for is at most so long.
const LONGEST_WORD: usize = 60;
/// Lines that a page key moves the log by.
const PAGE: usize = 10;
/// The same of a list: no more than it shows in the smallest window, so that no line is passed unseen.
const LIST_PAGE: usize = 6;

/// What a key press leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The screen goes on.
    Stay,
    /// The screen is left.
    Leave(Left),
    /// The text of the screen is wanted on the clipboard.
    Copy,
    /// The terminal is wanted by the shell.
    Suspend,
}

/// One dashboard in front of one run.
pub(super) struct Shell<'a> {
    control: &'a Control,
    playback: Option<&'a Playback>,
    kind: Kind,
    log: &'a Ring,
    clock: &'a Clock,
    keys: Arc<Keys>,
    bindings: Vec<Binding>,
    miners: usize,
    look: Look,
    /// So far the lists of the screen can be scrolled.
    beyond: usize,
}

impl<'a> Shell<'a> {
    pub(super) fn new(
        control: &'a Control,
        (kind, playback): (Kind, Option<&'a Playback>),
        log: &'a Ring,
        clock: &'a Clock,
        keys: Keys,
    ) -> Self {
        let miners = control.miners.iter().count();
        let bindings = keymap::bindings(
            &keys,
            kind,
            Run {
                miners,
                swarm: if control.swarm.is_some() { Swarm::Inside } else { Swarm::None },
            },
        );
        let (keys, look) = (Arc::new(keys), Look::default());
        Self { control, playback, kind, log, clock, keys, bindings, miners, look, beyond: 0 }
    }

    /// So many lines the longest list on the screen has beyond its room.
    pub(super) fn scrolls_by(&mut self, beyond: usize) {
        self.beyond = beyond;
        self.look.scrolled = self.look.scrolled.min(beyond);
    }

    /// What is to be drawn now.
    pub(super) fn view(&self) -> View {
        let view = View::collect(self.control, self.log, self.clock, &self.look);
        match self.playback {
            Some(playback) => {
                let keys = Arc::clone(&self.keys);
                view.seated(self.kind, keys).played(playback.place.borrow().clone())
            }
            None => view.seated(self.kind, Arc::clone(&self.keys)),
        }
    }

    /// A key was pressed.
    pub(super) fn press(&mut self, key: KeyEvent) -> Turn {
        self.look.notice = None;
        if let Search::Typing(_) = self.look.search
            && let Some(turn) = self.type_word(key)
        {
            return turn;
        }
        if let Some(question) = self.look.question
            && let Some(turn) = self.answered(question, key)
        {
            return turn;
        }
        match keymap::action(key, &self.bindings) {
            Some(action) => self.act(action),
            None => Turn::Stay,
        }
    }

    /// The mouse was used. Where something is asked, keys alone answer.
    pub(super) fn point(&mut self, mouse: MouseEvent, area: Rect) {
        if self.look.question.is_some() {
            return;
        }
        let Some(target) = pointer::target(mouse, area, &self.view()) else { return };
        match target {
            Target::Screen(screen) => self.show(screen),
            Target::Miner(hotkey) => self.look.chosen = Some(hotkey),
            Target::Own(miner) => self.pick(miner + self.miners - self.look.miner),
            Target::Time(time) => self.scrub(|_| time),
            Target::Up => self.wheel(Action::Up),
            Target::Down => self.wheel(Action::Down),
        }
    }

    /// Says what became of the copy.
    pub(super) fn copied(&mut self) {
        self.look.notice = Some(clipboard::COPIED);
    }

    /// The key as an answer to what is asked; nothing where it is none.
    fn answered(&mut self, question: Question, key: KeyEvent) -> Option<Turn> {
        let view = self.view();
        let choices = question.choices(&view);
        let chosen = keymap::readings(key)
            .into_iter()
            .find_map(|press| choices.iter().find(|choice| choice.keys.contains(&press)));
        if let Some(choice) = chosen {
            self.look.question = None;
            return Some(self.answer(choice.answer));
        }
        // Another key says neither yes nor no, except those that end all, or say no.
        match keymap::action(key, &self.bindings) {
            Some(Action::Interrupt | Action::Close | Action::Suspend) => None,
            _ => Some(Turn::Stay),
        }
    }

    /// Does what was answered.
    pub(super) fn answer(&mut self, answer: Answer) -> Turn {
        match answer {
            Answer::Pause => self.send(Command::Pause { until: None }),
            Answer::Snooze(seconds) => {
                let until = self.clock.unix().as_secs() + seconds;
                self.send(Command::Pause { until: Some(until) });
            }
            Answer::Finish => self.send(Command::Finish),
            Answer::Stop => self.control.send_to_all(Command::Stop),
            Answer::Kill => self.hurt(|miner| SwarmCommand::Kill { miner }),
            Answer::Leave => return Turn::Leave(Left::Quit),
        }
        Turn::Stay
    }

    /// A key while a word is typed; nothing where it is not part of that.
    fn type_word(&mut self, key: KeyEvent) -> Option<Turn> {
        let Search::Typing(word) = &mut self.look.search else { return None };
        if key.code == KeyCode::Backspace {
            word.pop();
            return Some(Turn::Stay);
        }
        match keymap::press(key)? {
            Press::Char(c) if word.chars().count() < LONGEST_WORD => word.push(c),
            Press::Space if word.chars().count() < LONGEST_WORD => word.push(' '),
            Press::Char(_) | Press::Space => {}
            Press::Enter => self.look.search = found(std::mem::take(word)),
            Press::Esc => self.look.search = Search::Off,
            // Other keys wait until the word is there, except those that end all.
            _ => {
                return match keymap::action(key, &self.bindings) {
                    Some(Action::Interrupt | Action::Suspend) => None,
                    _ => Some(Turn::Stay),
                };
            }
        }
        self.look.above = 0;
        Some(Turn::Stay)
    }

    /// A word on what was just done, said once.
    pub(super) fn notice(&mut self) -> Option<&'static str> {
        self.look.notice.take()
    }

    /// What is asked.
    pub(super) fn asked(&self) -> Option<Question> {
        self.look.question
    }

    /// The keys that do something here.
    pub(super) fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// Does what a key asks for.
    pub(super) fn act(&mut self, action: Action) -> Turn {
        if let Some(screen) = ScreenName::of_action(action) {
            self.show(screen);
            return Turn::Stay;
        }
        match action {
            Action::NextScreen => self.show(self.look.screen.next()),
            Action::PreviousScreen => self.show(self.look.screen.previous()),
            Action::Pause => self.ask(Question::Pause),
            Action::Finish => self.ask(Question::Finish),
            Action::Snooze => self.ask(Question::Snooze),
            Action::Stop => self.ask(Question::Stop),
            Action::Resume => self.send(Command::Resume),
            Action::NextMiner => self.pick(1),
            Action::PreviousMiner => self.pick(self.miners - 1),
            Action::Switch => self.switch(),
            Action::Write => self.write(),
            lab if keymap::LAB.contains(&lab) => self.experiment(lab),
            Action::Help => {
                (self.look.help, self.look.writing) = (!self.look.help, false);
            }
            Action::Close => self.close(),
            Action::Copy => return Turn::Copy,
            Action::Suspend => return Turn::Suspend,
            Action::Quit => return self.quit(),
            Action::Interrupt => return self.interrupt(),
            Action::Hold => self.wish(Wish::Hold),
            Action::Rewind => self.scrub(|place| place.at.saturating_sub(place.step())),
            Action::Ahead => self.scrub(|place| place.at + place.step()),
            Action::FarBack => self.scrub(|place| place.at.saturating_sub(place.leap())),
            Action::FarAhead => self.scrub(|place| place.at + place.leap()),
            Action::Oldest if self.kind == Kind::Past => self.scrub(|_| Duration::ZERO),
            Action::Newest if self.kind == Kind::Past => self.scrub(|place| place.length),
            Action::Faster => self.wish(Wish::Faster),
            Action::Slower => self.wish(Wish::Slower),
            reading => self.read(reading),
        }
        Turn::Stay
    }

    /// What only changes how something is shown.
    fn read(&mut self, action: Action) {
        let look = &mut self.look;
        match action {
            Action::Search => {
                look.screen = ScreenName::Log;
                look.search = Search::Typing(look.search.word().to_owned());
            }
            Action::Filter => {
                look.lines = match look.lines {
                    Lines::All => Lines::Warnings,
                    Lines::Warnings => Lines::All,
                };
                look.above = 0;
            }
            Action::Scale => look.scale = look.scale.other(),
            Action::Axis => look.over = look.over.other(),
            scroll => self.scroll(scroll),
        }
    }

    /// A notch of the wheel.
    fn wheel(&mut self, action: Action) {
        // One miner after the other, or a few lines.
        let steps = if self.look.screen == ScreenName::Swarm { 1 } else { pointer::NOTCH };
        (0..steps).for_each(|_| self.scroll(action));
    }

    fn scroll(&mut self, action: Action) {
        match self.look.screen {
            ScreenName::Swarm if self.kind != Kind::Past => self.choose(action),
            ScreenName::Log => self.scroll_log(action),
            _ => {
                let now = self.look.scrolled;
                self.look.scrolled = match action {
                    Action::Up => now.saturating_sub(1),
                    Action::PageUp => now.saturating_sub(LIST_PAGE),
                    Action::Oldest => 0,
                    Action::Down => now + 1,
                    Action::PageDown => now + LIST_PAGE,
                    _ => self.beyond,
                }
                .min(self.beyond);
            }
        }
    }

    fn scroll_log(&mut self, action: Action) {
        let most = self.view().log_lines().count().saturating_sub(1);
        let above = self.look.above;
        self.look.above = match action {
            Action::Up => above + 1,
            Action::PageUp => above + PAGE,
            Action::Oldest => most,
            Action::Down => above.saturating_sub(1),
            Action::PageDown => above.saturating_sub(PAGE),
            _ => 0,
        }
        .min(most);
    }

    pub(super) fn show(&mut self, screen: ScreenName) {
        if self.look.screen != screen {
            (self.look.screen, self.look.scrolled) = (screen, 0);
        }
        (self.look.help, self.look.writing, self.look.question) = (false, false, None);
    }

    fn ask(&mut self, question: Question) {
        if question.is_due(&self.view()) {
            self.look.question = Some(question);
            (self.look.help, self.look.writing) = (false, false);
        }
    }

    fn quit(&mut self) -> Turn {
        if self.kind == Kind::Past || !Question::Quit.is_due(&self.view()) {
            return Turn::Leave(Left::Quit);
        }
        self.ask(Question::Quit);
        Turn::Stay
    }

    fn interrupt(&mut self) -> Turn {
        if self.kind != Kind::Own || *self.control.progress.borrow() != Progress::Running {
            return Turn::Leave(Left::Quit);
        }
        if self.look.quitting || self.view().is_leaving {
            return Turn::Leave(Left::Interrupted);
        }
        self.look.quitting = true;
        self.look.question = None;
        self.control.send_to_all(Command::Stop);
        Turn::Stay
    }

    /// Closes what is on top, one thing at a time.
    pub(super) fn close(&mut self) {
        if self.look.help || self.look.question.is_some() {
            (self.look.help, self.look.question) = (false, None);
        } else if self.look.writing {
            self.look.writing = false;
        } else {
            self.look.search = Search::Off;
        }
    }

    fn pick(&mut self, steps: usize) {
        self.look.miner = (self.look.miner + steps) % self.miners.max(1);
        self.look.question = None;
    }

    /// Sends a command to the miner that is shown.
    fn send(&self, command: Command) {
        let to = Addressee::One(self.view().miner.name);
        (self.control.send)(Order { to, command });
    }

    fn switch(&self) {
        self.send(match self.view().miner.status.state {
            State::Disabled | State::Fault => Command::Enable,
            _ => Command::Disable,
        });
    }

    /// Moves in the record.
    fn scrub(&self, to: impl FnOnce(&Place) -> Duration) {
        if let Some(playback) = self.playback {
            let to = to(&playback.place.borrow());
            (playback.send)(Wish::To(to));
        }
    }

    fn wish(&self, wish: Wish) {
        if let Some(playback) = self.playback {
            (playback.send)(wish);
        }
    }
}

/// A word that was typed to its end.
fn found(word: String) -> Search {
    if word.trim().is_empty() { Search::Off } else { Search::For(word) }
}

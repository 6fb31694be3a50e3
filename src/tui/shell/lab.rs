//! What keys do to the practice swarm itself: its miners, and what its model writes.

use super::Shell;
use crate::swarm::{SwarmCommand, Writing};
use crate::tui::keymap::Action;
use crate::tui::look::ScreenName;
use crate::tui::question::Question;
use crate::tui::text::screens as words;

impl Shell<'_> {
    /// Shows what the model writes, and asks for another text if it is not at one already.
    pub(super) fn write(&mut self) {
        (self.look.writing, self.look.help) = (true, false);
        let swarm = self.control.swarm.as_ref().map(|swarm| swarm.borrow().writing.clone());
        if let (Some(to_swarm), Some(writing)) = (&self.control.to_swarm, swarm)
            && writing != Writing::UnderWay
        {
            to_swarm(SwarmCommand::Write);
        }
    }

    /// Another miner of the practice swarm is chosen.
    pub(super) fn choose(&mut self, action: Action) {
        let view = self.view();
        let all = view.swarm.iter().flat_map(|swarm| &swarm.stages).flat_map(|s| &s.miners);
        let all: Vec<&str> = all.map(|miner| miner.hotkey.as_str()).collect();
        let now = view.chosen().and_then(|m| all.iter().position(|key| *key == m.hotkey));
        let (now, last) = (now.unwrap_or(0), all.len().saturating_sub(1));
        let next = match action {
            Action::Up => now.saturating_sub(1),
            Action::PageUp => now.saturating_sub(super::PAGE),
            Action::Oldest => 0,
            Action::Down => (now + 1).min(last),
            Action::PageDown => (now + super::PAGE).min(last),
            _ => last,
        };
        self.look.chosen = all.get(next).map(|key| (*key).to_owned());
    }

    /// The one of this name is chosen, where there is one.
    pub(in crate::tui) fn choose_named(&mut self, name: &str) -> bool {
        let view = self.view();
        let mut all = view.swarm.iter().flat_map(|swarm| &swarm.stages).flat_map(|s| &s.miners);
        let found = all.find(|miner| view.name_of(&miner.hotkey) == name);
        self.look.chosen = found.map(|miner| miner.hotkey.clone());
        found.is_some()
    }

    /// A key of the Swarm screen. Elsewhere it shows that screen first: one sees what one does.
    pub(super) fn experiment(&mut self, action: Action) {
        if self.look.screen != ScreenName::Swarm {
            return self.show(ScreenName::Swarm);
        }
        match action {
            Action::StartMiner => self.tell_swarm(SwarmCommand::Start),
            Action::SlowMiner => self.hurt(|miner| SwarmCommand::Slow { miner }),
            Action::CheatMiner => self.look.notice = Some(words::NO_CHEAT),
            _ if Question::Kill.is_due(&self.view()) => self.ask(Question::Kill),
            _ => self.look.notice = Some(words::NOT_YOURS),
        }
    }

    /// Does something to the miner that is chosen.
    pub(super) fn hurt(&mut self, how: impl FnOnce(String) -> SwarmCommand) {
        let view = self.view();
        match view.chosen().filter(|miner| view.may_be_hurt(&miner.hotkey)) {
            Some(miner) => self.tell_swarm(how(view.name_of(&miner.hotkey))),
            None => self.look.notice = Some(words::NOT_YOURS),
        }
    }

    pub(super) fn tell_swarm(&mut self, command: SwarmCommand) {
        if let Some(to_swarm) = &self.control.to_swarm {
            to_swarm(command);
            self.look.notice = Some(words::TOLD);
        }
    }
}

//! What keys do: from a press to a command for a miner, a wish for a playback, or another look.

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, MouseEvent};
use ratatui::layout::Rect;

use super::keymap::{self, Action, Binding, Keys, Press};
use super::look::{Lines, Look, ScreenName, Search};
use super::pointer::{self, Target};
use super::question::{Answer, Question};
use super::seat::{Kind, Run, Swarm};
use super::text::screens as words;
use super::view::View;
use super::{Left, clipboard};
use crate::clock::Clock;
use crate::control::{Addressee, Control, Order, Place, Playback, Progress, Wish};
use crate::miner::{Command, State};
use crate::swarm::{SwarmCommand, Writing};
use crate::telemetry::logs::Ring;

/// A word that is looked for is at most so long.
const LONGEST_WORD: usize = 60;
/// Lines that a page key moves by.
const PAGE: usize = 10;

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
        Self { control, playback, kind, log, clock, keys, bindings, miners, look }
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
        let scrolls = |shell: &mut Self, action| {
            for _ in 0..pointer::NOTCH {
                shell.scroll(action);
            }
        };
        match target {
            Target::Screen(screen) => self.show(screen),
            Target::Miner(hotkey) => self.look.chosen = Some(hotkey),
            Target::Own(miner) => self.pick(miner + self.miners - self.look.miner),
            Target::Time(time) => self.scrub(|_| time),
            Target::Up if self.look.screen == ScreenName::Log => scrolls(self, Action::Up),
            Target::Down if self.look.screen == ScreenName::Log => scrolls(self, Action::Down),
            Target::Up if self.look.screen == ScreenName::Swarm => self.choose(Action::Up),
            Target::Down if self.look.screen == ScreenName::Swarm => self.choose(Action::Down),
            Target::Up | Target::Down => {}
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

    fn scroll(&mut self, action: Action) {
        if self.look.screen == ScreenName::Swarm {
            return self.choose(action);
        }
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
        self.look.screen = screen;
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

    /// Shows what the model writes, and asks for another text if it is not at one already.
    fn write(&mut self) {
        (self.look.writing, self.look.help) = (true, false);
        let swarm = self.control.swarm.as_ref().map(|swarm| swarm.borrow().writing.clone());
        if let (Some(to_swarm), Some(writing)) = (&self.control.to_swarm, swarm)
            && writing != Writing::UnderWay
        {
            to_swarm(SwarmCommand::Write);
        }
    }

    /// Another miner of the practice swarm is chosen.
    fn choose(&mut self, action: Action) {
        let view = self.view();
        let all = view.swarm.iter().flat_map(|swarm| &swarm.stages).flat_map(|s| &s.miners);
        let all: Vec<&str> = all.map(|miner| miner.hotkey.as_str()).collect();
        let now = view.chosen().and_then(|m| all.iter().position(|key| *key == m.hotkey));
        let (now, last) = (now.unwrap_or(0), all.len().saturating_sub(1));
        let next = match action {
            Action::Up => now.saturating_sub(1),
            Action::PageUp | Action::Oldest => 0,
            Action::Down => (now + 1).min(last),
            _ => last,
        };
        self.look.chosen = all.get(next).map(|key| (*key).to_owned());
    }

    /// The one of this name is chosen, where there is one.
    pub(super) fn choose_named(&mut self, name: &str) -> bool {
        let view = self.view();
        let mut all = view.swarm.iter().flat_map(|swarm| &swarm.stages).flat_map(|s| &s.miners);
        let found = all.find(|miner| view.name_of(&miner.hotkey) == name);
        self.look.chosen = found.map(|miner| miner.hotkey.clone());
        found.is_some()
    }

    /// A key of the Swarm screen. Elsewhere it shows that screen first: one sees what one does.
    fn experiment(&mut self, action: Action) {
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
    fn hurt(&mut self, how: impl FnOnce(String) -> SwarmCommand) {
        let view = self.view();
        match view.chosen().filter(|miner| view.may_be_hurt(&miner.hotkey)) {
            Some(miner) => self.tell_swarm(how(view.name_of(&miner.hotkey))),
            None => self.look.notice = Some(words::NOT_YOURS),
        }
    }

    fn tell_swarm(&mut self, command: SwarmCommand) {
        if let Some(to_swarm) = &self.control.to_swarm {
            to_swarm(command);
            self.look.notice = Some(words::TOLD);
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use crossterm::event::KeyModifiers;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use tokio::sync::watch;

    use super::*;
    use crate::control::Miners;
    use crate::miner::snapshot::{Rule, Verdict};
    use crate::swarm::SwarmSnapshot;
    use crate::tui::draw;
    use crate::tui::draw::samples::{swarm, training};
    use crate::tui::theme::Theme;

    /// A run of two miners that notes what it is told.
    struct Run {
        control: Control,
        orders: Arc<Mutex<Vec<Order>>>,
        /// Held: without them the screen sees nothing.
        _senders: (Vec<watch::Sender<crate::miner::MinerSnapshot>>, watch::Sender<Progress>),
        log: Ring,
        clock: Clock,
    }

    impl Run {
        fn new() -> Self {
            let mut second = training();
            second.name = "m1".into();
            second.ruling.rule = Rule::UserPaused;
            second.ruling.verdict = Verdict::Pause;
            let (first, a) = watch::channel(training());
            let (other, b) = watch::channel(second);
            let (progress, watched) = watch::channel(Progress::Running);
            let orders = Arc::new(Mutex::new(Vec::new()));
            let told = Arc::clone(&orders);
            let control = Control {
                miners: Miners::new(a, vec![b]),
                swarm: None,
                to_swarm: None,
                names: Arc::new(BTreeMap::new()),
                epochs: None,
                progress: watched,
                histories: crate::control::Histories::default(),
                send: Arc::new(move |order| told.lock().unwrap().push(order)),
            };
            let (log, clock) = (Ring::default(), Clock::system());
            Self { control, orders, _senders: (vec![first, other], progress), log, clock }
        }

        fn shell(&self, kind: Kind) -> Shell<'_> {
            Shell::new(&self.control, (kind, None), &self.log, &self.clock, Keys::default())
        }

        fn told(&self) -> Vec<Order> {
            std::mem::take(&mut *self.orders.lock().unwrap())
        }
    }

    fn type_in(shell: &mut Shell<'_>, keys: &str) -> Turn {
        let press = |c| match c {
            '\u{1b}' => KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE),
            '\r' => KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE),
            '\t' => KeyEvent::new(KeyCode::Tab, KeyModifiers::NONE),
            '\u{8}' => KeyEvent::new(KeyCode::Backspace, KeyModifiers::NONE),
            '\u{3}' => KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL),
            c => KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE),
        };
        keys.chars().fold(Turn::Stay, |_, c| shell.press(press(c)))
    }

    /// A million lines, as fast as they can be written: the ring stays as small as it is, every frame is
    /// drawn, every key counts, and at the end the newest line is there.
    #[test]
    fn a_flood_of_log_lines_neither_fills_the_memory_nor_stops_the_keys() {
        const WRITERS: usize = 4;
        const LINES: usize = 250_000;
        let run = Run::new();
        let mut shell = run.shell(Kind::Own);
        let mut terminal = Terminal::new(TestBackend::new(120, 40)).unwrap();
        let mut frame = |shell: &Shell<'_>| {
            let (view, theme) = (shell.view(), Theme::colourful());
            terminal.draw(|frame| draw(frame, &view, &theme)).unwrap();
            (view, clipboard::text(terminal.backend().buffer()))
        };
        std::thread::scope(|scope| {
            let write = |writer: usize| {
                let log = &run.log;
                move || {
                    for line in 0..LINES {
                        log.push(&format!(" WARN writer {writer} says {line} {}", "x".repeat(40)));
                    }
                }
            };
            let writers: Vec<_> = (0..WRITERS).map(|n| scope.spawn(write(n))).collect();
            let mut keys = "17/ writer 3\r\u{1b}p\u{1b}".chars().cycle();
            let mut frames = 0;
            while frames < 25 || writers.iter().any(|writer| !writer.is_finished()) {
                let key = keys.next().unwrap().to_string();
                assert_eq!(type_in(&mut shell, &key), Turn::Stay);
                let (view, _) = frame(&shell);
                let bytes: usize = view.log.iter().map(String::len).sum();
                assert!(view.log.len() <= 500 && bytes < 100_000, "{} lines", view.log.len());
                frames += 1;
            }
        });
        run.log.push(" WARN the very last line");
        type_in(&mut shell, "\u{1b}\u{1b}7");
        let (_, text) = frame(&shell);
        assert!(text.contains("[7 Log") && text.contains("the very last line"), "{text}");
        assert_eq!(run.told(), [], "no key did what it was not pressed for");
    }

    fn to(name: &str, command: Command) -> Order {
        Order { to: Addressee::One(name.into()), command }
    }

    #[test]
    fn what_cannot_be_undone_is_asked_first() {
        let run = Run::new();
        let mut shell = run.shell(Kind::Own);
        type_in(&mut shell, "p");
        assert_eq!((shell.look.question, run.told()), (Some(Question::Pause), Vec::new()));
        type_in(&mut shell, "\u{1b}");
        assert_eq!((shell.look.question, run.told()), (None, Vec::new()));
        for yes in ["pp", "py", "p\r"] {
            type_in(&mut shell, yes);
            assert_eq!(run.told(), [to("m0", Command::Pause { until: None })], "{yes:?}");
        }
        type_in(&mut shell, "fy");
        assert_eq!(run.told(), [to("m0", Command::Finish)]);
        type_in(&mut shell, "r");
        assert_eq!(run.told(), [to("m0", Command::Resume)]);
        // A digit answers, and does not change the screen meanwhile.
        let before = run.clock.unix().as_secs();
        type_in(&mut shell, "s2");
        let told = run.told();
        let [Order { command: Command::Pause { until: Some(until) }, .. }] = told[..] else {
            panic!("{told:?}")
        };
        assert!((before + 3_600..before + 3_660).contains(&until));
        assert_eq!(shell.look.screen, ScreenName::Now);
        // Neither yes nor no: it stays open.
        type_in(&mut shell, "p3");
        assert_eq!(shell.look.question, Some(Question::Pause));
        assert_eq!(shell.look.screen, ScreenName::Now);
    }

    #[test]
    fn leaving_asks_where_something_would_end_and_nowhere_else() {
        let run = Run::new();
        let mut own = run.shell(Kind::Own);
        assert_eq!(type_in(&mut own, "q"), Turn::Stay);
        assert_eq!(type_in(&mut own, "q"), Turn::Leave(Left::Quit));
        assert_eq!(type_in(&mut own, "qf"), Turn::Stay);
        assert_eq!(run.told(), [to("m0", Command::Finish)]);

        let mut other = run.shell(Kind::Other(7));
        assert_eq!(type_in(&mut other, "q"), Turn::Stay);
        assert_eq!(type_in(&mut other, "x"), Turn::Stay);
        assert_eq!(run.told(), [Order { to: Addressee::All, command: Command::Stop }]);
        assert_eq!(type_in(&mut other, "qq"), Turn::Leave(Left::Quit));
        assert_eq!(type_in(&mut other, "\u{3}"), Turn::Leave(Left::Quit));
        assert_eq!(run.told(), []);

        let mut past = run.shell(Kind::Past);
        assert_eq!(type_in(&mut past, "pfsrdx"), Turn::Stay);
        assert_eq!(run.told(), []);
        assert_eq!(type_in(&mut past, "q"), Turn::Leave(Left::Quit));
    }

    /// A run of a practice swarm, and what it was told.
    fn practice(run: &mut Run) -> (watch::Sender<SwarmSnapshot>, Arc<Mutex<Vec<SwarmCommand>>>) {
        let (sender, inside) = watch::channel(swarm(["training"; 3], 9));
        let told = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&told);
        run.control.swarm = Some(inside);
        run.control.to_swarm = Some(Arc::new(move |command| noted.lock().unwrap().push(command)));
        (sender, told)
    }

    #[test]
    fn the_practice_swarms_miners_are_hurt_only_where_one_sees_it_and_never_your_own() {
        let mut run = Run::new();
        let (sender, told) = practice(&mut run);
        let told = || std::mem::take(&mut *told.lock().unwrap());
        let mut shell = run.shell(Kind::Own);
        // From another screen the key only shows the one that it is for.
        type_in(&mut shell, "K");
        assert_eq!((shell.look.screen, shell.look.question), (ScreenName::Swarm, None));
        type_in(&mut shell, "L");
        assert_eq!(told(), [SwarmCommand::Slow { miner: "5Miner01".into() }]);
        type_in(&mut shell, "K");
        assert_eq!((shell.look.question, told()), (Some(Question::Kill), Vec::new()));
        type_in(&mut shell, "y");
        assert_eq!(told(), [SwarmCommand::Kill { miner: "5Miner01".into() }]);
        type_in(&mut shell, "N");
        assert_eq!(told(), [SwarmCommand::Start]);
        type_in(&mut shell, "C");
        assert_eq!((shell.look.notice, told()), (Some(words::NO_CHEAT), Vec::new()));
        // Your own miner is the first row; a dead one cannot die.
        let press = |shell: &mut Shell<'_>, code| {
            shell.press(KeyEvent::new(code, KeyModifiers::NONE));
        };
        press(&mut shell, KeyCode::Up);
        type_in(&mut shell, "KL");
        assert_eq!((shell.look.question, told()), (None, Vec::new()));
        press(&mut shell, KeyCode::End);
        assert_eq!(shell.view().chosen().unwrap().hotkey, "5Miner21");
        sender.send_modify(|swarm| swarm.lab.killed.push("5Miner21".into()));
        type_in(&mut shell, "KL");
        assert_eq!((shell.look.question, told()), (None, Vec::new()));
    }

    #[test]
    fn ctrl_c_stops_in_order_and_twice_at_once() {
        let run = Run::new();
        let mut shell = run.shell(Kind::Own);
        type_in(&mut shell, "p");
        assert_eq!(type_in(&mut shell, "\u{3}"), Turn::Stay);
        assert_eq!(run.told(), [Order { to: Addressee::All, command: Command::Stop }]);
        assert_eq!(shell.look.question, None);
        assert_eq!(type_in(&mut shell, "\u{3}"), Turn::Leave(Left::Interrupted));
    }

    #[test]
    fn keys_act_on_the_miner_that_is_shown() {
        let run = Run::new();
        let mut shell = run.shell(Kind::Own);
        type_in(&mut shell, "m");
        assert_eq!(shell.view().miner.name, "m1");
        // It is paused by the user already: there is nothing to ask.
        type_in(&mut shell, "p");
        assert_eq!(shell.look.question, None);
        type_in(&mut shell, "d");
        assert_eq!(run.told(), [to("m1", Command::Disable)]);
        type_in(&mut shell, "M");
        assert_eq!(shell.view().miner.name, "m0");
    }

    #[test]
    fn a_word_that_is_typed_is_no_row_of_orders() {
        let run = Run::new();
        run.log.push(" WARN disk is full");
        run.log.push(" INFO quiet");
        let mut shell = run.shell(Kind::Own);
        type_in(&mut shell, "/quit 1?");
        assert_eq!(shell.look.search, Search::Typing("quit 1?".into()));
        type_in(&mut shell, "\u{8}\u{8}\u{8}\r");
        assert_eq!(shell.look.search, Search::For("quit".into()));
        assert_eq!((shell.look.screen, run.told()), (ScreenName::Log, Vec::new()));
        assert_eq!(shell.view().log_lines().count(), 0);
        type_in(&mut shell, "\u{1b}w");
        assert_eq!(shell.view().log_lines().collect::<Vec<_>>(), [" WARN disk is full"]);
        type_in(&mut shell, &format!("/{}\t", "a".repeat(500)));
        assert_eq!(shell.look.search.word().len(), LONGEST_WORD);
        type_in(&mut shell, "1");
        assert!(matches!(shell.look.search, Search::Typing(_)), "the word is still being typed");
    }

    #[test]
    fn the_swarms_model_is_asked_once_at_a_time_and_only_where_it_listens() {
        let mut run = Run::new();
        type_in(&mut run.shell(Kind::Own), "g");
        assert!(!run.shell(Kind::Own).look.writing);
        let (swarm, watched) = watch::channel(crate::swarm::SwarmSnapshot::default());
        run.control.swarm = Some(watched);
        let asked = Arc::new(Mutex::new(0));
        let count = Arc::clone(&asked);
        run.control.to_swarm = Some(Arc::new(move |command| {
            assert_eq!(command, SwarmCommand::Write);
            *count.lock().unwrap() += 1;
        }));
        let mut shell = run.shell(Kind::Own);
        type_in(&mut shell, "g");
        assert_eq!((shell.look.writing, *asked.lock().unwrap()), (true, 1));
        swarm.send_modify(|swarm| swarm.writing = Writing::UnderWay);
        type_in(&mut shell, "gg");
        assert_eq!(*asked.lock().unwrap(), 1);
        type_in(&mut shell, "\u{1b}");
        assert!(!shell.look.writing);
        swarm.send_modify(|swarm| swarm.writing = Writing::Failed { why: "no store".into() });
        type_in(&mut shell, "g");
        assert_eq!(*asked.lock().unwrap(), 2);
        // The past only shows it.
        run.control.to_swarm = None;
        let mut past = run.shell(Kind::Past);
        type_in(&mut past, "g");
        assert_eq!((past.look.writing, *asked.lock().unwrap()), (true, 2));
    }
}

//! Keys, questions and orders, by what they lead to.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crossterm::event::KeyModifiers;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use tokio::sync::watch;

use super::*;
use crate::control::Miners;
use crate::miner::snapshot::{Rule, Verdict};
use crate::swarm::{SwarmSnapshot, Writing};
use crate::tui::draw;
use crate::tui::draw::samples::{swarm, training};
use crate::tui::text::screens as words;
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
        Self::of(training())
    }

    /// With such a miner as the first.
    fn of(first: crate::miner::MinerSnapshot) -> Self {
        let mut second = training();
        second.name = "m1".into();
        second.ruling.rule = Rule::UserPaused;
        second.ruling.verdict = Verdict::Pause;
        let (first, a) = watch::channel(first);
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

/// A list of more peers than any window has rows: all of them are to be seen, by keys and by the wheel.
#[test]
fn a_list_that_is_longer_than_the_window_scrolls_to_its_end_and_back() {
    use crate::miner::NeighbourView;
    use crossterm::event::MouseEventKind;
    let peer = |i| NeighbourView {
        hotkey: format!("P{i:03}xxxxxxxx"),
        stage: 1,
        status: "training".into(),
        heard: Some(1_000.0),
    };
    let mut miner = training();
    miner.neighbours = (0..100).map(peer).collect();
    miner.measured.links.clear();
    let run = Run::of(miner);
    let mut shell = run.shell(Kind::Own);
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    let mut frame = |shell: &mut Shell<'_>| {
        // Another second is another picture; what is scrolled is the same.
        let (view, theme, mut beyond) = (shell.view().at(1_042), Theme::colourful(), 0);
        terminal.draw(|frame| beyond = draw::measured(frame, &view, &theme)).unwrap();
        shell.scrolls_by(beyond);
        clipboard::text(terminal.backend().buffer())
    };
    let key = |shell: &mut Shell<'_>, code| shell.press(KeyEvent::new(code, KeyModifiers::NONE));
    type_in(&mut shell, "5");
    let first = frame(&mut shell);
    assert!(first.contains("P000") && first.contains("more below"), "{first}");
    let (mut seen, mut last) = (first.clone(), first.clone());
    loop {
        key(&mut shell, KeyCode::PageDown);
        let now = frame(&mut shell);
        if now == last {
            break;
        }
        seen += &now;
        last = now;
    }
    assert!((0..100).all(|i| seen.contains(&format!("P{i:03}"))), "{seen}");
    assert!(last.contains("more above") && !last.contains("below"), "{last}");
    // Not a line beyond the end: one step back is seen at once.
    key(&mut shell, KeyCode::Up);
    assert!(frame(&mut shell).contains("1 below"));
    key(&mut shell, KeyCode::Home);
    assert_eq!(frame(&mut shell), first);
    key(&mut shell, KeyCode::End);
    assert_eq!(frame(&mut shell), last);
    let wheel = |shell: &mut Shell<'_>, kind| {
        let modifiers = KeyModifiers::NONE;
        shell.point(MouseEvent { kind, column: 9, row: 9, modifiers }, Rect::new(0, 0, 80, 24));
    };
    key(&mut shell, KeyCode::Home);
    wheel(&mut shell, MouseEventKind::ScrollDown);
    assert!(frame(&mut shell).contains(&format!("{} more above", pointer::NOTCH)));
    wheel(&mut shell, MouseEventKind::ScrollUp);
    assert_eq!(frame(&mut shell), first);
    // Another screen begins at its beginning.
    type_in(&mut shell, "\u{1b}");
    key(&mut shell, KeyCode::End);
    type_in(&mut shell, "65");
    assert_eq!(frame(&mut shell), first);
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

//! Frames of 200 x 50 cells: how long one takes from the snapshots to the bytes for the terminal, for
//! every screen of a recorded run and for the same run with everything overlong, beside a table of the
//! toolkit's own on all of that window. The goal is a millisecond at the 99th percentile. What was
//! measured is kept in `benches/results/frames.md`; `cargo bench --bench frames` measures again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hearth::clock::Clock;
use hearth::control::{Control, Miners};
use hearth::telemetry::logs::Ring;
use hearth::tui::look::{Look, ScreenName};
use hearth::tui::seat::Kind;
use hearth::tui::theme::{Depth, Theme};
use hearth::tui::{View, draw};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::{Constraint, Rect};
use ratatui::widgets::{Block, Row, Table};
use ratatui::{Terminal, TerminalOptions, Viewport};

const WINDOW: Rect = Rect { x: 0, y: 0, width: 200, height: 50 };
const FRAMES: usize = 1_000;
/// Not counted: the first frames fill caches.
const WARM_UP: usize = 50;
/// The quietest of so many rounds counts: what other programs take of the machine is not ours.
const ROUNDS: usize = 4;
const GOAL: Duration = Duration::from_millis(1);

/// What frames took, shortest first.
struct Times(Vec<Duration>);

impl Times {
    /// Measures frames; each may differ from the one before.
    fn of(mut frame: impl FnMut(usize)) -> Self {
        let mut round = || {
            let time = |n| {
                let began = Instant::now();
                frame(n);
                began.elapsed()
            };
            let mut times: Vec<Duration> = (0..WARM_UP + FRAMES).map(time).skip(WARM_UP).collect();
            times.sort();
            Self(times)
        };
        let rounds = (0..ROUNDS).map(|_| round());
        rounds.min_by_key(|times| times.at(99)).unwrap()
    }

    fn at(&self, percent: usize) -> Duration {
        self.0[(self.0.len() * percent / 100).min(self.0.len() - 1)]
    }
}

fn terminal() -> Terminal<CrosstermBackend<Vec<u8>>> {
    let options = TerminalOptions { viewport: Viewport::Fixed(WINDOW) };
    Terminal::with_options(CrosstermBackend::new(Vec::with_capacity(1 << 20)), options).unwrap()
}

/// Built, compared with the last one and written into memory, as on every tick: the time is another
/// one in each, so that something always differs.
fn screen(ground: (&Control, &Ring), unix: u64, screen: ScreenName) -> Times {
    let (control, log) = ground;
    let (clock, theme) = (Clock::system(), Theme::colourful().with_depth(Depth::True));
    let look = Look { screen, ..Look::default() };
    let keys = Arc::default();
    let mut terminal = terminal();
    Times::of(|n| {
        let view = View::collect(control, log, &clock, &look);
        let view = view.seated(Kind::Own, Arc::clone(&keys)).at(unix + n as u64);
        terminal.draw(|frame| draw(frame, &view, &theme)).unwrap();
    })
}

/// The peer: a table in a frame, every cell filled, with one line that changes.
fn table() -> Times {
    let mut terminal = terminal();
    Times::of(|n| {
        terminal
            .draw(|frame| {
                let row =
                    |y: usize| Row::new((0..8).map(move |x| format!("row {y} column {x} {n}")));
                let widths = [Constraint::Percentage(12); 8];
                let table = Table::new((0..48).map(row), widths).block(Block::bordered());
                frame.render_widget(table, frame.area());
            })
            .unwrap();
    })
}

/// The same run with more of everything than anybody has.
fn overlong(control: &Control) -> (Control, Ring) {
    let mut miner = control.first().borrow().clone();
    let long = "a name that somebody made much longer than there is room for \u{1b}[31m".repeat(4);
    miner.run = Some(long.clone());
    miner.status.next.clone_from(&long);
    miner.device.name.clone_from(&long);
    miner.losses = (0..512).map(|n| 3.0 + 5.0 * (-f64::from(n) / 90.0).exp()).collect();
    let neighbour = miner.neighbours.first().cloned();
    miner.neighbours = neighbour.into_iter().cycle().take(200).collect();
    let link = miner.measured.links.first().cloned();
    miner.measured.links = link.into_iter().cycle().take(200).collect();
    let swarm = control.swarm.as_ref().map(|swarm| {
        let mut swarm = swarm.borrow().clone();
        for stage in &mut swarm.stages {
            stage.miners = stage.miners.first().cloned().into_iter().cycle().take(100).collect();
        }
        let (_, swarm) = tokio::sync::watch::channel(swarm);
        swarm
    });
    let (_, miner) = tokio::sync::watch::channel(miner);
    let log = Ring::default();
    (0..500).for_each(|n| log.push(&format!(" WARN line {n}: {long}")));
    (Control { miners: Miners::one(miner), swarm, ..control.clone() }, log)
}

fn main() {
    let record = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records/practice.record");
    let log = Ring::default();
    let (control, place) =
        hearth::cli::replay::standing(&record, Some(Duration::from_secs(60)), &log).unwrap();
    let (many, many_lines) = overlong(&control);
    let mut out = std::io::stdout().lock();
    let mut over = Vec::new();
    // The peer before and after: a machine whose speed changed meanwhile is seen.
    let peer = table();
    writeln!(out, "| what | p50 | p99 | p50 to the table's | p99 to the table's |").unwrap();
    writeln!(out, "|---|---|---|---|---|").unwrap();
    let mut line = |name: &str, times: &Times| {
        let of = |percent| times.at(percent).as_secs_f64() / peer.at(percent).as_secs_f64();
        let ms = |percent| format!("{:.3} ms", 1e3 * times.at(percent).as_secs_f64());
        writeln!(out, "| {name} | {} | {} | {:.2} | {:.2} |", ms(50), ms(99), of(50), of(99))
            .unwrap();
        if times.at(99) > GOAL {
            over.push(name.to_owned());
        }
    };
    line("ratatui's table", &peer);
    for (condition, ground) in [("recorded", (&control, &log)), ("overlong", (&many, &many_lines))]
    {
        for name in ScreenName::ALL {
            line(&format!("{}, {condition}", name.word()), &screen(ground, place.unix, name));
        }
    }
    line("ratatui's table again", &table());
    if over.is_empty() {
        println!("\nall within {GOAL:?} at the 99th percentile");
    } else {
        println!("\nover {GOAL:?} at the 99th percentile: {}", over.join(", "));
    }
}

//! Whole screens, drawn from made-up snapshots and compared with the pictures kept in `snapshots/`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::config::rules::Percent;
use crate::control::{Place, Progress};
use crate::miner::snapshot::{Rule, Ruling, Unknown, Verdict};
use crate::miner::{DeviceView, Eta, MinerSnapshot, Reason, State, Status, Who, Work};
use crate::swarm::{LossPoint, MinerView, StageView, SwarmSnapshot};
use crate::tui::view::OwnMiner;

fn miner(state: State, reason: Reason, next: &str, who: Who, eta: Eta) -> MinerSnapshot {
    MinerSnapshot {
        name: "m0".into(),
        hotkey: "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY".into(),
        run: Some("practice-1".into()),
        stage: Some(0),
        stages: 3,
        queue: None,
        epoch: 1,
        recovered: None,
        phase: Some("training".into()),
        status: Status { state, reason, since: 1_000.0, next: next.into(), who, eta },
        ruling: Ruling::free(1_000.0),
        finishing: false,
        work: Work { forwards: 31, backwards: 24, optimizer_steps: 12, ..Work::default() },
        tokens_per_second: [512.0, 498.0, 480.0],
        forward_queue: 0,
        backward_queue: 1,
        cache: 3,
        cache_capacity: 4,
        device: DeviceView {
            backend: "cpu".into(),
            name: "AMD EPYC, 2 threads".into(),
            stage_bytes: 14_000_000,
            ..DeviceView::default()
        },
        reach: None,
        neighbours: Vec::new(),
        losses: Vec::new(),
        measured: crate::miner::snapshot::Measured::default(),
    }
}

fn swarm(phases: [&str; 3], losses: u64) -> SwarmSnapshot {
    let stages = phases
        .iter()
        .enumerate()
        .map(|(stage, phase)| StageView {
            stage,
            phase: (*phase).into(),
            epoch: 1,
            progress: 0.25 + 0.3 * stage as f64,
            miners: (0..2)
                .map(|i| MinerView {
                    hotkey: if stage + i == 0 {
                        "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY".into()
                    } else {
                        format!("5Miner{stage}{i}")
                    },
                    status: "training".into(),
                    forwards: 31,
                    backwards: 24,
                    partitions: 0,
                    score: 24.0,
                })
                .collect(),
        })
        .collect();
    let losses: Vec<_> = (0..losses)
        .map(|i| LossPoint {
            at: i as f64,
            tokens: (i + 1) * 512,
            epoch: 1,
            loss: 3.0 + 5.3 * (-(i as f64) / 30.0).exp(),
        })
        .collect();
    SwarmSnapshot {
        run: "practice-1".into(),
        epoch: 1,
        epochs_done: 0,
        epoch_progress: 0.41,
        stages,
        tokens: losses.len() as u64 * 512,
        losses,
        tokens_per_second: [1843.0, 1790.0, 1712.0],
        baselines: Some((5.31, 3.02)),
        address: "http://127.0.0.1:4242".into(),
    }
}

fn view(miner: MinerSnapshot, swarm: Option<SwarmSnapshot>) -> View {
    let names = BTreeMap::from([
        ("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY".to_owned(), "m0".to_owned()),
        ("5Miner01".to_owned(), "m1".to_owned()),
        ("5Miner10".to_owned(), "m2".to_owned()),
        ("5Miner11".to_owned(), "m3".to_owned()),
        ("5Miner20".to_owned(), "m4".to_owned()),
        ("5Miner21".to_owned(), "m5".to_owned()),
    ]);
    View {
        miner,
        swarm,
        names: Arc::new(names),
        epochs: Some(2),
        progress: Progress::Running,
        log: Vec::new(),
        unix: 1_042,
        help: false,
        quitting: false,
        pausing: false,
        attached: None,
        asking: false,
        own: Vec::new(),
        playback: None,
    }
}

fn drawn(view: &View, theme: &Theme, width: u16, height: u16) -> ratatui::buffer::Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, view, theme)).unwrap();
    terminal.backend().buffer().clone()
}

fn text_of(buffer: &ratatui::buffer::Buffer) -> String {
    let width = usize::from(buffer.area.width);
    let cells: Vec<&str> = buffer.content().iter().map(|cell| cell.symbol()).collect();
    cells.chunks(width).map(|row| row.concat().trim_end().to_owned() + "\n").collect()
}

fn stories() -> Vec<(&'static str, View)> {
    let training = || {
        miner(
            State::Training,
            Reason::WorkAvailable,
            "the swarm must finish this epoch's activations",
            Who::Network,
            Eta::Seconds(35.0),
        )
    };
    let busy = || swarm(["training"; 3], 90);
    let empty = miner(
        State::Starting,
        Reason::Start,
        "the orchestrator must give it a stage",
        Who::Network,
        Eta::Unknown,
    );
    let merging = miner(
        State::Merging,
        Reason::OthersMerging,
        "stage 2 must finish merging",
        Who::Peer,
        Eta::Unknown,
    );
    let paused = miner(
        State::Paused,
        Reason::Rule { rule: Rule::UserPaused, sentence: "You paused it.".into() },
        "you press r to resume",
        Who::You,
        Eta::Unknown,
    );
    let fault = miner(
        State::Fault,
        Reason::Failed {
            what: "The disk is full: make room in the data folder, then start again.".into(),
        },
        "you make room on the disk",
        Who::You,
        Eta::Unknown,
    );
    let mut finished = view(training(), Some(busy()));
    finished.progress = Progress::Finished(
        "Done in 93 s.\n  loss          8.310 -> 3.412\n\nAfter training, the model writes:\n  Tom \
         went to the market with his sister. They bought three apples."
            .into(),
    );
    let mut failed = view(fault.clone(), Some(busy()));
    failed.progress = Progress::Failed(
        "The disk is full: Hearth could not keep its snapshot. Make room and start again.".into(),
    );
    let mut long = view(training(), Some(busy()));
    long.miner.device.name =
        "A graphics adapter with a remarkably long marketing name Ultra Max".into();
    long.miner.status.next =
        "something that takes many more words to say than there is room".into();
    long.miner.run = Some("a-run-id-that-somebody-made-very-long-4.12.16.5-tah".into());
    long.miner.work.forwards = 123_456_789;
    long.log = (0..30).map(|i| format!("WARN line {i}: peer did not answer in time ")).collect();
    let mut help = view(training(), Some(busy()));
    help.help = true;
    let mut quitting = view(training(), Some(busy()));
    quitting.quitting = true;
    let replay = view(training(), Some(busy())).played(Place {
        recorded: "2026-11-22 20:00".into(),
        at: Duration::from_secs(192),
        length: Duration::from_secs(760),
        speed: 10.0,
        holds: false,
        unix: 1_042,
    });
    let mut replay_help = replay.clone();
    replay_help.help = true;
    let mut pausing = view(training(), Some(busy()));
    pausing.miner.work.backwards_this_epoch = 12;
    pausing.pausing = true;
    let mut limited = view(training(), Some(busy()));
    limited.miner.ruling = Ruling {
        verdict: Verdict::Run(Percent::nearest(60.0)),
        rule: Rule::PowerLimit,
        sentence: "At 60 % to stay under 200 W.".into(),
        unknown: vec![Unknown { rule: Rule::TooHot, why: "no sensor is readable".into() }],
        ..Ruling::free(1_000.0)
    };
    vec![
        ("pausing", pausing),
        ("limited", limited),
        ("replay", replay),
        ("replay-help", replay_help),
        (
            "empty",
            view(MinerSnapshot { run: None, stage: None, stages: 0, epoch: 0, ..empty }, None),
        ),
        ("training", view(training(), Some(busy()))),
        (
            "merging",
            view(
                merging,
                Some(swarm(["training", "merging_partitions", "weights_uploading"], 160)),
            ),
        ),
        ("paused", view(paused, Some(busy()))),
        ("fault", view(fault, Some(busy()))),
        ("finished", finished),
        ("failed", failed),
        ("long", long),
        ("help", help),
        ("quitting", quitting),
    ]
}

/// A dashboard of so many own miners, the last of them shown.
fn several(miners: usize) -> View {
    let training =
        miner(State::Training, Reason::WorkAvailable, "work", Who::Network, Eta::Unknown);
    let mut view = view(training, None);
    view.miner.name = format!("m{}", miners - 1);
    view.own = (0..miners)
        .map(|n| OwnMiner {
            name: format!("m{n}"),
            backend: if n == 0 { "cpu".into() } else { "wgpu".into() },
            state: if n == 0 { State::Disabled } else { State::Training },
            shown: n == miners - 1,
        })
        .collect();
    view
}

#[test]
fn several_own_miners_are_listed_and_the_one_that_is_shown_is_never_cut_off() {
    for width in [80, 120] {
        let text = text_of(&drawn(&several(2), &Theme::colourful(), width, 24));
        let line = text.lines().nth(1).unwrap();
        assert!(
            line.contains("1 m0 cpu disabled") && line.contains("[2 m1 wgpu training]"),
            "{text}"
        );
        let last = text.lines().last().unwrap();
        assert!(last.contains("Tab next miner") && last.contains("d off/on"), "{text}");
    }
    let text = text_of(&drawn(&several(9), &Theme::colourful(), 80, 24));
    assert!(text.contains("[9 m8 wgpu training]"), "{text}");
    let one = View { own: Vec::new(), ..several(2) };
    let text = text_of(&drawn(&one, &Theme::colourful(), 80, 24));
    assert!(!text.contains("m0 cpu") && !text.contains("Tab"), "{text}");
}

#[test]
fn screens_look_as_kept() {
    for (name, view) in stories() {
        for (width, height) in [(80, 24), (120, 40)] {
            let buffer = drawn(&view, &Theme::colourful(), width, height);
            insta::assert_snapshot!(format!("{name}_{width}x{height}"), text_of(&buffer));
        }
    }
}

#[test]
fn without_colour_the_words_are_the_same() {
    for (name, view) in stories() {
        let colourful = drawn(&view, &Theme::colourful(), 80, 24);
        let plain = drawn(&view, &Theme::plain(), 80, 24);
        assert_eq!(text_of(&colourful), text_of(&plain), "{name}");
        for cell in plain.content() {
            assert_eq!(cell.fg, ratatui::style::Color::Reset, "{name} uses a colour");
        }
    }
}

#[test]
fn every_size_is_drawn_without_a_panic() {
    for (_, view) in stories() {
        for (width, height) in
            [(1, 1), (20, 5), (79, 24), (80, 23), (200, 60), (80, 100), (300, 24)]
        {
            let text = text_of(&drawn(&view, &Theme::colourful(), width, height));
            if width == 79 {
                assert!(text.contains("80 x 24"), "{text}");
            }
        }
    }
}

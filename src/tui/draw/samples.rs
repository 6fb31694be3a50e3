//! Made-up snapshots for the tests of the dashboard: one of each thing that a screen can be in.

mod earnings;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::rules::Percent;
use crate::control::{Place, Progress};
use crate::earnings::view::{EarningsView, Source};
use crate::miner::snapshot::measured::{
    Deadline, DeviceReadings, Failures, LinkView, LinkWay, LoadLimit, MachineView, MergeView,
    Reading, TimeView, TransferView, Utilisation, Waterfall, WeekGrid, Window,
};
use crate::miner::snapshot::time::Activity;
use crate::miner::snapshot::{
    Measured, PlaceLost, QueueView, ReachView, Rule, Ruling, Unknown, Verdict, WhyLost,
};
use crate::miner::{
    DeviceView, Eta, MinerSnapshot, NeighbourView, Reason, State, Status, Who, Work,
};
use crate::swarm::{LossPoint, MinerView, StageView, SwarmSnapshot, Writing};
use crate::tui::look::Look;
use crate::tui::question::Question;
use crate::tui::seat::Kind;
use crate::tui::view::{HalfHour, OwnMiner, View};

pub(in crate::tui) fn miner(
    state: State,
    reason: Reason,
    next: &str,
    who: Who,
    eta: Eta,
) -> MinerSnapshot {
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
        measured: Measured::default(),
        earnings: EarningsView { source: Source::Unasked, ..EarningsView::default() },
    }
}

pub(in crate::tui) fn swarm(phases: [&str; 3], losses: u64) -> SwarmSnapshot {
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
        lab: crate::swarm::Lab::default(),
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
        writing: Writing::NotAsked,
    }
}

pub(in crate::tui) fn view(miner: MinerSnapshot, swarm: Option<SwarmSnapshot>) -> View {
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
        log: std::sync::Arc::default(),
        unix: 1_042,
        is_leaving: false,
        kind: Kind::Own,
        keys: Arc::default(),
        look: Look::default(),
        own: Vec::new(),
        playback: None,
        half_hour: HalfHour { day: 6, half_hour: 41 },
    }
}

/// What only happens on the first screen.
pub(in crate::tui) fn stories() -> Vec<(&'static str, View)> {
    let busy = || swarm(["training"; 3], 90);
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
    let warning = |i| format!("WARN line {i}: peer did not answer in time ");
    long.log = Arc::new((0..30).map(warning).collect());
    let mut help = view(training(), Some(busy()));
    help.look.help = true;
    let mut quitting = view(training(), Some(busy()));
    quitting.look.quitting = true;
    let replay = view(training(), Some(busy())).played(Place {
        recorded: "2026-11-22 20:00".into(),
        then: "2026-11-22 20:03".into(),
        at: Duration::from_secs(192),
        length: Duration::from_secs(760),
        speed: 10.0,
        holds: false,
        unix: 1_042,
    });
    let mut replay_log = replay.clone();
    replay_log.look.screen = crate::tui::look::ScreenName::Log;
    replay_log.log = Arc::new((0..30).map(|i| format!(" INFO line {i}")).collect());
    let mut replay_help = replay.clone();
    replay_help.look.help = true;
    let mut pausing = view(training(), Some(busy()));
    pausing.miner.work.backwards_this_epoch = 12;
    pausing.look.question = Some(Question::Pause);
    let asked = |question, kind, inside: Option<SwarmSnapshot>| {
        let mut view = view(training(), inside);
        view.miner.work.backwards_this_epoch = 12;
        view.miner.work.tokens = 24 * 512;
        view.look.question = Some(question);
        view.kind = kind;
        view
    };
    let quit = asked(Question::Quit, Kind::Own, None);
    let quit_attached = asked(Question::Quit, Kind::Other(4242), None);
    let snooze = asked(Question::Snooze, Kind::Own, Some(busy()));
    let finish = asked(Question::Finish, Kind::Own, Some(busy()));
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
        ("replay-log", replay_log),
        ("starting", view(starting(), None)),
        ("queued", view(queued(), None)),
        ("quit", quit),
        ("quit-attached", quit_attached),
        ("snooze", snooze),
        ("finish", finish),
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
pub(in crate::tui) fn several(miners: usize) -> View {
    let mut view = view(training(), None);
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

/// A miner that does what it should.
pub(in crate::tui) fn training() -> MinerSnapshot {
    miner(
        State::Training,
        Reason::WorkAvailable,
        "the swarm must finish this epoch's activations",
        Who::Network,
        Eta::Seconds(35.0),
    )
}

/// A miner that has just begun.
fn starting() -> MinerSnapshot {
    let next = "the orchestrator must give it a stage";
    let start = miner(State::Starting, Reason::Start, next, Who::Network, Eta::Unknown);
    MinerSnapshot {
        run: None,
        stage: None,
        stages: 0,
        epoch: 0,
        phase: None,
        work: Work::default(),
        tokens_per_second: [0.0; 3],
        backward_queue: 0,
        cache: 0,
        ..start
    }
}

/// Its neighbours, as the registry tells them.
fn neighbours() -> Vec<NeighbourView> {
    let one = |hotkey: &str, status: &str, heard| NeighbourView {
        hotkey: hotkey.into(),
        stage: 1,
        status: status.into(),
        heard,
    };
    vec![
        one("5Miner10", "training", Some(1_037.0)),
        one("5Miner11", "initializing", Some(900.0)),
        one("5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty", "", None),
    ]
}

fn reach() -> ReachView {
    ReachView {
        sentence: "Other miners reach you directly.".into(),
        advice: Some("Nothing needs to be done.".into()),
    }
}

/// In the registration queue, with a place that was lost once.
pub(in crate::tui) fn queued() -> MinerSnapshot {
    let next = "the miners before it must be let in";
    let mut miner = miner(State::Waiting, Reason::Queued, next, Who::Network, Eta::Unknown);
    miner.stage = None;
    miner.phase = None;
    miner.queue = Some(QueueView {
        since: 1_042.0 - 7_600.0,
        heard: 1_030.0,
        best: Some(412),
        places: [
            (-6_000.0, 1_500),
            (-4_000.0, 412),
            (-3_900.0, 1_687),
            (-600.0, 1_600),
            (1_030.0, 1_502),
        ]
        .into(),
        losses: vec![
            PlaceLost {
                at: -3_900.0,
                from: Some(412),
                to: Some(1_687),
                why: WhyLost::Unconfirmed { until: Some("2001-09-09T01:46:40+00:00".into()) },
            },
            PlaceLost {
                at: -500.0,
                from: Some(1_490),
                to: Some(1_600),
                why: WhyLost::NotPublished,
            },
        ],
    });
    miner
}

fn is<T>(value: T) -> Reading<T> {
    Reading::Is { value }
}

/// Everything measured, and as it should be.
fn measured() -> Measured {
    use Activity::{Backward, CacheFull, Forward, NoActivation, Receive, Send, Step};
    let window = |seconds, parts: &[(Activity, u16)]| Window {
        seconds,
        parts: parts.iter().copied().collect(),
    };
    let minute = [(Forward, 3_100), (Backward, 4_400), (Step, 500), (NoActivation, 1_200)];
    let minute: Vec<_> =
        minute.into_iter().chain([(Receive, 300), (Send, 400), (CacheFull, 100)]).collect();
    Measured {
        time: TimeView {
            minute: window(60, &minute),
            quarter: window(900, &[(Forward, 3_000), (Backward, 4_000), (NoActivation, 3_000)]),
            epoch: window(42, &minute),
            waterfall: Waterfall {
                receive: Some(4.2),
                queue: Some(31.0),
                forward: Some(120.0),
                send: Some(9.0),
                wait: Some(840.0),
                backward: Some(260.0),
                send_back: None,
            },
        },
        utilisation: Utilisation {
            flops_per_activation: Some(3.2e12),
            flops_per_token: Some(1.6e9),
            peak: Some(4.1e13),
            share: Some([0.42, 0.4, 0.36]),
        },
        links: vec![
            link("5Miner10", 1, LinkWay::Direct, Failures::default()),
            link(
                "5Miner11",
                1,
                LinkWay::Relayed,
                Failures { silent: 3, own_line: 1, ..Failures::default() },
            ),
        ],
        machine: MachineView {
            device: DeviceReadings {
                temperature: is(67.25),
                temperature_limit: Some((80.0, 70.0)),
                watts: is(210.4),
                watts_limit: Some(250.0),
                memory: is(9_000_000_000),
                memory_total: is(24_000_000_000),
            },
            load: LoadLimit { others: is(3.0), limit: Some(40) },
            memory: Reading::Is { value: (11_000_000_000, 32_000_000_000) },
            disk_free: is(80_000_000_000),
            disk_reserve: 5_000_000_000,
            week: WeekGrid(
                (0..7)
                    .map(|day| {
                        if day < 5 {
                            "#".repeat(14) + &".".repeat(30) + "####"
                        } else {
                            "#".repeat(48)
                        }
                    })
                    .collect(),
            ),
            duty: 100,
        },
        transfers: Vec::new(),
        merges: vec![MergeView { epoch: 1, done: 2, of: 2, began: 900.0, ended: Some(912.0) }],
    }
}

fn link(hotkey: &str, stage: usize, way: LinkWay, failures: Failures) -> LinkView {
    LinkView {
        node: format!("node-of-{hotkey}"),
        hotkey: Some(hotkey.into()),
        stage: Some(stage),
        way: Some(way),
        round_trip: Some(23.4),
        sent: 123_456_789,
        received: 987_654,
        push_speed: Some(5_400_000.0),
        answered: 1_204,
        failures,
        last_failure: (failures.silent > 0).then(|| "no answer within 15 s".into()),
        rests_until: (failures.silent > 0).then_some(1_100.0),
        heard: Some(1_040.0),
    }
}

fn no<T>(why: &str) -> Reading<T> {
    Reading::No { why: why.into() }
}

/// Everything measured, and nothing as it should be.
fn measured_in_trouble() -> Measured {
    let normal = measured();
    let upload = |file: &str, ended, verdict| TransferView {
        file: file.into(),
        began: 1_000.0,
        ended,
        sent: 300_000_000,
        total: 1_010_000_000,
        parts_done: 29,
        parts: 97,
        bytes_per_second: 4_300_000.0,
        deadline_at: Some(1_100.0),
        verdict,
        held_back: None,
    };
    Measured {
        transfers: vec![
            upload("optimizer_state", Some(1_020.0), Deadline::Unknown),
            upload("weights", None, Deadline::Misses { by: 105.0 }),
        ],
        merges: vec![MergeView { epoch: 2, done: 1, of: 4, began: 1_030.0, ended: None }],
        utilisation: Utilisation::default(),
        links: vec![LinkView {
            way: None,
            round_trip: None,
            push_speed: None,
            ..link(
                "5Miner10",
                1,
                LinkWay::Relayed,
                Failures { own_line: 40, silent: 300, refused: 2, relay: 7 },
            )
        }],
        machine: MachineView {
            device: DeviceReadings {
                temperature: no("no temperature sensor is readable"),
                temperature_limit: Some((80.0, 70.0)),
                watts: Reading::NotAsked,
                watts_limit: None,
                memory: no("the driver does not tell"),
                memory_total: Reading::NotAsked,
            },
            disk_free: Reading::Is { value: 900_000_000 },
            memory: Reading::NotAsked,
            week: WeekGrid::default(),
            ..normal.machine
        },
        ..normal
    }
}

/// What every screen is drawn in: (name, view). Without the practice swarm's inside view where `swarm`
/// is none.
pub(in crate::tui) fn conditions(inside: Option<()>) -> Vec<(&'static str, View)> {
    let around = |phases, losses| inside.map(|()| swarm(phases, losses));
    let empty = view(starting(), inside.map(|()| SwarmSnapshot::default()));
    let mut normal = view(training(), around(["training"; 3], 90));
    normal.miner.neighbours = neighbours();
    normal.miner.reach = Some(reach());
    normal.miner.device.planned_bytes = 52_000_000;
    normal.miner.device.memory = "weights 12 MiB, gradients 6 MiB, optimizer 24 MiB".into();
    normal.miner.losses = (0..60).map(|i| 3.0 + 5.3 * (-f64::from(i) / 20.0).exp()).collect();
    normal.miner.measured = measured();
    normal.miner.earnings = inside.map_or_else(earnings::unpublished, |()| earnings::practice());
    normal.log = Arc::new(vec![" INFO m0 has stage 0".into(), " INFO epoch 1 begins".into()]);
    let phases = ["merging_partitions", "weights_uploading", "merging_partitions"];
    let mut trouble = view(troubled(), around(phases, 160));
    let silent = |i| format!(" WARN peer 5Miner1{i} did not answer in 5 s; tried {i} times");
    let others = [" INFO epoch 1: uploading".into(), "ERROR the store said 503".into()];
    trouble.log = Arc::new((0..12).map(silent).chain(others).collect());
    vec![("empty", empty), ("normal", normal), ("trouble", trouble), ("overlong", overlong(inside))]
}

fn troubled() -> MinerSnapshot {
    let what = "the orchestrator answers 503 (No handler)".into();
    let reason = Reason::NetworkTrouble { what };
    let next = "the orchestrator must answer again";
    let mut miner = miner(State::Waiting, reason, next, Who::Network, Eta::Unknown);
    miner.neighbours =
        neighbours().into_iter().map(|n| NeighbourView { heard: None, ..n }).collect();
    miner.reach = Some(ReachView {
        sentence: "Other miners reach you only through a relay, which is slower.".into(),
        advice: Some("Let UDP port 4567 through your router.".into()),
    });
    miner.losses = vec![f64::NAN, 9.0, f64::INFINITY];
    miner.measured = measured_in_trouble();
    miner.earnings = earnings::troubled();
    miner.ruling = Ruling {
        verdict: Verdict::Run(Percent::nearest(60.0)),
        rule: Rule::PowerLimit,
        sentence: "At 60 % to stay under 200 W.".into(),
        until: Some(2_000.0),
        unknown: vec![Unknown { rule: Rule::TooHot, why: "no sensor is readable".into() }],
        ..Ruling::free(1_000.0)
    };
    miner
}

/// Everything longer than anybody planned for, and some of it hostile.
fn overlong(inside: Option<()>) -> View {
    let long =
        "a name that somebody made much longer than there is room for on any screen ".repeat(3);
    let mut around = inside.map(|()| swarm(["a phase of the future"; 3], 500));
    for stage in around.iter_mut().flat_map(|swarm| &mut swarm.stages) {
        let first = stage.miners.first().cloned();
        let many = first.into_iter().flat_map(|miner| {
            (0..40).map(move |i| MinerView { hotkey: format!("5Many{i}"), ..miner.clone() })
        });
        stage.miners.extend(many.collect::<Vec<_>>());
        stage.progress = 7.0;
    }
    let mut view = view(training(), around);
    view.miner.run = Some(long.clone());
    view.miner.status.next.clone_from(&long);
    view.miner.status.since = 5_000.0;
    view.miner.device.name.clone_from(&long);
    view.miner.device.memory.clone_from(&long);
    view.miner.work = Work {
        forwards: u64::MAX,
        backwards: u64::MAX,
        optimizer_steps: u64::MAX,
        partitions_merged: u64::MAX,
        tokens: u64::MAX,
        bytes_sent: u64::MAX,
        bytes_received: u64::MAX,
        backwards_this_epoch: 12,
    };
    view.miner.tokens_per_second = [1e12, f64::NAN, f64::INFINITY];
    let hostile = |i: usize| NeighbourView {
        hotkey: format!("5Hostile{i}"),
        stage: i % 3,
        status: "\u{1b}[2Jgone\u{7}\u{202e}".into(),
        heard: Some(1_000.0),
    };
    view.miner.neighbours = (0..100).map(hostile).collect();
    let names = (0..100).map(|i| (format!("5Hostile{i}"), format!("\u{1b}]0;x\u{7}{i}")));
    view.names = Arc::new(names.collect());
    view.miner.ruling.sentence.clone_from(&long);
    view.miner.earnings = earnings::overlong();
    let line = |i| format!(" WARN line {i}: {long}\u{1b}[31m");
    view.log = Arc::new((0..500).map(line).collect());
    view
}

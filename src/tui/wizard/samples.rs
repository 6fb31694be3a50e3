//! Made-up facts for the wizard's tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::facts::{
    Adapter, Finding, KeyFacts, MachineFacts, PassphraseNeed, StoreFacts, Topic, Verdict, WalletKey,
};
use super::request::Answer;
use crate::miner::{DeviceView, Eta, MinerSnapshot, Reason, Ruling, State, Status, Who, Work};
use crate::swarm::{LossPoint, MinerView, StageView, SwarmSnapshot, Writing};
use crate::tui::draw::samples;
use crate::tui::view::{HalfHour, View};

pub(super) const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
pub(super) const WORDS: &str =
    "bottom drive obey lake curtain smoke basket hold race lonely fit walk";

/// A practice swarm that has reported so many losses.
pub(super) fn view(losses: u64) -> View {
    let miner = MinerSnapshot {
        name: "m0".into(),
        hotkey: ALICE.into(),
        run: Some("practice-1".into()),
        stage: Some(0),
        stages: 3,
        queue: None,
        epoch: 1,
        recovered: None,
        phase: Some("training".into()),
        status: Status {
            state: State::Training,
            reason: Reason::WorkAvailable,
            since: 1_000.0,
            next: "the swarm must finish this epoch's activations".into(),
            who: Who::Network,
            eta: Eta::Unknown,
        },
        ruling: Ruling::free(1_000.0),
        finishing: false,
        work: Work::default(),
        tokens_per_second: [512.0, 498.0, 480.0],
        forward_queue: 0,
        backward_queue: 1,
        cache: 3,
        cache_capacity: 4,
        device: DeviceView {
            backend: "cpu".into(),
            name: "x86_64 processor, 2 threads".into(),
            ..DeviceView::default()
        },
        reach: None,
        neighbours: Vec::new(),
        losses: Vec::new(),
        measured: crate::miner::snapshot::Measured::default(),
        earnings: crate::earnings::view::EarningsView::default(),
    };
    let names = [("m0", ALICE), ("m1", "5b"), ("m2", "5c"), ("m3", "5d")];
    View {
        names: Arc::new(BTreeMap::from(names.map(|(name, key)| (key.to_owned(), name.to_owned())))),
        epochs: None,
        half_hour: HalfHour::default(),
        ..samples::view(miner, Some(swarm(losses)))
    }
}

#[allow(clippy::cast_precision_loss)]
fn swarm(losses: u64) -> SwarmSnapshot {
    let miner = |hotkey: &str| MinerView {
        hotkey: hotkey.into(),
        status: "training".into(),
        forwards: 31,
        backwards: 24,
        partitions: 0,
        score: 24.0,
    };
    let stages = [[ALICE, "5b"], ["5c", "5d"]];
    let stages = stages.iter().enumerate().map(|(stage, miners)| StageView {
        stage,
        phase: "training".into(),
        epoch: 1,
        progress: 0.4,
        miners: miners.iter().map(|hotkey| miner(hotkey)).collect(),
    });
    let loss = |i: u64| LossPoint {
        at: i as f64,
        tokens: (i + 1) * 128,
        epoch: 1,
        loss: 3.0 + 5.3 * (-(i as f64) / 30.0).exp(),
    };
    SwarmSnapshot {
        lab: crate::swarm::Lab::default(),
        run: "practice-1".into(),
        epoch: 1,
        epochs_done: 0,
        epoch_progress: 0.41,
        stages: stages.collect(),
        tokens: losses * 128,
        losses: (0..losses).map(loss).collect(),
        tokens_per_second: [1843.0, 1790.0, 1712.0],
        baselines: Some((5.31, 3.02)),
        address: "http://127.0.0.1:4242".into(),
        writing: Writing::NotAsked,
    }
}

/// A machine with two adapters, one of them refused, and one thing wrong.
pub(super) fn machine() -> MachineFacts {
    let mut facts = MachineFacts {
        adapters: Some(vec![
            Adapter {
                name: "Example Graphics 9000".into(),
                detail: "12.0 GiB, Vulkan, driver 1.2.3".into(),
                verdict: Verdict::Chosen("the fastest that passed its self-test".into()),
            },
            Adapter {
                name: "software rasterizer".into(),
                detail: "Vulkan, driver 25.0".into(),
                verdict: Verdict::Refused(
                    "it computes on the processor, slower than Hearth's own kernels do".into(),
                ),
            },
        ]),
        ..MachineFacts::default()
    };
    let known = [
        (Topic::Kernels, Finding::fine("all 42 kernels agree with the reference")),
        (Topic::Speed, Finding::fine("matrix products at 812 GFLOP/s, memory at 204 GB/s")),
        (Topic::Fit, Finding::fine("fits stages up to 4 layers of the 1B model")),
        (
            Topic::Disk,
            Finding::warning(
                "3.1 GiB free where snapshots are kept; a stage of 4 layers wants 9.6 GiB",
                "Make room, or set HEARTH_HOME to a folder on a larger disk.",
            ),
        ),
        (
            Topic::Memory,
            Finding::error("1.2 GiB of memory free", "Close other programs, or take fewer layers."),
        ),
    ];
    for (topic, finding) in known {
        facts.lines.insert(topic, super::facts::Line::Known(finding));
    }
    let working = super::facts::Line::Working("asking the time …".into());
    facts.lines.insert(Topic::Clock, working);
    facts
}

pub(super) fn keys(passphrase: PassphraseNeed) -> Answer {
    let words = match passphrase {
        PassphraseNeed::No => "A new key is kept in the system's keyring (Secret Service).".into(),
        PassphraseNeed::New => {
            "A new key is kept in an encrypted file under ~/.local/share/hearth/keys, since no \
                                keyring answers here."
                .into()
        }
    };
    Answer::Keys { store: StoreFacts { words, passphrase }, kept: None }
}

pub(super) fn kept() -> KeyFacts {
    KeyFacts {
        name: Some("default".into()),
        address: ALICE.into(),
        place: "the system's keyring (Secret Service)".into(),
    }
}

pub(super) fn wallets() -> Answer {
    let key = |hotkey: &str, address: Result<&str, &str>| WalletKey {
        wallet: "mining".into(),
        hotkey: hotkey.into(),
        file: format!("/home/you/.bittensor/wallets/mining/hotkeys/{hotkey}"),
        address: address.map(str::to_owned).map_err(str::to_owned),
    };
    Answer::Wallets {
        folder: "/home/you/.bittensor/wallets".into(),
        keys: vec![
            key("first", Ok(ALICE)),
            key("watched", Err("only its address is here, so it cannot sign")),
        ],
    }
}

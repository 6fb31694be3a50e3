//! What a face may know of a miner, and what it may ask of it. No face computes, signs or talks to
//! the network; it draws a [`MinerSnapshot`] and sends a [`Command`].

pub mod compute;
pub mod links;
pub mod machine;
pub mod measured;
mod queue;
pub mod time;
pub mod transfers;

use serde::{Deserialize, Serialize};

use crate::earnings::view::EarningsView;

pub use self::measured::Measured;
pub use self::queue::{PlaceLost, QueueView, WhyLost};
pub use crate::host::rules::{Rule, Ruling, Unknown, Verdict};

/// What the miner does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Opening the device, the peer endpoint, the files.
    Starting,
    /// Asking the orchestrator for a run and a stage.
    Registering,
    /// Building the stage and loading the merged weights.
    Loading,
    /// Taking activations and gradients.
    Training,
    /// Sending the pseudo-gradients.
    Uploading,
    /// Merging its partitions.
    Merging,
    /// Nothing to do until somebody else acts.
    Waiting,
    /// Takes no new work: a rule or the user says so.
    Paused,
    /// Switched off by the user: it has left the network and given its device back.
    Disabled,
    /// Handing back work in order.
    Stopping,
    /// Done.
    Stopped,
    /// Cannot go on by itself.
    Fault,
}

impl State {
    /// All states.
    pub const ALL: [Self; 12] = [
        Self::Starting,
        Self::Registering,
        Self::Loading,
        Self::Training,
        Self::Uploading,
        Self::Merging,
        Self::Waiting,
        Self::Paused,
        Self::Disabled,
        Self::Stopping,
        Self::Stopped,
        Self::Fault,
    ];

    /// The word in events and on screen.
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Registering => "registering",
            Self::Loading => "loading",
            Self::Training => "training",
            Self::Uploading => "uploading",
            Self::Merging => "merging",
            Self::Waiting => "waiting",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Fault => "fault",
        }
    }
}

/// Why the miner is in its state. Each has a stable code and a sentence; none is a guess.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum Reason {
    /// The program has just started.
    Start,
    /// The registration request is on its way.
    AskingForStage,
    /// A place in the registration queue is held.
    Queued,
    /// The place's turn has come; it is being confirmed.
    ConfirmingPlace,
    /// The server cannot tell the place; it is still held.
    QueueSilent,
    /// The stage's memory is taken and its kernels are compiled.
    BuildingStage,
    /// The merged weights are downloaded.
    LoadingWeights,
    /// Work is there and is done.
    WorkAvailable,
    /// Every slot of the cache holds a forward that waits for its gradient.
    CacheFull,
    /// No activation has arrived.
    NoActivation,
    /// Another stage is not training yet.
    OtherStageNotTraining,
    /// The upload of the pseudo-gradients goes on.
    UploadingWeights,
    /// Own part is sent; the others' are awaited.
    OthersUploading,
    /// Own partitions are being merged.
    MergingPartitions,
    /// Own partitions are merged; the others' are awaited.
    OthersMerging,
    /// A rule, or the user's own word, lets it take no new work.
    Rule {
        /// Which.
        rule: Rule,
        /// Until when, and why: "Paused until 22:00: outside the hours you set."
        sentence: String,
    },
    /// The user switched it off.
    SwitchedOff,
    /// The user, or the end of the demo, asked for it.
    StopRequested,
    /// It has stopped in order.
    Stopped {
        /// What another start finds.
        kept: Kept,
    },
    /// A server or peer does not answer; tried again.
    NetworkTrouble {
        /// In plain words.
        what: String,
    },
    /// The device or a computation failed; the stage is built again.
    StageLost {
        /// In plain words.
        what: String,
    },
    /// The device is gone; it is opened again as soon as it is back.
    DeviceGone {
        /// In plain words.
        what: String,
    },
    /// The run takes no more miners now.
    RunFull,
    /// The network does not let this miner work.
    Frozen,
    /// This miner may work from the next epoch on.
    NextEpoch,
    /// The orchestrator dropped this miner; it registers again.
    NotRegistered,
    /// Waiting before the next try.
    BackOff {
        /// Which try comes next.
        attempt: u32,
    },
    /// It cannot go on by itself.
    Failed {
        /// What, why, what now.
        what: String,
    },
}

/// What a miner that has stopped leaves behind for another start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// Nothing: it was a demo.
    Nothing,
    /// The place in the registration queue.
    Place,
    /// Its stage's snapshot, with the work since.
    Snapshot,
    /// Its key and settings; nothing of a stage was written yet.
    Key,
}

impl Kept {
    fn sentence(self) -> &'static str {
        match self {
            Self::Nothing => "Stopped. A demo keeps nothing; the next one begins anew.",
            Self::Place => "Stopped. Its place in the queue is kept for a while: start it soon.",
            Self::Snapshot => "Stopped. Its snapshot is kept: the next start goes on from there.",
            Self::Key => "Stopped before a snapshot was written: the next start joins anew.",
        }
    }
}

impl Reason {
    /// Stable word for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::AskingForStage => "asking-for-stage",
            Self::Queued => "queued",
            Self::ConfirmingPlace => "confirming-place",
            Self::QueueSilent => "queue-silent",
            Self::BuildingStage => "building-stage",
            Self::LoadingWeights => "loading-weights",
            Self::WorkAvailable => "work-available",
            Self::CacheFull => "cache-full",
            Self::NoActivation => "no-activation",
            Self::OtherStageNotTraining => "other-stage-not-training",
            Self::UploadingWeights => "uploading-weights",
            Self::OthersUploading => "others-uploading",
            Self::MergingPartitions => "merging-partitions",
            Self::OthersMerging => "others-merging",
            Self::Rule { rule, .. } => rule.code(),
            Self::SwitchedOff => "switched-off",
            Self::StopRequested => "stop-requested",
            Self::Stopped { .. } => "stopped",
            Self::NetworkTrouble { .. } => "network-trouble",
            Self::StageLost { .. } => "stage-lost",
            Self::DeviceGone { .. } => "device-gone",
            Self::RunFull => "run-full",
            Self::Frozen => "frozen",
            Self::NextEpoch => "next-epoch",
            Self::NotRegistered => "not-registered",
            Self::BackOff { .. } => "back-off",
            Self::Failed { .. } => "failed",
        }
    }

    /// One sentence for the screen.
    pub fn sentence(&self) -> String {
        match self {
            Self::Start => "Hearth is starting.".into(),
            Self::AskingForStage => "Asking the orchestrator for a run and a stage.".into(),
            Self::Queued => "In the network's registration queue.".into(),
            Self::ConfirmingPlace => "It is this miner's turn: confirming its place.".into(),
            Self::QueueSilent => "The server cannot tell this miner's place; it is kept.".into(),
            Self::BuildingStage => "Preparing the stage on the device.".into(),
            Self::LoadingWeights => "Downloading the merged weights.".into(),
            Self::WorkAvailable => "Activations and gradients are being worked on.".into(),
            Self::CacheFull => "All forwards are done; waiting for their gradients.".into(),
            Self::NoActivation => "No activation has arrived yet.".into(),
            Self::OtherStageNotTraining => "Another stage is not training yet.".into(),
            Self::UploadingWeights => "Uploading what this machine learned.".into(),
            Self::OthersUploading => "Your part is uploaded; others still upload.".into(),
            Self::MergingPartitions => "Merging this machine's partitions.".into(),
            Self::OthersMerging => "Your partitions are merged; others still merge.".into(),
            Self::Rule { sentence, .. } => sentence.clone(),
            Self::SwitchedOff => "You switched it off; its device is free.".into(),
            Self::StopRequested => "Stopping: work in hand is finished first.".into(),
            Self::Stopped { kept } => kept.sentence().into(),
            Self::NetworkTrouble { what } => format!("{} Trying again.", capitalised(what)),
            Self::StageLost { what } => format!("{}. The stage is built again.", capitalised(what)),
            Self::DeviceGone { what } => {
                format!("The device does not come back: {what}. Trying again.")
            }
            Self::RunFull => "The run takes no more miners now.".into(),
            Self::Frozen => "The network has frozen this miner.".into(),
            Self::NextEpoch => "This miner starts with the next epoch.".into(),
            Self::NotRegistered => "The orchestrator no longer lists this miner.".into(),
            Self::BackOff { attempt } => format!("Waiting before try {attempt}."),
            Self::Failed { what } => what.clone(),
        }
    }
}

/// With a capital letter, where it begins with a word and not with a name such as x86_64.
fn capitalised(text: &str) -> String {
    if text.split(' ').next().is_some_and(|first| first.contains(|c: char| c.is_ascii_digit())) {
        return text.to_owned();
    }
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Who must act next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// This machine.
    Machine,
    /// The person at the keyboard.
    You,
    /// The orchestrator or the store.
    Network,
    /// Another miner.
    Peer,
}

/// When it is expected to happen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Eta {
    /// Nobody can say.
    Unknown,
    /// In so many seconds, computed from measured progress.
    Seconds(f64),
}

/// State, reason, since when, what must happen next, who must do it, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// What it does.
    pub state: State,
    /// Why.
    pub reason: Reason,
    /// Unix seconds.
    pub since: f64,
    /// What must happen next, as a clause: "stage 2 must finish merging".
    pub next: String,
    /// Who must do it.
    pub who: Who,
    /// When.
    pub eta: Eta,
}

/// Counters since the miner started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Forwards done.
    pub forwards: u64,
    /// Backwards done.
    pub backwards: u64,
    /// Of those, in this epoch.
    pub backwards_this_epoch: u64,
    /// Optimizer steps.
    pub optimizer_steps: u64,
    /// Partitions merged and accepted.
    pub partitions_merged: u64,
    /// Tokens trained on: backwards times batch times sequence.
    pub tokens: u64,
    /// Bytes sent to peers and the store.
    pub bytes_sent: u64,
    /// Bytes received from peers and the store.
    pub bytes_received: u64,
}

/// The device in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    /// `cpu`, `wgpu`.
    pub backend: String,
    /// Adapter or processor.
    pub name: String,
    /// Bytes planned for the stage's own buffers.
    pub stage_bytes: u64,
    /// Bytes of memory that the miner of this stage takes in all, at most; 0 before there is a stage.
    pub planned_bytes: u64,
    /// That plan in one line.
    pub memory: String,
    /// FLOPs a second of its best matrix product, as `hearth bench` measured it; none where it did not.
    #[serde(default)]
    pub peak_flops: Option<u64>,
}

/// A miner of an adjacent stage, as the registry and its own broadcasts describe it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NeighbourView {
    /// Address.
    pub hotkey: String,
    /// 0-based.
    pub stage: usize,
    /// `training`, `initializing`, `frozen`, as it says itself.
    pub status: String,
    /// Unix seconds of its last word; none if never heard.
    pub heard: Option<f64>,
}

/// How other miners reach this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReachView {
    /// In a sentence.
    pub sentence: String,
    /// What there is to gain, if anything.
    pub advice: Option<String>,
}

/// Everything a face shows of one miner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MinerSnapshot {
    /// `m0`..
    pub name: String,
    /// Address of the hotkey.
    pub hotkey: String,
    /// The run, once registered.
    pub run: Option<String>,
    /// The stage, once registered.
    pub stage: Option<usize>,
    /// Stages of the run; 0 before registration.
    pub stages: usize,
    /// The orchestrator's epoch; 0 before registration.
    pub epoch: u64,
    /// Epoch of the snapshot on disk whose weights were taken over, if any were.
    pub recovered: Option<u64>,
    /// The place in the registration queue, while there is one.
    pub queue: Option<QueueView>,
    /// Wire word of the stage's phase, as last heard.
    pub phase: Option<String>,
    /// The status line.
    pub status: Status,
    /// What the rules say: how hard it may work, or why it pauses, since when and until when.
    pub ruling: Ruling,
    /// Whether it ends when this epoch's work is handed in and merged.
    #[serde(default)]
    pub finishing: bool,
    /// Counters.
    pub work: Work,
    /// Tokens a second over 10 s, 60 s, 15 min.
    pub tokens_per_second: [f64; 3],
    /// Forwards waiting to be done.
    pub forward_queue: usize,
    /// Backwards waiting to be done.
    pub backward_queue: usize,
    /// Forwards whose gradient is awaited.
    pub cache: usize,
    /// The most there may be.
    pub cache_capacity: usize,
    /// The device.
    pub device: DeviceView,
    /// How other miners reach this machine; none before there are any.
    pub reach: Option<ReachView>,
    /// Adjacent stages.
    pub neighbours: Vec<NeighbourView>,
    /// Losses this miner computed (last stage only), newest last, at most 512.
    #[serde(deserialize_with = "crate::telemetry::json::numbers")]
    pub losses: Vec<f64>,
    /// What it measures of itself, its machine and its line.
    #[serde(default)]
    pub measured: Measured,
    /// What was earned, by whoever keeps the ledger.
    #[serde(default)]
    pub earnings: EarningsView,
}

/// What a pause costs now, and what leaving would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseCost {
    /// Activations in hand: waiting, or waiting for their gradient.
    pub in_hand: usize,
    /// Backwards of this epoch that are not handed in yet.
    pub backwards: u64,
    /// Of a pause, for the user.
    pub pause: String,
    /// Of stopping at once, for the user.
    pub stop: String,
}

impl MinerSnapshot {
    /// What a pause costs now.
    pub fn pause_cost(&self) -> PauseCost {
        let in_hand = self.cache + self.forward_queue + self.backward_queue;
        let learning = matches!(self.phase.as_deref(), Some("training" | "weights_uploading"))
            && self.stage.is_some();
        let backwards = if learning { self.work.backwards_this_epoch } else { 0 };
        let (pause, stop) = match (self.queue.is_some(), in_hand, backwards) {
            (true, ..) => (
                "Nothing is lost: the place in the registration queue is kept.".to_owned(),
                "The place in the registration queue is kept for a while only.".to_owned(),
            ),
            (false, 0, 0) => {
                ("Nothing is lost: there is no work in hand.".to_owned(), NOTHING_LOST.to_owned())
            }
            (false, in_hand, 0) => (
                format!("Nothing is lost: {} finished first.", of_work(in_hand)),
                format!("{} finished or given back.", capitalised(&of_work(in_hand))),
            ),
            (false, in_hand, backwards) => {
                let first = match in_hand {
                    0 => String::new(),
                    some => format!("{} finished first, and ", of_work(some)),
                };
                let done = backwards_text(backwards);
                (
                    format!(
                        "Nothing is lost: {first}{done} of this epoch are handed in when it ends."
                    ),
                    format!(
                        "{} of this epoch{} would be lost; `hearth finish` hands them in first.",
                        capitalised(&done),
                        self.time_of(backwards)
                    ),
                )
            }
        };
        PauseCost { in_hand, backwards, pause, stop }
    }

    /// How long so many backwards took, in words that follow: " (about 4 min of work)".
    fn time_of(&self, backwards: u64) -> String {
        #[allow(clippy::cast_precision_loss)]
        let (done, tokens) = (self.work.backwards as f64, self.work.tokens as f64);
        let rate = self.tokens_per_second.into_iter().fold(0.0, f64::max);
        if done <= 0.0 || rate <= 0.0 {
            return String::new();
        }
        #[allow(clippy::cast_precision_loss)]
        let seconds = backwards as f64 * (tokens / done) / rate;
        match seconds {
            s if s >= 90.0 => format!(" (about {:.0} min of work)", s / 60.0),
            s => format!(" (about {s:.0} s of work)"),
        }
    }

    /// Whether the computer should be kept awake for it: it trains, or does what belongs to that.
    pub fn wants_awake(&self) -> bool {
        use State::{Loading, Merging, Training, Uploading, Waiting};
        let at_it = matches!(self.status.state, Loading | Training | Uploading | Merging);
        // Between two phases of an epoch it would miss the next one asleep.
        let between = self.status.state == Waiting && self.work.backwards_this_epoch > 0;
        at_it || between
    }
}

/// What stopping costs when nothing is in hand.
const NOTHING_LOST: &str = "Nothing is lost.";

fn of_work(in_hand: usize) -> String {
    match in_hand {
        1 => "the 1 activation in hand is".to_owned(),
        some => format!("the {some} activations in hand are"),
    }
}

fn backwards_text(backwards: u64) -> String {
    match backwards {
        1 => "the 1 backward".to_owned(),
        some => format!("the {some} backwards"),
    }
}

/// What a face may ask of a miner. Times are Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Command {
    /// Take no new work, until this time or until somebody says resume.
    Pause {
        /// When it goes on by itself.
        until: Option<u64>,
    },
    /// Take work again, as far as the rules let it.
    Resume,
    /// Take work whatever the rules say, except those that protect the machine, until this time.
    RunAnyway {
        /// When the rules decide again.
        until: u64,
    },
    /// Finish this epoch, hand in what was learned, then end.
    Finish,
    /// Finish the work in hand, leave, give the device back; stay off, over restarts too, until
    /// somebody says enable.
    Disable,
    /// Take the device and begin again, if it is disabled.
    Enable,
    /// Finish the work in hand, say goodbye, end.
    Stop,
}

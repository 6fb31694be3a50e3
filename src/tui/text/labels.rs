//! The labels of figures, and the few words around a figure: everything that a screen says in less than
//! a sentence.

use super::screens::NOT_PUBLISHED;

/// A label.
pub const BACKWARDS: &str = "backwards";
/// A label.
pub const BEFORE: &str = "before";
/// A label.
pub const CANNOT_BE_KEPT_TO: &str = "cannot be kept to";
/// A label.
pub const CHOSEN: &str = "chosen";
/// A label.
pub const DECIDES_NOW: &str = "decides now";
/// A label.
pub const DEVICE: &str = "device";
/// A label.
pub const DEVICE_MEMORY: &str = "device memory";
/// A label.
pub const EARNED: &str = "earned";
/// A label.
pub const EPOCH: &str = "epoch";
/// A label.
pub const FORWARDS: &str = "forwards";
/// A label.
pub const HELD_BACK_BY: &str = "held back by";
/// A label.
pub const HISTORY: &str = "history";
/// A label.
pub const IN_FLIGHT: &str = "in flight";
/// A label.
pub const MEMORY: &str = "memory";
/// A label.
pub const MEMORY_AT_MOST: &str = "memory at most";
/// A label.
pub const NEXT_PAYOUT: &str = "next payout";
/// A label.
pub const OF_ITS_FLOP_S: &str = "of its FLOP/s";
/// A label.
pub const OF_THIS_EPOCH: &str = "of this epoch";
/// A label.
pub const OTHER_PROGRAMS: &str = "other programs";
/// A label.
pub const PAID_TO: &str = "paid to";
/// A label.
pub const PARTITIONS_MERGED: &str = "partitions merged";
/// A label.
pub const PLACE: &str = "place";
/// A label.
pub const PLACE_LOST: &str = "place lost";
/// A label.
pub const POWER: &str = "power";
/// A label.
pub const LAST_EPOCHS: &str = "last epochs";
/// A label.
pub const OWED: &str = "owed";
/// A label.
pub const PERIOD: &str = "the loss";
/// A label.
pub const RUN_GETS: &str = "the run gets";
/// A label.
pub const SHARE: &str = "share of the run";
/// A label.
pub const WEIGHT: &str = "weight";
/// A label.
pub const WHY_NOTHING: &str = "no pay for a day";
/// A label.
pub const PROGRESS: &str = "progress";
/// A label.
pub const RECEIVED: &str = "received";
/// A label.
pub const RUN: &str = "run";
/// A label.
pub const SCORE: &str = "score";
/// A label.
pub const SENT: &str = "sent";
/// A label.
pub const SINCE: &str = "since";
/// A label.
pub const SO_THAT: &str = "so that";
/// A label.
pub const STAGE: &str = "stage";
/// A label.
pub const STAGES: &str = "stages";
/// A label.
pub const STAGES_MINERS: &str = "stages, miners";
/// A label.
pub const TEMPERATURE: &str = "temperature";
/// A label.
pub const TODAY: &str = "today";
/// A label.
pub const TOKENS: &str = "tokens";
/// A label.
pub const TOKENS_A_SECOND: &str = "tokens a second";
/// A label.
pub const TREND: &str = "trend";
/// A label.
pub const UNTIL: &str = "until";
/// A label.
pub const WAITING_FOR: &str = "waiting for";
/// A label.
pub const YOUR_RANK: &str = "your rank";
/// A label.
pub const YOUR_TURN: &str = "your turn";

/// Labels with their blanks.
pub const HEARTH: &str = " Hearth";
/// See [`HEARTH`].
pub const YOURS: &str = " yours: ";
/// See [`HEARTH`].
pub const YOUR_WORK: &str = " yours:";
/// See [`HEARTH`].
pub const NEXT: &str = " next: ";
/// See [`HEARTH`].
pub const DONE_BY: &str = " done by: ";
/// See [`HEARTH`].
pub const EXPECTED: &str = "   expected in: ";
/// See [`HEARTH`].
pub const ADVICE: &str = " advice: ";
/// See [`HEARTH`].
pub const DISK: &str = "   disk ";
/// See [`HEARTH`].
pub const MERGE: &str = " merge      ";
/// See [`HEARTH`].
pub const STAGE_BAR: &str = "stage ";
/// See [`HEARTH`].
pub const YOU: &str = " (you)";
/// See [`HEARTH`].
pub const SWARM_SPEED: &str = " swarm, tokens/s:";
/// See [`HEARTH`].
pub const OWN_SPEED: &str = " tokens/s:";

/// Work that was done.
pub const STEPS: &str = "steps";
/// See [`STEPS`].
pub const MERGED: &str = "merged";
/// The windows of a speed.
pub const WINDOWS: [&str; 3] = ["10 s", "60 s", "15 min"];
/// The columns of the table of peers.
pub const PEER_COLUMNS: [&str; 13] = [
    "stage",
    "miner",
    "way",
    "ping",
    "push",
    "answered",
    "failed",
    "heard",
    "at fault",
    "says it is",
    "sent",
    "received",
    "last failure",
];

/// No payout.
pub const NONE: &str = "none";
/// Nothing was heard of a peer.
pub const NEVER: &str = "never";
/// The same, beside its name.
pub const NEVER_HEARD: &str = "never heard";
/// What a rule decides.
pub const IT_PAUSES: &str = "it pauses";
/// In the help: what can be done now.
pub const HELP_NOW: &str = "now";
/// In the help: the keys of the screens.
pub const ALL_SCREENS: &str = "1 to 8";
/// A playback that has played all.
pub const AT_ITS_END: &str = "at its end";
/// A playback that stands still.
pub const HELD: &str = "held";

/// When heat stops and starts it.
pub fn pauses_at(stop: f64, start: f64) -> String {
    format!(", pauses at {stop:.0} °C, goes on at {start:.0} °C")
}

/// The most power it may take.
pub fn at_most_watts(watts: f64) -> String {
    format!(", at most {watts:.0} W")
}

/// The load of others that stops it.
pub fn pauses_above(percent: impl std::fmt::Display) -> String {
    format!(", pauses above {percent} %")
}

/// Of how many bytes.
pub fn of(all: &str) -> String {
    format!(" of {all}")
}

/// What the plan takes of the device.
pub fn this_miner(bytes: &str) -> String {
    format!(", this miner at most {bytes}")
}

/// Memory.
pub fn in_use(bytes: &str) -> String {
    format!("{bytes} in use")
}

/// Memory, of all there is.
pub fn in_use_of(used: &str, all: &str) -> String {
    format!("{used} of {all} in use")
}

/// The load of others.
pub fn of_processor(percent: f64) -> String {
    format!("{percent:>3.0} % of the processor")
}

/// Of the disk.
pub fn free(bytes: &str) -> String {
    format!("{bytes} free")
}

/// What a rule decides.
pub fn may_work(share: &str) -> String {
    format!("it may work at {share}")
}

/// A time to come.
pub fn after(time: &str) -> String {
    format!("in {time}")
}

/// How far an epoch is.
pub fn epoch_done(epoch: u64, percent: usize) -> String {
    format!("{epoch}, {percent} % done")
}

/// So many of so many.
pub fn some_of(some: usize, all: usize) -> String {
    format!("{some} of {all}")
}

/// Work, with what waits for it.
pub fn waiting(done: &str, waiting: usize) -> String {
    format!("{done} ({waiting} waiting)")
}

/// Parts of an upload.
pub fn parts(done: usize, all: usize) -> String {
    format!("  {done} of {all} parts")
}

/// Bytes of an upload.
pub fn sizes(sent: &str, all: &str) -> String {
    format!(", {sent} of {all}")
}

/// What counting words reaches.
pub fn word_counts(loss: f64) -> String {
    format!(" word counts {loss:.2} ")
}

/// What counting pairs of words reaches.
pub fn word_pairs(loss: f64) -> String {
    format!(" word pairs {loss:.2} ")
}

/// The end of an axis.
pub fn tokens(count: &str) -> String {
    format!("{count} tokens")
}

/// The end of an axis.
pub fn activations(count: &str) -> String {
    format!("{count} activations")
}

/// Where a playback is.
pub fn time_of(at: &str, length: &str) -> String {
    format!("{at} of {length}")
}

/// Which epoch of how many.
pub fn epoch_of(epoch: u64, epochs: u64) -> String {
    format!(" epoch {epoch} of {epochs} ")
}

/// Which epoch.
pub fn epoch(epoch: u64) -> String {
    format!(" epoch {epoch} ")
}

/// The phase, where nobody publishes its progress.
pub fn phase(epoch: &str, phase: &str) -> String {
    format!("{epoch}  phase: {phase}  progress: {NOT_PUBLISHED}")
}

/// What computes.
pub fn device(name: &str, backend: &str) -> String {
    format!(" device: {name} ({backend})")
}

/// What the stage takes of it.
pub fn stage_takes(bytes: &str) -> String {
    format!(", stage {bytes}")
}

/// Activations under way.
pub fn flight(some: usize, all: usize) -> String {
    format!(", in flight {some} of {all}")
}

/// Below a list that is longer than the room.
pub fn more(hidden: usize) -> String {
    format!("… and {hidden} more lines")
}

/// A miner's work.
pub fn backwards(backwards: u64) -> String {
    format!("{backwards:>4} backwards")
}

/// A miner's work.
pub fn passes(forwards: u64, backwards: u64) -> String {
    format!("{forwards:>4} fwd {backwards:>4} bwd")
}

/// All miners' work.
pub fn all_backwards(miners: &str) -> String {
    format!("  backwards: {miners}")
}

/// A stage, before the name of its miner.
pub fn stage_number(stage: usize) -> String {
    format!("stage {stage} ")
}

/// The own miner.
pub fn holds(miner: &str, stage: usize) -> String {
    format!("your miner {miner} holds stage {stage} ")
}

/// The own miner.
pub fn no_stage(miner: &str) -> String {
    format!("your miner {miner} has no stage yet ")
}

/// The run.
pub fn run(run: &str) -> String {
    format!("  run {run}")
}

/// How long a state lasts.
pub fn lasts(age: &str) -> String {
    format!("  for {age}  ")
}

/// Which stage of how many, counted from 0.
pub fn stage_of(stage: usize, stages: usize) -> String {
    format!("{stage}, of 0 to {}", stages.saturating_sub(1))
}

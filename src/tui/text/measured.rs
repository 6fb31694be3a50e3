//! The words of what a miner measures: time, links, transfers, the machine.

use crate::miner::snapshot::links::{Failures, LinkWay};
use crate::miner::snapshot::time::Activity;
use crate::miner::snapshot::transfers::Deadline;

use super::{bytes, duration};

/// Title of a pane.
pub const WAY: &str = " An activation's way (mean) ";
/// See [`WAY`].
pub const TIME: &str = " Where the time goes ";
/// See [`WAY`].
pub const TRANSFERS: &str = " Uploads and merges ";
/// See [`WAY`].
pub const WEEK: &str = " Hours ";

/// The legs of the way, in their order.
pub const LEGS: [&str; 7] =
    ["queue", "receive", "forward", "send", "wait", "backward", "send back"];
/// Before the first one has come through.
pub const NO_WAY_YET: &str = "No activation has gone its way here yet.";
/// Before any time is measured.
pub const NO_TIME_YET: &str = "Nothing is measured yet.";
/// Columns.
pub const MINUTE: &str = "minute";
/// See [`MINUTE`].
pub const QUARTER: &str = "15 min";
/// Without a benchmark there is nothing to compare with.
pub const NO_PEAK: &str = "unknown: run `hearth bench` once";

/// What a stage's time goes into, in at most 17 letters.
pub fn activity(activity: Activity) -> &'static str {
    match activity {
        Activity::Start => "starting, ending",
        Activity::Queue => "in the queue",
        Activity::Build => "building stage",
        Activity::Load => "loading weights",
        Activity::Forward => "forward",
        Activity::Backward => "backward",
        Activity::Step => "optimizer step",
        Activity::Receive => "receiving",
        Activity::Send => "sending",
        Activity::AwaitGradient => "awaits gradient",
        Activity::Upload => "uploading",
        Activity::Merge => "merging",
        Activity::NoActivation => "no activation",
        Activity::CacheFull => "all in flight",
        Activity::OtherStage => "another stage",
        Activity::OthersUpload => "others upload",
        Activity::OthersMerge => "others merge",
        Activity::Pause => "paused",
        Activity::Rest => "resting by a rule",
        Activity::Network => "network trouble",
        Activity::Benched => "not let in",
        Activity::Fault => "fault",
        Activity::Off => "switched off",
    }
}

/// What an activity took.
pub fn share(activity: &str, minute: usize, quarter: usize) -> String {
    format!("{activity}: {minute} % of the last minute, {quarter} % of the last 15 minutes")
}

/// A time below seconds.
pub fn milliseconds(ms: f64) -> String {
    match ms {
        ms if ms >= 10_000.0 => format!("{:.0} s", ms / 1_000.0),
        ms if ms >= 1_000.0 => format!("{:.1} s", ms / 1_000.0),
        ms if ms >= 10.0 => format!("{ms:.0} ms"),
        ms => format!("{ms:.1} ms"),
    }
}

/// Own model-FLOP utilisation in three windows.
pub fn utilisation([ten, minute, quarter]: [f64; 3]) -> String {
    let percent = |share: f64| format!("{:.0} %", share.clamp(0.0, 9.99) * 100.0);
    format!("{} ({}, {})", percent(ten), percent(minute), percent(quarter))
}

/// Which way packets take.
pub fn way(way: Option<LinkWay>) -> &'static str {
    match way {
        Some(LinkWay::Direct) => "direct",
        Some(LinkWay::Nearby) => "nearby",
        Some(LinkWay::Relayed) => "relayed",
        None => "closed",
    }
}

/// All failures of a link.
pub fn failed(failures: &Failures) -> u64 {
    failures.own_line + failures.refused + failures.silent + failures.relay
}

/// Whose fault they are.
pub fn blame(failures: &Failures) -> String {
    let all = [
        ("your line", failures.own_line),
        ("refused", failures.refused),
        ("silent", failures.silent),
        ("relay", failures.relay),
    ];
    let some = all.into_iter().filter(|(_, times)| *times > 0);
    some.map(|(whose, times)| format!("{whose} {times}")).collect::<Vec<_>>().join(", ")
}

/// Bytes a second.
pub fn speed(bytes_per_second: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = bytes_per_second.clamp(0.0, 1e15) as u64;
    format!("{}/s", bytes(whole))
}

/// Whether it will be there in time.
pub fn verdict(deadline: Deadline) -> String {
    match deadline {
        Deadline::Unknown => "deadline unknown".to_owned(),
        Deadline::Fits { by } => format!("fits by {}", duration(by)),
        Deadline::Misses { by } => format!("MISSES by {}", duration(by)),
    }
}

/// The user's own limit alone makes it late.
pub fn held_back(bytes_per_second: f64) -> String {
    format!(", your upload limit leaves it {}", speed(bytes_per_second))
}

/// What is sent.
pub fn file(name: &str) -> String {
    match name {
        "weights" => "gradients".to_owned(),
        "optimizer_state" => "optimizer".to_owned(),
        other => other.replace('_', " "),
    }
}

/// A merge.
pub fn merge(epoch: u64, done: usize, of: usize, took: &str) -> String {
    format!("epoch {epoch}: {done} of {of} partitions, {took}")
}

/// An upload or a merge that is over, perhaps before all of it was there.
pub fn ended(missing: usize, took: &str) -> String {
    match missing {
        0 => format!("done in {took}"),
        _ => format!("not completed: its phase ended after {took}"),
    }
}

/// One that goes on.
pub fn since(took: &str) -> String {
    format!("for {took}")
}

/// Nothing has been sent.
pub const NO_TRANSFERS: &str = "Nothing was uploaded or merged yet.";

/// A reading that nobody asked for.
pub const NOT_READ: &str = "not read";
/// No hours rule.
pub const ALL_WEEK: &str = "No hours are set: it may work all week.";
/// The hours of a day, as spans of half hours.
pub fn hours_of(day: &str, spans: &[(usize, usize)]) -> String {
    let time = |half: usize| format!("{}:{}0", half / 2, half % 2 * 3);
    let spans: Vec<String> =
        spans.iter().map(|(from, to)| format!("{} to {}", time(*from), time(*to))).collect();
    match spans.is_empty() {
        true => format!("{day}: not at all"),
        false => format!("{day}: {}", spans.join(", ")),
    }
}

/// The days.
pub const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

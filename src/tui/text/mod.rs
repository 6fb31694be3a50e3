//! Every word on the screens that is not in the engine's own snapshots.

pub mod advice;
pub mod keys;
pub mod measured;
pub mod plain;
pub mod questions;
pub mod queue;
pub mod screens;
pub mod watched;
pub mod writing;

use std::collections::BTreeMap;

use crate::miner::snapshot::Ruling;
use crate::miner::{Eta, Who};
use crate::tui::seat::Kind;

/// Below this the screen says so instead of drawing.
pub const SMALLEST: (u16, u16) = (80, 24);

/// Instead of a screen that does not fit.
pub fn too_small(width: u16, height: u16) -> String {
    format!(
        "Hearth needs a window of 80 x 24; this one is {width} x {height}. Make it larger, or run \
         with --headless. It goes on working meanwhile."
    )
}

/// The same, in the wizard.
pub fn too_small_for_setup(width: u16, height: u16) -> String {
    format!(
        "Hearth needs a window of 80 x 24; this one is {width} x {height}. Make it larger, or run \
         hearth setup --non-interactive. Nothing is lost meanwhile."
    )
}

/// The same, where a network is watched.
pub fn too_small_to_watch(width: u16, height: u16) -> String {
    format!(
        "Hearth needs a window of 80 x 24; this one is {width} x {height}. Make it larger, or run \
         with --plain."
    )
}

/// Titles of the panes.
pub const LOSS: &str = " Loss (lower is better) ";
/// See [`LOSS`].
pub const STAGES: &str = " Stages and their miners ";
/// See [`LOSS`].
pub const SPEED: &str = " Speed and progress ";
/// See [`LOSS`].
pub const LOG: &str = " Log ";
/// See [`LOSS`].
pub const FINISHED: &str = " Finished: q leaves ";
/// See [`LOSS`].
pub const FAILED: &str = " It stopped: q leaves ";

/// What the rules make of a working miner, beside its status: its share of the time, and the rules that
/// cannot be kept to here. Empty where there is nothing to say.
pub fn rules(ruling: &Ruling) -> String {
    let limited = ruling.percent().is_some_and(|percent| percent.get() < 100);
    let share = if limited { format!("   {}", ruling.sentence) } else { String::new() };
    let unknown: Vec<&str> = ruling.unknown.iter().map(|unknown| unknown.rule.code()).collect();
    match unknown.is_empty() {
        true => share,
        false => format!("{share}   cannot be kept to here: {}", unknown.join(", ")),
    }
}

/// Under a loss that is drawn so.
pub const LOGARITHMIC: &str = " logarithmic ";
/// Before the first loss is there.
pub const NO_LOSS_YET: &str = "The first loss appears when an activation has crossed all stages.";
/// Before any miner has registered.
pub const NO_STAGES_YET: &str = "No miner has registered yet.";
/// Before anything was logged.
pub const NO_LOG_YET: &str = "Nothing to report.";
/// After the first Ctrl-C.
pub const QUITTING: &str = "Stopping in order. Press Ctrl-C again to stop at once.";

/// Where the miner is.
pub fn place(practice: bool, kind: Kind) -> String {
    match (practice, kind) {
        (true, Kind::Other(pid)) => format!("practice swarm, process {pid}"),
        (true, _) => "practice swarm on this machine".to_owned(),
        (false, Kind::Other(pid)) => format!("process {pid}"),
        (false, _) => String::new(),
    }
}

/// So that nobody takes the past for the present.
pub const REPLAY: &str = "REPLAY";
/// The keys of a playback, for its last line.
pub fn replay_keys(hold: &str, [back, ahead]: [&str; 2], quit: &str) -> String {
    let sign = |key: &str| match key {
        "Left" => "←".to_owned(),
        "Right" => "→".to_owned(),
        other => other.to_lowercase(),
    };
    format!("{} hold  {} {} minute  {quit} quit", sign(hold), sign(back), sign(ahead))
}

/// The same in the first line.
pub fn replay_of(recorded: &str) -> String {
    format!("{REPLAY} of {recorded}, not live")
}

/// 1:05, 2:03:04.
pub fn clock(time: std::time::Duration) -> String {
    let s = time.as_secs();
    match s / 3600 {
        0 => format!("{}:{:02}", s / 60, s % 60),
        hours => format!("{hours}:{:02}:{:02}", s % 3600 / 60, s % 60),
    }
}

/// 10, 0.5, 0.25.
pub fn factor(factor: f64) -> String {
    let text = format!("{factor:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// "you", "the network", ..
pub fn who(who: Who) -> &'static str {
    match who {
        Who::Machine => "this machine",
        Who::You => "you",
        Who::Network => "the network",
        Who::Peer => "another miner",
    }
}

/// "about 12 s" or "unknown".
pub fn eta(eta: Eta) -> String {
    match eta {
        Eta::Unknown => "unknown".into(),
        Eta::Seconds(seconds) => format!("about {}", duration(seconds)),
    }
}

/// 42 s, 3 min 5 s, 2 h 7 min.
pub fn duration(seconds: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let s = seconds.clamp(0.0, 1e9) as u64;
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        _ => format!("{} h {} min", s / 3600, s % 3600 / 60),
    }
}

/// 1,234,567.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// 12.3 MiB.
pub fn bytes(n: u64) -> String {
    #[allow(clippy::cast_precision_loss)]
    let n = n as f64;
    match n {
        n if n >= 1_073_741_824.0 => format!("{:.1} GiB", n / 1_073_741_824.0),
        n if n >= 1_048_576.0 => format!("{:.1} MiB", n / 1_048_576.0),
        n => format!("{:.0} KiB", n / 1024.0),
    }
}

/// The wire's phase word for people.
pub fn phase(wire: &str) -> &str {
    match wire {
        "training" => "training",
        "weights_uploading" => "uploading",
        "merging_partitions" => "merging",
        other => other,
    }
}

/// The short name of a miner: `m3`, or the start of its address.
pub fn name_of(names: &BTreeMap<String, String>, hotkey: &str) -> String {
    names.get(hotkey).cloned().unwrap_or_else(|| hotkey.chars().take(8).collect())
}

/// With a capital letter.
pub fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The place in the registration queue.
pub fn queue_place(place: &str, best: &str) -> String {
    format!("registration queue: place {place}, best so far {best}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(duration(59.9), "59 s");
        assert_eq!(duration(185.0), "3 min 5 s");
        assert_eq!(duration(7620.0), "2 h 7 min");
        assert_eq!(clock(std::time::Duration::from_secs(65)), "1:05");
        assert_eq!(clock(std::time::Duration::from_secs(7384)), "2:03:04");
        assert_eq!((factor(10.0), factor(0.5)), ("10".to_owned(), "0.5".to_owned()));
        assert_eq!(bytes(1536), "2 KiB");
        assert_eq!(bytes(5_242_880), "5.0 MiB");
    }
}

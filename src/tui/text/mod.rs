//! Every word on the screens that is not in the engine's own snapshots.

pub mod advice;
pub mod earnings;
pub mod keys;
pub mod labels;
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

/// Title of the scrubber.
pub const RECORD: &str = " The record ";
/// So that nobody takes the past for the present.
pub const REPLAY: &str = "REPLAY";
/// The keys of a playback, for its last line.
pub fn replay_keys(hold: &str, [back, ahead]: [&str; 2], quit: &str) -> String {
    format!("{} hold  {} {} step  {quit} quit", sign(hold), sign(back), sign(ahead))
}

/// A key in a short form.
fn sign(key: &str) -> String {
    match key {
        "Left" => "←".to_owned(),
        "Right" => "→".to_owned(),
        other => other.to_lowercase(),
    }
}

/// What moves a scrubber: a step, a leap, to the ends.
pub fn scrub_keys(
    [back, ahead]: [&str; 2],
    step: std::time::Duration,
    [far_back, far_ahead]: [&str; 2],
    leap: std::time::Duration,
    [begin, end]: [&str; 2],
) -> String {
    let (back, ahead, step, leap) = (sign(back), sign(ahead), clock(step), clock(leap));
    format!("{back} {ahead} {step}  {far_back} {far_ahead} {leap}  {begin} {end}")
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

    /// The screens have their words from here: a word that is written where it is drawn is one that
    /// nobody reads aloud.
    #[test]
    fn no_word_is_written_where_it_is_drawn() {
        let mut found = Vec::new();
        for folder in ["screens", "draw", "watched"] {
            let folder = format!("{}/src/tui/{folder}", env!("CARGO_MANIFEST_DIR"));
            for file in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
                let name = file.file_name().unwrap().to_string_lossy().into_owned();
                if !name.ends_with(".rs") || name == "samples.rs" || name.ends_with("tests.rs") {
                    continue;
                }
                let text = std::fs::read_to_string(&file).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
                found.extend(lines.flat_map(words_in).map(|word| format!("{name}: {word:?}")));
            }
        }
        assert!(found.is_empty(), "these belong into tui/text: {found:#?}");
    }

    /// Texts of a line of code that have a word in them, but for those of the wire and the engine.
    fn words_in(line: &str) -> Vec<String> {
        const NOT_SHOWN: [&str; 8] = [
            "training",
            "weights_uploading",
            "merging_partitions",
            "activation",
            "silent",
            "uploaded",
            "merged",
            "snooze",
        ];
        let texts = line.split('"').skip(1).step_by(2);
        let has_word = |text: &str| {
            let mut inside = 0;
            let bare = text.chars().filter(|c| {
                inside += i32::from(*c == '{') - i32::from(*c == '}');
                inside == 0 && *c != '}'
            });
            let bare: Vec<char> = bare.collect();
            bare.windows(2).any(|pair| pair.iter().all(char::is_ascii_alphabetic))
        };
        let shown = texts.filter(|text| has_word(text) && !NOT_SHOWN.contains(text));
        shown.map(str::to_owned).collect()
    }

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

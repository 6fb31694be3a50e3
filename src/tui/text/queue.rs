//! The words of the registration queue.

use super::{duration, thousands};

/// The place, the best one, and when it was told.
pub fn place(place: &str, best: Option<&str>, told: &str) -> String {
    let best = best.map_or(String::new(), |best| format!(", best so far {best}"));
    format!("{place}{best}, told {told} ago")
}

/// The server does not tell it.
pub fn no_place(heard: &str) -> String {
    format!("unknown: the server does not tell it (last heard {heard} ago)")
}

/// Places a minute.
pub fn trend(a_minute: f64) -> String {
    match a_minute {
        ahead if ahead > 0.05 => format!("{ahead:.1} places ahead a minute"),
        back if back < -0.05 => format!("{:.1} places back a minute", -back),
        _ => "stands still".to_owned(),
    }
}

/// From the fastest to the slowest pace.
pub fn eta((fast, slow): (f64, f64)) -> String {
    match slow - fast < 60.0 {
        true => format!("in about {}, if the pace stays", duration(slow)),
        false => format!("in {} to {}, if the pace stays", duration(fast), duration(slow)),
    }
}

/// How often the place was lost.
pub fn losses(losses: &[(u64, u64)]) -> String {
    let worst = losses.iter().max_by_key(|(from, to)| to - from);
    match (losses.len(), worst) {
        (1, Some((from, to))) => {
            format!("once, from {} to {}; why: not published", thousands(*from), thousands(*to))
        }
        (times, Some((from, to))) => format!(
            "{times} times, at worst from {} to {}; why: not published",
            thousands(*from),
            thousands(*to)
        ),
        (_, None) => "never".to_owned(),
    }
}

/// What would lose it.
pub const KEEP: &str = "Stopping Hearth for long, or another key or run, loses the place. Pausing \
                        keeps it; so does a short restart.";

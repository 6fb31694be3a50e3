//! The words of the registration queue.

use super::screens::NOT_PUBLISHED;
use super::{duration, thousands};
use crate::miner::snapshot::{PlaceLost, WhyLost};

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

/// How often the place was lost, and how the last time.
pub fn losses(losses: usize, last: Option<&String>) -> String {
    match (losses, last) {
        (1, Some(last)) => format!("once, {last}"),
        (times, Some(last)) => format!("{times} times, last {last}"),
        (_, None) => "never".to_owned(),
    }
}

/// How a place was lost, and why, as far as anybody told.
pub fn lost(loss: &PlaceLost, ago: &str) -> String {
    let moved = match (loss.from, loss.to) {
        (Some(from), Some(to)) => format!("from {} to {}", thousands(from), thousands(to)),
        (Some(from), None) => format!("at {}", thousands(from)),
        (None, Some(to)) => format!("now at {}", thousands(to)),
        (None, None) => "before a place was told".to_owned(),
    };
    format!("{moved}, {ago} ago; why: {}", why(&loss.why))
}

fn why(why: &WhyLost) -> String {
    match why {
        WhyLost::NotPublished => NOT_PUBLISHED.to_owned(),
        WhyLost::Ended { words } => format!("the server ended the ticket ({words})"),
        WhyLost::Forgotten => "the server no longer knew the ticket".to_owned(),
        WhyLost::Unconfirmed { until: Some(until) } => {
            format!("it had to be confirmed by {until}, and your confirmation was not answered")
        }
        WhyLost::Unconfirmed { until: None } => {
            "it had to be confirmed, and your confirmation was not answered".to_owned()
        }
        WhyLost::Away { seconds } => {
            #[allow(clippy::cast_precision_loss)]
            let long = duration(*seconds as f64);
            format!("Hearth had not run for {long}; the server gives no reason of its own")
        }
    }
}

/// What would lose it.
pub const KEEP: &str = "Stopping Hearth for long, or another key or run, loses the place. Pausing \
                        keeps it; so does a short restart.";

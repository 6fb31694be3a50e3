//! The words of a network that is watched from outside.

use crate::config::keys::Action;

/// In the first line, before the address.
pub const WATCHING: &str = "watching";
/// Nobody is behind.
pub const NOBODY: &str = "nobody is behind the others";
/// Where nothing was published of it.
pub const NO_LOSS: &str = "The network has published no loss yet.";

/// The keys that matter here.
pub const FOOTER: [(Action, &str); 5] = [
    (Action::Quit, "quit"),
    (Action::Scale, "log/linear"),
    (Action::Axis, "tokens/time"),
    (Action::Copy, "copy"),
    (Action::Down, "scroll"),
];

/// It does not answer any more.
pub fn silent(why: &str, ago: &str) -> String {
    format!("As of {ago} ago; asking again: {why}")
}

/// The three windows.
pub fn speeds([ten, minute, quarter]: [f64; 3]) -> String {
    format!("{ten:.0} in 10 s, {minute:.0} in a minute, {quarter:.0} in 15 min")
}

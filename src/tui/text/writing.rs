//! The words around a text that the practice swarm's model wrote.

use crate::swarm::Written;

/// Title.
pub const TITLE: &str = " The swarm's model writes ";
/// Meanwhile.
pub const UNDER_WAY: &str =
    "It reads the merged weights and writes: a few seconds. Training goes on.";
/// In a playback, before anybody asked.
pub const NOTHING: &str = "Nobody had asked it to write until then.";

/// It could not.
pub fn failed(why: &str) -> String {
    format!("It could not write: {why}.")
}

/// With which weights, and how good they are.
pub fn written(written: &Written) -> String {
    let weights = match written.epochs {
        (0, 0) => "the first weights, before any merge".to_owned(),
        (oldest, newest) if oldest == newest => format!("the merged weights of epoch {newest}"),
        (0, newest) => {
            format!("weights between the first and epoch {newest}: a merge is under way")
        }
        (oldest, newest) => {
            format!("weights of epochs {oldest} to {newest}: a merge is under way")
        }
    };
    let loss = written.loss;
    format!(
        "Number {}, from {weights}. Loss {loss:.2} on text that nobody trained on.",
        written.number
    )
}

/// The keys.
pub fn keys(another: Option<&str>, close: &str) -> String {
    match another {
        Some(another) => format!("{another} another   {close} close"),
        None => format!("{close} close"),
    }
}

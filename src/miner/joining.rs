//! How a miner joins and who is paid for it (spec 4.2, 4.3), and what it tells of its machine. Every
//! value here is the user's own word: nothing is looked up, measured, or filled in for them.

use crate::protocol::messages::{Bandwidth, NodeLocation};
pub use crate::wallet::address::PayoutAddress;

/// How the network knows this miner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joining {
    /// By a hotkey that is registered on the chain, which pays by itself.
    Metagraph,
    /// As one of the operator's pool, which pays this address; nobody, while there is none.
    Pool(Option<PayoutAddress>),
}

/// What is told of the machine beyond its device. Nothing, unless the user typed it in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Disclosure {
    /// Where it is.
    pub location: Option<NodeLocation>,
    /// Its link.
    pub bandwidth: Option<Bandwidth>,
}

/// A link speed that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two numbers are needed, down and up in Mbit/s, such as 100/40")]
pub struct LinkSpeedError;

/// Reads `100/40`.
pub fn link_speed(text: &str) -> Result<Bandwidth, LinkSpeedError> {
    let (down, up) = text.split_once('/').ok_or(LinkSpeedError)?;
    let number = |text: &str| match text.trim().parse::<f64>() {
        Ok(mbps) if mbps.is_finite() && mbps >= 0.0 => Ok((mbps * 100.0).round() / 100.0),
        _ => Err(LinkSpeedError),
    };
    Ok(Bandwidth { download_mbps: number(down)?, upload_mbps: number(up)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_speeds_are_two_numbers() {
        let speed = link_speed("100 / 39.999").unwrap();
        assert_eq!((speed.download_mbps, speed.upload_mbps), (100.0, 40.0));
        for text in ["", "100", "a/b", "1/NaN", "-1/2"] {
            assert_eq!(link_speed(text), Err(LinkSpeedError), "{text}");
        }
    }
}

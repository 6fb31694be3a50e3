//! How a miner joins and who is paid for it (spec 4.2, 4.3), and what it tells of its machine. Every
//! value here is the user's own word: nothing is looked up, measured, or filled in for them.

use std::fmt;
use std::str::FromStr;

use crate::protocol::messages::{Bandwidth, NodeLocation};
use crate::protocol::ss58::{self, Ss58Error};

/// An address that may be paid. Its secret is never needed, and never here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayoutAddress(String);

impl PayoutAddress {
    /// The text of the address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PayoutAddress {
    type Err = Ss58Error;

    fn from_str(text: &str) -> Result<Self, Ss58Error> {
        let text = text.trim();
        ss58::decode(text).map(|_| Self(text.to_owned()))
    }
}

impl fmt::Display for PayoutAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_real_address_can_be_paid() {
        let alice = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
        assert_eq!(format!(" {alice} ").parse::<PayoutAddress>().unwrap().as_str(), alice);
        for text in ["", "creators", "default", "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQX"]
        {
            assert!(text.parse::<PayoutAddress>().is_err(), "{text}");
        }
    }
}

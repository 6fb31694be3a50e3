//! A reading in words, for every face: what is known with its figure, what is not with the reason.

use std::time::Duration;

use super::error::human;
use super::reading::{Fact, Reading, Registration};

/// One line of a reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it is about.
    pub label: &'static str,
    /// What the chain says of it.
    pub words: String,
}

impl Reading {
    /// All of it in lines. `block_time` is what lies between two blocks.
    pub fn rows(&self, block_time: Duration) -> Vec<Row> {
        let subnet = self.place.netuid;
        let row = |label, words| Row { label, words };
        let registered = said(&self.registration, |registration| match registration {
            Registration::Registered { uid } => format!("yes, as uid {uid} of subnet {subnet}"),
            Registration::NotRegistered => format!("no, not on subnet {subnet}"),
        });
        let immune = said(&self.immunity_left, |left| match left {
            0 => "no longer: a newcomer may take its place".to_owned(),
            left => {
                let blocks = u32::try_from(*left).unwrap_or(u32::MAX);
                let time = human(&block_time.saturating_mul(blocks));
                format!("for {left} more blocks (about {time}); until then it keeps its place")
            }
        });
        let tempo = self.tempo.known().map_or(String::new(), |tempo| format!(" ({tempo} blocks)"));
        let price = said(&self.pool, |pool| match pool.price() {
            Some(price) => format!(
                "{} TAO for 1 alpha (the pool holds {} TAO and {} alpha)",
                price.decimal(9),
                pool.tao,
                pool.alpha
            ),
            None => "none: the pool holds no alpha".to_owned(),
        });
        vec![
            row("registered", registered),
            row("owner", said(&self.owner, ToString::to_string)),
            row("immune", immune),
            row(
                "incentive",
                said(&self.incentive, |share| {
                    format!("{} of the subnet's, as published", share.decimal(6))
                }),
            ),
            row(
                "emission",
                said(&self.emission, |rao| format!("{rao} alpha in the last tempo{tempo}")),
            ),
            row(
                "stake",
                said(&self.stake, |rao| format!("{rao} alpha of this coldkey on this hotkey")),
            ),
            row(
                "all stake",
                said(&self.hotkey_alpha, |rao| format!("{rao} alpha of everybody on it")),
            ),
            row("balance", said(&self.free, |rao| format!("{rao} TAO"))),
            row("price", price),
            row(
                "registering",
                said(&self.burn, |rao| format!("costs {rao} TAO now; it cannot be recovered")),
            ),
            row(
                "the subnet",
                said(&self.subnet_emission, |rao| format!("gives out {rao} alpha with each block")),
            ),
        ]
    }

    /// Of which block it is, and how old that was.
    pub fn title(&self) -> String {
        let age = match self.block_age() {
            Some(age) => format!("made {} before it was read", human(&age)),
            None => "of an unknown time".to_owned(),
        };
        format!("block {} (final, {age}), runtime {}", self.block.number, self.runtime)
    }
}

fn said<T>(fact: &Fact<T>, words: impl FnOnce(&T) -> String) -> String {
    match fact {
        Fact::Known(value) => words(value),
        Fact::Unknown(why) => format!("unknown: {why}"),
    }
}

//! What the first screen shows (in work).

use super::desk::World;
use crate::tui::text::bytes;
use crate::tui::wizard::Answer;
use crate::tui::wizard::facts::{Adapter, Finding, Topic, Verdict};

/// Looks at this machine.
pub(super) fn probe(world: &World, tell: &dyn Fn(Answer)) {
    let free = crate::host::memory::available().map_or(String::new(), |free| bytes(free));
    tell(Answer::Adapters(vec![Adapter {
        name: format!("{} processor", std::env::consts::ARCH),
        detail: free,
        verdict: Verdict::Chosen("the processor".into()),
    }]));
    tell(Answer::Found(Topic::Clock, Finding::fine(world.clock.iso8601())));
}

/// Asks the servers of `network`.
pub(super) fn test_link(_world: &World, network: &str, tell: &dyn Fn(Answer)) {
    tell(Answer::Working(Topic::Link, network.to_owned()));
}

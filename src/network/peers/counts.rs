//! What happened on the peer-to-peer endpoint, counted, so that a peer that sends garbage is seen
//! and not only survived.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// Counts since the endpoint was opened.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct PeerCounts {
            $($(#[$doc])* pub $name: u64,)+
        }

        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: AtomicU64,)+
        }

        impl Counters {
            pub(super) fn read(&self) -> PeerCounts {
                PeerCounts { $($name: self.$name.load(Ordering::Relaxed),)+ }
            }
        }
    };
}

counters! {
    /// Pushes accepted and handed on.
    pushes_accepted,
    /// Pushes refused because the sender is not of an adjacent stage.
    pushes_from_strangers,
    /// Gradients refused that answer no forward of ours.
    pushes_unasked,
    /// Pushes for another stage than ours.
    pushes_misdirected,
    /// Forwards refused because this miner does not train now.
    pushes_not_training,
    /// Pushes refused because the queue is full.
    pushes_queue_full,
    /// Pushes whose sender never acknowledged our answer; dropped, it will send them again.
    pushes_unacknowledged,
    /// Messages larger than allowed.
    too_large,
    /// Messages that were not complete in time.
    too_slow,
    /// Messages refused because too many bytes were on their way in.
    over_budget,
    /// Messages that could not be read.
    garbage,
    /// Streams that broke off.
    broken,
    /// Connections turned away.
    connections_refused,
    /// Statuses taken.
    statuses,
    /// Statuses ignored: of strangers, or in another's name.
    statuses_ignored,
    /// Pull requests answered with an activation.
    pulls_served,
    /// Pull requests refused or not found.
    pulls_refused,
}

/// Adds one.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

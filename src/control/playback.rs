//! The other thing that a face may attach to: a run of the past, which is played from its record. The
//! snapshots come the same way as those of a living one; this is what there is besides.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// Where a playback is.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// When the record was begun, for people.
    pub recorded: String,
    /// Time since then.
    pub at: Duration,
    /// Of the whole record.
    pub length: Duration,
    /// How much faster than life.
    pub speed: f64,
    /// Whether it stands still.
    pub holds: bool,
    /// What the time was then, Unix seconds.
    pub unix: u64,
}

/// What a viewer wants of a playback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Stand still, or go on.
    Hold,
    /// So many seconds ahead, or back.
    Skip(i64),
    /// Twice as fast.
    Faster,
    /// Half as fast.
    Slower,
}

/// A handle on a playback. Cheap to clone.
#[derive(Clone)]
pub struct Playback {
    /// Where it is.
    pub place: watch::Receiver<Place>,
    /// Where wishes go.
    pub send: Arc<dyn Fn(Wish) + Send + Sync>,
}

impl fmt::Debug for Playback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Playback").field("place", &*self.place.borrow()).finish_non_exhaustive()
    }
}

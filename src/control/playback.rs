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
    /// What the time was then, for people.
    pub then: String,
    /// The same, Unix seconds.
    pub unix: u64,
}

impl Place {
    /// How far it is, from 0 to 1.
    pub fn share(&self) -> f64 {
        match self.length.is_zero() {
            true => 1.0,
            false => self.at.div_duration_f64(self.length).clamp(0.0, 1.0),
        }
    }

    /// A step of the scrubber: a hundredth of the record, from 5 s to a minute.
    pub fn step(&self) -> Duration {
        let hundredth = Duration::from_secs(self.length.as_secs() / 100);
        hundredth.clamp(Duration::from_secs(5), Duration::from_secs(60))
    }

    /// A larger one: a tenth of the record, but more than a step.
    pub fn leap(&self) -> Duration {
        Duration::from_secs(self.length.as_secs() / 10).max(self.step() * 2)
    }
}

/// What a viewer wants of a playback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Stand still, or go on.
    Hold,
    /// To so long after the beginning.
    To(Duration),
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

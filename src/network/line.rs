//! The line that all miners of a process share: how fast weights may go each way by the user's word,
//! and that activations go first. Weights are everything that can wait a moment: pseudo-gradients,
//! partitions, optimizer states. Activations are never held back, only counted while they are on
//! their way; meanwhile weights step back, but for what an upload needs to be there in time.

mod bucket;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Turn, Notify};

use crate::clock::{Clock, Moment};
use bucket::Bucket;

/// While activations are on their way weights go at this share of their limit.
const STEPPED_BACK: f64 = 0.25;
/// A piece is what the limit brings in so much time, in seconds: small enough to be smooth.
const PIECE_SECONDS: f64 = 0.05;
/// The smallest and the largest piece, in bytes.
const PIECES: (f64, f64) = (1024.0, 65_536.0);
/// An upload is given a little more than it needs, so that it is not late by a rounding error.
const SPARE: f64 = 1.15;

/// A speed of bytes.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Speed(f64);

impl Speed {
    /// From megabits per second, as lines are sold.
    pub fn of_megabits(megabits: f64) -> Self {
        Self(megabits * 125_000.0)
    }

    /// In megabits per second.
    pub fn megabits(self) -> f64 {
        self.0 / 125_000.0
    }

    /// In bytes per second.
    pub fn bytes(self) -> f64 {
        self.0
    }
}

/// How fast weights may go; not at all held back where nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LineLimits {
    /// Away from here.
    pub up: Option<Speed>,
    /// To here.
    pub down: Option<Speed>,
}

/// A limit and how many uploads share it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// The limit.
    pub limit: Speed,
    /// At least one.
    pub uploads: usize,
}

impl Share {
    /// What one of them gets, in bytes per second.
    #[allow(clippy::cast_precision_loss)]
    pub fn bytes(self) -> f64 {
        self.limit.0 / self.uploads.max(1) as f64
    }
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Away from here.
    Up,
    /// To here.
    Down,
}

/// The line of this process. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct Line(Arc<Both>);

#[derive(Debug)]
struct Both {
    clock: Clock,
    up: Side,
    down: Side,
}

/// One way of the line.
#[derive(Debug)]
struct Side {
    state: Mutex<SideState>,
    /// Who waits is served in the order of coming.
    turn: Turn<()>,
    changed: Notify,
}

#[derive(Debug)]
struct SideState {
    limit: Option<Speed>,
    bucket: Bucket,
    /// Activations on their way.
    urgent: usize,
    /// What each upload with a deadline needs, in bytes per second.
    needs: BTreeMap<u64, f64>,
    next_need: u64,
}

impl SideState {
    /// How fast weights may go at this moment, in bytes per second.
    fn rate(&self) -> Option<f64> {
        let limit = self.limit?.0;
        if self.urgent == 0 {
            return Some(limit);
        }
        let needed: f64 = self.needs.values().sum();
        Some(needed.min(limit).max(limit * STEPPED_BACK))
    }
}

impl Side {
    fn new(now: Moment) -> Self {
        let state = SideState {
            limit: None,
            bucket: Bucket::new(now),
            urgent: 0,
            needs: BTreeMap::new(),
            next_need: 0,
        };
        Self { state: Mutex::new(state), turn: Turn::new(()), changed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, SideState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what the rate follows from: what passed until now went at the old one.
    fn change(&self, now: Moment, change: impl FnOnce(&mut SideState)) {
        let mut state = self.lock();
        let before = state.rate();
        if let Some(rate) = before {
            state.bucket.advance(now, rate);
        }
        change(&mut state);
        let after = state.rate();
        if before.is_none() {
            state.bucket = Bucket::new(now);
        }
        drop(state);
        if before != after {
            self.changed.notify_waiters();
        }
    }

    /// Takes a piece of at most `bytes`, or says how long to wait; gives the piece's size.
    fn take(&self, now: Moment, bytes: usize) -> Result<usize, Duration> {
        let mut state = self.lock();
        let Some(rate) = state.rate() else { return Ok(bytes) };
        let piece = piece(rate, bytes);
        state.bucket.take(now, piece, rate).map(|()| piece)
    }
}

/// So much of `bytes` goes at once.
fn piece(rate: f64, bytes: usize) -> usize {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let piece = (rate * PIECE_SECONDS).clamp(PIECES.0, PIECES.1) as usize;
    piece.min(bytes)
}

impl Line {
    /// A line without limits.
    pub fn new(clock: Clock) -> Self {
        let now = clock.now();
        Self(Arc::new(Both { clock, up: Side::new(now), down: Side::new(now) }))
    }

    fn side(&self, way: Way) -> &Side {
        match way {
            Way::Up => &self.0.up,
            Way::Down => &self.0.down,
        }
    }

    /// Sets the limits; who waits goes by them at once.
    pub fn set(&self, limits: LineLimits) {
        let now = self.0.clock.now();
        self.0.up.change(now, |state| state.limit = limits.up);
        self.0.down.change(now, |state| state.limit = limits.down);
    }

    /// The limit of one way.
    pub fn limit(&self, way: Way) -> Option<Speed> {
        self.side(way).lock().limit
    }

    /// What each of the uploads under way gets of the limit, as long as none steps back.
    pub fn share(&self) -> Option<Share> {
        let state = self.0.up.lock();
        let uploads = state.needs.values().filter(|speed| **speed > 0.0).count().max(1);
        state.limit.map(|limit| Share { limit, uploads })
    }

    /// Waits until a piece of at most `bytes` of weights may go; gives the size of the piece.
    pub async fn piece(&self, way: Way, bytes: usize) -> usize {
        let side = self.side(way);
        if bytes == 0 || side.lock().limit.is_none() {
            return bytes;
        }
        let _turn = side.turn.lock().await;
        loop {
            // Made before the look: a change in between is not missed.
            let changed = side.changed.notified();
            match side.take(self.0.clock.now(), bytes) {
                Ok(piece) => return piece,
                Err(wait) => tokio::select! {
                    () = self.0.clock.sleep(wait) => {}
                    () = changed => {}
                },
            }
        }
    }

    /// Waits until `bytes` of weights may have gone; gives how long that took.
    pub async fn pass(&self, way: Way, bytes: usize) -> Duration {
        let began = self.0.clock.now();
        let mut left = bytes;
        while left > 0 {
            left -= self.piece(way, left).await;
        }
        self.0.clock.now().since(began)
    }

    /// An activation is on its way until what this gives is dropped: weights step back.
    pub fn activation(&self, way: Way) -> UnderWay {
        self.side(way).change(self.0.clock.now(), |state| state.urgent += 1);
        UnderWay { line: self.clone(), way }
    }

    /// An upload that must be there in time. It needs nothing until it says what.
    pub fn need(&self) -> Need {
        let mut number = 0;
        self.0.up.change(self.0.clock.now(), |state| {
            number = state.next_need;
            state.next_need += 1;
        });
        Need { line: self.clone(), number }
    }
}

/// An activation on its way.
#[derive(Debug)]
pub struct UnderWay {
    line: Line,
    way: Way,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let now = self.line.0.clock.now();
        self.line.side(self.way).change(now, |state| state.urgent = state.urgent.saturating_sub(1));
    }
}

/// What an upload needs to be there in time.
#[derive(Debug)]
pub struct Need {
    line: Line,
    number: u64,
}

impl Need {
    /// So many bytes are missing and so many seconds are left; none where nobody waits.
    pub fn say(&self, missing: u64, left: Option<f64>) {
        #[allow(clippy::cast_precision_loss)]
        let speed = match left {
            // Too late is no reason to hurry before others that are not.
            Some(left) if left > 0.0 => SPARE * missing as f64 / left,
            _ => 0.0,
        };
        let number = self.number;
        self.line.0.up.change(self.line.0.clock.now(), |state| {
            state.needs.insert(number, speed);
        });
    }
}

impl Drop for Need {
    fn drop(&mut self) {
        let number = self.number;
        self.line.0.up.change(self.line.0.clock.now(), |state| {
            state.needs.remove(&number);
        });
    }
}

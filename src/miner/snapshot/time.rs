//! What the stage's time goes into, and how long an activation takes on each leg of its way.

use serde::{Deserialize, Serialize};

pub use crate::telemetry::spent::{Activity, Parts, WHOLE};

/// A stretch of time and what it went into. Own measurement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Window {
    /// How long it is, in whole seconds; a young miner's windows are shorter than their names.
    pub seconds: u64,
    /// Ten thousandths of it by activity; they add up to [`WHOLE`] exactly, and there are none where
    /// there was no time.
    pub parts: Parts,
}

impl Window {
    /// The part of one activity, from 0 to 1.
    pub fn share(&self, activity: Activity) -> f64 {
        f64::from(self.parts.get(&activity).copied().unwrap_or_default()) / f64::from(WHOLE)
    }

    /// The part in which the device computed, from 0 to 1.
    pub fn computing(&self) -> f64 {
        Activity::ALL.into_iter().filter(|a| a.computes()).map(|a| self.share(a)).sum()
    }
}

/// Where the time went. Own measurement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TimeView {
    /// The last minute.
    pub minute: Window,
    /// The last fifteen minutes.
    pub quarter: Window,
    /// Since this epoch's training began here.
    pub epoch: Window,
    /// How long an activation takes on each leg of its way.
    pub waterfall: Waterfall,
}

/// Milliseconds that an activation spent on each leg, as the mean of the last ones; none where no
/// activation has gone that leg yet. Own measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Waterfall {
    /// Its bytes came in.
    pub receive: Option<f64>,
    /// It lay in the queue until its forward.
    pub queue: Option<f64>,
    /// Its forward was computed.
    pub forward: Option<f64>,
    /// Its result was on its way until a peer had taken it.
    pub send: Option<f64>,
    /// Its gradient was awaited, from the end of the forward on.
    pub wait: Option<f64>,
    /// Its backward was computed.
    pub backward: Option<f64>,
    /// Its gradient was on its way back until the peer had taken it.
    pub send_back: Option<f64>,
}

//! How much of what the device can do the stage gets out of it: the matrix products of its passes, by
//! the plan, against the best that `hearth bench` measured on this very device.

use serde::{Deserialize, Serialize};

/// Own model-FLOP utilisation. Own measurement; never a vendor's figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Utilisation {
    /// FLOPs (a multiplication or an addition is one) of the matrix products of one activation's forward
    /// and backward, by the stage's plan, without the forward that a backward computes again; none
    /// before there is a stage.
    pub flops_per_activation: Option<f64>,
    /// The same for one token.
    pub flops_per_token: Option<f64>,
    /// FLOPs a second of the best matrix product on this device, as the last `hearth bench` kept it;
    /// none where it never measured this device.
    pub peak: Option<f64>,
    /// Share of that peak, over the last 10 s, 60 s, 15 min, each from 0 up; none where the peak or the
    /// plan is unknown.
    pub share: Option<[f64; 3]>,
}

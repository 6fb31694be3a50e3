//! The first weights of a parameter. Drawn on the host, so that they are the same on every device and
//! the orchestrator can publish them without one (spec 8.7, design 5a).

use super::parameters::{Parameter, ParameterKind};
use crate::clock::Entropy;

/// The first values of `parameter` of stage `stage`, in order and without end: N(0, 0.02) for
/// matrices, 1 for norms, from a stream named by stage and parameter.
pub fn first_values(
    seed: u64,
    stage: usize,
    parameter: &Parameter,
) -> impl Iterator<Item = f32> + use<> {
    let mut entropy = Entropy::seeded(seed, &format!("weights/{stage}/{}", parameter.name));
    let kind = parameter.kind;
    std::iter::repeat_with(move || match kind {
        ParameterKind::Norm => 1.0,
        #[allow(clippy::cast_possible_truncation)]
        _ => (0.02 * entropy.normal()) as f32,
    })
}

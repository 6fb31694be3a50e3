//! Where the parameters of a stage live. Neighbours in wire order share slots ("segments"), so that
//! clipping, stepping and clearing are a few long ops; keys, values and queries are one matrix to the
//! forward, and so are the two halves of the gated unit.

use crate::compute::{Element, Role, SlotId, View};

use super::super::config::LlamaConfig;
use super::super::optimizer::MomentPrecision;
use super::super::parameters::{BlockShape, Parameter, Training};
use super::graph::Graph;
use super::{PlanError, Purpose};

/// A segment takes no further parameter beyond this many elements (16 MiB).
const SEGMENT: usize = 1 << 22;

/// The slots of one stretch of the flat vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::model) struct Segment {
    /// Its first element in the flat vector.
    pub(in crate::model) start: usize,
    /// Elements.
    pub(in crate::model) len: usize,
    /// The weights.
    pub(in crate::model) param: SlotId,
    /// Gradient and moments; none for what is never trained.
    pub(in crate::model) training: Option<TrainingSlots>,
}

/// What training needs beside the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) struct TrainingSlots {
    /// Summed gradient.
    pub(in crate::model) grad: SlotId,
    /// First moment.
    pub(in crate::model) m: SlotId,
    /// Second moment.
    pub(in crate::model) v: SlotId,
}

/// All parameters of a stage, placed.
#[derive(Clone, Debug)]
pub(in crate::model) struct Weights {
    pub(in crate::model) segments: Vec<Segment>,
    /// Segment and first element of every parameter.
    places: Vec<(usize, usize)>,
    parameters: Vec<Parameter>,
}

/// The matrices of a block: its weights, or their gradients.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockViews {
    pub(super) decoder: Option<View>,
    /// Keys, values and queries below each other.
    pub(super) kvq: View,
    pub(super) out_proj: View,
    /// fc1 (gate) and fc2 (up) below each other.
    pub(super) gate_up: View,
    pub(super) fc3: View,
    pub(super) fc4: Option<View>,
    pub(super) norm1: View,
    pub(super) norm2: View,
}

/// Weights, or the gradients of the same weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Value,
    Gradient,
}

/// Whether a parameter has to follow its predecessor without a gap.
fn joins_previous(parameter: &Parameter) -> bool {
    ["att.W_value.weight", "att.W_query.weight", "ff.fc2.weight"]
        .iter()
        .any(|end| parameter.name.ends_with(end))
}

impl Weights {
    /// Adds the slots of all parameters to the graph.
    pub(super) fn place(
        graph: &mut Graph,
        parameters: Vec<Parameter>,
        purpose: Purpose,
        moments: MomentPrecision,
    ) -> Self {
        let mut runs: Vec<(Training, usize)> = Vec::new();
        let mut places = Vec::with_capacity(parameters.len());
        for (index, parameter) in parameters.iter().enumerate() {
            let group: usize = parameter.count()
                + parameters[index + 1..]
                    .iter()
                    .take_while(|next| joins_previous(next))
                    .map(Parameter::count)
                    .sum::<usize>();
            let fits = runs.last().is_some_and(|(training, len)| {
                joins_previous(parameter)
                    || (*training == parameter.training && len + group <= SEGMENT)
            });
            if !fits {
                runs.push((parameter.training, 0));
            }
            let at = runs.len() - 1;
            places.push((at, runs[at].1));
            runs[at].1 += parameter.count();
        }
        let mut start = 0;
        let mut segments = Vec::with_capacity(runs.len());
        for (index, (training, len)) in runs.into_iter().enumerate() {
            let trained = training == Training::Trained && purpose == Purpose::Training;
            segments.push(Segment::add(graph, index, (start, len), trained.then_some(moments)));
            start += len;
        }
        Self { segments, places, parameters }
    }

    /// The stage's parameters in wire order.
    pub(in crate::model) fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// One parameter by name.
    pub(super) fn view(&self, side: Side, name: &str) -> Result<View, PlanError> {
        let missing = || PlanError::Missing { name: name.to_owned() };
        let index = self.parameters.iter().position(|p| p.name == name).ok_or_else(missing)?;
        let (segment, offset) = self.places[index];
        let segment = &self.segments[segment];
        let slot = match side {
            Side::Value => segment.param,
            Side::Gradient => segment.training.ok_or_else(missing)?.grad,
        };
        let Parameter { rows, cols, .. } = self.parameters[index];
        Ok(View { slot, offset, rows, cols, stride: cols })
    }

    /// The matrices of block `index`.
    pub(super) fn block(
        &self,
        side: Side,
        config: &LlamaConfig,
        (index, shape): (usize, BlockShape),
    ) -> Result<BlockViews, PlanError> {
        let part = |part: &str| self.view(side, &format!("trf_blocks.{index}.{part}.weight"));
        let optional = |used: bool, name: &str| used.then(|| part(name)).transpose();
        let kvq_rows = 2 * config.kv_dim() + config.emb_dim;
        Ok(BlockViews {
            decoder: optional(shape.narrow_in, "bottleneck_decoder.bottleneck_decoder.0")?,
            kvq: View { rows: kvq_rows, ..part("att.W_key")? },
            out_proj: part("att.out_proj")?,
            gate_up: View { rows: 2 * config.hidden_dim, ..part("ff.fc1")? },
            fc3: part("ff.fc3")?,
            fc4: optional(shape.narrow_out, "ff.fc4")?,
            norm1: part("norm1")?,
            norm2: part("norm2")?,
        })
    }
}

impl Segment {
    fn add(
        graph: &mut Graph,
        index: usize,
        (start, len): (usize, usize),
        moments: Option<MomentPrecision>,
    ) -> Self {
        let mut slot =
            |what: &str, element, role| graph.slot(&format!("{what} {index}"), element, len, role);
        let param = slot("weights", Element::Real, Role::Parameter);
        let training = moments.map(|moments| TrainingSlots {
            grad: slot("gradients", Element::Real, Role::Gradient),
            m: slot("first moments", moments.element(), Role::Moment),
            v: slot("second moments", moments.element(), Role::Moment),
        });
        Self { start, len, param, training }
    }
}

//! The parameters of a stage in wire order (spec 8.3, 8.6). Every flat vector of the protocol (weights,
//! pseudo-gradients, optimizer state) follows this list, so it is written once, here.

use crate::protocol::splits::Split;

use super::config::LlamaConfig;

/// Which part of the model a stage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StageKind {
    /// Embedding and the first blocks.
    Head,
    /// Blocks only.
    Body,
    /// The last blocks, final norm and output head.
    Tail,
    /// Everything: no bottleneck.
    Whole,
}

impl StageKind {
    /// The kind of the stage that holds these blocks.
    pub fn of(split: Split) -> Self {
        match (split.start, split.end) {
            (None, None) => Self::Whole,
            (None, Some(_)) => Self::Head,
            (Some(_), Some(_)) => Self::Body,
            (Some(_), None) => Self::Tail,
        }
    }

    /// Whether its input is tokens.
    pub fn has_embedding(self) -> bool {
        matches!(self, Self::Head | Self::Whole)
    }

    /// Whether it computes the loss.
    pub fn has_output_head(self) -> bool {
        matches!(self, Self::Tail | Self::Whole)
    }
}

/// What a parameter is; decides how it is initialised (spec 8.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParameterKind {
    /// A weight matrix \[out, in\].
    Linear,
    /// The token table \[vocab, emb\].
    Embedding,
    /// The scale of an RMSNorm \[emb\].
    Norm,
}

/// Whether a parameter ever receives a gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Training {
    /// It does.
    Trained,
    /// It never does: the unused decoder of a stage's last block (spec 8.6).
    Untouched,
}

/// One parameter of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Name as in the reference's state dictionary.
    pub name: String,
    /// Rows and columns; a norm is one row. All row-major.
    pub rows: usize,
    /// See `rows`.
    pub cols: usize,
    /// What it is.
    pub kind: ParameterKind,
    /// Whether it is trained.
    pub training: Training,
}

impl Parameter {
    /// Number of elements.
    pub fn count(&self) -> usize {
        self.rows * self.cols
    }

    /// The shape as the reference has it: two sizes, or one for a norm.
    pub fn shape(&self) -> Vec<usize> {
        match self.kind {
            ParameterKind::Norm => vec![self.cols],
            ParameterKind::Linear | ParameterKind::Embedding => vec![self.rows, self.cols],
        }
    }
}

/// How a block takes its input and what it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockShape {
    /// The input is D wide and is decoded first.
    pub(super) narrow_in: bool,
    /// The output is D wide: the bottleneck block.
    pub(super) narrow_out: bool,
}

/// The blocks of a stage, first to last.
pub(super) fn blocks(config: &LlamaConfig, split: Split) -> Vec<BlockShape> {
    let count = split.blocks(config.n_layers);
    let bottleneck = config.bottleneck_dim.is_some();
    let shape = |index| BlockShape {
        narrow_in: bottleneck && index == 0 && split.start.is_some(),
        narrow_out: bottleneck && index + 1 == count && split.end.is_some(),
    };
    (0..count).map(shape).collect()
}

/// Every parameter of the stage with these blocks, in wire order.
pub fn parameters(config: &LlamaConfig, split: Split) -> Vec<Parameter> {
    let kind = StageKind::of(split);
    let mut list = Vec::new();
    if kind.has_embedding() {
        let name = "tok_emb.weight".to_owned();
        list.push(matrix(name, config.vocab_size, config.emb_dim, ParameterKind::Embedding));
    }
    for (index, shape) in blocks(config, split).into_iter().enumerate() {
        push_block(&mut list, config, index, shape);
    }
    if kind.has_output_head() {
        list.push(matrix("final_norm.weight".to_owned(), 1, config.emb_dim, ParameterKind::Norm));
        let name = "out_head.weight".to_owned();
        list.push(matrix(name, config.vocab_size, config.emb_dim, ParameterKind::Linear));
    }
    list
}

fn push_block(list: &mut Vec<Parameter>, config: &LlamaConfig, index: usize, shape: BlockShape) {
    let (emb, hidden, kv) = (config.emb_dim, config.hidden_dim, config.kv_dim());
    let narrow = config.boundary_dim();
    let name = |part: &str| format!("trf_blocks.{index}.{part}.weight");
    let linear = |part: &str, rows, cols| matrix(name(part), rows, cols, ParameterKind::Linear);
    let decoder = || linear("bottleneck_decoder.bottleneck_decoder.0", emb, narrow);
    if shape.narrow_out {
        let training = if shape.narrow_in { Training::Trained } else { Training::Untouched };
        list.push(Parameter { training, ..decoder() });
    }
    list.push(linear("att.W_key", kv, emb));
    list.push(linear("att.W_value", kv, emb));
    list.push(linear("att.W_query", emb, emb));
    list.push(linear("att.out_proj", emb, emb));
    list.push(linear("ff.fc1", hidden, emb));
    list.push(linear("ff.fc2", hidden, emb));
    list.push(linear("ff.fc3", emb, hidden));
    if shape.narrow_out {
        list.push(linear("ff.fc4", narrow, emb));
    }
    list.push(matrix(name("norm1"), 1, emb, ParameterKind::Norm));
    list.push(matrix(name("norm2"), 1, emb, ParameterKind::Norm));
    if shape.narrow_in && !shape.narrow_out {
        list.push(decoder());
    }
}

fn matrix(name: String, rows: usize, cols: usize, kind: ParameterKind) -> Parameter {
    Parameter { name, rows, cols, kind, training: Training::Trained }
}

/// Number of elements of all parameters: the length of the stage's flat vector.
pub fn count(parameters: &[Parameter]) -> usize {
    parameters.iter().map(Parameter::count).sum()
}

#[cfg(test)]
mod tests {
    use super::super::config::tests::tiny;
    use super::*;

    fn split(start: Option<usize>, end: Option<usize>) -> Split {
        Split { start, end }
    }

    #[test]
    fn a_stage_of_one_bottleneck_block_trains_its_decoder_and_others_do_not() {
        let decoder = |s| {
            let list = parameters(&tiny(), s);
            let found = list.iter().filter(|p| p.name.contains("decoder"));
            found.map(|p| (p.name.clone(), p.training)).collect::<Vec<_>>()
        };
        let name = |i| format!("trf_blocks.{i}.bottleneck_decoder.bottleneck_decoder.0.weight");
        assert_eq!(decoder(split(Some(2), Some(3))), [(name(0), Training::Trained)]);
        assert_eq!(decoder(split(None, Some(1))), [(name(0), Training::Untouched)]);
        let two = [(name(0), Training::Trained), (name(1), Training::Untouched)];
        assert_eq!(decoder(split(Some(2), Some(4))), two);
        assert_eq!(decoder(split(Some(2), None)), [(name(0), Training::Trained)]);
        assert_eq!(decoder(Split::WHOLE), []);
    }

    #[test]
    fn without_a_bottleneck_no_stage_has_decoders_or_a_fourth_matrix() {
        let config = LlamaConfig { bottleneck_dim: None, ..tiny() };
        for s in [split(None, Some(2)), split(Some(2), Some(4)), split(Some(4), None)] {
            let list = parameters(&config, s);
            assert!(list.iter().all(|p| !p.name.contains("decoder") && !p.name.contains("fc4")));
        }
    }
}

//! The undivided model, written again from the specification (spec 8.3 to 8.6) on the plain tape:
//! a list of layers from the embedding to the loss. A range of them is what one stage holds.

use super::tape::{Matrix, Shape, Tape, Var};

/// Sizes of the model.
#[derive(Clone, Debug)]
pub struct Sizes {
    pub vocab: usize,
    pub emb: usize,
    pub bottleneck: usize,
    pub hidden: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub seq: usize,
    pub rope_base: f64,
}

/// Reads a flat parameter vector in wire order and remembers each piece's place on the tape.
struct Reader<'a> {
    flat: &'a [f64],
    at: usize,
    vars: Vec<Var>,
}

impl Reader<'_> {
    fn take(&mut self, tape: &mut Tape, rows: usize, cols: usize) -> Var {
        let data = self.flat[self.at..self.at + rows * cols].to_vec();
        self.at += rows * cols;
        let var = tape.given(Matrix::new(rows, cols, data));
        self.vars.push(var);
        var
    }
}

/// What goes into a stage.
pub enum Into_<'a> {
    Tokens(&'a [u32]),
    Activation(&'a Matrix),
}

/// What comes out of a range of layers, with everything needed to go back through it.
pub struct Pass {
    tape: Tape,
    parameters: Vec<Var>,
    input: Option<Var>,
    output: Var,
}

/// A gradient of the parameters (flat, wire order), and of the input where there is one.
pub struct Gradients {
    pub parameters: Vec<f64>,
    pub input: Option<Matrix>,
}

impl Sizes {
    /// Layers `from..to` of the model with the parameters `flat`; `from = 0` begins with the
    /// embedding, `to = layers` ends with the logits.
    pub fn run(&self, from: usize, to: usize, flat: &[f64], input: Into_<'_>) -> Pass {
        let mut tape = Tape::default();
        let mut reader = Reader { flat, at: 0, vars: Vec::new() };
        let (mut x, input) = match input {
            Into_::Tokens(tokens) => {
                let table = reader.take(&mut tape, self.vocab, self.emb);
                (tape.embed(table, tokens), None)
            }
            Into_::Activation(matrix) => {
                let var = tape.given(matrix.clone());
                (var, Some(var))
            }
        };
        for layer in from..to {
            let first_of_cut = layer == from && from > 0;
            let last_before_cut = layer + 1 == to && to < self.layers;
            x = self.block(&mut tape, &mut reader, x, first_of_cut, last_before_cut);
        }
        if to == self.layers {
            let norm = reader.take(&mut tape, 1, self.emb);
            let head = reader.take(&mut tape, self.vocab, self.emb);
            x = tape.rms_norm(x, norm);
            x = tape.linear(x, head);
        }
        assert_eq!(reader.at, flat.len(), "the parameters do not fit the layers");
        Pass { tape, parameters: reader.vars, input, output: x }
    }

    fn block(
        &self,
        tape: &mut Tape,
        reader: &mut Reader<'_>,
        x: Var,
        narrow: bool,
        bottleneck: bool,
    ) -> Var {
        let (e, d, f) = (self.emb, self.bottleneck, self.hidden);
        let head_dim = e / self.heads;
        let kv = self.kv_heads * head_dim;
        let early_decoder = bottleneck.then(|| reader.take(tape, e, d));
        let [key, value] = [(); 2].map(|()| reader.take(tape, kv, e));
        let [query, out_proj] = [(); 2].map(|()| reader.take(tape, e, e));
        let [fc1, fc2] = [(); 2].map(|()| reader.take(tape, f, e));
        let fc3 = reader.take(tape, e, f);
        let fc4 = bottleneck.then(|| reader.take(tape, d, e));
        let [norm1, norm2] = [(); 2].map(|()| reader.take(tape, 1, e));
        let late_decoder = (narrow && !bottleneck).then(|| reader.take(tape, e, d));

        let shape = Shape {
            seq: self.seq,
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim,
            rope_base: self.rope_base,
        };
        let wide = match (narrow, early_decoder.or(late_decoder)) {
            (true, Some(decoder)) => {
                let decoded = tape.linear(x, decoder);
                tape.relu(decoded)
            }
            _ => x,
        };
        let n = tape.rms_norm(wide, norm1);
        let [q, k, v] = [query, key, value].map(|w| tape.linear(n, w));
        let [q, k] = [q, k].map(|var| tape.rotate(var, shape));
        let attended = tape.attend(q, k, v, shape);
        let a = tape.linear(attended, out_proj);
        let y = if narrow { tape.add_first(a, x) } else { tape.add(a, x) };

        let n = tape.rms_norm(y, norm2);
        let gate = tape.linear(n, fc1);
        let gate = tape.silu(gate);
        let up = tape.linear(n, fc2);
        let product = tape.times(gate, up);
        let z = tape.linear(product, fc3);
        match fc4 {
            None => tape.add(y, z),
            Some(fc4) => {
                let z = tape.silu(z);
                let z = tape.linear(z, fc4);
                let kept = tape.take_first(y, d);
                tape.add(z, kept)
            }
        }
    }
}

impl Pass {
    /// The last layer's output: what crosses the cut, or the logits.
    pub fn output(&self) -> &Matrix {
        self.tape.value(self.output)
    }

    /// Back from a gradient of the output.
    pub fn back(&self, gradient: Matrix) -> Gradients {
        let grads = self.tape.backward(self.output, gradient);
        let parameters = self
            .parameters
            .iter()
            .flat_map(|&var| self.tape.gradient_of(&grads, var).data.clone())
            .collect();
        let input = self.input.map(|var| self.tape.gradient_of(&grads, var).clone());
        Gradients { parameters, input }
    }

    /// Mean next-token cross-entropy of the logits, and its gradient.
    pub fn loss(&self, tokens: &[u32], seq: usize) -> (f64, Matrix) {
        let logits = self.output();
        let count = (tokens.len() / seq * (seq - 1)) as f64;
        let mut gradient = Matrix::zeros(logits.rows, logits.cols);
        let mut loss = 0.0;
        for row in 0..logits.rows {
            if (row + 1) % seq == 0 {
                continue;
            }
            let target = tokens[row + 1] as usize;
            let values = &logits.data[row * logits.cols..(row + 1) * logits.cols];
            let top = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = values.iter().map(|v| (v - top).exp()).sum();
            loss += top + sum.ln() - values[target];
            for (c, v) in values.iter().enumerate() {
                let hot = f64::from(u8::from(c == target));
                gradient.data[row * logits.cols + c] = ((v - top).exp() / sum - hot) / count;
            }
        }
        (loss / count, gradient)
    }
}

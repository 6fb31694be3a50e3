//! A small reverse-mode tape over f64 matrices: slow, plain, and sharing nothing with the engine it
//! checks. Gradients come from the chain rule node by node, not from hand-written passes.

/// A row-major matrix.
#[derive(Clone, Debug)]
pub struct Matrix {
    pub rows: usize,
    pub cols: usize,
    pub data: Vec<f64>,
}

impl Matrix {
    pub fn new(rows: usize, cols: usize, data: Vec<f64>) -> Self {
        assert_eq!(rows * cols, data.len());
        Self { rows, cols, data }
    }

    pub fn zeros(rows: usize, cols: usize) -> Self {
        Self::new(rows, cols, vec![0.0; rows * cols])
    }

    fn row(&self, r: usize) -> &[f64] {
        &self.data[r * self.cols..(r + 1) * self.cols]
    }

    /// Every element rounded to bfloat16, as on the wire.
    pub fn as_on_the_wire(&self) -> Self {
        let data = self.data.iter().map(|&x| bf16_of(x)).collect();
        Self { data, ..*self }
    }
}

/// Rounded to f32, then to bfloat16.
pub fn bf16_of(x: f64) -> f64 {
    half::bf16::from_f32(x as f32).to_f64()
}

/// A value on the tape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Var(usize);

#[derive(Clone, Debug)]
enum Origin {
    Given,
    /// x w^T
    Linear(Var, Var),
    Add(Var, Var),
    /// The second is added to the first columns of the first.
    AddFirst(Var, Var),
    TakeFirst(Var),
    Times(Var, Var),
    Silu(Var),
    Relu(Var),
    RmsNorm(Var, Var),
    Embed(Var, Vec<u32>),
    Rotate(Var, Shape),
    Attend(Var, Var, Var, Shape),
}

/// Sizes of an attention, and the angles' base.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub seq: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub rope_base: f64,
}

#[derive(Debug, Default)]
pub struct Tape {
    nodes: Vec<(Matrix, Origin)>,
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

impl Tape {
    fn push(&mut self, value: Matrix, origin: Origin) -> Var {
        self.nodes.push((value, origin));
        Var(self.nodes.len() - 1)
    }

    pub fn value(&self, var: Var) -> &Matrix {
        &self.nodes[var.0].0
    }

    pub fn given(&mut self, value: Matrix) -> Var {
        self.push(value, Origin::Given)
    }

    pub fn linear(&mut self, x: Var, w: Var) -> Var {
        let (a, b) = (self.value(x), self.value(w));
        assert_eq!(a.cols, b.cols);
        let mut out = Matrix::zeros(a.rows, b.rows);
        for r in 0..a.rows {
            for n in 0..b.rows {
                out.data[r * b.rows + n] = a.row(r).iter().zip(b.row(n)).map(|(x, y)| x * y).sum();
            }
        }
        self.push(out, Origin::Linear(x, w))
    }

    pub fn add(&mut self, a: Var, b: Var) -> Var {
        let data = self.value(a).data.iter().zip(&self.value(b).data).map(|(x, y)| x + y).collect();
        let out = Matrix { data, ..*self.value(a) };
        self.push(out, Origin::Add(a, b))
    }

    pub fn add_first(&mut self, wide: Var, narrow: Var) -> Var {
        let mut out = self.value(wide).clone();
        let n = self.value(narrow);
        for r in 0..n.rows {
            for c in 0..n.cols {
                out.data[r * out.cols + c] += n.data[r * n.cols + c];
            }
        }
        self.push(out, Origin::AddFirst(wide, narrow))
    }

    pub fn take_first(&mut self, x: Var, cols: usize) -> Var {
        let from = self.value(x);
        let data = (0..from.rows).flat_map(|r| from.row(r)[..cols].to_vec()).collect();
        let out = Matrix::new(from.rows, cols, data);
        self.push(out, Origin::TakeFirst(x))
    }

    pub fn times(&mut self, a: Var, b: Var) -> Var {
        let data = self.value(a).data.iter().zip(&self.value(b).data).map(|(x, y)| x * y).collect();
        let out = Matrix { data, ..*self.value(a) };
        self.push(out, Origin::Times(a, b))
    }

    pub fn silu(&mut self, x: Var) -> Var {
        let data = self.value(x).data.iter().map(|&z| z * sigmoid(z)).collect();
        let out = Matrix { data, ..*self.value(x) };
        self.push(out, Origin::Silu(x))
    }

    pub fn relu(&mut self, x: Var) -> Var {
        let data = self.value(x).data.iter().map(|&z| z.max(0.0)).collect();
        let out = Matrix { data, ..*self.value(x) };
        self.push(out, Origin::Relu(x))
    }

    pub fn rms_norm(&mut self, x: Var, w: Var) -> Var {
        let (a, w_value) = (self.value(x), self.value(w));
        let mut out = a.clone();
        for r in 0..a.rows {
            let inv = inverse_rms(a.row(r));
            for c in 0..a.cols {
                out.data[r * a.cols + c] *= inv * w_value.data[c];
            }
        }
        self.push(out, Origin::RmsNorm(x, w))
    }

    pub fn embed(&mut self, table: Var, tokens: &[u32]) -> Var {
        let t = self.value(table);
        let data = tokens.iter().flat_map(|&id| t.row(id as usize).to_vec()).collect();
        let out = Matrix::new(tokens.len(), t.cols, data);
        self.push(out, Origin::Embed(table, tokens.to_vec()))
    }

    pub fn rotate(&mut self, x: Var, shape: Shape) -> Var {
        let out = rotated(self.value(x), shape, 1.0);
        self.push(out, Origin::Rotate(x, shape))
    }

    pub fn attend(&mut self, q: Var, k: Var, v: Var, shape: Shape) -> Var {
        let (q_value, k_value, v_value) = (self.value(q), self.value(k), self.value(v));
        let mut out = Matrix::zeros(q_value.rows, q_value.cols);
        each_score_row(q_value, k_value, shape, |row, head, kv_head, first, weights| {
            for (j, p) in weights.iter().enumerate() {
                for c in 0..shape.head_dim {
                    out.data[row * out.cols + head * shape.head_dim + c] +=
                        p * v_value.data[(first + j) * v_value.cols + kv_head * shape.head_dim + c];
                }
            }
        });
        self.push(out, Origin::Attend(q, k, v, shape))
    }

    /// Gradients of every value, given that of `output`.
    pub fn backward(&self, output: Var, gradient: Matrix) -> Vec<Matrix> {
        let mut grads: Vec<Matrix> =
            self.nodes.iter().map(|(m, _)| Matrix::zeros(m.rows, m.cols)).collect();
        grads[output.0] = gradient;
        for i in (0..=output.0).rev() {
            let g = grads[i].clone();
            self.pull(i, &g, &mut grads);
        }
        grads
    }

    pub fn gradient_of<'a>(&self, grads: &'a [Matrix], var: Var) -> &'a Matrix {
        &grads[var.0]
    }

    fn pull(&self, i: usize, g: &Matrix, grads: &mut [Matrix]) {
        let give = |grads: &mut [Matrix], to: Var, f: &dyn Fn(usize) -> f64| {
            for (n, slot) in grads[to.0].data.iter_mut().enumerate() {
                *slot += f(n);
            }
        };
        match &self.nodes[i].1 {
            Origin::Given => {}
            Origin::Linear(x, w) => self.pull_linear(*x, *w, g, grads),
            Origin::Add(a, b) => {
                give(grads, *a, &|n| g.data[n]);
                give(grads, *b, &|n| g.data[n]);
            }
            Origin::AddFirst(wide, narrow) => {
                let cols = self.value(*narrow).cols;
                give(grads, *wide, &|n| g.data[n]);
                give(grads, *narrow, &|n| g.data[n / cols * g.cols + n % cols]);
            }
            Origin::TakeFirst(x) => {
                let cols = self.value(*x).cols;
                give(grads, *x, &|n| {
                    let (r, c) = (n / cols, n % cols);
                    if c < g.cols { g.data[r * g.cols + c] } else { 0.0 }
                });
            }
            Origin::Times(a, b) => {
                give(grads, *a, &|n| g.data[n] * self.value(*b).data[n]);
                give(grads, *b, &|n| g.data[n] * self.value(*a).data[n]);
            }
            Origin::Silu(x) => give(grads, *x, &|n| {
                let z = self.value(*x).data[n];
                let s = sigmoid(z);
                g.data[n] * (s + z * s * (1.0 - s))
            }),
            Origin::Relu(x) => {
                give(grads, *x, &|n| if self.value(*x).data[n] > 0.0 { g.data[n] } else { 0.0 });
            }
            Origin::RmsNorm(x, w) => self.pull_norm(*x, *w, g, grads),
            Origin::Embed(table, tokens) => {
                for (r, &id) in tokens.iter().enumerate() {
                    for c in 0..g.cols {
                        grads[table.0].data[id as usize * g.cols + c] += g.data[r * g.cols + c];
                    }
                }
            }
            Origin::Rotate(x, shape) => {
                let back = rotated(g, *shape, -1.0);
                give(grads, *x, &|n| back.data[n]);
            }
            Origin::Attend(q, k, v, shape) => self.pull_attend(*q, *k, *v, *shape, g, grads),
        }
    }

    fn pull_linear(&self, x: Var, w: Var, g: &Matrix, grads: &mut [Matrix]) {
        let (a, b) = (self.value(x), self.value(w));
        for r in 0..a.rows {
            for n in 0..b.rows {
                let d = g.data[r * g.cols + n];
                for c in 0..a.cols {
                    grads[x.0].data[r * a.cols + c] += d * b.data[n * b.cols + c];
                    grads[w.0].data[n * b.cols + c] += d * a.data[r * a.cols + c];
                }
            }
        }
    }

    fn pull_norm(&self, x: Var, w: Var, g: &Matrix, grads: &mut [Matrix]) {
        let (a, w_value) = (self.value(x), self.value(w));
        for r in 0..a.rows {
            let inv = inverse_rms(a.row(r));
            let at = |c: usize| r * a.cols + c;
            let dot: f64 =
                (0..a.cols).map(|c| g.data[at(c)] * w_value.data[c] * a.data[at(c)]).sum();
            for c in 0..a.cols {
                grads[w.0].data[c] += g.data[at(c)] * a.data[at(c)] * inv;
                grads[x.0].data[at(c)] += inv
                    * (g.data[at(c)] * w_value.data[c]
                        - a.data[at(c)] * inv * inv * dot / a.cols as f64);
            }
        }
    }

    fn pull_attend(&self, q: Var, k: Var, v: Var, shape: Shape, g: &Matrix, grads: &mut [Matrix]) {
        let (q_value, k_value, v_value) = (self.value(q), self.value(k), self.value(v));
        let d = shape.head_dim;
        let scale = 1.0 / (d as f64).sqrt();
        each_score_row(q_value, k_value, shape, |row, head, kv_head, first, weights| {
            let dout = &g.data[row * g.cols + head * d..][..d];
            let kv_at = |j: usize, c: usize| (first + j) * k_value.cols + kv_head * d + c;
            let dp: Vec<f64> = (0..weights.len())
                .map(|j| (0..d).map(|c| dout[c] * v_value.data[kv_at(j, c)]).sum())
                .collect();
            let mean: f64 = weights.iter().zip(&dp).map(|(p, d)| p * d).sum();
            for (j, p) in weights.iter().enumerate() {
                let ds = p * (dp[j] - mean) * scale;
                for (c, dout) in dout.iter().enumerate() {
                    grads[v.0].data[kv_at(j, c)] += p * dout;
                    grads[k.0].data[kv_at(j, c)] +=
                        ds * q_value.data[row * q_value.cols + head * d + c];
                    grads[q.0].data[row * q_value.cols + head * d + c] +=
                        ds * k_value.data[kv_at(j, c)];
                }
            }
        });
    }
}

fn inverse_rms(row: &[f64]) -> f64 {
    (row.iter().map(|x| x * x).sum::<f64>() / row.len() as f64 + 1e-5).powf(-0.5)
}

/// Rotates the halves of every head by position times frequency (and `sign`).
fn rotated(x: &Matrix, shape: Shape, sign: f64) -> Matrix {
    let (d, half) = (shape.head_dim, shape.head_dim / 2);
    let mut out = x.clone();
    for row in 0..x.rows {
        let position = (row % shape.seq) as f64;
        for start in (0..x.cols).step_by(d) {
            for i in 0..half {
                let frequency = shape.rope_base.powf(-2.0 * i as f64 / d as f64);
                let (sin, cos) = (sign * position * frequency).sin_cos();
                let (at, far) = (row * x.cols + start + i, row * x.cols + start + i + half);
                out.data[at] = x.data[at] * cos - x.data[far] * sin;
                out.data[far] = x.data[far] * cos + x.data[at] * sin;
            }
        }
    }
    out
}

/// Calls `with(row, head, kv_head, first row of the sequence, softmax weights over 0..=position)`.
fn each_score_row(
    q: &Matrix,
    k: &Matrix,
    shape: Shape,
    mut with: impl FnMut(usize, usize, usize, usize, &[f64]),
) {
    let d = shape.head_dim;
    for row in 0..q.rows {
        let (first, position) = (row / shape.seq * shape.seq, row % shape.seq);
        for head in 0..shape.heads {
            let kv_head = head / (shape.heads / shape.kv_heads);
            let scores: Vec<f64> = (0..=position)
                .map(|j| {
                    let q_row = &q.data[row * q.cols + head * d..][..d];
                    let k_row = &k.data[(first + j) * k.cols + kv_head * d..][..d];
                    q_row.iter().zip(k_row).map(|(a, b)| a * b).sum::<f64>() / (d as f64).sqrt()
                })
                .collect();
            let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let exps: Vec<f64> = scores.iter().map(|s| (s - top).exp()).collect();
            let sum: f64 = exps.iter().sum();
            let weights: Vec<f64> = exps.iter().map(|e| e / sum).collect();
            with(row, head, kv_head, first, &weights);
        }
    }
}

// Rotary position embedding, in place ("rotate half").
//
// For each head and i < h = head_dim / 2, with the row's position q = m mod seq:
// (x[i], x[i+h]) := (x[i] c - x[i+h] s, x[i+h] c + x[i] s), c and s from the table's row q;
// the gradient's way back has -s. Shapes: x M x (n head_dim); table seq x head_dim.
// One invocation per pair: 6 FLOPs, 24 bytes.

//#kernel rope
struct P {
    total: u32, pairs: u32, half: u32, seq: u32,
    x_off: u32, x_stride: u32,
    t_off: u32, t_stride: u32,
    sign: f32,
}
@group(0) @binding(0) var<uniform> p: P;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let i = (g.y * gs.x + g.x) * 256u + l;
    if i >= p.total {
        return;
    }
    let row = i / p.pairs;
    let pair = i % p.pairs;
    let head = pair / p.half;
    let j = pair % p.half;
    let at = p.x_off + row * p.x_stride + head * 2u * p.half + j;
    let angle = p.t_off + (row % p.seq) * p.t_stride + j;
    let c = table[angle];
    let s = table[angle + p.half] * p.sign;
    let a = x[at];
    let b = x[at + p.half];
    x[at] = a * c - b * s;
    x[at + p.half] = b * c + a * s;
}

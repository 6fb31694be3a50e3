// Softmax cross-entropy of rows of logits, the gradient written over them.
//
// loss[r] = logsumexp(x[r,:]) - x[r,t]; x[r,:] := scale (softmax(x[r,:]) - onehot(t)).
// Shapes: x R x V; targets, losses R x 1. A target that is not a column has loss 0 and gradient 0.
// 7 R V FLOPs and 2 to 3 R V exponentials, 12 R V bytes: one pass for the running maximum and sum,
// one for the gradient.

//#kernel cross_entropy
struct P {
    rows: u32, cols: u32,
    x_off: u32, x_stride: u32,
    t_off: u32, t_stride: u32,
    l_off: u32, l_stride: u32,
    scale: f32,
}
@group(0) @binding(0) var<uniform> p: P;
@group(0) @binding(1) var<storage, read_write> x: array<$T>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;

// A $T holds UNIT columns: four where rows start and end at multiples of four.
const UNIT: u32 = $UNITu;

//#if VEC
fn highest(v: vec4<f32>) -> f32 {
    return max(max(v.x, v.y), max(v.z, v.w));
}

fn total_of(v: vec4<f32>) -> f32 {
    return (v.x + v.y) + (v.z + v.w);
}

fn columns(c: u32) -> vec4<u32> {
    return 4u * c + vec4<u32>(0u, 1u, 2u, 3u);
}
//#else
fn highest(v: f32) -> f32 {
    return v;
}

fn total_of(v: f32) -> f32 {
    return v;
}

fn columns(c: u32) -> u32 {
    return c;
}
//#end

const LOWEST: f32 = -3.402823e38;

@compute @workgroup_size($WG)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let row = row_of(g, gs, l);
    let lane = lane_of(l);
    if row >= p.rows {
        return;
    }
    let xs = p.x_off + row * p.x_stride;
    var top = LOWEST;
    var sum = 0.0;
    for (var c = lane; c < p.cols / UNIT; c += LANES) {
        let v = x[xs + c];
        let higher = max(top, highest(v));
        sum = sum * exp(top - higher) + total_of(exp(v - higher));
        top = higher;
    }
    let peak = max_lanes(top, lane);
    let total = sum_lanes(sum * exp(top - peak), lane);
    let t = targets[p.t_off + row * p.t_stride];
    let counted = t < p.cols;
    let lse = peak + log(total);
    if lane == 0u {
        losses[p.l_off + row * p.l_stride] = select(0.0, lse - $LOGIT, counted);
    }
    // Lane 0 has read the target's logit before any lane overwrites it.
    $BARRIER
    let factor = select(0.0, p.scale, counted);
    let share = factor / total;
    for (var c = lane; c < p.cols / UNIT; c += LANES) {
        let hit = select($T(0.0), $T(factor), columns(c) == $INDEX(t));
        x[xs + c] = exp(x[xs + c] - peak) * share - hit;
    }
}

// Sums of all elements (or of their squares), and the factor of gradient clipping.
//
// A sum runs in levels: each "row" adds $CHUNK elements of the level before, in a fixed order,
// until one number is left. N (or 2 N) FLOPs, 4 N bytes.

//#kernel sum
struct P {
    rows: u32, total: u32, cols: u32,
    x_off: u32, x_stride: u32,
    y_off: u32, y_stride: u32,
    scale: f32,
}
@group(0) @binding(0) var<uniform> p: P;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const DENSE: bool = $DENSE;

@compute @workgroup_size($WG)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let row = row_of(g, gs, l);
    let lane = lane_of(l);
    if row >= p.rows {
        return;
    }
    let end = min(row * $CHUNK + $CHUNK, p.total);
    var sum = 0.0;
    for (var i = row * $CHUNK + lane; i < end; i += LANES) {
        var at = p.x_off + i;
        if !DENSE {
            at = p.x_off + (i / p.cols) * p.x_stride + i % p.cols;
        }
        let v = x[at];
//#if SQUARE
        sum += v * v;
//#else
        sum += v;
//#end
    }
    let all = sum_lanes(sum, lane);
    if lane == 0u {
        y[p.y_off + row] = all * p.scale;
    }
}

//#kernel clip_factor
// norm = sqrt(sum of squares), coef = min(1, limit / (norm + 1e-6)), 0 where norm is not finite.
// One invocation: n is the number of tensors, some dozens.
struct P {
    total: u32, x_off: u32, y_off: u32, limit: f32,
}
@group(0) @binding(0) var<uniform> p: P;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(1)
fn main() {
    var sum = 0.0;
    for (var i = 0u; i < p.total; i += 1u) {
        sum += x[p.x_off + i];
    }
    let norm = sqrt(sum);
    // By its bits: fast-math compilers may assume that numbers are finite.
    let finite = (bitcast<u32>(norm) & 0x7f800000u) != 0x7f800000u;
    y[p.y_off] = norm;
    y[p.y_off + 1u] = select(0.0, min(1.0, p.limit / (norm + 1e-6)), finite);
}

// RMS normalisation of rows, and its gradients.
//
// rstd[m] = 1 / sqrt(mean_c x[m,c]^2 + 1e-5); y[m,c] = x[m,c] rstd[m] w[c].
// With s[m] = sum_c dy w x: dx = rstd (dy w - x rstd^2 s / E); dw[c] += sum_m dy x rstd.
// Shapes: x, y, dy, dx M x E; w, dw 1 x E; rstd M x 1; partial ceil(M / 64) x E.
// Forward 4 M E FLOPs, 12 M E bytes; backward 12 M E FLOPs, 32 M E bytes. All memory bound.

//#kernel rmsnorm
struct P {
    rows: u32, cols: u32,
    x_off: u32, x_stride: u32,
    w_off: u32, w_stride: u32,
    y_off: u32, y_stride: u32,
    r_off: u32, r_stride: u32,
}
@group(0) @binding(0) var<uniform> p: P;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> rstd: array<f32>;

@compute @workgroup_size($WG)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let row = row_of(g, gs, l);
    let lane = lane_of(l);
    if row >= p.rows {
        return;
    }
    let xs = p.x_off + row * p.x_stride;
    let to = p.y_off + row * p.y_stride;
    var squares = 0.0;
    for (var c = lane; c < p.cols; c += LANES) {
        let v = x[xs + c];
        squares += v * v;
    }
    let mean = sum_lanes(squares, lane) / f32(p.cols);
    let r = 1.0 / sqrt(mean + 1e-5);
    for (var c = lane; c < p.cols; c += LANES) {
        y[to + c] = x[xs + c] * r * w[p.w_off + c];
    }
    if lane == 0u {
        rstd[p.r_off + row * p.r_stride] = r;
    }
}

//#kernel rmsnorm_backward
struct P {
    rows: u32, cols: u32,
    x_off: u32, x_stride: u32,
    w_off: u32, w_stride: u32,
    r_off: u32, r_stride: u32,
    dy_off: u32, dy_stride: u32,
    dx_off: u32, dx_stride: u32,
}
@group(0) @binding(0) var<uniform> p: P;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> rstd: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size($WG)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let row = row_of(g, gs, l);
    let lane = lane_of(l);
    if row >= p.rows {
        return;
    }
    let xs = p.x_off + row * p.x_stride;
    let dys = p.dy_off + row * p.dy_stride;
    let dxs = p.dx_off + row * p.dx_stride;
    var along = 0.0;
    for (var c = lane; c < p.cols; c += LANES) {
        along += dy[dys + c] * w[p.w_off + c] * x[xs + c];
    }
    let r = rstd[p.r_off + row * p.r_stride];
    let pull = r * r * sum_lanes(along, lane) / f32(p.cols);
    for (var c = lane; c < p.cols; c += LANES) {
        let d = r * (dy[dys + c] * w[p.w_off + c] - x[xs + c] * pull);
//#if ADD
        dx[dxs + c] += d;
//#else
        dx[dxs + c] = d;
//#end
    }
}

//#kernel rmsnorm_partial
// partial[block,c] = sum over the 64 rows of a block of dy x rstd. One invocation per (block, c).
struct P {
    rows: u32, cols: u32, blocks: u32,
    x_off: u32, x_stride: u32,
    r_off: u32, r_stride: u32,
    dy_off: u32, dy_stride: u32,
    part_off: u32, part_stride: u32,
}
@group(0) @binding(0) var<uniform> p: P;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> rstd: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> part: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let groups = (p.cols + 63u) / 64u;
    let group = g.y * gs.x + g.x;
    let block = group / groups;
    let c = (group % groups) * 64u + l;
    if block >= p.blocks || c >= p.cols {
        return;
    }
    let end = min(block * 64u + 64u, p.rows);
    var sum = 0.0;
    for (var row = block * 64u; row < end; row += 1u) {
        let r = rstd[p.r_off + row * p.r_stride];
        sum += dy[p.dy_off + row * p.dy_stride + c] * x[p.x_off + row * p.x_stride + c] * r;
    }
    part[p.part_off + block * p.part_stride + c] = sum;
}

//#kernel rmsnorm_weight
// dw[c] += sum over blocks, in order, of partial[block,c]. One invocation per column.
struct P {
    cols: u32, blocks: u32,
    part_off: u32, part_stride: u32,
    dw_off: u32, dw_stride: u32,
}
@group(0) @binding(0) var<uniform> p: P;
@group(0) @binding(1) var<storage, read> part: array<f32>;
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let c = (g.y * gs.x + g.x) * 64u + l;
    if c >= p.cols {
        return;
    }
    var sum = 0.0;
    for (var block = 0u; block < p.blocks; block += 1u) {
        sum += part[p.part_off + block * p.part_stride + c];
    }
    dw[p.dw_off + c] += sum;
}

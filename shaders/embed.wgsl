// Rows of a table by token, and the gradient's way back without atomics.
//
// out[m,:] = table[tokens[m],:], zeros for a token outside the table;
// table_grad[t,:] += sum over m with tokens[m] = t, in order of m, of grad[m,:].
// Shapes: tokens M x 1; table V x E; out, grad M x E. A table too large for one binding comes in
// ranges of rows [first, first + count). Memory bound: 8 M E bytes forward, 12 M E back.

//#kernel embed
// One invocation per (m, column). The first range also writes the zeros.
struct P {
    rows: u32, cols: u32, first: u32, count: u32,
    t_off: u32, t_stride: u32,
    table_off: u32, table_stride: u32,
    y_off: u32, y_stride: u32,
}
@group(0) @binding(0) var<uniform> p: P;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let groups = (p.cols + 63u) / 64u;
    let group = g.y * gs.x + g.x;
    let m = group / groups;
    let c = (group % groups) * 64u + l;
    if m >= p.rows || c >= p.cols {
        return;
    }
    let token = tokens[p.t_off + m * p.t_stride];
    let to = p.y_off + m * p.y_stride + c;
    // Wraps to a large number below the range, so that one comparison is enough.
    let row = token - p.first;
    if row < p.count {
        y[to] = table[p.table_off + row * p.table_stride + c];
    } else if p.first == 0u {
        y[to] = 0.0;
    }
}

//#kernel embed_links
// links[m] = [is m the first place of its token, the next place of the same token or none].
// One invocation per m; M^2 comparisons in all.
struct P {
    rows: u32, t_off: u32, t_stride: u32,
}
@group(0) @binding(0) var<uniform> p: P;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read_write> links: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let m = (g.y * gs.x + g.x) * 64u + l;
    if m >= p.rows {
        return;
    }
    let token = tokens[p.t_off + m * p.t_stride];
    var first = 1u;
    var next = 0xffffffffu;
    for (var j = 0u; j < p.rows; j += 1u) {
        let same = tokens[p.t_off + j * p.t_stride] == token;
        first = select(first, 0u, same && j < m);
        next = select(next, min(next, j), same && j > m);
    }
    links[2u * m] = first;
    links[2u * m + 1u] = next;
}

//#kernel embed_backward
// One invocation per (m, column); those at the first place of a token walk all its places.
struct P {
    rows: u32, cols: u32, first: u32, count: u32,
    t_off: u32, t_stride: u32,
    y_off: u32, y_stride: u32,
    table_off: u32, table_stride: u32,
}
@group(0) @binding(0) var<uniform> p: P;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> links: array<u32>;
@group(0) @binding(3) var<storage, read> grad: array<f32>;
@group(0) @binding(4) var<storage, read_write> table_grad: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let groups = (p.cols + 63u) / 64u;
    let group = g.y * gs.x + g.x;
    let m = group / groups;
    let c = (group % groups) * 64u + l;
    if m >= p.rows || c >= p.cols {
        return;
    }
    let row = tokens[p.t_off + m * p.t_stride] - p.first;
    if row >= p.count || links[2u * m] == 0u {
        return;
    }
    var sum = 0.0;
    for (var j = m; j < p.rows; j = links[2u * j + 1u]) {
        sum += grad[p.y_off + j * p.y_stride + c];
    }
    table_grad[p.table_off + row * p.table_stride + c] += sum;
}

// Real numbers to and from bfloat16, two to a 32-bit word, by hand: WGSL has no such type.
//
// Shapes: M x N both sides. One invocation per word of the packed side: 12 bytes per word, integer
// work only. Offsets of the packed side are in elements and may be odd.

struct P {
    rows: u32, cols: u32, words: u32,
    x_off: u32, x_stride: u32,
    y_off: u32, y_stride: u32,
}
@group(0) @binding(0) var<uniform> p: P;

//#kernel pack
// Rounds as header_bf16.wgsl says. A half word outside the matrix keeps its content.
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let i = (g.y * gs.x + g.x) * 256u + l;
    let row = i / p.words;
    if row >= p.rows {
        return;
    }
    let start = p.y_off + row * p.y_stride;
    let end = start + p.cols;
    let word = start / 2u + i % p.words;
    let e = 2u * word;
    if e >= end {
        return;
    }
    let xs = p.x_off + row * p.x_stride;
    var bits = 0u;
    if e < start || e + 1u >= end {
        bits = y[word];
    }
    if e >= start {
        bits = (bits & 0xffff0000u) | narrow(x[xs + e - start]);
    }
    if e + 1u < end {
        bits = (bits & 0x0000ffffu) | (narrow(x[xs + e + 1u - start]) << 16u);
    }
    y[word] = bits;
}

//#kernel unpack
@group(0) @binding(1) var<storage, read> y: array<u32>;
@group(0) @binding(2) var<storage, read_write> x: array<u32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let i = (g.y * gs.x + g.x) * 256u + l;
    let row = i / p.words;
    if row >= p.rows {
        return;
    }
    let start = p.y_off + row * p.y_stride;
    let end = start + p.cols;
    let word = start / 2u + i % p.words;
    let e = 2u * word;
    if e >= end {
        return;
    }
    let to = p.x_off + row * p.x_stride;
    let bits = y[word];
    if e >= start {
        x[to + e - start] = bits << 16u;
    }
    if e + 1u < end {
        x[to + e + 1u - start] = bits & 0xffff0000u;
    }
}

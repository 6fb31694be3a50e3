// The optimizer's step (header_adam.wgsl) with both moments in bfloat16 (header_bf16.wgsl), two to a
// 32-bit word.
//
// Shapes: param, grad, m, v alike; a row takes `turns` invocations; clip is [norm, coef]; scalars are
// [decay, beta1, beta2, bias2, eps, step_g, step_m]. The weight moves by the moments before they are
// rounded. Per element 17 FLOPs, one root, two divisions, some integer work, 24 bytes.

struct P {
    rows: u32, cols: u32, turns: u32,
    a_off: u32, a_stride: u32,
    b_off: u32, b_stride: u32,
    c_off: u32, c_stride: u32,
    d_off: u32, d_stride: u32,
    e_off: u32, e_stride: u32,
    f_off: u32, f_stride: u32,
}
@group(0) @binding(0) var<uniform> p: P;
@group(0) @binding(3) var<storage, read_write> m: array<$W>;
@group(0) @binding(4) var<storage, read_write> v: array<$W>;

//#kernel adam_bf16
// Four elements a turn: every offset, stride and width is a multiple of four, and in that unit.
fn wide(w: vec2<u32>) -> vec4<f32> {
    let low = w << vec2<u32>(16u);
    let high = w & vec2<u32>(0xffff0000u);
    return bitcast<vec4<f32>>(vec4<u32>(low.x, high.x, low.y, high.y));
}

fn packed(x: vec4<f32>) -> vec2<u32> {
    let n = narrow(bitcast<vec4<u32>>(x));
    return n.xz | (n.yw << vec2<u32>(16u));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let i = (g.y * gs.x + g.x) * 256u + l;
    let row = i / p.turns;
    if row >= p.rows {
        return;
    }
    let col = i % p.turns;
    let mi = p.c_off + row * p.c_stride + col;
    let vi = p.d_off + row * p.d_stride + col;
    let a = p.a_off + row * p.a_stride + col;
    let b = p.b_off + row * p.b_stride + col;
    let after = advance(a, b, wide(m[mi]), wide(v[vi]));
    m[mi] = packed(after.first);
    v[vi] = packed(after.second);
}

//#kernel adam_bf16_words
// One word of each moment a turn, wherever the rows begin. A half word outside keeps its content.
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let i = (g.y * gs.x + g.x) * 256u + l;
    let row = i / p.turns;
    if row >= p.rows {
        return;
    }
    let start = p.c_off + row * p.c_stride;
    let end = start + p.cols;
    let mi = start / 2u + i % p.turns;
    let vi = (p.d_off + row * p.d_stride) / 2u + i % p.turns;
    let e = 2u * mi;
    if e >= end {
        return;
    }
    let a = p.a_off + row * p.a_stride;
    let b = p.b_off + row * p.b_stride;
    var mw = m[mi];
    var vw = v[vi];
    if e >= start {
        let c = e - start;
        let after = advance(a + c, b + c, bitcast<f32>(mw << 16u), bitcast<f32>(vw << 16u));
        mw = (mw & 0xffff0000u) | narrow(bitcast<u32>(after.first));
        vw = (vw & 0xffff0000u) | narrow(bitcast<u32>(after.second));
    }
    if e + 1u < end {
        let c = e + 1u - start;
        let after = advance(a + c, b + c, bitcast<f32>(mw & 0xffff0000u), bitcast<f32>(vw & 0xffff0000u));
        mw = (mw & 0x0000ffffu) | (narrow(bitcast<u32>(after.first)) << 16u);
        vw = (vw & 0x0000ffffu) | (narrow(bitcast<u32>(after.second)) << 16u);
    }
    m[mi] = mw;
    v[vi] = vw;
}

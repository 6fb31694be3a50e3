// One optimizer step as in adam.wgsl, with both moments in bfloat16, two to a 32-bit word.
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
@group(0) @binding(1) var<storage, read_write> param: array<$T>;
@group(0) @binding(2) var<storage, read_write> grad: array<$T>;
@group(0) @binding(3) var<storage, read_write> m: array<$W>;
@group(0) @binding(4) var<storage, read_write> v: array<$W>;
@group(0) @binding(5) var<storage, read> clip: array<f32>;
@group(0) @binding(6) var<storage, read> scalars: array<f32>;

struct Moments { first: $T, second: $T }

// Moves the weight, clears the gradient, and gives the moments after the step.
fn advance(a: u32, b: u32, m0: $T, v0: $T) -> Moments {
    let coef = clip[p.e_off + 1u];
    let decay = scalars[p.f_off];
    let beta1 = scalars[p.f_off + 1u];
    let beta2 = scalars[p.f_off + 2u];
    let bias2 = scalars[p.f_off + 3u];
    let eps = scalars[p.f_off + 4u];
    let step_g = scalars[p.f_off + 5u];
    let step_m = scalars[p.f_off + 6u];
    // A clip factor of 0 stands for a gradient that is not finite: it is dropped, not multiplied.
    let gr = select(grad[b] * coef, $T(0.0), coef == 0.0);
    let m1 = m0 + (gr - m0) * (1.0 - beta1);
    let v1 = beta2 * v0 + (1.0 - beta2) * gr * gr;
    let d = sqrt(v1 / bias2) + $T(eps);
    let w = param[a] * decay;
    param[a] = w - (step_g * gr + step_m * m1) / d;
    grad[b] = $T(0.0);
    return Moments(m1, v1);
}

// To nearest, ties to even; NaN stays NaN. The result stands in the low half.
fn narrow(x: $T) -> $U {
    let bits = bitcast<$U>(x);
    let rounded = (bits + $U(0x7fffu) + ((bits >> $U(16u)) & $U(1u))) >> $U(16u);
    let quiet = (bits >> $U(16u)) | $U(0x40u);
    return select(rounded, quiet, (bits & $U(0x7fffffffu)) > $U(0x7f800000u));
}

//#kernel adam_bf16
// Four elements a turn: every offset, stride and width is a multiple of four, and in that unit.
fn wide(w: vec2<u32>) -> vec4<f32> {
    let low = w << vec2<u32>(16u);
    let high = w & vec2<u32>(0xffff0000u);
    return bitcast<vec4<f32>>(vec4<u32>(low.x, high.x, low.y, high.y));
}

fn packed(x: vec4<f32>) -> vec2<u32> {
    let n = narrow(x);
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
        mw = (mw & 0xffff0000u) | narrow(after.first);
        vw = (vw & 0xffff0000u) | narrow(after.second);
    }
    if e + 1u < end {
        let c = e + 1u - start;
        let after = advance(a + c, b + c, bitcast<f32>(mw & 0xffff0000u), bitcast<f32>(vw & 0xffff0000u));
        mw = (mw & 0x0000ffffu) | (narrow(after.first) << 16u);
        vw = (vw & 0x0000ffffu) | (narrow(after.second) << 16u);
    }
    m[mi] = mw;
    v[vi] = vw;
}

// One NAdam (or AdamW) step with decoupled weight decay, clipping, and a zeroed gradient.
//
// Shapes: param, grad, m, v alike; clip is [norm, coef]; scalars are
// [decay, beta1, beta2, bias2, eps, step_g, step_m]. Per element 17 FLOPs, one root, two
// divisions, 32 bytes (four reads, four writes).

//#kernel adam
// A clip factor of 0 stands for a gradient that is not finite: it is dropped, not multiplied.
@group(0) @binding(1) var<storage, read_write> param: array<$T>;
@group(0) @binding(2) var<storage, read_write> grad: array<$T>;
@group(0) @binding(3) var<storage, read_write> m: array<$T>;
@group(0) @binding(4) var<storage, read_write> v: array<$T>;
@group(0) @binding(5) var<storage, read> clip: array<f32>;
@group(0) @binding(6) var<storage, read> scalars: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let i = linear(g, gs, l);
    if i < p.total {
        let coef = clip[p.e_off + 1u];
        let decay = scalars[p.f_off];
        let beta1 = scalars[p.f_off + 1u];
        let beta2 = scalars[p.f_off + 2u];
        let bias2 = scalars[p.f_off + 3u];
        let eps = scalars[p.f_off + 4u];
        let step_g = scalars[p.f_off + 5u];
        let step_m = scalars[p.f_off + 6u];
        let pi = at(i, p.a_off, p.a_stride);
        let gi = at(i, p.b_off, p.b_stride);
        let mi = at(i, p.c_off, p.c_stride);
        let vi = at(i, p.d_off, p.d_stride);
        let gr = select(grad[gi] * coef, $T(0.0), coef == 0.0);
        let m0 = m[mi];
        let m1 = m0 + (gr - m0) * (1.0 - beta1);
        let v1 = beta2 * v[vi] + (1.0 - beta2) * gr * gr;
        let d = sqrt(v1 / bias2) + $T(eps);
        let w = param[pi] * decay;
        param[pi] = w - (step_g * gr + step_m * m1) / d;
        m[mi] = m1;
        v[vi] = v1;
        grad[gi] = $T(0.0);
    }
}

// Shared head of the kernels of the optimizer's step: one NAdam (or AdamW) step with decoupled weight
// decay, clipping, and a zeroed gradient.
//
// $T is f32 or vec4<f32>. clip is [norm, coef]; scalars are
// [decay, beta1, beta2, bias2, eps, step_g, step_m]. The moments are the kernel's own (bindings 3 and 4).

@group(0) @binding(1) var<storage, read_write> param: array<$T>;
@group(0) @binding(2) var<storage, read_write> grad: array<$T>;
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

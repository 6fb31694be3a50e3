//! Kernels without sums: each element of the output depends on the same element of the inputs.

use half::bf16;

use super::matrix::{Mat, MatMut, over_elements};
use super::real::Real;
use super::vector::fast;

/// dst = value.
pub fn fill<T: Real>(dst: MatMut<'_, T>, value: T) {
    let shape = (dst.rows(), dst.cols());
    over_elements(shape, dst, &|mut dst: MatMut<'_, T>| {
        for r in 0..dst.rows() {
            dst.row(r).fill(value);
        }
    });
}

/// dst = f(dst, a).
fn each2<D: Send, A: Copy + Sync>(dst: MatMut<'_, D>, a: Mat<'_, A>, f: impl Fn(&mut D, A) + Sync) {
    let shape = (dst.rows(), dst.cols());
    over_elements(shape, (dst, a), &|(mut dst, a): (MatMut<'_, D>, Mat<'_, A>)| {
        fast!({
            for r in 0..dst.rows() {
                for (d, &a) in dst.row(r).iter_mut().zip(a.row(r)) {
                    f(d, a);
                }
            }
        });
    });
}

/// dst = f(a, b).
fn each3<T: Real>(dst: MatMut<'_, T>, a: Mat<'_, T>, b: Mat<'_, T>, f: impl Fn(T, T) -> T + Sync) {
    let shape = (dst.rows(), dst.cols());
    over_elements(shape, (dst, a, b), &|(mut dst, a, b): (
        MatMut<'_, T>,
        Mat<'_, T>,
        Mat<'_, T>,
    )| {
        fast!({
            for r in 0..dst.rows() {
                for ((d, &a), &b) in dst.row(r).iter_mut().zip(a.row(r)).zip(b.row(r)) {
                    *d = f(a, b);
                }
            }
        });
    });
}

/// dst = src.
pub fn copy<T: Real>(src: Mat<'_, T>, dst: MatMut<'_, T>) {
    each2(dst, src, |d, s| *d = s);
}

/// dst += src.
pub fn add<T: Real>(src: Mat<'_, T>, dst: MatMut<'_, T>) {
    each2(dst, src, |d, s| *d += s);
}

/// out = silu(gate) * up.
pub fn swiglu<T: Real>(gate: Mat<'_, T>, up: Mat<'_, T>, out: MatMut<'_, T>) {
    each3(out, gate, up, |g, u| g * g.sigmoid() * u);
}

/// dgate = dout * up * silu'(gate), dup = dout * silu(gate).
pub fn swiglu_backward<T: Real>(
    [gate, up, dout]: [Mat<'_, T>; 3],
    [dgate, dup]: [MatMut<'_, T>; 2],
) {
    type Parts<'o, 'i, T> = (MatMut<'o, T>, MatMut<'o, T>, Mat<'i, T>, Mat<'i, T>, Mat<'i, T>);
    let shape = (dgate.rows(), dgate.cols());
    let work = |(mut dgate, mut dup, gate, up, dout): Parts<'_, '_, T>| {
        fast!({
            for r in 0..dgate.rows() {
                let outputs = dgate.row(r).iter_mut().zip(dup.row(r));
                let inputs = gate.row(r).iter().zip(up.row(r)).zip(dout.row(r));
                for ((dgate, dup), ((&gate, &up), &dout)) in outputs.zip(inputs) {
                    let s = gate.sigmoid();
                    *dgate = dout * up * silu_slope(gate, s);
                    *dup = dout * gate * s;
                }
            }
        });
    };
    over_elements(shape, (dgate, dup, gate, up, dout), &work);
}

/// silu'(z) = s (1 + z (1 - s)) with s = sigmoid(z).
#[inline(always)]
fn silu_slope<T: Real>(z: T, s: T) -> T {
    s * (T::one() + z * (T::one() - s))
}

/// y = silu(x).
pub fn silu<T: Real>(x: Mat<'_, T>, y: MatMut<'_, T>) {
    each2(y, x, |y, x| *y = x * x.sigmoid());
}

/// dx = dy * silu'(x).
pub fn silu_backward<T: Real>(x: Mat<'_, T>, dy: Mat<'_, T>, dx: MatMut<'_, T>) {
    each3(dx, x, dy, |x, dy| dy * silu_slope(x, x.sigmoid()));
}

/// y = max(x, 0); NaN stays NaN, so that a broken number is seen and not hidden.
pub fn relu<T: Real>(x: Mat<'_, T>, y: MatMut<'_, T>) {
    let zero = T::zero();
    each2(y, x, |y, x| *y = if x < zero { zero } else { x });
}

/// dx = dy where y > 0, else 0.
pub fn relu_backward<T: Real>(y: Mat<'_, T>, dy: Mat<'_, T>, dx: MatMut<'_, T>) {
    let zero = T::zero();
    each3(dx, y, dy, |y, dy| if y > zero { dy } else { zero });
}

/// dst = src rounded to bfloat16.
pub fn pack<T: Real>(src: Mat<'_, T>, dst: MatMut<'_, bf16>) {
    each2(dst, src, |d, s| *d = s.to_bf16());
}

/// dst = src widened.
pub fn unpack<T: Real>(src: Mat<'_, bf16>, dst: MatMut<'_, T>) {
    each2(dst, src, |d, s: bf16| *d = s.load());
}

/// A moment of the optimizer as it is kept.
pub trait Kept<T>: Copy + Send {
    /// The number.
    fn load(self) -> T;
    /// The number, rounded.
    fn keep(value: T) -> Self;
}

impl<T: Real> Kept<T> for T {
    #[inline(always)]
    fn load(self) -> T {
        self
    }
    #[inline(always)]
    fn keep(value: T) -> Self {
        value
    }
}

impl<T: Real> Kept<T> for bf16 {
    #[inline(always)]
    fn load(self) -> T {
        T::from_f32(f32::from_bits(u32::from(self.to_bits()) << 16))
    }
    #[inline(always)]
    fn keep(value: T) -> Self {
        value.to_bf16()
    }
}

/// One optimizer step; the scalars are those of `Op::Adam`. The weight moves by the moments before
/// they are rounded.
pub fn adam<T: Real, M: Kept<T>>(
    [param, grad]: [MatMut<'_, T>; 2],
    [m, v]: [MatMut<'_, M>; 2],
    clip: T,
    [decay, beta1, beta2, bias2, eps, step_g, step_m]: [T; 7],
) {
    type Parts<'w, 'm, T, M> = (MatMut<'w, T>, MatMut<'w, T>, MatMut<'m, M>, MatMut<'m, M>);
    let one = T::one();
    let shape = (param.rows(), param.cols());
    let work = |(mut param, mut grad, mut m, mut v): Parts<'_, '_, T, M>| {
        fast!({
            for r in 0..param.rows() {
                let weights = param.row(r).iter_mut().zip(grad.row(r));
                let moments = m.row(r).iter_mut().zip(v.row(r));
                for ((p, grad), (m, v)) in weights.zip(moments) {
                    // Also where the gradient is infinite or NaN, which no factor would take away.
                    let g = if clip == T::zero() { T::zero() } else { *grad * clip };
                    let before = m.load();
                    let first = before + (g - before) * (one - beta1);
                    let second = beta2 * v.load() + (one - beta2) * g * g;
                    let d = (second / bias2).sqrt() + eps;
                    *p = *p * decay - step_g * g / d - step_m * first / d;
                    (*m, *v) = (M::keep(first), M::keep(second));
                    *grad = T::zero();
                }
            }
        });
    };
    over_elements(shape, (param, grad, m, v), &work);
}

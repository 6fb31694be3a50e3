//! The two element types of the native backend: f32 for work, f64 for the oracle. What differs
//! between them is here, so that every kernel is written once.

use std::fmt::Debug;
use std::ops::{AddAssign, MulAssign, Neg, SubAssign};

use half::bf16;
use ndarray::LinalgScalar;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A floating-point type that the kernels can be compiled for.
pub trait Real:
    sealed::Sealed
    + LinalgScalar
    + Default
    + PartialOrd
    + Debug
    + Send
    + Sync
    + AddAssign
    + SubAssign
    + MulAssign
    + Neg<Output = Self>
{
    /// Rounds a constant of the kernel set.
    fn from_f64(value: f64) -> Self;
    /// Takes a number of the host.
    fn from_f32(value: f32) -> Self;
    /// Gives a number to the host, rounded to f32.
    fn to_f32(self) -> f32;
    /// Gives a number to the host.
    fn to_f64(self) -> f64;
    /// e to this power. Free of branches in f32, so that loops over it become vector code.
    fn exp(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// Whether neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// Rounds to bfloat16, to nearest, ties to even; NaN stays NaN.
    fn to_bf16(self) -> bf16;

    /// 1 / (1 + exp(-x)).
    #[inline(always)]
    fn sigmoid(self) -> Self {
        Self::one() / (Self::one() + (-self).exp())
    }

    /// The larger of two numbers; the left one if they do not compare.
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        if other > self { other } else { self }
    }
}

impl Real for f32 {
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)]
    fn from_f64(value: f64) -> Self {
        value as f32
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn exp(self) -> Self {
        exp_f32(self)
    }
    #[inline(always)]
    fn ln(self) -> Self {
        self.ln()
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    #[inline(always)]
    fn is_finite(self) -> bool {
        self.is_finite()
    }
    #[inline(always)]
    fn to_bf16(self) -> bf16 {
        let bits = self.to_bits();
        let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
        let quiet = (bits >> 16) | 0x40;
        let word = if bits & 0x7fff_ffff > 0x7f80_0000 { quiet } else { rounded };
        bf16::from_bits((word & 0xffff) as u16)
    }
}

impl Real for f64 {
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        Self::from(value)
    }
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)]
    fn to_f32(self) -> f32 {
        self as f32
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn exp(self) -> Self {
        self.exp()
    }
    #[inline(always)]
    fn ln(self) -> Self {
        self.ln()
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    #[inline(always)]
    fn is_finite(self) -> bool {
        self.is_finite()
    }
    #[inline(always)]
    fn to_bf16(self) -> bf16 {
        bf16::from_f64(self)
    }
}

/// e^x to about one unit in the last place, from plain arithmetic only.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2; e^r is a polynomial of degree 7 and 2^n is put together
/// from bits. Saturates outside \[-87, 88\]: softmax and silu do not tell 1e-38 from 0, and an
/// infinite sigmoid denominator is as good as 1e38. NaN stays NaN.
#[inline(always)]
fn exp_f32(x: f32) -> f32 {
    /// Adding 1.5 * 2^23 rounds to a whole number, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts; a product of the first with |n| <= 127 is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = if x > 88.0 { 88.0 } else { x };
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let mut p = 1.984_126_9e-4;
    for c in [1.388_888_9e-3, 8.333_333e-3, 4.166_666_7e-2, 1.666_666_7e-1, 0.5] {
        p = p * r + c;
    }
    let y = (p * r) * r + r + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    y * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        let mut worst = 0.0_f64;
        for i in -870_000..=880_000 {
            let x = i as f32 * 1e-4;
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(exp_f32(x)) - exact).abs() / exact);
        }
        assert!(worst < 2.0e-7, "relative error {worst:e}");
        assert_eq!(exp_f32(0.0), 1.0);
    }

    #[test]
    fn exp_saturates_and_keeps_nan() {
        assert!(exp_f32(f32::NEG_INFINITY) < 2e-38);
        assert!(exp_f32(f32::INFINITY) > 1e38);
        assert!(exp_f32(f32::INFINITY).is_finite());
        assert!(exp_f32(f32::NAN).is_nan());
    }

    #[test]
    fn bf16_rounds_to_nearest_even_and_keeps_nan() {
        for bits in (0..=u32::MAX).step_by(65_521) {
            let x = f32::from_bits(bits);
            let (ours, reference) = (Real::to_bf16(x), bf16::from_f32(x));
            assert_eq!(ours.is_nan(), x.is_nan());
            if !x.is_nan() {
                assert_eq!(ours.to_bits(), reference.to_bits(), "{bits:#x}");
            }
        }
        assert_eq!(Real::to_bf16(1.003_906_3_f32).to_f32(), 1.0);
        assert_eq!(Real::to_bf16(1.011_718_8_f32).to_f32(), 1.015_625);
    }
}

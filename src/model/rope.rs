//! Rotary position embedding: frequencies and tables (spec 8.4).

use super::config::{LlamaConfig, RopeScaling};

/// The base after the context-length rule: scaled by context / original context if they differ.
pub fn effective_base(config: &LlamaConfig) -> f64 {
    if config.orig_context_length == config.context_length {
        return config.rope_base;
    }
    #[allow(clippy::cast_precision_loss)]
    let ratio = config.context_length as f64 / config.orig_context_length as f64;
    config.rope_base * ratio
}

/// inv_freq\[i\] = base^(-2i / head_dim), stretched if the configuration asks for it. Every operation
/// is rounded to f32, as the reference does it: one unit in the last place of a frequency is a
/// visible angle at position 8,000.
pub fn inverse_frequencies(config: &LlamaConfig) -> Vec<f32> {
    let base = effective_base(config);
    let head_dim = config.head_dim();
    let frequency = |i: usize| {
        #[allow(clippy::cast_precision_loss)]
        let exponent = (2 * i) as f32 / head_dim as f32;
        #[allow(clippy::cast_possible_truncation)]
        let plain = 1.0 / base.powf(f64::from(exponent)) as f32;
        config.rope_scaling.map_or(plain, |scaling| stretched(plain, scaling))
    };
    (0..head_dim / 2).map(frequency).collect()
}

/// Slow frequencies divided by the factor, fast ones as they are, a straight blend between.
fn stretched(plain: f32, scaling: RopeScaling) -> f32 {
    #[allow(clippy::cast_possible_truncation)]
    let [factor, low, high] =
        [scaling.factor, scaling.low_freq_factor, scaling.high_freq_factor].map(|x| x as f32);
    #[allow(clippy::cast_precision_loss)]
    let context = scaling.original_context_length as f32;
    let wavelength = std::f32::consts::TAU / plain;
    let slow = plain / factor;
    if wavelength > context / low {
        slow
    } else if wavelength < context / high {
        plain
    } else {
        let blend = (context / wavelength - low) / (high - low);
        (1.0 - blend) * slow + blend * plain
    }
}

/// The table of [`Op::Rope`](crate::compute::Op::Rope): `positions` rows of `head_dim` columns, the
/// cosines of position * inv_freq (an f32 product) and then the sines.
pub fn table(inv_freq: &[f32], positions: usize) -> Vec<f32> {
    let mut table = Vec::with_capacity(positions * inv_freq.len() * 2);
    for position in 0..positions {
        #[allow(clippy::cast_precision_loss)]
        let angle = |inv: &f32| f64::from(position as f32 * inv);
        #[allow(clippy::cast_possible_truncation)]
        table.extend(inv_freq.iter().map(|inv| angle(inv).cos() as f32));
        #[allow(clippy::cast_possible_truncation)]
        table.extend(inv_freq.iter().map(|inv| angle(inv).sin() as f32));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::config::tests::tiny;
    use super::*;

    #[test]
    fn the_table_holds_cosines_then_sines_of_every_position() {
        let table = table(&[1.0, 0.5], 3);
        assert_eq!(table.len(), 12);
        assert_eq!(table[..4], [1.0, 1.0, 0.0, 0.0]);
        let row = [2.0_f64.cos(), 1.0_f64.cos(), 2.0_f64.sin(), 1.0_f64.sin()];
        for (have, want) in table[8..].iter().zip(row) {
            assert!((f64::from(*have) - want).abs() < 1e-7);
        }
    }

    #[test]
    fn the_base_follows_the_ratio_of_the_contexts() {
        let scaled = LlamaConfig {
            context_length: 8192,
            orig_context_length: 131_072,
            rope_base: 500_000.0,
            ..tiny()
        };
        assert!((effective_base(&scaled) - 31_250.0).abs() < 1e-9);
        assert!((effective_base(&tiny()) - 10_000.0).abs() < 1e-9);
    }
}

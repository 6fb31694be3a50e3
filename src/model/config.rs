//! The shape of the whole model, checked once (spec 8.1, 8.3, 8.4). Everything below it may rely on
//! a [`LlamaConfig`] being possible to build.

use std::collections::BTreeMap;

use crate::protocol::messages::ModelConfig;

/// How rotary frequencies are stretched for long contexts (spec 8.4).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RopeScaling {
    /// Divisor of the slow frequencies.
    pub factor: f64,
    /// Wavelengths above `original_context_length / low_freq_factor` are slow.
    pub low_freq_factor: f64,
    /// Wavelengths below `original_context_length / high_freq_factor` stay as they are.
    pub high_freq_factor: f64,
    /// Positions that the frequencies were first made for.
    pub original_context_length: usize,
}

/// Sizes of the model that a run trains. Made by [`LlamaConfig::checked`].
#[derive(Clone, Debug, PartialEq)]
pub struct LlamaConfig {
    /// Tokens of the vocabulary.
    pub vocab_size: usize,
    /// Positions that the rotary tables are made for.
    pub context_length: usize,
    /// If it differs from `context_length`, the rotary base is scaled by their ratio (spec 8.4).
    pub orig_context_length: usize,
    /// Width of the residual stream inside a stage.
    pub emb_dim: usize,
    /// Width of what crosses from stage to stage; `None` sends the whole residual stream.
    pub bottleneck_dim: Option<usize>,
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads.
    pub n_kv_groups: usize,
    /// Blocks of the whole model.
    pub n_layers: usize,
    /// Width of the feed-forward part.
    pub hidden_dim: usize,
    /// Rotary base.
    pub rope_base: f64,
    /// Stretching of the rotary frequencies.
    pub rope_scaling: Option<RopeScaling>,
}

/// A model configuration that no stage can be built from.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A size is outside what makes sense.
    #[error("the run's model has {field} = {value}: it must be {must}; this run cannot be joined")]
    Field {
        /// The field's name on the wire.
        field: &'static str,
        /// Its value.
        value: String,
        /// What would be right.
        must: String,
    },
    /// A size that the model cannot do without was not sent.
    #[error("the run's model has no {field}; this run cannot be joined")]
    Missing {
        /// The field's name on the wire.
        field: &'static str,
    },
}

impl TryFrom<&ModelConfig> for LlamaConfig {
    type Error = ConfigError;

    /// The model that a registration's `model_cfg` describes. An absent `orig_context_length` is the
    /// context length itself.
    fn try_from(wire: &ModelConfig) -> Result<Self, ConfigError> {
        let there = |field, value: Option<usize>| value.ok_or(ConfigError::Missing { field });
        let context_length = there("context_length", wire.context_length)?;
        Self {
            vocab_size: there("vocab_size", wire.vocab_size)?,
            context_length,
            orig_context_length: wire.orig_context_length.unwrap_or(context_length),
            emb_dim: there("emb_dim", wire.emb_dim)?,
            bottleneck_dim: wire.bottleneck_dim,
            n_heads: there("n_heads", wire.n_heads)?,
            n_kv_groups: there("n_kv_groups", wire.n_kv_groups)?,
            n_layers: there("n_layers", wire.n_layers)?,
            hidden_dim: there("hidden_dim", wire.hidden_dim)?,
            rope_base: wire.rope_base.ok_or(ConfigError::Missing { field: "rope_base" })?,
            rope_scaling: wire.rope_freq.as_ref().map(scaling).transpose()?,
        }
        .checked()
    }
}

fn scaling(wire: &BTreeMap<String, f64>) -> Result<RopeScaling, ConfigError> {
    let factor = |name: &str, field| wire.get(name).copied().ok_or(ConfigError::Missing { field });
    let field = "rope_freq.original_context_length";
    let context = factor("original_context_length", field)?;
    if context.fract() != 0.0 || !(1.0..=1e9).contains(&context) {
        return Err(refuse(field, context, "a whole number of positions"));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let original_context_length = context as usize;
    Ok(RopeScaling {
        factor: factor("factor", "rope_freq.factor")?,
        low_freq_factor: factor("low_freq_factor", "rope_freq.low_freq_factor")?,
        high_freq_factor: factor("high_freq_factor", "rope_freq.high_freq_factor")?,
        original_context_length,
    })
}

fn refuse(field: &'static str, value: impl ToString, must: impl ToString) -> ConfigError {
    ConfigError::Field { field, value: value.to_string(), must: must.to_string() }
}

impl LlamaConfig {
    /// The same configuration, if every size of it is possible.
    ///
    /// # Errors
    /// [`ConfigError::Field`] names the first field that is wrong.
    pub fn checked(self) -> Result<Self, ConfigError> {
        for (field, value, most) in [
            ("vocab_size", self.vocab_size, 1 << 24),
            ("context_length", self.context_length, 1 << 24),
            ("orig_context_length", self.orig_context_length, 1 << 24),
            ("emb_dim", self.emb_dim, 1 << 17),
            ("n_heads", self.n_heads, 1 << 12),
            ("n_kv_groups", self.n_kv_groups, 1 << 12),
            ("n_layers", self.n_layers, 1 << 12),
            ("hidden_dim", self.hidden_dim, 1 << 20),
        ] {
            if value == 0 || value > most {
                return Err(refuse(field, value, format!("between 1 and {most}")));
            }
        }
        if !self.emb_dim.is_multiple_of(self.n_heads) {
            let must = format!("a multiple of n_heads ({})", self.n_heads);
            return Err(refuse("emb_dim", self.emb_dim, must));
        }
        if !self.head_dim().is_multiple_of(2) {
            let must = format!("an even multiple of n_heads ({}), for rotation", self.n_heads);
            return Err(refuse("emb_dim", self.emb_dim, must));
        }
        if !self.n_heads.is_multiple_of(self.n_kv_groups) {
            let must = format!("a divisor of n_heads ({})", self.n_heads);
            return Err(refuse("n_kv_groups", self.n_kv_groups, must));
        }
        if let Some(narrow) = self.bottleneck_dim.filter(|d| *d == 0 || *d >= self.emb_dim) {
            let must = format!("at least 1 and below emb_dim ({})", self.emb_dim);
            return Err(refuse("bottleneck_dim", narrow, must));
        }
        self.check_rope()?;
        Ok(self)
    }

    fn check_rope(&self) -> Result<(), ConfigError> {
        if !(self.rope_base.is_finite() && self.rope_base > 0.0) {
            return Err(refuse("rope_base", self.rope_base, "a positive number"));
        }
        let Some(scaling) = &self.rope_scaling else { return Ok(()) };
        for (field, value) in [
            ("rope_freq.factor", scaling.factor),
            ("rope_freq.low_freq_factor", scaling.low_freq_factor),
            ("rope_freq.high_freq_factor", scaling.high_freq_factor),
        ] {
            if !(value.is_finite() && value > 0.0) {
                return Err(refuse(field, value, "a positive number"));
            }
        }
        if scaling.high_freq_factor <= scaling.low_freq_factor {
            let must = format!("above low_freq_factor ({})", scaling.low_freq_factor);
            return Err(refuse("rope_freq.high_freq_factor", scaling.high_freq_factor, must));
        }
        if scaling.original_context_length == 0 {
            return Err(refuse("rope_freq.original_context_length", 0, "at least 1"));
        }
        Ok(())
    }

    /// Columns of an attention head.
    pub fn head_dim(&self) -> usize {
        self.emb_dim / self.n_heads
    }

    /// Columns of the keys (and of the values) of all groups.
    pub fn kv_dim(&self) -> usize {
        self.n_kv_groups * self.head_dim()
    }

    /// Width D of what crosses a stage boundary: the bottleneck, or the whole residual stream.
    pub fn boundary_dim(&self) -> usize {
        self.bottleneck_dim.unwrap_or(self.emb_dim)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The tiny model of the test vectors.
    pub(crate) fn tiny() -> LlamaConfig {
        LlamaConfig {
            vocab_size: 16,
            context_length: 8,
            orig_context_length: 8,
            emb_dim: 8,
            bottleneck_dim: Some(4),
            n_heads: 2,
            n_kv_groups: 1,
            n_layers: 6,
            hidden_dim: 12,
            rope_base: 10_000.0,
            rope_scaling: None,
        }
    }

    #[test]
    fn an_impossible_size_is_refused_by_name() {
        let scaling = RopeScaling {
            factor: 32.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_context_length: 8192,
        };
        assert_eq!(tiny().checked(), Ok(tiny()));
        let cases: [(&str, LlamaConfig); 10] = [
            ("vocab_size", LlamaConfig { vocab_size: 0, ..tiny() }),
            ("emb_dim", LlamaConfig { emb_dim: 9, ..tiny() }),
            ("emb_dim", LlamaConfig { emb_dim: 6, ..tiny() }),
            ("n_kv_groups", LlamaConfig { n_kv_groups: 3, ..tiny() }),
            ("n_layers", LlamaConfig { n_layers: 0, ..tiny() }),
            ("hidden_dim", LlamaConfig { hidden_dim: usize::MAX, ..tiny() }),
            ("bottleneck_dim", LlamaConfig { bottleneck_dim: Some(8), ..tiny() }),
            ("bottleneck_dim", LlamaConfig { bottleneck_dim: Some(0), ..tiny() }),
            ("rope_base", LlamaConfig { rope_base: f64::NAN, ..tiny() }),
            (
                "rope_freq.high_freq_factor",
                LlamaConfig {
                    rope_scaling: Some(RopeScaling { high_freq_factor: 1.0, ..scaling }),
                    ..tiny()
                },
            ),
        ];
        for (name, config) in cases {
            match config.checked() {
                Err(ConfigError::Field { field, .. }) => assert_eq!(field, name),
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[test]
    fn the_wires_configuration_is_taken_over_and_missing_fields_are_named() {
        let wire = |json: &str| serde_json::from_str::<ModelConfig>(json).unwrap();
        let full = r#"{"vocab_size":16,"context_length":8,"orig_context_length":16,"emb_dim":8,
            "bottleneck_dim":4,"n_heads":2,"n_layers":6,"hidden_dim":12,"n_kv_groups":1,
            "rope_base":10000.0,"rope_freq":{"factor":32.0,"low_freq_factor":1.0,
            "high_freq_factor":4.0,"original_context_length":8192}}"#;
        let config = LlamaConfig::try_from(&wire(full)).unwrap();
        let expected = RopeScaling {
            factor: 32.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_context_length: 8192,
        };
        let stretched = Some(expected);
        assert_eq!(
            config,
            LlamaConfig { orig_context_length: 16, rope_scaling: stretched, ..tiny() }
        );
        let missing = LlamaConfig::try_from(&wire(r#"{"vocab_size":16,"context_length":8}"#));
        assert_eq!(missing, Err(ConfigError::Missing { field: "emb_dim" }));
        let broken = wire(&full.replace("8192", "0.5"));
        assert!(matches!(LlamaConfig::try_from(&broken), Err(ConfigError::Field { .. })));
    }
}

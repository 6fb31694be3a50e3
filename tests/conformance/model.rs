//! The Llama stage against the shared vectors: rotary tables, parameter counts and names, forward and
//! backward of a tiny model in three stages.

use hearth::compute::Device;
use hearth::model::parameters::{Training, count, parameters};
use hearth::model::{
    Boundary, LlamaConfig, MomentPrecision, OptimizerKind, Parameter, ParameterKind, Purpose,
    RopeScaling, Stage, StageGradient, StageInput, StageSpec, rope,
};
use hearth::protocol::messages::ModelConfig;
use hearth::protocol::splits::Split;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::numbers::{Tolerance, devices, flat, near, near_one, tokens};
use crate::vector::{Check, Json, PROSE, same};

pub const CHECKS: &[(&str, Check)] = &[
    ("rope", rotary_tables),
    ("param_counts", parameter_counts),
    ("init_seed42_torch_cpu", first_weights),
    ("model_tiny_forward_backward", tiny_model),
];

/// The file is f32, printed with nine digits.
const MODEL: Tolerance = Tolerance { relative: 2e-5, absolute: 3e-8 };

fn rotary_tables(file: &Json) {
    let names: Vec<&str> =
        file.get("vectors").items().iter().map(|v| v.get("name").str()).collect();
    assert_eq!(names, ["1B", "8B", "45B", "tiny"]);
    let vectors: Vec<Value> = file.get("vectors").items().iter().map(rotary_table).collect();
    same(file, &json!({"note": PROSE, "vectors": vectors}));
}

fn rotary_table(vector: &Json) -> Value {
    let scaling = vector.get("freq_config");
    let scaling = (!scaling.is_null()).then(|| RopeScaling {
        factor: scaling.get("factor").f64(),
        low_freq_factor: scaling.get("low_freq_factor").f64(),
        high_freq_factor: scaling.get("high_freq_factor").f64(),
        original_context_length: scaling.get("original_context_length").usize(),
    });
    let config = LlamaConfig {
        context_length: vector.get("context_length").usize(),
        orig_context_length: vector.get("orig_context_length").usize(),
        emb_dim: vector.get("head_dim").usize(),
        n_heads: 1,
        n_kv_groups: 1,
        bottleneck_dim: None,
        rope_base: vector.get("rope_base_cfg").f64(),
        rope_scaling: scaling,
        ..real("1B")
    };
    let inv_freq = rope::inverse_frequencies(&config);
    let (half, context) = (inv_freq.len(), config.context_length);
    let table = rope::table(&inv_freq, context);
    let close = Tolerance { relative: 0.0, absolute: 1e-6 };
    let rows = |name: &str, from: usize| {
        let listed = vector.get(name).members().iter();
        let positions: Vec<usize> = listed.clone().map(|(p, _)| p.parse().unwrap()).collect();
        let want = if context < 800 { vec![0, 1, 7] } else { vec![0, 1, 799, 8191] };
        assert_eq!(positions, want, "positions of {name}");
        let row = |(position, file): &(String, Json)| {
            let start = position.parse::<usize>().unwrap() * 2 * half + from;
            let ours = &table[start..start + half.min(4)];
            let ours: Vec<f64> = ours.iter().map(|x| f64::from(*x)).collect();
            (position.clone(), near(file, &ours, close))
        };
        Value::Object(listed.map(row).collect())
    };
    let freq_config = scaling.map(|s| {
        json!({
            "factor": s.factor,
            "low_freq_factor": s.low_freq_factor,
            "high_freq_factor": s.high_freq_factor,
            "original_context_length": s.original_context_length,
        })
    });
    let frequencies: Vec<f64> = inv_freq.iter().map(|x| f64::from(*x)).collect();
    let close = Tolerance { relative: 1e-6, absolute: 0.0 };
    json!({
        "name": vector.get("name").str(),
        "head_dim": 2 * half,
        "rope_base_cfg": config.rope_base,
        "context_length": config.context_length,
        "orig_context_length": config.orig_context_length,
        "rope_base_effective": rope::effective_base(&config),
        "freq_config": freq_config,
        "inv_freq": near(vector.get("inv_freq"), &frequencies, close),
        "cos": rows("cos", 0),
        "sin": rows("sin", half),
    })
}

/// The configurations of spec 8.1 that the file counts.
fn real(name: &str) -> LlamaConfig {
    let (emb_dim, bottleneck, n_heads, n_layers, hidden_dim) = match name {
        "100M" => (512, 128, 32, 6, 512),
        "1B" => (2048, 32, 32, 16, 8192),
        "15B" => (5120, 80, 40, 50, 13824),
        "45B" => (7168, 112, 56, 66, 25088),
        "100B" => (9216, 144, 72, 90, 32256),
        other => panic!("no model is called {other:?}"),
    };
    LlamaConfig {
        vocab_size: 128_256,
        context_length: 8192,
        orig_context_length: 131_072,
        emb_dim,
        bottleneck_dim: Some(bottleneck),
        n_heads,
        n_kv_groups: 8,
        n_layers,
        hidden_dim,
        rope_base: 500_000.0,
        rope_scaling: None,
    }
    .checked()
    .unwrap()
}

fn tiny() -> LlamaConfig {
    LlamaConfig {
        vocab_size: 16,
        context_length: 8,
        orig_context_length: 8,
        emb_dim: 8,
        bottleneck_dim: Some(4),
        n_heads: 2,
        n_layers: 6,
        hidden_dim: 12,
        n_kv_groups: 1,
        rope_base: 10_000.0,
        rope_scaling: None,
    }
}

/// The boundaries that spec 8.1 gives for a model, from its inner ones.
fn stages(inner: &[usize]) -> Vec<Split> {
    let starts = std::iter::once(None).chain(inner.iter().copied().map(Some));
    let ends = inner.iter().copied().map(Some).chain(std::iter::once(None));
    starts.zip(ends).map(|(start, end)| Split { start, end }).collect()
}

fn counts(config: &LlamaConfig, splits: &[Split]) -> Vec<usize> {
    splits.iter().map(|split| count(&parameters(config, *split))).collect()
}

fn parameter_counts(file: &Json) {
    let by_fours = |last| (3..=last).step_by(4).collect::<Vec<usize>>();
    let models: [(&str, Vec<usize>); 5] = [
        ("100M", vec![3]),
        ("1B", vec![4, 12]),
        ("15B", vec![8, 19, 30, 41]),
        ("45B", by_fours(63)),
        ("100B", by_fours(87)),
    ];
    let real = models.into_iter().map(|(name, inner)| {
        let splits = stages(&inner);
        let counts = counts(&real(name), &splits);
        let sum: usize = counts.iter().sum();
        let entry = json!({"model_splits": splits, "params_per_stage": counts, "sum": sum});
        (name.to_owned(), entry)
    });
    let splits = stages(&[2, 4]);
    let tiny = json!({"splits": splits, "params_per_stage": counts(&tiny(), &splits)});
    same(file, &json!({"tiny": tiny, "real": Value::Object(real.collect())}));
}

/// The numbers need the reference's own generator: names, shapes and what is drawn from no generator
/// are checked, and that the others are what bf16 can hold.
fn first_weights(file: &Json) {
    let config = LlamaConfig {
        vocab_size: 32,
        emb_dim: 16,
        n_heads: 4,
        n_kv_groups: 2,
        hidden_dim: 24,
        ..tiny()
    };
    let mut expected = Vec::new();
    let stages_of_file = file.get("stages").items();
    for (layer, split) in stages(&[2, 4]).into_iter().enumerate() {
        let list = parameters(&config, split);
        let of_file = stages_of_file[layer].get("params").items();
        assert_eq!(of_file.len(), list.len(), "parameters of stage {layer}");
        let params: Vec<Value> =
            list.iter().zip(of_file).map(|(p, file)| first_weight(p, file)).collect();
        expected.push(json!({"layer": layer, "split": split, "params": params}));
    }
    let cfg = echo_config(&config, "bfloat16");
    same(file, &json!({"note": PROSE, "cfg": cfg, "stages": expected}));
}

fn first_weight(parameter: &Parameter, file: &Json) -> Value {
    let shown = parameter.count().min(8);
    let (first, hash) = if parameter.kind == ParameterKind::Norm {
        let ones: Vec<u8> = [0x80, 0x3f].repeat(parameter.count());
        (vec![1.0; shown], hex::encode(Sha256::digest(ones)))
    } else {
        let first = flat(file.get("first8_f32"));
        let is_bf16 = |x: &f64| f64::from(half::bf16::from_f64(*x)) == *x && x.abs() < 0.2;
        assert!(first.iter().all(is_bf16), "{}: {first:?}", parameter.name);
        assert!(first.windows(2).any(|two| two[0] != two[1]), "{}: no noise", parameter.name);
        let hash = file.get("sha256_bf16_le");
        assert_eq!(hash.hex().len(), 32);
        assert_eq!(hash.str(), hash.str().to_lowercase());
        (first, hash.str().to_owned())
    };
    assert_eq!(first.len(), shown, "{}", parameter.name);
    json!({
        "name": parameter.name,
        "shape": parameter.shape(),
        "first8_f32": first,
        "sha256_bf16_le": hash,
    })
}

fn echo_config(config: &LlamaConfig, dtype: &str) -> Value {
    json!({
        "vocab_size": config.vocab_size,
        "context_length": config.context_length,
        "orig_context_length": config.orig_context_length,
        "emb_dim": config.emb_dim,
        "bottleneck_dim": config.bottleneck_dim,
        "quantize_activations": false,
        "n_heads": config.n_heads,
        "n_layers": config.n_layers,
        "hidden_dim": config.hidden_dim,
        "n_kv_groups": config.n_kv_groups,
        "rope_base": config.rope_base,
        "dtype": dtype,
        "rope_freq": null,
    })
}

fn tiny_model(file: &Json) {
    let config = LlamaConfig::try_from(&file.get("cfg").value::<ModelConfig>()).unwrap();
    assert_eq!(config, tiny());
    let splits = stages(&[2, 4]);
    for device in devices() {
        let run = TinyRun::on(device.as_ref(), file, &config, &splits);
        same(file, &run.expected(file, &config, &splits));
    }
}

/// One activation of the tiny model there and back, in the file's own words.
struct TinyRun {
    activations: Vec<Vec<f64>>,
    input_gradients: Vec<Vec<f64>>,
    gradients: Vec<Vec<f64>>,
    logits: Vec<f64>,
    loss: f64,
}

impl TinyRun {
    fn on(device: &dyn Device, file: &Json, config: &LlamaConfig, splits: &[Split]) -> Self {
        let tokens = tokens(file.get("tokens"));
        let specs: Vec<StageSpec> = (0..3).map(|i| spec(config, splits, i)).collect();
        let mut stages: Vec<Stage> =
            specs.iter().map(|spec| filled(device, spec, Purpose::Training, file)).collect();
        let mut first = vec![0.0; 64];
        stages[0].forward_exact(StageInput::Tokens(&tokens), &mut first).unwrap();
        let mut second = vec![0.0; 64];
        stages[1].forward_exact(StageInput::Exact(&first), &mut second).unwrap();

        let (mut into_third, mut into_second, mut unused) = (Vec::new(), Vec::new(), Vec::new());
        let targets = StageGradient::Targets(&tokens);
        let report =
            stages[2].backward_exact(StageInput::Exact(&second), targets, &mut into_third).unwrap();
        let gradient = StageGradient::Exact(&into_third);
        stages[1].backward_exact(StageInput::Exact(&first), gradient, &mut into_second).unwrap();
        let gradient = StageGradient::Exact(&into_second);
        stages[0].backward_exact(StageInput::Tokens(&tokens), gradient, &mut unused).unwrap();

        let mut logits = Vec::new();
        let mut tail = filled(device, &specs[2], Purpose::Inference, file);
        tail.logits(StageInput::Exact(&second), 0..16, &mut logits).unwrap();
        let gradients = stages.iter_mut().map(|stage| {
            let mut all = vec![0.0; stage.param_count()];
            stage.read_gradients(0..all.len(), &mut all).unwrap();
            all
        });
        Self {
            gradients: gradients.collect(),
            activations: vec![first, second],
            input_gradients: vec![into_second, into_third],
            logits: logits.into_iter().map(f64::from).collect(),
            loss: report.loss.unwrap(),
        }
    }

    fn expected(&self, file: &Json, config: &LlamaConfig, splits: &[Split]) -> Value {
        let list = |name: &str, ours: &[f64]| near(file.get(name), ours, MODEL);
        let layout = splits.iter().map(|split| {
            let of = |p: Parameter| json!({"name": p.name, "shape": p.shape()});
            parameters(config, *split).into_iter().map(of).collect::<Vec<_>>()
        });
        let fill = file.get("fill");
        let constant = |name: &str| fill.get(name).f64();
        let tokens: Vec<Vec<u64>> = file.get("tokens").value();
        assert_eq!(fill.members().len(), 5);
        json!({
            "note": PROSE,
            "fill": {
                "amplitude": constant("amplitude"),
                "i": constant("i"),
                "k": constant("k"),
                "phase": constant("phase"),
                "norm_offset": constant("norm_offset"),
            },
            "cfg": echo_config(config, "float32"),
            "model_splits": splits,
            "layout": layout.collect::<Vec<_>>(),
            "tokens": tokens,
            "stage0_out": list("stage0_out", &self.activations[0]),
            "stage1_out": list("stage1_out", &self.activations[1]),
            "logits_row0_pos0": list("logits_row0_pos0", &self.logits[..16]),
            "logits_row1_pos6": list("logits_row1_pos6", &self.logits[14 * 16..15 * 16]),
            "loss": near_one(file.get("loss"), self.loss, MODEL),
            "stage2_input_grad": list("stage2_input_grad", &self.input_gradients[1]),
            "stage1_input_grad": list("stage1_input_grad", &self.input_gradients[0]),
            "param_grads": self.parameter_gradients(file, config, splits),
            "shape": {"stage0_out": [2, 8, 4], "stage1_out": [2, 8, 4], "logits": [2, 8, 16]},
        })
    }

    /// Name, first four elements and norm of every gradient; null for what is never trained.
    fn parameter_gradients(&self, file: &Json, config: &LlamaConfig, splits: &[Split]) -> Value {
        let of_file = file.get("param_grads").items();
        let stages = splits.iter().zip(&self.gradients).enumerate().map(|(stage, (split, all))| {
            let mut start = 0;
            let list = parameters(config, *split).into_iter().zip(of_file[stage].items());
            let entries = list.map(|(parameter, file)| {
                let ours = &all[start..start + parameter.count()];
                start += parameter.count();
                if parameter.training == Training::Untouched {
                    assert!(ours.iter().all(|g| *g == 0.0));
                    return json!({"name": parameter.name, "grad": null, "grad_l2": null});
                }
                let norm = ours.iter().map(|g| g * g).sum::<f64>().sqrt();
                json!({
                    "name": parameter.name,
                    "grad": near(file.get("grad"), &ours[..4], MODEL),
                    "grad_l2": near_one(file.get("grad_l2"), norm, MODEL),
                })
            });
            entries.collect::<Vec<_>>()
        });
        json!(stages.collect::<Vec<_>>())
    }
}

fn spec(config: &LlamaConfig, splits: &[Split], stage: usize) -> StageSpec {
    StageSpec {
        config: config.clone(),
        split: splits[stage],
        stage,
        stages: splits.len(),
        batch: 2,
        local_batch: 2,
        seq: 8,
        optimizer: OptimizerKind::NAdam,
        moments: MomentPrecision::F32,
        grad_clip_norm: 1.0,
        total_global_params: 3432,
    }
}

/// A stage whose weights follow the file's formula.
fn filled(device: &dyn Device, spec: &StageSpec, purpose: Purpose, file: &Json) -> Stage {
    let constant = |name: &str| file.get("fill").get(name).f64();
    let mut stage = Stage::build(device, spec.plan_for(purpose, Boundary::Exact).unwrap()).unwrap();
    let mut weights = Vec::new();
    for (k, parameter) in spec.parameters().into_iter().enumerate() {
        let offset = if parameter.name.contains("norm") { constant("norm_offset") } else { 0.0 };
        weights.extend((0..parameter.count()).map(|i| {
            let angle = constant("i") * i as f64 + constant("k") * k as f64 + constant("phase");
            (constant("amplitude") * angle.sin()) as f32 + offset as f32
        }));
    }
    stage.write_weights(0..weights.len(), &weights).unwrap();
    stage
}

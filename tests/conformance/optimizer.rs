//! Loss and inner optimizer against the shared vectors: the kernels on every device, and, for bf16
//! states, the reference's order of roundings with the product's scalars.

use half::bf16;
use hearth::compute::{Data, DataMut, Device, Element, Layout, Op, Program, Role, SlotId, View};
use hearth::model::OptimizerKind;
use hearth::model::optimizer::{
    BETA2, EPSILON, MOMENTUM_DECAY, Optimizer, WEIGHT_DECAY, nadam_beta1,
};
use hearth::model::targets::{NO_TARGET, Packing, next_tokens};
use serde_json::{Value, json};

use crate::numbers::{Tolerance, devices, echo, flat, near_one, tokens, within};
use crate::vector::{Check, Json, PROSE, same};

pub const CHECKS: &[(&str, Check)] = &[("optimizer", traces), ("loss", losses)];

const F32: Tolerance = Tolerance { relative: 1e-6, absolute: 0.0 };

fn losses(file: &Json) {
    let (rows, vocab) = (10, 7);
    let logits: Vec<f64> = flat(file.get("logits"));
    let tokens = tokens(file.get("targets"));
    assert_eq!((logits.len(), tokens.len()), (rows * vocab, rows));
    let pad = u32::try_from(file.get("pad_token_id").u64()).unwrap();
    let mut shifted = vec![0; rows];
    for device in devices() {
        let mut mean = |packing| {
            let counted = next_tokens(&tokens, 5, packing, &mut shifted);
            cross_entropy(device.as_ref(), &logits, &shifted) / counted as f64
        };
        let (packed, padded) = (mean(Packing::Packed), mean(Packing::Padded(pad)));
        // Of each row all but the last position, in the reference's number for "ignored".
        let labels: Vec<Vec<i64>> = shifted
            .chunks(5)
            .map(|row| row[..4].iter().map(|t| ignored_or(*t)).collect())
            .collect();
        let expected = json!({
            "logits": echo(file.get("logits")),
            "targets": file.get("targets").value::<Vec<Vec<u32>>>(),
            "pad_token_id": pad,
            "loss_pack_true": near_one(file.get("loss_pack_true"), packed, F32),
            "loss_pack_false": near_one(file.get("loss_pack_false"), padded, F32),
            "shift_labels_after_mask_pack_false": labels,
            "note": PROSE,
        });
        same(file, &expected);
    }
}

fn ignored_or(target: u32) -> i64 {
    if target == NO_TARGET { -100 } else { i64::from(target) }
}

/// Sum of the rows' losses.
fn cross_entropy(device: &dyn Device, logits: &[f64], targets: &[u32]) -> f64 {
    let rows = targets.len();
    let mut layout = Layout::default();
    let scores = layout.add("logits", Element::Real, logits.len(), Role::Scratch);
    let wanted = layout.add("targets", Element::Index, rows, Role::Wire);
    let each = layout.add("losses", Element::Real, rows, Role::Scratch);
    let sum = layout.add("sum", Element::Real, 1, Role::Constant);
    let losses = View::matrix(each, rows, 1);
    let ops = vec![
        Op::CrossEntropy {
            logits: View::matrix(scores, rows, logits.len() / rows),
            targets: View::matrix(wanted, rows, 1),
            losses,
            scale: 1.0,
        },
        Op::Sum { src: losses, dst: View::vector(sum, 1), scale: 1.0 },
    ];
    let program = Program { name: "loss".to_owned(), ops };
    let mut executor = device.build(&layout, &[program]).unwrap();
    executor.write(scores, 0, Data::Wide(logits)).unwrap();
    executor.write(wanted, 0, Data::Index(targets)).unwrap();
    executor.run(0).unwrap();
    let mut out = [0.0];
    executor.read(sum, 0, DataMut::Wide(&mut out)).unwrap();
    out[0]
}

fn traces(file: &Json) {
    let examples = file.get("stage_beta1_examples").items().iter().map(|example| {
        let (stages, stage) = (example.get("n_splits").usize(), example.get("layer").usize());
        let beta1 = nadam_beta1(stage, stages);
        let close = Tolerance { relative: 1e-15, absolute: 0.0 };
        json!({"n_splits": stages, "layer": stage, "beta1": near_one(example.get("beta1"), beta1, close)})
    });
    let examples: Vec<Value> = examples.collect();
    let kinds: Vec<(&str, &str)> = file
        .get("vectors")
        .items()
        .iter()
        .map(|v| (v.get("optimizer").str(), v.get("dtype").str()))
        .collect();
    let (f32s, bf16s) = ("float32", "bfloat16");
    let want =
        [("NAdam", f32s), ("NAdam", bf16s), ("NAdam", f32s), ("AdamW", f32s), ("AdamW", bf16s)];
    assert_eq!(kinds, want);
    for device in devices() {
        let vectors: Vec<Value> =
            file.get("vectors").items().iter().map(|v| trace(device.as_ref(), v)).collect();
        let expected = json!({"note": PROSE, "stage_beta1_examples": examples, "vectors": vectors});
        same(file, &expected);
    }
}

/// A tensor's weights and moments.
#[derive(Clone)]
struct Tensor {
    weights: Vec<f64>,
    first: Vec<f64>,
    second: Vec<f64>,
}

fn trace(device: &dyn Device, vector: &Json) -> Value {
    let kind = match vector.get("optimizer").str() {
        "NAdam" => OptimizerKind::NAdam,
        _ => OptimizerKind::AdamW,
    };
    let narrow = vector.get("dtype").str() == "bfloat16";
    let lr = vector.get("lr").f64();
    let mut optimizer = Optimizer::fresh(kind, vector.get("beta1").f64());
    let mut tensors: Vec<Tensor> = vector.get("initial").items().iter().map(initial).collect();
    if narrow {
        tensors.iter_mut().for_each(|t| t.weights.iter_mut().for_each(|w| *w = round(*w)));
    }
    let of_file = vector.get("log").items();
    let steps = vector.get("grads").items();
    assert_eq!(of_file.len(), steps.len() + 1);
    let mut log = Vec::new();
    for (index, file) in of_file.iter().enumerate() {
        let scalars = optimizer.advance(lr);
        for (i, tensor) in tensors.iter_mut().enumerate() {
            let zero = vec![0.0; tensor.weights.len()];
            let grad = index.checked_sub(1).map_or(zero, |at| flat(&steps[at].items()[i]));
            if narrow {
                step_in_bf16(kind, &scalars, tensor, &grad);
            } else {
                step_on(device, &scalars, tensor, &grad);
            }
        }
        log.push(entry(file, index, (&optimizer, &tensors), narrow));
    }
    let expected = json!({
        "optimizer": vector.get("optimizer").str(),
        "dtype": vector.get("dtype").str(),
        "beta1": optimizer.beta1,
        "lr": lr,
        "weight_decay": WEIGHT_DECAY,
        "beta2": BETA2,
        "eps": EPSILON,
        "momentum_decay": match kind {
            OptimizerKind::NAdam => Some(MOMENTUM_DECAY),
            OptimizerKind::AdamW => None,
        },
        "initial": echo(vector.get("initial")),
        "grads": echo(vector.get("grads")),
        "state_key_order": match kind {
            OptimizerKind::NAdam => vec!["step", "mu_product", "exp_avg", "exp_avg_sq"],
            OptimizerKind::AdamW => vec!["step", "exp_avg", "exp_avg_sq"],
        },
        "log": log,
    });
    expected
}

fn initial(weights: &Json) -> Tensor {
    let weights = flat(weights);
    let zeros = vec![0.0; weights.len()];
    Tensor { first: zeros.clone(), second: zeros, weights }
}

/// What the file has to say after a step.
fn entry(
    file: &Json,
    index: usize,
    (optimizer, tensors): (&Optimizer, &[Tensor]),
    narrow: bool,
) -> Value {
    let weights = |t: &Tensor| t.weights.clone();
    let params = file.get("params").items();
    let params: Vec<Value> = params
        .iter()
        .zip(tensors)
        .map(|(file, t)| near_printed(file, &t.weights, narrow, 0.0))
        .collect();
    if index == 0 {
        return json!({"after": "artificial zero-grad step", "params": params});
    }
    let hexes = file.get("params_hex").items().iter().zip(tensors);
    let hexes: Vec<Value> = hexes.map(|(file, t)| near_hex(file, &weights(t), narrow)).collect();
    let state = tensors.iter().enumerate().map(|(i, tensor)| {
        let file = file.get("state").get(&i.to_string());
        let mut state = json!({
            "step": optimizer.step as f64,
            "exp_avg": near_printed(file.get("exp_avg"), &tensor.first, narrow, CANCELLED),
            "exp_avg_sq": near_printed(file.get("exp_avg_sq"), &tensor.second, narrow, 0.0),
        });
        if optimizer.kind == OptimizerKind::NAdam {
            let product = near_one(file.get("mu_product"), optimizer.mu_product, F32);
            state["mu_product"] = product;
        }
        (i.to_string(), state)
    });
    let mut flat_state = Vec::new();
    for tensor in tensors {
        if optimizer.kind == OptimizerKind::NAdam {
            flat_state.push(round(optimizer.mu_product));
        }
        flat_state.extend(tensor.first.iter().chain(&tensor.second).map(|x| round(*x)));
    }
    json!({
        "after": format!("real step {index}"),
        "params": params,
        "params_hex": hexes,
        "state": Value::Object(state.collect()),
        "flat_optimizer_state_bf16_hex":
            near_hex(file.get("flat_optimizer_state_bf16_hex"), &flat_state, true),
        "flat_len": flat_state.len(),
    })
}

/// bf16 numbers agree to the bit (the file prints them with nine digits), f32 ones to 1e-6.
fn tolerance(narrow: bool) -> Tolerance {
    if narrow { Tolerance { relative: 1e-8, absolute: 0.0 } } else { F32 }
}

/// What f32 may lose of a first moment when gradients of opposite signs cancel: a rounding of a
/// gradient of order one (6e-8), times 1 - beta1 (0.04 to 0.1), in each of a few steps.
const CANCELLED: f64 = 1e-8;

/// Numbers that the file prints with nine digits.
fn near_printed(file: &Json, ours: &[f64], narrow: bool, absolute: f64) -> Value {
    let theirs = flat(file);
    if narrow {
        let held = |x: &f64| (round(*x) - x).abs() <= 1e-8 * x.abs();
        assert!(theirs.iter().all(held), "no bf16 numbers: {}", file.text());
    }
    let tolerance = Tolerance { absolute, ..tolerance(narrow) };
    if within(&theirs, ours, tolerance) { echo(file) } else { json!(ours) }
}

/// Numbers that the file gives bit by bit.
fn near_hex(file: &Json, ours: &[f64], narrow: bool) -> Value {
    let theirs: Vec<f64> = if narrow {
        let pairs = file.hex();
        pairs.chunks(2).map(|b| f64::from(bf16::from_le_bytes([b[0], b[1]]))).collect()
    } else {
        let words = file.hex();
        words.chunks(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect()
    };
    let lower = file.str() == file.str().to_lowercase();
    if lower && within(&theirs, ours, tolerance(narrow)) { json!(file.str()) } else { json!(ours) }
}

/// One step by the device's kernel, with a gradient that is not clipped.
fn step_on(device: &dyn Device, scalars: &[f64; 7], tensor: &mut Tensor, grad: &[f64]) {
    let mut layout = Layout::default();
    let mut slot = |name: &str, len| layout.add(name, Element::Real, len, Role::Scratch);
    let len = grad.len();
    let [param, gradient, m, v] = ["param", "grad", "m", "v"].map(|name| slot(name, len));
    let (clip, numbers) = (slot("clip", 2), slot("scalars", 7));
    let view = |slot: SlotId| View::vector(slot, len);
    let op = Op::Adam {
        param: view(param),
        grad: view(gradient),
        m: view(m),
        v: view(v),
        clip: View::vector(clip, 2),
        scalars: View::vector(numbers, 7),
    };
    let program = Program { name: "step".to_owned(), ops: vec![op] };
    let mut executor = device.build(&layout, &[program]).unwrap();
    for (slot, data) in [
        (param, &tensor.weights[..]),
        (gradient, grad),
        (m, &tensor.first[..]),
        (v, &tensor.second[..]),
        (clip, &[0.0, 1.0][..]),
        (numbers, &scalars[..]),
    ] {
        executor.write(slot, 0, Data::Wide(data)).unwrap();
    }
    executor.run(0).unwrap();
    let states = [(param, &mut tensor.weights), (m, &mut tensor.first), (v, &mut tensor.second)];
    for (slot, out) in states {
        executor.read(slot, 0, DataMut::Wide(out)).unwrap();
    }
}

fn round(x: f64) -> f64 {
    f64::from(bf16::from_f32(x as f32))
}

/// One step with states in bf16: the reference rounds after each of its operations.
fn step_in_bf16(kind: OptimizerKind, scalars: &[f64; 7], tensor: &mut Tensor, grad: &[f64]) {
    let [decay, beta1, beta2, bias2, eps, step_g, step_m] = *scalars;
    for (i, g) in grad.iter().map(|g| round(*g)).enumerate() {
        let (w, m, v) = (&mut tensor.weights[i], &mut tensor.first[i], &mut tensor.second[i]);
        *w = round(*w * decay);
        *m = round(*m + (g - *m) * (1.0 - beta1));
        *v = round(round(*v * beta2) + (1.0 - beta2) * g * g);
        let root = match kind {
            OptimizerKind::NAdam => round(round(*v / bias2).sqrt()),
            OptimizerKind::AdamW => round(round(v.sqrt()) / bias2.sqrt()),
        };
        let d = round(root + eps);
        if d == 0.0 {
            continue;
        }
        *w = round(*w - step_g * g / d);
        *w = round(*w - step_m * *m / d);
    }
}

//! Round trips with PyTorch: what we write it loads with `weights_only=True`, bit by bit, and what it
//! writes we read; what it writes that is no plain tensor, code above all, we refuse. Without PyTorch
//! the file that it wrote for the vectors is read and written instead.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use hearth::protocol::ActivationHash;
use hearth::protocol::bf16::{bf16, widen};
use hearth::protocol::torch::{ElementType, read, write_bf16};
use serde_json::{Value, json};

use crate::python::{python_with, run};

/// Numbers of every kind: zeros, subnormals, infinities, NaNs with their payloads.
fn numbers(count: usize) -> Vec<bf16> {
    let bits = (0..count).map(|i| i.wrapping_mul(40_503).wrapping_add(i >> 3));
    bits.map(|bits| bf16::from_bits(u16::try_from(bits & 0xffff).unwrap())).collect()
}

#[test]
fn our_files_load_in_pytorch_and_its_files_load_in_ours() {
    let Some(python) = python_with(&["torch"]) else { return the_vectors_file() };
    let folder = tempfile::tempdir().unwrap();
    let shapes: [&[usize]; 9] =
        [&[], &[0], &[1], &[7], &[300], &[4, 800, 64], &[2, 0, 3], &[1, 1, 70_000], &[2, 3, 4, 5]];
    for (i, shape) in shapes.iter().enumerate() {
        let values = numbers(shape.iter().product());
        let file = write_bf16(&values, shape).unwrap();
        fs::write(folder.path().join(format!("{i}.ours")), &file).unwrap();
        let bits: Vec<u16> = values.iter().map(|value| value.to_bits()).collect();
        let says = json!({ "shape": shape, "bits": bits });
        fs::write(folder.path().join(format!("{i}.says")), says.to_string()).unwrap();
    }
    assert_eq!(run(&python, "load", folder.path()).trim(), shapes.len().to_string());
    run(&python, "save", folder.path());
    let good = every_file(folder.path(), "good", check_good);
    let bad = every_file(folder.path(), "bad", check_bad);
    assert!(good >= 20 && bad >= 15, "{good} {bad}");
    assert!(!folder.path().join("code-was-run").exists(), "code in a file was run");
}

/// Checks each file `*.KIND` in `folder`; gives how many there were.
fn every_file(folder: &Path, kind: &str, check: fn(&str, &[u8], &Path)) -> usize {
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == kind) {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            check(&name, &fs::read(&path).unwrap(), &path.with_extension("json"));
            count += 1;
        }
    }
    count
}

/// A tensor that PyTorch wrote: its numbers, in row order, bit by bit.
fn check_good(name: &str, file: &[u8], says: &Path) {
    let says: Value = serde_json::from_str(&fs::read_to_string(says).unwrap()).unwrap();
    let tensor = read(file, 1 << 20).unwrap_or_else(|error| panic!("{name}: {error}"));
    let kind = if says["kind"] == "f32" { ElementType::F32 } else { ElementType::Bf16 };
    assert_eq!(tensor.kind, kind, "{name}");
    assert_eq!(json!(tensor.shape), says["shape"], "{name}");
    let bits: Vec<u32> = match kind {
        ElementType::Bf16 => tensor.to_bf16().iter().map(|v| u32::from(v.to_bits())).collect(),
        ElementType::F32 => tensor.to_f32().iter().map(|v| v.to_bits()).collect(),
    };
    assert_eq!(json!(bits), says["bits"], "{name}");
}

/// Anything else that PyTorch, or somebody with Python, wrote.
fn check_bad(name: &str, file: &[u8], _says: &Path) {
    let error = read(file, 1 << 20).expect_err(name);
    assert!(error.to_string().chars().count() < 200, "{name}: {error}");
}

/// PyTorch's own file in the vectors.
fn the_vectors_file() {
    let text = include_str!("../vectors/torch_save.json");
    let vector: Value = serde_json::from_str(text).unwrap();
    let base64 = base64::engine::general_purpose::STANDARD;
    let file = base64.decode(vector["file_base64"].as_str().unwrap()).unwrap();
    assert_eq!(ActivationHash::of(&file).to_string(), vector["blake3_of_file"]);
    let tensor = read(&file, 6).unwrap();
    assert_eq!(json!(tensor.shape), vector["tensor_shape"]);
    let rows = vector["values"].as_array().unwrap();
    let flat: Vec<f64> = rows
        .iter()
        .flat_map(|row| row.as_array().unwrap())
        .map(|value| value.as_f64().unwrap())
        .collect();
    let read_back: Vec<f64> = widen(&tensor.to_bf16()).into_iter().map(f64::from).collect();
    assert_eq!(read_back, flat);
    let ours = write_bf16(&tensor.to_bf16(), &tensor.shape).unwrap();
    assert_eq!(read(&ours, 6).unwrap().to_bf16(), tensor.to_bf16());
}

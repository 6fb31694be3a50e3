//! Blobs in object storage and PyTorch files.

use std::io::Read;

use base64::Engine as _;
use hearth::protocol::bf16::{bf16, narrow, widen};
use hearth::protocol::blob;
use hearth::protocol::{ActivationHash, torch};
use serde_json::{Value, json};

use crate::vector::{Check, Json, PROSE, same};

pub const CHECKS: &[(&str, Check)] = &[("blobs", blobs), ("torch_save", torch_save)];

fn floats(list: &Json) -> Vec<bf16> {
    let exact = |item: &Json| {
        #[allow(clippy::cast_possible_truncation)] // Compared right after.
        let value = bf16::from_f32(item.f64() as f32);
        assert_eq!(f64::from(value.to_f32()).to_bits(), item.f64().to_bits(), "not a bf16 number");
        value
    };
    list.items().iter().map(exact).collect()
}

fn blobs(file: &Json) {
    let weights = file.get("weights_blob");
    let partition = file.get("partition_blob");
    same(
        file,
        &json!({
            "weights_blob": weights_blob(weights),
            "partition_blob": partition_blob(partition),
        }),
    );
}

fn weights_blob(vector: &Json) -> Value {
    let values = floats(vector.get("values"));
    let sections = vector.get("num_sections").usize();
    let steps = vector.get("local_optimization_steps").u64();
    let object = blob::encode_weights(&values, sections, steps).unwrap();
    let (offset, trailer) = blob::split_object(&object).unwrap();
    let read = blob::parse_weights_trailer(trailer, offset).unwrap();
    assert_eq!((read.len, read.num_sections), (values.len(), sections));
    assert_eq!(read.local_optimization_steps, steps);
    assert_eq!(blob::values_at(&object, &(12..offset)).unwrap(), values);
    let trailer = std::str::from_utf8(trailer).unwrap();
    json!({
        "values": widen(&values),
        "num_sections": sections,
        "local_optimization_steps": steps,
        "trailer": serde_json::from_str::<Value>(trailer).unwrap(),
        "trailer_text": trailer,
        "total_len": object.len(),
        "hex": hex::encode(&object),
        "header_hex": hex::encode(&object[..blob::HEADER_LEN]),
    })
}

/// The numbers are only in the object itself: it must be what we write for what we read from it.
fn partition_blob(vector: &Json) -> Value {
    let object = vector.get("hex").hex();
    let (offset, trailer) = blob::split_object(&object).unwrap();
    let read = blob::parse_partition_trailer(trailer, offset).unwrap();
    let weights = blob::values_at(&object, &read.weights.bytes).unwrap();
    let state = read.optimizer_state.expect("the optimizer's state");
    let state = blob::values_at(&object, &state.bytes).unwrap();
    let written = blob::encode_partition(&weights, &state, read.chunk, read.layer).unwrap();
    let (_, trailer) = blob::split_object(&written).unwrap();
    json!({
        "trailer": serde_json::from_slice::<Value>(trailer).unwrap(),
        "total_len": written.len(),
        "hex": hex::encode(&written),
    })
}

fn torch_save(vector: &Json) {
    let file = base64::engine::general_purpose::STANDARD.decode(vector.get("file_base64").str());
    let file = file.unwrap();
    let rows: Vec<Vec<bf16>> = vector.get("values").items().iter().map(floats).collect();
    let shape = vec![rows.len(), rows[0].len()];
    let tensor = torch::read(&file, rows.concat().len()).unwrap();
    assert_eq!(tensor.kind, torch::ElementType::Bf16);
    assert_eq!(tensor.shape, shape);
    assert_eq!(tensor.to_bf16(), rows.concat());
    let pickle = entry(&file, "archive/data.pkl");
    // What we write has the same description, and reads back.
    let ours = torch::write_bf16(&rows.concat(), &shape).unwrap();
    assert_eq!(entry(&ours, "archive/data.pkl"), pickle);
    assert_eq!(entry(&ours, "archive/data/0"), entry(&file, "archive/data/0"));
    assert_eq!(torch::read(&ours, 100).unwrap().to_bf16(), rows.concat());
    let values: Vec<Vec<f32>> = rows.iter().map(|row| widen(row)).collect();
    let dtype = "bfloat16";
    same(
        vector,
        &json!({
            "torch": PROSE,
            "tensor_shape": shape,
            "dtype": dtype,
            "values": values,
            "file_len": file.len(),
            "file_base64": vector.get("file_base64").str(),
            "blake3_of_file": ActivationHash::of(&file).to_string(),
            "zip_entries": listing(&file),
            "data_pkl_hex": hex::encode(&pickle),
            "data_pkl_disassembly": disassembly(&pickle),
            "minimal_zip_accepted_by_torch_load_weights_only":
                accepted(vector.get("minimal_zip_accepted_by_torch_load_weights_only"), &pickle),
            "view_of_larger_storage_serialises_whole_storage":
                whole_storage(vector.get("view_of_larger_storage_serialises_whole_storage")),
        }),
    );
}

fn entry(file: &[u8], name: &str) -> Vec<u8> {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(file)).unwrap();
    let mut bytes = Vec::new();
    zip.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn listing(file: &[u8]) -> Vec<Value> {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(file)).unwrap();
    let count = zip.len();
    let describe = |i| {
        let entry = zip.by_index(i).unwrap();
        assert_eq!(entry.compression(), zip::CompressionMethod::Stored);
        json!({
            "name": entry.name().unwrap(),
            "size": entry.size(),
            "compress": 0,
            "header_offset": entry.header_start(),
            "data_offset": entry.data_start().unwrap(),
        })
    };
    (0..count).map(describe).collect()
}

/// Which of the smallest archives PyTorch accepts: our reader must agree.
fn accepted(listed: &Json, pickle: &[u8]) -> Value {
    let answer = |(name, answer): &(String, Json)| {
        let words = name.split(" (").next().unwrap();
        let files: Vec<(&str, &[u8])> = words
            .split('+')
            .map(|word| -> (&str, &[u8]) {
                match word {
                    "pkl" => ("archive/data.pkl", pickle),
                    "data" => ("archive/data/0", &[0; 12]),
                    "version" => ("archive/version", b"3\n"),
                    "byteorder" => ("archive/byteorder", b"little"),
                    other => panic!("unknown file {other:?}"),
                }
            })
            .collect();
        let expected = match torch::read(&archive(&files), 6) {
            Ok(_) => json!(true),
            Err(torch::TorchError::Missing(_)) => {
                assert!(answer.str().starts_with("fails: "), "{name}");
                json!(PROSE)
            }
            Err(other) => panic!("{name}: {other}"),
        };
        (name.clone(), expected)
    };
    Value::Object(listed.members().iter().map(answer).collect())
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    use std::io::Write as _;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in files {
        zip.start_file(*name, stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A view of a `[rows,columns]` tensor is saved with all of that tensor's bytes.
fn whole_storage(listed: &Json) -> Value {
    let saved = listed.get("saved").str();
    let shape = saved.split(['[', ']']).nth(1).expect("a shape in brackets");
    let count: usize = shape.split(',').map(|n| n.trim().parse::<usize>().unwrap()).product();
    json!({"saved": saved, "data/0 bytes": count * 2})
}

/// The instructions of a tensor's pickle, laid out as Python's `pickletools` does.
fn disassembly(pickle: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut marks: Vec<usize> = Vec::new();
    let mut at = 0;
    while at < pickle.len() {
        let op = pickle[at];
        let (name, argument, len) = instruction(&pickle[at..]);
        let mut argument = argument;
        let indent = " ".repeat(4 * marks.len());
        if op == b't' {
            argument = format!("(MARK at {})", marks.pop().unwrap());
        }
        let shown =
            if op.is_ascii_graphic() { char::from(op).into() } else { format!("\\x{op:02x}") };
        let line = format!("{at:5}: {shown:<4} {indent}{name}");
        // Names are padded only when something follows them.
        lines.push(if argument.is_empty() {
            line
        } else {
            format!("{at:5}: {shown:<4} {indent}{name:<10} {argument}")
        });
        if op == b'(' {
            marks.push(at);
        }
        at += len;
    }
    lines.push("highest protocol among opcodes = 2".to_owned());
    lines
}

fn instruction(bytes: &[u8]) -> (&'static str, String, usize) {
    let quoted = |bytes: &[u8]| format!("'{}'", std::str::from_utf8(bytes).unwrap());
    let number = || bytes[1].to_string();
    match bytes[0] {
        0x80 => ("PROTO", number(), 2),
        b'c' => {
            let end = bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').nth(1).unwrap().0;
            let text = String::from_utf8(bytes[1..end].to_vec()).unwrap().replace('\n', " ");
            ("GLOBAL", quoted(text.as_bytes()), end + 1)
        }
        b'q' => ("BINPUT", number(), 2),
        b'(' => ("MARK", String::new(), 1),
        b'X' => {
            let len = usize::from(bytes[1]);
            assert_eq!(bytes[2..5], [0; 3]);
            ("BINUNICODE", quoted(&bytes[5..5 + len]), 5 + len)
        }
        b'K' => ("BININT1", number(), 2),
        b'M' => ("BININT2", u16::from_le_bytes([bytes[1], bytes[2]]).to_string(), 3),
        b't' => ("TUPLE", String::new(), 1),
        b'Q' => ("BINPERSID", String::new(), 1),
        0x85 => ("TUPLE1", String::new(), 1),
        0x86 => ("TUPLE2", String::new(), 1),
        0x87 => ("TUPLE3", String::new(), 1),
        0x89 => ("NEWFALSE", String::new(), 1),
        b')' => ("EMPTY_TUPLE", String::new(), 1),
        b'R' => ("REDUCE", String::new(), 1),
        b'.' => ("STOP", String::new(), 1),
        other => panic!("unknown instruction {other:#04x}"),
    }
}

/// The values of a bf16 hex text, for other areas.
pub fn bf16_hex(text: &Json) -> Vec<bf16> {
    hearth::protocol::bf16::from_le_bytes(&text.hex())
}

/// The hex text of bf16 values.
pub fn hex_of(values: &[bf16]) -> String {
    hex::encode(hearth::protocol::bf16::to_le_bytes(values))
}

/// `x` rounded to bf16, as a number of a file.
pub fn rounded(x: f64) -> f64 {
    #[allow(clippy::cast_possible_truncation)]
    f64::from(narrow(&[x as f32])[0].to_f32())
}

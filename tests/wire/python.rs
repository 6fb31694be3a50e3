//! Python on the other side: its JSON and its signature library. Where something is not installed,
//! one line says so, and the committed vectors (`tests/conformance`) have to do.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use hearth::protocol::canonical::{KeyOrder, canonical_body, python_text};
use hearth::protocol::epistula::{self, sign};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::kinds;
use crate::signatures::keypair;

const SCRIPT: &str = include_str!("other_side.py");

/// The Python with all of `modules`; `None`, and a line that says why, when there is none.
pub fn python_with(modules: &[&str]) -> Option<String> {
    let python = std::env::var("HEARTH_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let imports: Vec<String> = modules.iter().map(|module| format!("import {module}")).collect();
    let tried = Command::new(&python)
        .args(["-c", &imports.join("; ")])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output();
    let why = match tried {
        Ok(output) if output.status.success() => return Some(python),
        Ok(output) => {
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            words.lines().last().unwrap_or("it failed").to_owned()
        }
        Err(error) => error.to_string(),
    };
    // Past the test's captured output, so that nobody takes a skipped check for one that passed.
    let mut out = std::io::stderr();
    let wanted = modules.join(", ");
    writeln!(out, "skipped: {wanted} with {python} ({why}); HEARTH_PYTHON names another").unwrap();
    None
}

/// Runs the script's `command` in `folder`; gives what it printed.
pub fn run(python: &str, command: &str, folder: &Path) -> String {
    let script = folder.join("other_side.py");
    std::fs::write(&script, SCRIPT).unwrap();
    let output = Command::new(python)
        .arg(&script)
        .args([command, folder.to_str().unwrap()])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {said}\n{errors}");
    said
}

/// Texts of JSON with every kind of number, text and nesting that Python can read.
fn any_json_text() -> impl Strategy<Value = String> {
    let finite = || any::<f64>().prop_filter("finite", |x| x.is_finite());
    let number = prop_oneof![
        finite().prop_map(|x| format!("{x:e}")),
        finite().prop_map(|x| serde_json::to_string(&x).unwrap()),
        (-1e20_f64..1e20).prop_map(|x| serde_json::to_string(&x).unwrap()),
        (any::<i32>(), -25..25_i32).prop_map(|(digits, exponent)| format!("{digits}E{exponent}")),
        (1_784_000_000_u64..1_785_000_000, 0_u64..10_000_000)
            .prop_map(|(s, fraction)| format!("{s}.{fraction:07}")),
        any::<i64>().prop_map(|n| n.to_string()),
        "-?[1-9][0-9]{0,60}",
        Just("-0".to_owned()),
        Just("-0.0".to_owned()),
        Just("1e400".to_owned()),
    ];
    let text = || any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap());
    let escaped = "[a-z]{0,3}".prop_map(|end| format!(r#""\u00e9\/\ud83d\ude00{end}\u007f""#));
    let leaf = prop_oneof![
        number,
        text(),
        escaped,
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        let space = proptest::sample::select(vec!["", " ", "\n\t"]);
        let members = proptest::collection::vec((text(), inner.clone()), 0..5);
        let items = proptest::collection::vec(inner, 0..5);
        prop_oneof![
            (items, space).prop_map(|(items, s)| format!("[{s}{}]", items.join(&format!(",{s}")))),
            members.prop_map(|members| {
                let members: Vec<String> =
                    members.iter().map(|(name, value)| format!("{name} : {value}")).collect();
                format!("{{{}}}", members.join(" ,"))
            }),
        ]
    })
}

#[test]
fn bodies_are_pythons_canonical_form_byte_for_byte() {
    let Some(python) = python_with(&["json"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut runner = TestRunner::deterministic();
    let strategy = any_json_text();
    let mut texts: Vec<String> =
        (0..4000).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    for kind in kinds::all() {
        texts.push(kind.full.to_string());
        texts.push(kind.least_sent().to_string());
    }
    let lines: Vec<String> = texts.iter().map(|text| json!({ "text": text }).to_string()).collect();
    std::fs::write(folder.path().join("texts.jsonl"), lines.join("\n")).unwrap();
    let said = run(&python, "canonical", folder.path());
    assert_eq!(said.trim(), texts.len().to_string());
    let answers = std::fs::read_to_string(folder.path().join("canonical.jsonl")).unwrap();
    let answers: Vec<Value> =
        answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), texts.len());
    for (text, answer) in texts.iter().zip(&answers) {
        let ours = canonical_body(text.as_bytes()).unwrap();
        assert_eq!(ours, answer["signed"].as_str().unwrap(), "{text}");
        // Of a name that comes twice Python keeps one; nothing that we write has such a name.
        if answer["repeated"] == false {
            let as_given = python_text(text.as_bytes(), KeyOrder::AsGiven).unwrap();
            assert_eq!(as_given, answer["plain"].as_str().unwrap(), "{text}");
        }
    }
}

#[test]
fn signatures_are_accepted_by_another_library_and_its_by_us() {
    let Some(python) = python_with(&["sr25519"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let pair = keypair();
    let mut next = 0_u8;
    let mut unpredictable = |out: &mut [u8]| {
        for byte in out {
            next = next.wrapping_mul(31).wrapping_add(7);
            *byte = next;
        }
    };
    let mut lines = Vec::new();
    for kind in kinds::all() {
        let body = canonical_body(kind.full.to_string().as_bytes()).unwrap();
        let message = epistula::message(&body, "1784300000123", "");
        let signature = sign(&pair, message.as_bytes(), &mut unpredictable);
        let line = json!({
            "public": hex::encode(pair.public.to_bytes()),
            "message": message,
            "signature": hex::encode(signature),
        });
        lines.push(line.to_string());
    }
    std::fs::write(folder.path().join("signed.jsonl"), lines.join("\n")).unwrap();
    let said: Value = serde_json::from_str(&run(&python, "verify", folder.path())).unwrap();
    assert_eq!(said["verified"], lines.len(), "{said}");
    assert_eq!(said["refused"], lines.len(), "changed messages are refused: {said}");
    let theirs = said["signed"].as_array().unwrap();
    assert_eq!(theirs.len(), 20);
    for signed in theirs {
        let bytes = |name: &str| hex::decode(signed[name].as_str().unwrap()).unwrap();
        let public: [u8; 32] = bytes("public").try_into().unwrap();
        let signature: [u8; 64] = bytes("signature").try_into().unwrap();
        let message = signed["message"].as_str().unwrap();
        epistula::verify(&public, message.as_bytes(), &signature).unwrap();
        assert!(epistula::verify(&public, b"another", &signature).is_err());
    }
}

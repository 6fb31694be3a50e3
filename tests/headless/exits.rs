//! The exit codes of `hearth run --headless`, one by one (design: scripts and service units rely on
//! them).

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::script::{Reply, Script};
use crate::server::{Server, bare, miner, practice};

/// What makes a run end with this code.
struct Row {
    code: i32,
    /// In the line on standard error.
    word: &'static str,
    command: fn(&Path, &str) -> Command,
}

const ROWS: [Row; 7] = [
    Row { code: 2, word: "--nonsense", command: |home, _| practice(home, &["--nonsense"]) },
    Row { code: 3, word: "duty", command: |home, _| practice(home, &["--set", "duty=0"]) },
    Row {
        code: 4,
        word: "hotkey",
        command: |home, base| {
            let mut command = bare(home);
            command.args(["run", "--headless", "--join", "metagraph", "--network", base]);
            command
        },
    },
    Row { code: 5, word: "30999", command: |home, base| miner(home, base, &[]) },
    Row {
        code: 7,
        word: "no usable GPU",
        command: |home, base| {
            let mut command = miner(home, base, &["--set", "backend=wgpu"]);
            command
                .env("VK_DRIVER_FILES", "/nowhere.json")
                .env("VK_ICD_FILENAMES", "/nowhere.json");
            command
        },
    },
    Row {
        code: 8,
        word: "cannot write",
        command: |home, base| {
            // A file is where a folder must be.
            std::fs::write(home.join("state"), b"").unwrap();
            miner(home, base, &[])
        },
    },
    Row { code: 9, word: "already", command: |home, base| miner(home, base, &[]) },
];

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_fail_has_its_code() {
    let script = Script::start().await;
    let other = json!({"expected_version": 30999, "actual_version": 1, "message": "m"});
    script.always("/miner/register", Reply::Error("SpecVersionError", other));
    let hanging = Script::start().await;
    hanging.always("/miner/register", Reply::Hang);
    let (base, waiting) = (script.base.clone(), hanging.base.clone());
    let rows = tokio::task::spawn_blocking(move || {
        for row in ROWS {
            let home = tempfile::tempdir().unwrap();
            // What code 9 is about: one that is there already.
            let first = (row.code == 9).then(|| {
                let server = Server::start(miner(home.path(), &waiting, &[]), home.path());
                server.until("a word", |event| event["event"] == "state");
                server
            });
            let output = (row.command)(home.path(), &base).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(row.code), "{said}");
            assert!(said.contains(row.word), "{:?} is missing: {said}", row.word);
            assert!(!said.contains("panicked"), "{said}");
            drop(first);
        }
    });
    rows.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_refuses_this_miner_is_code_6() {
    let script = Script::start().await;
    let refused = json!({"message": "attestation required"});
    script.always("/miner/register", Reply::Error("AttestationError", refused));
    let base = script.base.clone();
    let ended = tokio::task::spawn_blocking(move || {
        let home = tempfile::tempdir().unwrap();
        let output = miner(home.path(), &base, &[]).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    });
    let (code, said) = ended.await.unwrap();
    assert_eq!(code, Some(6), "{said}");
}

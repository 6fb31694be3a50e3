//! `hearth devices` and `hearth bench` as a user and a script see them, and that the self-test runs
//! once for a driver and covers every kernel that a stage uses.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use hearth::cli::bench::stages::{live_layer, presets};
use hearth::cli::device::{Backend, open};
use hearth::clock::Clock;
use hearth::compute::conformance::{cases, drawn};
use hearth::compute::selftest::Thoroughness;
use hearth::compute::wgpu::{AdapterChoice, WgpuDevice, adapters};
use hearth::compute::{Device, DeviceKind};
use hearth::config::folders::Folders;
use hearth::model::presets::live_1b;
use hearth::model::{MomentPrecision, OptimizerKind, StageSpec};
use hearth::protocol::splits::Split;
use serde_json::Value;

fn hearth(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
    command.env("HEARTH_HOME", home).env_remove("HEARTH_BACKEND").env("RUST_LOG", "warn");
    command.args(arguments).output().unwrap()
}

fn events(output: &Output) -> Vec<Value> {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Whether there is any adapter; the project's own checks say that there must be.
fn no_adapter() -> bool {
    let none = adapters().iter().all(|adapter| adapter.refusal.is_some());
    assert!(!none || std::env::var_os("HEARTH_REQUIRE_WGPU").is_none(), "no usable adapter");
    none
}

#[test]
fn devices_are_listed_with_the_choice_and_its_reason() {
    let home = tempfile::tempdir().unwrap();
    let listed = events(&hearth(home.path(), &["devices", "--json"]));
    let of = |event: &str| listed.iter().filter(|e| e["event"] == event).collect::<Vec<_>>();
    assert_eq!((of("processor").len(), of("choice").len()), (1, 1));
    assert_eq!(of("adapter").len(), adapters().len());
    for adapter in of("adapter") {
        assert!(!adapter["name"].as_str().unwrap().is_empty());
        assert!(!adapter["why"].as_str().unwrap().is_empty());
        assert_eq!(adapter["self_test"]["verdict"], "untested");
    }
    let chosen = listed.iter().filter(|e| e["chosen"] == true).collect::<Vec<_>>();
    assert_eq!(chosen.len(), 1);
    let choice = of("choice")[0];
    assert_eq!(choice["name"], chosen[0]["name"]);
    assert_eq!(choice["bench_peak_gflops"], Value::Null);
    let text = hearth(home.path(), &["devices"]);
    let text = String::from_utf8(text.stdout).unwrap();
    for part in ["Hearth takes", "Not measured yet"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
}

#[test]
fn a_quick_benchmark_agrees_with_the_reference_and_is_remembered() {
    let home = tempfile::tempdir().unwrap();
    let told = events(&hearth(home.path(), &["bench", "--quick", "--backend", "cpu", "--json"]));
    assert_eq!(told[0]["event"], "device");
    let kernels: Vec<&Value> = told.iter().filter(|e| e["event"] == "kernel").collect();
    let names: BTreeSet<&str> = kernels.iter().map(|k| k["kernel"].as_str().unwrap()).collect();
    for kernel in ["gemm-nt", "gemm-nn", "gemm-tn", "attention", "norm", "swiglu", "adam", "copy"] {
        assert!(names.contains(kernel), "{kernel} was not measured: {names:?}");
    }
    for kernel in &kernels {
        let spread = &kernel["seconds"];
        let at = |quarter: &str| spread[quarter].as_f64().unwrap();
        assert!(0.0 < at("low") && at("low") <= at("median") && at("median") <= at("high"));
        assert!(kernel["check"]["error"].as_f64() <= kernel["check"]["limit"].as_f64());
    }
    let stages: Vec<&Value> = told.iter().filter(|e| e["event"] == "stage_step").collect();
    assert_eq!(stages.len(), 6, "three stages of two presets");
    for stage in &stages {
        assert!(stage["tokens_per_second"].as_f64().unwrap() > 0.0);
        assert!(stage["share_of_peak"].as_f64().unwrap() > 0.0);
    }
    let end = told.last().unwrap();
    assert_eq!((&end["event"], &end["agrees"]), (&"bench".into(), &true.into()));
    let (sum, reference) = (end["checksum"].as_f64().unwrap(), end["reference"].as_f64().unwrap());
    assert!(sum != reference && (sum - reference).abs() < 1e-3 * reference.abs().max(100.0));

    let kept = std::fs::read(home.path().join("data").join("bench.json")).unwrap();
    let kept: Value = serde_json::from_slice(&kept).unwrap();
    assert_eq!(kept[0]["checksum"], end["checksum"]);
    let listed = events(&hearth(home.path(), &["devices", "--json"]));
    let choice = listed.iter().find(|e| e["event"] == "choice").unwrap();
    if choice["backend"] == "cpu" {
        assert_eq!(choice["bench_peak_gflops"], end["peak_gflops"]);
    }
}

#[test]
fn the_self_test_runs_once_and_again_when_its_verdict_is_damaged() {
    if no_adapter() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let folders = Folders::under(home.path());
    let tested = || {
        let mut said = Vec::new();
        let mut notice = |line: &str| said.push(line.to_owned());
        let opened = open(Backend::Wgpu, &folders, &Clock::system(), &mut notice).unwrap();
        assert!(opened.findings.is_empty(), "{:?}", opened.findings);
        assert_eq!(opened.device.info().backend, "wgpu");
        said
    };
    let first = tested();
    assert!(
        first[0].starts_with("Testing the kernels") && first[1].contains("passed"),
        "{first:?}"
    );
    assert!(tested().is_empty(), "the second start tested again");
    let listed = events(&hearth(home.path(), &["devices", "--json"]));
    let adapter = listed.iter().find(|e| e["event"] == "adapter").unwrap();
    assert_eq!(adapter["self_test"]["verdict"], "passed");
    // The binary believes the same verdict, and computes what the reference computes.
    let output = hearth(home.path(), &["bench", "--quick", "--backend", "wgpu", "--json"]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("Testing the kernels"));
    let end = events(&output).pop().unwrap();
    assert_eq!((&end["backend"], &end["agrees"]), (&"wgpu".into(), &true.into()));
    assert_eq!(end["device"], adapter["name"]);
    let kernels = std::fs::read_dir(folders.cache.join("kernels")).unwrap();
    let files: Vec<_> = kernels.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    std::fs::write(&files[0], "{").unwrap();
    assert!(!tested().is_empty(), "a damaged verdict was believed");
}

#[test]
fn the_self_test_covers_every_kernel_that_a_stage_uses() {
    let Ok(device) = WgpuDevice::open(&AdapterChoice::AllowSoftware) else {
        assert!(no_adapter());
        return;
    };
    let kind: DeviceKind = device.info().kind;
    let how = Thoroughness::of(kind);
    let mut tested = BTreeSet::new();
    for case in cases().iter().chain(&drawn(how.seed, how.drawn)) {
        let programs = std::slice::from_ref(case.program());
        tested.extend(device.variants(case.layout(), programs).unwrap());
    }
    let mut specs: Vec<StageSpec> = presets().into_iter().map(|item| item.spec).collect();
    specs.extend(live_layer(1e6, 10.0).map(|item| item.spec));
    let ends = [(None, Some(1), 0), (Some(15), None, 2)];
    specs.extend(ends.map(|(start, end, stage)| StageSpec {
        config: live_1b(),
        split: Split { start, end },
        stage,
        stages: 3,
        batch: 4,
        local_batch: 4,
        seq: 800,
        optimizer: OptimizerKind::NAdam,
        moments: MomentPrecision::F32,
        grad_clip_norm: 1.0,
        total_global_params: 1_500_055_552,
    }));
    let narrow = |spec: &StageSpec| StageSpec { moments: MomentPrecision::Bf16, ..spec.clone() };
    specs.extend(specs.iter().map(narrow).collect::<Vec<_>>());
    assert_eq!(specs.len(), 18);
    for spec in specs {
        let plan = spec.plan().unwrap();
        let used = device.variants(plan.layout(), plan.programs()).unwrap();
        let missing: Vec<&String> = used.difference(&tested).collect();
        assert!(missing.is_empty(), "never tested, but used by {:?}: {missing:#?}", spec.kind());
    }
}

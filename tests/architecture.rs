//! The rules of the house that a compiler does not check: which module may use which, where time
//! and randomness come from, how large a file may grow, and that each says what it is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules that everybody but `protocol` and `compute` may use.
const GROUND_FLOOR: [&str; 3] = ["config", "telemetry", "clock"];

/// Which modules each module may use, apart from itself and the ground floor (ARCHITECTURE.md).
fn allowed() -> BTreeMap<&'static str, Vec<&'static str>> {
    BTreeMap::from([
        ("protocol", vec![]),
        ("compute", vec![]),
        ("clock", vec![]),
        ("config", vec!["protocol"]),
        ("telemetry", vec!["protocol"]),
        ("model", vec!["protocol", "compute"]),
        ("wallet", vec!["protocol"]),
        ("network", vec!["protocol", "wallet"]),
        ("training", vec!["protocol", "compute", "model", "wallet", "network"]),
        ("host", vec!["protocol"]),
        ("earnings", vec!["protocol"]),
        (
            "miner",
            vec![
                "protocol", "compute", "model", "wallet", "network", "training", "host", "earnings",
            ],
        ),
        ("swarm", vec!["protocol", "compute", "model", "wallet", "network", "earnings"]),
        ("control", vec!["protocol", "miner", "swarm", "network", "earnings"]),
        ("alerts", vec!["network", "host", "miner"]),
        ("tui", vec!["protocol", "miner", "swarm", "control", "earnings"]),
        (
            "cli",
            vec![
                "protocol", "compute", "model", "wallet", "network", "training", "miner", "swarm",
                "control", "tui", "host", "alerts", "earnings",
            ],
        ),
    ])
}

/// Arrows that a module may use only towards named items: (from, to, allowed prefixes of the path).
///
/// A screen sees snapshots and commands, nothing that computes or talks.
const NARROW: [(&str, &str, &[&str]); 10] = [
    (
        "tui",
        "miner",
        &[
            "snapshot",
            "MinerSnapshot",
            "Status",
            "State",
            "Reason",
            "Who",
            "Eta",
            "Command",
            "Work",
            "DeviceView",
            "NeighbourView",
            "{",
        ],
    ),
    // What a network publishes is a snapshot too.
    (
        "tui",
        "swarm",
        &[
            "snapshot",
            "public",
            "SwarmSnapshot",
            "SwarmCommand",
            "StageView",
            "MinerView",
            "LossPoint",
            "Lab",
            "Writing",
            "Written",
            "{",
        ],
    ),
    // Its tests make snapshots by a board, as a miner does.
    ("alerts", "miner", &["snapshot", "board::Board"]),
    ("alerts", "network", &["{HttpClient, Route, Traffic}"]),
    // Its tests make snapshots by a board, as a miner does.
    ("control", "miner", &["snapshot", "MinerSnapshot", "Command", "board::Board", "{"]),
    ("control", "swarm", &["snapshot", "SwarmSnapshot", "SwarmCommand", "{"]),
    // The client of the local API speaks HTTP to this machine.
    ("control", "network", &["http", "Traffic"]),
    ("swarm", "network", &["http", "storage", "{"]),
    // The practice swarm pays by the same formulas, and publishes what it paid; it keeps no ledger.
    ("swarm", "earnings", &["formula", "published", "exact", "money", "Exact", "Rao", "Unit", "{"]),
    ("model", "protocol", &["messages", "splits", "ids", "loss", "merge", "blob", "{"]),
];

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 20, "the source folder was not read");
    found
}

fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    let mut entries: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
}

/// The top-level module of a source file: `src/compute/op.rs` is of `compute`.
fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// The part of a source that ships: without `#[cfg(test)] mod tests { .. }` at its end.
fn shipped(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

/// Whether the whole file is tests (`tests.rs` beside what it tests).
fn is_test_file(path: &Path) -> bool {
    path.file_name().is_some_and(|n| n.to_string_lossy().ends_with("tests.rs"))
        || path.components().any(|c| c.as_os_str() == "tests")
}

/// Every `crate::x::y` path in code lines, as (line number, x, rest).
fn crate_paths(text: &str) -> Vec<(usize, String, String)> {
    let mut paths = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or(line);
        for piece in code.split("crate::").skip(1) {
            let end = piece.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(piece.len());
            let rest = piece[end..].trim_start_matches("::").to_owned();
            paths.push((number + 1, piece[..end].to_owned(), rest));
        }
    }
    paths
}

#[test]
fn modules_use_only_what_the_map_allows() {
    let allowed = allowed();
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let module = module_of(&path);
        if module == "main" || module == "lib" {
            continue;
        }
        let Some(may) = allowed.get(module.as_str()) else {
            wrong.push(format!("{}: module `{module}` is not on the map", path.display()));
            continue;
        };
        let ground = !matches!(module.as_str(), "protocol" | "compute");
        for (line, target, rest) in crate_paths(&text) {
            if target == module || !allowed.contains_key(target.as_str()) {
                continue;
            }
            let on_ground = ground && GROUND_FLOOR.contains(&target.as_str());
            // The ground floor's own tests and everybody's may not widen the map either.
            if !on_ground && !may.contains(&target.as_str()) {
                wrong.push(format!("{}:{line}: {module} -> {target}", path.display()));
            }
            for (from, to, prefixes) in NARROW {
                if from == module
                    && to == target
                    && !rest.is_empty()
                    && !prefixes.iter().any(|p| rest.starts_with(p))
                {
                    wrong.push(format!("{}:{line}: {from} -> {to}::{rest}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that ARCHITECTURE.md does not allow:\n{}", wrong.join("\n"));
}

#[test]
fn time_and_randomness_come_from_the_clock() {
    const FORBIDDEN: [&str; 16] = [
        "Instant::now",
        "SystemTime::now",
        "thread::sleep",
        "tokio::time::",
        "use tokio::time",
        "time::sleep(",
        "rand::rng(",
        "rand::random",
        "OsRng",
        "SysRng",
        "getrandom::",
        "thread_rng",
        "SecretKey::generate(",
        "Timestamp::now",
        "Zoned::now",
        "TimeZone::system",
    ];
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if path.ends_with("src/clock.rs") || is_test_file(&path) {
            continue;
        }
        for (number, line) in shipped(&text).lines().enumerate() {
            let code = line.split("//").next().unwrap_or(line);
            for word in FORBIDDEN.iter().filter(|w| code.contains(*w)) {
                wrong.push(format!("{}:{}: {word}", path.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "ask crate::clock instead:\n{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is_and_stays_small() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if !text.starts_with("//!") {
            wrong.push(format!("{}: does not open with //!", path.display()));
        }
        let lines = text.lines().count();
        if lines > 800 {
            wrong.push(format!("{}: {lines} lines, 800 is the most", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_stays_where_it_is_allowed() {
    const ALLOWED: [&str; 2] = ["compute/cpu/gemm.rs", "compute/wgpu/"];
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let name = path.to_string_lossy().replace('\\', "/");
        if ALLOWED.iter().any(|a| name.contains(a)) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or(line);
            if code.contains("unsafe {")
                || code.contains("unsafe fn")
                || code.contains("unsafe impl")
            {
                wrong.push(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "unsafe code outside its places:\n{}", wrong.join("\n"));
}

#[test]
fn nothing_is_ever_sent_to_the_chain() {
    // What leads to a transaction in the library that reads the chain.
    const FORBIDDEN: [&str; 8] = [
        "subxt::tx",
        "subxt::transactions",
        "subxt_signer",
        "dynamic::tx",
        "dynamic::transaction",
        ".tx()",
        ".transactions()",
        "author_submit",
    ];
    let (mut wrong, mut readers) = (Vec::new(), 0);
    for (path, text) in sources() {
        readers += usize::from(text.contains("use subxt::"));
        for (number, line) in text.lines().enumerate() {
            for word in FORBIDDEN.iter().filter(|word| line.contains(*word)) {
                wrong.push(format!("{}:{}: {word}", path.display(), number + 1));
            }
        }
    }
    assert!(readers > 0, "the reader was not looked at");
    assert!(wrong.is_empty(), "the chain is read, never written:\n{}", wrong.join("\n"));
    let signer = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    assert!(!signer.unwrap().contains("subxt-signer"), "no signer among the dependencies");
}

#[test]
fn the_map_itself_has_no_cycles() {
    fn visit<'a>(
        module: &'a str,
        map: &BTreeMap<&'a str, Vec<&'a str>>,
        path: &mut Vec<&'a str>,
    ) -> Result<(), String> {
        if path.contains(&module) {
            return Err(format!("{} -> {module}", path.join(" -> ")));
        }
        path.push(module);
        for next in map.get(module).into_iter().flatten() {
            visit(next, map, path)?;
        }
        path.pop();
        Ok(())
    }
    let map = allowed();
    for module in map.keys() {
        visit(module, &map, &mut Vec::new()).unwrap();
    }
}

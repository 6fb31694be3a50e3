//! The wire format and the math against the shared vectors: one test per file of `tests/vectors`,
//! named by its stem. `HEARTH_VECTORS=FOLDER` reads that folder instead. Every test rebuilds what
//! follows from the file's inputs and compares the whole file with it, so that a file that is wrong
//! anywhere fails; a missing file fails too.

// Test code may stop at the first surprise; the harness reports it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod geometry;
mod merging;
mod model;
mod numbers;
mod optimizer;
mod peers;
mod storage;
mod text;
mod timing;
mod vector;

use std::path::PathBuf;

use libtest_mimic::{Arguments, Trial};

use vector::{Check, Json};

/// Every vector file and what checks it.
const AREAS: [&[(&str, Check)]; 8] = [
    text::CHECKS,
    geometry::CHECKS,
    storage::CHECKS,
    peers::CHECKS,
    merging::CHECKS,
    model::CHECKS,
    optimizer::CHECKS,
    timing::CHECKS,
];

fn main() {
    let arguments = Arguments::from_args();
    let folder = std::env::var_os("HEARTH_VECTORS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join("vectors"),
        PathBuf::from,
    );
    let trial = |(name, check): &(&'static str, Check)| {
        let (path, check) = (folder.join(format!("{name}.json")), *check);
        Trial::test(*name, move || {
            let text = std::fs::read_to_string(&path)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            check(&Json::parse(&text)?);
            Ok(())
        })
    };
    let trials = AREAS.iter().flat_map(|area| area.iter()).map(trial).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

//! Real size: a body and a tail stage of the live network's 1B model, each through a whole epoch with
//! a restart in it, over real HTTP, a real S3 store and real peer endpoints, and their peak memory
//! against what the miner said before it took any. The same course with a tiny model runs everywhere;
//! the real one wants 16 GB and minutes:
//!
//! `cargo test --release --test real_size -- --ignored --nocapture --test-threads 1`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod course;
mod memory;
mod miner;
mod model;
mod neighbour;
mod orchestrator;

use course::{Row, run};
use model::Model;

const BODY: usize = 1;
const TAIL: usize = 2;

fn course(model: &Model, stage: usize) -> Row {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(run(model, stage))
}

#[test]
fn a_tiny_body_and_tail_go_through_an_epoch_and_a_restart() {
    let rows = [BODY, TAIL].map(|stage| course(&Model::tiny(), stage));
    println!("{}", course::table(&rows));
}

#[test]
#[ignore = "needs 16 GB of memory and minutes"]
fn a_real_body_and_tail_go_through_an_epoch_and_a_restart_within_their_plan() {
    let rows = [BODY, TAIL].map(|stage| {
        let row = course(&Model::billion(), stage);
        println!("{}", course::table(std::slice::from_ref(&row)));
        row
    });
    println!("{}", course::table(&rows));
}

/// The miner's own process, so that its peak is its own: started by the tests above and told what to
/// do in its environment. By itself it has nothing to do.
#[test]
#[ignore = "a process of the tests above"]
fn the_miners_own_process() {
    miner::live_if_asked();
}

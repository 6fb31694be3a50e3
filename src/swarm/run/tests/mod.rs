//! The rules of a run: by hand where one rule is looked at, by honest miners in random order where
//! all of them must lead to an epoch's end.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::protocol::messages::{Direction, FileType, LossReportRequest, SubmitActivationRequest};
use crate::protocol::{ActivationHash, NodeId};

mod epochs;
mod merging;
mod patience;
mod work;
mod world;

use world::World;

fn plan(stages: usize, miners_per_stage: usize, backwards_per_miner: u64) -> RunPlan {
    RunPlan {
        run_id: "test".into(),
        stages,
        miners_per_stage,
        backwards_per_miner,
        epochs: None,
        seed: 1,
        num_partitions: miners_per_stage * 2,
        tokens_per_activation: 10,
        rules: Rules::lenient(),
        names: BTreeMap::new(),
    }
}

fn hotkey(number: u8) -> Hotkey {
    Hotkey::from_public_key(&[number; 32])
}

fn node() -> NodeId {
    NodeId::from_bytes(&[1; 32])
}

fn hash(id: &ActivationId, stage: usize, direction: Direction) -> String {
    ActivationHash::of(format!("{id}/{stage}/{}", direction.as_str()).as_bytes()).to_string()
}

/// The report of an honest miner.
fn report(
    id: &ActivationId,
    stage: usize,
    stages: usize,
    direction: Direction,
) -> SubmitActivationRequest {
    let mut report = SubmitActivationRequest::new(id.clone(), direction);
    report.output_activation_hash = Some(hash(id, stage, direction));
    report.input_activation_hash = match direction {
        Direction::Forward => stage.checked_sub(1).map(|s| hash(id, s, direction)),
        Direction::Backward if stage + 1 < stages => Some(hash(id, stage + 1, direction)),
        Direction::Backward => None,
    };
    report
}

/// A run with one miner a stage, and an activation handed to the first.
fn pair() -> (Run, ActivationId) {
    let mut run = Run::new(plan(2, 1, 1), Restored::default(), Moment::default());
    assert_eq!(run.register(&hotkey(1), &node(), Moment::default()).unwrap().0, 0);
    assert_eq!(run.register(&hotkey(2), &node(), Moment::default()).unwrap().0, 1);
    assert_eq!(run.allowance(&hotkey(1), 5).unwrap(), 1);
    let id = run.hand_out(&hotkey(1), "s".into(), Moment::default());
    (run, id)
}

fn submit(run: &mut Run, by: u8, report: &SubmitActivationRequest) -> Result<(), String> {
    let answer = run.submit_activation(&hotkey(by), report, Moment::default());
    answer.map_err(|error| error.name().to_owned())
}

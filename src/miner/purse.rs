//! What whoever keeps the ledger takes from a miner (what its time went into), and what it shows on
//! it: what was earned. The miner itself never looks at money.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::board::Board;
use crate::earnings::view::EarningsView;
use crate::telemetry::spent::{Activity, TimeSheet};

/// The purse of one miner. Cheap to clone. It does not keep the miner's board alive: whoever waits for
/// the last snapshot is told when the miner has ended.
#[derive(Clone, Debug)]
pub struct Purse {
    board: Weak<Board>,
    time: TimeSheet,
}

impl Purse {
    pub(super) fn of(board: &Arc<Board>) -> Self {
        Self { board: Arc::downgrade(board), time: board.time().clone() }
    }

    /// What all of its time went into, since it was started.
    pub fn spent(&self) -> BTreeMap<Activity, Duration> {
        self.time.totals()
    }

    /// Shows what was earned, while the miner is there.
    pub fn show(&self, view: EarningsView) {
        let Some(board) = self.board.upgrade() else { return };
        if board.read(|snapshot| snapshot.earnings != view) {
            board.update(|snapshot| snapshot.earnings = view);
        }
    }
}

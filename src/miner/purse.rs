//! What whoever keeps the ledger takes from a miner (what its time went into), and what it shows on
//! it: what was earned. The miner itself never looks at money.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::board::Board;
use crate::earnings::view::EarningsView;
use crate::telemetry::spent::Activity;

/// The purse of one miner. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Purse(Arc<Board>);

impl Purse {
    pub(super) fn of(board: &Arc<Board>) -> Self {
        Self(Arc::clone(board))
    }

    /// What all of its time went into, since it was started.
    pub fn spent(&self) -> BTreeMap<Activity, Duration> {
        self.0.time().totals()
    }

    /// Shows what was earned.
    pub fn show(&self, view: EarningsView) {
        if self.0.read(|snapshot| snapshot.earnings != view) {
            self.0.update(|snapshot| snapshot.earnings = view);
        }
    }
}

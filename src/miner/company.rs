//! The miners of one process: one that ends by a fault waits to be enabled again, as long as another one
//! goes on. When none does, the process has nothing to wait for, and ends with the faults.

use std::sync::Arc;

use tokio::sync::watch;

/// A miner's seat among those that go on. Dropped, it does not.
#[derive(Debug)]
pub struct Seat(Company);

/// How many miners go on. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Company(Arc<watch::Sender<usize>>);

impl Seat {
    /// The seats of so many miners that are about to start.
    pub fn among(miners: usize) -> Vec<Self> {
        let company = Company(Arc::new(watch::Sender::new(miners)));
        (0..miners).map(|_| Self(company.clone())).collect()
    }

    /// The seat of a miner that has the process to itself.
    pub fn alone() -> Self {
        Self(Company(Arc::new(watch::Sender::new(1))))
    }

    /// Gives the seat up; what is left is where another may be taken.
    pub(super) fn leave(self) -> Company {
        self.0.clone()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.0.send_modify(|there| *there = there.saturating_sub(1));
    }
}

impl Company {
    /// Goes on again.
    pub(super) fn sit(self) -> Seat {
        self.0.send_modify(|there| *there += 1);
        Seat(self)
    }

    /// Whether nobody goes on.
    pub(super) fn is_empty(&self) -> bool {
        *self.0.borrow() == 0
    }

    /// Until nobody goes on.
    pub(super) async fn until_empty(&self) {
        // Its sender is here, so it does not fail.
        let _ = self.0.subscribe().wait_for(|there| *there == 0).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_is_left_alone_with_its_fault_waits_no_longer() {
        let mut seats = Seat::among(2);
        let (one, two) = (seats.pop().unwrap(), seats.pop().unwrap());
        let waiting = one.leave();
        assert!(!waiting.is_empty());
        // Enabled again, and at fault again.
        let waiting = waiting.sit().leave();
        assert!(!waiting.is_empty());
        drop(two);
        waiting.until_empty().await;
        assert!(Seat::alone().leave().is_empty());
    }
}

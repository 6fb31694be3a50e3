//! What the miners of one process have planned of the machine's memory: one that plans a stage leaves
//! to the others what they have planned and not taken yet, which the system still calls free.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Asks the system how much of its memory this process has; none where it does not say.
pub type OwnMemory = fn() -> Option<u64>;

/// The plans of the miners that share this. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HostPlans(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    own: OwnMemory,
    plans: Mutex<Plans>,
}

#[derive(Debug)]
struct Plans {
    /// What the process had before any of them.
    before: u64,
    bytes: BTreeMap<u64, u64>,
    next: u64,
}

/// A miner's plan, which holds until this is dropped.
#[derive(Debug)]
pub struct HostPlan {
    plans: HostPlans,
    number: u64,
}

impl HostPlans {
    /// No plans yet.
    pub fn new(own: OwnMemory) -> Self {
        let plans = Plans { before: own().unwrap_or(0), bytes: BTreeMap::new(), next: 0 };
        Self(Arc::new(Shared { own, plans: Mutex::new(plans) }))
    }

    /// Makes a plan: `plan` is told how many free bytes are the others', and gives its own bytes of the
    /// machine's memory beside what it makes of them. Nobody else plans meanwhile.
    ///
    /// # Errors
    /// Those of `plan`; then nothing is planned.
    pub fn plan<T, E>(
        &self,
        plan: impl FnOnce(u64) -> Result<(u64, T), E>,
    ) -> Result<(HostPlan, T), E> {
        let mut plans = self.0.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let planned: u64 = plans.bytes.values().sum();
        // What others have taken of their plans is not free any more.
        let taken = (self.0.own)().map_or(0, |own| own.saturating_sub(plans.before));
        let (bytes, made) = plan(planned.saturating_sub(taken))?;
        let number = plans.next;
        plans.next += 1;
        plans.bytes.insert(number, bytes);
        drop(plans);
        Ok((HostPlan { plans: self.clone(), number }, made))
    }
}

impl Drop for HostPlan {
    fn drop(&mut self) {
        let mut plans = self.plans.0.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.bytes.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn what_others_planned_and_have_not_taken_is_theirs() {
        static OWN: AtomicU64 = AtomicU64::new(50);
        let plans = HostPlans::new(|| Some(OWN.load(Ordering::Relaxed)));
        let ask = |bytes: u64| {
            let mut theirs = 0;
            let plan = plans.plan(|owed| {
                theirs = owed;
                Ok::<_, ()>((bytes, ()))
            });
            (plan.unwrap().0, theirs)
        };
        let (first, theirs) = ask(1000);
        assert_eq!(theirs, 0);
        let (second, theirs) = ask(300);
        assert_eq!(theirs, 1000);
        // Half of it all is in use by now.
        OWN.store(700, Ordering::Relaxed);
        let (third, theirs) = ask(10);
        assert_eq!(theirs, 650);
        drop((second, third));
        assert_eq!(ask(10).1, 350);
        drop(first);
        assert_eq!(ask(10).1, 0);
        assert!(plans.plan(|_| Err::<(u64, ()), _>("no room")).is_err());
        assert_eq!(ask(10).1, 0);
    }
}

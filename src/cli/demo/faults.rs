//! `--faults`: what is to go wrong in a demo, so that anybody can watch Hearth recover. A miner to whose
//! device something is to happen has a device of its own; the others share one.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::cli::{Exit, Failure};
use crate::clock::Clock;
use crate::compute::injected::{FaultPlan, FaultyDevice};
use crate::compute::{Device, ReopenError};
use crate::config::units;
use crate::miner::DeviceWorker;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The driver loses the device.
    DeviceLost,
    /// Memory runs out in the middle of a pass.
    OutOfMemory,
}

impl FaultKind {
    const ALL: [Self; 2] = [Self::DeviceLost, Self::OutOfMemory];

    fn word(self) -> &'static str {
        match self {
            Self::DeviceLost => "device-lost",
            Self::OutOfMemory => "out-of-memory",
        }
    }
}

/// Something that goes wrong once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// So long after the start.
    pub after: Duration,
    /// Whose.
    pub miner: String,
}

/// Everything that is to go wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

/// The faults that are still to come. Dropped, they do not come.
#[derive(Debug, Default)]
pub struct FaultTasks(Vec<JoinHandle<()>>);

impl Drop for FaultTasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Faults {
    /// Reads items such as `device-lost=30s@m0`; `miners` are the names there are.
    ///
    /// # Errors
    /// [`Failure`] for an item that cannot be read.
    pub fn read(items: &[String], miners: &[String]) -> Result<Self, Failure> {
        items.iter().map(|item| read_item(item, miners)).collect::<Result<_, _>>().map(Self)
    }

    /// Starts the miner's worker: its own, if something is to happen to it.
    pub(super) fn worker_of(
        &self,
        miner: &str,
        shared: &DeviceWorker,
        clock: &Clock,
        tasks: &mut FaultTasks,
    ) -> Result<DeviceWorker, Failure> {
        let own: Vec<&Fault> = self.0.iter().filter(|fault| fault.miner == miner).collect();
        if own.is_empty() {
            return Ok(shared.clone());
        }
        let failed = |error: &dyn std::fmt::Display| {
            let line = format!("{miner} cannot have a device of its own: {error}");
            Failure::new(Exit::NoDevice, line)
        };
        let plan = FaultPlan::new();
        let again = shared.device().reopen().map_err(|error: ReopenError| failed(&error))?;
        let device: Arc<dyn Device> = Arc::new(FaultyDevice::new(again.device, plan.clone()));
        let worker = DeviceWorker::start(device).map_err(|error| failed(&error))?;
        for fault in own {
            let (plan, clock, fault) = (plan.clone(), clock.clone(), fault.clone());
            tasks.0.push(tokio::spawn(async move {
                clock.sleep(fault.after).await;
                tracing::info!(miner = fault.miner, "injected: {}", fault.kind.word());
                match fault.kind {
                    FaultKind::DeviceLost => plan.lose(),
                    FaultKind::OutOfMemory => plan.exhaust(),
                }
            }));
        }
        Ok(worker)
    }
}

fn read_item(item: &str, miners: &[String]) -> Result<Fault, Failure> {
    let usage = |line: String| Failure::new(Exit::Usage, line);
    let shape = || usage(format!("--faults {item}: write it as device-lost=30s@m0"));
    let (what, miner) = item.split_once('@').ok_or_else(shape)?;
    let (word, after) = what.split_once('=').ok_or_else(shape)?;
    let kind = FaultKind::ALL.into_iter().find(|kind| kind.word() == word).ok_or_else(|| {
        let known: Vec<_> = FaultKind::ALL.iter().map(|kind| kind.word()).collect();
        usage(format!("--faults knows no `{word}`; choose one of: {}", known.join(", ")))
    })?;
    let after = units::span(after)
        .map_err(|error| usage(format!("--faults {item}: `{after}`: {error}")))?;
    if !miners.iter().any(|name| name == miner) {
        let there = miners.join(", ");
        return Err(usage(format!(
            "--faults {item}: there is no miner {miner}; there are {there}"
        )));
    }
    Ok(Fault { kind, after, miner: miner.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(items: &[&str]) -> Result<Faults, Failure> {
        let items: Vec<String> = items.iter().map(|item| (*item).to_owned()).collect();
        Faults::read(&items, &["m0".to_owned(), "m1".to_owned()])
    }

    #[test]
    fn items_are_read_and_refused_in_words() {
        let faults = read(&["device-lost=30s@m0", "out-of-memory=1500ms@m1"]).unwrap();
        let lost = Fault {
            kind: FaultKind::DeviceLost,
            after: Duration::from_secs(30),
            miner: "m0".to_owned(),
        };
        assert_eq!(faults.0[0], lost);
        assert_eq!((faults.0[1].kind, faults.0.len()), (FaultKind::OutOfMemory, 2));
        for (item, said) in [
            ("device-lost=30s", "device-lost=30s@m0"),
            ("device-lost@m0", "device-lost=30s@m0"),
            ("flood=1s@m0", "knows no `flood`"),
            ("device-lost=soon@m0", "such as 30m"),
            ("device-lost=1s@m7", "there is no miner m7"),
        ] {
            let failure = read(&[item]).unwrap_err();
            assert!(failure.line.contains(said) && failure.exit == Exit::Usage, "{failure}");
        }
        assert_eq!(read(&[]).unwrap(), Faults::default());
    }
}

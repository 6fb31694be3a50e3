//! A device with its thread, shared by the miners of a process. A device that is lost is opened again
//! here, once for all of them: each of its stages is built anew by its own miner.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::snapshot::DeviceView;
use crate::compute::{Device, DeviceFault, ReopenError};
use crate::host;
use crate::model::Stage;
use crate::training::memory::share::HostPlans;
use crate::training::memory::{HostMemory, Room};
use crate::training::worker::Worker;

/// The pause before the first repeated try to open a lost device; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// So long a miner waits for its device. A driver that is being replaced is back by then; what is
/// gone for longer needs somebody.
pub(super) const AWAITED: Duration = Duration::from_secs(600);

/// A device with its thread. Cheap to clone: miners of one process share it.
#[derive(Clone, Debug)]
pub struct DeviceWorker {
    held: Arc<Held>,
    pub(super) worker: Worker<Stage>,
    host_memory: HostMemory,
    pub(super) plans: HostPlans,
    peak_flops: Option<u64>,
}

#[derive(Debug)]
struct Held {
    device: Mutex<Arc<dyn Device>>,
    /// Taken by whoever opens it again.
    turn: tokio::sync::Mutex<()>,
}

/// A device that works.
#[derive(Debug)]
pub(super) struct Sound {
    pub(super) device: Arc<dyn Device>,
    /// Set for the one miner that opened it again.
    pub(super) renewal: Option<Renewal>,
}

/// How a device came back.
#[derive(Debug)]
pub(super) struct Renewal {
    /// Why it had to.
    pub(super) fault: DeviceFault,
    /// What it was busy with, in words.
    pub(super) in_flight: String,
    /// What was changed to keep it from being lost again.
    pub(super) changed: Option<String>,
}

impl DeviceWorker {
    /// Starts the device's thread. Fails if the system gives no thread.
    pub fn start(device: Arc<dyn Device>) -> std::io::Result<Self> {
        let worker = Worker::start(device.info().backend)?;
        let held = Held { device: Mutex::new(device), turn: tokio::sync::Mutex::default() };
        let plans = HostPlans::new(host::memory::own);
        let host_memory = host::memory::available;
        Ok(Self { held: Arc::new(held), worker, host_memory, plans, peak_flops: None })
    }

    /// The same for a process of several devices, whose stages must fit together.
    #[must_use]
    pub fn with_plans(self, plans: HostPlans) -> Self {
        Self { plans, ..self }
    }

    /// The same, with what a benchmark of it has measured: FLOPs a second of its best matrix product.
    #[must_use]
    pub fn with_peak(self, peak_flops: Option<u64>) -> Self {
        Self { peak_flops, ..self }
    }

    /// The same, asking somebody else how much memory the host has left.
    #[must_use]
    pub fn with_host_memory(self, host_memory: HostMemory) -> Self {
        Self { host_memory, ..self }
    }

    /// The memory that a stage may take now.
    pub(super) fn room(&self) -> Room {
        Room { host: (self.host_memory)(), device: self.device().info().memory }
    }

    /// What is known of it.
    pub fn view(&self) -> DeviceView {
        let device = self.device();
        let info = device.info();
        DeviceView {
            backend: info.backend.to_owned(),
            name: info.name.clone(),
            peak_flops: self.peak_flops,
            ..DeviceView::default()
        }
    }

    /// The device that is open now, or was last.
    pub fn device(&self) -> Arc<dyn Device> {
        Arc::clone(&self.held.device.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The device, if it works; another opening of it, if it can be had at once.
    ///
    /// # Errors
    /// [`ReopenError`] if it cannot.
    pub(super) async fn sound(&self) -> Result<Sound, ReopenError> {
        let _turn = self.held.turn.lock().await;
        let device = self.device();
        let Err(fault) = device.health() else { return Ok(Sound { device, renewal: None }) };
        let in_flight = device.in_flight().words();
        // Opening loads drivers and may test kernels: not on the network's threads.
        let opened = tokio::task::spawn_blocking(move || {
            let opened = device.reopen();
            // Only now: what was in flight is asked before.
            device.give_up();
            opened
        });
        let opened = opened.await.map_err(|error| ReopenError::NotBack(error.to_string()))??;
        let device = opened.device;
        *self.held.device.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&device);
        let renewal = Renewal { fault, in_flight, changed: opened.changed };
        Ok(Sound { device, renewal: Some(renewal) })
    }
}

/// The pause after so many tries that failed.
pub(super) fn pause_after(tries: u32) -> Duration {
    let doubled = 1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::cpu::CpuDevice;
    use crate::compute::injected::{FaultPlan, FaultyDevice};

    #[tokio::test]
    async fn a_lost_device_is_opened_once_for_everybody() {
        let plan = FaultPlan::new();
        let device = FaultyDevice::new(Arc::new(CpuDevice::new(Some(1))), plan.clone());
        let worker = DeviceWorker::start(Arc::new(device)).unwrap();
        assert!(worker.sound().await.unwrap().renewal.is_none());
        plan.lose();
        plan.stay_away(1);
        assert!(matches!(worker.sound().await, Err(ReopenError::NotBack(_))));
        let others = worker.clone();
        let (one, two) = tokio::join!(worker.sound(), others.sound());
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!([one.renewal.is_some(), two.renewal.is_some()], [true, false]);
        assert!(Arc::ptr_eq(&one.device, &two.device) && one.device.health().is_ok());
    }

    #[test]
    fn pauses_grow_and_end() {
        let seconds = |tries| pause_after(tries).as_secs_f64();
        assert_eq!([seconds(1), seconds(2), seconds(3)], [0.25, 0.5, 1.0]);
        assert_eq!([seconds(7), seconds(40), seconds(u32::MAX)], [15.0; 3]);
    }
}

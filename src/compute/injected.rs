//! Faults on demand: a device that is lost, runs out of memory or stays away for a while when it is told
//! to. The demo's `--faults` and the tests of recovery use it; underneath is a real device, which really
//! is given up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::device::{
    BuildError, Data, DataMut, Device, DeviceFault, DeviceInfo, Executor, ReopenError, Reopened,
};
use super::kind::KindSet;
use super::layout::{Layout, SlotId};
use super::op::Program;

/// What is to go wrong. A handle: clones are the same plan.
#[derive(Clone, Debug, Default)]
pub struct FaultPlan {
    wanted: Arc<Mutex<Wanted>>,
}

#[derive(Debug, Default)]
struct Wanted {
    /// The device that is open now.
    open: Option<Arc<Opening>>,
    /// How the next program is to break off.
    break_off: Option<BreakOff>,
    /// Bytes that a layout may have.
    limit: Option<usize>,
    /// Tries to open the device again that are to fail.
    away: u32,
}

/// How a program breaks off when it is done, in the middle of a pass.
#[derive(Clone, Copy, Debug)]
enum BreakOff {
    /// Memory runs out.
    Exhausted,
    /// The device is lost.
    Lost,
}

impl FaultPlan {
    /// No faults yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The device is lost now.
    pub fn lose(&self) {
        let open = self.wanted().open.clone();
        if let Some(open) = open {
            let device = open.inner.info().name.clone();
            open.fail(DeviceFault::Lost { device, why: "as the fault plan wants it".to_owned() });
            open.inner.give_up();
        }
    }

    /// So many tries to open it again fail, as while a driver resets it.
    pub fn stay_away(&self, tries: u32) {
        self.wanted().away = tries;
    }

    /// The next program is carried out, and then memory runs out: what it wrote is half of a pass.
    pub fn exhaust(&self) {
        self.wanted().break_off = Some(BreakOff::Exhausted);
    }

    /// The next program is carried out, and then the device is lost: what it wrote is half of a pass.
    pub fn lose_in_a_pass(&self) {
        self.wanted().break_off = Some(BreakOff::Lost);
    }

    /// The device has so many bytes for a stage from now on.
    pub fn limit(&self, bytes: usize) {
        self.wanted().limit = Some(bytes);
    }
}

/// One opening of the device underneath.
#[derive(Debug)]
struct Opening {
    inner: Arc<dyn Device>,
    fault: Mutex<Option<DeviceFault>>,
}

impl Opening {
    fn fail(&self, fault: DeviceFault) {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
    }

    fn check(&self) -> Result<(), DeviceFault> {
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone();
        fault.map_or(Ok(()), Err)
    }
}

/// A device to which what its plan wants happens.
#[derive(Debug)]
pub struct FaultyDevice {
    open: Arc<Opening>,
    plan: FaultPlan,
}

impl FaultyDevice {
    /// This device under this plan.
    pub fn new(inner: Arc<dyn Device>, plan: FaultPlan) -> Self {
        let open = Arc::new(Opening { inner, fault: Mutex::default() });
        plan.wanted().open = Some(Arc::clone(&open));
        Self { open, plan }
    }
}

impl Device for FaultyDevice {
    fn info(&self) -> &DeviceInfo {
        self.open.inner.info()
    }

    fn build(
        &self,
        layout: &Layout,
        programs: &[Program],
    ) -> Result<Box<dyn Executor>, BuildError> {
        self.health()?;
        let (needed, device) = (layout.bytes(), self.info().name.clone());
        if self.plan.wanted().limit.is_some_and(|limit| needed > limit) {
            return Err(BuildError::OutOfMemory { needed, device });
        }
        let inner = self.open.inner.build(layout, programs)?;
        let (open, plan) = (Arc::clone(&self.open), self.plan.clone());
        Ok(Box::new(FaultyExecutor { inner, open, plan }))
    }

    fn health(&self) -> Result<(), DeviceFault> {
        self.open.check()?;
        self.open.inner.health()
    }

    fn in_flight(&self) -> KindSet {
        self.open.inner.in_flight()
    }

    fn give_up(&self) {
        self.open.inner.give_up();
    }

    fn reopen(&self) -> Result<Reopened, ReopenError> {
        let mut wanted = self.plan.wanted();
        if wanted.away > 0 {
            wanted.away -= 1;
            return Err(ReopenError::NotBack("its driver is still being reset".to_owned()));
        }
        drop(wanted);
        let Reopened { device, changed } = self.open.inner.reopen()?;
        Ok(Reopened { device: Arc::new(Self::new(device, self.plan.clone())), changed })
    }
}

#[derive(Debug)]
struct FaultyExecutor {
    inner: Box<dyn Executor>,
    open: Arc<Opening>,
    plan: FaultPlan,
}

impl Executor for FaultyExecutor {
    fn run(&mut self, program: usize) -> Result<(), DeviceFault> {
        self.open.check()?;
        self.inner.run(program)?;
        let break_off = self.plan.wanted().break_off.take();
        let device = self.open.inner.info().name.clone();
        let why = "as the fault plan wants it".to_owned();
        match break_off {
            Some(BreakOff::Exhausted) => self.open.fail(DeviceFault::OutOfMemory { device, why }),
            Some(BreakOff::Lost) => {
                self.open.fail(DeviceFault::Lost { device, why });
                self.open.inner.give_up();
            }
            None => {}
        }
        self.open.check()
    }

    fn write(&mut self, slot: SlotId, offset: usize, data: Data<'_>) -> Result<(), DeviceFault> {
        self.open.check()?;
        self.inner.write(slot, offset, data)
    }

    fn read(&mut self, slot: SlotId, offset: usize, out: DataMut<'_>) -> Result<(), DeviceFault> {
        self.open.check()?;
        self.inner.read(slot, offset, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::conformance::{cases, run};
    use crate::compute::cpu::CpuDevice;

    fn faulty() -> (FaultyDevice, FaultPlan) {
        let plan = FaultPlan::new();
        (FaultyDevice::new(Arc::new(CpuDevice::new(Some(1))), plan.clone()), plan)
    }

    #[test]
    fn a_lost_device_stays_lost_and_another_one_comes_when_it_may() {
        let (device, plan) = faulty();
        let case = &cases()[0];
        run(case, &device).unwrap();
        plan.stay_away(1);
        plan.lose();
        assert!(matches!(device.health(), Err(DeviceFault::Lost { .. })));
        assert!(run(case, &device).is_err());
        assert!(matches!(device.reopen(), Err(ReopenError::NotBack(_))));
        let again = device.reopen().unwrap().device;
        run(case, &*again).unwrap();
        assert!(device.health().is_err());
        // The plan goes with the one that is open.
        plan.lose();
        assert!(again.health().is_err());
    }

    #[test]
    fn memory_runs_out_once_or_is_less_from_now_on() {
        let (device, plan) = faulty();
        let case = &cases()[0];
        plan.exhaust();
        let fault = run(case, &device).unwrap_err().to_string();
        assert!(fault.contains("ran out of memory"), "{fault}");
        let again = device.reopen().unwrap().device;
        run(case, &*again).unwrap();
        plan.lose_in_a_pass();
        assert!(run(case, &*again).unwrap_err().to_string().contains("was lost"));
        let again = again.reopen().unwrap().device;
        run(case, &*again).unwrap();
        plan.limit(1);
        let built = again.build(case.layout(), std::slice::from_ref(case.program()));
        assert!(matches!(built, Err(BuildError::OutOfMemory { .. })));
    }
}

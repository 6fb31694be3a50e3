//! The backend on wgpu: Vulkan, Metal and Direct3D 12 through our own WGSL in `shaders/`.
//!
//! The way of an op: `lower` turns it into dispatches (pure arithmetic), `pipeline` compiles
//! the kernels they name, `executor` lays out buffers, parameters and bind groups once and then
//! only replays them. [`adapter`] finds the hardware and says why it cannot be used.

pub mod adapter;
pub mod choice;
mod executor;
mod fault;
mod flight;
mod kernels;
pub mod losses;
mod lower;
mod memory;
mod pace;
mod pipeline;
mod template;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use adapter::{AdapterChoice, AdapterReport, GpuClass, OpenError, Unusable, adapters, settle};
pub use choice::{KernelChoice, KernelForm};
pub use kernels::source_hash;
pub use memory::CardMemory;

use self::executor::WgpuExecutor;
use self::fault::FaultCell;
use self::flight::Flight;
use self::lower::{Bounds, Class};
use self::pipeline::Pipelines;
use super::device::{
    BuildError, Device, DeviceFault, DeviceInfo, DeviceKind, Executor, ReopenError, Reopened,
};
use super::kind::KindSet;
use super::layout::Layout;
use super::op::Program;

/// Most work of one submission: under half a second on a small integrated GPU, so that a desktop's
/// watchdog (two seconds) never fires. In units of `lower::Call::cost`.
const GPU_COST: u64 = 100_000_000_000;

/// What every executor of a device shares.
#[derive(Clone, Debug)]
struct Shared {
    device: ::wgpu::Device,
    queue: ::wgpu::Queue,
    pipelines: Arc<Pipelines>,
    faults: FaultCell,
    flight: Arc<Flight<::wgpu::SubmissionIndex>>,
    info: DeviceInfo,
    bounds: Bounds,
    max_buffer: u64,
    /// How it was found.
    opened_by: AdapterChoice,
    /// Drivers stop once the instance is gone.
    _instance: ::wgpu::Instance,
    /// Tests name a kernel here that loses the device.
    #[cfg(test)]
    crashes_on: Option<(super::kind::OpKind, KernelForm)>,
}

/// A GPU, or a processor that plays one. Cheap to clone; executors share its queue and pipelines.
#[derive(Clone, Debug)]
pub struct WgpuDevice {
    shared: Arc<Shared>,
}

impl WgpuDevice {
    /// Opens the adapter that the choice names, with all the limits it offers.
    pub fn open(choice: &AdapterChoice) -> Result<Self, OpenError> {
        let opened = adapter::open(choice)?;
        let limits = opened.device.limits();
        let software = opened.info.kind == DeviceKind::SoftwareGpu;
        let bounds = Bounds {
            // Kernels index with 32 bits and address whole vec4.
            binding: limits.max_storage_buffer_binding_size.min((1 << 31) - 16) / 16 * 16,
            align: u64::from(limits.min_storage_buffer_offset_alignment),
            cost: GPU_COST,
            class: if software { Class::Processor } else { Class::Gpu },
            subgroup: opened.subgroup,
            choice: KernelChoice::default(),
        };
        let faults = FaultCell::default();
        faults.listen(&opened.device);
        Ok(Self {
            shared: Arc::new(Shared {
                pipelines: Arc::new(Pipelines::new(&opened.device)),
                device: opened.device,
                queue: opened.queue,
                faults,
                flight: Arc::default(),
                info: opened.info,
                bounds,
                max_buffer: limits.max_buffer_size,
                opened_by: choice.clone(),
                _instance: opened.instance,
                #[cfg(test)]
                crashes_on: None,
            }),
        })
    }

    /// The same device, with its kernels in other forms.
    #[must_use]
    pub fn with_choice(&self, choice: KernelChoice) -> Self {
        let bounds = Bounds { choice, ..self.shared.bounds };
        Self { shared: Arc::new(Shared { bounds, ..Shared::clone(&self.shared) }) }
    }

    /// The forms that its kernels are in.
    pub fn choice(&self) -> KernelChoice {
        self.shared.bounds.choice
    }

    /// Runs so many programs from now on one kernel after the other, so that a loss names the kernel.
    pub fn watch(&self, programs: u32) {
        self.shared.flight.watch(programs);
    }

    /// Names of the compiled kernels that these programs would run, without building anything: the
    /// same name stands for the same code.
    ///
    /// # Errors
    /// [`BuildError::BadOp`] for an op that this device cannot carry out.
    pub fn variants(
        &self,
        layout: &Layout,
        programs: &[Program],
    ) -> Result<BTreeSet<String>, BuildError> {
        let (calls, _) = executor::lower(&self.shared, layout, programs)?;
        Ok(calls.iter().flatten().map(|call| call.variant.key()).collect())
    }
}

impl Device for WgpuDevice {
    fn info(&self) -> &DeviceInfo {
        &self.shared.info
    }

    fn build(
        &self,
        layout: &Layout,
        programs: &[Program],
    ) -> Result<Box<dyn Executor>, BuildError> {
        self.health()?;
        let built = WgpuExecutor::build(Arc::clone(&self.shared), layout, programs);
        // Whatever the driver refuses while it is lost, it refuses for that.
        if built.is_err() {
            self.health()?;
        }
        Ok(Box::new(built?))
    }

    fn health(&self) -> Result<(), DeviceFault> {
        self.shared.faults.check(&self.shared.info.name)
    }

    fn in_flight(&self) -> KindSet {
        self.shared.flight.kinds()
    }

    fn give_up(&self) {
        // The driver's own word comes later, with the next wait.
        self.shared.faults.lost("it was given up".to_owned());
        self.shared.device.destroy();
    }

    fn reopen(&self) -> Result<Reopened, ReopenError> {
        let device = Self::open(&self.shared.opened_by)
            .map_err(|error| ReopenError::NotBack(error.to_string()))?
            .with_choice(self.choice());
        Ok(Reopened { device: Arc::new(device), changed: None })
    }
}

//! The contract of a backend: a device compiles a layout and its programs once and replays them.

use std::sync::Arc;

use half::bf16;

use super::kind::KindSet;
use super::layout::{Layout, SlotId};
use super::op::Program;

/// Which backend a device belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// The processor's own cores, in f32.
    Cpu,
    /// The processor's own cores, in f64: the oracle.
    Oracle,
    /// A GPU through wgpu.
    Gpu,
    /// A software adapter through wgpu: correct, slow.
    SoftwareGpu,
}

/// What a device says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Backend class.
    pub kind: DeviceKind,
    /// The backend's word on the command line: `cpu`, `wgpu`.
    pub backend: &'static str,
    /// Adapter or processor name.
    pub name: String,
    /// Driver name and version, empty where there is none.
    pub driver: String,
    /// Memory in bytes that a layout may use, if known.
    pub memory: Option<u64>,
    /// Its place on the PCI bus (`0000:01:00.0`), by which its sensors are found; empty where the
    /// driver does not tell.
    pub place: String,
}

/// So many bytes, for people.
fn amount(bytes: u64) -> String {
    bytesize::ByteSize::b(bytes).display().si().to_string()
}

/// A device could not take a layout and its programs.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A slot is larger than the device's largest buffer.
    #[error(
        "{name} needs {} in one piece, but {device} gives at most {}; use another device, or --backend cpu",
        amount(*.bytes as u64),
        amount(*.limit)
    )]
    SlotTooLarge {
        /// Slot name.
        name: String,
        /// Its size.
        bytes: usize,
        /// The device.
        device: String,
        /// The device's limit in bytes.
        limit: u64,
    },
    /// The device's memory is not enough.
    #[error(
        "the stage needs {}, but {device} has no room for it; close other programs, or use a device with more memory",
        amount(*.needed as u64)
    )]
    OutOfMemory {
        /// Bytes of the layout.
        needed: usize,
        /// The device.
        device: String,
    },
    /// An op's operands do not fit its definition: a fault of the plan, not of the user.
    #[error("program {program}, op {index}: {why} (this is a bug in Hearth: please report it)")]
    BadOp {
        /// Program name.
        program: String,
        /// Position.
        index: usize,
        /// What is wrong.
        why: String,
    },
    /// A shader was refused by the driver.
    #[error("{device} refused the kernel {kernel}: {why}; try --backend cpu, or update the driver")]
    KernelRefused {
        /// The device.
        device: String,
        /// Kernel name.
        kernel: String,
        /// The driver's words.
        why: String,
    },
    /// The device failed while the stage was being set up.
    #[error(transparent)]
    Fault(#[from] DeviceFault),
}

/// A device failed while it worked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceFault {
    /// The driver reset or removed the device.
    #[error("{device} was lost ({why}); it has to be opened again")]
    Lost {
        /// The device.
        device: String,
        /// The driver's words.
        why: String,
    },
    /// Memory ran out while a stage worked: what it holds is not to be trusted any more.
    #[error("{device} ran out of memory at work ({why}); close other programs that use it")]
    OutOfMemory {
        /// The device.
        device: String,
        /// The driver's words.
        why: String,
    },
    /// A read or write was outside its slot, or of the wrong element type.
    #[error("bad access to slot {slot}: {why} (this is a bug in Hearth: please report it)")]
    BadAccess {
        /// Slot name.
        slot: String,
        /// What is wrong.
        why: String,
    },
}

/// A device that was lost cannot be opened again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReopenError {
    /// Not now: the driver may still reset it, or somebody may plug it in again.
    #[error("{0}")]
    NotBack(String),
    /// It is there, and must not be used any more.
    #[error("{0}")]
    Unusable(String),
}

/// A device that was opened again.
#[derive(Debug)]
pub struct Reopened {
    /// The device; nothing of what the lost one held is in it.
    pub device: Arc<dyn Device>,
    /// What was changed to keep it from being lost again, in words.
    pub changed: Option<String>,
}

/// Elements for a slot, from the host.
#[derive(Clone, Copy, Debug)]
pub enum Data<'a> {
    /// For a slot of [`Element::Real`](super::Element::Real).
    Real(&'a [f32]),
    /// The same in full precision (rounded to f32 by devices that have no f64).
    Wide(&'a [f64]),
    /// For a slot of [`Element::Index`](super::Element::Index).
    Index(&'a [u32]),
    /// For a slot of [`Element::Bf16`](super::Element::Bf16).
    Bf16(&'a [bf16]),
}

/// Room for elements of a slot, on the host. Kinds as in [`Data`].
#[derive(Debug)]
pub enum DataMut<'a> {
    /// From a slot of [`Element::Real`](super::Element::Real), rounded to f32 if it is wider.
    Real(&'a mut [f32]),
    /// The same, widened to f64.
    Wide(&'a mut [f64]),
    /// From a slot of [`Element::Index`](super::Element::Index).
    Index(&'a mut [u32]),
    /// From a slot of [`Element::Bf16`](super::Element::Bf16).
    Bf16(&'a mut [bf16]),
}

/// One device, or the processor's cores as one device.
pub trait Device: Send + Sync + std::fmt::Debug {
    /// What it is.
    fn info(&self) -> &DeviceInfo;

    /// Takes memory for every slot (zero-filled) and compiles every program.
    fn build(&self, layout: &Layout, programs: &[Program])
    -> Result<Box<dyn Executor>, BuildError>;

    /// Whether it can be worked with. Once it cannot, it never can again: [`Device::reopen`].
    fn health(&self) -> Result<(), DeviceFault> {
        Ok(())
    }

    /// Kinds of kernels that it was given and has not answered for. For a lost device: the suspects.
    fn in_flight(&self) -> KindSet {
        KindSet::default()
    }

    /// Gives everything back to the driver, whoever still holds a part of it: all executors fail from
    /// now on.
    fn give_up(&self) {}

    /// Opens the same device once more. May take seconds.
    fn reopen(&self) -> Result<Reopened, ReopenError> {
        Err(ReopenError::Unusable(format!("{} cannot be opened again", self.info().name)))
    }
}

/// A layout in a device's memory, with its compiled programs.
///
/// `run` and `write` may return before the device is done; they take effect in the order of the
/// calls. `read` waits for all that came before it.
pub trait Executor: Send + std::fmt::Debug {
    /// Runs the program at this position of the list given to [`Device::build`].
    fn run(&mut self, program: usize) -> Result<(), DeviceFault>;

    /// Copies elements into a slot, starting at element `offset`.
    fn write(&mut self, slot: SlotId, offset: usize, data: Data<'_>) -> Result<(), DeviceFault>;

    /// Copies elements out of a slot, starting at element `offset`.
    fn read(&mut self, slot: SlotId, offset: usize, out: DataMut<'_>) -> Result<(), DeviceFault>;
}

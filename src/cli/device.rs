//! Opening the device a command works on: the best backend that is really there.

use std::sync::Arc;

use clap::ValueEnum;

use super::{Exit, Failure};
use crate::compute::Device;
use crate::compute::cpu::CpuDevice;
use crate::compute::wgpu::{AdapterChoice, WgpuDevice};

/// The backends on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// A GPU if there is one, else the processor. Never a software GPU.
    Auto,
    /// A GPU through Vulkan, Metal or DX12; a software adapter where there is no GPU.
    Wgpu,
    /// The processor's cores.
    Cpu,
}

/// Opens it.
pub fn open(backend: Backend) -> Result<Arc<dyn Device>, Failure> {
    let no_device = |error| Failure::new(Exit::NoDevice, error);
    match backend {
        Backend::Cpu => Ok(Arc::new(CpuDevice::new(None))),
        Backend::Wgpu => WgpuDevice::open(&AdapterChoice::AllowSoftware)
            .map(|device| Arc::new(device) as Arc<dyn Device>)
            .map_err(no_device),
        Backend::Auto => match WgpuDevice::open(&AdapterChoice::Best) {
            Ok(device) => Ok(Arc::new(device)),
            Err(error) => {
                tracing::info!("no GPU: {error}; using the processor");
                Ok(Arc::new(CpuDevice::new(None)))
            }
        },
    }
}

//! How much memory an adapter has, by its driver's own word. wgpu does not tell: NVIDIA's drivers say it
//! through their management library, the others through the operating system.

use nvml_wrapper::Nvml;
use sysinfo::{Gpus, PCI};

use super::adapter::GpuClass;

/// NVIDIA's number on the PCI bus.
const NVIDIA: u32 = 0x10de;

/// Bytes of a card's own memory; none where it has none, or nobody says.
pub(super) fn of(info: &::wgpu::AdapterInfo, class: GpuClass) -> Option<u64> {
    if class == GpuClass::Software || class.shares_memory() {
        return None;
    }
    let place = info.device_pci_bus_id.as_str();
    let bytes = if info.vendor == NVIDIA { of_nvidia(place) } else { None };
    bytes.or_else(|| of_system(place)).filter(|bytes| *bytes > 0)
}

/// The library comes with the driver; where it cannot be loaded nothing is known.
fn of_nvidia(place: &str) -> Option<u64> {
    let nvml = Nvml::init().ok()?;
    let device = nvml.device_by_pci_bus_id(place).ok()?;
    device.memory_info().ok().map(|memory| memory.total)
}

fn of_system(place: &str) -> Option<u64> {
    let place: PCI = place.parse().ok()?;
    let gpus = Gpus::new_with_refreshed_list().ok()?;
    gpus.iter().find(|gpu| *gpu.pci() == place)?.total_memory()
}

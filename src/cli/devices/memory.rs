//! Memory of the GPUs as the operating system counts it: how large, and how much is taken.

use sysinfo::{Gpus, PCI};

use crate::compute::wgpu::AdapterReport;

/// Bytes of an adapter's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GpuMemory {
    /// All of it.
    pub total: Option<u64>,
    /// What other programs (and the screen) have taken.
    pub used: Option<u64>,
}

/// A GPU as the operating system lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Listed {
    pci: PCI,
    model: String,
    memory: GpuMemory,
}

/// Every GPU that the operating system lists.
#[derive(Clone, Debug, Default)]
pub struct SystemGpus(Vec<Listed>);

impl SystemGpus {
    /// Asks the system.
    pub fn ask() -> Self {
        let Ok(gpus) = Gpus::new_with_refreshed_list() else { return Self::default() };
        let listed = gpus.iter().map(|gpu| Listed {
            pci: gpu.pci().clone(),
            model: gpu.model().unwrap_or_default().to_lowercase(),
            memory: GpuMemory { total: gpu.total_memory(), used: gpu.used_memory() },
        });
        Self(listed.collect())
    }

    /// What is known of an adapter's memory: the same place on the bus, or the only GPU of its name.
    pub fn memory_of(&self, adapter: &AdapterReport) -> GpuMemory {
        let place: Option<PCI> = adapter.pci.as_deref().and_then(|pci| pci.parse().ok());
        if let Some(place) = place {
            let found = self.0.iter().find(|gpu| gpu.pci == place);
            return found.map(|gpu| gpu.memory).unwrap_or_default();
        }
        let name = adapter.name.to_lowercase();
        let named = |gpu: &&Listed| {
            !gpu.model.is_empty() && (name.contains(&gpu.model) || gpu.model.contains(&name))
        };
        let mut found = self.0.iter().filter(named);
        match (found.next(), found.next()) {
            (Some(gpu), None) => gpu.memory,
            _ => GpuMemory::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::DeviceKind;
    use crate::compute::wgpu::GpuClass;

    fn adapter(name: &str, pci: Option<&str>) -> AdapterReport {
        AdapterReport {
            name: name.to_owned(),
            interface: "vulkan",
            driver: String::new(),
            kind: DeviceKind::Gpu,
            class: GpuClass::Discrete,
            pci: pci.map(str::to_owned),
            memory: None,
            refusal: None,
        }
    }

    fn listed(pci: &str, model: &str, total: u64) -> Listed {
        let memory = GpuMemory { total: Some(total), used: Some(1) };
        Listed { pci: pci.parse().unwrap(), model: model.to_owned(), memory }
    }

    #[test]
    fn the_place_on_the_bus_decides_between_equal_cards() {
        let gpus = SystemGpus(vec![
            listed("0000:01:00.0", "card x", 8),
            listed("0000:02:00.0", "card x", 16),
        ]);
        let total = |name, pci| gpus.memory_of(&adapter(name, pci)).total;
        assert_eq!(total("Card X", Some("0000:02:00.0")), Some(16));
        assert_eq!(total("Card X", Some("0000:03:00.0")), None);
        // Two of one name, and nothing to tell them apart.
        assert_eq!(total("Card X", None), None);
    }

    #[test]
    fn a_name_decides_where_there_is_only_one() {
        let gpus = SystemGpus(vec![listed("0000:01:00.0", "card x", 8)]);
        assert_eq!(gpus.memory_of(&adapter("Maker Card X (driver)", None)).total, Some(8));
        assert_eq!(gpus.memory_of(&adapter("Other", None)), GpuMemory::default());
    }
}

//! How much memory the cards have, and how much is taken. wgpu does not tell: the operating system does,
//! and for NVIDIA's cards the library that comes with their driver.

use nvml_wrapper::Nvml;
use sysinfo::{Gpus, PCI};

use super::adapter::GpuClass;

/// NVIDIA's number on the PCI bus.
const NVIDIA: u32 = 0x10de;

/// Bytes of an adapter's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CardMemory {
    /// All of it.
    pub total: Option<u64>,
    /// What other programs (and the screen) have taken.
    pub used: Option<u64>,
}

/// A card as the operating system lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Listed {
    pci: PCI,
    model: String,
    memory: CardMemory,
}

/// Every card that the operating system lists.
#[derive(Clone, Debug, Default)]
pub(super) struct Cards(Vec<Listed>);

impl Cards {
    /// Asks the system.
    pub(super) fn ask() -> Self {
        let Ok(gpus) = Gpus::new_with_refreshed_list() else { return Self::default() };
        let listed = gpus.iter().map(|gpu| Listed {
            pci: gpu.pci().clone(),
            model: gpu.model().unwrap_or_default().to_lowercase(),
            memory: CardMemory { total: gpu.total_memory(), used: gpu.used_memory() },
        });
        Self(listed.collect())
    }

    /// What is known of an adapter's memory.
    pub(super) fn memory_of(&self, info: &::wgpu::AdapterInfo) -> CardMemory {
        let place = info.device_pci_bus_id.as_str();
        let listed = self.listed(&info.name, place);
        let own = !GpuClass::from(info.device_type).shares_memory();
        let told = if own && info.vendor == NVIDIA { of_nvidia(place) } else { None };
        CardMemory { total: told.or(listed.total).filter(|bytes| *bytes > 0), ..listed }
    }

    /// The card in the same place on the bus, or where that is not told the only one of this name.
    fn listed(&self, name: &str, place: &str) -> CardMemory {
        if let Ok(place) = place.parse::<PCI>() {
            let found = self.0.iter().find(|card| card.pci == place);
            return found.map(|card| card.memory).unwrap_or_default();
        }
        let name = name.to_lowercase();
        let named = |card: &&Listed| {
            !card.model.is_empty() && (name.contains(&card.model) || card.model.contains(&name))
        };
        let mut found = self.0.iter().filter(named);
        match (found.next(), found.next()) {
            (Some(card), None) => card.memory,
            _ => CardMemory::default(),
        }
    }
}

/// Where the library cannot be loaded nothing is known.
fn of_nvidia(place: &str) -> Option<u64> {
    let nvml = Nvml::init().ok()?;
    let device = nvml.device_by_pci_bus_id(place).ok()?;
    device.memory_info().ok().map(|memory| memory.total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(pci: &str, model: &str, total: u64) -> Listed {
        let memory = CardMemory { total: Some(total), used: Some(1) };
        Listed { pci: pci.parse().unwrap(), model: model.to_owned(), memory }
    }

    #[test]
    fn the_place_on_the_bus_decides_between_equal_cards() {
        let cards =
            Cards(vec![listed("0000:01:00.0", "card x", 8), listed("0000:02:00.0", "card x", 16)]);
        let total = |name, place| cards.listed(name, place).total;
        assert_eq!(total("Card X", "0000:02:00.0"), Some(16));
        assert_eq!(total("Card X", "0000:03:00.0"), None);
        // Two of one name, and nothing to tell them apart.
        assert_eq!(total("Card X", ""), None);
    }

    #[test]
    fn a_name_decides_where_there_is_only_one() {
        let cards = Cards(vec![listed("0000:01:00.0", "card x", 8)]);
        assert_eq!(cards.listed("Maker Card X (driver)", "").total, Some(8));
        assert_eq!(cards.listed("Other", ""), CardMemory::default());
    }
}

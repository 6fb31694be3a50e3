//! Which devices the selectors of several name: each once, and none that is not there.

use std::num::NonZeroUsize;

use crate::cli::{Exit, Failure};
use crate::compute::DeviceKind;
use crate::compute::wgpu::AdapterReport;
use crate::config::devices::DeviceSelector;

/// A device that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// The processor, with this many threads; all of them when there is none.
    Processor(Option<usize>),
    /// The adapter at a place of the list.
    Adapter(usize, AdapterReport),
}

/// Finds what each selector names. The processor leaves a core to the adapters beside it, unless
/// `threads` says how many it may have.
///
/// # Errors
/// [`Failure`] for a device that is not there, cannot be used, is not the only one of that name, or
/// was named before.
pub fn choose(
    selectors: &[DeviceSelector],
    adapters: &[AdapterReport],
    threads: Option<usize>,
) -> Result<Vec<Chosen>, Failure> {
    let beside = selectors.iter().any(|selector| *selector != DeviceSelector::Cpu);
    let threads = threads.or_else(|| beside.then(|| (cores() - 1).max(1)));
    let mut chosen: Vec<Chosen> = Vec::new();
    for (place, selector) in selectors.iter().enumerate() {
        let one = match selector {
            DeviceSelector::Cpu => Chosen::Processor(threads),
            _ => {
                let place = adapter(selector, adapters)?;
                Chosen::Adapter(place, adapters[place].clone())
            }
        };
        if let Some(before) = chosen.iter().position(|before| is_same(before, &one)) {
            let name = match &one {
                Chosen::Processor(_) => "the processor",
                Chosen::Adapter(_, report) => &report.name,
            };
            let line = format!(
                "{} and {} are the same device ({name}): a device mines with one hotkey; take one \
                 of the two out of `devices`",
                selectors[before], selectors[place]
            );
            return Err(Failure::new(Exit::Configuration, line).coded("device-twice"));
        }
        chosen.push(one);
    }
    Ok(chosen)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// Whether both are the same piece of hardware: one card comes once for each interface.
fn is_same(one: &Chosen, other: &Chosen) -> bool {
    match (one, other) {
        (Chosen::Processor(_), Chosen::Processor(_)) => true,
        (Chosen::Adapter(place, one), Chosen::Adapter(other_place, other)) => {
            place == other_place || is_same_card(one, other)
        }
        _ => false,
    }
}

fn is_same_card(one: &AdapterReport, other: &AdapterReport) -> bool {
    !one.slot.is_empty() && one.slot == other.slot
}

/// The place of the adapter that a selector names.
fn adapter(selector: &DeviceSelector, adapters: &[AdapterReport]) -> Result<usize, Failure> {
    let usable = |report: &AdapterReport| report.refusal.is_none();
    let found = match selector {
        DeviceSelector::WgpuAt(place) => Some(*place).filter(|place| *place < adapters.len()),
        DeviceSelector::WgpuNamed(name) => named(name, adapters)?,
        // A GPU before a processor that plays one; the list begins with the best.
        DeviceSelector::Wgpu | DeviceSelector::Cpu => adapters
            .iter()
            .position(|report| usable(report) && report.kind == DeviceKind::Gpu)
            .or_else(|| adapters.iter().position(usable)),
    };
    usable_one(selector, found, adapters)
}

fn named(name: &str, adapters: &[AdapterReport]) -> Result<Option<usize>, Failure> {
    let wanted = name.to_lowercase();
    let mut fitting: Vec<usize> = (0..adapters.len())
        .filter(|place| adapters[*place].name.to_lowercase().contains(&wanted))
        .collect();
    // What can be used goes first, so that a card is not refused for its other interface.
    fitting.sort_by_key(|place| adapters[*place].refusal.is_some());
    let mut cards: Vec<usize> = Vec::new();
    for place in fitting {
        if !cards.iter().any(|card| is_same_card(&adapters[*card], &adapters[place])) {
            cards.push(place);
        }
    }
    if cards.len() > 1 {
        let places: Vec<String> = cards.iter().map(|place| format!("wgpu:{place}")).collect();
        let line = format!(
            "{} adapters have `{name}` in their name: write which one is meant, {}",
            cards.len(),
            places.join(" or ")
        );
        return Err(Failure::new(Exit::Configuration, line).coded("device-ambiguous"));
    }
    Ok(cards.first().copied())
}

fn usable_one(
    selector: &DeviceSelector,
    found: Option<usize>,
    adapters: &[AdapterReport],
) -> Result<usize, Failure> {
    let refused = |line: String| Failure::new(Exit::NoDevice, line).coded("device-unknown");
    match found.map(|place| (place, &adapters[place])) {
        Some((_, AdapterReport { refusal: Some(why), name, .. })) => Err(refused(format!(
            "{selector} is {name}, which cannot be used: {why}. Update its driver, or take it out \
             of `devices`"
        ))),
        Some((place, _)) => Ok(place),
        None => {
            let there: Vec<String> = adapters
                .iter()
                .enumerate()
                .map(|(place, report)| format!("wgpu:{place} ({})", report.name))
                .chain(["cpu".to_owned()])
                .collect();
            Err(refused(format!(
                "there is no device {selector} here; there is {}. See `hearth devices`",
                there.join(", ")
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::wgpu::{CardMemory, GpuClass, Unusable};

    fn adapter(name: &str, slot: &str, class: GpuClass) -> AdapterReport {
        AdapterReport {
            name: name.to_owned(),
            interface: "vulkan",
            driver: String::new(),
            kind: if class == GpuClass::Software {
                DeviceKind::SoftwareGpu
            } else {
                DeviceKind::Gpu
            },
            class,
            slot: slot.to_owned(),
            memory: CardMemory::default(),
            refusal: None,
        }
    }

    /// Two cards of the same sort, the first of them a second time, and a software adapter.
    fn adapters() -> Vec<AdapterReport> {
        vec![
            adapter("GeForce RTX 4090", "0000:01:00.0", GpuClass::Discrete),
            adapter("GeForce RTX 4090", "0000:02:00.0", GpuClass::Discrete),
            AdapterReport {
                interface: "dx12",
                ..adapter("GeForce RTX 4090", "0000:01:00.0", GpuClass::Discrete)
            },
            adapter("llvmpipe (LLVM 19)", "", GpuClass::Software),
        ]
    }

    fn chosen(words: &[&str], threads: Option<usize>) -> Result<Vec<Chosen>, Failure> {
        let selectors: Vec<DeviceSelector> =
            words.iter().map(|word| word.parse().unwrap()).collect();
        choose(&selectors, &adapters(), threads)
    }

    #[test]
    fn each_selector_finds_its_device() {
        let found = chosen(&["wgpu:1", "wgpu:LLVMpipe", "wgpu", "cpu"], Some(7)).unwrap();
        let all = adapters();
        let card = |place: usize| Chosen::Adapter(place, all[place].clone());
        assert_eq!(found, [card(1), card(3), card(0), Chosen::Processor(Some(7))]);
    }

    #[test]
    fn the_processor_leaves_a_core_to_adapters_and_none_when_it_is_alone() {
        assert_eq!(chosen(&["cpu"], None).unwrap(), [Chosen::Processor(None)]);
        let threads = (cores() - 1).max(1);
        assert_eq!(chosen(&["cpu", "wgpu:1"], None).unwrap()[0], Chosen::Processor(Some(threads)));
    }

    #[test]
    fn a_device_is_named_once() {
        for words in [
            ["cpu", "cpu"],
            ["wgpu:0", "wgpu:0"],
            ["wgpu", "wgpu:0"],
            // The same card through another interface.
            ["wgpu:0", "wgpu:2"],
            ["wgpu:3", "wgpu:llvm"],
        ] {
            let failure = chosen(&words, None).unwrap_err();
            assert_eq!((failure.code, failure.exit), ("device-twice", Exit::Configuration));
            assert!(words.iter().all(|word| failure.line.contains(word)), "{failure}");
        }
    }

    #[test]
    fn what_is_not_there_or_not_clear_is_said() {
        let unknown = chosen(&["wgpu:9"], None).unwrap_err();
        assert_eq!((unknown.code, unknown.exit), ("device-unknown", Exit::NoDevice));
        assert!(unknown.line.contains("wgpu:3 (llvmpipe"), "{unknown}");
        assert_eq!(chosen(&["wgpu:Radeon"], None).unwrap_err().code, "device-unknown");
        let two = chosen(&["wgpu:rtx"], None).unwrap_err();
        assert_eq!(two.code, "device-ambiguous");
        assert!(two.line.contains("wgpu:0 or wgpu:1"), "{two}");
        let broken = AdapterReport { refusal: Some(Unusable::NoCompute), ..adapters()[0].clone() };
        let failure = choose(&[DeviceSelector::WgpuAt(0)], &[broken], None).unwrap_err();
        assert!(failure.line.contains("no compute shaders"), "{failure}");
    }
}

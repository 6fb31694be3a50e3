//! What this machine can compute with, as plain data: the adapters with their memory, which one is
//! taken and why, which are refused and why, what is known of their kernels, what fits, and how fast
//! the last benchmark found it. Nothing is opened, tested or printed here.

use crate::cli::bench::record::{self, BenchRecord};
use crate::cli::devices::fit::{self, Fit, MemoryRoom};
use crate::cli::devices::verdicts::{self, Verdict, VerdictKey};
use crate::compute::cpu::CpuDevice;
use crate::compute::wgpu::{AdapterReport, adapters};
use crate::compute::{Device, DeviceInfo, DeviceKind};
use crate::config::folders::Folders;

/// An adapter.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterFacts {
    /// Name, as its driver gives it.
    pub name: String,
    /// `vulkan`, `metal` or `dx12`.
    pub interface: String,
    /// `discrete`, `integrated`, `virtual`, `software` or `unknown`.
    pub class: String,
    /// Driver name and version.
    pub driver: String,
    /// Its memory in bytes; none where neither driver nor system tells.
    pub memory: Option<u64>,
    /// How much of it is free; none where the system does not tell.
    pub free: Option<u64>,
    /// Whether that is the machine's own memory.
    pub shares_memory: bool,
    /// Its place on the PCI bus; empty where the driver does not tell.
    pub place: String,
    /// Why it cannot be used, if it cannot.
    pub refusal: Option<String>,
    /// Why it is taken, or not, in a sentence.
    pub why: String,
    /// What the self-test found with this driver and these kernels; none if it was not tested yet.
    pub verdict: Option<Verdict>,
    /// What of the 1B model fits; none where the memory is not known.
    pub fit: Option<Fit>,
}

/// The processor as a device.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessorFacts {
    /// Its name.
    pub name: String,
    /// Memory that programs may still take, in bytes; none where the system does not tell.
    pub free: Option<u64>,
    /// What of the 1B model fits.
    pub fit: Option<Fit>,
}

/// What `--backend auto` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// The adapter at this place of the list.
    Adapter(usize),
    /// The processor.
    Processor,
}

/// What this machine can compute with.
#[derive(Clone, Debug, PartialEq)]
pub struct Survey {
    /// Adapters, best first; the same GPU comes once for each interface.
    pub adapters: Vec<AdapterFacts>,
    /// The processor.
    pub processor: ProcessorFacts,
    /// What is taken when nobody says otherwise.
    pub chosen: Chosen,
    /// Why, in a sentence.
    pub why: String,
    /// The last benchmark of what is taken.
    pub bench: Option<BenchRecord>,
}

impl Survey {
    /// The adapter that is taken, unless it is the processor.
    pub fn chosen_adapter(&self) -> Option<&AdapterFacts> {
        match self.chosen {
            Chosen::Adapter(place) => self.adapters.get(place),
            Chosen::Processor => None,
        }
    }

    /// Name of what is taken.
    pub fn chosen_name(&self) -> &str {
        self.chosen_adapter().map_or(&self.processor.name, |adapter| &adapter.name)
    }

    /// What fits on what is taken.
    pub fn chosen_fit(&self) -> Option<Fit> {
        self.chosen_adapter().map_or(self.processor.fit, |adapter| adapter.fit)
    }
}

/// Looks at the machine. Without folders (no home directory) nothing that was kept is known.
pub fn survey(folders: Option<&Folders>) -> Survey {
    let free = crate::host::memory::available();
    let reports = adapters();
    let facts = reports.iter().map(|report| facts(report, free, folders)).collect();
    let processor = processor(free);
    let (adapters, chosen, why) = choose(facts);
    let taken = match chosen {
        Chosen::Adapter(place) => adapters.get(place).map_or("", |adapter| &adapter.name),
        Chosen::Processor => &processor.name,
    };
    let bench = folders.and_then(|folders| record::last_of(folders, taken));
    Survey { adapters, processor, chosen, why, bench }
}

fn facts(report: &AdapterReport, host: Option<u64>, folders: Option<&Folders>) -> AdapterFacts {
    let shares_memory = report.class.shares_memory();
    let memory = report.memory.total;
    let used = report.memory.used.zip(memory);
    let free = if shares_memory { host } else { used.map(|(used, all)| all.saturating_sub(used)) };
    // What is free of the machine's own memory counts beside what the driver would give at most.
    let device = if shares_memory { memory } else { free.or(memory) };
    let room = MemoryRoom { host, device, shared: shares_memory };
    let known = memory.is_some() || shares_memory;
    let info = DeviceInfo {
        kind: report.kind,
        backend: "wgpu",
        name: report.name.clone(),
        driver: report.driver.clone(),
        memory,
        place: report.slot.clone(),
    };
    AdapterFacts {
        name: report.name.clone(),
        interface: report.interface.to_owned(),
        class: report.class.word().to_owned(),
        driver: report.driver.clone(),
        memory,
        free,
        shares_memory,
        place: report.slot.clone(),
        refusal: report.refusal.as_ref().map(ToString::to_string),
        why: String::new(),
        verdict: folders.and_then(|folders| verdicts::read(folders, &VerdictKey::of(report))),
        fit: if known { fit::fit(&info, room) } else { None },
    }
}

fn processor(free: Option<u64>) -> ProcessorFacts {
    let info = CpuDevice::new(None).info().clone();
    debug_assert_eq!(info.kind, DeviceKind::Cpu);
    let room = MemoryRoom { host: free, device: None, shared: true };
    ProcessorFacts { fit: fit::fit(&info, room), name: info.name, free }
}

/// The first GPU that can be used and whose kernels are not known to be wrong, as
/// [`crate::cli::device::open`] takes it; else the processor. Says of each why.
fn choose(mut adapters: Vec<AdapterFacts>) -> (Vec<AdapterFacts>, Chosen, String) {
    let mut chosen = None;
    for (place, adapter) in adapters.iter_mut().enumerate() {
        let failed = adapter.verdict.as_ref().and_then(|verdict| verdict.refusal.clone());
        adapter.why = if let Some(why) = &adapter.refusal {
            format!("refused: {why}")
        } else if let Some(why) = failed {
            format!("refused by the self-test: {why}")
        } else if adapter.class == "software" {
            "not taken by itself: a processor that plays a GPU is slower than the processor; \
             `--backend wgpu` takes it"
                .to_owned()
        } else if chosen.is_some() {
            "not taken: another GPU comes first".to_owned()
        } else {
            chosen = Some(place);
            format!("taken: the first {} GPU that can be used", adapter.class)
        };
    }
    match chosen {
        Some(place) => {
            let why = format!("it is the best GPU here ({})", adapters[place].class);
            (adapters, Chosen::Adapter(place), why)
        }
        None => {
            let why = match adapters.len() {
                0 => "no GPU was found",
                _ => "no GPU that was found can be used",
            };
            (adapters, Chosen::Processor, why.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(class: &str, refusal: Option<&str>) -> AdapterFacts {
        AdapterFacts {
            name: format!("{class} card"),
            interface: "vulkan".into(),
            class: class.into(),
            driver: "driver 1".into(),
            memory: None,
            free: None,
            shares_memory: false,
            place: String::new(),
            refusal: refusal.map(str::to_owned),
            why: String::new(),
            verdict: None,
            fit: None,
        }
    }

    #[test]
    fn the_first_usable_gpu_is_taken_and_every_other_says_why_not() {
        let (list, chosen, _) = choose(vec![
            adapter("discrete", Some("it has no compute shaders")),
            adapter("integrated", None),
            adapter("virtual", None),
            adapter("software", None),
        ]);
        assert_eq!(chosen, Chosen::Adapter(1));
        let words = ["no compute shaders", "taken: the first integrated", "another", "plays a GPU"];
        for (adapter, word) in list.iter().zip(words) {
            assert!(adapter.why.contains(word), "{}", adapter.why);
        }
    }

    #[test]
    fn a_software_adapter_alone_leaves_the_work_to_the_processor() {
        let (_, chosen, why) = choose(vec![adapter("software", None)]);
        assert_eq!(
            (chosen, why.as_str()),
            (Chosen::Processor, "no GPU that was found can be used")
        );
        assert_eq!(choose(Vec::new()).2, "no GPU was found");
    }

    #[test]
    fn this_machine_is_surveyed_without_a_home() {
        let survey = survey(None);
        assert!(survey.processor.name.contains("thread"));
        assert_eq!(survey.bench, None);
        assert!(survey.adapters.iter().all(|adapter| !adapter.why.is_empty()));
        assert!(!survey.chosen_name().is_empty());
    }
}

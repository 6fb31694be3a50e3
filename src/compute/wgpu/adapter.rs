//! Finding the hardware: which adapters there are, which can be used, and which one is taken.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::memory::{CardMemory, Cards};
use crate::compute::device::{DeviceInfo, DeviceKind};

/// Which adapter to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdapterChoice {
    /// The best GPU: discrete before integrated; never a software adapter.
    Best,
    /// The same, and a software adapter where there is no GPU.
    AllowSoftware,
    /// The first usable adapter whose name contains this, in any case; software adapters too.
    Named(String),
    /// The one at this place of [`adapters`], whatever it is.
    Place(usize),
}

/// Why an adapter cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It has no compute shaders.
    #[error("it has no compute shaders")]
    NoCompute,
    /// A limit is too low for the kernels.
    #[error("its limit {limit} is {has}, but {needs} are needed")]
    LimitTooLow {
        /// Name of the limit.
        limit: &'static str,
        /// Its value.
        has: u64,
        /// What the kernels need.
        needs: u64,
    },
}

/// What sort of GPU an adapter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GpuClass {
    /// A card with memory of its own.
    Discrete,
    /// Part of the processor; it shares the machine's memory.
    Integrated,
    /// A GPU that a virtual machine was given.
    Virtual,
    /// A processor that plays a GPU.
    Software,
    /// The driver does not say.
    Unknown,
}

impl GpuClass {
    /// Whether its buffers lie in the machine's own memory.
    pub fn shares_memory(self) -> bool {
        matches!(self, Self::Integrated | Self::Software)
    }

    /// Its word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Discrete => "discrete",
            Self::Integrated => "integrated",
            Self::Virtual => "virtual",
            Self::Software => "software",
            Self::Unknown => "unknown",
        }
    }
}

impl From<::wgpu::DeviceType> for GpuClass {
    fn from(kind: ::wgpu::DeviceType) -> Self {
        match kind {
            ::wgpu::DeviceType::DiscreteGpu => Self::Discrete,
            ::wgpu::DeviceType::IntegratedGpu => Self::Integrated,
            ::wgpu::DeviceType::VirtualGpu => Self::Virtual,
            ::wgpu::DeviceType::Cpu => Self::Software,
            ::wgpu::DeviceType::Other => Self::Unknown,
        }
    }
}

/// One adapter of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterReport {
    /// Name as the driver gives it.
    pub name: String,
    /// `vulkan`, `metal` or `dx12`.
    pub interface: &'static str,
    /// Driver name and version.
    pub driver: String,
    /// A GPU, or a processor that plays one.
    pub kind: DeviceKind,
    /// What sort of GPU.
    pub class: GpuClass,
    /// Where it is plugged in, as the driver gives it; empty where it does not.
    pub slot: String,
    /// Its memory, as far as it is known.
    pub memory: CardMemory,
    /// Why it cannot be used, if it cannot.
    pub refusal: Option<Unusable>,
}

impl AdapterReport {
    /// Bytes of its own memory, where they are known; none for one that shares the machine's.
    fn own_memory(&self) -> Option<u64> {
        self.memory.total.filter(|_| !self.class.shares_memory())
    }
}

/// No adapter could be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is none of the kind asked for.
    #[error(
        "no usable GPU: looked for {looked_for} and found {found}. {remedy} `--backend cpu` works without a GPU"
    )]
    NoAdapter {
        /// What was looked for.
        looked_for: String,
        /// What there is instead.
        found: String,
        /// What to install.
        remedy: &'static str,
    },
    /// The driver refused to open it.
    #[error(
        "{name} could not be opened: {why}. Close other programs that use it or update its driver; `--backend cpu` works without a GPU"
    )]
    Refused {
        /// The adapter.
        name: String,
        /// The driver's words.
        why: String,
    },
}

/// An open adapter.
pub(super) struct Opened {
    pub(super) instance: ::wgpu::Instance,
    pub(super) device: ::wgpu::Device,
    pub(super) queue: ::wgpu::Queue,
    pub(super) info: DeviceInfo,
    /// Size of a subgroup, if it is always the same and subgroup operations are there.
    pub(super) subgroup: Option<u32>,
}

/// OpenGL is left out: it lists the same hardware again, with fewer abilities.
const INTERFACES: ::wgpu::Backends =
    ::wgpu::Backends::VULKAN.union(::wgpu::Backends::METAL).union(::wgpu::Backends::DX12);

/// Every adapter of this machine, best first, with the reason where one cannot be used.
pub fn adapters() -> Vec<AdapterReport> {
    reports(&list(drivers().instance))
}

fn reports(all: &[::wgpu::Adapter]) -> Vec<AdapterReport> {
    let cards = if all.is_empty() { Cards::default() } else { Cards::ask() };
    all.iter().map(|adapter| report(adapter, &cards)).collect()
}

/// Waits until no thread loads a driver, and lets none begin: to be called when the process ends. A
/// driver that is loaded while the system already tidies up after the process crashes it.
pub fn settle() {
    std::mem::forget(turn());
}

/// Opens the adapter that the choice names.
pub(super) fn open(choice: &AdapterChoice) -> Result<Opened, OpenError> {
    let drivers = drivers();
    let instance = drivers.instance;
    let all = list(instance);
    let reports = reports(&all);
    let fits = |(place, report): &(usize, &AdapterReport)| {
        report.refusal.is_none()
            && match choice {
                AdapterChoice::Place(wanted) => place == wanted,
                AdapterChoice::Best => report.kind == DeviceKind::Gpu,
                AdapterChoice::AllowSoftware => true,
                AdapterChoice::Named(name) => {
                    report.name.to_lowercase().contains(&name.to_lowercase())
                }
            }
    };
    let taken = reports.iter().enumerate().find(fits).map(|(place, _)| place);
    let Some((adapter, report)) = taken.and_then(|at| all.get(at).zip(reports.get(at))) else {
        return Err(no_adapter(choice, &reports));
    };
    let features = adapter.features() & ::wgpu::Features::SUBGROUP;
    let (least, most) = {
        let info = adapter.get_info();
        (info.subgroup_min_size, info.subgroup_max_size)
    };
    let subgroup = (!features.is_empty() && least == most).then_some(least);
    let request = adapter.request_device(&::wgpu::DeviceDescriptor {
        label: Some("hearth"),
        required_features: features,
        required_limits: adapter.limits(),
        memory_hints: ::wgpu::MemoryHints::Performance,
        ..Default::default()
    });
    let (device, queue) = pollster::block_on(request).map_err(|error| OpenError::Refused {
        name: report.name.clone(),
        why: super::fault::first_line(&error),
    })?;
    let info = DeviceInfo {
        kind: report.kind,
        backend: "wgpu",
        name: report.name.clone(),
        driver: report.driver.clone(),
        memory: report.own_memory(),
        place: report.slot.clone(),
    };
    Ok(Opened { instance: instance.clone(), device, queue, info, subgroup })
}

/// The drivers of this process, used by one thread at a time. Loaded once and never unloaded: some
/// crash when they are loaded again, or by two threads at once.
struct Drivers {
    instance: &'static ::wgpu::Instance,
    _turn: MutexGuard<'static, ()>,
}

fn drivers() -> Drivers {
    static LOADED: OnceLock<::wgpu::Instance> = OnceLock::new();
    let turn = turn();
    Drivers { instance: LOADED.get_or_init(instance), _turn: turn }
}

fn turn() -> MutexGuard<'static, ()> {
    static BUSY: Mutex<()> = Mutex::new(());
    BUSY.lock().unwrap_or_else(PoisonError::into_inner)
}

fn instance() -> ::wgpu::Instance {
    let mut descriptor = ::wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = INTERFACES;
    // No validation layers: they print to the terminal.
    descriptor.flags = ::wgpu::InstanceFlags::empty();
    ::wgpu::Instance::new(descriptor)
}

/// Adapters, best first.
fn list(instance: &::wgpu::Instance) -> Vec<::wgpu::Adapter> {
    let mut all = pollster::block_on(instance.enumerate_adapters(INTERFACES));
    all.sort_by_key(|adapter| {
        let info = adapter.get_info();
        let class = match info.device_type {
            ::wgpu::DeviceType::DiscreteGpu => 0,
            ::wgpu::DeviceType::IntegratedGpu => 1,
            ::wgpu::DeviceType::VirtualGpu => 2,
            ::wgpu::DeviceType::Other => 3,
            ::wgpu::DeviceType::Cpu => 4,
        };
        // On Windows the same GPU comes twice; Vulkan's larger buffers decide.
        (class, info.backend == ::wgpu::Backend::Dx12)
    });
    all
}

fn report(adapter: &::wgpu::Adapter, cards: &Cards) -> AdapterReport {
    let info = adapter.get_info();
    let driver = format!("{} {}", info.driver, info.driver_info).trim().to_owned();
    let kind = match info.device_type {
        ::wgpu::DeviceType::Cpu => DeviceKind::SoftwareGpu,
        _ => DeviceKind::Gpu,
    };
    let compute = adapter.get_downlevel_capabilities().flags;
    let refusal = if compute.contains(::wgpu::DownlevelFlags::COMPUTE_SHADERS) {
        too_low(&adapter.limits())
    } else {
        Some(Unusable::NoCompute)
    };
    let class = GpuClass::from(info.device_type);
    let memory = cards.memory_of(&info);
    AdapterReport {
        name: info.name,
        interface: info.backend.to_str(),
        driver,
        kind,
        class,
        slot: info.device_pci_bus_id,
        memory,
        refusal,
    }
}

/// The first limit that the kernels cannot live with.
fn too_low(limits: &::wgpu::Limits) -> Option<Unusable> {
    let needs = [
        ("storage buffers per shader", u64::from(limits.max_storage_buffers_per_shader_stage), 8),
        ("workgroup size", u64::from(limits.max_compute_invocations_per_workgroup), 256),
        ("workgroup memory", u64::from(limits.max_compute_workgroup_storage_size), 16_384),
        ("storage binding size", limits.max_storage_buffer_binding_size, 1 << 27),
    ];
    let low = needs.into_iter().find(|(_, has, needs)| has < needs)?;
    Some(Unusable::LimitTooLow { limit: low.0, has: low.1, needs: low.2 })
}

fn no_adapter(choice: &AdapterChoice, all: &[AdapterReport]) -> OpenError {
    let interface = if cfg!(target_os = "macos") {
        "Metal"
    } else if cfg!(windows) {
        "Vulkan or Direct3D 12"
    } else {
        "Vulkan"
    };
    let looked_for = match choice {
        AdapterChoice::Best => format!("a GPU with {interface}"),
        AdapterChoice::AllowSoftware => format!("any adapter with {interface}"),
        AdapterChoice::Place(place) => format!("adapter {place} of the list with {interface}"),
        AdapterChoice::Named(name) => format!("an adapter named `{name}` with {interface}"),
    };
    let words: Vec<String> = all
        .iter()
        .map(|adapter| match (&adapter.refusal, adapter.kind) {
            (Some(why), _) => format!("{} ({why})", adapter.name),
            (None, DeviceKind::SoftwareGpu) => format!("{} (software only)", adapter.name),
            (None, _) => adapter.name.clone(),
        })
        .collect();
    let found = if words.is_empty() { "none".to_owned() } else { words.join(", ") };
    OpenError::NoAdapter { looked_for, found, remedy: remedy() }
}

/// Which driver brings a GPU to life on this system.
fn remedy() -> &'static str {
    if cfg!(target_os = "macos") {
        "Every Mac since macOS 12 has Metal: update macOS."
    } else if cfg!(windows) {
        "Install the driver from the GPU's maker (NVIDIA, AMD or Intel), then restart."
    } else {
        "Install the Vulkan driver: on Debian or Ubuntu `apt install mesa-vulkan-drivers` (AMD, Intel) or `nvidia-driver`; on Fedora `dnf install mesa-vulkan-drivers` or `akmod-nvidia`."
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_adapter_says_what_was_sought_what_there_is_and_what_to_do() {
        let soft = AdapterReport {
            name: "llvmpipe".to_owned(),
            interface: "vulkan",
            driver: String::new(),
            kind: DeviceKind::SoftwareGpu,
            class: GpuClass::Software,
            slot: String::new(),
            memory: CardMemory::default(),
            refusal: None,
        };
        let text = no_adapter(&AdapterChoice::Best, &[soft]).to_string();
        for part in ["a GPU with", "llvmpipe (software only)", "nstall", "--backend cpu"] {
            assert!(text.contains(part) || cfg!(target_os = "macos"), "{part} in {text}");
        }
        let none = no_adapter(&AdapterChoice::Named("rtx".to_owned()), &[]).to_string();
        assert!(none.contains("`rtx`") && none.contains("found none"), "{none}");
    }

    #[test]
    fn a_low_limit_is_named() {
        let mut limits = ::wgpu::Limits::default();
        assert_eq!(too_low(&limits), None);
        limits.max_storage_buffers_per_shader_stage = 4;
        let low = Unusable::LimitTooLow { limit: "storage buffers per shader", has: 4, needs: 8 };
        assert_eq!(too_low(&limits), Some(low));
    }
}

//! Memory of this machine, as far as this process may have it: a container's limit counts.

use sysinfo::{MemoryRefreshKind, ProcessRefreshKind, ProcessesToUpdate, System};

/// Bytes of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// All there is for this process.
    pub total: u64,
    /// What programs may still take without others being pushed out.
    pub available: u64,
}

/// What the system says; none where it does not.
pub fn memory() -> Option<Memory> {
    let mut system = System::new().ok()?;
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    let machine = Memory { total: system.total_memory(), available: system.available_memory() };
    let limited = match system.cgroup_limits() {
        Some(group) => within(machine, group.total_memory, group.free_memory),
        None => machine,
    };
    (limited.total > 0).then_some(limited)
}

/// The memory that programs may still take; none where nobody can say.
pub fn available() -> Option<u64> {
    memory().map(|memory| memory.available)
}

/// Bytes that this process has; none where nobody can say.
pub fn own() -> Option<u64> {
    let id = sysinfo::get_current_pid().ok()?;
    let mut system = System::new().ok()?;
    let only_memory = ProcessRefreshKind::nothing().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[id]), true, only_memory);
    system.process(id).map(sysinfo::Process::memory)
}

/// Of the machine's memory what a group of processes may have. A group without a limit reports the
/// machine's own numbers, or none.
fn within(machine: Memory, total: u64, free: u64) -> Memory {
    if total == 0 || total >= machine.total {
        return machine;
    }
    Memory { total, available: machine.available.min(free) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_counts_only_where_it_has_less() {
        let machine = Memory { total: 100, available: 60 };
        assert_eq!(within(machine, 0, 0), machine);
        assert_eq!(within(machine, 100, 10), machine);
        assert_eq!(within(machine, u64::MAX, 10), machine);
        assert_eq!(within(machine, 50, 20), Memory { total: 50, available: 20 });
        assert_eq!(within(machine, 80, 70), Memory { total: 80, available: 60 });
    }

    #[test]
    fn what_this_process_has_grows_with_what_it_takes() {
        let before = own().unwrap();
        let taken = std::hint::black_box(vec![7_u8; 64 << 20]);
        let after = own().unwrap();
        assert!(after >= before + (48 << 20), "{before} -> {after}");
        drop(taken);
    }

    #[test]
    fn this_machine_has_memory() {
        let memory = memory().unwrap();
        assert!(memory.available > 0 && memory.available <= memory.total, "{memory:?}");
    }
}

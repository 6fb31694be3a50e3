//! The peak of this process's memory, from Linux's own books.

/// Bytes of a line of `/proc/self/status`; none where there is no such table.
fn status(name: &str) -> Option<u64> {
    let table = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = table.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 =
        line.trim_start_matches(':').trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// The most that was resident since the last [`forget_peak`].
pub fn peak() -> u64 {
    status("VmHWM").unwrap_or(0)
}

/// Counts the peak from here on, where the system lets it.
pub fn forget_peak() {
    drop(std::fs::write("/proc/self/clear_refs", "5"));
}

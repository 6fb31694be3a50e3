//! Room on the disk that a folder is on, or will be on.

use std::path::Path;

/// Bytes of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    /// What this user may still write.
    pub free: u64,
    /// All of it.
    pub total: u64,
}

/// The disk of `folder`, which need not exist yet; none where the system does not say.
pub fn space_of(folder: &Path) -> Option<DiskSpace> {
    let existing = folder.ancestors().find(|folder| folder.exists())?;
    space(&existing.canonicalize().ok()?)
}

#[cfg(unix)]
fn space(folder: &Path) -> Option<DiskSpace> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    Some(DiskSpace { free: bytes(disk.f_bavail), total: bytes(disk.f_blocks) })
}

#[cfg(not(unix))]
fn space(folder: &Path) -> Option<DiskSpace> {
    let disks = sysinfo::Disks::new_with_refreshed_list().ok()?;
    // A full path begins with its disk, apart from the prefix of long paths.
    let text = folder.to_string_lossy();
    let folder = Path::new(text.trim_start_matches(r"\\?\"));
    let on = disks.iter().filter(|disk| folder.starts_with(disk.mount_point()));
    let disk = on.max_by_key(|disk| disk.mount_point().as_os_str().len())?;
    Some(DiskSpace { free: disk.available_space(), total: disk.total_space() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_does_not_exist_yet_has_the_disk_of_its_parents() {
        let folder = tempfile::tempdir().unwrap();
        let there = space_of(folder.path()).unwrap();
        let later = space_of(&folder.path().join("a/b/c")).unwrap();
        assert_eq!(there.total, later.total);
        assert!(there.free <= there.total && there.total > 0);
    }
}

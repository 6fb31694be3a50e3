//! Facts about this machine that are not its GPU: memory, disk, power, sleep, what it runs in, and who
//! else uses the card. Every fact that is read from a file is read below a root, so that a test can
//! put a laptop, a container or WSL there. Nothing here judges; that is the doctor's and the miner's.

pub mod awake;
pub mod command;
pub mod disk;
pub mod graphics;
pub mod memory;
pub mod month;
pub mod power;
pub mod processes;
pub mod readings;
pub mod rules;
pub mod sensors;
pub mod sleep;
pub mod surroundings;

use std::path::{Path, PathBuf};

/// Where the system keeps what it says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// The file system's root, for the few files that lie right in it.
    pub root: PathBuf,
    /// Processes and the kernel.
    pub proc: PathBuf,
    /// Devices as the kernel sees them.
    pub sys: PathBuf,
    /// Device files.
    pub dev: PathBuf,
    /// The administrator's settings.
    pub etc: PathBuf,
    /// What lives until the next start.
    pub run: PathBuf,
    /// Programs and what they share.
    pub usr: PathBuf,
    /// What services keep.
    pub var: PathBuf,
}

impl Roots {
    /// Those of this machine.
    pub fn system() -> Self {
        Self::under(Path::new("/"))
    }

    /// Those of a tree somewhere else.
    pub fn under(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            proc: root.join("proc"),
            sys: root.join("sys"),
            dev: root.join("dev"),
            etc: root.join("etc"),
            run: root.join("run"),
            usr: root.join("usr"),
            var: root.join("var"),
        }
    }
}

/// The text of a small file of the system; none where it is not there or says nothing.
fn text(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// What lies in a folder, in the order of the names; nothing where there is no such folder.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let found = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = found.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// The last part of a path as text.
fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

#[cfg(test)]
#[cfg(target_os = "linux")]
pub(crate) mod fake_bus;
#[cfg(test)]
pub(crate) mod trees;

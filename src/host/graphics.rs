//! The files that a graphics driver leaves on Linux: device nodes, who may open them, and the files by
//! which Vulkan finds it. They tell why no adapter is found. Other systems bring their driver along.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::surroundings::Variables;
use super::{Roots, entries, file_name, text};

/// Whether this user may compute on a device node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Yes.
    Open,
    /// No; the group that may, where it has a name.
    Denied(Option<String>),
    /// It is there and does not answer, as one does whose driver is gone.
    Broken(String),
}

/// A device node for computing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderNode {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it can be used.
    pub access: Access,
}

/// Who made a card, by the number on its bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// 0x10de.
    Nvidia,
    /// 0x1002.
    Amd,
    /// 0x8086.
    Intel,
    /// Any other, such as a virtual machine's.
    Other,
}

/// What is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DriverFiles {
    /// Device nodes for computing.
    pub nodes: Vec<RenderNode>,
    /// Makers of the cards that the kernel sees.
    pub makers: Vec<Maker>,
    /// Files by which Vulkan finds drivers.
    pub vulkan: Vec<PathBuf>,
    /// Whether NVIDIA's kernel driver is loaded.
    pub nvidia_kernel: bool,
    /// The device of WSL, through which its programs reach the card.
    pub dxg: bool,
    /// What a container's start allowed of NVIDIA's driver, where it said so.
    pub nvidia_capabilities: Option<String>,
}

impl DriverFiles {
    /// Looks for them.
    pub fn look(roots: &Roots, variables: &Variables) -> Self {
        let is_node = |path: &PathBuf| file_name(path).starts_with("renderD");
        let nodes = entries(&roots.dev.join("dri")).into_iter().filter(is_node);
        Self {
            nodes: nodes.map(|path| RenderNode { access: access(roots, &path), path }).collect(),
            makers: makers(roots),
            vulkan: vulkan_files(roots, variables),
            nvidia_kernel: roots.proc.join("driver/nvidia/version").exists(),
            dxg: roots.dev.join("dxg").exists(),
            nvidia_capabilities: variables.get("NVIDIA_DRIVER_CAPABILITIES").cloned(),
        }
    }

    /// Whether Vulkan finds a driver of this maker.
    pub fn has_vulkan_of(&self, maker: Maker) -> bool {
        let words: &[&str] = match maker {
            Maker::Nvidia => &["nvidia", "nouveau", "nvk"],
            Maker::Amd => &["radeon", "amd"],
            Maker::Intel => &["intel"],
            Maker::Other => &[""],
        };
        let names = self.vulkan.iter().map(|path| file_name(path).to_lowercase());
        names.into_iter().any(|name| words.iter().any(|word| name.contains(word)))
    }
}

/// Opens the node as a driver would, and looks whose it is where that is refused.
fn access(roots: &Roots, path: &Path) -> Access {
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(_) => Access::Open,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Access::Denied(group_of(path).and_then(|id| group_name(roots, id)))
        }
        Err(error) => Access::Broken(error.to_string()),
    }
}

#[cfg(unix)]
fn group_of(path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).ok().map(|node| node.gid())
}

#[cfg(not(unix))]
fn group_of(_path: &Path) -> Option<u32> {
    None
}

/// The name of a group, from the administrator's list.
fn group_name(roots: &Roots, id: u32) -> Option<String> {
    let list = text(&roots.etc.join("group"))?;
    list.lines().find_map(|line| {
        let mut parts = line.split(':');
        let (name, _, number) = (parts.next()?, parts.next()?, parts.next()?);
        (number.parse() == Ok(id)).then(|| name.to_owned())
    })
}

fn makers(roots: &Roots) -> Vec<Maker> {
    // `card0` is a card, `card0-DP-1` a socket of it.
    let is_card = |path: &PathBuf| {
        file_name(path).strip_prefix("card").is_some_and(|n| n.parse::<u32>().is_ok())
    };
    let cards = entries(&roots.sys.join("class/drm")).into_iter().filter(is_card);
    let maker = |card: PathBuf| match text(&card.join("device/vendor"))?.as_str() {
        "0x10de" => Some(Maker::Nvidia),
        "0x1002" => Some(Maker::Amd),
        "0x8086" => Some(Maker::Intel),
        _ => Some(Maker::Other),
    };
    cards.filter_map(maker).collect()
}

/// The files that Vulkan's loader reads: those that a variable names, else those of the usual folders.
fn vulkan_files(roots: &Roots, variables: &Variables) -> Vec<PathBuf> {
    let named =
        ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].iter().find_map(|name| variables.get(*name));
    if let Some(list) = named.filter(|list| !list.is_empty()) {
        return std::env::split_paths(list).filter(|path| path.exists()).collect();
    }
    let usual = [&roots.etc, &roots.usr.join("local/share"), &roots.usr.join("share")];
    let folders = usual.into_iter().map(|folder| folder.join("vulkan/icd.d"));
    let is_json = |path: &PathBuf| path.extension().is_some_and(|end| end == "json");
    folders.flat_map(|folder| entries(&folder)).filter(is_json).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::trees::tree;

    #[test]
    fn nodes_cards_and_vulkan_files_are_found() {
        let (_folder, roots) = tree(&[
            ("dev/dri/card0", ""),
            ("dev/dri/renderD128", ""),
            ("sys/class/drm/card0/device/vendor", "0x10de\n"),
            ("sys/class/drm/card0-DP-1/device/vendor", "0x1002\n"),
            ("proc/driver/nvidia/version", "NVRM version: 1\n"),
            ("usr/share/vulkan/icd.d/nvidia_icd.json", "{}"),
            ("usr/share/vulkan/icd.d/README", ""),
        ]);
        let files = DriverFiles::look(&roots, &Variables::new());
        assert_eq!(files.nodes.len(), 1);
        assert_eq!(files.nodes[0].access, Access::Open);
        assert_eq!(files.makers, [Maker::Nvidia]);
        assert!(files.nvidia_kernel && !files.dxg);
        assert_eq!(files.vulkan.len(), 1);
        assert!(files.has_vulkan_of(Maker::Nvidia) && !files.has_vulkan_of(Maker::Amd));
    }

    #[test]
    fn a_variable_takes_the_place_of_the_folders() {
        let (folder, roots) = tree(&[
            ("usr/share/vulkan/icd.d/intel_icd.json", "{}"),
            ("elsewhere/radeon_icd.json", "{}"),
        ]);
        let named = folder.path().join("elsewhere/radeon_icd.json");
        let variables =
            Variables::from([("VK_ICD_FILENAMES".to_owned(), named.display().to_string())]);
        assert_eq!(DriverFiles::look(&roots, &variables).vulkan, [named]);
    }

    #[test]
    fn a_group_has_the_name_of_the_list() {
        let (_folder, roots) = tree(&[("etc/group", "root:x:0:\nrender:x:992:ada\nvideo:x:44:\n")]);
        assert_eq!(group_name(&roots, 992).as_deref(), Some("render"));
        assert_eq!(group_name(&roots, 5), None);
    }
}

//! Which of some named programs run now. Names are compared without their folder and `.exe`, in small
//! letters; Hearth itself never counts.

use std::collections::BTreeSet;

use crate::host::Roots;

/// The names among `wanted` that run, as they were written there; none where the system does not say.
pub(super) fn running(roots: &Roots, wanted: &BTreeSet<String>) -> Option<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut meet = |name: &str| {
        let name = plain(name);
        found.extend(wanted.iter().filter(|one| plain(one) == name).cloned());
    };
    every_name(roots, wanted, &mut meet)?;
    Some(found)
}

/// A name without its folder and ending, in small letters.
fn plain(name: &str) -> String {
    let name = name.trim().rsplit(['/', '\\']).next().unwrap_or_default().to_lowercase();
    name.strip_suffix(".exe").unwrap_or(&name).to_owned()
}

/// The kernel keeps this many letters of a name.
#[cfg(target_os = "linux")]
const KEPT: usize = 15;

#[cfg(target_os = "linux")]
fn every_name(roots: &Roots, wanted: &BTreeSet<String>, meet: &mut dyn FnMut(&str)) -> Option<()> {
    let own = std::process::id().to_string();
    let folders = std::fs::read_dir(&roots.proc).ok()?;
    for folder in folders.flatten() {
        let id = folder.file_name();
        let is_process = id.to_str().is_some_and(|id| {
            id != own && !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())
        });
        // A process may end between two looks.
        let Some(name) =
            is_process.then(|| crate::host::text(&folder.path().join("comm"))).flatten()
        else {
            continue;
        };
        meet(&name);
        let begins = |one: &String| {
            let (one, name) = (plain(one), name.to_lowercase());
            one.len() >= KEPT && one.starts_with(name.trim_end_matches(".exe"))
        };
        // A long name was cut: its first word has all of it.
        if name.len() >= KEPT && wanted.iter().any(begins) {
            let words = std::fs::read(folder.path().join("cmdline")).unwrap_or_default();
            let first = words.split(|byte| *byte == 0).next().unwrap_or_default();
            meet(&String::from_utf8_lossy(first));
        }
    }
    Some(())
}

#[cfg(not(target_os = "linux"))]
fn every_name(
    _roots: &Roots,
    _wanted: &BTreeSet<String>,
    meet: &mut dyn FnMut(&str),
) -> Option<()> {
    use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};
    let own = sysinfo::get_current_pid().ok();
    let mut system = System::new().ok()?;
    let only_names = ProcessRefreshKind::nothing();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, only_names);
    let others = system.processes().iter().filter(|(id, _)| Some(**id) != own);
    others.for_each(|(_, process)| meet(&process.name().to_string_lossy()));
    Some(())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::host::trees::tree;

    fn named(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn programs_are_known_by_their_whole_name() {
        let own = format!("proc/{}/comm", std::process::id());
        let (_folder, roots) = tree(&[
            ("proc/1/comm", "systemd\n"),
            ("proc/20/comm", "Game.exe\n"),
            ("proc/21/comm", "steam\n"),
            ("proc/22/comm", "steamwebhelper\n"),
            ("proc/23/comm", "a-program-with-\n"),
            ("proc/23/cmdline", "/opt/a-program-with-a-long-name\0--flag\0"),
            ("proc/stat", "cpu 1\n"),
            (&own, "hearth\n"),
        ]);
        let wanted = named(&[
            "steam",
            "game",
            "C:\\Games\\GAME.EXE",
            "web",
            "hearth",
            "blender",
            "a-program-with-a-long-name",
            "a-program-with-another-name",
        ]);
        let found = running(&roots, &wanted).unwrap();
        let expected =
            named(&["steam", "game", "C:\\Games\\GAME.EXE", "a-program-with-a-long-name"]);
        assert_eq!(found, expected);
    }

    #[test]
    fn a_system_that_shows_no_processes_is_not_guessed_at() {
        assert_eq!(running(&tree(&[("x", "")]).1, &named(&["steam"])), None);
    }
}

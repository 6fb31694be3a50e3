//! Other programs that want the same card. They are only named; nothing here touches them.

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

/// A program that computes for hours on the card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherMiner {
    /// Its name, as the system has it.
    pub name: String,
    /// Its process.
    pub id: u32,
}

/// Names of programs that take a whole card, in lower case and without `.exe`.
const KNOWN: [&str; 22] = [
    "bminer",
    "boinc",
    "cgminer",
    "ethminer",
    "excavator",
    "fah-client",
    "fahclient",
    "fahcore_22",
    "fahcore_23",
    "fahcore_24",
    "gminer",
    "kawpowminer",
    "lolminer",
    "miniz",
    "nbminer",
    "nicehashminer",
    "phoenixminer",
    "rigel",
    "srbminer-multi",
    "t-rex",
    "teamredminer",
    "xmrig",
];

/// Those that run now; none where the system does not say.
pub fn other_miners() -> Option<Vec<OtherMiner>> {
    let mut system = System::new().ok()?;
    let only_names = ProcessRefreshKind::nothing();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, only_names);
    let found = system.processes().iter().filter(|(_, process)| process.thread_kind().is_none());
    let named =
        found.map(|(id, process)| (process.name().to_string_lossy().into_owned(), id.as_u32()));
    Some(among(named))
}

fn among(processes: impl Iterator<Item = (String, u32)>) -> Vec<OtherMiner> {
    let known = |name: &str| {
        let name = name.to_lowercase();
        KNOWN.contains(&name.strip_suffix(".exe").unwrap_or(&name))
    };
    let mut found: Vec<OtherMiner> = processes
        .filter(|(name, _)| known(name))
        .map(|(name, id)| OtherMiner { name, id })
        .collect();
    found.sort_by_key(|miner| miner.id);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_miners_are_known_by_their_whole_name() {
        let processes = [("xmrig", 7), ("XMRig.exe", 3), ("not-xmrig", 4), ("t-rex-game", 5)];
        let found = among(processes.into_iter().map(|(name, id)| (name.to_owned(), id)));
        assert_eq!(found.iter().map(|miner| miner.id).collect::<Vec<_>>(), [3, 7]);
    }

    #[test]
    fn this_machines_processes_can_be_listed() {
        assert!(other_miners().is_some());
    }
}

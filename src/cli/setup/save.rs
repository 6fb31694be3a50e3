//! The wizard's answers and the settings file: from one to the other and back.

use std::path::Path;

use crate::config::edit::{self, EditError};
use crate::config::settings::{Key, Origin, Settings, SettingsError};
use crate::tui::wizard::Choices;
use crate::tui::wizard::request::Payout;
use crate::tui::wizard::rules::Rules;

/// What is set, as the wizard's answers.
pub(super) fn choices(settings: &Settings) -> Result<Choices, SettingsError> {
    let usual = Choices::default();
    let text = |key: Key, usual: String| {
        settings.text(key).map_or(usual, |given| given.value.trim().to_owned())
    };
    let payout = match settings.text(Key::PayoutAddress) {
        Some(address) => Payout::Address(address.value.trim().to_owned()),
        None if settings.is_on(Key::AcceptUnpaid)? => Payout::Later,
        None => Payout::Undecided,
    };
    let mut rules = Rules::default();
    for key in Rules::keys() {
        if let Some(given) = settings.text(key) {
            rules.set(key, &given.value);
        }
    }
    Ok(Choices {
        network: text(Key::Network, usual.network),
        join: text(Key::Join, usual.join),
        backend: text(Key::Backend, usual.backend).to_lowercase(),
        cpu_threads: settings.get::<usize>(Key::CpuThreads)?.map(|given| given.value),
        payout,
        rules,
    })
}

/// Writes the answers into the settings file; everything else in it stays. `hotkey` is the name of
/// the key that was made or imported here; without one, the key of `given` (flags, environment, file)
/// stays.
pub(super) fn save(
    path: &Path,
    choices: &Choices,
    hotkey: Option<&str>,
    given: &Settings,
) -> Result<(), EditError> {
    let (address, unpaid) = match &choices.payout {
        Payout::Address(address) => (Some(address.clone()), None),
        Payout::Later => (None, Some("true".to_owned())),
        Payout::Undecided => (None, None),
    };
    let mut changes = vec![
        (Key::Network, Some(choices.network.clone())),
        (Key::Join, Some(choices.join.clone())),
        (Key::Backend, Some(choices.backend.clone())),
        (Key::CpuThreads, choices.cpu_threads.map(|threads| threads.to_string())),
        (Key::PayoutAddress, address),
        (Key::AcceptUnpaid, unpaid),
    ];
    let rule = |key| (key, choices.rules.given(key).map(str::to_owned));
    changes.extend(Rules::keys().map(rule));
    let said = |key| given.text(key).map(|given| (key, Some(given.value.clone())));
    match hotkey {
        // The key that was chosen last is the one that is meant.
        Some(hotkey) => {
            changes.extend([(Key::Hotkey, Some(hotkey.to_owned())), (Key::HotkeyFile, None)])
        }
        None => changes.extend([Key::Hotkey, Key::HotkeyFile].into_iter().filter_map(said)),
    }
    changes.extend(said(Key::PassphraseFile));
    let of_flags = Key::ALL.into_iter().filter(|key| {
        given.text(*key).is_some_and(|given| given.origin == Origin::Flag)
            && changes.iter().all(|(asked, _)| asked != key)
    });
    let of_flags: Vec<_> = of_flags.filter_map(said).collect();
    changes.extend(of_flags);
    edit::set(path, &changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::FILE_NAME;

    const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

    #[test]
    fn answers_are_written_and_read_back_beside_what_was_there() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(FILE_NAME);
        std::fs::write(&path, "# mine\npeer_port = 4000\nhotkey_file = \"hot\"\n").unwrap();
        let read = || Settings::read(None, home.path(), |_| None, vec![]).unwrap();
        for payout in [Payout::Address(ALICE.into()), Payout::Later, Payout::Undecided] {
            let given = Choices {
                network: "testnet".into(),
                join: "metagraph".into(),
                backend: "cpu".into(),
                cpu_threads: Some(2),
                payout,
                rules: {
                    let mut rules = Rules::default();
                    rules.set(Key::Hours, "22:00-07:00");
                    rules.set(Key::PauseFor, "[\"steam\",\"a game\"]");
                    rules.set(Key::KeepAwake, "false");
                    rules
                },
            };
            save(&path, &given, None, &read()).unwrap();
            assert_eq!(choices(&read()).unwrap(), given);
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("# mine") && text.contains("peer_port = 4000"), "{text}");
        assert!(text.contains("hotkey_file"), "{text}");
        assert!(text.contains("pause_for = [") && text.contains("keep_awake = false"), "{text}");
        save(&path, &Choices::default(), Some("rig"), &read()).unwrap();
        assert_eq!(choices(&read()).unwrap(), Choices::default());
        assert_eq!(read().text(Key::Hotkey).unwrap().value, "rig");
        assert_eq!(read().text(Key::HotkeyFile), None);
    }

    #[test]
    fn a_broken_file_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(FILE_NAME);
        std::fs::write(&path, "network = ").unwrap();
        assert!(save(&path, &Choices::default(), None, &Settings::default()).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "network = ");
    }
}

//! Check of a machine on which several devices mine: each is there, each has a key of its own.

use super::finding::Judgement;
use super::keys;
use super::scope::Scope;
use super::settings::sentence;
use crate::cli::device::choice::{Chosen, choose};
use crate::cli::run::{compute, devices as devices_of, source};
use crate::compute::wgpu::{AdapterReport, adapters};
use crate::config::devices::{DeviceKey, DeviceSelector};
use crate::config::settings::Settings;

/// Each configured device and its key.
pub(super) fn devices(scope: &Scope) -> Judgement {
    let settings = scope.usable_settings();
    let listed = match devices_of(&settings) {
        Ok(listed) => listed,
        Err(failure) => {
            let fix = "Correct it: `hearth config set devices LIST`.";
            return Judgement::error("config-value", sentence(&failure.line), fix);
        }
    };
    if listed.is_empty() {
        return Judgement::fine("One device mines, with one hotkey.");
    }
    match judge_devices(&listed, &adapters(), &settings) {
        Err(trouble) => trouble,
        Ok(words) => {
            let bad = listed.iter().find_map(|device| trouble_of_key(scope, device));
            bad.unwrap_or_else(|| Judgement::fine(format!("{} mine: {words}.", listed.len())))
        }
    }
}

/// What mines on what, in words.
fn judge_devices(
    listed: &[DeviceKey],
    adapters: &[AdapterReport],
    settings: &Settings,
) -> Result<String, Judgement> {
    let threads = compute(settings).ok().and_then(|compute| compute.threads);
    let selectors: Vec<DeviceSelector> = listed.iter().map(|one| one.device.clone()).collect();
    let fix = "`hearth devices` shows how each is written; then `hearth config set devices LIST`.";
    let chosen = choose(&selectors, adapters, threads)
        .map_err(|failure| Judgement::error(failure.code, sentence(&failure.line), fix))?;
    for (place, one) in listed.iter().enumerate() {
        if listed[..place].iter().any(|other| other.hotkey == one.hotkey) {
            let what = format!("Two devices have the hotkey {}.", one.hotkey);
            let fix = "Make one for each: `hearth keys new --from NAME --device 2`.";
            return Err(Judgement::error("hotkey-twice", what, fix));
        }
    }
    let words = listed.iter().zip(&chosen).map(|(one, chosen)| {
        let device = match chosen {
            Chosen::Processor(Some(threads)) => format!("the processor ({threads} threads)"),
            Chosen::Processor(None) => "the processor".to_owned(),
            Chosen::Adapter(_, report) => report.name.clone(),
        };
        format!("{device} with {}", one.hotkey)
    });
    Ok(words.collect::<Vec<_>>().join(", "))
}

/// What is wrong with the key of a device, if anything is.
fn trouble_of_key(scope: &Scope, device: &DeviceKey) -> Option<Judgement> {
    match keys::judge_source(scope, source(&device.hotkey)) {
        Judgement::Fine(_) => None,
        trouble @ Judgement::Trouble { .. } => Some(trouble),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::judged;

    #[test]
    fn each_device_is_told_with_its_key_or_what_is_wrong_with_it() {
        let settings = Settings::default();
        let of = |words: &[&str]| {
            let listed: Vec<DeviceKey> = words.iter().map(|word| word.parse().unwrap()).collect();
            judge_devices(&listed, &[], &settings)
        };
        assert_eq!(of(&["cpu=rig"]), Ok("the processor with rig".to_owned()));
        let code = |words: &[&str]| judged(&of(words).unwrap_err());
        assert_eq!(code(&["cpu=rig", "cpu=rig-2"]), "device-twice");
        assert_eq!(code(&["wgpu:0=rig"]), "device-unknown");
    }
}

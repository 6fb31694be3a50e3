//! Whether the rules that the user set can be kept on this machine, and how much of a week they leave.

use super::finding::Judgement;
use super::graphics::surveyed;
use super::scope::Scope;
use super::settings::sentence;
use crate::cli::beside::net::NetGauge;
use crate::cli::beside::sensing::is_set;
use crate::cli::devices::Survey;
use crate::clock::Clock;
use crate::config::folders::Folders;
use crate::config::rules::RuleSettings;
use crate::config::settings::{Key, Settings, SettingsError};
use crate::host::Roots;
use crate::host::sensors::{Computing, Place, Sense, Sensors, Wanted, unknown};
use crate::host::surroundings::variables;

/// Whether the rules can be kept.
pub(super) async fn rules(scope: &Scope) -> Judgement {
    let settings = scope.usable_settings();
    let left = match RuleSettings::read(&settings) {
        Ok(rules) => rules.hours_a_week(),
        Err(error @ SettingsError::NeverRuns { .. }) => {
            let fix = "Change the setting that is named; `hearth explain rules-never-run`.";
            return Judgement::error(error.code(), sentence(&error.to_string()), fix);
        }
        // The check of the settings says what is wrong with them.
        Err(_) => {
            let what = "The settings are not in order, so no rule was looked at.";
            return Judgement::note("not-checked", what, "Correct what the settings' check names.");
        }
    };
    let set = Sense::ALL.into_iter().filter(|sense| is_set(&settings, *sense));
    let asked = Wanted::of(&settings);
    let wanted = Wanted::these(set.filter(|sense| asked.has(*sense)), asked.programs().clone());
    let survey = match asks_device(&wanted) {
        true => surveyed(scope).await.ok(),
        false => None,
    };
    let place = Place {
        roots: scope.roots.clone(),
        variables: scope.variables.clone(),
        folder: scope.folders.as_ref().map(|folders| folders.data.clone()).unwrap_or_default(),
        devices: vec![computing(&settings, survey)],
    };
    let mut readings = Sensors::new(place, &scope.clock).read(&wanted).await;
    if let (true, Ok(folders)) = (wanted.has(Sense::Net), &scope.folders) {
        let net = NetGauge::new(&folders.data, &scope.clock).read(&settings).await;
        readings.iter_mut().for_each(|reading| reading.net_per_hour = net.clone());
    }
    judge(&readings.first().map(unknown).unwrap_or_default(), left)
}

/// Of all rules there are, which are about something that cannot be known on this machine, and why.
pub async fn unknown_here(
    settings: &Settings,
    survey: &Survey,
    folders: &Folders,
    clock: &Clock,
) -> Vec<(Key, String)> {
    let place = Place {
        roots: Roots::system(),
        variables: variables(),
        folder: folders.data.clone(),
        devices: vec![computing(settings, Some(survey))],
    };
    // What Hearth counts by itself is always known.
    let all = Sense::ALL.into_iter().filter(|sense| *sense != Sense::Month);
    let readings = Sensors::new(place, clock).read(&Wanted::these(all, [])).await;
    let unknown = readings.first().map(unknown).unwrap_or_default();
    unknown.into_iter().map(|(sense, why)| (sense.key(), why)).collect()
}

/// How much of a week the rules leave.
fn hours(a_week: f64) -> String {
    match (a_week * 10.0).round() / 10.0 {
        168.0.. => "No hours are excluded.".to_owned(),
        1.0 => "The rules leave 1 hour a week.".to_owned(),
        hours => format!("The rules leave {hours} hours a week."),
    }
}

fn asks_device(wanted: &Wanted) -> bool {
    wanted.has(Sense::Temperature) || wanted.has(Sense::Watts)
}

fn computing(settings: &Settings, survey: Option<&Survey>) -> Computing {
    let backend = settings.text(Key::Backend).map(|given| given.value.trim().to_lowercase());
    match survey.and_then(Survey::chosen_adapter) {
        Some(adapter) if backend.as_deref() != Some("cpu") => {
            Computing::Card(adapter.place.clone())
        }
        _ => Computing::Processor,
    }
}

fn judge(unknown: &[(Sense, String)], hours_a_week: f64) -> Judgement {
    let Some((sense, why)) = unknown.first() else {
        return Judgement::fine(format!("Every rule can be kept here. {}", hours(hours_a_week)));
    };
    let more = match unknown.len() {
        1 => String::new(),
        _ => {
            let others: Vec<String> = unknown
                .iter()
                .skip(1)
                .map(|(sense, why)| format!("{}: {why}", sense.key().name()))
                .collect();
            format!(" The same goes for {}.", others.join("; "))
        }
    };
    let name = sense.key().name();
    let what = format!("The rule {name} can do nothing here: {why}.{more} {}", hours(hours_a_week));
    let fix = format!("Take it out with `hearth config unset {name}`, or give it what it needs.");
    Judgement::warning("rule-unknown", what, fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::judged;

    #[test]
    fn rules_that_cannot_be_kept_are_named_with_the_reason() {
        assert_eq!(judged(&judge(&[], 168.0)), "fine");
        let Judgement::Fine(what) = judge(&[], 63.0) else { panic!("nothing is wrong") };
        assert!(what.contains("63 hours a week"), "{what}");
        let unknown = [
            (Sense::Idle, "nobody is logged in".to_owned()),
            (Sense::Temperature, "no sensor is readable".to_owned()),
        ];
        let judgement = judge(&unknown, 1.0);
        assert_eq!(judged(&judgement), "rule-unknown");
        let Judgement::Trouble { what, .. } = judgement else { panic!("{judgement:?}") };
        for part in ["idle_after", "nobody is logged in", "temperature", "no sensor", "1 hour a"] {
            assert!(what.contains(part), "{part}: {what}");
        }
    }
}

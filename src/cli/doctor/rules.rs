//! Whether the rules that the user set can be kept on this machine, and how much of a week they leave.

use super::finding::Judgement;
use super::graphics::surveyed;
use super::scope::Scope;
use crate::cli::beside::sensing::is_set;
use crate::cli::devices::Survey;
use crate::clock::Clock;
use crate::config::folders::Folders;
use crate::config::settings::{Key, Settings};
use crate::host::Roots;
use crate::host::sensors::{Computing, Place, Sense, Sensors, Wanted, unknown};
use crate::host::surroundings::variables;

/// Whether the rules can be kept.
pub(super) async fn rules(scope: &Scope) -> Judgement {
    let settings = scope.usable_settings();
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
    let readings = Sensors::new(place, &scope.clock).read(&wanted).await;
    judge(&readings.first().map(unknown).unwrap_or_default())
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

fn judge(unknown: &[(Sense, String)]) -> Judgement {
    let Some((sense, why)) = unknown.first() else {
        return Judgement::fine("Every rule that is set can be kept here.");
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
    let what = format!("The rule {name} can do nothing here: {why}.{more}");
    let fix = format!(
        "Take it out with `hearth config unset {name}`, or give it what it needs: `hearth explain \
         rule-not-known`."
    );
    Judgement::warning("rule-not-known", what, fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::judged;

    #[test]
    fn rules_that_cannot_be_kept_are_named_with_the_reason() {
        assert_eq!(judged(&judge(&[])), "fine");
        let unknown = [
            (Sense::Idle, "nobody is logged in".to_owned()),
            (Sense::Temperature, "no sensor is readable".to_owned()),
        ];
        let judgement = judge(&unknown);
        assert_eq!(judged(&judgement), "rule-not-known");
        let Judgement::Trouble { what, .. } = judgement else { panic!("{judgement:?}") };
        for part in ["idle_after", "nobody is logged in", "temperature", "no sensor"] {
            assert!(what.contains(part), "{part}: {what}");
        }
    }
}

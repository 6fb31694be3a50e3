//! The settings, read again when the system asks for it. What changed is said, and whether it counts at
//! once; what is wrong leaves everything as it was, and is said as well. Also says what changed when
//! somebody else had them read again.

use std::sync::Arc;

use tokio::sync::watch;

use super::Running;
use super::systemd;
use crate::cli::signals;
use crate::config::live::{Counts, LiveSettings};
use crate::config::settings::Settings;
use crate::telemetry::{Event, Events, Severity};

/// Goes on for as long as the run lasts.
pub(super) async fn heed(running: Running) {
    let hang_ups = signals::rereads();
    let changes = running.settings.subscribe();
    tokio::join!(
        reread(hang_ups, &running.settings, &running.say),
        tell(changes, &running.settings, &running.say),
    );
}

async fn reread(mut hang_ups: watch::Receiver<u64>, settings: &LiveSettings, events: &Events) {
    while hang_ups.changed().await.is_ok() {
        systemd::reloading();
        match settings.reload() {
            Ok(changed) if changed.is_empty() => {
                Told(events).finding(
                    Severity::Info,
                    "settings-unchanged",
                    "The settings were read again; none has changed.".to_owned(),
                    "",
                );
            }
            // What changed is told by whoever watches the settings.
            Ok(_) => {}
            Err(error) => Told(events).finding(
                Severity::Warning,
                error.code(),
                format!("The settings were read again and cannot be used: {error}."),
                "They stay as they were; correct that, and have them read again.",
            ),
        }
        systemd::ready();
    }
}

async fn tell(
    mut changes: watch::Receiver<Arc<Settings>>,
    settings: &LiveSettings,
    events: &Events,
) {
    let mut before = settings.now();
    while changes.changed().await.is_ok() {
        let now = settings.now();
        for key in before.differing(&now) {
            let value = now.text(key).map_or_else(
                || format!("{} (the default)", key.default_words()),
                |given| key.shown(given.value.trim()),
            );
            let (when, fix) = match Counts::of(key) {
                Counts::Now => ("from now on", ""),
                Counts::AtTheNextStart => {
                    ("from the next start on", "Start Hearth again for it to count.")
                }
            };
            let what = format!("The setting {} is {value} {when}.", key.name());
            Told(events).finding(Severity::Info, "settings-changed", what, fix);
        }
        before = now;
    }
}

/// Whoever is told.
struct Told<'a>(&'a Events);

impl Told<'_> {
    fn finding(&self, severity: Severity, code: &str, what: String, fix: &str) {
        let (code, fix) = (code.to_owned(), fix.to_owned());
        self.0.emit(Event::Finding { severity, code, what, fix });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::FILE_NAME;

    #[tokio::test]
    async fn what_changes_is_told_with_when_it_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let place = folder.path().to_owned();
        let read = move || Settings::read(None, &place, |_| None, Vec::new());
        std::fs::write(&path, "duty = \"50%\"\nbackend = \"cpu\"\n").unwrap();
        let live = LiveSettings::new(read().unwrap(), read);
        let events = Events::new();
        let mut told = events.subscribe();
        let changes = live.subscribe();
        let (settings, teller) = (live.clone(), events.clone());
        let telling = tokio::spawn(async move { tell(changes, &settings, &teller).await });
        tokio::task::yield_now().await;
        std::fs::write(&path, "backend = \"wgpu\"\nalert_ntfy = \"https://a/secret\"\n").unwrap();
        live.reload().unwrap();
        let mut words = Vec::new();
        for _ in 0..3 {
            let Some(Event::Finding { what, fix, .. }) = told.recv().await else { panic!() };
            words.push(format!("{what} {fix}"));
        }
        telling.abort();
        assert!(words[0].contains("backend") && words[0].contains("next start"), "{words:?}");
        assert!(words[1].contains("duty is 100% (the default) from now on"), "{words:?}");
        assert!(words[2].contains("alert_ntfy") && !words[2].contains("secret"), "{words:?}");
    }
}

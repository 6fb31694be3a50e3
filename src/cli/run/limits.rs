//! The limits of the line as the settings have them, from the start on and after each change.

use crate::cli::Failure;
use crate::config::live::LiveSettings;
use crate::config::settings::{Key, Settings, SettingsError};
use crate::config::units::{amount, or_off};
use crate::network::{Line, LineLimits, Speed};

/// The limits of the settings.
pub(super) fn limits(settings: &Settings) -> Result<LineLimits, Failure> {
    let wrong = |error: SettingsError| Failure::of_settings(&error);
    Ok(LineLimits {
        up: speed(settings, Key::UploadLimit).map_err(wrong)?,
        down: speed(settings, Key::DownloadLimit).map_err(wrong)?,
    })
}

fn speed(settings: &Settings, key: Key) -> Result<Option<Speed>, SettingsError> {
    let Some(given) = settings.text(key) else { return Ok(None) };
    let megabits = or_off(&given.value, amount).map_err(|error| settings.refuse(key, error))?;
    Ok(megabits.map(Speed::of_megabits))
}

/// Sets the line's limits whenever the settings change. Never returns.
pub(super) async fn follow(settings: LiveSettings, line: Line) {
    let mut changes = settings.subscribe();
    while changes.changed().await.is_ok() {
        // Settings that make no sense are not taken up in the first place.
        if let Ok(limits) = limits(&settings.now()) {
            line.set(limits);
        }
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::network::line::Way;

    #[tokio::test]
    async fn the_line_goes_by_the_settings_and_their_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        let place = folder.path().to_owned();
        let read = move || Settings::read(None, &place, |_| None, Vec::new());
        std::fs::write(&path, "upload_limit = 20\ndownload_limit = \"off\"").unwrap();
        let settings = LiveSettings::new(read().unwrap(), read);
        let line = Line::new(Clock::system());
        line.set(limits(&settings.now()).unwrap());
        let up = |line: &Line| line.limit(Way::Up).map(|speed| speed.megabits().round());
        assert_eq!((up(&line), line.limit(Way::Down)), (Some(20.0), None));

        let following = tokio::spawn(follow(settings.clone(), line.clone()));
        tokio::task::yield_now().await;
        std::fs::write(&path, "upload_limit = \"5\"").unwrap();
        settings.reload().unwrap();
        while up(&line) != Some(5.0) {
            tokio::task::yield_now().await;
        }
        std::fs::write(&path, "upload_limit = \"fast\"").unwrap();
        assert!(settings.reload().unwrap_err().to_string().contains("upload_limit"));
        assert_eq!(up(&line), Some(5.0));
        following.abort();
    }
}

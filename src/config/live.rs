//! The settings of a running program: read again when somebody asks for it, kept as they were where the
//! new ones are wrong, and watched by whoever goes by them.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use super::key::Key;
use super::settings::{Settings, SettingsError};

type Read = dyn Fn() -> Result<Settings, SettingsError> + Send + Sync;

/// The settings as they are now, and the way to read them again. Cheap to clone.
#[derive(Clone)]
pub struct LiveSettings {
    now: Arc<watch::Sender<Arc<Settings>>>,
    read: Arc<Read>,
}

impl LiveSettings {
    /// `now` are the settings that the program started with; `read` reads them again from the same
    /// file, environment and flags.
    pub fn new(
        now: Settings,
        read: impl Fn() -> Result<Settings, SettingsError> + Send + Sync + 'static,
    ) -> Self {
        Self { now: Arc::new(watch::Sender::new(Arc::new(now))), read: Arc::new(read) }
    }

    /// Settings that stay as they are.
    pub fn fixed(now: Settings) -> Self {
        let again = now.clone();
        Self::new(now, move || Ok(again.clone()))
    }

    /// As they are now.
    pub fn now(&self) -> Arc<Settings> {
        Arc::clone(&self.now.borrow())
    }

    /// Wakes whoever goes by them when they change.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Settings>> {
        self.now.subscribe()
    }

    /// Reads them again. Gives the settings that changed.
    ///
    /// # Errors
    /// The first thing that is wrong with them; then they stay as they were.
    pub fn reload(&self) -> Result<Vec<Key>, SettingsError> {
        let new = (self.read)()?;
        if let Some(error) = new.check().into_iter().next() {
            return Err(error);
        }
        let old = self.now();
        let changed = old.differing(&new);
        self.now.send_replace(Arc::new(new));
        Ok(changed)
    }
}

/// When a changed setting counts in a running program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// At once.
    Now,
    /// When the program is started again: what it does was built with the old one.
    AtTheNextStart,
}

impl Counts {
    /// When a change of `key` counts.
    pub fn of(key: Key) -> Self {
        match key {
            Key::Network
            | Key::Join
            | Key::PayoutAddress
            | Key::AcceptUnpaid
            | Key::HotkeyFile
            | Key::Hotkey
            | Key::PassphraseFile
            | Key::Backend
            | Key::CpuThreads
            | Key::Devices
            | Key::Tokenizer
            | Key::TokenizerDownload
            | Key::AttestationCommand
            | Key::PeerPort
            | Key::Relays
            | Key::LocationCountry
            | Key::LocationCity
            | Key::LinkSpeed
            | Key::FleetTelemetry
            | Key::ApiPort
            | Key::RecordKeep
            | Key::OtelEndpoint
            | Key::ChainEndpoint
            | Key::PriceSource
            | Key::PriceField
            | Key::PriceCurrency => Self::AtTheNextStart,
            Key::Hours
            | Key::OnBattery
            | Key::IdleAfter
            | Key::Temperature
            | Key::PowerLimit
            | Key::LoadLimit
            | Key::PauseFor
            | Key::Fullscreen
            | Key::Metered
            | Key::Quota
            | Key::DiskReserve
            | Key::DiskCap
            | Key::MinimumNet
            | Key::KwhPrice
            | Key::KwhPriceNight
            | Key::NightHours
            | Key::Watts
            | Key::Duty
            | Key::KeepAwake
            | Key::UploadLimit
            | Key::DownloadLimit
            | Key::LogLevel
            | Key::LogFormat
            | Key::LogKeep
            | Key::AlertOn
            | Key::AlertDesktop
            | Key::AlertWebhook
            | Key::AlertNtfy
            | Key::AlertKuma
            | Key::AlertCommand
            | Key::AlertEvery => Self::Now,
        }
    }
}

impl fmt::Debug for LiveSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveSettings").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::FILE_NAME;

    #[test]
    fn what_is_wrong_leaves_the_settings_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let place = folder.path().to_owned();
        let read = move || Settings::read(None, &place, |_| None, Vec::new());
        std::fs::write(&path, "duty = \"50%\"").unwrap();
        let live = LiveSettings::new(read().unwrap(), read);
        let mut watched = live.subscribe();
        watched.borrow_and_update();

        std::fs::write(&path, "duty = \"lots\"").unwrap();
        assert!(live.reload().unwrap_err().to_string().contains("duty"));
        std::fs::write(&path, "duty = [").unwrap();
        assert!(live.reload().is_err());
        assert_eq!(live.now().text(Key::Duty).unwrap().value, "50%");
        assert!(!watched.has_changed().unwrap());

        std::fs::write(&path, "duty = \"60%\"\nmetered = \"run\"").unwrap();
        assert_eq!(live.reload().unwrap(), [Key::Metered, Key::Duty]);
        assert!(watched.has_changed().unwrap());
    }
}

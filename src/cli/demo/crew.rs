//! How the miners of a practice swarm are made, and what may be done to one on purpose: ended at once,
//! as by a power cut, or slowed down by the same rule that a user's duty setting is.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;
use tokio::task::AbortHandle;
use url::Url;

use super::session::{Ingredients, OWN};
use crate::cli::{Exit, Failure};
use crate::clock::{Clock, Entropy};
use crate::config::constants::Constants;
use crate::config::live::LiveSettings;
use crate::config::settings::{Key, Settings, SettingsError};
use crate::host::readings::Readings;
use crate::miner::text_source::TokenizerSource;
use crate::miner::{
    DeviceWorker, Disclosure, FleetTelemetry, Joining, Miner, MinerHandle, MinerSettings,
    RuleSource,
};
use crate::network::Line;
use crate::network::attestation::Provider;
use crate::network::http::Route;
use crate::network::peers::{PeerIdentity, PeerReach};
use crate::swarm::practice::Practice;
use crate::telemetry::Events;
use crate::training::record::Recorder;
use crate::training::terms::LearningRateRule;
use crate::wallet::HotkeyPair;

/// A share of the time that makes a miner slow.
const SLOW: &str = "10%";

/// What the miners of one session have in common.
pub(super) struct Maker {
    orchestrator: Url,
    bridge: Url,
    folder: PathBuf,
    recorder: Recorder,
    tokenizer: TokenizerSource,
    in_flight: Option<usize>,
    seed: u64,
    /// What your own miner goes by.
    rules: Option<RuleSource>,
    /// The device that they share.
    pub(super) worker: DeviceWorker,
    clock: Clock,
    events: Events,
    /// Nobody reads sensors for the others.
    readings: watch::Sender<Readings>,
}

impl Maker {
    pub(super) fn new(
        from: &Ingredients<'_>,
        practice: &Practice,
        worker: DeviceWorker,
        clock: &Clock,
    ) -> Result<Self, Failure> {
        let url = |text: String| {
            Url::parse(&text)
                .map_err(|error| Failure::new(Exit::Failed, format!("{text}: {error}")))
        };
        Ok(Self {
            orchestrator: url(practice.orchestrator_url())?,
            bridge: url(practice.bridge_url())?,
            folder: from.folder.join("miners"),
            recorder: from.recorder.clone(),
            tokenizer: TokenizerSource::Given(Arc::clone(from.feed.tokenizer())),
            in_flight: from.plan.in_flight,
            seed: from.seed,
            rules: from.rules.clone(),
            worker,
            clock: clock.clone(),
            events: from.miner_events.clone(),
            readings: watch::Sender::new(Readings::none()),
        })
    }

    /// Starts a miner on that device.
    pub(super) fn start(
        &self,
        name: String,
        key: Arc<HotkeyPair>,
        device: DeviceWorker,
    ) -> Result<(MinerHandle, Mate), Failure> {
        let brake = Brake::new(&self.folder).map_err(|error| Failure::of_settings(&error))?;
        let rules = match name == OWN {
            true => self.rules.clone().unwrap_or(RuleSource::Off),
            false => RuleSource::Live {
                settings: brake.settings.clone(),
                readings: self.readings.subscribe(),
            },
        };
        let home = self.folder.join(&name);
        let settings = MinerSettings {
            orchestrator: self.orchestrator.clone(),
            bridge: self.bridge.clone(),
            route: Route::Loopback,
            reach: PeerReach::Loopback,
            peer_identity: PeerIdentity::ThrowAway,
            hotkey: Arc::clone(&key),
            constants: Arc::new(Constants::practice()),
            learning_rate: LearningRateRule::FromRun,
            data: home.clone(),
            joining: Joining::Metagraph,
            disclosure: Disclosure::default(),
            // A practice swarm stays on this machine: no limit of the line is for it.
            line: Line::new(self.clock.clone()),
            attestation: Provider::Nobody,
            telemetry: FleetTelemetry::Off,
            state: home,
            tokenizer: self.tokenizer.clone(),
            in_flight: self.in_flight,
            recorder: self.recorder.clone(),
            weights_seed: self.seed,
            rules,
            name: name.clone(),
        };
        let entropy = Entropy::seeded(self.seed, &format!("choices of {name}"));
        let (clock, events) = (self.clock.clone(), self.events.clone());
        let miner = Miner::start(settings, device, clock, entropy, events);
        let life = miner.join.abort_handle();
        Ok((miner, Mate { name, key, life, brake, killed: false }))
    }
}

/// A miner, as it can be hurt.
pub(super) struct Mate {
    pub(super) name: String,
    pub(super) key: Arc<HotkeyPair>,
    life: AbortHandle,
    brake: Brake,
    killed: bool,
}

impl Mate {
    pub(super) fn is_killed(&self) -> bool {
        self.killed
    }

    pub(super) fn is_slow(&self) -> bool {
        !self.killed && self.brake.is_on()
    }

    /// Ends it where it stands: no goodbye, no work handed back.
    pub(super) fn kill(&mut self) -> Result<String, String> {
        if std::mem::replace(&mut self.killed, true) {
            return Err(format!("{} was killed already", self.name));
        }
        self.life.abort();
        Ok(format!("{} was killed", self.name))
    }

    /// Slows it down, or lets it go again.
    pub(super) fn slow(&mut self) -> Result<String, String> {
        if self.killed {
            return Err(format!("{} was killed: start it again first", self.name));
        }
        let slow = self.brake.turn().map_err(|error| error.to_string())?;
        let what = if slow { "works a tenth of the time" } else { "works at full speed again" };
        Ok(format!("{} {what}", self.name))
    }
}

/// What slows a miner down: settings of its own, with a small duty or a full one.
struct Brake {
    settings: LiveSettings,
    on: Arc<AtomicBool>,
}

impl Brake {
    /// Let go. No settings file is in that folder.
    fn new(folder: &std::path::Path) -> Result<Self, SettingsError> {
        let on = Arc::new(AtomicBool::new(false));
        let (folder, now) = (folder.to_owned(), Arc::clone(&on));
        let read = move || {
            let duty = if now.load(Ordering::SeqCst) { SLOW } else { "100%" };
            Settings::read(None, &folder, |_| None, vec![(Key::Duty, Some(duty.to_owned()))])
        };
        Ok(Self { settings: LiveSettings::new(read()?, read), on })
    }

    fn is_on(&self) -> bool {
        self.on.load(Ordering::SeqCst)
    }

    /// On, or off again. Gives which.
    fn turn(&self) -> Result<bool, SettingsError> {
        let slow = !self.on.fetch_xor(true, Ordering::SeqCst);
        self.settings.reload()?;
        Ok(slow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brake_changes_the_duty_and_changes_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let brake = Brake::new(folder.path()).unwrap();
        let duty = || brake.settings.now().text(Key::Duty).map(|text| text.value.clone());
        assert_eq!((brake.is_on(), duty().as_deref()), (false, Some("100%")));
        assert!(brake.turn().unwrap());
        assert_eq!((brake.is_on(), duty().as_deref()), (true, Some(SLOW)));
        assert!(!brake.turn().unwrap());
        assert_eq!(duty().as_deref(), Some("100%"));
    }
}

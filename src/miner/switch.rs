//! A miner with its switch: on, it lives on the network; off, it has left in order and its device is
//! free for others. Where the switch stands outlives the process. A miner that ended by a fault is on
//! and does nothing; to be enabled is another try for it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::board::Board;
use super::company::Seat;
use super::device::DeviceWorker;
use super::error::MinerError;
use super::heart::InUse;
use super::life::{MinerSettings, live};
use super::snapshot::{Command, DeviceView, Kept, Reason, State, Who};
use super::warden::RuleSource;
use crate::clock::{Clock, Entropy};
use crate::config::folders::{FolderError, prepare, write_atomically};
use crate::protocol::{Hotkey, RunId, StageIndex};
use crate::telemetry::Severity;
use crate::training::snapshot::SnapshotStore;

/// Opens a miner's device. Blocks; tried again whenever the miner is switched on.
pub type OpenDevice = Arc<dyn Fn() -> Result<DeviceWorker, MinerError> + Send + Sync>;

/// Where a miner's device comes from.
#[derive(Clone)]
pub struct DeviceSource {
    view: DeviceView,
    /// Open already.
    ready: Option<DeviceWorker>,
    open: OpenDevice,
}

impl DeviceSource {
    /// A device that is opened when it is needed and closed when it is not. `ready` is it, where it is
    /// open already; `view` is what is known of it.
    pub fn new(view: DeviceView, ready: Option<DeviceWorker>, open: OpenDevice) -> Self {
        Self { view, ready, open }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.view.name
    }

    /// What is known of it.
    pub(super) fn view(&self) -> DeviceView {
        self.view.clone()
    }

    /// The device, off the runtime's threads if it must be opened first.
    async fn take(&mut self) -> Result<DeviceWorker, MinerError> {
        if let Some(ready) = self.ready.take() {
            return Ok(ready);
        }
        let open = Arc::clone(&self.open);
        let opened = tokio::task::spawn_blocking(move || open()).await;
        opened.unwrap_or_else(|error| Err(MinerError::Broken(error.to_string())))
    }
}

impl From<DeviceWorker> for DeviceSource {
    /// A device that stays open: it is shared, or the process has nothing else to do.
    fn from(worker: DeviceWorker) -> Self {
        let view = worker.view();
        Self { view, ready: None, open: Arc::new(move || Ok(worker.clone())) }
    }
}

impl fmt::Debug for DeviceSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceSource").field("view", &self.view).finish_non_exhaustive()
    }
}

/// Where the switch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// It works.
    On,
    /// It has left, and its device is free.
    Off,
}

/// The file that keeps where a miner's switch stands: there while it is off.
#[derive(Clone, Debug)]
pub struct SwitchFile(PathBuf);

impl SwitchFile {
    /// The file of this hotkey in the state folder.
    pub fn new(state: &Path, hotkey: &Hotkey) -> Self {
        Self(state.join(format!("disabled-{hotkey}")))
    }

    /// Where it stands.
    pub fn read(&self) -> Switch {
        if self.0.exists() { Switch::Off } else { Switch::On }
    }

    /// Keeps it.
    ///
    /// # Errors
    /// [`FolderError`] if the file cannot be written or removed.
    pub fn write(&self, switch: Switch, when: &str) -> Result<(), FolderError> {
        match switch {
            Switch::Off => {
                if let Some(folder) = self.0.parent() {
                    prepare(folder)?;
                }
                write_atomically(&self.0, format!("switched off at {when}\n").as_bytes())
            }
            Switch::On => match std::fs::remove_file(&self.0) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    Err(FolderError::NotWritable { path: self.0.clone(), source })
                }
                _ => Ok(()),
            },
        }
    }
}

/// A miner, on or off.
pub(super) struct Switched {
    pub(super) settings: MinerSettings,
    pub(super) device: DeviceSource,
    pub(super) clock: Clock,
    pub(super) entropy: Entropy,
    pub(super) board: Arc<Board>,
    /// The device, while there is a life.
    pub(super) in_use: InUse,
}

/// What is wanted after a life on the network has ended in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// The end.
    End,
    /// Off.
    Off,
    /// Another life: it was switched on again before it was off.
    Again,
}

impl Switched {
    /// What is left for another start.
    fn kept(&self) -> Kept {
        let settings = &self.settings;
        // A miner without the user's rules is a demo's: its folder goes with it.
        if !matches!(settings.rules, RuleSource::Live { .. }) {
            return Kept::Nothing;
        }
        let place = self.board.read(|now| {
            now.queue.as_ref().map(|_| Kept::Place).or_else(|| {
                let (run, stage) = (RunId(now.run.clone()?), StageIndex(now.stage?));
                let hotkey = settings.hotkey.address();
                let store = SnapshotStore::new(&settings.data, hotkey, &run, stage);
                (store.current().exists() || store.previous().exists()).then_some(Kept::Snapshot)
            })
        });
        place.unwrap_or(Kept::Key)
    }

    /// From start to end, over any number of lives.
    pub(super) async fn run(
        mut self,
        mut seat: Seat,
        mut orders: mpsc::UnboundedReceiver<Command>,
    ) -> Result<(), MinerError> {
        let file = SwitchFile::new(&self.settings.state, self.settings.hotkey.address());
        let mut then = match file.read() {
            Switch::On => Then::Again,
            Switch::Off => Then::Off,
        };
        let mut lives = 0_u32;
        loop {
            match then {
                Then::End => {
                    let kept = Reason::Stopped { kept: self.kept() };
                    let next = "you must start it, if it is to go on";
                    self.board.status(State::Stopped, kept, Who::You, next);
                    return Ok(());
                }
                Then::Off => {
                    // A device that was open for it is closed.
                    self.device.ready = None;
                    self.board.forget(self.device.view());
                    let next = "you must enable it";
                    self.board.status(State::Disabled, Reason::SwitchedOff, Who::You, next);
                    then = self.until_wanted(&mut orders, &file).await;
                }
                Then::Again => {
                    if lives > 0 {
                        self.board.start_again(self.device.view());
                    }
                    lives += 1;
                    let ended = self.life(lives, &mut orders, &file).await;
                    self.in_use.set(None);
                    (then, seat) = match ended {
                        Ok(then) => (then, seat),
                        Err(error) => self.in_fault(error, seat, &mut orders, &file).await?,
                    };
                }
            }
        }
    }

    /// Ended by a fault, until somebody acts on it or nobody else goes on.
    async fn in_fault(
        &mut self,
        error: MinerError,
        seat: Seat,
        orders: &mut mpsc::UnboundedReceiver<Command>,
        file: &SwitchFile,
    ) -> Result<(Then, Seat), MinerError> {
        let company = seat.leave();
        if company.is_empty() {
            return Err(error);
        }
        self.device.ready = None;
        let what = error.to_string();
        let fix = "The others go on. Act on the message, then enable this one, or start again.";
        self.board.finding(Severity::Error, error.code(), what, fix);
        self.board.awaits("you must act on the message, then enable it");
        loop {
            let order = tokio::select! {
                () = company.until_empty() => return Err(error),
                order = orders.recv() => order,
            };
            match order {
                Some(Command::Enable) => {
                    self.keep(file, Switch::On);
                    return Ok((Then::Again, company.sit()));
                }
                Some(Command::Disable) => {
                    self.keep(file, Switch::Off);
                    return Ok((Then::Off, company.sit()));
                }
                Some(Command::Stop | Command::Finish) | None => return Err(error),
                Some(_) => {}
            }
        }
    }

    /// Off, until somebody switches it on or ends it.
    async fn until_wanted(
        &self,
        orders: &mut mpsc::UnboundedReceiver<Command>,
        file: &SwitchFile,
    ) -> Then {
        loop {
            match orders.recv().await {
                Some(Command::Enable) => {
                    self.keep(file, Switch::On);
                    return Then::Again;
                }
                Some(Command::Stop | Command::Finish) => return Then::End,
                // What a miner that is off should do while it is off, it does.
                Some(_) => {}
                // Nobody can switch it on any more.
                None => return Then::End,
            }
        }
    }

    /// One life on the network.
    async fn life(
        &mut self,
        number: u32,
        orders: &mut mpsc::UnboundedReceiver<Command>,
        file: &SwitchFile,
    ) -> Result<Then, MinerError> {
        let worker = match self.device.take().await {
            Ok(worker) => worker,
            Err(error) => {
                let reason = Reason::Failed { what: error.to_string() };
                self.board.status(State::Fault, reason, Who::You, "you must act on the message");
                return Err(error);
            }
        };
        self.in_use.set(Some(worker.worker.clone()));
        let (commands, inner) = mpsc::unbounded_channel();
        let entropy = self.entropy.split(&format!("life {number}"));
        let (settings, clock) = (self.settings.clone(), self.clock.clone());
        let life = live(settings, worker, clock, entropy, Arc::clone(&self.board), inner);
        tokio::pin!(life);
        let mut then = Then::End;
        loop {
            let order = tokio::select! {
                ended = &mut life => return ended.map(|()| then),
                Some(order) = orders.recv() => order,
            };
            then = match (order, then) {
                (Command::Stop | Command::Finish, _) => Then::End,
                (Command::Disable, _) => {
                    self.keep(file, Switch::Off);
                    Then::Off
                }
                (Command::Enable, Then::Off) => {
                    self.keep(file, Switch::On);
                    Then::Again
                }
                (_, then) => then,
            };
            // A life that is over hears nothing.
            let _ = commands.send(order);
        }
    }

    /// Keeps where the switch stands. If that cannot be kept it still holds until the process ends.
    fn keep(&self, file: &SwitchFile, switch: Switch) {
        if let Err(error) = file.write(switch, &self.clock.iso8601()) {
            let what = format!("where its switch stands cannot be kept: {error}.");
            let fix = "Make room or give permission; after a restart it stands as it did before.";
            self.board.finding(Severity::Warning, "switch-not-kept", what, fix);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_stays_where_it_was_put() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let hotkey: Hotkey = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY".parse().unwrap();
        let file = || SwitchFile::new(&state, &hotkey);
        assert_eq!(file().read(), Switch::On);
        file().write(Switch::On, "now").unwrap();
        file().write(Switch::Off, "now").unwrap();
        assert_eq!(file().read(), Switch::Off);
        file().write(Switch::On, "now").unwrap();
        assert_eq!(file().read(), Switch::On);
    }
}

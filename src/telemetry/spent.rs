//! What a stage's time goes into: one sheet on which the training phase, the duties and the peers' line
//! note what begins and ends. At each moment it is exactly one [`Activity`], so that the parts of any
//! window make the whole of it.

mod ledger;
mod legs;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use ledger::Ledger;
pub use legs::Leg;

use legs::Legs;

use crate::clock::{Clock, Moment};

/// What a stage's time goes into.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Activity {
    /// The program, the device and the peer endpoint start, or the miner ends.
    #[default]
    Start,
    /// In the network's registration queue, or asking for a stage.
    Queue,
    /// The stage is built on the device, or built again.
    Build,
    /// The merged weights are downloaded.
    Load,
    /// A forward is computed.
    Forward,
    /// A backward is computed.
    Backward,
    /// An optimizer step is computed.
    Step,
    /// The device is idle while a peer's activation or gradient comes in.
    Receive,
    /// The device is idle while an own activation or gradient goes out.
    Send,
    /// The device is idle while gradients of own forwards are awaited, and there is room for more.
    AwaitGradient,
    /// The pseudo-gradient is uploaded.
    Upload,
    /// Partitions are merged.
    Merge,
    /// Idle: no activation has come.
    NoActivation,
    /// Idle: every place is taken by a forward that waits for its gradient.
    CacheFull,
    /// Idle: another stage is not training.
    OtherStage,
    /// Idle: others still upload.
    OthersUpload,
    /// Idle: others still merge.
    OthersMerge,
    /// Idle: a rule, or the user, lets it take no work.
    Pause,
    /// Idle: the share of the time that the rules allow is used up for the moment.
    Rest,
    /// Idle: a server or the network does not answer, or a call is tried again.
    Network,
    /// Idle: the network does not let this miner work now.
    Benched,
    /// Idle: the device is gone, or a fault keeps the miner from going on.
    Fault,
    /// Switched off.
    Off,
}

impl Activity {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 23] = [
        Self::Start,
        Self::Queue,
        Self::Build,
        Self::Load,
        Self::Forward,
        Self::Backward,
        Self::Step,
        Self::Receive,
        Self::Send,
        Self::AwaitGradient,
        Self::Upload,
        Self::Merge,
        Self::NoActivation,
        Self::CacheFull,
        Self::OtherStage,
        Self::OthersUpload,
        Self::OthersMerge,
        Self::Pause,
        Self::Rest,
        Self::Network,
        Self::Benched,
        Self::Fault,
        Self::Off,
    ];

    /// Its word in records and measurements.
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Queue => "queue",
            Self::Build => "build",
            Self::Load => "load",
            Self::Forward => "forward",
            Self::Backward => "backward",
            Self::Step => "step",
            Self::Receive => "receive",
            Self::Send => "send",
            Self::AwaitGradient => "await-gradient",
            Self::Upload => "upload",
            Self::Merge => "merge",
            Self::NoActivation => "no-activation",
            Self::CacheFull => "cache-full",
            Self::OtherStage => "other-stage",
            Self::OthersUpload => "others-upload",
            Self::OthersMerge => "others-merge",
            Self::Pause => "pause",
            Self::Rest => "rest",
            Self::Network => "network",
            Self::Benched => "benched",
            Self::Fault => "fault",
            Self::Off => "off",
        }
    }

    /// Whether the device computes.
    pub fn computes(self) -> bool {
        matches!(self, Self::Forward | Self::Backward | Self::Step)
    }

    /// Whether nothing is done and nothing is moved: the time for which a cause is asked.
    pub fn is_idle(self) -> bool {
        use Activity::{
            AwaitGradient, Benched, CacheFull, Fault, Network, NoActivation, Off, OtherStage,
            OthersMerge, OthersUpload, Pause, Rest,
        };
        matches!(
            self,
            AwaitGradient
                | NoActivation
                | CacheFull
                | OtherStage
                | OthersUpload
                | OthersMerge
                | Pause
                | Rest
                | Network
                | Benched
                | Fault
                | Off
        )
    }
}

/// Parts of a whole, in ten thousandths: they add up to [`WHOLE`] exactly, unless there was no time.
pub type Parts = BTreeMap<Activity, u16>;

/// The whole of a window, in the unit of [`Parts`].
pub const WHOLE: u16 = 10_000;

/// A sheet that several write on. A cheap handle; clones are the same sheet.
#[derive(Clone, Debug)]
pub struct TimeSheet {
    clock: Clock,
    page: Arc<Mutex<Page>>,
    legs: Arc<Mutex<Legs>>,
}

#[derive(Debug)]
struct Page {
    ledger: Ledger,
    /// What the miner's state says.
    duty: Activity,
    /// What the training phase does, while there is one.
    training: Option<Activity>,
    /// Whether the network lets this miner only look on.
    benched: bool,
    receiving: usize,
    sending: usize,
}

impl Page {
    /// What it is now: the device's work goes before all, then what is moved, then the cause.
    fn now(&self) -> Activity {
        let Some(training) = self.training else { return self.duty };
        match training {
            busy if busy.computes() => busy,
            Activity::NoActivation | Activity::CacheFull if self.benched => Activity::Benched,
            Activity::NoActivation | Activity::CacheFull | Activity::AwaitGradient => {
                match (self.receiving, self.sending) {
                    (1.., _) => Activity::Receive,
                    (0, 1..) => Activity::Send,
                    (0, 0) => training,
                }
            }
            other => other,
        }
    }
}

impl TimeSheet {
    /// A sheet that begins now.
    pub fn new(clock: Clock) -> Self {
        let ledger = Ledger::new(clock.now(), Activity::Start);
        let page = Page {
            ledger,
            duty: Activity::Start,
            training: None,
            benched: false,
            receiving: 0,
            sending: 0,
        };
        Self { clock, page: Arc::new(Mutex::new(page)), legs: Arc::default() }
    }

    /// What the miner's state is, outside of the training phase.
    pub fn duty(&self, activity: Activity) {
        self.write(|page| page.duty = activity);
    }

    /// A training phase begins, and lasts until the guard is dropped.
    pub fn begin_training(&self) -> InTraining {
        self.training(Activity::NoActivation);
        InTraining(self.clone())
    }

    /// What the training phase does now.
    pub fn training(&self, activity: Activity) {
        self.write(|page| page.training = Some(activity));
    }

    /// Whether the network lets this miner only look on.
    pub fn benched(&self, benched: bool) {
        self.write(|page| page.benched = benched);
    }

    /// Something comes in, until the guard is dropped.
    pub fn receiving(&self) -> Moving {
        self.write(|page| page.receiving += 1);
        Moving { sheet: self.clone(), way: Way::In }
    }

    /// Something goes out, until the guard is dropped.
    pub fn sending(&self) -> Moving {
        self.write(|page| page.sending += 1);
        Moving { sheet: self.clone(), way: Way::Out }
    }

    /// A new epoch begins.
    pub fn begin_epoch(&self) {
        let now = self.clock.now();
        self.lock().ledger.begin_epoch(now);
    }

    /// What all of the time went into.
    pub fn totals(&self) -> BTreeMap<Activity, Duration> {
        let now = self.clock.now();
        self.lock().ledger.totals(now)
    }

    /// The last minute, the last quarter of an hour, and this epoch: seconds and parts of each.
    pub fn read(&self) -> [(f64, Parts); 3] {
        let now = self.clock.now();
        self.lock().ledger.read(now)
    }

    /// An activation begins a leg of its way.
    pub fn leg_begins(&self, leg: Leg, id: &str) {
        let now = self.clock.now();
        self.legs().begin(leg, id, now);
    }

    /// It has come to the end of that leg.
    pub fn leg_ends(&self, leg: Leg, id: &str) {
        let now = self.clock.now();
        self.legs().end(leg, id, now);
    }

    /// A leg took so long.
    pub fn leg_took(&self, leg: Leg, time: Duration) {
        self.legs().took(leg, time);
    }

    /// Milliseconds that a leg took of late; none where none was ever ended.
    pub fn leg(&self, leg: Leg) -> Option<f64> {
        self.legs().mean(leg)
    }

    fn legs(&self) -> MutexGuard<'_, Legs> {
        self.legs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, change: impl FnOnce(&mut Page)) {
        let mut page = self.lock();
        let before = page.now();
        change(&mut page);
        let after = page.now();
        if before != after {
            // Read under the lock, so that no moment comes before the one that was written last.
            let now: Moment = self.clock.now();
            page.ledger.switch(now, after);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Page> {
        self.page.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A training phase, until this is dropped.
#[derive(Debug)]
pub struct InTraining(TimeSheet);

impl Drop for InTraining {
    fn drop(&mut self) {
        self.0.write(|page| {
            page.training = None;
            page.benched = false;
        });
        self.0.legs().give_up();
    }
}

#[derive(Clone, Copy, Debug)]
enum Way {
    In,
    Out,
}

/// Something is on its way until this is dropped.
#[derive(Debug)]
pub struct Moving {
    sheet: TimeSheet,
    way: Way,
}

impl Drop for Moving {
    fn drop(&mut self) {
        let way = self.way;
        self.sheet.write(|page| match way {
            Way::In => page.receiving = page.receiving.saturating_sub(1),
            Way::Out => page.sending = page.sending.saturating_sub(1),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_activitys_word_is_that_of_the_records() {
        for activity in Activity::ALL {
            assert_eq!(serde_json::to_value(activity).unwrap(), activity.word());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_device_goes_before_the_line_and_the_line_before_the_cause() {
        let clock = Clock::system();
        let sheet = TimeSheet::new(clock.clone());
        let wait = async |seconds| clock.sleep(Duration::from_secs(seconds)).await;
        sheet.duty(Activity::Load);
        wait(2).await;
        let phase = sheet.begin_training();
        wait(1).await;
        let coming = sheet.receiving();
        wait(3).await;
        let going = sheet.sending();
        sheet.training(Activity::Forward);
        wait(4).await;
        drop(coming);
        sheet.training(Activity::CacheFull);
        wait(5).await;
        drop(going);
        wait(1).await;
        sheet.training(Activity::OtherStage);
        let late = sheet.receiving();
        wait(2).await;
        drop(late);
        drop(phase);
        wait(2).await;
        let [(seconds, parts), ..] = sheet.read();
        assert_eq!(seconds, 20.0);
        let expected = [
            (Activity::Load, 2000),
            (Activity::Forward, 2000),
            (Activity::Receive, 1500),
            (Activity::Send, 2500),
            (Activity::NoActivation, 500),
            (Activity::CacheFull, 500),
            (Activity::OtherStage, 1000),
        ];
        assert_eq!(parts, Parts::from(expected));
    }

    #[test]
    fn all_is_complete_and_computing_is_not_idle() {
        let words: std::collections::BTreeSet<_> = Activity::ALL.into_iter().collect();
        assert_eq!(words.len(), Activity::ALL.len());
        assert!(Activity::ALL.into_iter().all(|a| !(a.computes() && a.is_idle())));
        assert_eq!(serde_json::to_string(&Activity::AwaitGradient).unwrap(), "\"await-gradient\"");
        // The last of the enum, so that a new one must be added to the list.
        assert_eq!(Activity::Off as usize + 1, Activity::ALL.len());
    }
}

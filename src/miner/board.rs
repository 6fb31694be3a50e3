//! Where a miner writes what it does, and faces read it: the snapshot behind a watch channel, and the
//! events that go with its changes.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::snapshot::transfers::{MOST_MERGES, MergeView, TransferView};
use super::snapshot::{
    DeviceView, Eta, Measured, MinerSnapshot, Reason, Rule, Ruling, State, Status, Who, Work,
};
use crate::clock::{Clock, Moment};
use crate::earnings::view::EarningsView;
use crate::protocol::Phase;
use crate::telemetry::spent::{Activity, TimeSheet};
use crate::telemetry::{Event, Events, RateMeter, Severity};

/// Faces are woken at most so often; what they then read is always the newest.
const WAKE_EVERY: Duration = Duration::from_millis(100);
/// Losses kept for the screen.
const MOST_LOSSES: usize = 512;

#[derive(Debug)]
struct Pace {
    woken: Option<Moment>,
    tokens: RateMeter,
}

/// The board. Shared by reference.
#[derive(Debug)]
pub struct Board {
    snapshot: watch::Sender<MinerSnapshot>,
    /// The status as it would be without a pause.
    beneath: Mutex<Status>,
    pace: Mutex<Pace>,
    time: TimeSheet,
    clock: Clock,
    events: Events,
    /// Codes of the findings that are told once.
    said: Mutex<BTreeSet<&'static str>>,
}

impl Board {
    /// A board of a miner that has just started.
    pub fn new(name: &str, hotkey: &str, device: DeviceView, clock: Clock, events: Events) -> Self {
        let status = Status { since: clock.unix_seconds(), ..blank().status };
        let snapshot = MinerSnapshot {
            name: name.to_owned(),
            hotkey: hotkey.to_owned(),
            ruling: Ruling::free(status.since),
            status: status.clone(),
            device,
            ..blank()
        };
        let pace = Mutex::new(Pace { woken: None, tokens: RateMeter::new() });
        let snapshot = watch::Sender::new(snapshot);
        let beneath = Mutex::new(status);
        let time = TimeSheet::new(clock.clone());
        let said = Mutex::default();
        let board = Self { snapshot, beneath, pace, time, clock, events, said };
        board.emit_state();
        board
    }

    /// The same miner begins again after it was switched off: what it has done still counts, what it
    /// had is gone.
    pub(super) fn start_again(&self, device: DeviceView) {
        self.forget(device);
        self.status(State::Starting, Reason::Start, Who::Machine, "the peer endpoint must open");
    }

    /// Everything that went with the place on the network and the stage.
    pub(super) fn forget(&self, device: DeviceView) {
        let now = self.clock.unix_seconds();
        self.snapshot.send_modify(|snapshot| {
            *snapshot = MinerSnapshot {
                ruling: Ruling::free(now),
                name: std::mem::take(&mut snapshot.name),
                hotkey: std::mem::take(&mut snapshot.hotkey),
                status: snapshot.status.clone(),
                work: Work { backwards_this_epoch: 0, ..snapshot.work },
                losses: std::mem::take(&mut snapshot.losses),
                earnings: std::mem::take(&mut snapshot.earnings),
                device,
                ..blank()
            };
        });
    }

    /// A reader.
    pub fn subscribe(&self) -> watch::Receiver<MinerSnapshot> {
        self.snapshot.subscribe()
    }

    /// The events' channel.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Tells of something that the user should know, in the log too.
    pub fn finding(&self, severity: Severity, code: &'static str, what: String, fix: &str) {
        let name = self.read(|snapshot| snapshot.name.clone());
        match severity {
            Severity::Info => tracing::info!(miner = name, "{what}"),
            Severity::Warning | Severity::Error => tracing::warn!(miner = name, "{what}"),
        }
        let (code, fix) = (code.to_owned(), fix.to_owned());
        self.events.emit(Event::Finding { severity, code, what: format!("{name}: {what}"), fix });
    }

    /// The same, but once in the miner's life.
    pub fn finding_once(&self, severity: Severity, code: &'static str, what: String, fix: &str) {
        if self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(code) {
            self.finding(severity, code, what, fix);
        }
    }

    /// Where it is noted what the time goes into.
    pub fn time(&self) -> &TimeSheet {
        &self.time
    }

    /// The time.
    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Looks at the snapshot.
    pub fn read<T>(&self, look: impl FnOnce(&MinerSnapshot) -> T) -> T {
        look(&self.snapshot.borrow())
    }

    /// Changes the snapshot. Readers are woken if they were not a moment ago.
    pub fn update(&self, change: impl FnOnce(&mut MinerSnapshot)) {
        let wake = self.time_to_wake();
        self.snapshot.send_if_modified(|snapshot| {
            change(snapshot);
            wake
        });
    }

    fn time_to_wake(&self) -> bool {
        let now = self.clock.now();
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let due = pace.woken.is_none_or(|woken| now.since(woken) >= WAKE_EVERY);
        if due {
            pace.woken = Some(now);
        }
        due
    }

    /// Sets the status line. Tells everybody if state or reason changed; `since` moves only then. The same
    /// reason in other words is none: a network that is gone is gone since it first was. While
    /// a rule pauses the miner, that is what is shown, and this when the pause is over.
    pub fn status(&self, state: State, reason: Reason, who: Who, next: &str) {
        let since = self.clock.unix_seconds();
        let mut beneath = self.lock_beneath();
        if beneath.state != state || beneath.reason.code() != reason.code() {
            *beneath =
                Status { state, reason, since, next: next.to_owned(), who, eta: Eta::Unknown };
        } else {
            next.clone_into(&mut beneath.next);
            (beneath.reason, beneath.who) = (reason, who);
        }
        self.show(&beneath);
    }

    /// Says more precisely what is awaited.
    pub fn awaits(&self, next: &str) {
        let mut beneath = self.lock_beneath();
        next.clone_into(&mut beneath.next);
        self.show(&beneath);
    }

    /// Sets when the awaited thing is expected.
    pub fn expect(&self, eta: Eta) {
        let mut beneath = self.lock_beneath();
        beneath.eta = eta;
        self.show(&beneath);
    }

    /// Sets what the rules say.
    pub fn rule(&self, ruling: Ruling) {
        self.show_with(&self.lock_beneath(), |snapshot| {
            let changed = snapshot.ruling != ruling;
            snapshot.ruling = ruling;
            changed
        });
    }

    /// Sets that it ends with this epoch, or no longer does.
    pub fn finishing(&self, finishing: bool) {
        self.show_with(&self.lock_beneath(), |snapshot| {
            std::mem::replace(&mut snapshot.finishing, finishing) != finishing
        });
    }

    fn lock_beneath(&self) -> MutexGuard<'_, Status> {
        self.beneath.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows a status, or the pause that lies on top of it. Told at once where state or reason changed,
    /// and otherwise not more often than anything else.
    fn show(&self, beneath: &Status) {
        self.show_with(beneath, |_| false);
    }

    /// The same after a change, which is told at once where it is one.
    fn show_with(&self, beneath: &Status, change: impl FnOnce(&mut MinerSnapshot) -> bool) {
        let wake = self.time_to_wake();
        let now = self.clock.unix_seconds();
        let mut told = false;
        self.snapshot.send_if_modified(|snapshot| {
            let urgent = change(snapshot);
            let status = composed(beneath, snapshot, now);
            self.time.duty(activity(beneath, status.state));
            let was = &snapshot.status;
            let same = was.state == status.state && was.reason.code() == status.reason.code();
            told = !same || was.since != status.since;
            let changed = snapshot.status != status;
            snapshot.status = status;
            urgent || told || (changed && wake)
        });
        if told {
            self.emit_state();
        }
    }

    fn emit_state(&self) {
        let event = self.read(|snapshot| Event::State {
            miner: snapshot.name.clone(),
            state: snapshot.status.state.word().to_owned(),
            reason: snapshot.status.reason.code().to_owned(),
            since: snapshot.status.since,
        });
        self.events.emit(event);
    }

    /// Counts a backward over so many tokens.
    pub fn add_tokens(&self, tokens: u64) {
        let now = self.clock.now();
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        #[allow(clippy::cast_precision_loss)]
        pace.tokens.add(now, tokens as f64);
        let rates = pace.tokens.rates(now);
        drop(pace);
        self.update(|snapshot| {
            snapshot.work.tokens += tokens;
            snapshot.tokens_per_second = rates;
        });
    }

    /// Recomputes the rates, so that they fall when nothing happens.
    pub fn refresh_rates(&self) {
        let now = self.clock.now();
        let rates = self.pace.lock().unwrap_or_else(PoisonError::into_inner).tokens.rates(now);
        self.update(|snapshot| snapshot.tokens_per_second = rates);
    }

    /// The stage is in this phase. What belonged to another one is over with it, whoever ended it: a
    /// merge that the others completed, an upload that came too late.
    pub(super) fn enter(&self, phase: Phase) {
        let now = self.clock.unix_seconds().round();
        self.update(|snapshot| {
            snapshot.phase = Some(phase.as_str().to_owned());
            let measured = &mut snapshot.measured;
            if phase != Phase::MergingPartitions {
                let open = measured.merges.iter_mut().filter(|merge| merge.ended.is_none());
                open.for_each(|merge| merge.ended = Some(now));
            }
            let over = |transfer: &&mut TransferView| {
                transfer.ended.is_none()
                    && match transfer.file.as_str() {
                        "weights" => phase != Phase::WeightsUploading,
                        "partition" => phase != Phase::MergingPartitions,
                        // An activation's way and the optimizer's state belong to no phase.
                        _ => false,
                    }
            };
            let late = measured.transfers.iter_mut().filter(over);
            late.for_each(|transfer| transfer.ended = Some(now));
        });
    }

    /// So many of this epoch's partitions are merged.
    pub(super) fn merging(&self, epoch: u64, done: usize, of: usize) {
        let now = self.clock.unix_seconds().round();
        let ended = (done >= of).then_some(now);
        self.update(|snapshot| {
            let merges = &mut snapshot.measured.merges;
            match merges.last_mut().filter(|merge| merge.epoch == epoch) {
                Some(merge) => *merge = MergeView { done, of, ended, ..*merge },
                None => {
                    if merges.len() >= MOST_MERGES {
                        merges.remove(0);
                    }
                    merges.push(MergeView { epoch, done, of, began: now, ended });
                }
            }
        });
    }

    /// Adds a loss.
    pub fn add_loss(&self, loss: f64) {
        self.update(|snapshot| {
            if snapshot.losses.len() >= MOST_LOSSES {
                snapshot.losses.remove(0);
            }
            snapshot.losses.push(loss);
        });
    }
}

/// The status that is shown: `beneath`, or a pause on top of it, with what comes after the epoch.
fn composed(beneath: &Status, snapshot: &MinerSnapshot, now: f64) -> Status {
    use State::{Disabled, Fault, Merging, Stopped, Stopping, Uploading};
    let leaving = matches!(beneath.state, Stopping | Stopped | Disabled | Fault);
    let ruling = &snapshot.ruling;
    let mut status = beneath.clone();
    if ruling.pauses() && !leaving {
        let (who, next) = after_pause(ruling);
        let handing_in = matches!(beneath.state, Uploading | Merging);
        let first = if handing_in { "this epoch's work is handed in; then " } else { "" };
        status = Status {
            state: State::Paused,
            reason: Reason::Rule { rule: ruling.rule, sentence: ruling.sentence.clone() },
            since: ruling.since,
            next: format!("{first}{next}"),
            who,
            eta: ruling.until.map_or(Eta::Unknown, |until| Eta::Seconds((until - now).max(0.0))),
        };
    }
    if snapshot.finishing && !leaving {
        status.next.push_str("; it ends when this epoch's work is handed in, as you asked");
    }
    status
}

/// What the time goes into in a state, outside of the training phase. A pause lies on top of what goes
/// on beneath it, unless that is handed in.
fn activity(beneath: &Status, shown: State) -> Activity {
    let handing_in = matches!(beneath.state, State::Uploading | State::Merging);
    if shown == State::Paused && !handing_in {
        return Activity::Pause;
    }
    match (beneath.state, &beneath.reason) {
        (_, Reason::NetworkTrouble { .. } | Reason::BackOff { .. }) => Activity::Network,
        (_, Reason::StageLost { .. }) => Activity::Build,
        (_, Reason::DeviceGone { .. } | Reason::Failed { .. }) => Activity::Fault,
        (_, Reason::RunFull | Reason::Frozen | Reason::NextEpoch) => Activity::Benched,
        (State::Registering, _) => Activity::Queue,
        (State::Loading, Reason::BuildingStage) => Activity::Build,
        (State::Loading, _) => Activity::Load,
        (State::Training, Reason::CacheFull) => Activity::CacheFull,
        (State::Training, Reason::OtherStageNotTraining) => Activity::OtherStage,
        (State::Training, _) => Activity::NoActivation,
        (State::Uploading, _) => Activity::Upload,
        (State::Merging, _) => Activity::Merge,
        (State::Waiting, Reason::OthersUploading) => Activity::OthersUpload,
        (State::Waiting, Reason::OthersMerging) => Activity::OthersMerge,
        (State::Waiting, _) => Activity::OtherStage,
        (State::Paused, _) => Activity::Pause,
        (State::Disabled, _) => Activity::Off,
        (State::Fault, _) => Activity::Fault,
        (State::Starting | State::Stopping | State::Stopped, _) => Activity::Start,
    }
}

/// Who ends a pause, and what must happen.
fn after_pause(ruling: &Ruling) -> (Who, &'static str) {
    match ruling.rule {
        Rule::UserPaused if ruling.until.is_none() => (Who::You, "you must resume it"),
        _ if ruling.until.is_some() => (Who::Machine, "it goes on by itself"),
        Rule::TooHot => (Who::Machine, "the device must cool down"),
        Rule::DiskReserve => (Who::You, "you must make room on the disk"),
        Rule::QuotaReached => (Who::You, "you must allow more, or the month must end"),
        Rule::Metered => (Who::You, "another connection must be used"),
        Rule::BatteryLow | Rule::BatteryPower => (Who::You, "the computer must be plugged in"),
        Rule::OutsideHours => (Who::You, "you must set other hours"),
        Rule::ProgramRunning => (Who::You, "that program must end"),
        Rule::Fullscreen => (Who::You, "that program must leave the full screen"),
        Rule::NetTooLow => (Who::Machine, "pay must rise, or electricity become cheaper"),
        Rule::ComputerInUse => (Who::You, "nobody must use this computer for a while"),
        Rule::OtherPrograms => (Who::Machine, "the other programs must have less to do"),
        Rule::UserPaused | Rule::RunAnyway | Rule::PowerLimit | Rule::DutyCycle | Rule::NoRule => {
            (Who::You, "you must resume it")
        }
    }
}

/// A miner of which nothing is known but that it starts.
fn blank() -> MinerSnapshot {
    MinerSnapshot {
        name: String::new(),
        hotkey: String::new(),
        run: None,
        stage: None,
        stages: 0,
        epoch: 0,
        recovered: None,
        queue: None,
        phase: None,
        status: Status {
            state: State::Starting,
            reason: Reason::Start,
            since: 0.0,
            next: "the peer endpoint must open".into(),
            who: Who::Machine,
            eta: Eta::Unknown,
        },
        ruling: Ruling::free(0.0),
        finishing: false,
        work: Work::default(),
        tokens_per_second: [0.0; 3],
        forward_queue: 0,
        backward_queue: 0,
        cache: 0,
        cache_capacity: 0,
        device: DeviceView::default(),
        reach: None,
        neighbours: Vec::new(),
        losses: Vec::new(),
        measured: Measured::default(),
        earnings: EarningsView::default(),
    }
}

#[cfg(test)]
mod sequence_tests;

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> (Board, tokio::sync::mpsc::UnboundedReceiver<Event>) {
        let events = Events::new();
        let receiver = events.subscribe();
        let clock = Clock::system();
        (Board::new("m0", "5abc", DeviceView::default(), clock, events), receiver)
    }

    #[tokio::test(start_paused = true)]
    async fn a_state_is_told_once_and_keeps_its_since() {
        let (board, mut events) = board();
        let train = || board.status(State::Training, Reason::NoActivation, Who::Peer, "work");
        train();
        let since = board.read(|s| s.status.since);
        tokio::time::advance(Duration::from_secs(5)).await;
        train();
        assert_eq!(board.read(|s| s.status.since), since);
        board.status(State::Training, Reason::WorkAvailable, Who::Machine, "more");
        assert!(board.read(|s| s.status.since) >= since + 5.0);
        let mut reasons = Vec::new();
        while let Ok(Event::State { reason, .. }) = events.try_recv() {
            reasons.push(reason);
        }
        assert_eq!(reasons, ["start", "no-activation", "work-available"]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_trouble_in_other_words_keeps_its_since() {
        let (board, mut events) = board();
        let trouble = |what: &str| {
            let reason = Reason::NetworkTrouble { what: what.into() };
            board.status(State::Waiting, reason, Who::Network, "an answer");
        };
        trouble("refused");
        let since = board.read(|s| s.status.since);
        tokio::time::advance(Duration::from_secs(3600)).await;
        trouble("no answer");
        assert_eq!(board.read(|s| s.status.since), since);
        assert!(board.read(|s| s.status.reason.sentence()).contains("No answer"));
        let told = std::iter::from_fn(|| events.try_recv().ok()).count();
        assert_eq!(told, 2, "starting, and in trouble once");
    }

    #[tokio::test(start_paused = true)]
    async fn readers_are_not_woken_for_every_change_but_always_read_the_newest() {
        let (board, _events) = board();
        let mut reader = board.subscribe();
        reader.borrow_and_update();
        let mut woken = 0;
        for _ in 0..1000 {
            board.update(|s| s.work.forwards += 1);
            woken += u32::from(reader.has_changed().unwrap());
            reader.borrow_and_update();
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert!((9..=11).contains(&woken), "{woken}");
        assert_eq!(reader.borrow().work.forwards, 1000);
    }

    #[tokio::test]
    async fn what_belonged_to_a_phase_is_over_with_it_whoever_ended_it() {
        let (board, _events) = board();
        let open = |board: &Board| {
            board.read(|snapshot| {
                let measured = &snapshot.measured;
                let uploads = measured.transfers.iter().filter(|one| one.ended.is_none());
                let files: Vec<String> = uploads.map(|one| one.file.clone()).collect();
                (measured.merges.iter().filter(|merge| merge.ended.is_none()).count(), files)
            })
        };
        board.enter(Phase::MergingPartitions);
        board.merging(4, 0, 2);
        board.update(|snapshot| {
            let upload = |file: &str| TransferView { file: file.into(), ..Default::default() };
            snapshot.measured.transfers =
                ["weights", "partition", "optimizer_state", "activation"].map(upload).into();
        });
        // It is told again and again while it lasts.
        board.enter(Phase::MergingPartitions);
        let lasting = ["partition", "optimizer_state", "activation"].map(str::to_owned);
        assert_eq!(open(&board), (1, lasting.to_vec()));
        board.merging(4, 1, 2);
        board.enter(Phase::Training);
        assert_eq!(open(&board), (0, lasting[1..].to_vec()));
        let merges = board.read(|snapshot| snapshot.measured.merges.clone());
        assert_eq!((merges.len(), merges[0].done, merges[0].of), (1, 1, 2));
        assert_eq!(board.read(|s| s.phase.clone()).as_deref(), Some("training"));
    }

    #[tokio::test(start_paused = true)]
    async fn rates_fall_when_nothing_happens() {
        let (board, _events) = board();
        board.add_tokens(100);
        tokio::time::advance(Duration::from_secs(5)).await;
        board.refresh_rates();
        assert_eq!(board.read(|s| s.tokens_per_second[0]), 20.0);
        tokio::time::advance(Duration::from_secs(6)).await;
        board.refresh_rates();
        assert_eq!(board.read(|s| s.tokens_per_second[0]), 0.0);
        assert_eq!(board.read(|s| s.work.tokens), 100);
    }
}

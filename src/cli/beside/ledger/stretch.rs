//! What a miner did since it was last entered: counts, time and energy, made from its snapshots. A
//! stretch ends with the epoch, with the place on the network, after a quarter of an hour, and at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Earner;
use crate::clock::{Clock, Moment};
use crate::earnings::ledger::{At, Energy, Lost, Millijoules, Submitted, Work as Row};
use crate::earnings::power::stated;
use crate::miner::snapshot::transfers::TransferView;
use crate::miner::{MinerSnapshot, Work};
use crate::telemetry::spent::Activity;

/// A stretch is entered at the latest after so long: an end without warning loses no more.
const LONGEST: Duration = Duration::from_secs(900);
/// What the store calls the weights.
const WEIGHTS: &str = "weights";

/// To what work is lost.
const TOO_LATE: &str = "the epoch ended before its weights were handed in";
const ANEW: &str = "the miner began the epoch anew";

/// Where a miner is: a stretch lies in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    run: Option<String>,
    stage: Option<usize>,
    epoch: u64,
}

impl Place {
    fn of(snapshot: &MinerSnapshot) -> Self {
        Self { run: snapshot.run.clone(), stage: snapshot.stage, epoch: snapshot.epoch }
    }
}

/// The stretch of one miner that is not entered yet.
#[derive(Debug)]
pub(super) struct Stretch {
    network: String,
    life: String,
    part: u64,
    clock: Clock,
    place: Place,
    began: Moment,
    since: At,
    /// Counts at its beginning.
    before: Work,
    /// Times at its beginning.
    spent: BTreeMap<Activity, Duration>,
    /// Backwards of the epoch that are not handed in.
    in_hand: u64,
    /// Backwards that were in hand, and were not any more at the last look.
    missed: Option<u64>,
    lost: Vec<Lost>,
    power: Power,
}

/// What the device took, as far as its sensor said so.
#[derive(Debug)]
struct Power {
    looked: Moment,
    joules: f64,
    known: Duration,
}

impl Stretch {
    pub(super) fn new(network: &str, earner: &Earner, life: &str, clock: &Clock) -> Self {
        let snapshot = earner.snapshot.borrow();
        let now = clock.now();
        Self {
            network: network.to_owned(),
            life: life.to_owned(),
            part: 0,
            clock: clock.clone(),
            place: Place::of(&snapshot),
            began: now,
            since: At(clock.unix_millis()),
            before: snapshot.work,
            spent: earner.purse.spent(),
            in_hand: snapshot.work.backwards_this_epoch,
            missed: None,
            lost: Vec::new(),
            power: Power { looked: now, joules: 0.0, known: Duration::ZERO },
        }
    }

    /// Looks at the miner; gives the stretch if it is over. `watts` is what the user says that the device
    /// takes, for where no sensor does.
    pub(super) fn look(&mut self, earner: &Earner, ended: bool, watts: Option<f64>) -> Option<Row> {
        let now = self.clock.now();
        let snapshot = earner.snapshot.borrow().clone();
        self.power.look(&snapshot, now);
        let place = Place::of(&snapshot);
        let moved = place != self.place;
        let handed_in = self.weights(&snapshot) == Submitted::InTime;
        // The counts of a new epoch may be seen before its number is: the next look decides.
        let missed = self.missed.take().filter(|_| !moved && !handed_in);
        let late = Some(self.in_hand).filter(|_| moved && !handed_in);
        for (backwards, to) in [(missed, ANEW), (late, TOO_LATE)] {
            let backwards = backwards.filter(|backwards| *backwards > 0);
            self.lost.extend(backwards.map(|backwards| Lost { backwards, to: to.to_owned() }));
        }
        if snapshot.work.backwards_this_epoch < self.in_hand {
            self.missed = Some(self.in_hand);
        }
        self.in_hand = snapshot.work.backwards_this_epoch;
        if !moved && !ended && now.since(self.began) < LONGEST {
            return None;
        }
        let totals = earner.purse.spent();
        let mut row = self.row(earner, &snapshot, &totals);
        if let (Energy::Unknown, Some(watts)) = (&row.energy, watts) {
            row.energy = stated(watts, row.milliseconds());
        }
        let part = self.part + 1;
        let next = Self::new(&self.network, earner, &self.life, &self.clock);
        let since = self.since;
        *self = Self { part, in_hand: self.in_hand, spent: totals, ..next };
        // One that nothing can be said of is not entered.
        (row.milliseconds() > 0 || row.until > since).then_some(row)
    }

    fn row(
        &mut self,
        earner: &Earner,
        snapshot: &MinerSnapshot,
        totals: &BTreeMap<Activity, Duration>,
    ) -> Row {
        let work = &snapshot.work;
        let spent = totals.iter().filter_map(|(activity, total)| {
            let before = self.spent.get(activity).copied().unwrap_or_default();
            let millis = u64::try_from(total.saturating_sub(before).as_millis()).unwrap_or(0);
            (millis > 0).then(|| (activity.word().to_owned(), millis))
        });
        let spent: BTreeMap<String, u64> = spent.collect();
        let transfers = || self.transfers(snapshot);
        let missed = |transfer: &&TransferView| {
            transfer.deadline_at.is_some_and(|deadline| transfer.ended > Some(deadline))
        };
        let merges =
            snapshot.measured.merges.iter().filter(|merge| merge.epoch == self.place.epoch);
        let merges: Vec<_> = merges
            .filter(|merge| merge.ended.is_some_and(|ended| ended >= seconds(self.since)))
            .collect();
        let whole = merges.iter().filter(|merge| merge.done == merge.of).count() as u64;
        Row {
            network: self.network.clone(),
            hotkey: earner.hotkey.clone(),
            life: self.life.clone(),
            part: self.part,
            since: self.since,
            until: At(self.clock.unix_millis()),
            run: self.place.run.clone(),
            stage: self.place.stage.map(|stage| stage as u64),
            epoch: Some(self.place.epoch).filter(|epoch| *epoch > 0),
            forwards: work.forwards.saturating_sub(self.before.forwards),
            backwards: work.backwards.saturating_sub(self.before.backwards),
            partitions: work.partitions_merged.saturating_sub(self.before.partitions_merged),
            uploads: transfers().count() as u64,
            uploads_missed: transfers().filter(missed).count() as u64,
            weights: self.weights(snapshot),
            merges: whole,
            merges_missed: merges.len() as u64 - whole,
            tokens: work.tokens.saturating_sub(self.before.tokens),
            energy: self.power.energy(self.clock.now().since(self.began)),
            spent,
            validated: None,
            failed: None,
            payout_address: earner.paid_to.clone(),
            lost: std::mem::take(&mut self.lost),
        }
    }

    /// Uploads that ended within the stretch.
    fn transfers<'a>(
        &self,
        snapshot: &'a MinerSnapshot,
    ) -> impl Iterator<Item = &'a TransferView> + use<'a> {
        let since = seconds(self.since);
        let ended =
            move |transfer: &&TransferView| transfer.ended.is_some_and(|ended| ended >= since);
        snapshot.measured.transfers.iter().filter(ended)
    }

    fn weights(&self, snapshot: &MinerSnapshot) -> Submitted {
        let sent = |transfer: &TransferView| {
            transfer.file == WEIGHTS && transfer.total > 0 && transfer.sent >= transfer.total
        };
        if self.transfers(snapshot).any(sent) {
            return Submitted::InTime;
        }
        let over = snapshot.epoch > self.place.epoch && self.place.epoch > 0;
        match over && self.in_hand > 0 {
            true => Submitted::Missing,
            false => Submitted::NotAsked,
        }
    }
}

impl Power {
    fn look(&mut self, snapshot: &MinerSnapshot, now: Moment) {
        let time = now.since(self.looked);
        self.looked = now;
        if let Some(watts) = snapshot.measured.machine.device.watts.get()
            && watts.is_finite()
            && *watts >= 0.0
        {
            self.joules += watts * time.as_secs_f64();
            self.known += time;
        }
    }

    /// Measured if the sensor said it nearly all the time; of a shorter time nobody knows the rest.
    fn energy(&self, all: Duration) -> Energy {
        if self.known.is_zero() || self.known.as_secs_f64() < 0.9 * all.as_secs_f64() {
            return Energy::Unknown;
        }
        let whole = self.joules * all.as_secs_f64() / self.known.as_secs_f64();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let millijoules = Millijoules((whole * 1e3).round() as u64);
        Energy::Measured { millijoules, by: "the device's power sensor".to_owned() }
    }
}

#[allow(clippy::cast_precision_loss)]
fn seconds(at: At) -> f64 {
    at.0 as f64 / 1e3
}

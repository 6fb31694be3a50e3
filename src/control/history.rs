//! What a miner did over the last day, thinned with age: two seconds apart for half an hour, twenty for
//! six hours, two minutes for the rest. Of what is put together the least and the greatest are kept, so
//! that no peak is lost. It is made from snapshots alone, so that a replay and an attached screen have
//! it too.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Miners;
use crate::clock::Clock;
use crate::miner::MinerSnapshot;
use crate::miner::snapshot::State;

/// A part of the history: points so many seconds apart, for so many seconds.
struct Tier {
    grain: u64,
    keeps: u64,
}

/// From the newest to the oldest.
const TIERS: [Tier; 3] = [
    Tier { grain: 2, keeps: 30 * 60 },
    Tier { grain: 20, keeps: 6 * 3600 },
    Tier { grain: 120, keeps: 24 * 3600 },
];

/// Least, greatest and last of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// Least.
    pub min: f32,
    /// Greatest.
    pub max: f32,
    /// Last.
    pub last: f32,
}

impl Span {
    #[allow(clippy::cast_possible_truncation)]
    fn of(value: f64) -> Option<Self> {
        let value = value as f32;
        value.is_finite().then_some(Self { min: value, max: value, last: value })
    }

    fn join(earlier: Option<Self>, later: Option<Self>) -> Option<Self> {
        match (earlier, later) {
            (Some(a), Some(b)) => {
                Some(Self { min: a.min.min(b.min), max: a.max.max(b.max), last: b.last })
            }
            (some, None) | (None, some) => some,
        }
    }
}

/// What was in one stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Its beginning, Unix seconds.
    pub at: u64,
    /// Its length.
    pub seconds: u64,
    /// The state at its end.
    pub state: State,
    /// Whether there was another one before that in it.
    #[serde(default)]
    pub changed: bool,
    /// Losses that this miner computed; none where it computes none. Own measurement.
    #[serde(default)]
    pub loss: Option<Span>,
    /// Tokens a second, over ten seconds. Own measurement.
    #[serde(default)]
    pub tokens_per_second: Option<Span>,
    /// Degrees Celsius of the device, by its driver or the system.
    #[serde(default)]
    pub temperature: Option<Span>,
    /// The place in the registration queue, as the orchestrator told it.
    #[serde(default)]
    pub place: Option<Span>,
}

impl Point {
    /// Takes in what came later in the same stretch.
    fn take(&mut self, later: &Self) {
        self.changed |= later.changed || self.state != later.state;
        self.state = later.state;
        self.loss = Span::join(self.loss, later.loss);
        self.tokens_per_second = Span::join(self.tokens_per_second, later.tokens_per_second);
        self.temperature = Span::join(self.temperature, later.temperature);
        self.place = Span::join(self.place, later.place);
    }
}

/// The history of one miner.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// As in [`TIERS`]; each oldest first.
    tiers: [VecDeque<Point>; 3],
    /// The newest loss that was noted.
    loss: Option<f64>,
}

impl History {
    /// Takes note of a snapshot. A time before the last one, as a clock that was set back gives,
    /// counts as that one.
    pub fn note(&mut self, unix: u64, snapshot: &MinerSnapshot) {
        let newest = self.tiers[0].back().map(|point| point.at).unwrap_or_default();
        let unix = unix.max(newest);
        let place = snapshot.queue.as_ref().and_then(|queue| queue.places.last());
        #[allow(clippy::cast_precision_loss)]
        let place = place.and_then(|(_, place)| Span::of(*place as f64));
        let point = Point {
            at: unix / TIERS[0].grain * TIERS[0].grain,
            seconds: TIERS[0].grain,
            state: snapshot.status.state,
            changed: false,
            loss: self.new_losses(&snapshot.losses),
            tokens_per_second: Span::of(snapshot.tokens_per_second[0]),
            temperature: snapshot
                .measured
                .machine
                .device
                .temperature
                .get()
                .copied()
                .and_then(Span::of),
            place,
        };
        self.put(0, &point);
        self.age(unix);
    }

    /// Of the losses those that came since the last time.
    fn new_losses(&mut self, losses: &[f64]) -> Option<Span> {
        let seen = self.loss.and_then(|seen| losses.iter().rposition(|loss| *loss == seen));
        let new = losses.get(seen.map_or(0, |seen| seen + 1)..).unwrap_or_default();
        self.loss = losses.last().copied().or(self.loss);
        new.iter().filter_map(|loss| Span::of(*loss)).map(Some).fold(None, Span::join)
    }

    fn put(&mut self, tier: usize, point: &Point) {
        let grain = TIERS[tier].grain;
        let at = point.at / grain * grain;
        match self.tiers[tier].back_mut().filter(|last| last.at >= at) {
            Some(last) => last.take(point),
            None => self.tiers[tier].push_back(Point { at, seconds: grain, ..*point }),
        }
    }

    /// Hands what has become too old for its tier to the next one.
    fn age(&mut self, unix: u64) {
        for (tier, Tier { keeps, .. }) in TIERS.iter().enumerate() {
            let oldest = unix.saturating_sub(*keeps);
            while let Some(point) = self.tiers[tier].front().copied() {
                if point.at + point.seconds > oldest {
                    break;
                }
                self.tiers[tier].pop_front();
                if tier + 1 < TIERS.len() {
                    self.put(tier + 1, &point);
                }
            }
        }
    }

    /// All points, oldest first. A stretch that is half thinned comes in both forms.
    pub fn points(&self) -> impl Iterator<Item = &Point> {
        self.tiers.iter().rev().flatten()
    }

    /// Forgets what was after this time: somebody goes back in a record.
    pub fn forget_after(&mut self, unix: u64) {
        for tier in &mut self.tiers {
            tier.retain(|point| point.at <= unix);
        }
        self.loss = None;
    }

    /// A history that somebody else kept, by its points; those that fit nowhere are left out.
    fn of_points(points: &[Point]) -> Self {
        let mut history = Self::default();
        let mut sorted: Vec<&Point> = points.iter().collect();
        sorted.sort_by_key(|point| point.at);
        for point in sorted {
            if let Some(tier) = TIERS.iter().position(|tier| tier.grain == point.seconds) {
                let most = (TIERS[tier].keeps / TIERS[tier].grain) as usize + 2;
                history.put(tier, point);
                if history.tiers[tier].len() > most {
                    history.tiers[tier].pop_front();
                }
            }
        }
        history
    }
}

/// Points by miner: what the local API gives.
pub type Told = BTreeMap<String, Vec<Point>>;

/// The histories of all own miners. A cheap handle; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Histories(Arc<Mutex<BTreeMap<String, History>>>);

impl Histories {
    /// Takes note of a miner's snapshot.
    pub fn note(&self, unix: u64, snapshot: &MinerSnapshot) {
        self.change(|all| all.entry(snapshot.name.clone()).or_default().note(unix, snapshot));
    }

    /// The points of one miner, oldest first.
    pub fn of(&self, name: &str) -> Vec<Point> {
        self.change(|all| all.get(name).map(|one| one.points().copied().collect()))
            .unwrap_or_default()
    }

    /// Looks at the history of one miner without a copy of it; none where nothing was noted.
    pub fn read<T>(&self, name: &str, look: impl FnOnce(&History) -> T) -> Option<T> {
        self.change(|all| all.get(name).map(look))
    }

    /// All of it.
    pub fn tell(&self) -> Told {
        self.change(|all| {
            let points = |one: &History| one.points().copied().collect();
            all.iter().map(|(name, one)| (name.clone(), points(one))).collect()
        })
    }

    /// Takes over what another process kept.
    pub fn take(&self, told: &Told) {
        self.change(|all| {
            let new = told.iter().map(|(name, points)| (name.clone(), History::of_points(points)));
            *all = new.collect();
        });
    }

    /// Forgets what was after this time.
    pub fn forget_after(&self, unix: u64) {
        self.change(|all| all.values_mut().for_each(|one| one.forget_after(unix)));
    }

    /// Of these miners, noted now and then until all are gone. Must be called within a runtime.
    pub fn begin(miners: Miners, clock: Clock) -> Self {
        let histories = Self::default();
        // It ends by itself.
        drop(tokio::spawn(histories.clone().follow(miners, clock)));
        histories
    }

    /// Takes note of these miners now and then, until all are gone.
    pub async fn follow(self, miners: Miners, clock: Clock) {
        loop {
            let unix = clock.unix().as_secs();
            miners.iter().for_each(|miner| self.note(unix, &miner.borrow()));
            clock.sleep(Duration::from_secs(TIERS[0].grain)).await;
            if miners.iter().all(|miner| miner.has_changed().is_err()) {
                return;
            }
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<String, History>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::miner::board::Board;
    use crate::miner::snapshot::DeviceView;
    use crate::miner::snapshot::machine::Reading;
    use crate::telemetry::Events;

    /// What a day of one miner may take.
    const MOST_BYTES: usize = 8 << 20;
    /// So many devices one machine has at most, roughly.
    const MINERS: usize = 16;

    fn snapshot() -> MinerSnapshot {
        let board = Board::new("m0", "5x", DeviceView::default(), Clock::system(), Events::new());
        board.read(Clone::clone)
    }

    #[test]
    fn a_day_is_kept_in_little_room_and_every_peak_is_still_there() {
        let mut history = History::default();
        let mut now = snapshot();
        let start = 1_700_000_000_u64;
        // Two days, so that the oldest must go.
        let (end, peak) = (start + 2 * 86_400, start + 2 * 86_400 - 80_000);
        for unix in start..end {
            now.tokens_per_second[0] = if unix == peak { 9e6 } else { 1000.0 };
            let heat = if unix == peak + 70_000 { 20.0 } else { 60.0 };
            now.measured.machine.device.temperature = Reading::Is { value: heat };
            now.losses = vec![f64::from(u32::try_from(unix - start).unwrap())];
            history.note(unix, &now);
        }
        let points: Vec<Point> = history.points().copied().collect();
        let bytes = points.len() * size_of::<Point>();
        assert!(bytes * MINERS <= MOST_BYTES, "{bytes} bytes a miner");
        let covered = end - points[0].at;
        assert!((86_400..86_400 + 400).contains(&covered), "{covered} s");
        assert!(points.windows(2).all(|two| two[0].at + two[0].seconds <= two[1].at + 120));
        let most = points.iter().filter_map(|point| point.tokens_per_second).map(|s| s.max);
        assert_eq!(most.fold(0.0, f32::max), 9e6);
        let least = points.iter().filter_map(|point| point.temperature).map(|s| s.min);
        assert_eq!(least.fold(f32::MAX, f32::min), 20.0);
        // No loss of the last day is outside of what its stretch says.
        for unix in (end - 86_000..end).step_by(997) {
            #[allow(clippy::cast_precision_loss)]
            let loss = (unix - start) as f32;
            let holds = |point: &&Point| {
                (point.at..point.at + point.seconds).contains(&unix)
                    && point.loss.is_some_and(|span| span.min <= loss && loss <= span.max)
            };
            assert!(points.iter().any(|point| holds(&point)), "{unix}");
        }
    }

    #[test]
    fn it_survives_the_way_to_another_process_and_a_clock_that_jumps() {
        let all = Histories::default();
        let mut now = snapshot();
        for unix in [1000, 1001, 1002, 900, 1004, 500_000, 500_002] {
            now.status.state = if unix == 1001 { State::Paused } else { State::Training };
            all.note(unix, &now);
        }
        let points = all.of("m0");
        let at: Vec<u64> = points.iter().map(|point| point.at).collect();
        // What is more than a day old is gone.
        assert_eq!(at, [500_000, 500_002]);
        let told: Told =
            serde_json::from_str(&serde_json::to_string(&all.tell()).unwrap()).unwrap();
        let other = Histories::default();
        other.take(&told);
        assert_eq!(other.of("m0"), points);
        other.forget_after(500_001);
        assert_eq!(other.of("m0").len(), 1);
        assert!(other.of("m1").is_empty());
    }

    #[test]
    fn losses_are_noted_once_each() {
        let mut history = History::default();
        let mut now = snapshot();
        for (unix, losses, expected) in [
            (10, vec![3.0, 2.5], Some((2.5, 3.0))),
            (12, vec![3.0, 2.5], None),
            (14, vec![2.5, 2.0], Some((2.0, 2.0))),
            (16, vec![], None),
        ] {
            now.losses = losses;
            history.note(unix, &now);
            let last = history.points().last().unwrap().loss.map(|span| (span.min, span.max));
            assert_eq!(last, expected, "{unix}");
        }
    }
}

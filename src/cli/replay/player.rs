//! Plays a record: a thread that keeps the time, takes wishes, and fills the same channels that a
//! living run fills.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::watch;

use super::list::local_time;
use super::print::{readable, timed};
use super::{Speed, failure};
use crate::cli::{Exit, Failure};
use crate::clock::Clock;
use crate::control::{Control, Histories, Miners, Place, Playback, Progress, Wish};
use crate::miner::MinerSnapshot;
use crate::swarm::SwarmSnapshot;
use crate::telemetry::Event;
use crate::telemetry::logs::Ring;
use crate::telemetry::record::{Line, Reader, What, apply};

/// While time passes without being shown, the histories are noted so often, in milliseconds.
const NOTED_EVERY: u64 = 20_000;
/// Between two pictures.
const TICK: Duration = Duration::from_millis(50);

/// A record that is being played.
#[derive(Debug)]
pub(super) struct Player {
    tape: Tape,
    speed: Speed,
    holds: bool,
    at: Duration,
    wishes: Receiver<Wish>,
    log: Ring,
    out: Outlets,
}

/// Where the snapshots go.
#[derive(Debug)]
struct Outlets {
    miners: Vec<watch::Sender<MinerSnapshot>>,
    swarm: Option<watch::Sender<SwarmSnapshot>>,
    progress: watch::Sender<Progress>,
    histories: Histories,
    place: watch::Sender<Place>,
}

impl Player {
    /// Goes to `from`, and opens what a face attaches to.
    pub(super) fn open(
        reader: Reader,
        from: Duration,
        speed: Speed,
        log: &Ring,
    ) -> Result<(Self, Control, Playback), Failure> {
        let (wish, wishes) = mpsc::channel();
        let histories = Histories::default();
        let mut tape = Tape {
            reader,
            state: Value::Null,
            next: 0,
            lines: VecDeque::new(),
            histories: histories.clone(),
            noted: 0,
        };
        // From the beginning on, so that the histories have what was before.
        tape.go_to(Duration::ZERO, log)?;
        tape.go_on_to(from, log)?;
        if tape.state.is_null() {
            tape.first_state(log)?;
        }
        let snapshots: Vec<MinerSnapshot> = tape.part("miners")?;
        let (miners, watched): (Vec<_>, Vec<_>) = snapshots.into_iter().map(watch::channel).unzip();
        let mut watched = watched.into_iter();
        let Some(first) = watched.next() else { return Err(nothing_in_it()) };
        let swarm: Option<SwarmSnapshot> = tape.part("swarm")?;
        let (swarm, watched_swarm) = swarm.map(watch::channel).unzip();
        let (progress, watched_progress) = watch::channel(tape.part("progress")?);
        let names: BTreeMap<String, String> = tape.part("names")?;
        let (place, watched_place) = watch::channel(tape.place(from, speed, false));
        let control = Control {
            miners: Miners::new(first, watched.collect()),
            swarm: watched_swarm,
            to_swarm: None,
            names: Arc::new(names),
            epochs: tape.part("epochs")?,
            progress: watched_progress,
            histories: histories.clone(),
            // The past takes no orders.
            send: Arc::new(|_| {}),
        };
        let playback = Playback {
            place: watched_place,
            send: Arc::new(move |wanted| {
                // A player that has ended grants nothing.
                let _ = wish.send(wanted);
            }),
        };
        let out = Outlets { miners, swarm, progress, histories, place };
        let player = Self { tape, speed, holds: false, at: from, wishes, log: log.clone(), out };
        Ok((player, control, playback))
    }

    /// Plays until nobody can wish anything any more. Where the record cannot be read further, the
    /// screen says so.
    pub(super) fn run(mut self, clock: &Clock) -> Result<(), Failure> {
        self.play(clock).inspect_err(|failure| {
            self.out.progress.send_replace(Progress::Failed(failure.line.clone()));
        })
    }

    fn play(&mut self, clock: &Clock) -> Result<(), Failure> {
        let mut last = clock.now();
        loop {
            let wish = clock.receive(&self.wishes, TICK);
            let now = clock.now();
            let passed = now.since(last).mul_f64(self.speed.0);
            last = now;
            if !self.holds {
                self.go_on_to(self.at + passed)?;
            }
            match wish {
                Ok(wish) => self.grant(wish)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            self.show()?;
        }
    }

    /// Grants what was wished since, then goes on by so much, if it does not stand still: for who keeps
    /// the time himself.
    pub(super) fn advance(&mut self, by: Duration) -> Result<(), Failure> {
        while let Ok(wish) = self.wishes.try_recv() {
            self.grant(wish)?;
        }
        if !self.holds {
            self.go_on_to(self.at + by)?;
        }
        self.show()
    }

    fn grant(&mut self, wish: Wish) -> Result<(), Failure> {
        match wish {
            Wish::Hold => self.holds = !self.holds,
            Wish::Faster => self.speed = self.speed.faster(),
            Wish::Slower => self.speed = self.speed.slower(),
            Wish::To(time) => self.move_to(time)?,
        }
        Ok(())
    }

    fn go_on_to(&mut self, to: Duration) -> Result<(), Failure> {
        let to = to.min(self.tape.reader.length());
        self.at = self.at.max(to);
        self.tape.go_on_to(to, &self.log)
    }

    fn move_to(&mut self, time: Duration) -> Result<(), Failure> {
        if time >= self.at {
            return self.go_on_to(time);
        }
        self.at = time;
        self.out.histories.forget_after(self.tape.unix(self.at));
        self.tape.noted = millis(self.at);
        self.tape.go_to(self.at, &self.log)
    }

    fn show(&self) -> Result<(), Failure> {
        let place = self.tape.place(self.at, self.speed, self.holds);
        let snapshots: Vec<MinerSnapshot> = self.tape.part("miners")?;
        for (miner, snapshot) in self.out.miners.iter().zip(snapshots) {
            self.out.histories.note(place.unix, &snapshot);
            miner.send_if_modified(|shown| replace(shown, snapshot));
        }
        if let (Some(swarm), Some(snapshot)) = (&self.out.swarm, self.tape.part("swarm")?) {
            swarm.send_if_modified(|shown| replace(shown, snapshot));
        }
        let progress = self.tape.part("progress")?;
        self.out.progress.send_if_modified(|shown| replace(shown, progress));
        self.out.place.send_if_modified(|shown| replace(shown, place));
        Ok(())
    }
}

fn replace<T: PartialEq>(shown: &mut T, new: T) -> bool {
    let differs = *shown != new;
    *shown = new;
    differs
}

/// The record and how far it was read.
#[derive(Debug)]
struct Tape {
    reader: Reader,
    state: Value,
    /// The frame that is read next.
    next: usize,
    /// Lines of the frame before that, not yet played.
    lines: VecDeque<Line>,
    histories: Histories,
    /// When the histories were noted last, in milliseconds of the record.
    noted: u64,
}

impl Tape {
    /// To any time: from the last whole state before it.
    fn go_to(&mut self, to: Duration, log: &Ring) -> Result<(), Failure> {
        self.next = self.reader.frame_before(millis(to));
        self.lines.clear();
        log.clear();
        self.go_on_to(to, log)
    }

    /// Ahead to a time.
    fn go_on_to(&mut self, to: Duration, log: &Ring) -> Result<(), Failure> {
        while self.fill()? {
            match self.lines.front() {
                Some(line) if line.at > millis(to) => return Ok(()),
                _ => self.step(log),
            }
        }
        Ok(())
    }

    /// Ahead to the first state, however long that takes.
    fn first_state(&mut self, log: &Ring) -> Result<(), Failure> {
        while self.state.is_null() {
            if !self.fill()? {
                return Err(nothing_in_it());
            }
            self.step(log);
        }
        Ok(())
    }

    /// Whether there is another line.
    fn fill(&mut self) -> Result<bool, Failure> {
        while self.lines.is_empty() && self.next < self.reader.frames() {
            self.lines = self.reader.lines(self.next).map_err(|error| failure(&error))?.into();
            self.next += 1;
        }
        Ok(!self.lines.is_empty())
    }

    /// Plays one line.
    fn step(&mut self, log: &Ring) {
        let Some(line) = self.lines.pop_front() else { return };
        let at = Duration::from_millis(line.at);
        if line.at >= self.noted + NOTED_EVERY {
            self.note(line.at);
        }
        match line.what {
            What::State(state) => self.state = state,
            What::Changes(changes) => {
                for change in changes {
                    // After something was missed the whole state comes again.
                    let _ = apply(&mut self.state, change);
                }
            }
            What::Event(event) => {
                let steady = matches!(
                    serde_json::from_str(event.get()),
                    Ok(Event::Loss { .. } | Event::Step { .. } | Event::Summary(_))
                );
                if let Some(text) = readable(event.get()).filter(|_| !steady) {
                    timed(at, &text).lines().for_each(|text| log.push(text));
                }
            }
            What::Missed(many) => log.push(&timed(at, &format!("{many} more were not recorded"))),
            What::End(_) => {}
        }
    }

    /// What passes without being shown is noted too.
    fn note(&mut self, at: u64) {
        self.noted = at;
        let snapshots: Vec<MinerSnapshot> = self.part("miners").unwrap_or_default();
        let unix = self.unix(Duration::from_millis(at));
        snapshots.iter().for_each(|snapshot| self.histories.note(unix, snapshot));
    }

    fn unix(&self, at: Duration) -> u64 {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let unix = (self.reader.header().started + at.as_secs_f64()).max(0.0) as u64;
        unix
    }

    /// A part of the state, as this version knows it.
    fn part<T: DeserializeOwned>(&self, name: &str) -> Result<T, Failure> {
        let part = self.state.get(name).unwrap_or(&Value::Null);
        T::deserialize(part).map_err(|error| {
            let line = format!(
                "the record was written by Hearth {}, whose {name} this version {} does not \
                 understand ({error}): play it with that version, or look at it with --json",
                self.reader.header().hearth,
                env!("CARGO_PKG_VERSION"),
            );
            Failure::new(Exit::Failed, line).coded("record-other")
        })
    }

    fn place(&self, at: Duration, speed: Speed, holds: bool) -> Place {
        let started = self.reader.header().started;
        let unix = self.unix(at);
        let (recorded, length) = (local_time(started), self.reader.length());
        let then = local_time(started + at.as_secs_f64());
        Place { recorded, then, at, length, speed: speed.0, holds, unix }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn nothing_in_it() -> Failure {
    let line = "the record ends before anything was written into it: there is nothing to play";
    Failure::new(Exit::Failed, line).coded("record-empty")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::miner::DeviceView;
    use crate::miner::board::Board;
    use crate::telemetry::Events;
    use crate::telemetry::record::{Change, End, Recording, Shelf, Told};

    #[test]
    fn the_history_of_a_record_is_there_wherever_one_begins_and_goes_back_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        let _guard = runtime.enter();
        let clock = Clock::system();
        let board = Board::new("m0", "5x", DeviceView::default(), clock.clone(), Events::new());
        let state = json!({
            "miners": [board.read(Clone::clone)],
            "names": {},
            "progress": {"progress": "running"},
        });
        let mut recording = Recording::start(Shelf::of(folder.path()), 1 << 20, &clock).unwrap();
        let start = clock.unix();
        assert!(recording.tell(Told::State(start, state)));
        for (second, speed) in [(25, 500.0), (50, 0.0), (75, 0.0), (100, 700.0), (125, 0.0)] {
            let place = "/miners/0/tokens_per_second/0".to_owned();
            let step = vec![Change::Set(place, json!(speed))];
            assert!(recording.tell(Told::Changes(start + Duration::from_secs(second), step)));
        }
        runtime.block_on(tokio::time::advance(Duration::from_secs(130)));
        recording.finish(End::Stopped);
        let record = Shelf::of(folder.path()).list().pop().unwrap();
        let reader = Reader::open(&record.path).unwrap();
        let from = Duration::from_secs(90);
        let (mut player, control, _playback) =
            Player::open(reader, from, Speed(1.0), &Ring::default()).unwrap();
        let most = || {
            let points = control.histories.of("m0");
            points.iter().filter_map(|point| point.tokens_per_second).map(|s| s.max).collect()
        };
        let seen: Vec<f32> = most();
        assert!(seen.contains(&500.0) && !seen.contains(&700.0), "{seen:?}");
        player.move_to(Duration::from_secs(130)).unwrap();
        assert!(most().contains(&700.0), "{:?}", most());
        player.move_to(Duration::from_secs(40)).unwrap();
        assert!(!most().contains(&700.0) && !most().contains(&500.0), "{:?}", most());
    }
}

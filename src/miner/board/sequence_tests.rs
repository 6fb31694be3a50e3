//! Whatever an engine tells its board, in whatever order, and whatever the sensors say meanwhile: there
//! is one state with one reason, told once, and it does not flip faster than the rules' minute allows.

use std::time::Duration;

use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::*;
use crate::config::rules::RuleSettings;
use crate::config::settings::Settings;
use crate::host::readings::{Known, PowerSource, Readings, Shown};
use crate::host::rules::{DWELL, Labour, Now, Past, UserWish, judge};

/// What an engine, a sensor or the user does.
#[derive(Clone, Debug)]
enum Deed {
    Status(State, Reason),
    Awaits,
    Expect(Option<u32>),
    Finishing(bool),
    /// The sensors say something; then the rules look.
    Look {
        metered: Option<bool>,
        battery: Option<bool>,
        temperature: Option<f64>,
    },
    Backward,
    StartAgain,
    Pass(u64),
}

/// What the engine may say while it works, and when it leaves.
const WORKING: [State; 7] = [
    State::Starting,
    State::Registering,
    State::Loading,
    State::Training,
    State::Uploading,
    State::Merging,
    State::Waiting,
];
const LEAVING: [State; 4] = [State::Stopping, State::Stopped, State::Disabled, State::Fault];

fn reasons() -> impl Strategy<Value = Reason> {
    let words = || "[a-z ]{0,12}".prop_map(String::from);
    prop_oneof![
        Just(Reason::WorkAvailable),
        Just(Reason::NoActivation),
        Just(Reason::CacheFull),
        Just(Reason::OthersMerging),
        Just(Reason::StopRequested),
        words().prop_map(|what| Reason::NetworkTrouble { what }),
        words().prop_map(|what| Reason::Failed { what }),
        (0..5_u32).prop_map(|attempt| Reason::BackOff { attempt }),
    ]
}

fn deeds(states: &'static [State]) -> impl Strategy<Value = Deed> {
    let known = || proptest::option::weighted(0.9, any::<bool>());
    let temperature = prop_oneof![3 => 40.0..100.0_f64, 1 => Just(f64::NAN)];
    prop_oneof![
        5 => (proptest::sample::select(states), reasons()).prop_map(|(s, r)| Deed::Status(s, r)),
        1 => Just(Deed::Awaits),
        1 => proptest::option::of(any::<u32>()).prop_map(Deed::Expect),
        1 => any::<bool>().prop_map(Deed::Finishing),
        6 => (known(), known(), proptest::option::weighted(0.8, temperature)).prop_map(
            |(metered, battery, temperature)| Deed::Look { metered, battery, temperature }
        ),
        1 => Just(Deed::Backward),
        1 => Just(Deed::StartAgain),
        4 => (1..30_000_u64).prop_map(Deed::Pass),
    ]
}

/// A board on which time passes by hand.
struct Bench {
    runtime: Runtime,
    board: Board,
    told: tokio::sync::mpsc::UnboundedReceiver<Event>,
    clock: Clock,
    rules: RuleSettings,
    past: Past,
}

impl Bench {
    fn new() -> Self {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        let guard = runtime.enter();
        let (clock, events) = (Clock::system(), Events::new());
        let told = events.subscribe();
        let board = Board::new("m0", "5x", DeviceView::default(), clock.clone(), events);
        drop(guard);
        let text = "temperature = \"85/75\"\non_battery = \"pause\"\nmetered = \"pause\"\n";
        let settings = Settings::of_text("config.toml".as_ref(), text).unwrap();
        let rules = RuleSettings::read(&settings).unwrap();
        Self { runtime, board, told, clock, rules, past: Past::default() }
    }

    fn act(&mut self, deed: Deed) {
        let _guard = self.runtime.enter();
        match deed {
            Deed::Status(state, reason) => self.board.status(state, reason, Who::Peer, "a peer"),
            Deed::Awaits => self.board.awaits("another peer"),
            Deed::Expect(seconds) => self
                .board
                .expect(seconds.map_or(Eta::Unknown, |seconds| Eta::Seconds(seconds.into()))),
            Deed::Finishing(finishing) => self.board.finishing(finishing),
            Deed::Look { metered, battery, temperature } => {
                let ruling = self.judged(metered, battery, temperature);
                self.board.rule(ruling);
            }
            Deed::Backward => self.board.add_tokens(64),
            Deed::StartAgain => {
                self.board.start_again(DeviceView::default());
                // A new life has a warden of its own.
                self.past = Past::default();
            }
            Deed::Pass(ms) => {
                self.runtime.block_on(tokio::time::advance(Duration::from_millis(ms)));
            }
        }
    }

    fn judged(
        &mut self,
        metered: Option<bool>,
        battery: Option<bool>,
        temperature: Option<f64>,
    ) -> Ruling {
        fn known<T>(fact: Option<T>) -> Known<T> {
            fact.map_or_else(|| Known::No("gone".into()), Known::Is)
        }
        let power = |on| if on { PowerSource::Battery(Some(50)) } else { PowerSource::Mains };
        let readings = Readings {
            power: known(battery.map(power)),
            idle: Known::NotAsked,
            temperature: known(temperature),
            watts: Known::NotAsked,
            load: Known::NotAsked,
            programs: Known::NotAsked,
            fullscreen: Known::NotAsked,
            metered: known(metered),
            month_bytes: Known::NotAsked,
            net_per_hour: Known::NotAsked,
            disk_free: Known::NotAsked,
            shown: Shown::none(),
        };
        let (unix, steady) = (self.clock.unix_seconds(), self.clock.now());
        let now = Now { unix, steady, zone: &jiff::tz::TimeZone::UTC, labour: Labour::AtWork };
        judge(&now, &readings, &self.rules, UserWish::Rules, &mut self.past)
    }

    fn now(&self) -> f64 {
        let _guard = self.runtime.enter();
        self.clock.unix_seconds()
    }

    /// What was told since this was asked last: state, reason, since when.
    fn told(&mut self) -> Vec<(String, String, f64)> {
        let all = std::iter::from_fn(|| self.told.try_recv().ok());
        all.filter_map(|event| match event {
            Event::State { state, reason, since, .. } => Some((state, reason, since)),
            _ => None,
        })
        .collect()
    }
}

fn line(snapshot: &MinerSnapshot) -> (String, String, f64) {
    let Status { state, reason, since, .. } = &snapshot.status;
    (state.word().to_owned(), reason.code().to_owned(), *since)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, failure_persistence: None, ..ProptestConfig::default() })]

    /// One state, one reason that belongs to it, a sentence and a next step; what was told last is what is
    /// shown, and the same thing is not told twice.
    #[test]
    fn any_sequence_leads_to_one_state_with_one_reason(
        deeds in prop::collection::vec(
            prop_oneof![8 => deeds(&WORKING), 1 => deeds(&LEAVING)], 1..120,
        ),
    ) {
        let mut bench = Bench::new();
        let mut told = bench.told().pop().unwrap();
        for deed in deeds {
            bench.act(deed.clone());
            let snapshot = bench.board.read(Clone::clone);
            for news in bench.told() {
                prop_assert_ne!(&news, &told, "{:?} was told again", deed);
                told = news;
            }
            prop_assert_eq!(&line(&snapshot), &told, "{:?}", deed);
            let status = &snapshot.status;
            let is_rule = matches!(status.reason, Reason::Rule { .. });
            prop_assert_eq!(status.state == State::Paused, is_rule, "{:?}", status);
            let leaves = LEAVING.contains(&status.state);
            prop_assert_eq!(is_rule, snapshot.ruling.pauses() && !leaves, "{:?}", status);
            if let Reason::Rule { rule, .. } = &status.reason {
                prop_assert_eq!(*rule, snapshot.ruling.rule);
                prop_assert_eq!(status.since, snapshot.ruling.since);
            }
            prop_assert!(!status.next.is_empty());
            prop_assert!(status.since <= bench.now());
        }
    }

    /// While the engine is at work a pause lasts a minute at least, whatever the engine says meanwhile,
    /// so that it flips at most twice a minute.
    #[test]
    fn a_pause_lasts_its_minute_whatever_happens_meanwhile(
        deeds in prop::collection::vec(
            deeds(&WORKING).prop_filter("one life", |deed| !matches!(deed, Deed::StartAgain)),
            1..200,
        ),
    ) {
        let mut bench = Bench::new();
        let began = bench.now();
        let (mut paused, mut flips) = (None, 0_u32);
        for deed in deeds {
            bench.act(deed.clone());
            let now = bench.now();
            let pauses = bench.board.read(|snapshot| snapshot.status.state == State::Paused);
            match (pauses, paused) {
                (true, None) => (paused, flips) = (Some(now), flips + 1),
                (false, Some(since)) => {
                    prop_assert!(now - since >= DWELL.as_secs_f64() - 1e-3, "{:?}", deed);
                    (paused, flips) = (None, flips + 1);
                }
                _ => {}
            }
        }
        let minutes = (bench.now() - began) / DWELL.as_secs_f64();
        prop_assert!(f64::from(flips) <= 2.0 * minutes + 1.0 + 1e-3, "{flips} in {minutes}");
    }
}

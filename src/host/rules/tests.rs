//! Each rule by a table; what holds for all of them by random walks of the sensors.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::config::settings::Settings;

/// Monday 23 November 2026, 12:00 UTC.
const NOON: f64 = 1_795_435_200.0;

fn rules(text: &str) -> RuleSettings {
    let settings = Settings::of_text(Path::new("config.toml"), text).unwrap();
    RuleSettings::read(&settings).unwrap()
}

/// A machine on which nothing stands against working.
fn calm() -> Readings {
    Readings {
        power: Known::Is(PowerSource::Mains),
        idle: Known::Is(Duration::from_secs(7200)),
        temperature: Known::Is(50.0),
        watts: Known::Is(100.0),
        load: Known::Is(2.0),
        programs: Known::Is(BTreeSet::new()),
        fullscreen: Known::Is(false),
        metered: Known::Is(false),
        month_bytes: Known::Is(1),
        net_per_hour: Known::Is(0.5),
        disk_free: Known::Is(100_000_000_000),
        shown: crate::host::readings::Shown::none(),
    }
}

/// A bench on which time passes by hand.
struct Bench {
    rules: RuleSettings,
    user: UserWish,
    past: Past,
    seconds: u64,
}

impl Bench {
    fn new(text: &str) -> Self {
        Self { rules: rules(text), user: UserWish::Rules, past: Past::default(), seconds: 0 }
    }

    fn look(&mut self, readings: &Readings) -> Ruling {
        let now = Now {
            #[allow(clippy::cast_precision_loss)]
            unix: NOON + self.seconds as f64,
            steady: Moment(Duration::from_secs(self.seconds)),
            zone: &TimeZone::UTC,
            labour: Labour::AtWork,
        };
        judge(&now, readings, &self.rules, self.user, &mut self.past)
    }

    /// Looks every 5 s for a while; the last ruling.
    fn live(&mut self, seconds: u64, readings: &Readings) -> Ruling {
        let end = self.seconds + seconds;
        while self.seconds < end {
            self.seconds += 5;
            self.look(readings);
        }
        self.look(readings)
    }
}

#[test]
fn the_order_of_precedence_names_every_rule_once_and_each_has_its_word() {
    let codes: BTreeSet<&str> = Rule::PRECEDENCE.iter().map(|rule| rule.code()).collect();
    assert_eq!(codes.len(), Rule::PRECEDENCE.len());
    for rule in Rule::PRECEDENCE {
        assert_eq!(serde_json::to_value(rule).unwrap(), rule.code());
    }
}

#[test]
fn every_sensor_rule_pauses_at_once_and_goes_on_after_its_minute() {
    type Change = fn(&mut Readings);
    let steam = |r: &mut Readings| r.programs = Known::Is(BTreeSet::from(["steam".to_owned()]));
    let table: [(&str, Rule, Change, &str); 12] = [
        (
            "temperature = \"85/75\"",
            Rule::TooHot,
            |r| r.temperature = Known::Is(85.0),
            "Paused: the device was hotter than 85 °C; it goes on at 75 °C.",
        ),
        (
            "disk_reserve = \"5GB\"",
            Rule::DiskReserve,
            |r| r.disk_free = Known::Is(4_999_999_999),
            "Paused: less than 5.0 GB of the data folder's disk are free.",
        ),
        (
            "quota = \"200GB\"",
            Rule::QuotaReached,
            |r| r.month_bytes = Known::Is(200_000_000_000),
            "Paused until 1 Dec 00:00: this month's 200.0 GB are used up.",
        ),
        (
            "",
            Rule::Metered,
            |r| r.metered = Known::Is(true),
            "Paused: the connection is paid by volume.",
        ),
        (
            "",
            Rule::BatteryPower,
            |r| r.power = Known::Is(PowerSource::Battery(Some(99))),
            "Paused: this computer runs on its battery.",
        ),
        (
            "on_battery = \"40%\"",
            Rule::BatteryLow,
            |r| r.power = Known::Is(PowerSource::Battery(Some(39))),
            "Paused: the battery is below 40 %; it goes on at 45 % or on mains power.",
        ),
        ("pause_for = [\"steam\"]", Rule::ProgramRunning, steam, "Paused: steam is running."),
        (
            "fullscreen = \"pause\"",
            Rule::Fullscreen,
            |r| r.fullscreen = Known::Is(true),
            "Paused: a program fills the screen.",
        ),
        (
            "minimum_net = \"0.02\"",
            Rule::NetTooLow,
            |r| r.net_per_hour = Known::Is(0.019),
            "Paused: an hour of work would leave less than 0.02 after electricity.",
        ),
        (
            "idle_after = \"10m\"",
            Rule::ComputerInUse,
            |r| r.idle = Known::Is(Duration::from_secs(3)),
            "Paused: you use this computer; it goes on when nobody has for 10m.",
        ),
        (
            "load_limit = \"50%\"",
            Rule::OtherPrograms,
            |r| r.load = Known::Is(90.0),
            "Paused: other programs keep the processor busier than 50 %.",
        ),
        (
            "on_battery = \"run\"\nmetered = \"run\"\ntemperature = \"85/75\"",
            Rule::TooHot,
            |r| r.temperature = Known::Is(120.0),
            "Paused: the device was hotter than 85 °C; it goes on at 75 °C.",
        ),
    ];
    for (text, rule, change, sentence) in table {
        let mut bench = Bench::new(text);
        assert!(!bench.live(60, &calm()).pauses(), "{text}");
        let mut bad = calm();
        change(&mut bad);
        // The load is followed slowly; everything else counts at once.
        let ruling = if rule == Rule::OtherPrograms {
            assert!(!bench.look(&bad).pauses(), "one busy moment is no busy computer");
            bench.live(30, &bad)
        } else {
            bench.look(&bad)
        };
        assert_eq!((ruling.rule, ruling.verdict), (rule, Verdict::Pause), "{text}");
        assert_eq!(ruling.sentence, sentence);
        let paused_at = bench.seconds;
        let resumed = (0..300).find(|_| {
            bench.seconds += 1;
            !bench.look(&calm()).pauses()
        });
        assert!(resumed.is_some(), "{text}");
        let waited = bench.seconds - paused_at;
        assert!(waited >= DWELL.as_secs(), "{text}: {waited}");
        assert!(waited <= DWELL.as_secs() + 20, "{text}: {waited}");
    }
}

#[test]
fn between_its_two_limits_a_rule_stays_as_it_is() {
    let at = |celsius: f64| Readings { temperature: Known::Is(celsius), ..calm() };
    let mut bench = Bench::new("temperature = \"85/75\"");
    assert!(!bench.live(300, &at(84.0)).pauses());
    assert!(bench.look(&at(85.0)).pauses());
    assert!(bench.live(600, &at(76.0)).pauses());
    assert!(!bench.live(120, &at(75.0)).pauses());

    let left =
        |percent| Readings { power: Known::Is(PowerSource::Battery(Some(percent))), ..calm() };
    let mut bench = Bench::new("on_battery = \"40%\"");
    assert!(!bench.live(300, &left(40)).pauses());
    assert!(bench.look(&left(39)).pauses());
    assert!(bench.live(600, &left(44)).pauses());
    assert!(!bench.live(120, &left(45)).pauses());
    assert!(bench.look(&left(39)).pauses());
    assert!(!bench.live(120, &calm()).pauses(), "mains power ends it");

    let free = |bytes| Readings { disk_free: Known::Is(bytes), ..calm() };
    let mut bench = Bench::new("disk_reserve = \"10GB\"");
    assert!(bench.look(&free(9_000_000_000)).pauses());
    assert!(bench.live(600, &free(10_900_000_000)).pauses());
    assert!(!bench.live(120, &free(11_000_000_000)).pauses());
}

#[test]
fn an_idle_computer_is_used_after_exactly_the_time_that_was_set() {
    let mut bench = Bench::new("idle_after = \"10m\"");
    let idle = |seconds| Readings { idle: Known::Is(Duration::from_secs(seconds)), ..calm() };
    assert!(bench.look(&idle(0)).pauses());
    for second in 1..600 {
        bench.seconds = second;
        assert!(bench.look(&idle(second)).pauses(), "{second}");
    }
    bench.seconds = 600;
    assert!(!bench.look(&idle(600)).pauses());
}

#[test]
fn hours_decide_by_the_clock_alone_and_say_until_when() {
    let mut bench = Bench::new("hours = \"22:00-07:00\"");
    let ruling = bench.look(&calm());
    assert_eq!(ruling.sentence, "Paused until 22:00: outside the hours you set.");
    assert_eq!((ruling.rule, ruling.until), (Rule::OutsideHours, Some(NOON + 36_000.0)));
    assert_eq!(ruling.since, NOON);
    bench.seconds = 36_000;
    let ruling = bench.look(&calm());
    assert_eq!((ruling.rule, ruling.pauses()), (Rule::NoRule, false), "no minute is waited");
    assert_eq!(ruling.until, Some(NOON + 36_000.0 + 9.0 * 3600.0));
    assert_eq!(ruling.since, NOON + 36_000.0);
    bench.seconds = 36_000 + 9 * 3600;
    assert!(bench.look(&calm()).pauses());
}

#[test]
fn the_users_word_counts_at_once_and_ends_when_it_said() {
    let mut bench = Bench::new("hours = \"22:00-07:00\"\ntemperature = \"85/75\"");
    let until = |seconds: u64| 1_795_435_200 + seconds;
    bench.user = UserWish::RunAnyway { since: NOON, until: until(3600) };
    let ruling = bench.look(&calm());
    assert_eq!((ruling.rule, ruling.pauses()), (Rule::RunAnyway, false));
    assert!(ruling.sentence.contains("until 13:00"), "{}", ruling.sentence);
    let hot = Readings { temperature: Known::Is(90.0), ..calm() };
    assert_eq!(bench.look(&hot).rule, Rule::TooHot, "what protects the machine is not overruled");
    let full = Readings { disk_free: Known::Is(1), ..calm() };
    assert_eq!(bench.live(120, &full).rule, Rule::DiskReserve);
    bench.seconds = 3600;
    assert_eq!(bench.live(120, &calm()).rule, Rule::OutsideHours);

    bench.user = UserWish::Pause { since: NOON + 1.0, until: Some(until(90_000)) };
    let ruling = bench.look(&calm());
    assert_eq!((ruling.rule, ruling.since), (Rule::UserPaused, NOON + 1.0));
    assert_eq!(ruling.sentence, "You paused it until Tue 13:00.");
    bench.user = UserWish::Pause { since: NOON, until: None };
    assert_eq!(bench.look(&calm()).sentence, "You paused it.");
}

#[test]
fn resume_does_not_wait_for_a_minute_unless_the_machine_is_protected() {
    let mut bench = Bench::new("temperature = \"85/75\"");
    let metered = Readings { metered: Known::Is(true), ..calm() };
    assert!(bench.look(&metered).pauses());
    bench.past.hurry();
    assert!(bench.look(&metered).pauses(), "the rule itself still stands");
    assert!(bench.live(5, &calm()).pauses());
    bench.past.hurry();
    assert!(!bench.look(&calm()).pauses());
    assert!(bench.look(&Readings { temperature: Known::Is(86.0), ..calm() }).pauses());
    bench.live(5, &calm());
    bench.past.hurry();
    assert!(bench.look(&calm()).pauses());
}

#[test]
fn the_first_rule_in_the_order_decides_alone() {
    let mut bench = Bench::new(
        "hours = \"22:00-07:00\"\ntemperature = \"85/75\"\nquota = \"1GB\"\n\
         pause_for = [\"steam\"]\nfullscreen = \"pause\"\nidle_after = \"5m\"\nload_limit = \"10%\"\nminimum_net = 0",
    );
    let mut all = Readings {
        power: Known::Is(PowerSource::Battery(Some(50))),
        idle: Known::Is(Duration::ZERO),
        temperature: Known::Is(100.0),
        load: Known::Is(100.0),
        programs: Known::Is(BTreeSet::from(["steam".to_owned()])),
        fullscreen: Known::Is(true),
        metered: Known::Is(true),
        month_bytes: Known::Is(u64::MAX),
        net_per_hour: Known::Is(-0.5),
        disk_free: Known::Is(0),
        ..calm()
    };
    let relax: [(Rule, fn(&mut Readings)); 10] = [
        (Rule::TooHot, |r| r.temperature = Known::Is(20.0)),
        (Rule::DiskReserve, |r| r.disk_free = Known::Is(u64::MAX)),
        (Rule::QuotaReached, |r| r.month_bytes = Known::Is(0)),
        (Rule::Metered, |r| r.metered = Known::Is(false)),
        (Rule::BatteryPower, |r| r.power = Known::Is(PowerSource::Mains)),
        (Rule::OutsideHours, |_| ()),
        (Rule::ProgramRunning, |r| r.programs = Known::Is(BTreeSet::new())),
        (Rule::Fullscreen, |r| r.fullscreen = Known::Is(false)),
        (Rule::NetTooLow, |r| r.net_per_hour = Known::Is(0.5)),
        (Rule::ComputerInUse, |r| r.idle = Known::Is(Duration::from_secs(9999))),
    ];
    for (rule, change) in relax {
        assert_eq!(bench.live(90, &all).rule, rule);
        if rule == Rule::OutsideHours {
            bench.rules.hours = "always".parse().unwrap();
        }
        change(&mut all);
    }
    assert_eq!(bench.live(90, &all).rule, Rule::OtherPrograms);
}

#[test]
fn what_cannot_be_known_is_said_and_does_not_pause() {
    let mut bench =
        Bench::new("temperature = \"85/75\"\npower_limit = \"200\"\nidle_after = \"5m\"");
    let no = |why: &str| Known::No(why.to_owned());
    let silent = Readings {
        temperature: Known::No("no sensor is readable".to_owned()),
        watts: Known::No("the card does not say".to_owned()),
        idle: Known::No("nobody is logged in".to_owned()),
        power: Known::No("no battery is readable".to_owned()),
        ..calm()
    };
    let ruling = bench.live(120, &silent);
    assert!(!ruling.pauses());
    let listed: Vec<_> = ruling.unknown.iter().map(|unknown| unknown.rule).collect();
    assert_eq!(listed, [Rule::TooHot, Rule::BatteryPower, Rule::ComputerInUse, Rule::PowerLimit]);
    assert_eq!(ruling.unknown[0].why, "no sensor is readable");
    let ruling = bench.look(&Readings::none());
    assert!(
        !ruling.pauses() && ruling.unknown.is_empty(),
        "what nobody has asked yet is not missing"
    );

    // A battery that does not say how full it is.
    let mut bench = Bench::new("on_battery = \"40%\"");
    let ruling = bench.look(&Readings { power: Known::Is(PowerSource::Battery(None)), ..calm() });
    assert_eq!((ruling.pauses(), ruling.unknown.len()), (false, 1));

    // A device that was hot stays alone for ten minutes when its sensor goes silent; not for ever.
    let mut bench = Bench::new("temperature = \"85/75\"");
    bench.look(&Readings { temperature: Known::Is(99.0), ..calm() });
    let gone = Readings { temperature: no("it vanished"), ..calm() };
    assert!(bench.live(595, &gone).pauses());
    assert!(!bench.live(10, &gone).pauses());
}

#[test]
fn a_power_limit_and_a_duty_share_the_time() {
    let mut bench = Bench::new("duty = \"50%\"");
    let ruling = bench.look(&calm());
    assert_eq!((ruling.rule, ruling.percent().unwrap().get()), (Rule::DutyCycle, 50));
    assert_eq!(ruling.sentence, "At 50 %, as you set it.");

    let mut bench = Bench::new("power_limit = \"200\"");
    let mut watts = 300.0;
    let mut ruling = bench.look(&calm());
    for _ in 0..200 {
        ruling = bench.live(5, &Readings { watts: Known::Is(watts), ..calm() });
        watts = 40.0 + 260.0 * f64::from(ruling.percent().unwrap().get()) / 100.0;
    }
    assert_eq!(ruling.rule, Rule::PowerLimit);
    assert!(ruling.sentence.ends_with("% to stay under 200 W."), "{}", ruling.sentence);
    assert!((185.0..=202.0).contains(&watts), "{watts}");
    assert!(ruling.since < NOON + 60.0, "another share is no other ruling");
    bench.rules.power_limit = None;
    assert_eq!(bench.look(&calm()).rule, Rule::NoRule);
}

#[test]
fn a_rule_that_is_taken_away_lets_go_at_once() {
    let mut bench = Bench::new("");
    let metered = Readings { metered: Known::Is(true), ..calm() };
    assert!(bench.look(&metered).pauses());
    bench.rules = rules("metered = \"run\"");
    assert!(!bench.look(&metered).pauses());
}

/// Readings as a broken machine might give them.
fn any_readings() -> impl Strategy<Value = Readings> {
    fn known<T: Clone + std::fmt::Debug + 'static>(
        value: impl Strategy<Value = T> + 'static,
    ) -> BoxedStrategy<Known<T>> {
        prop_oneof![
            6 => value.prop_map(Known::Is),
            1 => Just(Known::No("gone".to_owned())),
            1 => Just(Known::NotAsked),
        ]
        .boxed()
    }
    let number = || {
        prop_oneof![
            8 => -20.0..140.0_f64,
            1 => Just(f64::NAN),
            1 => Just(f64::NEG_INFINITY),
            1 => Just(f64::INFINITY),
            1 => Just(-1e300),
        ]
    };
    let power = prop_oneof![
        Just(PowerSource::Mains),
        any::<u8>().prop_map(|left| PowerSource::Battery(Some(left))),
        Just(PowerSource::Battery(None)),
    ];
    let programs = proptest::bool::ANY
        .prop_map(|on| on.then(|| "steam".to_owned()).into_iter().collect::<BTreeSet<_>>());
    let size = || prop_oneof![Just(0), Just(u64::MAX), any::<u64>()];
    let idle = (0..2000_u64).prop_map(Duration::from_secs);
    (
        known(power),
        known(idle),
        known(number()),
        known(number()),
        known(number()),
        known(programs),
        known(proptest::bool::ANY),
        known(proptest::bool::ANY),
        (known(size()), known(size()), known(number())),
    )
        .prop_map(
            |(power, idle, temperature, watts, load, programs, fullscreen, metered, sizes)| {
                let (month_bytes, disk_free, net_per_hour) = sizes;
                Readings {
                    power,
                    idle,
                    temperature,
                    watts,
                    load,
                    programs,
                    fullscreen,
                    metered,
                    month_bytes,
                    net_per_hour,
                    disk_free,
                    shown: crate::host::readings::Shown::none(),
                }
            },
        )
}

fn any_rules() -> impl Strategy<Value = RuleSettings> {
    let line =
        |text: &'static str| proptest::bool::ANY.prop_map(move |on| if on { text } else { "" });
    (
        line("temperature = \"85/75\"\n"),
        line("power_limit = \"60\"\n"),
        line("load_limit = \"50%\"\n"),
        line("idle_after = \"5m\"\n"),
        line("pause_for = [\"steam\"]\nfullscreen = \"pause\"\n"),
        line("quota = \"5GB\"\n"),
        line("on_battery = \"40%\"\n"),
        line("metered = \"run\"\n"),
        line("duty = \"30%\"\n"),
    )
        .prop_map(|(a, b, c, d, e, f, g, h, i)| rules(&[a, b, c, d, e, f, g, h, i].concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Whatever the sensors say, it never goes on before a minute has passed since it paused, has one
    /// deciding rule that is true of the verdict, and a share that a device can keep.
    #[test]
    fn sensors_that_lie_jump_and_vanish_never_make_it_flap(
        rules in any_rules(),
        walk in prop::collection::vec((any_readings(), 1..40_u64), 1..200),
    ) {
        let mut bench = Bench::new("");
        bench.rules = rules;
        let mut paused_at = None;
        let mut flips = 0_u64;
        let mut pausing = false;
        for (readings, seconds) in walk {
            bench.seconds += seconds;
            let ruling = bench.look(&readings);
            prop_assert_eq!(ruling.pauses(), ruling.percent().is_none());
            prop_assert!(!ruling.sentence.is_empty());
            let runs = matches!(
                ruling.rule,
                Rule::RunAnyway | Rule::PowerLimit | Rule::DutyCycle | Rule::NoRule
            );
            prop_assert_eq!(runs, !ruling.pauses(), "{:?}", ruling.rule);
            if let Some(percent) = ruling.percent() {
                prop_assert!((5..=100).contains(&percent.get()));
            }
            if ruling.pauses() != pausing {
                flips += 1;
                pausing = ruling.pauses();
                if pausing {
                    paused_at = Some(bench.seconds);
                } else if let Some(at) = paused_at {
                    prop_assert!(bench.seconds - at >= DWELL.as_secs());
                }
            }
        }
        prop_assert!(flips <= 2 * (bench.seconds / DWELL.as_secs()) + 1);
    }

    /// A wall clock that jumps anywhere neither panics nor makes a sensor's rule let go early.
    #[test]
    fn clock_jumps_do_not_shorten_a_pause(
        jumps in prop::collection::vec((-1e12..1e12_f64, 0..20_u64), 1..60),
    ) {
        let rules = rules("hours = \"mon-fri 22:00-07:00, sat-sun 00:00-24:00\"\nquota = \"5GB\"");
        let mut past = Past::default();
        let metered = Readings { metered: Known::Is(true), ..calm() };
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let mut steady = 0;
        for (index, (unix, passed)) in jumps.into_iter().enumerate() {
            steady += passed;
            let now = Now {
                unix,
                steady: Moment(Duration::from_secs(steady)),
                zone: &zone,
                labour: Labour::Idle,
            };
            let readings = if index == 0 { &metered } else { &calm() };
            let ruling = judge(&now, readings, &rules, UserWish::Rules, &mut past);
            if steady < DWELL.as_secs() {
                prop_assert_eq!(ruling.rule, Rule::Metered);
            }
        }
    }
}

//! Decides what the miner is to do: takes the user's commands, the settings and the readings of the
//! machine to the rules, and tells the miner, its peers and the board what comes of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::announce::{Announcer, Taking};
use super::board::Board;
use super::feeds;
use super::pauses::PauseFile;
use super::snapshot::{Command, Reason, State};
use super::view::show_stop;
use crate::clock::{Clock, local_zone};
use crate::config::live::LiveSettings;
use crate::config::rules::RuleSettings;
use crate::config::settings::Settings;
use crate::host::readings::Readings;
use crate::host::rules::{self, Labour, Now, Past, Rule, Ruling, UserWish, Verdict};
use crate::protocol::Hotkey;
use crate::telemetry::Severity;
use crate::training::floor::{Act, End, Wish};

/// At least so often it looks at the clock: a wall clock that was set, or a machine that slept.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// The shortest time between two looks.
const LOOK_SOON: Duration = Duration::from_millis(50);

/// What a miner's rules come from.
#[derive(Clone, Debug)]
pub enum RuleSource {
    /// There are none: a demo's other miners.
    Off,
    /// There are none, but the screens show what the sensors say: your miner in a demo.
    Shown {
        /// Whoever reads the sensors sends them here.
        readings: watch::Receiver<Readings>,
    },
    /// The user's settings and the readings of this machine.
    Live {
        /// Read again whenever they change.
        settings: LiveSettings,
        /// Whoever reads the sensors sends them here.
        readings: watch::Receiver<Readings>,
    },
}

/// The warden.
pub(super) struct Warden {
    clock: Clock,
    board: Arc<Board>,
    announcer: Arc<Announcer>,
    wishes: watch::Sender<Wish>,
    orders: Inbox<mpsc::UnboundedReceiver<Command>>,
    settings: Inbox<watch::Receiver<Arc<Settings>>>,
    readings: Inbox<watch::Receiver<Readings>>,
    /// None where nothing is kept.
    file: Option<PauseFile>,
    rules: RuleSettings,
    user: UserWish,
    end: End,
    past: Past,
    /// Rules that were said to be unknowable.
    said: BTreeSet<Rule>,
}

/// Where something comes from; none once whoever sent it is gone.
type Inbox<T> = Option<T>;

impl Warden {
    pub(super) fn new(
        source: RuleSource,
        (state, hotkey): (&Path, &Hotkey),
        clock: Clock,
        (board, announcer): (Arc<Board>, Arc<Announcer>),
        wishes: watch::Sender<Wish>,
        orders: mpsc::UnboundedReceiver<Command>,
    ) -> Self {
        let (settings, readings, file) = match source {
            RuleSource::Off => (None, None, None),
            RuleSource::Shown { readings } => (None, Some(readings), None),
            RuleSource::Live { settings, readings } => {
                let file = PauseFile::new(state, hotkey);
                (Some(settings.subscribe()), Some(readings), Some(file))
            }
        };
        let user = file.as_ref().map(PauseFile::load).unwrap_or_default();
        let mut warden = Self {
            clock,
            board,
            announcer,
            wishes,
            orders: Some(orders),
            settings,
            readings,
            file,
            rules: RuleSettings::none(),
            user,
            end: End::Open,
            past: Past::default(),
            said: BTreeSet::new(),
        };
        warden.read_settings();
        warden
    }

    /// Decides again whenever something changes. Never returns.
    pub(super) async fn run(mut self) {
        loop {
            let wait = self.look();
            tokio::select! {
                order = next_order(&mut self.orders) => self.obey(order),
                () = changed(&mut self.settings) => self.read_settings(),
                () = changed(&mut self.readings) => {}
                () = self.clock.sleep(wait) => {}
            }
        }
    }

    /// The settings were checked before they came here; what is wrong all the same leaves the rules
    /// as they are.
    fn read_settings(&mut self) {
        let Some(settings) = &mut self.settings else { return };
        let settings = Arc::clone(&settings.borrow_and_update());
        match RuleSettings::read(&settings) {
            Ok(rules) => self.rules = rules,
            Err(error) => tracing::warn!("the rules stay as they were: {error}"),
        }
    }

    fn obey(&mut self, order: Command) {
        let since = self.clock.unix_seconds();
        match order {
            Command::Pause { until } => self.want(UserWish::Pause { since, until }),
            Command::Resume => {
                self.want(UserWish::Rules);
                // Who wants it to go on does not want it to end.
                if self.end == End::WithEpoch {
                    self.end = End::Open;
                }
            }
            Command::RunAnyway { until } => self.want(UserWish::RunAnyway { since, until }),
            Command::Finish if self.end == End::Open => self.end = End::WithEpoch,
            Command::Finish => {}
            // Who asked to stop does not mean it less because of a later key press.
            Command::Stop | Command::Disable => self.end = End::Now,
            // It is on.
            Command::Enable => {}
        }
    }

    fn want(&mut self, user: UserWish) {
        self.past.hurry();
        self.user = user;
        self.keep_wish();
    }

    fn keep_wish(&self) {
        if let Some(file) = &self.file
            && let Err(error) = file.save(self.user)
        {
            let fix = "Make the state folder writable, or ask again after a restart.";
            self.board.finding(Severity::Warning, "pause-not-kept", error.to_string(), fix);
        }
    }

    /// Decides, and tells everybody. Gives the time until the next look.
    pub(super) fn look(&mut self) -> Duration {
        let unix = self.clock.unix_seconds();
        if self.user.at(unix) != self.user {
            self.user = UserWish::Rules;
            self.keep_wish();
        }
        let readings = match &mut self.readings {
            Some(readings) => readings.borrow_and_update().clone(),
            None => Readings::none(),
        };
        feeds::machine::show(&self.board, &readings, &self.rules);
        let zone = local_zone();
        let now = Now { unix, steady: self.clock.now(), zone: &zone, labour: self.labour() };
        let ruling = rules::judge(&now, &readings, &self.rules, self.user, &mut self.past);
        let wait = self.wait(&ruling, unix);
        self.tell(ruling);
        wait
    }

    /// Whether the device has work.
    fn labour(&self) -> Labour {
        let at_work = self.board.read(|snapshot| {
            snapshot.status.state == State::Training
                && snapshot.status.reason == Reason::WorkAvailable
        });
        if at_work { Labour::AtWork } else { Labour::Idle }
    }

    fn wait(&self, ruling: &Ruling, unix: f64) -> Duration {
        let until = ruling.until.map_or(f64::INFINITY, |until| until - unix);
        let until = until.clamp(LOOK_SOON.as_secs_f64(), LOOK_EVERY.as_secs_f64());
        Duration::from_secs_f64(until)
    }

    fn tell(&mut self, ruling: Ruling) {
        let act = match ruling.verdict {
            Verdict::Run(percent) => Act::Work(percent),
            Verdict::Pause => Act::Pause(ruling.rule.manner()),
        };
        let wish = Wish { act, end: self.end };
        self.tell_unknown(&ruling);
        self.announcer.take(if ruling.pauses() { Taking::Nothing } else { Taking::Work });
        self.board.rule(ruling);
        self.board.finishing(wish.finishes());
        let changed = self.wishes.send_if_modified(|old| std::mem::replace(old, wish) != wish);
        if changed && wish.stops() {
            show_stop(&self.board);
        }
    }

    /// Says once of each rule that it cannot be kept to here; again if it could in between.
    fn tell_unknown(&mut self, ruling: &Ruling) {
        self.said.retain(|rule| ruling.unknown.iter().any(|unknown| unknown.rule == *rule));
        for unknown in &ruling.unknown {
            if !self.said.insert(unknown.rule) {
                continue;
            }
            let (rule, why) = (unknown.rule.code(), &unknown.why);
            if unknown.rule == Rule::TooHot {
                let what = format!(
                    "The temperature rule is set but cannot be kept to: {why}. The device is not \
                     protected by Hearth."
                );
                let fix =
                    "Watch the device yourself, or install what its temperature is read with.";
                self.board.finding(Severity::Error, "temperature-unknown", what, fix);
            } else {
                let what = format!("The rule {rule} cannot be known here: {why}.");
                let fix = "Nothing, or take the rule out: it does not pause anything.";
                self.board.finding(Severity::Warning, "rule-unknown", what, fix);
            }
        }
    }
}

/// The next order; waits for ever once nobody can give one.
async fn next_order(orders: &mut Inbox<mpsc::UnboundedReceiver<Command>>) -> Command {
    if let Some(open) = orders {
        match open.recv().await {
            Some(order) => return order,
            // A face that is gone has no wishes.
            None => *orders = None,
        }
    }
    std::future::pending().await
}

/// Until something changed; for ever once nobody can change it.
async fn changed<T>(watched: &mut Inbox<watch::Receiver<T>>) {
    if let Some(open) = watched {
        match open.changed().await {
            Ok(()) => return,
            Err(_) => *watched = None,
        }
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::rules::{Manner, Percent};
    use crate::host::readings::Known;
    use crate::miner::DeviceView;
    use crate::telemetry::{Event, Events};

    struct Bench {
        warden: Warden,
        wish: watch::Receiver<Wish>,
        readings: watch::Sender<Readings>,
        live: LiveSettings,
        board: Arc<Board>,
        events: mpsc::UnboundedReceiver<Event>,
        clock: Clock,
        folder: tempfile::TempDir,
    }

    fn hotkey() -> Hotkey {
        Hotkey::from_public_key(&[7; 32])
    }

    impl Bench {
        /// A warden whose settings are those in the folder's file.
        fn open(text: &str, folder: tempfile::TempDir) -> Self {
            let file = folder.path().join(crate::config::settings::FILE_NAME);
            std::fs::write(&file, text).unwrap();
            let place = folder.path().to_owned();
            let read = move || Settings::read(None, &place, |_| None, Vec::new());
            let live = LiveSettings::new(read().unwrap(), read);
            let (readings, heard) = watch::channel(Readings::none());
            let clock = Clock::system();
            let events = Events::new();
            let told = events.subscribe();
            let device = DeviceView::default();
            let board = Arc::new(Board::new("m0", "5abc", device, clock.clone(), events));
            let announcer = Arc::new(Announcer::new(hotkey(), clock.clone()));
            let (wishes, wish) = watch::channel(Wish::WORK);
            let (_orders, inbox) = mpsc::unbounded_channel();
            let source = RuleSource::Live { settings: live.clone(), readings: heard };
            let warden = Warden::new(
                source,
                (folder.path(), &hotkey()),
                clock.clone(),
                (Arc::clone(&board), announcer),
                wishes,
                inbox,
            );
            Self { warden, wish, readings, live, board, events: told, clock, folder }
        }

        fn new(text: &str) -> Self {
            Self::open(text, tempfile::tempdir().unwrap())
        }

        fn order(&mut self, order: Command) -> Wish {
            self.warden.obey(order);
            self.look()
        }

        fn look(&mut self) -> Wish {
            self.warden.look();
            *self.wish.borrow()
        }

        fn status(&self) -> (State, String, String) {
            self.board.read(|snapshot| {
                let status = &snapshot.status;
                (status.state, status.reason.sentence(), status.next.clone())
            })
        }

        fn in_seconds(&self, seconds: u64) -> u64 {
            self.clock.unix().as_secs() + seconds
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_covers_the_status_and_ends_at_its_time() {
        let mut bench = Bench::new("");
        let train = |board: &Board| {
            board.status(
                State::Training,
                Reason::WorkAvailable,
                crate::miner::Who::Machine,
                "work",
            );
        };
        train(&bench.board);
        let until = Some(bench.in_seconds(1800));
        assert_eq!(bench.order(Command::Pause { until }).pauses(), Some(Manner::Orderly));
        train(&bench.board);
        let (state, sentence, _) = bench.status();
        assert_eq!(state, State::Paused);
        assert!(sentence.starts_with("You paused it until "), "{sentence}");
        tokio::time::advance(Duration::from_secs(1801)).await;
        assert_eq!(bench.look(), Wish::WORK);
        assert_eq!(bench.status(), (State::Training, bench.status().1, "work".to_owned()));
        assert!(bench.board.read(|snapshot| snapshot.wants_awake()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_and_a_word_for_work_survive_a_restart() {
        let mut bench = Bench::new("");
        bench.order(Command::Pause { until: None });
        let mut again = Bench::open("", bench.folder);
        assert_eq!(again.look().pauses(), Some(Manner::Orderly));
        assert_eq!(again.status().1, "You paused it.");
        assert!(again.order(Command::Resume).works());
        let mut third = Bench::open("", again.folder);
        assert!(third.look().works());
        let until = third.in_seconds(3600);
        third.order(Command::RunAnyway { until });
        let day = "mon 10:00-10:01";
        let mut fourth = Bench::open(&format!("hours = \"{day}\""), third.folder);
        assert!(fourth.look().works(), "the user's word counts more than the hours");
    }

    #[tokio::test(start_paused = true)]
    async fn readings_and_new_settings_count_at_once() {
        let mut bench = Bench::new("duty = \"40%\"");
        assert_eq!(bench.look().act, Act::Work(Percent::nearest(40.0)));
        let metered = Readings { metered: Known::Is(true), ..Readings::none() };
        bench.readings.send(metered).unwrap();
        assert_eq!(bench.look().pauses(), Some(Manner::KeepBack));
        assert_eq!(bench.status().1, "Paused: the connection is paid by volume.");
        let file = bench.folder.path().join(crate::config::settings::FILE_NAME);
        std::fs::write(&file, "metered = \"run\"").unwrap();
        bench.live.reload().unwrap();
        bench.warden.read_settings();
        assert_eq!(bench.look(), Wish::WORK);
        // Rules that never run are not taken over.
        std::fs::write(&file, "hours = \"mon 1:00-1:00\"").unwrap();
        assert!(bench.live.reload().unwrap_err().to_string().contains("0 hours a week"));
    }

    #[tokio::test(start_paused = true)]
    async fn finishing_is_said_and_taken_back_and_stopping_beats_it() {
        let mut bench = Bench::new("");
        bench.board.status(
            State::Training,
            Reason::WorkAvailable,
            crate::miner::Who::Machine,
            "work",
        );
        assert!(bench.order(Command::Finish).finishes());
        assert!(bench.status().2.ends_with("as you asked"), "{}", bench.status().2);
        assert_eq!(bench.order(Command::Resume), Wish::WORK);
        bench.order(Command::Finish);
        assert!(bench.order(Command::Stop).stops());
        assert_eq!(bench.status().0, State::Stopping);
        assert!(bench.order(Command::Resume).stops());
        assert!(bench.order(Command::Pause { until: None }).stops());
        assert_eq!(bench.status().0, State::Stopping, "a pause does not cover the end");
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_known_is_said_once_and_heat_loudly() {
        let mut bench = Bench::new("temperature = \"85/75\"\nidle_after = \"5m\"");
        let no = || Known::No("nobody can say".to_owned());
        let silent = Readings {
            temperature: Known::No("no sensor".to_owned()),
            idle: no(),
            ..Readings::none()
        };
        bench.readings.send(silent).unwrap();
        for _ in 0..3 {
            assert!(bench.look().works());
        }
        let mut said = Vec::new();
        while let Ok(event) = bench.events.try_recv() {
            if let Event::Finding { severity, code, .. } = event {
                said.push((severity, code));
            }
        }
        assert_eq!(
            said,
            [
                (Severity::Error, "temperature-unknown".to_owned()),
                (Severity::Warning, "rule-unknown".to_owned())
            ]
        );
    }
}

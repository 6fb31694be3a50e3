//! Decides what the miner is to do: takes the user's commands, the settings and the readings of the
//! machine to the rules, and tells the miner, its peers and the board what comes of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::announce::{Announcer, Taking};
use super::board::Board;
use super::pauses::PauseFile;
use super::snapshot::{Command, Reason, State};
use super::view::show_stop;
use crate::clock::Clock;
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
    /// There are none: a demo's miners.
    Off,
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
        let zone = self.clock.zone();
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

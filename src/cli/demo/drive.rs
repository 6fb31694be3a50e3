//! Drives a demo from its start to its summary: relays events to the face and the tally, notices
//! ends (work done, time over, the user, a signal, a failure), and lets everything finish in order.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::arguments::{DemoPlan, End};
use super::author::Author;
use super::face::{Face, Shown};
use super::newcomer::NewcomerError;
use super::session::{Ends, Ingredients, Keys, Session, swarm_failure};
use super::tally::{Rest, Tally};
use crate::cli::beside::ledger::{Earner, Keeping};
use crate::cli::beside::sensing::{Counted, Sensing, computing};
use crate::cli::beside::{Beside, Running};
use crate::cli::exit::miner_failure;
use crate::cli::print::{Style, summary_lines};
use crate::cli::{Exit, Failure, signals};
use crate::clock::{Clock, Moment};
use crate::compute::Device;
use crate::config::folders::Folders;
use crate::config::live::LiveSettings;
use crate::config::network::NetworkChoice;
use crate::config::values::JoinWay;
use crate::control::{Control, Histories, Miners, Order, Progress, ToSwarm};
use crate::host::readings::Readings;
use crate::miner::RuleSource;
use crate::swarm::SwarmCommand;
use crate::swarm::feed::Feed;
use crate::telemetry::logs::Ring;
use crate::telemetry::{Event, Events, SampleWhen, Severity, Summary};
use crate::training::record::Recorder;
use crate::tui::{Furniture, Left, Medium};

/// How long the counting models may take at the end of a very short demo.
const BASELINES_LIMIT: Duration = Duration::from_secs(60);
/// So long the end waits for the ledger to be closed.
const FAREWELL: Duration = Duration::from_secs(3);

/// Everything a demo is made of.
pub struct Demo<'a> {
    /// The checked command line.
    pub plan: &'a DemoPlan,
    /// Fixes data, weights and choices.
    pub seed: u64,
    /// Port of the orchestrator.
    pub port: u16,
    /// Where it keeps its files.
    pub folder: &'a Path,
    /// The miners' keys, yours first.
    pub keys: Keys,
    /// What computes.
    pub device: Arc<dyn Device>,
    /// The text.
    pub feed: Arc<Feed>,
    /// Every deed is written down here.
    pub recorder: Recorder,
    /// Of a kept practice run: what it goes by, and where its files are. A demo has neither.
    pub run: Option<(LiveSettings, Folders)>,
    /// Lines, or a screen.
    pub shown: Shown,
    /// The screen's log lines.
    pub log: Option<Ring>,
}

/// Why a demo ended.
enum Ending {
    /// It did what was asked for.
    Done,
    /// The user, or a signal, asked for it.
    Asked,
    /// The second Ctrl-C.
    Interrupted,
}

/// The two streams of events, and the two watchers of them.
struct Relay {
    swarm: mpsc::UnboundedReceiver<Event>,
    miners: mpsc::UnboundedReceiver<Event>,
    tally: Tally,
}

impl Relay {
    /// The next event that counts: of the swarm all, of the miners what only they know.
    async fn next(&mut self) -> Event {
        loop {
            let event = tokio::select! {
                Some(event) = self.swarm.recv() => event,
                Some(event) = self.miners.recv() => match event {
                    event if is_only_theirs(&event) => event,
                    _ => continue,
                },
                else => std::future::pending().await,
            };
            self.tally.note(&event);
            return event;
        }
    }

    /// What has already been sent.
    fn rest(&mut self) -> Vec<Event> {
        let mut rest: Vec<Event> = std::iter::from_fn(|| self.swarm.try_recv().ok()).collect();
        rest.extend(std::iter::from_fn(|| self.miners.try_recv().ok()).filter(is_only_theirs));
        rest.iter().for_each(|event| self.tally.note(event));
        rest
    }
}

/// Whether an event of a miner is one that the swarm does not tell as well.
fn is_only_theirs(event: &Event) -> bool {
    match event {
        Event::State { .. } | Event::Step { .. } | Event::Upload { .. } => true,
        // Six miners need not say six times what is fine.
        // What was read again is told once, beside them.
        Event::Finding { severity, code, .. } => {
            *severity != Severity::Info || code.starts_with("settings-")
        }
        _ => false,
    }
}

impl Demo<'_> {
    /// From start to summary.
    pub async fn run(mut self, clock: &Clock) -> Result<Exit, Failure> {
        let started = clock.now();
        let signal = signals::watch();
        if self.log.is_none() {
            signals::hang_up_rereads();
        }
        let (swarm_events, miner_events) = (Events::new(), Events::new());
        let relay = Relay {
            swarm: swarm_events.subscribe(),
            miners: miner_events.subscribe(),
            tally: Tally::default(),
        };
        let (sensing, readings) = self.sense(clock).await;
        let told = Events::new();
        // What goes beside the run speaks where the swarm does: all of that is shown.
        let say = swarm_events.clone();
        let ingredients = Ingredients {
            plan: self.plan,
            seed: self.seed,
            port: self.port,
            folder: self.folder,
            keys: std::mem::take(&mut self.keys),
            device: Arc::clone(&self.device),
            feed: Arc::clone(&self.feed),
            recorder: self.recorder.clone(),
            rules: readings.map(|readings| match &self.run {
                Some((settings, _)) => RuleSource::Live { settings: settings.clone(), readings },
                None => RuleSource::Shown { readings },
            }),
            swarm_events,
            miner_events,
        };
        let session = tokio::select! {
            session = Session::start(ingredients, clock) => session?,
            () = turned_true(signal.clone()) => return Ok(Exit::Done),
        };
        let (progress, watched) = watch::channel(Progress::Running);
        let (close, closed) = watch::channel(false);
        let author = Author {
            model: session.practice.model(),
            config: session.config.clone(),
            device: Arc::clone(&self.device),
            say: self.plan.say.clone(),
            seed: self.seed,
            clock: clock.clone(),
        };
        let (others, wanted) = mpsc::unbounded_channel();
        let (to_swarm, at_work) = author.clone().at_work(others);
        let control = control(&self, &session, watched, to_swarm, clock)?;
        let beside = match &self.run {
            Some((settings, folders)) => Some(Beside::start(&Running {
                control: control.clone(),
                pulses: session.miners.iter().map(|miner| miner.pulse.clone()).collect(),
                events: told.clone(),
                say: say.clone(),
                settings: settings.clone(),
                folders: folders.clone(),
                clock: clock.clone(),
            })?),
            None => None,
        };
        let keeping = self.keeping(&session, &say, clock)?;
        let mut looking = None;
        let mut kept = None;
        let beside = match beside {
            Some(beside) => Some(beside.sense(sensing, control.clone()).keep(keeping)),
            None => {
                looking = Some(tokio::spawn(sensing.go_on(control.clone())));
                let (over, ends) = watch::channel(false);
                kept = Some((over, tokio::spawn(keeping.go_on(ends))));
                None
            }
        };
        let face = self.open_face(control, closed, clock)?;
        let mut show =
            Show { demo: &self, relay, face, author, wanted, told, close, signal, clock, started };
        let ended = show.until_the_end(session).await;
        let ended = show.conclude(ended, &progress).await;
        drop(at_work);
        looking.inspect(JoinHandle::abort);
        if let Some((over, kept)) = kept {
            let _ = over.send(true);
            let _ = clock.timeout(FAREWELL, kept).await;
        }
        if let Some(beside) = beside {
            beside.end().await;
        }
        ended
    }

    /// The ledger of your miner; a demo's own goes with its folder.
    fn keeping(&self, session: &Session, say: &Events, clock: &Clock) -> Result<Keeping, Failure> {
        let server = session.practice.orchestrator_url();
        let server = server.parse().map_err(|error| {
            Failure::new(Exit::Failed, format!("{server} is no address: {error}"))
        })?;
        let own = session.miners.iter().take(1).map(|own| {
            let hotkey = own.snapshot.borrow().hotkey.clone();
            Earner {
                // The chain would pay the hotkey: no miner of a practice swarm is of a pool.
                paid_to: Some(hotkey.clone()),
                hotkey,
                snapshot: own.snapshot.clone(),
                purse: own.purse.clone(),
            }
        });
        Ok(Keeping {
            folder: match &self.run {
                Some((_, folders)) => folders.data.clone(),
                None => self.folder.to_owned(),
            },
            network: NetworkChoice::Practice,
            server,
            // No chain has a part in it.
            join: JoinWay::Pool,
            settings: self.run.as_ref().map(|(settings, _)| settings.clone()),
            earners: own.collect(),
            say: say.clone(),
            clock: clock.clone(),
        })
    }

    /// The sensors of this machine. A demo's messages stay here, so none are counted.
    async fn sense(&self, clock: &Clock) -> (Sensing, Option<watch::Receiver<Readings>>) {
        let devices = vec![computing(self.device.info())];
        let (sensing, readings) = match &self.run {
            Some((settings, folders)) => {
                Sensing::start(devices, Counted::Nowhere, settings, folders, clock).await
            }
            None => Sensing::for_screens(devices, self.folder, clock),
        };
        (sensing, readings.into_iter().next())
    }

    fn open_face(
        &self,
        control: Control,
        closed: watch::Receiver<bool>,
        clock: &Clock,
    ) -> Result<Face, Failure> {
        let Some(log) = self.log.clone() else {
            return Ok(Face::lines(self.shown.style.unwrap_or(Style::Readable), clock));
        };
        let (keys, mouse) = match &self.run {
            Some((settings, _)) => (settings.now().keys().clone(), settings.now().mouse()),
            None => super::face::hands(Folders::find().ok().as_ref()),
        };
        let medium = self.shown.medium;
        let furniture = Furniture { log, clock: clock.clone(), keys, mouse, medium, stop: closed };
        Face::screen(control, furniture).map_err(|error| {
            Failure::new(Exit::Failed, format!("no thread for the screen: {error}"))
                .coded("no-threads")
        })
    }
}

/// What a face attaches to: your miner and the swarm around it.
fn control(
    demo: &Demo<'_>,
    session: &Session,
    progress: watch::Receiver<Progress>,
    to_swarm: ToSwarm,
    clock: &Clock,
) -> Result<Control, Failure> {
    let Some(own) = session.miners.first() else {
        return Err(Failure::new(Exit::Failed, "no miner could be started"));
    };
    let commands = own.commands.clone();
    let miners = Miners::one(own.snapshot.clone());
    Ok(Control {
        histories: Histories::begin(miners.clone(), clock.clone()),
        miners,
        swarm: Some(session.practice.snapshot()),
        to_swarm: Some(to_swarm),
        names: Arc::clone(&session.names),
        epochs: demo.plan.end.epochs(),
        progress,
        send: Arc::new(move |order: Order| {
            // A miner that has ended takes no commands, and needs none.
            let _ = commands.send(order.command);
        }),
    })
}

/// A demo that is being shown.
struct Show<'a> {
    demo: &'a Demo<'a>,
    relay: Relay,
    face: Face,
    author: Author,
    /// What is to be done to the miners on purpose.
    wanted: mpsc::UnboundedReceiver<SwarmCommand>,
    /// The same events for whoever goes beside the run.
    told: Events,
    /// Turns true when the screen must give the terminal back.
    close: watch::Sender<bool>,
    signal: watch::Receiver<bool>,
    clock: &'a Clock,
    started: Moment,
}

/// What came of a sample of the model's writing.
enum Sampled {
    /// It is there, or cannot be had.
    Done(Result<String, NewcomerError>),
    /// The user did not wait for it.
    Left(Result<Ending, Failure>),
}

/// What is left when the miners have finished.
struct Result_ {
    ending: Ending,
    summary: Summary,
    samples: Vec<(SampleWhen, String)>,
}

impl Show<'_> {
    /// Tells everybody. An error means that nobody reads any more.
    fn tell(&mut self, event: &Event) -> std::io::Result<()> {
        self.told.emit(event.clone());
        self.face.event(event)
    }

    async fn until_the_end(&mut self, mut session: Session) -> Result<Result_, Failure> {
        let mut samples = Vec::new();
        let mut ends = session.take_ends();
        let before = self.sample(SampleWhen::Before).await;
        let training_since = self.clock.now();
        let mut ending = match before {
            Sampled::Done(text) => {
                samples.extend(self.tell_sample(SampleWhen::Before, text)?);
                self.watch(&mut session, &mut ends).await?
            }
            Sampled::Left(ending) => ending?,
        };
        let training = self.clock.now().since(training_since);
        if !matches!(ending, Ending::Interrupted) {
            session.stop(&mut ends, self.clock).await;
        }
        for event in self.relay.rest() {
            let _ = self.tell(&event);
        }
        if matches!(ending, Ending::Done) {
            match self.sample(SampleWhen::After).await {
                Sampled::Done(text) => samples.extend(self.tell_sample(SampleWhen::After, text)?),
                Sampled::Left(left) => ending = left?,
            }
        }
        let rest = self.rest(&session, training, &ending).await;
        session.practice.shutdown().await;
        Ok(Result_ { ending, summary: self.relay.tally.summary(&rest), samples })
    }

    /// Relays events until something ends the demo.
    async fn watch(&mut self, session: &mut Session, ends: &mut Ends) -> Result<Ending, Failure> {
        let finished = session.practice.finished();
        tokio::pin!(finished);
        let limit = match self.demo.plan.end {
            End::Epochs(_) | End::Never => None,
            End::Minutes(minutes) => Some(Duration::from_secs_f64(minutes * 60.0)),
        };
        let clock = self.clock.clone();
        let over = async move {
            match limit {
                Some(limit) => clock.sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(over);
        loop {
            tokio::select! {
                event = self.relay.next() => {
                    if self.tell(&event).is_err() {
                        return Ok(Ending::Asked);
                    }
                }
                done = &mut finished => {
                    return done.map(|()| Ending::Done).map_err(|error| swarm_failure(&error));
                }
                () = &mut over => return Ok(Ending::Done),
                Some(command) = self.wanted.recv() => match session.obey(command, ends).await {
                    Ok(done) => tracing::info!("on your order: {done}"),
                    Err(why) => tracing::warn!("not done: {why}"),
                },
                left = user_left(&mut self.face, &self.signal) => return left,
                Some((name, end)) = ends.next() => match end {
                    // Your own miner stops when you ask it to; then so does the demo.
                    Ok(()) if name == "m0" => return Ok(Ending::Asked),
                    Ok(()) => {}
                    Err(error) => return Err(miner_failure(&name, &error)),
                },
            }
        }
    }

    /// What the model writes now. Relays events meanwhile, and lets the user leave.
    async fn sample(&mut self, when: SampleWhen) -> Sampled {
        let author = self.author.clone();
        let writing = author.sample();
        tokio::pin!(writing);
        loop {
            tokio::select! {
                written = &mut writing => return Sampled::Done(written),
                left = user_left(&mut self.face, &self.signal) => return Sampled::Left(left),
                event = self.relay.next(), if when == SampleWhen::Before => {
                    let _ = self.tell(&event);
                }
            }
        }
    }

    /// Shows a sample. One that could not be had is no reason to end: it is said.
    fn tell_sample(
        &mut self,
        when: SampleWhen,
        text: Result<String, NewcomerError>,
    ) -> Result<Option<(SampleWhen, String)>, Failure> {
        match text {
            Ok(text) => {
                let event = Event::Sample { when, text: text.clone() };
                let _ = self.tell(&event);
                Ok(Some((when, text)))
            }
            Err(error) => {
                tracing::warn!("no sample of the model's writing: {error}");
                Ok(None)
            }
        }
    }

    async fn rest(&self, session: &Session, training: Duration, ending: &Ending) -> Rest {
        let mut swarm = session.practice.snapshot();
        if matches!(ending, Ending::Done) {
            let fitted = swarm.wait_for(|snapshot| snapshot.baselines.is_some());
            let _ = self.clock.timeout(BASELINES_LIMIT, fitted).await;
        }
        let swarm = swarm.borrow().clone();
        let work: Vec<_> = session.snapshots().into_iter().map(|s| s.work).collect();
        let info = self.demo.device.info();
        Rest {
            epochs: swarm.epochs_done,
            stages: self.demo.plan.stages,
            miners: session.miners.len(),
            backend: info.backend.to_owned(),
            device: info.name.clone(),
            forwards: work.iter().map(|w| w.forwards).sum(),
            backwards: work.iter().map(|w| w.backwards).sum(),
            baselines: swarm.baselines.unwrap_or_default(),
            tokens: swarm.tokens,
            training_seconds: training.as_secs_f64(),
            seconds: self.clock.now().since(self.started).as_secs_f64(),
        }
    }

    /// The summary, and on a screen the wait until the user leaves.
    async fn conclude(
        mut self,
        ended: Result<Result_, Failure>,
        progress: &watch::Sender<Progress>,
    ) -> Result<Exit, Failure> {
        let result = match ended {
            Ok(result) => result,
            Err(failure) => {
                let _ = progress.send(Progress::Failed(failure.line.clone()));
                self.until_left().await;
                return Err(failure);
            }
        };
        let _ = self.tell(&Event::Summary(Box::new(result.summary.clone())));
        match &result.ending {
            Ending::Interrupted => return Ok(Exit::Interrupted),
            Ending::Asked => {}
            Ending::Done => {
                let _ = progress.send(Progress::Finished(ending_text(&result)));
                if matches!(self.until_left().await, Some(Left::Interrupted)) {
                    return Ok(Exit::Interrupted);
                }
            }
        }
        if let Face::Screen(_) = self.face {
            self.close_screen().await;
            // In lines it was told already where the demo came to its own end.
            if self.demo.shown.medium == Medium::Screen || !matches!(result.ending, Ending::Done) {
                println!("{}", summary_lines(&result.summary));
            }
        }
        Ok(Exit::Done)
    }

    /// On a screen, waits until the user leaves it.
    async fn until_left(&mut self) -> Option<Left> {
        if let Face::Lines(_) = self.face {
            return None;
        }
        tokio::select! {
            left = self.face.left() => left.ok(),
            () = turned_true(self.signal.clone()) => {
                self.close_screen().await;
                None
            }
        }
    }

    /// The terminal is given back before anything else is printed.
    async fn close_screen(&mut self) {
        let _ = self.close.send(true);
        let _ = self.face.left().await;
    }
}

fn ending_text(result: &Result_) -> String {
    let mut text = summary_lines(&result.summary);
    for (when, sample) in &result.samples {
        let title = match when {
            SampleWhen::Before => "Before training, the model wrote:",
            SampleWhen::After => "After training, the model writes:",
        };
        text.push_str(&format!("\n\n{title}\n{sample}"));
    }
    text
}

/// Until the user, or a signal, asks for the end.
async fn user_left(face: &mut Face, signal: &watch::Receiver<bool>) -> Result<Ending, Failure> {
    tokio::select! {
        () = turned_true(signal.clone()) => Ok(Ending::Asked),
        left = face.left() => match left {
            Ok(Left::Interrupted) => Ok(Ending::Interrupted),
            Ok(_) => Ok(Ending::Asked),
            Err(error) => Err(Failure::of_screen(&error)),
        },
    }
}

async fn turned_true(mut watched: watch::Receiver<bool>) {
    if watched.wait_for(|on| *on).await.is_err() {
        std::future::pending().await
    }
}

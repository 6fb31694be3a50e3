//! The practice swarm of the second screen: the one of `hearth demo`, on a thread of its own, told to
//! the wizard as pictures, and stopped in order.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::watch;

use crate::cli::demo::arguments::{DemoPlan, End, preset};
use crate::cli::demo::faults::Faults;
use crate::cli::demo::folder::DemoFolder;
use crate::cli::demo::open_feed;
use crate::cli::demo::session::{self, Ingredients, Session, swarm_failure};
use crate::cli::device::{self, Compute};
use crate::cli::exit::miner_failure;
use crate::cli::{Exit, Failure};
use crate::clock::{Clock, Entropy};
use crate::config::folders::Folders;
use crate::control::{Control, Histories, Miners, Order, Progress};
use crate::swarm::Rules;
use crate::swarm::feed::{Source, TokenizerChoice};
use crate::telemetry::Events;
use crate::telemetry::logs::Ring;
use crate::training::record::Recorder;
use crate::tui::View;
use crate::tui::look::Look;
use crate::tui::wizard::Answer;
use crate::tui::wizard::facts::Practice as Told;
use crate::wallet::HotkeyPair;

/// Between two pictures.
const PICTURE: Duration = Duration::from_millis(250);

/// Fixes data, weights and choices.
const SEED: u64 = 1;

/// What the swarm is made of.
#[derive(Clone)]
pub(super) struct Recipe {
    /// Size of the model.
    pub(super) preset: String,
    /// What computes.
    pub(super) compute: Compute,
    /// Where it keeps its files while it runs.
    pub(super) folders: Folders,
    /// What is logged.
    pub(super) log: Ring,
    /// The time.
    pub(super) clock: Clock,
}

/// A swarm that runs, or ends.
pub(super) struct PracticeSwarm {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl PracticeSwarm {
    /// Starts it.
    pub(super) fn start(recipe: Recipe, answers: Sender<Answer>) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let thread = std::thread::Builder::new().name("practice".into()).spawn(move || {
            let tell = |told| {
                // Nobody listens any more once the wizard is left.
                let _ = answers.send(Answer::Practice(told));
            };
            tell(match run(&recipe, &tell, stopped) {
                Ok(()) => Told::Stopped(None),
                Err(failure) => Told::Failed(failure.line),
            });
        })?;
        Ok(Self { stop, thread })
    }

    /// Asks it to end, and does not wait.
    pub(super) fn ask_to_stop(&self) {
        let _ = self.stop.send(true);
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends it in order.
    pub(super) fn stop(self) {
        self.ask_to_stop();
        if self.thread.join().is_err() {
            tracing::warn!("the practice swarm ended by a panic");
        }
    }
}

fn run(recipe: &Recipe, tell: &dyn Fn(Told), stop: watch::Receiver<bool>) -> Result<(), Failure> {
    let starting = |what: &str| tell(Told::Starting(what.to_owned()));
    starting("Making up stories to train on …");
    let plan = DemoPlan {
        faults: Faults::default(),
        say: None,
        preset: preset(&recipe.preset)?,
        stages: 3,
        miners_per_stage: 2,
        in_flight: None,
        end: End::Never,
        source: Source::Stories { seed: SEED },
        tokenizer: TokenizerChoice::Shipped,
        rules: Rules::lenient(),
    };
    let feed = open_feed(&plan)?;
    starting("Opening the device …");
    let mut notice = |what: &str| starting(what);
    let device = device::open(recipe.compute, &recipe.folders, &recipe.clock, &mut notice)?.device;
    let folder = DemoFolder::make(&recipe.folders, &mut Entropy::system())
        .map_err(|error| Failure::new(Exit::Disk, error))?;
    starting("Starting an orchestrator, a store and six miners …");
    let runtime = crate::cli::runtime()?;
    let ingredients = Ingredients {
        plan: &plan,
        seed: SEED,
        port: 0,
        folder: folder.path(),
        keys: session::names(&plan)
            .map(|name| (name, HotkeyPair::generate(&mut Entropy::system())))
            .collect(),
        device,
        feed,
        recorder: Recorder::off(),
        rules: None,
        swarm_events: Events::new(),
        miner_events: Events::new(),
    };
    let ended = runtime.block_on(train(recipe, ingredients, tell, stop));
    // Whatever still sleeps or serves is of no use any more.
    runtime.shutdown_background();
    ended
}

/// Trains until it is stopped, or fails.
async fn train(
    recipe: &Recipe,
    ingredients: Ingredients<'_>,
    tell: &dyn Fn(Told),
    mut stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let clock = &recipe.clock;
    let stopped = async move {
        if stop.wait_for(|stop| *stop).await.is_err() {
            // Whoever could stop it is gone: so is the reason to go on.
        }
    };
    tokio::pin!(stopped);
    let mut session = tokio::select! {
        session = Session::start(ingredients, clock) => session?,
        () = &mut stopped => return Ok(()),
    };
    let mut ends = session.take_ends();
    let (_progress, watched) = watch::channel(Progress::Running);
    let Some(control) = control(&session, watched) else { return Ok(()) };
    let finished = session.practice.finished();
    tokio::pin!(finished);
    let ended = loop {
        tokio::select! {
            () = &mut stopped => break Ok(()),
            done = &mut finished => break done.map_err(|error| swarm_failure(&error)),
            Some((name, Err(error))) = ends.next() => break Err(miner_failure(&name, &error)),
            () = clock.sleep(PICTURE) => {
                let view = View::collect(&control, &recipe.log, clock, &Look::default());
                tell(Told::Running(Box::new(view)));
            }
        }
    };
    session.stop(&mut ends, clock).await;
    session.practice.shutdown().await;
    ended
}

fn control(session: &Session, progress: watch::Receiver<Progress>) -> Option<Control> {
    let own = session.miners.first()?;
    let commands = own.commands.clone();
    Some(Control {
        miners: Miners::one(own.snapshot.clone()),
        swarm: Some(session.practice.snapshot()),
        to_swarm: None,
        names: Arc::clone(&session.names),
        epochs: None,
        progress,
        // The wizard shows none.
        histories: Histories::default(),
        send: Arc::new(move |order: Order| {
            // A miner that has ended takes no commands, and needs none.
            let _ = commands.send(order.command);
        }),
    })
}

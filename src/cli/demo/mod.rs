//! `hearth demo`: the whole system on this machine, always fresh. Puts a practice swarm and miners
//! together, shows them on a screen or as lines, and ends with a summary.

pub(super) mod arguments;
mod author;
mod crew;
pub(super) mod drive;
pub mod face;
pub mod faults;
pub(in crate::cli) mod folder;
mod newcomer;
pub(super) mod session;
mod tally;

use std::sync::Arc;

use super::{Exit, Failure, device};
use crate::clock::{Clock, Entropy};
use crate::config::folders::Folders;
use crate::swarm::feed::{Feed, FeedError};
use crate::training::record::Recorder;
use crate::wallet::HotkeyPair;

pub use arguments::{DemoArguments, DemoPlan, End};

use drive::Demo;
use folder::DemoFolder;

/// Runs the command.
pub fn run(arguments: &DemoArguments) -> Result<Exit, Failure> {
    let plan = arguments.check()?;
    let shown = face::Shown::of(arguments.headless, arguments.json, arguments.plain);
    let log = face::start_log(shown.style);
    let feed = open_feed(&plan)?;
    let folders = Folders::find().map_err(|error| Failure::of_folder(&error))?;
    let clock = Clock::system();
    let opened = device::open(arguments.backend, &folders, &clock, &mut face::notice)?;
    face::tell(shown.style, &opened.findings, &clock)?;
    let folder = DemoFolder::make(&folders, &mut Entropy::system())
        .map_err(|error| Failure::of_folder(&error))?;
    let recorder = match &arguments.record {
        None => Recorder::off(),
        Some(path) => Recorder::to_file(path).map_err(|error| {
            Failure::new(
                Exit::Disk,
                format!("cannot write {}: {error}; name another file", path.display()),
            )
        })?,
    };
    let runtime = super::runtime()?;
    let demo = Demo {
        plan: &plan,
        run: None,
        seed: arguments.seed,
        port: arguments.port,
        folder: folder.path(),
        keys: session::names(&plan)
            .map(|name| (name, HotkeyPair::generate(&mut Entropy::system())))
            .collect(),
        device: opened.device,
        feed,
        recorder,
        shown,
        log,
    };
    let ended = runtime.block_on(demo.run(&clock));
    // Whatever still sleeps or serves is of no use any more.
    runtime.shutdown_background();
    ended
}

pub(super) fn open_feed(plan: &DemoPlan) -> Result<Arc<Feed>, Failure> {
    let wrong = |error: FeedError| Failure::new(Exit::Configuration, error).coded("text-unusable");
    let tokenizer = plan.tokenizer.load(&plan.source, plan.preset.vocab_size).map_err(wrong)?;
    let tokens = plan.preset.seq * plan.preset.batch;
    let feed = Feed::new(plan.source.clone(), Arc::new(tokenizer), tokens).map_err(wrong)?;
    Ok(Arc::new(feed))
}

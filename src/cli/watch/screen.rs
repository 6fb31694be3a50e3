//! A watched network on a screen: asked by the threads of the network, drawn by one of its own.

use tokio::runtime::Runtime;
use tokio::sync::watch;
use url::Url;

use super::{LOOK, WatchError, Watcher};
use crate::cli::demo::face;
use crate::cli::{Exit, Failure};
use crate::clock::Clock;
use crate::config::folders::Folders;
use crate::tui::Left;
use crate::tui::watched::{self, Watched};

/// Shows it until the user leaves. A first look that fails ends it before there is a screen.
pub(super) fn run(
    runtime: &Runtime,
    server: Url,
    clock: &Clock,
    stopped: watch::Receiver<bool>,
) -> Result<Exit, Failure> {
    let watcher = Watcher::new(server, clock)?;
    let failed = |error: WatchError| {
        let code = error.code();
        Failure::new(Exit::Failed, error).coded(code)
    };
    let network = runtime.block_on(watcher.look()).map_err(failed)?;
    let server = watcher.asker.server().as_str().trim_end_matches('/').to_owned();
    let (told, known) = watch::channel(Watched { server, network, trouble: None });
    let (keys, mouse) = face::hands(Folders::find().ok().as_ref());
    let asking = runtime.spawn(ask(watcher, told, clock.clone()));
    let left = watched::run(&known, (&keys, mouse), clock, &stopped);
    asking.abort();
    match left {
        Ok(Left::Interrupted) => Ok(Exit::Interrupted),
        Ok(_) => Ok(Exit::Done),
        Err(error) => Err(Failure::new(Exit::Failed, error).coded("terminal-lost")),
    }
}

/// Looks again and again. What does not answer is said, and asked again.
async fn ask(watcher: Watcher, told: watch::Sender<Watched>, clock: Clock) {
    loop {
        clock.sleep(LOOK).await;
        let looked = watcher.look().await;
        told.send_modify(|watched| match looked {
            Ok(network) => (watched.network, watched.trouble) = (network, None),
            Err(error) => watched.trouble = Some(error.to_string()),
        });
    }
}

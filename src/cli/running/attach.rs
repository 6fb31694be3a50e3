//! `hearth` where a miner runs already: its screen, in this terminal. Leaving it leaves the miner alone.

use std::time::Duration;

use super::logs::{Tail, without_time};
use super::{Desk, failure};
use crate::cli::demo::face::notice;
use crate::cli::{Exit, Failure, signals};
use crate::clock::Clock;
use crate::config::folders::Folders;
use crate::config::instance;
use crate::control::Progress;
use crate::control::client::{Client, ClientError, attach};
use crate::telemetry::logs::{self, Ring};
use crate::tui::{self, Furniture, Medium};

/// Between two looks whether it has started, and for more of its log.
const LOOK: Duration = Duration::from_millis(250);
/// Log lines to begin with.
const LINES: usize = 50;

/// Shows the miner that runs in these folders. Nothing, where none does.
pub fn if_running(folders: &Folders, medium: Medium) -> Option<Result<Exit, Failure>> {
    let desk = match Desk::of(folders.clone()) {
        Ok(desk) => desk,
        Err(failure) => return Some(Err(failure)),
    };
    match desk.find_started() {
        Ok(client) => Some(desk.show(client, medium)),
        Err(ClientError::NotRunning(_)) => None,
        Err(error) => Some(Err(failure(&error))),
    }
}

impl Desk {
    /// Waits while it starts.
    fn find_started(&self) -> Result<Client, ClientError> {
        let mut said = false;
        loop {
            match self.find() {
                Err(ClientError::Starting(owner)) => {
                    if !std::mem::replace(&mut said, true) {
                        let owner = owner.or_else(|| instance::owner(&self.folders));
                        let who = owner.map_or(String::new(), |o| format!(" (process {})", o.pid));
                        notice(&format!("Hearth is starting here{who} \u{2026}"));
                    }
                    self.clock.block(LOOK);
                }
                other => return other,
            }
        }
    }

    fn show(&self, client: Client, medium: Medium) -> Result<Exit, Failure> {
        let pid = client.address().pid;
        let log = logs::to_ring();
        let (folders, clock) = (self.folders.clone(), self.clock.clone());
        let attached = self.runtime.block_on(attach(client, folders, clock, log.clone()));
        let attached = attached.map_err(|error| failure(&error))?;
        let stop = signals::watch();
        let follow = follow_log(self.folders.clone(), log.clone(), self.clock.clone());
        let follow = self.runtime.spawn(follow);
        let (keys, mouse) = crate::cli::demo::face::hands(Some(&self.folders));
        let furniture =
            Furniture { log: log.clone(), clock: self.clock.clone(), keys, mouse, medium, stop };
        let left = tui::attached(&attached.control, pid, &furniture)
            .map_err(|error| Failure::of_screen(&error));
        follow.abort();
        left?;
        let ended = *attached.control.progress.borrow() != Progress::Running;
        drop(attached);
        if !ended {
            println!("Your miner goes on. `hearth` shows it again, `hearth stop` stops it.");
        }
        Ok(Exit::Done)
    }
}

/// Shows the miner's own log lines on this screen.
async fn follow_log(folders: Folders, log: Ring, clock: Clock) {
    let mut tail = Tail::new(&logs::folder(&folders));
    let mut lines = tail.last(LINES);
    loop {
        lines.iter().for_each(|line| log.push(&without_time(line)));
        clock.sleep(LOOK).await;
        lines = tail.more();
    }
}

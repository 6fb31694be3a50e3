//! A [`Control`] of a process that is not this one: fed by its news, so that the same screen draws it.
//! When the process goes away this says so, and goes on when it is back.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::{Client, ClientError};
use crate::clock::Clock;
use crate::config::folders::Folders;
use crate::control::overview::{News, Overview};
use crate::control::{Control, Histories, Miners, Order, Progress, ToSwarm};
use crate::miner::{MinerSnapshot, State};
use crate::swarm::{SwarmCommand, SwarmSnapshot};
use crate::telemetry::logs::Ring;

/// Between two looks for a process that went away.
const LOOK: Duration = Duration::from_millis(500);

/// What a face attaches to. Dropped, it lets go; the process goes on.
#[derive(Debug)]
pub struct Attached {
    /// Snapshots and commands of the other process.
    pub control: Control,
    tasks: [JoinHandle<()>; 3],
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// A command that is passed on.
enum Wanted {
    OfMiners(Order),
    OfSwarm(SwarmCommand),
}

/// Where the news go.
struct Channels {
    miners: Vec<watch::Sender<MinerSnapshot>>,
    swarm: Option<watch::Sender<SwarmSnapshot>>,
    progress: watch::Sender<Progress>,
}

/// Attaches to the process of `client`. What goes wrong with commands later is said in `log`.
///
/// # Errors
/// It does not answer, or not as expected.
pub async fn attach(
    client: Client,
    folders: Folders,
    clock: Clock,
    log: Ring,
) -> Result<Attached, ClientError> {
    let mut news = Box::pin(client.news().await?);
    let first = match news.next().await {
        Some(Ok(News::Overview(overview))) => *overview,
        Some(Err(error)) => return Err(error),
        _ => return Err(ClientError::NotUnderstood("it begins with no overview".into())),
    };
    let (channels, mut control) = open(first)?;
    // One of an older version keeps none: it begins here then.
    if let Ok(told) = client.history().await {
        control.histories.take(&told);
    }
    let noting = control.histories.clone().follow(control.miners.clone(), clock.clone());
    let (orders, ordered) = mpsc::unbounded_channel();
    let wishes = orders.clone();
    control.send = Arc::new(move |order| {
        // Gone only when nobody is attached any more.
        let _ = orders.send(Wanted::OfMiners(order));
    });
    control.to_swarm = control.swarm.is_some().then(|| -> ToSwarm {
        Arc::new(move |command| {
            let _ = wishes.send(Wanted::OfSwarm(command));
        })
    });
    let (found, latest) = watch::channel(client);
    let follow = async move {
        loop {
            while let Some(Ok(news)) = news.next().await {
                channels.take(news);
            }
            let pid = found.borrow().address().pid;
            channels.say_gone(pid);
            news = loop {
                clock.sleep(LOOK).await;
                let Ok(client) = Client::find(&folders, &clock).await else { continue };
                if let Ok(news) = client.news().await {
                    // The orders go to the new one as well.
                    let _ = found.send(client);
                    break Box::pin(news);
                }
            };
        }
    };
    let orders = tokio::spawn(pass_on(ordered, latest, log));
    let tasks = [tokio::spawn(follow), orders, tokio::spawn(noting)];
    Ok(Attached { control, tasks })
}

/// Channels with everything that is known, and what watches them.
fn open(first: Overview) -> Result<(Channels, Control), ClientError> {
    let (miners, own): (Vec<_>, Vec<_>) = first.miners.into_iter().map(watch::channel).unzip();
    let (swarm, watched_swarm) = first.swarm.map(watch::channel).unzip();
    let (progress, watched) = watch::channel(first.progress);
    let mut own = own.into_iter();
    let Some(one) = own.next() else {
        return Err(ClientError::NotUnderstood("it has no miner".into()));
    };
    let control = Control {
        miners: Miners::new(one, own.collect()),
        swarm: watched_swarm,
        to_swarm: None,
        names: Arc::new(first.names),
        epochs: first.epochs,
        progress: watched,
        histories: Histories::default(),
        send: Arc::new(|_| {}),
    };
    Ok((Channels { miners, swarm, progress }, control))
}

impl Channels {
    fn take(&self, news: News) {
        match news {
            News::Overview(overview) => self.begin_again(*overview),
            News::Miner { index, snapshot } => {
                if let Some(own) = self.miners.get(index) {
                    own.send_replace(*snapshot);
                }
            }
            News::Swarm { snapshot, losses } => {
                if let Some(swarm) = &self.swarm {
                    swarm.send_modify(|known| {
                        let mut all = std::mem::take(&mut known.losses);
                        losses.apply(&mut all);
                        *known = SwarmSnapshot { losses: all, ..*snapshot };
                    });
                }
            }
            News::Progress { now } => drop(self.progress.send_replace(now)),
        }
    }

    /// Everything anew, after the connection or the process was a new one.
    fn begin_again(&self, overview: Overview) {
        let same = overview.miners.len() == self.miners.len()
            && overview.swarm.is_some() == self.swarm.is_some();
        if !same {
            let words = "Another run has begun here: leave, and look at it with `hearth`.";
            self.progress.send_replace(Progress::Finished(words.to_owned()));
            return;
        }
        for (own, snapshot) in self.miners.iter().zip(overview.miners) {
            own.send_replace(snapshot);
        }
        if let (Some(swarm), Some(snapshot)) = (&self.swarm, overview.swarm) {
            swarm.send_replace(snapshot);
        }
        self.progress.send_replace(overview.progress);
    }

    /// The connection has ended: says what is known of the reason.
    fn say_gone(&self, pid: u32) {
        if *self.progress.borrow() != Progress::Running {
            return;
        }
        let ends = |own: &watch::Sender<MinerSnapshot>| {
            matches!(own.borrow().status.state, State::Stopped | State::Stopping)
        };
        let words = if self.miners.iter().all(ends) {
            Progress::Finished("Your miner has stopped. `hearth` starts it again.".to_owned())
        } else {
            Progress::Failed(format!(
                "The process of your miner ({pid}) has gone without a good-bye. If something starts \
                 it again, this screen goes on; `hearth logs` shows its last words."
            ))
        };
        self.progress.send_replace(words);
    }
}

/// Passes orders on, to whichever process it is now.
async fn pass_on(
    mut orders: mpsc::UnboundedReceiver<Wanted>,
    latest: watch::Receiver<Client>,
    log: Ring,
) {
    while let Some(wanted) = orders.recv().await {
        let client = latest.borrow().clone();
        let passed = match wanted {
            Wanted::OfMiners(order) => client.order(&order).await.map(drop),
            Wanted::OfSwarm(command) => client.order_swarm(&command).await,
        };
        if let Err(error) = passed {
            log.push(&format!("That command did not arrive: {error}"));
        }
    }
}

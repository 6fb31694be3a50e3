//! The node registry on the bridge (spec 7.3): publishes the own entry, keeps it alive and right,
//! and reads everybody's into the [`Directory`]. Anybody can write there without a key, so the own
//! entry is compared at each pull and put right when somebody changed it.

mod bridge;
mod own;
#[cfg(test)]
mod tests;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::directory::{Directory, NodeAddress, Peer};
use crate::clock::{Clock, Entropy};
use crate::protocol::ids::{Hotkey, NodeId, RunId, StageIndex};
use crate::protocol::messages::PeerStatus;
use crate::protocol::registry::{self, GetRequest, NodeEntry};
pub use bridge::{Bridge, BridgeError};
use own::OwnEntry;

/// What a membership needs.
#[derive(Debug)]
pub struct RegistrySetup {
    /// Where the registry is.
    pub bridge: Bridge,
    /// Whose registry.
    pub run: RunId,
    /// Who we are.
    pub hotkey: Hotkey,
    /// Where we can be reached; each change is published at once.
    pub address: watch::Receiver<NodeAddress>,
    /// Our stage.
    pub stage: StageIndex,
    /// What we say about ourselves at first.
    pub status: PeerStatus,
    /// Where the others' entries go.
    pub directory: Directory,
    /// The time.
    pub clock: Clock,
    /// For jitter.
    pub entropy: Entropy,
}

/// How the registry task fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryHealth {
    /// Successful pulls.
    pub pulls: u64,
    /// Pulls and pushes that failed since the last that worked.
    pub failures_in_row: u32,
    /// The last failure, in words for the user; kept until something works again.
    pub last_error: Option<String>,
    /// How often other miners' addresses changed.
    pub address_changes: u64,
    /// How often somebody else had written to the own entry.
    pub tampered: u64,
    /// Another node that keeps putting itself under the own hotkey: most likely the same hotkey mines
    /// on a second machine. The last one seen; stays known.
    pub rival: Option<NodeId>,
}

/// Membership in a run's registry. Ends when dropped; the entry is removed by the network when its
/// keep-alives stay away.
#[derive(Debug)]
pub struct Registry {
    directory: Directory,
    orders: mpsc::UnboundedSender<Order>,
    health: watch::Receiver<RegistryHealth>,
    task: JoinHandle<()>,
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How often the others' entries are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulls {
    /// As often as work that is sent to them needs it.
    Often,
    /// Now and then: nothing is sent to anybody.
    Seldom,
}

/// So many times fewer pulls when they are seldom.
const SELDOM: u32 = 30;

#[derive(Debug)]
enum Order {
    Status(Box<PeerStatus>),
    Pulls(Pulls),
    Stop,
}

impl Registry {
    /// Publishes the own entry, reads the others once, and starts keeping both up to date.
    pub async fn join(setup: RegistrySetup) -> Result<Self, BridgeError> {
        let (orders, orders_out) = mpsc::unbounded_channel();
        let (health_in, health) = watch::channel(RegistryHealth::default());
        let directory = setup.directory.clone();
        let mut address = setup.address.clone();
        let here = address.borrow_and_update().clone();
        let mut work = Work {
            own: OwnEntry::new(own_entry(&setup, &here), registry::run_prefix(&setup.run)),
            address,
            prefix: registry::run_prefix(&setup.run),
            bridge: setup.bridge,
            directory: setup.directory,
            clock: setup.clock,
            entropy: setup.entropy,
            health: health_in,
        };
        work.own.register(&work.bridge).await?;
        work.own.push(&work.bridge, &work.clock, &mut work.entropy).await?;
        work.pull().await?;
        let task = tokio::spawn(work.run(orders_out));
        Ok(Self { directory, orders, health, task })
    }

    /// The miners of one stage, as last read.
    pub fn peers_of(&self, stage: StageIndex) -> Vec<Peer> {
        self.directory.peers_of(stage)
    }

    /// Publishes what this miner says about itself: at once when its `miner_status` changed, else
    /// with the next keep-alive.
    pub fn set_status(&self, status: PeerStatus) {
        // Fails only when the task is gone, that is while the program ends.
        let sent = self.orders.send(Order::Status(Box::new(status)));
        drop(sent);
    }

    /// Reads the others' entries more or less often from now on. The own one is kept alive all the same.
    pub fn pull(&self, pulls: Pulls) {
        // As above.
        let sent = self.orders.send(Order::Pulls(pulls));
        drop(sent);
    }

    /// How the task fares; the receiver also wakes when addresses of others changed.
    pub fn health(&self) -> watch::Receiver<RegistryHealth> {
        self.health.clone()
    }

    /// Stops keeping the entry alive. A write that is under way is finished.
    pub async fn stop(mut self) {
        let sent = self.orders.send(Order::Stop);
        drop(sent);
        // It ends by the order, or has ended already.
        let ended = (&mut self.task).await;
        drop(ended);
    }
}

fn own_entry(setup: &RegistrySetup, address: &NodeAddress) -> NodeEntry {
    let mut entry = NodeEntry::new(&setup.hotkey, setup.clock.unix_seconds());
    own::set_address(&mut entry, address);
    entry.groups = vec!["all".to_owned(), registry::stage_group(setup.stage)];
    entry.runtime_metrics = setup.status.clone();
    entry
}

struct Work {
    bridge: Bridge,
    prefix: String,
    own: OwnEntry,
    address: watch::Receiver<NodeAddress>,
    directory: Directory,
    clock: Clock,
    entropy: Entropy,
    health: watch::Sender<RegistryHealth>,
}

impl Work {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let rules = self.bridge.rules().clone();
        let mut every = rules.pull;
        let mut pull_at = self.clock.now() + every;
        let mut keep_alive_at = self.clock.now() + rules.keep_alive;
        loop {
            let wake = pull_at.min(keep_alive_at).since(self.clock.now());
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Status(status)) => {
                        if self.own.set_status(*status) {
                            self.push().await;
                        }
                    }
                    Some(Order::Pulls(pulls)) => {
                        every = match pulls {
                            Pulls::Often => rules.pull,
                            Pulls::Seldom => rules.pull * SELDOM,
                        };
                        // Who begins to work again wants to know at once who is there.
                        pull_at = match pulls {
                            Pulls::Often => self.clock.now(),
                            Pulls::Seldom => self.clock.now() + every,
                        };
                    }
                    Some(Order::Stop) | None => return,
                },
                () = changed(&mut self.address) => {
                    let address = self.address.borrow_and_update().clone();
                    if self.own.set_address(&address) {
                        self.push().await;
                    }
                }
                () = self.clock.sleep(wake) => {}
            }
            if self.clock.now() >= pull_at {
                let pulled = self.pull().await;
                self.note(pulled.map(|()| true));
                pull_at = self.clock.now() + every;
            }
            if self.clock.now() >= keep_alive_at {
                self.own.stamp(self.clock.unix_seconds());
                self.push().await;
                keep_alive_at = self.clock.now() + rules.keep_alive;
            }
        }
    }

    async fn push(&mut self) {
        let pushed = self.own.push(&self.bridge, &self.clock, &mut self.entropy).await;
        self.note(pushed.map(|()| false));
    }

    /// Reads all entries; puts the own one right if it is not what it should be.
    async fn pull(&mut self) -> Result<(), BridgeError> {
        let prefix = registry::registry_prefix(&self.prefix);
        let listed = self.bridge.vars(&prefix).await?;
        let mut var_ids: Vec<String> = listed.into_iter().map(|listed| listed.var_id).collect();
        var_ids.retain(|id| id.starts_with(&prefix));
        var_ids.truncate(self.bridge.rules().max_variables);
        let read = if var_ids.is_empty() {
            Vec::new()
        } else {
            self.bridge.get(&GetRequest { var_ids }).await?.variables
        };

        let leaves = read.iter().map(|variable| (variable.var_id.as_str(), &variable.value));
        let entries = registry::rebuild(&self.prefix, leaves);
        let own_name = self.own.hotkey().to_owned();
        let peers = entries.into_values().filter(|entry| entry.node_id != own_name);
        let changed = self.directory.replace(peers.filter_map(peer).collect());
        if !changed.is_empty() {
            self.health.send_modify(|health| health.address_changes += changed.len() as u64);
        }

        if let Some(rival) = self.own.rival(&read) {
            self.health.send_modify(|health| health.rival = Some(rival));
        }
        let tampered = self.own.compare(&read);
        if tampered > 0 {
            tracing::warn!(tampered, "somebody wrote to the own registry entry; it is put right");
            self.health.send_modify(|health| health.tampered += tampered);
        }
        if tampered > 0 || self.own.is_incomplete() {
            self.own.push(&self.bridge, &self.clock, &mut self.entropy).await?;
        }
        Ok(())
    }

    fn note(&self, result: Result<bool, BridgeError>) {
        self.health.send_modify(|health| match result {
            Ok(pulled) => {
                health.pulls += u64::from(pulled);
                health.failures_in_row = 0;
                health.last_error = None;
            }
            Err(error) => {
                tracing::debug!(%error, "registry");
                health.failures_in_row += 1;
                health.last_error = Some(error.to_string());
            }
        });
    }
}

/// When the address changes; never when nobody can change it any more.
async fn changed(address: &mut watch::Receiver<NodeAddress>) {
    if address.changed().await.is_err() {
        std::future::pending().await
    }
}

/// An entry as a peer; `None` when it is nobody (its name is no address).
fn peer(entry: NodeEntry) -> Option<Peer> {
    let hotkey: Hotkey = entry.node_id.parse().ok()?;
    let stage = entry.groups.iter().find_map(|group| group.strip_prefix("layer-")?.parse().ok());
    let direct = entry.iroh_direct_addresses.iter().filter_map(|text| text.parse().ok());
    let direct: Vec<_> = direct.take(MAX_ADDRESSES).collect();
    let ids: Vec<NodeId> = entry.peers();
    let nodes = ids.into_iter().take(MAX_ADDRESSES).map(|id| NodeAddress {
        id,
        relay_url: entry.iroh_relay_url.clone(),
        direct: direct.clone(),
    });
    Some(Peer {
        hotkey,
        stage: stage.map(StageIndex),
        nodes: nodes.collect(),
        status: entry.runtime_metrics,
        last_keepalive: entry.last_keepalive,
    })
}

/// Node ids, and addresses, believed of one entry.
const MAX_ADDRESSES: usize = 16;

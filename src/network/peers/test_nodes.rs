//! Real endpoints on loopback for tests: miners that know each other, and raw endpoints that behave
//! as they like.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use iroh::endpoint::{Connection, presets};
use iroh::{Endpoint, EndpointAddr, EndpointId, RelayMode, SecretKey};
use zeroize::Zeroizing;

use super::{Admission, PeerInbox, PeerReach, PeerSetup, Peers};
use crate::clock::{Clock, Entropy};
use crate::config::constants::PeerConstants;
use crate::network::directory::{Directory, NodeAddress, Peer};
use crate::network::{Line, Traffic};
use crate::protocol::ids::{ActivationId, Hotkey, NodeId, StageIndex};
use crate::protocol::messages::PeerStatus;
use crate::wallet::HotkeyPair;

/// Tensors of this many bytes at most are expected.
pub(crate) const LARGEST: usize = 128 << 10;

/// Answers of a miner, set by the test.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) stage: Option<StageIndex>,
    pub(crate) trains: AtomicBool,
    pub(crate) awaited: Mutex<HashSet<(ActivationId, NodeId)>>,
}

impl Admission for Answers {
    fn stage(&self) -> Option<StageIndex> {
        self.stage
    }

    fn takes_forwards(&self) -> bool {
        self.trains.load(Ordering::SeqCst)
    }

    fn awaits_backward(&self, activation: &ActivationId, from: &NodeId) -> bool {
        self.awaited.lock().unwrap().contains(&(activation.clone(), from.clone()))
    }

    fn largest_tensor(&self) -> usize {
        LARGEST
    }
}

/// One miner's endpoint.
pub(crate) struct Node {
    pub(crate) peers: Peers,
    pub(crate) inbox: PeerInbox,
    pub(crate) answers: Arc<Answers>,
    pub(crate) hotkey: Arc<HotkeyPair>,
    pub(crate) directory: Directory,
}

impl Node {
    /// A miner of `stage`; `number` makes it different from others.
    pub(crate) async fn start(number: u8, stage: usize, rules: PeerConstants) -> Self {
        Self::start_on(Line::new(Clock::system()), number, stage, rules).await
    }

    /// The same on a line that others share.
    pub(crate) async fn start_on(
        line: Line,
        number: u8,
        stage: usize,
        rules: PeerConstants,
    ) -> Self {
        let hotkey = Arc::new(HotkeyPair::from_mini_secret(&[number; 32]).unwrap());
        let answers = Arc::new(Answers {
            stage: Some(StageIndex(stage)),
            trains: AtomicBool::new(true),
            awaited: Mutex::default(),
        });
        let directory = Directory::new();
        let setup = PeerSetup {
            line,
            reach: PeerReach::Loopback,
            secret: Zeroizing::new([number; 32]),
            rules,
            served_activations: 16,
            hotkey: Arc::clone(&hotkey),
            directory: directory.clone(),
            clock: Clock::system(),
            entropy: Entropy::seeded(u64::from(number), "peers"),
            traffic: Traffic::default(),
            time: crate::telemetry::spent::TimeSheet::new(Clock::system()),
        };
        let admission: Arc<dyn Admission> = Arc::<Answers>::clone(&answers);
        let (peers, inbox) = Peers::bind(setup, admission).await.unwrap();
        Self { peers, inbox, answers, hotkey, directory }
    }

    pub(crate) fn id(&self) -> &NodeId {
        self.peers.node_id()
    }

    /// Its entry, as others see it.
    pub(crate) fn entry(&self) -> Peer {
        let status = PeerStatus {
            source_hotkey: self.hotkey.address().to_string(),
            ..PeerStatus::default()
        };
        Peer {
            hotkey: self.hotkey.address().clone(),
            stage: self.answers.stage,
            nodes: vec![self.peers.address()],
            status,
            last_keepalive: 0.0,
        }
    }

    /// Makes this node, and only these others, known to it.
    pub(crate) fn knows(&self, others: Vec<Peer>) {
        self.directory.replace(others);
    }

    /// Where to dial it with a raw endpoint.
    pub(crate) fn dial(&self) -> EndpointAddr {
        let id = EndpointId::from_bytes(&self.id().to_bytes()).unwrap();
        EndpointAddr::new(id).with_ip_addr(self.peers.address().direct[0])
    }
}

/// Makes all nodes known to each other.
pub(crate) fn introduce(nodes: &[&Node]) {
    for node in nodes {
        let others = nodes.iter().filter(|other| other.id() != node.id());
        node.knows(others.map(|other| other.entry()).collect());
    }
}

/// An endpoint that keeps to no rules.
pub(crate) struct Raw {
    pub(crate) endpoint: Endpoint,
}

impl Raw {
    pub(crate) async fn start(number: u8) -> Self {
        let endpoint = Endpoint::builder(presets::Minimal)
            .secret_key(SecretKey::from_bytes(&[number; 32]))
            .relay_mode(RelayMode::Disabled)
            .clear_ip_transports()
            .bind_addr("127.0.0.1:0")
            .unwrap()
            .bind()
            .await
            .unwrap();
        Self { endpoint }
    }

    pub(crate) fn id(&self) -> NodeId {
        NodeId::from_bytes(self.endpoint.id().as_bytes())
    }

    /// A registry entry for it.
    pub(crate) fn entry(&self, hotkey: &Hotkey, stage: usize) -> Peer {
        let direct = self.endpoint.bound_sockets();
        Peer {
            hotkey: hotkey.clone(),
            stage: Some(StageIndex(stage)),
            nodes: vec![NodeAddress { id: self.id(), relay_url: None, direct }],
            status: PeerStatus::default(),
            last_keepalive: 0.0,
        }
    }

    pub(crate) async fn connect(&self, to: &Node, alpn: &[u8]) -> Connection {
        self.endpoint.connect(to.dial(), alpn).await.unwrap()
    }
}

//! A miner of an adjacent stage, as far as the wire shows one: a real peer endpoint with its entry in
//! the registry, which keeps what it is sent.

use std::sync::Arc;
use std::time::Duration;

use half::bf16;
use hearth::clock::{Clock, Entropy};
use hearth::config::Constants;
use hearth::network::peers::{
    Admission, InboundPush, PeerInbox, PeerReach, PeerSetup, Peers, random_secret,
};
use hearth::network::registry::{Bridge, Registry, RegistrySetup};
use hearth::network::{Directory, HttpClient, Line, Route, Traffic};
use hearth::protocol::messages::{Direction, PeerStatus};
use hearth::protocol::p2p::{self, ActivationPush};
use hearth::protocol::torch;
use hearth::protocol::{ActivationId, NodeId, RunId, StageIndex};
use hearth::wallet::HotkeyPair;

use crate::model::Model;

/// Takes everything.
#[derive(Debug)]
struct Open(StageIndex);

impl Admission for Open {
    fn stage(&self) -> Option<StageIndex> {
        Some(self.0)
    }

    fn takes_forwards(&self) -> bool {
        true
    }

    fn awaits_backward(&self, _: &ActivationId, _: &NodeId) -> bool {
        true
    }

    fn largest_tensor(&self) -> usize {
        16 << 20
    }
}

pub struct Neighbour {
    pub stage: StageIndex,
    peers: Peers,
    inbox: PeerInbox,
    registry: Registry,
    hotkey: Arc<HotkeyPair>,
}

impl Neighbour {
    /// One of `stage`, known to the bridge of `server`.
    pub async fn join(server: &str, stage: usize) -> Self {
        let (clock, constants) = (Clock::system(), Constants::practice());
        let stage = StageIndex(stage);
        let mut entropy = Entropy::seeded(stage.0 as u64, "neighbour");
        let hotkey = Arc::new(HotkeyPair::generate(&mut entropy));
        let directory = Directory::new();
        let setup = PeerSetup {
            line: Line::new(clock.clone()),
            reach: PeerReach::Loopback,
            secret: random_secret(&mut entropy),
            rules: constants.peers.clone(),
            served_activations: 16,
            hotkey: Arc::clone(&hotkey),
            directory: directory.clone(),
            clock: clock.clone(),
            entropy: entropy.split("peers"),
            traffic: Traffic::default(),
            time: hearth::telemetry::spent::TimeSheet::new(Clock::system()),
        };
        let (peers, inbox) = Peers::bind(setup, Arc::new(Open(stage))).await.unwrap();
        let limit = Duration::from_secs(10);
        let http = HttpClient::new(Route::Loopback, limit, clock.clone(), Traffic::default());
        let bridge = format!("{server}/bridge").parse().unwrap();
        let status = PeerStatus {
            source_hotkey: hotkey.address().to_string(),
            cache_capacity: 16,
            ..PeerStatus::default()
        };
        let registry = Registry::join(RegistrySetup {
            bridge: Bridge::new(http.unwrap(), bridge, constants.registry, clock.clone()),
            run: RunId("real-size".into()),
            hotkey: hotkey.address().clone(),
            address: peers.address_watch(),
            stage,
            status,
            directory,
            clock,
            entropy: entropy.split("registry"),
        })
        .await
        .unwrap();
        Self { stage, peers, inbox, registry, hotkey }
    }

    /// The node of the miner of `stage`, once the registry lists it.
    async fn node_of(&self, stage: StageIndex) -> NodeId {
        loop {
            let node = self
                .registry
                .peers_of(stage)
                .into_iter()
                .find_map(|peer| peer.nodes.into_iter().next());
            if let Some(node) = node {
                return node.id;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Pushes numbers between -`scale` and `scale` to the miner of `to`, until it takes them.
    pub async fn push(
        &self,
        model: &Model,
        (direction, scale): (Direction, f64),
        id: &ActivationId,
        to: StageIndex,
        sample: Option<String>,
    ) {
        let shape = model.activation();
        let mut entropy = Entropy::seeded(7, id.as_str());
        let numbers: Vec<bf16> = (0..shape.iter().product())
            .map(|_| bf16::from_f64(entropy.between(-scale, scale)))
            .collect();
        let push = ActivationPush {
            activation_id: id.clone(),
            direction,
            source_hotkey: self.hotkey.address().to_string(),
            source_p2p_node_ids: vec![self.peers.node_id().clone()],
            tensor_bytes: torch::write_bf16(&numbers, &shape).unwrap().into(),
            sample_path: sample,
            source_layer: Some(self.stage),
            target_layer: Some(to),
        };
        let message = p2p::encode(p2p::Route::ActivationPush, &push).unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            let node = self.node_of(to).await;
            match self.peers.push(&node, &message).await {
                Ok(()) => return,
                Err(error) => {
                    assert!(std::time::Instant::now() < deadline, "{direction:?}: {error}")
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The next push of this direction; gives its numbers, checked.
    pub async fn receive(
        &mut self,
        model: &Model,
        direction: Direction,
    ) -> (ActivationId, Vec<f32>) {
        let inbox = match direction {
            Direction::Forward => &mut self.inbox.forwards,
            Direction::Backward => &mut self.inbox.backwards,
        };
        let push: InboundPush = inbox.recv().await.unwrap();
        let count = model.activation().iter().product();
        let tensor = torch::read(&push.tensor_file, count).unwrap();
        assert_eq!(tensor.shape, model.activation());
        let numbers = tensor.to_f32();
        assert!(numbers.iter().all(|x| x.is_finite()) && numbers.iter().any(|x| *x != 0.0));
        (push.activation, numbers)
    }

    pub async fn leave(self) {
        self.registry.stop().await;
        self.peers.close().await;
    }
}

//! The processes of these tests: a registry, a relay, and miners' network sides, each started as this
//! very program with a part in an environment variable. They say what they see as lines of JSON on
//! standard output and end when their standard input does, so that none outlives its test.

use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hearth::clock::{Clock, Entropy};
use hearth::config::Constants;
use hearth::network::directory::Directory;
use hearth::network::peers::{Admission, PeerReach, PeerSetup, Peers, RelayChoice, RelayServer};
use hearth::network::publisher::{
    Outbound, Outcome, Publisher, PublisherSetup, SentForwards, Target,
};
use hearth::network::registry::{Bridge, Registry, RegistrySetup};
use hearth::network::{HttpClient, Line, Route, Traffic};
use hearth::protocol::ids::{ActivationId, NodeId, RunId, StageIndex};
use hearth::protocol::messages::{Direction, MinerStatus, PeerStatus};
use hearth::swarm::relay as own_relay;
use hearth::wallet::HotkeyPair;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Where a process finds its part.
const PART: &str = "HEARTH_LINKS_PART";
/// Begins the lines that are meant for the test; the rest is the test harness talking.
const MARK: &str = "@links ";
/// Bytes of an activation.
const TENSOR: usize = 32 << 10;

/// What a process is.
#[derive(Debug, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant)] // One at a time, in a test.
pub enum Part {
    /// The registry.
    Bridge { at: IpAddr },
    /// The project's relay, with the same key each time.
    Relay { at: SocketAddr },
    /// A miner's network side.
    Node { stage: usize, bridge: String, relay: Option<Box<Told>>, name: u8 },
}

/// What a process says about itself. One type for all parts; what does not apply is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    pub url: String,
    pub certificate: Option<Vec<u8>>,
    pub discovery_port: Option<u16>,
    pub node: String,
    pub peer: String,
    pub direct: Vec<SocketAddr>,
    pub delivered: u64,
    pub dropped: u64,
    pub forwards: u64,
    pub backwards: u64,
    pub relay: String,
    pub verdict: String,
    pub sentence: String,
    pub advice: Option<String>,
}

/// A running process of these tests; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    told: Arc<Mutex<Told>>,
}

impl Process {
    /// Starts this program as `part`, in a namespace if one is named.
    pub fn start(namespace: Option<String>, part: &Part) -> Self {
        let own = std::env::current_exe().unwrap();
        let mut command = match &namespace {
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(own);
                command
            }
            None => Command::new(own),
        };
        let mut child = command
            .args(["--exact", "plays_its_part_when_it_is_given_one", "--nocapture"])
            .env(PART, serde_json::to_string(part).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let told = Arc::new(Mutex::new(Told::default()));
        let (lines, heard) = (BufReader::new(child.stdout.take().unwrap()), Arc::clone(&told));
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                // The harness may have begun the line.
                if let Some((_, json)) = line.split_once(MARK) {
                    *heard.lock().unwrap() = serde_json::from_str(json).unwrap();
                }
            }
        });
        Self { child, told }
    }

    /// What it said last.
    pub fn told(&self) -> Told {
        self.told.lock().unwrap().clone()
    }

    /// Where it listens, once it does.
    pub fn url(&self) -> String {
        for _ in 0..200 {
            let url = self.told().url;
            if !url.is_empty() {
                return url;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("it did not start: {:?}", self.told());
    }

    /// Ends it without a word to anybody.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A registry at an address of its namespace.
pub fn bridge(namespace: Option<String>, at: &str) -> Process {
    let process = Process::start(namespace, &Part::Bridge { at: at.parse().unwrap() });
    process.url();
    process
}

/// A relay that can die and come back at the same place.
pub struct Relay {
    namespace: Option<String>,
    at: SocketAddr,
    process: Process,
}

/// A relay on the public segment.
pub fn relay(namespace: Option<String>, port: u16) -> Relay {
    let at = SocketAddr::from(([203, 0, 113, 1], port));
    let process = Process::start(namespace.clone(), &Part::Relay { at });
    process.url();
    Relay { namespace, at, process }
}

impl Relay {
    pub fn told(&self) -> Told {
        self.process.told()
    }

    pub fn die(&mut self) {
        self.process.kill();
    }

    pub fn come_back(&mut self) {
        let before = self.told();
        self.process = Process::start(self.namespace.clone(), &Part::Relay { at: self.at });
        assert_eq!(self.process.url(), before.url);
        assert_eq!(self.told().certificate, before.certificate);
    }
}

/// Plays the part that the environment gives; nothing where it gives none.
pub fn play() {
    let Ok(part) = std::env::var(PART) else { return };
    let part: Part = serde_json::from_str(&part).unwrap();
    // For whoever looks why one of these tests fails: RUST_LOG says what is shown.
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    std::thread::spawn(|| {
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        std::process::exit(0);
    });
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        match part {
            Part::Bridge { at } => play_bridge(at).await,
            Part::Relay { at } => play_relay(at).await,
            Part::Node { stage, bridge, relay, name } => {
                play_node(stage, bridge, relay, name).await
            }
        }
    });
}

fn say(told: &Told) {
    println!("{MARK}{}", serde_json::to_string(told).unwrap());
}

async fn play_bridge(at: IpAddr) {
    let listener = tokio::net::TcpListener::bind((at, 0)).await.unwrap();
    let url = format!("http://{}/bridge", listener.local_addr().unwrap());
    say(&Told { url, ..Told::default() });
    let bridge = hearth::swarm::bridge::Bridge::new(Clock::system());
    let router: axum::Router = axum::Router::new().nest("/bridge", bridge.router());
    axum::serve(listener, router).await.unwrap();
}

async fn play_relay(at: SocketAddr) {
    let setup = own_relay::RelaySetup {
        listen: at,
        public: at.ip(),
        security: own_relay::RelaySecurity::SelfMade,
    };
    let mut entropy = Entropy::seeded(1, "relay");
    let relay = own_relay::Relay::start(setup, &mut entropy).await.unwrap();
    say(&Told {
        url: relay.url().to_owned(),
        certificate: relay.certificate().map(<[u8]>::to_vec),
        discovery_port: relay.discovery_port(),
        ..Told::default()
    });
    std::future::pending().await
}

/// Takes everything that fits.
#[derive(Debug)]
struct Open {
    stage: StageIndex,
    sent: SentForwards,
}

impl Admission for Open {
    fn stage(&self) -> Option<StageIndex> {
        Some(self.stage)
    }

    fn takes_forwards(&self) -> bool {
        true
    }

    fn awaits_backward(&self, activation: &ActivationId, from: &NodeId) -> bool {
        self.sent.went_to(activation, from)
    }

    fn largest_tensor(&self) -> usize {
        TENSOR
    }
}

#[derive(Default)]
struct Counts {
    delivered: AtomicU64,
    dropped: AtomicU64,
    forwards: AtomicU64,
    backwards: AtomicU64,
}

async fn play_node(stage: usize, bridge: String, relay: Option<Box<Told>>, name: u8) {
    let (own, clock) = (StageIndex(stage), Clock::system());
    let constants = Constants::live();
    let hotkey = Arc::new(HotkeyPair::from_mini_secret(&[name; 32]).unwrap());
    let (sent, traffic) = (SentForwards::new(), Traffic::default());
    let reach = relay.map_or(PeerReach::Loopback, |relay| PeerReach::Internet {
        port: None,
        relays: RelayChoice::Listed(vec![RelayServer {
            url: relay.url,
            certificate: relay.certificate,
            discovery_port: relay.discovery_port,
        }]),
    });
    let setup = PeerSetup {
        line: Line::new(clock.clone()),
        reach,
        secret: Zeroizing::new([name; 32]),
        rules: constants.peers.clone(),
        served_activations: 16,
        hotkey: Arc::clone(&hotkey),
        directory: Directory::new(),
        clock: clock.clone(),
        entropy: Entropy::system(),
        traffic: traffic.clone(),
        time: hearth::telemetry::spent::TimeSheet::new(clock.clone()),
    };
    let admission = Arc::new(Open { stage: own, sent: sent.clone() });
    let (peers, mut inbox) = Peers::bind(setup, admission).await.unwrap();
    let (publisher, mut published) = Publisher::start(PublisherSetup {
        peers: peers.clone(),
        hotkey: hotkey.address().clone(),
        sent,
        rules: constants.publisher.clone(),
        clock: clock.clone(),
        entropy: Entropy::system(),
    });
    let http = HttpClient::new(Route::Loopback, Duration::from_secs(5), clock.clone(), traffic);
    let status = || PeerStatus {
        source_hotkey: hotkey.address().to_string(),
        cache_capacity: 16,
        uptime_seconds: clock.now().0.as_secs_f64(),
        miner_status: MinerStatus::Training,
        ..PeerStatus::default()
    };
    let registry = Registry::join(RegistrySetup {
        bridge: Bridge::new(
            http.unwrap(),
            bridge.parse().unwrap(),
            constants.registry.clone(),
            clock.clone(),
        ),
        run: RunId("links".to_owned()),
        hotkey: hotkey.address().clone(),
        address: peers.address_watch(),
        stage: own,
        status: status(),
        directory: peers.directory().clone(),
        clock: clock.clone(),
        entropy: Entropy::system(),
    })
    .await
    .unwrap();

    let counts = Counts::default();
    let other = StageIndex(1 - stage);
    let push = |id: ActivationId, direction, target| {
        let outbound = Outbound {
            activation: id,
            direction,
            tensor_file: Arc::new(vec![7; TENSOR]),
            sample_path: None,
            source: own,
            target,
        };
        publisher.publish(outbound, clock.now());
    };
    let add = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
    let working = async {
        let mut number = 0_u64;
        loop {
            clock.sleep(Duration::from_millis(200)).await;
            if stage == 0 && publisher.pending() < 4 {
                number += 1;
                let id = format!("{}-{number}", clock.unix_millis());
                push(id.into(), Direction::Forward, Target::AnyOf(other));
            }
        }
    };
    let receiving = async {
        loop {
            tokio::select! {
                Some(forward) = inbox.forwards.recv() => {
                    add(&counts.forwards);
                    let target = Target::Nodes(vec![forward.from], other);
                    push(forward.activation, Direction::Backward, target);
                }
                Some(_) = inbox.backwards.recv() => { add(&counts.backwards); }
                Some(ended) = published.recv() => {
                    let delivered = matches!(ended.outcome, Outcome::Delivered { .. });
                    add(if delivered { &counts.delivered } else { &counts.dropped });
                }
            }
        }
    };
    let announcing = async {
        loop {
            peers.broadcast_status(&status(), &[other]).await;
            clock.sleep(constants.peer_status_broadcast).await;
        }
    };
    let telling = async {
        loop {
            let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            let reachability = peers.reachability();
            let neighbour = registry.peers_of(other).pop().and_then(|mut peer| peer.nodes.pop());
            say(&Told {
                node: peers.node_id().to_string(),
                peer: neighbour.map(|node| node.id.to_string()).unwrap_or_default(),
                direct: peers.address().direct,
                delivered: of(&counts.delivered),
                dropped: of(&counts.dropped),
                forwards: of(&counts.forwards),
                backwards: of(&counts.backwards),
                relay: format!("{:?}", peers.reach_facts().relay),
                verdict: format!("{:?}", reachability.verdict),
                sentence: reachability.sentence,
                advice: reachability.advice,
                ..Told::default()
            });
            clock.sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::join!(working, receiving, announcing, telling);
}

//! The registry task against a real HTTP server with the bridge's rules.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::*;
use crate::config::constants::{Constants, RegistryConstants};
use crate::network::test_server;
use crate::protocol::messages::MinerStatus;
use crate::protocol::registry::{CAS_MISMATCH, NOT_FOUND, RegisterRequest, SetRequest, var_id};

/// A bridge that keeps CAS variables, with hooks for what may go wrong.
#[derive(Clone, Default)]
struct Store(Arc<StoreState>);

#[derive(Default)]
struct StoreState {
    variables: Mutex<BTreeMap<String, (Value, u64)>>,
    sets: Mutex<Vec<SetRequest>>,
    registrations: AtomicUsize,
    /// So many calls fail with 500.
    outages: AtomicUsize,
}

impl Store {
    async fn start(&self) -> String {
        let router = Router::new()
            .route("/bridge/register", post(register))
            .route("/bridge/get", post(read))
            .route("/bridge/set", post(write))
            .route("/bridge/vars", get(list))
            .layer(axum::middleware::from_fn_with_state(self.clone(), outage))
            .with_state(self.clone());
        format!("{}/bridge", test_server::start(router).await)
    }

    fn value(&self, var_id: &str) -> Value {
        self.0.variables.lock().unwrap().get(var_id).map_or(Value::Null, |(v, _)| v.clone())
    }

    /// A write by somebody else.
    fn overwrite(&self, var_id: &str, value: Value) {
        let mut variables = self.0.variables.lock().unwrap();
        let version = variables.get(var_id).map_or(0, |(_, version)| *version);
        variables.insert(var_id.to_owned(), (value, version + 1));
    }
}

async fn outage(
    State(store): State<Store>,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> Response {
    let left = |n: usize| n.checked_sub(1);
    if store.0.outages.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).is_ok() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    next.run(request).await
}

async fn register(State(store): State<Store>, body: Bytes) -> String {
    let body: RegisterRequest = serde_json::from_slice(&body).unwrap();
    store.0.registrations.fetch_add(1, Ordering::SeqCst);
    let mut variables = store.0.variables.lock().unwrap();
    let results: Vec<_> = body
        .variables
        .into_iter()
        .map(|variable| {
            let known = variables.get(&variable.var_id).map(|(_, version)| *version);
            variables.entry(variable.var_id).or_insert((variable.default_value, 1));
            let status = if known.is_some() { "already_registered" } else { "created" };
            json!({"status": status, "version": known.unwrap_or(1)})
        })
        .collect();
    json!({"results": results}).to_string()
}

async fn read(State(store): State<Store>, body: Bytes) -> String {
    let body: GetRequest = serde_json::from_slice(&body).unwrap();
    let known = store.0.variables.lock().unwrap();
    let (mut variables, mut errors) = (Vec::new(), Vec::new());
    for var_id in body.var_ids {
        match known.get(&var_id) {
            Some((value, version)) => {
                variables.push(json!({"var_id": var_id, "value": value, "version": version}));
            }
            None => errors.push(json!({"var_id": var_id, "error": NOT_FOUND})),
        }
    }
    json!({"variables": variables, "errors": errors}).to_string()
}

async fn write(State(store): State<Store>, body: Bytes) -> String {
    let body: SetRequest = serde_json::from_slice(&body).unwrap();
    store.0.sets.lock().unwrap().push(body.clone());
    let mut known = store.0.variables.lock().unwrap();
    let results: Vec<_> = body
        .updates
        .into_iter()
        .map(|update| match known.get_mut(&update.var_id) {
            None => json!({"var_id": update.var_id, "status": "error", "error": NOT_FOUND}),
            Some((_, version)) if update.current_version != Some(*version) => {
                json!({"var_id": update.var_id, "status": "error", "error": CAS_MISMATCH})
            }
            Some((value, version)) => {
                (*value, *version) = (update.value, *version + 1);
                json!({"var_id": update.var_id, "status": "ok", "version": version})
            }
        })
        .collect();
    json!({"results": results}).to_string()
}

async fn list(State(store): State<Store>, Query(query): Query<BTreeMap<String, String>>) -> String {
    let known = store.0.variables.lock().unwrap();
    let ids = known.keys().filter(|id| id.starts_with(&query["prefix"]));
    ids.map(|id| json!({"var_id": id})).collect::<Value>().to_string()
}

fn rules() -> RegistryConstants {
    RegistryConstants {
        pull: Duration::from_millis(30),
        keep_alive: Duration::from_millis(70),
        first_retry_pause: Duration::from_millis(5),
        ..Constants::practice().registry
    }
}

fn setup(base: &str, number: u8, stage: usize) -> RegistrySetup {
    let clock = Clock::system();
    let base = base.parse().unwrap();
    let hotkey = Hotkey::from_public_key(&[number; 32]);
    RegistrySetup {
        bridge: Bridge::new(test_server::client(), base, rules(), clock.clone()),
        run: RunId("4.2.2.2-tah".to_owned()),
        address: watch::channel(address(number)).1,
        stage: StageIndex(stage),
        status: PeerStatus { source_hotkey: hotkey.to_string(), ..PeerStatus::default() },
        hotkey,
        directory: Directory::new(),
        clock,
        entropy: Entropy::seeded(u64::from(number), "registry"),
    }
}

fn address(number: u8) -> NodeAddress {
    NodeAddress {
        id: NodeId::from_bytes(&[number; 32]),
        relay_url: None,
        direct: vec![([127, 0, 0, 1], 4000 + u16::from(number)).into()],
    }
}

fn leaf(number: u8, field: &str) -> String {
    let slug = registry::slug(Hotkey::from_public_key(&[number; 32]).as_str());
    var_id("run-4_2_2_2-tah", &slug, field)
}

async fn until(done: impl Fn() -> bool) {
    let clock = Clock::system();
    for _ in 0..500 {
        if done() {
            return;
        }
        clock.sleep(Duration::from_millis(10)).await;
    }
    panic!("did not happen within 5 s");
}

#[tokio::test]
async fn miners_find_each_other_by_stage_with_their_addresses() {
    let store = Store::default();
    let base = store.start().await;
    let first = Registry::join(setup(&base, 1, 0)).await.unwrap();
    let second = Registry::join(setup(&base, 2, 1)).await.unwrap();
    let found = second.peers_of(StageIndex(0));
    assert_eq!(found.len(), 1, "known as soon as one has joined");
    assert_eq!(found[0].nodes, vec![address(1)]);
    assert!(second.peers_of(StageIndex(1)).is_empty(), "nobody is their own peer");
    let mut health = first.health();
    let changed = health.wait_for(|health| health.address_changes == 1);
    let waited = Clock::system().timeout(Duration::from_secs(5), changed).await;
    waited.unwrap().unwrap();
    assert_eq!(first.peers_of(StageIndex(1)).len(), 1);
    let health = second.health();
    until(|| health.borrow().pulls >= 3).await;
    assert_eq!(health.borrow().tampered, 0, "own writes are not taken for others'");
}

#[tokio::test]
async fn keep_alives_write_one_leaf_and_stop_when_told() {
    let store = Store::default();
    let registry = Registry::join(setup(&store.start().await, 1, 0)).await.unwrap();
    // Now and then a keep-alive takes along what a pull has changed; most are alone.
    let alone = || {
        let sets = store.0.sets.lock().unwrap();
        let updates = sets.iter().filter(|set| set.updates.len() == 1).map(|set| &set.updates[0]);
        let alive = updates.filter(|update| update.var_id == leaf(1, "last_keepalive"));
        alive.map(|update| (update.current_version, update.value.as_f64())).collect::<Vec<_>>()
    };
    until(|| alone().len() >= 2).await;
    assert!(alone().windows(2).all(|pair| pair[1].0 > pair[0].0 && pair[1].1 > pair[0].1));
    registry.stop().await;
    let after = store.0.sets.lock().unwrap().len();
    Clock::system().sleep(Duration::from_millis(200)).await;
    assert_eq!(store.0.sets.lock().unwrap().len(), after);
}

#[tokio::test]
async fn a_changed_miner_status_is_published_at_once() {
    let store = Store::default();
    let base = store.start().await;
    let mut slow = setup(&base, 1, 0);
    let never = Duration::from_secs(3600);
    let rules = RegistryConstants { pull: never, keep_alive: never, ..rules() };
    let base = base.parse().unwrap();
    slow.bridge = Bridge::new(test_server::client(), base, rules, slow.clock.clone());
    let status = slow.status.clone();
    let registry = Registry::join(slow).await.unwrap();
    let frozen = PeerStatus { miner_status: MinerStatus::Frozen, ..status };
    registry.set_status(frozen);
    let field = leaf(1, "runtime_metrics/miner_status");
    until(|| store.value(&field) == json!("frozen")).await;
}

#[tokio::test]
async fn an_entry_that_somebody_changed_is_put_right_and_reported() {
    let store = Store::default();
    let registry = Registry::join(setup(&store.start().await, 1, 0)).await.unwrap();
    let field = leaf(1, "p2p_node_ids");
    let own = store.value(&field);
    store.overwrite(&field, json!(["ab".repeat(32)]));
    until(|| store.value(&field) == own).await;
    let health = registry.health();
    until(|| health.borrow().tampered >= 1).await;
}

#[tokio::test]
async fn two_machines_with_one_hotkey_notice_each_other() {
    let store = Store::default();
    let base = store.start().await;
    let first = Registry::join(setup(&base, 1, 0)).await.unwrap();
    let mut second = setup(&base, 1, 0);
    second.address = watch::channel(address(2)).1;
    let second = Registry::join(second).await.unwrap();
    let (first, second) = (first.health(), second.health());
    until(|| first.borrow().rival == Some(address(2).id)).await;
    until(|| second.borrow().rival == Some(address(1).id)).await;
}

#[tokio::test]
async fn a_strangers_single_writes_are_no_second_machine() {
    let store = Store::default();
    let registry = Registry::join(setup(&store.start().await, 1, 0)).await.unwrap();
    let health = registry.health();
    for write in 1..=3 {
        store.overwrite(&leaf(1, "p2p_node_ids"), json!(["ab".repeat(32)]));
        until(|| health.borrow().tampered >= write).await;
        let pulls = health.borrow().pulls;
        until(|| health.borrow().pulls >= pulls + 3).await;
    }
    assert_eq!(health.borrow().rival, None);
}

#[tokio::test]
async fn an_entry_that_vanished_is_registered_again() {
    let store = Store::default();
    let registry = Registry::join(setup(&store.start().await, 1, 0)).await.unwrap();
    assert_eq!(store.0.registrations.load(Ordering::SeqCst), 1);
    store.0.variables.lock().unwrap().clear();
    until(|| store.value(&leaf(1, "groups")) == json!(["all", "layer-0"])).await;
    let health = registry.health();
    let pulls = health.borrow().pulls;
    until(|| health.borrow().pulls > pulls + 1).await;
    assert_eq!(health.borrow().last_error, None);
}

#[tokio::test]
async fn joining_again_takes_over_the_old_entry() {
    let store = Store::default();
    let base = store.start().await;
    let old = Registry::join(setup(&base, 1, 0)).await.unwrap();
    old.stop().await;
    let mut moved = setup(&base, 1, 2);
    let direct = vec![([127, 0, 0, 1], 9).into()];
    moved.address = watch::channel(NodeAddress { direct, ..address(1) }).1;
    let _registry = Registry::join(moved).await.unwrap();
    assert_eq!(store.value(&leaf(1, "groups")), json!(["all", "layer-2"]));
    assert_eq!(store.value(&leaf(1, "iroh_direct_addresses")), json!(["127.0.0.1:9"]));
}

#[tokio::test]
async fn a_changed_address_is_published_at_once() {
    let store = Store::default();
    let base = store.start().await;
    let mut setup = setup(&base, 1, 0);
    let never = Duration::from_secs(3600);
    let rules = RegistryConstants { pull: never, keep_alive: never, ..rules() };
    let clock = setup.clock.clone();
    setup.bridge = Bridge::new(test_server::client(), base.parse().unwrap(), rules, clock);
    let (moving, watched) = watch::channel(address(1));
    setup.address = watched;
    let registry = Registry::join(setup).await.unwrap();
    let direct = vec![([203, 0, 113, 9], 9).into(), ([192, 168, 1, 2], 9).into()];
    let relay_url = Some("https://relay.example/".to_owned());
    moving.send(NodeAddress { direct, relay_url, ..address(1) }).unwrap();
    let field = leaf(1, "iroh_direct_addresses");
    until(|| store.value(&field) == json!(["203.0.113.9:9", "192.168.1.2:9"])).await;
    assert_eq!(store.value(&leaf(1, "iroh_relay_url")), json!("https://relay.example/"));
    // Nobody is left who could move; the task goes on all the same.
    drop(moving);
    let status = PeerStatus { miner_status: MinerStatus::Frozen, ..PeerStatus::default() };
    registry.set_status(status);
    until(|| store.value(&leaf(1, "runtime_metrics/miner_status")) == json!("frozen")).await;
}

#[tokio::test]
async fn outages_are_retried_and_then_reported_until_it_works_again() {
    let store = Store::default();
    let base = store.start().await;
    store.0.outages.store(2, Ordering::SeqCst);
    let registry = Registry::join(setup(&base, 1, 0)).await.unwrap();
    store.0.outages.store(30, Ordering::SeqCst);
    let health = registry.health();
    until(|| health.borrow().failures_in_row > 0).await;
    assert!(health.borrow().last_error.as_ref().unwrap().contains("500"));
    until(|| health.borrow().failures_in_row == 0).await;

    store.0.outages.store(1000, Ordering::SeqCst);
    let refused = Registry::join(setup(&base, 2, 0)).await.unwrap_err();
    assert!(matches!(refused, BridgeError::Status { status: 500, .. }), "{refused}");
}

#[tokio::test]
async fn strangers_entries_that_make_no_sense_do_no_harm() {
    let store = Store::default();
    let base = store.start().await;
    for (field, value) in [
        ("node_id", json!("not an address")),
        ("node_id", json!(7)),
        ("groups", json!({"layer": 1})),
    ] {
        store.overwrite(&var_id("run-4_2_2_2-tah", "evil", field), value);
    }
    let addresses: Vec<_> = (0..100).map(|n| format!("127.0.0.1:{n}")).collect();
    store.overwrite(&leaf(9, "node_id"), json!(Hotkey::from_public_key(&[9; 32])));
    store.overwrite(&leaf(9, "groups"), json!(["layer-x", "layer-1"]));
    store.overwrite(&leaf(9, "p2p_node_ids"), json!(["zz", "ab".repeat(32)]));
    store.overwrite(&leaf(9, "iroh_direct_addresses"), json!(addresses));
    let registry = Registry::join(setup(&base, 1, 0)).await.unwrap();
    let peers = registry.peers_of(StageIndex(1));
    assert_eq!(peers.len(), 1);
    assert_eq!((peers[0].nodes.len(), peers[0].nodes[0].direct.len()), (1, MAX_ADDRESSES));
}

//! A node of the chain, as far as a reader sees it: a WebSocket server on loopback that answers JSON-RPC
//! from real SCALE-encoded storage under the real chain's metadata, and can go wrong in every way that a
//! node can. Keys are made here by hand, not by the library that the product reads with.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::{Arc, Mutex, OnceLock};

use blake2::Digest as _;
use serde_json::{Value, json};
use soketto::handshake::{Server, server::Response};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::compat::TokioAsyncReadCompatExt as _;

/// The main chain's first block.
pub const GENESIS: &str = "2f0555cc76fc2840a25a6ea3b9637146806f1f44b090c175ffde2a7e5ab36c03";

/// What the node does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Answers.
    Answers,
    /// Ends the connection instead of the answer number n.
    EndsAt(usize),
    /// Takes questions and says nothing.
    Silent,
    /// Answers with JSON that is no answer.
    Nonsense,
    /// Answers with text that is no JSON.
    Garbage,
    /// Answers every question about storage with an error.
    Refuses(&'static str),
}

/// All that the node knows.
pub struct State {
    pub genesis: String,
    /// Hashes of blocks by number; the last is the newest final one.
    pub blocks: Vec<(u64, [u8; 32])>,
    pub storage: HashMap<Vec<u8>, Vec<u8>>,
    pub metadata: Arc<Vec<u8>>,
    pub runtime: u32,
    pub manner: Manner,
    /// Every question: method and parameters.
    pub asked: Vec<(String, Value)>,
}

/// A running node.
pub struct Node {
    pub url: String,
    pub state: Arc<Mutex<State>>,
    task: tokio::task::JoinHandle<()>,
}

impl Node {
    /// A node on a free port, with one block and nothing stored.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State {
            genesis: GENESIS.to_owned(),
            blocks: Vec::new(),
            storage: HashMap::new(),
            metadata: metadata(),
            runtime: 334,
            manner: Manner::Answers,
            asked: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        let node = Self { url, state, task };
        node.add_block(1_000_000, 0);
        node
    }

    /// A new final block; `fork` tells blocks of one number apart.
    pub fn add_block(&self, number: u64, fork: u8) {
        self.with(|state| state.blocks.push((number, block_hash(number, fork))));
    }

    pub fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }

    /// Stores `value` under `pallet.entry` for `keys`, each already hashed as the metadata want it.
    pub fn put(&self, pallet: &str, entry: &str, keys: &[Vec<u8>], value: impl Into<Vec<u8>>) {
        let key = storage_key(pallet, entry, keys);
        self.with(|state| state.storage.insert(key, value.into()));
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn block_hash(number: u64, fork: u8) -> [u8; 32] {
    let mut hash = [fork; 32];
    hash[..8].copy_from_slice(&number.to_le_bytes());
    hash
}

/// The real chain's metadata.
pub fn metadata() -> Arc<Vec<u8>> {
    static METADATA: OnceLock<Arc<Vec<u8>>> = OnceLock::new();
    let read = || {
        let packed = include_bytes!("../vectors/chain/finney.scale.gz");
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len(), 306_779);
        Arc::new(bytes)
    };
    Arc::clone(METADATA.get_or_init(read))
}

/// The metadata with a storage of another name in place of one of the same length.
pub fn renamed(from: &str, to: &str) -> Arc<Vec<u8>> {
    let token = |name: &str| {
        let mut token = vec![u8::try_from(name.len() << 2).unwrap()];
        token.extend(name.as_bytes());
        token
    };
    let (from, to) = (token(from), token(to));
    assert_eq!(from.len(), to.len());
    let mut bytes = metadata().as_ref().clone();
    let places: Vec<usize> =
        (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(&from)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(&to);
    }
    Arc::new(bytes)
}

// Keys -----------------------------------------------------------------------------------------------

/// `Identity`: the bytes as they are.
pub fn identity(bytes: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}

/// `Blake2_128Concat`: a hash of 16 bytes, then the bytes.
pub fn blake2_128_concat(bytes: &[u8]) -> Vec<u8> {
    let mut hasher = blake2::Blake2b::<blake2::digest::consts::U16>::new();
    hasher.update(bytes);
    let mut key = hasher.finalize().to_vec();
    key.extend(bytes);
    key
}

pub fn storage_key(pallet: &str, entry: &str, keys: &[Vec<u8>]) -> Vec<u8> {
    let mut key = twox_128(pallet.as_bytes());
    key.extend(twox_128(entry.as_bytes()));
    keys.iter().for_each(|part| key.extend(part));
    key
}

fn twox_128(bytes: &[u8]) -> Vec<u8> {
    [xxh64(bytes, 0).to_le_bytes(), xxh64(bytes, 1).to_le_bytes()].concat()
}

/// XXH64 of less than 32 bytes, by its specification.
fn xxh64(bytes: &[u8], seed: u64) -> u64 {
    const P1: u64 = 0x9E37_79B1_85EB_CA87;
    const P2: u64 = 0xC2B2_AE3D_27D4_EB4F;
    const P3: u64 = 0x1656_67B1_9E37_79F9;
    const P4: u64 = 0x85EB_CA77_C2B2_AE63;
    const P5: u64 = 0x27D4_EB2F_1656_67C5;
    assert!(bytes.len() < 32);
    let mut hash = seed.wrapping_add(P5).wrapping_add(bytes.len() as u64);
    let mut rest = bytes;
    while let Some((lane, after)) = rest.split_first_chunk::<8>() {
        let lane = u64::from_le_bytes(*lane).wrapping_mul(P2).rotate_left(31).wrapping_mul(P1);
        hash = (hash ^ lane).rotate_left(27).wrapping_mul(P1).wrapping_add(P4);
        rest = after;
    }
    if let Some((lane, after)) = rest.split_first_chunk::<4>() {
        let lane = u64::from(u32::from_le_bytes(*lane)).wrapping_mul(P1);
        hash = (hash ^ lane).rotate_left(23).wrapping_mul(P2).wrapping_add(P3);
        rest = after;
    }
    for byte in rest {
        hash = (hash ^ u64::from(*byte).wrapping_mul(P5)).rotate_left(11).wrapping_mul(P1);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(P2);
    hash = (hash ^ (hash >> 29)).wrapping_mul(P3);
    hash ^ (hash >> 32)
}

// SCALE ----------------------------------------------------------------------------------------------

/// A length or number in SCALE's compact form.
pub fn compact(number: usize) -> Vec<u8> {
    let number = u32::try_from(number).unwrap();
    match number {
        0..64 => vec![u8::try_from(number).unwrap() << 2],
        64..16_384 => u16::try_from(number << 2 | 1).unwrap().to_le_bytes().to_vec(),
        _ => (number << 2 | 2).to_le_bytes().to_vec(),
    }
}

/// A list of numbers, each already encoded.
pub fn list<const N: usize>(items: impl ExactSizeIterator<Item = [u8; N]>) -> Vec<u8> {
    let mut bytes = compact(items.len());
    items.for_each(|item| bytes.extend(item));
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [compact(text.len()), text.as_bytes().to_vec()].concat()
}

/// `Core_version`.
fn version(runtime: u32) -> Vec<u8> {
    let mut bytes = [text("node-subtensor"), text("node-subtensor")].concat();
    for number in [1_u32, runtime, 1] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(compact(0));
    bytes.extend(1_u32.to_le_bytes());
    bytes.push(1);
    bytes
}

// JSON-RPC -------------------------------------------------------------------------------------------

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut server = Server::new(stream.compat());
    let Ok(request) = server.receive_request().await else { return };
    let key = request.key();
    let accept = Response::Accept { key, protocol: None };
    if server.send_response(&accept).await.is_err() {
        return;
    }
    let (mut sender, mut receiver) = server.into_builder().finish();
    let mut answered = 0;
    let mut message = Vec::new();
    loop {
        message.clear();
        if receiver.receive_data(&mut message).await.is_err() {
            return;
        }
        let question: Value = serde_json::from_slice(&message).unwrap();
        let method = question["method"].as_str().unwrap().to_owned();
        let params = question["params"].clone();
        let manner = {
            let mut state = state.lock().unwrap();
            state.asked.push((method.clone(), params.clone()));
            state.manner.clone()
        };
        let answer = match manner {
            Manner::EndsAt(number) if number == answered => {
                let _ = sender.close().await;
                return;
            }
            Manner::Silent => continue,
            Manner::Nonsense => json!({ "hello": "world" }).to_string(),
            Manner::Garbage => "<html>busy</html>".to_owned(),
            _ => {
                let told = answer(&state.lock().unwrap(), &method, &params);
                let id = question["id"].clone();
                match told {
                    Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
                    Err((code, words)) => {
                        json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": words } })
                    }
                }
                .to_string()
            }
        };
        answered += 1;
        let sent = sender.send_text(answer).await;
        if sent.is_err() || sender.flush().await.is_err() {
            return;
        }
    }
}

fn answer(state: &State, method: &str, params: &Value) -> Result<Value, (i32, String)> {
    let known = |hash: &Value| {
        let hash = hash.as_str().unwrap_or_default();
        state.blocks.iter().find(|(_, block)| hex0(block) == hash).copied()
    };
    let at = |hash: &Value| {
        known(hash).ok_or_else(|| (4003, format!("Client error: UnknownBlock: {hash}")))
    };
    match method {
        "chain_getBlockHash" => {
            let number = match &params[0] {
                Value::String(text) => {
                    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
                }
                other => other.as_u64().unwrap(),
            };
            let found = state.blocks.iter().rev().find(|(block, _)| *block == number);
            Ok(match (number, found) {
                (0, _) => json!(format!("0x{}", state.genesis)),
                (_, Some((_, hash))) => json!(hex0(hash)),
                _ => Value::Null,
            })
        }
        "chain_getFinalizedHead" => Ok(json!(hex0(&state.blocks.last().unwrap().1))),
        "chain_getHeader" => Ok(match known(&params[0]) {
            Some((number, _)) => json!({
                "parentHash": hex0(&[0; 32]),
                "number": format!("0x{number:x}"),
                "stateRoot": hex0(&[0; 32]),
                "extrinsicsRoot": hex0(&[0; 32]),
                "digest": { "logs": [] },
            }),
            None => Value::Null,
        }),
        "state_call" => {
            at(&params[2])?;
            let result = match params[0].as_str().unwrap() {
                "Core_version" => version(state.runtime),
                "Metadata_metadata_versions" => {
                    list([14_u32, 15, 16].iter().map(|version| version.to_le_bytes()))
                }
                "Metadata_metadata_at_version" => {
                    assert_eq!(params[1], "0x10000000", "the newest version is wanted");
                    let length = compact(state.metadata.len());
                    [&[1][..], &length, &state.metadata].concat()
                }
                other => panic!("nobody asks for {other}"),
            };
            Ok(json!(hex0(&result)))
        }
        "state_getStorage" => {
            if let Manner::Refuses(words) = state.manner {
                return Err((4003, words.to_owned()));
            }
            at(&params[1])?;
            let key = hex::decode(params[0].as_str().unwrap().trim_start_matches("0x")).unwrap();
            Ok(state.storage.get(&key).map_or(Value::Null, |value| json!(hex0(value))))
        }
        other => Err((-32601, format!("Method not found: {other}"))),
    }
}

fn hex0(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

#[test]
fn the_keys_are_those_of_the_real_chain() {
    // Known to everybody who has ever looked into a Substrate chain.
    assert_eq!(
        hex::encode(storage_key("System", "Account", &[])),
        "26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9"
    );
    let alice = "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";
    assert_eq!(
        hex::encode(blake2_128_concat(&hex::decode(alice).unwrap())),
        format!("de1e86a9a8c739864cf3cc5ec2bea59f{alice}")
    );
}

//! The chain is read right, to the rao, and everything that can be wrong with a node is told apart.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(feature = "chain")]

#[path = "support/chain.rs"]
mod node;

use std::collections::BTreeSet;
use std::time::Duration;

use hearth::clock::Clock;
use hearth::config::chain::ChainConstants;
use hearth::earnings::chain::{
    Account, Asked, ChainError, Fact, Holding, Note, Place, Pool, Reader, Reading, Registration,
    Seen, Unknown, Watch,
};
use hearth::earnings::{Exact, Rao};
use node::{Manner, Node, blake2_128_concat, identity, list};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const HOTKEY: [u8; 32] = [0x11; 32];
const COLDKEY: [u8; 32] = [0x22; 32];
const UID: u16 = 47;
/// The time of the node's newest block, and the reader's clock a little later.
const BLOCK_TIME: u64 = 1_790_000_000;
const NOW: u64 = BLOCK_TIME + 14;

fn nine() -> Vec<u8> {
    identity(&9_u16.to_le_bytes())
}

fn put(node: &Node, entry: &str, keys: &[Vec<u8>], value: impl Into<Vec<u8>>) {
    node.put("SubtensorModule", entry, keys, value);
}

/// A node of a chain on which the hotkey is registered and everything is known.
async fn node() -> Node {
    let node = Node::start().await;
    let (hotkey, coldkey) = (blake2_128_concat(&HOTKEY), blake2_128_concat(&COLDKEY));
    node.put("Timestamp", "Now", &[], (BLOCK_TIME * 1000 + 500).to_le_bytes());
    put(&node, "Uids", &[nine(), hotkey.clone()], UID.to_le_bytes());
    put(&node, "Owner", std::slice::from_ref(&hotkey), COLDKEY);
    let uid = identity(&UID.to_le_bytes());
    put(&node, "BlockAtRegistration", &[nine(), uid], 998_000_u64.to_le_bytes());
    put(&node, "ImmunityPeriod", &[nine()], 5000_u16.to_le_bytes());
    let incentive = (0..256_u16).map(|uid| if uid == UID { 65_535 / 4 } else { uid });
    let incentive: Vec<_> = incentive.map(u16::to_le_bytes).collect();
    put(&node, "Incentive", &[nine()], list(incentive.into_iter()));
    let emission = (0..256_u64).map(|uid| 1_000_000_000 + uid);
    let emission: Vec<_> = emission.map(u64::to_le_bytes).collect();
    put(&node, "Emission", &[nine()], list(emission.into_iter()));
    // The coldkey has one and a half of four shares in 10.000000001 alpha.
    put(&node, "TotalHotkeyAlpha", &[hotkey.clone(), nine()], 10_000_000_001_u64.to_le_bytes());
    put(&node, "TotalHotkeyShares", &[hotkey.clone(), nine()], (4_u128 << 64).to_le_bytes());
    put(&node, "Alpha", &[hotkey, coldkey.clone(), nine()], (3_u128 << 63).to_le_bytes());
    put(&node, "SubnetTAO", &[nine()], 31_000_000_000_000_u64.to_le_bytes());
    put(&node, "SubnetAlphaIn", &[nine()], 930_000_000_000_000_u64.to_le_bytes());
    put(&node, "Burn", &[nine()], 512_345_678_u64.to_le_bytes());
    put(&node, "Tempo", &[nine()], 360_u16.to_le_bytes());
    put(&node, "SubnetAlphaOutEmission", &[nine()], 1_000_000_000_u64.to_le_bytes());
    balance(&node, 12_345_678_901);
    node
}

fn balance(node: &Node, free: u64) {
    let coldkey = blake2_128_concat(&COLDKEY);
    // Nonce, three counters, then free, reserved, frozen (u64 on this chain) and flags.
    let mut account = Vec::new();
    [7_u32, 0, 1, 0].iter().for_each(|number| account.extend(number.to_le_bytes()));
    [free, 5, 6].iter().for_each(|number| account.extend(number.to_le_bytes()));
    account.extend((1_u128 << 127).to_le_bytes());
    node.put("System", "Account", &[coldkey], account);
}

fn asked() -> Asked {
    Asked { hotkey: Some(Account(HOTKEY)), coldkey: Some(Account(COLDKEY)) }
}

fn constants() -> ChainConstants {
    ChainConstants::default()
}

fn clock() -> Clock {
    Clock::with_wall(|| Duration::from_secs(NOW))
}

fn reader_at(url: &str, constants: &ChainConstants) -> Reader {
    let place = Place::of(&constants.mainnet).unwrap();
    Reader::new(url.parse().unwrap(), place, constants, clock())
}

async fn read(node: &Node) -> Result<Seen, ChainError> {
    reader_at(&node.url, &constants()).read(&asked(), &[]).await
}

async fn reading(node: &Node) -> Reading {
    read(node).await.unwrap().reading
}

fn exact(text: &str) -> Exact {
    text.parse().unwrap()
}

#[tokio::test]
async fn every_fact_is_read_to_the_rao() {
    let node = node().await;
    let reading = reading(&node).await;
    assert_eq!((reading.block.number, reading.runtime), (1_000_000, 334));
    assert_eq!(reading.block.hash.0, node::block_hash(1_000_000, 0));
    assert_eq!(reading.block_time, Fact::Known(BLOCK_TIME));
    assert!(reading.block_age().unwrap() < Duration::from_secs(120));
    assert_eq!(reading.registration, Fact::Known(Registration::Registered { uid: UID }));
    assert_eq!(reading.owner, Fact::Known(Account(COLDKEY)));
    assert_eq!(reading.immunity_left, Fact::Known(3000), "998000 + 5000 - 1000000");
    assert_eq!(reading.incentive, Fact::Known(exact("16383/65535")));
    assert_eq!(reading.emission, Fact::Known(Rao(1_000_000_047)));
    assert_eq!(reading.hotkey_alpha, Fact::Known(Rao(10_000_000_001)));
    assert_eq!(reading.stake, Fact::Known(Rao(3_750_000_000)), "3/8 of it, rounded down");
    assert_eq!(reading.free, Fact::Known(Rao(12_345_678_901)));
    let pool = Pool { tao: Rao(31_000_000_000_000), alpha: Rao(930_000_000_000_000) };
    assert_eq!(reading.pool, Fact::Known(pool));
    assert_eq!(pool.price(), Some(exact("1/30")), "a fraction, not a rounded number");
    assert_eq!(reading.burn, Fact::Known(Rao(512_345_678)));
    assert_eq!(reading.tempo, Fact::Known(360));
    assert_eq!(reading.subnet_emission, Fact::Known(Rao(1_000_000_000)));
    let text = serde_json::to_string(&reading).unwrap();
    assert_eq!(serde_json::from_str::<Reading>(&text).unwrap(), reading, "kept without loss");
}

#[tokio::test]
async fn only_reading_calls_are_made_and_only_the_named_addresses_told() {
    let node = node().await;
    reading(&node).await;
    let asked = node.with(|state| state.asked.clone());
    let methods: BTreeSet<&str> = asked.iter().map(|(method, _)| method.as_str()).collect();
    let reading = [
        "chain_getBlockHash",
        "chain_getFinalizedHead",
        "chain_getHeader",
        "state_call",
        "state_getStorage",
    ];
    assert_eq!(methods, BTreeSet::from(reading));
    let told: Vec<_> =
        asked.iter().filter(|(_, params)| params.to_string().contains(&"11".repeat(32))).collect();
    assert!(!told.is_empty() && told.iter().all(|(method, _)| method == "state_getStorage"));
}

#[tokio::test]
async fn a_hotkey_without_a_place_and_an_empty_address_are_said_to_be_so() {
    let node = Node::start().await;
    node.put("Timestamp", "Now", &[], (BLOCK_TIME * 1000).to_le_bytes());
    let reading = reading(&node).await;
    assert_eq!(reading.registration, Fact::Known(Registration::NotRegistered));
    assert!(matches!(reading.owner, Fact::Unknown(Unknown::Absent { .. })), "owned by nobody");
    for unknown in [
        reading.immunity_left.known().is_some(),
        reading.incentive.known().is_some(),
        reading.emission.known().is_some(),
    ] {
        assert!(!unknown, "{reading:?}");
    }
    assert_eq!(reading.immunity_left, Fact::Unknown(Unknown::NotRegistered));
    // What is not stored has the chain's own default.
    assert_eq!((reading.free, reading.stake), (Fact::Known(Rao(0)), Fact::Known(Rao(0))));
    assert_eq!(reading.tempo, Fact::Known(360));
    assert_eq!(reading.pool.known().unwrap().price(), None, "no price of an empty pool");

    let nobody = reader_at(&node.url, &constants()).read(&Asked::default(), &[]).await.unwrap();
    let not_asked = |what: &str| Unknown::NotAsked { what: what.to_owned() };
    assert_eq!(nobody.reading.registration, Fact::Unknown(not_asked("hotkey")));
    assert_eq!(nobody.reading.free, Fact::Unknown(not_asked("coldkey")));
    assert_eq!(nobody.reading.burn, Fact::Known(Rao(100_000_000)), "asked of no address");
}

#[tokio::test]
async fn a_newcomer_is_immune_until_the_last_block_and_not_after() {
    let node = node().await;
    for (block, left) in [(1_002_999, 1), (1_003_000, 0), (1_003_001, 0)] {
        node.add_block(block, 0);
        assert_eq!(reading(&node).await.immunity_left, Fact::Known(left), "block {block}");
    }
}

#[tokio::test]
async fn a_node_of_another_chain_is_told_no_address() {
    let node = node().await;
    node.with(|state| state.genesis = "ab".repeat(32));
    let error = read(&node).await.unwrap_err();
    assert_eq!(error.code(), "chain-wrong");
    assert!(error.to_string().contains(&"ab".repeat(32)), "{error}");
    let methods = node.with(|state| state.asked.clone());
    assert_eq!(methods.len(), 1, "one question, for the first block: {methods:?}");

    // The same node is right for whoever sets its chain in the table of constants.
    let mut constants = constants();
    constants.mainnet.genesis = format!("0x{}", "ab".repeat(32));
    assert!(reader_at(&node.url, &constants).read(&asked(), &[]).await.is_ok());
}

#[tokio::test]
async fn a_connection_that_ends_at_any_answer_is_one_that_ended() {
    let node = node().await;
    let questions = || node.with(|state| std::mem::take(&mut state.asked)).len();
    let ends = async |reader: &Reader, answered| {
        node.with(|state| state.manner = Manner::EndsAt(answered));
        let error = reader.read(&asked(), &[]).await.unwrap_err();
        assert_eq!(error.code(), "chain-disconnected", "answer {answered}: {error}");
    };
    // Up to the chain's description, which a reader asks for once.
    let description = |state: &mut node::State| {
        let of = |(_, params): &(String, serde_json::Value)| {
            params.to_string().contains("metadata_at_version")
        };
        state.asked.iter().position(of).unwrap()
    };
    let reader = reader_at(&node.url, &constants());
    reader.read(&asked(), &[]).await.unwrap();
    let last = node.with(description);
    questions();
    for answered in 0..=last {
        ends(&reader_at(&node.url, &constants()), answered).await;
    }
    node.with(|state| state.manner = Manner::Answers);
    questions();
    reader.read(&asked(), &[]).await.unwrap();
    let all = questions();
    assert!(all > 15, "{all}");
    for answered in 0..all {
        ends(&reader, answered).await;
    }
}

#[tokio::test]
async fn what_is_no_node_is_named_so() {
    let node = node().await;
    for manner in [Manner::Nonsense, Manner::Garbage] {
        node.with(|state| state.manner = manner.clone());
        assert_eq!(read(&node).await.unwrap_err().code(), "chain-not-a-node", "{manner:?}");
    }
    let page = "<html><body>Welcome</body></html>";
    let answer = |head: &str| format!("{head}\r\nContent-Length: {}\r\n\r\n{page}", page.len());
    for (head, code) in [
        ("HTTP/1.1 200 OK\r\nContent-Type: text/html", "chain-not-a-node"),
        ("HTTP/1.1 404 Not Found", "chain-not-a-node"),
        ("HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/", "chain-not-a-node"),
        ("SSH-2.0-OpenSSH_9.2", "chain-not-a-node"),
    ] {
        let address = says(answer(head)).await;
        let reader = reader_at(&format!("ws://{address}"), &constants());
        let error = reader.read(&asked(), &[]).await.unwrap_err();
        assert_eq!(error.code(), code, "{head}: {error}");
    }
}

/// A server that answers whatever it is asked with one text.
async fn says(text: String) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut question = [0; 1024];
            let _ = stream.read(&mut question).await;
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.flush().await;
            // The other side ends it, or this server does with the test.
            let _ = stream.read(&mut question).await;
        }
    });
    address
}

#[tokio::test]
async fn a_line_that_is_not_safe_or_leads_nowhere_is_told_apart() {
    let plain = says("HTTP/1.1 400 Bad Request\r\n\r\n".to_owned()).await;
    let reader = reader_at(&format!("wss://{plain}"), &constants());
    let error = reader.read(&asked(), &[]).await.unwrap_err();
    assert_eq!(error.code(), "chain-tls", "{error}");

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let nobody = reader_at(&format!("ws://{address}"), &constants());
    let error = nobody.read(&asked(), &[]).await.unwrap_err();
    assert_eq!(error.code(), "chain-unreachable", "{error}");
}

#[tokio::test]
async fn a_node_that_says_nothing_is_not_waited_for_longer_than_the_limit() {
    let node = node().await;
    node.with(|state| state.manner = Manner::Silent);
    let constants = ChainConstants { limit: Duration::from_millis(500), ..constants() };
    let error = reader_at(&node.url, &constants).read(&asked(), &[]).await.unwrap_err();
    assert_eq!(error.code(), "chain-slow", "{error}");
}

#[tokio::test]
async fn a_refusal_and_a_state_that_was_thrown_away_are_told_apart() {
    let node = node().await;
    for (words, code) in [
        ("Client error: Api called for an unknown Block: State already discarded", "chain-pruned"),
        ("Too many requests, slow down", "chain-refused"),
    ] {
        node.with(|state| state.manner = Manner::Refuses(words));
        let error = read(&node).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_storage_that_went_away_is_an_unknown_and_not_an_error() {
    let node = node().await;
    let reader = reader_at(&node.url, &constants());
    assert!(reader.read(&asked(), &[]).await.unwrap().reading.burn.known().is_some());
    // The runtime is upgraded between two readings of one reader, and what was `Burn` has another name.
    node.with(|state| {
        state.runtime = 335;
        state.metadata = node::renamed("Burn", "Bern");
    });
    node.add_block(1_000_001, 0);
    let after = reader.read(&asked(), &[]).await.unwrap().reading;
    assert_eq!(after.runtime, 335);
    let gone = Unknown::NotInMetadata { storage: "SubtensorModule.Burn".to_owned() };
    assert_eq!(after.burn, Fact::Unknown(gone.clone()));
    assert_eq!(gone.to_string(), "this chain has no SubtensorModule.Burn");
    assert_eq!(after.stake, Fact::Known(Rao(3_750_000_000)), "all else is as it was");
}

#[tokio::test]
async fn a_value_of_another_form_is_an_unknown_and_not_a_number() {
    let node = node().await;
    let hotkey = blake2_128_concat(&HOTKEY);
    put(&node, "Tempo", &[nine()], [1, 2, 3]);
    put(&node, "Incentive", &[nine()], [0xff]);
    // Two shares of one: more than all of it.
    put(&node, "TotalHotkeyShares", &[hotkey, nine()], (1_u128 << 63).to_le_bytes());
    let reading = reading(&node).await;
    let broken = |entry: &str| Unknown::Undecodable { storage: format!("SubtensorModule.{entry}") };
    assert_eq!(reading.tempo, Fact::Unknown(broken("Tempo")));
    assert_eq!(reading.incentive, Fact::Unknown(broken("Incentive")));
    assert_eq!(reading.stake, Fact::Unknown(broken("Alpha")));
}

#[tokio::test]
async fn metadata_that_cannot_be_read_are_said_to_be_so() {
    let node = node().await;
    node.with(|state| state.metadata = std::sync::Arc::new(vec![7; 100]));
    assert_eq!(read(&node).await.unwrap_err().code(), "chain-metadata");
}

/// Looks again and again, as a miner that runs does.
fn watch(node: &Node) -> Watch {
    Watch::new(reader_at(&node.url, &constants()), asked(), None, &constants())
}

const SOON: Duration = Duration::from_secs(NOW);

#[tokio::test]
async fn what_came_to_the_address_is_told_between_two_looks() {
    let node = node().await;
    let mut watch = watch(&node);
    assert_eq!(watch.look(SOON).await.movements, []);
    node.add_block(1_000_300, 0);
    balance(&node, 12_745_678_902);
    let look = watch.look(SOON).await;
    let [movement] = &look.movements[..] else { panic!("{look:?}") };
    assert_eq!(movement.what, Holding::FreeBalance);
    assert_eq!(movement.gain().unwrap().to_string(), "0.400000001 TAO");
    assert_eq!((movement.from.number, movement.to.number), (1_000_000, 1_000_300));
    assert_eq!(watch.look(SOON).await.movements, [], "not told twice");
}

#[tokio::test]
async fn a_reorganisation_takes_back_what_was_read_since() {
    let node = node().await;
    let mut watch = watch(&node);
    for number in [1_000_001, 1_000_002] {
        node.add_block(number, 0);
        watch.look(SOON).await;
    }
    node.with(|state| state.blocks.truncate(2));
    node.add_block(1_000_002, 1);
    node.add_block(1_000_003, 1);
    balance(&node, 1);
    let look = watch.look(SOON).await;
    let [Note::Reorganised { gone }] = &look.notes[..] else { panic!("{look:?}") };
    let gone: Vec<_> = gone.iter().map(|block| (block.number, block.hash.0)).collect();
    assert_eq!(gone, [(1_000_002, node::block_hash(1_000_002, 0))]);
    assert!(look.notes[0].words().contains("block 1000002"), "{}", look.notes[0].words());
    assert_eq!(look.movements, [], "nothing is concluded across it");
    assert_eq!(look.known.unwrap().reading.free, Fact::Known(Rao(1)), "read again");
    let look = watch.look(SOON).await;
    assert_eq!((look.notes, look.trouble), (Vec::new(), None), "said once");
}

#[tokio::test]
async fn a_node_that_falls_behind_leaves_the_last_known_values_with_their_age() {
    let node = node().await;
    let mut watch = watch(&node);
    node.add_block(1_000_500, 0);
    watch.look(SOON).await;
    // Another node behind the same address, which has not come so far.
    node.with(|state| state.blocks.truncate(1));
    let look = watch.look(SOON + Duration::from_secs(60)).await;
    assert_eq!(look.trouble.unwrap().code(), "chain-backwards");
    let known = look.known.unwrap();
    assert_eq!(known.reading.block.number, 1_000_500);
    let stale = known.stale.clone().unwrap();
    assert_eq!((stale.code.as_str(), stale.since), ("chain-backwards", NOW + 60));
    // Still so, for another reason: since when it is stale does not change.
    node.with(|state| state.manner = Manner::Refuses("busy"));
    node.add_block(1_000_500, 0);
    node.add_block(1_000_501, 0);
    let look = watch.look(SOON + Duration::from_secs(120)).await;
    let stale = look.known.unwrap().stale.unwrap();
    assert_eq!((stale.code.as_str(), stale.since), ("chain-refused", NOW + 60));
    node.with(|state| state.manner = Manner::Answers);
    let look = watch.look(SOON + Duration::from_secs(180)).await;
    assert_eq!((look.trouble, look.known.unwrap().stale), (None, None));
}

#[tokio::test]
async fn an_old_final_block_is_said_with_its_age() {
    let node = node().await;
    node.put("Timestamp", "Now", &[], ((NOW - 3 * 3600) * 1000).to_le_bytes());
    let mut watch = watch(&node);
    let look = watch.look(SOON).await;
    let trouble = look.trouble.unwrap();
    assert_eq!(trouble.code(), "chain-behind");
    assert!(trouble.to_string().contains("3 h 0 min old"), "{trouble}");
    assert!(look.known.unwrap().stale.is_some(), "shown, and marked");
}

#[tokio::test]
async fn pauses_grow_while_nobody_answers_and_a_change_of_the_runtime_is_told() {
    let node = node().await;
    let mut watch = watch(&node);
    watch.look(SOON).await;
    assert_eq!(watch.pause(), constants().every);
    node.with(|state| state.manner = Manner::Refuses("busy"));
    let mut pauses = Vec::new();
    for _ in 0..8 {
        watch.look(SOON).await;
        pauses.push(watch.pause().as_secs());
    }
    assert_eq!(pauses, [15, 30, 60, 120, 240, 480, 600, 600]);
    node.with(|state| (state.manner, state.runtime) = (Manner::Answers, 340));
    let look = watch.look(SOON).await;
    let note = Note::Runtime { before: 334, after: 340 };
    assert_eq!((look.notes, watch.pause()), (vec![note], constants().every));
}

#[tokio::test]
async fn what_was_known_survives_the_program_and_is_not_mixed_up() {
    let node = node().await;
    let mut first = watch(&node);
    let known = first.look(SOON).await.known.unwrap();
    let text = serde_json::to_string(&known).unwrap();
    let kept = serde_json::from_str(&text).unwrap();
    let reader = || reader_at(&node.url, &constants());
    let mut again = Watch::new(reader(), asked(), Some(kept), &constants());
    assert_eq!(again.known(), Some(&known));
    node.add_block(1_000_009, 0);
    balance(&node, 12_345_678_902);
    assert_eq!(again.look(SOON).await.movements.len(), 1, "compared with what was kept");
    let other = Asked { hotkey: Some(Account([9; 32])), ..asked() };
    assert_eq!(Watch::new(reader(), other, Some(known), &constants()).known(), None);
}

// Through the real binary --------------------------------------------------------------------------

/// Runs `hearth` with its files under `home`; what it printed, the first word of its exit and its errors.
async fn hearth(home: &std::path::Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_hearth"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HEARTH_")) {
        command.env_remove(name);
    }
    let ran = command.env("HEARTH_HOME", home).args(arguments).output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (ran.status.code(), text(ran.stdout), text(ran.stderr))
}

fn json(line: &str) -> serde_json::Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[tokio::test]
async fn the_command_reads_the_chain_and_keeps_what_it_read() {
    let home = tempfile::tempdir().unwrap();
    let node = node().await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    node.put("Timestamp", "Now", &[], (now.as_secs() * 1000).to_le_bytes());
    let (hotkey, coldkey) = (Account(HOTKEY).to_string(), Account(COLDKEY).to_string());
    let ask =
        ["earnings", "chain", "--endpoint", &node.url, "--hotkey", &hotkey, "--coldkey", &coldkey];
    let (code, told, trouble) = hearth(home.path(), &ask).await;
    assert_eq!((code, trouble.as_str()), (Some(0), ""), "{told}");
    for line in [
        "block 1000000 (final",
        "yes, as uid 47 of subnet 9",
        "for 3000 more blocks (about 10 h 0 min)",
        "3.750000000 alpha of this coldkey on this hotkey",
        "12.345678901 TAO",
        "0.033333333 TAO for 1 alpha",
        "costs 0.512345678 TAO now; it cannot be recovered",
    ] {
        assert!(told.contains(line), "{line} is not in:\n{told}");
    }
    // The node goes away: the last known values are shown with their age, and the command says why.
    node.with(|state| state.manner = Manner::Refuses("Too many requests"));
    let (code, told, trouble) = hearth(home.path(), &[&ask[..], &["--json"]].concat()).await;
    assert_eq!(code, Some(1), "{told}{trouble}");
    let line = json(told.trim());
    assert_eq!(line["trouble"]["code"], "chain-refused");
    assert_eq!(line["stale"]["code"], "chain-refused");
    assert_eq!(line["reading"]["free"]["known"], 12_345_678_901_u64);
    assert!(line["age_seconds"].as_u64().unwrap() < 600, "{line}");
    assert!(trouble.contains("refused to answer (Too many requests)"), "{trouble}");
    // Whoever asks about another hotkey is not told about this one.
    let other = Account([9; 32]).to_string();
    let ask = ["earnings", "chain", "--endpoint", &node.url, "--hotkey", &other, "--json"];
    let (_, told, _) = hearth(home.path(), &ask).await;
    assert_eq!(json(told.trim())["reading"], serde_json::Value::Null);
}

#[tokio::test]
async fn nobody_is_asked_whom_the_user_did_not_name() {
    let home = tempfile::tempdir().unwrap();
    let (code, told, trouble) = hearth(home.path(), &["earnings", "chain"]).await;
    assert_eq!((code, told.as_str()), (Some(3), ""));
    assert!(trouble.contains("no node of the chain is set, so nobody is asked"), "{trouble}");
    let (code, told, trouble) = hearth(home.path(), &["earnings", "price"]).await;
    assert_eq!((code, told.as_str()), (Some(3), ""));
    assert!(trouble.contains("no price source is set"), "{trouble}");
    let practice = ["earnings", "chain", "--endpoint", "ws://127.0.0.1:1", "--network", "practice"];
    let (code, _, trouble) = hearth(home.path(), &practice).await;
    assert_eq!(code, Some(2));
    assert!(trouble.contains("a practice swarm has no chain"), "{trouble}");
}

#[tokio::test]
async fn a_price_is_taken_as_it_is_written_and_kept_when_the_source_answers_nonsense() {
    let home = tempfile::tempdir().unwrap();
    let answer = |body: &str| {
        format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    // One source with two faces: first a price, then a page. Its name is the same for the program.
    let body = std::sync::Arc::new(std::sync::Mutex::new(answer(
        r#"{"tao": {"usd": 412.1234567890123456789}}"#,
    )));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let source = format!("http://{}/v1?key=s3cret", listener.local_addr().unwrap());
    let says = std::sync::Arc::clone(&body);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut question = [0; 2048];
            let _ = stream.read(&mut question).await;
            let text = says.lock().unwrap().clone();
            let _ = stream.write_all(text.as_bytes()).await;
        }
    });
    let ask = [
        "earnings",
        "price",
        "--source",
        &source,
        "--field",
        "/tao/usd",
        "--currency",
        "USD",
        "--json",
    ];
    let (code, told, trouble) = hearth(home.path(), &ask).await;
    assert_eq!((code, trouble.as_str()), (Some(0), ""), "{told}");
    let line = json(told.trim());
    let exact = exact("412.1234567890123456789").to_string();
    assert_eq!(
        (line["quote"]["price"].as_str(), line["quote"]["currency"].as_str()),
        (Some(&*exact), Some("USD"))
    );

    for (says, expected) in [
        ("<html>busy</html>", "price-not-json"),
        (r#"{"tao": {"usd": -1}}"#, "price-not-positive"),
        (r#"{"tao": {"eur": 1}}"#, "price-no-field"),
    ] {
        *body.lock().unwrap() = answer(says);
        let (code, told, trouble) = hearth(home.path(), &ask).await;
        assert_eq!(code, Some(1), "{told}{trouble}");
        let line = json(told.trim());
        assert_eq!(line["trouble"]["code"], expected);
        assert_eq!(line["quote"]["price"].as_str(), Some(&*exact), "the last one is kept");
        assert!(line["age_seconds"].is_u64());
        assert!(!told.contains("s3cret") && !trouble.contains("s3cret"), "{told}{trouble}");
    }
}

#[tokio::test]
async fn stake_on_other_hotkeys_is_found_and_its_change_told() {
    let node = node().await;
    let (pool, coldkey) = ([0x33; 32], blake2_128_concat(&COLDKEY));
    let on = blake2_128_concat(&pool);
    // The pool's hotkey holds 7 alpha, of which one share of seven is the coldkey's.
    put(&node, "StakingHotkeys", std::slice::from_ref(&coldkey), list([pool].into_iter()));
    put(&node, "TotalHotkeyAlpha", &[on.clone(), nine()], 7_000_000_000_u64.to_le_bytes());
    put(&node, "TotalHotkeyShares", &[on.clone(), nine()], (7_u128 << 64).to_le_bytes());
    put(&node, "Alpha", &[on.clone(), coldkey, nine()], (1_u128 << 64).to_le_bytes());
    let mut watch = watch(&node);
    let first = watch.look(SOON).await.known.unwrap().reading;
    assert_eq!(first.stake, Fact::Known(Rao(3_750_000_000)));
    assert_eq!(
        first.coldkey_alpha,
        Fact::Known(Rao(4_750_000_000)),
        "3.75 on its own, 1 on the pool's"
    );
    // The pool is paid: all shares of it grow.
    put(&node, "TotalHotkeyAlpha", &[on, nine()], 9_800_000_000_u64.to_le_bytes());
    node.add_block(1_000_360, 0);
    let look = watch.look(SOON).await;
    let [movement] = &look.movements[..] else { panic!("{look:?}") };
    assert_eq!(movement.what, Holding::Stake);
    assert_eq!(movement.gain().unwrap().to_string(), "0.400000000 alpha");
    assert!(movement.words().contains("the chain does not say why"), "{}", movement.words());
}

//! What the chain says while a miner runs, against a node with real storage and a real ledger.

use std::path::Path;

use super::*;
use crate::earnings::Exact;
use crate::earnings::ledger::{Rows, Span};
use crate::earnings::worth::pool_prices;

#[path = "../../../tests/support/chain.rs"]
#[allow(dead_code)] // Other tests use the rest of it.
mod node;

use node::{Node, blake2_128_concat};

const HOTKEYS: [[u8; 32]; 2] = [[0x11; 32], [0x12; 32]];
const COLDKEY: [u8; 32] = [0x22; 32];

fn balance(node: &Node, free: u64) {
    let mut account = vec![0; 16];
    [free, 0, 0].iter().for_each(|number| account.extend(number.to_le_bytes()));
    account.extend([0; 16]);
    node.put("System", "Account", &[blake2_128_concat(&COLDKEY)], account);
}

async fn rows(folders: &Folders) -> Option<Rows> {
    let mut reader = ledger::Reader::open(&folders.data.join(FILE_NAME)).await.ok()?;
    reader.rows(Span::ALL).await.ok()
}

/// Looks into the ledger until it holds what is wanted.
async fn until(folders: &Folders, wanted: impl Fn(&Rows) -> bool) -> Rows {
    let clock = Clock::system();
    let found = clock.timeout(Duration::from_secs(60), async {
        loop {
            match rows(folders).await {
                Some(rows) if wanted(&rows) => return rows,
                _ => clock.sleep(Duration::from_millis(50)).await,
            }
        }
    });
    found.await.unwrap()
}

#[tokio::test]
async fn what_came_to_the_address_is_entered_once_with_where_it_is_known_from() {
    let home = tempfile::tempdir().unwrap();
    let folders = Folders::under(home.path());
    let clock = Clock::system();
    let node = Node::start().await;
    let now = u64::try_from(clock.unix().as_millis()).unwrap();
    node.put("Timestamp", "Now", &[], now.to_le_bytes());
    let nine = 9_u16.to_le_bytes().to_vec();
    let (tao, alpha) = (1_u64.to_le_bytes(), 30_u64.to_le_bytes());
    node.put("SubtensorModule", "SubnetTAO", std::slice::from_ref(&nine), tao);
    node.put("SubtensorModule", "SubnetAlphaIn", &[nine], alpha);
    balance(&node, 1_000);
    let coldkey = Account(COLDKEY);
    let text = format!(
        "chain_endpoint = \"{}\"\npayout_address = \"{coldkey}\"\n[constants.chain]\nevery = 0.2\n",
        node.url
    );
    let follower = Follower {
        network: "mainnet".to_owned(),
        hotkeys: HOTKEYS.map(Account).to_vec(),
        settings: Arc::new(Settings::of_text(Path::new("config.toml"), &text).unwrap()),
        folders: folders.clone(),
        say: Events::new(),
        clock: clock.clone(),
    };
    // Two miners with one coldkey, and a ledger that is begun later than the chain is read.
    let following = tokio::spawn(async move { follower.follow().await });
    let file = folders.data.join(FILE_NAME);
    drop(Ledger::open(&file, At::of_seconds(1)).await.unwrap());
    let first = until(&folders, |rows| rows.readings.len() >= 2).await;
    assert!(first.payouts.is_empty(), "what was there before is no payout: {:?}", first.payouts);
    let price = &pool_prices(&first.readings)[0];
    assert_eq!((price.currency.as_str(), &price.price), ("tao", &Exact::ratio(1, 30).unwrap()));

    balance(&node, 401_000);
    node.add_block(1_000_001, 0);
    let paid = until(&folders, |rows| !rows.payouts.is_empty()).await;
    // Both miners have looked again, and again: it stays one payout.
    let looks = paid.readings.len();
    let later = until(&folders, |rows| rows.readings.len() > looks + 2).await;
    let [payment] = &later.payouts[..] else { panic!("{:?}", later.payouts) };
    assert_eq!((payment.net, payment.unit), (Rao(400_000), Unit::Tao));
    assert_eq!(payment.address, Some(coldkey.to_string()));
    assert_eq!(payment.hotkey, None, "it belongs to the address, not to a miner");
    assert_eq!(payment.by.in_words(), "a change of the payout address's balance");
    following.abort();
}

//! The chain, and the price source.

use crate::cli::explain::{Page, page};

/// The pages of this chapter.
pub(in crate::cli::explain) const PAGES: &[Page] = &[
    page(
        "chain-not-built",
        "This build cannot read the chain",
        "The program was made without the part that reads the chain. All else works.",
        "Whoever built it left the feature `chain` out, to build faster.",
        "Use a release, or build it with its default features.",
    ),
    page(
        "chain-no-endpoint",
        "No node of the chain is set",
        "Nobody was asked about your hotkey, your stake or your balance.",
        "Hearth asks no node that you did not name: whoever is asked learns your addresses.",
        "`hearth config set chain_endpoint wss://...` with a node that you trust, or your own: \
         ws://127.0.0.1:9944.",
    ),
    page(
        "chain-endpoint",
        "The node's address cannot be used",
        "chain_endpoint, or --endpoint, is not the address of a node.",
        "A node is read over WebSocket: its address begins with wss://, or with ws:// for one in your \
         own network.",
        "Write it like wss://node.example:443 or ws://127.0.0.1:9944.",
    ),
    page(
        "chain-address",
        "An address is wrong",
        "The hotkey that was given is no address of the chain.",
        "A letter is missing or wrong: addresses carry a checksum.",
        "Copy it again; `hearth keys list` shows yours.",
    ),
    page(
        "chain-practice",
        "A practice swarm has no chain",
        "The chain was asked for, but the chosen network is the practice swarm.",
        "Practice points are on no chain.",
        "Name a network: `hearth earnings chain --network mainnet`.",
    ),
    page(
        "chain-unreachable",
        "The node cannot be reached",
        "Nobody answered at the node's address. What was last known is shown with its age.",
        "The node is down, the address is wrong, or your line is.",
        "Check the address; name another node.",
    ),
    page(
        "chain-tls",
        "The line to the node is not safe",
        "The node did not prove who it is, so nothing was sent to it.",
        "A wrong date on this machine, a proxy that opens connections, or a port that does not speak \
         TLS.",
        "Set the clock; check the address and its port; name another node.",
    ),
    page(
        "chain-not-a-node",
        "No node answers there",
        "Something answered, but not as a node of a chain does.",
        "The address leads to a web page, to a proxy, or to a program of another kind.",
        "Check the address and its port.",
    ),
    page(
        "chain-wrong",
        "A node of another chain",
        "The node's first block is not that of the network's chain. It was told no address of yours.",
        "It is a node of another network, or of the test network where mainnet is meant.",
        "Name a node of the right chain. For a chain of your own, set its genesis in \
         [constants.chain.mainnet].",
    ),
    page(
        "chain-behind",
        "The node is behind",
        "The newest final block of the node is old, so what it says is old too.",
        "It is catching up after a start, it lost its peers, or the chain itself stands still.",
        "Wait, or name another node. What it says is shown with its age.",
    ),
    page(
        "chain-backwards",
        "The node knows less than was read before",
        "A newer block was read before than the newest that the node has now.",
        "There are several nodes behind one address and this one lags, or the node began anew.",
        "Wait, or name another node. What was read before is shown with its age.",
    ),
    page(
        "chain-reorganised",
        "The chain was reorganised",
        "A block that was read before is not on the chain any more. What was read of it and after it \
         does not count, and was read again.",
        "Final blocks do not go away by themselves: the node was wrong, then or now.",
        "If it comes again, name a node that you trust more.",
    ),
    page(
        "chain-runtime",
        "The chain was upgraded",
        "The chain has a new version of its program. Its description was read again; what it no longer \
         stores is shown as unknown.",
        "Chains are upgraded every few weeks.",
        "Nothing. If something stays unknown, look for a newer version of Hearth.",
    ),
    page(
        "chain-disconnected",
        "The node ended the connection",
        "The connection ended in the middle of an answer, so there is no reading.",
        "The node was restarted, limits its visitors, or the line broke.",
        "Nothing: it is asked again. If it stays so, name another node.",
    ),
    page(
        "chain-slow",
        "The node is too slow",
        "The node did not answer within the time limit.",
        "It is overloaded, or the line is.",
        "Nothing: it is asked again. [constants.chain] limit sets how long is waited, in seconds.",
    ),
    page(
        "chain-pruned",
        "The node has thrown the state away",
        "The node no longer knows the state at the block that it named.",
        "It keeps only the newest blocks and was too slow, or its database is damaged.",
        "Name another node.",
    ),
    page(
        "chain-refused",
        "The node refuses to answer",
        "The node answered with an error instead of a value.",
        "It limits its visitors, or does not offer this call to everybody.",
        "Wait, or name another node.",
    ),
    page(
        "chain-metadata",
        "The chain's description cannot be read",
        "A chain describes how its state is stored. This one does it in a form that is not known here.",
        "The chain is newer than this version of Hearth, or the node's answer was damaged.",
        "Update Hearth; until then, what was last known is shown with its age.",
    ),
    page(
        "price-off",
        "No price source is set",
        "Amounts are shown in alpha and TAO only.",
        "Nobody is asked for a price whom you did not choose.",
        "`hearth config set price_source https://...`, price_field /where/it/stands, price_currency USD.",
    ),
    page(
        "price-incomplete",
        "A part of the price source is missing",
        "A price source needs its address, where the number stands in its answer, and the currency.",
        "price_field or price_currency is not set.",
        "`hearth config set` the one that is named.",
    ),
    page(
        "price-silent",
        "The price source does not answer",
        "There is no new price; the last one is shown with its age.",
        "The source is down, or your line is.",
        "Nothing, or name another source.",
    ),
    page(
        "price-refused",
        "The price source refuses",
        "It answered with an error; the last price is shown with its age.",
        "It limits its visitors, wants a key, or the address is wrong.",
        "Check price_source; ask less often or name another source.",
    ),
    page(
        "price-not-json",
        "The price source answers with something else",
        "What came back is no JSON, most often a web page.",
        "The address is that of a page for people, not that of a source for programs.",
        "Check price_source.",
    ),
    page(
        "price-no-field",
        "The price is not where it should be",
        "The answer has nothing at price_field.",
        "The source writes its answers in another form, or the field has a typing error.",
        "Look at the answer in a browser and set price_field, such as /bittensor/usd.",
    ),
    page(
        "price-not-a-number",
        "The price is no number",
        "What stands at price_field is no number.",
        "The field names a group of values or a text.",
        "Set price_field to the number itself.",
    ),
    page(
        "price-not-positive",
        "The price is zero or less",
        "The source says that one TAO is worth nothing, or less than nothing. It was not taken.",
        "The source has a fault, or the field is that of a change and not of a price.",
        "Check price_field; name another source.",
    ),
    page(
        "price-absurd",
        "The price cannot be",
        "The source names a price that no currency has. It was not taken.",
        "The field is not that of a price, or the source has a fault.",
        "Check price_field; name another source.",
    ),
    page(
        "chain",
        "The hotkey is registered",
        "The doctor's line about the chain: the hotkey has a place on the subnet.",
        "A registered miner is only paid while it has its place.",
        "Nothing.",
    ),
    page(
        "chain-not-asked",
        "The chain was not asked",
        "The doctor does not know whether the hotkey is registered.",
        "No node is named by chain_endpoint, or the network is the practice swarm. Nobody is asked whom \
         you did not choose.",
        "Nothing is needed in a pool; else `hearth config set chain_endpoint wss://...`.",
    ),
    page(
        "chain-place-lost",
        "The hotkey lost its place",
        "The chain said before that the hotkey is registered, and says now that it is not.",
        "A newcomer took the place of the one that earned least and was no longer immune.",
        "Join as one of a pool, or register it again; what that costs cannot be recovered.",
    ),
    page(
        "chain-not-registered",
        "The hotkey is not registered",
        "The hotkey has no place on the subnet, so it cannot join as a registered miner.",
        "It was never registered, or a newcomer took its place.",
        "Join as one of a pool, which costs nothing, or register it; what that costs cannot be \
         recovered.",
    ),
];

//! Every word of the wizard that is not in an answer it was given.

use super::facts::{Level, Topic};
use super::key::{ImportWay, KeyWay, PayWay, Step};
use super::limits::{Page, Row};
use super::request::{Purpose, Screen, WordCount};
use super::state::{Saving, Wizard};
use super::twice::FEWEST;

/// Who this is: the name means another coin to many.
pub const WHO: &str = "miner for IOTA, subnet 9 of Bittensor (not the coin named IOTA)";

/// The title of a screen.
pub fn title(screen: Screen) -> &'static str {
    match screen {
        Screen::Machine => "This machine",
        Screen::Practice => "See it work",
        Screen::Key => "Key and payout",
        Screen::Limits => "Your limits",
        Screen::Ready => "Ready",
    }
}

/// The sentence under the title.
pub fn intro(screen: Screen) -> &'static str {
    match screen {
        Screen::Machine => {
            "What Hearth found here. Nothing is sent to anybody; the link test waits for your l."
        }
        Screen::Practice => {
            "A whole swarm trains a small language model on this machine alone: the same code and \
             messages as the real network."
        }
        Screen::Key => "The hotkey signs your miner's requests. The payout address is paid.",
        Screen::Limits => "What Hearth may use, and which network it joins.",
        Screen::Ready => "All answers are below.",
    }
}

/// A topic's label.
pub fn topic(topic: Topic) -> &'static str {
    match topic {
        Topic::Kernels => "kernels",
        Topic::Speed => "speed",
        Topic::Fit => "stages",
        Topic::Memory => "memory",
        Topic::Disk => "disk",
        Topic::Clock => "clock",
        Topic::Others => "other",
        Topic::Link => "link",
    }
}

/// The word of a level; colours only repeat it.
pub fn level(level: Level) -> &'static str {
    match level {
        Level::Fine => "ok",
        Level::Warning => "note",
        Level::Error => "bad",
    }
}

/// Before anything is known about a topic.
pub fn not_yet(topic: Topic) -> &'static str {
    match topic {
        Topic::Link => "not tested: press l to ask the network's servers",
        _ => "waits its turn",
    }
}

/// Before the devices were listed.
pub const LISTING: &str = "looking for devices …";
/// No device at all, which cannot be: there is always the processor.
pub const NO_DEVICE: &str = "none";

/// The practice swarm, switched off.
pub const PRACTICE_OFF: &str = "It is switched off. Press s to start it.";
/// The practice swarm, before its first loss.
pub const PRACTICE_WAITS: &str = "The loss appears when the first activations have crossed all \
                                  three stages.";

/// How the loss does.
pub fn fall(first: f64, last: f64) -> String {
    format!("The loss fell from {first:.2} to {last:.2}: this machine trains. Enter goes on.")
}

/// The loss has not fallen for certain yet.
pub fn falling(first: f64, last: f64) -> String {
    format!("The loss began at {first:.2} and is at {last:.2} now; wait for it to fall.")
}

/// What is being done.
pub const DRAWING_WORDS: &str = "drawing words …";
/// See [`DRAWING_WORDS`].
pub const CHECKING_KEY: &str = "checking the key …";
/// See [`DRAWING_WORDS`].
pub const KEEPING_KEY: &str = "keeping the key; with a passphrase that takes about a second …";
/// See [`DRAWING_WORDS`].
pub const READING_WALLETS: &str = "reading the folder …";
/// See [`DRAWING_WORDS`].
pub const MAKING_COLDKEY: &str = "making the coldkey; an encrypted file takes a few seconds …";

/// The two lines are not the same.
pub const PASSPHRASES_DIFFER: &str = "The two are not the same: type the first one again.";

/// A passphrase that is guessed too soon.
pub fn passphrase_too_short() -> String {
    format!("At least {FEWEST} characters, for example four words that have nothing in common.")
}

/// A wrong answer in the quiz.
pub fn quiz_wrong(number: usize) -> String {
    format!("That is not word {number}. Esc shows the words again.")
}

/// Nothing was typed where a key belongs.
pub fn nothing_typed(way: ImportWay) -> String {
    match way {
        ImportWay::Words => {
            "Type 12 or 24 words with spaces between them, for example: legal winner thank …".into()
        }
        _ => "Type 64 characters 0-9 and a-f, for example 0x1f2e…".into(),
    }
}

/// A folder without hotkeys.
pub fn no_wallets(folder: &str) -> String {
    format!(
        "There are no hotkeys in {folder}: name the folder that holds the wallets, for example \
         ~/.bittensor/wallets"
    )
}

/// Enter without an address.
pub const NO_ADDRESS_YET: &str =
    "Type or paste an address that begins with 5, 48 characters in all.";
/// Enter without a server.
pub const NO_SERVER_YET: &str = "Type the server's address, for example https://swarm.example:443";

/// A way to a hotkey, and what it means.
pub fn key_way(way: KeyWay) -> (&'static str, &'static str) {
    match way {
        KeyWay::Keep => ("Use the key that is here", "Nothing changes."),
        KeyWay::New(WordCount::Twelve) => (
            "Create a new key, 12 words",
            "You see its words once and write them on paper. They are the only backup.",
        ),
        KeyWay::New(WordCount::TwentyFour) => {
            ("Create a new key, 24 words", "The same, with a longer phrase.")
        }
        KeyWay::Import(ImportWay::Words) => {
            ("Import words", "The words of a hotkey you have, with a //path if it has one.")
        }
        KeyWay::Import(ImportWay::Seed) => {
            ("Import a seed", "The secret seed of a hotkey: 64 hexadecimal characters.")
        }
        KeyWay::Import(ImportWay::Wallet) => {
            ("Import a Bittensor wallet", "A hotkey that btcli keeps on this machine.")
        }
        KeyWay::Later => (
            "Decide later",
            "Hearth cannot mine until there is a key: `hearth setup` comes back here.",
        ),
    }
}

/// A way to a payout address, and what it means.
pub fn pay_way(way: PayWay) -> (&'static str, &'static str) {
    match way {
        PayWay::Keep => ("Pay the address below", "Nothing changes."),
        PayWay::Paste => ("Paste an address", "The address of your coldkey. It begins with 5."),
        PayWay::Make => (
            "Make a coldkey here",
            "Offline. You write its words on paper; Hearth keeps the address and forgets the secret.",
        ),
        PayWay::Later => (
            "Decide later",
            "You work unpaid until there is an address; nothing is paid later for that time.",
        ),
    }
}

/// Said on every screen about payouts.
pub const NEVER_ASKED: &str =
    "Hearth never asks for the secret of a coldkey you have. If anything does, refuse.";

/// The title of a step of the third screen.
pub fn step(step: &Step) -> &'static str {
    match step {
        Step::Choose { .. } => " Your hotkey ",
        Step::Words(drawn) => match drawn.purpose {
            Purpose::Hotkey => " Write these words on paper: your hotkey ",
            Purpose::Coldkey => " Write these words on paper: your coldkey, your money ",
        },
        Step::Quiz(..) => " Three of the words, please ",
        Step::Import(ImportWay::Words, _) => " Import words ",
        Step::Import(ImportWay::Seed, _) => " Import a seed ",
        Step::Import(ImportWay::Wallet, _) => " Import a Bittensor wallet ",
        Step::Pick { .. } => " Which hotkey? ",
        Step::Passphrase { .. } => " A passphrase for the encrypted file ",
        Step::Payout { .. } => " Who is paid ",
        Step::Address { .. } => " Payout address ",
        Step::ColdkeyFile { .. } => " An encrypted file as well? ",
        Step::ColdkeyMade { .. } => " Your coldkey ",
    }
}

/// Under words that are shown.
pub fn words_advice(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Hotkey => {
            "They are shown now and never again. Who has them can mine in your name. Not in a file, \
             not in a photo."
        }
        Purpose::Coldkey => {
            "They are shown now and never again. Who has them has your money; without them it is \
             lost. Not in a file, not in a photo."
        }
    }
}

/// What is to be typed at a step.
pub fn prompt(step: &Step) -> String {
    match step {
        Step::Quiz(_, quiz) => format!("Word number {}:", quiz.number()),
        Step::Import(ImportWay::Words, _) => {
            "12 to 24 words with spaces between them; they are checked before they are kept.".into()
        }
        Step::Import(ImportWay::Seed, _) => "64 characters 0-9 and a-f; 0x may come first.".into(),
        Step::Import(ImportWay::Wallet, _) => {
            "The folder that holds the wallets; empty for ~/.bittensor/wallets".into()
        }
        Step::Passphrase { form, .. } => match form.first() {
            None => format!("At least {FEWEST} characters. Hearth asks for it at every start."),
            Some(_) => "The same once more:".into(),
        },
        Step::Address { .. } => "Begins with 5, 48 characters in all:".into(),
        Step::ColdkeyFile { form, .. } => match form.first() {
            None => {
                "A password for a file that btcli can read, in ~/.bittensor/wallets; or Enter for no \
                 file:"
                    .into()
            },
            Some(_) => "The same once more:".into(),
        },
        _ => String::new(),
    }
}

/// The label of a row of the fourth screen.
pub fn row(row: Row) -> &'static str {
    match row {
        Row::Backend => "what computes",
        Row::Threads => "processor threads",
        Row::Network => "network",
        Row::Server => "server's address",
        Row::Join => "how it joins",
    }
}

/// What a row of the fourth screen means.
pub fn row_advice(row: Row) -> &'static str {
    match row {
        Row::Backend => {
            "auto takes a GPU if there is one, else the processor. wgpu insists on a GPU; cpu leaves \
             it alone."
        }
        Row::Threads => {
            "How many of the processor's threads compute, where the processor does. Fewer leave room \
             for other programs."
        }
        Row::Network => {
            "mainnet is the one that pays. testnet is the operator's, for tests. practice is a swarm \
             inside this machine, which needs no key and goes on where it stopped."
        }
        Row::Server => "Where the orchestrator of a swarm that somebody hosts answers.",
        Row::Join => {
            "pool needs no registration on the chain and pays your payout address. metagraph is for a \
             hotkey that is registered on subnet 9; the chain pays its owner."
        }
    }
}

/// The names of the backends, longer than in the settings.
pub const BACKEND_WORDS: [&str; 3] = ["auto", "wgpu (a GPU)", "cpu (the processor)"];
/// The names of the networks; the last is any other.
pub const NETWORK_WORDS: [&str; 4] =
    ["mainnet", "testnet", "practice (this machine alone)", "another server"];

/// How many threads compute.
pub fn threads(threads: Option<usize>, cores: usize) -> String {
    threads.map_or_else(|| format!("all {cores}"), |threads| format!("{threads} of {cores}"))
}

/// Nobody is paid.
pub const UNPAID: &str = "nobody: you work unpaid until there is an address";
/// The chain pays.
pub const PAID_BY_CHAIN: &str = "the hotkey's owner, by the chain";
/// Nothing was said about the payout.
pub const UNDECIDED: &str = "not decided yet";
/// After a coldkey was made.
pub const FORGOTTEN: &str = "Its secret is forgotten here: only what you wrote down holds it.";
/// There is no key.
pub const NO_KEY: &str = "none yet: Hearth cannot mine until there is one";

/// What comes next, at the end.
pub fn next(wizard: &Wizard) -> String {
    match &wizard.saving {
        Saving::NotYet | Saving::Asked => "Saving …".into(),
        Saving::Failed(why) => format!("Not saved: {why} Enter tries again."),
        Saving::Done(path) if wizard.can_mine() => format!(
            "Saved in {path}. Enter starts mining now; later it is just `hearth`. `hearth setup` \
             comes back here."
        ),
        Saving::Done(path) => format!(
            "Saved in {path}. There is no key yet, so Enter leaves; `hearth setup` comes back here."
        ),
    }
}

/// The keys that do something now: the key, and what it does.
pub fn keys(wizard: &Wizard) -> Vec<(&'static str, &'static str)> {
    let mut keys = Vec::new();
    match wizard.screen {
        Screen::Machine => {
            keys.extend([("Enter", "next"), ("l", "test the link"), ("t", "test again")]);
        }
        Screen::Practice => keys.extend([("Enter", "next"), ("Esc", "back"), ("s", "stop/start")]),
        Screen::Key if wizard.key.busy.is_some() => keys.push(("Esc", "give up")),
        Screen::Key => {
            let menu = matches!(
                wizard.key.step,
                Step::Choose { .. } | Step::Payout { .. } | Step::Pick { .. }
            );
            if menu {
                keys.push(("Up/Down", "choose"));
            }
            keys.extend([("Enter", "next"), ("Esc", "back")]);
            if wizard.key.is_typing() {
                keys.push(("Ctrl-U", "clear"));
            }
        }
        Screen::Limits => keys.extend([
            ("Up/Down", "choose"),
            ("Left/Right", "change"),
            ("Enter", if wizard.limits.page == Page::Work { "next" } else { "save" }),
            ("Esc", "back"),
        ]),
        Screen::Ready => keys.extend([("Enter", "start"), ("Esc", "back")]),
    }
    keys.push(if wizard.is_typing() { ("Ctrl-C", "leave") } else { ("q", "leave") });
    keys
}

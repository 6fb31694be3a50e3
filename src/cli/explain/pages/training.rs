//! What can happen while a miner works.

use crate::cli::explain::{Page, page};

/// The pages of this chapter.
pub(in crate::cli::explain) const PAGES: &[Page] = &[
    page(
        "stage-too-large",
        "The stage does not fit",
        "The stage that the network gave needs more memory than there is.",
        "Other programs hold memory, or the card is small.",
        "Close other programs, or use a machine with more memory; the line has the numbers.",
    ),
    page(
        "work-lost",
        "An activation was lost",
        "Work that was in hand was thrown away.",
        "Its gradient did not come in time, or the stage was rebuilt.",
        "Nothing: the network hands lost work out again.",
    ),
    page(
        "weights-incomplete",
        "Not all merged weights came",
        "Some partitions could not be loaded; the own weights are kept there.",
        "Their mergers failed, or the store did not have them.",
        "Nothing: the next merge brings them.",
    ),
    page(
        "weights-not-finite",
        "The weights were no numbers",
        "A step produced infinite or undefined numbers; they are not sent.",
        "A bad activation from another miner, or a fault of the card.",
        "Nothing, if it happens once: the weights of the epoch's start are taken again. If \
         often, run `hearth bench`.",
    ),
    page(
        "snapshot-not-written",
        "The snapshot could not be written",
        "What this miner learns from now on would be lost with the process. Training goes on, and \
         writing is tried again.",
        "The disk is full or read-only.",
        "Make room or give permission. A first snapshot that cannot be written ends the \
         miner.",
    ),
    page(
        "snapshot-damaged",
        "A snapshot is damaged",
        "A snapshot or the journal of the work after it does not match its checksum, or cannot be \
         done again. The one before is used, or none.",
        "The disk is failing, or somebody changed the file. A power cut alone does not do this.",
        "Nothing. If it happens again, check the disk.",
    ),
    page(
        "snapshot-written-again",
        "Snapshots are written again",
        "What this miner learned while they could not be written is safe now.",
        "There is room again, or the folder can be written again.",
        "Nothing.",
    ),
    page(
        "epoch-resumed",
        "The epoch goes on where this miner stopped",
        "Its weights, its optimizer and the work of the epoch were on the disk, and the network is \
         still in that epoch.",
        "The program or the machine was stopped, or the network asked the miner to register again.",
        "Nothing: only what was being computed at that moment is done again by others.",
    ),
    page(
        "work-of-other-weights",
        "The work of the epoch cannot go on",
        "The network lists other merged weights than those with which this miner began the epoch.",
        "The run was set back or replaced while the miner was away.",
        "Nothing: the listed weights are loaded. The optimizer is kept.",
    ),
    page(
        "epoch-missed",
        "An epoch was missed",
        "The stage went on to another epoch while this miner was busy.",
        "It was slower than the others, or its network was away.",
        "Nothing: it loads the new weights.",
    ),
    page(
        "upload-too-slow",
        "The upload will be late",
        "At its present speed the upload misses its deadline.",
        "The line is slow, or others use it.",
        "Stop other uploads; a cable is often faster than Wi-Fi.",
    ),
    page(
        "upload-limit-too-low",
        "Your own limit makes the upload late",
        "The upload cannot be there in time at the speed that `upload_limit` allows, however good the \
         line is; what comes too late does not count.",
        "The limit is lower than the size of the stage divided by the time that the network gives, or \
         several devices share it.",
        "`hearth config set upload_limit 50` (in Mbit/s), or off. A running miner takes it up with \
         SIGHUP, or at its next start.",
    ),
    page(
        "upload-too-late",
        "The upload was late",
        "The stage went on before the upload was complete, so this epoch's work does not \
         count.",
        "The line was too slow for the part that was to be sent.",
        "Nothing now: the next epoch counts again.",
    ),
    page(
        "stage-stuck",
        "Another stage holds the run up",
        "A stage has not finished its phase for many minutes, and all wait for it.",
        "Its miners are gone or slow.",
        "Nothing: the network must end it; this miner keeps its place.",
    ),
    page(
        "queue-set-back",
        "The place in the queue went back",
        "The server moved this miner back in the registration queue.",
        "The queue is the server's, which reorders it.",
        "Nothing: the ticket is kept.",
    ),
    page(
        "queue-payload-mismatch",
        "An earlier request is kept",
        "The server goes by an earlier registration request of this hotkey.",
        "The same hotkey asked before, perhaps on another machine.",
        "Use each hotkey on one machine only.",
    ),
    page(
        "queue-not-kept",
        "The ticket cannot be kept on disk",
        "The place in the queue is held, but a restart would lose it.",
        "The disk is full or read-only.",
        "Make room or give permission.",
    ),
];

//! Several devices in one process.

use crate::cli::explain::{Page, page};

/// The pages of this chapter.
pub(in crate::cli::explain) const PAGES: &[Page] = &[
    page(
        "devices",
        "The devices were looked at",
        "The check that every device of the setting `devices` is there and has a hotkey of its own.",
        "A device that is missing, or two that share a key, keep the whole run from starting.",
        "Nothing: all are there.",
    ),
    page(
        "device-unknown",
        "A device is not there",
        "One of the devices in `devices`, or of a `--device` flag, is not in this machine or cannot be \
         used.",
        "A typing error, a card that was taken out, or a driver that is not loaded.",
        "`hearth devices` lists what is there and how to write it.",
    ),
    page(
        "device-ambiguous",
        "A name fits several devices",
        "More than one card has the words that you wrote in its name.",
        "Two cards of the same sort have the same name.",
        "Write the place instead, such as wgpu:0; `hearth devices` lists them.",
    ),
    page(
        "device-twice",
        "A device was named twice",
        "Two entries of `devices` mean the same piece of hardware.",
        "A card was written by its place and by its name, or once for each interface it has.",
        "Take one of the two out: a device mines with one hotkey.",
    ),
    page(
        "hotkey-repeated",
        "A hotkey was named twice",
        "Two devices have the same hotkey, perhaps under two names.",
        "The network knows a miner by its hotkey: two with one key would take each other's place.",
        "Give each device a key of its own: `hearth keys new --from NAME --device 2` makes one that \
         comes from the same words.",
    ),
    page(
        "cpu-threads",
        "The processor leaves a core free",
        "The processor mines beside other devices, with one thread less than it has cores.",
        "A card that waits for the processor computes slower; one core keeps it busy.",
        "Nothing. `--cpu-threads N` sets another number.",
    ),
    page(
        "switch-not-kept",
        "A switch could not be kept",
        "A miner was switched off or on, but that could not be written down.",
        "The disk is full, or the state folder cannot be written.",
        "Make room or give permission, then switch it once more; until then it holds for this run only.",
    ),
];

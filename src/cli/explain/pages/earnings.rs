//! Codes of the ledger and of what networks publish of their pay.

use crate::cli::explain::{Page, page};

/// The pages of this chapter.
pub(in crate::cli::explain) const PAGES: &[Page] = &[
    page(
        "ledger-missing",
        "There is no ledger yet",
        "No file with earnings lies where it was looked for.",
        "No miner has run on this machine since ledgers are kept, or another folder is looked into.",
        "Start a miner with `hearth run`; a ledger from elsewhere is read with \
         `hearth earnings --ledger FILE`.",
    ),
    page(
        "ledger-unusable",
        "The ledger cannot be used",
        "The file with the earnings cannot be opened, read or written.",
        "The folder is not writable, the disk is full, or the file belongs to another user.",
        "Check the folder and the disk. Mining goes on meanwhile; what could not be entered is tried \
         again.",
    ),
    page(
        "ledger-newer",
        "The ledger is of a newer Hearth",
        "The file has a form that this version does not know. It was left as it is.",
        "A later version of Hearth has written it, here or on another machine.",
        "Update Hearth, or read it with the version that wrote it.",
    ),
    page(
        "ledger-foreign",
        "That is no ledger of Hearth",
        "The file is a database of another program. It was left as it is.",
        "Another program's file lies where the ledger should be, or the wrong file was named.",
        "Move that file away, or name the right one.",
    ),
    page(
        "ledger-damaged",
        "The ledger is damaged",
        "What lies in the file is not what was written.",
        "A fault of the disk, a copy that broke off, or somebody changed it.",
        "Nothing is removed: the next `hearth run` gives the file the ending .damaged with the time, \
         and begins a new one. What the network still publishes comes back by itself; older rows can \
         be read from a backup with `hearth earnings --ledger FILE`.",
    ),
    page(
        "pay-unreadable",
        "The network's word on its pay cannot be read",
        "An answer about scores or pay is not what the question asks for.",
        "The server is busy and answers with a web page, lacks a figure, or has changed its form.",
        "Nothing: the answer is kept as it came, and what it should have told counts as unknown. If it \
         lasts, look for an update of Hearth.",
    ),
    page(
        "pay-newer",
        "The network publishes its pay in a newer form",
        "The answer says that it has a form which this version does not know.",
        "The network was updated.",
        "Update Hearth. The answers are kept, so nothing is lost until then.",
    ),
    page(
        "scores-not-finite",
        "A score is no number",
        "Among the published scores is one that is not a finite number.",
        "A fault of the network's operator.",
        "Nothing: shares cannot be reckoned from such scores, so they count as unknown. The answer is \
         kept as it came.",
    ),
    page(
        "scores-not-a-share",
        "A share lies outside 0 and 1",
        "A run's incentive, active part or burn is published as less than nothing or more than all.",
        "A fault of the network's operator.",
        "Nothing: pay cannot be reckoned from it, so it counts as unknown. The answer is kept as it \
         came.",
    ),
];

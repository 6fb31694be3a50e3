//! Codes of records, bug reports and alerts.

use crate::cli::explain::{Page, page};

/// The pages of this chapter.
pub(in crate::cli::explain) const PAGES: &[Page] = &[
    page(
        "record-missing",
        "There is no such record",
        "Neither a file nor a record in the list has that name.",
        "The oldest records are removed when all together take more room than record_keep allows.",
        "Run `hearth replay` for the list, or give the path of a file.",
    ),
    page(
        "record-unreadable",
        "The record cannot be read",
        "The system does not let Hearth read the file.",
        "It belongs to another user, or the disk has a fault.",
        "Check the file's permissions, and the disk.",
    ),
    page(
        "record-foreign",
        "That is no record",
        "The file is not the record of a run.",
        "Records end in .record and lie in the folder `records` in the state folder.",
        "Run `hearth replay` for the list.",
    ),
    page(
        "record-newer",
        "The record is of a newer Hearth",
        "Its format is a later one than this version reads.",
        "It was written by a later version, here or on another machine.",
        "Play it with that version, or a later one.",
    ),
    page(
        "record-damaged",
        "The record is damaged",
        "What lies in the file is not what was written.",
        "A fault of the disk, a copy that broke off, or somebody changed it. A record that merely \
         ends in a crash is not damaged: it plays up to there.",
        "Copy it again from where it came; else remove it.",
    ),
    page(
        "record-other",
        "The record shows what this version does not know",
        "The record can be read, but the state in it is of a version with other fields.",
        "The dashboard of each version shows its own fields.",
        "Play it with the version that the message names, or look at its events with --json.",
    ),
    page(
        "record-empty",
        "There is nothing in the record",
        "The run ended before anything was written down.",
        "Hearth was stopped in its first second, or the disk was full.",
        "Nothing: play another one.",
    ),
    page(
        "report-exists",
        "There is a file of that name",
        "The report is not written over a file that is there.",
        "It may be an earlier report that somebody still needs.",
        "Name another file with --output, or move the old one away.",
    ),
    page(
        "report-failed",
        "The report could not be packed",
        "Something went wrong while the report's archive was made.",
        "The memory may be full.",
        "Try again; `hearth doctor --json` alone says much too.",
    ),
    page(
        "alerts",
        "Alerts, and the ways they go",
        "The words of alert_on: fault (a miner cannot go on), needs-you (somebody must act), crash-loop \
         (it broke again and again), disk, kicked (the network dropped or froze the miner), \
         paused-by-rule, device-lost, upload-late, no-work (none for half an hour), recovered (it \
         trains again).",
        "Nothing is sent anywhere until a channel is set up, and none needs an account with us.",
        "Set alert_desktop, alert_webhook, alert_ntfy, alert_kuma or alert_command (`hearth config \
         set alert_desktop true`), choose the words with alert_on, and try them: `hearth alerts test`.",
    ),
    page(
        "alert-failed",
        "A channel for alerts does not take them",
        "A test was sent through every channel, and at least one did not take it.",
        "The address may be wrong, the server down, the program missing, or nobody is logged in at \
         the desktop.",
        "Read what it says of that channel, correct its setting, and try again with `hearth alerts \
         test`.",
    ),
];

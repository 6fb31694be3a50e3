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
    page(
        "zero-not-running",
        "The miner did not work",
        "Nothing was paid because no miner worked on this machine in that time.",
        "It was not started, was paused, or waited in the queue the whole time.",
        "Start it with `hearth run`, or look with `hearth status` which rule pauses it.",
    ),
    page(
        "zero-not-registered",
        "The chain does not know the hotkey",
        "Nothing can be paid to a hotkey that is not registered on the subnet.",
        "It was never registered, or another one has taken its place since.",
        "Register it again, or join the pool (`join = pool`), which needs no registration.",
    ),
    page(
        "zero-benched",
        "The network let it wait",
        "Most of the time went by on the bench: the network gave this miner no work.",
        "It joined in the middle of an epoch, or did not keep up, and waits for the next one.",
        "Nothing if it has just joined. If it lasts, `hearth logs` has the network's reason.",
    ),
    page(
        "zero-slept-through-merge",
        "It slept through the merge",
        "The epoch's work was not handed in, because the machine was away when the others merged.",
        "The computer slept, was switched off, or a rule paused it at the wrong time.",
        "Keep it awake (`keep_awake`), and set hours that are longer than an epoch.",
    ),
    page(
        "zero-no-weights",
        "Its weights did not come",
        "The network pays for weights that are handed in. This miner's did not come in time.",
        "The upload was too slow or broke off, or it stopped before the epoch's end.",
        "Look at the uploads in `hearth earnings report`, and at the line with `hearth doctor`.",
    ),
    page(
        "zero-too-few-activations",
        "It did too little that counts",
        "No backward and no partition was counted for it.",
        "The session was short: the first forwards wait for the answers of others. Or its neighbours did not work.",
        "Let it run longer at a time.",
    ),
    page(
        "zero-not-validated",
        "Its work was scored as nothing",
        "Work was handed in, and validators gave it no score, or a negative one.",
        "They found it wrong, or the score of that window is not there yet.",
        "Run `hearth devices` to test the device. If it is right, ask the operator with the epoch's number.",
    ),
    page(
        "zero-run-vanished",
        "Its run is not paid any more",
        "The run that it worked in is not among those that get a share.",
        "The run was ended or renamed.",
        "Start the miner again: it is given a run that is paid.",
    ),
    page(
        "zero-runs-overclaim",
        "The runs claim more than there is",
        "Together the runs claim more than the whole. Then nobody is paid, and all is burnt.",
        "A fault in the operator's settings.",
        "Nothing here can change it. It ends when the operator corrects the shares.",
    ),
    page(
        "zero-no-payout-address",
        "The network knew no address to pay",
        "Work was counted, but without an address it is paid to nobody.",
        "payout_address was not set, or was set after the work was done.",
        "Set it: `hearth config set payout_address ADDRESS`, and start again.",
    ),
    page(
        "zero-other-stage",
        "Another stage failed",
        "This miner's work was whole, but the weights of another stage did not come, and the loss reached no new minimum.",
        "A model is trained by all stages together; pay of a period is frozen unless the loss falls.",
        "Nothing: what is frozen is paid after a period in which the loss reaches a new minimum.",
    ),
    page(
        "zero-frozen",
        "The period is frozen",
        "The loss reached no new minimum in that period, so what was earned waits.",
        "The network's rule: a period counts when the loss falls to a new minimum.",
        "Nothing: what is frozen is paid after a period in which it does.",
    ),
    page(
        "zero-below-minimum",
        "Less than the minimum is owed",
        "It earned, but less than the least amount that is paid out.",
        "A transfer costs something; small amounts are collected.",
        "Nothing: it rolls over, and is paid when the minimum is reached. `hearth earnings` shows how far it is.",
    ),
    page(
        "zero-unknown",
        "Nobody says why",
        "Neither the network nor the chain told anything from which a reason follows.",
        "Most networks publish neither scores nor losses to miners.",
        "Look again tomorrow. With `chain_endpoint` set, the chain is asked what has come.",
    ),
];

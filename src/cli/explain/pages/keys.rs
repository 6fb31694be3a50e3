//! Keys, and who is paid.

use crate::cli::explain::{Page, page};

/// The pages of this chapter.
pub(in crate::cli::explain) const PAGES: &[Page] = &[
    page(
        "hotkey",
        "The hotkey was looked at",
        "The check that there is a key that can sign this miner's requests.",
        "Without it no network knows who did the work.",
        "Nothing: it is there.",
    ),
    page(
        "keyring",
        "The keyring was looked at",
        "The check that the system's keyring can be read.",
        "It is tried before it is trusted with a key.",
        "Nothing: it can.",
    ),
    page(
        "keyring-locked",
        "The keyring is locked",
        "The system's keyring is there, but somebody must unlock it.",
        "It is unlocked by a login at the desktop; a session over SSH or a service does not do that.",
        "Log in at the desktop, or keep the key in a file: `hearth keys move --to file`, with a passphrase file for services.",
    ),
    page(
        "keyring-absent",
        "There is no keyring",
        "The system has no keyring that answers.",
        "Servers, containers and WSL have none.",
        "Nothing: keys are kept in encrypted files. `hearth keys list` names where each is.",
    ),
    page(
        "key-store",
        "The kept key cannot be found",
        "The key that the settings name is not among the kept ones, or the list cannot be read.",
        "It was removed, renamed, or kept by another user.",
        "`hearth keys list` shows what there is; `hearth config set hotkey NAME` chooses one.",
    ),
    page(
        "no-hotkey",
        "There is no hotkey",
        "No key is set, so no network can be joined; the practice swarm needs none.",
        "This is normal before the first setup.",
        "`hearth setup`, or `hearth keys new`.",
    ),
    page(
        "key-file",
        "The hotkey file cannot be used",
        "The file is missing, encrypted, damaged, or holds something else.",
        "Often it is the coldkey's file, or the public half.",
        "Name the file from wallets/NAME/hotkeys/, or make a new key with `hearth keys \
         new`. Never give a mining machine your coldkey.",
    ),
    page(
        "key-readable",
        "Others can read the key",
        "The file with the secret key is open to other users of this machine.",
        "It was copied, or unpacked from an archive.",
        "`chmod 600 FILE`. If strangers use this machine, make a new key.",
    ),
    page(
        "hotkey-twice",
        "The hotkey works twice",
        "Two devices were given the same hotkey, or the network's registry shows another peer under this \
         miner's hotkey, again and again: both take each other's place, and both lose what they earn.",
        "The same key file or words are in use on a second device or machine; or an old Hearth still \
         runs somewhere. Rarely, a stranger writes to the registry, which anybody can.",
        "Stop one of them. Give each device its own hotkey: `hearth keys new --from NAME \
         --device 2` makes one from the same words.",
    ),
    page(
        "payout",
        "The payout address was looked at",
        "The check that somebody is paid for the work.",
        "The pool pays the address that was named while the work was done, and nobody for \
         the time before.",
        "Nothing: somebody is paid.",
    ),
    page(
        "payout-unset",
        "Nobody is paid",
        "No payout address is set, and the miner is to join the pool.",
        "The address was left for later, or forgotten.",
        "`hearth config set payout_address ADDRESS`; `hearth keys new --payout` makes one; \
         --accept-unpaid works without.",
    ),
    page(
        "payout-not-told",
        "The payout address could not be told",
        "The network did not take the address of who is paid.",
        "It did not answer when the place in the queue was used.",
        "Start Hearth again once the network answers; it tells the address anew.",
    ),
    page(
        "attestation-missing",
        "The attestation program failed",
        "The program of yours that proves what this machine is gave no answer that can be \
         sent, so null is sent.",
        "It failed, took too long, or wrote something else than JSON.",
        "Nothing, if the network takes null; else run the program by hand and correct it.",
    ),
    page(
        "attestation-null",
        "No attestation is sent",
        "Where the operator's own app sends a proof of the hardware, Hearth sends null.",
        "Hearth has no such proof, and pretends nothing.",
        "Nothing. A run that insists on a proof refuses this miner, with a line that says so.",
    ),
    page(
        "key-name",
        "The key's name does not fit",
        "The command names a key that is not kept here, or one that is there already, or does not say \
         which of several.",
        "Each key has one name, and each is kept once.",
        "`hearth keys list` shows them all; the setting `hotkey` says which one mines.",
    ),
    page(
        "passphrase-wrong",
        "The passphrase is wrong",
        "The encrypted key file does not open with what was given.",
        "It was mistyped, the passphrase file belongs to another key, or the key file was edited.",
        "Try again. If it is lost, `hearth keys remove NAME` and `hearth keys import` with the key's \
         words; nobody can open the file without it.",
    ),
    page(
        "passphrase-missing",
        "There is no passphrase",
        "The key is in an encrypted file, and its passphrase was not given or cannot be used.",
        "Nobody sits at a terminal to be asked, the two entries differ, or the passphrase file is \
         missing or open to others.",
        "Run the command at a terminal, or give `--passphrase-file FILE`, the setting \
         `passphrase_file`, or the systemd credential `hearth-passphrase`. On Linux `hearth keys \
         unlock` remembers the key until a restart.",
    ),
    page(
        "key-damaged",
        "A kept key is damaged or gone",
        "What the store gives back is not the key that was put there.",
        "The file was cut off, edited or exchanged, or the keyring was emptied or set up anew.",
        "Put a copy of the file back; or `hearth keys remove NAME`, then `hearth keys import` with \
         the key's words.",
    ),
    page(
        "key-files",
        "The files of the keys cannot be used",
        "The list of keys or a key file in the data folder cannot be read or may not be written over.",
        "Permissions, a damaged disk, an older or newer Hearth, or a file that somebody put there.",
        "Do what the line says. `keys.json.old` beside the list is the list as it was before.",
    ),
];

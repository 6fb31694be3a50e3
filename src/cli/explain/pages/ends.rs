//! How a command ends when it cannot do its work.

use crate::cli::explain::{Page, page};

/// The pages of this chapter.
pub(in crate::cli::explain) const PAGES: &[Page] = &[
    page(
        "failed",
        "Something failed",
        "The command could not go on, and no more precise code fits.",
        "The line above the code says what happened.",
        "Do what the line says. If it happens again, look at the log with RUST_LOG=debug \
         and report it.",
    ),
    page(
        "usage",
        "The command line makes no sense",
        "A flag, a value or a command is not known, or two of them contradict each other \
         (exit code 2).",
        "A typing error, or a command of another version.",
        "`hearth --help` and `hearth COMMAND --help` list what there is.",
    ),
    page(
        "configuration",
        "A setting is missing or wrong",
        "The settings, a flag or a run's text cannot be used as they are (exit code 3).",
        "The line above the code names the setting and what it may be.",
        "`hearth config check` looks at all settings; `hearth config set KEY VALUE` changes \
         one.",
    ),
    page(
        "key-unusable",
        "The key is missing or locked",
        "The command needs a hotkey that can sign, and has none (exit code 4).",
        "No key was made, the file is elsewhere, or the store is locked.",
        "`hearth keys list` shows what there is; `hearth keys new` makes one; unlock the \
         keyring or give the passphrase.",
    ),
    page(
        "version-refused",
        "The network wants another version",
        "The server refuses this version of Hearth or of the protocol (exit code 5).",
        "The network changed its rules, and this program is older, or newer, than they are.",
        "Install the newest Hearth. If there is none yet, wait: nothing here is broken.",
    ),
    page(
        "refused",
        "The network refused this miner",
        "The server will not take this miner, and no repetition changes that (exit code 6).",
        "The hotkey is not registered, is banned, or the run wants something that this \
         machine does not send.",
        "Read the server's words in the line. Joining as one of the pool needs no \
         registration.",
    ),
    page(
        "no-device",
        "No device can be used",
        "There is no card or processor that can do the work asked for (exit code 7).",
        "No driver, no permission, or a device that failed its self-test.",
        "`hearth devices` says why each is refused; `hearth doctor` says what to do; \
         `--backend cpu` uses the processor.",
    ),
    page(
        "disk-unusable",
        "The disk cannot be used",
        "A file could not be written or read (exit code 8).",
        "The disk is full, read-only, or belongs to another user.",
        "Make room or give permission, or set HEARTH_HOME to another folder.",
    ),
    page(
        "already-running",
        "Hearth already runs here",
        "Two of them would write the same files, and two miners with one key would take each \
         other's place, so the second does not start (exit code 9).",
        "A service, or another terminal, runs it already. The line names the process.",
        "`hearth` shows the one that runs, `hearth stop` stops it. A second one beside it \
         needs files of its own (HEARTH_HOME) and another hotkey.",
    ),
    page(
        "interrupted",
        "Stopped at once",
        "The second Ctrl-C ended the program without waiting (exit code 130).",
        "The first asks for an orderly stop, which takes a moment.",
        "Nothing: what was finished is on disk. One Ctrl-C alone lets the work in hand be finished.",
    ),
    page(
        "fault-in-hearth",
        "A fault in Hearth",
        "A part of the program ended in a way that it never should.",
        "This is a bug, not something you did.",
        "Please report it with the line above, and with the report whose place the line tells. \
         Starting again is safe: nothing on disk is lost.",
    ),
    page(
        "no-threads",
        "The system gives no threads",
        "A thread that Hearth needs could not be started.",
        "The user's limit of processes is reached, or memory is out.",
        "Close other programs, or raise the limit (`ulimit -u`); in a container, its limit of processes.",
    ),
    page(
        "terminal-lost",
        "The terminal cannot be used",
        "The terminal was closed, or does not do what a screen needs.",
        "A window that was closed, a broken connection, or a terminal of an unusual kind.",
        "Start it in another terminal, or with --headless.",
    ),
    page(
        "output-lost",
        "The output cannot be written",
        "What the command prints could not be written.",
        "The file that it was sent to is on a full disk, or the program that read it failed.",
        "Make room, or send the output elsewhere.",
    ),
    page(
        "text-unusable",
        "The text to train on cannot be used",
        "The practice swarm's text or tokenizer cannot be read, or is too short.",
        "The file is missing, is not text, or does not fit the preset.",
        "Name another file with --corpus or --tokenizer, or leave both out to use the \
         built-in text.",
    ),
    page(
        "practice-swarm",
        "The practice swarm could not go on",
        "The swarm inside this program stopped.",
        "Its port or folder cannot be used, or one of its parts failed; the line says which.",
        "Try again with --port 0 and room on the disk. If it happens again, report it.",
    ),
    page(
        "crash-loop",
        "Hearth crashed again and again",
        "The last three runs ended without a word within ten minutes, so this start does not mine \
         (exit code 1).",
        "A driver, memory or the disk fails, something kills the program, or it has a fault. The \
         line tells when it happened, and the last words of the log or the report of the fault.",
        "Look for the cause with `hearth doctor` and in the log files. `hearth run --again` starts \
         it all the same, and so does waiting until ten minutes have passed. A service of systemd \
         needs `systemctl reset-failed hearth` first.",
    ),
    page(
        "service-failed",
        "The service could not be made, asked for or taken away",
        "The program that starts services on this system did not do what it was asked for.",
        "It is not here, it does not run (as in most containers), or only an administrator may.",
        "`hearth service install --print` shows what would be written, to be put in place by hand; \
         or start `hearth run --headless` by other means.",
    ),
    page(
        "practice-other",
        "The kept practice swarm is another one",
        "The practice swarm in the data folder was begun with another preset (exit code 3).",
        "A swarm keeps its model for as long as it lives; its weights fit no other.",
        "Leave --preset out to go on with it, or move the folder that the line names away to \
         begin a new one.",
    ),
    page(
        "practice-damaged",
        "The notes of the kept practice swarm cannot be read",
        "The file that says what the practice swarm is cannot be understood (exit code 3).",
        "It was changed by hand, damaged, or written by a newer Hearth.",
        "Update Hearth, or move the practice folder away: the next start begins a new swarm. \
         Nothing else is lost.",
    ),
];

//! The miner that runs, its local API and the commands that use it.

use crate::cli::explain::{Page, page};

/// The pages of this chapter.
pub(in crate::cli::explain) const PAGES: &[Page] = &[
    page(
        "not-running",
        "No Hearth runs here",
        "The command is for a running miner, and none runs in these folders (exit code 40).",
        "It was never started, has ended, was killed, or runs as another user or under \
         another HEARTH_HOME.",
        "`hearth` or `hearth run` starts one. For one of another user, run the command as \
         that user.",
    ),
    page(
        "still-starting",
        "The miner is still starting",
        "A Hearth runs here, but cannot be talked to yet.",
        "It opens its key or tests its device first, which may take a minute.",
        "Try again in a moment.",
    ),
    page(
        "api-silent",
        "The running miner does not answer",
        "The process is there, but did not answer within five seconds.",
        "It was stopped (Ctrl-Z or a debugger), or the machine is far too busy.",
        "`fg` or `kill -CONT` lets a stopped process go on. Otherwise end that process: \
         nothing on disk is lost.",
    ),
    page(
        "api-refused",
        "The running miner refused the command",
        "The command arrived, and is not carried out.",
        "The line above says why.",
        "Do what the line says.",
    ),
    page(
        "api-not-understood",
        "The running miner answers in an unknown way",
        "The program that runs and the one that you started do not understand each other.",
        "One of them is of another version, for example after an upgrade.",
        "Stop the running one with Ctrl-C or `kill`, and start it again.",
    ),
    page(
        "api-port-taken",
        "The port of the local API is taken",
        "The setting api_port names a TCP port that another program listens on.",
        "Another service, or a Hearth under another HEARTH_HOME, has it.",
        "`hearth config set api_port 0` takes any free port.",
    ),
    page(
        "api-port-refused",
        "The local API cannot listen",
        "The system does not let Hearth listen on 127.0.0.1.",
        "A port below 1024, or a container without a loopback device.",
        "`hearth config set api_port 0` takes any free port; give the container a loopback \
         device.",
    ),
    page(
        "api-token-missing",
        "A request to the local API has no token",
        "Only who can read the token may look at the miner or command it.",
        "The header is missing.",
        "Send `Authorization: Bearer TOKEN`; the token is in the file api.token of the state \
         folder.",
    ),
    page(
        "api-token-wrong",
        "A request to the local API has a wrong token",
        "The token is not the one of this run.",
        "Each start draws a new one.",
        "Read the file api.token of the state folder again.",
    ),
    page(
        "api-foreign-host",
        "A request to the local API was sent to a foreign name",
        "The request's Host is not 127.0.0.1 or localhost with the port of the API. A web \
         page can make its own name point at this machine; such requests are refused.",
        "A web page tried it, or a program reaches the API through a forwarded port.",
        "Use 127.0.0.1 and the port in the file api.json; forward a port to the same number.",
    ),
    page(
        "api-foreign-origin",
        "A web page asked the local API",
        "The request has an Origin, so a page in a browser made it. Pages are not let in.",
        "A web page tried to reach the miner, or a program sets the header itself.",
        "Leave the header out in a program of your own.",
    ),
    page(
        "api-too-large",
        "A request to the local API is too large",
        "The body is larger than any command.",
        "The program sends something else.",
        "Send one command at a time; docs/api.md shows them.",
    ),
    page(
        "api-unknown-path",
        "The local API has nothing there",
        "The path of the request does not exist.",
        "A typing error, or a path of another version.",
        "docs/api.md lists all paths.",
    ),
    page(
        "api-wrong-method",
        "The local API is asked differently there",
        "The path exists, but not for this method.",
        "GET where POST is meant, or the other way round.",
        "docs/api.md says how each path is asked.",
    ),
    page(
        "api-unknown-command",
        "Not a command",
        "The body of the request is no command that Hearth knows.",
        "A typing error, or a command of another version.",
        "docs/api.md lists the commands.",
    ),
    page(
        "api-unknown-level",
        "Not a log level",
        "The body of the request names no level that Hearth knows.",
        "A typing error, or another program's words.",
        "Send error, warn, info, debug or trace.",
    ),
    page(
        "no-logs",
        "There are no log files",
        "Nothing was logged in these folders yet.",
        "No miner has run here, or it ran as another user or under another HEARTH_HOME.",
        "Start one with `hearth run`; demos write no log files.",
    ),
    page(
        "api-time-passed",
        "The time has passed",
        "The command names a time until which it shall last, and that time is over.",
        "The clock of the program that sent it is wrong, or the time is not in seconds.",
        "Send seconds since 1970.",
    ),
    page(
        "api-unknown-miner",
        "No miner of this name",
        "The command names a miner that this Hearth does not have.",
        "A typing error, or another number of devices than before.",
        "`hearth status` lists the miners.",
    ),
    page(
        "api-no-swarm",
        "No practice swarm here",
        "The command is for a practice swarm, and this run has none.",
        "The miner works for a network; only a practice swarm runs inside the same process.",
        "Start one with `hearth demo` or `hearth run --network practice`.",
    ),
    page(
        "api-miner-ended",
        "The miner has ended",
        "The command is for a miner that takes none any more.",
        "It has stopped, or cannot go on.",
        "`hearth status` says why; start it again when that is put right.",
    ),
    page(
        "not-ready",
        "The miner does not do what it is there for",
        "It neither trains, nor waits for the network or for others, nor was paused.",
        "It has just started, is stopping, cannot reach a server, or somebody must act.",
        "`hearth status` says which.",
    ),
];

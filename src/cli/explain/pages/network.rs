//! The chosen network, its servers, and how other miners reach this one.

use crate::cli::explain::{Page, page};

/// The pages of this chapter.
pub(in crate::cli::explain) const PAGES: &[Page] = &[
    page(
        "network",
        "The network is known",
        "The line that names the network, and whom the doctor asks.",
        "Nobody else is asked.",
        "Nothing.",
    ),
    page(
        "network-none",
        "No network is chosen",
        "The doctor asked nobody, since nothing says which network this machine is to join.",
        "Hearth sends nothing to anybody whom you did not choose.",
        "`hearth doctor --network mainnet` asks the network that pays; `hearth setup` saves a choice.",
    ),
    page(
        "offline",
        "Nobody was asked",
        "The doctor ran without the network, so servers, clock and reachability are not \
         known.",
        "It was started with --offline, or by a wizard that does not know the network yet.",
        "`hearth doctor` asks the chosen network.",
    ),
    page(
        "dns",
        "Names were looked up",
        "The check that the names of the network's servers lead to addresses.",
        "Nothing works without that.",
        "Nothing: they do.",
    ),
    page(
        "dns-failed",
        "A server's name cannot be looked up",
        "The system does not find an address for the server's name.",
        "There is no internet connection, or the name servers are wrong or block the name.",
        "Check the connection; try another network or name server.",
    ),
    page(
        "tls",
        "The certificate was looked at",
        "The check that the orchestrator proves who it is.",
        "Otherwise anybody on the way could answer in its place.",
        "Nothing: it does.",
    ),
    page(
        "tls-failed",
        "The certificate is not accepted",
        "The server's certificate does not prove who it is, so nothing is sent.",
        "A wrong date on this machine, a proxy or virus scanner that opens connections, or \
         a server that is not the right one.",
        "Set the clock; install the proxy's certificate in the system; never switch the \
         check off.",
    ),
    page(
        "not-encrypted",
        "The connection is open",
        "The swarm's address begins with http, so everybody on the way reads along.",
        "Whoever hosts it gave no certificate.",
        "Use it only within your own network, or ask for an https address.",
    ),
    page(
        "orchestrator",
        "The orchestrator answers",
        "The check that the server that hands out work answers.",
        "Without it there is no run and no stage.",
        "Nothing: it does.",
    ),
    page(
        "bridge",
        "The bridge answers",
        "The check that the server answers where miners find each other.",
        "Without it no peer's address is known.",
        "Nothing: it does.",
    ),
    page(
        "server-unreachable",
        "A server cannot be reached",
        "No connection to the server could be made.",
        "No internet, a firewall or proxy in between, or the server is down.",
        "Check the connection and that HTTPS to this host gets out. If all else works, \
         wait: Hearth tries again by itself.",
    ),
    page(
        "server-trouble",
        "A server has trouble",
        "The server answers, with an error of its own.",
        "It is being updated, or overloaded.",
        "Nothing: Hearth tries again by itself.",
    ),
    page(
        "clock",
        "The clock was compared",
        "The check of this machine's clock against the server's.",
        "Requests are signed with the time, and stale ones are refused.",
        "Nothing: they agree.",
    ),
    page(
        "clock-skew",
        "The clock is wrong",
        "This machine's clock differs from the network's by seconds; ten seconds behind, \
         every request is refused.",
        "The system does not set its clock by the network, or slept for long.",
        "Let the system set its clock by the network; the finding names the command.",
    ),
    page(
        "reachability",
        "How other miners reach this one",
        "The verdict on this machine's way to other miners: directly, or through a relay.",
        "Routers at home let nobody in by themselves.",
        "Nothing, or what the line advises.",
    ),
    page(
        "reach-limited",
        "Other miners reach this one badly",
        "Traffic with other miners goes through a relay, or may not get in at all.",
        "The router lets no UDP in, or the network no UDP out.",
        "Open the UDP port in the router and set it as peer_port, or allow outgoing UDP.",
    ),
    page(
        "unreachable",
        "Other miners cannot reach this one",
        "No relay answers, and UDP does not get out.",
        "No internet, or a firewall that lets neither HTTPS nor UDP out.",
        "Check the connection and the firewall; without either way no work can be exchanged.",
    ),
    page(
        "peers-blocked",
        "The peer connection cannot be opened",
        "The UDP socket for other miners could not be opened.",
        "The port is taken by another program, or UDP is forbidden here.",
        "Stop the other program, or `hearth config set peer_port 0` for any free port.",
    ),
    page(
        "peer-key",
        "The peer key cannot be used",
        "The file with this machine's identity among peers cannot be read or made.",
        "It belongs to another user, or the folder is read-only.",
        "Give permission, or move the file away: a new one is made.",
    ),
    page(
        "watch-not-published",
        "The network publishes nothing of itself",
        "`hearth watch` asked the address, and it has nothing for those without a key.",
        "Only swarms of Hearth publish their stages and phases so far; other networks show them \
         to their miners at most.",
        "Watch a swarm of Hearth, or mine: your own miner shows what its network tells it.",
    ),
    page(
        "watch-newer",
        "The network publishes in a newer form",
        "`hearth watch` does not know the form of what the address publishes.",
        "The swarm runs a newer version of Hearth.",
        "Update Hearth.",
    ),
    page(
        "watch-silent",
        "The watched network does not answer",
        "The address that `hearth watch` was given does not answer.",
        "The swarm has ended, the address is wrong, or the connection is down.",
        "Check the address, and that the swarm runs.",
    ),
    page(
        "http-setup",
        "The HTTP client cannot be set up",
        "Connections to servers could not be prepared.",
        "The system's certificates or proxy settings are broken.",
        "Check the proxy variables and the system's certificates.",
    ),
];

//! How reachable this machine is for other miners, in a sentence, and what to do about it: the most
//! common trouble with home miners is a router that lets nobody in, and the least said.

/// What is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReachFacts {
    /// Whether anybody outside this machine is meant to reach it.
    pub outside: bool,
    /// What the relay says.
    pub relay: RelayState,
    /// Whether it is known how this machine looks from outside, which is learned over UDP.
    pub public_address: bool,
    /// Peers that are connected straight over the internet.
    pub direct: usize,
    /// Peers that are connected within the own network.
    pub nearby: usize,
    /// Peers that are connected through a relay.
    pub relayed: usize,
    /// Whether a peer ever came straight to this machine.
    pub came_directly: bool,
    /// The UDP port that others must get through to.
    pub port: Option<u16>,
}

/// What the relay says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RelayState {
    /// None is used.
    #[default]
    Unused,
    /// It is not connected yet, or no longer.
    Away,
    /// It is connected.
    Connected,
}

/// How reachable this machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody outside is meant to reach it.
    ThisMachine,
    /// Directly.
    Direct,
    /// Through a relay.
    Relayed,
    /// Not at all.
    Unreachable,
    /// Nobody has tried yet.
    Unknown,
}

/// The verdict in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reachability {
    /// How reachable.
    pub verdict: Verdict,
    /// The same as a sentence for the user.
    pub sentence: String,
    /// What the user can do, if there is something to gain.
    pub advice: Option<String>,
}

impl ReachFacts {
    /// The verdict.
    pub fn judge(&self) -> Reachability {
        if !self.outside {
            let sentence = "The miners of this practice run are all on this machine.";
            return say(Verdict::ThisMachine, sentence, None);
        }
        let straight = self.direct + self.nearby;
        match (straight, self.relayed) {
            (0, 0) => self.judge_alone(),
            (0, relayed) => self.judge_relayed(relayed),
            (straight, 0) => {
                let sentence = format!("Other miners are connected directly ({straight}).");
                say(Verdict::Direct, &sentence, self.advise_about_relay())
            }
            (straight, relayed) => {
                let all = straight + relayed;
                let sentence = format!(
                    "{straight} of {all} miners are connected directly, {relayed} through a relay, \
                     which is slower."
                );
                let mostly_relayed = relayed > straight;
                let advice = if mostly_relayed { Some(self.open_port()) } else { None };
                say(Verdict::Direct, &sentence, advice.or_else(|| self.advise_about_relay()))
            }
        }
    }

    /// Connected, but through relays only.
    fn judge_relayed(&self, relayed: usize) -> Reachability {
        if !self.public_address {
            return say(Verdict::Relayed, UDP_BLOCKED, Some(ALLOW_UDP.to_owned()));
        }
        let sentence = format!(
            "The routers in between let no direct connection through, so all traffic ({relayed} \
             miners) goes through a relay, which is slower."
        );
        say(Verdict::Relayed, &sentence.replace("(1 miners)", "(1 miner)"), Some(self.open_port()))
    }

    /// Nobody is connected.
    fn judge_alone(&self) -> Reachability {
        match (&self.relay, self.public_address || self.came_directly) {
            (RelayState::Connected, true) => {
                let sentence = "No miner is connected now. This machine can be reached through a \
                                relay, and perhaps directly.";
                say(Verdict::Relayed, sentence, None)
            }
            (RelayState::Connected, false) => {
                say(Verdict::Relayed, UDP_BLOCKED, Some(ALLOW_UDP.to_owned()))
            }
            (RelayState::Away, false) => {
                let sentence = "Other miners cannot reach this machine: no relay answers, and UDP \
                                does not get through to the internet.";
                let advice = "Check the internet connection, and that a firewall lets HTTPS and UDP \
                              out.";
                say(Verdict::Unreachable, sentence, Some(advice.to_owned()))
            }
            (RelayState::Away, true) => {
                let sentence = "No miner is connected, and no relay answers: only miners that get \
                                through the router directly can reach this machine.";
                say(Verdict::Unknown, sentence, self.advise_about_relay())
            }
            (RelayState::Unused, _) => {
                let sentence = "No miner is connected now. Without a relay this machine can be \
                                reached only if its router lets UDP in.";
                say(Verdict::Unknown, sentence, Some(self.open_port()))
            }
        }
    }

    fn advise_about_relay(&self) -> Option<String> {
        let advice = "The relay does not answer, so miners behind strict routers cannot be reached. \
                      It is tried again by itself; see whether HTTPS gets out.";
        (self.relay == RelayState::Away).then(|| advice.to_owned())
    }

    fn open_port(&self) -> String {
        let port = self.port.map_or_else(|| "a UDP port".to_owned(), |n| format!("UDP port {n}"));
        format!(
            "For direct connections, forward {port} to this machine in the router's settings and set \
             the same port as the peer port in Hearth's."
        )
    }
}

const UDP_BLOCKED: &str = "UDP does not get out of this network, so all traffic with other miners \
                           goes through a relay, which is slower.";
const ALLOW_UDP: &str =
    "Allow outgoing UDP in the firewall of this machine, of the router, or of the network.";

fn say(verdict: Verdict, sentence: &str, advice: Option<String>) -> Reachability {
    Reachability { verdict, sentence: sentence.to_owned(), advice }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(relay: RelayState, public_address: bool, paths: [usize; 3]) -> ReachFacts {
        let [direct, nearby, relayed] = paths;
        let came_directly = false;
        let (outside, port) = (true, Some(4711));
        ReachFacts { outside, relay, public_address, direct, nearby, relayed, came_directly, port }
    }

    #[test]
    fn every_situation_has_its_verdict_its_sentence_and_its_advice() {
        use RelayState::{Away, Connected, Unused};
        use Verdict::{Direct, Relayed, Unknown, Unreachable};
        let table = [
            (facts(Connected, true, [2, 0, 0]), Direct, "directly (2)", None),
            (facts(Connected, true, [0, 1, 0]), Direct, "directly (1)", None),
            (facts(Away, true, [2, 0, 0]), Direct, "directly (2)", Some("relay does not answer")),
            (facts(Connected, true, [2, 0, 1]), Direct, "2 of 3 miners", None),
            (facts(Connected, true, [1, 0, 2]), Direct, "1 of 3 miners", Some("port 4711")),
            (facts(Connected, true, [0, 0, 1]), Relayed, "(1 miner)", Some("port 4711")),
            (facts(Connected, false, [0, 0, 3]), Relayed, "UDP does not get out", Some("Allow")),
            (facts(Connected, true, [0; 3]), Relayed, "through a relay", None),
            (facts(Connected, false, [0; 3]), Relayed, "UDP does not get out", Some("Allow")),
            (facts(Away, false, [0; 3]), Unreachable, "cannot reach", Some("firewall")),
            (facts(Away, true, [0; 3]), Unknown, "no relay answers", Some("tried again")),
            (facts(Unused, false, [0; 3]), Unknown, "Without a relay", Some("port 4711")),
        ];
        for (facts, verdict, said, advised) in table {
            let judged = facts.judge();
            assert_eq!(judged.verdict, verdict, "{facts:?}");
            assert!(judged.sentence.contains(said), "{facts:?}: {}", judged.sentence);
            match (&judged.advice, advised) {
                (None, None) => {}
                (Some(advice), Some(part)) => assert!(advice.contains(part), "{facts:?}: {advice}"),
                other => panic!("{facts:?}: {other:?}"),
            }
        }
        let practice = ReachFacts::default().judge();
        assert_eq!((practice.verdict, practice.advice), (Verdict::ThisMachine, None));
    }

    #[test]
    fn a_peer_that_came_in_proves_that_the_router_lets_some_in() {
        let came = ReachFacts { came_directly: true, ..facts(RelayState::Away, false, [0; 3]) };
        assert_eq!(came.judge().verdict, Verdict::Unknown);
    }
}

//! Attestation challenges (spec 4.1): given out for one action of one hotkey, good once and not for
//! long, and looked for where the rules ask for proof. A practice swarm cannot tell a true payload
//! from a made-up one; it checks that one was made for an open challenge.

use std::collections::VecDeque;
use std::time::Duration;

use super::answer::Refused;
use crate::protocol::messages::{Attestation, AttestationAction};
use crate::protocol::{Hotkey, ServerError};
use crate::swarm::rules::Proof;

/// Open challenges of one hotkey; the oldest goes when there are more. One for each activation that
/// can be under way.
const MOST_OF_ONE: usize = 256;
/// Open challenges altogether.
const MOST: usize = 16_384;
/// Largest payload looked at, in bytes.
const MAX_PAYLOAD: usize = 1 << 20;

/// A challenge that was not answered yet.
#[derive(Debug)]
struct Challenge {
    id: String,
    hotkey: Hotkey,
    action: AttestationAction,
    /// Unix time.
    expires: Duration,
}

/// The open challenges, oldest first.
#[derive(Debug, Default)]
pub(super) struct Challenges(VecDeque<Challenge>);

impl Challenges {
    /// Notes a challenge that was given out and expires at Unix time `expires`.
    pub(super) fn issue(
        &mut self,
        id: String,
        hotkey: &Hotkey,
        action: AttestationAction,
        now: Duration,
        expires: Duration,
    ) {
        self.0.retain(|challenge| challenge.expires >= now);
        let mine = self.0.iter().filter(|challenge| challenge.hotkey == *hotkey).count();
        if mine >= MOST_OF_ONE
            && let Some(oldest) = self.0.iter().position(|challenge| challenge.hotkey == *hotkey)
        {
            self.0.remove(oldest);
        }
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back(Challenge { id, hotkey: hotkey.clone(), action, expires });
    }

    /// Uses up the challenge that `attestation` answers, if `proof` is asked for at all. A challenge
    /// is gone afterwards, whether its answer was good or not.
    pub(super) fn redeem(
        &mut self,
        hotkey: &Hotkey,
        action: AttestationAction,
        attestation: Option<&Attestation>,
        proof: Proof,
        now: Duration,
    ) -> Result<(), Refused> {
        if proof == Proof::Nothing {
            return Ok(());
        }
        self.0.retain(|challenge| challenge.expires >= now);
        let named = attestation.and_then(challenge_named);
        let fits = |challenge: &Challenge| {
            challenge.hotkey == *hotkey
                && challenge.action == action
                && named.is_none_or(|id| id == challenge.id)
        };
        let Some(place) = self.0.iter().position(fits) else {
            return Err(refused(
                "there is no open challenge for this: none was asked for, it expired, or it was used",
            ));
        };
        self.0.remove(place);
        match (attestation, proof) {
            (None, Proof::Payload) => Err(refused(
                "this run takes no miner without an attestation, and the payload was null",
            )),
            (None, _) => Ok(()),
            (Some(attestation), _) => check(attestation).map_err(refused),
        }
    }
}

fn challenge_named(attestation: &Attestation) -> Option<&str> {
    match attestation {
        Attestation::Mounted(mounted) => mounted.challenge_id.as_deref(),
        Attestation::Enclave(enclave) => enclave.challenge_id.as_deref(),
        Attestation::Miner(_) => None,
    }
}

/// What can be said of a payload without the keys of those who make them.
fn check(attestation: &Attestation) -> Result<(), &'static str> {
    let (texts, alg) = match attestation {
        Attestation::Miner(miner) => (vec![&miner.payload_blob], "ES256"),
        Attestation::Mounted(mounted) => (
            vec![
                &mounted.key_id,
                &mounted.public_key_base64,
                &mounted.payload_base64,
                &mounted.signature_der_base64,
                &mounted.payload_sha256_base64,
            ],
            mounted.alg.as_str(),
        ),
        Attestation::Enclave(enclave) => {
            (vec![&enclave.key_id, &enclave.signature_der_base64], enclave.alg.as_str())
        }
    };
    if texts.iter().any(|text| text.is_empty()) {
        return Err("a part of the attestation is empty");
    }
    if texts.iter().any(|text| text.len() > MAX_PAYLOAD || !text.is_ascii()) {
        return Err("the attestation is too large, or not ASCII");
    }
    if alg != "ES256" {
        return Err("the attestation's algorithm is not ES256");
    }
    Ok(())
}

fn refused(message: &str) -> Refused {
    let name = "AttestationError".to_owned();
    Refused::Rule(ServerError::Other { name, message: message.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::messages::{EnclaveSign, MinerAttestation};

    const ACTION: AttestationAction = AttestationAction::Weights;

    fn hotkey(number: u8) -> Hotkey {
        Hotkey::from_public_key(&[number; 32])
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn open() -> Challenges {
        let mut challenges = Challenges::default();
        challenges.issue("c1".into(), &hotkey(1), ACTION, at(0), at(30));
        challenges
    }

    fn payload(text: &str) -> Attestation {
        let payload_blob = text.to_owned();
        Attestation::Miner(MinerAttestation { payload_blob, encrypted_attestation: None })
    }

    #[test]
    fn a_challenge_is_good_once_for_one_action_of_one_hotkey_and_not_for_long() {
        let mut challenges = open();
        let mut ask = |number, action, now| {
            challenges.redeem(&hotkey(number), action, None, Proof::Challenge, at(now)).is_ok()
        };
        assert!(!ask(2, ACTION, 1), "another hotkey");
        assert!(!ask(1, AttestationAction::Registration, 1), "another action");
        assert!(ask(1, ACTION, 30));
        assert!(!ask(1, ACTION, 30), "twice");
        let late = open().redeem(&hotkey(1), ACTION, None, Proof::Challenge, at(31));
        assert!(late.unwrap_err().to_string().contains("expired"));
    }

    #[test]
    fn a_null_payload_is_refused_only_where_one_is_asked_for() {
        let refused = open().redeem(&hotkey(1), ACTION, None, Proof::Payload, at(1)).unwrap_err();
        assert!(refused.to_string().contains("the payload was null"), "{refused}");
        open().redeem(&hotkey(1), ACTION, Some(&payload("x")), Proof::Payload, at(1)).unwrap();
        Challenges::default().redeem(&hotkey(1), ACTION, None, Proof::Nothing, at(1)).unwrap();
    }

    #[test]
    fn payloads_are_looked_at_and_a_named_challenge_must_be_open() {
        for bad in ["", "\u{e9}"] {
            let got =
                open().redeem(&hotkey(1), ACTION, Some(&payload(bad)), Proof::Challenge, at(1));
            assert!(got.is_err(), "{bad:?}");
        }
        let sign = |challenge: &str, alg: &str| {
            Attestation::Enclave(EnclaveSign {
                key_id: "k".into(),
                signature_der_base64: "s".into(),
                alg: alg.into(),
                challenge_id: Some(challenge.into()),
            })
        };
        for (attestation, good) in
            [(sign("c1", "ES256"), true), (sign("c2", "ES256"), false), (sign("c1", "none"), false)]
        {
            let got = open().redeem(&hotkey(1), ACTION, Some(&attestation), Proof::Payload, at(1));
            assert_eq!(got.is_ok(), good, "{attestation:?}");
        }
    }

    #[test]
    fn one_hotkey_cannot_hoard_challenges() {
        let mut challenges = open();
        for number in 0..1000 {
            challenges.issue(format!("x{number}"), &hotkey(2), ACTION, at(0), at(30));
        }
        assert_eq!(challenges.0.len(), MOST_OF_ONE + 1);
        challenges.redeem(&hotkey(1), ACTION, None, Proof::Challenge, at(1)).unwrap();
    }
}

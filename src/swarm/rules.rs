//! The rules that an orchestrator applies, as one settings type: who gets in and how, how hard
//! requests are checked, when phases end, what is asked of miners besides training. Read from TOML or
//! JSON; everything that is not mentioned is as in [`Rules::lenient`]. Two presets: `lenient`, with
//! which a first look at the program goes smoothly, and `strict`, which refuses what a live network
//! would, so that practice proves something.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::constants::seconds;
use crate::protocol::Hotkey;
use crate::protocol::messages::{Flag, RunFlags};
use crate::swarm::pay::PayRules;

/// All rules of one orchestrator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// How newcomers get in.
    pub queue: QueueRules,
    /// Run flags that are not at their defaults (spec 11.4). Unknown names are sent along.
    pub flags: BTreeMap<String, bool>,
    /// Whether newcomers work in the epoch in which they come.
    pub newcomers: Newcomers,
    /// Hotkeys that may not work.
    pub frozen: BTreeSet<Hotkey>,
    /// Hotkeys that count as registered on the chain; empty for everybody.
    pub metagraph: BTreeSet<Hotkey>,
    /// Which pool miners are taken.
    pub pool: Pool,
    /// Guards against what never comes.
    pub limits: Limits,
    /// By what miners are paid.
    pub pay: PayRules,
    /// How much of a phase's work ends it.
    pub thresholds: Thresholds,
    /// What proofs are asked for.
    pub attestation: AttestationRules,
    /// Age at which a signed request is too old (spec 3.4).
    #[serde(with = "seconds")]
    pub signature_age: Duration,
    /// Whether another protocol version is refused.
    pub versions: Versions,
    /// How often a miner may call.
    pub rates: RateRules,
    /// Share of handed-out activations that must also be uploaded, 0 to 1 (spec 5.5).
    pub spot_check_rate: f64,
    /// The exchange of inner optimizer states, if flag `upload_optimizer_state` is on (spec 5.6).
    pub optimizer: OptimizerRules,
}

/// How a registration is answered (spec 1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Admission {
    /// At once; `RunFullError` when no seat is free.
    Direct,
    /// At once while a seat is free; otherwise with a ticket.
    WhenFull,
    /// Always with a ticket.
    Always,
}

/// The registration queue. Seats are [`Limits::miners`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueRules {
    /// When there is a queue.
    pub admission: Admission,
    /// Most miners in the queue; further ones get `RunFullError`.
    pub waiting: usize,
    /// When a waiting miner is to ask again.
    #[serde(with = "seconds")]
    pub poll_after: Duration,
    /// How long a seat is kept for a miner that must confirm.
    #[serde(with = "seconds")]
    pub confirm_within: Duration,
    /// Miners that are let in at a time: asked to confirm, or being registered.
    pub at_a_time: usize,
    /// From the confirmation until the seat is taken.
    #[serde(with = "seconds")]
    pub processing: Duration,
    /// How long a ticket that ended can still be looked at.
    #[serde(with = "seconds")]
    pub remembered: Duration,
}

/// Whether newcomers work in the epoch in which they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Newcomers {
    /// At once.
    Work,
    /// From the next epoch on, unless their stage has nobody else: status `initializing`.
    Benched,
}

/// Which pool miners are taken (spec 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pool {
    /// None.
    Closed,
    /// Those that name a payout address.
    WithColdkey,
    /// All.
    Open,
}

/// Whether another protocol version is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Versions {
    /// With `SpecVersionError`.
    Exact,
    /// No.
    Any,
}

/// Guards against what never comes. None of them matters while everybody does their work.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// A miner that sent nothing for so long is dropped.
    #[serde(with = "seconds")]
    pub silence: Duration,
    /// An activation without any report for so long is given up; sooner where reports usually take far
    /// less.
    #[serde(with = "seconds")]
    pub activation: Duration,
    /// The same, for one that was under way when a miner was lost: it may have been there.
    #[serde(with = "seconds")]
    pub stranded: Duration,
    /// The first work waits so long for the planned miners, so that they start together.
    #[serde(with = "seconds")]
    pub muster: Duration,
    /// Longest training phase.
    #[serde(with = "seconds")]
    pub training: Duration,
    /// Longest uploading phase.
    #[serde(with = "seconds")]
    pub uploading: Duration,
    /// Longest merging phase.
    #[serde(with = "seconds")]
    pub merging: Duration,
    /// Most miners in the run.
    pub miners: usize,
}

/// How much of a phase's work ends it, in percent. At 100 nothing that is under way is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// Of the backwards of each stage: training ends.
    pub training: u8,
    /// Of the miners that have something to submit: merging begins.
    pub uploading: u8,
    /// Of the partitions, counting each copy: merging ends.
    pub merging: u8,
}

/// What is asked for besides a request (spec 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// Nothing; what comes is not looked at.
    Nothing,
    /// A challenge must have been asked for; the payload may be null.
    Challenge,
    /// A payload that answers a challenge; null is refused.
    Payload,
}

/// Which proofs are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AttestationRules {
    /// With a registration and its confirmation.
    pub registration: Proof,
    /// With weights, partitions and activations; only while flag `attest` is on.
    pub work: Proof,
    /// How long a challenge can be answered.
    #[serde(with = "seconds")]
    pub lifetime: Duration,
}

/// How often one miner may do one call.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// In the long run; 0 is no limit.
    pub per_second: f64,
    /// At once.
    pub burst: f64,
}

/// How often a miner may call: each call has a count of its own (spec 2.5).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateRules {
    /// Every call that is not listed.
    pub others: Rate,
    /// By the last words of the path, such as `get_activations` or `register/status`.
    pub calls: BTreeMap<String, Rate>,
}

/// The exchange of inner optimizer states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerRules {
    /// Epochs between two uploads.
    pub every_epochs: u64,
    /// Miners of each stage that are asked for theirs.
    pub miners: usize,
    /// Oldest state that is still given to newcomers, in epochs.
    pub lookback_epochs: u64,
}

impl Rate {
    /// No limit.
    pub const UNLIMITED: Rate = Rate { per_second: 0.0, burst: 0.0 };

    const fn new(per_second: f64, burst: f64) -> Self {
        Self { per_second, burst }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::lenient()
    }
}

impl Rules {
    /// Everybody is let in at once and nothing is asked for that costs time.
    pub fn lenient() -> Self {
        Self {
            queue: QueueRules::default(),
            flags: BTreeMap::from([(Flag::KeepCacheOnLocalStep.as_str().to_owned(), true)]),
            newcomers: Newcomers::Work,
            frozen: BTreeSet::new(),
            metagraph: BTreeSet::new(),
            pool: Pool::Open,
            limits: Limits::default(),
            pay: PayRules::default(),
            thresholds: Thresholds::default(),
            attestation: AttestationRules::default(),
            // A client may repeat a request with the same headers three times, with up to 40 s for
            // each (spec 1.12).
            signature_age: Duration::from_secs(150),
            versions: Versions::Exact,
            rates: RateRules::default(),
            spot_check_rate: 0.0,
            optimizer: OptimizerRules::default(),
        }
    }

    /// Everything on, as severe as a live network is thought to be. Times are a tenth of the live
    /// ones, and rates ten times, as the practice swarm's polls are.
    pub fn strict() -> Self {
        let on = [
            Flag::KeepCacheOnLocalStep,
            Flag::Attest,
            Flag::UploadOptimizerState,
            Flag::ClipPseudoGradients,
        ];
        let rate = |(name, per_second): (&str, f64)| {
            (name.to_owned(), Rate::new(per_second, 2.0 * per_second))
        };
        let calls = [
            ("get_activations", 100.0),
            ("submit_activation", 300.0),
            ("report_loss", 300.0),
            ("request_attestation_challenge", 300.0),
            ("initiate_file_upload", 50.0),
            ("complete_multipart_upload", 50.0),
        ];
        Self {
            queue: QueueRules {
                admission: Admission::Always,
                poll_after: Duration::from_millis(200),
                confirm_within: Duration::from_secs(6),
                at_a_time: 2,
                processing: Duration::from_millis(100),
                ..QueueRules::default()
            },
            flags: on.into_iter().map(|flag| (flag.as_str().to_owned(), true)).collect(),
            newcomers: Newcomers::Benched,
            pool: Pool::WithColdkey,
            attestation: AttestationRules {
                registration: Proof::Challenge,
                work: Proof::Challenge,
                lifetime: Duration::from_secs(30),
            },
            signature_age: Duration::from_secs(10),
            rates: RateRules {
                others: Rate::new(15.0, 30.0),
                calls: calls.into_iter().map(rate).collect(),
            },
            spot_check_rate: 0.1,
            ..Self::lenient()
        }
    }

    /// The flags as miners are told them: every known one, and unknown ones that were set.
    pub fn run_flags(&self) -> RunFlags {
        let named = |flags: RunFlags, (name, on): (&String, &bool)| flags.with_named(name, *on);
        self.flags.iter().fold(RunFlags::default(), named)
    }

    /// Whether a flag is on.
    pub fn is_on(&self, flag: Flag) -> bool {
        self.flags.get(flag.as_str()).copied().unwrap_or(flag.default_enabled())
    }

    /// Whether the miners are trusted: no proofs, no chain, no rates (spec 4.2). Signatures are
    /// checked all the same, since they say who asks.
    pub fn trusts_the_fleet(&self) -> bool {
        self.is_on(Flag::TrustedFleet)
    }

    /// What proof is asked for with work.
    pub fn proof_of_work(&self) -> Proof {
        if self.is_on(Flag::Attest) && !self.trusts_the_fleet() {
            self.attestation.work
        } else {
            Proof::Nothing
        }
    }

    /// What proof is asked for with a registration.
    pub fn proof_of_registration(&self) -> Proof {
        if self.trusts_the_fleet() { Proof::Nothing } else { self.attestation.registration }
    }

    /// How often one miner may do a call.
    pub fn rate_of(&self, call: &str) -> Rate {
        if self.trusts_the_fleet() {
            return Rate::UNLIMITED;
        }
        self.rates.calls.get(call).copied().unwrap_or(self.rates.others)
    }
}

impl Default for QueueRules {
    fn default() -> Self {
        Self {
            admission: Admission::Direct,
            waiting: 1000,
            poll_after: Duration::from_secs(5),
            confirm_within: Duration::from_secs(60),
            at_a_time: 4,
            processing: Duration::from_secs(1),
            remembered: Duration::from_secs(3600),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(20),
            activation: Duration::from_secs(60),
            stranded: Duration::from_secs(30),
            muster: Duration::from_secs(15),
            training: Duration::from_secs(3 * 3600),
            uploading: Duration::from_secs(600),
            merging: Duration::from_secs(1200),
            miners: 256,
        }
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { training: 100, uploading: 100, merging: 100 }
    }
}

impl Default for AttestationRules {
    fn default() -> Self {
        Self {
            registration: Proof::Nothing,
            work: Proof::Nothing,
            lifetime: Duration::from_secs(300),
        }
    }
}

impl Default for RateRules {
    fn default() -> Self {
        Self { others: Rate::UNLIMITED, calls: BTreeMap::new() }
    }
}

impl Default for OptimizerRules {
    fn default() -> Self {
        Self { every_epochs: 1, miners: 1, lookback_epochs: 4 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_changes_single_rules_and_leaves_the_others_lenient() {
        let text = r#"
            newcomers = "benched"
            signature_age = 10
            [queue]
            admission = "when_full"
            confirm_within = 2.5
            [limits]
            miners = 6
            [flags]
            attest = true
            brand_new_flag = true
            [attestation]
            registration = "payload"
            [rates.calls.get_activations]
            per_second = 10
            burst = 20
        "#;
        let rules: Rules = toml::from_str(text).unwrap();
        assert_eq!(rules.newcomers, Newcomers::Benched);
        assert_eq!(rules.queue.admission, Admission::WhenFull);
        assert_eq!(rules.queue.confirm_within, Duration::from_millis(2500));
        assert_eq!(rules.queue.waiting, QueueRules::default().waiting);
        assert_eq!((rules.limits.miners, rules.limits.silence), (6, Limits::default().silence));
        assert_eq!(rules.attestation.registration, Proof::Payload);
        assert_eq!(rules.rate_of("get_activations"), Rate { per_second: 10.0, burst: 20.0 });
        assert_eq!(rules.rate_of("heartbeat"), Rate::UNLIMITED);
        let flags = rules.run_flags();
        assert!(flags.is_on(Flag::Attest) && flags.unknown()["brand_new_flag"]["enabled"] == true);
        assert!(!flags.is_on(Flag::KeepCacheOnLocalStep), "the table of flags was replaced");
        assert_eq!(flags.unknown().len(), 1);
        assert_eq!(rules.pool, Pool::Open);
    }

    #[test]
    fn both_presets_survive_a_round_trip_and_misspelt_rules_are_refused() {
        for rules in [Rules::lenient(), Rules::strict()] {
            let text = toml::to_string(&rules).unwrap();
            assert_eq!(toml::from_str::<Rules>(&text).unwrap(), rules, "{text}");
        }
        for text in ["queu = 1", "signature_age = -1", "newcomers = \"maybe\"", "[limits]\nx = 1"] {
            assert!(toml::from_str::<Rules>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_trusted_fleet_needs_no_proof_and_has_no_limits_of_rate() {
        let mut rules = Rules::strict();
        assert_eq!(rules.proof_of_work(), Proof::Challenge);
        assert!(rules.rate_of("heartbeat").per_second > 0.0);
        rules.flags.insert(Flag::TrustedFleet.as_str().to_owned(), true);
        assert_eq!(rules.proof_of_work(), Proof::Nothing);
        assert_eq!(rules.proof_of_registration(), Proof::Nothing);
        assert_eq!(rules.rate_of("heartbeat"), Rate::UNLIMITED);
    }

    #[test]
    fn proofs_of_work_are_asked_for_only_while_the_flag_is_on() {
        let mut rules = Rules::strict();
        rules.flags.remove(Flag::Attest.as_str());
        assert_eq!(rules.proof_of_work(), Proof::Nothing);
        assert_eq!(rules.proof_of_registration(), Proof::Challenge);
    }
}

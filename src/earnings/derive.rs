//! From a server's answer to the rows that follow from it: one pure function, so that all answers played
//! again into an empty ledger make the same rows.

use std::collections::BTreeSet;

use super::exact::Exact;
use super::formula::{MinerWalk, ScoresError, Walk, Weights, weights};
use super::ledger::{
    Answer, AnswerKind, At, Claims, EpochRow, PaidBy, Payment, RowId, RunRow, Standing,
    StandingRow, Submitted,
};
use super::published::{PaidEpoch, PaidMiner, PublicPay, VERSION};
use crate::protocol::messages::{RunInfo, SubnetScores};

/// Longest piece of a server's answer that a sentence quotes.
const QUOTED: usize = 160;

/// What follows from one answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Derived {
    /// Epochs of the own miners.
    pub epochs: Vec<EpochRow>,
    /// Where the own miners stand.
    pub standings: Vec<StandingRow>,
    /// What the runs get.
    pub runs: Vec<RunRow>,
    /// What was paid to the own miners.
    pub payouts: Vec<Payment>,
}

/// Why nothing follows from an answer. It is kept all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeriveError {
    /// It is not what the question asks for.
    #[error(
        "the answer to {question} cannot be read ({why}); it is kept as it came, and counts as unknown"
    )]
    Unreadable {
        /// The question.
        question: &'static str,
        /// What is wrong.
        why: String,
    },
    /// It has a later form.
    #[error(
        "the answer to {question} has form {found}, this program knows {VERSION}: update Hearth; the answer is kept"
    )]
    Version {
        /// The question.
        question: &'static str,
        /// Its form.
        found: u32,
    },
    /// Its figures make no sense.
    #[error(
        "the answer to {question} makes no sense: {error}; it is kept as it came, and counts as unknown"
    )]
    Scores {
        /// The question.
        question: &'static str,
        /// What is wrong.
        error: ScoresError,
    },
}

impl DeriveError {
    /// Stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "pay-unreadable",
            Self::Version { .. } => "pay-newer",
            Self::Scores { error, .. } => error.code(),
        }
    }
}

/// All rows that follow from `answer`, which has the number `id`.
///
/// # Errors
/// The answer cannot be read, or its figures make no sense.
pub fn derive(id: RowId, answer: &Answer) -> Result<Derived, DeriveError> {
    match answer.kind {
        AnswerKind::PublicPay => public_pay(id, answer),
        AnswerKind::SubnetScores => subnet_scores(id, answer),
        AnswerKind::RunInfo => run_info(id, answer),
    }
}

fn read<T: serde::de::DeserializeOwned>(answer: &Answer) -> Result<T, DeriveError> {
    serde_json::from_slice(&answer.body).map_err(|error| DeriveError::Unreadable {
        question: answer.kind.question(),
        why: error.to_string().chars().filter(|c| !c.is_control()).take(QUOTED).collect(),
    })
}

fn weighed(answer: &Answer, scores: &SubnetScores) -> Result<Weights, DeriveError> {
    let question = answer.kind.question();
    weights(scores).map_err(|error| DeriveError::Scores { question, error })
}

fn claims(weights: &Weights) -> Claims {
    if weights.overclaimed { Claims::Over } else { Claims::Within }
}

fn subnet_scores(id: RowId, answer: &Answer) -> Result<Derived, DeriveError> {
    let weights = weighed(answer, &read(answer)?)?;
    let claims = claims(&weights);
    let own = weights.miners.into_iter().filter(|miner| answer.whose.contains(&miner.hotkey));
    let mut standings: Vec<StandingRow> = Vec::new();
    for MinerWalk { hotkey, run, walk } in own {
        let run = run.map(|run| run.to_string());
        // A record that comes twice counts once.
        if standings.iter().any(|row| row.hotkey == hotkey && row.run == run) {
            continue;
        }
        let (at, network) = (answer.at, answer.network.clone());
        standings.push(StandingRow { at, network, hotkey, run, walk, claims, answer: id });
    }
    Ok(Derived { standings, ..Derived::default() })
}

fn run_info(id: RowId, answer: &Answer) -> Result<Derived, DeriveError> {
    let infos: Vec<RunInfo> = read(answer)?;
    let question = answer.kind.question();
    let mut runs: Vec<RunRow> = Vec::new();
    for info in infos {
        let run = info.run_id.to_string();
        if runs.iter().any(|row| row.run == run) {
            continue;
        }
        let share = |what: &'static str, value: f64| {
            let exact = Exact::of_double(value)
                .filter(|exact| !exact.is_negative() && *exact <= Exact::one());
            exact.ok_or_else(|| DeriveError::Scores {
                question,
                error: ScoresError::NotAShare { what, value: value.to_string(), run: run.clone() },
            })
        };
        let burn = share("a burn factor", info.burn_factor)?;
        let incentive = share("an incentive weight", info.incentive_perc)?;
        let (at, network, miners) = (answer.at, answer.network.clone(), info.num_miners);
        runs.push(RunRow { at, network, run, burn, incentive, miners, answer: id });
    }
    Ok(Derived { runs, ..Derived::default() })
}

fn public_pay(id: RowId, answer: &Answer) -> Result<Derived, DeriveError> {
    /// Read first, so that a later form is told apart from a broken one.
    #[derive(serde::Deserialize)]
    struct Form {
        version: u32,
    }
    let Form { version: found } = read(answer)?;
    if found != VERSION {
        return Err(DeriveError::Version { question: answer.kind.question(), found });
    }
    let pay: PublicPay = read(answer)?;
    let mut derived = Derived::default();
    for epoch in &pay.epochs {
        let weights = weighed(answer, &epoch.scores)?;
        for miner in epoch.miners.iter().filter(|miner| answer.whose.contains(&miner.hotkey)) {
            let known = derived.epochs.iter();
            if known.clone().any(|row| row.hotkey == miner.hotkey && row.epoch == epoch.epoch) {
                continue;
            }
            let row = epoch_row(id, answer, &pay, epoch, &weights, miner);
            derived.payouts.extend(payment(&row, miner));
            derived.epochs.push(row);
        }
    }
    Ok(derived)
}

fn epoch_row(
    id: RowId,
    answer: &Answer,
    pay: &PublicPay,
    epoch: &PaidEpoch,
    weights: &Weights,
    miner: &PaidMiner,
) -> EpochRow {
    let of_run = |walk: &&MinerWalk| walk.run.as_ref().is_some_and(|run| run.as_str() == pay.run);
    let mut own = weights.miners.iter().filter(|walk| walk.hotkey == miner.hotkey);
    let walk = own.clone().find(of_run).or_else(|| own.next());
    EpochRow {
        at: At::of_seconds(epoch.closed_at),
        network: answer.network.clone(),
        hotkey: miner.hotkey.clone(),
        run: pay.run.clone(),
        began: At::of_seconds(pay.since),
        epoch: epoch.epoch,
        walk: walk.map_or_else(nothing, |own| own.walk.clone()),
        claims: claims(weights),
        period: epoch.period,
        loss: epoch.loss,
        lowest_before: epoch.lowest_before,
        emission: pay.terms.emission,
        terms: pay.terms.payout,
        entitlement: miner.earned,
        account: miner.account,
        unit: pay.unit,
        stage: miner.stage.map(|stage| stage as u64),
        backwards: miner.backwards,
        partitions: miner.partitions,
        submitted: if miner.submitted { Submitted::InTime } else { Submitted::Missing },
        standing: if miner.benched { Standing::Benched } else { Standing::Working },
        missing: missing(epoch),
        paid_to: miner.paid_to.clone(),
        answer: id,
    }
}

/// Stages from which somebody's weights did not come, though that miner worked in the epoch.
fn missing(epoch: &PaidEpoch) -> BTreeSet<u64> {
    let silent = epoch.miners.iter().filter(|miner| !miner.submitted && miner.backwards > 0);
    silent.filter_map(|miner| miner.stage.map(|stage| stage as u64)).collect()
}

/// Of a miner that has no score.
fn nothing() -> Walk {
    Walk {
        raw: Exact::zero(),
        multiplier: None,
        total: Exact::zero(),
        run_total: Exact::zero(),
        share: Exact::zero(),
        allocation: None,
        weight: Exact::zero(),
    }
}

fn payment(row: &EpochRow, miner: &PaidMiner) -> Option<Payment> {
    let payout = miner.payout?;
    Some(Payment {
        at: row.at,
        network: row.network.clone(),
        name: format!("{}@{}/{}/{}", row.run, row.began.0 / 1000, row.epoch, row.hotkey),
        hotkey: Some(row.hotkey.clone()),
        address: row.paid_to.clone(),
        gross: payout.gross,
        fee: Some(payout.fee),
        net: payout.net,
        unit: row.unit,
        by: PaidBy::Answer(row.answer),
    })
}

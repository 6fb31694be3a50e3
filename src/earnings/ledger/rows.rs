//! The rows of the ledger: what each holds, in types that leave no room for half of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::earnings::chain;
use crate::earnings::exact::Exact;
use crate::earnings::formula::{Account, PayoutTerms, Period, Walk};
use crate::earnings::money::{Rao, Unit};

/// A moment: Unix milliseconds of this machine's clock, or of a server's where it says so.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct At(pub u64);

impl At {
    /// From whole Unix seconds.
    pub fn of_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since `earlier`; nothing where the clock was set back between the two.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A number of a row, by which others point to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RowId(pub i64);

/// Which question an answer answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerKind {
    /// What a network pays, and paid: all of it.
    PublicPay,
    /// Everybody's score.
    SubnetScores,
    /// What the runs get.
    RunInfo,
}

impl AnswerKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::PublicPay, Self::SubnetScores, Self::RunInfo];

    /// The question, as it is stored and shown.
    pub fn question(self) -> &'static str {
        match self {
            Self::PublicPay => "GET /public/pay",
            Self::SubnetScores => "GET /validator/global_miner_scores",
            Self::RunInfo => "GET /common/get_run_info",
        }
    }

    /// The kind of a stored question.
    pub fn of(question: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.question() == question)
    }
}

impl fmt::Display for AnswerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.question())
    }
}

/// What a server answered, exactly as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When it came.
    pub at: At,
    /// The network, as the user names it.
    pub network: String,
    /// To which question.
    pub kind: AnswerKind,
    /// The own miners at that time, whose rows are made from it.
    pub whose: BTreeSet<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// BLAKE3 of the body, as hexadecimal digits.
    pub fn digest(&self) -> String {
        blake3::hash(&self.body).to_hex().to_string()
    }
}

/// A stored answer without its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AnswerRow {
    /// Its number.
    pub id: RowId,
    /// When it came.
    pub at: At,
    /// The network.
    pub network: String,
    /// To which question.
    pub kind: AnswerKind,
    /// BLAKE3 of its body.
    pub digest: String,
}

/// Whether the runs claim more than the subnet has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Claims {
    /// They do not.
    Within,
    /// They do: then nobody is paid.
    Over,
}

/// Whether a miner's weights came in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Submitted {
    /// They did.
    InTime,
    /// They did not.
    Missing,
    /// None were asked for, or nobody knows.
    NotAsked,
}

/// Whether the network let a miner work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It did.
    Working,
    /// It had to wait.
    Benched,
}

/// A miner's epoch, as published.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EpochRow {
    /// When it was closed.
    pub at: At,
    /// The network.
    pub network: String,
    /// The miner.
    pub hotkey: String,
    /// The run.
    pub run: String,
    /// When the run began: another one may have the same name.
    pub began: At,
    /// Which epoch.
    pub epoch: u64,
    /// From its score to its weight.
    pub walk: Walk,
    /// Whether the runs claim more than there is.
    pub claims: Claims,
    /// Whether it counts at once.
    pub period: Period,
    /// Mean loss of the epoch.
    pub loss: Option<f64>,
    /// The lowest of all epochs before.
    pub lowest_before: Option<f64>,
    /// What all miners of the epoch share, with what is burnt.
    pub emission: Rao,
    /// By what terms it is paid out.
    pub terms: PayoutTerms,
    /// Its part.
    pub entitlement: Rao,
    /// What it is owed after the epoch.
    pub account: Account,
    /// What is paid in.
    pub unit: Unit,
    /// Its stage.
    pub stage: Option<u64>,
    /// Backwards that were accepted.
    pub backwards: u64,
    /// Partitions that were accepted.
    pub partitions: u64,
    /// Whether its weights came in time.
    pub submitted: Submitted,
    /// Whether the network let it work.
    pub standing: Standing,
    /// Stages from which the weights of a miner that worked there did not come.
    pub missing: BTreeSet<u64>,
    /// Where it is paid; none if it named no address.
    pub paid_to: Option<String>,
    /// The answer that says so.
    pub answer: RowId,
}

/// A miner's place in the rolling window of scores, as published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StandingRow {
    /// When the answer came.
    pub at: At,
    /// The network.
    pub network: String,
    /// The miner.
    pub hotkey: String,
    /// Its run.
    pub run: Option<String>,
    /// From its score to its weight.
    pub walk: Walk,
    /// Whether the runs claim more than there is.
    pub claims: Claims,
    /// The answer that says so.
    pub answer: RowId,
}

/// What a run gets, as published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunRow {
    /// When the answer came.
    pub at: At,
    /// The network.
    pub network: String,
    /// The run.
    pub run: String,
    /// The share of its incentive that is burnt.
    pub burn: Exact,
    /// Its share of the subnet's incentive.
    pub incentive: Exact,
    /// Miners in it.
    pub miners: u64,
    /// The answer that says so.
    pub answer: RowId,
}

/// Where a payout is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "source", content = "row", rename_all = "kebab-case")]
pub enum PaidBy {
    /// A server says so.
    Answer(RowId),
    /// The stake at the payout address changed.
    Stake(RowId),
    /// The balance of the payout address changed.
    Balance(RowId),
}

impl PaidBy {
    /// As it is stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Answer(_) => "answer",
            Self::Stake(_) => "stake",
            Self::Balance(_) => "balance",
        }
    }

    /// In words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Answer(_) => "published by the network",
            Self::Stake(_) => "a change of stake at the payout address",
            Self::Balance(_) => "a change of the payout address's balance",
        }
    }
}

/// Something that was paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Payment {
    /// When.
    pub at: At,
    /// The network.
    pub network: String,
    /// Its name: the same payment has the same name, whoever tells of it again.
    pub name: String,
    /// Which miner's; none where only the address is known.
    pub hotkey: Option<String>,
    /// Where it went.
    pub address: Option<String>,
    /// What was paid.
    pub gross: Rao,
    /// What the transfer cost of it; none where nobody says.
    pub fee: Option<Rao>,
    /// What arrived.
    pub net: Rao,
    /// Of what.
    pub unit: Unit,
    /// Where this is known from.
    pub by: PaidBy,
}

/// Energy, in thousandths of a joule.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Millijoules(pub u64);

impl Millijoules {
    /// Of one kWh.
    pub const KWH: u64 = 3_600_000_000;

    /// In kWh, without rounding.
    pub fn kwh(self) -> Exact {
        Exact::ratio(self.0, Self::KWH).unwrap_or_else(Exact::zero)
    }
}

/// How much energy, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "energy", rename_all = "kebab-case")]
pub enum Energy {
    /// A sensor said it all the time.
    Measured {
        /// How much.
        millijoules: Millijoules,
        /// Which sensor.
        by: String,
    },
    /// From a number of watts and the time.
    Estimated {
        /// How much.
        millijoules: Millijoules,
        /// From what.
        from: String,
    },
    /// Nobody knows.
    Unknown,
}

impl Energy {
    /// How much, if anybody knows.
    pub fn millijoules(&self) -> Option<Millijoules> {
        match self {
            Self::Measured { millijoules, .. } | Self::Estimated { millijoules, .. } => {
                Some(*millijoules)
            }
            Self::Unknown => None,
        }
    }
}

/// Work that was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Backwards.
    pub backwards: u64,
    /// To what, as a clause: "the machine slept through the merge".
    pub to: String,
}

/// A stretch of one miner's life: what it did, and what its time and energy went into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// The network.
    pub network: String,
    /// The miner.
    pub hotkey: String,
    /// Which life: differs with every start of the program.
    pub life: String,
    /// Which stretch of that life, counted from 0. Life and part name it: told again, it is not
    /// counted again.
    pub part: u64,
    /// When it began.
    pub since: At,
    /// When it ended.
    pub until: At,
    /// The run, if it was in one.
    pub run: Option<String>,
    /// The stage, if it had one.
    pub stage: Option<u64>,
    /// The epoch, if there was one.
    pub epoch: Option<u64>,
    /// Forwards done.
    pub forwards: u64,
    /// Backwards done.
    pub backwards: u64,
    /// Partitions merged and accepted.
    pub partitions: u64,
    /// Uploads that came through.
    pub uploads: u64,
    /// Uploads that did not.
    pub uploads_missed: u64,
    /// Whether the weights came in time.
    pub weights: Submitted,
    /// Merges that it took part in.
    pub merges: u64,
    /// Merges that it missed.
    pub merges_missed: u64,
    /// Tokens trained on.
    pub tokens: u64,
    /// Milliseconds by what they went into, by the words of `telemetry::spent::Activity`.
    pub spent: BTreeMap<String, u64>,
    /// What it took from the wall.
    pub energy: Energy,
    /// Work that validators found right, where that is known.
    pub validated: Option<u64>,
    /// Work that validators found wrong, where that is known.
    pub failed: Option<u64>,
    /// Where it is paid, as told to the network; none if it told nothing.
    pub payout_address: Option<String>,
    /// Work that was lost.
    pub lost: Vec<Lost>,
}

impl Work {
    /// How long it lasted, by what its time went into: a clock that was set does not change that.
    pub fn milliseconds(&self) -> u64 {
        self.spent.values().sum()
    }

    /// Milliseconds of one activity.
    pub fn spent_on(&self, activity: &str) -> u64 {
        self.spent.get(activity).copied().unwrap_or_default()
    }
}

/// What something was worth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// When.
    pub at: At,
    /// What is priced.
    pub of: Unit,
    /// In what: `tao`, or a currency such as `eur`.
    pub currency: String,
    /// How much of the currency one of it is worth.
    pub price: Exact,
    /// Who says so.
    pub source: String,
}

impl Reading {
    /// What a look at the chain is called: its body is an [`earnings::chain::Reading`].
    ///
    /// [`earnings::chain::Reading`]: crate::earnings::chain::Reading
    pub const CHAIN: &'static str = "chain";

    /// The look at the chain that it holds; none if it is something else.
    pub fn look(&self) -> Option<chain::Reading> {
        (self.what == Self::CHAIN).then(|| serde_json::from_str(&self.body).ok())?
    }
}

/// What was read of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// When.
    pub at: At,
    /// The network.
    pub network: String,
    /// What was asked.
    pub what: String,
    /// JSON.
    pub body: String,
}

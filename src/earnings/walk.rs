//! From work to pay, step by step, with the user's own figures. Each step says whether a network published
//! it, a rule says it, it was measured here, it is an estimate and from what, or nobody knows it.

use serde::Serialize;

use super::chain;
use super::exact::Exact;
use super::formula::{Period, Walk};
use super::ledger::{AnswerKind, At, Claims, EpochRow, Rows, StandingRow, Work};
use super::money::{Amount, Rao, Unit};
use super::rules::PayRules;
use super::worth::{TAO, worth};

/// Digits after the point of shares and scores.
const DIGITS: usize = 9;
/// Milliseconds of a day.
const DAY: u64 = 86_400_000;

/// What a figure is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "basis", rename_all = "kebab-case")]
pub enum Basis {
    /// A network says so.
    Published {
        /// In answer to this question.
        question: &'static str,
        /// When.
        at: At,
    },
    /// The chain says so.
    Chain {
        /// At this block.
        block: u64,
        /// When it was read.
        at: At,
    },
    /// A rule says so.
    Rule {
        /// Whose, and since when.
        origin: String,
    },
    /// Measured here.
    Measured,
    /// From figures that are not certain.
    Estimate {
        /// Which.
        from: String,
    },
    /// Nobody knows.
    Unknown {
        /// Why.
        why: String,
    },
}

impl Basis {
    /// In words, to stand behind the figure.
    pub fn in_words(&self) -> String {
        match self {
            Self::Published { question, .. } => format!("published ({question})"),
            Self::Chain { block, .. } => format!("on the chain, block {block}"),
            Self::Rule { origin } => format!("rule: {origin}"),
            Self::Measured => "measured here".to_owned(),
            Self::Estimate { from } => format!("estimate, {from}"),
            Self::Unknown { why } => format!("unknown: {why}"),
        }
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What it is.
    pub label: &'static str,
    /// The figure; none where nobody knows it.
    pub value: Option<String>,
    /// What the figure is.
    #[serde(flatten)]
    pub basis: Basis,
}

/// Whose walk, and by what.
#[derive(Clone, Copy, Debug)]
pub struct Walker<'a> {
    /// The ledger's rows.
    pub rows: &'a Rows,
    /// The network.
    pub network: &'a str,
    /// The miner.
    pub hotkey: &'a str,
    /// The rules that nobody publishes.
    pub rules: &'a PayRules,
    /// The user's currency, if there is one.
    pub currency: Option<&'a str>,
    /// Now.
    pub now: At,
}

impl Walker<'_> {
    /// The steps, from work to pay.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Steps(Vec::new());
        self.work(&mut steps);
        let mut epochs =
            self.rows.epochs.iter().filter(|row| self.is_own(&row.network, &row.hotkey));
        let mut standings =
            self.rows.standings.iter().filter(|row| self.is_own(&row.network, &row.hotkey));
        self.of_chain(&mut steps);
        match (epochs.next_back(), standings.next_back()) {
            (Some(epoch), None) => self.of_epoch(epoch, &mut steps),
            (Some(epoch), Some(standing)) if epoch.at >= standing.at => {
                self.of_epoch(epoch, &mut steps);
            }
            (_, Some(standing)) => self.of_standing(standing, &mut steps),
            (None, None) => self.of_run(&mut steps),
        }
        steps.0
    }

    fn is_own(&self, network: &str, hotkey: &str) -> bool {
        network == self.network && hotkey == self.hotkey
    }

    fn own_work(&self) -> impl Iterator<Item = &Work> {
        self.rows.work.iter().filter(|row| self.is_own(&row.network, &row.hotkey))
    }

    fn work(&self, steps: &mut Steps) {
        let since = At(self.now.0.saturating_sub(DAY));
        let last = self.own_work().filter(|row| row.until > since);
        let (backwards, partitions) = last.fold((0_u64, 0_u64), |(backwards, partitions), row| {
            (backwards + row.backwards, partitions + row.partitions)
        });
        let text = format!("{backwards} backwards, {partitions} partitions merged");
        steps.say("work of the last 24 h", text, Basis::Measured);
    }

    /// What the newest look at the chain says of the hotkey.
    fn of_chain(&self, steps: &mut Steps) {
        let looks = self.rows.readings.iter().rev().filter(|row| row.network == self.network);
        let mut own = looks.filter_map(|row| Some((row.at, row.look()?))).filter(|(_, look)| {
            look.asked.hotkey.is_some_and(|hotkey| hotkey.to_string() == self.hotkey)
        });
        let Some((at, look)) = own.next() else { return };
        let chain = || Basis::Chain { block: look.block.number, at };
        let mut say = |label, value: Option<String>, why: &str| match value {
            Some(value) => steps.say(label, value, chain()),
            None => steps.unknown(label, why),
        };
        let registered = look.registration.known().map(|said| match said {
            chain::Registration::Registered { uid } => format!("yes, uid {uid}"),
            chain::Registration::NotRegistered => "no".to_owned(),
        });
        say("registered", registered, "the chain does not say");
        let alpha = |rao: &Rao| Amount { rao: *rao, unit: Unit::Alpha }.to_string();
        if let chain::Fact::Unknown(chain::Unknown::NotRegistered) = look.incentive {
            return;
        }
        let incentive = look.incentive.known().map(|share| share.decimal(DIGITS));
        say("incentive", incentive, "the chain does not say");
        say("got in the last tempo", look.emission.known().map(alpha), "the chain does not say");
        say("stake on the hotkey", look.stake.known().map(alpha), "the chain does not say");
        let tempo = look.tempo.known().map(|tempo| Exact::from(*tempo));
        let day = Exact::from(self.rules.emission.value.blocks_per_day);
        let tempos = tempo.and_then(|tempo| day.over(&tempo));
        if let (Some(rao), Some(tempos)) = (look.emission.known(), tempos) {
            let text = format!("{} alpha a day", (rao.units() * tempos).decimal(DIGITS));
            let from = "from the last tempo, if it stays so".to_owned();
            steps.say("by the chain", text, Basis::Estimate { from });
        }
    }

    /// A network that publishes what it pays.
    fn of_epoch(&self, row: &EpochRow, steps: &mut Steps) {
        let published =
            || Basis::Published { question: AnswerKind::PublicPay.question(), at: row.at };
        steps.say("newest closed epoch", row.epoch.to_string(), published());
        scores(&row.walk, row.claims, &published, steps);
        let amount = |rao: Rao| Amount { rao, unit: row.unit }.to_string();
        steps.say("all miners' pay of the epoch, with burn", amount(row.emission), published());
        steps.say("earned in the epoch", amount(row.entitlement), published());
        let period = match row.period {
            Period::Green => "green: the loss reached a new minimum",
            Period::Frozen => "frozen: the loss reached no new minimum, so it waits",
        };
        steps.say("the period", period.to_owned(), published());
        steps.say("frozen until a green period", amount(row.account.frozen), published());
        steps.say("owed, rolls over below the minimum", amount(row.account.pending), published());
        steps.say("payout minimum", amount(row.terms.minimum), published());
        steps.say("transfer fee", amount(row.terms.fee), published());
        let missing = row.terms.minimum.minus(row.account.pending).unwrap_or(Rao::ZERO);
        let (label, rate) = ("until the minimum", row.entitlement);
        match Exact::from(missing.0).over(&Exact::from(rate.0)) {
            _ if missing == Rao::ZERO => steps.say(label, "reached".to_owned(), published()),
            Some(epochs) => {
                let from = "from what the newest epoch earned".to_owned();
                steps.say(label, about(&epochs, "epoch"), Basis::Estimate { from });
            }
            None => steps.unknown(label, "the newest epoch earned nothing"),
        }
        if row.unit == Unit::Points {
            let why = "practice points are worth nothing, in TAO or any currency";
            steps.unknown("worth", why);
        } else {
            self.worth(row.entitlement, "from what the newest epoch earned", steps);
        }
    }

    /// A network that publishes scores.
    fn of_standing(&self, row: &StandingRow, steps: &mut Steps) {
        let published =
            || Basis::Published { question: AnswerKind::SubnetScores.question(), at: row.at };
        scores(&row.walk, row.claims, &published, steps);
        let from = "from the newest published weight, if it stays so".to_owned();
        self.a_day(&row.walk.weight, &from, steps);
    }

    /// A network that publishes no scores to miners: what it tells of the run, and an equal share of that.
    fn of_run(&self, steps: &mut Steps) {
        let why = "the network publishes no scores to miners";
        for label in ["raw score", "multiplier", "total score"] {
            steps.unknown(label, why);
        }
        let run = self.own_work().filter_map(|row| row.run.as_deref()).last();
        let mut runs = self.rows.runs.iter().filter(|row| row.network == self.network);
        let Some(info) = runs.rfind(|row| Some(row.run.as_str()) == run) else {
            steps.unknown("share of the run", why);
            steps.unknown("burn", "the network has not told what the run gets");
            self.terms(None, steps);
            return;
        };
        let published =
            || Basis::Published { question: AnswerKind::RunInfo.question(), at: info.at };
        let share = Exact::ratio(1, info.miners).unwrap_or_else(Exact::one);
        let from = format!("an equal share of the run's {} miners", info.miners.max(1));
        steps.say(
            "share of the run",
            share.decimal(DIGITS),
            Basis::Estimate { from: from.clone() },
        );
        steps.say("burn", info.burn.decimal(DIGITS), published());
        steps.say("the run's allocation", info.incentive.decimal(DIGITS), published());
        let weight = share * (Exact::one() - info.burn.clone()) * info.incentive.clone();
        steps.say("weight", weight.decimal(DIGITS), Basis::Estimate { from: from.clone() });
        self.a_day(&weight, &format!("from {from}"), steps);
    }

    /// From a weight to a day's alpha, and what becomes of it.
    fn a_day(&self, weight: &Exact, from: &str, steps: &mut Steps) {
        let emission = &self.rules.emission;
        let all = emission.value.a_day(&Exact::one());
        let origin = emission.origin();
        let text = format!("{} alpha a day", all.decimal(DIGITS));
        steps.say("the subnet's miners get", text, Basis::Rule { origin });
        let alpha = emission.value.a_day(weight);
        let text = format!("{} alpha a day", alpha.decimal(DIGITS));
        steps.say("your part", text, Basis::Estimate { from: from.to_owned() });
        self.worth(Rao::of_units(&alpha).unwrap_or(Rao::ZERO), &format!("{from}, a day"), steps);
        self.terms(Some(&alpha), steps);
    }

    fn worth(&self, rao: Rao, from: &str, steps: &mut Steps) {
        let amount = Amount { rao, unit: Unit::Alpha };
        let mut say =
            |label, currency: &str| match worth(&self.rows.prices, amount, currency, self.now) {
                Ok(worth) => {
                    let sources: Vec<_> =
                        worth.prices.iter().map(|price| price.source.as_str()).collect();
                    let text =
                        format!("{} {}", worth.value.decimal(DIGITS), currency.to_uppercase());
                    let from = format!("{from}; price of {}", sources.join(", "));
                    steps.say(label, text, Basis::Estimate { from });
                }
                Err(why) => steps.unknown(label, &why.to_string()),
            };
        say("in TAO", TAO);
        match self.currency {
            Some(currency) => say("in your currency", currency),
            None => steps.unknown("in your currency", "no price source is switched on"),
        }
    }

    /// When something is paid, where nobody publishes what is owed.
    fn terms(&self, a_day: Option<&Exact>, steps: &mut Steps) {
        let rules = self.rules;
        steps.unknown("owed", "the network does not publish it");
        let minimum = Amount { rao: rules.minimum.value, unit: Unit::Alpha }.to_string();
        steps.say("payout minimum", minimum, Basis::Rule { origin: rules.minimum.origin() });
        match &rules.fee {
            Some(fee) => {
                let text = Amount { rao: fee.value, unit: Unit::Alpha }.to_string();
                steps.say("transfer fee", text, Basis::Rule { origin: fee.origin() });
            }
            None => steps.unknown("transfer fee", "it is deducted, and nobody says how much it is"),
        }
        let freeze =
            "a period in which the loss reaches no new minimum waits for one in which it does";
        let origin = rules.minimum.source.to_owned();
        steps.say("freeze", freeze.to_owned(), Basis::Rule { origin });
        let label = "until the minimum";
        match a_day.and_then(|alpha| rules.minimum.value.units().over(alpha)) {
            Some(days) => {
                let from = "at this rate, counted from nothing".to_owned();
                steps.say(label, about(&days, "day"), Basis::Estimate { from });
            }
            None => steps.unknown(label, "the rate is unknown"),
        }
    }
}

/// `about 3 days`, rounded up.
fn about(number: &Exact, of: &str) -> String {
    let whole = number.floor().unwrap_or(u64::MAX);
    let whole = if Exact::from(whole) == *number { whole } else { whole.saturating_add(1) };
    let plural = if whole == 1 { "" } else { "s" };
    format!("about {whole} {of}{plural}")
}

/// The steps from a score to a weight.
fn scores(walk: &Walk, claims: Claims, published: &dyn Fn() -> Basis, steps: &mut Steps) {
    let mut say = |label, value: &Exact| steps.say(label, value.decimal(DIGITS), published());
    say("raw score", &walk.raw);
    if let Some(multiplier) = &walk.multiplier {
        say("multiplier", multiplier);
    }
    say("total score", &walk.total);
    say("all miners of the run", &walk.run_total);
    say("share of the run", &walk.share);
    match &walk.allocation {
        Some(allocation) => {
            say("burn", &allocation.burn);
            say("the run's allocation", &allocation.effective());
        }
        None => steps.unknown("the run's allocation", "the run is not among those that are paid"),
    }
    if claims == Claims::Over {
        let text = "more than the subnet has: nobody is paid".to_owned();
        steps.say("all runs claim", text, published());
    }
    steps.say("weight", walk.weight.decimal(DIGITS), published());
}

/// The steps so far.
struct Steps(Vec<Step>);

impl Steps {
    fn say(&mut self, label: &'static str, value: String, basis: Basis) {
        self.0.push(Step { label, value: Some(value), basis });
    }

    fn unknown(&mut self, label: &'static str, why: &str) {
        self.0.push(Step { label, value: None, basis: Basis::Unknown { why: why.to_owned() } });
    }
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;

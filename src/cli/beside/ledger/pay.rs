//! Asks the network what it pays, enters the answers, and does its sums again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use url::Url;

use crate::cli::ask::{Asked, Asker};
use crate::clock::{Clock, Moment};
use crate::config::network::NetworkChoice;
use crate::earnings::formula::Account;
use crate::earnings::ledger::{Answer, AnswerKind, At, Ledger, LedgerError, News, Span};
use crate::earnings::published::{PATH, PaidEpoch, PublicPay, Terms};
use crate::earnings::view::Source;

/// The largest answer.
const LARGEST: usize = 16 << 20;
/// Between two questions, while an epoch that ended is not paid yet, and while none is.
const SOON: Duration = Duration::from_secs(2);
const LATER: Duration = Duration::from_secs(60);
/// Between two questions to a network that publishes only what its runs get.
const SELDOM: Duration = Duration::from_secs(1800);
/// What the runs get; the operator's network tells it to anybody.
const RUNS: &str = "/common/get_run_info";

/// What came of a look.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Whether rows were added.
    pub(super) news: bool,
    /// Code, what, what now.
    pub(super) said: Vec<(&'static str, String, &'static str)>,
}

/// Which question a network is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    /// All of its pay: what a swarm of Hearth publishes.
    Pay,
    /// What its runs get: the operator's network.
    Runs,
}

/// Asks one network.
#[derive(Debug)]
pub(super) struct Payday {
    asker: Asker,
    network: String,
    question: Question,
    asked: Option<(Moment, At)>,
    source: Source,
    /// The run whose epochs are known, when it began, and the last of them.
    known: Option<(String, u64, u64)>,
    last: Option<(Terms, PaidEpoch)>,
    disagreed: bool,
}

impl Payday {
    /// None if there is nobody to ask.
    pub(super) fn new(network: &NetworkChoice, server: &Url, clock: &Clock) -> Option<Self> {
        let question = match network {
            NetworkChoice::Mainnet | NetworkChoice::Testnet => Question::Runs,
            _ => Question::Pay,
        };
        let asker = match Asker::new(server.clone(), clock) {
            Ok(asker) => asker,
            Err(error) => {
                tracing::warn!("{error}");
                return None;
            }
        };
        Some(Self {
            asker,
            network: network.to_string(),
            question,
            asked: None,
            source: Source::Unasked,
            known: None,
            last: None,
            disagreed: false,
        })
    }

    /// Where the figures come from, and when they were last asked for.
    pub(super) fn source(&self) -> (Source, Option<At>) {
        (self.source.clone(), self.asked.map(|(_, at)| at))
    }

    /// Asks, if it is time. `turned` says that something ended; the miners are in epoch `epoch`.
    pub(super) async fn look(
        &mut self,
        ledger: &mut Ledger,
        whose: &BTreeSet<String>,
        (turned, epoch): (bool, u64),
        clock: &Clock,
    ) -> Result<Found, LedgerError> {
        let now = clock.now();
        let pause = match (self.question, turned) {
            (Question::Runs, _) => SELDOM,
            (Question::Pay, _) if self.source == Source::NotPublished => SELDOM,
            (Question::Pay, true) => Duration::ZERO,
            (Question::Pay, false) if self.is_behind(epoch) => SOON,
            (Question::Pay, false) => LATER,
        };
        if self.asked.is_some_and(|(at, _)| now.since(at) < pause) {
            return Ok(Found::default());
        }
        let at = At(clock.unix_millis());
        self.asked = Some((now, at));
        match self.question {
            Question::Pay => self.ask_pay(ledger, whose, at).await,
            Question::Runs => self.ask_runs(ledger, whose, at).await,
        }
    }

    /// Whether an epoch that ended is not paid yet, as far as is known here.
    fn is_behind(&self, epoch: u64) -> bool {
        self.known.as_ref().is_none_or(|(.., paid)| paid + 1 < epoch)
    }

    async fn ask_pay(
        &mut self,
        ledger: &mut Ledger,
        whose: &BTreeSet<String>,
        at: At,
    ) -> Result<Found, LedgerError> {
        if self.known.is_none() {
            // First only which run it is: what is in the ledger need not be told again.
            let Some((_, pay)) = self.told(u64::MAX).await else { return Ok(Found::default()) };
            let entered = self.entered(ledger, &pay).await?;
            self.known = Some((pay.run, pay.since, entered));
        }
        let Some((run, since, after)) = self.known.clone() else { return Ok(Found::default()) };
        let Some((body, pay)) = self.told(after).await else { return Ok(Found::default()) };
        if pay.run != run || pay.since != since {
            // Another run has begun at this address.
            (self.known, self.last) = (None, None);
            return Ok(Found::default());
        }
        let Some(newest) = pay.epochs.last() else { return Ok(Found::default()) };
        self.known = Some((run, since, newest.epoch));
        let mut found = self.enter(ledger, AnswerKind::PublicPay, whose, at, body).await?;
        found.said.extend(self.check(pay));
        Ok(found)
    }

    async fn ask_runs(
        &mut self,
        ledger: &mut Ledger,
        whose: &BTreeSet<String>,
        at: At,
    ) -> Result<Found, LedgerError> {
        match self.asker.ask(RUNS, None, LARGEST).await {
            Asked::Told(body) => {
                // What each miner gets is not published; what the runs get is.
                self.source = Source::NotPublished;
                self.enter(ledger, AnswerKind::RunInfo, whose, at, body).await
            }
            other => {
                self.note(&other);
                Ok(Found::default())
            }
        }
    }

    /// What is published of the epochs after `after`.
    async fn told(&mut self, after: u64) -> Option<(Vec<u8>, PublicPay)> {
        let query = format!("after={after}");
        let body = match self.asker.ask(PATH, Some(&query), LARGEST).await {
            Asked::Told(body) => body,
            other => {
                self.note(&other);
                return None;
            }
        };
        match serde_json::from_slice(&body) {
            Ok(pay) => {
                self.source = Source::Published;
                Some((body, pay))
            }
            Err(_) => {
                let why = format!(
                    "{} says of its pay what this version cannot read; update Hearth, or ask who runs it",
                    self.asker.server()
                );
                self.source = Source::Failing { why };
                None
            }
        }
    }

    fn note(&mut self, asked: &Asked) {
        self.source = match asked {
            Asked::Silent(why) => {
                let server = self.asker.server();
                Source::Failing {
                    why: format!("{server} does not answer ({why}); it is asked again"),
                }
            }
            _ => Source::NotPublished,
        };
    }

    /// The last epoch of this run that is in the ledger.
    async fn entered(&self, ledger: &mut Ledger, pay: &PublicPay) -> Result<u64, LedgerError> {
        let span = Span { since: At::of_seconds(pay.since), ..Span::ALL };
        let rows = ledger.read().rows(span).await?;
        let own = rows.epochs.iter().filter(|row| {
            row.network == self.network
                && row.run == pay.run
                && row.began == At::of_seconds(pay.since)
        });
        Ok(own.map(|row| row.epoch).max().unwrap_or(0))
    }

    async fn enter(
        &self,
        ledger: &mut Ledger,
        kind: AnswerKind,
        whose: &BTreeSet<String>,
        at: At,
        body: Vec<u8>,
    ) -> Result<Found, LedgerError> {
        let (network, whose) = (self.network.clone(), whose.clone());
        let recorded = ledger.record_answer(&Answer { at, network, kind, whose, body }).await?;
        let said = recorded.trouble.map(|trouble| {
            (trouble.code(), trouble.to_string(), "ask who runs the network; mining goes on")
        });
        let news = recorded.news == News::Added;
        Ok(Found { news, said: said.into_iter().collect() })
    }

    /// Does the sums of each epoch again. The first in which they do not come out is told, once.
    fn check(&mut self, pay: PublicPay) -> Option<(&'static str, String, &'static str)> {
        let mut said = None;
        for epoch in pay.epochs {
            let before: Option<BTreeMap<String, Account>> = match &self.last {
                Some((terms, last)) if *terms == pay.terms && last.epoch + 1 == epoch.epoch => {
                    Some(last.owed())
                }
                None if epoch.epoch == 1 => Some(BTreeMap::new()),
                _ => None,
            };
            let wrong = before.and_then(|owed| epoch.disagreement(&pay.terms, &owed));
            if let Some(wrong) = wrong.filter(|_| !self.disagreed) {
                self.disagreed = true;
                let what = format!("the pay of epoch {} does not add up: {wrong}", epoch.epoch);
                said =
                    Some(("pay-disagrees", what, "ask who runs the network; the answer is kept"));
            }
            self.last = Some((pay.terms, epoch));
        }
        said
    }
}

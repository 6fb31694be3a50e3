//! What a model that only counts would score: the unigram and bigram cross-entropy of the held-out
//! text. A swarm that learned something is below both.

use super::source::Split;
use super::{Feed, FeedError};

/// Added to every unigram count, so that no token is impossible.
const ADDED: f64 = 0.1;
/// Tried values of a bigram's reluctance: how many sightings of a token make its followers count
/// as much as the unigram.
const RELUCTANCES: [f64; 12] =
    [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 512.0, 4096.0];

/// Cross-entropy of counting models on text they did not count, in nats per token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Baselines {
    /// Knowing only how common each token is.
    pub unigram: f64,
    /// Knowing also the token before.
    pub bigram: f64,
    /// Tokens counted.
    pub fitted_tokens: usize,
    /// Held-out tokens that the two figures are measured on.
    pub measured_tokens: usize,
}

impl Baselines {
    /// Tokens to count when nothing else is asked for.
    pub const FITTED: usize = 1_000_000;
    /// Held-out tokens to use when nothing else is asked for.
    pub const HELD_OUT: usize = 100_000;

    /// Counts `tokens` tokens of the feed's training stream from its beginning (all of a smaller
    /// corpus), chooses the bigram's weight on the first half of `held_out` held-out tokens and
    /// measures on the second. Does not move the feed. Takes about a second: run it on a thread of
    /// its own when somebody is waiting.
    pub fn fit(feed: &Feed, tokens: usize, held_out: usize) -> Result<Self, FeedError> {
        let tokenizer = feed.tokenizer();
        let seen = feed.source().ids(Split::Training, tokens, tokenizer)?;
        let unseen = feed.source().ids(Split::HeldOut, held_out.max(4), tokenizer)?;
        let (first, second) = unseen.split_at(unseen.len() / 2);
        let counts = Counts::of(&seen, tokenizer.vocab_size());
        let reluctance = RELUCTANCES
            .into_iter()
            .min_by(|a, b| counts.bigram_cost(first, *a).total_cmp(&counts.bigram_cost(first, *b)))
            .unwrap_or(1.0);
        Ok(Self {
            unigram: counts.unigram_cost(second),
            bigram: counts.bigram_cost(second, reluctance),
            fitted_tokens: seen.len(),
            measured_tokens: second.len(),
        })
    }
}

/// How often each token and each pair was seen.
struct Counts {
    /// By token.
    single: Vec<u32>,
    total: f64,
    /// Pairs as `first << 32 | second`, sorted, with their counts.
    pairs: Vec<(u64, u32)>,
}

impl Counts {
    fn of(ids: &[u32], vocab_size: usize) -> Self {
        let mut single = vec![0_u32; vocab_size];
        for id in ids {
            if let Some(count) = single.get_mut(*id as usize) {
                *count += 1;
            }
        }
        let mut keys: Vec<u64> = ids.windows(2).map(|pair| key(pair[0], pair[1])).collect();
        keys.sort_unstable();
        let mut pairs: Vec<(u64, u32)> = Vec::new();
        for key in keys {
            match pairs.last_mut() {
                Some((last, count)) if *last == key => *count += 1,
                _ => pairs.push((key, 1)),
            }
        }
        Self { single, total: ids.len() as f64, pairs }
    }

    fn unigram(&self, id: u32) -> f64 {
        let count = f64::from(self.single.get(id as usize).copied().unwrap_or(0));
        (count + ADDED) / (self.total + ADDED * self.single.len() as f64)
    }

    /// The share of `second` among the followers of `first`, mixed with its own share: the rarer
    /// `first` is, the less its followers count.
    fn bigram(&self, first: u32, second: u32, reluctance: f64) -> f64 {
        let seen = f64::from(self.single.get(first as usize).copied().unwrap_or(0));
        let both = match self.pairs.binary_search_by_key(&key(first, second), |pair| pair.0) {
            Ok(at) => f64::from(self.pairs[at].1),
            Err(_) => 0.0,
        };
        (both + reluctance * self.unigram(second)) / (seen + reluctance)
    }

    fn unigram_cost(&self, ids: &[u32]) -> f64 {
        mean(ids.iter().map(|id| -self.unigram(*id).ln()))
    }

    fn bigram_cost(&self, ids: &[u32], reluctance: f64) -> f64 {
        mean(ids.windows(2).map(|pair| -self.bigram(pair[0], pair[1], reluctance).ln()))
    }
}

fn key(first: u32, second: u32) -> u64 {
    u64::from(first) << 32 | u64::from(second)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { f64::NAN }
}

//! What was earned, why, and what is left after electricity: scores to shares to payouts, the ledger,
//! the chain, "why zero". Nothing here is a guess that does not say so.

pub mod chain;
pub mod derive;
pub mod exact;
pub mod expected;
pub mod formula;
pub mod ledger;
pub mod money;
pub mod power;
pub mod price;
pub mod published;
pub mod report;
pub mod rules;
pub mod summary;
pub mod view;
pub mod walk;
pub mod why;
pub mod worth;

pub use exact::Exact;
pub use money::{Amount, Rao, Unit};

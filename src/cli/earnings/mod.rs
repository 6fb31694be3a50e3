//! `hearth earnings`: what was earned and why.

pub mod chain;
pub(super) mod own;
pub mod price;

use clap::{Args, Subcommand};

use super::{Exit, Failure};

/// What was earned, and why.
#[derive(Clone, Debug, Args)]
pub struct EarningsArguments {
    /// What to show
    #[command(subcommand)]
    pub action: EarningsAction,
}

/// Parts of it.
#[derive(Clone, Debug, Subcommand)]
pub enum EarningsAction {
    /// What the chain says of a hotkey and an address, read from a node that you name
    Chain(chain::ChainArguments),
    /// What one TAO is worth in your currency, from a source that you name
    Price(price::PriceArguments),
}

/// Runs the command.
pub fn run(arguments: &EarningsArguments) -> Result<Exit, Failure> {
    match &arguments.action {
        EarningsAction::Chain(arguments) => chain::run(arguments),
        EarningsAction::Price(arguments) => price::run(arguments),
    }
}

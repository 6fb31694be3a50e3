//! `hearth pause`, `snooze`, `resume`, `finish` and `stop`: a command for the miner that runs here.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::{Desk, failure, say};
use crate::cli::{Exit, Failure};
use crate::clock::local;
use crate::config::instance;
use crate::config::units;
use crate::control::client::{Client, ClientError};
use crate::control::{Addressee, Order};
use crate::miner::{Command, MinerSnapshot, PauseCost, State};

/// Between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(200);

/// What all these commands take.
#[derive(Clone, Debug, Default, Args)]
pub struct ToWhom {
    /// Only this miner, such as m1; all of them where nothing is said
    #[arg(long, value_name = "MINER")]
    pub device: Option<String>,
    /// One JSON object a line, nothing else on standard output
    #[arg(long)]
    pub json: bool,
}

impl ToWhom {
    fn addressee(&self) -> Addressee {
        self.device.clone().map_or(Addressee::All, Addressee::One)
    }
}

/// Take no new work; the work in hand is finished first.
#[derive(Clone, Debug, Args)]
pub struct PauseArguments {
    /// For how long, such as 30m or 2h; until `hearth resume` where nothing is said
    #[arg(value_name = "TIME", value_parser = units::span)]
    pub time: Option<Duration>,
    /// To whom.
    #[command(flatten)]
    pub to: ToWhom,
}

/// A pause that ends by itself.
#[derive(Clone, Debug, Args)]
pub struct SnoozeArguments {
    /// For how long, such as 30m or 2h
    #[arg(value_name = "TIME", value_parser = units::span, default_value = "1h")]
    pub time: Duration,
    /// To whom.
    #[command(flatten)]
    pub to: ToWhom,
}

/// Work again, as far as the rules allow it.
#[derive(Clone, Debug, Args)]
pub struct ResumeArguments {
    /// For so long, work whatever the rules say, except those that protect the machine
    #[arg(long, value_name = "TIME", value_parser = units::span)]
    pub anyway: Option<Duration>,
    /// To whom.
    #[command(flatten)]
    pub to: ToWhom,
}

/// What finish and stop take.
#[derive(Clone, Debug, Args)]
pub struct EndArguments {
    /// Come back only when it has ended
    #[arg(long)]
    pub wait: bool,
    /// To whom.
    #[command(flatten)]
    pub to: ToWhom,
}

/// What disable and enable take.
#[derive(Clone, Debug, Args)]
pub struct SwitchArguments {
    /// The miner, such as m1; hearth status names them
    #[arg(value_name = "MINER")]
    pub miner: String,
    /// One JSON object a line, nothing else on standard output
    #[arg(long)]
    pub json: bool,
}

/// Runs `hearth pause`.
pub fn pause(arguments: &PauseArguments) -> Result<Exit, Failure> {
    let desk = Desk::open()?;
    let until = arguments.time.map(|time| desk.ahead(time));
    let how_long = match until {
        Some(until) => format!("until {}", local(until)),
        None => "until you say `hearth resume`".to_owned(),
    };
    let words = |who: &str| format!("{who}: paused {how_long}. Work in hand is finished first.");
    desk.give(Command::Pause { until }, &arguments.to, words, json!({ "until": until })).map(done)
}

/// Runs `hearth snooze`.
pub fn snooze(arguments: &SnoozeArguments) -> Result<Exit, Failure> {
    pause(&PauseArguments { time: Some(arguments.time), to: arguments.to.clone() })
}

/// Runs `hearth resume`.
pub fn resume(arguments: &ResumeArguments) -> Result<Exit, Failure> {
    let desk = Desk::open()?;
    let until = arguments.anyway.map(|time| desk.ahead(time));
    let (command, how) = match until {
        Some(until) => {
            let words = format!("works until {}, whatever the rules say", local(until));
            (Command::RunAnyway { until }, words)
        }
        None => (Command::Resume, "works again, as far as the rules allow it".to_owned()),
    };
    let words = |who: &str| format!("{who}: {how}.");
    desk.give(command, &arguments.to, words, json!({ "until": until })).map(done)
}

/// Runs `hearth disable`.
pub fn disable(arguments: &SwitchArguments) -> Result<Exit, Failure> {
    let words = |who: &str| {
        format!(
            "{who}: finishes the work in hand and lets go of its device, until you say `hearth enable \
             {who}`; a restart does not change that."
        )
    };
    switch(Command::Disable, arguments, words)
}

/// Runs `hearth enable`.
pub fn enable(arguments: &SwitchArguments) -> Result<Exit, Failure> {
    let words = |who: &str| format!("{who}: takes its device and works again.");
    switch(Command::Enable, arguments, words)
}

fn switch(
    command: Command,
    arguments: &SwitchArguments,
    words: impl Fn(&str) -> String,
) -> Result<Exit, Failure> {
    let to = ToWhom { device: Some(arguments.miner.clone()), json: arguments.json };
    Desk::open()?.give(command, &to, words, json!({})).map(done)
}

/// Runs `hearth finish`.
pub fn finish(arguments: &EndArguments) -> Result<Exit, Failure> {
    let words = |who: &str| {
        format!("{who}: finishes this epoch, hands in what it learned, and ends after that.")
    };
    end(Command::Finish, arguments, words)
}

/// Runs `hearth stop`.
pub fn stop(arguments: &EndArguments) -> Result<Exit, Failure> {
    let words = |who: &str| format!("{who}: finishes the work in hand and ends.");
    end(Command::Stop, arguments, words)
}

fn end(
    command: Command,
    arguments: &EndArguments,
    words: impl Fn(&str) -> String,
) -> Result<Exit, Failure> {
    let desk = Desk::open()?;
    let client = desk.give(command, &arguments.to, words, json!({}))?;
    if arguments.wait {
        desk.until_ended(&client, arguments.to.device.as_deref())?;
        say(arguments.to.json, "ended", "It has ended.", json!({}))?;
    }
    Ok(Exit::Done)
}

fn done<T>(_: T) -> Exit {
    Exit::Done
}

impl Desk {
    fn ahead(&self, time: Duration) -> u64 {
        (self.clock.unix() + time).as_secs()
    }

    /// Gives a command and says who took it.
    fn give(
        &self,
        command: Command,
        to: &ToWhom,
        words: impl Fn(&str) -> String,
        mut fields: Value,
    ) -> Result<Client, Failure> {
        let client = self.find().map_err(|error| failure(&error))?;
        self.tell_cost(&client, command, to)?;
        let order = Order { to: to.addressee(), command };
        let accepted = self.runtime.block_on(client.order(&order));
        let accepted = accepted.map_err(|error| failure(&error))?;
        let named = serde_json::to_value(command).unwrap_or_default();
        fields["command"] = named["command"].clone();
        fields["miners"] = json!(accepted);
        say(to.json, "accepted", &words(&accepted.join(", ")), fields)?;
        Ok(client)
    }

    /// Says what it costs, before it is done.
    fn tell_cost(&self, client: &Client, command: Command, to: &ToWhom) -> Result<(), Failure> {
        let cost: fn(&PauseCost) -> &str = match command {
            Command::Pause { .. } => |cost| &cost.pause,
            Command::Stop => |cost| &cost.stop,
            _ => return Ok(()),
        };
        let overview = self.runtime.block_on(client.overview());
        let overview = overview.map_err(|error| failure(&error))?;
        let meant = |miner: &&MinerSnapshot| to.device.as_ref().is_none_or(|d| *d == miner.name);
        for miner in overview.miners.iter().filter(meant) {
            let (words, all) = (miner.pause_cost(), overview.miners.len());
            let who = if all > 1 { format!("{}: ", miner.name) } else { String::new() };
            let fields = json!({
                "miner": miner.name, "in_hand": words.in_hand, "backwards": words.backwards,
            });
            say(to.json, "cost", &format!("{who}{}", cost(&words)), fields)?;
        }
        Ok(())
    }

    /// Waits until the process has ended, or one of its miners.
    fn until_ended(&self, client: &Client, device: Option<&str>) -> Result<(), Failure> {
        loop {
            let overview = self.runtime.block_on(client.overview());
            let ended = match (&overview, device) {
                (Ok(overview), Some(device)) => {
                    let mut own = overview.miners.iter().filter(|miner| miner.name == device);
                    own.all(|miner| matches!(miner.status.state, State::Stopped | State::Fault))
                }
                // It is busy ending.
                (Ok(_) | Err(ClientError::Silent(_)), _) => false,
                // The door is closed; the house may still be emptied.
                (Err(_), _) => !instance::is_held(&self.folders),
            };
            if ended {
                return Ok(());
            }
            self.clock.block(LOOK);
        }
    }
}

//! `hearth status`: the truth in a few lines, and in the exit code.

use clap::Args;
use serde::Serialize;

use super::{Desk, failure, say, writeln_out};
use crate::cli::{Exit, Failure};
use crate::clock::local;
use crate::control::Progress;
use crate::control::client::ClientError;
use crate::control::overview::{Overview, ProcessView};
use crate::host::rules::Rule;
use crate::miner::{Eta, MinerSnapshot, State, Who, Work};
use crate::tui::text;

/// What the miner that runs here does, and why; the exit code says it too.
#[derive(Clone, Debug, Default, Args)]
pub struct StatusArguments {
    /// Only this miner, such as m1
    #[arg(long, value_name = "MINER")]
    pub device: Option<String>,
    /// One JSON object a line, nothing else on standard output
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(arguments: &StatusArguments) -> Result<Exit, Failure> {
    let desk = Desk::open()?;
    let found = desk.find().and_then(|client| desk.runtime.block_on(client.overview()));
    let overview = match found {
        Ok(overview) => overview,
        Err(error) => {
            let exit = match &error {
                ClientError::NotRunning(_) => Exit::NotRunning,
                ClientError::Starting(_) => Exit::Waiting,
                // It is there, but does nothing that anybody could see.
                ClientError::Silent(_) => Exit::Fault,
                _ => return Err(failure(&error)),
            };
            let code = serde_json::json!({ "code": error.code() });
            say(arguments.json, "not-reached", &capitalised(&error.to_string()), code)?;
            return Ok(exit);
        }
    };
    let own: Vec<&MinerSnapshot> = overview
        .miners
        .iter()
        .filter(|miner| arguments.device.as_ref().is_none_or(|wanted| *wanted == miner.name))
        .collect();
    if own.is_empty() {
        let names: Vec<&str> = overview.miners.iter().map(|miner| miner.name.as_str()).collect();
        let line = format!(
            "there is no miner {:?} here, only {}",
            arguments.device.as_deref().unwrap_or_default(),
            names.join(", ")
        );
        return Err(Failure::new(Exit::Usage, line));
    }
    #[allow(clippy::cast_precision_loss)]
    let now = desk.clock.unix().as_secs() as f64;
    let failed = match &overview.progress {
        Progress::Failed(why) => Some(why),
        _ => None,
    };
    if arguments.json {
        for miner in &own {
            writeln_json(&Line::of(miner, &overview.process))?;
        }
    } else {
        own.iter().try_for_each(|miner| said(&words(miner, &overview, now)))?;
        failed.map_or(Ok(()), |why| said(&format!("It cannot go on: {why}")))?;
        let ProcessView { pid, since, .. } = &overview.process;
        said(&format!("Process {pid}, since {}.", local(*since)))?;
    }
    Ok(match failed {
        Some(_) => Exit::Fault,
        None => exit_of_all(own.iter().map(|miner| exit_of(miner))),
    })
}

fn said(words: &str) -> Result<(), Failure> {
    crate::cli::exit::written(writeln_out(words)).map(drop)
}

fn writeln_json(line: &impl Serialize) -> Result<(), Failure> {
    said(&serde_json::to_string(line).map_err(|error| Failure::new(Exit::Failed, error))?)
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What one miner does, as an exit code.
fn exit_of(miner: &MinerSnapshot) -> Exit {
    match miner.status.state {
        State::Training | State::Loading | State::Uploading | State::Merging => Exit::Done,
        State::Paused | State::Disabled => Exit::Paused,
        State::Fault => Exit::Fault,
        State::Stopped => Exit::NotRunning,
        State::Starting | State::Registering | State::Waiting | State::Stopping => {
            match miner.status.who {
                Who::You => Exit::NeedsYou,
                _ => Exit::Waiting,
            }
        }
    }
}

/// What several do, as one: what somebody must look at first, then whether anything is trained.
fn exit_of_all(each: impl Iterator<Item = Exit>) -> Exit {
    const ORDER: [Exit; 5] = [Exit::Fault, Exit::NeedsYou, Exit::Done, Exit::Waiting, Exit::Paused];
    let each: Vec<Exit> = each.collect();
    ORDER.into_iter().find(|exit| each.contains(exit)).unwrap_or(Exit::NotRunning)
}

/// One miner, for scripts. The first five fields are those of every `state` event.
#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    miner: &'a str,
    state: State,
    reason: &'static str,
    since: f64,
    sentence: String,
    next: &'a str,
    who: Who,
    /// Seconds; null while nobody can say.
    eta: Option<f64>,
    /// Unix seconds until which the rules, or the user's word, say so; null where that is open.
    until: Option<f64>,
    rule: &'static str,
    finishing: bool,
    exit: u8,
    run: Option<&'a str>,
    stage: Option<usize>,
    stages: usize,
    epoch: u64,
    work: &'a Work,
    tokens_per_second: [f64; 3],
    pid: u32,
    started: u64,
}

impl<'a> Line<'a> {
    fn of(miner: &'a MinerSnapshot, process: &ProcessView) -> Self {
        let status = &miner.status;
        Self {
            event: "state",
            miner: &miner.name,
            state: status.state,
            reason: status.reason.code(),
            since: status.since,
            sentence: status.reason.sentence(),
            next: &status.next,
            who: status.who,
            eta: match status.eta {
                Eta::Unknown => None,
                Eta::Seconds(seconds) => Some(seconds),
            },
            until: miner.ruling.until,
            rule: miner.ruling.rule.code(),
            finishing: miner.finishing,
            exit: exit_of(miner) as u8,
            run: miner.run.as_deref(),
            stage: miner.stage,
            stages: miner.stages,
            epoch: miner.epoch,
            work: &miner.work,
            tokens_per_second: miner.tokens_per_second,
            pid: process.pid,
            started: process.since,
        }
    }
}

/// One miner, for a person.
fn words(miner: &MinerSnapshot, overview: &Overview, now: f64) -> String {
    let status = &miner.status;
    let mut lines = vec![
        format!(
            "{} is {} for {}: {}",
            miner.name,
            status.state.word(),
            text::duration(now - status.since),
            status.reason.sentence()
        ),
        format!(
            "  next     {} (done by {}; {})",
            status.next,
            text::who(status.who),
            match status.eta {
                Eta::Unknown => "nobody can say when".to_owned(),
                eta => format!("expected in {}", text::eta(eta)),
            }
        ),
    ];
    // What pauses it is its reason already; what only slows it down is not.
    if miner.ruling.rule != Rule::NoRule && !miner.ruling.pauses() {
        lines.push(format!("  rule     {}", miner.ruling.sentence));
    }
    for unknown in &miner.ruling.unknown {
        lines.push(format!("  unknown  {}: {}", unknown.rule.code(), unknown.why));
    }
    if miner.finishing {
        lines.push("  then     it ends when this epoch's work is handed in and merged".to_owned());
    }
    let place = match (&miner.run, miner.stage) {
        (Some(run), Some(stage)) => {
            format!("run {run}, stage {stage} of {}, epoch {}", miner.stages, miner.epoch)
        }
        _ => "no stage yet".to_owned(),
    };
    let place = match &overview.swarm {
        Some(_) => format!("{place} (practice swarm on this machine)"),
        None => place,
    };
    lines.push(format!("  where    {place}"));
    if let Some(queue) = &miner.queue {
        let number = |place: Option<u64>| place.map_or("unknown".to_owned(), text::thousands);
        let place = number(queue.places.last().map(|(_, place)| *place));
        lines.push(format!("  queue    {}", text::queue_place(&place, &number(queue.best))));
    }
    let work = &miner.work;
    lines.push(format!(
        "  work     {} forwards, {} backwards, {} optimizer steps, {} partitions merged",
        text::thousands(work.forwards),
        text::thousands(work.backwards),
        text::thousands(work.optimizer_steps),
        text::thousands(work.partitions_merged)
    ));
    lines.push(format!(
        "  tokens   {}, {:.0} a second over the last minute",
        text::thousands(work.tokens),
        miner.tokens_per_second[1]
    ));
    lines.push(format!(
        "  traffic  {} sent, {} received",
        text::bytes(work.bytes_sent),
        text::bytes(work.bytes_received)
    ));
    lines.push(format!("  device   {} ({})", miner.device.name, miner.device.backend));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_the_one_that_needs_somebody_counts_first() {
        use Exit::{Done, Fault, NeedsYou, NotRunning, Paused, Waiting};
        let all = |each: &[Exit]| exit_of_all(each.iter().copied());
        assert_eq!(all(&[Done, Fault, Paused]), Fault);
        assert_eq!(all(&[Done, NeedsYou]), NeedsYou);
        assert_eq!(all(&[Paused, Done]), Done);
        assert_eq!(all(&[Paused, Waiting]), Waiting);
        assert_eq!(all(&[Paused, NotRunning]), Paused);
        assert_eq!(all(&[NotRunning]), NotRunning);
    }
}

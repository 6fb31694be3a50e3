//! A watched network in lines: only what has changed, for a person, or all of it as JSON.

use std::io::{self, Write as _};

use serde_json::json;
use url::Url;

use crate::swarm::StageView;
use crate::swarm::public::PublicNetwork;
use crate::tui::text;

/// Prints what changed since the last look.
pub(super) struct Printer {
    json: bool,
    server: String,
    last: Option<PublicNetwork>,
    troubled: bool,
}

impl Printer {
    pub(super) fn new(json: bool, server: &Url) -> Self {
        let server = server.as_str().trim_end_matches('/').to_owned();
        Self { json, server, last: None, troubled: false }
    }

    /// An error means that nobody reads any more.
    pub(super) fn show(&mut self, network: &PublicNetwork) -> io::Result<()> {
        let lines = match self.json {
            true => self.as_json(network),
            false => lines(&self.server, self.last.as_ref(), network),
        };
        self.last = Some(network.clone());
        let again = std::mem::take(&mut self.troubled) && !self.json;
        let first = again.then(|| "It answers again.".to_owned());
        first.iter().chain(&lines).try_for_each(|line| write(line))
    }

    /// It does not answer for the moment. Said once.
    pub(super) fn trouble(&mut self, code: &str, what: &str) -> io::Result<()> {
        if std::mem::replace(&mut self.troubled, true) {
            return Ok(());
        }
        match self.json {
            true => write(&json!({ "event": "trouble", "code": code, "what": what }).to_string()),
            false => write(&format!("{}. Trying again.", clean(what))),
        }
    }

    fn as_json(&self, network: &PublicNetwork) -> Vec<String> {
        let timeless = |network: &PublicNetwork| PublicNetwork { at: 0, ..network.clone() };
        if self.last.as_ref().map(timeless) == Some(timeless(network)) {
            return Vec::new();
        }
        let mut object = serde_json::to_value(network).unwrap_or_default();
        if let Some(fields) = object.as_object_mut() {
            fields.insert("event".to_owned(), json!("network"));
        }
        vec![object.to_string()]
    }
}

fn write(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// What is new, in words.
fn lines(server: &str, last: Option<&PublicNetwork>, now: &PublicNetwork) -> Vec<String> {
    let mut lines = Vec::new();
    let run = |network: &PublicNetwork| (network.run.clone(), network.epoch, network.epochs_done);
    let tenth = |network: &PublicNetwork| (network.epoch_progress * 10.0).floor();
    if last.is_none_or(|last| run(last) != run(now) || tenth(last) != tenth(now)) {
        lines.push(format!(
            "{server}: run {}, epoch {}, {:.0} % of its work done; {} epochs complete. {} tokens \
             trained on, {:.0} a second in the last minute.",
            clean(&now.run),
            now.epoch,
            now.epoch_progress * 100.0,
            now.epochs_done,
            text::thousands(now.tokens),
            now.tokens_per_second[1],
        ));
    }
    for stage in &now.stages {
        let before = last.and_then(|last| last.stages.iter().find(|one| one.stage == stage.stage));
        if before.is_none_or(|before| told(before) != told(stage)) {
            lines.push(stage_line(stage));
        }
    }
    if last.is_none_or(|last| last.held_up_by != now.held_up_by) {
        lines.push(match &now.held_up_by {
            None => "Nobody holds the run up.".to_owned(),
            Some(held) => {
                let who = match &held.miners[..] {
                    [] => String::new(),
                    some => format!("; still to come: {}", names(some)),
                };
                let phase = text::phase(&held.phase);
                format!("Stage {} holds the run up ({}){who}.", held.stage, clean(phase))
            }
        });
    }
    lines
}

/// What a line says of a stage, apart from its progress.
fn told(stage: &StageView) -> (&str, u64, Vec<(&str, &str)>) {
    let miners = stage.miners.iter().map(|miner| (miner.hotkey.as_str(), miner.status.as_str()));
    (&stage.phase, stage.epoch, miners.collect())
}

fn stage_line(stage: &StageView) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for miner in &stage.miners {
        match counts.iter_mut().find(|(status, _)| *status == miner.status) {
            Some((_, count)) => *count += 1,
            None => counts.push((&miner.status, 1)),
        }
    }
    let counts: Vec<String> =
        counts.iter().map(|(status, count)| format!("{count} {}", clean(status))).collect();
    let miners = match stage.miners.len() {
        0 => "no miners".to_owned(),
        1 => format!("1 miner ({})", counts.join(", ")),
        some => format!("{some} miners ({})", counts.join(", ")),
    };
    let phase = clean(text::phase(&stage.phase));
    format!("Stage {}: {phase}, {:.0} % done, {miners}.", stage.stage, stage.progress * 100.0)
}

/// A few by the beginnings of their addresses.
fn names(hotkeys: &[String]) -> String {
    const MOST: usize = 5;
    let short = |key: &String| clean(key).chars().take(8).collect::<String>();
    let mut names: Vec<String> = hotkeys.iter().take(MOST).map(short).collect();
    if hotkeys.len() > MOST {
        names.push(format!("{} more", hotkeys.len() - MOST));
    }
    names.join(", ")
}

/// What others wrote never steers this terminal.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::public::{HeldUpBy, VERSION};
    use crate::swarm::{MinerView, SwarmSnapshot};

    fn network() -> PublicNetwork {
        let miner = |status: &str| MinerView {
            hotkey: "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY".into(),
            status: status.into(),
            forwards: 1,
            backwards: 1,
            partitions: 0,
            score: 1.0,
        };
        let stage = |stage, phase: &str, status: &str| StageView {
            stage,
            phase: phase.into(),
            epoch: 2,
            progress: 0.5,
            miners: vec![miner(status), miner("training")],
        };
        let stages =
            vec![stage(0, "training", "training"), stage(1, "weights_uploading", "uploaded")];
        PublicNetwork::of(
            &SwarmSnapshot { run: "practice-\u{1b}[31m1".into(), stages, ..Default::default() },
            7,
        )
    }

    #[test]
    fn a_line_comes_only_for_what_changed_and_never_steers_the_terminal() {
        let mut now = network();
        assert_eq!(now.version, VERSION);
        let first = lines("http://a", None, &now);
        assert_eq!(first.len(), 4, "{first:?}");
        assert!(first.iter().all(|line| !line.contains('\u{1b}')), "{first:?}");
        assert!(first[0].starts_with("http://a: run practice-[31m1, epoch 0"), "{}", first[0]);
        assert_eq!(first[1], "Stage 0: training, 50 % done, 2 miners (2 training).");
        assert!(first[3].starts_with("Stage 0 holds the run up (training)."), "{}", first[3]);
        assert!(lines("http://a", Some(&now), &now).is_empty());
        let before = now.clone();
        now.stages[1].miners[1].status = "uploaded".into();
        now.held_up_by =
            Some(HeldUpBy { stage: 1, phase: "training".into(), miners: vec!["5abc".into(); 7] });
        let new = lines("http://a", Some(&before), &now);
        assert_eq!(new.len(), 2, "{new:?}");
        assert!(
            new[1].ends_with("still to come: 5abc, 5abc, 5abc, 5abc, 5abc, 2 more."),
            "{new:?}"
        );
    }
}

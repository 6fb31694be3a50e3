//! What the first screen shows: the devices, their self-test and speed, what fits, memory and disk;
//! and, when the user asks for it, what the network's servers say.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::desk::World;
use crate::cli::bench::items::square;
use crate::cli::bench::kernels as measured_kernels;
use crate::cli::bench::measure::Effort;
use crate::cli::device::{self, TEST_LIMIT};
use crate::cli::devices::{self, AdapterFacts, Chosen, Survey, Verdict as Tested};
use crate::cli::doctor::{self, Asking, Scope};
use crate::cli::{Exit, Failure};
use crate::compute::Form;
use crate::config::settings::Key;
use crate::telemetry::Severity;
use crate::tui::text::bytes;
use crate::tui::wizard::Answer;
use crate::tui::wizard::facts::{Adapter, Finding, Level, Topic, Verdict};

/// Rows and columns of the product that a first look measures.
const LOOK: usize = 512;

/// Where answers go.
type Tell<'a> = &'a (dyn Fn(Answer) + Sync);

/// Looks at everything that can be seen without sending anything. The devices come first: they are
/// what the user waits for.
pub(super) fn probe(world: &World, tell: Tell<'_>) {
    let survey = devices::survey(Some(&world.folders));
    tell(Answer::Adapters(adapters(&survey)));
    tell(Answer::Found(Topic::Fit, fit(&survey)));
    let time = format!("{}, by this machine. The link test compares it.", world.clock.iso8601());
    tell(Answer::Found(Topic::Clock, Finding::fine(time)));
    std::thread::scope(|scope| {
        scope.spawn(|| examine(world, None, tell));
        kernels(world, &survey, tell);
        speed(world, &survey, tell);
    });
}

/// Which rules are about something that this machine does not tell.
pub(super) fn look_at_rules(world: &World, tell: Tell<'_>) {
    let Ok(runtime) = crate::cli::runtime() else { return };
    let survey = devices::survey(Some(&world.folders));
    let looking = doctor::unknown_here(&world.given, &survey, &world.folders, &world.clock);
    tell(Answer::Unknown(runtime.block_on(looking)));
    runtime.shutdown_background();
}

/// Asks the servers of `network`.
pub(super) fn test_link(world: &World, network: &str, tell: Tell<'_>) {
    for topic in [Topic::Link, Topic::Clock] {
        tell(Answer::Working(topic, format!("asking the servers of {network} …")));
    }
    examine(world, Some(network), tell);
}

fn adapters(survey: &Survey) -> Vec<Adapter> {
    let mut adapters: Vec<Adapter> = survey
        .adapters
        .iter()
        .enumerate()
        .map(|(place, facts)| adapter(survey, place, facts))
        .collect();
    let processor = &survey.processor;
    let free =
        processor.free.map_or(String::new(), |free| format!("{} of memory free", bytes(free)));
    adapters.push(Adapter {
        name: processor.name.clone(),
        detail: free,
        verdict: match survey.chosen {
            Chosen::Processor => Verdict::Chosen(survey.why.clone()),
            Chosen::Adapter(_) => Verdict::Possible("not taken: a GPU is faster".into()),
        },
    });
    // What is used stands on top.
    adapters.sort_by_key(|adapter| match adapter.verdict {
        Verdict::Chosen(_) => 0,
        Verdict::Possible(_) => 1,
        Verdict::Refused(_) => 2,
    });
    adapters
}

fn adapter(survey: &Survey, place: usize, facts: &AdapterFacts) -> Adapter {
    let memory = facts.memory.map_or("memory unknown".to_owned(), bytes);
    let driver = if facts.driver.is_empty() { "driver unknown" } else { &facts.driver };
    let refused = facts.refusal.is_some()
        || facts.verdict.as_ref().is_some_and(|verdict| verdict.refusal.is_some());
    Adapter {
        name: facts.name.clone(),
        detail: format!("{memory}, {}, {driver}", facts.interface),
        verdict: match survey.chosen == Chosen::Adapter(place) {
            true => Verdict::Chosen(facts.why.clone()),
            false if refused => Verdict::Refused(facts.why.clone()),
            false => Verdict::Possible(facts.why.clone()),
        },
    }
}

fn fit(survey: &Survey) -> Finding {
    let name = survey.chosen_name();
    match survey.chosen_fit() {
        None => Finding::warning(
            format!("How much memory {name} has is not known, so neither is what fits."),
            "The miner checks each stage before it takes it.",
        ),
        Some(fit) if fit.body.is_none() && fit.head.is_none() && fit.tail.is_none() => {
            Finding::error(
                format!("No stage of the 1B model fits: one layer takes {}.", bytes(fit.one_layer)),
                "Close other programs, or use a machine with more memory. The practice swarm fits.",
            )
        }
        Some(fit) => Finding::fine(format!("It fits {}.", fit.words())),
    }
}

/// The self-test of the chosen adapter; the processor's kernels are the reference itself.
fn kernels(world: &World, survey: &Survey, tell: Tell<'_>) {
    let Chosen::Adapter(place) = survey.chosen else {
        let fine = "The processor's own kernels are what others are compared with.";
        return tell(Answer::Found(Topic::Kernels, Finding::fine(fine)));
    };
    if let Some(verdict) = survey.chosen_adapter().and_then(|adapter| adapter.verdict.as_ref()) {
        return tell(Answer::Found(Topic::Kernels, judged(verdict)));
    }
    let start = world.clock.now();
    let mut watch = |progress: crate::compute::selftest::Progress| {
        let words =
            format!("testing: {} of {} cases, {}", progress.done, progress.total, progress.kind);
        tell(Answer::Working(Topic::Kernels, words));
        match world.clock.now().since(start) < TEST_LIMIT {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    };
    let tested = devices::self_test(place, &world.folders, &world.clock, &mut watch);
    let finding = match tested {
        Ok(verdict) => judged(&verdict),
        Err(failure) => Finding::warning(failure.line, "Run `hearth devices --test`."),
    };
    let refused = finding.level == Level::Error;
    tell(Answer::Found(Topic::Kernels, finding));
    if refused {
        // Another one is taken now.
        let survey = devices::survey(Some(&world.folders));
        tell(Answer::Adapters(adapters(&survey)));
        tell(Answer::Found(Topic::Fit, fit(&survey)));
    }
}

fn judged(verdict: &Tested) -> Finding {
    let words = super::keys::sentence(&format!("the self-test {}", verdict.words()));
    match &verdict.refusal {
        Some(_) => Finding::error(words, "Update the driver; until then another device is used."),
        None => Finding::fine(words),
    }
}

/// The last benchmark of the chosen device, or a first look.
fn speed(world: &World, survey: &Survey, tell: Tell<'_>) {
    if let Some(record) = &survey.bench {
        let words = super::keys::sentence(&record.words());
        return tell(Answer::Found(Topic::Speed, Finding::fine(words)));
    }
    tell(Answer::Working(Topic::Speed, "measuring a matrix product …".into()));
    let opened = device::open(world.compute, &world.folders, &world.clock, &mut |_| {});
    let measured = opened.and_then(|opened| {
        let item = square(Form::NT, LOOK);
        measured_kernels::bench(&item, opened.device.as_ref(), &world.clock, Effort::QUICK)
            .map_err(|error| Failure::new(Exit::NoDevice, error))
    });
    tell(Answer::Found(
        Topic::Speed,
        match measured {
            Ok(product) => Finding::fine(format!(
                "A matrix product of {LOOK} x {LOOK} at {:.0} GFLOP/s; `hearth bench` measures the \
                 rest.",
                product.gflops
            )),
            Err(failure) => Finding::warning(failure.line, "Run `hearth bench`, or take cpu."),
        },
    ));
}

/// Runs the doctor's checks, and shows those that belong to this screen.
fn examine(world: &World, network: Option<&str>, tell: Tell<'_>) {
    let (flags, asking) = match network {
        Some(network) => (vec![(Key::Network, Some(network.to_owned()))], Asking::Network),
        None => (Vec::new(), Asking::Nobody),
    };
    let Ok(runtime) = crate::cli::runtime() else { return };
    let file = Some(world.settings.as_path()).filter(|path| path.exists());
    let scope = Arc::new(Scope::of_user(file, flags, asking, &world.clock));
    let (mut link, mut others) = (Vec::new(), Vec::new());
    runtime.block_on(doctor::examine(&scope, |finding| {
        let shown = shown(&finding);
        match finding.check {
            "memory" if network.is_none() => tell(Answer::Found(Topic::Memory, shown)),
            "disk" if network.is_none() => tell(Answer::Found(Topic::Disk, shown)),
            "clock" => tell(Answer::Found(Topic::Clock, shown)),
            "dns" | "tls" | "orchestrator" | "bridge" | "reachability" => link.push(shown),
            // What the next screens ask for.
            "hotkey" | "payout" | "settings" | "offline" => {}
            _ => others.push(shown),
        }
    }));
    match network {
        Some(_) => tell(Answer::Found(Topic::Link, worst(link))),
        None => tell(Answer::Found(Topic::Others, rest(others))),
    }
    runtime.shutdown_background();
}

fn shown(finding: &doctor::Finding) -> Finding {
    Finding {
        level: match finding.severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Warning,
            Severity::Info => Level::Fine,
        },
        what: finding.what.clone(),
        fix: Some(finding.fix.clone()).filter(|fix| !fix.is_empty()),
    }
}

/// What else the doctor found: the worst, and how many more there are.
fn rest(mut findings: Vec<Finding>) -> Finding {
    findings.retain(|finding| finding.level != Level::Fine);
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    let more = findings.len().saturating_sub(1);
    let Some(mut first) = findings.into_iter().next() else {
        return Finding::fine(
            "Power, sleep, driver files and the rest of `hearth doctor` are fine.",
        );
    };
    if more > 0 {
        first.what = format!("{} ({more} more: `hearth doctor`)", first.what);
    }
    first
}

/// The worst of them; all in one where all is well.
fn worst(findings: Vec<Finding>) -> Finding {
    let level = findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Fine);
    if level != Level::Fine {
        let found = findings.into_iter().find(|finding| finding.level == level);
        return found.unwrap_or_else(|| Finding::fine(String::new()));
    }
    let sentences: Vec<String> = findings.into_iter().map(|finding| finding.what).collect();
    Finding::fine(sentences.join(" "))
}

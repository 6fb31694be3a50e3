//! Headless faces of the event record: one JSON object a line, or calm lines for a person.

use std::io::{self, Write};

use crate::clock::{Clock, Moment};
use crate::telemetry::{Event, SampleWhen, Severity, Summary};

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// One JSON object a line, nothing else.
    Json,
    /// For a person.
    Readable,
}

/// Between two loss lines for a person.
const LOSS_LINE_SECONDS: f64 = 2.0;

/// How many losses the printed mean is over.
const LOSS_WINDOW: usize = 16;

/// Writes events to a stream.
#[derive(Debug)]
pub struct Printer<W> {
    style: Style,
    out: W,
    clock: Clock,
    losses: Vec<f64>,
    count: u64,
    last_loss_line: Option<Moment>,
    states: States,
}

/// Which changes of state a person reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum States {
    /// Those that need somebody: there are many miners.
    Needy,
    /// All: there is one.
    All,
}

impl<W: Write> Printer<W> {
    /// A printer onto `out`.
    pub fn new(style: Style, out: W, clock: Clock) -> Self {
        let (losses, last_loss_line) = (Vec::new(), None);
        Self { style, out, clock, losses, count: 0, last_loss_line, states: States::Needy }
    }

    /// Tells every change of state.
    #[must_use]
    pub fn with_states(mut self) -> Self {
        self.states = States::All;
        self
    }

    /// Writes one event. An error means that nobody reads any more.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        let line = match self.style {
            Style::Json => Some(serde_json::to_string(event).map_err(io::Error::other)?),
            Style::Readable => self.readable(event),
        };
        if let Some(line) = line {
            writeln!(self.out, "{line}")?;
            self.out.flush()?;
        }
        Ok(())
    }

    /// A plain line for a person; nothing in JSON style.
    pub fn note(&mut self, line: &str) -> io::Result<()> {
        if self.style == Style::Readable {
            writeln!(self.out, "{line}")?;
            self.out.flush()?;
        }
        Ok(())
    }

    /// An event in words; `None` for what happens all the time.
    pub fn readable(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::State { miner, state, reason, .. } => {
                (self.states == States::All || state == "fault" || state == "paused")
                    .then(|| format!("{miner} is {state}: {}", reason.replace('-', " ")))
            }
            Event::Queue { miner, status, place, best, .. } => {
                let number = |n: &Option<u64>| n.map_or("unknown".to_owned(), |n| n.to_string());
                let (place, best) = (number(place), number(best));
                Some(format!(
                    "{miner} is in the registration queue ({status}): place {place}, best {best}"
                ))
            }
            Event::Phase { stage, epoch, phase } => {
                Some(format!("epoch {epoch}, stage {stage}: {}", phase.replace('_', " ")))
            }
            Event::Loss { epoch, loss, .. } => self.loss_line(*epoch, *loss),
            Event::Step { .. } | Event::Upload { .. } => None,
            Event::Merge { stage, epoch, partitions } => {
                Some(format!("epoch {epoch}, stage {stage}: {partitions} partitions merged"))
            }
            Event::Evidence { miner, check, detail } => Some(format!("{miner}: {check}: {detail}")),
            Event::Sample { when, text } => {
                let when = match when {
                    SampleWhen::Before => "Before training, the model writes:",
                    SampleWhen::After => "After training, the model writes:",
                };
                Some(format!("{when}\n{}", indented(text)))
            }
            Event::Finding { severity, what, fix, .. } => {
                let word = match severity {
                    Severity::Info => "note",
                    Severity::Warning => "warning",
                    Severity::Error => "error",
                };
                Some(format!("{word}: {what} {fix}").trim_end().to_owned())
            }
            Event::Summary(summary) => Some(summary_lines(summary)),
        }
    }

    /// The mean of the last losses, at most once in two seconds.
    fn loss_line(&mut self, epoch: u64, loss: f64) -> Option<String> {
        self.count += 1;
        if self.losses.len() == LOSS_WINDOW {
            self.losses.remove(0);
        }
        self.losses.push(loss);
        let now = self.clock.now();
        if self.last_loss_line.is_some_and(|last| now.since(last).as_secs_f64() < LOSS_LINE_SECONDS)
        {
            return None;
        }
        self.last_loss_line = Some(now);
        #[allow(clippy::cast_precision_loss)]
        let mean = self.losses.iter().sum::<f64>() / self.losses.len() as f64;
        Some(format!("epoch {epoch}, activation {}: loss {mean:.3}", self.count))
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// The end of a demo, for a person.
pub fn summary_lines(s: &Summary) -> String {
    let verdict = if s.loss_last < s.loss_bigram {
        "better than the best guess from the word before"
    } else if s.loss_last < s.loss_unigram {
        "better than the best guess from word counts"
    } else {
        "not yet better than guessing from word counts; train longer"
    };
    let caught = match s.caught.len() {
        0 => String::new(),
        _ => format!("\n  caught        {}", s.caught.join(", ")),
    };
    format!(
        "Done in {:.0} s.\n  \
           loss          {:.3} -> {:.3} ({verdict})\n  \
           for scale     word counts {:.3}, pairs of words {:.3}\n  \
           work          {} forwards, {} backwards, {} optimizer steps, {} partitions merged\n  \
           swarm         {} epochs, {} stages, {} miners on {} ({})\n  \
           speed         {} tokens, {:.0} tokens a second{caught}",
        s.seconds,
        s.loss_first,
        s.loss_last,
        s.loss_unigram,
        s.loss_bigram,
        s.forwards,
        s.backwards,
        s.optimizer_steps,
        s.partitions_merged,
        s.epochs,
        s.stages,
        s.miners,
        s.device,
        s.backend,
        s.tokens,
        s.tokens_per_second,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(style: Style, events: &[Event]) -> String {
        let mut out = Vec::new();
        let mut printer = Printer::new(style, &mut out, Clock::system());
        for event in events {
            printer.event(event).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    fn loss(n: usize) -> Event {
        Event::Loss { epoch: 1, activation: format!("a{n}"), loss: 8.0 }
    }

    #[test]
    fn json_prints_every_event_on_one_line() {
        let text = printed(Style::Json, &[loss(1), loss(2), loss(3)]);
        assert_eq!(text.lines().count(), 3);
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(value["event"], "loss");
        }
    }

    #[test]
    fn readable_losses_are_few() {
        let events: Vec<_> = (0..100).map(loss).collect();
        let text = printed(Style::Readable, &events);
        assert!(text.lines().count() <= 2, "{text}");
        assert!(text.starts_with("epoch 1, activation 1: loss 8.000"), "{text}");
    }

    #[test]
    fn readable_lines_say_what_happened() {
        let text = printed(
            Style::Readable,
            &[
                Event::Phase { stage: 2, epoch: 1, phase: "weights_uploading".into() },
                Event::Merge { stage: 2, epoch: 1, partitions: 4 },
                Event::Sample { when: SampleWhen::After, text: "Tom ran.\nHe fell.".into() },
            ],
        );
        assert_eq!(
            text,
            "epoch 1, stage 2: weights uploading\nepoch 1, stage 2: 4 partitions merged\n\
             After training, the model writes:\n  Tom ran.\n  He fell.\n"
        );
    }

    #[test]
    fn the_verdict_follows_the_numbers() {
        let with = |last| Summary {
            loss_first: 8.0,
            loss_last: last,
            loss_unigram: 5.0,
            loss_bigram: 3.0,
            ..Summary::default()
        };
        assert!(summary_lines(&with(2.0)).contains("the word before"));
        assert!(summary_lines(&with(4.0)).contains("better than the best guess from word counts"));
        assert!(summary_lines(&with(6.0)).contains("train longer"));
    }
}

//! The demo's flags, and what they mean once they are checked.

use std::path::PathBuf;

use clap::Args;

use super::super::device::Backend;
use super::super::{Exit, Failure};
use super::faults::Faults;
use crate::model::presets::{PRESETS, Preset};
use crate::protocol::splits;
use crate::swarm::Rules;
use crate::swarm::feed::{Corpus, Source, TokenizerChoice};

/// The most miners that one process is asked to hold.
const MOST_MINERS: usize = 64;
/// Characters that a text may be asked to begin with: more than the model looks back on.
const LONGEST_SAY: usize = 400;

/// Run the whole system on this machine: a practice swarm and your miner. Always fresh, with
/// throw-away keys; nothing leaves the machine.
#[derive(Clone, Debug, Args)]
pub struct DemoArguments {
    /// Size of the model: demo (2.2 million parameters) or nano (for tests)
    #[arg(long, value_name = "SIZE", default_value = "demo")]
    pub preset: String,

    /// Pipeline stages that the model is cut into
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub stages: usize,

    /// Miners that hold each stage
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub miners_per_stage: usize,

    /// Activations a miner may have under way at once
    #[arg(long, value_name = "N")]
    pub in_flight: Option<usize>,

    /// End after so many epochs [default: 2]
    #[arg(long, value_name = "N", conflicts_with = "minutes")]
    pub epochs: Option<u64>,

    /// End after so many minutes instead
    #[arg(long, value_name = "N")]
    pub minutes: Option<f64>,

    /// What computes
    #[arg(long, value_enum, default_value_t = Backend::Auto)]
    pub backend: Backend,

    /// Train on your own text: a UTF-8 file or a folder of them [default: made-up stories]
    #[arg(long, value_name = "PATH")]
    pub corpus: Option<PathBuf>,

    /// Tokenizer: a tokenizer.json, or `train` to fit one to the text [default: the shipped one]
    #[arg(long, value_name = "PATH/train")]
    pub tokenizer: Option<String>,

    /// Port of the orchestrator on this machine; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,

    /// Fixes data, first weights and choices (not the order in which messages arrive)
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Let the orchestrator refuse what a live network would: a registration queue, attestation
    /// challenges, rate limits, spot checks, a bench for newcomers
    #[arg(long, hide = true)]
    pub strict: bool,

    /// What is to go wrong, to watch the recovery: device-lost=30s@m0, out-of-memory=1m@m1
    #[arg(long, value_name = "SPEC", value_delimiter = ',')]
    pub faults: Vec<String>,

    /// Let the model go on from these words, before and after training [default: a story's beginning]
    #[arg(long, value_name = "TEXT")]
    pub say: Option<String>,

    /// No screen: lines on standard output
    #[arg(long)]
    pub headless: bool,

    /// The dashboard in lines, for a screen reader; words that you type are the keys
    #[arg(long, conflicts_with_all = ["headless", "json"])]
    pub plain: bool,

    /// One JSON object a line on standard output and nothing else there; implies --headless
    #[arg(long)]
    pub json: bool,

    /// Keep the order of work in this file, as JSON lines
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}

/// When the demo ends by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// After so many epochs.
    Epochs(u64),
    /// After so many minutes.
    Minutes(f64),
    /// When it is stopped.
    Never,
}

impl End {
    /// How many epochs are trained, if that is fixed.
    pub fn epochs(self) -> Option<u64> {
        match self {
            Self::Epochs(epochs) => Some(epochs),
            Self::Minutes(_) | Self::Never => None,
        }
    }
}

/// Checked arguments.
#[derive(Clone, Debug)]
pub struct DemoPlan {
    /// The model.
    pub preset: &'static Preset,
    /// How many stages.
    pub stages: usize,
    /// How many miners each.
    pub miners_per_stage: usize,
    /// Activations under way in each miner, if limited.
    pub in_flight: Option<usize>,
    /// When it ends.
    pub end: End,
    /// Text to train on.
    pub source: Source,
    /// Its tokenizer.
    pub tokenizer: TokenizerChoice,
    /// How strict the orchestrator is.
    pub rules: Rules,
    /// What is to go wrong.
    pub faults: Faults,
    /// What the model's texts are to begin with, if somebody says so.
    pub say: Option<String>,
}

/// The preset of this name.
pub fn preset(name: &str) -> Result<&'static Preset, Failure> {
    Preset::named(name).ok_or_else(|| {
        let names: Vec<_> = PRESETS.iter().map(|preset| preset.name).collect();
        let names = names.join(", ");
        Failure::new(Exit::Usage, format!("there is no preset {name:?}; choose one of: {names}"))
    })
}

impl DemoArguments {
    /// Checks everything that can be checked before anything is started.
    pub fn check(&self) -> Result<DemoPlan, Failure> {
        let usage = |line: String| Failure::new(Exit::Usage, line);
        let preset = preset(&self.preset)?;
        if self.stages == 0 {
            return Err(usage("--stages 0 makes no pipeline; give at least 1".into()));
        }
        if splits::balanced_splits(preset.n_layers, self.stages).is_err() {
            return Err(usage(format!(
                "--stages {} is more than the {} layers of preset {}; give at most {}",
                self.stages, preset.n_layers, preset.name, preset.n_layers
            )));
        }
        if self.miners_per_stage == 0 {
            return Err(usage(
                "--miners-per-stage 0 leaves the stages empty; give at least 1".into(),
            ));
        }
        let miners = self.stages.saturating_mul(self.miners_per_stage);
        if miners > MOST_MINERS {
            return Err(usage(format!(
                "{miners} miners are too many for one process; the most is {MOST_MINERS}"
            )));
        }
        if self.in_flight == Some(0) {
            return Err(usage("--in-flight 0 lets no activation through; give at least 1".into()));
        }
        let names: Vec<String> = (0..miners).map(|i| format!("m{i}")).collect();
        Ok(DemoPlan {
            faults: Faults::read(&self.faults, &names)?,
            preset,
            stages: self.stages,
            miners_per_stage: self.miners_per_stage,
            in_flight: self.in_flight,
            end: self.end()?,
            say: self.say()?,
            source: self.source()?,
            rules: if self.strict { Rules::strict() } else { Rules::lenient() },
            tokenizer: match &self.tokenizer {
                None => TokenizerChoice::Shipped,
                Some(word) => match word.parse() {
                    Ok(choice) => choice,
                },
            },
        })
    }

    fn end(&self) -> Result<End, Failure> {
        let usage = |line: &str| Failure::new(Exit::Usage, line);
        match (self.epochs, self.minutes) {
            (Some(0), _) => Err(usage("--epochs 0 trains nothing; give at least 1")),
            (_, Some(minutes)) if !(minutes.is_finite() && minutes > 0.0 && minutes < 1e6) => {
                Err(usage("--minutes wants a positive number, for example --minutes 10"))
            }
            (_, Some(minutes)) => Ok(End::Minutes(minutes)),
            (epochs, None) => Ok(End::Epochs(epochs.unwrap_or(2))),
        }
    }

    fn say(&self) -> Result<Option<String>, Failure> {
        let Some(say) = &self.say else { return Ok(None) };
        let words = say.trim_end();
        let usage = |line: String| Err(Failure::new(Exit::Usage, line));
        match words.chars().count() {
            0 => usage("--say wants some words to go on from, for example --say \"Once\"".into()),
            n if n > LONGEST_SAY => usage(format!(
                "--say takes at most {LONGEST_SAY} characters, and these are {n}; give fewer"
            )),
            _ => Ok(Some(words.to_owned())),
        }
    }

    fn source(&self) -> Result<Source, Failure> {
        match &self.corpus {
            None => Ok(Source::Stories { seed: self.seed }),
            Some(path) => Corpus::open(path)
                .map(Source::Corpus)
                .map_err(|error| Failure::new(Exit::Configuration, error)),
        }
    }
}

//! What is measured of a running process, in one table: names, meanings and values. The local API gives
//! them to Prometheus. docs/api.md has the same table; a test compares the two.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::measured;
use super::overview::Overview;
use crate::miner::{MinerSnapshot, State};
use crate::swarm::SwarmSnapshot;

/// How a number behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// The labels of a value: names and texts.
pub type Labels = Vec<(&'static str, String)>;

/// One measurement with all its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    /// Its name, without the `_total` that counters end with in Prometheus.
    pub name: &'static str,
    /// What it means, in a few words.
    pub help: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Its values.
    pub values: Vec<(Labels, f64)>,
}

impl Measure {
    /// The name as Prometheus has it.
    pub fn full_name(&self) -> String {
        match self.kind {
            Kind::Counter => format!("{}_total", self.name),
            Kind::Gauge => self.name.to_owned(),
        }
    }
}

/// What the local API counts of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApiCounts {
    /// Readers of events and snapshots, now.
    pub readers: u64,
    /// Events that slow readers lost.
    pub lost: u64,
}

/// A value of one miner.
type OfMiner = fn(&MinerSnapshot) -> Option<f64>;
/// A value of the practice swarm.
type OfSwarm = fn(&SwarmSnapshot) -> f64;

#[allow(clippy::cast_precision_loss)]
fn count(n: u64) -> f64 {
    n as f64
}

#[allow(clippy::cast_precision_loss)]
fn size(n: usize) -> f64 {
    n as f64
}

use Kind::{Counter, Gauge};

/// One value for each miner.
const MINER: [(&str, &str, Kind, OfMiner); 20] = [
    ("hearth_allowed_share", "Share of the time that the rules let it compute", Gauge, |m| {
        Some(m.ruling.percent().map_or(0.0, |percent| f64::from(percent.get()) / 100.0))
    }),
    ("hearth_state_since_seconds", "When the state began, Unix time", Gauge, |m| {
        Some(m.status.since)
    }),
    ("hearth_forwards", "Forwards done", Counter, |m| Some(count(m.work.forwards))),
    ("hearth_backwards", "Backwards done", Counter, |m| Some(count(m.work.backwards))),
    ("hearth_epoch_backwards", "Backwards done in this epoch", Gauge, |m| {
        Some(count(m.work.backwards_this_epoch))
    }),
    ("hearth_optimizer_steps", "Optimizer steps taken", Counter, |m| {
        Some(count(m.work.optimizer_steps))
    }),
    ("hearth_partitions_merged", "Partitions merged and accepted", Counter, |m| {
        Some(count(m.work.partitions_merged))
    }),
    ("hearth_tokens", "Tokens trained on", Counter, |m| Some(count(m.work.tokens))),
    ("hearth_sent_bytes", "Bytes sent to peers and the store", Counter, |m| {
        Some(count(m.work.bytes_sent))
    }),
    ("hearth_received_bytes", "Bytes received from peers and the store", Counter, |m| {
        Some(count(m.work.bytes_received))
    }),
    ("hearth_epoch", "Epoch of the run", Gauge, |m| m.stage.map(|_| count(m.epoch))),
    ("hearth_stage", "Stage of the miner, from 0", Gauge, |m| m.stage.map(size)),
    ("hearth_stages", "Stages of the run", Gauge, |m| m.stage.map(|_| size(m.stages))),
    ("hearth_cache", "Forwards whose gradient is awaited", Gauge, |m| Some(size(m.cache))),
    ("hearth_cache_capacity", "The most forwards that may wait for a gradient", Gauge, |m| {
        Some(size(m.cache_capacity))
    }),
    ("hearth_loss", "Newest loss that this miner computed (last stage only)", Gauge, |m| {
        m.losses.last().copied()
    }),
    ("hearth_registration_place", "Place in the registration queue", Gauge, |m| {
        let places = &m.queue.as_ref()?.places;
        places.last().map(|(_, place)| count(*place))
    }),
    ("hearth_stage_bytes", "Bytes planned on the device for the stage", Gauge, |m| {
        Some(count(m.device.stage_bytes))
    }),
    ("hearth_planned_bytes", "Bytes of memory that the miner takes in all, at most", Gauge, |m| {
        Some(count(m.device.planned_bytes))
    }),
    ("hearth_neighbours", "Known miners of the adjacent stages", Gauge, |m| {
        Some(size(m.neighbours.len()))
    }),
];

/// One value of the practice swarm.
const SWARM: [(&str, &str, Kind, OfSwarm); 5] = [
    ("hearth_swarm_epochs_done", "Epochs that the practice swarm has merged", Gauge, |s| {
        count(s.epochs_done)
    }),
    ("hearth_swarm_epoch_progress", "Share of this epoch's work that is done", Gauge, |s| {
        s.epoch_progress
    }),
    ("hearth_swarm_miners", "Miners of the practice swarm", Gauge, |s| {
        size(s.stages.iter().map(|stage| stage.miners.len()).sum())
    }),
    ("hearth_swarm_tokens", "Tokens that reached the last stage", Counter, |s| count(s.tokens)),
    ("hearth_swarm_loss", "Newest loss of the practice swarm", Gauge, |s| {
        s.losses.last().map_or(f64::NAN, |loss| loss.loss)
    }),
];

/// Everything that is measured now.
pub fn all(overview: &Overview, api: &ApiCounts) -> Vec<Measure> {
    let process = &overview.process;
    let one = |name, help, kind, labels, value| Measure {
        name,
        help,
        kind,
        values: vec![(labels, value)],
    };
    let version = vec![("version", process.version.clone())];
    let mut all = vec![
        one("hearth_build", "Version of Hearth, as a label", Gauge, version, 1.0),
        one(
            "hearth_start_time_seconds",
            "When the process started, Unix time",
            Gauge,
            Vec::new(),
            count(process.since),
        ),
        one(
            "hearth_api_readers",
            "Readers of events and snapshots",
            Gauge,
            Vec::new(),
            count(api.readers),
        ),
        one(
            "hearth_api_events_lost",
            "Events that slow readers lost",
            Counter,
            Vec::new(),
            count(api.lost),
        ),
    ];
    all.extend(of_miners(&overview.miners));
    all.extend(measured::of(&overview.miners));
    if let Some(swarm) = &overview.swarm {
        let of_swarm = SWARM.map(|(name, help, kind, of)| {
            let value = Some(of(swarm)).filter(|value| !value.is_nan());
            let values = value.map(|value| (Vec::new(), value)).into_iter().collect();
            Measure { name, help, kind, values }
        });
        all.extend(of_swarm);
    }
    all.retain(|measure| !measure.values.is_empty());
    all
}

fn of_miners(miners: &[MinerSnapshot]) -> Vec<Measure> {
    let own = |miner: &MinerSnapshot| ("miner", miner.name.clone());
    let each = |name, help, labelled: &dyn Fn(&MinerSnapshot) -> Vec<(Labels, f64)>| Measure {
        name,
        help,
        kind: Gauge,
        values: miners.iter().flat_map(labelled).collect(),
    };
    let mut all = vec![
        each("hearth_state", "1 for the state that the miner is in, 0 for all others", &|miner| {
            let value = |state: State| if state == miner.status.state { 1.0 } else { 0.0 };
            let of =
                |state: State| (vec![own(miner), ("state", state.word().to_owned())], value(state));
            State::ALL.map(of).to_vec()
        }),
        each("hearth_reason", "1, with the code of the reason for the state", &|miner| {
            let reason = ("reason", miner.status.reason.code().to_owned());
            vec![(vec![own(miner), reason], 1.0)]
        }),
        each("hearth_device", "1, with the device that the miner computes on", &|miner| {
            let backend = ("backend", miner.device.backend.clone());
            let name = ("device", miner.device.name.clone());
            vec![(vec![own(miner), backend, name], 1.0)]
        }),
        each("hearth_tokens_per_second", "Tokens a second over a window of time", &|miner| {
            let of = |(window, rate): (&str, f64)| {
                (vec![own(miner), ("window", window.to_owned())], rate)
            };
            ["10s", "1m", "15m"].into_iter().zip(miner.tokens_per_second).map(of).collect()
        }),
        each("hearth_queue", "Work that waits for the device, by direction", &|miner| {
            let queues = [("forward", miner.forward_queue), ("backward", miner.backward_queue)];
            let of = |(direction, waiting): (&str, usize)| {
                (vec![own(miner), ("direction", direction.to_owned())], size(waiting))
            };
            queues.map(of).to_vec()
        }),
    ];
    all.extend(MINER.map(|(name, help, kind, of)| {
        let value = |miner: &MinerSnapshot| Some((vec![own(miner)], of(miner)?));
        Measure { name, help, kind, values: miners.iter().filter_map(value).collect() }
    }));
    all
}

/// Writes measurements in the text format that Prometheus reads.
pub fn open_metrics(all: &[Measure]) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Table(all.to_vec())));
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = text::encode(&mut text, &registry);
    text
}

/// Gives the table to the encoder.
#[derive(Debug)]
struct Table(Vec<Measure>);

impl Collector for Table {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for measure in &self.0 {
            let kind = match measure.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
            };
            let mut one = encoder.encode_descriptor(measure.name, measure.help, None, kind)?;
            for (labels, value) in &measure.values {
                if labels.is_empty() {
                    write(&mut one, measure.kind, *value)?;
                } else {
                    write(&mut one.encode_family(labels)?, measure.kind, *value)?;
                }
            }
        }
        Ok(())
    }
}

fn write(to: &mut MetricEncoder<'_>, kind: Kind, value: f64) -> Result<(), std::fmt::Error> {
    match kind {
        Kind::Counter => to.encode_counter::<Labels, _, u64>(&value, None),
        Kind::Gauge => to.encode_gauge(&value),
    }
}

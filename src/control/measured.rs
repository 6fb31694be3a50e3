//! The part of the measurements that a miner takes of itself, its machine and its line: the figures of
//! the dashboard, for whoever reads them with a program. Values that are not known are left out.

use super::measures::{Kind, Labels, Measure};
use crate::miner::MinerSnapshot;
use crate::miner::snapshot::links::{Failures, LinkView, LinkWay};
use crate::miner::snapshot::measured::{Deadline, Measured};
use crate::miner::snapshot::time::{Activity, Window};

/// One value of what a miner measured.
type One = fn(&Measured) -> Option<f64>;
/// Several, each with labels of its own.
type Several = fn(&Measured) -> Vec<(Labels, f64)>;

#[allow(clippy::cast_precision_loss)]
fn count(n: u64) -> f64 {
    n as f64
}

/// One value for each miner.
const ONE: [(&str, &str, One); 16] = [
    ("hearth_peak_flops", "FLOPs a second of the best matrix product of hearth bench", |m| {
        m.utilisation.peak
    }),
    ("hearth_device_celsius", "Temperature of the device's hottest sensor", |m| {
        m.machine.device.temperature.get().copied()
    }),
    ("hearth_device_celsius_limit", "Temperature at which it pauses", |m| {
        m.machine.device.temperature_limit.map(|(stop, _)| stop)
    }),
    ("hearth_device_watts", "Power that the device takes", |m| {
        m.machine.device.watts.get().copied()
    }),
    ("hearth_device_watts_limit", "Power that it may take on average", |m| {
        m.machine.device.watts_limit
    }),
    ("hearth_device_used_bytes", "Memory of the device in use", |m| {
        m.machine.device.memory.get().copied().map(count)
    }),
    ("hearth_device_memory_bytes", "Memory of the device in all", |m| {
        m.machine.device.memory_total.get().copied().map(count)
    }),
    ("hearth_others_load_share", "Share of the processor that other programs keep busy", |m| {
        m.machine.load.others.get().map(|percent| percent / 100.0)
    }),
    ("hearth_machine_used_bytes", "Memory of the machine in use", |m| {
        m.machine.memory.get().map(|(used, _)| count(*used))
    }),
    ("hearth_machine_memory_bytes", "Memory of the machine in all", |m| {
        m.machine.memory.get().map(|(_, all)| count(*all))
    }),
    ("hearth_disk_free_bytes", "Bytes free on the disk of the data folder", |m| {
        m.machine.disk_free.get().copied().map(count)
    }),
    ("hearth_disk_reserve_bytes", "Bytes that must stay free there", |m| {
        Some(count(m.machine.disk_reserve))
    }),
    ("hearth_uploads", "Uploads under way", |m| Some(count(under_way(m).count() as u64))),
    ("hearth_upload_bytes_per_second", "Speed of the uploads under way, together", |m| {
        Some(under_way(m).map(|upload| upload.bytes_per_second).sum())
    }),
    ("hearth_upload_spare_seconds", "Time to spare of the latest upload, negative if late", |m| {
        let spare = under_way(m).filter_map(|upload| match upload.verdict {
            Deadline::Fits { by } => Some(by),
            Deadline::Misses { by } => Some(-by),
            Deadline::Unknown => None,
        });
        spare.min_by(f64::total_cmp)
    }),
    ("hearth_merge_seconds", "How long the last merge took", |m| {
        let ended = m.merges.iter().rev().find_map(|merge| Some(merge.ended? - merge.began));
        ended.map(|seconds| seconds.max(0.0))
    }),
];

/// Several values for each miner.
const SEVERAL: [(&str, &str, Several); 7] = [
    ("hearth_time_share", "Share of a window of time, by what it went into", |m| {
        let time = &m.time;
        let windows = [("1m", &time.minute), ("15m", &time.quarter), ("epoch", &time.epoch)];
        windows.into_iter().flat_map(|(name, window)| shares(name, window)).collect()
    }),
    ("hearth_leg_seconds", "How long an activation takes on a leg of its way", |m| {
        let way = &m.time.waterfall;
        let legs = [
            ("queue", way.queue),
            ("receive", way.receive),
            ("forward", way.forward),
            ("send", way.send),
            ("wait", way.wait),
            ("backward", way.backward),
            ("send-back", way.send_back),
        ];
        let of = |(leg, ms): (&str, Option<f64>)| Some((label("leg", leg), ms? / 1e3));
        legs.into_iter().filter_map(of).collect()
    }),
    ("hearth_flops_share", "Share of the device's peak that the model's products reach", |m| {
        let shares = m.utilisation.share.into_iter().flatten();
        let of = |(window, share)| (label("window", window), share);
        ["10s", "1m", "15m"].into_iter().zip(shares).map(of).collect()
    }),
    ("hearth_links", "Known miners of other stages, by the way packets take", |m| {
        let ways = [
            ("direct", Some(LinkWay::Direct)),
            ("nearby", Some(LinkWay::Nearby)),
            ("relayed", Some(LinkWay::Relayed)),
            ("closed", None),
        ];
        let many = |way| m.links.iter().filter(|link| link.way == way).count() as u64;
        ways.map(|(name, way)| (label("way", name), count(many(way)))).to_vec()
    }),
    ("hearth_link_round_trip_seconds", "There and back to a peer", |m| {
        let of = |link: &LinkView| Some((label("peer", &link.node), link.round_trip? / 1e3));
        m.links.iter().filter_map(of).collect()
    }),
    ("hearth_link_push_bytes_per_second", "Speed of the last pushes to a peer", |m| {
        let of = |link: &LinkView| Some((label("peer", &link.node), link.push_speed?));
        m.links.iter().filter_map(of).collect()
    }),
    ("hearth_link_failures", "Attempts that failed on the known links, by whose fault", |m| {
        let faults: [(&str, fn(&Failures) -> u64); 4] = [
            ("own-line", |failures| failures.own_line),
            ("refused", |failures| failures.refused),
            ("silent", |failures| failures.silent),
            ("relay", |failures| failures.relay),
        ];
        let many = |of: fn(&Failures) -> u64| m.links.iter().map(|link| of(&link.failures)).sum();
        faults.map(|(name, of)| (label("fault", name), count(many(of)))).to_vec()
    }),
];

fn under_way(
    measured: &Measured,
) -> impl Iterator<Item = &crate::miner::snapshot::measured::TransferView> {
    measured.transfers.iter().filter(|upload| upload.ended.is_none())
}

fn label(name: &'static str, value: &str) -> Labels {
    vec![(name, value.to_owned())]
}

/// The activities that a window knows, in their order.
fn shares(name: &str, window: &Window) -> Vec<(Labels, f64)> {
    let of = |activity: Activity| {
        window.parts.get(&activity)?;
        let labels = vec![("window", name.to_owned()), ("activity", activity.word().to_owned())];
        Some((labels, window.share(activity)))
    };
    Activity::ALL.into_iter().filter_map(of).collect()
}

/// All of them, of all miners.
pub(super) fn of(miners: &[MinerSnapshot]) -> Vec<Measure> {
    let own = |miner: &MinerSnapshot, mut labels: Labels, value: f64| {
        labels.insert(0, ("miner", miner.name.clone()));
        (labels, value)
    };
    let finite = |value: &f64| value.is_finite();
    let one = ONE.map(|(name, help, of)| {
        let value = |miner: &MinerSnapshot| {
            Some(own(miner, Vec::new(), of(&miner.measured).filter(finite)?))
        };
        Measure { name, help, kind: Kind::Gauge, values: miners.iter().filter_map(value).collect() }
    });
    let several = SEVERAL.map(|(name, help, of)| {
        let values = miners.iter().flat_map(|miner| {
            let all = of(&miner.measured).into_iter().filter(|(_, value)| value.is_finite());
            all.map(move |(labels, value)| own(miner, labels, value)).collect::<Vec<_>>()
        });
        Measure { name, help, kind: Kind::Gauge, values: values.collect() }
    });
    one.into_iter().chain(several).collect()
}

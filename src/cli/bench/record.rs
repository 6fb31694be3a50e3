//! The results of a benchmark, and the last one of each device on disk.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::measure::Spread;
use crate::compute::DeviceInfo;
use crate::config::folders::{FolderError, Folders, prepare, write_atomically};

/// So many devices' results are kept.
const KEPT: usize = 16;

/// How fast one kernel is, and how right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KernelResult {
    /// The kind of op.
    pub kernel: String,
    /// Its sizes.
    pub shape: String,
    /// Seconds of one run.
    pub seconds: Spread,
    /// 10^9 multiplications and additions in a second, at the median.
    pub gflops: f64,
    /// 10^9 bytes in a second that it must at least read and write, at the median.
    pub gigabytes: f64,
    /// Whether its results agree with the reference.
    pub check: Checksum,
}

/// How fast one training step of a stage is: forward, backward with recomputation, optimizer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageResult {
    /// The model.
    pub model: String,
    /// `head`, `body` or `tail`.
    pub stage: String,
    /// Layers of the stage.
    pub layers: usize,
    /// Sequences and tokens of each.
    pub batch: usize,
    /// See `batch`.
    pub sequence: usize,
    /// Seconds of one step.
    pub seconds: Spread,
    /// Tokens in a second, at the median.
    pub tokens_per_second: f64,
    /// Its matrix products' part of what the device did at best in a matrix product, at the median.
    pub share_of_peak: f64,
    /// Whether its results agree with the reference.
    pub check: Checksum,
}

/// A number made of a device's results, and the same of the reference in f64.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checksum {
    /// Of the device.
    pub device: f64,
    /// Of the reference.
    pub reference: f64,
    /// Relative error of the results themselves (not of the sum).
    pub error: f64,
    /// The error that is allowed.
    pub limit: f64,
}

impl Checksum {
    /// Whether the results agree.
    pub fn agrees(&self) -> bool {
        self.error <= self.limit
    }
}

/// A benchmark of one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchRecord {
    /// Hearth's version.
    pub version: String,
    /// When, in ISO 8601.
    pub when: String,
    /// Whether it was the quick one.
    pub quick: bool,
    /// `cpu` or `wgpu`.
    pub backend: String,
    /// The device.
    pub device: String,
    /// Its driver.
    pub driver: String,
    /// The best matrix product, in 10^9 multiplications and additions in a second.
    pub peak_gflops: f64,
    /// The fastest copy, in 10^9 bytes in a second, read and written.
    pub copy_gigabytes: f64,
    /// Kernels.
    pub kernels: Vec<KernelResult>,
    /// Steps.
    pub stages: Vec<StageResult>,
    /// Sum of all checksums.
    pub checksum: f64,
    /// The same of the reference.
    pub reference: f64,
    /// The largest error, as a part of what is allowed there.
    pub worst: f64,
    /// Seconds that it took.
    pub seconds: f64,
}

impl BenchRecord {
    /// Tokens a second of the largest stage that was measured.
    pub fn best_tokens_per_second(&self) -> Option<f64> {
        self.stages.last().map(|stage| stage.tokens_per_second)
    }

    /// The result in a line.
    pub fn words(&self) -> String {
        let steps = self.stages.last().map_or(String::new(), |stage| {
            format!(
                ", {:.0} tokens/s in a {} step of {} ({:.0} % of that)",
                stage.tokens_per_second,
                stage.stage,
                stage.model,
                100.0 * stage.share_of_peak,
            )
        });
        format!(
            "{:.1} GFLOP/s at best, {:.1} GB/s copied{steps}, results agree with the reference (on {})",
            self.peak_gflops, self.copy_gigabytes, self.when
        )
    }
}

fn path(folders: &Folders) -> PathBuf {
    folders.data.join("bench.json")
}

/// What was kept; nothing if there is no file or it is damaged: it can be measured again.
fn kept(folders: &Folders) -> Vec<BenchRecord> {
    let text = fs::read(path(folders)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// FLOPs a second of the best matrix product of this device, if it was ever measured.
pub fn peak_flops(folders: &Folders, device: &DeviceInfo) -> Option<u64> {
    let of_device =
        |record: &BenchRecord| record.device == device.name && record.backend == device.backend;
    let peak = kept(folders).into_iter().find(of_device)?.peak_gflops * 1e9;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = peak.is_finite().then_some(peak.max(0.0) as u64);
    whole.filter(|peak| *peak > 0)
}

/// The last benchmark of the device with this name.
pub fn last_of(folders: &Folders, device: &str) -> Option<BenchRecord> {
    kept(folders).into_iter().find(|record| record.device == device)
}

/// Keeps a result in place of the device's last.
///
/// # Errors
/// [`FolderError`] if the data folder cannot be written.
pub fn keep(folders: &Folders, record: &BenchRecord) -> Result<(), FolderError> {
    prepare(&folders.data)?;
    let same = |old: &BenchRecord| old.device == record.device && old.backend == record.backend;
    let others = kept(folders).into_iter().filter(|old| !same(old));
    let all: Vec<BenchRecord> = std::iter::once(record.clone()).chain(others).take(KEPT).collect();
    let text = serde_json::to_vec_pretty(&all).map_err(|error| FolderError::NotWritable {
        path: path(folders),
        source: std::io::Error::other(error),
    })?;
    write_atomically(&path(folders), &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(device: &str, peak: f64) -> BenchRecord {
        BenchRecord {
            version: "0".into(),
            when: "2026-01-02T03:04:05Z".into(),
            quick: true,
            backend: "wgpu".into(),
            device: device.into(),
            driver: String::new(),
            peak_gflops: peak,
            copy_gigabytes: 1.0,
            kernels: Vec::new(),
            stages: Vec::new(),
            checksum: 0.0,
            reference: 0.0,
            worst: 0.0,
            seconds: 1.0,
        }
    }

    #[test]
    fn the_last_result_of_each_device_is_kept() {
        let home = tempfile::tempdir().unwrap();
        let folders = Folders::under(home.path());
        assert_eq!(last_of(&folders, "a"), None);
        for (device, peak) in [("a", 1.0), ("b", 2.0), ("a", 3.0)] {
            keep(&folders, &record(device, peak)).unwrap();
        }
        assert_eq!(last_of(&folders, "a").unwrap().peak_gflops, 3.0);
        assert_eq!(last_of(&folders, "b").unwrap().peak_gflops, 2.0);
        assert_eq!(kept(&folders).len(), 2);
    }

    #[test]
    fn a_damaged_file_is_as_good_as_none_and_is_replaced() {
        let home = tempfile::tempdir().unwrap();
        let folders = Folders::under(home.path());
        keep(&folders, &record("a", 1.0)).unwrap();
        fs::write(path(&folders), "[{").unwrap();
        assert_eq!(last_of(&folders, "a"), None);
        keep(&folders, &record("a", 2.0)).unwrap();
        assert_eq!(last_of(&folders, "a").unwrap().peak_gflops, 2.0);
    }
}

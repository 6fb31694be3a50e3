//! The self-test's verdicts on disk: one file for each adapter, driver and version of the kernels.
//! A driver that changed has another file, a damaged file counts as none, and either means a test.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::compute::OpKind;
use crate::compute::selftest::{FormFailure, KindVerdict, Outcome, TestReport};
use crate::compute::wgpu::{AdapterReport, KernelChoice, KernelForm, source_hash};
use crate::config::folders::{FolderError, Folders, write_atomically};

/// What a verdict holds for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictKey {
    /// Name of the adapter.
    pub adapter: String,
    /// `vulkan`, `metal` or `dx12`.
    pub interface: String,
    /// Driver name and version.
    pub driver: String,
    /// BLAKE3 of the kernels' sources.
    pub kernels: String,
}

impl VerdictKey {
    /// That of an adapter with the kernels of this program.
    pub fn of(adapter: &AdapterReport) -> Self {
        Self {
            adapter: adapter.name.clone(),
            interface: adapter.interface.to_owned(),
            driver: adapter.driver.clone(),
            kernels: source_hash(),
        }
    }

    fn path(&self, folders: &Folders) -> PathBuf {
        let mut hasher = blake3::Hasher::new();
        for part in [&self.adapter, &self.interface, &self.driver, &self.kernels] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let name = hasher.finalize().to_hex();
        folders.cache.join("kernels").join(format!("{}.json", &name[..32]))
    }
}

/// A form of a kernel that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFailure {
    /// Its word.
    pub form: String,
    /// What it failed on.
    pub case: String,
    /// How.
    pub why: String,
}

/// What is known of one kind of op.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredKind {
    /// Its word.
    pub kernel: String,
    /// `passed`, `replaced`, `failed` or `untested`.
    pub outcome: String,
    /// The form in use.
    pub form: String,
    /// Cases passed.
    pub cases: usize,
    /// Largest relative error.
    pub error: f64,
    /// Forms that failed.
    pub failures: Vec<StoredFailure>,
}

impl StoredKind {
    /// Whether a form of it lost the device at work.
    pub fn is_banned(&self) -> bool {
        self.failures.iter().any(|failure| failure.case == AT_WORK)
    }
}

/// The case of a form that failed in no test but at work.
const AT_WORK: &str = "at work";

/// The verdict on an adapter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What it holds for.
    pub key: VerdictKey,
    /// When it was tested, in ISO 8601.
    pub tested: String,
    /// How long that took, in seconds.
    pub seconds: f64,
    /// Cases that were run.
    pub cases: usize,
    /// Whether there was time for all cases. Every kernel that is used was run in any case.
    pub complete: bool,
    /// Why the device may not be used, if it may not.
    pub refusal: Option<String>,
    /// Every kind, in the order of importance.
    pub kinds: Vec<StoredKind>,
}

impl Verdict {
    /// The verdict of a test that was just made.
    pub fn new(key: VerdictKey, report: &TestReport, tested: String, seconds: f64) -> Self {
        Self {
            key,
            tested,
            seconds,
            cases: report.done,
            complete: !report.stopped,
            refusal: report.refusal(),
            kinds: report.kinds.iter().map(stored).collect(),
        }
    }

    /// The forms to use. Words of another version count as the simplest form.
    pub fn choice(&self) -> KernelChoice {
        let replaced = self.kinds.iter().filter_map(|stored| {
            let kind = OpKind::from_word(&stored.kernel)?;
            Some((kind, KernelForm::from_word(&stored.form).unwrap_or(KernelForm::Single)))
        });
        replaced.fold(KernelChoice::default(), |choice, (kind, form)| choice.with(kind, form))
    }

    /// Uses the next simpler form of a kernel, since the device was lost in this one.
    pub fn ban(&mut self, kind: OpKind, form: KernelForm) {
        let Some(stored) = self.kinds.iter_mut().find(|stored| stored.kernel == kind.word()) else {
            return;
        };
        stored.failures.push(StoredFailure {
            form: form.word().to_owned(),
            case: AT_WORK.to_owned(),
            why: "the device was lost twice while it ran".to_owned(),
        });
        match form.simpler() {
            Some(simpler) => {
                stored.outcome = Outcome::Replaced.word().to_owned();
                stored.form = simpler.word().to_owned();
            }
            None => {
                stored.outcome = Outcome::Failed.word().to_owned();
                self.refusal = Some(format!("it was lost again and again in its kernel {kind}"));
            }
        }
    }

    /// Kinds with this outcome.
    pub fn with_outcome(&self, outcome: Outcome) -> impl Iterator<Item = &StoredKind> {
        self.kinds.iter().filter(move |kind| kind.outcome == outcome.word())
    }

    /// The verdict in a few words, as in `passed, 26 kernels`.
    pub fn words(&self) -> String {
        if let Some(why) = &self.refusal {
            return format!("failed: {why}");
        }
        let tested = self.kinds.len() - self.with_outcome(Outcome::Untested).count();
        let rest = if self.complete {
            ""
        } else {
            ", each at least once; the time limit cut the rest short"
        };
        match self.with_outcome(Outcome::Replaced).count() {
            0 => format!("passed, {tested} kernels on {} cases{rest}", self.cases),
            n => format!("passed with {n} of {tested} kernels in a slower form{rest}"),
        }
    }
}

fn stored(verdict: &KindVerdict) -> StoredKind {
    let failure = |f: &FormFailure| StoredFailure {
        form: f.form.word().to_owned(),
        case: f.case.clone(),
        why: f.why.clone(),
    };
    StoredKind {
        kernel: verdict.kind.word().to_owned(),
        outcome: verdict.outcome.word().to_owned(),
        form: verdict.form.word().to_owned(),
        cases: verdict.cases,
        error: verdict.error,
        failures: verdict.failures.iter().map(failure).collect(),
    }
}

/// What is in a file.
#[derive(Serialize, Deserialize)]
struct File<'a> {
    /// BLAKE3 of the verdict's text.
    checksum: String,
    #[serde(borrow)]
    verdict: &'a RawValue,
}

/// The verdict that was kept for a key; none if there is none, or its file is damaged.
pub fn read(folders: &Folders, key: &VerdictKey) -> Option<Verdict> {
    let text = fs::read_to_string(key.path(folders)).ok()?;
    let file: File<'_> = serde_json::from_str(&text).ok()?;
    let sum = blake3::hash(file.verdict.get().as_bytes()).to_hex();
    if sum.as_str() != file.checksum {
        tracing::warn!(
            "the kept verdict on {} is damaged: the kernels are tested anew",
            key.adapter
        );
        return None;
    }
    let verdict: Verdict = serde_json::from_str(file.verdict.get()).ok()?;
    Some(verdict).filter(|verdict| verdict.key == *key)
}

/// Keeps a verdict.
///
/// # Errors
/// [`FolderError`] if the cache folder cannot be written.
pub fn write(folders: &Folders, verdict: &Verdict) -> Result<(), FolderError> {
    let path = verdict.key.path(folders);
    let refused = |source| FolderError::NotWritable { path: path.clone(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(refused)?;
    }
    let text = serde_json::value::to_raw_value(verdict)
        .map_err(|error| refused(std::io::Error::other(error)))?;
    let checksum = blake3::hash(text.get().as_bytes()).to_hex().to_string();
    let file = serde_json::to_vec(&File { checksum, verdict: &text })
        .map_err(|error| refused(std::io::Error::other(error)))?;
    write_atomically(&path, &file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::device::finding_of;

    fn verdict(driver: &str) -> Verdict {
        let key = VerdictKey {
            adapter: "Card".into(),
            interface: "vulkan".into(),
            driver: driver.into(),
            kernels: source_hash(),
        };
        let kind = |kernel: &str, outcome: Outcome, form: KernelForm| StoredKind {
            kernel: kernel.into(),
            outcome: outcome.word().into(),
            form: form.word().into(),
            cases: 3,
            error: 1.3e-7,
            failures: Vec::new(),
        };
        Verdict {
            key,
            tested: "2026-01-02T03:04:05Z".into(),
            seconds: 1.5,
            cases: 6,
            complete: true,
            refusal: None,
            kinds: vec![
                kind("gemm-nt", Outcome::Replaced, KernelForm::Alone),
                kind("copy", Outcome::Passed, KernelForm::Shared),
            ],
        }
    }

    #[test]
    fn a_verdict_comes_back_and_says_which_forms_to_use() {
        let home = tempfile::tempdir().unwrap();
        let folders = Folders::under(home.path());
        let kept = verdict("driver 1");
        write(&folders, &kept).unwrap();
        let back = read(&folders, &kept.key).unwrap();
        assert_eq!(back, kept);
        let replaced: Vec<_> = back.choice().replaced().collect();
        assert_eq!(replaced, [(OpKind::GemmNt, KernelForm::Alone)]);
        assert_eq!(back.words(), "passed with 1 of 2 kernels in a slower form");
    }

    #[test]
    fn the_user_is_told_of_slower_forms_and_of_a_refusal() {
        let text = |verdict: &Verdict| format!("{:?}", finding_of(verdict));
        let mut told = verdict("driver 1");
        for word in ["kernel-replaced", "Card", "gemm-nt", "driver 1"] {
            assert!(text(&told).contains(word), "{word}");
        }
        told.refusal = Some("its kernel norm is wrong".into());
        for word in ["kernel-failed", "Card", "kernel norm", "--backend cpu"] {
            assert!(text(&told).contains(word), "{word}");
        }
        told.refusal = None;
        told.kinds.retain(|kind| kind.outcome == "passed");
        assert_eq!(finding_of(&told), None);
    }

    #[test]
    fn a_kernel_that_lost_the_device_is_banned_form_by_form_and_the_user_is_told() {
        let mut banned = verdict("driver 1");
        banned.kinds.retain(|kind| kind.kernel == "copy");
        banned.ban(OpKind::Copy, KernelForm::Shared);
        let choice = banned.choice();
        assert_eq!(choice.replaced().collect::<Vec<_>>(), [(OpKind::Copy, KernelForm::Alone)]);
        let told = format!("{:?}", finding_of(&banned));
        assert!(told.contains("kernel-banned") && told.contains("lost twice"), "{told}");
        banned.ban(OpKind::Copy, KernelForm::Alone);
        assert_eq!(banned.refusal, None);
        banned.ban(OpKind::Copy, KernelForm::Single);
        assert!(banned.refusal.as_ref().unwrap().contains("kernel copy"));
        // It outlives the process.
        let home = tempfile::tempdir().unwrap();
        let folders = Folders::under(home.path());
        write(&folders, &banned).unwrap();
        assert_eq!(read(&folders, &banned.key), Some(banned));
    }

    #[test]
    fn another_driver_or_other_kernels_have_no_verdict() {
        let home = tempfile::tempdir().unwrap();
        let folders = Folders::under(home.path());
        let kept = verdict("driver 1");
        write(&folders, &kept).unwrap();
        assert_eq!(read(&folders, &verdict("driver 2").key), None);
        let key = VerdictKey { kernels: "other".into(), ..kept.key };
        assert_eq!(read(&folders, &key), None);
    }

    #[test]
    fn a_damaged_file_counts_as_none() {
        let home = tempfile::tempdir().unwrap();
        let folders = Folders::under(home.path());
        let kept = verdict("driver 1");
        write(&folders, &kept).unwrap();
        let path = kept.key.path(&folders);
        let good = fs::read_to_string(&path).unwrap();
        for bad in ["", "{", &good[..good.len() / 2], &good.replace("alone", "shared")] {
            fs::write(&path, bad).unwrap();
            assert_eq!(read(&folders, &kept.key), None, "{bad}");
        }
        fs::write(&path, &good).unwrap();
        assert!(read(&folders, &kept.key).is_some());
    }
}

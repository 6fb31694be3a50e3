//! What an upload remembers between two attempts: its name, its addresses, and which parts the store
//! has. In memory only: the addresses are signed for an hour or so, and a process that starts again
//! has lost the numbers the object was made of; to survive that too, this and the numbers would have
//! to be written down.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use url::Url;

use super::source::Digest;
use crate::clock::Moment;
use crate::network::storage::UploadError;
use crate::protocol::messages::{CompletedPart, FileType, FileUploadResponse};
use crate::protocol::multipart::UploadPlan;

/// One object's upload, kept by the caller over all attempts to finish it. Whatever was stored by an
/// attempt that failed, or whose future was dropped, is not sent again.
#[derive(Debug, Default)]
pub struct UploadJob {
    pub(super) begun: Option<Begun>,
}

impl UploadJob {
    /// Nothing is sent yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether an earlier attempt left something to go on with.
    pub fn has_begun(&self) -> bool {
        self.begun.is_some()
    }

    /// Starts from zero next time.
    pub fn forget(&mut self) {
        self.begun = None;
    }

    /// Whether what was begun is the upload of this very object, and its addresses are still good.
    pub(super) fn continues(
        &self,
        what: FileType,
        total: u64,
        digest: &Digest,
        now: Moment,
    ) -> bool {
        self.begun.as_ref().is_some_and(|begun| {
            begun.what == what
                && begun.plan.total == total
                && begun.digest == *digest
                && (begun.complete || begun.expires.is_none_or(|expires| now < expires))
        })
    }
}

/// An upload that the orchestrator has given addresses for.
pub(super) struct Begun {
    pub(super) what: FileType,
    pub(super) plan: UploadPlan,
    pub(super) digest: Digest,
    pub(super) object: String,
    pub(super) upload_id: Option<String>,
    /// Presigned, one per part.
    pub(super) urls: Vec<String>,
    pub(super) parts: Vec<Range<u64>>,
    /// The ETag of each part that the store has; empty where it gave none to a single PUT.
    pub(super) stored: Vec<Option<String>>,
    /// When the addresses end.
    pub(super) expires: Option<Moment>,
    /// Nothing is left to do.
    pub(super) complete: bool,
}

// By hand: addresses are secrets.
impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Begun")
            .field("object", &self.object)
            .field("parts", &self.parts.len())
            .field("stored", &self.stored.iter().flatten().count())
            .field("complete", &self.complete)
            .finish_non_exhaustive()
    }
}

impl Begun {
    /// Takes over what the orchestrator granted for `plan`, if it fits.
    pub(super) fn new(
        what: FileType,
        plan: UploadPlan,
        digest: Digest,
        granted: FileUploadResponse,
        now: Moment,
    ) -> Result<Self, UploadError> {
        let urls = granted.urls.len() as u64;
        if urls == 0 || urls > plan.num_parts {
            let why = format!("{urls} addresses for {} parts", plan.num_parts);
            return Err(UploadError::Plan(why));
        }
        if plan.is_multipart() && granted.upload_id.is_none() {
            return Err(UploadError::Plan("no upload id for an upload in parts".to_owned()));
        }
        let parts = plan.parts(granted.urls.len());
        let lifetime = granted.urls.iter().filter_map(|url| lifetime(url)).min();
        Ok(Self {
            what,
            plan,
            digest,
            object: granted.object_name,
            upload_id: granted.upload_id,
            stored: vec![None; parts.len()],
            urls: granted.urls,
            parts,
            expires: lifetime.map(|lifetime| now + lifetime),
            complete: false,
        })
    }

    /// The completion's list, in ascending order.
    pub(super) fn completed_parts(&self) -> Vec<CompletedPart> {
        let stored = self.stored.iter().zip(1_u64..);
        stored
            .filter_map(|(etag, part_number)| {
                Some(CompletedPart { part_number, etag: etag.clone()? })
            })
            .collect()
    }
}

/// How long a presigned address is good for, as far as it says so itself.
fn lifetime(url: &str) -> Option<Duration> {
    let url = Url::parse(url).ok()?;
    let (_, value) = url.query_pairs().find(|(key, _)| key == "X-Amz-Expires")?;
    // Longer than the longest that S3 signs for makes no difference here.
    value.parse().ok().map(|seconds: u64| Duration::from_secs(seconds.min(7 * 86_400)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(urls: &[&str]) -> FileUploadResponse {
        FileUploadResponse {
            object_name: "run/weights".into(),
            urls: urls.iter().map(|url| (*url).to_owned()).collect(),
            upload_id: Some("u".into()),
        }
    }

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    #[test]
    fn it_goes_on_only_with_the_same_bytes_and_while_its_addresses_are_good() {
        let plan = UploadPlan::new(15 << 20);
        let urls =
            ["https://s/1?X-Amz-Expires=3600", "https://s/2?X-Amz-Expires=60&X-Amz-Signature=x"];
        let begun = Begun::new(FileType::Weights, plan, [7; 32], granted(&urls), at(10)).unwrap();
        assert!(!format!("{begun:?}").contains("Signature"));
        let mut job = UploadJob { begun: Some(begun) };
        let goes_on = |job: &UploadJob, what, total, digest, now| {
            job.continues(what, total, &[digest; 32], at(now))
        };
        assert!(goes_on(&job, FileType::Weights, 15 << 20, 7, 69));
        assert!(!goes_on(&job, FileType::Weights, 15 << 20, 7, 70));
        assert!(!goes_on(&job, FileType::Weights, 15 << 20, 8, 20));
        assert!(!goes_on(&job, FileType::Weights, 14 << 20, 7, 20));
        assert!(!goes_on(&job, FileType::OptimizerState, 15 << 20, 7, 20));
        job.forget();
        assert!(!job.has_begun() && !goes_on(&job, FileType::Weights, 15 << 20, 7, 20));
    }

    #[test]
    fn a_grant_that_does_not_fit_is_refused() {
        let plan = UploadPlan::new(15 << 20);
        let begin = |granted| Begun::new(FileType::Weights, plan, [0; 32], granted, at(0));
        assert!(matches!(begin(granted(&[])), Err(UploadError::Plan(_))));
        assert!(matches!(begin(granted(&["a", "b", "c"])), Err(UploadError::Plan(_))));
        let nameless = FileUploadResponse { upload_id: None, ..granted(&["a", "b"]) };
        assert!(matches!(begin(nameless), Err(UploadError::Plan(_))));
        assert_eq!(begin(granted(&["a", "b"])).unwrap().parts.len(), 2);
    }
}

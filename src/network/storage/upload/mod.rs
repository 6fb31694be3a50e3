//! Uploads in one or many parts (spec 5.3): several parts at a time, each watched and raced, and
//! resumed where an earlier attempt left off.

mod job;
mod pace;
mod progress;
mod put;
mod source;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use futures::stream::{FuturesUnordered, StreamExt};

use super::{Storage, UploadError};
use crate::network::orchestrator::Orchestrator;
use crate::protocol::messages::{FileType, FileUploadCompletionRequest, FileUploadRequest};
use crate::protocol::multipart::UploadPlan;
use job::Begun;
pub use job::UploadJob;
use pace::Pace;
pub use progress::{Deadline, Escort, Untold, UploadProgress, UploadWatch, Verdict};
use progress::{Gauge, REPORT_EVERY};
use put::Part;
pub use source::{BlobSource, Digest, PartBytes};

impl Storage {
    /// Uploads `source` and gives the object's name, which is what is submitted afterwards. What
    /// `job` remembers of an earlier attempt with the same bytes is not sent again; where the store
    /// or the orchestrator no longer takes that, it starts from zero once.
    ///
    /// # Errors
    /// See [`UploadError`]. The parts stored until then stay in `job`.
    pub async fn upload(
        &self,
        orchestrator: &Orchestrator,
        file_type: FileType,
        job: &mut UploadJob,
        source: &dyn BlobSource,
        escort: Escort<'_>,
    ) -> Result<String, UploadError> {
        let total = source.byte_len();
        if total == 0 {
            return Err(UploadError::Empty);
        }
        let goes_on = job.continues(file_type, total, &source.digest(), self.0.clock.now());
        if !goes_on {
            job.forget();
        }
        match self.carry(orchestrator, file_type, job, source, escort).await {
            Err(error) if error.is_stale() => {
                job.forget();
                if !goes_on {
                    return Err(error);
                }
                tracing::info!("the upload cannot be continued and starts again: {error}");
                self.carry(orchestrator, file_type, job, source, escort).await
            }
            done => done,
        }
    }

    /// Carries an upload on to its end from wherever it is.
    async fn carry(
        &self,
        orchestrator: &Orchestrator,
        file_type: FileType,
        job: &mut UploadJob,
        source: &dyn BlobSource,
        escort: Escort<'_>,
    ) -> Result<String, UploadError> {
        let begun = match job.begun.take() {
            Some(begun) => begun,
            None => self.begin(orchestrator, file_type, source).await?,
        };
        let begun = job.begun.insert(begun);
        if !begun.complete {
            self.put_missing(begun, source, escort).await?;
            if begun.plan.is_multipart() {
                let request = FileUploadCompletionRequest {
                    object_name: begun.object.clone(),
                    upload_id: begun.upload_id.clone(),
                    parts: Some(begun.completed_parts()),
                };
                orchestrator
                    .complete_multipart_upload(&request)
                    .await
                    .map_err(UploadError::Completion)?;
            }
            begun.complete = true;
        }
        Ok(begun.object.clone())
    }

    /// Asks for addresses.
    async fn begin(
        &self,
        orchestrator: &Orchestrator,
        file_type: FileType,
        source: &dyn BlobSource,
    ) -> Result<Begun, UploadError> {
        let plan = UploadPlan::new(source.byte_len());
        let multipart = plan.is_multipart();
        let request = FileUploadRequest { num_parts: plan.num_parts, file_type, multipart };
        let now = self.0.clock.now();
        let granted = orchestrator.initiate_file_upload(&request).await?;
        Begun::new(file_type, plan, source.digest(), granted, now)
    }

    /// Uploads all parts that the store has not. The first failure lets no further part start, but
    /// those on their way end: they need not be sent again.
    async fn put_missing(
        &self,
        begun: &mut Begun,
        source: &dyn BlobSource,
        escort: Escort<'_>,
    ) -> Result<(), UploadError> {
        let (clock, rules) = (&self.0.clock, &self.0.rules);
        let Begun { what, plan, urls, parts, stored, expires, .. } = begun;
        let multipart = plan.is_multipart();
        let ranges = parts.iter().cloned().enumerate();
        let parts: Vec<Part> = ranges.map(|(i, range)| Part::new(i, range, clock)).collect();
        let mut waiting: VecDeque<&Part> =
            parts.iter().filter(|part| stored[part.index].is_none()).collect();
        let longest = parts.iter().map(Part::len).max().unwrap_or(0);
        let escort = Escort { deadline: escort.deadline.or_earlier(*expires), ..escort };
        let facts = (*what, plan.total, parts.len());
        let mut gauge = Gauge::new(escort, facts, clock.now(), sent(&parts, stored));
        let need = self.0.line.need();
        let pace = Pace::default();
        let mut running = FuturesUnordered::new();
        let mut failure = None;
        loop {
            let width = pace::width(rules, longest, gauge.speed());
            while failure.is_none()
                && running.len() < width
                && let Some(part) = waiting.pop_front()
            {
                let (url, pace) = (&urls[part.index], &pace);
                running.push(
                    async move { (part.index, self.put_part(url, part, source, pace).await) },
                );
            }
            let (now, sent) = (clock.now(), sent(&parts, stored));
            need.say(plan.total.saturating_sub(sent), escort.deadline.left(now));
            let share = self.0.line.share();
            gauge.note(now, sent, stored.iter().flatten().count(), share);
            if running.is_empty() {
                return failure.map_or(Ok(()), Err);
            }
            tokio::select! {
                Some((index, done)) = running.next() => match done {
                    Ok(etag) if multipart && etag.is_empty() => {
                        let why = format!("the store gave no ETag for part {}", index + 1);
                        failure.get_or_insert(UploadError::Plan(why));
                    }
                    Ok(etag) => stored[index] = Some(etag),
                    Err(error) => {
                        failure.get_or_insert(error);
                    }
                },
                () = clock.sleep(REPORT_EVERY) => {}
            }
        }
    }
}

/// Bytes of an upload that the store has, or that are on their way.
fn sent(parts: &[Part], stored: &[Option<String>]) -> u64 {
    let of = |part: &Part| if stored[part.index].is_some() { part.len() } else { part.sent() };
    parts.iter().map(of).sum()
}

//! What happened: events as the outside sees them, logs, rates, and the record of a run.

pub mod crash;
pub mod event;
pub mod json;
pub mod logs;
pub mod pulse;
pub mod rate;
pub mod record;
pub mod scrub;
pub mod spent;

pub use event::{Event, Events, SampleWhen, Severity, Summary, UploadVerdict};
pub use rate::RateMeter;

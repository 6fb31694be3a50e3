//! What happened: events as the outside sees them, and logs.

pub mod event;
pub mod logs;

pub use event::{Event, Events, SampleWhen, Severity, Summary};

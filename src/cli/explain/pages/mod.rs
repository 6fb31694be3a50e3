//! The pages, one file a chapter.

pub(super) mod chain;
pub(super) mod control;
pub(super) mod earnings;
pub(super) mod ends;
pub(super) mod keys;
pub(super) mod machine;
pub(super) mod network;
pub(super) mod reasons;
pub(super) mod rules;
pub(super) mod settings;
pub(super) mod several;
pub(super) mod systems;
pub(super) mod telemetry;
pub(super) mod training;

//! The native backend (being written).

//! The shared kernel suite (being written).

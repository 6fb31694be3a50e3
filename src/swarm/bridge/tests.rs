//! Tests of the bridge over its own rules.

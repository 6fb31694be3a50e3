//! The text that signatures cover.
#![no_main]

use hearth::protocol::canonical::{KeyOrder, canonical_body, python_text};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(once) = canonical_body(data) {
        assert!(once.is_ascii());
        assert_eq!(canonical_body(once.as_bytes()).unwrap(), once);
    }
    let _ = python_text(data, KeyOrder::AsGiven);
});

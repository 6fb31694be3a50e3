//! The headers of a signed request, a line each, and its body; addresses and ids.
#![no_main]

use hearth::protocol::epistula::verify_request;
use hearth::protocol::ids::{Hotkey, NodeId};
use hearth::protocol::{Phase, ss58};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(4, |byte| *byte == b'\n');
    let mut text = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (by, signature, stamp, body) = (text(), text(), text(), text());
    let _ = verify_request(&by, &signature, &stamp, body.as_bytes(), 1_784_300_000_000, 10_000);
    if let Ok(key) = ss58::decode(&by) {
        assert_eq!(ss58::encode(&key), by);
    }
    let _ = (by.parse::<Hotkey>(), by.parse::<NodeId>(), by.parse::<Phase>());
});

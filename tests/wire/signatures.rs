//! What a request's signature, signer, time and body can be made of by somebody who means harm.

use hearth::protocol::canonical::{CanonicalError, canonical_body};
use hearth::protocol::epistula::{sign_request, verify_request};
use hearth::protocol::ids::Hotkey;
use hearth::protocol::reading::memory_for;
use hearth::protocol::{NodeId, ss58};
use proptest::prelude::*;
use schnorrkel::{ExpansionMode, Keypair, MiniSecretKey};

use crate::memory::peak_of;

const NOW: u64 = 1_784_300_000_000;

pub fn keypair() -> Keypair {
    MiniSecretKey::from_bytes(&[9; 32]).unwrap().expand_to_keypair(ExpansionMode::Ed25519)
}

/// Texts for any header.
fn hostile_texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "0",
        "-1",
        "NaN",
        "inf",
        "-inf",
        "1e400",
        "1e-400",
        "1e308",
        "0x",
        "0x0",
        "1784300000000.0",
        "1_784_300_000_000",
        " 1784300000000",
        "+1784300000000",
        "é",
        "\u{0}",
        "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQZ",
        "1111111111111111111111111111111111111111111111",
    ]
    .map(str::to_owned)
    .to_vec();
    for long in ["1", "5", "a", "f", "é", "\u{1b}"] {
        texts.push(long.repeat(1 << 20));
        texts.push(format!("0x{}", long.repeat(128)));
        texts.push(long.repeat(48));
    }
    texts
}

#[test]
fn hostile_headers_are_refused_shortly_and_cheaply() {
    let good = sign_request(&keypair(), b"{}", NOW, &mut |out| out.fill(7)).unwrap();
    let check = |by: &str, signature: &str, stamp: &str| {
        let (read, peak) = peak_of(|| verify_request(by, signature, stamp, b"{}", NOW, 10_000));
        assert!(peak < (64 << 10) + 4 * stamp.len(), "{peak}");
        read.map_err(|error| error.to_string())
    };
    assert!(check(good.signed_by.as_str(), &good.signature, &good.timestamp).is_ok());
    for text in hostile_texts() {
        for answer in [
            check(&text, &good.signature, &good.timestamp),
            check(good.signed_by.as_str(), &text, &good.timestamp),
            check(good.signed_by.as_str(), &good.signature, &text),
        ] {
            let shown = answer.expect_err(&text.chars().take(40).collect::<String>());
            assert!(shown.chars().count() < 200 && !shown.contains(char::is_control), "{shown}");
        }
    }
}

#[test]
fn hostile_addresses_and_node_ids_are_refused_shortly_and_cheaply() {
    for text in hostile_texts() {
        let (read, peak) = peak_of(|| ss58::decode(&text));
        assert!(peak < 4096, "{peak}");
        let shown = read.unwrap_err().to_string();
        assert!(shown.chars().count() < 200);
        assert!(text.parse::<Hotkey>().is_err());
        let shown = text.parse::<NodeId>().unwrap_err().to_string();
        assert!(shown.chars().count() < 200 && !shown.contains(char::is_control), "{shown}");
    }
}

#[test]
fn bodies_that_would_take_much_memory_or_time_have_no_canonical_form() {
    for unit in ["0,", "{},", "[],", "{\"\":0},", "\"\","] {
        let body = format!("[{}0]", unit.repeat((4 << 20) / unit.len()));
        let (read, peak) = peak_of(|| canonical_body(body.as_bytes()));
        let refused = matches!(read, Err(CanonicalError::TooManyValues)) && peak < 4096;
        // Texts alone are no burden.
        assert!(refused || (unit == "\"\"," && peak < 160 << 20), "{unit} {peak}");
        let body = format!("[{}0]", unit.repeat(20_000));
        let (read, peak) = peak_of(|| canonical_body(body.as_bytes()));
        assert!(read.is_ok() && peak < memory_for(body.as_bytes()) + 4 * body.len(), "{unit}");
    }
    for deep in ["[".repeat(4 << 20), "{\"a\":".repeat(1 << 19), "[".repeat(100) + &"]".repeat(100)]
    {
        let (read, peak) = peak_of(|| canonical_body(deep.as_bytes()));
        assert!(read.is_err(), "{}", &deep[..20]);
        assert!(peak < 8 * deep.len() + 4096, "{peak}");
    }
    for broken in [&b"\xff"[..], b"{\"\xff\":1}", b"\"\\ud800\"", b"NaN", b"[1,]", b"{\"a\"}", b"'"]
    {
        let shown = canonical_body(broken).unwrap_err().to_string();
        assert!(shown.chars().count() < 200, "{shown}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3000, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn any_headers_are_answered_without_a_panic(
        by in any::<String>(), signature in any::<String>(), stamp in any::<String>(),
        body in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        prop_assert!(verify_request(&by, &signature, &stamp, &body, NOW, 1).is_err());
    }

    #[test]
    fn the_canonical_form_of_a_canonical_form_is_itself(
        body in proptest::collection::vec(
            proptest::sample::select(&br#"{}[]:,"\ue0129-.e truefalsn"#[..]), 0..40,
        ),
    ) {
        if let Ok(once) = canonical_body(&body) {
            prop_assert_eq!(canonical_body(once.as_bytes()).unwrap(), once);
        }
    }
}

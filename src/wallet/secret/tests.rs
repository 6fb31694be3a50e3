//! Secrets against the addresses that Bittensor's own library gives them, and what is refused.

use proptest::prelude::*;
use serde_json::Value;

use super::super::phrase::Words;
use super::*;
use crate::clock::Entropy;

const DEV: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
const SEED: &str = "0x9f8e7d6c5b4a39281706f5e4d3c2b1a00f1e2d3c4b5a69788796a5b4c3d2e1f0";
const VECTORS: &str = include_str!("../../../tests/wallet/key_uris.json");

fn secret(text: &str) -> KeySecret {
    KeySecret::parse(text).unwrap()
}

fn address(secret: &KeySecret) -> String {
    secret.pair().unwrap().address().as_str().to_owned()
}

fn vectors() -> Vec<(String, String)> {
    let file: Value = serde_json::from_str(VECTORS).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = file["vectors"].as_array().unwrap();
    rows.iter().map(|row| (text(&row["uri"]), text(&row["ss58"]))).collect()
}

#[test]
fn words_seeds_paths_and_passwords_lead_to_the_ecosystems_addresses() {
    assert!(vectors().len() > 25);
    for (uri, expected) in vectors() {
        assert_eq!(address(&secret(&uri)), expected, "{uri}");
    }
}

#[test]
fn a_stored_secret_comes_back_as_it_was() {
    for (uri, expected) in vectors() {
        let before = secret(&uri);
        let bytes = before.to_bytes();
        let after = KeySecret::from_bytes(&bytes).unwrap();
        assert_eq!(address(&after), expected, "{uri}");
        assert_eq!(after.to_bytes(), bytes);
        // A path stays a path: the words are still those of all devices.
        assert_eq!(format!("{after:?}"), format!("{before:?}"));
    }
}

#[test]
fn devices_take_keys_of_the_same_words_and_any_of_them_leads_to_all() {
    let words = secret(DEV);
    let first = words.derive_device(1).unwrap();
    assert_eq!(address(&first), "5EAFU2c7nobCP3P1Vs2zMudhXbMpUXfVmvBSmD2xvjro75H1");
    let second = first.derive_device(2).unwrap();
    assert_eq!(address(&second), "5DSULx4KwUM4MmqzQp9ASzEc7MgCCtVaF7snPSXUk2Ksiqr4");
    assert_eq!(address(&second.derive_device(1).unwrap()), address(&first));
    let of_seed = secret(SEED).derive_device(1).unwrap();
    assert_eq!(address(&of_seed), "5HVtiESNbBYLQTFwREuJ35KUVeQwDJeowovncMb9eueM4mtE");
    // The words of all devices are not given away with one of them.
    assert!(words.bare_phrase().is_some() && first.bare_phrase().is_none());
    assert!(secret(&format!("{DEV}///pw")).bare_phrase().is_none());
}

#[test]
fn a_mini_secret_survives_hard_steps_only() {
    let mini = |uri: &str| secret(uri).mini_secret().unwrap();
    let alice = mini(&format!("{DEV}//Alice")).unwrap();
    assert!(hex::encode(alice.as_slice()).starts_with("e5be9a50"));
    assert!(mini(&format!("{DEV}//Alice/soft")).is_none());
    assert!(mini(&format!("{DEV}/soft//Alice")).is_none());
}

#[test]
fn stray_space_changes_no_key_but_belongs_to_a_password() {
    for end in ["", "//a", "///pw"] {
        let plain = format!("{DEV}{end}");
        assert_eq!(address(&secret(&format!("  {plain}\r\n"))), address(&secret(&plain)));
    }
    assert_eq!(address(&secret(&format!("{DEV} //a  "))), address(&secret(&format!("{DEV}//a"))));
    let (with, without) = (format!("{DEV}///pw "), format!("{DEV}///pw"));
    assert_ne!(address(&secret(&with)), address(&secret(&without)));
}

#[test]
fn soft_steps_give_the_same_bytes_each_time() {
    let uri = format!("{DEV}/soft/2");
    assert_eq!(secret(&uri).expanded().unwrap(), secret(&uri).expanded().unwrap());
}

#[test]
fn what_is_no_secret_is_refused_with_the_reason() {
    let refusal = |text: &str| KeySecret::parse(text).unwrap_err().to_string();
    assert!(refusal("//Alice").contains("everybody"));
    assert!(refusal("").contains("12, 15"));
    assert!(refusal("0x12ab").contains("has 4"));
    assert!(refusal(&SEED[..60]).contains("has 58"));
    assert!(refusal("0x12zz").contains("0-9"));
    assert!(refusal(&format!("{SEED}///pw")).contains("belongs to words"));
    assert!(refusal(&format!("{DEV}//")).contains("slash too many"));
    assert!(refusal(&format!("{DEV}//a/")).contains("slash too many"));
    assert!(refusal(&DEV.replace("walk", "walks")).contains("walk"));
}

#[test]
fn only_what_was_written_is_read_back() {
    let read = |text: &str| KeySecret::from_bytes(text.as_bytes()).unwrap_err().to_string();
    let good = secret(SEED).to_bytes();
    let good = std::str::from_utf8(&good).unwrap();
    assert!(read(&good.replace("\"version\":1", "\"version\":2")).contains("update Hearth"));
    for bad in [
        "",
        "null",
        "{}",
        r#"{"version":1}"#,
        r#"{"version":"1"}"#,
        &good.replace("}", r#","more":1}"#),
        &good.replace("}", r#","words":"x"}"#),
        &good.replace("9f8e", "9f8"),
        &good.replace("seed", "expanded"),
        &good[..good.len() - 1],
        r#"{"version":1,"words":"bottom drive","password":"","path":""}"#,
        r#"{"version":1,"words":"bottom drive"}"#,
    ] {
        let said = read(bad);
        assert!(said.contains("damaged") && !said.contains("bottom"), "{bad}: {said}");
    }
}

#[test]
fn debug_text_and_errors_show_no_secret() {
    for (uri, _) in vectors() {
        let said = format!("{:?}", secret(&uri));
        assert!(said.len() < 30 && said.ends_with("(..)"), "{said}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_secret_survives_the_store(
        seed in any::<u64>(),
        password in "[ -~éü\u{1}]{0,20}",
        path in "(//?[a-z0-9]{1,40}){0,3}",
        twelve in any::<bool>(),
    ) {
        let words = if twelve { Words::Twelve } else { Words::TwentyFour };
        let phrase = Phrase::generate(words, &mut Entropy::seeded(seed, "secret"));
        let whole = KeySecret::Phrase {
            phrase,
            password: Zeroizing::new(password),
            path: path.parse().unwrap(),
        };
        let expanded = KeySecret::Expanded(whole.expanded().unwrap());
        for secret in [&whole, &expanded] {
            let back = KeySecret::from_bytes(&secret.to_bytes()).unwrap();
            prop_assert_eq!(address(&back), address(&whole));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(KeySecret::from_bytes(&bytes).is_err());
    }
}

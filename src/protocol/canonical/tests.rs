//! Canonical JSON against hand-made edge cases and random values.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn canonical(text: &str) -> String {
    canonical_body(text.as_bytes()).unwrap()
}

#[test]
fn integers_of_any_size_keep_their_digits() {
    let big = "123456789012345678901234567890123456789012345678901234567890";
    assert_eq!(canonical(&format!("[{big}, -{big}]")), format!("[{big}, -{big}]"));
    assert_eq!(canonical("[18446744073709551616]"), "[18446744073709551616]");
    assert_eq!(canonical("[-0, 0]"), "[0, 0]");
}

#[test]
fn floats_are_written_as_python_does() {
    for (x, text) in [
        (0.1, "0.1"),
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (1e15, "1000000000000000.0"),
        (9_999_999_999_999_998.0, "9999999999999998.0"),
        (1e16, "1e+16"),
        (1.5e16, "1.5e+16"),
        (1e22, "1e+22"),
        (0.0001, "0.0001"),
        (0.000_123_4, "0.0001234"),
        (0.000_01, "1e-05"),
        (1.5e-7, "1.5e-07"),
        (5e-324, "5e-324"),
        (f64::MAX, "1.7976931348623157e+308"),
        (123.456, "123.456"),
        (1_784_300_000.5, "1784300000.5"),
        (f64::NEG_INFINITY, "-Infinity"),
    ] {
        assert_eq!(python_float(x), text);
    }
    assert_eq!(canonical("[1e400, 1E2, 1.50, 10e-1]"), "[Infinity, 100.0, 1.5, 1.0]");
}

#[test]
fn falsy_bodies_are_signed_as_an_empty_object() {
    for body in
        ["", "  \n", "null", "{}", "[]", "\"\"", "0", "-0", "0.0", "-0.0", "0e5", "false", " [ ] "]
    {
        assert_eq!(canonical(body), "{}", "{body:?}");
    }
    for body in ["[0]", "[null]", "true", "1", "\" \""] {
        assert_eq!(canonical(body), body);
    }
}

#[test]
fn keys_are_sorted_by_code_point_at_every_level_and_the_last_of_two_wins() {
    assert_eq!(
        canonical(r#"{"b":{"z":1,"a":2},"B":0,"b":{"y":[{"d":1,"c":2}]}}"#),
        r#"{"B": 0, "b": {"y": [{"c": 2, "d": 1}]}}"#
    );
    // UTF-16 order would put the emoji (surrogates) before U+FF21.
    let text = "{\"\u{1f600}\":1,\"\u{ff21}\":2}";
    assert_eq!(canonical(text), r#"{"\uff21": 2, "\ud83d\ude00": 1}"#);
    let given = python_text(br#"{"b":1,"a":[1,2]}"#, KeyOrder::AsGiven).unwrap();
    assert_eq!(given, r#"{"b": 1, "a": [1, 2]}"#);
}

#[test]
fn escapes_are_ascii_only() {
    let text = json!(["\u{0}\u{1f}\u{7f}\u{80}é中😀\u{8}\u{c}\n\r\t\"\\/"]).to_string();
    let expected = r#"["\u0000\u001f\u007f\u0080\u00e9\u4e2d\ud83d\ude00\b\f\n\r\t\"\\/"]"#;
    assert_eq!(canonical(&text), expected);
}

#[test]
fn nesting_is_bounded_and_garbage_refused() {
    let nested = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
    assert!(canonical_body(nested(MAX_DEPTH).as_bytes()).is_ok());
    let deep = canonical_body(nested(MAX_DEPTH + 1).as_bytes());
    assert!(matches!(deep, Err(CanonicalError::TooDeep)));
    assert!(canonical_body(nested(1_000_000).as_bytes()).is_err());
    for bad in ["{", "nul", "[1,]", "01", "{\"a\":1} x", "NaN", "\"\\ud800\"", "{1:2}"] {
        assert!(canonical_body(bad.as_bytes()).is_err(), "{bad}");
    }
    assert!(canonical_body(&[b'"', 0xff, b'"']).is_err());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            // serde_json's own reader is off by one unit in the last place now and then.
            .prop_filter("JSON has no others", |x| {
                x.is_finite() && serde_json::from_str::<f64>(&json!(x).to_string()).ok() == Some(*x)
            })
            .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn canonical_text_means_the_same_is_ascii_and_is_its_own_canonical_form(value in any_json()) {
        let value = json!({"body": value});
        let text = canonical_of(&value).unwrap();
        prop_assert!(text.is_ascii());
        prop_assert_eq!(&serde_json::from_str::<Value>(&text).unwrap(), &value);
        prop_assert_eq!(&canonical_body(text.as_bytes()).unwrap(), &text);
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(canonical_body(pretty.as_bytes()).unwrap(), text);
    }

    #[test]
    fn any_bytes_are_answered_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = canonical_body(&bytes);
    }

    #[test]
    fn any_brackets_are_answered_without_a_panic(text in "[\\[\\]{}\",:0-9eE.\\\\-]{0,60}") {
        let _ = canonical_body(text.as_bytes());
    }

    #[test]
    fn floats_read_back_as_they_were(bits in any::<u64>()) {
        let x = f64::from_bits(bits);
        prop_assume!(x.is_finite());
        prop_assert_eq!(python_float(x).parse::<f64>().unwrap().to_bits(), bits);
    }
}

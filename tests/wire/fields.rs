//! Every field of every message: sent, defaulted, missing, of a wrong type, huge, negative, not text.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use hearth::protocol::messages::{ActivationResponse, Partition, RegistrationAnswer, RunFlags};
use hearth::protocol::reading::{self, MAX_JSON_MEMORY, ReadError, memory_for};
use hearth::protocol::registry::GetResponse;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::kinds::{self, Kind};
use crate::memory::peak_of;

/// Where a value is in a message.
#[derive(Clone, Debug)]
pub enum Step {
    Key(String),
    Item(usize),
}

/// The places of all values in `value`, outermost first.
pub fn places(value: &Value) -> Vec<Vec<Step>> {
    fn walk(value: &Value, here: &mut Vec<Step>, found: &mut Vec<Vec<Step>>) {
        let inside: Vec<(Step, &Value)> = match value {
            Value::Object(map) => map.iter().map(|(k, v)| (Step::Key(k.clone()), v)).collect(),
            Value::Array(list) => {
                list.iter().enumerate().map(|(i, v)| (Step::Item(i), v)).collect()
            }
            _ => Vec::new(),
        };
        for (step, value) in inside {
            here.push(step);
            found.push(here.clone());
            walk(value, here, found);
            here.pop();
        }
    }
    let mut found = Vec::new();
    walk(value, &mut Vec::new(), &mut found);
    found
}

/// `value` with what is at `place` replaced, or removed when there is no replacement.
pub fn changed(value: &Value, place: &[Step], new: Option<Value>) -> Value {
    let mut value = value.clone();
    let (last, outer) = place.split_last().unwrap();
    let inside = outer.iter().fold(&mut value, |at, step| match step {
        Step::Key(key) => &mut at[key.as_str()],
        Step::Item(i) => &mut at[*i],
    });
    match (last, new) {
        (Step::Key(key), Some(new)) => inside[key.as_str()] = new,
        (Step::Item(i), Some(new)) => inside[*i] = new,
        (Step::Key(key), None) => drop(inside.as_object_mut().unwrap().remove(key)),
        (Step::Item(i), None) => drop(inside.as_array_mut().unwrap().remove(*i)),
    }
    value
}

/// An error for the user's eye: short, no control characters, and it names one of the fields on the
/// way to `place`, or the position in the text.
pub fn assert_clear(error: &str, place: &[Step], context: &dyn Fn() -> String) {
    assert!(error.chars().count() < 300, "too long: {error} ({})", context());
    assert!(!error.is_empty() && !error.contains(char::is_control), "{error:?} ({})", context());
    let named = place.iter().any(|step| match step {
        Step::Key(key) => error.contains(key.as_str()),
        Step::Item(i) => error.contains(&format!("[{i}]")),
    });
    // A ticket without a number is read as a registration, which has other fields.
    let other = error == "missing field `run_id`" && context().starts_with("registration, queued");
    assert!(named || other || error.contains("column"), "{error} ({})", context());
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!([inner]))
}

/// Values that no field expects, most of them.
pub fn wrong_values() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(-1),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1.5),
        json!(-0.0),
        json!(1e308),
        json!("NaN"),
        json!(""),
        json!("\u{0}\u{1b}[31m\u{202e}"),
        json!([]),
        json!({}),
        json!([[], {}, null]),
        json!({"": {"": null}}),
        nested(100),
        json!("x".repeat(10_000)),
    ]
}

/// Texts in place of a value that are no JSON, or none that a message may hold.
const WRONG_TEXTS: [&[u8]; 9] = [
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"123456789012345678901234567890",
    b"\"\xff\xfe\"",
    b"\"\\ud800\"",
    b"\"\n\"",
    b"01",
    b"",
];

fn text(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

#[test]
fn a_full_message_comes_out_as_it_went_in_and_every_field_is_sent() {
    for kind in kinds::all() {
        let sent = (kind.read)(&text(&kind.full)).unwrap_or_else(|e| panic!("{}: {e}", kind.name));
        assert_eq!(sent, kind.full, "{}", kind.name);
        let least = (kind.read)(&text(&kind.least()));
        let least = least.unwrap_or_else(|e| panic!("{}: {e}", kind.name));
        assert_eq!(least, kind.least_sent(), "{}", kind.name);
        let mut more = kind.full.clone();
        if !["MinerPartition", "RunFlags"].contains(&kind.name) {
            more["added_by_a_newer_server"] = json!({"x": [1]});
            assert_eq!((kind.read)(&text(&more)).unwrap(), kind.full, "{}", kind.name);
        }
    }
}

#[test]
fn a_required_field_that_is_missing_or_null_is_named() {
    let mut checked = 0;
    for kind in kinds::all() {
        for name in &kind.required {
            let place = [Step::Key((*name).to_owned())];
            for new in [None, Some(Value::Null)] {
                let read = (kind.read)(&text(&changed(&kind.full, &place, new.clone())));
                // Without a ticket's number it is read as a registration.
                let read = read.map_err(|error| error.to_string());
                if kind.name == "registration, queued" && *name == "queue_id" {
                    assert!(read.unwrap_err().contains("run_id"));
                    continue;
                }
                let Err(error) = read else { panic!("{} without {name}: {new:?}", kind.name) };
                assert!(error.contains(name), "{}: {error}", kind.name);
                checked += 1;
            }
        }
    }
    assert!(checked > 100, "{checked}");
}

#[test]
fn a_null_counts_as_the_default_wherever_there_is_one() {
    for kind in kinds::all() {
        for (name, default) in kind.defaults.as_object().unwrap() {
            let place = [Step::Key(name.clone())];
            let read = (kind.read)(&text(&changed(&kind.full, &place, Some(Value::Null))));
            // What only we send, or what other miners send, need not be so forgiving.
            let strict = kind.name.ends_with("Request")
                || kind.name.starts_with("bridge")
                || ["PeerStatus", "get_activations"].contains(&kind.name)
                || name == "alg"
                || name == "active_weight_fraction";
            match read {
                Ok(sent) => assert_eq!(&sent[name], default, "{}.{name}", kind.name),
                Err(error) => assert!(strict, "{}.{name}: {error}", kind.name),
            }
        }
    }
}

#[test]
fn every_field_with_every_wrong_value_is_read_or_answered_clearly() {
    let (mut accepted, mut refused) = (0, 0);
    for kind in kinds::all() {
        for place in places(&kind.full) {
            let mut try_one = |bytes: &[u8]| match (kind.read)(bytes) {
                Ok(_) => accepted += 1,
                Err(error) => {
                    refused += 1;
                    let context = || format!("{} at {place:?}", kind.name);
                    assert_clear(&error.to_string(), &place, &context);
                }
            };
            try_one(&text(&changed(&kind.full, &place, None)));
            for wrong in wrong_values() {
                try_one(&text(&changed(&kind.full, &place, Some(wrong))));
            }
            for raw in WRONG_TEXTS {
                try_one(&with_raw(&kind.full, &place, raw));
            }
        }
    }
    assert!(accepted > 1000 && refused > 5000, "{accepted} {refused}");
}

/// The text of `value` with `raw` at `place`, whether that is JSON or not.
fn with_raw(value: &Value, place: &[Step], raw: &[u8]) -> Vec<u8> {
    const MARK: &str = "here the raw text goes";
    let marked = text(&changed(value, place, Some(json!(MARK))));
    let mark = format!("\"{MARK}\"");
    let at = marked.windows(mark.len()).position(|w| w == mark.as_bytes()).unwrap();
    [&marked[..at], raw, &marked[at + mark.len()..]].concat()
}

#[test]
fn ten_megabytes_in_any_field_take_a_bounded_multiple_of_memory() {
    // Eight bytes of JSON each.
    let long = |bytes: usize| json!("\u{e9}\u{1}".repeat(bytes / 8));
    for kind in kinds::all() {
        let tops = places(&kind.full).into_iter().filter(|place| place.len() == 1);
        for (i, place) in tops.enumerate() {
            let new = long(if i == 0 { 10 << 20 } else { 64 << 10 });
            let bytes = text(&changed(&kind.full, &place, Some(new)));
            let (read, peak) = peak_of(|| (kind.read)(&bytes).map(drop));
            // The text itself, what it is kept as and sent as, and the error's own words.
            assert!(peak < 8 * bytes.len() + (64 << 10), "{} {place:?}: {peak}", kind.name);
            if let Err(error) = read {
                assert_clear(&error.to_string(), &place, &|| kind.name.to_owned());
            }
        }
    }
}

#[test]
fn small_texts_that_ask_for_much_memory_get_what_was_foreseen_or_nothing() {
    type Reader = fn(&[u8]) -> Result<(), ReadError>;
    let readers: [(&str, Reader); 6] = [
        ("value", |text| reading::json::<Value>(text).map(drop)),
        ("activations", |text| reading::json::<Vec<ActivationResponse>>(text).map(drop)),
        ("partitions", |text| reading::json::<Vec<Partition>>(text).map(drop)),
        ("flags", |text| reading::json::<Vec<RunFlags>>(text).map(drop)),
        ("answer", |text| reading::json::<RegistrationAnswer>(text).map(drop)),
        ("variables", |text| reading::json::<GetResponse>(text).map(drop)),
    ];
    let units = ["{}", "[]", "0", "{\"\":0}", "{\"a\":{}}", "[[[[]]]]", "\"\"", "null"];
    let frames = [("[", "]"), ("{\"run_id\":\"r\",\"x\":[", "]}"), ("{\"variables\":[", "]}")];
    for unit in units {
        for (open, close) in frames {
            let text = format!("{open}{}{unit}{close}", format!("{unit},").repeat(20_000));
            for (name, read) in readers {
                let (_, peak) = peak_of(|| read(text.as_bytes()));
                let foreseen = memory_for(text.as_bytes()) + 4 * text.len();
                assert!(peak <= foreseen, "{name} {open}{unit}: {peak} > {foreseen}");
            }
        }
    }
    let bomb = format!("[{}{{}}]", "{},".repeat(MAX_JSON_MEMORY / 800));
    for (name, read) in readers {
        let (read, peak) = peak_of(|| read(bomb.as_bytes()));
        assert!(read.is_err() && peak < 4096, "{name}: {peak}");
    }
}

#[test]
fn a_partition_goes_back_with_every_key_and_every_digit() {
    let came = r#"{"layer": 1, "chunk_number": 7, "weight": 1784300000.1234567,
        "id": 123456789012345678901234567890, "tiny": 1E-7, "exact": 0.30000000000000004,
        "text": "\u00e9\/", "inner": {"b": [1.10, -0, 2e5], "a": null}, "blob_path": null,
        "optimizer_state_path": null}"#;
    let mut partition: Partition = reading::json(came.as_bytes()).unwrap();
    partition.set_blob_path("p");
    let sent = hearth::protocol::canonical::canonical_of(&partition).unwrap();
    let expected = came.replace("\"blob_path\": null", "\"blob_path\": \"p\"");
    let expected = hearth::protocol::canonical::canonical_body(expected.as_bytes()).unwrap();
    assert_eq!(sent, expected);
    for digits in ["1784300000.1234567", "123456789012345678901234567890", "0.30000000000000004"] {
        assert!(sent.contains(digits), "{digits}: {sent}");
    }
}

/// Any JSON, small.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        proptest::sample::select(names()).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let name = proptest::sample::select(names());
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((name, inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// All names of fields there are, so that random objects come close to real ones.
fn names() -> Vec<String> {
    static ALL: LazyLock<Vec<String>> = LazyLock::new(all_names);
    ALL.clone()
}

fn all_names() -> Vec<String> {
    let all: BTreeSet<String> = kinds::all()
        .iter()
        .flat_map(|kind| places(&kind.full))
        .filter_map(|place| match place.last() {
            Some(Step::Key(key)) => Some(key.clone()),
            _ => None,
        })
        .collect();
    all.into_iter().collect()
}

fn some_kind() -> impl Strategy<Value = &'static Kind> {
    static ALL: LazyLock<Vec<Kind>> = LazyLock::new(kinds::all);
    (0..ALL.len()).prop_map(|at| &ALL[at])
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_values_in_random_places_are_read_or_answered_clearly(
        kind in some_kind(), at in any::<prop::sample::Index>(), new in any_json(),
    ) {
        let all = places(&kind.full);
        let place = at.get(&all);
        if let Err(error) = (kind.read)(&text(&changed(&kind.full, place, Some(new)))) {
            assert_clear(&error.to_string(), place, &|| format!("{kind:?}"));
        }
    }

    #[test]
    fn random_objects_are_read_or_answered_shortly(kind in some_kind(), value in any_json()) {
        if let Err(error) = (kind.read)(&text(&value)) {
            let shown = error.to_string();
            prop_assert!(shown.chars().count() < 300 && !shown.contains(char::is_control));
        }
    }

    #[test]
    fn damaged_texts_are_read_or_answered_shortly(
        kind in some_kind(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        whole in any::<bool>(),
    ) {
        let mut bytes = text(&kind.full);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if !whole {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Err(error) = (kind.read)(&bytes) {
            let shown = error.to_string();
            prop_assert!(shown.chars().count() < 300 && !shown.contains(char::is_control));
        }
    }
}

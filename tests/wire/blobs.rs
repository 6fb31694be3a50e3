//! Objects in the store whose header, trailer or length lies, and other people's registry entries.

use hearth::protocol::bf16::bf16;
use hearth::protocol::blob::{
    BlobError, HEADER_LEN, MAX_TRAILER, encode_partition, encode_weights, header, parse_header,
    parse_partition_trailer, parse_weights_trailer, split_object, values_at,
};
use hearth::protocol::registry::rebuild;
use hearth::protocol::{ChunkNumber, StageIndex};
use serde_json::{Value, json};

use crate::fields::{assert_clear, changed, places, wrong_values};
use crate::memory::peak_of;

type Check = fn(&[u8], u64) -> Result<(), BlobError>;

/// A good object of each kind, and what reads its trailer. What is accepted must lie in the object.
fn objects() -> [(&'static str, Vec<u8>, Check); 2] {
    let values = vec![bf16::from_f32(1.5); 30];
    let weights: Check = |trailer, end| {
        let read = parse_weights_trailer(trailer, end)?;
        for section in 0..read.num_sections {
            let bytes = read.section_bytes(ChunkNumber(section))?;
            assert!(
                bytes.start >= HEADER_LEN as u64 && bytes.end <= end && bytes.start <= bytes.end
            );
        }
        Ok(())
    };
    let partition: Check = |trailer, end| {
        let read = parse_partition_trailer(trailer, end)?;
        for region in [Some(&read.weights), read.optimizer_state.as_ref()].into_iter().flatten() {
            assert!(region.bytes.start >= HEADER_LEN as u64 && region.bytes.end <= end);
            assert_eq!(region.bytes.end - region.bytes.start, 2 * region.len as u64);
        }
        Ok(())
    };
    let partition_object =
        encode_partition(&values, &values, ChunkNumber(2), StageIndex(1)).unwrap();
    [
        ("weights", encode_weights(&values, 4, 9).unwrap(), weights),
        ("partition", partition_object, partition),
    ]
}

#[test]
fn every_field_of_a_trailer_with_every_wrong_value_is_answered_clearly() {
    for (name, object, check) in objects() {
        let (end, trailer) = split_object(&object).unwrap();
        check(trailer, end).unwrap();
        let sample: Value = serde_json::from_slice(trailer).unwrap();
        let mut refused = 0;
        for place in places(&sample) {
            let numbers = [0, 1, 11, 12, 13, end - 1, end, end + 1, u64::MAX - 1, u64::MAX];
            let wrong = wrong_values().into_iter().chain(numbers.map(Value::from)).map(Some);
            for new in wrong.chain([None]) {
                let text = changed(&sample, &place, new.clone()).to_string();
                if let Err(error) = check(text.as_bytes(), end) {
                    refused += 1;
                    let shown = error.to_string();
                    assert!(shown.chars().count() < 300 && !shown.contains(char::is_control));
                    if matches!(error, BlobError::Trailer(_)) {
                        assert_clear(&shown, &place, &|| format!("{name} {place:?} {new:?}"));
                    }
                }
            }
        }
        assert!(refused > 200, "{name}: {refused}");
    }
}

#[test]
fn the_place_of_the_trailer_is_checked_against_the_object() {
    for (name, object, check) in objects() {
        let end = parse_header(&object).unwrap();
        for lie in [0, 1, 11, 12, 13, end - 1, end + 1, object.len() as u64, u64::MAX] {
            let mut lying = object.clone();
            lying[..HEADER_LEN].copy_from_slice(&header(lie));
            let (read, peak) = peak_of(|| {
                let (end, trailer) = split_object(&lying)?;
                check(trailer, end)
            });
            assert!(read.is_err(), "{name}: a trailer at {lie}");
            assert!(peak < 4096, "{peak}");
        }
        for len in 0..object.len() {
            let cut = &object[..len];
            let read = split_object(cut).and_then(|(end, trailer)| check(trailer, end));
            assert!(read.is_err(), "{name}: {len} bytes of {}", object.len());
        }
        for range in [0..u64::MAX, u64::MAX - 1..u64::MAX, 5..object.len() as u64 + 1] {
            let (read, peak) = peak_of(|| values_at(&object, &range));
            assert!(read.is_err() && peak < 1024);
        }
    }
}

#[test]
fn hostile_trailers_of_the_longest_kind_take_bounded_memory() {
    let longest = usize::try_from(MAX_TRAILER).unwrap();
    let fill = |open: &str, unit: &dyn Fn(usize) -> String, close: &str| {
        let mut text = open.to_owned();
        let mut n = 0;
        while text.len() + 100 < longest {
            text.push_str(&unit(n));
            n += 1;
        }
        text.truncate(text.trim_end_matches(',').len());
        text.push_str(close);
        text
    };
    let section = |n: usize| {
        format!("\"{n}\":{{\"start_idx\":0,\"end_idx\":0,\"start_byte\":12,\"end_byte\":12}},")
    };
    let hostile = [
        fill("{\"dtype\":\"bfloat16\",\"shape\":[", &|_| "0,".to_owned(), "]}"),
        fill("{\"dtype\":\"bfloat16\",\"shape\":[0],\"sections\":{", &section, "}}"),
        fill("{\"x\":[", &|_| "{},".to_owned(), "]}"),
        fill("{\"x\":", &|_| "[".to_owned(), "}"),
        fill("{\"dtype\":\"", &|_| "é".to_owned(), "\"}"),
        fill("", &|_| " ".to_owned(), ""),
    ];
    for text in &hostile {
        for (name, _, check) in objects() {
            let (read, peak) = peak_of(|| check(text.as_bytes(), 12));
            let shown = read.unwrap_err().to_string();
            assert!(shown.chars().count() < 300, "{shown}");
            assert!(peak < 8 * longest, "{name} {}: {peak}", &text[..30.min(text.len())]);
        }
    }
    let (read, peak) = peak_of(|| parse_weights_trailer(&vec![b' '; longest + 1], 12));
    assert!(matches!(read, Err(BlobError::TrailerTooLong(_))) && peak < 2 * longest);
}

#[test]
fn a_strangers_registry_entry_hides_nobody_and_breaks_nothing() {
    let good = [
        ("run-r/node_registry/a/node_id", json!("5Good")),
        ("run-r/node_registry/a/p2p_node_ids", json!(["ab".repeat(32)])),
        ("run-r/node_registry/a/groups", json!(["all", "layer-1"])),
        ("run-r/node_registry/a/runtime_metrics/cache_size", json!(3)),
    ];
    let names = [
        "run-r/node_registry/b/node_id",
        "run-r/node_registry/b/p2p_node_ids",
        "run-r/node_registry/b/last_keepalive",
        "run-r/node_registry/b/runtime_metrics",
        "run-r/node_registry/b/runtime_metrics/miner_status",
        "run-r/node_registry/b/runtime_metrics/cache_size/deeper",
        "run-r/node_registry/b/",
        "run-r/node_registry/b",
        "run-r/node_registry//node_id",
        "run-r/node_registry/",
        "run-x/node_registry/b/node_id",
        "",
        "\u{0}/\u{fffd}",
    ];
    for name in names {
        for value in wrong_values() {
            let mut all: Vec<(&str, &Value)> = vec![(name, &value)];
            all.extend(good.iter().map(|(name, value)| (*name, value)));
            let entries = rebuild("run-r", all);
            let kept = entries.get("a").expect("the good entry stays");
            assert_eq!((kept.node_id.as_str(), kept.peers().len()), ("5Good", 1));
            assert_eq!(kept.runtime_metrics.cache_size, 3);
        }
    }
}

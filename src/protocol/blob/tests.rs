//! Blobs round trip, and no lie in a trailer gets through.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::protocol::bf16::narrow;

fn values(n: usize) -> Vec<bf16> {
    (0..n).map(|i| bf16::from_bits(u16::try_from(i * 7 % 30_000).unwrap())).collect()
}

fn trailer_of(object: &[u8]) -> Value {
    serde_json::from_slice(split_object(object).unwrap().1).unwrap()
}

fn reread_weights(object: &[u8], change: impl Fn(&mut Value)) -> Result<WeightsTrailer, BlobError> {
    let mut trailer = trailer_of(object);
    change(&mut trailer);
    parse_weights_trailer(trailer.to_string().as_bytes(), parse_header(object).unwrap())
}

fn reread_partition(
    object: &[u8],
    change: impl Fn(&mut Value),
) -> Result<PartitionTrailer, BlobError> {
    let mut trailer = trailer_of(object);
    change(&mut trailer);
    parse_partition_trailer(trailer.to_string().as_bytes(), parse_header(object).unwrap())
}

#[test]
fn a_weights_blob_reads_back_section_by_section() {
    let all = values(100);
    let object = encode_weights(&all, 12, 5).unwrap();
    let trailer = reread_weights(&object, |_| ()).unwrap();
    let expected = WeightsTrailer { len: 100, num_sections: 12, local_optimization_steps: 5 };
    assert_eq!(trailer, expected);
    let read: Vec<bf16> = (0..12)
        .flat_map(|i| {
            let range = trailer.section_bytes(ChunkNumber(i)).unwrap();
            values_at(&object, &range).unwrap()
        })
        .collect();
    assert_eq!(read, all);
    assert!(trailer.section_bytes(ChunkNumber(12)).is_err());
}

#[test]
fn every_lie_of_a_weights_trailer_is_refused() {
    let object = encode_weights(&values(10), 3, 1).unwrap();
    let lies: [(&str, Value); 11] = [
        ("/dtype", json!("float32")),
        ("/shape", json!([11])),
        ("/shape", json!([5, 2])),
        ("/shape", json!([u64::MAX])),
        ("/shape", json!([-1])),
        ("/sections/1/start_idx", json!(4)),
        ("/sections/2/end_idx", json!(11)),
        ("/sections/2/end_byte", json!(u64::MAX)),
        ("/sections/0/start_byte", json!(0)),
        ("/sections", json!({})),
        ("/local_optimization_steps", json!(-1)),
    ];
    for (path, lie) in lies {
        let read =
            reread_weights(&object, |trailer| *trailer.pointer_mut(path).unwrap() = lie.clone());
        assert!(read.is_err(), "{path} {lie}");
    }
    let gap = reread_weights(&object, |trailer| {
        let sections = trailer["sections"].as_object_mut().unwrap();
        let last = sections.remove("2").unwrap();
        sections.insert("3".into(), last);
    });
    assert!(gap.is_err());
    assert!(reread_weights(&object, |trailer| trailer["newer"] = json!(1)).is_ok());
}

#[test]
fn every_lie_of_a_partition_trailer_is_refused() {
    let object = encode_partition(&values(6), &values(6), ChunkNumber(2), StageIndex(1)).unwrap();
    let read = reread_partition(&object, |_| ()).unwrap();
    assert_eq!((read.chunk, read.layer), (ChunkNumber(2), StageIndex(1)));
    assert_eq!(read.weights, Region { bytes: 12..24, len: 6 });
    assert_eq!(read.optimizer_state, Some(Region { bytes: 24..36, len: 6 }));
    let lies: [(&str, Value); 10] = [
        ("/chunk_number", json!(-1)),
        ("/layer", json!("1")),
        ("/regions/weights/offset", json!(11)),
        ("/regions/weights/offset", json!(26)),
        ("/regions/weights/length", json!(13)),
        ("/regions/weights/dtype", json!("float16")),
        ("/regions/weights/shape", json!([7])),
        ("/regions/optimizer_state/offset", json!(u64::MAX - 3)),
        ("/regions/optimizer_state/offset", json!(22)),
        ("/regions/optimizer_state/length", json!(u64::MAX)),
    ];
    for (path, lie) in lies {
        let read = reread_partition(&object, |t| *t.pointer_mut(path).unwrap() = lie.clone());
        assert!(read.is_err(), "{path} {lie}");
    }
    let shorter = reread_partition(&object, |trailer| {
        trailer["regions"]["optimizer_state"]["shape"] = json!([5]);
        trailer["regions"]["optimizer_state"]["length"] = json!(10);
    });
    assert!(shorter.is_err());
    let none = reread_partition(&object, |trailer| {
        trailer["regions"]["optimizer_state"] = Value::Null;
    });
    assert_eq!(none.unwrap().optimizer_state, None);
}

#[test]
fn headers_are_checked() {
    assert!(matches!(parse_header(&[1, 0, 0]), Err(BlobError::CutOff { have: 3, need: 12 })));
    let mut newer = header(12);
    newer[0] = 2;
    assert!(matches!(parse_header(&newer), Err(BlobError::Version(2))));
    assert!(matches!(parse_header(&header(11)), Err(BlobError::Lie(_))));
    assert!(matches!(split_object(&header(100)), Err(BlobError::CutOff { have: 12, need: 100 })));
    let long = vec![b' '; 8 * 1024 * 1024 + 1];
    assert!(matches!(parse_weights_trailer(&long, 12), Err(BlobError::TrailerTooLong(_))));
    assert!(encode_weights(&narrow(&[1.0]), 0, 0).is_err());
}

proptest! {
    #[test]
    fn weights_of_any_size_read_back(n in 0_usize..300, sections in 1_usize..40, steps in any::<u64>()) {
        let object = encode_weights(&values(n), sections, steps).unwrap();
        let (offset, trailer) = split_object(&object).unwrap();
        let trailer = parse_weights_trailer(trailer, offset).unwrap();
        prop_assert_eq!((trailer.len, trailer.num_sections), (n, sections));
        prop_assert_eq!(trailer.local_optimization_steps, steps);
        prop_assert_eq!(values_at(&object, &(12..offset)).unwrap(), values(n));
    }

    #[test]
    fn trailers_with_any_numbers_never_point_outside_the_payload(
        offset in any::<u64>(), length in any::<u64>(), n in any::<u64>(), end in any::<u64>(),
    ) {
        let region = json!({"offset": offset, "length": length, "dtype": "bfloat16", "shape": [n]});
        let trailer = json!({"chunk_number": 0, "layer": 0, "regions": {"weights": region}});
        if let Ok(read) = parse_partition_trailer(trailer.to_string().as_bytes(), end) {
            prop_assert!(read.weights.bytes.start >= 12 && read.weights.bytes.end <= end);
        }
    }

    #[test]
    fn a_flipped_byte_never_panics(at in 0_usize..400, bit in 0_u8..8) {
        let mut object = encode_weights(&values(9), 2, 3).unwrap();
        let at = at % object.len();
        object[at] ^= 1 << bit;
        if let Ok((offset, trailer)) = split_object(&object) {
            let _ = parse_weights_trailer(trailer, offset);
            let _ = parse_partition_trailer(trailer, offset);
        }
    }
}

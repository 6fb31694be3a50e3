//! Where things are cut: sections, batches, parts, stages, partitions.

use std::collections::BTreeSet;

use hearth::protocol::constants::MAX_PARTITION_BATCHES;
use hearth::protocol::multipart::UploadPlan;
use hearth::protocol::sections::{
    blob_bytes, num_partitions, partition_batches, range_header, sections,
};
use hearth::protocol::splits::{balanced_sizes, balanced_splits};
use serde_json::{Value, json};

use crate::vector::{Check, Json, PROSE, same};

pub const CHECKS: &[(&str, Check)] = &[
    ("sections", section_edges),
    ("partition_batches", batches),
    ("num_partitions", partition_counts),
    ("multipart", parts),
    ("splits", stage_splits),
    ("butterfly_pairs_informative", butterfly_pairs),
];

fn section_edges(file: &Json) {
    for vector in file.items() {
        let (len, count) = (vector.get("tensor_len").usize(), vector.get("num_sections").usize());
        let ranges = sections(len, count).unwrap();
        let bytes: Vec<_> = ranges.iter().map(blob_bytes).collect();
        let headers: Vec<_> = bytes.iter().map(|range| range_header(range).unwrap()).collect();
        let expected = json!({
            "tensor_len": len,
            "num_sections": count,
            "index_ranges": ranges.iter().map(|r| [r.start, r.end]).collect::<Vec<_>>(),
            "byte_ranges_in_weights_blob":
                bytes.iter().map(|r| [r.start, r.end]).collect::<Vec<_>>(),
            "http_range_headers": headers,
        });
        same(vector, &expected);
    }
}

fn batches(file: &Json) {
    for vector in file.items() {
        let count = vector.get("n_partitions_assigned").usize();
        let batches = partition_batches(count, MAX_PARTITION_BATCHES);
        let expected = json!({
            "n_partitions_assigned": count,
            "N_PARTITION_BATCHES": MAX_PARTITION_BATCHES,
            "batches": batches.iter().map(|b| [b.start, b.end]).collect::<Vec<_>>(),
        });
        same(vector, &expected);
    }
}

fn partition_counts(file: &Json) {
    for vector in file.items() {
        let (miners, stages) = (vector.get("n_miners").usize(), vector.get("n_splits").usize());
        let count = num_partitions(miners, stages);
        let expected = json!({"n_miners": miners, "n_splits": stages, "num_partitions": count});
        same(vector, &expected);
    }
}

fn parts(file: &Json) {
    for vector in file.items() {
        let plan = UploadPlan::new(vector.get("total_bytes").u64());
        let parts = plan.parts(usize::try_from(plan.num_parts).unwrap());
        let last = parts.last().unwrap();
        let expected = json!({
            "total_bytes": plan.total,
            "num_parts": plan.num_parts,
            "multipart": plan.is_multipart(),
            "part_size": plan.part_size(plan.num_parts),
            "parts_actually_put": parts.len(),
            "last_part_bytes": last.end - last.start,
        });
        same(vector, &expected);
    }
}

fn stage_splits(file: &Json) {
    for vector in file.items() {
        let (layers, stages) = (vector.get("n_layers").usize(), vector.get("n_stages").usize());
        let expected = json!({
            "n_layers": layers,
            "n_stages": stages,
            "sizes": balanced_sizes(layers, stages).unwrap(),
            "model_splits": balanced_splits(layers, stages).unwrap(),
        });
        same(vector, &expected);
    }
}

/// The pairing itself needs Python's random generator and the miner only obeys it; what must hold is
/// its shape: two different miners per partition, evenly, and the two views of it agree.
fn butterfly_pairs(file: &Json) {
    let hotkeys: Vec<&str> = file.get("hotkeys").items().iter().map(Json::str).collect();
    assert_eq!(BTreeSet::from_iter(&hotkeys).len(), hotkeys.len(), "hotkeys differ");
    let pairs: Vec<[&str; 2]> = file
        .get("pairs")
        .items()
        .iter()
        .map(|pair| <[&str; 2]>::try_from(pair.items().iter().map(Json::str).collect::<Vec<_>>()))
        .map(|pair| pair.expect("two miners"))
        .collect();
    for [a, b] in &pairs {
        assert!(a != b && hotkeys.contains(a) && hotkeys.contains(b), "{a} {b}");
    }
    let indices = file.get("indices_per_hotkey_in_returned_order");
    let of_miner = |hotkey: &&str| -> BTreeSet<usize> {
        (0..pairs.len()).filter(|i| pairs[*i].contains(hotkey)).collect()
    };
    let listed: Vec<&str> = indices.members().iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(BTreeSet::from_iter(&listed), BTreeSet::from_iter(&hotkeys));
    for (hotkey, list) in indices.members() {
        let numbers: Vec<usize> = list.items().iter().map(Json::usize).collect();
        let expected = of_miner(&hotkey.as_str());
        assert_eq!(numbers.len(), expected.len(), "{hotkey} has each partition once");
        assert_eq!(BTreeSet::from_iter(numbers), expected, "{hotkey}");
    }
    let counts: Vec<usize> = hotkeys.iter().map(|hotkey| of_miner(hotkey).len()).collect();
    assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "evenly");
    let expected = json!({
        "note": PROSE,
        "hotkeys": hotkeys,
        "n_partitions": pairs.len(),
        // The reference's seed (spec 9.2).
        "seed": 42,
        "pairs": pairs,
        "indices_per_hotkey_in_returned_order": indices.value::<Value>(),
    });
    same(file, &expected);
}

//! Objects in the store: header, trailer, and where they point.
#![no_main]

use hearth::protocol::ChunkNumber;
use hearth::protocol::blob::{
    parse_partition_trailer, parse_weights_trailer, split_object, values_at,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok((end, trailer)) = split_object(data) else { return };
    if let Ok(weights) = parse_weights_trailer(trailer, end) {
        for section in 0..weights.num_sections {
            let bytes = weights.section_bytes(ChunkNumber(section)).unwrap();
            values_at(data, &bytes).unwrap();
        }
    }
    if let Ok(partition) = parse_partition_trailer(trailer, end) {
        for region in [Some(&partition.weights), partition.optimizer_state.as_ref()] {
            if let Some(region) = region {
                assert_eq!(values_at(data, &region.bytes).unwrap().len(), region.len);
            }
        }
    }
});

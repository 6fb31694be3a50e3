//! The first weights of a run, as the partitions that every miner starts from (design 5a): the seeded
//! initialisation of the model, rounded to the wire's bf16, with an outer optimizer's buffer of zeros.

use crate::model::StageSpec;
use crate::model::initial::first_values;
use crate::protocol::bf16::bf16;
use crate::protocol::blob::{BlobError, encode_partition};
use crate::protocol::sections::chunk_range;
use crate::protocol::{ChunkNumber, StageIndex};

/// The partition blobs of one stage, chunk 0 first, made one at a time.
pub fn first_partitions(
    spec: &StageSpec,
    seed: u64,
    num_partitions: usize,
) -> impl Iterator<Item = Result<Vec<u8>, BlobError>> {
    let stage = spec.stage;
    let parameters = spec.parameters();
    let len = crate::model::parameters::count(&parameters);
    let mut values = parameters
        .into_iter()
        .flat_map(move |parameter| first_values(seed, stage, &parameter).take(parameter.count()));
    (0..num_partitions).map(move |chunk| {
        let chunk = ChunkNumber(chunk);
        let range = chunk_range(len, num_partitions, chunk)?;
        let weights: Vec<bf16> = values.by_ref().take(range.len()).map(bf16::from_f32).collect();
        encode_partition(&weights, &vec![bf16::ZERO; weights.len()], chunk, StageIndex(stage))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::presets::PRESETS;
    use crate::model::{MomentPrecision, OptimizerKind};
    use crate::protocol::blob::{parse_partition_trailer, split_object, values_at};
    use crate::protocol::splits::balanced_splits;

    #[test]
    fn the_chunks_of_a_stage_are_its_seeded_weights_in_order() {
        let preset = PRESETS[1];
        let split = balanced_splits(preset.n_layers, 2).unwrap()[1];
        let spec = StageSpec {
            config: preset.config(),
            split,
            stage: 1,
            stages: 2,
            batch: preset.batch,
            local_batch: preset.local_batch,
            seq: preset.seq,
            optimizer: OptimizerKind::NAdam,
            moments: MomentPrecision::F32,
            grad_clip_norm: 1.0,
            total_global_params: 1,
        };
        let mut flat = Vec::new();
        for (index, blob) in first_partitions(&spec, 7, 3).enumerate() {
            let blob = blob.unwrap();
            let (offset, trailer) = split_object(&blob).unwrap();
            let trailer = parse_partition_trailer(trailer, offset).unwrap();
            assert_eq!((trailer.chunk, trailer.layer), (ChunkNumber(index), StageIndex(1)));
            let buffer = trailer.optimizer_state.unwrap().bytes;
            assert!(values_at(&blob, &buffer).unwrap().iter().all(|x| *x == bf16::ZERO));
            flat.extend(values_at(&blob, &trailer.weights.bytes).unwrap());
        }
        let parameters = spec.parameters();
        let expected: Vec<bf16> = parameters
            .iter()
            .flat_map(|p| first_values(7, 1, p).take(p.count()))
            .map(bf16::from_f32)
            .collect();
        assert!(flat.len() > 10_000);
        assert_eq!(flat, expected);
        let mean: f32 = flat.iter().map(|x| x.to_f32()).sum::<f32>() / flat.len() as f32;
        assert!(mean.abs() < 0.05, "{mean}");
    }
}

//! How an upload is cut into parts (spec 5.3): how many to ask for, and which bytes each one holds.

use std::ops::Range;

use super::constants::{MAX_NUM_PARTS, MIN_PART_SIZE};

/// What to ask the orchestrator for before an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadPlan {
    /// Size of the whole object in bytes.
    pub total: u64,
    /// Parts to ask for, 1..=10000.
    pub num_parts: u64,
}

impl UploadPlan {
    /// Plans the upload of `total` bytes: one part per begun 10 MiB, at least 1, at most 10000.
    pub fn new(total: u64) -> Self {
        Self { total, num_parts: total.div_ceil(MIN_PART_SIZE).clamp(1, MAX_NUM_PARTS) }
    }

    /// Whether the upload is a multipart one, with a completion call at its end.
    pub fn is_multipart(self) -> bool {
        self.num_parts > 1
    }

    /// The bytes of every part when the server answered with `urls` addresses, in order. Rounding
    /// can leave fewer parts than addresses; the rest of the addresses stay unused. An empty object
    /// is one empty part. Empty when the server sent no address.
    pub fn parts(self, urls: usize) -> Vec<Range<u64>> {
        let urls = urls as u64;
        if urls == 0 {
            return Vec::new();
        }
        let size = self.part_size(urls);
        (0..urls)
            .map(|i| i.saturating_mul(size)..(i + 1).saturating_mul(size).min(self.total))
            .enumerate()
            .take_while(|(i, range)| *i == 0 || range.start < range.end)
            .map(|(_, range)| range)
            .collect()
    }

    /// Bytes of each part but the last, when the object goes to `urls` addresses (at least 1).
    pub fn part_size(self, urls: u64) -> u64 {
        self.total.div_ceil(urls.max(1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_object_is_one_empty_part() {
        let plan = UploadPlan::new(0);
        assert_eq!((plan.num_parts, plan.is_multipart()), (1, false));
        assert_eq!(plan.parts(1).as_slice(), std::slice::from_ref(&(0..0)));
        assert!(plan.parts(0).is_empty());
    }

    proptest! {
        #[test]
        fn parts_cover_the_object_exactly_and_none_is_empty(
            total in 1_u64..3_000_000_000_000, urls in 1_usize..10_100,
        ) {
            let parts = UploadPlan::new(total).parts(urls);
            prop_assert!(parts.len() <= urls);
            prop_assert_eq!(parts[0].start, 0);
            prop_assert_eq!(parts.last().unwrap().end, total);
            prop_assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
            prop_assert!(parts.iter().all(|part| part.start < part.end));
        }

        #[test]
        fn every_part_but_the_last_is_large_enough_for_an_object_store(total in 1_u64..u64::MAX / 2) {
            let plan = UploadPlan::new(total);
            let size = plan.part_size(plan.num_parts);
            prop_assert!(!plan.is_multipart() || size >= 5 * 1024 * 1024);
        }
    }
}

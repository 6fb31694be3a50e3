//! Where a section or partition lies: in a stage's flat weights (elements), in a blob (bytes), in a
//! batch of work (spec 5.1, 9.2, 9.3). Miners and orchestrator must agree on every edge.

use std::ops::Range;

use super::ids::ChunkNumber;

/// Bytes of the blob header before the payload.
pub const HEADER_BYTES: u64 = 12;

/// A question about sections that has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeometryError {
    /// A tensor cannot be cut into no sections.
    #[error("a tensor cannot be cut into 0 sections")]
    NoSections,
    /// The chunk number is not below the number of chunks.
    #[error("chunk {chunk} does not exist: there are {count} chunks, counted from 0")]
    NoSuchChunk {
        /// The chunk asked for.
        chunk: usize,
        /// How many there are.
        count: usize,
    },
}

/// Cuts `len` elements into `count` sections: equal ones of `len / count`, the last takes the rest.
pub fn sections(len: usize, count: usize) -> Result<Vec<Range<usize>>, GeometryError> {
    (0..count.max(1)).map(|chunk| chunk_range(len, count, ChunkNumber(chunk))).collect()
}

/// The elements of chunk `chunk` when `len` elements are cut into `count` chunks.
pub fn chunk_range(
    len: usize,
    count: usize,
    chunk: ChunkNumber,
) -> Result<Range<usize>, GeometryError> {
    if count == 0 {
        return Err(GeometryError::NoSections);
    }
    if chunk.0 >= count {
        return Err(GeometryError::NoSuchChunk { chunk: chunk.0, count });
    }
    let size = len / count;
    let start = chunk.0 * size;
    let end = if chunk.0 + 1 == count { len } else { start + size };
    Ok(start..end)
}

/// The bytes that `elements` (bf16) occupy in a weights blob: absolute offsets, end exclusive.
pub fn blob_bytes(elements: &Range<usize>) -> Range<u64> {
    let offset = |index: usize| HEADER_BYTES.saturating_add((index as u64).saturating_mul(2));
    offset(elements.start)..offset(elements.end)
}

/// The value of an HTTP `Range` header for `bytes` (inclusive there); `None` for an empty range,
/// which HTTP cannot express.
pub fn range_header(bytes: &Range<u64>) -> Option<String> {
    (bytes.start < bytes.end).then(|| format!("bytes={}-{}", bytes.start, bytes.end - 1))
}

/// Cuts `count` partitions into at most `max_batches` batches of work; batch j is
/// `[j * count / n, (j + 1) * count / n)` with n = min(max_batches, count).
pub fn partition_batches(count: usize, max_batches: usize) -> Vec<Range<usize>> {
    let batches = count.min(max_batches);
    (0..batches).map(|j| j * count / batches..(j + 1) * count / batches).collect()
}

/// How many partitions a stage's weights are cut into (the server's formula, spec 9.2).
/// 0 when there are fewer miners than stages: the caller decides what that means.
pub fn num_partitions(miners: usize, stages: usize) -> usize {
    miners.checked_div(stages).unwrap_or(0) * 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_touch_each_other_and_cover_everything_even_when_there_are_too_many() {
        for len in [0_usize, 1, 2, 7, 100, 1001] {
            for count in 1..20 {
                let all = sections(len, count).unwrap();
                assert_eq!(all.len(), count);
                assert_eq!(all.first().map(|r| r.start), Some(0));
                assert_eq!(all.last().map(|r| r.end), Some(len));
                assert!(all.windows(2).all(|pair| pair[0].end == pair[1].start));
            }
        }
    }

    #[test]
    fn impossible_questions_are_errors() {
        assert_eq!(sections(10, 0), Err(GeometryError::NoSections));
        assert_eq!(
            chunk_range(10, 3, ChunkNumber(3)),
            Err(GeometryError::NoSuchChunk { chunk: 3, count: 3 })
        );
        assert_eq!(range_header(&(5..5)), None);
        assert!(partition_batches(0, 20).is_empty());
        assert_eq!(num_partitions(2, 3), 0);
        assert_eq!(num_partitions(2, 0), 0);
    }
}

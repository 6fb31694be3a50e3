//! The streamed blob against the one that is made in one go.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::protocol::blob::encode_weights;
use crate::protocol::merge::{clip_pseudo_gradient, norm};
use crate::training::local::PIECE;

/// Numbers in memory; notes how much is asked for at a time, and by how many.
#[derive(Debug)]
struct Kept {
    values: Vec<bf16>,
    asked: Mutex<Vec<usize>>,
    readers: AtomicUsize,
    most_readers: AtomicUsize,
}

impl Kept {
    fn new(len: usize) -> Self {
        #[allow(clippy::cast_precision_loss)]
        let at = |i: usize| bf16::from_f32(((i * 37) % 101) as f32 * 0.01 - 0.5);
        Self {
            values: (0..len).map(at).collect(),
            asked: Mutex::default(),
            readers: AtomicUsize::new(0),
            most_readers: AtomicUsize::new(0),
        }
    }
}

impl Numbers for &Kept {
    fn count(&self) -> usize {
        self.values.len()
    }

    fn read(&self, range: Range<usize>) -> BoxFuture<'_, Result<Vec<bf16>, LocalError>> {
        Box::pin(async move {
            let readers = self.readers.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_readers.fetch_max(readers, Ordering::SeqCst);
            self.asked.lock().unwrap().push(range.len());
            tokio::task::yield_now().await;
            self.readers.fetch_sub(1, Ordering::SeqCst);
            Ok(self.values[range].to_vec())
        })
    }
}

async fn bytes<N: Numbers>(blob: &StreamedBlob<N>, range: Range<u64>) -> Vec<u8> {
    let part = blob.read(range).await.unwrap();
    (*part).as_ref().to_vec()
}

#[tokio::test]
async fn every_range_is_that_of_the_whole_blob() {
    let kept = Kept::new(1001);
    let blob = StreamedBlob::survey(&kept, (3, 7), Clip::No).await.unwrap();
    let whole = encode_weights(&kept.values, 3, 7).unwrap();
    let len = whole.len() as u64;
    assert_eq!(blob.byte_len(), len);
    for start in [0, 1, 11, 12, 13, 14, 999, 2013, 2014, 2015, len - 1] {
        for end in [start, start + 1, 12, 15, 1000, 2014, 2020, len] {
            if start <= end && end <= len {
                let (from, to) = (index(start), index(end));
                assert_eq!(bytes(&blob, start..end).await, whole[from..to], "{start}..{end}");
            }
        }
    }
    assert!(blob.read(5..len + 1).await.is_err());
}

#[tokio::test]
async fn long_vectors_are_read_piece_by_piece_by_few_at_a_time() {
    let kept = Kept::new(2 * PIECE + 77);
    let mut clipped = kept.values.clone();
    let limit = norm(&kept.values) / 3.0;
    assert!(clip_pseudo_gradient(&mut clipped, limit));
    let blob = StreamedBlob::survey(&kept, (2, 1), Clip::To(limit)).await.unwrap();
    let whole = encode_weights(&clipped, 2, 1).unwrap();
    let ranges: Vec<Range<u64>> =
        crate::protocol::multipart::UploadPlan { total: blob.byte_len(), num_parts: 7 }.parts(7);
    let parts = futures::future::join_all(ranges.iter().map(|r| bytes(&blob, r.clone()))).await;
    assert!(parts.concat() == whole);
    assert!(kept.asked.lock().unwrap().iter().all(|len| *len <= PIECE));
    assert_eq!(kept.most_readers.load(Ordering::SeqCst), READERS);
}

#[tokio::test]
async fn other_numbers_trailers_and_scales_have_other_fingerprints() {
    let kept = Kept::new(100);
    let mut other = Kept::new(100);
    other.values[50] = bf16::ONE;
    let digest = async |kept: &Kept, facts, clip| {
        StreamedBlob::survey(kept, facts, clip).await.unwrap().digest()
    };
    let own = digest(&kept, (2, 7), Clip::No).await;
    assert_eq!(digest(&kept, (2, 7), Clip::To(1e9)).await, own);
    assert_ne!(digest(&other, (2, 7), Clip::No).await, own);
    assert_ne!(digest(&kept, (2, 8), Clip::No).await, own);
    assert_ne!(digest(&kept, (2, 7), Clip::To(0.1)).await, own);
}

#[tokio::test]
async fn the_first_number_that_is_not_finite_is_named() {
    let mut kept = Kept::new(PIECE + 10);
    kept.values[PIECE + 3] = bf16::INFINITY;
    let refused = StreamedBlob::survey(&kept, (1, 0), Clip::No).await.unwrap_err();
    let HandInError::Numbers(PseudoGradientError::NotFinite { index }) = refused else {
        panic!("{refused}")
    };
    assert_eq!(index, PIECE + 3);
}

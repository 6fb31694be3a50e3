//! Where the bytes of an upload come from: read part by part when they are sent, so that a large
//! object never lies in memory as a whole.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use futures::future::BoxFuture;

/// The bytes of one part. Freed when the part is stored.
pub type PartBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A fingerprint (BLAKE3) of a whole object.
pub type Digest = [u8; 32];

/// Where an object's bytes come from. Ranges may be asked for in any order, several at a time, and
/// more than once; the answers must not change meanwhile.
pub trait BlobSource: Send + Sync {
    /// Length of the whole object in bytes.
    fn byte_len(&self) -> u64;

    /// A fingerprint of the whole object: two sources with the same one have the same bytes. By it a
    /// later attempt knows whether it may go on with the parts that are stored already.
    fn digest(&self) -> Digest;

    /// The bytes of `range`, which lies within the object.
    fn read(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<PartBytes>>;
}

impl BlobSource for Vec<u8> {
    fn byte_len(&self) -> u64 {
        self.len() as u64
    }

    fn digest(&self) -> Digest {
        *blake3::hash(self).as_bytes()
    }

    fn read(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<PartBytes>> {
        let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let bytes = self.get(index(range.start)..index(range.end)).map(<[u8]>::to_vec);
        let outside = || io::Error::new(io::ErrorKind::UnexpectedEof, "range outside the object");
        Box::pin(async move { Ok(Arc::new(bytes.ok_or_else(outside)?) as PartBytes) })
    }
}

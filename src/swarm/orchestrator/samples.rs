//! Samples that lie ready in the store, so that handing one out takes no time (spec 5.4).

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::mpsc;

use crate::swarm::store::Store;

/// Samples that are made ahead.
pub(super) const READY: usize = 32;

/// A source of texts: each call gives the next one, or says why there is none. May take a while; it
/// is called on a thread of its own.
#[derive(Clone)]
pub struct Texts(pub Arc<dyn Fn() -> Result<String, String> + Send + Sync>);

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Texts")
    }
}

/// The bytes of a text as flag `compress_s3_files` wants them (spec 5.4).
pub(super) fn gzip(text: &str) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    // Writing into memory does not fail.
    match packer.write_all(text.as_bytes()).and_then(|()| packer.finish()) {
        Ok(packed) => packed,
        Err(_) => text.as_bytes().to_vec(),
    }
}

/// Puts one text after another into the store, as `PREFIX/NUMBER` and as `pack` wants it, and their
/// names into `ready`.
pub(super) async fn fill(
    texts: Texts,
    store: Arc<Store>,
    prefix: String,
    pack: impl Fn(String) -> Vec<u8>,
    ready: mpsc::Sender<String>,
    fail: impl FnOnce(String),
) {
    for number in 0_u64.. {
        let source = texts.clone();
        let text = match tokio::task::spawn_blocking(move || (source.0)()).await {
            Ok(Ok(text)) => text,
            Ok(Err(reason)) => return fail(reason),
            Err(error) => return fail(format!("the text source broke: {error}")),
        };
        let object = format!("{prefix}/{number:08}");
        if let Err(error) = store.put(&object, pack(text)).await {
            return fail(error.to_string());
        }
        if ready.send(object).await.is_err() {
            return;
        }
    }
}

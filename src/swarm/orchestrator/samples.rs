//! Samples that lie ready in the store, so that handing one out takes no time (spec 5.4).

use std::fmt;
use std::sync::Arc;

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

/// Puts one text after another into the store, as `PREFIX/NUMBER`, and their names into `ready`.
pub(super) async fn fill(
    texts: Texts,
    store: Arc<Store>,
    prefix: String,
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
        if let Err(error) = store.put(&object, text.into_bytes()).await {
            return fail(error.to_string());
        }
        if ready.send(object).await.is_err() {
            return;
        }
    }
}

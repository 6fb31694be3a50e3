//! Spot checks (spec 5.5): an output that the orchestrator wants to look at goes to the object store
//! as well, and only what really lies there is reported.

use std::sync::Arc;

use super::queue::SpotCheck;
use crate::network::storage::Storage;

/// Puts an output (the serialized tensor, as pushed) where the orchestrator wants it; gives the path
/// to report, or none if that did not work: the activation itself is as good without.
pub(super) async fn upload(
    storage: &Storage,
    check: SpotCheck,
    file: Arc<Vec<u8>>,
) -> Option<String> {
    match storage.put_object(&check.upload_url, file).await {
        Ok(()) => Some(check.path),
        Err(error) => {
            tracing::warn!("an activation could not be uploaded for its spot check: {error}");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::test_world::{Fault, world};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn only_what_lies_there_is_reported() {
        let (server, services, _, _) = world().await;
        let base = server.shelf().base.clone();
        let check = |name: &str| SpotCheck {
            upload_url: format!("{base}/blob/{name}"),
            path: format!("run/{name}"),
        };
        let file = Arc::new(b"tensor".to_vec());
        let storage = &services.storage;
        server.fail("a", &[Fault::Status(500)]);
        let path = upload(storage, check("a"), Arc::clone(&file)).await;
        assert_eq!(path.as_deref(), Some("run/a"));
        assert_eq!(server.shelf().objects["a"], b"tensor");
        server.fail("b", &[Fault::Status(403); 4]);
        assert_eq!(upload(storage, check("b"), file).await, None);
        assert!(!server.shelf().objects.contains_key("b"));
    }
}

//! The model as the swarm publishes it: where its merged weights are, and the place where the faces are
//! told what it writes. It stays readable after the swarm has stopped listening.

use std::sync::Arc;

use crate::protocol::ChunkNumber;
use crate::swarm::orchestrator::Desk;
use crate::swarm::snapshot::Writing;

/// A chunk of a stage's newest merged weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedChunk {
    /// Which part of the stage.
    pub chunk: ChunkNumber,
    /// The epoch whose merge it is; 0 for the first weights.
    pub epoch: u64,
    /// The stored object. One that is merged later has another name.
    pub object: String,
    /// Where it can be downloaded for a while.
    pub url: String,
}

/// The model of a practice swarm. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PublishedModel {
    pub(super) desk: Arc<Desk>,
}

impl PublishedModel {
    /// The newest merged chunks of every stage, all as of one moment.
    pub async fn chunks(&self) -> Vec<Vec<PublishedChunk>> {
        self.desk.published().await
    }

    /// Tells the faces what became of the wish for a text.
    pub async fn tell(&self, writing: Writing) {
        self.desk.set_writing(writing).await;
    }
}

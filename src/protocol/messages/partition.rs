//! A partition as the orchestrator describes it: an open map (spec 2.4, "interop rule"). Every key
//! that came is sent back, since the server may check the signature over its own richer model.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::attestation::Attestation;
use crate::protocol::ids::{ChunkNumber, StageIndex};

/// One slice of a stage's flat weights, to be merged or already merged.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Partition(pub Map<String, Value>);

impl Partition {
    /// A partition with all keys of the newest model: a chunk of `layer`, given to two miners.
    pub fn new(layer: StageIndex, chunk: ChunkNumber, miner: &str, other: Option<&str>) -> Self {
        let mut map = Map::new();
        map.insert("layer".into(), layer.0.into());
        map.insert("chunk_number".into(), chunk.0.into());
        map.insert("miner_hotkey".into(), miner.into());
        map.insert("other_miner_hotkey".into(), other.into());
        map.insert("blob_path".into(), Value::Null);
        Self(map)
    }

    /// The stage, if given.
    pub fn layer(&self) -> Option<StageIndex> {
        self.index("layer").map(StageIndex)
    }

    /// The chunk; `None` for the literal `"all"` and for nonsense.
    pub fn chunk_number(&self) -> Option<ChunkNumber> {
        self.index("chunk_number").map(ChunkNumber)
    }

    /// The miner this copy was given to.
    pub fn miner_hotkey(&self) -> Option<&str> {
        self.text("miner_hotkey")
    }

    /// The miner that merges the same chunk for comparison.
    pub fn other_miner_hotkey(&self) -> Option<&str> {
        self.text("other_miner_hotkey")
    }

    /// Where the merged blob lies: an object name when submitted, a presigned URL when fetched.
    pub fn blob_path(&self) -> Option<&str> {
        self.text("blob_path")
    }

    /// Sets where the merged blob lies and leaves every other key as it came.
    pub fn set_blob_path(&mut self, path: impl Into<String>) {
        self.0.insert("blob_path".to_owned(), Value::String(path.into()));
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.as_str()
    }

    fn index(&self, key: &str) -> Option<usize> {
        usize::try_from(self.0.get(key)?.as_u64()?).ok()
    }
}

/// Body of `POST /miner/submit_merged_partitions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubmitMergedPartitionsRequest {
    /// The partitions as they came from the server, each with its `blob_path` set.
    pub partitions: Vec<Partition>,
    /// Proof, if the run wants one.
    #[serde(default)]
    pub attestation: Option<Attestation>,
}

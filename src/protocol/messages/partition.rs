//! A partition as the orchestrator describes it: an open map (spec 2.4, "interop rule"). Every key
//! that came is sent back, since the server may check the signature over its own richer model.

use std::collections::BTreeMap;

use serde::de::Deserializer;
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::attestation::Attestation;
use crate::protocol::ids::{ChunkNumber, StageIndex};

/// One slice of a stage's flat weights, to be merged or already merged.
#[derive(Clone, Debug, Default)]
pub struct Partition {
    /// The members as far as we can hold them; nulls for the rest.
    members: Map<String, Value>,
    /// The members as they came: a number keeps all its digits on its way back.
    verbatim: BTreeMap<String, Box<RawValue>>,
}

impl Partition {
    /// A partition with all keys of the newest model: a chunk of `layer`, given to two miners.
    pub fn new(layer: StageIndex, chunk: ChunkNumber, miner: &str, other: Option<&str>) -> Self {
        let mut members = Map::new();
        members.insert("layer".into(), layer.0.into());
        members.insert("chunk_number".into(), chunk.0.into());
        members.insert("miner_hotkey".into(), miner.into());
        members.insert("other_miner_hotkey".into(), other.into());
        members.insert("blob_path".into(), Value::Null);
        Self { members, verbatim: BTreeMap::new() }
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
        self.verbatim.remove("blob_path");
        self.members.insert("blob_path".to_owned(), Value::String(path.into()));
    }

    /// Every member, known or not.
    pub fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.members.get(key)?.as_str()
    }

    fn index(&self, key: &str) -> Option<usize> {
        usize::try_from(self.members.get(key)?.as_u64()?).ok()
    }

    fn verbatim(&self, key: &str) -> Option<&str> {
        self.verbatim.get(key).map(|raw| raw.get())
    }
}

impl PartialEq for Partition {
    fn eq(&self, other: &Self) -> bool {
        let same = |key: &String| self.verbatim(key) == other.verbatim(key);
        self.members == other.members && self.members.keys().all(same)
    }
}

impl Serialize for Partition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Member<'a> {
            Verbatim(&'a RawValue),
            Ours(&'a Value),
        }
        let member = |(key, ours)| match self.verbatim.get(key) {
            Some(raw) => (key, Member::Verbatim(raw)),
            None => (key, Member::Ours(ours)),
        };
        serializer.collect_map(self.members.iter().map(member))
    }
}

impl<'de> Deserialize<'de> for Partition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut verbatim = BTreeMap::<String, Box<RawValue>>::deserialize(deserializer)?;
        let held = |raw: &RawValue| serde_json::from_str(raw.get()).unwrap_or(Value::Null);
        let members: Map<_, _> =
            verbatim.iter().map(|(key, raw)| (key.clone(), held(raw))).collect();
        // Most members are texts and small integers, which come out again as they went in.
        verbatim.retain(|key, raw| {
            members.get(key).is_none_or(|member| {
                let written = member.to_string();
                written != raw.get()
            })
        });
        Ok(Self { members, verbatim })
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

//! A run's switches (spec 11.4): the known ones with their defaults, the unknown ones kept.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A known switch of a run (spec 11.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flag {
    /// No effect.
    Test,
    /// Gunzip downloads.
    CompressS3Files,
    /// Attest weights, partitions, activations.
    Attest,
    /// Keep activations in flight across optimizer steps.
    KeepCacheOnLocalStep,
    /// Exchange optimizer state instead of the warm-up freeze.
    UploadOptimizerState,
    /// Leave weak sources out of a merge.
    EnforceMinLocalOptimizerSteps,
    /// Weigh sources by `weighting_factor`.
    WeightedPartitionAveraging,
    /// Clip pseudo-gradients before upload.
    ClipPseudoGradients,
    /// AdamW instead of NAdam.
    UseAdamW,
    /// Legacy registry.
    PeerEviction,
    /// Cache size found by watching the first backwards.
    AutoMaxCache,
    /// Legacy sync.
    SyncPatches,
    /// Local batch size found by measuring.
    AutoLocalBatchSize,
    /// Server-side relaxations.
    TrustedFleet,
}

impl Flag {
    /// All known flags.
    pub const ALL: [Flag; 14] = [
        Flag::Test,
        Flag::CompressS3Files,
        Flag::Attest,
        Flag::KeepCacheOnLocalStep,
        Flag::UploadOptimizerState,
        Flag::EnforceMinLocalOptimizerSteps,
        Flag::WeightedPartitionAveraging,
        Flag::ClipPseudoGradients,
        Flag::UseAdamW,
        Flag::PeerEviction,
        Flag::AutoMaxCache,
        Flag::SyncPatches,
        Flag::AutoLocalBatchSize,
        Flag::TrustedFleet,
    ];

    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Flag::Test => "test_flag",
            Flag::CompressS3Files => "compress_s3_files",
            Flag::Attest => "attest",
            Flag::KeepCacheOnLocalStep => "keep_cache_on_local_step",
            Flag::UploadOptimizerState => "upload_optimizer_state",
            Flag::EnforceMinLocalOptimizerSteps => "enforce_min_local_optimizer_steps",
            Flag::WeightedPartitionAveraging => "weighted_partition_averaging",
            Flag::ClipPseudoGradients => "clip_pseudo_gradients",
            Flag::UseAdamW => "use_AdamW",
            Flag::PeerEviction => "peer_eviction",
            Flag::AutoMaxCache => "auto_max_cache",
            Flag::SyncPatches => "sync_patches",
            Flag::AutoLocalBatchSize => "auto_local_batch_size",
            Flag::TrustedFleet => "trusted_fleet",
        }
    }

    /// What holds when the server does not say.
    pub fn default_enabled(self) -> bool {
        matches!(
            self,
            Flag::WeightedPartitionAveraging | Flag::SyncPatches | Flag::AutoLocalBatchSize
        )
    }
}

/// The setting of one flag.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunFlag {
    /// On or off.
    pub enabled: bool,
    /// Version of the feature.
    #[serde(default = "one", deserialize_with = "null_as_one")]
    pub version: f64,
}

fn one() -> f64 {
    1.0
}

fn null_as_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Option::<f64>::deserialize(deserializer).map(|version| version.unwrap_or_else(one))
}

/// A run's switches. Flags that the server does not mention, or sets to null, have their defaults;
/// flags that this version does not know are kept, whatever they look like.
#[derive(Clone, Debug, PartialEq)]
pub struct RunFlags {
    known: BTreeMap<&'static str, RunFlag>,
    unknown: BTreeMap<String, Value>,
}

impl Default for RunFlags {
    /// Every known flag at its default, as a server sends them.
    fn default() -> Self {
        let flag = |f: Flag| RunFlag { enabled: f.default_enabled(), version: 1.0 };
        let known = Flag::ALL.into_iter().map(|f| (f.as_str(), flag(f))).collect();
        Self { known, unknown: BTreeMap::new() }
    }
}

impl RunFlags {
    /// The setting of `flag`.
    pub fn get(&self, flag: Flag) -> RunFlag {
        let default = RunFlag { enabled: flag.default_enabled(), version: 1.0 };
        self.known.get(flag.as_str()).copied().unwrap_or(default)
    }

    /// Whether `flag` is on.
    pub fn is_on(&self, flag: Flag) -> bool {
        self.get(flag).enabled
    }

    /// The flags that this version does not know, as they came.
    pub fn unknown(&self) -> &BTreeMap<String, Value> {
        &self.unknown
    }

    /// These flags with the one called `name` switched as said, known or not.
    #[must_use]
    pub fn with_named(mut self, name: &str, enabled: bool) -> Self {
        let set = RunFlag { enabled, version: 1.0 };
        match Flag::ALL.into_iter().find(|flag| flag.as_str() == name) {
            Some(flag) => {
                self.known.insert(flag.as_str(), set);
            }
            None => {
                let value = json!({"enabled": set.enabled, "version": set.version});
                self.unknown.insert(name.to_owned(), value);
            }
        }
        self
    }

    /// These flags with `flag` switched on.
    #[must_use]
    pub fn with_on(mut self, flag: Flag) -> Self {
        self.known.insert(flag.as_str(), RunFlag { enabled: true, version: 1.0 });
        self
    }

    /// These flags with `flag` switched off.
    #[must_use]
    pub fn with_off(mut self, flag: Flag) -> Self {
        self.known.insert(flag.as_str(), RunFlag { enabled: false, version: 1.0 });
        self
    }
}

impl Serialize for RunFlags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.known.len() + self.unknown.len()))?;
        for (name, flag) in &self.known {
            map.serialize_entry(name, flag)?;
        }
        for (name, value) in &self.unknown {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for RunFlags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = RunFlags;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of run flags")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RunFlags, A::Error> {
                let mut flags = RunFlags { known: BTreeMap::new(), unknown: BTreeMap::new() };
                while let Some(name) = map.next_key::<String>()? {
                    match Flag::ALL.into_iter().find(|flag| flag.as_str() == name) {
                        None => {
                            flags.unknown.insert(name, map.next_value()?);
                        }
                        Some(flag) => {
                            if let Some(set) = map.next_value::<Option<RunFlag>>()? {
                                flags.known.insert(flag.as_str(), set);
                            }
                        }
                    }
                }
                Ok(flags)
            }
        }
        deserializer.deserialize_map(Read)
    }
}

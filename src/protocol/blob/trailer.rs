//! The trailers' JSON, field by field in the order the reference writes them.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::BlobError;
use crate::protocol::ids::ChunkNumber;
use crate::protocol::sections::{blob_bytes, chunk_range};

#[derive(Serialize, Deserialize)]
pub(super) struct WeightsFields {
    pub dtype: String,
    pub shape: Vec<u64>,
    pub sections: SectionsFields,
    pub local_optimization_steps: u64,
}

#[derive(Serialize, Deserialize, PartialEq, Eq)]
pub(super) struct SectionFields {
    pub start_idx: u64,
    pub end_idx: u64,
    pub start_byte: u64,
    pub end_byte: u64,
}

impl SectionFields {
    fn of(range: &Range<usize>) -> Self {
        let bytes = blob_bytes(range);
        Self {
            start_idx: range.start as u64,
            end_idx: range.end as u64,
            start_byte: bytes.start,
            end_byte: bytes.end,
        }
    }
}

/// Sections by number; the wire has the numbers as text, in ascending order.
pub(super) struct SectionsFields(pub Vec<SectionFields>);

impl SectionsFields {
    pub fn of(ranges: &[Range<usize>]) -> Self {
        Self(ranges.iter().map(SectionFields::of).collect())
    }

    /// Fails unless these are exactly the equal cut of `len` elements.
    pub fn check(&self, len: usize) -> Result<(), BlobError> {
        if self.0.is_empty() {
            return Err(BlobError::Lie("it has no sections".to_owned()));
        }
        for (i, section) in self.0.iter().enumerate() {
            let range = chunk_range(len, self.0.len(), ChunkNumber(i))?;
            if *section != SectionFields::of(&range) {
                return Err(BlobError::Lie(format!("section {i} is not where it must be")));
            }
        }
        Ok(())
    }
}

impl Serialize for SectionsFields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().enumerate().map(|(i, s)| (i.to_string(), s)))
    }
}

impl<'de> Deserialize<'de> for SectionsFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut map = BTreeMap::<String, SectionFields>::deserialize(deserializer)?;
        let mut sections = Vec::with_capacity(map.len());
        while let Some(section) = map.remove(&sections.len().to_string()) {
            sections.push(section);
        }
        match map.keys().next() {
            None => Ok(Self(sections)),
            Some(_) => Err(serde::de::Error::custom("sections are not numbered 0, 1, 2, ...")),
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct PartitionFields {
    pub chunk_number: usize,
    pub layer: usize,
    pub regions: RegionsFields,
}

#[derive(Serialize, Deserialize)]
pub(super) struct RegionsFields {
    pub weights: RegionFields,
    #[serde(default)]
    pub optimizer_state: Option<RegionFields>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct RegionFields {
    pub offset: u64,
    pub length: u64,
    pub dtype: String,
    pub shape: Vec<u64>,
}

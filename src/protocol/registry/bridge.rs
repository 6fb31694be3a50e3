//! Bodies of the bridge's calls (spec 7.2). They are not signed.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How writes to a variable are resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum WriteRule {
    /// The last write wins.
    Lww,
    /// The writer names the version it replaces.
    Cas,
    /// The writer holds a lock.
    Lock,
}

/// A variable to create.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VariableSpec {
    /// Its name.
    pub var_id: String,
    /// Its first value.
    pub default_value: Value,
    /// `str`, `int`, `float`, `bool`, `dict`, `list` or `none`.
    pub var_type: String,
    /// How writes are resolved.
    pub write_rule: WriteRule,
}

/// Body of `POST /register`.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct RegisterRequest {
    /// Variables to create; existing ones stay as they are.
    pub variables: Vec<VariableSpec>,
}

/// Answer to [`RegisterRequest`], in its order.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RegisterResponse {
    /// One per variable.
    pub results: Vec<RegisterResult>,
}

/// What became of one variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterResult {
    /// `created`, `already_registered` or `error`.
    pub status: String,
    /// Its version now.
    #[serde(default)]
    pub version: Option<u64>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Body of `POST /get`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GetRequest {
    /// Names.
    pub var_ids: Vec<String>,
}

/// Answer to [`GetRequest`].
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct GetResponse {
    /// Those found.
    #[serde(default)]
    pub variables: Vec<GetVariable>,
    /// Those not.
    #[serde(default)]
    pub errors: Vec<GetError>,
}

/// A variable's value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GetVariable {
    /// Its name.
    pub var_id: String,
    /// Its value.
    pub value: Value,
    /// How many writes it has seen.
    pub version: u64,
    /// When it changed.
    #[serde(default)]
    pub metadata: Option<VariableMetadata>,
}

/// When a variable changed.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct VariableMetadata {
    /// A time; its form is the server's.
    #[serde(default)]
    pub updated_at: Value,
}

/// A variable that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetError {
    /// Its name.
    pub var_id: String,
    /// Why.
    pub error: String,
}

/// Body of `POST /set`.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct SetRequest {
    /// Writes, applied one by one in order.
    pub updates: Vec<SetUpdate>,
}

/// One write. Fields that do not apply are left out, as the reference leaves them out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetUpdate {
    /// Its name.
    pub var_id: String,
    /// Its new value.
    pub value: Value,
    /// The version it replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_version: Option<u64>,
    /// The lock the writer holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_token: Option<String>,
}

/// Answer to [`SetRequest`], in its order.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SetResponse {
    /// One per write.
    pub results: Vec<SetResult>,
}

/// What became of one write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetResult {
    /// Its name.
    pub var_id: String,
    /// `ok` or the like, or `error`.
    pub status: String,
    /// Its version now.
    #[serde(default)]
    pub version: Option<u64>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What an error text contains when another write came first.
pub const CAS_MISMATCH: &str = "CASVersionMismatch";
/// What an error text contains when there is no such variable.
pub const NOT_FOUND: &str = "VariableNotFound";

impl SetResult {
    /// Whether another write came first: read the version again and retry.
    pub fn is_conflict(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.contains(CAS_MISMATCH))
    }

    /// Whether the variable is gone: register the whole entry again.
    pub fn is_missing(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.contains(NOT_FOUND))
    }

    /// Whether the write failed.
    pub fn is_error(&self) -> bool {
        self.error.is_some() || self.status == "error"
    }
}

/// One entry of `GET /vars?prefix=...`; it may carry more than the name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedVariable {
    /// Its name.
    pub var_id: String,
}

/// Body of `POST /lock`. Times in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockRequest {
    /// Names.
    pub var_ids: Vec<String>,
    /// How long the locks last.
    #[serde(default = "thirty_seconds")]
    pub ttl_ms: u64,
    /// How long to wait for them.
    #[serde(default = "five_seconds")]
    pub wait_ms: u64,
}

/// Answer to [`LockRequest`], in its order.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LockResponse {
    /// One per name.
    pub locks: Vec<LockResult>,
}

/// What became of one lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockResult {
    /// `locked`, or something else.
    #[serde(default)]
    pub status: Option<String>,
    /// Proof of the lock.
    #[serde(default)]
    pub lock_token: Option<String>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Body of `POST /unlock`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UnlockRequest {
    /// Locks to give back.
    pub locks: Vec<Lock>,
}

/// One held lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Its variable.
    pub var_id: String,
    /// Proof of the lock.
    pub lock_token: String,
}

fn thirty_seconds() -> u64 {
    30_000
}

fn five_seconds() -> u64 {
    5_000
}

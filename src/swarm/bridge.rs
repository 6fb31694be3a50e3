//! The bridge: a key/value service with compare-and-swap, last-write-wins and locked variables
//! (spec 7.2). Miners keep the node registry in it. Unsigned, as on the live network, so everything
//! in it is bounded.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use axum::routing::{get, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::orchestrator::{Refused, bounded};
use crate::clock::{Clock, Entropy, Moment};
use crate::protocol::reading;

/// Most variables.
const MOST_VARIABLES: usize = 200_000;
/// Most variables in one call.
const MOST_PER_CALL: usize = 20_000;
/// Longest name, in bytes.
const LONGEST_NAME: usize = 512;
/// Largest value, in bytes of JSON.
const LARGEST_VALUE: usize = 64 << 10;
/// Largest request, in bytes.
const MAX_BODY: usize = 8 << 20;
/// A variable that nobody wrote for so long goes, with its whole registry entry.
const STALE: Duration = Duration::from_secs(120);
/// Longest lock, and longest wait for one.
const LONGEST_LOCK: Duration = Duration::from_secs(300);
/// Between two tries to get a lock.
const LOCK_POLL: Duration = Duration::from_millis(20);

/// How a variable may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum WriteRule {
    #[serde(rename = "LWW")]
    LastWriteWins,
    #[serde(rename = "CAS")]
    CompareAndSwap,
    #[serde(rename = "LOCK")]
    Lock,
}

#[derive(Debug)]
struct Variable {
    value: Value,
    version: u64,
    rule: WriteRule,
    updated: Moment,
    updated_unix: f64,
    lock: Option<Lock>,
}

#[derive(Debug)]
struct Lock {
    token: String,
    until: Moment,
}

/// The service. Cheap to clone; all clones share the variables.
#[derive(Clone, Debug)]
pub struct Bridge {
    clock: Clock,
    variables: Arc<Mutex<BTreeMap<String, Variable>>>,
    tokens: Arc<Mutex<Entropy>>,
}

#[derive(Deserialize)]
struct RegisterRequest {
    variables: Vec<Registration>,
}

#[derive(Deserialize)]
struct Registration {
    var_id: String,
    #[serde(default)]
    default_value: Value,
    write_rule: WriteRule,
}

#[derive(Deserialize)]
struct GetRequest {
    var_ids: Vec<String>,
}

#[derive(Deserialize)]
struct SetRequest {
    updates: Vec<Update>,
}

#[derive(Deserialize)]
struct Update {
    var_id: String,
    #[serde(default)]
    value: Value,
    #[serde(default)]
    current_version: Option<u64>,
    #[serde(default)]
    lock_token: Option<String>,
}

#[derive(Deserialize)]
struct LockRequest {
    var_ids: Vec<String>,
    #[serde(default = "thirty_seconds")]
    ttl_ms: u64,
    #[serde(default = "five_seconds")]
    wait_ms: u64,
}

#[derive(Deserialize)]
struct UnlockRequest {
    locks: Vec<Unlock>,
}

#[derive(Deserialize)]
struct Unlock {
    var_id: String,
    lock_token: String,
}

fn thirty_seconds() -> u64 {
    30_000
}

fn five_seconds() -> u64 {
    5_000
}

impl Bridge {
    /// A bridge without variables.
    pub fn new(clock: Clock) -> Self {
        Self { clock, variables: Arc::default(), tokens: Arc::new(Mutex::new(Entropy::system())) }
    }

    /// Its calls, to be mounted under `/bridge`.
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        Router::new()
            .route("/register", post(register))
            .route("/get", post(read))
            .route("/set", post(set))
            .route("/vars", get(list))
            .route("/lock", post(lock))
            .route("/unlock", post(unlock))
            .with_state(self.clone())
    }

    /// Removes registry entries that nobody keeps alive, and other variables nobody writes.
    pub fn evict(&self) {
        let now = self.clock.now();
        let mut variables = self.variables();
        let mut newest: BTreeMap<String, Moment> = BTreeMap::new();
        for (name, variable) in variables.iter() {
            let seen = newest.entry(entry_of(name).to_owned()).or_default();
            *seen = (*seen).max(variable.updated);
        }
        variables.retain(|name, _| {
            newest.get(entry_of(name)).is_none_or(|seen| now.since(*seen) <= STALE)
        });
    }

    fn variables(&self) -> MutexGuard<'_, BTreeMap<String, Variable>> {
        self.variables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self, registration: Registration) -> Value {
        let Registration { var_id, default_value, write_rule } = registration;
        let mut variables = self.variables();
        if let Some(known) = variables.get(&var_id) {
            return json!({ "status": "already_registered", "version": known.version });
        }
        if let Some(error) = too_large(&var_id, &default_value) {
            return json!({ "status": "error", "version": 0, "error": error });
        }
        if variables.len() >= MOST_VARIABLES {
            return json!({ "status": "error", "version": 0, "error": "StorageFull" });
        }
        let variable = Variable {
            value: default_value,
            version: 1,
            rule: write_rule,
            updated: self.clock.now(),
            updated_unix: self.clock.unix_seconds(),
            lock: None,
        };
        variables.insert(var_id, variable);
        json!({ "status": "created", "version": 1 })
    }

    fn set(&self, update: Update) -> Value {
        let now = self.clock.now();
        let var_id = update.var_id.clone();
        let refuse = |error: String| json!({ "var_id": var_id, "status": "error", "error": error });
        if let Some(error) = too_large(&update.var_id, &update.value) {
            return refuse(error);
        }
        let mut variables = self.variables();
        let Some(variable) = variables.get_mut(&update.var_id) else {
            return refuse(format!("VariableNotFound: {}", update.var_id));
        };
        if let Err(error) = variable.may_write(&update, now) {
            return refuse(error);
        }
        variable.value = update.value;
        variable.version += 1;
        variable.updated = now;
        variable.updated_unix = self.clock.unix_seconds();
        json!({ "var_id": var_id, "status": "ok", "version": variable.version })
    }

    fn try_lock(&self, var_id: &str, ttl: Duration) -> Result<Option<String>, String> {
        let now = self.clock.now();
        let mut variables = self.variables();
        let variable =
            variables.get_mut(var_id).ok_or_else(|| format!("VariableNotFound: {var_id}"))?;
        if variable.rule != WriteRule::Lock {
            return Err(format!("NotALockVariable: {var_id}"));
        }
        if variable.lock.as_ref().is_some_and(|lock| lock.until > now) {
            return Ok(None);
        }
        let token = self.tokens.lock().unwrap_or_else(PoisonError::into_inner).uuid();
        variable.lock = Some(Lock { token: token.clone(), until: now + ttl });
        Ok(Some(token))
    }
}

impl Variable {
    fn may_write(&self, update: &Update, now: Moment) -> Result<(), String> {
        match self.rule {
            WriteRule::LastWriteWins => Ok(()),
            WriteRule::CompareAndSwap if update.current_version == Some(self.version) => Ok(()),
            WriteRule::CompareAndSwap => Err(format!(
                "CASVersionMismatch: the version is {}, not {}",
                self.version,
                update.current_version.map_or("given".to_owned(), |v| v.to_string())
            )),
            WriteRule::Lock => {
                let held = self.lock.as_ref().filter(|lock| lock.until > now);
                if held.is_some_and(|lock| Some(&lock.token) == update.lock_token.as_ref()) {
                    Ok(())
                } else {
                    Err("LockRequired: the variable is written with its lock's token".to_owned())
                }
            }
        }
    }
}

/// The part of a name that lives and dies together: a node's entry in the registry, or the variable
/// alone.
fn entry_of(name: &str) -> &str {
    const REGISTRY: &str = "/node_registry/";
    let Some(start) = name.find(REGISTRY).map(|at| at + REGISTRY.len()) else { return name };
    name[start..].find('/').map_or(name, |end| &name[..start + end])
}

fn too_large(name: &str, value: &Value) -> Option<String> {
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Some(format!("InvalidName: a name has 1 to {LONGEST_NAME} bytes"));
    }
    let large = value.to_string().len() > LARGEST_VALUE;
    large.then(|| format!("ValueTooLarge: a value has at most {LARGEST_VALUE} bytes"))
}

async fn register(State(bridge): State<Bridge>, request: Request) -> Response<Body> {
    answer(body(&bridge, request).await.and_then(|RegisterRequest { variables }| {
        few(&variables)?;
        let results: Vec<Value> = variables.into_iter().map(|v| bridge.register(v)).collect();
        Ok(json!({ "results": results }))
    }))
}

async fn read(State(bridge): State<Bridge>, request: Request) -> Response<Body> {
    answer(body(&bridge, request).await.and_then(|GetRequest { var_ids }| {
        few(&var_ids)?;
        let variables = bridge.variables();
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        for var_id in var_ids {
            match variables.get(&var_id) {
                Some(variable) => found.push(json!({
                    "var_id": var_id, "value": variable.value, "version": variable.version,
                    "metadata": { "updated_at": variable.updated_unix },
                })),
                None => errors.push(json!({
                    "var_id": var_id, "error": format!("VariableNotFound: {var_id}"),
                })),
            }
        }
        Ok(json!({ "variables": found, "errors": errors }))
    }))
}

async fn set(State(bridge): State<Bridge>, request: Request) -> Response<Body> {
    answer(body(&bridge, request).await.and_then(|SetRequest { updates }| {
        few(&updates)?;
        let results: Vec<Value> = updates.into_iter().map(|u| bridge.set(u)).collect();
        Ok(json!({ "results": results }))
    }))
}

async fn list(State(bridge): State<Bridge>, request: Request) -> Response<Body> {
    let query = request.uri().query().unwrap_or_default();
    let prefix = url::form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == "prefix")
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default();
    let variables = bridge.variables();
    let names = variables.range(prefix.clone()..).take_while(|(name, _)| name.starts_with(&prefix));
    let listed: Vec<Value> = names
        .map(|(name, variable)| json!({ "var_id": name, "version": variable.version }))
        .collect();
    drop(variables);
    answer(Ok(Value::Array(listed)))
}

async fn lock(State(bridge): State<Bridge>, request: Request) -> Response<Body> {
    let request: LockRequest = match body(&bridge, request).await {
        Ok(request) => request,
        Err(refused) => return answer(Err(refused)),
    };
    if let Err(refused) = few(&request.var_ids) {
        return answer(Err(refused));
    }
    let ttl = Duration::from_millis(request.ttl_ms).min(LONGEST_LOCK);
    let until = bridge.clock.now() + Duration::from_millis(request.wait_ms).min(LONGEST_LOCK);
    let mut locks = Vec::new();
    for var_id in &request.var_ids {
        locks.push(wait_for_lock(&bridge, var_id, ttl, until).await);
    }
    answer(Ok(json!({ "locks": locks })))
}

async fn wait_for_lock(bridge: &Bridge, var_id: &str, ttl: Duration, until: Moment) -> Value {
    loop {
        match bridge.try_lock(var_id, ttl) {
            Ok(Some(token)) => return json!({ "status": "locked", "lock_token": token }),
            Err(error) => return json!({ "status": "error", "error": error }),
            Ok(None) if bridge.clock.now() >= until => {
                return json!({ "status": "timeout", "error": "LockTimeout" });
            }
            Ok(None) => bridge.clock.sleep(LOCK_POLL).await,
        }
    }
}

async fn unlock(State(bridge): State<Bridge>, request: Request) -> Response<Body> {
    answer(body(&bridge, request).await.and_then(|UnlockRequest { locks }| {
        few(&locks)?;
        let mut variables = bridge.variables();
        for unlock in locks {
            if let Some(variable) = variables.get_mut(&unlock.var_id)
                && variable.lock.as_ref().is_some_and(|lock| lock.token == unlock.lock_token)
            {
                variable.lock = None;
            }
        }
        Ok(json!({ "status": "ok" }))
    }))
}

async fn body<T: DeserializeOwned>(bridge: &Bridge, request: Request) -> Result<T, Refused> {
    let (head, body) = request.into_parts();
    let bytes = bounded(&head.headers, body, MAX_BODY, &bridge.clock).await?;
    reading::json(&bytes)
        .map_err(|e| Refused::Request(StatusCode::UNPROCESSABLE_ENTITY, e.to_string()))
}

fn few<T>(items: &[T]) -> Result<(), Refused> {
    if items.len() <= MOST_PER_CALL {
        return Ok(());
    }
    Err(Refused::bad(format!("a call may name {MOST_PER_CALL} variables")))
}

fn answer(result: Result<Value, Refused>) -> Response<Body> {
    super::orchestrator::respond(result, None)
}

#[cfg(test)]
mod tests;

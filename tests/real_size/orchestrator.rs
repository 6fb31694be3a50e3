//! An orchestrator with one miner, over real HTTP beside the project's own bridge and object store:
//! it answers as the specification says, moves to another phase when it is told, and remembers what
//! it was asked.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use hearth::clock::{Clock, Entropy};
use hearth::swarm::bridge::Bridge;
use hearth::swarm::store::Store;
use serde_json::{Value, json};

use crate::model::Model;

/// One request: path and body.
pub type Seen = (String, Value);

pub struct Play {
    phase: &'static str,
    pub epoch: u64,
    seen: Vec<Seen>,
    /// Uploads begun.
    uploads: usize,
    /// The pseudo-gradient that was handed in.
    pub weights: Option<String>,
    /// Merged partitions: chunk and object.
    pub merged: BTreeMap<u64, String>,
}

/// The servers. Cheap to clone.
#[derive(Clone)]
pub struct Orchestrator {
    pub base: String,
    pub store: Arc<Store>,
    model: Model,
    stage: usize,
    play: Arc<Mutex<Play>>,
}

impl Orchestrator {
    pub async fn start(model: &Model, stage: usize, folder: &Path) -> Self {
        let clock = Clock::system();
        let store = Store::start(folder, clock.clone(), &mut Entropy::system()).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let this = Self {
            base: format!("http://{}", listener.local_addr().unwrap()),
            store: Arc::new(store),
            model: model.clone(),
            stage,
            play: Arc::new(Mutex::new(Play {
                phase: "training",
                epoch: 1,
                seen: Vec::new(),
                uploads: 0,
                weights: None,
                merged: BTreeMap::new(),
            })),
        };
        let asked = this.clone();
        let router = Router::new().nest("/bridge", Bridge::new(clock).router()).fallback(
            move |uri: Uri, body: Bytes| {
                let asked = asked.clone();
                async move { asked.answer(&uri, &body).await }
            },
        );
        tokio::spawn(async move { axum::serve(listener, router).await });
        this
    }

    pub fn play(&self) -> MutexGuard<'_, Play> {
        self.play.lock().unwrap()
    }

    /// The stage goes to another phase.
    pub fn phase(&self, phase: &'static str, epoch: u64) {
        let mut play = self.play();
        (play.phase, play.epoch) = (phase, epoch);
    }

    /// What was asked at `path`, so far.
    pub fn seen(&self, path: &str) -> Vec<Value> {
        let play = self.play();
        play.seen.iter().filter(|(seen, _)| seen == path).map(|(_, body)| body.clone()).collect()
    }

    /// Waits until `path` was asked `times` times.
    pub async fn asked(&self, path: &str, times: usize, within: Duration) -> Vec<Value> {
        let deadline = Instant::now() + within;
        loop {
            let seen = self.seen(path);
            if seen.len() >= times {
                return seen;
            }
            assert!(Instant::now() < deadline, "{path} was asked {} times", seen.len());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn answer(&self, uri: &Uri, body: &Bytes) -> Response {
        let path = uri.path();
        let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        if path != "/miner/heartbeat" {
            self.play().seen.push((path.to_owned(), body.clone()));
        }
        let value = match path {
            "/miner/initiate_file_upload" => self.begin_upload(&body).await,
            "/miner/complete_multipart_upload" => self.complete_upload(&body).await,
            _ => self.plain(path, uri.query().unwrap_or_default(), &body),
        };
        value.to_string().into_response()
    }

    async fn begin_upload(&self, body: &Value) -> Value {
        let number = {
            let mut play = self.play();
            play.uploads += 1;
            play.uploads
        };
        let object = format!("{}-{number}", body["file_type"].as_str().unwrap());
        if body["multipart"] == json!(true) {
            let parts = u16::try_from(body["num_parts"].as_u64().unwrap()).unwrap();
            let (id, urls) = self.store.begin_multipart(&object, parts).await.unwrap();
            json!({"object_name": object, "urls": urls, "upload_id": id})
        } else {
            json!({"object_name": object, "urls": [self.store.presign_put(&object)], "upload_id": null})
        }
    }

    async fn complete_upload(&self, body: &Value) -> Value {
        let (object, id) =
            (body["object_name"].as_str().unwrap(), body["upload_id"].as_str().unwrap());
        let parts = body["parts"].as_array().unwrap();
        let etags: Vec<&str> = parts.iter().map(|part| part["ETag"].as_str().unwrap()).collect();
        self.store.complete_multipart(object, id, &etags).await.unwrap();
        json!({"object_path": object})
    }

    fn plain(&self, path: &str, query: &str, body: &Value) -> Value {
        let mut play = self.play();
        let (phase, epoch, stage) = (play.phase, play.epoch, self.stage);
        let partition = |chunk: u64, path: Option<String>| {
            json!({"layer": stage, "chunk_number": chunk, "miner_hotkey": "m", "other_miner_hotkey": null,
                   "blob_path": path})
        };
        match path {
            "/healthcheck" => json!({"status": "healthy"}),
            "/miner/request_attestation_challenge" => {
                json!({"action": body["action"], "attestation_challenge_blob": "{}",
                       "self_checks": [], "crypto": "none", "expires_at": 9e9})
            }
            "/miner/register" => self.model.registration(stage, epoch),
            "/miner/heartbeat" => {
                let expected = query.strip_prefix("expected_phase=");
                if let Some(expected) = expected.filter(|expected| *expected != phase) {
                    let dict = json!({"layer": stage, "expected_status": expected,
                                      "actual_status": phase, "message": "m"});
                    return json!({"error_name": "LayerStateError", "error_dict": dict});
                }
                json!({"run_id": "real-size", "layer": stage, "epoch": epoch, "phase": phase,
                       "status": null})
            }
            "/miner/layer_state" => json!(phase),
            "/miner/all_layers_training" => json!(phase == "training"),
            "/miner/get_run_config" => {
                json!({"run_id": "real-size", "run_flags": {}, "model_metadata": null})
            }
            "/common/get_run_epoch" => json!({"run_id": "real-size", "epoch": epoch}),
            "/miner/get_layer_optimizer_state" => {
                json!({"optimizer_state_url": null, "available": false})
            }
            "/miner/submit_weights" => {
                play.weights = body["weights_path"].as_str().map(str::to_owned);
                json!({"message": "", "should_upload_optimizer_state": false})
            }
            "/miner/get_weight_path_per_layer" => {
                let source = |object: &String| {
                    json!({"layer": stage, "weights_path_presigned": self.store.presign_get(object),
                           "weighting_factor": 1})
                };
                play.weights.iter().map(source).collect()
            }
            "/miner/get_partitions" if phase == "merging_partitions" => {
                json!([partition(0, None), partition(1, None)])
            }
            "/miner/submit_merged_partitions" => {
                for partition in body["partitions"].as_array().unwrap() {
                    let object = partition["blob_path"].as_str().unwrap().to_owned();
                    play.merged.insert(partition["chunk_number"].as_u64().unwrap(), object);
                }
                json!({})
            }
            "/common/get_merged_partitions" => {
                let merged = play.merged.iter();
                merged
                    .map(|(chunk, object)| partition(*chunk, Some(self.store.presign_get(object))))
                    .collect()
            }
            "/miner/get_activations"
            | "/miner/get_partitions"
            | "/miner/get_previous_partitions" => {
                json!([])
            }
            _ => json!({}),
        }
    }
}

//! An orchestrator that plays a script over real HTTP: it answers like one whose run is in order,
//! except where a test says otherwise, and remembers everything it was asked.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// One request as the server saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: Method,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub at: Instant,
}

impl Seen {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub enum Reply {
    /// As a server in order would.
    Ordinary,
    /// Status 200 with this.
    Json(Value),
    /// Status 200 with an application error.
    Error(&'static str, Value),
    /// A status with a text.
    Status(u16, &'static str),
    /// Nothing, ever.
    Hang,
}

/// A line of the script: the first that fits a request and is not used up answers it.
struct Line {
    path: &'static str,
    times: usize,
    reply: Reply,
}

struct Play {
    lines: Vec<Line>,
    seen: Vec<Seen>,
    phase: &'static str,
    epoch: u64,
    status: Value,
    layer: usize,
    challenge: u64,
}

/// The server. Cheap to clone.
#[derive(Clone)]
pub struct Script {
    pub base: String,
    play: Arc<Mutex<Play>>,
}

impl Script {
    /// A server whose run trains in epoch 1.
    pub async fn start() -> Self {
        let play = Arc::new(Mutex::new(Play {
            lines: Vec::new(),
            seen: Vec::new(),
            phase: "training",
            epoch: 1,
            status: Value::Null,
            layer: 1,
            challenge: 0,
        }));
        let shared = Arc::clone(&play);
        let router = Router::new().fallback(
            move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
                let seen = Seen {
                    method,
                    path: uri.path().to_owned(),
                    query: uri.query().unwrap_or_default().to_owned(),
                    headers,
                    body,
                    at: Instant::now(),
                };
                answer(Arc::clone(&shared), seen)
            },
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { base, play }
    }

    /// The next `times` requests to `path` are answered like this.
    pub fn play(&self, path: &'static str, times: usize, reply: Reply) -> &Self {
        self.play.lock().unwrap().lines.push(Line { path, times, reply });
        self
    }

    /// All further requests to `path` are answered like this.
    pub fn always(&self, path: &'static str, reply: Reply) -> &Self {
        self.play(path, usize::MAX, reply)
    }

    /// Forgets the lines of `path`.
    pub fn forget(&self, path: &'static str) {
        self.play.lock().unwrap().lines.retain(|line| line.path != path);
    }

    /// The phase of the miner's stage from now on.
    pub fn phase(&self, phase: &'static str) {
        self.play.lock().unwrap().phase = phase;
    }

    /// The status that heartbeats tell.
    pub fn status(&self, status: Value) {
        self.play.lock().unwrap().status = status;
    }

    /// Everything asked so far at `path`.
    pub fn seen(&self, path: &str) -> Vec<Seen> {
        let play = self.play.lock().unwrap();
        play.seen.iter().filter(|seen| seen.path == path).cloned().collect()
    }

    /// Everything asked so far.
    pub fn all(&self) -> Vec<Seen> {
        self.play.lock().unwrap().seen.clone()
    }

    /// Waits until `path` was asked `times` times.
    pub async fn asked(&self, path: &str, times: usize) -> Vec<Seen> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let seen = self.seen(path);
            if seen.len() >= times {
                return seen;
            }
            assert!(Instant::now() < deadline, "{path} was asked {} times", seen.len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn answer(play: Arc<Mutex<Play>>, seen: Seen) -> Response {
    let reply = {
        let mut play = play.lock().unwrap();
        play.seen.push(seen.clone());
        let line = play.lines.iter_mut().find(|line| line.path == seen.path && line.times > 0);
        match line {
            Some(line) => {
                line.times -= 1;
                line.reply.clone()
            }
            None => Reply::Ordinary,
        }
    };
    match reply {
        Reply::Ordinary => {
            let mut play = play.lock().unwrap();
            ordinary(&mut play, &seen)
        }
        Reply::Json(value) => value.to_string().into_response(),
        Reply::Error(name, dict) => error(name, &dict),
        Reply::Status(status, text) => {
            (StatusCode::from_u16(status).unwrap(), text).into_response()
        }
        Reply::Hang => std::future::pending().await,
    }
}

fn error(name: &str, dict: &Value) -> Response {
    json!({"error_name": name, "error_dict": dict}).to_string().into_response()
}

/// A server that passes everything on to the one at `to`, and keeps what passes.
pub async fn overheard(to: &str) -> (String, Arc<Mutex<Vec<Seen>>>) {
    let kept: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let (shared, to) = (Arc::clone(&kept), to.trim_end_matches('/').to_owned());
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let router =
        Router::new().fallback(move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let (client, url) = (client.clone(), format!("{to}{uri}"));
            shared.lock().unwrap().push(Seen {
                method: method.clone(),
                path: uri.path().to_owned(),
                query: uri.query().unwrap_or_default().to_owned(),
                headers: headers.clone(),
                body: body.clone(),
                at: Instant::now(),
            });
            async move {
                let answer =
                    client.request(method, url).headers(headers).body(body).send().await.unwrap();
                (answer.status(), answer.bytes().await.unwrap())
            }
        });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (base, kept)
}

/// The error of a wrong phase.
pub fn layer_state(expected: &str, actual: &str) -> Reply {
    Reply::Error(
        "LayerStateError",
        json!({"layer": 1, "expected_status": expected, "actual_status": actual, "message": "m"}),
    )
}

/// A registration as a nano body stage.
pub fn registration(layer: usize) -> Value {
    json!({
        "layer": layer, "current_epoch": 1, "run_id": "run", "run_flags": {}, "num_partitions": 2,
        "status": null,
        "model_cfg": {
            "total_global_params": 100_000, "vocab_size": 4096, "context_length": 8,
            "orig_context_length": 16, "emb_dim": 16, "bottleneck_dim": 4, "n_heads": 2,
            "n_layers": 6, "hidden_dim": 24, "n_kv_groups": 1, "rope_base": 10_000.0
        },
        "model_metadata": {
            "model_splits": [[-1, 2], [2, 4], [4, -1]], "n_splits": 3,
            "tokenizer_name": "hearth", "mini_batch_accumulation_count": 2,
            "dataset": {"sequence_length": 8, "mini_batch_size": 2},
            "activation": {"max_activation_cache_size": 4}
        }
    })
}

fn ordinary(play: &mut Play, seen: &Seen) -> Response {
    let (phase, epoch, layer) = (play.phase, play.epoch, play.layer);
    let value = match seen.path.as_str() {
        "/healthcheck" => json!({"status": "healthy"}),
        "/miner/request_attestation_challenge" => {
            play.challenge += 1;
            let blob = json!({"challenge_id": play.challenge}).to_string();
            json!({"action": seen.json()["action"], "attestation_challenge_blob": blob,
                   "self_checks": [], "crypto": "none", "expires_at": 9e9})
        }
        "/miner/register" => registration(layer),
        "/miner/heartbeat" => {
            let expected = seen.query.strip_prefix("expected_phase=");
            if let Some(expected) = expected.filter(|expected| *expected != phase) {
                let dict = json!({"layer": layer, "expected_status": expected,
                                  "actual_status": phase, "message": "m"});
                return error("LayerStateError", &dict);
            }
            json!({"run_id": "run", "layer": layer, "epoch": epoch, "phase": phase,
                   "status": play.status})
        }
        "/miner/layer_state" => json!(phase),
        "/miner/all_layers_training" => json!(phase == "training"),
        "/miner/get_run_config" => {
            json!({"run_id": "run", "run_flags": {}, "model_metadata": null})
        }
        "/common/get_run_epoch" => json!({"run_id": "run", "epoch": epoch}),
        "/miner/get_layer_optimizer_state" => {
            json!({"optimizer_state_url": null, "available": false})
        }
        "/miner/get_activations"
        | "/miner/get_partitions"
        | "/miner/get_previous_partitions"
        | "/miner/get_weight_path_per_layer"
        | "/common/get_merged_partitions"
        | "/bridge/vars" => json!([]),
        "/bridge/register" => {
            let results: Vec<Value> = variables(seen, "variables")
                .map(|_| json!({"status": "created", "version": 1}))
                .collect();
            json!({"results": results})
        }
        "/bridge/get" => json!({"variables": [], "errors": []}),
        "/bridge/set" => {
            let results: Vec<Value> = variables(seen, "updates")
                .map(|update| json!({"var_id": update["var_id"], "status": "ok", "version": 2}))
                .collect();
            json!({"results": results})
        }
        _ => json!({}),
    };
    value.to_string().into_response()
}

fn variables(seen: &Seen, key: &str) -> std::vec::IntoIter<Value> {
    seen.json()[key].as_array().cloned().unwrap_or_default().into_iter()
}

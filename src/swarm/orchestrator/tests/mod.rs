//! The orchestrator over real HTTP: raw signed requests, good ones and bad ones.

mod abuse;
mod epoch;
mod proofs;
mod queue;
mod refusals;
mod restart;
mod standing;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::clock::{Entropy, Moment};
use crate::protocol::epistula::{
    HEADER_SIGNATURE, HEADER_SIGNED_BY, HEADER_SPEC_VERSION, HEADER_TIMESTAMP,
};
use crate::protocol::messages::{ModelConfig, ModelMetadata};
use crate::protocol::{ChunkNumber, StageIndex};
use crate::swarm::run::RunPlan;
use crate::wallet::HotkeyPair;

const VERSION: u32 = 30017;

fn plan(stages: usize, miners_per_stage: usize, backwards_per_miner: u64) -> RunPlan {
    RunPlan {
        run_id: "test".into(),
        stages,
        miners_per_stage,
        backwards_per_miner,
        epochs: None,
        seed: 1,
        num_partitions: miners_per_stage * 2,
        tokens_per_activation: 10,
        rules: Rules::lenient(),
        names: BTreeMap::new(),
    }
}

/// An orchestrator over `folder`, with first weights of one byte a chunk.
async fn orchestrator(folder: &Path, plan: RunPlan, events: Events) -> Orchestrator {
    let clock = Clock::system();
    let store = Store::start(&folder.join("objects"), clock.clone(), &mut Entropy::system()).await;
    let store = Arc::new(store.unwrap());
    let mut books = Books::open(&Shelf::File(folder.join("books.sqlite"))).await.unwrap();
    let mut restored = books.begin(&plan, "model", 0.0).await.unwrap();
    let tickets = std::mem::take(&mut restored.tickets);
    let paid = std::mem::take(&mut restored.pay);
    let pay = PayBook::new(plan.run_id.clone(), plan.rules.pay, paid);
    let queue = Queue::restored(tickets, &plan.rules.queue, clock.unix());
    let facts = RunFacts {
        run_id: plan.run_id.clone(),
        model_cfg: ModelConfig { emb_dim: Some(8), ..ModelConfig::default() },
        model_metadata: ModelMetadata::default(),
        num_partitions: plan.num_partitions,
        spec_version: VERSION,
    };
    let mut run = Run::new(plan, restored, Moment::default());
    if !run.has_weights() {
        for stage in 0..run.plan().stages {
            for chunk in 0..run.plan().num_partitions {
                let object = format!("first/{stage}/{chunk}");
                store.put(&object, vec![b'w']).await.unwrap();
                run.publish_first(StageIndex(stage), ChunkNumber(chunk), object);
            }
        }
    }
    let texts = Texts(Arc::new(|| Ok("Once upon a time.".to_owned())));
    let equipment = Equipment { facts, run, queue, books, pay, store, texts, clock, events };
    Orchestrator::start(listen(0).await.unwrap(), equipment).await.unwrap()
}

/// Somebody who signs requests.
pub(in crate::swarm) struct Signer {
    pair: HotkeyPair,
    base: String,
    http: reqwest::Client,
    pub(in crate::swarm) clock: Clock,
}

/// Status and body of an answer.
type Answer = (u16, Value);

impl Signer {
    pub(in crate::swarm) fn new(orchestrator: &Orchestrator) -> Self {
        Self {
            pair: HotkeyPair::generate(&mut Entropy::system()),
            base: format!("http://{}", orchestrator.address()),
            http: crate::swarm::store::client().unwrap(),
            clock: Clock::system(),
        }
    }

    pub(in crate::swarm) async fn get(&self, path: &str, body: &str) -> Value {
        self.good("GET", path, body).await
    }

    pub(in crate::swarm) async fn post(&self, path: &str, body: &Value) -> Value {
        self.good("POST", path, &body.to_string()).await
    }

    /// A call whose HTTP status must be 200; the body may still be a named error.
    async fn good(&self, method: &str, path: &str, body: &str) -> Value {
        let request = self.request(method, path, body.as_bytes(), self.clock.unix_millis());
        let (status, body) = answer_of(request).await;
        assert_eq!(status, 200, "{method} {path}: {body}");
        body
    }

    fn request(&self, method: &str, path: &str, body: &[u8], time: u64) -> reqwest::RequestBuilder {
        // Only JSON can be signed; for anything else sign the empty body.
        let mut entropy = Entropy::system();
        let signed = self
            .pair
            .sign_request(body, time, &mut entropy)
            .or_else(|_| self.pair.sign_request(b"", time, &mut entropy))
            .unwrap();
        self.http
            .request(method.parse().unwrap(), format!("{}{path}", self.base))
            .header(HEADER_TIMESTAMP, signed.timestamp)
            .header(HEADER_SIGNED_BY, signed.signed_by.as_str())
            .header(HEADER_SIGNATURE, signed.signature)
            .header(HEADER_SPEC_VERSION, VERSION)
            .body(body.to_vec())
    }

    async fn register(&self) -> u64 {
        let answer = self.post("/miner/register", &registration()).await;
        answer["layer"].as_u64().unwrap_or_else(|| panic!("{answer}"))
    }

    /// One piece of work, as soon as a sample lies ready.
    async fn work(&self) -> Value {
        loop {
            let handed = self.get("/miner/get_activations", r#"{"n_fwd_activations": 1}"#).await;
            let list = handed.as_array().unwrap_or_else(|| panic!("{handed}"));
            if let Some(work) = list.first() {
                return work.clone();
            }
            self.clock.sleep(Duration::from_millis(5)).await;
        }
    }

    /// The id of one piece of work.
    async fn handed(&self) -> Value {
        self.work().await["activation_id"].clone()
    }

    /// Uploads `bytes` as one object and returns its name.
    pub(in crate::swarm) async fn upload(&self, kind: &str, bytes: &[u8]) -> String {
        let wanted = json!({"num_parts": 1, "file_type": kind, "multipart": false});
        let place = self.post("/miner/initiate_file_upload", &wanted).await;
        assert_eq!(place["upload_id"], Value::Null);
        let url = place["urls"][0].as_str().unwrap();
        let put = self.http.put(url).body(bytes.to_vec()).send().await.unwrap();
        assert_eq!(put.status().as_u16(), 200);
        place["object_name"].as_str().unwrap().to_owned()
    }

    pub(in crate::swarm) async fn fetch(&self, url: &Value) -> Vec<u8> {
        let answer = self.http.get(url.as_str().unwrap()).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        answer.bytes().await.unwrap().to_vec()
    }
}

fn registration() -> Value {
    json!({"p2p_node_id": "ab".repeat(32), "attestation": null, "coldkey": null})
}

async fn answer_of(request: reqwest::RequestBuilder) -> Answer {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}")))
}

//! The registration queue over HTTP: every state of a ticket, seen by the miners.

use super::*;
use crate::swarm::rules::{Admission, QueueRules};

/// A queue that moves as fast as it can.
fn queue() -> QueueRules {
    QueueRules {
        admission: Admission::Always,
        poll_after: Duration::from_millis(200),
        confirm_within: Duration::from_secs(30),
        at_a_time: 1,
        processing: Duration::ZERO,
        ..QueueRules::default()
    }
}

fn plan_with(rules: Rules) -> RunPlan {
    RunPlan { rules, ..plan(1, 2, 4) }
}

async fn start(rules: Rules) -> (tempfile::TempDir, Orchestrator) {
    let folder = tempfile::tempdir().unwrap();
    let orchestrator = orchestrator(folder.path(), plan_with(rules), Events::new()).await;
    (folder, orchestrator)
}

impl Signer {
    async fn ticket(&self) -> Value {
        let ticket = self.post("/miner/register", &registration()).await;
        assert!(ticket["queue_id"].is_string(), "{ticket}");
        ticket
    }

    async fn look(&self, id: &Value) -> Value {
        let path = format!("/miner/register/status/{}", id.as_str().unwrap());
        self.get(&path, "{}").await
    }

    async fn confirm(&self, id: &Value) -> Value {
        let path = format!("/miner/register/confirm/{}", id.as_str().unwrap());
        self.post(&path, &json!({"attestation": null, "enclave_payload": null})).await
    }

    /// Looks until the ticket has `status`.
    async fn until(&self, id: &Value, status: &str) -> Value {
        for _ in 0..500 {
            let ticket = self.look(id).await;
            if ticket["status"] == status {
                return ticket;
            }
            self.clock.sleep(Duration::from_millis(10)).await;
        }
        panic!("never {status}: {}", self.look(id).await);
    }
}

#[tokio::test]
async fn a_ticket_goes_from_queued_to_succeeded_and_brings_the_registration() {
    let slow = QueueRules { processing: Duration::from_millis(300), ..queue() };
    let (_folder, orchestrator) = start(Rules { queue: slow, ..Rules::lenient() }).await;
    let (first, second) = (Signer::new(&orchestrator), Signer::new(&orchestrator));
    let asked = first.ticket().await;
    assert_eq!(asked["status"], "confirming", "there is a seat, so the first is asked at once");
    assert_eq!((&asked["confirmation_required"], &asked["position"]), (&json!(true), &Value::Null));
    assert_eq!(
        (&asked["selected_run_id"], &asked["poll_after_seconds"]),
        (&json!("test"), &json!(0.2))
    );
    assert!(asked["reserved_until"].as_str().unwrap().ends_with("+00:00"), "{asked}");
    for field in ["payload_mismatch", "detail", "response", "error"] {
        assert!(asked.as_object().unwrap().contains_key(field), "{field}: all fields are sent");
    }
    let waits = second.ticket().await;
    assert_eq!((&waits["status"], &waits["position"]), (&json!("queued"), &json!(0)));
    assert_eq!(waits["confirmation_required"], false);
    assert_eq!(waits["selected_run_id"], Value::Null);
    let id = &asked["queue_id"];
    let confirmed = first.confirm(id).await;
    assert_eq!(confirmed["status"], "confirmed");
    assert_eq!(first.confirm(id).await["status"], "confirmed", "an answer may be lost");
    first.until(id, "processing").await;
    let done = first.until(id, "succeeded").await;
    assert_eq!(
        (&done["response"]["layer"], &done["response"]["run_id"]),
        (&json!(0), &json!("test"))
    );
    assert_eq!(done["response"]["num_partitions"], 4);
    assert_eq!(first.get("/miner/layer_state", "").await, "training");
    let next = second.until(&waits["queue_id"], "confirming").await;
    assert_eq!(next["confirmation_required"], true);
    // Whoever has a seat and asks again is answered at once.
    assert_eq!(first.register().await, 0);
}

#[tokio::test]
async fn without_a_free_seat_one_waits_and_gets_the_seat_that_becomes_free() {
    let mut rules = Rules { queue: queue(), ..Rules::lenient() };
    rules.queue.admission = Admission::WhenFull;
    rules.limits.miners = 1;
    let (_folder, orchestrator) = start(rules).await;
    let (first, second) = (Signer::new(&orchestrator), Signer::new(&orchestrator));
    assert_eq!(first.register().await, 0);
    let ticket = second.ticket().await;
    assert_eq!((&ticket["status"], &ticket["position"]), (&json!("queued"), &json!(0)));
    let desk = Arc::clone(orchestrator.desk());
    let gone = first.pair.address().clone();
    desk.with(|run, now| run.drop_miner(&gone, now)).await.unwrap();
    second.until(&ticket["queue_id"], "confirming").await;
    second.confirm(&ticket["queue_id"]).await;
    assert_eq!(second.until(&ticket["queue_id"], "succeeded").await["response"]["layer"], 0);
    // The one that went stands behind: the only seat is taken.
    assert_eq!(first.ticket().await["status"], "queued");
}

#[tokio::test]
async fn an_unconfirmed_ticket_expires_and_its_seat_goes_to_the_next() {
    let short = QueueRules { confirm_within: Duration::from_millis(150), ..queue() };
    let (_folder, orchestrator) = start(Rules { queue: short, ..Rules::lenient() }).await;
    let (first, second) = (Signer::new(&orchestrator), Signer::new(&orchestrator));
    let slow = first.ticket().await;
    let quick = second.ticket().await;
    // Only time passes; nobody calls for the first.
    second.until(&quick["queue_id"], "confirming").await;
    let expired = first.look(&slow["queue_id"]).await;
    assert_eq!(expired["status"], "expired");
    assert!(expired["detail"].as_str().unwrap().contains("register again"));
    assert_eq!(first.confirm(&slow["queue_id"]).await["status"], "expired", "too late");
    let again = first.ticket().await;
    assert_ne!(again["queue_id"], slow["queue_id"]);
}

#[tokio::test]
async fn one_ticket_a_hotkey_and_none_of_anybody_else() {
    let mut rules = Rules { queue: queue(), ..Rules::lenient() };
    rules.limits.miners = 0;
    rules.queue.waiting = 2;
    let (_folder, orchestrator) = start(rules).await;
    let (first, second) = (Signer::new(&orchestrator), Signer::new(&orchestrator));
    let ticket = first.ticket().await;
    let again = first.ticket().await;
    assert_eq!(
        (&again["queue_id"], &again["payload_mismatch"]),
        (&ticket["queue_id"], &json!(false))
    );
    let mut other = registration();
    other["p2p_node_id"] = json!("cd".repeat(32));
    let changed = first.post("/miner/register", &other).await;
    assert_eq!(
        (&changed["queue_id"], &changed["payload_mismatch"]),
        (&ticket["queue_id"], &json!(true))
    );
    for id in [ticket["queue_id"].clone(), json!("nothing"), json!("a%20b"), json!("")] {
        assert_eq!(second.look(&id).await["error_name"], "QueueTicketNotFoundError", "{id}");
        assert_eq!(second.confirm(&id).await["error_name"], "QueueTicketNotFoundError", "{id}");
    }
    second.ticket().await;
    let third = Signer::new(&orchestrator).post("/miner/register", &registration()).await;
    assert_eq!(third["error_name"], "RunFullError");
}

#[tokio::test]
async fn without_a_queue_a_full_run_says_so() {
    let mut rules = Rules::lenient();
    rules.limits.miners = 1;
    let (_folder, orchestrator) = start(rules).await;
    Signer::new(&orchestrator).register().await;
    let late = Signer::new(&orchestrator).post("/miner/register", &registration()).await;
    assert_eq!(late["error_name"], "RunFullError");
    assert!(late["error_dict"]["message"].as_str().unwrap().contains("try again"));
}

#[tokio::test]
async fn tickets_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut rules = Rules { queue: queue(), ..Rules::lenient() };
    rules.queue.processing = Duration::from_millis(1500);
    let first = orchestrator(folder.path(), plan_with(rules.clone()), Events::new()).await;
    let mut signers = [Signer::new(&first), Signer::new(&first), Signer::new(&first)];
    let mut ids = Vec::new();
    for signer in &signers {
        ids.push(signer.ticket().await["queue_id"].clone());
    }
    signers[0].confirm(&ids[0]).await;
    first.shutdown(&Clock::system()).await;

    rules.queue.processing = Duration::ZERO;
    let second = orchestrator(folder.path(), plan_with(rules), Events::new()).await;
    for signer in &mut signers {
        signer.base = format!("http://{}", second.address());
    }
    let waiting = signers[2].look(&ids[2]).await;
    assert_eq!(
        (&waiting["status"], &waiting["position"]),
        (&json!("queued"), &json!(0)),
        "{waiting}"
    );
    assert_eq!(signers[2].ticket().await["queue_id"], ids[2], "it is still this hotkey's ticket");
    let done = signers[0].until(&ids[0], "succeeded").await;
    assert_eq!(done["response"]["layer"], 0);
    for (signer, id) in signers.iter().zip(&ids).skip(1) {
        signer.until(id, "confirming").await;
        signer.confirm(id).await;
        signer.until(id, "succeeded").await;
    }
    second.shutdown(&Clock::system()).await;

    // A seat is lost with a restart, as all seats are: the ticket says so.
    let rules = Rules { queue: queue(), ..Rules::lenient() };
    let third = orchestrator(folder.path(), plan_with(rules), Events::new()).await;
    signers[0].base = format!("http://{}", third.address());
    let lost = signers[0].look(&ids[0]).await;
    assert_eq!((&lost["status"], &lost["response"]), (&json!("expired"), &Value::Null), "{lost}");
    assert_ne!(signers[0].ticket().await["queue_id"], ids[0]);
}

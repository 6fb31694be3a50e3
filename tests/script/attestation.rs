//! Attestation (spec 4): what is sent, and what is said when that is not enough.

use hearth::miner::MinerError;
use hearth::network::attestation::Provider;
use serde_json::json;

use crate::miner::{Choices, start};
use crate::server::{Reply, Script};

const REGISTER: &str = "/miner/register";

fn refusal() -> Reply {
    Reply::Error("AttestationError", json!({"message": "attestation is required"}))
}

#[tokio::test]
async fn a_refused_null_is_said_in_one_sentence_before_and_after_and_not_repeated() {
    let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
    script.always(REGISTER, refusal());
    let mut miner = start(&script, folder.path(), Choices::default());
    let before = miner.finding("attestation-null").await;
    assert!(before.contains("sends no attestation (null)"), "{before}");
    let error = miner.ended().await.unwrap_err();
    assert!(matches!(error, MinerError::Refused(_)), "{error:?}");
    let after = error.to_string();
    assert!(after.contains("takes no miner without an attestation"), "{after}");
    assert_eq!(script.seen(REGISTER).len(), 1);
}

#[tokio::test]
async fn a_challenge_that_cannot_be_had_does_not_stop_a_registration() {
    let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
    script.always("/miner/request_attestation_challenge", Reply::Status(500, "broken"));
    let mut miner = start(&script, folder.path(), Choices::default());
    miner.state("training", "no-activation").await;
    assert!(script.seen(REGISTER)[0].json()["attestation"].is_null());
    miner.stop().await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_program_of_the_users_answers_the_challenge() {
    let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
    let words = ["sh", "-c", "grep -o challenge_id | head -c 12"];
    let attestation = Provider::Program(words.map(str::to_owned).to_vec());
    let choices = Choices { attestation, ..Choices::default() };
    let mut miner = start(&script, folder.path(), choices);
    miner.state("training", "no-activation").await;
    assert_eq!(script.seen(REGISTER)[0].json()["attestation"]["payload_blob"], "challenge_id");
    miner.stop().await.unwrap();

    let script = Script::start().await;
    script.always(REGISTER, refusal());
    let attestation = Provider::Program(vec!["cat".to_owned()]);
    let miner = start(&script, folder.path(), Choices { attestation, ..Choices::default() });
    let error = miner.ended().await.unwrap_err().to_string();
    assert!(error.contains("refuses the attestation that your program gave"), "{error}");
}

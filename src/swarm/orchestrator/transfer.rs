//! The calls that move weights: uploads, pseudo-gradients, partitions (spec 2.2, 5.3, 9).

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Refused, json_of};
use super::calls::not_found;
use super::desk::Desk;
use super::registration::redeem;
use super::request::Signed;
use crate::protocol::constants::MAX_NUM_PARTS;
use crate::protocol::messages::{
    AttestationAction, CompletedPart, FileUploadCompletionRequest, FileUploadCompletionResponse,
    FileUploadRequest, FileUploadResponse, LayerOptimizerStateResponse, Partition,
    SubmitMergedPartitionsRequest, SubmitOptimizerStateRequest, SubmitWeightsResponse,
    SubmittedWeights, WeightUpdate,
};
use crate::protocol::{ChunkNumber, ServerError, StageIndex};
use crate::swarm::run::{MergedPartition, Parts};

/// Does one call.
pub(super) async fn dispatch(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    match (call.method.as_str(), call.path.as_str()) {
        ("POST", "/miner/initiate_file_upload") => initiate_upload(desk, call).await,
        ("POST", "/miner/complete_multipart_upload") => complete_upload(desk, call).await,
        ("POST", "/miner/submit_weights") => submit_weights(desk, call).await,
        ("POST", "/miner/submit_optimizer_state") => submit_optimizer_state(desk, call).await,
        ("GET", "/miner/get_layer_optimizer_state") => optimizer_state(desk, call).await,
        ("GET", "/miner/get_weight_path_per_layer") => sources(desk, call).await,
        ("GET", "/miner/get_partitions") => partitions(desk, call).await,
        ("GET", "/miner/get_previous_partitions") => previous_partitions(desk, call).await,
        ("POST", "/miner/submit_merged_partitions") => submit_merged(desk, call).await,
        ("GET", "/common/get_merged_partitions") => merged_partitions(desk, call).await,
        _ => Err(not_found(call)),
    }
}

async fn initiate_upload(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    let request: FileUploadRequest = call.read()?;
    let parts = request.num_parts;
    if !(1..=MAX_NUM_PARTS).contains(&parts) || (!request.multipart && parts != 1) {
        return Err(Refused::bad(format!("{parts} parts are not possible")));
    }
    let parts = u16::try_from(parts).map_err(|_| Refused::bad("too many parts"))?;
    let object = desk
        .with(|run, _| {
            let (stage, _, epoch) = run.place(&call.hotkey)?;
            let kind = request.file_type.as_str();
            let (run_id, id) = (&desk.facts.run_id, desk.random_id());
            let object = format!("{run_id}/{epoch}/{stage}/{kind}/{}-{id}", call.hotkey);
            run.begin_upload(&call.hotkey, request.file_type, &object)?;
            Ok::<_, ServerError>(object)
        })
        .await??;
    let (upload_id, urls) = if request.multipart {
        let (id, urls) = desk.store.begin_multipart(&object, parts).await?;
        let several = Parts::Several { upload_id: id.clone(), granted: parts.into() };
        desk.with(|run, _| run.note_parts(&object, several)).await?;
        (Some(id), urls)
    } else {
        (None, vec![desk.store.presign_put(&object)])
    };
    json_of(&FileUploadResponse { object_name: object, urls, upload_id })
}

/// Joins the parts of an upload. The same again is fine, since an answer can be lost.
async fn complete_upload(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    let request: FileUploadCompletionRequest = call.read()?;
    let object = request.object_name;
    let known = desk.with(|run, _| run.parts_of(&call.hotkey, &object)).await??;
    let (upload_id, granted) = match known {
        Parts::Joined { upload_id } if request.upload_id.as_ref() == Some(&upload_id) => {
            return json_of(&FileUploadCompletionResponse { object_path: object });
        }
        Parts::Several { upload_id, granted } if request.upload_id.as_ref() == Some(&upload_id) => {
            (upload_id, granted)
        }
        _ => return Err(Refused::bad("this is not the id of an upload in parts of that object")),
    };
    let mut parts = request.parts.unwrap_or_default();
    parts.sort_by_key(|part| part.part_number);
    let stored = desk.store.parts(&object, &upload_id).await?;
    check_parts(&parts, &stored, granted).map_err(Refused::bad)?;
    let etags: Vec<&str> = parts.iter().map(|part| part.etag.as_str()).collect();
    desk.store
        .complete_multipart(&object, &upload_id, &etags)
        .await
        .map_err(|error| Refused::bad(error.to_string()))?;
    desk.with(|run, _| run.note_parts(&object, Parts::Joined { upload_id })).await?;
    json_of(&FileUploadCompletionResponse { object_path: object })
}

/// The listed parts, in order, must be 1, 2, ... and exactly those that lie in the store: a store
/// that joins what it is told would make a shorter object of a forgotten part.
fn check_parts(parts: &[CompletedPart], stored: &[u64], granted: u64) -> Result<(), String> {
    let listed: Vec<u64> = parts.iter().map(|part| part.part_number).collect();
    let in_order = listed.iter().zip(1_u64..).all(|(number, expected)| *number == expected);
    if listed.is_empty() || !in_order || listed.len() as u64 > granted {
        return Err(format!(
            "an upload is completed with its parts 1, 2, ... of at most {granted}"
        ));
    }
    if let Some(missing) = listed.iter().find(|number| !stored.contains(number)) {
        return Err(format!("part {missing} was not uploaded"));
    }
    if let Some(forgotten) = stored.iter().find(|number| !listed.contains(number)) {
        return Err(format!("part {forgotten} was uploaded but is not listed"));
    }
    if parts.iter().any(|part| part.etag.trim_matches('"').is_empty()) {
        return Err("a part has no ETag".to_owned());
    }
    Ok(())
}

/// An object that is submitted must be in the store, and stay there.
async fn must_exist(desk: &Arc<Desk>, object: &str) -> Result<(), Refused> {
    if desk.store.exists(object).await {
        let kept = desk.store.keep(object).await;
        return kept.map_err(|error| Refused::Internal(error.to_string()));
    }
    let message = format!("{object:.200?} was not uploaded");
    Err(ServerError::Other { name: "UploadError".to_owned(), message }.into())
}

async fn submit_weights(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    let update: WeightUpdate = call.read()?;
    let object = update.weights_path;
    desk.with(|run, _| run.may_submit_weights(&call.hotkey, &object)).await??;
    must_exist(desk, &object).await?;
    let (action, proof) = (AttestationAction::Weights, desk.rules().proof_of_work());
    redeem(desk, &call.hotkey, action, update.attestation.as_ref(), proof)?;
    let wanted = desk.with(|run, _| {
        run.submit_weights(&call.hotkey, &object)?;
        Ok::<_, ServerError>(run.wants_optimizer_state(&call.hotkey))
    });
    let message = "recorded".to_owned();
    json_of(&SubmitWeightsResponse { message, should_upload_optimizer_state: wanted.await?? })
}

async fn submit_optimizer_state(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    let request: SubmitOptimizerStateRequest = call.read()?;
    let object = request.optimizer_state_path;
    desk.with(|run, _| run.may_submit_optimizer_state(&call.hotkey, &object)).await??;
    must_exist(desk, &object).await?;
    desk.with(|run, _| run.submit_optimizer_state(&call.hotkey, &object)).await??;
    Ok(json!({ "message": "recorded" }))
}

async fn optimizer_state(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    let object = desk
        .with(|run, _| run.optimizer_state(&call.hotkey).map(|object| object.map(str::to_owned)))
        .await??;
    let optimizer_state_url = object.map(|object| desk.store.presign_get(&object));
    let available = optimizer_state_url.is_some();
    json_of(&LayerOptimizerStateResponse { optimizer_state_url, available })
}

async fn sources(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    let (layer, sources) = desk.with(|run, _| run.sources(&call.hotkey)).await??;
    let described: Vec<SubmittedWeights> = sources
        .into_iter()
        .map(|source| SubmittedWeights {
            layer,
            weights_path_presigned: desk.store.presign_get(&source.object),
            weighting_factor: Some(source.factor.into()),
        })
        .collect();
    json_of(&described)
}

async fn partitions(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    json_of(&desk.with(|run, _| run.partitions_of(&call.hotkey)).await??)
}

/// A list of chunk numbers; the absent body and `{}` stand for an empty list (spec 2.1).
#[derive(Deserialize)]
#[serde(untagged)]
enum Chunks {
    Listed(Vec<ChunkNumber>),
    None {},
}

async fn previous_partitions(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    let chunks = match call.read()? {
        Chunks::Listed(chunks) => chunks,
        Chunks::None {} => Vec::new(),
    };
    let merged = desk.with(|run, _| run.previous_partitions(&call.hotkey, &chunks)).await??;
    describe(desk, merged)
}

async fn merged_partitions(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    let merged = desk.with(|run, _| {
        run.must_not_be_frozen(&call.hotkey)?;
        run.merged_partitions(&call.hotkey)
    });
    let merged = merged.await??;
    describe(desk, merged)
}

fn describe(
    desk: &Desk,
    merged: Vec<(StageIndex, ChunkNumber, MergedPartition)>,
) -> Result<Value, Refused> {
    let described: Vec<Partition> = merged
        .into_iter()
        .map(|(stage, chunk, MergedPartition { hotkey, object, .. })| {
            let miner = hotkey.map(String::from).unwrap_or_default();
            let mut partition = Partition::new(stage, chunk, &miner, None);
            partition.set_blob_path(desk.store.presign_get(&object));
            partition
        })
        .collect();
    json_of(&described)
}

async fn submit_merged(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    let request: SubmitMergedPartitionsRequest = call.read()?;
    let partitions = &request.partitions;
    let objects = desk.with(|run, _| run.may_submit_merged(&call.hotkey, partitions)).await??;
    for (_, object) in &objects {
        must_exist(desk, object).await?;
    }
    let (action, proof) = (AttestationAction::MergedPartitions, desk.rules().proof_of_work());
    redeem(desk, &call.hotkey, action, request.attestation.as_ref(), proof)?;
    desk.with(|run, _| run.submit_merged(&call.hotkey, partitions)).await??;
    Ok(json!({ "message": "recorded" }))
}

//! Work that is fetched from a peer: the orchestrator may name the node that holds an activation or
//! gradient instead of waiting for that node to push it (spec 6.6). The node must be a neighbour, a
//! gradient must answer a forward that went to it, and the bytes must be the ones that were promised.

use crate::network::peers::{Peers, PullError};
use crate::protocol::messages::{ActivationResponse, Direction};
use crate::protocol::{ActivationHash, ActivationId, Hotkey, NodeId, StageIndex};

/// What was fetched.
#[derive(Debug)]
pub(super) struct Pulled {
    /// The serialized tensor.
    pub(super) bytes: Vec<u8>,
    /// Its hash.
    pub(super) hash: ActivationHash,
    /// Where it came from.
    pub(super) node: NodeId,
    /// The hotkey that the registry lists for that node.
    pub(super) hotkey: Hotkey,
}

/// Why nothing was fetched.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum Unpulled {
    #[error("the orchestrator names a source that is no node ({0})")]
    NoNode(String),
    #[error("its source is no miner of a neighbouring stage")]
    NoNeighbour,
    #[error("no forward of ours that it could answer went to its source")]
    Unasked,
    #[error("it cannot be fetched from its source: {0}")]
    Pull(#[from] PullError),
    #[error("the orchestrator promised the hash {expected}, the source gave {found}")]
    Hash { expected: String, found: String },
}

/// Fetches what `answer` points to for a miner of `stage`, from the node `source`.
pub(super) async fn pull(
    peers: &Peers,
    stage: StageIndex,
    source: &str,
    id: &ActivationId,
    answer: &ActivationResponse,
) -> Result<Pulled, Unpulled> {
    let node: NodeId = source.parse().map_err(|_| Unpulled::NoNode(excerpt(source)))?;
    let backward = answer.direction == Some(Direction::Backward);
    let neighbour = if backward { stage.0.checked_add(1) } else { stage.0.checked_sub(1) };
    let claims = peers.directory().claimants(&node);
    let claim = claims.into_iter().find(|(_, at)| at.map(|at| at.0) == neighbour);
    let (hotkey, _) = claim.filter(|_| neighbour.is_some()).ok_or(Unpulled::NoNeighbour)?;
    if backward && !peers.awaits_backward(id, &node) {
        return Err(Unpulled::Unasked);
    }
    let name = answer.source_activation_id.as_ref().unwrap_or(id);
    let bytes = peers.pull(&node, name).await?;
    let hash = ActivationHash::of(&bytes);
    if let Some(expected) = &answer.expected_input_hash {
        let found = hash.to_string();
        if !found.eq_ignore_ascii_case(expected) {
            return Err(Unpulled::Hash { expected: excerpt(expected), found });
        }
    }
    Ok(Pulled { bytes, hash, node, hotkey })
}

/// The beginning of a text that a server sent, fit for a message.
fn excerpt(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::constants::PeerConstants;
    use crate::network::peers::test_nodes::{Node, introduce};

    /// Miners of stages 0, 1 and 2; the middle one pulls.
    async fn three() -> [Node; 3] {
        let mut nodes = Vec::new();
        for stage in 0..3 {
            let rules = PeerConstants { attempts: 1, ..PeerConstants::default() };
            nodes.push(Node::start(stage + 1, usize::from(stage), rules).await);
        }
        introduce(&nodes.iter().collect::<Vec<_>>());
        nodes.try_into().ok().unwrap()
    }

    fn answer(direction: Direction, hash: Option<&str>) -> ActivationResponse {
        ActivationResponse {
            direction: Some(direction),
            source_activation_id: Some("there".into()),
            expected_input_hash: hash.map(str::to_owned),
            ..ActivationResponse::default()
        }
    }

    async fn fetch(
        own: &Node,
        from: &Node,
        answer: &ActivationResponse,
    ) -> Result<Pulled, Unpulled> {
        pull(&own.peers, StageIndex(1), from.id().as_str(), &"here".into(), answer).await
    }

    #[tokio::test]
    async fn a_forward_comes_under_its_name_there_with_the_promised_hash() {
        let [before, own, _] = three().await;
        before.peers.serve("there".into(), Arc::new(vec![7; 100]));
        let hash = ActivationHash::of(&[7; 100]).to_string();
        for hash in [Some(hash.to_uppercase()), Some(hash), None] {
            let answer = answer(Direction::Forward, hash.as_deref());
            let pulled = fetch(&own, &before, &answer).await.unwrap();
            assert_eq!((pulled.bytes, &pulled.node), (vec![7; 100], before.id()));
            assert_eq!(&pulled.hotkey, before.hotkey.address());
            assert_eq!(pulled.hash, ActivationHash::of(&[7; 100]));
        }
        let other = answer(Direction::Forward, Some("00"));
        let refused = fetch(&own, &before, &other).await.unwrap_err();
        assert!(matches!(refused, Unpulled::Hash { .. }), "{refused}");
    }

    #[tokio::test]
    async fn without_another_name_the_own_one_is_asked_for() {
        let [before, own, _] = three().await;
        before.peers.serve("here".into(), Arc::new(vec![7]));
        let plain = ActivationResponse::default();
        assert_eq!(fetch(&own, &before, &plain).await.unwrap().bytes, [7]);
    }

    #[tokio::test]
    async fn what_is_gone_and_who_is_no_neighbour_is_said() {
        let [before, own, after] = three().await;
        let forward = answer(Direction::Forward, None);
        let gone = fetch(&own, &before, &forward).await.unwrap_err();
        assert_eq!(gone, Unpulled::Pull(PullError::Gone));
        assert_eq!(fetch(&own, &after, &forward).await.unwrap_err(), Unpulled::NoNeighbour);
        let nonsense = pull(&own.peers, StageIndex(1), "zz\u{7}", &"a".into(), &forward).await;
        assert_eq!(nonsense.unwrap_err(), Unpulled::NoNode("zz".to_owned()));
        let first =
            pull(&own.peers, StageIndex(0), after.id().as_str(), &"a".into(), &forward).await;
        assert_eq!(
            first.unwrap_err(),
            Unpulled::NoNeighbour,
            "nothing comes before the first stage"
        );
    }

    #[tokio::test]
    async fn a_gradient_is_fetched_only_from_the_node_that_got_the_forward() {
        let [_, own, after] = three().await;
        after.peers.serve("there".into(), Arc::new(vec![9]));
        let backward = answer(Direction::Backward, None);
        assert_eq!(fetch(&own, &after, &backward).await.unwrap_err(), Unpulled::Unasked);
        own.answers.awaited.lock().unwrap().insert(("here".into(), after.id().clone()));
        assert_eq!(fetch(&own, &after, &backward).await.unwrap().bytes, [9]);
    }
}

//! Which node was sent which forward: the proof that a gradient was asked for (spec 13, weakness 2).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::protocol::ids::{ActivationId, NodeId};

/// Forwards remembered at most; far more than any cache holds.
const REMEMBERED: usize = 8192;

/// Shared between the publisher, which writes it, and the miner, which asks it when a gradient
/// comes. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct SentForwards(Arc<Mutex<Sent>>);

#[derive(Debug, Default)]
struct Sent {
    to: HashMap<ActivationId, Vec<NodeId>>,
    order: VecDeque<ActivationId>,
}

impl SentForwards {
    /// Nothing sent yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that the forward of `activation` goes to `node`. It may have gone to others before,
    /// which took it without our knowing.
    pub fn note(&self, activation: &ActivationId, node: &NodeId) {
        let mut sent = self.lock();
        if !sent.to.contains_key(activation) {
            sent.order.push_back(activation.clone());
        }
        let nodes = sent.to.entry(activation.clone()).or_default();
        if !nodes.contains(node) {
            nodes.push(node.clone());
        }
        while sent.order.len() > REMEMBERED {
            if let Some(oldest) = sent.order.pop_front() {
                sent.to.remove(&oldest);
            }
        }
    }

    /// Whether the forward of `activation` went to `node`.
    pub fn went_to(&self, activation: &ActivationId, node: &NodeId) -> bool {
        self.lock().to.get(activation).is_some_and(|nodes| nodes.contains(node))
    }

    /// Forgets everything (end of an epoch).
    pub fn clear(&self) {
        let mut sent = self.lock();
        sent.to.clear();
        sent.order.clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_nodes_that_were_sent_to_count_and_the_oldest_are_forgotten() {
        let sent = SentForwards::new();
        let (a, b) = (NodeId::from_bytes(&[1; 32]), NodeId::from_bytes(&[2; 32]));
        sent.note(&"first".into(), &a);
        assert!(sent.went_to(&"first".into(), &a));
        assert!(!sent.went_to(&"first".into(), &b));
        assert!(!sent.went_to(&"other".into(), &a));
        sent.note(&"first".into(), &b);
        assert!(sent.went_to(&"first".into(), &b));
        for n in 0..REMEMBERED {
            sent.note(&format!("{n}").into(), &a);
        }
        assert!(!sent.went_to(&"first".into(), &a));
        sent.clear();
        assert!(!sent.went_to(&"0".into(), &a));
    }
}

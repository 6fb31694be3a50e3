//! Who may push what to this miner: the trainer's answer to the peer endpoint, which is open before
//! there is a stage and asks about every push (spec 6.5; 13 #2, #26).

use std::sync::{Arc, PoisonError, RwLock};

use super::desk::{Desk, Intake};
use super::queue::Offer;
use super::terms::Terms;
use crate::network::peers::Admission;
use crate::network::publisher::SentForwards;
use crate::protocol::{ActivationId, NodeId, StageIndex};

/// Bytes of one number on the wire; a peer may also send f32.
const BYTES_PER_NUMBER: usize = 4;

#[derive(Clone, Debug)]
struct Post {
    stage: StageIndex,
    desk: Arc<Desk>,
    largest_tensor: usize,
}

/// The door. Shut until a stage is there.
#[derive(Debug)]
pub struct Door {
    post: RwLock<Option<Post>>,
    sent: SentForwards,
}

impl Door {
    /// A shut door. `sent` tells which node was sent which forward.
    pub fn new(sent: SentForwards) -> Self {
        Self { post: RwLock::new(None), sent }
    }

    /// Opens the door to a desk; whether something is taken is the desk's business from now on.
    pub fn open(&self, terms: &Terms, desk: Arc<Desk>) {
        let numbers: usize = terms.activation_shape().iter().product();
        let largest_tensor = numbers.saturating_mul(BYTES_PER_NUMBER);
        let post = Post { stage: terms.stage, desk, largest_tensor };
        *self.post.write().unwrap_or_else(PoisonError::into_inner) = Some(post);
    }

    /// Shuts it.
    pub fn shut(&self) {
        *self.post.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn ask<T>(&self, question: impl FnOnce(&Post) -> T) -> Option<T> {
        self.post.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(question)
    }
}

impl Admission for Door {
    fn stage(&self) -> Option<StageIndex> {
        self.ask(|post| post.stage)
    }

    fn takes_forwards(&self) -> bool {
        self.ask(|post| post.desk.intake() == Intake::Open).unwrap_or(false)
    }

    fn awaits_backward(&self, activation: &ActivationId, from: &NodeId) -> bool {
        self.sent.went_to(activation, from)
            && self
                .ask(|post| post.desk.would_take_backward(activation) == Offer::Accepted)
                .unwrap_or(false)
    }

    fn largest_tensor(&self) -> usize {
        self.ask(|post| post.largest_tensor).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Moment;
    use crate::training::cache::{CachedForward, Capacity};
    use crate::training::queue::Input;
    use crate::training::terms::LearningRateRule;
    use crate::training::terms::tests::answer;

    #[test]
    fn a_gradient_gets_in_only_from_the_node_that_got_a_forward_that_still_waits() {
        let sent = SentForwards::new();
        let door = Door::new(sent.clone());
        let (peer, other) = (NodeId::from_bytes(&[1; 32]), NodeId::from_bytes(&[2; 32]));
        let desk = Arc::new(Desk::new(Capacity::Fixed(4), Duration::from_secs(60)));
        let keep = |id: &str| {
            let input = Arc::new(Input::Tokens(vec![]));
            desk.keep(CachedForward {
                id: id.into(),
                input,
                source: None,
                since: Moment::default(),
            });
        };
        keep("sent");
        keep("unsent");
        sent.note(&"sent".into(), &peer);
        sent.note(&"finished".into(), &peer);
        let awaits = |id: &str, from: &NodeId| door.awaits_backward(&id.into(), from);
        assert!(!awaits("sent", &peer), "the door is shut");
        assert_eq!((door.stage(), door.largest_tensor(), door.takes_forwards()), (None, 0, false));

        let terms = Terms::read(&answer(), LearningRateRule::FromRun).unwrap();
        door.open(&terms, Arc::clone(&desk));
        assert!(!door.takes_forwards() && !awaits("sent", &peer), "the desk takes nothing yet");
        desk.set_intake(Intake::Open);
        assert!(door.takes_forwards());
        assert_eq!(door.stage(), Some(StageIndex(1)));
        assert_eq!(door.largest_tensor(), 6 * 8 * 4 * BYTES_PER_NUMBER);
        assert!(awaits("sent", &peer));
        assert!(!awaits("sent", &other), "it went to another");
        assert!(!awaits("unsent", &peer), "it was not sent");
        assert!(!awaits("finished", &peer), "its gradient is here already, or it was given up");
        desk.set_intake(Intake::InHand);
        assert!(!door.takes_forwards() && awaits("sent", &peer), "what is in hand is finished");
        door.shut();
        assert!(!awaits("sent", &peer));
    }
}

//! Work that waits for this stage's device: backwards before forwards, each in the order of arrival,
//! bounded, and never the same activation twice (spec 6.5, 8.8, 11.5; 13 #20, #26).

use std::collections::VecDeque;
use std::sync::Arc;

use half::bf16;

use crate::protocol::{ActivationHash, ActivationId, Hotkey, NodeId};

/// What a stage's forward starts from.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Stage 0: token ids, B x S.
    Tokens(Vec<u32>),
    /// Later stages: the previous stage's output, B x S x D numbers.
    Activation(Vec<bf16>),
}

/// The peer that delivered an activation, to whom its gradient goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its address.
    pub hotkey: Hotkey,
    /// Its node ids.
    pub nodes: Vec<NodeId>,
}

/// Where the bytes of a served activation may be uploaded for a spot check (spec 5.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpotCheck {
    /// Presigned PUT address.
    pub upload_url: String,
    /// Path to report.
    pub path: String,
}

/// A forward that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct ForwardWork {
    /// The activation.
    pub id: ActivationId,
    /// What it starts from.
    pub input: Arc<Input>,
    /// Who sent the input; none at stage 0.
    pub source: Option<Source>,
    /// Hash of the bytes the input came in; none at stage 0.
    pub input_hash: Option<ActivationHash>,
    /// Presigned address of the sample's text; passed along the pipeline.
    pub sample: Option<String>,
    /// Token ids to predict; only at the last stage.
    pub targets: Option<Vec<u32>>,
    /// Set when the orchestrator wants to check this one.
    pub spot_check: Option<SpotCheck>,
}

/// A backward that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct BackwardWork {
    /// The activation.
    pub id: ActivationId,
    /// The gradient of this stage's output.
    pub gradient: Arc<Vec<bf16>>,
    /// Hash of the bytes it came in.
    pub input_hash: ActivationHash,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// A forward.
    Forward(ForwardWork),
    /// A backward.
    Backward(BackwardWork),
}

impl Work {
    /// The activation it is for.
    pub fn id(&self) -> &ActivationId {
        match self {
            Self::Forward(work) => &work.id,
            Self::Backward(work) => &work.id,
        }
    }
}

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It waits now.
    Accepted,
    /// The same work waits already, or is past.
    Duplicate,
    /// No room; the sender must try elsewhere or later.
    Full,
}

/// Whether a forward may be taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardGate {
    /// There is room for its input.
    Open,
    /// The cache is full: only backwards.
    Closed,
}

/// The queue. Pure: who waits for it is the owner's business.
#[derive(Clone, Debug)]
pub struct ActivationQueue {
    forwards: VecDeque<ForwardWork>,
    backwards: VecDeque<BackwardWork>,
    forward_room: usize,
    backward_room: usize,
}

impl ActivationQueue {
    /// An empty queue for at most so many forwards and backwards.
    pub fn new(forward_room: usize, backward_room: usize) -> Self {
        Self {
            forwards: VecDeque::new(),
            backwards: VecDeque::new(),
            forward_room: forward_room.max(1),
            backward_room: backward_room.max(1),
        }
    }

    /// Whether an offer of this forward would be accepted.
    pub fn would_take_forward(&self, id: &ActivationId) -> Offer {
        if self.has_forward(id) || self.has_backward(id) {
            Offer::Duplicate
        } else if self.forwards.len() >= self.forward_room {
            Offer::Full
        } else {
            Offer::Accepted
        }
    }

    /// Whether an offer of this backward would be accepted.
    pub fn would_take_backward(&self, id: &ActivationId) -> Offer {
        if self.has_backward(id) {
            Offer::Duplicate
        } else if self.backwards.len() >= self.backward_room {
            Offer::Full
        } else {
            Offer::Accepted
        }
    }

    /// Adds a forward, unless it waits already, its backward does, or there is no room.
    pub fn offer_forward(&mut self, work: ForwardWork) -> Offer {
        let offer = self.would_take_forward(&work.id);
        if offer == Offer::Accepted {
            self.forwards.push_back(work);
        }
        offer
    }

    /// Adds a backward. It replaces a forward of the same activation that still waits: its gradient
    /// is here, so computing it again would be for nothing.
    pub fn offer_backward(&mut self, work: BackwardWork) -> Offer {
        let offer = self.would_take_backward(&work.id);
        if offer == Offer::Accepted {
            self.forwards.retain(|forward| forward.id != work.id);
            self.backwards.push_back(work);
        }
        offer
    }

    /// The next thing to do: the oldest backward, else the oldest forward if the gate is open.
    pub fn next(&mut self, gate: ForwardGate) -> Option<Work> {
        if let Some(work) = self.backwards.pop_front() {
            return Some(Work::Backward(work));
        }
        match gate {
            ForwardGate::Open => self.forwards.pop_front().map(Work::Forward),
            ForwardGate::Closed => None,
        }
    }

    /// Puts work that was taken and could not be done back to where it was: it is the next of its kind,
    /// whether there is room or not.
    pub fn put_back(&mut self, work: Work) {
        match work {
            Work::Forward(work) => self.forwards.push_front(work),
            Work::Backward(work) => self.backwards.push_front(work),
        }
    }

    /// Whether a forward of this activation waits.
    pub fn has_forward(&self, id: &ActivationId) -> bool {
        self.forwards.iter().any(|work| work.id == *id)
    }

    /// Whether a backward of this activation waits.
    pub fn has_backward(&self, id: &ActivationId) -> bool {
        self.backwards.iter().any(|work| work.id == *id)
    }

    /// Forwards that wait.
    pub fn forwards(&self) -> usize {
        self.forwards.len()
    }

    /// Backwards that wait.
    pub fn backwards(&self) -> usize {
        self.backwards.len()
    }

    /// Drops everything; returns how much it was.
    pub fn clear(&mut self) -> usize {
        let dropped = self.forwards.len() + self.backwards.len();
        self.forwards.clear();
        self.backwards.clear();
        dropped
    }
}

/// How many samples stage 0 asks for (spec 11.5): so many that cache and queue together hold
/// `max_cache + min_forward`, but at most `max_fetch` at once.
pub fn fetch_amount(
    max_cache: usize,
    min_forward: usize,
    cached: usize,
    queued: usize,
    max_fetch: usize,
) -> usize {
    (max_cache + min_forward).saturating_sub(cached + queued).min(max_fetch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn forward(id: usize) -> ForwardWork {
        ForwardWork {
            id: format!("a{id}").into(),
            input: Arc::new(Input::Tokens(vec![])),
            source: None,
            input_hash: None,
            sample: None,
            targets: None,
            spot_check: None,
        }
    }

    fn backward(id: usize) -> BackwardWork {
        BackwardWork {
            id: format!("a{id}").into(),
            gradient: Arc::default(),
            input_hash: ActivationHash::of(b""),
        }
    }

    #[test]
    fn backwards_leave_first_and_each_kind_in_its_order() {
        let mut queue = ActivationQueue::new(4, 4);
        for id in 0..3 {
            assert_eq!(queue.offer_forward(forward(id)), Offer::Accepted);
        }
        for id in [8, 7] {
            assert_eq!(queue.offer_backward(backward(id)), Offer::Accepted);
        }
        assert_eq!(queue.next(ForwardGate::Closed), Some(Work::Backward(backward(8))));
        assert_eq!(queue.next(ForwardGate::Open), Some(Work::Backward(backward(7))));
        assert_eq!(queue.next(ForwardGate::Closed), None);
        assert_eq!(queue.next(ForwardGate::Open), Some(Work::Forward(forward(0))));
        assert_eq!(queue.clear(), 2);
    }

    #[test]
    fn a_backward_beats_a_queued_forward_of_the_same_id() {
        let mut queue = ActivationQueue::new(4, 4);
        queue.offer_forward(forward(1));
        assert_eq!(queue.offer_backward(backward(1)), Offer::Accepted);
        assert_eq!(queue.forwards(), 0);
        assert_eq!(queue.offer_forward(forward(1)), Offer::Duplicate);
        assert_eq!(queue.next(ForwardGate::Open), Some(Work::Backward(backward(1))));
        assert_eq!(queue.next(ForwardGate::Open), None);
    }

    #[test]
    fn a_full_queue_refuses() {
        let mut queue = ActivationQueue::new(1, 1);
        assert_eq!(queue.offer_forward(forward(1)), Offer::Accepted);
        assert_eq!(queue.offer_forward(forward(2)), Offer::Full);
        assert_eq!(queue.offer_backward(backward(3)), Offer::Accepted);
        assert_eq!(queue.offer_backward(backward(4)), Offer::Full);
    }

    #[test]
    fn the_fetch_amount_never_overfills_and_never_wraps() {
        assert_eq!(fetch_amount(16, 1, 0, 0, 2), 2);
        assert_eq!(fetch_amount(16, 1, 16, 0, 2), 1);
        assert_eq!(fetch_amount(16, 1, 16, 1, 2), 0);
        assert_eq!(fetch_amount(16, 1, 30, 30, 2), 0);
        assert_eq!(fetch_amount(1, 0, 0, 0, 2), 1);
    }

    proptest! {
        #[test]
        fn bounds_hold_nothing_is_doubled_and_nothing_accepted_is_lost(
            offers in prop::collection::vec((any::<bool>(), 0_usize..12, any::<bool>()), 0..200),
        ) {
            let mut queue = ActivationQueue::new(5, 3);
            let (mut accepted, mut replaced, mut taken) = (0, 0, 0);
            for (is_forward, id, take) in offers {
                let before = queue.forwards();
                let offer = if is_forward {
                    queue.offer_forward(forward(id))
                } else {
                    let offer = queue.offer_backward(backward(id));
                    replaced += before - queue.forwards();
                    offer
                };
                accepted += usize::from(offer == Offer::Accepted);
                prop_assert!(queue.forwards() <= 5 && queue.backwards() <= 3);
                let ids: Vec<_> = queue.forwards.iter().map(|w| &w.id)
                    .chain(queue.backwards.iter().map(|w| &w.id)).collect();
                let distinct: HashSet<_> = ids.iter().collect();
                prop_assert_eq!(ids.len(), distinct.len());
                if take {
                    let backwards = queue.backwards();
                    let work = queue.next(ForwardGate::Open);
                    let was_backward = matches!(work, Some(Work::Backward(_)));
                    prop_assert_eq!(was_backward, backwards > 0);
                    taken += usize::from(work.is_some());
                }
            }
            prop_assert_eq!(accepted, taken + replaced + queue.clear());
        }
    }
}

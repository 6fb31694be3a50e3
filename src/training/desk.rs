//! What lies before a training stage: the queue and the cache behind one lock, shared by whoever
//! receives pushes, the trainer, and whoever tells peers how much room there is.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::cache::{CachedForward, Capacity, ForwardCache};
use super::queue::{ActivationQueue, BackwardWork, ForwardGate, ForwardWork, Offer, Work};
use crate::clock::Moment;
use crate::protocol::ActivationId;

/// Whether new activations are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intake {
    /// Forwards and backwards.
    Open,
    /// Only what was accepted before, and the gradients that belong to it: paused, or stopping.
    InHand,
    /// Nothing: not training.
    Shut,
}

/// How full it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Forwards that wait.
    pub forwards: usize,
    /// Backwards that wait.
    pub backwards: usize,
    /// Forwards that wait for their gradient.
    pub cached: usize,
    /// The most of those.
    pub capacity: usize,
}

/// So many finished activations are remembered.
pub const MOST_SEEN: usize = 1024;

#[derive(Debug)]
struct Papers {
    queue: ActivationQueue,
    cache: ForwardCache,
    intake: Intake,
    /// Forwards that were taken from the queue in this epoch: a peer that did not hear our answer
    /// sends again, and a gradient must not be added twice.
    seen: VecDeque<ActivationId>,
}

impl Papers {
    fn would_take_forward(&self, id: &ActivationId) -> Offer {
        if self.intake == Intake::Shut {
            Offer::Full
        } else if self.cache.contains(id) || self.seen.contains(id) {
            Offer::Duplicate
        } else {
            self.queue.would_take_forward(id)
        }
    }

    fn would_take_backward(&self, id: &ActivationId) -> Offer {
        if self.intake == Intake::Shut {
            Offer::Full
        } else if self.cache.contains(id) {
            self.queue.would_take_backward(id)
        } else {
            Offer::Duplicate
        }
    }

    fn see(&mut self, id: ActivationId) {
        if self.seen.len() >= MOST_SEEN {
            self.seen.pop_front();
        }
        self.seen.push_back(id);
    }
}

/// The desk. Shared by reference.
#[derive(Debug)]
pub struct Desk {
    papers: Mutex<Papers>,
    /// Rings when there may be work.
    bell: Notify,
    /// Rings when there may be room.
    room: Notify,
}

impl Desk {
    /// An empty desk that takes nothing yet.
    pub fn new(capacity: Capacity, cache_lifetime: std::time::Duration) -> Self {
        let cache = ForwardCache::new(capacity, cache_lifetime);
        let queue = queue_for(cache.capacity());
        let papers = Papers { queue, cache, intake: Intake::Shut, seen: VecDeque::new() };
        Self { papers: Mutex::new(papers), bell: Notify::new(), room: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Papers> {
        self.papers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of activations that were done before: by a process that is gone, or before this miner
    /// registered again.
    pub fn note_done<'a>(&self, ids: impl Iterator<Item = &'a ActivationId>) {
        let mut papers = self.lock();
        ids.for_each(|id| papers.see(id.clone()));
    }

    /// Opens or closes the intake.
    pub fn set_intake(&self, intake: Intake) {
        self.lock().intake = intake;
        self.bell.notify_one();
    }

    /// Whether new activations are taken.
    pub fn intake(&self) -> Intake {
        self.lock().intake
    }

    /// Changes the cache's limit.
    pub fn set_capacity(&self, capacity: Capacity) {
        self.lock().cache.set_capacity(capacity);
    }

    /// Whether this gradient would be accepted. One without a forward that waits for it can never
    /// be used.
    pub fn would_take_backward(&self, id: &ActivationId) -> Offer {
        self.lock().would_take_backward(id)
    }

    /// Puts a forward into the queue, unless it is or was here already, or there is no room.
    pub fn offer_forward(&self, work: ForwardWork) -> Offer {
        self.offer_forward_or_back(work).err().map_or(Offer::Accepted, |(offer, _)| offer)
    }

    fn offer_forward_or_back(&self, work: ForwardWork) -> Result<(), (Offer, Box<ForwardWork>)> {
        let mut papers = self.lock();
        match papers.would_take_forward(&work.id) {
            Offer::Accepted => {
                papers.queue.offer_forward(work);
            }
            refused => return Err((refused, Box::new(work))),
        }
        drop(papers);
        self.bell.notify_one();
        Ok(())
    }

    /// [`Desk::offer_forward`], waiting while there is no room.
    pub async fn bring_forward(&self, work: ForwardWork) -> Offer {
        let mut work = work;
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            // Registered before looking, so that no room is missed in between.
            room.as_mut().enable();
            match self.offer_forward_or_back(work) {
                Ok(()) => return Offer::Accepted,
                Err((Offer::Full, back)) => work = *back,
                Err((offer, _)) => return offer,
            }
            room.await;
        }
    }

    /// Puts a gradient into the queue, by the rule of [`Desk::would_take_backward`].
    pub fn offer_backward(&self, work: BackwardWork) -> Offer {
        let mut papers = self.lock();
        let offer = match papers.would_take_backward(&work.id) {
            Offer::Accepted => papers.queue.offer_backward(work),
            refused => refused,
        };
        drop(papers);
        self.bell.notify_one();
        offer
    }

    /// The next thing to do. `pipeline_open` is false while some stage does not train: then only
    /// backwards are done.
    pub fn next(&self, pipeline_open: bool) -> Option<Work> {
        let mut papers = self.lock();
        let taking = papers.intake != Intake::Shut;
        let open = pipeline_open && taking && papers.cache.has_room();
        let gate = if open { ForwardGate::Open } else { ForwardGate::Closed };
        let work = papers.queue.next(gate);
        if let Some(Work::Forward(forward)) = &work {
            let id = forward.id.clone();
            papers.see(id);
        }
        drop(papers);
        if work.is_some() {
            self.room.notify_waiters();
        }
        work
    }

    /// Waits until something may have changed: an offer, a gate.
    pub async fn changed(&self) {
        self.bell.notified().await;
    }

    /// Wakes whoever waits in [`Desk::changed`].
    pub fn ring(&self) {
        self.bell.notify_one();
    }

    /// Keeps the input of a forward that is done. False if the cache is full.
    pub fn keep(&self, entry: CachedForward) -> bool {
        self.lock().cache.insert(entry)
    }

    /// Takes a cached input out.
    pub fn take(&self, id: &ActivationId) -> Option<CachedForward> {
        self.lock().cache.take(id)
    }

    /// Keeps an input again that was taken out for a backward which could not be done.
    pub fn keep_again(&self, entry: CachedForward) {
        self.lock().cache.put_back(entry);
    }

    /// Puts work back that was taken and could not be done: it is the next of its kind. False if the
    /// desk was shut meanwhile: then it is dropped.
    pub fn put_back(&self, work: Work) -> bool {
        let mut papers = self.lock();
        if papers.intake == Intake::Shut {
            papers.cache.take(work.id());
            return false;
        }
        if let Work::Forward(forward) = &work {
            // Noted again when it is taken again.
            papers.seen.retain(|id| *id != forward.id);
        }
        papers.queue.put_back(work);
        drop(papers);
        self.bell.notify_one();
        true
    }

    /// Tells the cache that a backward was done (see [`Capacity::Measuring`]).
    pub fn note_backward(&self) {
        let mut papers = self.lock();
        let held = papers.cache.len() + 1;
        papers.cache.note_backward(held);
    }

    /// Whether this activation is known: queued or cached.
    pub fn knows(&self, id: &ActivationId) -> bool {
        let papers = self.lock();
        papers.cache.contains(id) || papers.queue.has_forward(id) || papers.queue.has_backward(id)
    }

    /// Gives up forwards whose gradient is too late; returns their ids.
    pub fn expire(&self, now: Moment) -> Vec<ActivationId> {
        let mut papers = self.lock();
        let expired = papers.cache.expire(now);
        // The orchestrator may hand them out again.
        papers.seen.retain(|id| !expired.contains(id));
        expired
    }

    /// How full it is.
    pub fn load(&self) -> Load {
        let papers = self.lock();
        Load {
            forwards: papers.queue.forwards(),
            backwards: papers.queue.backwards(),
            cached: papers.cache.len(),
            capacity: papers.cache.capacity(),
        }
    }

    /// Drops the cache (an optimizer step without flag `keep_cache_on_local_step`).
    pub fn clear_cache(&self) -> usize {
        self.lock().cache.clear()
    }

    /// Drops the work in hand and takes nothing; what was taken before stays known, so that nothing of
    /// this epoch is added twice. Returns how many activations it was.
    pub fn put_down(&self) -> usize {
        let mut papers = self.lock();
        papers.intake = Intake::Shut;
        papers.queue.clear() + papers.cache.clear()
    }

    /// Drops everything and closes the intake; returns how many activations it was.
    pub fn clear(&self) -> usize {
        let mut papers = self.lock();
        papers.intake = Intake::Shut;
        papers.seen.clear();
        papers.queue.clear() + papers.cache.clear()
    }
}

/// As many forwards may wait as may be in flight; a gradient waits for each of those at most.
fn queue_for(capacity: usize) -> ActivationQueue {
    let room = capacity.min(64);
    ActivationQueue::new(room, capacity.min(1024))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ActivationHash;
    use crate::training::queue::Input;
    use std::sync::Arc;
    use std::time::Duration;

    fn forward(id: &str) -> ForwardWork {
        ForwardWork {
            id: id.into(),
            input: Arc::new(Input::Tokens(vec![1])),
            source: None,
            input_hash: None,
            sample: None,
            targets: None,
            spot_check: None,
        }
    }

    fn backward(id: &str) -> BackwardWork {
        let input_hash = ActivationHash::of(b"");
        BackwardWork { id: id.into(), gradient: Arc::default(), input_hash }
    }

    fn cached(id: &str) -> CachedForward {
        let since = Moment::default();
        CachedForward { id: id.into(), input: Arc::new(Input::Tokens(vec![])), source: None, since }
    }

    fn desk(capacity: usize) -> Desk {
        let desk = Desk::new(Capacity::Fixed(capacity), Duration::from_secs(60));
        desk.set_intake(Intake::Open);
        desk
    }

    #[test]
    fn a_gradient_without_a_waiting_forward_is_refused() {
        let desk = desk(2);
        assert_eq!(desk.offer_backward(backward("a")), Offer::Duplicate);
        assert!(desk.keep(cached("a")));
        assert_eq!(desk.offer_forward(forward("a")), Offer::Duplicate);
        assert_eq!(desk.offer_backward(backward("a")), Offer::Accepted);
        assert_eq!(desk.offer_backward(backward("a")), Offer::Duplicate);
        assert_eq!(desk.next(false), Some(Work::Backward(backward("a"))));
    }

    #[test]
    fn a_full_cache_holds_forwards_back_but_not_backwards() {
        let desk = desk(1);
        desk.offer_forward(forward("b"));
        assert!(desk.keep(cached("a")) && !desk.keep(cached("c")));
        assert_eq!(desk.next(true), None);
        desk.offer_backward(backward("a"));
        assert_eq!(desk.next(true), Some(Work::Backward(backward("a"))));
        desk.take(&"a".into());
        assert_eq!(desk.next(false), None);
        assert_eq!(desk.next(true), Some(Work::Forward(forward("b"))));
        // Pushed again because our answer was lost on the way.
        assert_eq!(desk.offer_forward(forward("b")), Offer::Duplicate);
    }

    #[test]
    fn a_paused_desk_finishes_what_is_in_hand_and_a_shut_one_nothing() {
        let desk = desk(4);
        desk.keep(cached("a"));
        desk.offer_forward(forward("b"));
        desk.set_intake(Intake::InHand);
        assert_eq!(desk.would_take_backward(&"a".into()), Offer::Accepted);
        assert_eq!(desk.next(true), Some(Work::Forward(forward("b"))));
        assert_eq!(desk.clear(), 1);
        assert_eq!(desk.intake(), Intake::Shut);
        assert_eq!(desk.would_take_backward(&"a".into()), Offer::Full);
        assert_eq!(desk.offer_forward(forward("c")), Offer::Full);
    }

    #[test]
    fn work_that_could_not_be_done_is_the_next_and_still_known() {
        let desk = desk(1);
        desk.offer_forward(forward("a"));
        let Some(in_hand) = desk.next(true) else { panic!("nothing to do") };
        assert_eq!(desk.offer_forward(forward("b")), Offer::Accepted);
        assert!(desk.put_back(in_hand.clone()));
        assert_eq!(desk.offer_forward(forward("a")), Offer::Duplicate);
        assert_eq!(desk.next(true), Some(in_hand));
        // A gradient with what it needs of its forward.
        assert!(desk.keep(cached("c")));
        desk.offer_backward(backward("c"));
        let Some(in_hand) = desk.next(true) else { panic!("nothing to do") };
        let entry = desk.take(&"c".into()).unwrap();
        desk.keep_again(entry);
        assert!(desk.put_back(in_hand.clone()));
        assert_eq!(desk.offer_backward(backward("c")), Offer::Duplicate);
        assert_eq!((desk.load().cached, desk.load().backwards), (1, 1));
        assert_eq!(desk.next(true), Some(in_hand.clone()));
        let entry = desk.take(&"c".into()).unwrap();
        desk.put_down();
        desk.keep_again(entry);
        assert!(!desk.put_back(in_hand));
        assert_eq!(desk.load().cached, 0);
    }

    #[test]
    fn what_was_done_before_is_not_done_again() {
        let desk = desk(2);
        desk.note_done(["a".into()].iter());
        assert_eq!(desk.offer_forward(forward("a")), Offer::Duplicate);
        assert_eq!(desk.offer_forward(forward("b")), Offer::Accepted);
    }

    #[tokio::test]
    async fn whoever_brings_a_forward_waits_for_room() {
        let desk = Arc::new(desk(1));
        assert_eq!(desk.offer_forward(forward("a")), Offer::Accepted);
        let waiting = Arc::clone(&desk);
        let bring = tokio::spawn(async move { waiting.bring_forward(forward("b")).await });
        tokio::task::yield_now().await;
        assert!(!bring.is_finished());
        assert_eq!(desk.next(true), Some(Work::Forward(forward("a"))));
        assert_eq!(bring.await.unwrap(), Offer::Accepted);
        assert_eq!(desk.next(true), Some(Work::Forward(forward("b"))));
    }
}

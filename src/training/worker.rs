//! One thread per device, shared by all stages that live on it. Jobs of different stages take turns;
//! urgent ones (backwards, steps) go before ordinary ones (forwards, copies). A job that panics breaks
//! its own stage, never the process or a neighbour.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Which of the waiting jobs goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody upstream waits for it, and it frees memory: backwards and optimizer steps.
    Urgent,
    /// Everything else.
    Ordinary,
}

/// A job did not give a result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkerError {
    /// The job itself panicked; the stage cannot be trusted any more.
    #[error("a computation of this stage crashed ({0}); the stage has to be built again")]
    Crashed(String),
    /// The worker's thread has ended.
    #[error("the device's thread has ended; restart Hearth")]
    Ended,
}

/// A stage could not be placed on the worker.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError<E> {
    /// Building it failed.
    #[error(transparent)]
    Build(E),
    /// The worker failed.
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

type Job<S> = Box<dyn FnOnce(&mut S) -> JobEnd + Send>;
type Build<S> = Box<dyn FnOnce() -> Option<S> + Send>;

/// Whether a job left its stage in order.
enum JobEnd {
    Sound,
    Crashed(String),
}

/// Everything that waits for one stage.
struct Lane<S> {
    stage: Resident<S>,
    urgent: VecDeque<Job<S>>,
    ordinary: VecDeque<Job<S>>,
}

/// Where a lane's stage is.
enum Resident<S> {
    /// To be built by the worker.
    Unbuilt(Build<S>),
    /// Ready.
    Here(S),
    /// The worker's thread uses it now.
    Busy,
    /// A job crashed.
    Broken(String),
    /// Its owner is gone, or building failed.
    Gone,
}

struct Lanes<S> {
    lanes: BTreeMap<u64, Lane<S>>,
    next_lane: u64,
    /// The lane served last: the next one in turn comes after it.
    served: u64,
    /// How many turns there were.
    turns: u64,
    /// Whether one is under way.
    at_work: bool,
    closed: bool,
}

struct Shared<S> {
    lanes: Mutex<Lanes<S>>,
    wake: Condvar,
}

impl<S> Shared<S> {
    fn lock(&self) -> MutexGuard<'_, Lanes<S>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes the worker when the last handle is gone.
struct Door<S>(Arc<Shared<S>>);

impl<S> Drop for Door<S> {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.wake.notify_all();
    }
}

/// The handle of a device's thread. Cheap to clone; the thread ends with the last handle.
pub struct Worker<S> {
    door: Arc<Door<S>>,
}

impl<S> Clone for Worker<S> {
    fn clone(&self) -> Self {
        Self { door: Arc::clone(&self.door) }
    }
}

impl<S> std::fmt::Debug for Worker<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

impl<S: Send + 'static> Worker<S> {
    /// Starts the thread. Fails if the system gives no thread.
    pub fn start(name: &str) -> std::io::Result<Self> {
        let lanes = Lanes {
            lanes: BTreeMap::new(),
            next_lane: 0,
            served: 0,
            turns: 0,
            at_work: false,
            closed: false,
        };
        let shared = Arc::new(Shared { lanes: Mutex::new(lanes), wake: Condvar::new() });
        let thread = Arc::clone(&shared);
        std::thread::Builder::new().name(format!("device {name}")).spawn(move || serve(&thread))?;
        Ok(Self { door: Arc::new(Door(shared)) })
    }

    /// Builds a stage on the worker's thread and keeps it there until the handle is dropped.
    pub async fn place<E: Send + 'static>(
        &self,
        build: impl FnOnce() -> Result<S, E> + Send + 'static,
    ) -> Result<Placed<S>, PlaceError<E>> {
        let (sender, receiver) = oneshot::channel();
        let build: Build<S> = Box::new(move || match catch_unwind(AssertUnwindSafe(build)) {
            Ok(Ok(stage)) => sender.send(Ok(())).is_ok().then_some(stage),
            Ok(Err(error)) => {
                drop(sender.send(Err(PlaceError::Build(error))));
                None
            }
            Err(panic) => {
                drop(sender.send(Err(WorkerError::Crashed(words(&*panic)).into())));
                None
            }
        });
        let placed = self.reserve(build);
        receiver.await.map_err(|_| WorkerError::Ended)??;
        Ok(placed)
    }

    /// The number of the turn that is under way, if one is: one that stays the same for very long has
    /// a device that hangs.
    pub fn turn(&self) -> Option<u64> {
        let lanes = self.door.0.lock();
        lanes.at_work.then_some(lanes.turns)
    }

    fn reserve(&self, build: Build<S>) -> Placed<S> {
        let mut lanes = self.door.0.lock();
        let lane = lanes.next_lane;
        lanes.next_lane += 1;
        lanes.lanes.insert(
            lane,
            Lane {
                stage: Resident::Unbuilt(build),
                urgent: VecDeque::new(),
                ordinary: VecDeque::new(),
            },
        );
        drop(lanes);
        self.door.0.wake.notify_all();
        Placed { lane, door: Arc::clone(&self.door) }
    }
}

/// A stage on a worker. Dropping it removes the stage and frees its memory.
pub struct Placed<S> {
    lane: u64,
    door: Arc<Door<S>>,
}

impl<S> std::fmt::Debug for Placed<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Placed").field("lane", &self.lane).finish_non_exhaustive()
    }
}

impl<S> Placed<S> {
    /// Runs a job on the stage and waits for its result. Jobs of the same urgency run in the order
    /// of their calls.
    pub async fn run<T: Send + 'static>(
        &self,
        urgency: Urgency,
        job: impl FnOnce(&mut S) -> T + Send + 'static,
    ) -> Result<T, WorkerError> {
        let (sender, receiver) = oneshot::channel();
        let job: Job<S> = Box::new(move |stage| {
            // A stage whose job crashed is never used again, so no broken invariant is seen.
            match catch_unwind(AssertUnwindSafe(|| job(stage))) {
                Ok(result) => {
                    // The caller may have given up waiting: its business.
                    drop(sender.send(Ok(result)));
                    JobEnd::Sound
                }
                Err(panic) => {
                    let what = words(&*panic);
                    drop(sender.send(Err(WorkerError::Crashed(what.clone()))));
                    JobEnd::Crashed(what)
                }
            }
        });
        self.enqueue(urgency, job)?;
        receiver.await.unwrap_or_else(|_| Err(self.why_dropped()))
    }

    /// Why a job that was queued was never run: the one before it crashed, or the end.
    fn why_dropped(&self) -> WorkerError {
        match self.door.0.lock().lanes.get(&self.lane).map(|lane| &lane.stage) {
            Some(Resident::Broken(what)) => WorkerError::Crashed(what.clone()),
            _ => WorkerError::Ended,
        }
    }

    fn enqueue(&self, urgency: Urgency, job: Job<S>) -> Result<(), WorkerError> {
        let mut lanes = self.door.0.lock();
        let lane = lanes.lanes.get_mut(&self.lane).ok_or(WorkerError::Ended)?;
        match &lane.stage {
            Resident::Broken(what) => return Err(WorkerError::Crashed(what.clone())),
            Resident::Gone => return Err(WorkerError::Ended),
            Resident::Unbuilt(_) | Resident::Here(_) | Resident::Busy => {}
        }
        match urgency {
            Urgency::Urgent => lane.urgent.push_back(job),
            Urgency::Ordinary => lane.ordinary.push_back(job),
        }
        drop(lanes);
        self.door.0.wake.notify_all();
        Ok(())
    }
}

impl<S> Drop for Placed<S> {
    fn drop(&mut self) {
        let mut lanes = self.door.0.lock();
        let busy = match lanes.lanes.get_mut(&self.lane) {
            Some(lane) if matches!(lane.stage, Resident::Busy) => {
                // The thread sees it when the job ends, and removes the lane then.
                lane.urgent.clear();
                lane.ordinary.clear();
                lane.stage = Resident::Gone;
                true
            }
            _ => false,
        };
        let removed = if busy { None } else { lanes.lanes.remove(&self.lane) };
        drop(lanes);
        // Frees the stage outside the lock.
        drop(removed);
    }
}

/// What the thread does next.
enum Turn<S> {
    Build(u64, Build<S>),
    Run(u64, S, Job<S>),
}

fn serve<S>(shared: &Shared<S>) {
    while let Some(turn) = wait_for_turn(shared) {
        match turn {
            Turn::Build(lane, build) => {
                let after = build().map_or(Resident::Gone, Resident::Here);
                put_back(shared, lane, after);
            }
            Turn::Run(lane, mut stage, job) => {
                let after = match job(&mut stage) {
                    JobEnd::Sound => Resident::Here(stage),
                    JobEnd::Crashed(what) => Resident::Broken(what),
                };
                put_back(shared, lane, after);
            }
        }
    }
}

fn wait_for_turn<S>(shared: &Shared<S>) -> Option<Turn<S>> {
    let mut lanes = shared.lock();
    loop {
        if let Some(turn) = lanes.choose() {
            lanes.turns += 1;
            lanes.at_work = true;
            return Some(turn);
        }
        if lanes.closed {
            return None;
        }
        lanes = shared.wake.wait(lanes).unwrap_or_else(PoisonError::into_inner);
    }
}

fn put_back<S>(shared: &Shared<S>, lane: u64, after: Resident<S>) {
    let mut lanes = shared.lock();
    lanes.at_work = false;
    let orphan = match lanes.lanes.get_mut(&lane) {
        Some(entry) if matches!(entry.stage, Resident::Busy) => {
            let sound = matches!(after, Resident::Here(_));
            entry.stage = after;
            if !sound {
                // Dropping a job drops its sender; its caller sees that the worker is done with it.
                entry.urgent.clear();
                entry.ordinary.clear();
            }
            None
        }
        // The owner left while the job ran.
        _ => Some((lanes.lanes.remove(&lane), after)),
    };
    drop(lanes);
    drop(orphan);
}

impl<S> Lanes<S> {
    /// The next job: urgent before ordinary, and within that the lane after the one served last.
    fn choose(&mut self) -> Option<Turn<S>> {
        let in_turn = || {
            let after = self.lanes.range(self.served + 1..);
            after.chain(self.lanes.range(..=self.served))
        };
        let ready = |lane: &Lane<S>| matches!(lane.stage, Resident::Here(_));
        let unbuilt = in_turn().find(|(_, lane)| matches!(lane.stage, Resident::Unbuilt(_)));
        let urgent = || in_turn().find(|(_, lane)| ready(lane) && !lane.urgent.is_empty());
        let ordinary = || in_turn().find(|(_, lane)| ready(lane) && !lane.ordinary.is_empty());
        let id = *unbuilt.or_else(urgent).or_else(ordinary)?.0;
        self.served = id;
        let lane = self.lanes.get_mut(&id)?;
        match std::mem::replace(&mut lane.stage, Resident::Busy) {
            Resident::Unbuilt(build) => Some(Turn::Build(id, build)),
            Resident::Here(stage) => {
                let job = lane.urgent.pop_front().or_else(|| lane.ordinary.pop_front())?;
                Some(Turn::Run(id, stage, job))
            }
            other => {
                lane.stage = other;
                None
            }
        }
    }
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    type Log = Arc<Mutex<Vec<String>>>;

    async fn placed(worker: &Worker<Log>, log: &Log) -> Placed<Log> {
        let log = Arc::clone(log);
        worker.place(move || Ok::<_, String>(log)).await.unwrap()
    }

    /// Occupies the worker until the returned sender is dropped.
    fn block<S: Send + 'static>(on: &Arc<Placed<S>>) -> mpsc::Sender<()> {
        let (sender, receiver) = mpsc::channel::<()>();
        let on = Arc::clone(on);
        let (started, wait) = mpsc::channel();
        tokio::spawn(async move {
            on.run(Urgency::Urgent, move |_| {
                started.send(()).unwrap();
                let _ = receiver.recv();
            })
            .await
            .unwrap();
        });
        tokio::task::block_in_place(|| wait.recv().unwrap());
        sender
    }

    fn note(on: &Arc<Placed<Log>>, urgency: Urgency, text: &str) -> tokio::task::JoinHandle<()> {
        let (sender, _receiver) = oneshot::channel::<()>();
        drop(sender);
        let text = text.to_owned();
        let job: Job<Log> = Box::new(move |log| {
            log.lock().unwrap().push(text);
            JobEnd::Sound
        });
        on.enqueue(urgency, job).unwrap();
        let on = Arc::clone(on);
        tokio::spawn(async move {
            on.run(Urgency::Ordinary, |_| ()).await.unwrap();
        })
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn backwards_go_first_and_stages_take_turns() {
        let worker = Worker::start("test").unwrap();
        let log = Log::default();
        let a = Arc::new(placed(&worker, &log).await);
        let b = Arc::new(placed(&worker, &log).await);
        let gate = block(&a);
        let mut waiting = Vec::new();
        for (on, urgency, text) in [
            (&a, Urgency::Ordinary, "a forward 1"),
            (&a, Urgency::Ordinary, "a forward 2"),
            (&a, Urgency::Urgent, "a backward 1"),
            (&a, Urgency::Urgent, "a backward 2"),
            (&b, Urgency::Ordinary, "b forward 1"),
            (&b, Urgency::Urgent, "b backward 1"),
        ] {
            waiting.push(note(on, urgency, text));
        }
        drop(gate);
        for done in waiting {
            done.await.unwrap();
        }
        assert_eq!(
            *log.lock().unwrap(),
            [
                "b backward 1",
                "a backward 1",
                "a backward 2",
                "b forward 1",
                "a forward 1",
                "a forward 2"
            ]
        );
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_crash_breaks_its_stage_and_spares_the_others() {
        let worker = Worker::start("test").unwrap();
        let log = Log::default();
        let (a, b) = (placed(&worker, &log).await, placed(&worker, &log).await);
        let crash = a.run(Urgency::Ordinary, |_| -> u32 { panic!("bad kernel") }).await;
        assert_eq!(crash, Err(WorkerError::Crashed("bad kernel".into())));
        let again = a.run(Urgency::Ordinary, |_| 1).await;
        assert_eq!(again, Err(WorkerError::Crashed("bad kernel".into())));
        assert_eq!(b.run(Urgency::Ordinary, |_| 2).await, Ok(2));
        assert_eq!(placed(&worker, &log).await.run(Urgency::Urgent, |_| 3).await, Ok(3));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_failed_build_is_an_error_and_a_dropped_stage_is_freed() {
        let worker = Worker::<Log>::start("test").unwrap();
        let refused = worker.place(|| Err::<Log, _>("no memory")).await;
        assert!(matches!(refused, Err(PlaceError::Build("no memory"))));
        let log = Log::default();
        let stage = placed(&worker, &log).await;
        assert_eq!(Arc::strong_count(&log), 2);
        assert_eq!(stage.run(Urgency::Ordinary, |_| ()).await, Ok(()));
        let other = placed(&worker, &Log::default()).await;
        drop(stage);
        // A job of another stage is served after the end of the first one's.
        other.run(Urgency::Ordinary, |_| ()).await.unwrap();
        assert_eq!(Arc::strong_count(&log), 1);
    }
}

//! Asking on a thread of its own: a driver, a display or a message bus may take its time or never
//! answer, and the runtime must not wait for it.

use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::clock::Clock;

/// Longer than an answer takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(3);

/// What answers, once it is set up.
type Answerer<Q, A> = Box<dyn FnMut(Q) -> A>;
/// How it is set up, on its thread: what it holds need not move between threads.
type SetUp<Q, A> = Box<dyn FnOnce() -> Answerer<Q, A> + Send>;
type Asked<Q, A> = (Q, oneshot::Sender<A>);

/// A thread that answers questions one after another. It starts with the first question and ends when
/// this is dropped.
pub(super) struct Aside<Q, A> {
    name: &'static str,
    set_up: Option<SetUp<Q, A>>,
    asked: Option<mpsc::Sender<Asked<Q, A>>>,
    /// An answer that did not come in time.
    late: Option<oneshot::Receiver<A>>,
}

impl<Q: Send + 'static, A: Send + 'static> Aside<Q, A> {
    pub(super) fn new<F: FnMut(Q) -> A + 'static>(
        name: &'static str,
        set_up: impl FnOnce() -> F + Send + 'static,
    ) -> Self {
        let set_up = move || Box::new(set_up()) as Answerer<Q, A>;
        Self { name, set_up: Some(Box::new(set_up)), asked: None, late: None }
    }

    /// The answer; none where it does not come in time. As long as one is late, no other is asked for.
    pub(super) async fn ask(&mut self, clock: &Clock, question: Q) -> Option<A> {
        if let Some(late) = self.late.as_mut() {
            // Its answer is of a moment that is past: only that it came counts.
            if clock.timeout(LIMIT, late).await.is_err() {
                return None;
            }
            self.late = None;
        }
        let (answer, mut awaited) = oneshot::channel();
        self.thread()?.send((question, answer)).ok()?;
        match clock.timeout(LIMIT, &mut awaited).await {
            Ok(answer) => answer.ok(),
            Err(_) => {
                self.late = Some(awaited);
                None
            }
        }
    }

    fn thread(&mut self) -> Option<&mpsc::Sender<Asked<Q, A>>> {
        if let Some(set_up) = self.set_up.take() {
            let (asked, questions) = mpsc::channel::<Asked<Q, A>>();
            let answering = move || {
                let mut answerer = set_up();
                for (question, answer) in questions {
                    // Nobody waits any more where it took too long.
                    let _ = answer.send(answerer(question));
                }
            };
            let thread = std::thread::Builder::new().name(self.name.to_owned());
            self.asked = thread.spawn(answering).is_ok().then_some(asked);
        }
        self.asked.as_ref()
    }
}

impl<Q, A> std::fmt::Debug for Aside<Q, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Aside").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_hangs_holds_up_nobody_and_may_come_back() {
        let clock = Clock::system();
        let (go, gone) = mpsc::channel::<()>();
        let mut aside = Aside::new("test", move || {
            move |question: u32| {
                if question == 1 {
                    let _ = gone.recv();
                }
                question + 10
            }
        });
        assert_eq!(aside.ask(&clock, 1).await, None);
        assert_eq!(aside.ask(&clock, 2).await, None);
        go.send(()).unwrap();
        // The paused clock would run ahead of the real thread.
        tokio::time::resume();
        assert_eq!(aside.ask(&clock, 3).await, Some(13));
    }

    #[tokio::test]
    async fn one_that_breaks_answers_nothing() {
        let clock = Clock::system();
        let mut aside = Aside::new("test", || |_: ()| -> u32 { std::panic::panic_any("broken") });
        assert_eq!(aside.ask(&clock, ()).await, None);
        assert_eq!(aside.ask(&clock, ()).await, None);
    }
}

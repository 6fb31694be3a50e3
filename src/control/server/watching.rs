//! The stream of snapshots that screens of other processes draw from: everything once, then what has
//! changed. Nothing is kept for a reader: one that is slow sees fewer steps in between.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::Event as SentEvent;
use futures::future::{FutureExt as _, select_all};
use futures::{Stream, stream};
use tokio::sync::watch;

use super::events::Reading;
use super::{Sent, Served, turned_true};
use crate::control::Progress;
use crate::control::overview::{LossNews, News};
use crate::miner::MinerSnapshot;
use crate::swarm::{LossPoint, SwarmSnapshot};

/// Changes closer together than this are told as one.
const GRAIN: Duration = Duration::from_millis(200);

/// Something that changes.
enum Part {
    Miner(usize, watch::Receiver<MinerSnapshot>),
    Swarm(watch::Receiver<SwarmSnapshot>, Option<LossPoint>),
    Progress(watch::Receiver<Progress>),
}

impl Part {
    /// Waits for a change that was not told yet. False where there will be none any more.
    async fn changed(&mut self) -> bool {
        match self {
            Self::Miner(_, watched) => watched.changed().await.is_ok(),
            Self::Swarm(watched, _) => watched.changed().await.is_ok(),
            Self::Progress(watched) => watched.changed().await.is_ok(),
        }
    }

    /// As it is now.
    fn news(&mut self) -> News {
        match self {
            Self::Miner(index, watched) => {
                let snapshot = Box::new(watched.borrow_and_update().clone());
                News::Miner { index: *index, snapshot }
            }
            Self::Swarm(watched, told) => {
                let mut snapshot = watched.borrow_and_update().clone();
                let all = std::mem::take(&mut snapshot.losses);
                let losses = LossNews::since(*told, &all);
                *told = all.last().copied();
                News::Swarm { snapshot: Box::new(snapshot), losses }
            }
            Self::Progress(watched) => News::Progress { now: watched.borrow_and_update().clone() },
        }
    }
}

/// A reader of snapshots.
struct Watching {
    reading: Reading,
    /// What may still change.
    parts: Vec<Part>,
    /// What is to be told next.
    waiting: VecDeque<News>,
    ended: bool,
}

/// Everything, then each change.
pub(super) fn stream(served: &Arc<Served>) -> impl Stream<Item = Sent> + use<> {
    stream::unfold(Watching::begin(served), |mut watching| async move {
        let news = watching.next().await?;
        // A snapshot always has a text.
        let json = serde_json::to_string(&news).unwrap_or_default();
        Some((Ok(SentEvent::default().event(news.word()).data(json)), watching))
    })
}

impl Watching {
    fn begin(served: &Arc<Served>) -> Self {
        let control = &served.offer.control;
        let own = control.miners.iter().cloned().enumerate();
        let mut parts: Vec<Part> = own.map(|(index, own)| Part::Miner(index, own)).collect();
        parts.extend(control.swarm.iter().map(|swarm| Part::Swarm(swarm.clone(), None)));
        parts.push(Part::Progress(control.progress.clone()));
        // What the overview shows counts as told; what changes meanwhile is told twice, not never.
        for part in &mut parts {
            part.news();
        }
        let first = News::Overview(Box::new(served.overview()));
        let waiting = VecDeque::from([first]);
        Self { reading: Reading::begin(served), parts, waiting, ended: false }
    }

    async fn next(&mut self) -> Option<News> {
        while self.waiting.is_empty() && !self.ended {
            let mut dirty = self.one_changed().await.into_iter().collect::<Vec<_>>();
            if !self.ended {
                self.reading.served().offer.clock.sleep(GRAIN).await;
            }
            for index in (0..self.parts.len()).rev() {
                match self.parts[index].changed().now_or_never() {
                    Some(true) => dirty.push(index),
                    None => {}
                    // Its last word was told, or is about to be.
                    Some(false) if !dirty.contains(&index) => {
                        self.parts.remove(index);
                        dirty.iter_mut().filter(|other| **other > index).for_each(|i| *i -= 1);
                    }
                    Some(false) => {}
                }
            }
            dirty.sort_unstable();
            dirty.dedup();
            let news = dirty.into_iter().map(|index| self.parts[index].news());
            self.waiting.extend(news.collect::<Vec<_>>());
        }
        self.waiting.pop_front()
    }

    /// Waits until something changes, or until the end.
    async fn one_changed(&mut self) -> Option<usize> {
        let stop = self.reading.served().stop.clone();
        let first = async {
            if self.parts.is_empty() {
                return std::future::pending().await;
            }
            let waits = self.parts.iter_mut().enumerate();
            let waits =
                waits.map(|(index, part)| async move { (index, part.changed().await) }.boxed());
            select_all(waits).await.0
        };
        let first = tokio::select! {
            biased;
            () = turned_true(stop) => None,
            first = first => Some(first),
        };
        match first {
            None => {
                self.ended = true;
                None
            }
            Some((index, true)) => Some(index),
            Some((index, false)) => {
                self.parts.remove(index);
                None
            }
        }
    }
}

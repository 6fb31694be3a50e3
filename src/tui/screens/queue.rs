//! The way into the network: place, trend, history, when it may be one's turn, how often the place was
//! lost, and what would lose it.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::lines;
use crate::miner::snapshot::QueueView;
use crate::tui::draw::facts::{fact, maybe, said, sentence};
use crate::tui::text::labels;
use crate::tui::text::{self, queue as words};
use crate::tui::theme::Theme;
use crate::tui::view::View;

/// A trend is told from so many seconds on.
const SHORTEST_TREND: f64 = 60.0;
/// And made from the last so many.
const TREND: f64 = 1_800.0;
/// So many losses are told with their reasons.
const LOSSES: usize = 2;

/// What the told places say.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::tui) struct Trend {
    /// Places a minute that it moves ahead; below 0 it falls back. None where too little was told.
    pub(in crate::tui) a_minute: Option<f64>,
    /// Seconds until its turn, at the fastest and at the slowest pace of the time looked at.
    pub(in crate::tui) eta: Option<(f64, f64)>,
}

impl Trend {
    /// From the places that the server told.
    #[allow(clippy::cast_precision_loss)]
    pub(in crate::tui) fn of(queue: &QueueView) -> Self {
        let Some(&(last_at, last)) = queue.places.last() else {
            return Self { a_minute: None, eta: None };
        };
        // After a fall the places before it say nothing of the pace.
        let fell = queue.places.windows(2).rposition(|pair| pair[1].1 > pair[0].1);
        let since = &queue.places[fell.map_or(0, |at| at + 1)..];
        let recent: Vec<_> = since.iter().filter(|told| last_at - told.0 <= TREND).collect();
        let pace = |from: &(f64, u64), to: &(f64, u64)| {
            let minutes = (to.0 - from.0) / 60.0;
            (from.1 as f64 - to.1 as f64) / minutes
        };
        let Some(first) = recent.first().filter(|first| last_at - first.0 >= SHORTEST_TREND) else {
            return Self { a_minute: None, eta: None };
        };
        let whole = pace(first, &(last_at, last));
        let middle = recent.iter().find(|told| told.0 >= (first.0 + last_at) / 2.0);
        let halves = middle
            .filter(|m| m.0 > first.0 && m.0 < last_at)
            .map(|m| [pace(first, m), pace(m, &(last_at, last))]);
        let paces = halves.into_iter().flatten().chain([whole]).filter(|pace| *pace > 0.0);
        let (slow, fast) = paces.fold((f64::INFINITY, 0.0_f64), |(l, h), p| (l.min(p), h.max(p)));
        let eta = (whole > 0.0).then(|| (last as f64 / fast * 60.0, last as f64 / slow * 60.0));
        Self { a_minute: Some(whole), eta }
    }
}

pub(super) fn queue(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let cells = usize::from(area.width).saturating_sub(24);
    lines(frame, area, text::screens::QUEUE, facts(view, cells, theme), theme);
}

/// The place and what is known of it; the history in so many cells.
#[allow(clippy::cast_precision_loss)]
pub(super) fn facts<'a>(view: &View, cells: usize, theme: &Theme) -> Vec<Line<'a>> {
    let Some(queue) = &view.miner.queue else { return Vec::new() };
    let trend = Trend::of(queue);
    let place = queue.places.last().map(|told| text::thousands(told.1));
    let told = text::duration(view.unix as f64 - queue.heard);
    let best = queue.best.map(text::thousands);
    // The newest first; the log has the others.
    let lost = queue
        .losses
        .iter()
        .rev()
        .take(LOSSES)
        .map(|loss| words::lost(loss, &text::duration(view.unix as f64 - loss.at)));
    let lost: Vec<String> = lost.collect();
    let mut facts = vec![
        match place {
            Some(place) => fact(labels::PLACE, words::place(&place, best.as_deref(), &told), theme),
            None => said(labels::PLACE, words::no_place(&told), theme),
        },
        maybe(labels::TREND, trend.a_minute.map(words::trend), theme),
        maybe(labels::YOUR_TURN, trend.eta.map(words::eta), theme),
        said(labels::WAITING_FOR, text::duration(view.unix as f64 - queue.since), theme),
        said(labels::HISTORY, spark(queue, cells), theme),
        said(labels::PLACE_LOST, words::losses(queue.losses.len(), lost.first()), theme),
        sentence(words::KEEP, theme),
    ];
    facts.extend(lost.iter().skip(1).map(|earlier| said(labels::BEFORE, earlier, theme)));
    facts
}

/// The places over time, the highest number lowest: what falls is a place that was lost.
fn spark(queue: &QueueView, cells: usize) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let cells = cells.clamp(1, 100);
    let places: Vec<u64> = queue.places.iter().map(|told| told.1).collect();
    let (Some(low), Some(high)) = (places.iter().min(), places.iter().max()) else {
        return text::screens::UNKNOWN.to_owned();
    };
    let every = places.len().div_ceil(cells).max(1);
    let span = (high - low).max(1);
    let block = |place: &u64| BLOCKS[((high - place) * 7 / span).min(7) as usize];
    places.chunks(every).filter_map(<[u64]>::last).map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(places: &[(f64, u64)]) -> QueueView {
        let best = places.iter().map(|told| told.1).min();
        QueueView { since: 0.0, heard: 0.0, best, places: places.to_vec(), losses: Vec::new() }
    }

    #[test]
    fn a_steady_pace_gives_one_time() {
        let trend = Trend::of(&told(&[(0.0, 100), (60.0, 90), (120.0, 80)]));
        assert_eq!(trend.a_minute, Some(10.0));
        assert_eq!(trend.eta, Some((480.0, 480.0)));
    }

    #[test]
    fn a_changing_pace_gives_a_range() {
        let trend = Trend::of(&told(&[(0.0, 100), (60.0, 80), (120.0, 70)]));
        let (fast, slow) = trend.eta.unwrap();
        assert!(fast < slow, "{fast} {slow}");
        assert_eq!((fast, slow), (70.0 / 20.0 * 60.0, 70.0 / 10.0 * 60.0));
    }

    #[test]
    fn a_lost_place_starts_the_trend_anew() {
        let trend = Trend::of(&told(&[(0.0, 80), (60.0, 74), (120.0, 1687), (150.0, 1686)]));
        assert_eq!((trend.a_minute, trend.eta), (None, None), "half a minute is no trend");
        let trend = Trend::of(&told(&[(0.0, 74), (60.0, 1687), (120.0, 1687)]));
        assert_eq!(
            (trend.a_minute, trend.eta),
            (Some(0.0), None),
            "a queue that stands has no end"
        );
    }

    #[test]
    fn nothing_told_is_nothing_known() {
        let trend = Trend::of(&told(&[]));
        assert_eq!(trend, Trend { a_minute: None, eta: None });
        assert_eq!(spark(&told(&[]), 10), "unknown");
    }

    #[test]
    fn the_history_fits_its_room_and_shows_the_fall() {
        let places: Vec<_> =
            (0..500_u64).map(|i| (i as f64, 1000 - i)).chain([(500.0, 2000)]).collect();
        let drawn = spark(&told(&places), 40);
        assert!(drawn.chars().count() <= 40, "{drawn}");
        assert!(drawn.ends_with('▁') && drawn.contains('▇'), "{drawn}");
    }
}

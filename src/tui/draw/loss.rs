//! The loss curve over tokens, with what guessing from word counts and word pairs would reach.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::super::text;
use super::super::theme::Theme;
use super::super::view::View;
use super::cells::{Pane, Plot};
use super::pane;
use crate::swarm::{LossPoint, SwarmSnapshot};
use crate::tui::look::{Over, Scale};
use crate::tui::text::labels;

/// The loss of a single activation jumps; the curve is the mean of so many.
const WINDOW: usize = 8;
/// Below this no loss is drawn on a logarithmic scale.
const LOWEST: f64 = 1e-3;

/// What the curve is made of.
#[derive(Clone, Copy, Debug)]
pub(in crate::tui) struct Curve<'a> {
    /// The swarm's losses, where they are known.
    pub(in crate::tui) swarm: Option<&'a SwarmSnapshot>,
    /// The own miner's, else.
    pub(in crate::tui) own: &'a [f64],
    /// How it is drawn.
    pub(in crate::tui) scale: Scale,
    /// Over what.
    pub(in crate::tui) over: Over,
}

impl<'a> Curve<'a> {
    fn of(view: &'a View) -> Self {
        let (swarm, own) = (view.swarm.as_ref(), view.miner.losses.as_slice());
        Self { swarm, own, scale: view.look.scale, over: view.look.over }
    }
}

/// The curve of a run that is shown.
pub(in crate::tui) fn loss(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    curve(frame, area, Curve::of(view), theme);
}

/// A curve.
pub(in crate::tui) fn curve(frame: &mut Frame<'_>, area: Rect, of: Curve<'_>, theme: &Theme) {
    let mut points = points(of);
    points.retain(|(_, loss)| loss.is_finite());
    let curve = smoothed(&points);
    let Some(&(last_x, last)) = curve.last() else {
        let empty = Paragraph::new(Line::styled(text::NO_LOSS_YET, theme.dim()))
            .wrap(Wrap { trim: true })
            .block(pane(text::LOSS, theme));
        frame.render_widget(empty, area);
        return;
    };
    let baselines = of.swarm.and_then(|swarm| swarm.baselines);
    let logarithmic = of.scale == Scale::Logarithmic;
    let up = |y: f64| if logarithmic { y.max(LOWEST).ln() } else { y };
    let down = |y: f64| if logarithmic { y.exp() } else { y };
    let (first, last_loss) = (curve.first().map_or(last, |&(_, y)| y), last);
    let curve: Vec<(f64, f64)> = curve.into_iter().map(|(x, y)| (x, up(y))).collect();
    let baselines = baselines.map(|(u, b)| (up(u), up(b)));
    let (low, high) = range(&curve, baselines);
    let levels = baselines.map(|(unigram, bigram)| {
        vec![(unigram, theme.reference()), (bigram, theme.reference_two())]
    });

    let now = Line::from(vec![
        Span::styled(format!(" {first:.2} -> "), theme.quiet()),
        Span::styled(format!("{last_loss:.3} "), theme.number()),
    ]);
    let mut scale = Vec::new();
    if let Some((u, b)) = baselines {
        let (u, b) = (down(u), down(b));
        scale.push(Span::styled(labels::word_counts(u), theme.reference()));
        scale.push(Span::styled(labels::word_pairs(b), theme.reference_two()));
    }
    if logarithmic {
        scale.push(Span::styled(text::LOGARITHMIC, theme.dim()));
    }
    let label = |y: f64| Line::styled(format!("{:>4.1}", down(y)), theme.dim());
    let pane = Pane::new(text::LOSS, theme).aside(now).below(Line::from(scale));
    let inside = pane.draw(frame.buffer_mut(), area);
    let plot = Plot {
        curve: &curve,
        style: theme.curve(),
        levels: levels.unwrap_or_default(),
        end: last_x.max(1.0),
        end_label: Line::styled(x_label(of, last_x), theme.dim()),
        range: (low, high),
        labels: [low, (low + high) / 2.0, high].map(label),
        axes: theme.dim(),
    };
    plot.draw(frame.buffer_mut(), inside);
}

/// The loss at first and now, as the curve has them; none before there is one.
pub(in crate::tui) fn losses(view: &View) -> Option<(f64, f64)> {
    let mut points = points(Curve::of(view));
    points.retain(|(_, loss)| loss.is_finite());
    let curve = smoothed(&points);
    curve.first().zip(curve.last()).map(|(first, last)| (first.1, last.1))
}

/// (tokens or seconds, loss) from the swarm, else (count, loss) from the own miner.
fn points(of: Curve<'_>) -> Vec<(f64, f64)> {
    #[allow(clippy::cast_precision_loss)]
    let x = |point: &LossPoint| match of.over {
        Over::Tokens => point.tokens as f64,
        Over::Time => point.at,
    };
    #[allow(clippy::cast_precision_loss)]
    match of.swarm {
        Some(swarm) => swarm.losses.iter().map(|p| (x(p), p.loss)).collect(),
        None => of.own.iter().enumerate().map(|(i, &y)| (i as f64, y)).collect(),
    }
}

fn x_label(of: Curve<'_>, last: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let count = text::thousands(last as u64);
    match (of.swarm, of.over) {
        (Some(_), Over::Time) => text::duration(last),
        (Some(_), Over::Tokens) => labels::tokens(&count),
        (None, _) => labels::activations(&count),
    }
}

/// Running mean over the last [`WINDOW`] points, at most a few hundred points.
fn smoothed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    const MOST: usize = 400;
    let every = points.len().div_ceil(MOST).max(1);
    let mut out = Vec::new();
    for end in (1..=points.len()).filter(|end| end % every == 0 || *end == points.len()) {
        let window = &points[end.saturating_sub(WINDOW)..end];
        #[allow(clippy::cast_precision_loss)]
        let mean = window.iter().map(|p| p.1).sum::<f64>() / window.len() as f64;
        out.push((points[end - 1].0, mean));
    }
    out
}

/// A little room above and below all that is drawn.
fn range(curve: &[(f64, f64)], baselines: Option<(f64, f64)>) -> (f64, f64) {
    let references = baselines.iter().flat_map(|&(u, b)| [u, b]);
    let all = curve.iter().map(|p| p.1).chain(references).filter(|y| y.is_finite());
    let (low, high) =
        all.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), y| (l.min(y), h.max(y)));
    let (low, high) = if low.is_finite() { (low, high) } else { (0.0, 1.0) };
    let room = ((high - low) * 0.06).max(0.05);
    (if low >= 0.0 { (low - room).max(0.0) } else { low - room }, high + room)
}

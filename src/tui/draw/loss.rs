//! The loss curve over tokens, with what guessing from word counts and word pairs would reach.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, Paragraph, Wrap};

use super::super::text;
use super::super::theme::Theme;
use super::super::view::View;
use super::pane;

/// The loss of a single activation jumps; the curve is the mean of so many.
const WINDOW: usize = 8;

pub(in crate::tui) fn loss(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let block = pane(text::LOSS, theme);
    let curve = smoothed(&points(view));
    let Some(&(last_x, last)) = curve.last() else {
        let empty = Paragraph::new(Line::styled(text::NO_LOSS_YET, theme.dim()))
            .wrap(Wrap { trim: true })
            .block(block);
        frame.render_widget(empty, area);
        return;
    };
    let baselines = view.swarm.as_ref().and_then(|swarm| swarm.baselines);
    let (low, high) = range(&curve, baselines);
    let flat = |y: f64| [(0.0, y), (last_x, y)];
    let (unigram, bigram) =
        baselines.map_or(([(0.0, -1.0); 2], [(0.0, -1.0); 2]), |(u, b)| (flat(u), flat(b)));
    let line = |data| Dataset::default().graph_type(GraphType::Line).data(data);
    let mut datasets = Vec::new();
    if baselines.is_some() {
        datasets.push(line(&unigram).marker(Marker::Dot).style(theme.reference()));
        datasets.push(line(&bigram).marker(Marker::Dot).style(theme.reference_two()));
    }
    datasets.push(line(&curve).marker(Marker::Braille).style(theme.curve()));

    let first = curve.first().map_or(last, |&(_, y)| y);
    let now = Line::from(vec![
        Span::styled(format!(" {first:.2} -> "), theme.quiet()),
        Span::styled(format!("{last:.3} "), theme.number()),
    ]);
    let mut scale = Vec::new();
    if let Some((u, b)) = baselines {
        scale.push(Span::styled(format!(" word counts {u:.2} "), theme.reference()));
        scale.push(Span::styled(format!(" word pairs {b:.2} "), theme.reference_two()));
    }
    let x_unit = if view.swarm.is_some() { "tokens" } else { "activations" };
    let y_label = |y: f64| Span::styled(format!("{y:>4.1}"), theme.dim());
    let chart = Chart::new(datasets)
        .block(block.title_top(now.right_aligned()).title_bottom(Line::from(scale)))
        .legend_position(None)
        .x_axis(Axis::default().style(theme.dim()).bounds([0.0, last_x.max(1.0)]).labels([
            Span::styled("0", theme.dim()),
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            Span::styled(format!("{} {x_unit}", text::thousands(last_x as u64)), theme.dim()),
        ]))
        .y_axis(Axis::default().style(theme.dim()).bounds([low, high]).labels([
            y_label(low),
            y_label((low + high) / 2.0),
            y_label(high),
        ]));
    frame.render_widget(chart, area);
}

/// (tokens, loss) from the swarm, else (count, loss) from the own miner.
fn points(view: &View) -> Vec<(f64, f64)> {
    #[allow(clippy::cast_precision_loss)]
    match &view.swarm {
        Some(swarm) => swarm.losses.iter().map(|p| (p.tokens as f64, p.loss)).collect(),
        None => view.miner.losses.iter().enumerate().map(|(i, &y)| (i as f64, y)).collect(),
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
    let (low, high) = all.fold((f64::INFINITY, 0.0_f64), |(l, h), y| (l.min(y), h.max(y)));
    let low = if low.is_finite() { low } else { 0.0 };
    ((low - 0.3).max(0.0), high + 0.3)
}

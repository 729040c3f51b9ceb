//! Pictures of a load: how long people waited for a first token and between tokens, and when each request waited and was
//! answered.

use std::fmt::Write as _;

use candor_eval::svg::{Panel, document};

use super::load::{Outcome, Record};
use super::report::{Figures, Samples};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 180.0;
/// Points of a curve at most.
const MOST_POINTS: usize = 500;
/// Requests of a timeline at most; of more, every so many are drawn.
const MOST_BARS: usize = 300;
const BAR: f64 = 4.0;

/// The whole file.
pub(crate) fn picture(title: &str, outcome: &Outcome, figures: &Figures) -> String {
    let panels = [
        shares("time to first token, ms", "requests", &figures.ttft),
        shares("gap between tokens, ms", "gaps", &figures.itl),
        timeline(title, &outcome.records),
    ];
    document(title, &panels)
}

/// Which share of the samples is at most so large.
fn shares(across: &str, of: &str, samples: &Samples) -> (Panel, String) {
    let sorted = samples.sorted();
    let end = sorted.last().copied().unwrap_or(0.0).max(1e-3);
    let panel = Panel {
        title: format!(
            "{across} (p50 {:.1}, p99 {:.1})",
            samples.percentile(50.0),
            samples.percentile(99.0)
        ),
        across: across.to_owned(),
        up: format!("share of {of}"),
        size: (WIDTH, HEIGHT),
        ends: (end, 1.0),
    };
    let step = sorted.len().div_ceil(MOST_POINTS).max(1);
    let mut points = vec![(0.0, 0.0)];
    points.extend(sorted.first().map(|ms| (*ms, 0.0)));
    let last = sorted.len().saturating_sub(1);
    let drawn = sorted
        .iter()
        .enumerate()
        .filter(|(rank, _)| rank % step == 0 || *rank == last);
    points.extend(drawn.map(|(rank, ms)| (*ms, (rank + 1) as f64 / sorted.len() as f64)));
    let inner = panel.line(&points, "curve");
    (panel, inner)
}

/// A bar for each request: pale while it waits for its first token, dark while tokens come, red where it failed.
fn timeline(title: &str, records: &[Record]) -> (Panel, String) {
    let step = records.len().div_ceil(MOST_BARS).max(1);
    let shown: Vec<&Record> = records.iter().step_by(step).collect();
    let end = records
        .iter()
        .map(|record| record.ended.as_secs_f64())
        .fold(1e-3, f64::max);
    let rows = shown.len().max(1) as f64;
    let panel = Panel {
        title: "each request: waiting for its first token (pale), answered (dark), failed (red)".to_owned(),
        across: format!("seconds: {title}"),
        up: String::new(),
        size: (WIDTH, rows * BAR),
        ends: (end, rows),
    };
    let mut inner = String::new();
    for (row, record) in shown.into_iter().enumerate() {
        let (sent, ended) = (record.sent.as_secs_f64(), record.ended.as_secs_f64());
        match &record.answer {
            Ok(answer) => {
                let first = sent + answer.events.first().map_or(0.0, std::time::Duration::as_secs_f64);
                bar(&mut inner, &panel, row, (sent, first), "pale");
                bar(&mut inner, &panel, row, (first, ended), "dot");
            }
            Err(_) => bar(&mut inner, &panel, row, (sent, ended), "bad"),
        }
    }
    (panel, inner)
}

fn bar(out: &mut String, panel: &Panel, row: usize, (from, to): (f64, f64), class: &str) {
    let (left, top) = panel.place(from, panel.ends.1 - row as f64);
    let (right, _) = panel.place(to, 0.0);
    let _ = write!(
        out,
        "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
        (right - left).max(0.5),
        BAR - 1.0
    );
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::outcome;
    use super::*;

    /// Every element that begins ends, in order.
    fn well_formed(svg: &str) -> bool {
        let mut open = Vec::new();
        for tag in svg.split('<').skip(1) {
            let tag = tag.split('>').next().unwrap_or_default();
            let name = tag.trim_matches('/').split(' ').next().unwrap_or_default();
            match (tag.starts_with('/'), tag.ends_with('/')) {
                (true, _) if open.pop() != Some(name) => return false,
                (false, false) => open.push(name),
                _ => {}
            }
        }
        open.is_empty()
    }

    #[test]
    fn a_picture_is_well_formed_and_has_a_bar_for_each_phase() {
        let outcome = outcome();
        let svg = picture("a <model> & more", &outcome, &Figures::new(&outcome));
        assert!(well_formed(&svg), "{svg}");
        let bars = |class: &str| svg.matches(&format!("<rect class=\"{class}\"")).count();
        assert_eq!([bars("pale"), bars("dot"), bars("bad")], [2, 2, 1]);
        assert_eq!(svg.matches("class=\"curve\"").count(), 2);
        assert!(svg.contains("a &lt;model&gt; &amp; more"));
    }

    #[test]
    fn a_run_without_answers_and_one_of_many_can_be_drawn() {
        let none = Outcome::default();
        assert!(well_formed(&picture("", &none, &Figures::new(&none))));
        let mut many = outcome();
        many.records = vec![many.records[0].clone(); 2000];
        let svg = picture("", &many, &Figures::new(&many));
        assert!(svg.matches("<rect class=\"pale\"").count() <= MOST_BARS && !svg.contains("NaN"));
    }
}

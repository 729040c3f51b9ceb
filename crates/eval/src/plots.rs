//! Two pictures of probabilities: how often what was said with p came true (reliability), and how many of the given answers
//! are wrong when only the surest are given (risk and coverage).

use std::fmt::Write as _;

use crate::report::Curve;
use crate::svg::{Panel, document};

const SIDE: f64 = 300.0;
const BINS: usize = 15;
/// Draws of one picture at most.
const MOST_DOTS: usize = 400;

/// Stated probability against the share that came true, in fifteen bins of equal size.
pub fn reliability(curve: &Curve) -> String {
    let mut order = curve.points.clone();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let bins = order.chunks(order.len().div_ceil(BINS).max(1)).map(|bin| {
        let n = bin.len() as f64;
        let said = bin.iter().map(|(p, _)| p).sum::<f64>() / n;
        (said, bin.iter().filter(|(_, right)| *right).count() as f64 / n, n)
    });
    let bins: Vec<_> = bins.collect();
    let panel = panel(&curve.name, "said", "came true");
    let mut inner = panel.line(&[(0.0, 0.0), (1.0, 1.0)], "even");
    inner += &panel.line(&bins.iter().map(|(x, y, _)| (*x, *y)).collect::<Vec<_>>(), "curve");
    for (x, y, n) in bins {
        let (cx, cy) = panel.place(x, y);
        let _ = write!(
            inner,
            "<circle class=\"dot\" cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"3.5\"><title>said {x:.2}, true {y:.2}, {n} cases</title></circle>"
        );
    }
    picture(panel, inner)
}

/// Share of questions answered against the share of wrong ones among those, from the surest answer down.
pub fn risk_coverage(curve: &Curve) -> String {
    let mut order = curve.points.clone();
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    let n = order.len().max(1);
    let (mut wrong, mut dots) = (0.0, Vec::new());
    for (k, (_, right)) in order.iter().enumerate() {
        wrong += f64::from(u8::from(!right));
        if k % n.div_ceil(MOST_DOTS) == 0 || k + 1 == n {
            dots.push(((k + 1) as f64 / n as f64, wrong / (k + 1) as f64));
        }
    }
    let panel = panel(&curve.name, "answered", "wrong among them");
    let mut inner = [0.05, 0.1]
        .iter()
        .map(|risk| panel.line(&[(0.0, *risk), (1.0, *risk)], "even"))
        .collect::<String>();
    inner += &panel.line(&dots, "curve");
    picture(panel, inner)
}

fn panel(title: &str, across: &str, up: &str) -> Panel {
    Panel {
        title: title.to_owned(),
        across: across.to_owned(),
        up: up.to_owned(),
        size: (SIDE, SIDE),
        ends: (1.0, 1.0),
    }
}

fn picture(panel: Panel, inner: String) -> String {
    document(&panel.title.clone(), &[(panel, inner)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_show_what_was_said_and_what_came_true() {
        let curve = Curve {
            name: "a < b".into(),
            points: (0..100).map(|n| (f64::from(n) / 100.0, n % 100 < n)).collect(),
        };
        let (one, two) = (reliability(&curve), risk_coverage(&curve));
        assert_eq!(one.matches("<circle").count(), 15);
        assert!(one.contains("a &lt; b") && two.contains("class=\"curve\"") && two.contains("wrong among them"));
        assert!(
            risk_coverage(&Curve {
                name: String::new(),
                points: Vec::new()
            })
            .ends_with("</svg>\n")
        );
    }
}

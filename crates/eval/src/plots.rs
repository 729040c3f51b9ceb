//! Two pictures of probabilities: how often what was said with p came true (reliability), and how many of the given answers
//! are wrong when only the surest are given (risk and coverage). SVG, written by hand; light and dark follow the reader.

use std::fmt::Write as _;

use crate::report::Curve;

const SIDE: f64 = 300.0;
const LEFT: f64 = 52.0;
const TOP: f64 = 34.0;
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
    let mut inner = line(&[(0.0, 0.0), (1.0, 1.0)], "even");
    inner += &line(&bins.iter().map(|(x, y, _)| (*x, *y)).collect::<Vec<_>>(), "curve");
    for (x, y, n) in bins {
        let (cx, cy) = place(x, y);
        let _ = write!(
            inner,
            "<circle class=\"dot\" cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"3.5\"><title>said {x:.2}, true {y:.2}, {n} cases</title></circle>"
        );
    }
    picture(&curve.name, "said", "came true", &inner)
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
    let mut inner = [0.05, 0.1]
        .iter()
        .map(|risk| line(&[(0.0, *risk), (1.0, *risk)], "even"))
        .collect::<String>();
    inner += &line(&dots, "curve");
    picture(&curve.name, "answered", "wrong among them", &inner)
}

fn place(x: f64, y: f64) -> (f64, f64) {
    (LEFT + SIDE * x.clamp(0.0, 1.0), TOP + SIDE * (1.0 - y.clamp(0.0, 1.0)))
}

fn line(points: &[(f64, f64)], class: &str) -> String {
    let points = points.iter().map(|(x, y)| {
        let (x, y) = place(*x, *y);
        format!("{x:.1},{y:.1}")
    });
    format!(
        "<polyline class=\"{class}\" points=\"{}\"/>",
        points.collect::<Vec<_>>().join(" ")
    )
}

fn picture(title: &str, across: &str, up: &str, inner: &str) -> String {
    let (width, height) = (LEFT + SIDE + 20.0, TOP + SIDE + 48.0);
    let mut ticks = String::new();
    for k in 0..=5 {
        let at = f64::from(k) / 5.0;
        let (x, y) = place(at, at);
        let _ = write!(
            ticks,
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{at:.1}</text><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{at:.1}</text>",
            TOP + SIDE + 18.0,
            LEFT - 8.0,
            y + 4.0
        );
    }
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{label}\">\
<style>text{{font:12px system-ui,sans-serif;fill:#444}}.title{{font-weight:600}}rect{{fill:none;stroke:#bbb}}polyline{{fill:none}}.even{{stroke:#999;stroke-dasharray:4 4}}.curve{{stroke:#2563eb;stroke-width:2}}.dot{{fill:#2563eb}}\
@media(prefers-color-scheme:dark){{text{{fill:#ccc}}rect{{stroke:#555}}.curve{{stroke:#7aa2ff}}.dot{{fill:#7aa2ff}}}}</style>\
<text class=\"title\" x=\"{LEFT}\" y=\"20\">{title}</text><rect x=\"{LEFT}\" y=\"{TOP}\" width=\"{SIDE}\" height=\"{SIDE}\"/>{ticks}{inner}\
<text x=\"{mid}\" y=\"{below}\" text-anchor=\"middle\">{across}</text>\
<text transform=\"translate(14 {middle}) rotate(-90)\" text-anchor=\"middle\">{up}</text></svg>\n",
        label = title.replace('"', "&quot;"),
        mid = LEFT + SIDE / 2.0,
        below = TOP + SIDE + 38.0,
        middle = TOP + SIDE / 2.0,
    )
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

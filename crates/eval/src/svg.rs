//! Pictures with two axes, as SVG written by hand; light and dark follow the reader. What is drawn is the caller's affair.

use std::fmt::Write as _;

const LEFT: f64 = 52.0;
const TOP: f64 = 34.0;
const RIGHT: f64 = 20.0;
const BOTTOM: f64 = 48.0;
/// Steps between the marks of an axis, as near as round numbers come.
const MARKS: f64 = 5.0;

/// A frame with axes from zero.
#[derive(Debug, Clone)]
pub struct Panel {
    /// What it shows.
    pub title: String,
    /// What lies along the horizontal axis.
    pub across: String,
    /// What lies along the vertical axis; no marks are drawn where it is empty.
    pub up: String,
    /// Width and height of the frame.
    pub size: (f64, f64),
    /// The ends of both axes.
    pub ends: (f64, f64),
}

impl Panel {
    /// Width and height with axes and title.
    pub fn outer(&self) -> (f64, f64) {
        (LEFT + self.size.0 + RIGHT, TOP + self.size.1 + BOTTOM)
    }

    /// Where a point is drawn; what lies outside is drawn at the edge.
    pub fn place(&self, x: f64, y: f64) -> (f64, f64) {
        let part = |value: f64, end: f64| if end > 0.0 { (value / end).clamp(0.0, 1.0) } else { 0.0 };
        (
            LEFT + self.size.0 * part(x, self.ends.0),
            TOP + self.size.1 * (1.0 - part(y, self.ends.1)),
        )
    }

    /// A line through points, in a class of the style: `even` is pale and broken, `curve` is not.
    pub fn line(&self, points: &[(f64, f64)], class: &str) -> String {
        let points = points.iter().map(|(x, y)| {
            let (x, y) = self.place(*x, *y);
            format!("{x:.1},{y:.1}")
        });
        format!(
            "<polyline class=\"{class}\" points=\"{}\"/>",
            points.collect::<Vec<_>>().join(" ")
        )
    }

    /// The frame and its axes around what was drawn.
    pub fn draw(&self, inner: &str) -> String {
        let (right, bottom) = (LEFT + self.size.0, TOP + self.size.1);
        let mut marks = String::new();
        for at in steps(self.ends.0) {
            let (x, _) = self.place(at, 0.0);
            let _ = write!(
                marks,
                "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 18.0,
                mark(at, self.ends.0)
            );
        }
        for at in steps(self.ends.1).into_iter().filter(|_| !self.up.is_empty()) {
            let (_, y) = self.place(0.0, at);
            let _ = write!(
                marks,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                y + 4.0,
                mark(at, self.ends.1)
            );
        }
        format!(
            "<text class=\"title\" x=\"{LEFT}\" y=\"20\">{title}</text>\
<rect class=\"frame\" x=\"{LEFT}\" y=\"{TOP}\" width=\"{width}\" height=\"{height}\"/>{marks}{inner}\
<text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">{across}</text>\
<text transform=\"translate(14 {centre}) rotate(-90)\" text-anchor=\"middle\">{up}</text>",
            title = escape(&self.title),
            across = escape(&self.across),
            up = escape(&self.up),
            width = self.size.0,
            height = self.size.1,
            middle = f64::midpoint(LEFT, right),
            centre = f64::midpoint(TOP, bottom),
            below = bottom + 38.0,
        )
    }
}

/// Panels one below the other, as a whole file.
pub fn document(label: &str, panels: &[(Panel, String)]) -> String {
    let width = panels.iter().map(|(panel, _)| panel.outer().0).fold(0.0, f64::max);
    let height: f64 = panels.iter().map(|(panel, _)| panel.outer().1).sum();
    let (mut inner, mut top) = (String::new(), 0.0);
    for (panel, drawn) in panels {
        let _ = write!(inner, "<g transform=\"translate(0 {top})\">{}</g>", panel.draw(drawn));
        top += panel.outer().1;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{label}\">\
<style>text{{font:12px system-ui,sans-serif;fill:#444}}.title{{font-weight:600}}.frame{{fill:none;stroke:#bbb}}polyline{{fill:none}}.even{{stroke:#999;stroke-dasharray:4 4}}.curve{{stroke:#2563eb;stroke-width:2}}.dot{{fill:#2563eb}}.pale{{fill:#93b4f5}}.bad{{fill:#dc2626}}\
@media(prefers-color-scheme:dark){{text{{fill:#ccc}}.frame{{stroke:#555}}.curve{{stroke:#7aa2ff}}.dot{{fill:#7aa2ff}}.pale{{fill:#3b5488}}}}</style>\
{inner}</svg>\n",
        label = escape(label),
    )
}

/// Text as it may stand in SVG, in quotes too.
pub fn escape(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .map(|c| match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            c => c.to_string(),
        })
        .collect()
}

/// Round numbers from zero to `end`.
fn steps(end: f64) -> Vec<f64> {
    if !(end.is_finite() && end > 0.0) {
        return vec![0.0];
    }
    let rough = end / MARKS;
    let ten = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|n| n * ten)
        .into_iter()
        .find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(rough);
    (0..=(end / step * 1.001).floor() as usize)
        .map(|n| n as f64 * step)
        .collect()
}

fn mark(at: f64, end: f64) -> String {
    match end {
        end if end >= 10.0 => format!("{at:.0}"),
        end if end >= 0.5 => format!("{at:.1}"),
        _ => format!("{at:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_numbers_from_zero_to_the_end() {
        assert_eq!(steps(1.0).len(), 6);
        assert_eq!(steps(730.0), [0.0, 200.0, 400.0, 600.0]);
        assert_eq!(steps(0.0), [0.0]);
        assert_eq!((mark(0.4, 1.0), mark(200.0, 730.0)), ("0.4".into(), "200".into()));
    }

    #[test]
    fn points_outside_are_drawn_at_the_edge_and_names_cannot_leave_their_place() {
        let panel = Panel {
            title: "a <b> & \"c\"\n".into(),
            across: "x".into(),
            up: String::new(),
            size: (100.0, 50.0),
            ends: (10.0, 0.0),
        };
        assert_eq!(panel.place(20.0, 1.0), panel.place(10.0, 0.0));
        let drawn = document(&panel.title.clone(), &[(panel, String::new())]);
        assert!(
            drawn.contains("a &lt;b&gt; &amp; &quot;c&quot;<") && drawn.ends_with("</svg>\n"),
            "{drawn}"
        );
    }
}

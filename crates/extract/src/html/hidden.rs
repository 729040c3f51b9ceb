//! What a browser would not show: attributes, inline styles and the page's own simple style rules that hide an element. Such text
//! is left out, since whoever reads the page does not see it, and instructions to machines are put there.

use std::collections::HashSet;

use super::tree::{Id, ROOT, Tree};

/// The simple selectors (`tag`, `.class`, `#id`, `tag.class`) of a page whose rules hide what they match.
#[derive(Debug, Default)]
pub(crate) struct Hiding {
    selectors: HashSet<String>,
    /// Colours set by style sheets are not known here, so white text is no sign on a page that has any.
    styled: bool,
}

impl Hiding {
    pub(crate) fn of(tree: &Tree) -> Self {
        let mut hiding = Self::default();
        let mut rules_left = 20_000_usize;
        for id in tree.descendants(ROOT) {
            match tree.name(id) {
                "link" => {
                    hiding.styled |= tree
                        .attribute(id, "rel")
                        .is_some_and(|rel| rel.to_ascii_lowercase().contains("stylesheet"))
                }
                "style" => {
                    for sheet in tree.children(id).filter_map(|child| tree.text(child)) {
                        hiding.styled |= sheet.contains("background");
                        hiding.read(sheet, &mut rules_left);
                    }
                }
                _ => {}
            }
        }
        hiding
    }

    /// Rules at the top of a sheet; those inside `@media` and the like hold only sometimes.
    fn read(&mut self, sheet: &str, rules_left: &mut usize) {
        let mut rest = sheet;
        while let Some(open) = rest.find('{') {
            let Some(left) = rules_left.checked_sub(1) else { return };
            *rules_left = left;
            let selectors = rest[..open].rsplit(['}', ';']).next().unwrap_or_default();
            let selectors = selectors.rsplit("*/").next().unwrap_or_default().trim();
            let body = &rest[open + 1..];
            if selectors.starts_with('@') {
                let Some(end) = matching(body) else { return };
                rest = &body[end..];
                continue;
            }
            let end = body.find('}').unwrap_or(body.len());
            if hides(&body[..end], false) {
                for selector in selectors.split(',').map(str::trim) {
                    let simple = |c: char| c.is_alphanumeric() || "-_.#".contains(c);
                    let whole_page = ["html", "body", "*", ""].contains(&selector);
                    if !whole_page && selector.chars().all(simple) && self.selectors.len() < 5000 {
                        self.selectors.insert(selector.to_owned());
                    }
                }
            }
            rest = &body[end..];
        }
    }

    /// Whether this element is hidden by itself (its ancestors are asked before it).
    pub(crate) fn hides(&self, tree: &Tree, id: Id) -> bool {
        let name = tree.name(id);
        if name.is_empty() || name == "body" || name == "html" {
            return false;
        }
        if tree
            .attribute(id, "hidden")
            .is_some_and(|value| !value.eq_ignore_ascii_case("until-found"))
        {
            return true;
        }
        if tree
            .attribute(id, "style")
            .is_some_and(|style| hides(style, !self.styled && !has_background(tree, id)))
        {
            return true;
        }
        if name == "dialog" && tree.attribute(id, "open").is_none() {
            return true;
        }
        if self.selectors.is_empty() {
            return false;
        }
        let classes = tree.attribute(id, "class").unwrap_or_default();
        self.selectors.contains(name)
            || tree
                .attribute(id, "id")
                .is_some_and(|id| self.selectors.contains(&format!("#{id}")))
            || classes.split_ascii_whitespace().take(64).any(|class| {
                self.selectors.contains(&format!(".{class}")) || self.selectors.contains(&format!("{name}.{class}"))
            })
    }
}

/// Whether declarations make text invisible. `white_is_hidden`: nothing says that the ground is any colour but white.
fn hides(declarations: &str, white_is_hidden: bool) -> bool {
    if declarations.len() > 20_000 {
        return false;
    }
    let declarations = declarations.to_ascii_lowercase();
    let value_of = |wanted: &str| {
        declarations
            .split(';')
            .filter_map(|one| one.split_once(':'))
            .filter(|(key, _)| key.trim() == wanted)
            .map(|(_, value)| value.trim().trim_end_matches("!important").trim().to_owned())
            .next_back()
    };
    let is = |key: &str, values: &[&str]| value_of(key).is_some_and(|value| values.contains(&value.as_str()));
    let below = |key: &str, bound: f32| {
        value_of(key)
            .and_then(|value| length(&value))
            .is_some_and(|value| value <= bound)
    };
    let off_page = || {
        [
            "left",
            "top",
            "right",
            "bottom",
            "text-indent",
            "margin-left",
            "margin-top",
        ]
        .into_iter()
        .any(|key| below(key, -900.0))
    };
    is("display", &["none"])
        || is("visibility", &["hidden", "collapse"])
        || is("content-visibility", &["hidden"])
        || below("opacity", 0.02)
        || below("font-size", 1.5)
        || is("color", &["transparent", "rgba(0,0,0,0)", "rgba(0, 0, 0, 0)"])
        || off_page()
        || (value_of("clip").is_some_and(|clip| clip.starts_with("rect(0") || clip.starts_with("rect(1px"))
            && is("position", &["absolute", "fixed"]))
        || is("clip-path", &["inset(100%)", "inset(50%)"])
        || is("transform", &["scale(0)"])
        || ((below("height", 1.5) || below("max-height", 0.0) || below("width", 1.5)) && is("overflow", &["hidden"]))
        || same_colours(
            value_of("color"),
            value_of("background-color").or_else(|| value_of("background")),
            white_is_hidden,
        )
}

fn same_colours(text: Option<String>, ground: Option<String>, white_is_hidden: bool) -> bool {
    let Some(text) = text else { return false };
    match ground {
        Some(ground) => plain_colour(&ground) == plain_colour(&text),
        None => white_is_hidden && plain_colour(&text) == "#ffffff",
    }
}

/// A colour in one spelling, for the few that matter.
fn plain_colour(colour: &str) -> String {
    let packed: String = colour.chars().filter(|c| !c.is_whitespace()).collect();
    match packed.as_str() {
        "white" | "#fff" | "rgb(255,255,255)" | "#fefefe" => "#ffffff".into(),
        "black" | "#000" | "rgb(0,0,0)" => "#000000".into(),
        _ => packed,
    }
}

/// A CSS length in pixels, roughly; only whether it is tiny or far off counts.
fn length(value: &str) -> Option<f32> {
    let end = value
        .find(|c: char| !(c.is_ascii_digit() || "+-.".contains(c)))
        .unwrap_or(value.len());
    let number: f32 = value[..end].parse().ok()?;
    match &value[end..] {
        "em" | "rem" => Some(number * 16.0),
        "" | "px" | "pt" => Some(number),
        "%" if number < -99.0 => Some(number * 10.0),
        "%" if number == 0.0 => Some(0.0),
        _ => None,
    }
}

fn has_background(tree: &Tree, id: Id) -> bool {
    std::iter::successors(tree.parent(id), |id| tree.parent(*id))
        .take(200)
        .any(|id| {
            tree.attribute(id, "bgcolor").is_some()
                || tree
                    .attribute(id, "style")
                    .is_some_and(|style| style.contains("background"))
        })
}

/// Where the block that has just been opened closes.
fn matching(body: &str) -> Option<usize> {
    let mut depth = 1_usize;
    body.bytes().position(|b| {
        match b {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        depth == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::tree::parse;

    fn hidden_words(html: &str) -> String {
        let tree = parse(html, 512).unwrap();
        let hiding = Hiding::of(&tree);
        let hidden = |id| std::iter::successors(Some(id), |id| tree.parent(*id)).any(|id| hiding.hides(&tree, id));
        tree.descendants(ROOT)
            .filter(|id| hidden(*id))
            .filter_map(|id| tree.text(id))
            .collect()
    }

    #[test]
    fn every_usual_way_to_hide_text_is_seen() {
        for html in [
            "<p hidden>x</p>",
            "<p style='display:none'>x</p>",
            "<p style='DISPLAY : none !important'>x</p>",
            "<p style='visibility:hidden'>x",
            "<span style='font-size:0'>x</span>",
            "<span style='font-size:1px'>x</span>",
            "<p style='opacity:0'>x",
            "<p style='color:#fff'>x",
            "<p style='color:white;background:#ffffff'>x",
            "<p style='position:absolute;left:-9999px'>x",
            "<p style='text-indent:-9999em'>x",
            "<p style='position:absolute;clip:rect(0 0 0 0)'>x",
            "<p style='height:0;overflow:hidden'>x",
            "<p style='color:transparent'>x",
            "<style>.a, p.b{color:red}</style><style>/* c */ .c, #d { display:none }</style><i class='z c'>x</i>",
            "<style>#d{visibility:hidden}</style><i id=d>x",
            "<style>@media print{p{display:none}} i.b{display:none}</style><i class=b>x</i>",
            "<dialog>x</dialog>",
            "<div hidden><p>x</p></div>",
        ] {
            assert_eq!(hidden_words(html), "x", "{html}");
        }
    }

    #[test]
    fn what_is_shown_is_not_taken_for_hidden() {
        for html in [
            "<p style='display:block'>x",
            "<p style='color:#fff;background:#000'>x",
            "<div style='background:navy'><p style='color:white'>x",
            "<link rel=stylesheet href=a.css><p style='color:white'>x",
            "<style>@media print{p{display:none}}</style><p>x",
            "<p style='font-size:12px'>x",
            "<style>body{opacity:0}</style><p>x",
            "<style>.a .b{display:none}</style><p class=b>x",
            "<dialog open>x</dialog>",
            "<p style='top:-5px'>x",
            "<style>{{{}}}@{;p{display:none",
            "<p style='width:100%;overflow:hidden'>x",
        ] {
            assert_eq!(hidden_words(html), "", "{html}");
        }
    }
}

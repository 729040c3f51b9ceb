//! Which part of a page is read: what is hidden, what is a menu, and whether leaving them out leaves enough.

use std::collections::HashSet;

use super::hidden::Hiding;
use super::tree::{Id, ROOT, Tree};
use crate::text::Writer;

/// Elements whose text is no text of the page.
const NEVER: [&str; 20] = [
    "script",
    "style",
    "template",
    "noscript",
    "head",
    "iframe",
    "object",
    "embed",
    "svg",
    "canvas",
    "audio",
    "video",
    "select",
    "button",
    "textarea",
    "datalist",
    "annotation",
    "annotation-xml",
    "input",
    "noframes",
];
/// Names in `class` and `id` that go with menus and page furniture, where the block is also mostly links.
const FURNITURE: [&str; 14] = [
    "nav",
    "menu",
    "sidebar",
    "footer",
    "breadcrumb",
    "toc",
    "share",
    "social",
    "related",
    "cookie",
    "banner",
    "pager",
    "pagination",
    "toolbar",
];

/// What to read.
pub(crate) struct Plan {
    pub(crate) root: Id,
    pub(crate) skip: HashSet<Id>,
    hidden: usize,
    shown_after_all: bool,
    furniture: usize,
    scripts: bool,
}

impl Plan {
    pub(crate) fn say(&self, out: &mut Writer) {
        if self.shown_after_all {
            out.note("most of this page is hidden until a script shows it; its text was kept");
        } else if self.hidden > 0 {
            out.note(format!(
                "hidden text ({} characters) that a reader of the page does not see was left out",
                self.hidden
            ));
        }
        if self.furniture > 0 {
            out.note(format!(
                "menus and side matter ({} characters) were left out",
                self.furniture
            ));
        }
    }

    pub(crate) fn why_empty(&self) -> &'static str {
        if self.scripts {
            "a script would have to write it, and scripts are not run"
        } else {
            "there are no words on it"
        }
    }
}

/// Sizes of one subtree: characters of text, and how many of them are links.
#[derive(Clone, Copy, Default)]
struct Size {
    text: usize,
    links: usize,
}

/// Everything but what is hidden.
pub(crate) fn everything(tree: &Tree) -> Plan {
    let sizes = measure(tree, &HashSet::new());
    let hiding = Hiding::of(tree);
    let mut skip = HashSet::new();
    let mut hidden = 0;
    let mut at = Some(ROOT);
    while let Some(id) = at {
        let out = NEVER.contains(&tree.name(id));
        let unseen = !out && hiding.hides(tree, id);
        // Formulas are hidden for the eye and shown as pictures of themselves; their text is what the eye sees.
        let formula = unseen
            && tree
                .attribute(id, "class")
                .is_some_and(|class| class.contains("mathml"));
        if unseen && !formula {
            hidden += sizes[id].text;
        }
        if out || (unseen && !formula) {
            skip.insert(id);
        }
        at = tree.following(ROOT, id, !skip.contains(&id));
    }
    let all = sizes[ROOT].text;
    let scripts = tree.descendants(ROOT).any(|id| tree.name(id) == "script");
    let mut plan = Plan {
        root: ROOT,
        skip,
        hidden,
        shown_after_all: false,
        furniture: 0,
        scripts,
    };
    if all > 200 && hidden * 2 > all {
        plan.skip.retain(|id| NEVER.contains(&tree.name(*id)));
        plan.shown_after_all = true;
    }
    plan
}

/// The content of a page without its menus.
pub(crate) fn plan(tree: &Tree) -> Plan {
    let mut plan = everything(tree);
    let sizes = measure(tree, &plan.skip);
    let all = sizes[ROOT].text;
    let root = chosen_root(tree, &plan, &sizes);
    let mut left_out = HashSet::new();
    let mut kept = sizes[root].text;
    let mut at = Some(root);
    while let Some(id) = at {
        let skip = plan.skip.contains(&id);
        let side = !skip && id != root && is_furniture(tree, id, sizes[id], root);
        if side {
            kept = kept.saturating_sub(sizes[id].text);
            left_out.insert(id);
        }
        at = tree.following(root, id, !skip && !side);
    }
    if kept * 3 >= all && (kept >= 200 || kept * 10 >= all * 8) {
        plan.root = root;
        plan.skip.extend(left_out);
        plan.furniture = all - kept;
    }
    plan
}

/// The element that the page itself calls its content, if it holds a fair part of the words.
fn chosen_root(tree: &Tree, plan: &Plan, sizes: &[Size]) -> Id {
    let mut best = None;
    let mut articles = 0_usize;
    let mut article = None;
    let mut at = Some(ROOT);
    while let Some(id) = at {
        let skip = plan.skip.contains(&id);
        if !skip {
            let main = tree.name(id) == "main" || tree.attribute(id, "role") == Some("main");
            if main && best.is_none_or(|best: Id| sizes[id].text > sizes[best].text) {
                best = Some(id);
            }
            if tree.name(id) == "article" {
                articles += 1;
                article = article.or(Some(id));
            }
        }
        at = tree.following(ROOT, id, !skip);
    }
    let best = best.or(article.filter(|_| articles == 1));
    best.filter(|best| sizes[*best].text * 3 >= sizes[ROOT].text)
        .unwrap_or(ROOT)
}

fn is_furniture(tree: &Tree, id: Id, size: Size, root: Id) -> bool {
    let name = tree.name(id);
    let role = tree.attribute(id, "role").unwrap_or_default();
    if name == "nav" || matches!(role, "navigation" | "search" | "contentinfo" | "menu" | "menubar") {
        return true;
    }
    let of_page = || {
        !std::iter::successors(tree.parent(id), |id| tree.parent(*id))
            .take_while(|id| *id != root)
            .take(100)
            .any(|id| matches!(tree.name(id), "article" | "section" | "main" | "blockquote"))
    };
    if name == "aside" || role == "complementary" || role == "banner" {
        return true;
    }
    if name == "footer" && of_page() {
        return true;
    }
    if name == "header" && of_page() && !tree.descendants(id).take(2000).any(|id| tree.name(id) == "h1") {
        return true;
    }
    if matches!(name, "div" | "ul" | "ol" | "section" | "td" | "table" | "p")
        && size.text > 0
        && size.links * 10 > size.text * 6
    {
        let names = [tree.attribute(id, "class"), tree.attribute(id, "id")];
        return names.into_iter().flatten().any(|names| {
            let names = names.to_ascii_lowercase();
            names.len() < 2000 && FURNITURE.iter().any(|furniture| names.contains(furniture))
        });
    }
    false
}

/// The sizes of all subtrees, in one pass from the leaves up.
fn measure(tree: &Tree, skip: &HashSet<Id>) -> Vec<Size> {
    let mut sizes = vec![Size::default(); tree.len()];
    let mut order = Vec::with_capacity(tree.len());
    let mut at = Some(ROOT);
    while let Some(id) = at {
        let skipped = skip.contains(&id) || NEVER.contains(&tree.name(id));
        if !skipped {
            order.push(id);
            if let Some(text) = tree.text(id) {
                sizes[id].text = text.chars().filter(|c| !c.is_whitespace()).count();
            }
        }
        at = tree.following(ROOT, id, !skipped);
    }
    for id in order.into_iter().rev() {
        if tree.name(id) == "a" && tree.attribute(id, "href").is_some() {
            sizes[id].links = sizes[id].text;
        }
        if let Some(parent) = tree.parent(id) {
            let Size { text, links } = sizes[id];
            sizes[parent].text += text;
            sizes[parent].links += links;
        }
    }
    sizes
}

//! An HTML tree in one vector: what html5ever's parser builds, with no pointers to free and nothing that recurses. Scripts are
//! text to it; nothing runs and nothing is fetched.

use std::borrow::Cow;
use std::cell::{Cell, Ref, RefCell};
use std::rc::Rc;

use html5ever::interface::tree_builder::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::{Attribute, QualName};

/// A node by its place in the vector.
pub(crate) type Id = usize;

/// What a node is.
#[derive(Debug)]
pub(crate) enum Data {
    Document,
    Element {
        name: QualName,
        attributes: Vec<Attribute>,
    },
    Text(String),
    /// Comments, instructions, doctypes: kept, so that their handles stay valid.
    Nothing,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) data: Data,
    parent: Option<Id>,
    first: Option<Id>,
    last: Option<Id>,
    previous: Option<Id>,
    next: Option<Id>,
}

/// A parsed page.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
}

/// The document is the first node.
pub(crate) const ROOT: Id = 0;

/// So much is parsed before the depth is looked at again.
const STEP: usize = 16 << 10;

/// Parses a page or a fragment of one: the parser supplies what is missing. `None` where elements lie more than `deepest` deep in
/// each other: the parser looks through all open elements at every tag, so that depth costs time squared.
pub(crate) fn parse(html: &str, deepest: usize) -> Option<Tree> {
    let depth = Rc::new(Cell::new(0));
    let sink = Sink {
        nodes: RefCell::new(vec![Node::of(Data::Document)]),
        depths: RefCell::new(vec![0]),
        depth: depth.clone(),
    };
    let mut parser = html5ever::parse_document(sink, html5ever::ParseOpts::default());
    let mut rest = html;
    while !rest.is_empty() && depth.get() <= deepest {
        let (step, after) = rest.split_at(rest.floor_char_boundary(STEP));
        parser.process(StrTendril::from(step));
        rest = after;
    }
    let tree = parser.finish();
    (depth.get() <= deepest).then_some(tree)
}

impl Node {
    fn of(data: Data) -> Self {
        Self {
            data,
            parent: None,
            first: None,
            last: None,
            previous: None,
            next: None,
        }
    }
}

impl Tree {
    /// The element's local name; empty for what is none.
    pub(crate) fn name(&self, id: Id) -> &str {
        match &self.nodes[id].data {
            Data::Element { name, .. } => &name.local,
            _ => "",
        }
    }

    pub(crate) fn attribute(&self, id: Id, key: &str) -> Option<&str> {
        match &self.nodes[id].data {
            Data::Element { attributes, .. } => attributes.iter().find(|a| &*a.name.local == key).map(|a| &*a.value),
            _ => None,
        }
    }

    pub(crate) fn text(&self, id: Id) -> Option<&str> {
        match &self.nodes[id].data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn parent(&self, id: Id) -> Option<Id> {
        self.nodes[id].parent
    }

    pub(crate) fn children(&self, id: Id) -> impl Iterator<Item = Id> {
        std::iter::successors(self.nodes[id].first, |id| self.nodes[*id].next)
    }

    /// The node after `id` in document order, within `root`; its own children are passed over where `deeper` is false.
    pub(crate) fn following(&self, root: Id, id: Id, deeper: bool) -> Option<Id> {
        if deeper && let Some(first) = self.nodes[id].first {
            return Some(first);
        }
        let mut id = id;
        while id != root {
            if let Some(next) = self.nodes[id].next {
                return Some(next);
            }
            id = self.nodes[id].parent?;
        }
        None
    }

    /// All nodes of the subtree in document order, `root` first.
    pub(crate) fn descendants(&self, root: Id) -> impl Iterator<Item = Id> {
        std::iter::successors(Some(root), move |id| self.following(root, *id, true))
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }
}

/// Takes the parser's orders. The parser holds it shared, so the vector sits in a cell.
struct Sink {
    nodes: RefCell<Vec<Node>>,
    /// How deep each node lay when it was put in.
    depths: RefCell<Vec<usize>>,
    /// The deepest of them.
    depth: Rc<Cell<usize>>,
}

impl Sink {
    fn add(&self, data: Data) -> Id {
        let mut nodes = self.nodes.borrow_mut();
        nodes.push(Node::of(data));
        nodes.len() - 1
    }

    fn detach(nodes: &mut [Node], id: Id) {
        let (parent, previous, next) = (
            nodes[id].parent.take(),
            nodes[id].previous.take(),
            nodes[id].next.take(),
        );
        match previous {
            Some(previous) => nodes[previous].next = next,
            None => parent.into_iter().for_each(|parent| nodes[parent].first = next),
        }
        match next {
            Some(next) => nodes[next].previous = previous,
            None => parent.into_iter().for_each(|parent| nodes[parent].last = previous),
        }
    }

    fn append_node(nodes: &mut [Node], parent: Id, id: Id) {
        Self::detach(nodes, id);
        let last = nodes[parent].last.replace(id);
        nodes[id].parent = Some(parent);
        nodes[id].previous = last;
        match last {
            Some(last) => nodes[last].next = Some(id),
            None => nodes[parent].first = Some(id),
        }
    }

    /// Adds text to a text node, if that is what stands there.
    fn merge(nodes: &mut [Node], at: Option<Id>, text: &str) -> bool {
        match at.map(|at| &mut nodes[at].data) {
            Some(Data::Text(before)) => {
                before.push_str(text);
                true
            }
            _ => false,
        }
    }
}

impl TreeSink for Sink {
    type Handle = Id;
    type Output = Tree;
    type ElemName<'a> = Ref<'a, QualName>;

    fn finish(self) -> Tree {
        Tree {
            nodes: self.nodes.into_inner(),
        }
    }

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn get_document(&self) -> Id {
        ROOT
    }

    fn elem_name<'a>(&'a self, id: &'a Id) -> Ref<'a, QualName> {
        Ref::map(self.nodes.borrow(), |nodes| match &nodes[*id].data {
            Data::Element { name, .. } => name,
            _ => unreachable!("the parser asks for names of elements alone"),
        })
    }

    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, _: ElementFlags) -> Id {
        self.add(Data::Element { name, attributes })
    }

    fn create_comment(&self, _: StrTendril) -> Id {
        self.add(Data::Nothing)
    }

    fn create_pi(&self, _: StrTendril, _: StrTendril) -> Id {
        self.add(Data::Nothing)
    }

    fn append(&self, parent: &Id, child: NodeOrText<Id>) {
        let mut nodes = self.nodes.borrow_mut();
        match child {
            NodeOrText::AppendNode(id) => {
                let mut depths = self.depths.borrow_mut();
                depths.resize(nodes.len(), 0);
                depths[id] = depths[*parent] + 1;
                self.depth.set(self.depth.get().max(depths[id]));
                Self::append_node(&mut nodes, *parent, id);
            }
            NodeOrText::AppendText(text) => {
                let last = nodes[*parent].last;
                if !Self::merge(&mut nodes, last, &text) {
                    nodes.push(Node::of(Data::Text(text.to_string())));
                    let id = nodes.len() - 1;
                    Self::append_node(&mut nodes, *parent, id);
                }
            }
        }
    }

    fn append_based_on_parent_node(&self, element: &Id, previous: &Id, child: NodeOrText<Id>) {
        let has_parent = self.nodes.borrow()[*element].parent.is_some();
        if has_parent {
            self.append_before_sibling(element, child)
        } else {
            self.append(previous, child)
        }
    }

    fn append_doctype_to_document(&self, _: StrTendril, _: StrTendril, _: StrTendril) {}

    fn get_template_contents(&self, target: &Id) -> Id {
        // A template's contents become its children; no reader walks into templates.
        *target
    }

    fn same_node(&self, x: &Id, y: &Id) -> bool {
        x == y
    }

    fn set_quirks_mode(&self, _: QuirksMode) {}

    fn append_before_sibling(&self, sibling: &Id, child: NodeOrText<Id>) {
        let mut nodes = self.nodes.borrow_mut();
        let id = match child {
            NodeOrText::AppendNode(id) => id,
            NodeOrText::AppendText(text) => {
                let previous = nodes[*sibling].previous;
                if Self::merge(&mut nodes, previous, &text) {
                    return;
                }
                nodes.push(Node::of(Data::Text(text.to_string())));
                nodes.len() - 1
            }
        };
        Self::detach(&mut nodes, id);
        let (parent, previous) = (nodes[*sibling].parent, nodes[*sibling].previous);
        nodes[id].parent = parent;
        nodes[id].next = Some(*sibling);
        nodes[id].previous = previous;
        nodes[*sibling].previous = Some(id);
        match (previous, parent) {
            (Some(previous), _) => nodes[previous].next = Some(id),
            (None, Some(parent)) => nodes[parent].first = Some(id),
            (None, None) => {}
        }
    }

    fn add_attrs_if_missing(&self, target: &Id, more: Vec<Attribute>) {
        if let Data::Element { attributes, .. } = &mut self.nodes.borrow_mut()[*target].data {
            for attribute in more {
                if !attributes.iter().any(|has| has.name == attribute.name) {
                    attributes.push(attribute);
                }
            }
        }
    }

    fn remove_from_parent(&self, target: &Id) {
        Self::detach(&mut self.nodes.borrow_mut(), *target);
    }

    fn reparent_children(&self, node: &Id, parent: &Id) {
        let mut nodes = self.nodes.borrow_mut();
        while let Some(child) = nodes[*node].first {
            Self::append_node(&mut nodes, *parent, child);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(html: &str) -> String {
        let tree = parse(html, 4096).unwrap();
        tree.descendants(ROOT).filter_map(|id| tree.text(id)).collect()
    }

    #[test]
    fn text_comes_in_document_order_however_broken_the_markup() {
        assert_eq!(text_of("<p>one<b>two<p>three</b>four"), "onetwothreefour");
        assert_eq!(text_of("<table>a<tr><td>b</table>c"), "abc");
        assert_eq!(text_of("<!-- x --><?y?>z"), "z");
    }

    #[test]
    fn a_hundred_thousand_open_elements_are_refused_quickly() {
        let html = "<div>".repeat(100_000) + "deep";
        assert!(parse(&html, 4096).is_none());
        let html = "<div>".repeat(3000) + "deep";
        assert_eq!(text_of(&html), "deep");
    }
}

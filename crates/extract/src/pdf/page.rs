//! One page of a PDF: its content stream, run as far as text needs, gives characters with their places. What a reader does not see
//! (drawn invisibly, in white on a bare page, too small, outside the page, on a layer that is off) is told apart.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use lopdf::content::{Content, Operation};
use lopdf::{Dictionary, Document, Object, ObjectId};

use super::font::Font;

/// Forms drawn in forms, deeper than any document nests them.
const DEEPEST_FORM: usize = 12;
/// More operations than any page needs.
const MOST_OPERATIONS: usize = 20_000_000;

/// A character at its place, in points, y upwards.
#[derive(Debug, Clone)]
pub(super) struct Glyph {
    pub(super) text: String,
    pub(super) x0: f32,
    pub(super) x1: f32,
    pub(super) y: f32,
    pub(super) size: f32,
    pub(super) bold: bool,
    /// Quarter turns of its baseline.
    pub(super) turn: u8,
}

/// What a page shows.
#[derive(Default)]
pub(super) struct Page {
    pub(super) glyphs: Vec<Glyph>,
    /// Drawn with rendering mode 3: the words that text recognition has put under a scan, or hidden ones.
    pub(super) invisible: Vec<Glyph>,
    /// Characters that cannot be seen and were left out.
    pub(super) hidden: usize,
    pub(super) images: usize,
    /// Characters shown, and those of them that no map gives a meaning.
    pub(super) shown: usize,
    pub(super) unmapped: usize,
    white: Vec<Glyph>,
    painted: bool,
    operations: usize,
}

type Matrix = [f32; 6];

/// `a` applied before `b`.
fn times(a: Matrix, b: Matrix) -> Matrix {
    [
        a[0] * b[0] + a[1] * b[2],
        a[0] * b[1] + a[1] * b[3],
        a[2] * b[0] + a[3] * b[2],
        a[2] * b[1] + a[3] * b[3],
        a[4] * b[0] + a[5] * b[2] + b[4],
        a[4] * b[1] + a[5] * b[3] + b[5],
    ]
}

const IDENTITY: Matrix = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];

#[derive(Clone)]
struct State {
    ctm: Matrix,
    font: Option<Rc<Font>>,
    size: f32,
    spacing: f32,
    word_spacing: f32,
    stretch: f32,
    leading: f32,
    rise: f32,
    mode: i64,
    white: bool,
}

/// A piece of marked content: hidden, replaced by a text of its own, or neither.
enum Marked {
    Plain,
    Hidden,
    Actual { text: String, shown: Vec<(Glyph, Seen)> },
}

/// How a character meets the eye.
#[derive(Clone, Copy)]
enum Seen {
    Plainly,
    White,
    Invisibly,
    Not,
}

/// Fonts of a document by their object, kept from page to page.
pub(super) type Fonts = HashMap<ObjectId, Rc<Font>>;

pub(super) struct Interpreter<'a> {
    pub(super) doc: &'a Document,
    pub(super) fonts: &'a mut Fonts,
    /// Layers that are off.
    pub(super) off: &'a HashSet<ObjectId>,
    pub(super) limit: usize,
    pub(super) page: Page,
    bounds: [f32; 4],
    marked: Vec<Marked>,
}

impl<'a> Interpreter<'a> {
    pub(super) fn new(doc: &'a Document, fonts: &'a mut Fonts, off: &'a HashSet<ObjectId>, limit: usize) -> Self {
        Self {
            doc,
            fonts,
            off,
            limit,
            page: Page::default(),
            bounds: [f32::MIN, f32::MIN, f32::MAX, f32::MAX],
            marked: Vec::new(),
        }
    }

    /// Runs a page; what it shows stands in `page` afterwards, complete or up to where it breaks.
    pub(super) fn run(mut self, id: ObjectId) -> Result<Page, lopdf::Error> {
        if let Some(bounds) = inherited(self.doc, id, b"CropBox")
            .or_else(|| inherited(self.doc, id, b"MediaBox"))
            .and_then(|object| rectangle(self.doc, object))
        {
            self.bounds = bounds;
        }
        let (own, ids) = self.doc.get_page_resources(id)?;
        let resources: Vec<&Dictionary> = own
            .into_iter()
            .chain(ids.into_iter().filter_map(|id| self.doc.get_dictionary(id).ok()))
            .collect();
        let content = self.doc.get_page_content_with_limit(id, self.limit)?;
        self.stream(&content, &resources, IDENTITY, 0);
        let mut page = self.page;
        // White words on a page where nothing else is painted cannot be seen.
        if page.painted || page.images > 0 {
            page.glyphs.append(&mut page.white);
        } else {
            page.hidden += page.white.iter().map(|glyph| glyph.text.chars().count()).sum::<usize>();
        }
        Ok(page)
    }

    fn stream(&mut self, content: &[u8], resources: &[&'a Dictionary], ctm: Matrix, depth: usize) {
        let mut state = State {
            ctm,
            font: None,
            size: 1.0,
            spacing: 0.0,
            word_spacing: 0.0,
            stretch: 1.0,
            leading: 0.0,
            rise: 0.0,
            mode: 0,
            white: false,
        };
        let mut saved: Vec<State> = Vec::new();
        let (mut tm, mut line) = (IDENTITY, IDENTITY);
        let marked_before = self.marked.len();
        for operation in Content::decode_iter(content) {
            let Ok(operation) = operation else { break };
            self.page.operations += 1;
            if self.page.operations > MOST_OPERATIONS {
                break;
            }
            let n = |at: usize| {
                operation
                    .operands
                    .get(at)
                    .and_then(|object| object.as_float().ok())
                    .filter(|n| n.is_finite())
                    .unwrap_or(0.0)
            };
            let matrix = || [n(0), n(1), n(2), n(3), n(4), n(5)];
            match operation.operator.as_str() {
                "q" if saved.len() < 512 => saved.push(state.clone()),
                "Q" => state = saved.pop().unwrap_or(state),
                "cm" => state.ctm = times(matrix(), state.ctm),
                "BT" => (tm, line) = (IDENTITY, IDENTITY),
                "Tf" => {
                    state.size = n(1);
                    state.font = operation
                        .operands
                        .first()
                        .and_then(|name| name.as_name().ok())
                        .and_then(|name| self.font(resources, name));
                }
                "Tc" => state.spacing = n(0),
                "Tw" => state.word_spacing = n(0),
                "Tz" => state.stretch = n(0) / 100.0,
                "TL" => state.leading = n(0),
                "Ts" => state.rise = n(0),
                "Tr" => state.mode = n(0) as i64,
                "Tm" => (tm, line) = (matrix(), matrix()),
                "Td" | "TD" => {
                    if operation.operator == "TD" {
                        state.leading = -n(1);
                    }
                    line = times([1.0, 0.0, 0.0, 1.0, n(0), n(1)], line);
                    tm = line;
                }
                "T*" | "'" | "\"" => {
                    if operation.operator == "\"" {
                        (state.word_spacing, state.spacing) = (n(0), n(1));
                    }
                    line = times([1.0, 0.0, 0.0, 1.0, 0.0, -state.leading], line);
                    tm = line;
                    if let Some(Object::String(bytes, _)) = operation.operands.last() {
                        self.show(bytes, &state, &mut tm);
                    }
                }
                "Tj" => {
                    if let Some(Object::String(bytes, _)) = operation.operands.first() {
                        self.show(bytes, &state, &mut tm);
                    }
                }
                "TJ" => {
                    for object in operation
                        .operands
                        .first()
                        .and_then(|array| array.as_array().ok())
                        .into_iter()
                        .flatten()
                    {
                        if let Object::String(bytes, _) = object {
                            self.show(bytes, &state, &mut tm);
                        } else if let Ok(back) = object.as_float() {
                            let by = -back / 1000.0 * state.size * state.stretch;
                            tm = times([1.0, 0.0, 0.0, 1.0, by, 0.0], tm);
                        }
                    }
                }
                "g" => state.white = n(0) > 0.98,
                "rg" => state.white = n(0).min(n(1)).min(n(2)) > 0.98,
                "k" => state.white = n(0).max(n(1)).max(n(2)).max(n(3)) < 0.02,
                "sc" | "scn" => {
                    state.white = match operation.operands.len() {
                        1 => n(0) > 0.98 && operation.operands[0].as_float().is_ok(),
                        3 => n(0).min(n(1)).min(n(2)) > 0.98,
                        4 => n(0).max(n(1)).max(n(2)).max(n(3)) < 0.02,
                        _ => false,
                    };
                }
                "cs" => state.white = false,
                "f" | "F" | "f*" | "B" | "B*" | "b" | "b*" => self.page.painted |= !state.white,
                "sh" => self.page.painted = true,
                "BI" | "EI" => self.page.images += 1,
                "BMC" | "BDC" if self.marked.len() < 4096 => self.begin_marked(&operation, resources),
                "EMC" if self.marked.len() > marked_before => self.end_marked(),
                "Do" => {
                    if let Some(name) = operation.operands.first().and_then(|name| name.as_name().ok()) {
                        self.draw(name, resources, &state, depth);
                    }
                }
                _ => {}
            }
        }
        while self.marked.len() > marked_before {
            self.end_marked();
        }
    }

    fn draw(&mut self, name: &[u8], resources: &[&'a Dictionary], state: &State, depth: usize) {
        let Some(Object::Stream(object)) = lookup(self.doc, resources, b"XObject", name) else {
            return;
        };
        if object
            .dict
            .get(b"OC")
            .and_then(Object::as_reference)
            .is_ok_and(|layer| self.off.contains(&layer))
        {
            return;
        }
        match object.dict.get(b"Subtype").and_then(Object::as_name) {
            Ok(b"Image") => self.page.images += 1,
            Ok(b"Form") if depth < DEEPEST_FORM => {
                let Ok(content) = object.decompressed_content_with_limit(self.limit) else {
                    return;
                };
                let numbers = object
                    .dict
                    .get_deref(b"Matrix", self.doc)
                    .and_then(Object::as_array)
                    .ok();
                let mut matrix = IDENTITY;
                for (slot, number) in matrix.iter_mut().zip(numbers.into_iter().flatten()) {
                    *slot = number.as_float().unwrap_or(*slot);
                }
                let own = object
                    .dict
                    .get_deref(b"Resources", self.doc)
                    .and_then(Object::as_dict)
                    .ok();
                let own: Vec<&Dictionary> = own.map_or_else(|| resources.to_vec(), |own| vec![own]);
                self.stream(&content, &own, times(matrix, state.ctm), depth + 1);
            }
            _ => {}
        }
    }

    fn font(&mut self, resources: &[&'a Dictionary], name: &[u8]) -> Option<Rc<Font>> {
        let fonts = resources.iter().find_map(|from| {
            from.get_deref(b"Font", self.doc)
                .and_then(Object::as_dict)
                .ok()
                .filter(|fonts| fonts.has(name))
        })?;
        let id = fonts.get(name).and_then(Object::as_reference).ok();
        if let Some(font) = id.and_then(|id| self.fonts.get(&id)) {
            return Some(font.clone());
        }
        let font = Rc::new(Font::load(
            self.doc,
            fonts.get_deref(name, self.doc).and_then(Object::as_dict).ok()?,
            self.limit,
        ));
        id.into_iter().for_each(|id| drop(self.fonts.insert(id, font.clone())));
        Some(font)
    }

    fn show(&mut self, bytes: &[u8], state: &State, tm: &mut Matrix) {
        let Some(font) = state.font.clone() else { return };
        let hidden = self.marked.iter().any(|marked| matches!(marked, Marked::Hidden));
        font.show(bytes, |shown| {
            let place = times(
                [state.size * state.stretch, 0.0, 0.0, state.size, 0.0, state.rise],
                times(*tm, state.ctm),
            );
            let advance =
                (shown.width * state.size + state.spacing + if shown.space { state.word_spacing } else { 0.0 })
                    * state.stretch;
            *tm = times([1.0, 0.0, 0.0, 1.0, advance, 0.0], *tm);
            if !hidden {
                self.place(shown, place, state, &font);
            }
        });
    }

    fn place(&mut self, shown: super::font::Shown, place: Matrix, state: &State, font: &Font) {
        self.page.shown += 1;
        let Some(text) = shown.text.filter(|text| !text.is_empty()) else {
            self.page.unmapped += 1;
            return;
        };
        self.page.unmapped += usize::from(font.unmapped && !text.trim().is_empty());
        let [a, b, c, d, x, y] = place;
        let size = (a * d - b * c).abs().sqrt();
        if !(size.is_finite() && x.is_finite() && y.is_finite()) {
            return;
        }
        let turn = if a.abs() >= b.abs() {
            if a >= 0.0 { 0 } else { 2 }
        } else if b > 0.0 {
            1
        } else {
            3
        };
        // In the frame in which the baseline runs to the right.
        let (x, y, run) = match turn {
            0 => (x, y, a),
            1 => (y, -x, b),
            2 => (-x, -y, -a),
            _ => (-y, x, -b),
        };
        let glyph = Glyph {
            text: plain_ligatures(text),
            x0: x,
            x1: x + shown.width * run.abs(),
            y,
            size,
            bold: font.bold,
            turn,
        };
        let [left, bottom, right, top] = self.bounds;
        let inside = place[4] > left - 2.0 && place[4] < right + 2.0 && place[5] > bottom - 2.0 && place[5] < top + 2.0;
        let seen = match state.mode {
            _ if size < 1.0 || !inside => Seen::Not,
            3 | 7 => Seen::Invisibly,
            _ if state.white => Seen::White,
            _ => Seen::Plainly,
        };
        match self
            .marked
            .iter_mut()
            .rev()
            .find(|marked| matches!(marked, Marked::Actual { .. }))
        {
            Some(Marked::Actual { shown, .. }) => shown.push((glyph, seen)),
            _ => self.deliver(glyph, seen),
        }
    }

    fn deliver(&mut self, glyph: Glyph, seen: Seen) {
        match seen {
            Seen::Plainly => self.page.glyphs.push(glyph),
            Seen::White => self.page.white.push(glyph),
            Seen::Invisibly => self.page.invisible.push(glyph),
            Seen::Not => self.page.hidden += glyph.text.trim().chars().count(),
        }
    }

    fn begin_marked(&mut self, operation: &Operation, resources: &[&'a Dictionary]) {
        let tag = operation
            .operands
            .first()
            .and_then(|tag| tag.as_name().ok())
            .unwrap_or_default();
        let marked = match operation.operands.get(1) {
            Some(Object::Name(name)) if tag == b"OC" => {
                let layer = resources.iter().find_map(|from| {
                    from.get_deref(b"Properties", self.doc)
                        .and_then(Object::as_dict)
                        .ok()?
                        .get(name)
                        .ok()
                });
                let off = layer
                    .and_then(|layer| layer.as_reference().ok())
                    .is_some_and(|layer| self.off.contains(&layer));
                if off { Marked::Hidden } else { Marked::Plain }
            }
            Some(properties) => {
                let dict = match properties {
                    Object::Name(name) => {
                        lookup(self.doc, resources, b"Properties", name).and_then(|object| object.as_dict().ok())
                    }
                    other => other.as_dict().ok(),
                };
                let actual = dict
                    .and_then(|dict| dict.get(b"ActualText").ok())
                    .and_then(|text| lopdf::decode_text_string(text).ok());
                actual.map_or(Marked::Plain, |text| Marked::Actual {
                    text,
                    shown: Vec::new(),
                })
            }
            None => Marked::Plain,
        };
        self.marked.push(marked);
    }

    /// A text of its own stands for what is drawn (a ligature, a hyphen); one that says much more than that is not what readers see.
    fn end_marked(&mut self) {
        let Some(Marked::Actual { text, shown }) = self.marked.pop() else {
            return;
        };
        let stands = !text.trim().is_empty() && text.chars().count() <= shown.len() * 3 + 2;
        match shown.first().filter(|_| stands) {
            Some((first, seen)) => {
                let x1 = shown.iter().map(|(glyph, _)| glyph.x1).fold(first.x1, f32::max);
                let (glyph, seen) = (
                    Glyph {
                        text,
                        x1,
                        ..first.clone()
                    },
                    *seen,
                );
                self.deliver(glyph, seen);
            }
            None => {
                self.page.hidden += text.trim().chars().count();
                shown.into_iter().for_each(|(glyph, seen)| self.deliver(glyph, seen));
            }
        }
    }
}

/// `fi` drawn as one sign is two letters to whoever searches.
fn plain_ligatures(text: String) -> String {
    if !text.contains(|c| ('\u{FB00}'..='\u{FB06}').contains(&c)) {
        return text;
    }
    let plain = ["ff", "fi", "fl", "ffi", "ffl", "st", "st"];
    text.chars().fold(String::new(), |mut out, c| {
        match (c as u32).checked_sub(0xFB00).and_then(|n| plain.get(n as usize)) {
            Some(letters) => out.push_str(letters),
            None => out.push(c),
        }
        out
    })
}

fn lookup<'a>(doc: &'a Document, resources: &[&'a Dictionary], kind: &[u8], name: &[u8]) -> Option<&'a Object> {
    resources.iter().find_map(|from| {
        from.get_deref(kind, doc)
            .and_then(Object::as_dict)
            .ok()?
            .get_deref(name, doc)
            .ok()
    })
}

/// An entry of a page or of what it hangs on.
fn inherited<'a>(doc: &'a Document, page: ObjectId, key: &[u8]) -> Option<&'a Object> {
    let mut node = doc.get_dictionary(page).ok()?;
    for _ in 0..64 {
        if let Ok(object) = node.get_deref(key, doc) {
            return Some(object);
        }
        node = node.get_deref(b"Parent", doc).and_then(Object::as_dict).ok()?;
    }
    None
}

fn rectangle(doc: &Document, object: &Object) -> Option<[f32; 4]> {
    let numbers: Vec<f32> = object
        .as_array()
        .ok()?
        .iter()
        .filter_map(|n| doc.dereference(n).ok()?.1.as_float().ok())
        .collect();
    let [a, b, c, d] = numbers.as_slice() else { return None };
    (a != c && b != d).then(|| [a.min(*c), b.min(*d), a.max(*c), b.max(*d)])
}

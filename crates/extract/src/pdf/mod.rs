//! PDF: lopdf reads the objects, our own interpreter and layout make text of them (docs/decisions/004-pdf-library.md). A page is
//! never allowed to take the others with it, and whatever could not be read is said.

mod font;
mod layout;
mod page;

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use lopdf::{Document, LoadOptions, Object, ObjectId};

use self::layout::Block;
use self::page::{Interpreter, Page};
use crate::document::{Extracted, Kind};
use crate::error::ExtractError;
use crate::limits::Limits;
use crate::text::Writer;

const WHAT: &str = "PDF";

pub(crate) fn read(bytes: &[u8], password: Option<&str>, limits: &Limits) -> Result<Extracted, ExtractError> {
    let doc = open(bytes, password, limits)?;
    let mut out = Writer::new(limits);
    let off = layers_off(&doc);
    let mut fonts = HashMap::new();
    let (mut pages, mut failed) = (Vec::new(), Vec::new());
    let mut totals = Totals::default();
    for (n, id) in doc.page_iter().take(100_000).enumerate() {
        let limit = usize::try_from(limits.member_bytes).unwrap_or(usize::MAX);
        let run = catch_unwind(AssertUnwindSafe(|| {
            Interpreter::new(&doc, &mut fonts, &off, limit).run(id)
        }));
        let page = match run {
            Ok(Ok(page)) => page,
            _ => {
                failed.push(n + 1);
                Page::default()
            }
        };
        pages.push(totals.take(n + 1, page));
        if totals.characters > limits.text_bytes {
            break;
        }
    }
    if pages.is_empty() {
        return Err(ExtractError::broken(WHAT, "it has no pages that can be found"));
    }
    let left_out = without_running_heads(&mut pages);
    write(&pages, &mut out);
    if out.is_empty() {
        return Err(totals.why_empty(&failed));
    }
    about(&doc, &mut out);
    totals.say(&failed, left_out, &mut out);
    Ok(out.finish(Kind::Pdf))
}

fn open(bytes: &[u8], password: Option<&str>, limits: &Limits) -> Result<Document, ExtractError> {
    let options = LoadOptions {
        password: password.map(str::to_owned),
        max_decompressed_size: usize::try_from(limits.member_bytes).ok(),
        ..LoadOptions::default()
    };
    let refused = || match password {
        Some(_) => ExtractError::WrongPassword { what: WHAT.into() },
        None => ExtractError::Encrypted { what: WHAT.into() },
    };
    match Document::load_mem_with_options(bytes, options) {
        Ok(doc) if doc.is_encrypted() => Err(refused()),
        Ok(doc) => Ok(doc),
        Err(lopdf::Error::InvalidPassword) => Err(refused()),
        Err(lopdf::Error::Decryption(lopdf::encryption::DecryptionError::IncorrectPassword)) => Err(refused()),
        Err(lopdf::Error::Decryption(e)) => Err(ExtractError::broken(
            WHAT,
            format!("it is encrypted in a way that cannot be read ({e})"),
        )),
        Err(lopdf::Error::Decompress(_)) => Err(ExtractError::too_large(
            "this PDF",
            format!("a part of it unpacks to more than {} bytes", limits.member_bytes),
        )),
        Err(e) => Err(ExtractError::broken(WHAT, format!("{e}"))),
    }
}

/// What is known after all pages.
#[derive(Default)]
struct Totals {
    characters: usize,
    shown: usize,
    unmapped: usize,
    hidden: usize,
    pictures: Vec<usize>,
    recognised: Vec<usize>,
}

impl Totals {
    /// Takes a page's figures and gives its blocks.
    fn take(&mut self, number: usize, mut page: Page) -> Vec<Block> {
        let words = |glyphs: &[page::Glyph]| glyphs.iter().filter(|glyph| !glyph.text.trim().is_empty()).count();
        if !page.invisible.is_empty() {
            // Under a scan, invisible words are those that text recognition has found; elsewhere somebody hid them.
            if page.images > 0 && words(&page.glyphs) * 4 < words(&page.invisible) {
                self.recognised.push(number);
                page.glyphs.append(&mut page.invisible);
            } else {
                page.hidden += words(&page.invisible);
            }
        }
        self.shown += page.shown;
        self.unmapped += page.unmapped;
        self.hidden += page.hidden;
        self.characters += page.glyphs.len();
        if words(&page.glyphs) == 0 && page.images > 0 {
            self.pictures.push(number);
        }
        layout::blocks(&page.glyphs)
    }

    fn why_empty(&self, failed: &[usize]) -> ExtractError {
        if !failed.is_empty() {
            ExtractError::broken(WHAT, "its pages cannot be read")
        } else if self.unmapped > 0 {
            ExtractError::no_text(
                WHAT,
                "its fonts do not say which characters they show; print it anew or run text recognition (OCR) over it",
            )
        } else if self.hidden > 0 {
            ExtractError::no_text(WHAT, "all its text is hidden from the reader")
        } else if self.pictures.is_empty() {
            ExtractError::no_text(WHAT, "its pages are blank or only drawn")
        } else {
            ExtractError::no_text(
                WHAT,
                "its pages are pictures (a scan); run text recognition (OCR) over it and add the result",
            )
        }
    }

    fn say(&self, failed: &[usize], left_out: usize, out: &mut Writer) {
        if !self.pictures.is_empty() {
            out.note(format!("{} without text", are_pictures(&self.pictures)));
        }
        if !self.recognised.is_empty() {
            out.note("the text under scanned pages comes from text recognition and may have mistakes");
        }
        if !failed.is_empty() {
            out.note(format!("{} could not be read", numbered(failed)));
        }
        if self.unmapped * 5 > self.shown {
            out.note("the text is doubtful: fonts of this PDF do not say which characters they show");
        } else if self.unmapped > 0 {
            out.note(format!(
                "{} of {} characters have no known meaning and may be missing or wrong",
                self.unmapped, self.shown
            ));
        }
        if self.hidden > 0 {
            out.note(format!(
                "hidden text ({} characters) that a reader of the pages does not see was left out",
                self.hidden
            ));
        }
        if left_out > 0 {
            out.note(format!("{left_out} running heads and page numbers were left out"));
        }
    }
}

/// "page 3", "pages 3 and 4", "pages 1, 2, 3 and 9 more".
fn numbered(pages: &[usize]) -> String {
    match pages {
        [one] => format!("page {one}"),
        [first @ .., last] if pages.len() <= 6 => {
            let first: Vec<String> = first.iter().map(usize::to_string).collect();
            format!("pages {} and {last}", first.join(", "))
        }
        _ => {
            let first: Vec<String> = pages.iter().take(5).map(usize::to_string).collect();
            format!("pages {} and {} more", first.join(", "), pages.len() - 5)
        }
    }
}

fn are_pictures(pages: &[usize]) -> String {
    let verb = if pages.len() == 1 {
        "is a picture"
    } else {
        "are pictures"
    };
    format!("{} {verb}", numbered(pages))
}

/// Takes the lines away that stand first or last on most pages, alike but for their numbers. Says how many.
fn without_running_heads(pages: &mut [Vec<Block>]) -> usize {
    let filled = pages.iter().filter(|page| page.len() > 1).count();
    if filled < 3 {
        return 0;
    }
    let shape = |block: &Block| {
        let words = block.parts.join(" ");
        let shape: String = words
            .chars()
            .map(|c| if c.is_ascii_digit() { '#' } else { c })
            .filter(|c| !c.is_whitespace())
            .collect();
        (block.parts.len() <= 3 && words.len() < 160).then(|| shape.replace("##", "#").replace("##", "#"))
    };
    let mut left_out = 0;
    for _ in 0..2 {
        for end in [false, true] {
            let at = |page: &[Block]| if end { page.len() - 1 } else { 0 };
            let mut counts: HashMap<String, usize> = HashMap::new();
            for page in pages.iter().filter(|page| page.len() > 1) {
                shape(&page[at(page)])
                    .into_iter()
                    .for_each(|shape| *counts.entry(shape).or_default() += 1);
            }
            for page in pages.iter_mut().filter(|page| page.len() > 1) {
                let at = at(page);
                if shape(&page[at]).is_some_and(|shape| {
                    counts
                        .get(&shape)
                        .is_some_and(|count| *count >= 3 && *count * 10 >= filled * 4)
                }) {
                    page.remove(at);
                    left_out += 1;
                }
            }
        }
    }
    left_out
}

fn write(pages: &[Vec<Block>], out: &mut Writer) {
    let body = body_size(pages);
    let hyphenated = hyphenated(pages);
    let mut sizes: Vec<i32> = pages
        .iter()
        .flatten()
        .filter(|block| is_large(block, body))
        .map(|block| step(block.size))
        .collect();
    sizes.sort_unstable_by_key(|size| std::cmp::Reverse(*size));
    sizes.dedup();
    let all_bold = pages
        .iter()
        .flatten()
        .filter(|block| !block.row)
        .all(|block| block.bold);
    let mut unfinished = false;
    for page in pages {
        out.page();
        for (n, block) in page.iter().enumerate() {
            if out.is_full() {
                return;
            }
            let was_unfinished = std::mem::take(&mut unfinished);
            if block.row {
                out.row(&block.parts);
                continue;
            }
            out.end_rows();
            let words = joined(&block.parts, &hyphenated);
            if is_large(block, body) {
                let level = sizes
                    .iter()
                    .position(|size| *size == step(block.size))
                    .unwrap_or(0)
                    .min(5)
                    + 1;
                out.heading(level as u8, &words);
            } else if !all_bold && is_bold_heading(block, &words) {
                out.heading((sizes.len() + 1).min(6) as u8, &words);
            } else {
                // A sentence goes on over the foot of a column or page.
                let goes_on = words
                    .chars()
                    .next()
                    .is_some_and(|c| c.is_lowercase() || (n == 0 && crate::text::is_cjk(c)));
                if was_unfinished && goes_on {
                    out.resume(&words)
                } else {
                    out.paragraph(&words)
                }
                unfinished = !words
                    .trim_end()
                    .ends_with(['.', '!', '?', ':', '。', '！', '？', '：', '”', '"', ')']);
            }
        }
    }
}

fn step(size: f32) -> i32 {
    (size * 2.0).round() as i32
}

/// The size of most characters.
fn body_size(pages: &[Vec<Block>]) -> f32 {
    let mut counts: HashMap<i32, usize> = HashMap::new();
    for block in pages.iter().flatten() {
        *counts.entry(step(block.size)).or_default() += block.parts.iter().map(String::len).sum::<usize>();
    }
    counts
        .into_iter()
        .max_by_key(|(size, count)| (*count, *size))
        .map_or(10.0, |(size, _)| size as f32 / 2.0)
}

fn is_large(block: &Block, body: f32) -> bool {
    let length: usize = block.parts.iter().map(String::len).sum();
    let letters = block
        .parts
        .iter()
        .flat_map(|part| part.chars())
        .filter(|c| c.is_alphabetic())
        .take(2)
        .count();
    !block.row && block.size > body * 1.14 && block.parts.len() <= 3 && length < 200 && letters > 1
}

fn is_bold_heading(block: &Block, words: &str) -> bool {
    block.bold
        && block.parts.len() == 1
        && words.len() < 100
        && words.chars().any(char::is_alphabetic)
        && !words.ends_with(['.', ',', ';', ':'])
}

/// Words with a hyphen that stand within a line somewhere: where a line ends in one of them, the hyphen is its own.
fn hyphenated(pages: &[Vec<Block>]) -> HashSet<String> {
    let lines = pages.iter().flatten().flat_map(|block| &block.parts);
    let words = lines
        .flat_map(|line| line.split_whitespace())
        .filter(|word| word.len() < 60);
    words
        .filter(|word| word.find('-').is_some_and(|at| at > 0 && at + 1 < word.len()))
        .map(bare)
        .take(100_000)
        .collect()
}

fn bare(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase()
}

/// Lines as one text; a word that was parted at the end of a line is whole again.
fn joined(lines: &[String], hyphenated: &HashSet<String>) -> String {
    let mut out = String::new();
    for line in lines {
        let hyphen = out
            .strip_suffix(['-', '\u{AD}', '\u{2010}'])
            .filter(|before| before.chars().next_back().is_some_and(char::is_alphabetic));
        if let Some(before) = hyphen
            && line.chars().next().is_some_and(char::is_lowercase)
        {
            let first = before.rsplit(char::is_whitespace).next().unwrap_or_default();
            let last = line.split_whitespace().next().unwrap_or_default();
            let keeps = hyphenated.contains(&bare(&format!("{first}-{last}")));
            if !keeps {
                out.truncate(before.len());
            }
        } else if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(line);
    }
    out
}

/// Title and date of the document's own record.
fn about(doc: &Document, out: &mut Writer) {
    let Ok(info) = doc.trailer.get_deref(b"Info", doc).and_then(Object::as_dict) else {
        return;
    };
    let text = |key: &[u8]| {
        info.get_deref(key, doc)
            .ok()
            .and_then(|object| lopdf::decode_text_string(object).ok())
    };
    let is_file = |title: &str| {
        let title = title.to_lowercase();
        title.starts_with("untitled")
            || title.starts_with("(anonymous")
            || title.starts_with("(unspec")
            || title.starts_with("microsoft word")
            || [".doc", ".docx", ".tex", ".dvi", ".pdf", ".indd", ".ppt", ".txt"]
                .iter()
                .any(|end| title.ends_with(end))
    };
    text(b"Title")
        .filter(|title| !is_file(title.trim()))
        .into_iter()
        .for_each(|title| out.set_title(&title));
    [&b"ModDate"[..], b"CreationDate"]
        .into_iter()
        .filter_map(text)
        .for_each(|date| out.set_date(&date));
}

/// Layers that are switched off when the document opens.
fn layers_off(doc: &Document) -> HashSet<ObjectId> {
    let catalog = doc.catalog().ok();
    let layers = catalog.and_then(|catalog| catalog.get_deref(b"OCProperties", doc).and_then(Object::as_dict).ok());
    let default = layers.and_then(|layers| layers.get_deref(b"D", doc).and_then(Object::as_dict).ok());
    let off = default.and_then(|default| default.get_deref(b"OFF", doc).and_then(Object::as_array).ok());
    off.into_iter()
        .flatten()
        .filter_map(|layer| layer.as_reference().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_parted_at_line_ends_are_whole_again() {
        let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let known = HashSet::from(["well-known".to_owned()]);
        assert_eq!(
            joined(
                &lines(&["infor-", "mation and a well-", "known thing, 1990-", "1995"]),
                &known
            ),
            "information and a well-known thing, 1990-\n1995"
        );
    }

    #[test]
    fn pages_are_named_in_words() {
        assert_eq!(are_pictures(&[3]), "page 3 is a picture");
        assert_eq!(are_pictures(&[3, 4]), "pages 3 and 4 are pictures");
        assert_eq!(numbered(&[1, 2, 3, 4, 5, 6, 7, 8]), "pages 1, 2, 3, 4, 5 and 3 more");
    }
}

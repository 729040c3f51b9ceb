//! Wiki markup to text, in passes that each go over the text once: what is not read (comments, references, templates, files) is cut
//! out by matched brackets, links become their words, and then lines become headings, items, rows and paragraphs.

use crate::text::Writer;

/// Link targets that are no words of the article: files and categories, in the larger languages.
const NO_WORDS: [&str; 20] = [
    "file",
    "image",
    "category",
    "media",
    "datei",
    "bild",
    "kategorie",
    "fichier",
    "catégorie",
    "archivo",
    "categoría",
    "文件",
    "图像",
    "檔案",
    "分类",
    "分類",
    "ファイル",
    "カテゴリ",
    "файл",
    "категория",
];
/// Tags whose contents are cut out with them.
const CUT: [&str; 9] = [
    "ref",
    "gallery",
    "timeline",
    "score",
    "imagemap",
    "templatestyles",
    "graph",
    "mapframe",
    "references",
];

/// Writes an article's markup; `under` is the level of the heading it stands below.
pub(crate) fn write(markup: &str, under: u8, out: &mut Writer) {
    let text = without_cut_tags(markup);
    let text = brackets(&text, b"{{", b"}}", template);
    let text = brackets(&text, b"[[", b"]]", link);
    let mut paragraph = String::new();
    let mut row: Option<Vec<String>> = None;
    let mut in_table = 0_usize;
    for line in text.lines() {
        if out.is_full() {
            return;
        }
        let line = inline(line);
        let trimmed = line.trim();
        if trimmed.starts_with("{|") {
            flush(&mut paragraph, out);
            out.end_rows();
            in_table += 1;
        } else if in_table > 0 && trimmed.starts_with("|}") {
            end_row(&mut row, out);
            in_table -= 1;
            out.end_rows();
        } else if in_table > 0 && (trimmed.starts_with("|-") || trimmed.starts_with("|+")) {
            end_row(&mut row, out);
            if let Some(caption) = trimmed.strip_prefix("|+") {
                out.row(&[cell(caption)]);
            }
        } else if in_table > 0 && trimmed.starts_with(['|', '!']) {
            let mark = if trimmed.starts_with('!') { "!!" } else { "||" };
            let cells = trimmed[1..].split(mark).flat_map(|part| part.split("||")).map(cell);
            row.get_or_insert_default().extend(cells.take(256));
        } else if in_table > 0 {
            if let Some(last) = row.as_mut().and_then(|row| row.last_mut()) {
                last.push(' ');
                last.push_str(trimmed);
            }
        } else if let Some((level, words)) = heading(trimmed) {
            flush(&mut paragraph, out);
            out.end_rows();
            // Articles begin at level 2, below their title.
            out.heading((level - 1).max(1).saturating_add(under), words);
        } else if trimmed.is_empty() {
            flush(&mut paragraph, out);
        } else if line.starts_with(['*', '#', ';', ':']) {
            flush(&mut paragraph, out);
            let depth = line.bytes().take_while(|b| b"*#;:".contains(b)).count();
            let words = &line[depth..];
            if line.starts_with([';', ':']) {
                out.paragraph(words)
            } else {
                out.item(depth - 1, "-", words)
            }
        } else {
            if paragraph.is_empty() {
                out.end_rows();
            }
            paragraph.push_str(&line);
            paragraph.push('\n');
        }
    }
    end_row(&mut row, out);
    flush(&mut paragraph, out);
    out.end_rows();
}

fn flush(paragraph: &mut String, out: &mut Writer) {
    if !paragraph.trim().is_empty() {
        out.paragraph(paragraph);
    }
    paragraph.clear();
}

fn end_row(row: &mut Option<Vec<String>>, out: &mut Writer) {
    row.take().into_iter().for_each(|row| out.row(&row));
}

/// A cell's words, past its attributes (`align="right" | 7`).
fn cell(cell: &str) -> String {
    let words = cell
        .split_once('|')
        .filter(|(attributes, _)| attributes.contains('='))
        .map_or(cell, |(_, words)| words);
    words.trim().to_owned()
}

fn heading(line: &str) -> Option<(u8, &str)> {
    let level = line.bytes().take_while(|b| *b == b'=').count();
    let end = line.bytes().rev().take_while(|b| *b == b'=').count();
    let level = level.min(end).min(6);
    ((1..=6).contains(&level) && line.len() > level * 2).then(|| (level as u8, line[level..line.len() - level].trim()))
}

/// Cuts out comments and the tags of [`CUT`] with what is in them. An open one that never closes cuts nothing.
fn without_cut_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // A closing mark that was looked for and is not there will not be there later either: the search stays linear.
    let mut absent: Vec<&str> = Vec::new();
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        let tag = &rest[at..];
        if tag.starts_with("<!--") {
            match (!absent.contains(&"!--")).then(|| tag.find("-->")).flatten() {
                Some(end) => rest = &tag[end + 3..],
                None => {
                    absent.push("!--");
                    rest = &tag[1..];
                }
            }
            continue;
        }
        let is = |name: &&&str| {
            tag.get(1..=name.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(name))
                && !tag[1 + name.len()..].starts_with(|c: char| c.is_alphabetic())
        };
        if let Some(name) = CUT.iter().find(is) {
            let Some(end) = tag.find('>') else {
                rest = tag;
                break;
            };
            if tag[..end].ends_with('/') {
                rest = &tag[end + 1..];
                continue;
            }
            let close = format!("</{name}");
            let closing = (!absent.contains(name)).then(|| tag.find(&close)).flatten();
            match closing.and_then(|at| tag[at..].find('>').map(|end| at + end + 1)) {
                Some(end) => rest = &tag[end..],
                None => {
                    absent.push(name);
                    rest = &tag[end + 1..];
                }
            }
            continue;
        }
        out.push('<');
        rest = &tag[1..];
    }
    out.push_str(rest);
    out
}

/// Replaces each outermost matched pair of double brackets by what `becomes` makes of what is in it.
fn brackets(text: &str, open: &[u8; 2], close: &[u8; 2], becomes: fn(&str) -> String) -> String {
    let bytes = text.as_bytes();
    let (mut stack, mut outermost): (Vec<usize>, Vec<(usize, usize)>) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at + 1 < bytes.len() {
        if &bytes[at..at + 2] == open {
            stack.push(at);
            at += 2;
        } else if &bytes[at..at + 2] == close {
            if let Some(start) = stack.pop() {
                while outermost.pop_if(|(inner, _)| *inner > start).is_some() {}
                outermost.push((start, at + 2));
            }
            at += 2;
        } else {
            at += 1;
        }
    }
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (start, end) in outermost {
        out.push_str(&text[done..start]);
        out.push_str(&becomes(&text[start + 2..end - 2]));
        done = end;
    }
    out.push_str(&text[done..]);
    out
}

/// Most templates are boxes and citations; a few stand for words.
fn template(inner: &str) -> String {
    if inner.contains("{{") {
        return String::new();
    }
    let mut parts = inner.split('|').map(str::trim);
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    let plain: Vec<&str> = parts.filter(|part| !part.contains('=')).collect();
    match name.as_str() {
        "convert" | "cvt" => plain.iter().take(2).copied().collect::<Vec<_>>().join(" "),
        "lang" | "nowrap" | "nobr" | "transl" | "transliteration" | "small" | "ill" | "zh" | "ruby" => {
            match name.as_str() {
                "ill" => plain.first().copied().unwrap_or_default().to_owned(),
                _ => plain.last().copied().unwrap_or_default().to_owned(),
            }
        }
        name if name.starts_with("lang-") => plain.first().copied().unwrap_or_default().to_owned(),
        "ndash" | "snd" | "spaced ndash" => " – ".into(),
        "mdash" => "—".into(),
        _ => String::new(),
    }
}

fn link(inner: &str) -> String {
    let target = inner.split('|').next().unwrap_or_default().trim();
    if let Some((space, _)) = target.split_once(':')
        && NO_WORDS.contains(&space.trim().to_lowercase().as_str())
    {
        return String::new();
    }
    let words = inner.rsplit('|').next().unwrap_or_default().trim();
    if words.is_empty() {
        target.trim_start_matches(':').to_owned()
    } else {
        words.trim_start_matches(':').to_owned()
    }
}

/// Tags and outside links are no longer than this; what is left open costs a look this far and no farther.
const LONGEST_MARK: usize = 2000;

/// Bold and italic marks, tags, outside links, character names and magic words.
fn inline(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find(['\'', '<', '[', '&', '_']) {
        out.push_str(&rest[..at]);
        let here = &rest[at..];
        let near = &here[..here.floor_char_boundary(LONGEST_MARK)];
        let (words, length) = mark(here, near);
        out.push_str(words);
        rest = &here[length..];
    }
    out.push_str(rest);
    out
}

/// What the mark at the beginning of `here` becomes, and how long it is.
fn mark<'a>(here: &'a str, near: &'a str) -> (&'a str, usize) {
    let quotes = here.bytes().take_while(|b| *b == b'\'').count();
    if quotes > 1 {
        return ("", quotes);
    }
    if near.starts_with('<') && near[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') {
        if let Some(end) = near.find('>') {
            return (if near[1..].starts_with("br") { " " } else { "" }, end + 1);
        }
    } else if near.starts_with("[http") || near.starts_with("[//") {
        if let Some(end) = near.find(']') {
            return (near[1..end].split_once(' ').map_or("", |(_, words)| words), end + 1);
        }
    } else if let Some(word) = near.strip_prefix("__") {
        let end = word
            .find("__")
            .filter(|end| *end > 0 && word[..*end].bytes().all(|b| b.is_ascii_uppercase()));
        return end.map_or(("__", 2), |end| ("", end + 4));
    } else if let Some((name, becomes)) = ENTITIES.iter().find(|(name, _)| near.starts_with(name)) {
        return (becomes, name.len());
    }
    let first = here.chars().next().map_or(0, char::len_utf8);
    (&here[..first], first)
}

const ENTITIES: [(&str, &str); 8] = [
    ("&nbsp;", " "),
    ("&ndash;", "–"),
    ("&mdash;", "—"),
    ("&amp;", "&"),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&quot;", "\""),
    ("&thinsp;", " "),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Kind;
    use crate::limits::Limits;

    fn text(markup: &str) -> String {
        let mut out = Writer::new(&Limits::default());
        write(markup, 0, &mut out);
        out.finish(Kind::MediaWiki).text
    }

    #[test]
    fn markup_becomes_words() {
        for (markup, want) in [
            (
                "'''Bold''' and ''it'' [[x]]s, [[a|b]], [http://x y z].",
                "Bold and it xs, b, y z.",
            ),
            (
                "A<ref name=\"q\">no</ref>B<ref name=q/>C<!-- no -->D<br/>E<small>f</small>",
                "ABCD Ef",
            ),
            (
                "{{Infobox|a={{b|c}}|d=[[e]]}}\nText {{convert|10|km|mi}} {{lang|fr|mot}}.",
                "Text 10 km mot.",
            ),
            ("[[File:a.jpg|thumb|A [[link]] in it]]Words.[[Category:X]]", "Words."),
            (
                "== Head ==\none\ntwo\n\n* a\n** b\n# c\n",
                "Head\n\none two\n\n- a\n  - b\n- c",
            ),
            (
                "{| class=x\n|+ Cap\n! A !! B\n|-\n| style=\"x\" | 1 || 2\n|}\nAfter",
                "Cap\nA | B\n1 | 2\n\nAfter",
            ),
            ("__NOTOC__ a&nbsp;b 'tis __x__", "a b 'tis __x__"),
            ("{{open [[open <ref>open", "{{open [[open open"),
            ("=", "="),
            ("==", "=="),
            ("= a =", "a"),
        ] {
            assert_eq!(text(markup), want, "{markup}");
        }
    }

    #[test]
    fn a_megabyte_of_open_brackets_takes_no_time() {
        for open in ["{{", "[[", "<ref>", "<!--", "[http ", "'", "{|\n", "<a "] {
            let markup = open.repeat((1 << 20) / open.len());
            let start = std::time::Instant::now();
            text(&markup);
            assert!(start.elapsed().as_secs() < 5, "{open}");
        }
    }
}

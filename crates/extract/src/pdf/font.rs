//! What the codes of a PDF font mean: Unicode by the font's own map, else by its encoding and glyph names, and how wide each is.
//! A code that nothing maps has no text; how many those are tells whether a page can be trusted.

use std::collections::HashMap;

use lopdf::{Dictionary, Document, Object};

/// A font's codes, of one or two bytes.
pub(super) struct Font {
    coding: Coding,
    to_unicode: HashMap<u32, String>,
    /// Text of one-byte codes.
    simple: Vec<Option<String>>,
    widths: HashMap<u32, f32>,
    default_width: f32,
    pub(super) bold: bool,
    /// Neither map nor encoding: its codes are the subset's own numbers.
    pub(super) unmapped: bool,
    /// Glyph space to text space: 1/1000 but for fonts that are drawings.
    scale: f32,
}

/// How bytes make up codes.
#[derive(Clone, Copy, PartialEq)]
enum Coding {
    One,
    Two,
    /// A legacy Chinese, Japanese or Korean encoding, one or two bytes a character.
    Mixed(&'static encoding_rs::Encoding),
    /// Two bytes that are UTF-16 themselves.
    Utf16,
}

/// One shown character: its text (none where nothing maps it), its width in text space, and whether it is a one-byte space.
pub(super) struct Shown {
    pub(super) text: Option<String>,
    pub(super) width: f32,
    pub(super) space: bool,
}

impl Font {
    pub(super) fn load(doc: &Document, font: &Dictionary, limit: usize) -> Self {
        let subtype = font.get(b"Subtype").and_then(Object::as_name).unwrap_or_default();
        let to_unicode = stream(doc, font, b"ToUnicode", limit)
            .map(|cmap| parse_cmap(&cmap))
            .unwrap_or_default();
        let composite = subtype == b"Type0";
        let descendant = composite.then(|| descendant(doc, font)).flatten();
        let described = descendant.unwrap_or(font);
        let descriptor = dictionary(doc, described, b"FontDescriptor");
        let name = described.get(b"BaseFont").and_then(Object::as_name).unwrap_or_default();
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let coding = if composite {
            coding(doc, font, descendant)
        } else {
            Coding::One
        };
        let simple = if composite {
            Vec::new()
        } else {
            simple(doc, font, descriptor, limit)
        };
        let no_map = to_unicode.is_empty();
        let unmapped = no_map
            && match coding {
                Coding::One => {
                    subtype == b"Type3" && simple.iter().all(Option::is_none)
                        || has_no_encoding(doc, font, descriptor, subtype)
                }
                Coding::Two => true,
                _ => false,
            };
        let (widths, default_width) = if composite {
            composite_widths(doc, described)
        } else {
            simple_widths(doc, font, descriptor, &name)
        };
        let matrix = font
            .get_deref(b"FontMatrix", doc)
            .and_then(Object::as_array)
            .ok()
            .and_then(|m| m.first()?.as_float().ok());
        let scale = if subtype == b"Type3" {
            matrix.filter(|m| m.is_finite()).unwrap_or(0.001).abs()
        } else {
            0.001
        };
        Self {
            coding,
            to_unicode,
            simple,
            widths,
            default_width,
            bold: ["bold", "black", "heavy", "cmbx", "demi"]
                .iter()
                .any(|weight| name.contains(weight)),
            unmapped,
            scale,
        }
    }

    /// The characters that a string shows.
    pub(super) fn show(&self, bytes: &[u8], mut each: impl FnMut(Shown)) {
        let mut at = 0;
        while at < bytes.len() {
            let lead = bytes[at];
            let two = at + 1 < bytes.len()
                && match self.coding {
                    Coding::One => false,
                    Coding::Two | Coding::Utf16 => true,
                    Coding::Mixed(encoding) => {
                        lead >= 0x81 && !(encoding == encoding_rs::SHIFT_JIS && (0xA0..0xE0).contains(&lead))
                    }
                };
            let length = if two { 2 } else { 1 };
            let code = if two {
                u32::from(lead) << 8 | u32::from(bytes[at + 1])
            } else {
                u32::from(lead)
            };
            let own = self.to_unicode.get(&code).filter(|text| !text.is_empty());
            let text = own.cloned().or_else(|| match self.coding {
                Coding::One => self.simple.get(code as usize).cloned().flatten(),
                Coding::Two => None,
                Coding::Mixed(encoding) => encoding
                    .decode_without_bom_handling_and_without_replacement(&bytes[at..at + length])
                    .map(|text| text.into_owned()),
                Coding::Utf16 => char::from_u32(code).map(String::from),
            });
            let width = self
                .widths
                .get(&code)
                .copied()
                .unwrap_or(if two || self.coding == Coding::One {
                    self.default_width
                } else {
                    self.default_width / 2.0
                });
            each(Shown {
                text,
                width: width * self.scale,
                space: length == 1 && lead == b' ',
            });
            at += length;
        }
    }
}

fn dictionary<'a>(doc: &'a Document, of: &'a Dictionary, key: &[u8]) -> Option<&'a Dictionary> {
    of.get_deref(key, doc).and_then(Object::as_dict).ok()
}

fn stream(doc: &Document, of: &Dictionary, key: &[u8], limit: usize) -> Option<Vec<u8>> {
    let stream = of.get_deref(key, doc).and_then(Object::as_stream).ok()?;
    stream.get_plain_content_with_limit(limit.min(32 << 20)).ok()
}

fn descendant<'a>(doc: &'a Document, font: &'a Dictionary) -> Option<&'a Dictionary> {
    let first = font
        .get_deref(b"DescendantFonts", doc)
        .and_then(Object::as_array)
        .ok()?
        .first()?;
    doc.dereference(first)
        .ok()
        .and_then(|(_, object)| object.as_dict().ok())
}

fn coding(doc: &Document, font: &Dictionary, descendant: Option<&Dictionary>) -> Coding {
    let name = match font.get_deref(b"Encoding", doc) {
        Ok(Object::Name(name)) => String::from_utf8_lossy(name).into_owned(),
        _ => return Coding::Two,
    };
    let ordering = descendant
        .and_then(|of| dictionary(doc, of, b"CIDSystemInfo"))
        .and_then(|info| info.get(b"Ordering").and_then(Object::as_str).ok());
    let is = |part: &str| name.contains(part);
    if is("UCS2") || is("UTF16") {
        Coding::Utf16
    } else if is("RKSJ") {
        Coding::Mixed(encoding_rs::SHIFT_JIS)
    } else if is("GBK") || is("GB-EUC") || is("GBpc") || is("GBT") {
        Coding::Mixed(encoding_rs::GB18030)
    } else if is("B5") || is("ETen") || is("HKscs") {
        Coding::Mixed(encoding_rs::BIG5)
    } else if is("KSC") {
        Coding::Mixed(encoding_rs::EUC_KR)
    } else if is("EUC") && ordering == Some(b"Japan1") {
        Coding::Mixed(encoding_rs::EUC_JP)
    } else {
        Coding::Two
    }
}

/// A one-byte font says nothing of its codes, and they are not those of an alphabet.
fn has_no_encoding(doc: &Document, font: &Dictionary, descriptor: Option<&Dictionary>, subtype: &[u8]) -> bool {
    let symbolic = descriptor
        .and_then(|d| d.get(b"Flags").and_then(Object::as_i64).ok())
        .is_some_and(|flags| flags & 4 != 0);
    let embedded = descriptor.is_some_and(|d| d.has(b"FontFile2") || d.has(b"FontFile3"));
    subtype == b"TrueType" && symbolic && embedded && font.get_deref(b"Encoding", doc).is_err()
}

/// The text of each one-byte code: the base encoding, then the differences, by glyph names.
fn simple(doc: &Document, font: &Dictionary, descriptor: Option<&Dictionary>, limit: usize) -> Vec<Option<String>> {
    let encoding = font.get_deref(b"Encoding", doc).ok();
    let (base, differences) = match encoding {
        Some(Object::Name(name)) => (Some(name.as_slice()), None),
        Some(Object::Dictionary(dict)) => {
            let differences = dict.get_deref(b"Differences", doc).and_then(Object::as_array).ok();
            (dict.get(b"BaseEncoding").and_then(Object::as_name).ok(), differences)
        }
        _ => (None, None),
    };
    let mut table = base_table(base.unwrap_or(b"StandardEncoding"));
    let type1 = descriptor
        .filter(|_| base.is_none())
        .and_then(|d| stream(doc, d, b"FontFile", limit));
    for (code, name) in type1.iter().flat_map(|file| built_in(file)) {
        table[usize::from(code)] = glyph_text(&name);
    }
    let mut code = 0_usize;
    for object in differences.into_iter().flatten().take(4096) {
        match object {
            Object::Integer(at) => code = usize::try_from(*at).unwrap_or(256),
            Object::Name(name) => {
                if code < 256 {
                    table[code] = glyph_text(name);
                }
                code += 1;
            }
            _ => {}
        }
    }
    table
}

/// `dup 12 /fi put` in the readable part of a Type 1 font.
fn built_in(file: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let head = &file[..file
        .windows(5)
        .position(|window| window == b"eexec")
        .unwrap_or(file.len())
        .min(64 << 10)];
    let words: Vec<&[u8]> = head
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .collect();
    let entry = |words: &[&[u8]]| match words {
        [b"dup", code, name, b"put"] => {
            let code = std::str::from_utf8(code).ok()?.parse().ok()?;
            Some((code, name.strip_prefix(b"/")?.to_vec()))
        }
        _ => None,
    };
    words.windows(4).filter_map(entry).collect()
}

fn base_table(name: &[u8]) -> Vec<Option<String>> {
    let mut font = Dictionary::new();
    font.set("Type", Object::Name(b"Font".to_vec()));
    font.set("Encoding", Object::Name(name.to_vec()));
    let doc = Document::new();
    let decode = |code: u8| {
        let encoding = font.get_font_encoding(&doc).ok()?;
        encoding.bytes_to_string(&[code]).ok().filter(|text| !text.is_empty())
    };
    (0..=255).map(decode).collect()
}

/// The text of a glyph by its name: the Adobe list, `uni20AC`, `f_i`, `a.alt`.
fn glyph_text(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    let name = name.split('.').next().filter(|name| !name.is_empty())?;
    if let Some(digits) = name
        .strip_prefix("uni")
        .filter(|digits| digits.len() >= 4 && digits.len() % 4 == 0 && digits.is_ascii())
    {
        let units: Option<Vec<u16>> = (0..digits.len() / 4)
            .map(|n| u16::from_str_radix(&digits[n * 4..n * 4 + 4], 16).ok())
            .collect();
        return String::from_utf16(&units?).ok();
    }
    if let Some(c) = name
        .strip_prefix('u')
        .filter(|digits| (4..=6).contains(&digits.len()))
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
    {
        return char::from_u32(c).map(String::from);
    }
    if name.contains('_') && name.len() < 64 {
        return name.split('_').map(|part| glyph_text(part.as_bytes())).collect();
    }
    let mut font = Dictionary::new();
    let mut encoding = Dictionary::new();
    encoding.set(
        "Differences",
        Object::Array(vec![Object::Integer(1), Object::Name(name.as_bytes().to_vec())]),
    );
    font.set("Type", Object::Name(b"Font".to_vec()));
    font.set("Encoding", Object::Dictionary(encoding));
    let doc = Document::new();
    // A name that is on no list falls back to an encoding that has nothing at code 1.
    font.get_font_encoding(&doc)
        .ok()?
        .bytes_to_string(&[1])
        .ok()
        .filter(|text| !text.is_empty())
}

fn simple_widths(
    doc: &Document,
    font: &Dictionary,
    descriptor: Option<&Dictionary>,
    name: &str,
) -> (HashMap<u32, f32>, f32) {
    let number =
        |of: Option<&Dictionary>, key: &[u8]| of.and_then(|of| of.get_deref(key, doc).and_then(Object::as_float).ok());
    let first = number(Some(font), b"FirstChar").unwrap_or(0.0).clamp(0.0, 255.0) as u32;
    let mut widths = HashMap::new();
    if let Ok(array) = font.get_deref(b"Widths", doc).and_then(Object::as_array) {
        for (n, width) in array.iter().take(256).enumerate() {
            if let Ok(width) = doc.dereference(width).and_then(|(_, width)| width.as_float()) {
                widths.insert(first + n as u32, width);
            }
        }
    }
    if widths.is_empty() {
        let fixed = name.contains("courier") || name.contains("mono");
        for code in 32..256_u32 {
            widths.insert(code, if fixed { 600.0 } else { usual_width(code as u8) });
        }
    }
    (widths, number(descriptor, b"MissingWidth").unwrap_or(500.0))
}

/// Helvetica's widths, roughly: fonts that come without theirs are this one or much like it.
fn usual_width(code: u8) -> f32 {
    match code {
        b'i' | b'j' | b'l' => 222.0,
        b' ' | b'I' | b'f' | b't' | b'!' | b',' | b'.' | b'/' | b':' | b';' | b'[' | b']' | b'\\' | b'|' | b'\'' => {
            278.0
        }
        b'r' | b'(' | b')' | b'-' | b'`' => 333.0,
        b'c' | b'k' | b's' | b'v' | b'x' | b'y' | b'z' | b'J' => 500.0,
        b'm' | b'M' => 833.0,
        b'W' => 944.0,
        b'w' | b'C' | b'D' | b'H' | b'N' | b'R' | b'U' => 722.0,
        b'G' | b'O' | b'Q' => 778.0,
        b'A'..=b'Z' => 667.0,
        _ => 556.0,
    }
}

/// `W` of a composite font: `c [w1 w2 …]` and `first last w`.
fn composite_widths(doc: &Document, font: &Dictionary) -> (HashMap<u32, f32>, f32) {
    let default = font.get_deref(b"DW", doc).and_then(Object::as_float).unwrap_or(1000.0);
    let mut widths = HashMap::new();
    let Ok(array) = font.get_deref(b"W", doc).and_then(Object::as_array) else {
        return (widths, default);
    };
    let mut at = 0;
    let code = |object: Option<&Object>| {
        object
            .and_then(|object| object.as_float().ok())
            .filter(|code| (0.0..65536.0).contains(code))
            .map(|code| code as u32)
    };
    while let Some(first) = code(array.get(at)) {
        match array
            .get(at + 1)
            .and_then(|object| doc.dereference(object).ok())
            .map(|(_, object)| object)
        {
            Some(Object::Array(list)) => {
                for (n, width) in list.iter().take(65536).enumerate() {
                    widths.insert(first + n as u32, width.as_float().unwrap_or(default));
                }
                at += 2;
            }
            _ => {
                let (Some(last), Some(width)) = (
                    code(array.get(at + 1)),
                    array.get(at + 2).and_then(|width| width.as_float().ok()),
                ) else {
                    break;
                };
                widths.extend((first..=last).map(|code| (code, width)));
                at += 3;
            }
        }
        if widths.len() > 1 << 17 {
            break;
        }
    }
    (widths, default)
}

/// A ToUnicode map: `bfchar` and `bfrange` entries. Ranges are bounded by what two bytes can say.
fn parse_cmap(cmap: &[u8]) -> HashMap<u32, String> {
    let mut map = HashMap::new();
    let text = String::from_utf8_lossy(cmap);
    for (open, close, range) in [
        ("beginbfchar", "endbfchar", false),
        ("beginbfrange", "endbfrange", true),
    ] {
        for section in text.split(open).skip(1) {
            let section = section.split(close).next().unwrap_or_default();
            let mut tokens = Hex { rest: section };
            while let Some(Item::Code(first)) = tokens.next() {
                let first_code = number(&first);
                if !range {
                    let Some(Item::Code(to)) = tokens.next() else { break };
                    map.insert(first_code, utf16(&to));
                    continue;
                }
                let Some(Item::Code(last)) = tokens.next() else { break };
                let last_code = number(&last).min(first_code.saturating_add(0xFFFF));
                match tokens.next() {
                    Some(Item::Code(to)) => {
                        for code in first_code..=last_code {
                            map.insert(code, advanced(&to, code - first_code));
                        }
                    }
                    Some(Item::List(list)) => {
                        for (code, to) in (first_code..=last_code).zip(&list) {
                            map.insert(code, utf16(to));
                        }
                    }
                    None => break,
                }
            }
            if map.len() > 1 << 18 {
                return map;
            }
        }
    }
    map
}

/// Hexadecimal strings, and lists of them.
struct Hex<'a> {
    rest: &'a str,
}

enum Item {
    Code(Vec<u8>),
    List(Vec<Vec<u8>>),
}

impl Hex<'_> {
    fn next(&mut self) -> Option<Item> {
        let at = self.rest.find(['<', '['])?;
        if self.rest[at..].starts_with('[') {
            let end = at + self.rest[at..].find(']')?;
            let mut inner = Hex {
                rest: &self.rest[at + 1..end],
            };
            let mut list = Vec::new();
            while let Some(Item::Code(code)) = inner.next() {
                list.push(code);
            }
            self.rest = &self.rest[end + 1..];
            return Some(Item::List(list));
        }
        let end = at + self.rest[at..].find('>')?;
        let digits: Vec<u8> = self.rest[at + 1..end]
            .bytes()
            .filter_map(|b| char::from(b).to_digit(16))
            .map(|d| d as u8)
            .collect();
        self.rest = &self.rest[end + 1..];
        Some(Item::Code(
            digits
                .chunks(2)
                .map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or(0))
                .take(64)
                .collect(),
        ))
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |code, b| code << 8 | u32::from(*b))
}

fn units(bytes: &[u8]) -> Vec<u16> {
    match bytes {
        [one] => vec![u16::from(*one)],
        bytes => bytes
            .chunks_exact(2)
            .map(|pair| u16::from(pair[0]) << 8 | u16::from(pair[1]))
            .collect(),
    }
}

fn utf16(bytes: &[u8]) -> String {
    let text = String::from_utf16_lossy(&units(bytes));
    // A map that says "no character" says nothing.
    if text.chars().all(|c| c == char::REPLACEMENT_CHARACTER || c == '\0') {
        String::new()
    } else {
        text
    }
}

fn advanced(bytes: &[u8], by: u32) -> String {
    let mut units = units(bytes);
    if let Some(last) = units.last_mut() {
        *last = last.wrapping_add(by as u16);
    }
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glyph_names_are_text() {
        for (name, want) in [
            ("A", Some("A")),
            ("fi", Some("\u{FB01}")),
            ("uni4E00", Some("一")),
            ("u1F600", Some("😀")),
            ("f_f", Some("ff")),
            ("a.alt", Some("a")),
            ("g23", None),
            ("", None),
        ] {
            assert_eq!(glyph_text(name.as_bytes()).as_deref(), want, "{name}");
        }
        assert_eq!(base_table(b"WinAnsiEncoding")[0xE9].as_deref(), Some("é"));
    }

    #[test]
    fn maps_are_read_and_their_ranges_bounded() {
        let map = parse_cmap(b"1 beginbfchar <01> <0041> endbfchar 2 beginbfrange <0002> <0004> <4E00> <05> <06> [<0058> <00590059>] endbfrange");
        let want = [(1, "A"), (2, "一"), (4, "\u{4E02}"), (5, "X"), (6, "YY")];
        assert!(want.iter().all(|(code, text)| map[code] == *text), "{map:?}");
        assert!(parse_cmap(b"beginbfrange <00000000> <FFFFFFFF> <0041> endbfrange").len() <= 1 << 16);
        assert_eq!(
            built_in(b"/Encoding 256 array\ndup 12 /fi put\ndup 300 /x put\ncurrentfile eexec dup 1 /a put"),
            [(12, b"fi".to_vec())]
        );
    }
}

//! Bytes to characters: byte order marks, then UTF-8 where it is valid, then what the document declares, then what its bytes
//! look like (chardetng: GB18030, Big5, Shift-JIS, EUC, the Windows and ISO code pages).

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// How much is looked at to tell an encoding.
const SAMPLE: usize = 256 << 10;

/// Text, and what it was read as where that was not plain.
pub(crate) struct Decoded {
    pub(crate) text: String,
    pub(crate) note: Option<String>,
}

/// Decodes a whole document. `declared` is what it says of itself; it is believed where nothing speaks against it.
pub(crate) fn decode(bytes: &[u8], declared: Option<&'static Encoding>) -> Decoded {
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return with(encoding, &bytes[length..]);
    }
    if let Some(encoding) = utf16_without_mark(bytes) {
        return with(encoding, bytes);
    }
    match std::str::from_utf8(bytes) {
        // An escape-coded text (ISO-2022-JP) is valid UTF-8 too, so a declaration of it counts.
        Ok(text) if declared.is_none_or(|encoding| encoding != encoding_rs::ISO_2022_JP) => {
            return Decoded {
                text: text.to_owned(),
                note: None,
            };
        }
        // Cut in the middle of a character, or a few bad bytes in much good text.
        Err(_) if mostly_utf8(bytes) => return with(UTF_8, bytes),
        _ => {}
    }
    if let Some(encoding) =
        declared.filter(|encoding| *encoding != UTF_8 && *encoding != UTF_16LE && *encoding != UTF_16BE)
    {
        let decoded = with(encoding, bytes);
        if decoded.note.is_none() {
            return decoded;
        }
    }
    let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
    detector.feed(&bytes[..bytes.len().min(SAMPLE)], bytes.len() <= SAMPLE);
    with(detector.guess(None, chardetng::Utf8Detection::Deny), bytes)
}

/// The text of an XML part or file, by its mark or declaration.
pub(crate) fn xml(bytes: &[u8]) -> String {
    decode(bytes, declared_in_xml(bytes)).text
}

/// `encoding="…"` in an XML declaration.
pub(crate) fn declared_in_xml(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(200)];
    let head = &head[..head.iter().position(|b| *b == b'>').unwrap_or(head.len())];
    if !head.trim_ascii_start().starts_with(b"<?xml") {
        return None;
    }
    after(head, b"encoding")
}

/// `charset=…` in the first kilobytes of an HTML page.
pub(crate) fn declared_in_html(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(4096)];
    declared_in_xml(bytes).or_else(|| after(head, b"charset"))
}

fn after(head: &[u8], key: &[u8]) -> Option<&'static Encoding> {
    let at = head
        .windows(key.len())
        .position(|window| window.eq_ignore_ascii_case(key))?;
    let rest = head[at + key.len()..]
        .trim_ascii_start()
        .strip_prefix(b"=")?
        .trim_ascii_start();
    let rest = rest
        .strip_prefix(b"\"")
        .or_else(|| rest.strip_prefix(b"'"))
        .unwrap_or(rest);
    let end = rest
        .iter()
        .position(|b| !(b.is_ascii_alphanumeric() || b"-_:.".contains(b)))
        .unwrap_or(rest.len());
    Encoding::for_label(&rest[..end])
}

fn with(encoding: &'static Encoding, bytes: &[u8]) -> Decoded {
    let (text, errors) = encoding.decode_without_bom_handling(bytes);
    let note = errors.then(|| {
        let lost = text.chars().filter(|c| *c == char::REPLACEMENT_CHARACTER).count();
        format!(
            "{lost} characters could not be read as {}; the text may be damaged",
            encoding.name()
        )
    });
    Decoded {
        text: Cow::into_owned(text),
        note,
    }
}

/// Bad sequences are rarer than one in a hundred of the characters beyond ASCII, or there is but one, at the very end.
fn mostly_utf8(bytes: &[u8]) -> bool {
    let (mut good, mut bad) = (0_usize, 0_usize);
    for chunk in bytes.utf8_chunks() {
        good += chunk.valid().bytes().filter(|b| *b >= 0xC0).count();
        bad += usize::from(!chunk.invalid().is_empty());
    }
    let cut = std::str::from_utf8(bytes).is_err_and(|e| e.error_len().is_none());
    (bad == 1 && cut && good > 0) || (good > 0 && bad * 100 <= good)
}

/// Texts of Latin letters in UTF-16 have a zero in every other byte, and no two in a row.
fn utf16_without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let sample = &bytes[..bytes.len().min(4096) & !1];
    let (pairs, _) = sample.as_chunks::<2>();
    let zeros = |at: usize| pairs.iter().filter(|pair| pair[at] == 0).count();
    let (high_first, low_first) = (zeros(0), zeros(1));
    match pairs.len() {
        0 | 1 => None,
        n if low_first * 10 > n * 4 && high_first * 50 < n => Some(UTF_16LE),
        n if high_first * 10 > n * 4 && low_first * 50 < n => Some(UTF_16BE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHINESE: &str = "子曰：学而时习之，不亦说乎？有朋自远方来，不亦乐乎？人不知而不愠，不亦君子乎？";
    const TRADITIONAL: &str = "子曰：學而時習之，不亦說乎？有朋自遠方來，不亦樂乎？人不知而不慍，不亦君子乎？";
    const JAPANESE: &str = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。";
    const FRENCH: &str = "Où est la bibliothèque ? Là-bas, près du café où l'on sert des crêpes à la crème.";

    #[test]
    fn encodings_are_told_by_their_bytes() {
        for (text, encoding) in [
            (CHINESE, encoding_rs::GB18030),
            (TRADITIONAL, encoding_rs::BIG5),
            (JAPANESE, encoding_rs::SHIFT_JIS),
            (JAPANESE, encoding_rs::EUC_JP),
            (FRENCH, encoding_rs::WINDOWS_1252),
            (CHINESE, UTF_8),
        ] {
            let bytes = encoding.encode(text).0;
            let decoded = decode(&bytes, None);
            assert_eq!(decoded.text, text, "{}", encoding.name());
            assert_eq!(decoded.note, None);
        }
    }

    #[test]
    fn utf16_is_read_with_and_without_its_mark() {
        for (mark, big) in [(true, true), (true, false), (false, true), (false, false)] {
            let mut bytes: Vec<u8> = Vec::new();
            let marked = if mark {
                format!("\u{FEFF}{FRENCH}")
            } else {
                FRENCH.to_owned()
            };
            for unit in marked.encode_utf16() {
                bytes.extend(if big { unit.to_be_bytes() } else { unit.to_le_bytes() });
            }
            assert_eq!(decode(&bytes, None).text, FRENCH, "{mark} {big}");
        }
    }

    #[test]
    fn a_wrong_declaration_does_not_win_over_the_bytes() {
        let gb = encoding_rs::GB18030.encode(CHINESE).0;
        assert_eq!(decode(&gb, Some(UTF_8)).text, CHINESE);
        assert_eq!(
            decode(CHINESE.as_bytes(), Some(encoding_rs::WINDOWS_1252)).text,
            CHINESE
        );
    }

    #[test]
    fn a_text_cut_within_a_character_stays_utf8_and_says_so() {
        let decoded = decode(&CHINESE.as_bytes()[..CHINESE.len() - 1], None);
        assert!(decoded.text.starts_with("子曰"));
        assert!(decoded.note.unwrap().contains("could not be read"));
    }

    #[test]
    fn declarations_are_found() {
        assert_eq!(
            declared_in_html(b"<html><meta charset='gb2312'>"),
            Some(encoding_rs::GBK)
        );
        assert_eq!(
            declared_in_html(b"<meta http-equiv=x content=\"text/html; charset=Shift_JIS\">"),
            Some(encoding_rs::SHIFT_JIS)
        );
        assert_eq!(
            declared_in_xml(b"<?xml version='1.0' encoding='iso-8859-1'?><a/>"),
            Some(encoding_rs::WINDOWS_1252)
        );
        assert_eq!(declared_in_xml(b"<a encoding='big5'/>"), None);
    }
}

//! A text's language: two letters (ISO 639-1) for those that are told apart surely, else none.

use whatlang::Lang;

/// Bytes that are looked at.
const SAMPLE: usize = 4000;

/// The language of a text, such as `en` or `zh`.
pub fn language(text: &str) -> Option<&'static str> {
    let mut end = text.len().min(SAMPLE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let info = whatlang::detect(&text[..end])?;
    let code = match info.lang() {
        Lang::Eng => "en",
        Lang::Cmn => "zh",
        Lang::Deu => "de",
        Lang::Fra => "fr",
        Lang::Spa => "es",
        Lang::Ita => "it",
        Lang::Por => "pt",
        Lang::Nld => "nl",
        Lang::Rus => "ru",
        Lang::Ukr => "uk",
        Lang::Pol => "pl",
        Lang::Jpn => "ja",
        Lang::Kor => "ko",
        Lang::Ara => "ar",
        Lang::Hin => "hi",
        Lang::Tur => "tr",
        Lang::Vie => "vi",
        Lang::Swe => "sv",
        _ => return None,
    };
    (info.is_reliable() || info.script() != whatlang::Script::Latin).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::language;

    #[test]
    fn english_and_chinese_are_known_and_a_riddle_is_not() {
        let english =
            "The quick brown fox jumps over the lazy dog, and then it goes home because it is late in the evening.";
        assert_eq!(language(english), Some("en"));
        assert_eq!(language("这是一个关于语言识别的简单测试。"), Some("zh"));
        assert_eq!(language("0x1f 42 -- 17"), None);
        assert_eq!(language(&"字".repeat(9000)), Some("zh"));
    }
}

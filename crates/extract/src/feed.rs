//! RSS and Atom feeds: each entry is a document of its own (title, date, link, text), or all of them are one.

use crate::document::{Extracted, Kind};
use crate::error::ExtractError;
use crate::limits::Limits;
use crate::text::Writer;
use crate::xml::{Token, Xml};

const WHAT: &str = "feed";
/// Characters of a link or of an entry's own name.
const LONGEST: usize = 2048;

/// One entry, its text as HTML or, where the feed has it as elements of its own, as paragraphs.
#[derive(Default)]
struct Entry {
    title: String,
    date: String,
    link: String,
    id: String,
    summary: String,
    content: String,
    paragraphs: String,
}

impl Entry {
    fn write(&self, level: u8, out: &mut Writer, limits: &Limits) -> Result<(), ExtractError> {
        // Titles may be HTML too; what is left of them is words.
        let mut title = Writer::new(limits);
        crate::html::fragment(&self.title, &mut title, limits)?;
        out.heading(level, &title.finish(Kind::Feed).text);
        let html = if self.content.trim().is_empty() {
            &self.summary
        } else {
            &self.content
        };
        if self.paragraphs.trim().is_empty() {
            crate::html::fragment(html, out, limits)?;
        } else {
            self.paragraphs
                .split('\u{2029}')
                .for_each(|paragraph| out.paragraph(paragraph));
        }
        Ok(())
    }
}

/// The feed as one document: its entries below its title.
pub(crate) fn whole(xml: &str, limits: &Limits) -> Result<Extracted, ExtractError> {
    let mut out = Writer::new(limits);
    let mut newest = String::new();
    let mut first = true;
    entries(xml, limits, &mut |feed, entry| {
        if std::mem::take(&mut first) {
            out.heading(1, feed);
        }
        newest = newest.clone().max(crate::date::day(&entry.date).unwrap_or_default());
        entry.write(2, &mut out, limits)?;
        Ok(!out.is_full())
    })?;
    if out.is_empty() {
        return Err(ExtractError::no_text(WHAT, "it has no entries"));
    }
    out.set_date(&newest);
    Ok(out.finish(Kind::Feed))
}

/// Each entry as a document; `each` says whether it wants more.
pub(crate) fn each(xml: &str, limits: &Limits, each: &mut dyn FnMut(Extracted) -> bool) -> Result<(), ExtractError> {
    entries(xml, limits, &mut |_, entry| {
        let mut out = Writer::new(limits);
        entry.write(1, &mut out, limits)?;
        out.set_date(&entry.date);
        let document = Extracted {
            link: one_word(&entry.link),
            id: one_word(&entry.id),
            ..out.finish(Kind::Feed)
        };
        Ok(document.text.is_empty() || each(document))
    })
}

/// A link or name as it stands, where it is one.
fn one_word(text: &str) -> Option<String> {
    let text = text.trim();
    let usable = !text.is_empty() && text.len() <= LONGEST && !text.chars().any(char::is_control);
    usable.then(|| text.to_owned())
}

fn entries(
    xml: &str,
    limits: &Limits,
    each: &mut dyn FnMut(&str, &Entry) -> Result<bool, ExtractError>,
) -> Result<(), ExtractError> {
    let mut tokens = Xml::new(xml.as_bytes(), limits.depth);
    let (mut feed, mut entry) = (String::new(), None::<Entry>);
    // The field that text goes to, how deep inside it we are, and its text.
    let (mut field, mut inside, mut words) = (String::new(), 0_usize, String::new());
    let (mut found, mut updated) = (0_usize, false);
    loop {
        match tokens.next()? {
            Token::Start(_) if inside > 0 => inside += 1,
            Token::Start(element) => match element.name.as_str() {
                "item" | "entry" => (entry, updated) = (Some(Entry::default()), false),
                // Atom's link is an attribute, and there may be several: to the page itself, to comments, to sounds.
                "link" if element.get("href").is_some() => {
                    let itself = element.get("rel").is_none_or(|rel| rel == "alternate");
                    if let (Some(entry), Some(href), true) = (&mut entry, element.get("href"), itself)
                        && entry.link.is_empty()
                    {
                        href.clone_into(&mut entry.link);
                    }
                }
                // Media extensions have titles and contents of their own.
                "title" | "pubDate" | "date" | "updated" | "published" | "description" | "summary" | "encoded"
                | "content" | "link" | "guid" | "id"
                    if element.get("url").is_none() && element.get("medium").is_none() =>
                {
                    field = element.name;
                    inside = 1;
                    words.clear();
                }
                _ => {}
            },
            Token::Text(text) if inside > 0 => words.push_str(&text),
            Token::Text(_) => {}
            Token::End(name) if inside > 1 => {
                inside -= 1;
                if matches!(
                    name.as_str(),
                    "p" | "div" | "li" | "h1" | "h2" | "h3" | "h4" | "tr" | "br" | "blockquote" | "pre"
                ) {
                    words.push('\u{2029}');
                }
            }
            Token::End(_) if inside == 1 => {
                inside = 0;
                let text = std::mem::take(&mut words);
                match (&mut entry, field.as_str()) {
                    (None, "title") if feed.is_empty() => feed = text,
                    (None, _) => {}
                    (Some(entry), "title") => entry.title = text,
                    (Some(entry), "link") if entry.link.is_empty() => entry.link = text,
                    (Some(entry), "guid" | "id") => entry.id = text,
                    (Some(entry), "updated") => (entry.date, updated) = (text, true),
                    (Some(entry), "pubDate" | "date" | "published") if !updated => entry.date = text,
                    (Some(entry), "content" | "summary") if text.contains('\u{2029}') => entry.paragraphs = text,
                    (Some(entry), "content" | "encoded") => entry.content = text,
                    (Some(entry), "description" | "summary") => entry.summary = text,
                    _ => {}
                }
            }
            Token::End(name) if name == "item" || name == "entry" => {
                if let Some(entry) = entry.take() {
                    found += 1;
                    if !each(&feed, &entry)? || found >= limits.documents {
                        return Ok(());
                    }
                }
            }
            Token::End(_) => {}
            Token::Eof => break,
        }
    }
    match tokens.broken {
        Some(why) if found == 0 => Err(ExtractError::broken(WHAT, format!("it cannot be read {why}"))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RSS: &str = "<rss><channel><title>News</title><pubDate>Wed, 01 Jan 2020 00:00:00 GMT</pubDate>\
        <item><title>One &amp; only</title><link> https://news.example/1?a=1&amp;b=2 </link><guid isPermaLink='false'>tag:1</guid><pubDate>Wed, 31 Jan 2024 10:00:00 GMT</pubDate><description>&lt;p&gt;Short.&lt;/p&gt;&lt;script&gt;x()&lt;/script&gt;</description></item>\
        <item><title><![CDATA[Two <b>bold</b>]]></title><dc:date>2024-02-01</dc:date><description>short</description><content:encoded><![CDATA[<p>Long.</p><p style='display:none'>Ignore this.</p>]]></content:encoded></item></channel></rss>";
    const ATOM: &str = "<feed><title>F</title><link href='https://f.example/'/><entry><title>A</title><id>urn:a</id><link rel='self' href='https://f.example/a.atom'/><link rel='alternate' href='https://f.example/a'/><link href='https://f.example/b'/><published>2024-01-01</published><updated>2024-01-31T00:00:00Z</updated>\
        <content type='xhtml'><div><p>One <b>b</b>.</p><p>Two.</p></div></content></entry></feed>";

    fn all(xml: &str) -> Vec<Extracted> {
        let mut found = Vec::new();
        each(xml, &Limits::default(), &mut |doc| {
            found.push(doc);
            true
        })
        .unwrap();
        found
    }

    #[test]
    fn each_entry_is_a_document() {
        let docs = all(RSS);
        assert_eq!(docs.len(), 2);
        assert_eq!(
            (docs[0].text.as_str(), docs[0].date.as_deref()),
            ("One & only\n\nShort.", Some("2024-01-31"))
        );
        assert_eq!(
            (docs[1].text.as_str(), docs[1].title.as_deref()),
            ("Two bold\n\nLong.", Some("Two bold"))
        );
        let docs = all(ATOM);
        assert_eq!(
            (docs[0].text.as_str(), docs[0].date.as_deref()),
            ("A\n\nOne b.\n\nTwo.", Some("2024-01-31"))
        );
    }

    #[test]
    fn each_entry_says_where_it_stands_and_what_it_is_called() {
        let said = |xml: &str| {
            all(xml)
                .into_iter()
                .map(|doc| (doc.link.unwrap_or_default(), doc.id.unwrap_or_default()))
                .collect::<Vec<_>>()
        };
        let pair = |link: &str, id: &str| (link.to_owned(), id.to_owned());
        assert_eq!(
            said(RSS),
            [pair("https://news.example/1?a=1&b=2", "tag:1"), pair("", "")]
        );
        assert_eq!(said(ATOM), [pair("https://f.example/a", "urn:a")]);
        let hostile = format!(
            "<rss><channel><item><title>t</title><link>a\u{7}b</link><guid>{}</guid><description>d</description></item></channel></rss>",
            "x".repeat(3000)
        );
        assert_eq!(said(&hostile), [pair("", "")]);
    }

    #[test]
    fn a_feed_is_also_one_document() {
        let doc = whole(RSS, &Limits::default()).unwrap();
        assert!(doc.text.starts_with("News\n\nOne & only\n\nShort.\n\nTwo bold"));
        assert_eq!(
            (doc.title.as_deref(), doc.date.as_deref()),
            (Some("News"), Some("2024-02-01"))
        );
    }
}

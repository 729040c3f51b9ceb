//! MediaWiki XML dumps: a stream of pages, each a document. Only the last revision of a page is taken; talk, user, template, file
//! and category pages and redirects are no articles and are passed over.

mod markup;

use std::io::BufRead;

use crate::document::{Extracted, Kind};
use crate::error::ExtractError;
use crate::limits::Limits;
use crate::text::Writer;
use crate::xml::{Token, Xml};

const WHAT: &str = "MediaWiki dump";
/// User, file, interface, template, category and module pages; odd numbers are talk.
const NO_ARTICLES: [u32; 6] = [2, 6, 8, 10, 14, 828];

struct Page {
    title: String,
    date: String,
    markup: String,
}

/// Each article as a document, read as it streams in; `each` says whether it wants more.
pub(crate) fn each(
    input: impl BufRead,
    limits: &Limits,
    each: &mut dyn FnMut(Extracted) -> bool,
) -> Result<(), ExtractError> {
    pages(input, limits, &mut |page| {
        let mut out = Writer::new(limits);
        out.heading(1, &page.title);
        let before = out.is_empty();
        markup::write(&page.markup, 0, &mut out);
        out.set_date(&page.date);
        Ok(before || each(out.finish(Kind::MediaWiki)))
    })
}

/// All articles as one document.
pub(crate) fn whole(input: impl BufRead, limits: &Limits) -> Result<Extracted, ExtractError> {
    let mut out = Writer::new(limits);
    let mut newest = String::new();
    pages(input, limits, &mut |page| {
        out.heading(1, &page.title);
        markup::write(&page.markup, 1, &mut out);
        newest = newest.clone().max(crate::date::day(&page.date).unwrap_or_default());
        Ok(!out.is_full())
    })?;
    if out.is_empty() {
        return Err(ExtractError::no_text(WHAT, "it has no articles"));
    }
    out.set_date(&newest);
    Ok(out.finish(Kind::MediaWiki))
}

fn pages(
    input: impl BufRead,
    limits: &Limits,
    each: &mut dyn FnMut(Page) -> Result<bool, ExtractError>,
) -> Result<(), ExtractError> {
    let mut tokens = Xml::new(input, limits.depth);
    let mut page = Page {
        title: String::new(),
        date: String::new(),
        markup: String::new(),
    };
    let (mut space, mut redirect, mut found) = (0_u32, false, 0_usize);
    let (mut taken, mut words) = (false, String::new());
    loop {
        match tokens.next()? {
            Token::Start(element) => {
                match element.name.as_str() {
                    "page" => (space, redirect) = (0, false),
                    "redirect" => redirect = true,
                    _ => {}
                }
                taken = matches!(element.name.as_str(), "title" | "ns" | "timestamp" | "text");
                words.clear();
            }
            Token::Text(text) if taken => {
                words.push_str(&text);
                if words.len() > limits.text_bytes.saturating_mul(4) {
                    taken = false;
                }
            }
            Token::Text(_) => {}
            Token::End(name) => {
                taken = false;
                match name.as_str() {
                    "title" => page.title = std::mem::take(&mut words),
                    "ns" => space = words.trim().parse().unwrap_or(0),
                    "timestamp" => page.date = std::mem::take(&mut words),
                    "text" => page.markup = std::mem::take(&mut words),
                    "page" => {
                        let markup = std::mem::take(&mut page.markup);
                        let article = space % 2 == 0 && !NO_ARTICLES.contains(&space);
                        if article
                            && !redirect
                            && !markup
                                .trim_start()
                                .get(..9)
                                .is_some_and(|start| start.eq_ignore_ascii_case("#redirect"))
                        {
                            found += 1;
                            let (title, date) = (std::mem::take(&mut page.title), std::mem::take(&mut page.date));
                            if !each(Page { title, date, markup })? || found >= limits.documents {
                                return Ok(());
                            }
                        }
                    }
                    _ => {}
                }
            }
            Token::Eof => break,
        }
    }
    match tokens.broken {
        Some(why) => Err(ExtractError::broken(
            WHAT,
            format!("it breaks off after {found} articles, {why}"),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn articles_come_one_by_one_and_the_rest_is_passed_over() {
        let dump = "<mediawiki><siteinfo><sitename>W</sitename></siteinfo>\
            <page><title>A</title><ns>0</ns><revision><timestamp>2024-01-31T00:00:00Z</timestamp><text>'''A''' is [[b|a letter]].{{cite}}\n== More ==\nx</text></revision></page>\
            <page><title>Talk:A</title><ns>1</ns><revision><text>talk</text></revision></page>\
            <page><title>R</title><ns>0</ns><redirect title='A'/><revision><text>#REDIRECT [[A]]</text></revision></page>\
            <page><title>B</title><ns>0</ns><revision><text>Last.</text></revision></page></mediawiki>";
        let mut docs = Vec::new();
        each(dump.as_bytes(), &Limits::default(), &mut |doc| {
            docs.push(doc);
            true
        })
        .unwrap();
        assert_eq!(docs.len(), 2);
        assert_eq!(docs[0].text, "A\n\nA is a letter.\n\nMore\n\nx");
        assert_eq!(
            (docs[0].title.as_deref(), docs[0].date.as_deref()),
            (Some("A"), Some("2024-01-31"))
        );
        assert_eq!(whole(dump.as_bytes(), &Limits::default()).unwrap().headings.len(), 3);
    }

    #[test]
    fn a_dump_that_breaks_off_says_after_how_many_articles() {
        let dump = "<mediawiki><page><title>A</title><text>x</text></page><page><title";
        let mut n = 0;
        let error = each(dump.as_bytes(), &Limits::default(), &mut |_| {
            n += 1;
            true
        });
        assert_eq!(n, 1);
        assert!(error.unwrap_err().to_string().contains("after 1 articles"));
    }
}

//! What a page says of itself in its head: title and date.

use super::tree::{Id, ROOT, Tree};
use crate::text::Writer;

/// Keys of `<meta>` that hold a date, the last change first.
const DATES: [&str; 14] = [
    "article:modified_time",
    "og:updated_time",
    "datemodified",
    "last-modified",
    "dcterms.modified",
    "article:published_time",
    "datepublished",
    "date",
    "dc.date",
    "dcterms.date",
    "dcterms.created",
    "citation_publication_date",
    "citation_date",
    "pubdate",
];

pub(crate) fn read(tree: &Tree, out: &mut Writer) {
    let mut title = None;
    let mut best: Option<(usize, String)> = None;
    let mut offer = |rank: usize, date: &str| {
        if best.as_ref().is_none_or(|(at, _)| rank < *at) && crate::date::day(date).is_some() {
            best = Some((rank, date.to_owned()));
        }
    };
    for id in tree.descendants(ROOT) {
        match tree.name(id) {
            "title" if title.is_none() && within_head(tree, id) => {
                title = Some(text_of(tree, id)).filter(|title| !title.trim().is_empty())
            }
            "meta" => {
                let key = ["property", "name", "itemprop", "http-equiv"]
                    .into_iter()
                    .find_map(|key| tree.attribute(id, key))
                    .unwrap_or_default();
                let content = tree.attribute(id, "content").unwrap_or_default();
                let key = key.to_ascii_lowercase();
                if let Some(rank) = DATES.iter().position(|name| *name == key) {
                    offer(rank, content);
                }
            }
            "script"
                if tree
                    .attribute(id, "type")
                    .is_some_and(|kind| kind.eq_ignore_ascii_case("application/ld+json")) =>
            {
                let json = text_of(tree, id);
                for (rank, key) in [(0, "\"dateModified\""), (5, "\"datePublished\"")] {
                    if let Some(value) = json_string_after(&json, key) {
                        offer(rank, value);
                    }
                }
            }
            "time" => tree.attribute(id, "datetime").into_iter().for_each(|date| {
                let published = tree.attribute(id, "pubdate").is_some() || tree.attribute(id, "itemprop").is_some();
                offer(if published { DATES.len() } else { DATES.len() + 1 }, date);
            }),
            _ => {}
        }
    }
    title.into_iter().for_each(|title| out.set_title(&title));
    best.into_iter().for_each(|(_, date)| out.set_date(&date));
}

/// SVG has titles too.
fn within_head(tree: &Tree, id: Id) -> bool {
    tree.parent(id)
        .is_some_and(|parent| matches!(tree.name(parent), "head" | "body" | "html"))
}

fn text_of(tree: &Tree, id: Id) -> String {
    tree.children(id).filter_map(|child| tree.text(child)).collect()
}

/// The string after a key, without parsing: it is checked to be a date, and the JSON of pages is often broken.
fn json_string_after<'a>(json: &'a str, key: &str) -> Option<&'a str> {
    let rest = json[json.find(key)? + key.len()..]
        .trim_start()
        .strip_prefix(':')?
        .trim_start()
        .strip_prefix('"')?;
    rest.get(..rest.find('"')?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_last_change_wins_over_the_first_publication() {
        let date = |head: &str| super::super::tests::read(&format!("<head>{head}</head><body>x")).date;
        assert_eq!(
            date("<meta property='article:published_time' content='2020-01-02T00:00:00Z'>").as_deref(),
            Some("2020-01-02")
        );
        assert_eq!(
            date("<meta name=date content=2020-01-02><meta property='article:modified_time' content='2021-03-04'>")
                .as_deref(),
            Some("2021-03-04")
        );
        assert_eq!(
            date(r#"<script type="application/ld+json">{"datePublished": "2019-05-06T01:00"}</script>"#).as_deref(),
            Some("2019-05-06")
        );
        assert_eq!(
            date("<time datetime=2018-01-01>x</time>").as_deref(),
            Some("2018-01-01")
        );
        assert_eq!(date("<meta name=date content=yesterday>"), None);
    }
}

//! A check's report for people and for programs.

use std::fmt::Write as _;

use candor_truth::{Checked, Verdict};
use serde_json::json;

use super::Report;
use crate::terminal::{Style, printable};

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Supported => "supported",
        Verdict::Contradicted => "contradicted",
        Verdict::NotEnough => "not enough",
    }
}

/// The line and column, from 1, of a byte of the text; columns count characters.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    (line, before[start..].chars().count() + 1)
}

fn source(claim: &Checked) -> Option<(String, String)> {
    let evidence = claim.evidence.as_ref()?;
    let name = evidence.source.title.as_deref().unwrap_or(&evidence.source.name);
    let page = evidence.page.map_or(String::new(), |page| format!(", page {page}"));
    Some((format!("{name}{page}"), evidence.quote.text().to_owned()))
}

fn one_line(text: &str) -> String {
    printable(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// For people.
pub(super) fn table(report: &Report, style: Style) -> String {
    let mut text = String::new();
    for claim in &report.claims {
        let (line, column) = place(&report.text, claim.start);
        let verdict = format!("{:<12}", word(claim.verdict));
        let verdict = match claim.verdict {
            Verdict::Supported => style.green(&verdict),
            Verdict::Contradicted => style.red(&verdict),
            Verdict::NotEnough => style.yellow(&verdict),
        };
        let sure = format!("{:>3.0}%", claim.supported * 100.0);
        let _ = writeln!(
            text,
            "{line:>4}:{column:<4} {verdict} {sure}  {}",
            one_line(&claim.text)
        );
        for reason in &claim.reasons {
            let _ = writeln!(text, "{:28}{}", "", printable(reason));
        }
        if let Some((name, quote)) = source(claim) {
            let _ = writeln!(
                text,
                "{:28}{}",
                "",
                style.dim(&format!("{}: \u{201c}{}\u{201d}", printable(&name), one_line(&quote)))
            );
        }
    }
    let _ = writeln!(
        text,
        "{}{} supported, {} contradicted, {} without enough evidence",
        if report.claims.is_empty() { "" } else { "\n" },
        report.count(Verdict::Supported),
        report.count(Verdict::Contradicted),
        report.count(Verdict::NotEnough)
    );
    text
}

/// For programs.
pub(super) fn json(report: &Report) -> anyhow::Result<String> {
    let claims: Vec<_> = report
        .claims
        .iter()
        .map(|claim| {
            let (line, column) = place(&report.text, claim.start);
            let mut value = serde_json::to_value(claim)?;
            value["line"] = line.into();
            value["column"] = column.into();
            Ok(value)
        })
        .collect::<Result<_, serde_json::Error>>()?;
    let all = json!({
        "file": report.name,
        "claims": claims,
        "supported": report.count(Verdict::Supported),
        "contradicted": report.count(Verdict::Contradicted),
        "not_enough": report.count(Verdict::NotEnough),
    });
    Ok(format!("{}\n", serde_json::to_string_pretty(&all)?))
}

/// SARIF 2.1.0 (OASIS): what is not supported, one result each.
pub(super) fn sarif(report: &Report) -> anyhow::Result<String> {
    let rules = [
        ("contradicted", "A source says otherwise", "error"),
        ("not-enough-evidence", "No source bears this out", "warning"),
    ];
    let bad = report.claims.iter().filter(|claim| claim.verdict != Verdict::Supported);
    let results: Vec<_> = bad
        .map(|claim| {
            let rule = if claim.verdict == Verdict::Contradicted { rules[0] } else { rules[1] };
            let (line, column) = place(&report.text, claim.start);
            let (end_line, end_column) = place(&report.text, claim.end);
            let mut message = format!("{}: {}", rule.1, one_line(&claim.text));
            for reason in &claim.reasons {
                let _ = write!(message, "; {reason}");
            }
            if let Some((name, quote)) = source(claim) {
                let _ = write!(message, ". {name}: \u{201c}{}\u{201d}", one_line(&quote));
            }
            json!({
                "ruleId": rule.0, "level": rule.2, "message": { "text": message },
                "locations": [{ "physicalLocation": {
                    "artifactLocation": { "uri": uri(&report.name) },
                    "region": { "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column },
                } }],
                "properties": { "supported": claim.supported },
            })
        })
        .collect();
    let rules: Vec<_> = rules
        .iter()
        .map(|(id, text, level)| {
            json!({ "id": id, "shortDescription": { "text": text }, "defaultConfiguration": { "level": level } })
        })
        .collect();
    let all = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "candor", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    Ok(format!("{}\n", serde_json::to_string_pretty(&all)?))
}

/// A path as a relative reference: bytes that may not stand in one as %XX.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => uri.push(byte as char),
            b'\\' => uri.push('/'),
            _ => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri
}

/// A page to look at: the text with its claims marked, each with its evidence below it. No script, nothing from outside.
pub(super) fn html(report: &Report) -> String {
    let mut body = String::new();
    let mut at = 0;
    for claim in &report.claims {
        body.push_str(&escaped(&report.text[at..claim.start]));
        at = claim.end;
        let class = match claim.verdict {
            Verdict::Supported => "supported",
            Verdict::Contradicted => "contradicted",
            Verdict::NotEnough => "open",
        };
        let mut marked = String::new();
        let mut from = 0;
        for range in &claim.unsupported {
            let _ = write!(
                marked,
                "{}<u>{}</u>",
                escaped(&claim.text[from..range.start]),
                escaped(&claim.text[range.clone()])
            );
            from = range.end;
        }
        marked.push_str(&escaped(&claim.text[from..]));
        let mut notes = format!("<b>{}</b>, {:.0}%", word(claim.verdict), claim.supported * 100.0);
        for reason in &claim.reasons {
            let _ = write!(notes, "; {}", escaped(reason));
        }
        if let Some((name, quote)) = source(claim) {
            let _ = write!(notes, "<br>{}: <q>{}</q>", escaped(&name), escaped(&quote));
        }
        let _ = write!(
            body,
            "<details class=\"{class}\"><summary>{marked}</summary><p>{notes}</p></details>"
        );
    }
    body.push_str(&escaped(&report.text[at..]));
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{name}: facts</title><style>{STYLE}</style></head><body><h1>{name}</h1>\
         <p>{} supported, {} contradicted, {} without enough evidence. A sentence opens to its evidence.</p>\
         <main>{body}</main></body></html>\n",
        report.count(Verdict::Supported),
        report.count(Verdict::Contradicted),
        report.count(Verdict::NotEnough),
        name = escaped(&report.name),
    )
}

const STYLE: &str = "body{max-width:46rem;margin:2rem auto;padding:0 1rem;font:1rem/1.6 system-ui,sans-serif;color-scheme:light dark}\
main{white-space:pre-wrap}details{display:inline}details[open]{display:block}summary{display:inline;cursor:pointer;list-style:none;border-bottom:2px solid}\
.supported summary{border-color:#2a8a4a}.open summary{border-color:#c08a00}.contradicted summary{border-color:#c0392b}\
u{text-decoration:underline wavy #c0392b}details p{white-space:normal;margin:.3rem 0 .8rem;padding:.5rem .8rem;border-left:3px solid;font-size:.9rem}";

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn report() -> Report {
        let text = "A mill.\n<b>It</b> has nine rooms.\n".to_owned();
        let start = text.find("<b>").unwrap();
        let claim = Checked {
            text: "<b>It</b> has nine rooms.".into(),
            start,
            end: text.len() - 1,
            verdict: Verdict::Contradicted,
            supported: 0.07,
            unsupported: std::iter::once(14..18).collect(),
            reasons: vec!["the evidence does not have \"nine\"".into()],
            evidence: None,
            judgement: None,
        };
        Report {
            name: "my draft.md".into(),
            text,
            claims: vec![claim],
        }
    }

    #[test]
    fn a_report_says_where_and_why() {
        let table = table(&report(), Style::forced(false));
        assert!(
            table.contains("   2:1    contradicted   7%  <b>It</b> has nine rooms."),
            "{table}"
        );
        assert!(
            table.contains("\"nine\"") && table.ends_with("0 supported, 1 contradicted, 0 without enough evidence\n")
        );
        let json: serde_json::Value = serde_json::from_str(&json(&report()).unwrap()).unwrap();
        assert_eq!(
            (json["claims"][0]["line"].as_u64(), json["contradicted"].as_u64()),
            (Some(2), Some(1))
        );
    }

    #[test]
    fn sarif_names_the_region_and_the_rule() {
        let all: serde_json::Value = serde_json::from_str(&sarif(&report()).unwrap()).unwrap();
        let result = &all["runs"][0]["results"][0];
        assert_eq!(result["ruleId"], "contradicted");
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "my%20draft.md");
        assert_eq!(
            (
                place["region"]["startLine"].as_u64(),
                place["region"]["endColumn"].as_u64()
            ),
            (Some(2), Some(26))
        );
    }

    #[test]
    fn a_page_shows_markup_of_the_text_as_text() {
        let page = html(&report());
        assert!(
            page.contains("&lt;b&gt;It&lt;/b&gt;") && page.contains("<u>nine</u>"),
            "{page}"
        );
        assert!(!page.contains("<b>It</b>"));
    }
}

//! What may be asked for: http and https addresses with a host, without credentials. The parser is the one that connects
//! (the WHATWG's rules, crate `url`), so that no other spelling of a host means something else there.

use std::net::IpAddr;

use reqwest::Url;

use crate::FetchError;

/// Bytes of an address.
const LONGEST: usize = 2048;

/// An address that may be asked for, as far as its text tells.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address(Url);

impl Address {
    /// Whether a text is meant as an address of the web; what it is worth, `parse` says.
    pub fn is_meant(text: &str) -> bool {
        let scheme = |name: &str| {
            text.get(..name.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(name))
        };
        scheme("http://") || scheme("https://")
    }

    /// Reads an address.
    ///
    /// # Errors
    /// If it is none, or one that is not asked; with the reason.
    pub fn parse(text: &str) -> Result<Self, FetchError> {
        let refused = |why| FetchError::Address {
            address: shown(text),
            why,
        };
        if text.len() > LONGEST {
            return Err(refused("it is longer than 2048 bytes"));
        }
        // The parser would leave some of these out without a word, and others read the rest differently then.
        if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err(refused("it has spaces, backslashes or control characters in it"));
        }
        let url = Url::parse(text).map_err(|_| refused("it does not parse; it looks like https://example.org/page"))?;
        Self::checked(url).map_err(refused)
    }

    /// Where a redirect from here leads.
    ///
    /// # Errors
    /// If that is no address that is asked; with the reason.
    pub fn redirected(&self, location: &str) -> Result<Self, FetchError> {
        let refused = |why| FetchError::Address {
            address: shown(location),
            why,
        };
        if location.len() > LONGEST || location.chars().any(|c| c.is_control() || c == '\\') {
            return Err(refused("a redirect leads to something that is no address"));
        }
        let next = self.0.join(location);
        let next = Self::checked(next.map_err(|_| refused("a redirect leads to something that is no address"))?);
        let next = next.map_err(refused)?;
        if self.0.scheme() == "https" && next.0.scheme() == "http" {
            return Err(refused("a redirect leads from https to http"));
        }
        Ok(next)
    }

    fn checked(mut url: Url) -> Result<Self, &'static str> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err("only http and https are fetched");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it holds a name or password, which are never sent; leave them out");
        }
        if url.host_str().is_none_or(str::is_empty) || url.port() == Some(0) {
            return Err("it names no host that can be asked");
        }
        url.set_fragment(None);
        if url.as_str().len() > LONGEST {
            return Err("it is longer than 2048 bytes");
        }
        Ok(Self(url))
    }

    /// The address, in its usual form.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Host and port, for sentences.
    pub fn host(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0
            .port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The host, where it is written as a number.
    pub fn ip(&self) -> Option<IpAddr> {
        let host = self.0.host_str()?;
        host.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    pub(crate) fn url(&self) -> &Url {
        &self.0
    }

    /// The last part of its path, which may have a file's ending.
    pub fn file_name(&self) -> &str {
        let last = self.0.path_segments().and_then(|mut parts| parts.next_back());
        last.unwrap_or_default()
    }

    /// What people call it: host and path.
    pub fn name(&self) -> String {
        format!("{}{}", self.host(), self.0.path().trim_end_matches('/'))
    }
}

/// Cut short and without characters that move the cursor: it may come from a document.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_spellings_of_a_host_are_the_number_that_is_connected_to() {
        for text in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://0x7f.0.0.1/",
            "http://2130706433/",
            "http://0177.0.0.1/",
            "http://127.0.0.1./",
            "http://１２７.0.0.1/",
        ] {
            assert_eq!(
                Address::parse(text).unwrap().ip(),
                Some([127, 0, 0, 1].into()),
                "{text}"
            );
        }
        let mapped = Address::parse("http://[::ffff:10.0.0.1]/").unwrap();
        assert!(mapped.ip().unwrap().is_ipv6());
        assert_eq!(Address::parse("https://example.org:8443/a?b#c").unwrap().ip(), None);
    }

    #[test]
    fn what_is_no_plain_web_address_is_refused_with_a_reason() {
        for (text, why) in [
            ("ftp://example.org/", "only http"),
            ("file:///etc/passwd", "only http"),
            ("https://me:secret@example.org/", "password"),
            ("https://me@example.org/", "password"),
            ("https://example.org\\@10.0.0.1/", "backslashes"),
            ("https://exam\nple.org/", "control"),
            ("https://", "does not parse"),
            ("example.org", "does not parse"),
            ("http://example.org:0/", "no host"),
            ("http://256.256.256.256/", "does not parse"),
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(Address::parse(&format!("http://example.org/{}", "a".repeat(3000))).is_err());
    }

    #[test]
    fn a_redirect_is_held_to_the_same_rules_and_never_leaves_https() {
        let from = Address::parse("https://example.org/a/b").unwrap();
        assert_eq!(from.redirected("../c").unwrap().as_str(), "https://example.org/c");
        assert_eq!(from.redirected("//other.example/").unwrap().host(), "other.example");
        for bad in [
            "http://example.org/",
            "file:///etc/passwd",
            "gopher://example.org/",
            "https://a:b@example.org/",
            "https://exa\tmple.org/",
        ] {
            assert!(from.redirected(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_has_a_name_and_loses_its_fragment() {
        let address = Address::parse("HTTPS://Example.org/News/item.html?id=1#top").unwrap();
        assert_eq!(address.as_str(), "https://example.org/News/item.html?id=1");
        assert_eq!(
            (address.name().as_str(), address.file_name()),
            ("example.org/News/item.html", "item.html")
        );
        assert_eq!(Address::parse("https://example.org/").unwrap().name(), "example.org");
        assert!(Address::is_meant("HTTPS://x") && !Address::is_meant("~/http://x") && !Address::is_meant("é"));
    }
}

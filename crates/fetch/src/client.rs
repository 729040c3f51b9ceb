//! The client: one GET, redirects followed by hand, everything bounded. It sends no cookies and no credentials, asks no
//! proxy (which would look names up itself), and runs nothing of what comes.

use std::sync::{Arc, Once};
use std::time::Duration;

use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED, LOCATION,
};
use reqwest::{Response, StatusCode};

use crate::names::{Checked, permitted};
use crate::{Address, FetchError, Names, Reach, SystemNames};

/// Bytes of a header that is kept.
const LONGEST_HEADER: usize = 1024;

/// How much a fetch may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body.
    pub bytes: u64,
    /// Redirects in a row.
    pub redirects: usize,
    /// Time until there is a connection.
    pub connect: Duration,
    /// Time without a byte.
    pub idle: Duration,
    /// Time in all.
    pub whole: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            redirects: 5,
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(20),
            whole: Duration::from_secs(120),
        }
    }
}

/// What the host said of a page when it was last fetched: sent back, so that it need not come again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Its tag.
    pub etag: Option<String>,
    /// When it was changed, in the host's words.
    pub modified: Option<String>,
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Where it was in the end, behind all redirects.
    pub address: Address,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// For the next time.
    pub seen: Seen,
}

/// A host's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The page is as it was.
    Same,
    /// The page.
    Page(Box<Fetched>),
}

/// Fetches pages.
#[derive(Debug, Clone)]
pub struct Client {
    inner: reqwest::Client,
    reach: Reach,
    limits: Limits,
}

impl Client {
    /// With the system's resolver.
    ///
    /// # Errors
    /// If this system cannot make connections.
    pub fn new(reach: Reach, limits: Limits) -> Result<Self, FetchError> {
        Self::with_names(reach, limits, Arc::new(SystemNames))
    }

    /// With a resolver of one's own.
    ///
    /// # Errors
    /// If this system cannot make connections.
    pub fn with_names(reach: Reach, limits: Limits, names: Arc<dyn Names>) -> Result<Self, FetchError> {
        static PROVIDER: Once = Once::new();
        // An error only says that the program has chosen one already, which serves as well.
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let names = Arc::new(Checked { names, reach });
        let builder = || {
            reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .dns_resolver(Arc::clone(&names))
                .connect_timeout(limits.connect)
                .read_timeout(limits.idle)
                .pool_max_idle_per_host(0)
                .referer(false)
                .user_agent(concat!("candor/", env!("CARGO_PKG_VERSION")))
        };
        // Where the system has no certificate store, plain http must go on working, and https says why it does not.
        let inner = builder().build().or_else(|_| builder().tls_certs_only([]).build());
        Ok(Self {
            inner: inner.map_err(|error| FetchError::NoClient(root(&error)))?,
            reach,
            limits,
        })
    }

    /// Fetches a page, unless it is as it was `seen`.
    ///
    /// # Errors
    /// If it cannot be had; with what to do.
    pub async fn get(&self, address: &Address, seen: &Seen) -> Result<Answer, FetchError> {
        let asked = tokio::time::timeout(self.limits.whole, self.follow(address, seen)).await;
        asked.unwrap_or_else(|_| {
            Err(FetchError::Unreachable {
                host: address.host(),
                why: format!("it was not done within {} s", self.limits.whole.as_secs()),
            })
        })
    }

    async fn follow(&self, address: &Address, seen: &Seen) -> Result<Answer, FetchError> {
        let mut at = address.clone();
        for _ in 0..=self.limits.redirects {
            // A host that is a number is never looked up, so it is checked here.
            if let Some(ip) = at.ip() {
                permitted(self.reach, &at.host(), &[ip])?;
            }
            let request = self.inner.get(at.url().clone()).headers(headers(seen));
            let response = request.send().await.map_err(|error| unsent(&at, &error))?;
            let status = response.status();
            if status == StatusCode::NOT_MODIFIED && *seen != Seen::default() {
                return Ok(Answer::Same);
            }
            if status.is_redirection() {
                let next = text(response.headers(), LOCATION.as_str());
                let next = next.ok_or_else(|| refused(&at, "redirected without saying where; check the address"))?;
                at = at.redirected(&next)?;
                continue;
            }
            return self.page(at, response).await;
        }
        let why = format!(
            "redirected more than {} times; check the address",
            self.limits.redirects
        );
        Err(refused(address, &why))
    }

    async fn page(&self, address: Address, mut response: Response) -> Result<Answer, FetchError> {
        let status = response.status();
        if status != StatusCode::OK {
            return Err(said_no(&address, status));
        }
        let packed = text(response.headers(), CONTENT_ENCODING.as_str());
        if packed.is_some_and(|how| !how.eq_ignore_ascii_case("identity")) {
            let why = "sends the page packed although it was asked not to; download it and add the file";
            return Err(refused(&address, why));
        }
        let too_large = || FetchError::TooLarge {
            host: address.host(),
            megabytes: self.limits.bytes >> 20,
        };
        if response
            .content_length()
            .is_some_and(|length| length > self.limits.bytes)
        {
            return Err(too_large());
        }
        let seen = Seen {
            etag: text(response.headers(), ETAG.as_str()),
            modified: text(response.headers(), LAST_MODIFIED.as_str()),
        };
        let mut bytes = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| unsent(&address, &error))? {
            if (bytes.len() + part.len()) as u64 > self.limits.bytes {
                return Err(too_large());
            }
            bytes.extend_from_slice(&part);
        }
        Ok(Answer::Page(Box::new(Fetched { address, bytes, seen })))
    }
}

fn headers(seen: &Seen) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("text/html,application/xhtml+xml,*/*"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for (name, value) in [(IF_NONE_MATCH, &seen.etag), (IF_MODIFIED_SINCE, &seen.modified)] {
        if let Some(value) = value.as_deref().and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    }
    headers
}

fn refused(address: &Address, why: &str) -> FetchError {
    FetchError::Refused {
        host: address.host(),
        why: why.to_owned(),
    }
}

fn said_no(address: &Address, status: StatusCode) -> FetchError {
    let host = address.host();
    let why = match status.as_u16() {
        status @ (404 | 410) => return FetchError::NotThere { host, status },
        401 | 403 => format!(
            "does not show this page to everyone ({}); save it and add the file",
            status.as_u16()
        ),
        429 => "has had too many requests (429); try again later".to_owned(),
        500..=599 => format!("has trouble of its own ({}); try again later", status.as_u16()),
        status => format!("answered {status} and no page; check the address"),
    };
    FetchError::Refused { host, why }
}

/// The error of a request; our own, where the name led somewhere forbidden.
fn unsent(address: &Address, error: &reqwest::Error) -> FetchError {
    let mut at: &dyn std::error::Error = error;
    loop {
        if let Some(own) = at.downcast_ref::<FetchError>() {
            return own.clone();
        }
        match at.source() {
            Some(source) => at = source,
            None => break,
        }
    }
    let why = if error.is_timeout() {
        "it did not answer in time".to_owned()
    } else {
        root(error)
    };
    FetchError::Unreachable {
        host: address.host(),
        why,
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    // A location may be as long as an address.
    (value.len() <= 2 * LONGEST_HEADER).then(|| value.to_owned())
}

/// The innermost reason of an error: that is where "connection refused" stands.
fn root(error: &dyn std::error::Error) -> String {
    let mut at = error;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string()
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read, Write};
    use std::net::{IpAddr, TcpListener};
    use std::sync::Mutex;

    use super::*;

    /// A server on loopback that answers each request with what `reply` makes of its head; what it was asked is kept.
    fn server(reply: impl Fn(&str) -> String + Send + 'static) -> (u16, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heads = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
                    head.push(byte[0]);
                }
                let head = String::from_utf8(head).unwrap();
                let answer = reply(&head);
                heads.lock().unwrap().push(head);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        (port, asked)
    }

    fn ok(body: &str) -> String {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nETag: \"one\"\r\n\r\n{body}",
            body.len()
        )
    }

    fn to(location: &str) -> String {
        format!("HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: {location}\r\n\r\n")
    }

    /// Says the answers one after the other, the last one for ever.
    struct Turns(Mutex<Vec<Vec<IpAddr>>>);

    #[async_trait::async_trait]
    impl Names for Turns {
        async fn lookup(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            let mut turns = self.0.lock().unwrap();
            Ok(if turns.len() > 1 {
                turns.remove(0)
            } else {
                turns[0].clone()
            })
        }
    }

    fn client(reach: Reach, turns: &[&[&str]]) -> Client {
        let turns = turns
            .iter()
            .map(|all| all.iter().map(|ip| ip.parse().unwrap()).collect())
            .collect();
        let limits = Limits {
            bytes: 1 << 20,
            connect: Duration::from_millis(300),
            idle: Duration::from_millis(500),
            whole: Duration::from_secs(5),
            ..Limits::default()
        };
        Client::with_names(reach, limits, Arc::new(Turns(Mutex::new(turns)))).unwrap()
    }

    async fn get(client: &Client, address: &str) -> Result<Answer, FetchError> {
        client.get(&Address::parse(address).unwrap(), &Seen::default()).await
    }

    #[tokio::test]
    async fn a_name_is_looked_up_once_and_what_was_checked_is_connected_to() {
        let (port, asked) = server(|_| ok("words"));
        // The second answer would lead elsewhere; it is never asked for.
        let client = client(Reach::Local, &[&["127.0.0.1"], &["169.254.169.254"]]);
        let Answer::Page(page) = get(&client, &format!("http://news.example:{port}/a#b")).await.unwrap() else {
            panic!("a page")
        };
        assert_eq!(page.bytes, b"words");
        assert_eq!(page.seen.etag.as_deref(), Some("\"one\""));
        let head = asked.lock().unwrap()[0].clone();
        assert!(
            head.starts_with("GET /a HTTP/1.1") && head.contains(&format!("news.example:{port}")),
            "{head}"
        );
    }

    #[tokio::test]
    async fn class_12_names_that_lead_into_the_local_network_are_refused_before_anything_is_sent() {
        let (port, asked) = server(|_| ok("secrets"));
        for turns in [
            &[&["127.0.0.1"][..]][..],
            &[&["::1"]],
            &[&["::ffff:127.0.0.1"]],
            &[&["10.0.0.1"]],
            &[&["100.64.0.1"]],
            // One public address among local ones.
            &[&["8.8.8.8", "127.0.0.1"]],
        ] {
            let error = get(&client(Reach::Public, turns), &format!("http://evil.example:{port}/"))
                .await
                .unwrap_err();
            assert!(
                matches!(&error, FetchError::Private { local: true, .. }),
                "{turns:?}: {error}"
            );
            assert!(error.to_string().contains("--allow-private"));
        }
        for host in ["127.0.0.1", "127.1", "[::1]", "0x7f000001", "[::ffff:7f00:1]"] {
            let error = get(
                &client(Reach::Public, &[&["3ffe::1"]]),
                &format!("http://{host}:{port}/"),
            )
            .await
            .unwrap_err();
            assert!(matches!(&error, FetchError::Private { .. }), "{host}: {error}");
        }
        assert!(asked.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn class_12_a_resolver_that_answers_otherwise_the_second_time_wins_nothing() {
        let (port, asked) = server(|_| ok("secrets"));
        // Public when it is checked (of a block that nobody has), this machine when it is asked again.
        let client = client(Reach::Public, &[&["3ffe::1"], &["127.0.0.1"]]);
        let first = get(&client, &format!("http://rebind.example:{port}/"))
            .await
            .unwrap_err();
        assert!(matches!(first, FetchError::Unreachable { .. }), "{first}");
        let second = get(&client, &format!("http://rebind.example:{port}/"))
            .await
            .unwrap_err();
        assert!(matches!(second, FetchError::Private { .. }), "{second}");
        assert!(asked.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn class_12_every_redirect_is_checked_anew() {
        let (inside, reached) = server(|_| ok("secrets"));
        for location in [
            "http://169.254.169.254/latest/".to_owned(),
            "http://[fe80::1]/".to_owned(),
            "http://0.0.0.0/".to_owned(),
            format!("http://0:{inside}/"),
            "file:///etc/passwd".to_owned(),
            format!("http://me:secret@127.0.0.1:{inside}/"),
        ] {
            let (port, _) = server(move |_| to(&location));
            let error = get(
                &client(Reach::Local, &[&["127.0.0.1"]]),
                &format!("http://a.example:{port}/"),
            )
            .await
            .unwrap_err();
            assert!(
                matches!(&error, FetchError::Private { .. } | FetchError::Address { .. }),
                "{error}"
            );
        }
        // A name that was permitted at the first hop and is not at the second.
        let (port, _) = server(move |_| to(&format!("http://b.example:{inside}/")));
        let turns = client(Reach::Local, &[&["127.0.0.1"], &["127.0.0.1", "169.254.0.1"]]);
        let error = get(&turns, &format!("http://a.example:{port}/")).await.unwrap_err();
        assert!(matches!(&error, FetchError::Private { .. }), "{error}");
        assert!(reached.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn redirects_are_followed_five_times_and_no_more() {
        let (port, asked) = server(|head| {
            let at: usize = head[5..6].parse().unwrap();
            if at == 0 {
                ok("end")
            } else {
                to(&format!("/{}", at - 1))
            }
        });
        let client = client(Reach::Local, &[&["127.0.0.1"]]);
        let Answer::Page(page) = get(&client, &format!("http://a.example:{port}/5")).await.unwrap() else {
            panic!("a page")
        };
        assert_eq!(page.address.as_str(), format!("http://a.example:{port}/0"));
        let error = get(&client, &format!("http://a.example:{port}/6")).await.unwrap_err();
        assert!(error.to_string().contains("more than 5 times"), "{error}");
        assert_eq!(asked.lock().unwrap().len(), 12);
    }

    #[tokio::test]
    async fn what_was_seen_is_sent_back_and_need_not_come_again() {
        let (port, _) = server(|head| match head.contains("if-none-match: \"one\"") {
            true => "HTTP/1.1 304 Not Modified\r\n\r\n".to_owned(),
            false => ok("words"),
        });
        let client = client(Reach::Local, &[&["127.0.0.1"]]);
        let address = Address::parse(&format!("http://a.example:{port}/")).unwrap();
        let Answer::Page(page) = client.get(&address, &Seen::default()).await.unwrap() else {
            panic!("a page")
        };
        assert_eq!(client.get(&address, &page.seen).await.unwrap(), Answer::Same);
    }

    #[tokio::test]
    async fn what_is_too_large_too_slow_packed_or_not_there_is_a_sentence() {
        let client = client(Reach::Local, &[&["127.0.0.1"]]);
        let endless = |_: &str| format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(2 << 20));
        let claimed = |_: &str| "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nx".to_owned();
        let packed = |_: &str| "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx".to_owned();
        let missing = |_: &str| "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned();
        let lost = |_: &str| "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n".to_owned();
        let locked = |_: &str| "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n".to_owned();
        type Reply = fn(&str) -> String;
        let replies: [(Reply, &str); 6] = [
            (endless, "larger than 1 MB"),
            (claimed, "larger than 1 MB"),
            (packed, "packed"),
            (missing, "no such page (404)"),
            (lost, "without saying where"),
            (locked, "does not show this page"),
        ];
        for (reply, says) in replies {
            let (port, _) = server(reply);
            let error = get(&client, &format!("http://a.example:{port}/")).await.unwrap_err();
            assert!(error.to_string().contains(says), "{says}: {error}");
        }
        // It takes the request and says nothing.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port();
        let error = get(&client, &format!("http://a.example:{port}/")).await.unwrap_err();
        assert!(error.to_string().contains("did not answer in time"), "{error}");
    }
}

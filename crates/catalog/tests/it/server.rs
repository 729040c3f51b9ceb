//! A loopback HTTP server that does what it is told, bad manners included. One answer per connection.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What came in.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    pub range: Option<(u64, u64)>,
    pub token: Option<String>,
}

/// What goes out.
#[derive(Clone, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Said instead of the true length; `Some(None)`: nothing is said.
    pub length: Option<Option<u64>>,
    /// The connection is closed after this much of the body.
    pub cut_after: Option<usize>,
    /// Between pieces of 16 kB.
    pub pause: Duration,
    /// Before anything is said.
    pub silence: Duration,
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.into(), value.to_string()));
        self
    }

    /// The file as a server with ranges gives it.
    pub fn file(request: &Request, file: &[u8]) -> Self {
        let Some((first, last)) = request.range else {
            return Self {
                body: file.to_vec(),
                ..Self::status(200)
            };
        };
        let last = last.min(file.len() as u64 - 1);
        Self {
            body: file[first as usize..=last as usize].to_vec(),
            ..Self::status(206)
        }
        .with("Content-Range", format!("bytes {first}-{last}/{}", file.len()))
    }
}

pub struct Server {
    pub port: u16,
    seen: Arc<Mutex<Vec<Request>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    pub async fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let log = seen.clone();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answer, log) = (answer.clone(), log.clone());
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let mut byte = [0];
                        if stream.read(&mut byte).await.unwrap_or(0) == 0 {
                            return;
                        }
                        head.push(byte[0]);
                    }
                    let request = parse(&String::from_utf8_lossy(&head));
                    log.lock().unwrap().push(request.clone());
                    let reply = answer(&request);
                    tokio::time::sleep(reply.silence).await;
                    let mut out = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", reply.status);
                    for (name, value) in &reply.headers {
                        out.push_str(&format!("{name}: {value}\r\n"));
                    }
                    if let Some(length) = reply.length.unwrap_or(Some(reply.body.len() as u64)) {
                        out.push_str(&format!("Content-Length: {length}\r\n"));
                    }
                    out.push_str("\r\n");
                    if stream.write_all(out.as_bytes()).await.is_err() {
                        return;
                    }
                    let end = reply.cut_after.unwrap_or(reply.body.len()).min(reply.body.len());
                    for piece in reply.body[..end].chunks(16 << 10) {
                        if stream.write_all(piece).await.is_err() {
                            return;
                        }
                        if !reply.pause.is_zero() {
                            tokio::time::sleep(reply.pause).await;
                        }
                    }
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { port, seen, task }
    }

    pub fn at(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn parse(head: &str) -> Request {
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (n, value) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let range = header("range").and_then(|value| {
        let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok()?))
    });
    Request {
        path: head.split(' ').nth(1).unwrap_or_default().to_owned(),
        range,
        token: header("authorization"),
    }
}

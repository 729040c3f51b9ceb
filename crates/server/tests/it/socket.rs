//! Over real sockets: slow clients, clients that go away, clients that do not read, shutdown.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use candor_server::{App, Models, ServerConfig, bind, serve};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::chat_body;
use super::fake::Fake;

struct Server {
    fake: Fake,
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

async fn start(config: ServerConfig) -> Server {
    let config = ServerConfig { port: 0, ..config };
    let fake = Fake::default();
    let models = Models::new();
    models.insert("fake", Arc::new(fake.clone()));
    let listener = bind(&config).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let app = App::new(Arc::new(models), config);
    let task = tokio::spawn(serve(app, listener, async {
        stopped.await.ok();
    }));
    Server {
        fake,
        address,
        stop,
        task,
    }
}

async fn ask(server: &Server, text: &str, stream: bool) -> TcpStream {
    let body = chat_body(text, json!({ "stream": stream })).to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    socket
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_generation() {
    let server = start(ServerConfig::default()).await;
    for stream in [true, false] {
        let before = server.fake.ended.load(Ordering::SeqCst);
        let sent = server.fake.sent.load(Ordering::SeqCst);
        let socket = ask(&server, "FOREVER", stream).await;
        until("the first token", || server.fake.sent.load(Ordering::SeqCst) > sent).await;
        drop(socket);
        until("the cancellation", || server.fake.ended.load(Ordering::SeqCst) > before).await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped_and_holds_no_memory() {
    let server = start(ServerConfig {
        write_timeout_s: 1,
        ..ServerConfig::default()
    })
    .await;
    let socket = ask(&server, "FLOOD", true).await;
    until("the end", || server.fake.ended.load(Ordering::SeqCst) == 1).await;
    // What was taken from the generator fits into the socket's buffers: nothing piled up in between.
    let megabytes = server.fake.sent.load(Ordering::SeqCst) * 4096 / 1_000_000;
    assert!(
        megabytes < 64,
        "{megabytes} MB were taken for a client that reads nothing"
    );
    drop(socket);
}

#[tokio::test]
async fn a_head_that_comes_too_slowly_is_given_up() {
    let server = start(ServerConfig {
        read_timeout_s: 1,
        ..ServerConfig::default()
    })
    .await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket
        .write_all(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127")
        .await
        .unwrap();
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(5), socket.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "the connection stayed open");
}

#[tokio::test]
async fn connections_that_ask_nothing_make_room_for_one_that_asks_and_running_answers_go_on() {
    let server = start(ServerConfig {
        max_connections: 3,
        ..ServerConfig::default()
    })
    .await;
    let running = ask(&server, "FOREVER", true).await;
    until("the first token", || server.fake.sent.load(Ordering::SeqCst) > 0).await;
    let mut silent = Vec::new();
    for _ in 0..6 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    let mut asking = ask(&server, "hello", false).await;
    let mut reply = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(15), asking.read(&mut reply)).await;
    let read = read.expect("there was no room in fifteen seconds").unwrap();
    assert!(String::from_utf8_lossy(&reply[..read]).starts_with("HTTP/1.1 200"));
    assert_eq!(
        server.fake.ended.load(Ordering::SeqCst),
        1,
        "the running answer was cut off"
    );
    drop(running);
    until("the cancellation", || server.fake.ended.load(Ordering::SeqCst) == 2).await;
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_gets_a_408() {
    let server = start(ServerConfig {
        read_timeout_s: 1,
        ..ServerConfig::default()
    })
    .await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{";
    socket.write_all(head).await.unwrap();
    let mut reply = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(5), socket.read(&mut reply))
        .await
        .unwrap()
        .unwrap();
    let text = String::from_utf8_lossy(&reply[..read]).into_owned();
    assert!(text.starts_with("HTTP/1.1 408"), "{text}");
}

#[tokio::test]
async fn garbage_instead_of_http_closes_the_connection_only() {
    let server = start(ServerConfig::default()).await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        socket.write_all(garbage).await.unwrap();
        let mut rest = Vec::new();
        tokio::time::timeout(Duration::from_secs(5), socket.read_to_end(&mut rest))
            .await
            .unwrap()
            .ok();
    }
    let mut socket = ask(&server, "Hi", false).await;
    let mut reply = vec![0; 4096];
    let read = socket.read(&mut reply).await.unwrap();
    assert!(reply[..read].starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn shutdown_lets_running_answers_finish_and_takes_no_new_ones() {
    let server = start(ServerConfig::default()).await;
    let mut socket = ask(&server, "SLOW", false).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.stop.send(()).unwrap();
    let mut reply = Vec::new();
    socket.read_to_end(&mut reply).await.unwrap();
    let text = String::from_utf8_lossy(&reply).into_owned();
    assert!(
        text.starts_with("HTTP/1.1 200") && text.contains("Hello there."),
        "{text}"
    );
    tokio::time::timeout(Duration::from_secs(5), server.task)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn shutdown_cuts_answers_off_after_its_deadline() {
    let server = start(ServerConfig {
        drain_s: 1,
        ..ServerConfig::default()
    })
    .await;
    let _socket = ask(&server, "FOREVER", true).await;
    until("the first token", || server.fake.sent.load(Ordering::SeqCst) > 0).await;
    server.stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), server.task)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    until("the cut", || server.fake.ended.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn a_silent_stream_is_kept_open_by_comments() {
    let server = start(ServerConfig {
        keep_alive_s: 1,
        ..ServerConfig::default()
    })
    .await;
    let mut socket = ask(&server, "SLOW", true).await;
    let mut text = String::new();
    let mut buffer = vec![0; 4096];
    while !text.contains("[DONE]") {
        let read = tokio::time::timeout(Duration::from_secs(5), socket.read(&mut buffer))
            .await
            .unwrap()
            .unwrap();
        assert!(read > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    // The status came before the first token did.
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
}

#[tokio::test]
async fn an_error_that_leaves_a_body_unread_says_that_the_connection_closes() {
    let server = start(ServerConfig::default()).await;
    for (method, path, closes) in [
        ("POST", "/no-such-route", true),
        ("PUT", "/v1/completions", true),
        ("POST", "/detokenize", false),
    ] {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let read = socket.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]).to_ascii_lowercase();
        assert!(answer.starts_with("http/1.1 4"), "{answer}");
        assert_eq!(
            answer.contains("connection: close"),
            closes,
            "{method} {path}: {answer}"
        );
    }
}

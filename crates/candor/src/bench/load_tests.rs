#![allow(clippy::unwrap_used)]
use std::future::pending;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::super::report::Figures;
use super::super::trace::made_up;
use super::*;

const READING: Reading = Reading {
    seed: 0,
    block: 16,
    unit_s: 1.0,
};

/// Two tokens and their count to every request but each third, which is refused.
async fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(answer(stream, number % 3 == 2));
        }
    });
    format!("http://{address}")
}

async fn answer(mut stream: TcpStream, refuse: bool) {
    let mut head = Vec::new();
    while !head.ends_with(b"}") {
        let mut bytes = [0; 4096];
        match stream.read(&mut bytes).await.unwrap() {
            0 => return,
            n => head.extend_from_slice(&bytes[..n]),
        }
    }
    let close = "connection: close\r\n\r\n";
    if refuse {
        let body = r#"{"error": {"message": "the queue is full"}}"#;
        let text = format!("HTTP/1.1 429 Too Many Requests\r\n{close}{body}");
        stream.write_all(text.as_bytes()).await.unwrap();
        return;
    }
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{close}");
    stream.write_all(head.as_bytes()).await.unwrap();
    for event in [
        r#"{"choices": [{"text": "a"}]}"#,
        r#"{"choices": [{"text": "b", "finish_reason": "length"}]}"#,
        r#"{"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}"#,
        "[DONE]",
    ] {
        tokio::time::sleep(Duration::from_millis(5)).await;
        stream.write_all(format!("data: {event}\n\n").as_bytes()).await.unwrap();
    }
}

fn load(requests: usize) -> Arc<Load> {
    Arc::new(Load {
        asks: Arc::new(made_up(requests, 5, 2, 0).0),
        reading: READING,
        output: None,
    })
}

async fn client() -> Client {
    Client::new(&server().await, None, Duration::from_secs(20)).unwrap()
}

#[tokio::test]
async fn clients_wait_for_their_answers_and_refusals_are_counted_with_their_reason() {
    let outcome = run(&client().await, load(9), Pace::Clients(2), pending(), |_, _| ()).await;
    let figures = Figures::new(&outcome);
    assert_eq!((figures.completed, figures.failed), (6, 3));
    assert_eq!(figures.first_error.as_deref(), Some("HTTP 429: the queue is full"));
    assert!(figures.most_at_once <= 2);
    assert_eq!((figures.input, figures.output), (42, 12));
    assert_eq!(figures.itl.sorted().len(), 6);
    assert!(figures.ttft.sorted()[0] >= 5.0);
}

#[tokio::test]
async fn an_open_loop_sends_at_its_times_whatever_is_answered() {
    let times = vec![Duration::ZERO, Duration::from_millis(40), Duration::from_millis(40)];
    let outcome = run(&client().await, load(3), Pace::At(times.clone()), pending(), |_, _| ()).await;
    let sent: Vec<Duration> = outcome.records.iter().map(|record| record.sent).collect();
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().zip(&times).all(|(sent, due)| sent >= due), "{sent:?}");
    assert!(outcome.duration >= times[2] && !outcome.stopped);
}

#[tokio::test]
async fn a_run_that_is_stopped_keeps_what_has_ended() {
    let mut times = vec![Duration::ZERO; 2];
    times.push(Duration::from_secs(600));
    let stop = tokio::time::sleep(Duration::from_millis(500));
    let outcome = run(&client().await, load(3), Pace::At(times), stop, |_, _| ()).await;
    assert!(outcome.stopped);
    assert_eq!(outcome.records.len(), 2);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_failure_of_each_request() {
    let client = Client::new("http://127.0.0.1:9", None, Duration::from_secs(5)).unwrap();
    let outcome = run(&client, load(2), Pace::Clients(1), pending(), |_, _| ()).await;
    let figures = Figures::new(&outcome);
    assert_eq!((figures.completed, figures.failed), (0, 2));
    assert!(figures.first_error.unwrap().contains("no connection"));
}

#[test]
fn the_command_lines_answers_win_over_the_traces() {
    let ask = made_up(1, 5, 7, 0).0;
    let of = |output, own| {
        let mut asks = ask.clone();
        asks[0].output_tokens = own;
        let load = Load {
            asks: Arc::new(asks),
            reading: READING,
            output,
        };
        load.output_of(0)
    };
    assert_eq!(
        [of(Some(3), Some(7)), of(None, Some(7)), of(None, None)],
        [3, 7, ANSWER]
    );
    assert_eq!(of(None, Some(0)), 1, "an answer has a token");
}

#[test]
fn a_run_has_other_words_than_the_one_before_and_the_same_requests() {
    let (first, second) = (load(2), load(2).again(1));
    let text = |load: &Load| load.asks[1].text(1, &load.reading);
    assert_ne!(text(&first), text(&second));
    assert_eq!(text(&second), text(&load(2).again(1)));
    assert_eq!(first.asks, second.asks);
}

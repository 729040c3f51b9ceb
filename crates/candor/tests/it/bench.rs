//! `candor bench`: a model against the clock, and a server under load.

use std::io::{BufRead, BufReader};
use std::process::Child;

use serde_json::Value;

use crate::program::{Place, chat_model};

/// A server of the small model, ended with the test.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(place: &Place, model: &str) -> Self {
        let mut child = place.spawn(&["serve", "-m", model, "--port", "0"]);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line.split_whitespace().next().unwrap_or_default().to_owned();
        assert!(url.starts_with("http://"), "{line}");
        Self { child, url }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn json(place: &Place, name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(place.path().join(name)).unwrap()).unwrap()
}

#[test]
fn a_server_under_load_is_measured_in_the_names_of_vllms_bench() {
    let Some(model) = chat_model() else { return };
    let place = Place::new();
    let server = Server::start(&place, model.to_str().unwrap());
    let file = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let (report, picture) = (file("run.json"), file("run.svg"));
    let mut command = vec!["bench", "serve", "--url", &server.url, "-n", "6", "--clients", "3"];
    command.extend(["--prompt-tokens", "40", "--shared-prefix", "20", "--output-tokens", "8"]);
    command.extend(["--json", &report, "--plot", &picture]);
    let ran = place.run(&command);
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    assert!(
        ran.out.contains("6 answered, 0 failed") && ran.out.contains("time to first token"),
        "{}",
        ran.out
    );
    let run = json(&place, "run.json");
    assert_eq!((&run["completed"], &run["failed"]), (&Value::from(6), &Value::from(0)));
    assert_eq!(
        run["total_output_tokens"], 48,
        "ignore_eos gives every answer its length"
    );
    // A word is about a token.
    let input = run["total_input_tokens"].as_u64().unwrap();
    assert!((6 * 36..=6 * 48).contains(&input), "{input}");
    for name in [
        "request_throughput",
        "output_throughput",
        "mean_ttft_ms",
        "p99_itl_ms",
        "median_e2el_ms",
    ] {
        assert!(run[name].as_f64().unwrap() > 0.0, "{name}");
    }
    assert_eq!(run["ttfts"].as_array().unwrap().len(), 6);
    let svg = std::fs::read_to_string(&picture).unwrap();
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));

    let trace = place.write(
        "trace.jsonl",
        "{\"timestamp\": 100, \"input_length\": 20, \"output_length\": 3}\n{\"timestamp\": 300, \"input_length\": 9, \"output_length\": 5}\n",
    );
    let mut command = vec!["bench", "serve", "--url", &server.url, "--chat", "--trace", &trace];
    command.extend(["--timestamps", "ms", "--json", "-"]);
    let ran = place.run(&command);
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    let run: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&run["request_rate"], &run["output_lens"]),
        (&"trace".into(), &serde_json::json!([3, 5]))
    );
    assert!(run["start_times"][1].as_f64().unwrap() >= 0.2);
    assert!(run["duration"].as_f64().unwrap() >= 0.2);
}

#[test]
fn loads_that_cannot_be_are_sentences() {
    let place = Place::new();
    let trace = place.write("trace.jsonl", "{\"prompt\": \"a\"}\n{\"prompt\"\n");
    for (arguments, said) in [
        (vec!["--url", "http://127.0.0.1:9"], "no connection"),
        (vec!["--url", "localhost"], "is not an address"),
        (vec!["--trace", &trace], "line 2: it is no JSON object"),
        (vec!["--trace", "no/such/file"], "cannot be read"),
        (vec!["--rate", "0"], "--rate takes"),
        (vec!["--clients", "0"], "--clients takes"),
        (vec!["--shared-prefix", "500"], "cannot be longer"),
        (vec!["--key-env", "NO_SUCH_VARIABLE"], "holds no key"),
    ] {
        let ran = place.run(&[vec!["bench", "serve"], arguments.clone()].concat());
        assert_eq!(ran.status, 1, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(said), "{arguments:?}: {}", ran.err);
    }
    let both = place.run(&["bench", "serve", "--rate", "1", "--clients", "1"]);
    assert_eq!(both.status, 2);
}

#[test]
fn answers_in_parallel_have_rows_of_their_own_with_a_floor_beside() {
    let Some(model) = chat_model() else { return };
    let mut command = vec!["bench", "-m", model.to_str().unwrap(), "-p", "4", "-n", "2", "-r", "1"];
    command.extend(["--parallel", "1,3", "--shared-prefix", "70"]);
    let place = Place::new();
    let table = place.run(&command);
    assert_eq!(table.status, 0, "{}", table.err);
    for part in [
        "| % of floor |",
        "pp4 @ d70 ",
        "tg2 @ d70 ",
        "tg2 x3 @ d70 s70 ",
        "of weights are read for a token",
    ] {
        assert!(table.out.contains(part), "{part}: {}", table.out);
    }
    command.push("--json");
    let ran = place.run(&command);
    let rows: Vec<Value> = serde_json::from_str(&ran.out).unwrap();
    let column = |name: &str| rows.iter().map(|row| row[name].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!(
        [column("n_parallel"), column("n_shared"), column("n_depth")],
        [[1, 1, 3], [70; 3], [70; 3]]
    );
    for row in &rows {
        assert!(
            row["floor_ts"].as_f64().unwrap() > row["avg_ts"].as_f64().unwrap(),
            "{row}"
        );
    }
    let none = place.run(&["bench", "--parallel", "0"]);
    assert!(
        none.status == 1 && none.err.contains("--parallel takes"),
        "{}",
        none.err
    );
}

#[test]
fn guessing_ahead_is_measured_on_answers_that_stay_the_same() {
    let Some(model) = chat_model() else { return };
    let (place, model) = (Place::new(), model.to_str().unwrap().to_owned());
    let text = place.write("report.txt", &"A sentence that is said again and again. ".repeat(9));
    let command = ["bench", "speculate", "-m", &model, "-n", "12", "-r", "1"];
    // The model as its own draft: slow, and right.
    let more = ["--parallel", "1,2", "--file", &text, "--draft", &model];
    let ran = place.run(&[&command[..], &more].concat());
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    for kind in ["quote", "edit", "summary", "code", "chat", "quote report"] {
        let rows = ran.out.lines().filter(|line| line.starts_with(&format!("| {kind} ")));
        assert!(rows.count() >= 2, "{kind}: {}", ran.out);
    }
    let ran = place.run(&[&command[..], &["--file", &model]].concat());
    assert_eq!(ran.status, 1, "{}", ran.out);
    assert!(ran.err.contains("as text"), "{}", ran.err);
    let ran = place.run(&[&command[..], &["--draft", "no-such-model"]].concat());
    assert_eq!(ran.status, 1, "{}", ran.out);
    assert!(
        ran.err.contains("the draft model") && ran.err.contains("no-such-model"),
        "{}",
        ran.err
    );
}

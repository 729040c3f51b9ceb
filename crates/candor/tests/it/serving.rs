//! Serving: addresses, ports, keys, signals; and the doctor, who looks at the same things.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::program::{Place, chat_model};

#[test]
fn a_port_that_is_taken_is_a_sentence_with_the_port() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ran = Place::new().run(&["serve", "--port", &port]);
    assert_eq!(ran.status, 1);
    assert!(
        ran.err.contains(&format!("port {port} is already in use")) && ran.err.contains("--port"),
        "{}",
        ran.err
    );
}

#[test]
fn a_base_path_that_no_address_can_have_is_a_sentence() {
    for base in ["x y", "/x y", "candor"] {
        let ran = Place::new().run(&["serve", "--port", "0", "--base-path", base]);
        assert_eq!(ran.status, 1, "{base}");
        assert!(ran.err.contains("it starts with /"), "{}", ran.err);
    }
}

#[test]
fn the_doctor_finds_a_catalog_that_cannot_be_read() {
    let place = Place::new();
    place.write("config/candor/catalog.toml", "[[model]]\nname = \"x\"\n");
    let ran = place.run(&["doctor", "--offline"]);
    assert_eq!(ran.status, 1, "{}", ran.out);
    assert!(ran.out.contains("catalog.toml, line 1: missing field"), "{}", ran.out);
}

#[test]
fn a_cause_is_said_once() {
    let ran = Place::new().run(&["serve", "--host", "no.such.host.invalid", "--port", "0"]);
    assert_eq!(ran.status, 1);
    let (_, cause) = ran.err.split_once("listen on (").unwrap();
    let (cause, _) = cause.split_once(");").unwrap();
    assert_eq!(ran.err.matches(cause).count(), 1, "{}", ran.err);
}

#[test]
fn other_addresses_need_a_key() {
    let ran = Place::new().run(&["serve", "--host", "0.0.0.0", "--port", "0"]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("CANDOR_API_KEY"), "{}", ran.err);
}

#[test]
fn the_doctor_gives_a_verdict_on_everything_and_knows_a_taken_port() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let file = place.write("c.toml", &format!("[server]\nport = {port}\n"));
    let ran = place.run(&["doctor", "--json", "--offline", "--config", &file]);
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    let checks: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let verdict = |name: &str| {
        let check = checks.as_array().unwrap().iter().find(|check| check["name"] == name);
        check.unwrap_or_else(|| panic!("no check of {name}"))["verdict"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    for name in [
        "machine", "cpu", "memory", "config", "data", "models", "meaning", "store", "port", "page", "pip",
    ] {
        assert!(["ok", "warn", "fail"].contains(&&*verdict(name)), "{name}");
    }
    assert_eq!(
        [verdict("port"), verdict("models"), verdict("meaning"), verdict("data")],
        ["warn", "warn", "warn", "ok"]
    );
    let text = place.run(&["doctor", "--offline", "--config", &file]).out;
    assert!(text.contains("is in use") && text.contains("--port 0"), "{text}");
}

#[test]
fn the_doctor_survives_a_broken_configuration_and_says_so() {
    let place = Place::new();
    let file = place.write("c.toml", "[server]\nprot = 1\n");
    let ran = place.run(&["doctor", "--offline", "--config", &file]);
    assert_eq!(ran.status, 1);
    assert!(
        ran.out.contains("FAIL  config") && ran.out.contains("there is no key `prot`"),
        "{}",
        ran.out
    );
}

#[test]
fn too_little_memory_for_the_model_or_the_context_is_a_sentence_that_says_what_to_do() {
    let Some(model) = chat_model() else { return };
    let (model, place) = (model.to_str().unwrap(), Place::new());
    let tight = place
        .command(&["serve", "-m", model, "--port", "0"])
        .env("CANDOR_ENGINE_MEMORY_GB", "0.01")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&tight.stderr).into_owned();
    assert!(
        !tight.status.success()
            && said.contains("of memory and 9 MiB are free")
            && said.contains("choose a smaller model"),
        "{said}"
    );
    let long = place.run(&["serve", "-m", model, "--port", "0", "--context", "1000000"]);
    assert!(
        long.status == 1 && long.err.contains("1000000 were asked for") && long.err.contains("--context"),
        "{}",
        long.err
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_system_that_gives_no_memory_is_a_sentence_and_no_crash() {
    let Some(model) = chat_model() else { return };
    let place = Place::new();
    let command = place.command(&["generate", "-m", model.to_str().unwrap(), "-n", "1", "hi"]);
    let words: Vec<String> = command
        .get_args()
        .map(|word| word.to_str().unwrap().to_owned())
        .collect();
    // Room for the program and the weights; the context alone takes more.
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-c", "ulimit -v 600000; exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(words);
    let ran = shell.env("CANDOR_DATA_DIR", place.path()).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(
        said.contains("cannot be had") && said.contains("shorter context"),
        "{said}"
    );
}

#[test]
fn a_second_start_is_ready_in_two_seconds_and_a_signal_ends_it_in_order() {
    let Some(model) = chat_model() else { return };
    let place = Place::new();
    // Reads the file into the system's cache, as a first start would have.
    let warm = place.run(&["generate", "-m", model.to_str().unwrap(), "-n", "1", "hi"]);
    assert_eq!(warm.status, 0, "{}", warm.err);
    let start = Instant::now();
    let mut child = place.spawn(&["serve", "-m", model.to_str().unwrap(), "--port", "0"]);
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let ready = start.elapsed();
    let address = line
        .strip_prefix("http://")
        .and_then(|rest| rest.split('/').next())
        .unwrap_or_default()
        .to_owned();
    let mut stream = TcpStream::connect(&address).unwrap_or_else(|error| panic!("{line:?}: {error}"));
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(
        stream,
        "GET /v1/models HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("smollm2"),
        "{answer}"
    );
    // Twice the goal, since tests run beside each other.
    assert!(ready < Duration::from_secs(4), "ready after {ready:?}");
    #[cfg(unix)]
    {
        let killed = std::process::Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status()
            .unwrap();
        assert!(killed.success());
        let status = child.wait().unwrap();
        assert!(status.success(), "{status}");
    }
    #[cfg(not(unix))]
    child.kill().unwrap();
}

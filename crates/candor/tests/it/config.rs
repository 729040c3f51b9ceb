//! The configuration from outside.

use crate::program::{Place, assert_snapshot};

#[test]
fn the_environment_wins_over_the_file_and_the_defaults() {
    let place = Place::new();
    let file = place.write("c.toml", "[server]\nport = 9001\nhost = \"::1\"\n");
    let out = place.run(&["config", "--config", &file]).out;
    assert!(out.contains("port = 9001") && out.contains("host = \"::1\""), "{out}");
    let ran = place
        .command(&["config", "--config", &file])
        .env("CANDOR_SERVER_PORT", "9002")
        .output()
        .unwrap();
    let out = String::from_utf8(ran.stdout).unwrap();
    assert!(
        out.contains("port = 9002") && out.contains("overridden by the environment: CANDOR_SERVER_PORT"),
        "{out}"
    );
}

#[test]
fn the_printed_default_is_a_configuration() {
    let place = Place::new();
    let text = place.run(&["config", "--default"]).out;
    assert_snapshot("config_default", &text);
    let file = place.write("c.toml", &text);
    let effective = |ran: crate::program::Ran| ran.out.split_once("\n\n").unwrap().1.to_owned();
    assert_eq!(
        effective(place.run(&["config", "--config", &file])),
        effective(place.run(&["config"]))
    );
}

#[test]
fn a_mistake_is_a_sentence_that_names_file_key_and_choices() {
    let place = Place::new();
    let said = |text: &str| {
        let file = place.write("bad.toml", text);
        let ran = place.run(&["config", "--config", &file]);
        assert_eq!(ran.status, 1);
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
        ran.err.replace(&file, "bad.toml")
    };
    let all = [
        "[server]\nprot = 1\n",
        "[servr]\nport = 1\n",
        "[server]\nport = \"many\"\n",
        "[server]\nport = 99999\n",
        "[engine]\nkv = \"f8\"\n",
        "[sampling]\ntemperature = -1\n",
        "[server\n",
        "[server]\nbase_path = \"candor/\"\n",
    ];
    let text: String = all
        .iter()
        .map(|bad| format!("{bad:?}\n  {}\n", said(bad).trim_end()))
        .collect();
    assert_snapshot("config_mistakes", &text);
}

#[test]
fn a_mistake_in_the_environment_names_the_variable() {
    let ran = Place::new()
        .command(&["config"])
        .env("CANDOR_ENGINE_KV", "f8")
        .output()
        .unwrap();
    let err = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(
        err,
        "error: CANDOR_ENGINE_KV: `engine.kv` is \"f8\"; it takes f16 or f32 or q8\n"
    );
}

#[test]
fn a_configuration_file_that_was_named_must_be_there() {
    let ran = Place::new().run(&["models", "--config", "/nowhere/c.toml"]);
    assert_eq!(ran.status, 1);
    assert!(
        ran.err.contains("there is no configuration file /nowhere/c.toml"),
        "{}",
        ran.err
    );
}

#[test]
fn a_data_directory_that_cannot_be_made_is_a_sentence() {
    let place = Place::new();
    let file = place.write("in-the-way", "");
    let ran = place.run(&[
        "chat",
        "--data-dir",
        &format!("{file}/data"),
        "-m",
        "nothing-of-the-kind",
    ]);
    assert_eq!(ran.status, 1);
    let ran = place.run(&["serve", "--port", "0", "--data-dir", &format!("{file}/data")]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("--data-dir"), "{}", ran.err);
}

#[test]
fn the_documented_configuration_is_the_one_that_is_printed() {
    let page = include_str!("../../../../docs/configuration.md");
    assert!(
        page.contains(&Place::new().run(&["config", "--default"]).out),
        "copy default.toml into docs/configuration.md"
    );
}

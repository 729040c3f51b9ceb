//! Questions and claims, as a person types them.

use std::io::{BufRead as _, Write as _};

use serde_json::Value;

use crate::program::Place;

const TEXT: &str = "The lighthouse on the north cape was built by Anna Keller in 1874. It was lit by whale oil until 1956.\n\n\
The old mill near Lindau has seven rooms and a cellar. Its wheel is made of oak.\n";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_question_to_a_folder_is_answered_with_a_footnote() {
    let place = Place::new();
    let docs = place.path().join("docs");
    std::fs::create_dir_all(&docs).unwrap();
    std::fs::write(docs.join("cape.txt"), TEXT).unwrap();
    let docs = docs.to_str().unwrap();
    let question = "Who built the lighthouse on the north cape?";
    let asked = place.run(&["ask", question, "--sources", docs, "--dial", "off"]);
    assert_eq!(asked.status, 0, "{}", asked.err);
    assert!(
        asked
            .out
            .contains("\u{201c}The lighthouse on the north cape was built by Anna Keller in 1874.\u{201d} [1]"),
        "{}",
        asked.out
    );
    assert!(asked.out.contains("[1] cape.txt"), "{}", asked.out);
    // What was asked did not become a source.
    assert_eq!(
        json(&place.run(&["sources", "list", "--json"]).out)
            .as_array()
            .unwrap()
            .len(),
        0
    );

    let answer = json(
        &place
            .run(&["ask", question, "--sources", docs, "--dial", "off", "--json"])
            .out,
    );
    let citation = &answer["sentences"][0]["citations"][0];
    let (start, end) = (
        citation["start"].as_u64().unwrap() as usize,
        citation["end"].as_u64().unwrap() as usize,
    );
    assert_eq!(&TEXT[start..end], citation["quote"].as_str().unwrap());

    // The file changes: the next answer is of what it says now, and nothing else.
    std::fs::write(std::path::Path::new(docs).join("cape.txt"), TEXT.replace("Anna", "Ida")).unwrap();
    let asked = place.run(&["ask", question, "--sources", docs, "--dial", "off"]);
    assert!(
        asked.out.contains("Ida Keller") && !asked.out.contains("Anna"),
        "{}",
        asked.out
    );
}

#[test]
fn what_the_sources_do_not_say_is_an_abstention_with_its_own_status() {
    let place = Place::new();
    std::fs::write(place.path().join("cape.txt"), TEXT).unwrap();
    let path = place.path().join("cape.txt");
    let asked = place.run(&[
        "ask",
        "What is the boiling point of mercury?",
        "--sources",
        path.to_str().unwrap(),
    ]);
    assert_eq!(asked.status, 3, "{}{}", asked.out, asked.err);
    assert!(asked.out.starts_with("No answer."), "{}", asked.out);
    let near = [
        "ask",
        "Who lit the lighthouse?",
        "--dial",
        "1%",
        "--sources",
        path.to_str().unwrap(),
    ];
    let asked = place.run(&near);
    assert!(
        asked.status == 3 && asked.out.contains("What comes nearest") && asked.out.contains("  The lighthouse on"),
        "{}",
        asked.out
    );
    let wrong = place.run(&["ask", "x", "--sources", "/nowhere/at/all"]);
    assert!(
        wrong.status == 1 && wrong.err.contains("check the path"),
        "{}",
        wrong.err
    );
    let wrong = place.run(&["ask", "x", "--dial", "high"]);
    assert!(wrong.status == 2 && wrong.err.contains("off"), "{}", wrong.err);
}

#[test]
fn a_draft_is_checked_sentence_by_sentence() {
    let place = Place::new();
    std::fs::write(place.path().join("cape.txt"), TEXT).unwrap();
    let draft = "The lighthouse on the north cape was built by Anna Keller in 1874.\nThe old mill near Lindau has nineteen rooms.\n";
    std::fs::write(place.path().join("draft.md"), draft).unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let run = |more: &[&str]| {
        let (draft, cape) = (path("draft.md"), path("cape.txt"));
        let mut words = vec!["check", &draft, "--against", &cape];
        words.extend(more);
        place.run(&words)
    };
    let table = run(&[]);
    assert_eq!(table.status, 1, "{}{}", table.out, table.err);
    assert!(
        table.out.contains("1:1    supported") && table.out.contains("does not have \"nineteen\""),
        "{}",
        table.out
    );
    let report = json(&run(&["--format", "json", "--fail-on", "never"]).out);
    assert_eq!(
        (report["supported"].as_u64(), report["claims"].as_array().unwrap().len()),
        (Some(1), 2)
    );
    let sarif = json(&run(&["--format", "sarif"]).out);
    assert_eq!(
        sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"],
        2
    );
    let page = run(&["--format", "html"]);
    assert!(
        page.out.starts_with("<!doctype html>") && page.out.contains("<u>nineteen</u>"),
        "{}",
        page.out
    );
    assert_eq!(run(&["--fail-on", "never"]).status, 0);
}

#[test]
fn confidences_are_fitted_to_own_questions_and_back() {
    let place = Place::new();
    std::fs::write(place.path().join("cape.txt"), TEXT).unwrap();
    let cape = place.path().join("cape.txt").to_str().unwrap().to_owned();
    let lines = [
        ("Who built the lighthouse on the north cape?", "\"Anna Keller\""),
        ("When was the lighthouse built?", "[\"1874\", \"in 1874\"]"),
        ("How many rooms does the old mill near Lindau have?", "\"seven\""),
        ("What is the wheel of the mill made of?", "\"oak\""),
        ("What is the boiling point of mercury?", "null"),
    ]
    .map(|(question, answer)| format!("{{\"question\": \"{question}\", \"answer\": {answer}}}\n"))
    .concat();
    let questions = place.path().join("questions.jsonl");
    let calibrate = |times: usize, more: &[&str]| {
        std::fs::write(&questions, lines.repeat(times)).unwrap();
        let mut words = vec!["calibrate", questions.to_str().unwrap(), "--sources", &cape];
        words.extend(more);
        place.run(&words)
    };
    let few = calibrate(3, &[]);
    assert!(
        few.status == 1 && few.err.contains("at least 20 are needed"),
        "{}",
        few.err
    );
    let dry = json(&calibrate(8, &["--dry-run", "--json"]).out);
    assert_eq!(
        (dry.as_array().unwrap().len(), dry[0]["calibration"].as_str()),
        (1, Some("english_by_words")),
        "no model makes vectors here"
    );
    let dry = &dry[0];
    assert_eq!(
        (dry["questions"].as_u64(), dry["answerable"].as_u64()),
        (Some(40), Some(32))
    );
    assert!(dry["right"].as_f64().unwrap() > 0.7, "{dry}");
    assert!(
        dry["dials"][0]["threshold"].is_null(),
        "40 questions cannot show one wrong answer in a hundred: {dry}"
    );
    let ask = || {
        json(
            &place
                .run(&[
                    "ask",
                    "Who built the lighthouse on the north cape?",
                    "--sources",
                    &cape,
                    "--dial",
                    "off",
                    "--json",
                ])
                .out,
        )["confidence"]
            .as_f64()
    };
    let before = ask();
    let done = calibrate(8, &[]);
    assert!(
        done.status == 0 && done.out.contains("In force"),
        "{}{}",
        done.out,
        done.err
    );
    assert_ne!(ask(), before);
    assert!(place.run(&["calibrate", "--reset"]).out.contains("Back to"));
    assert_eq!(ask(), before);
    // Each language by itself: too few of one are said to be too few, and the other is fitted all the same.
    let chinese = "{\"question\": \"谁建造了灯塔？\", \"answer\": null}\n".repeat(3);
    std::fs::write(&questions, lines.repeat(8) + &chinese).unwrap();
    let both = place.run(&[
        "calibrate",
        questions.to_str().unwrap(),
        "--sources",
        &cape,
        "--dry-run",
    ]);
    assert!(
        both.out.contains("40 questions in English") && both.out.contains("3 questions in Chinese are too few"),
        "{}",
        both.out
    );
}

#[test]
fn a_model_phrases_under_the_checker_and_the_answer_can_be_replayed() {
    let Some(model) = crate::program::chat_model() else {
        return;
    };
    let model = model.to_str().unwrap();
    let place = Place::new();
    std::fs::write(place.path().join("cape.txt"), TEXT).unwrap();
    let cape = place.path().join("cape.txt").to_str().unwrap().to_owned();
    assert_eq!(place.run(&["sources", "add", &cape]).status, 0);
    let question = "Who built the lighthouse on the north cape?";
    let asked = place.run(&["ask", question, "--dial", "off", "--phrase", model, "--json"]);
    assert_eq!(asked.status, 0, "{}", asked.err);
    let asked = json(&asked.out);
    assert!(asked["phrasing"]["replayable"].as_bool().unwrap(), "{asked}");
    for sentence in asked["sentences"].as_array().unwrap() {
        let (text, quote) = (&sentence["text"], &sentence["citations"][0]["quote"]);
        assert!(
            sentence["mark"] == "supported" || (sentence["mark"] == "quoted" && text == quote),
            "{sentence}"
        );
    }
    let verified = place.run(&[
        "verify",
        asked["receipt"].as_str().unwrap(),
        "--replay",
        "--model",
        model,
    ]);
    assert!(
        verified.status == 0 && verified.out.contains("replay"),
        "{}{}",
        verified.out,
        verified.err
    );
}

#[test]
fn a_model_beside_the_checker_counts_where_it_was_fitted_and_its_absence_holds_nothing_up() {
    let Some(model) = crate::program::chat_model() else {
        return;
    };
    let model = model.to_str().unwrap();
    let place = Place::new();
    let cape = place.write("cape.txt", TEXT);
    let draft = place.write(
        "draft.md",
        "The lighthouse on the north cape was built by Anna Keller in 1874.\nThe old mill near Lindau has nineteen rooms.\n",
    );
    let run = |model: &str| {
        let ran = place.run(&[
            "check",
            &draft,
            "--against",
            &cape,
            "--format",
            "json",
            "--model",
            model,
        ]);
        assert_eq!(ran.status, 1, "{}{}", ran.out, ran.err);
        ran
    };
    let absent = run("no-such-model");
    assert!(
        absent.err.contains("claims are checked without no-such-model"),
        "{}",
        absent.err
    );
    let alone = json(&absent.out);
    assert!(alone["claims"][0]["judgement"].is_null(), "{alone}");

    let unfitted = run(model);
    assert_eq!(
        unfitted.err.matches("was not fitted").count(),
        1,
        "said once: {}",
        unfitted.err
    );
    let shown = json(&unfitted.out);
    let name = shown["claims"][0]["judgement"]["model"].as_str().unwrap().to_owned();
    for (with, without) in [0, 1].map(|n| (&shown["claims"][n], &alone["claims"][n])) {
        assert_eq!(
            (&with["supported"], &with["verdict"]),
            (&without["supported"], &without["verdict"])
        );
        assert!(
            with["judgement"]["verdict"].is_string() && with["judgement"]["counts"] == false,
            "{with}"
        );
        assert!(with["judgement"]["log_odds"].as_f64().unwrap().abs() < 12.1, "{with}");
    }

    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../truth/weights/checking.json");
    let mut own = json(&std::fs::read_to_string(shipped).unwrap());
    let line = serde_json::json!({ "mean": [0.0, 0.0], "scale": [1.0, 1.0], "weights": [1.0, 1.0], "bias": 0.0 });
    own["models"][name.as_str()] = serde_json::json!({ "fitted_on": "a test", "supported": line, "threshold": 0.5 });
    place.write("data/checking.json", &own.to_string());
    let fitted = run(model);
    assert!(!fitted.err.contains("was not fitted"), "{}", fitted.err);
    let mixed = json(&fitted.out);
    for (with, without) in [0, 1].map(|n| (&mixed["claims"][n], &alone["claims"][n])) {
        let odds = |claim: &Value| {
            let p = claim["supported"].as_f64().unwrap();
            (p / (1.0 - p)).ln()
        };
        let sum = odds(without) + with["judgement"]["log_odds"].as_f64().unwrap();
        assert!(
            (odds(with) - sum).abs() < 1e-6 && with["judgement"]["counts"] == true,
            "{with}"
        );
    }
}

#[test]
fn an_assistant_that_checks_a_claim_hears_the_model_beside_the_checker() {
    let Some(model) = crate::program::chat_model() else {
        return;
    };
    let place = Place::new();
    let cape = place.write("cape.txt", TEXT);
    let mut command = place.command(&["mcp", "--sources", &cape, "--model", model.to_str().unwrap()]);
    let mut server = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    let mut input = server.stdin.take().unwrap();
    let mut output = std::io::BufReader::new(server.stdout.take().unwrap()).lines();
    let messages = [
        serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } } }),
        serde_json::json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        serde_json::json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": { "name": "check_claim",
            "arguments": { "claim": "The lighthouse on the north cape was built by Anna Keller in 1874." } } }),
    ];
    for message in &messages {
        writeln!(input, "{message}").unwrap();
    }
    let answer = output
        .by_ref()
        .map(|line| json(&line.unwrap()))
        .find(|one| one["id"] == 2)
        .unwrap();
    drop(input);
    assert!(server.wait().unwrap().success());
    let checked = &answer["result"]["structuredContent"];
    assert_eq!(checked["verdict"], "supported", "{answer}");
    let judgement = &checked["judgement"];
    assert!(
        judgement["verdict"].is_string() && judgement["counts"] == false,
        "{answer}"
    );
    assert!(
        judgement["note"].as_str().unwrap().contains("was not fitted"),
        "{answer}"
    );
}

//! Pipes: what comes in through stdin, what goes out, and that nothing else does.

use crate::program::{Place, chat_model};

#[test]
fn nothing_to_answer_is_a_sentence() {
    let ran = Place::new().run(&["generate"]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("there is nothing to answer"), "{}", ran.err);
}

#[test]
fn input_that_is_not_text_is_a_sentence_with_the_place() {
    let ran = Place::new().pipe(&["generate", "explain"], b"abc\xff\xfe");
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("byte 3 is not UTF-8"), "{}", ran.err);
}

#[test]
fn a_line_of_a_chat_that_is_not_text_is_a_sentence() {
    let Some(model) = chat_model() else { return };
    let ran = Place::new().pipe(&["chat", "-m", model.to_str().unwrap(), "-n", "2"], b"hi \xff\n");
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("a line that is piped in is not UTF-8"), "{}", ran.err);
}

#[test]
fn a_setting_out_of_range_is_a_sentence() {
    let ran = Place::new().run(&["generate", "hi", "--top-p", "2"]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("--top-p: `top_p` takes 0 to 1"), "{}", ran.err);
    let ran = Place::new().run(&["generate", "hi", "-t", "-1"]);
    assert_eq!(ran.status, 1, "{}", ran.err);
    assert!(ran.err.contains("--temperature: `temperature` takes 0"), "{}", ran.err);
}

#[test]
fn an_answer_goes_through_a_pipe_without_colours_and_is_the_same_with_the_same_seed() {
    let Some(model) = chat_model() else { return };
    let place = Place::new();
    let model = model.to_str().unwrap();
    let arguments = ["generate", "-m", model, "-n", "24", "--seed", "7", "What is this?"];
    let first = place.pipe(&arguments, b"diff --git a/x b/x\n+hello\n");
    assert_eq!(first.status, 0, "{}", first.err);
    assert!(first.out.len() > 10 && !first.out.contains('\x1b'), "{:?}", first.out);
    assert_eq!(first.out, place.pipe(&arguments, b"diff --git a/x b/x\n+hello\n").out);
}

#[test]
fn a_choice_is_honoured_and_json_counts_tokens() {
    let Some(model) = chat_model() else { return };
    let model = model.to_str().unwrap();
    let ran = Place::new().run(&[
        "generate",
        "-m",
        model,
        "--choice",
        "yes",
        "--choice",
        "no",
        "--json",
        "Is water wet?",
    ]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert!(["yes", "no"].contains(&report["text"].as_str().unwrap()), "{report}");
    assert_eq!(report["finish_reason"], "stop");
    assert!(report["prompt_tokens"].as_u64().unwrap() > 5, "{report}");
}

#[test]
fn a_chat_reads_lines_and_commands_from_a_pipe() {
    let Some(model) = chat_model() else { return };
    let place = Place::new();
    let file = place.path().join("talk.json");
    let lines = format!(
        "/set max_tokens 8\n/set temperature 0\nSay hello.\nAnd again.\n/undo\n/save {}\n/nonsense\n",
        file.display()
    );
    let ran = place.pipe(&["chat", "-m", model.to_str().unwrap()], lines.as_bytes());
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.err.contains("there is no command /nonsense"), "{}", ran.err);
    let saved: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(saved["messages"].as_array().unwrap().len(), 2, "{saved}");
    assert_eq!(saved["messages"][0]["content"], "Say hello.");
}

#[test]
fn a_prompt_that_does_not_fit_is_refused_whole() {
    let Some(model) = chat_model() else { return };
    let ran = Place::new().pipe(
        &["generate", "-m", model.to_str().unwrap(), "--context", "64"],
        "word ".repeat(500).as_bytes(),
    );
    assert_eq!(ran.status, 1, "{}", ran.out);
    assert!(ran.err.contains("maximum context length is 64"), "{}", ran.err);
    assert!(ran.out.is_empty());
}

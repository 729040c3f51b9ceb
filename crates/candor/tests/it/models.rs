//! Models: lists, names that are not there, files that are broken.

use crate::program::Place;

#[test]
fn the_list_names_the_default_model_and_how_to_get_it() {
    let ran = Place::new().run(&["models"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.out.starts_with("No model is on this machine yet."), "{}", ran.out);
    for name in [
        "smollm2-135m-instruct",
        "all-minilm-l6-v2",
        "gemma3-270m",
        "candor pull NAME",
    ] {
        assert!(ran.out.contains(name), "{name}");
    }
    assert!(!ran.out.contains('\x1b'), "colours in a pipe");
}

#[test]
fn the_list_as_json_is_json() {
    let ran = Place::new().run(&["models", "--json"]);
    let list: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert!(
        list.as_array()
            .unwrap()
            .iter()
            .any(|model| model["name"] == "gemma3-270m" && model["here"] == false)
    );
    assert_eq!(Place::new().run(&["models", "--json", "--here"]).out.trim(), "[]");
}

#[test]
fn an_unknown_model_is_a_sentence_with_a_near_name() {
    let place = Place::new();
    for command in ["generate", "chat", "serve", "bench"] {
        let ran = place.run(&[command, "-m", "smolm2-135m-instruct", "--threads", "1"]);
        assert_eq!(ran.status, 1, "{command}: {}", ran.err);
    }
    for arguments in [
        &["pull", "smolm2-135m-instruct"][..],
        &["inspect", "smolm2-135m-instruct"],
    ] {
        let ran = place.run(arguments);
        assert_eq!(ran.status, 1);
        assert!(ran.err.contains("did you mean `smollm2-135m-instruct`?"), "{}", ran.err);
    }
}

#[test]
fn a_model_that_is_not_here_yet_says_how_to_get_it() {
    let ran = Place::new().run(&["chat", "-m", "gemma3-270m"]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("`candor pull gemma3-270m` gets it"), "{}", ran.err);
}

#[test]
fn a_file_that_is_no_model_is_a_sentence() {
    let place = Place::new();
    for (name, text) in [
        ("empty.gguf", ""),
        ("text.gguf", "this is not a model"),
        ("cut.gguf", "GGUF\x03\0\0\0"),
    ] {
        let file = place.write(name, text);
        for command in ["inspect", "bench"] {
            let arguments = if command == "bench" {
                vec!["bench", "-m", &file]
            } else {
                vec!["inspect", &file]
            };
            let ran = place.run(&arguments);
            assert_eq!(ran.status, 1, "{command} {name}: {}", ran.out);
            assert!(
                ran.err.starts_with("error: ") && ran.err.contains(name),
                "{command} {name}: {}",
                ran.err
            );
            assert!(!ran.err.contains("panicked"), "{}", ran.err);
        }
    }
}

#[test]
fn removing_what_is_not_there_is_a_sentence() {
    let ran = Place::new().run(&["rm", "gemma3-270m"]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.starts_with("error: "), "{}", ran.err);
    let ran = Place::new().run(&["rm", "../.."]);
    assert_eq!(ran.status, 1);
}

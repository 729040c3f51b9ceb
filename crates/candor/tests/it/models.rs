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

/// A small random model of the fixtures.
fn fixture(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../model/fixtures")
        .join(name)
}

#[test]
fn what_other_programs_downloaded_is_listed_and_used_where_it_lies() {
    let place = Place::new();
    let digest = "ab".repeat(32);
    let layer = format!(r#"{{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:{digest}"}}"#);
    place.write(
        "ollama/manifests/registry.ollama.ai/library/tiny/1b",
        &format!("{{\"layers\":[{layer}]}}"),
    );
    let blobs = place.path().join("ollama/blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::copy(fixture("llama.gguf"), blobs.join(format!("sha256-{digest}"))).unwrap();
    let commit = "0123456789abcdef0123456789abcdef01234567";
    place.write("hf/hub/models--org--folder/refs/main", commit);
    for file in std::fs::read_dir(fixture("llama")).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        let to = place.write(&format!("hf/hub/models--org--folder/snapshots/{commit}/{name}"), "");
        std::fs::copy(file.path(), to).unwrap();
    }
    let ran = place.run(&["models", "--here"]);
    assert!(ran.out.starts_with("In the caches of other programs\n"), "{}", ran.out);
    for name in ["tiny:1b", "org/folder"] {
        assert!(ran.out.contains(name), "{}", ran.out);
        let ran = place.run(&["inspect", name]);
        assert_eq!(ran.status, 0, "{name}: {}", ran.err);
        let ran = place.run(&["bench", "-m", name, "-p", "4", "-n", "2", "-r", "1", "--threads", "1"]);
        assert_eq!(ran.status, 0, "{name}: {}", ran.err);
    }
}

#[test]
fn a_folder_is_inspected_as_a_file_is() {
    let place = Place::new();
    let folder = fixture("llama");
    let folder = folder.to_str().unwrap();
    let json = place.run(&["inspect", folder, "--json"]);
    let report: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&report["arch"], &report["layers"]), (&"llama".into(), &2.into()));
    assert!(!report["tensors"].as_array().unwrap().is_empty());
    let text = place.run(&["inspect", folder, "--tensors"]).out;
    assert!(
        text.contains("embed_tokens.weight") && text.contains("config.json"),
        "{text}"
    );
    let ran = place.run(&["inspect", folder, "--template"]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("has no chat template"), "{}", ran.err);
    let damaged = place.write("damaged/config.json", "{}");
    std::fs::write(place.path().join("damaged/model.safetensors"), "nothing").unwrap();
    let ran = place.run(&["inspect", damaged.trim_end_matches("/config.json")]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.starts_with("error: "), "{}", ran.err);
}

#[test]
fn the_rows_of_a_bench_are_one_table() {
    let model = fixture("llama.gguf");
    let ran = Place::new().run(&[
        "bench",
        "-m",
        model.to_str().unwrap(),
        "-p",
        "4,8",
        "-n",
        "2",
        "-r",
        "1",
        "--threads",
        "1",
    ]);
    // A line on the machine, the table, and what the floors are made of.
    let [_, table, floors] = ran.out.split("\n\n").collect::<Vec<_>>()[..] else {
        panic!("{}", ran.out)
    };
    assert_eq!(table.lines().count(), 5, "{table}");
    assert!(table.lines().all(|line| line.starts_with("| ")), "{table}");
    assert!(floors.contains("GB/s"), "{floors}");
}

#[test]
fn two_models_under_one_name_are_refused_and_not_one_of_them_left_out() {
    let place = Place::new();
    let files = ["a", "b"].map(|dir| {
        let file = place.write(&format!("{dir}/model.gguf"), "");
        std::fs::copy(fixture("llama.gguf"), &file).unwrap();
        file
    });
    let ran = place.run(&["serve", "--port", "0", "-m", &files[0], "-m", &files[1]]);
    assert_eq!(ran.status, 1, "{}", ran.out);
    assert!(ran.err.contains("as another model is already"), "{}", ran.err);
}

#[test]
fn a_file_that_is_not_there_is_not_taken_for_a_model_of_the_hub() {
    let place = Place::new();
    for name in ["models/none.gguf", "none.gguf"] {
        let ran = place.run(&["inspect", name]);
        assert!(ran.err.contains("there is no such file"), "{name}: {}", ran.err);
    }
    let ran = place.run(&["pull", "Qwen/Qwen3-0.6B-GGUF"]);
    assert!(ran.err.contains("`Qwen/Qwen3-0.6B-GGUF/FILE.gguf`"), "{}", ran.err);
    let ran = place.run(&["chat", "-m", "org/repo/none.gguf"]);
    assert!(
        ran.err.contains("`candor pull org/repo/none.gguf` gets it\n"),
        "{}",
        ran.err
    );
}

//! Model folders as they come from the hub: settings that are left out, written the old way, or ask for what is not
//! computed here; tokenizers that know more than the network; several templates; poolings. What is not computed is
//! refused with a sentence, never computed in another way.

use candor_kernels::team::Team;
use candor_model::Model;
use serde_json::{Value, json};

use crate::hostile::Scratch;
use crate::tiny::{EXACT, computed, expected, fixture};

/// A copy of a fixture whose config.json has these entries; `None` takes one away.
fn with(scratch: &Scratch, name: &str, changes: &[(&str, Option<Value>)]) -> Result<Model, String> {
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        scratch.file(file, &std::fs::read(fixture(name).join(file)).unwrap());
    }
    let mut config: Value = serde_json::from_slice(&std::fs::read(fixture(name).join("config.json")).unwrap()).unwrap();
    for (key, value) in changes {
        let entries = config.as_object_mut().unwrap();
        match value {
            Some(value) => entries.insert((*key).to_owned(), value.clone()),
            None => entries.remove(*key),
        };
    }
    scratch.file("config.json", config.to_string().as_bytes());
    Model::open(&scratch.0, &EXACT).map_err(|e| e.to_string())
}

/// The largest difference from what `transformers` computed for the fixture.
fn difference(model: &Model, name: &str) -> f32 {
    let (tokens, expected) = expected(name);
    let ours = computed(model, &tokens);
    assert_eq!(ours.len(), expected.len());
    let differences = ours.iter().zip(&expected).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

#[test]
fn what_would_be_computed_differently_is_refused_with_a_sentence() {
    let scratch = Scratch::new("refused");
    let rope = |kind: &str| json!({"rope_type": kind, "rope_theta": 10000.0, "factor": 4.0});
    for (name, key, value, expect) in [
        ("llama", "rope_parameters", rope("dynamic"), "`dynamic`"),
        ("llama", "rope_parameters", rope("longrope"), "`longrope`"),
        ("llama", "rope_parameters", json!({"rope_type": "yarn"}), "`factor`"),
        ("llama", "rope_parameters", json!({"rope_type": "linear"}), "`factor`"),
        (
            "llama",
            "rope_parameters",
            json!({"rope_type": "default", "partial_rotary_factor": 0.5}),
            "a part of each head",
        ),
        ("llama", "partial_rotary_factor", json!(0.25), "a part of each head"),
        ("llama", "hidden_act", json!("gelu"), "`gelu`"),
        ("llama", "is_causal", json!(false), "both directions"),
        ("bert", "hidden_act", json!("relu"), "`relu`"),
        (
            "bert",
            "position_embedding_type",
            json!("relative_key"),
            "`relative_key`",
        ),
        ("bert", "is_decoder", json!(true), "continue text"),
        (
            "gemma3_text",
            "use_bidirectional_attention",
            json!(true),
            "both directions",
        ),
        ("gemma3_text", "final_logit_softcapping", json!(30.0), "soft-capped"),
        ("gemma3_text", "attn_logit_softcapping", json!(50.0), "soft-capped"),
        ("gemma3_text", "hidden_activation", json!("silu"), "`silu`"),
        (
            "gemma3_text",
            "layer_types",
            json!(["sliding_attention"]),
            "`layer_types`",
        ),
        ("qwen3_moe", "num_experts_per_tok", json!(7), "`num_experts_per_tok`"),
    ] {
        let said = with(&scratch, name, &[(key, Some(value.clone()))]).unwrap_err();
        assert!(
            said.contains(expect) && said.contains("get"),
            "{name}, {key} = {value}: {said}"
        );
    }
}

#[test]
fn a_window_that_is_not_used_changes_nothing() {
    let scratch = Scratch::new("window");
    // Qwen 2's files name a window and switch it off, in older ones by silence; llama has none whatever the file says.
    for (name, changes) in [
        (
            "qwen2",
            vec![
                ("sliding_window", Some(json!(4))),
                ("use_sliding_window", None),
                ("layer_types", None),
            ],
        ),
        (
            "qwen2",
            vec![
                ("sliding_window", Some(json!(4))),
                ("use_sliding_window", Some(json!(false))),
            ],
        ),
        ("llama", vec![("sliding_window", Some(json!(4)))]),
        // From layer 2 on, and there are two layers.
        (
            "qwen2",
            vec![
                ("sliding_window", Some(json!(4))),
                ("use_sliding_window", Some(json!(true))),
                ("max_window_layers", Some(json!(2))),
                ("layer_types", None),
            ],
        ),
    ] {
        let model = with(&scratch, name, &changes).unwrap();
        assert!(difference(&model, name) < 1e-4, "{name}: {changes:?}");
    }
}

#[test]
fn settings_written_the_old_way_mean_the_same() {
    let scratch = Scratch::new("old");
    let scaling = json!({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "beta_fast": 8.0, "beta_slow": 0.5});
    let llama3 = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32});
    for (name, changes) in [
        (
            "llama_yarn",
            vec![
                ("rope_scaling", Some(scaling)),
                ("rope_theta", Some(json!(10000.0))),
                ("rope_parameters", None),
            ],
        ),
        (
            "llama3",
            vec![
                ("rope_scaling", Some(llama3)),
                ("rope_theta", Some(json!(10000.0))),
                ("rope_parameters", Some(Value::Null)),
            ],
        ),
        ("qwen2_window", vec![("layer_types", None)]),
        (
            "qwen3_moe",
            vec![("num_local_experts", None), ("num_experts", Some(json!(6)))],
        ),
    ] {
        let model = with(&scratch, name, &changes).unwrap();
        assert!(difference(&model, name) < 1e-4, "{name}: {changes:?}");
    }
}

#[test]
fn added_tokens_that_the_network_does_not_know_are_text() {
    let scratch = Scratch::new("added");
    assert!(with(&scratch, "llama", &[]).is_ok());
    let file = fixture("llama").join("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let mut image = tokenizer["added_tokens"][0].clone();
    (image["id"], image["content"]) = (json!(260), json!("<image>"));
    tokenizer["added_tokens"].as_array_mut().unwrap().push(image);
    scratch.file("tokenizer.json", tokenizer.to_string().as_bytes());
    let model = Model::open(&scratch.0, &EXACT).unwrap();
    assert_eq!(model.tokenizer.vocab(), 260);
    let ids = model.tokenizer.encode("<bos><image>", true);
    assert_eq!((ids[0], ids.len()), (256, 1 + "<image>".len()));
}

#[test]
fn a_template_for_tools_is_used_where_there_are_tools() {
    let scratch = Scratch::new("templates");
    with(&scratch, "llama", &[]).unwrap();
    let messages = json!([{"role": "user", "content": "hi"}]);
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let renders = |bare: &str, with_tools: &str| {
        let template = Model::open(&scratch.0, &EXACT).unwrap().template.unwrap();
        assert!(template.knows_tools());
        assert_eq!(template.render(&messages, None, false).unwrap(), bare);
        assert_eq!(template.render(&messages, Some(&tools), false).unwrap(), with_tools);
    };
    let (default, tool_use) = ("[{{ messages[0].content }}]", "<{{ tools[0].function.name }}>");
    let list = json!({"chat_template": [{"name": "tool_use", "template": tool_use}, {"name": "default", "template": default}]});
    scratch.file("tokenizer_config.json", list.to_string().as_bytes());
    renders("[hi]", "<f>");
    scratch.file("tokenizer_config.json", b"{}");
    scratch.file("chat_template.jinja", default.as_bytes());
    scratch.file("additional_chat_templates/tool_use.jinja", tool_use.as_bytes());
    renders("[hi]", "<f>");
}

#[test]
fn encoders_pool_as_their_files_say() {
    let scratch = Scratch::new("pooling");
    with(&scratch, "bert", &[]).unwrap();
    let (tokens, hidden) = expected("bert");
    let dim = hidden.len() / tokens.len();
    let rows: Vec<&[f32]> = hidden.chunks(dim).collect();
    let mean = (0..dim)
        .map(|i| rows.iter().map(|row| row[i]).sum::<f32>())
        .collect::<Vec<_>>();
    let max = (0..dim)
        .map(|i| rows.iter().map(|row| row[i]).fold(f32::MIN, f32::max))
        .collect::<Vec<_>>();
    let (first, last) = (rows[0].to_vec(), rows[rows.len() - 1].to_vec());
    for (key, wanted) in [
        ("mean_tokens", &mean),
        ("mean_sqrt_len_tokens", &mean),
        ("max_tokens", &max),
        ("cls_token", &first),
        ("lasttoken", &last),
    ] {
        let mut config = json!({"word_embedding_dimension": dim, "pooling_mode_mean_tokens": false});
        config[format!("pooling_mode_{key}")] = json!(true);
        scratch.file("1_Pooling/config.json", config.to_string().as_bytes());
        let model = Model::open(&scratch.0, &EXACT).unwrap();
        let ours = model
            .encoder()
            .unwrap()
            .embed(&Team::new(1), std::slice::from_ref(&tokens))
            .remove(0);
        let length = wanted.iter().map(|v| v * v).sum::<f32>().sqrt();
        let worst = ours
            .iter()
            .zip(wanted)
            .map(|(a, b)| (a - b / length).abs())
            .fold(0.0, f32::max);
        assert!(worst < 1e-5, "{key}: {worst}");
    }
    let both = json!({"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true});
    let weighted = json!({"pooling_mode_weightedmean_tokens": true});
    for config in [both, weighted] {
        scratch.file("1_Pooling/config.json", config.to_string().as_bytes());
        let said = Model::open(&scratch.0, &EXACT).unwrap_err().to_string();
        assert!(said.contains("pooling of the kind"), "{said}");
    }
    std::fs::remove_dir_all(scratch.0.join("1_Pooling")).unwrap();
    let dense = json!([{"path": "", "type": "sentence_transformers.models.Transformer"}, {"path": "2_Dense", "type": "sentence_transformers.models.Dense"}]);
    scratch.file("modules.json", dense.to_string().as_bytes());
    let said = Model::open(&scratch.0, &EXACT).unwrap_err().to_string();
    assert!(said.contains("`Dense`"), "{said}");
}

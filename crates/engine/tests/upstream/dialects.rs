//! What is said to each kind of server, and what is understood of its answers.

use candor_engine::upstream::{Kind, Task};
use candor_engine::{Constraint, EmbedInput, EngineError, Event, FinishReason, Generator, Prompt};
use candor_wire::chat::{Function, Tool, ToolChoice};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::fake::{Behaviour, Fake, chat, config};
use crate::{one, read, vllm};

async fn sent(kind: Kind, change: impl FnOnce(&mut candor_engine::GenerateRequest)) -> Result<Value, EngineError> {
    let fake = Fake::start(Behaviour::Say(vec!["ok"])).await;
    let upstream = one(config("u", kind, &[&fake]));
    let mut request = chat("hi");
    change(&mut request);
    read(&upstream, request).await.1.map(|_| fake.body())
}

#[tokio::test]
async fn sampling_goes_out_under_each_servers_names() {
    let change = |request: &mut candor_engine::GenerateRequest| {
        request.sampling.top_k = 40;
        request.sampling.min_p = 0.05;
        request.sampling.repetition_penalty = 1.1;
        request.sampling.seed = Some(u64::MAX);
        request.stop.max_tokens = Some(9);
        request.stop.strings = vec!["END".into()];
    };
    let body = sent(Kind::Vllm, change).await.unwrap();
    assert_eq!(body["temperature"], 0.7);
    assert_eq!(body["top_k"], 40);
    assert_eq!(body["min_p"], 0.05);
    assert_eq!(body["repetition_penalty"], 1.1);
    assert_eq!(body["max_tokens"], 9);
    assert_eq!(body["stop"], json!(["END"]));
    assert!(body["seed"].as_i64().is_some());
    assert_eq!(body["stream_options"]["include_usage"], true);
    let body = sent(Kind::LlamacppPython, change).await.unwrap();
    assert_eq!(body["repeat_penalty"], 1.1);
    assert!(body["seed"].as_u64().unwrap() < u64::from(u32::MAX));
    let refused = sent(Kind::Openai, change).await.unwrap_err();
    assert!(
        matches!(&refused, EngineError::Invalid { param: Some(param), .. } if param == "top_k"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_plain_request_to_a_plain_server_holds_no_extension() {
    let body = sent(Kind::Openai, |request| request.stop.max_tokens = Some(5))
        .await
        .unwrap();
    let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "model",
            "messages",
            "temperature",
            "max_completion_tokens",
            "stream",
            "stream_options"
        ]
    );
}

#[tokio::test]
async fn neutral_values_are_said_where_the_server_has_defaults_of_its_own() {
    let body = sent(Kind::Vllm, |_| {}).await.unwrap();
    assert_eq!(
        (&body["top_k"], &body["top_p"], &body["repetition_penalty"]),
        (&json!(-1), &json!(1.0), &json!(1.0))
    );
    let body = sent(Kind::Llamacpp, |_| {}).await.unwrap();
    assert_eq!(
        (&body["top_k"], &body["min_p"], &body["repeat_penalty"]),
        (&json!(0), &json!(0.0), &json!(1.0))
    );
}

#[tokio::test]
async fn what_a_server_cannot_be_told_is_refused() {
    for kind in [Kind::Openai, Kind::LlamacppPython, Kind::Llamacpp] {
        for constraint in [
            Constraint::Regex("a+".into()),
            Constraint::Lark("start: \"a\"".into()),
            Constraint::Substring("x".into()),
        ] {
            let error = sent(kind, |request| request.constraint = constraint.clone())
                .await
                .unwrap_err();
            assert!(matches!(error, EngineError::Invalid { .. }), "{kind:?} {constraint:?}");
        }
    }
    assert!(
        sent(Kind::Openai, |request| request.stop.ignore_eos = true)
            .await
            .is_err()
    );
    assert!(
        sent(Kind::Vllm, |request| request.sampling.dry.multiplier = 0.8)
            .await
            .is_err()
    );
    assert!(
        sent(Kind::Vllm, |request| request.sampling.typical_p = 0.8)
            .await
            .is_err()
    );
    assert!(
        sent(Kind::LlamacppPython, |request| request.prompt = Prompt::Tokens(vec![1]))
            .await
            .is_err()
    );
    assert!(
        sent(Kind::Openai, |request| request.stop.strings = vec!["a".into(); 5])
            .await
            .is_err()
    );
    assert!(
        sent(Kind::Openai, |request| request.prompt = Prompt::Text("x".into()))
            .await
            .is_err(),
        "it would stop after 16 tokens"
    );
}

#[tokio::test]
async fn constraints_go_out_in_each_servers_words() {
    let schema = json!({"type": "object"});
    let json_schema =
        |request: &mut candor_engine::GenerateRequest| request.constraint = Constraint::JsonSchema(schema.clone());
    let body = sent(Kind::Vllm, json_schema).await.unwrap();
    assert_eq!(body["response_format"]["json_schema"]["schema"], schema);
    let body = sent(Kind::LlamacppPython, json_schema).await.unwrap();
    assert_eq!(
        body["response_format"],
        json!({"type": "json_object", "schema": schema})
    );
    let body = sent(Kind::Vllm, |request| {
        request.constraint = Constraint::Regex("a+".into())
    })
    .await
    .unwrap();
    assert_eq!(body["structured_outputs"], json!({"regex": "a+"}));
    let body = sent(Kind::Sglang, |request| {
        request.constraint = Constraint::Regex("a+".into())
    })
    .await
    .unwrap();
    assert_eq!(body["regex"], "a+");
}

#[tokio::test]
async fn the_models_own_limit_is_kept() {
    let fake = Fake::start(Behaviour::Say(vec!["ok"])).await;
    let mut config = config("u", Kind::Vllm, &[&fake]);
    config.models[0].max_tokens = Some(100);
    let upstream = one(config);
    read(&upstream, chat("hi")).await.1.unwrap();
    assert_eq!(fake.body()["max_tokens"], 100);
    let mut request = chat("hi");
    request.stop.max_tokens = Some(101);
    assert!(matches!(
        read(&upstream, request).await.1,
        Err(EngineError::Invalid { .. })
    ));
}

#[tokio::test]
async fn tool_calls_come_out_whole() {
    let fragments = [
        json!([{"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}]),
        json!([{"index": 0, "function": {"arguments": "{\"city\":"}}]),
        json!([{"index": 0, "function": {"arguments": "\"Oslo\"}"}}]),
        json!([{"index": 1, "id": "call_2", "type": "function", "function": {"name": "time", "arguments": "{}"}}]),
    ];
    let mut bytes: String = fragments
        .iter()
        .map(|calls| format!("data: {}\n\n", json!({"choices": [{"delta": {"tool_calls": calls}}]})))
        .collect();
    bytes.push_str("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n");
    let (fake, upstream) = vllm(Behaviour::Raw(bytes.into_bytes())).await;
    let mut request = chat("weather?");
    let function = Function {
        name: "weather".into(),
        description: None,
        parameters: Some(json!({"type": "object"})),
        strict: None,
    };
    if let Prompt::Chat { tools, tool_choice, .. } = &mut request.prompt {
        tools.push(Tool {
            kind: "function".into(),
            function,
        });
        *tool_choice = ToolChoice::Function("weather".into());
    }
    let events: Vec<Event> = upstream
        .generate(request)
        .await
        .unwrap()
        .map(Result::unwrap)
        .collect()
        .await;
    let calls: Vec<(&str, &str, &str)> = events
        .iter()
        .filter_map(|event| match event {
            Event::ToolCall(call) => Some((
                call.id.as_str(),
                call.function.name.as_str(),
                call.function.arguments.as_str(),
            )),
            _ => None,
        })
        .collect();
    assert_eq!(
        calls,
        [("call_1", "weather", "{\"city\":\"Oslo\"}"), ("call_2", "time", "{}")]
    );
    assert!(matches!(
        events.last(),
        Some(Event::Finish {
            reason: FinishReason::ToolCalls,
            ..
        })
    ));
    assert_eq!(
        fake.body()["tool_choice"],
        json!({"type": "function", "function": {"name": "weather"}})
    );
}

#[tokio::test]
async fn a_thought_comes_between_its_marks() {
    let bytes = concat!(
        "data: {\"choices\":[{\"delta\":{\"reasoning\":\"hm\",\"reasoning_content\":\"hm\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"42\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"
    );
    let (_fake, upstream) = vllm(Behaviour::Raw(bytes.into())).await;
    assert_eq!(read(&upstream, chat("?")).await.0, "<think>\nhm\n</think>\n\n42");
}

#[tokio::test]
async fn log_probabilities_are_read_in_both_shapes() {
    let chat_shape = json!({"choices": [{"delta": {"content": "Hé"}, "logprobs": {"content": [
        {"token": "Hé", "bytes": [72, 195, 169], "logprob": -0.5, "top_logprobs": [
            {"token": "X", "bytes": [88], "logprob": -2.0}, {"token": "Hé", "bytes": [72, 195, 169], "logprob": -0.5}]}]}, "finish_reason": "length"}]});
    let (fake, upstream) = vllm(Behaviour::Raw(
        format!("data: {chat_shape}\n\ndata: [DONE]\n\n").into_bytes(),
    ))
    .await;
    let mut request = chat("hi");
    request.logprobs = Some(2);
    let events: Vec<Event> = upstream
        .generate(request)
        .await
        .unwrap()
        .map(Result::unwrap)
        .collect()
        .await;
    let Event::Text { tokens, .. } = &events[0] else {
        panic!()
    };
    assert_eq!(
        (tokens[0].bytes.as_slice(), tokens[0].logprob),
        ("Hé".as_bytes(), Some(-0.5))
    );
    assert_eq!(tokens[0].top[0].1, "Hé".as_bytes());
    assert!(matches!(
        events.last(),
        Some(Event::Finish {
            reason: FinishReason::Length,
            ..
        })
    ));
    assert_eq!(
        (&fake.body()["logprobs"], &fake.body()["top_logprobs"]),
        (&json!(true), &json!(2))
    );

    fake.behave(Behaviour::Json(
        json!({"choices": [{"text": "a bc", "finish_reason": "length", "logprobs": {
        "tokens": ["a", " b", "c"], "token_logprobs": [null, -1.0, -2.0],
        "top_logprobs": [null, {" b": -1.0, " x": -3.0}, {"c": -2.0}], "text_offset": [0, 1, 3]}}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 1}}),
    ));
    let mut request = chat("");
    request.prompt = Prompt::Text("a b".into());
    request.prompt_logprobs = Some(0);
    request.logprobs = Some(1);
    let events: Vec<Event> = upstream
        .generate(request)
        .await
        .unwrap()
        .map(Result::unwrap)
        .collect()
        .await;
    let Event::Prompt(prompt) = &events[0] else {
        panic!("{events:?}")
    };
    assert_eq!(
        prompt.iter().map(|token| token.logprob).collect::<Vec<_>>(),
        [None, Some(-1.0)]
    );
    let Event::Text { text, tokens } = &events[1] else {
        panic!()
    };
    assert_eq!((text.as_str(), tokens.len(), tokens[0].logprob), ("c", 1, Some(-2.0)));
    assert_eq!(
        (&fake.body()["echo"], &fake.body()["stream"]),
        (&json!(true), &json!(false))
    );
}

#[tokio::test]
async fn embeddings_come_in_order_and_lying_answers_are_refused() {
    let fake = Fake::start(Behaviour::Json(json!({"data": [
        {"index": 1, "embedding": [0.0, 2.0]}, {"index": 0, "embedding": [3.0, 4.0]}], "usage": {"prompt_tokens": 5}})))
    .await;
    let mut config = config("u", Kind::Vllm, &[&fake]);
    config.models[0].task = Task::Embed;
    let upstream = one(config);
    let inputs = || vec![EmbedInput::Text("a".into()), EmbedInput::Text("b".into())];
    let out = upstream.embed(inputs()).await.unwrap();
    assert_eq!(
        (out.vectors, out.prompt_tokens),
        (vec![vec![0.6, 0.8], vec![0.0, 1.0]], 5)
    );
    fake.behave(Behaviour::Json(json!({"data": [{"index": 0, "embedding": [1.0]}]})));
    assert!(matches!(
        upstream.embed(inputs()).await,
        Err(EngineError::Unavailable { .. })
    ));
    assert!(matches!(
        upstream.generate(chat("hi")).await,
        Err(EngineError::Invalid { .. })
    ));
}

#[tokio::test]
async fn tokens_are_lent_by_vllm() {
    let answer = json!({"tokens": [9906, 1917], "token_strs": ["Hello", "Ġworld"], "count": 2, "max_model_len": 4096});
    let (fake, upstream) = vllm(Behaviour::Json(answer)).await;
    let tokens = upstream.tokenize("Hello world", true, false).await.unwrap();
    assert_eq!(
        (tokens.ids, tokens.pieces),
        (vec![9906, 1917], vec![b"Hello".to_vec(), b" world".to_vec()])
    );
    assert_eq!(fake.body()["add_special_tokens"], false);
    assert!(
        upstream.tokenize("x", false, false).await.is_err(),
        "vLLM always parses special tokens"
    );
    fake.behave(Behaviour::Json(json!({"prompt": "Hello"})));
    assert_eq!(upstream.detokenize(&[9906]).await.unwrap(), b"Hello");
}

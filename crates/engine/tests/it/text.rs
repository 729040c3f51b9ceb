//! What the small model says.

use candor_engine::{Constraint, EngineOptions, FinishReason, GenerateRequest, Generator, Prompt, Sampling};
use candor_model::Precision;
use candor_wire::chat::{Content, Function, Message, Tool, ToolChoice};
use serde_json::{Value, json};

use crate::models::{TURN, collect, engine, request, smollm2};

fn chat(text: &str, tools: Vec<Tool>, tool_choice: ToolChoice) -> Prompt {
    let message = Message {
        role: "user".into(),
        content: Some(Content::Text(text.into())),
        ..Message::default()
    };
    Prompt::Chat {
        messages: vec![message],
        tools,
        tool_choice,
    }
}

#[tokio::test]
async fn a_question_gets_a_sensible_answer_that_ends_by_itself() {
    let _turn = TURN.lock().await;
    let Some(model) = smollm2(Precision::Quantized) else {
        return;
    };
    let local = engine(
        model,
        &EngineOptions {
            threads: 2,
            ..EngineOptions::default()
        },
    );
    let prompt = chat(
        "What is the capital of France? Answer in one short sentence.",
        vec![],
        ToolChoice::Auto,
    );
    let whole = collect(local.generate(request(prompt, 60)).await.unwrap())
        .await
        .unwrap();
    assert!(whole.text.contains("Paris"), "{}", whole.text);
    assert_eq!(whole.finish, Some(FinishReason::Stop));
    assert!(!whole.text.contains("<|im_end|>"));
}

#[tokio::test]
async fn the_same_seed_gives_the_same_text_whoever_else_is_served() {
    let _turn = TURN.lock().await;
    let Some(model) = smollm2(Precision::Quantized) else {
        return;
    };
    let local = engine(
        model,
        &EngineOptions {
            threads: 2,
            ..EngineOptions::default()
        },
    );
    let run = async |seed| {
        let sampling = Sampling {
            seed: Some(seed),
            top_p: 0.9,
            ..Sampling::default()
        };
        let request = GenerateRequest {
            sampling,
            ..request(Prompt::Text("Once upon a time".into()), 16)
        };
        collect(local.generate(request).await.unwrap()).await.unwrap().text
    };
    let alone = run(1).await;
    let all = futures::future::join_all((1..5).map(&run)).await;
    assert_eq!(all[0], alone);
    assert_ne!(all[1], alone);
}

#[tokio::test]
async fn constrained_answers_fit_their_schema() {
    let _turn = TURN.lock().await;
    let Some(model) = smollm2(Precision::Quantized) else {
        return;
    };
    let local = engine(
        model,
        &EngineOptions {
            threads: 2,
            ..EngineOptions::default()
        },
    );
    let schema = json!({"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}, "large": {"type": "boolean"}}, "required": ["city", "large"], "additionalProperties": false});
    let asked = request(
        chat(
            "Name a city and say whether it is large, as JSON.",
            vec![],
            ToolChoice::Auto,
        ),
        120,
    );
    let whole = collect(
        local
            .generate(GenerateRequest {
                constraint: Constraint::JsonSchema(schema),
                ..asked.clone()
            })
            .await
            .unwrap(),
    )
    .await
    .unwrap();
    let value: Value = serde_json::from_str(&whole.text).unwrap_or_else(|error| panic!("{error}: {}", whole.text));
    assert!(value["city"].is_string() && value["large"].is_boolean());
    assert_eq!(whole.finish, Some(FinishReason::Stop));
    let choice = Constraint::Choice(vec!["Bern".into(), "Zürich".into()]);
    let whole = collect(
        local
            .generate(GenerateRequest {
                constraint: choice,
                ..asked
            })
            .await
            .unwrap(),
    )
    .await
    .unwrap();
    assert!(["Bern", "Zürich"].contains(&whole.text.as_str()), "{}", whole.text);
}

#[tokio::test]
async fn a_required_tool_is_called() {
    let _turn = TURN.lock().await;
    let Some(model) = smollm2(Precision::Quantized) else {
        return;
    };
    let local = engine(
        model,
        &EngineOptions {
            threads: 2,
            ..EngineOptions::default()
        },
    );
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"], "additionalProperties": false});
    let function = Function {
        name: "weather".into(),
        description: Some("The weather in a city".into()),
        parameters: Some(parameters),
        strict: None,
    };
    let tools = vec![Tool {
        kind: "function".into(),
        function,
    }];
    let prompt = chat(
        "How is the weather in Bern?",
        tools,
        ToolChoice::Function("weather".into()),
    );
    let whole = collect(local.generate(request(prompt, 120)).await.unwrap())
        .await
        .unwrap();
    assert_eq!(
        (whole.calls.len(), whole.calls[0].0.as_str(), whole.text.as_str()),
        (1, "weather", "")
    );
    assert!(serde_json::from_str::<Value>(&whole.calls[0].1).unwrap()["city"].is_string());
    assert_eq!(whole.finish, Some(FinishReason::ToolCalls));
}

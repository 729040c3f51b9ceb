#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use candor_wire::chat::{Function, Tool};
use serde_json::{Value, json};

use super::*;
use crate::Constraint;
use crate::toy::{END, ToyLexicon, VOCAB};

fn compiler() -> Arc<Compiler> {
    Arc::new(Compiler::new(Arc::new(ToyLexicon), VOCAB))
}

async fn compile(constraint: &Constraint) -> Result<Matcher, EngineError> {
    let (lark, param) = to_lark(constraint)?.expect("a constraint");
    compiler().compile(lark, param).await
}

/// Whether the constraint takes this text as a whole.
fn takes(matcher: &Matcher, text: &str) -> bool {
    let mut matcher = matcher.deep_clone();
    for id in ToyLexicon.encode(text, false) {
        let mask = matcher.compute_mask_or_eos().unwrap();
        if !mask.is_allowed(id) || matcher.consume_token(id).is_err() {
            return false;
        }
    }
    matcher.compute_mask_or_eos().unwrap().is_allowed(END)
}

async fn check(constraint: Constraint, good: &[&str], bad: &[&str]) {
    let matcher = compile(&constraint)
        .await
        .unwrap_or_else(|error| panic!("{constraint:?}: {error}"));
    for text in good {
        assert!(takes(&matcher, text), "{constraint:?} refuses {text}");
    }
    for text in bad {
        assert!(!takes(&matcher, text), "{constraint:?} takes {text}");
    }
}

#[tokio::test]
async fn every_kind_of_constraint_takes_what_fits_and_nothing_else() {
    check(
        Constraint::JsonObject,
        &["{}", "{\"a\": [1, {\"b\": null}]}"],
        &["[]", "{", "hello", ""],
    )
    .await;
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer", "minimum": 3}}, "required": ["n"], "additionalProperties": false});
    check(
        Constraint::JsonSchema(schema),
        &["{\"n\": 3}", "{\n  \"n\": 12\n}"],
        &["{\"n\": 2}", "{}", "{\"n\": \"3\"}"],
    )
    .await;
    check(
        Constraint::Regex("[0-9]{3}-(a|b)+".into()),
        &["123-ab"],
        &["12-a", "123-", "x123-a"],
    )
    .await;
    check(Constraint::Regex("a/b".into()), &["a/b"], &["ab"]).await;
    check(
        Constraint::Lark("start: \"x\" item+\nitem: /[0-9]/ \";\"".into()),
        &["x1;2;"],
        &["x", "x1"],
    )
    .await;
    check(
        Constraint::Substring("the cat sat".into()),
        &["cat s", "the"],
        &["dog", "cat  sat"],
    )
    .await;
    check(
        Constraint::Choice(vec!["yes".into(), "no \"way\"\n".into()]),
        &["yes", "no \"way\"\n"],
        &["ye", "maybe"],
    )
    .await;
}

#[tokio::test]
async fn unsupported_schema_keywords_are_refused_and_never_ignored() {
    for schema in [
        json!({"not": {"type": "string"}}),
        json!({"type": "array", "uniqueItems": true}),
        json!({"if": {}, "then": {}}),
        json!({"type": "object", "properties": {"a": {"frobnicate": 1}}}),
        json!({"$ref": "http://example.com/schema.json"}),
        json!({"$ref": "#/$defs/missing"}),
        json!({"type": "string", "format": "no-such-format"}),
        json!({"x-guidance": {"lenient": true}, "not": {}}),
        json!({"anyOf": [{"x-guidance": {"lenient": true}}]}),
        json!({"type": "nonsense"}),
        json!({"type": "object", "patternProperties": {"(": {}}}),
        json!("string"),
        json!(false),
    ] {
        let result = compile(&Constraint::JsonSchema(schema.clone())).await;
        assert!(matches!(result, Err(EngineError::Invalid { .. })), "{schema}");
    }
}

#[tokio::test]
async fn a_refusal_says_what_is_wrong_and_shows_no_grammar_that_nobody_wrote() {
    let short = json!({"type": "string", "minLength": 3, "maxLength": 2});
    for (constraint, expected) in [
        (
            Constraint::JsonSchema(short),
            "minLength (3) is greater than maxLength (2)",
        ),
        (Constraint::JsonSchema(json!({"$ref": "#"})), "no text fits it"),
        (Constraint::Regex("(".into()), "unclosed group"),
    ] {
        let error = compile(&constraint).await.err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("start:") && !error.contains("at 1("), "{error}");
    }
}

#[tokio::test]
async fn notes_in_a_schema_are_no_reason_to_refuse_it() {
    let schema = json!({"type": "object", "x-order": 1, "properties": {
        "uniqueItems": {"type": "array", "items": {"enum": [1]}, "uniqueItems": false, "maxItems": 2},
        "format": {"type": "string", "format": "password", "nullable": true, "maxLength": 3}
    }, "required": ["uniqueItems", "format"], "additionalProperties": false, "propertyOrdering": ["format"]});
    check(
        Constraint::JsonSchema(schema),
        &["{\"uniqueItems\": [1, 1], \"format\": \"abc\"}"],
        &["{\"uniqueItems\": [2], \"format\": \"abc\"}", "{}"],
    )
    .await;
}

/// What pydantic writes for a union that a tag tells apart.
fn tagged(cat: &Value, dog: &Value) -> Value {
    let animal = |kind: &Value| json!({"type": "object", "properties": {"kind": kind}, "required": ["kind"], "additionalProperties": false});
    json!({"$defs": {"Cat": animal(cat), "Dog": animal(dog)}, "oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}],
        "discriminator": {"propertyName": "kind", "mapping": {"cat": "#/$defs/Cat", "dog": "#/$defs/Dog"}}})
}

#[tokio::test]
async fn options_that_a_tag_tells_apart_are_honoured_and_others_refused() {
    let schema = tagged(&json!({"const": "cat"}), &json!({"enum": ["dog", "wolf"]}));
    check(
        Constraint::JsonSchema(schema),
        &["{\"kind\": \"cat\"}", "{\"kind\": \"wolf\"}"],
        &["{\"kind\": \"cow\"}", "{}"],
    )
    .await;
    for schema in [
        tagged(&json!({"const": "cat"}), &json!({"enum": ["cat", "dog"]})),
        tagged(&json!({"const": "cat"}), &json!({"type": "string"})),
    ] {
        let result = compile(&Constraint::JsonSchema(schema.clone())).await;
        assert!(matches!(result, Err(EngineError::Invalid { .. })), "{schema}");
    }
}

#[tokio::test]
async fn hostile_grammars_are_refused_quickly() {
    let mut deep = json!({});
    for _ in 0..500 {
        deep = json!({"items": deep});
    }
    let wide = json!({"anyOf": (0..60_000).map(|i| json!({"const": i})).collect::<Vec<Value>>()});
    let mut fork = json!({"type": "string"});
    for _ in 0..14 {
        fork = json!({"type": "array", "minItems": 9000, "maxItems": 9999, "items": fork});
    }
    let chain: String = (0..5000).map(|i| format!("r{i}: r{} \"a\"\n", i + 1)).collect();
    let hostile = [
        Constraint::JsonSchema(deep),
        Constraint::JsonSchema(wide),
        Constraint::JsonSchema(fork),
        Constraint::JsonSchema(json!({"type": "string", "maxLength": 4_000_000_000u64})),
        Constraint::Regex("(".repeat(8000) + &")".repeat(8000)),
        Constraint::Regex("((((a{1000}){1000}){1000}){1000}){1000}".into()),
        Constraint::Regex("(a|b|ab)*".repeat(1800)),
        Constraint::Regex("(.*a.{400}){400}".into()),
        Constraint::Regex("[".into()),
        Constraint::Regex("(?=look)ahead".into()),
        Constraint::Lark("start: ".to_string() + &"(".repeat(100_000)),
        Constraint::Lark(format!("start: r0\n{chain}")),
        Constraint::Lark("start: start".into()),
        Constraint::Lark("start: missing".into()),
        Constraint::Lark("start: \"a\" start | start \"a\" start | start".into()),
        Constraint::Lark("start: %json {\"x-guidance\": {\"lenient\": true}, \"not\": {}}".into()),
        Constraint::Lark("\u{0}\u{ffff}".into()),
        Constraint::Substring("x".repeat(1 << 20)),
        Constraint::Choice(vec![]),
    ];
    for constraint in hostile {
        let begin = Instant::now();
        // Refused, or harmless.
        if let Ok(mut matcher) = compile(&constraint).await {
            for _ in 0..20 {
                let Ok(mask) = matcher.compute_mask_or_eos() else { break };
                let Some(id) = mask.first_bit_set() else { break };
                if id == END as usize || matcher.consume_token(id as u32).is_err() {
                    break;
                }
            }
        }
        let name: String = format!("{constraint:?}").chars().take(80).collect();
        let took = begin.elapsed();
        assert!(took < DEADLINE + Duration::from_secs(3), "{name} took {took:?}");
        eprintln!("{took:>10.1?} {name}");
    }
}

fn tool(name: &str, parameters: Value) -> Tool {
    let function = Function {
        name: name.into(),
        description: None,
        parameters: Some(parameters),
        strict: None,
    };
    Tool {
        kind: "function".into(),
        function,
    }
}

#[tokio::test]
async fn each_family_is_held_to_its_own_notation_of_calls() {
    let parameters = json!({"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}, "required": ["n"], "additionalProperties": false, "$defs": {"n": {"type": "integer"}}});
    let tools = [
        tool("one", parameters),
        tool("two", json!({"type": "object", "additionalProperties": false})),
    ];
    let cases = [
        (
            CallFormat::Tagged,
            "<tool_call>\n{\"name\": \"one\", \"arguments\": {\"n\": 1}}\n</tool_call>",
        ),
        (
            CallFormat::Mistral,
            "[TOOL_CALLS][{\"name\": \"one\", \"arguments\": {\"n\": 1}}, {\"name\": \"two\", \"arguments\": {}}]",
        ),
        (CallFormat::Llama, "{\"name\": \"two\", \"parameters\": {}}"),
    ];
    for (format, answer) in cases {
        let grammar = either(&calls(&tools, None, format).unwrap(), None);
        let matcher = compiler().compile(grammar, "tools").await.unwrap();
        assert!(takes(&matcher, answer), "{answer}");
        assert!(!takes(&matcher, "hello"));
        assert!(!takes(&matcher, &answer.replace("one", "six").replace("two", "six")));
        let mut parser = ToolParser::new(["one", "two"]);
        let mut pieces = parser.push(answer);
        pieces.extend(parser.finish());
        assert!(
            pieces
                .iter()
                .all(|piece| matches!(piece, crate::tools::Piece::Call { .. })),
            "{pieces:?}"
        );
    }
}

#[tokio::test]
async fn content_and_calls_may_be_offered_together() {
    let tools = [tool("one", json!({"type": "object"}))];
    let (content, _) = to_lark(&Constraint::Regex("[0-9]+".into())).unwrap().unwrap();
    let grammar = either(&calls(&tools, None, CallFormat::Tagged).unwrap(), Some(&content));
    let matcher = compiler().compile(grammar, "tools").await.unwrap();
    assert!(takes(&matcher, "42"));
    assert!(takes(
        &matcher,
        "<tool_call>\n{\"name\": \"one\", \"arguments\": {}}\n</tool_call>"
    ));
    assert!(!takes(&matcher, "x"));
}

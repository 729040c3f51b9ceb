#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

const READING: Reading = Reading {
    seed: 0,
    block: 16,
    unit_s: 1.0,
};

fn parsed(text: &str) -> Vec<Ask> {
    parse(text, 100, &READING).unwrap()
}

fn refused(text: &str) -> String {
    format!("{:#}", parse(text, 100, &READING).unwrap_err())
}

fn text(prompt: &str) -> Prompt {
    Prompt::Text(prompt.into())
}

fn words(count: usize) -> Prompt {
    let shared = Vec::new();
    Prompt::Words { count, shared }
}

#[test]
fn a_share_gpt_list_gives_first_turns_and_lengths_of_second_ones() {
    let asks = parsed(
        r#"[{"id": "a", "conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "12345678"}, {"from": "human", "value": "x"}]},
            {"conversations": [{"from": "human", "value": "alone"}]}]"#,
    );
    assert_eq!(asks.len(), 1);
    assert_eq!((&asks[0].prompt, asks[0].output_tokens), (&text("hi"), Some(2)));
}

#[test]
fn a_custom_file_of_vllm_gives_prompts_and_their_answers_lengths() {
    let asks = parsed("{\"prompt\": \"a\", \"output_tokens\": 7}\n\n{\"prompt\": \"b\"}\n");
    assert_eq!((&asks[0].prompt, asks[0].output_tokens), (&text("a"), Some(7)));
    assert_eq!((&asks[1].prompt, asks[1].output_tokens), (&text("b"), None));
}

#[test]
fn a_timed_trace_is_sorted_begins_at_zero_and_shares_its_blocks() {
    let trace = r#"{"timestamp": 12500, "input_length": 40, "output_length": 8, "hash_ids": [1, 3]}
{"timestamp": 12000, "input_length": 20, "output_length": 4, "hash_ids": [1, 2]}"#;
    let reading = Reading {
        unit_s: 0.001,
        ..READING
    };
    let asks = parse(trace, 100, &reading).unwrap();
    assert_eq!([asks[0].at, asks[1].at], [Some(0.0), Some(0.5)]);
    let (a, b) = (asks[0].text(0, &reading), asks[1].text(1, &reading));
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert_eq!((words(&a).len(), words(&b).len()), (20, 40));
    assert_eq!(words(&a)[..16], words(&b)[..16]);
    assert_ne!(words(&a)[16..20], words(&b)[16..20]);
}

#[test]
fn tables_of_burst_gpt_and_guidellm_are_read_by_their_headers() {
    let burst = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,472,18,490,Conversation log\n45.5,GPT-4,10,0,10,API log\n118,GPT-4,87,9,96,API log\n";
    let asks = parsed(burst);
    assert_eq!(asks.len(), 2, "the one without an answer had failed");
    assert_eq!(
        (&asks[0].prompt, asks[0].output_tokens, asks[0].at),
        (&words(472), Some(18), Some(0.0))
    );
    assert_eq!((asks[1].at, asks[1].output_tokens), (Some(113.0), Some(9)));
    let guide = "prompt,prompt_tokens_count,output_tokens_count\n\"two, lines\nof it\",6,12\n";
    let asks = parsed(guide);
    assert_eq!(
        (&asks[0].prompt, asks[0].output_tokens),
        (&text("two, lines\nof it"), Some(12))
    );
}

#[test]
fn saved_benchmarks_of_guidellm_give_their_requests_old_and_new() {
    let asks = parsed(
        r#"{"benchmarks": [{"requests": {"successful": [
            {"prompt": "p", "prompt_tokens": 1, "output_tokens": 5},
            {"request_args": "…", "input_metrics": {"text_tokens": 9}, "output_metrics": {"text_tokens": 3}}
        ], "errored": [{}]}}]}"#,
    );
    assert_eq!((&asks[0].prompt, asks[0].output_tokens), (&text("p"), Some(5)));
    assert_eq!((&asks[1].prompt, asks[1].output_tokens), (&words(9), Some(3)));
}

#[test]
fn broken_lines_are_sentences_with_their_numbers() {
    let good = "{\"prompt\": \"a\"}\n";
    for (bad, said) in [
        ("{\"prompt\": ", "it is no JSON object"),
        ("[1]", "it is no JSON object"),
        ("{\"prompt\": 7}", "`prompt` is no text"),
        ("{\"prompt\": \"\"}", "its prompt is empty"),
        ("{\"question\": null}", "it has no prompt and no length"),
        ("{\"input_length\": -1}", "`input_length` is no count of tokens"),
        ("{\"input_length\": 1e99}", "`input_length` is no count of tokens"),
        (
            "{\"input_length\": 1, \"timestamp\": \"soon\"}",
            "`timestamp` is no time",
        ),
        (
            "{\"input_length\": 1, \"hash_ids\": [1.5]}",
            "`hash_ids` is no list of whole numbers",
        ),
    ] {
        let error = refused(&format!("{good}\n{bad}\n"));
        assert!(error.contains("line 3") && error.contains(said), "{bad}: {error}");
    }
    assert!(refused("prompt,output_tokens\na,many\n").contains("line 2"));
    assert!(refused("[{\"conversations\": [{}, {}]}]").contains("entry 1: its first turn has no `value`"));
    assert!(refused("").contains("no request"));
    assert!(refused("[{\"prompt\": \"a\"}, 1]").contains("line 1"));
    assert!(refused("[{\"prompt\": \"a\"}, {\"prompt\": 1}]").contains("entry 2: `prompt` is no text"));
    assert!(refused("[{\"prompt\": \"a\"}").contains("EOF"));
}

#[test]
fn times_that_some_requests_lack_are_no_times() {
    let asks = parsed("{\"prompt\": \"a\", \"timestamp\": 5}\n{\"prompt\": \"b\"}\n");
    assert!(asks.iter().all(|ask| ask.at.is_none()));
    assert_eq!(asks[0].prompt, text("a"));
}

#[test]
fn no_more_requests_are_read_than_are_wanted() {
    let many = "{\"prompt\": \"a\"}\n".repeat(10) + "broken";
    assert_eq!(parse(&many, 10, &READING).unwrap().len(), 10);
    assert_eq!(parse("[{\"prompt\": \"a\"}, 7]", 1, &READING).unwrap().len(), 1);
}

proptest! {
    #[test]
    fn any_text_ends_in_requests_or_a_sentence(
        text in "\\PC{0,200}",
        parts in proptest::collection::vec(
            prop::sample::select(vec![
                "[", "]", "{", "}", ",", ":", "\n", "\"", "\"prompt\"", "\"a\"", "\"input_length\"", "\"timestamp\"", "1e308", "-1",
                "7", "null", "\"hash_ids\"", "\"conversations\"", "\"value\"", "\"benchmarks\"", "prompt,output_tokens",
            ]),
            0..40,
        ),
    ) {
        for text in [text, parts.concat()] {
            if let Ok(asks) = parse(&text, 100, &READING) {
                prop_assert!(!asks.is_empty() && asks.len() <= 100);
                prop_assert!(asks.iter().all(|ask| ask.at.is_none_or(|at| at >= 0.0)));
            }
        }
    }
}

#[test]
fn made_up_prompts_share_their_beginning_and_nothing_else() {
    let (asks, block) = made_up(2, 30, 5, 10);
    let reading = Reading { block, ..READING };
    let (a, b) = (asks[0].text(0, &reading), asks[1].text(1, &reading));
    let common = a.split(' ').zip(b.split(' ')).take_while(|(a, b)| a == b).count();
    assert!((10..15).contains(&common), "{common}");
    assert_eq!(a.split(' ').count(), 30);
}

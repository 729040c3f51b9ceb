//! Chat templates against transformers' output, and hostile ones against their limits.

use candor_model::ChatTemplate;
use serde_json::json;

use crate::at_hand::{golden, shared};

#[test]
fn the_golden_conversations_render_to_the_byte() {
    let (Some(lines), Some(source)) = (golden("chat_template.jsonl"), shared("golden/chat_template.jinja")) else {
        return;
    };
    let template = ChatTemplate::new(&std::fs::read_to_string(source).unwrap(), "<|im_start|>", "<|im_end|>").unwrap();
    for line in lines {
        let add = line["add_generation_prompt"].as_bool().unwrap();
        assert_eq!(
            template.render(&line["messages"], None, add).unwrap(),
            line["rendered"].as_str().unwrap()
        );
    }
}

fn render(source: &str, messages: serde_json::Value, tools: Option<serde_json::Value>) -> Result<String, String> {
    let template = ChatTemplate::new(source, "<s>", "</s>").map_err(|e| e.to_string())?;
    template
        .render(&messages, tools.as_ref(), true)
        .map_err(|e| e.to_string())
}

#[test]
fn tools_are_written_as_python_writes_json() {
    let tools = json!([{"type": "function", "function": {"name": "weather", "description": "it's <b>\u{4f60}", "parameters": {"n": 1.0, "b": true, "none": null}}}]);
    let qwen = "{%- if tools %}\n    {{- '<tools>' }}\n    {%- for tool in tools %}\n        {{- \"\\n\" }}\n        {{- tool | tojson }}\n    {%- endfor %}\n    {{- '\\n</tools>' }}\n{%- endif %}\n{%- for message in messages %}\n{%- if message.role == \"assistant\" and message.tool_calls %}{%- for tool_call in message.tool_calls %}{%- if tool_call.function is defined %}{%- set tool_call = tool_call.function %}{%- endif %}{{- '<tool_call>\\n{\"name\": \"' + tool_call.name + '\", \"arguments\": ' }}{{- tool_call.arguments | tojson }}{{- '}\\n</tool_call>' }}{%- endfor %}{%- else %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' }}{%- endif %}{%- endfor %}";
    let messages = json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "O'Hare"}}}]}]);
    assert_eq!(
        render(qwen, messages, Some(tools)).unwrap(),
        "<tools>\n{\"type\": \"function\", \"function\": {\"name\": \"weather\", \"description\": \"it's <b>\u{4f60}\", \"parameters\": {\"n\": 1.0, \"b\": true, \"none\": null}}}\n</tools><|im_start|>user\nhi<|im_end|><tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"O'Hare\"}}\n</tool_call>"
    );
}

#[test]
fn llama_style_templates_indent_json_and_know_the_date() {
    let source = "{{- bos_token }}{%- if not date_string is defined %}{%- if strftime_now is defined %}{%- set date_string = strftime_now(\"%d %b %Y\") %}{%- endif %}{%- endif %}\n{{- \"Today Date: \" + date_string + \"\\n\" }}{%- for t in tools %}{{- t | tojson(indent=4) }}{%- endfor %}{%- for message in messages %}{{ message['content'] | trim }}{%- endfor %}";
    let out = render(
        source,
        json!([{"role": "user", "content": " x "}]),
        Some(json!([{"a": [1, {}]}])),
    )
    .unwrap();
    assert!(out.starts_with("<s>Today Date: "));
    assert!(
        out.ends_with("\n{\n    \"a\": [\n        1,\n        {}\n    ]\n}x"),
        "{out}"
    );
}

#[test]
fn gemma_style_templates_refuse_with_their_own_words() {
    let source = "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if message['role'] == 'assistant' %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}";
    let turn = |role: &str| json!({"role": role, "content": " hi "});
    assert_eq!(
        render(source, json!([turn("user"), turn("assistant")]), None).unwrap(),
        "<start_of_turn>user\nhi<end_of_turn>\n<start_of_turn>model\nhi<end_of_turn>\n"
    );
    let refused = render(source, json!([turn("user"), turn("user")]), None).unwrap_err();
    assert!(refused.contains("roles must alternate"), "{refused}");
}

#[test]
fn python_string_methods_namespaces_and_slices_work() {
    let source = "{%- set ns = namespace(last=0) %}{%- for message in messages[::-1] %}{%- set ns.last = ns.last + 1 %}{%- endfor %}{%- set c = messages[0].content %}{{ c.split('</think>')[-1].lstrip('\\n') }}|{{ ns.last }}|{{ true }}|{{ none }}|{{ ['a', 1] }}|{{ c.startswith('<think>') }}|{% generation %}g{% endgeneration %}";
    let out = render(
        source,
        json!([{"role": "user", "content": "<think>x</think>\n\ny"}]),
        None,
    )
    .unwrap();
    assert_eq!(out, "y|1|True|None|['a', 1]|True|g");
}

/// Each expression on its own, beside what Jinja2 3.1.6 makes of it in transformers' settings.
#[test]
fn expressions_give_what_jinja2_gives() {
    let data =
        json!([{"role": "user", "content": {"b": [1.5, null, true], "e": "\u{e9}\u{1f600}", "items": {"get": 1}}}]);
    for (source, expected) in [
        // json.dumps and its arguments
        (
            "{{ c | tojson }}",
            "{\"b\": [1.5, null, true], \"e\": \"\u{e9}\u{1f600}\", \"items\": {\"get\": 1}}",
        ),
        ("{{ c.e | tojson(ensure_ascii=true) }}", r#""\u00e9\ud83d\ude00""#),
        ("{{ c.e | tojson(True) }}", r#""\u00e9\ud83d\ude00""#),
        ("{{ c.b | tojson(separators=(',', ':')) }}", "[1.5,null,true]"),
        ("{{ c.b | tojson(indent=0) }}", "[\n1.5,\nnull,\ntrue\n]"),
        ("{{ c.b | tojson(indent='- ') }}", "[\n- 1.5,\n- null,\n- true\n]"),
        ("{{ [] | tojson(indent=2) }}{{ {} | tojson(indent=2) }}", "[]{}"),
        (
            "{{ {2: 'x', 1: 'y'} | tojson(sort_keys=true) }}",
            r#"{"1": "y", "2": "x"}"#,
        ),
        // repr
        (
            "{{ ['it\\'s', 'say \"x\"', 'a\u{7f}b\u{a0}\u{200b}\u{e9}'] }}",
            "[\"it's\", 'say \"x\"', 'a\\x7fb\\xa0\\u200b\u{e9}']",
        ),
        ("{{ [1e400, -1e400] }}", "[inf, -inf]"),
        // a dictionary's entries do not hide its methods
        ("{% for k, v in c.items() %}{{ k }};{% endfor %}", "b;e;items;"),
        ("{{ c['items'].get('get') }}", "1"),
        // tests
        (
            "{{ none is iterable }}{{ {} is iterable }}{{ 'a' is iterable }}",
            "FalseTrueTrue",
        ),
        (
            "{{ 'a' is sequence }}{{ {} is sequence }}{{ 1 is sequence }}",
            "TrueTrueFalse",
        ),
        (
            "{{ true is number }}{{ true is integer }}{{ range is callable }}",
            "TrueFalseTrue",
        ),
        // methods of strings
        (
            "{{ 'a b  c'.rsplit(' ', 1) }}{{ ' a b '.rsplit() }}{{ 'a-b-c'.rsplit('-') }}",
            "['a b ', 'c']['a', 'b']['a', 'b', 'c']",
        ),
        (
            "{{ 'a-b-c'.partition('-')[2] }}{{ 'a-b-c'.rpartition('-')[0] }}",
            "b-ca-b",
        ),
        (
            "{{ 'ab'.removeprefix('a') }}{{ 'ab'.removesuffix('b') }}{{ 'ab'.removeprefix('b') }}",
            "baab",
        ),
        (
            "{{ 'h\u{e9}llo'.index('l') }}{{ 'aB'.swapcase() }}{{ '-42'.zfill(5) }}",
            "2Ab-0042",
        ),
        (
            "[{{ 'a'.ljust(3) }}{{ 'a'.rjust(3, '.') }}{{ 'ab'.center(5) }}{{ 'a'.center(4) }}]",
            "[a  ..a  ab  a  ]",
        ),
        // a separator between, values in turn
        (
            "{% set j = joiner(', ') %}{% for i in range(3) %}{{ j() }}{{ i }}{% endfor %}",
            "0, 1, 2",
        ),
        // any line end is one sign
        ("a\r\nb\r{% if true %}\r\nc{% endif %}", "a\nb\nc"),
    ] {
        let source = format!("{{%- set c = messages[0].content -%}}{source}");
        assert_eq!(render(&source, data.clone(), None).as_deref(), Ok(expected), "{source}");
    }
}

#[test]
fn hostile_templates_end_with_a_sentence() {
    let deep = |open: &str, close: &str| format!("{}x{}", open.repeat(5000), close.repeat(5000));
    let hostile = [
        "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}".to_owned(),
        "{% set ns = namespace(s='x') %}{% for i in range(64) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}".to_owned(),
        "{{ 'x' * 100000000000 }}".to_owned(),
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}".to_owned(),
        "{% set ns = namespace(s=[]) %}{% for i in range(90000) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s }}".to_owned(),
        "{% set ns = namespace(s=[]) %}{% for i in range(90000) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s | tojson }}".to_owned(),
        "{% include '/etc/passwd' %}".to_owned(),
        "{{ ''.__class__.__mro__ }}".to_owned(),
        "{{ messages[0].__init__.__globals__ }}".to_owned(),
        deep("{% if true %}", "{% endif %}"),
        deep("(", ")").replacen('x', "1", 1),
        format!("{{{{ {} }}}}", deep("(", ")")),
        format!("{{{{ {} }}}}", deep("[", "]")),
        format!("{{{{ {}x }}}}", "not ".repeat(16_000)),
        format!("{{{{ {}x }}}}", "-".repeat(20_000)),
        format!("{{{{ x{} }}}}", "|trim".repeat(12_000)),
        format!("{{{{ x{} }}}}", ".a".repeat(30_000)),
        format!("{{{{ 1{} }}}}", " + 1".repeat(15_000)),
        "{% for".to_owned(),
        "x".repeat(2 << 20),
    ];
    for source in hostile {
        let start = std::time::Instant::now();
        let messages = json!([{"role": "user", "content": "hi"}]);
        let result = render(&source, messages, None);
        println!(
            "{:?} -> {:?} in {:?}",
            &source[..source.len().min(60)],
            result.as_ref().map(String::len),
            start.elapsed()
        );
        assert!(start.elapsed().as_secs() < 10);
        assert!(
            result
                .as_ref()
                .map_or(true, |out| out.len() < 1 << 20 || source.len() > 1 << 20)
        );
    }
}

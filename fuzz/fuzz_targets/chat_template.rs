//! Any text as a chat template: refused with a sentence, or it renders within its limits.
#![no_main]

use candor_model::ChatTemplate;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|source: &str| {
    if let Ok(template) = ChatTemplate::new(source, "<s>", "</s>") {
        let messages = serde_json::json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]);
        let tools = serde_json::json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]);
        let _ = template.render(&messages, Some(&tools), true);
    }
});

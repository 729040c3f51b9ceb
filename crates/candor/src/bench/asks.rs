//! What models are asked when their answers matter to the clock: some that say again what the prompt says, and some that
//! do not.

const PASSAGE: &str = "The harbour of Lindholm was dug in 1734 by two hundred workers from the northern parishes, who were \
paid in grain and salt. For the first forty years only fishing boats used it, since the bar at its mouth was too shallow \
for anything larger. In 1776 the engineer Marta Holmgren had the bar removed with a chain of buckets driven by a horse \
mill, and within ten years ships from nine countries lay at its quays. The lighthouse on the eastern pier, built of red \
granite in 1791, is the oldest in the province that still burns; its lamp has been electric since 1923. Today the harbour \
is used by sailing boats, a ferry to the islands, and the research ship Aurora.";

const CODE: &str = "def moving_average(values, width):\n    \"\"\"Mean of each run of `width` values.\"\"\"\n    if width < 1:\n        \
raise ValueError(\"width must be positive\")\n    result = []\n    for start in range(len(values) - width + 1):\n        window = \
values[start:start + width]\n        result.append(sum(window) / width)\n    return result\n\n\ndef weighted_average(values, \
weights):\n    \"\"\"Mean of `values`, each counted by its weight.\"\"\"\n    if len(values) != len(weights):\n        raise \
ValueError(\"as many weights as values are needed\")\n    total = sum(weights)\n    result = 0\n    for value, weight in \
zip(values, weights):\n        result += value * weight\n    return result / total\n";

/// A question and what kind it is of.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) kind: String,
    pub(crate) text: String,
}

fn question(kind: &str, text: String) -> Question {
    Question {
        kind: kind.into(),
        text,
    }
}

/// Questions whose answers are in the prompt, and ordinary ones.
pub(crate) fn questions() -> Vec<Question> {
    let mut all = about("", PASSAGE);
    all.push(question(
        "code",
        format!("Rewrite this code with `result` renamed to `out`. Answer with the code only.\n\n```python\n{CODE}```"),
    ));
    let chats = [
        "Why is the sky blue? Explain it to a child.",
        "Write a short story about a fox that learns to swim.",
        "Give me five tips for a job interview.",
        "What are the differences between a virus and a bacterium?",
    ];
    all.extend(chats.map(|text| question("chat", text.into())));
    all
}

/// Questions about a passage, whose answers say it again in whole or in part.
pub(crate) fn about(name: &str, passage: &str) -> Vec<Question> {
    let ask = |kind: &str, what: &str| question(format!("{kind} {name}").trim(), format!("{what}\n\n{passage}"));
    vec![
        ask("quote", "Repeat the following passage word for word."),
        ask("edit", "Repeat the following passage, but write every number as words."),
        ask("summary", "Summarise the following passage in three sentences."),
    ]
}

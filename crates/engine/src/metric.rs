//! Every metric of the engine, with its name and meaning, in one place.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Requests waiting for their first step.
pub const QUEUE: &str = "candor_queue_requests";
/// Requests in the running batch.
pub const BATCH: &str = "candor_batch_requests";
/// Prompt tokens read.
pub const PROMPT_TOKENS: &str = "candor_prompt_tokens_total";
/// Of those, taken from the prefix cache.
pub const CACHED_TOKENS: &str = "candor_prefix_cache_hit_tokens_total";
/// Tokens generated.
pub const GENERATED_TOKENS: &str = "candor_generated_tokens_total";
/// Tokens that were guessed ahead and computed with a step.
pub const PROPOSED_TOKENS: &str = "candor_speculation_proposed_tokens_total";
/// Of those, the ones that were chosen: each spared a step.
pub const ACCEPTED_TOKENS: &str = "candor_speculation_accepted_tokens_total";
/// Requests that ended, by `reason`.
pub const REQUESTS: &str = "candor_requests_total";
/// Seconds from a request's arrival to its first token.
pub const FIRST_TOKEN: &str = "candor_time_to_first_token_seconds";
/// Seconds between two tokens of a request.
pub const INTER_TOKEN: &str = "candor_inter_token_seconds";
/// Key/value pages in use (held by a request or the prefix cache).
pub const PAGES_USED: &str = "candor_kv_pages_used";
/// Key/value pages there are.
pub const PAGES_TOTAL: &str = "candor_kv_pages_total";
/// Bytes of key/value memory in use, pages of layers with a sliding window included.
pub const KV_BYTES: &str = "candor_kv_bytes_used";
/// Key/value pages that neither a request nor the prefix cache held when the engine last had nothing to do.
pub const PAGES_LEAKED: &str = "candor_kv_pages_leaked";
/// Requests that lost their pages to an older one and were computed again.
pub const PREEMPTIONS: &str = "candor_preemptions_total";
/// Models that are ready: in memory, or an upstream's.
pub const MODELS: &str = "candor_models_loaded";

/// Tells the recorder what each metric means. Call once after installing a recorder.
pub fn describe() {
    describe_gauge!(QUEUE, "Requests waiting for their first step");
    describe_gauge!(BATCH, "Requests in the running batch");
    describe_counter!(PROMPT_TOKENS, "Prompt tokens read");
    describe_counter!(CACHED_TOKENS, "Prompt tokens taken from the prefix cache");
    describe_counter!(GENERATED_TOKENS, "Tokens generated");
    describe_counter!(PROPOSED_TOKENS, "Tokens guessed ahead and computed with a step");
    describe_counter!(ACCEPTED_TOKENS, "Guessed tokens that were chosen");
    describe_counter!(REQUESTS, "Requests that ended, by reason");
    describe_histogram!(FIRST_TOKEN, Unit::Seconds, "Time from arrival to the first token");
    describe_histogram!(INTER_TOKEN, Unit::Seconds, "Time between two tokens of a request");
    describe_gauge!(PAGES_USED, "Key/value pages held by a request or the prefix cache");
    describe_gauge!(PAGES_TOTAL, "Key/value pages there are");
    describe_gauge!(
        KV_BYTES,
        Unit::Bytes,
        "Key/value memory held by a request or the prefix cache"
    );
    describe_gauge!(
        PAGES_LEAKED,
        "Key/value pages that nobody held when the engine last had nothing to do: more than none is a bug"
    );
    describe_counter!(
        PREEMPTIONS,
        "Requests that lost their pages to an older one and were computed again"
    );
    describe_gauge!(MODELS, "Models that are ready: in memory, or an upstream's");
    describe_gauge!("candor_upstream_replica_up", "Whether a replica of an upstream answers");
    describe_gauge!("candor_upstream_running", "Requests under way at a replica");
    describe_counter!(
        "candor_upstream_requests_total",
        "Requests sent to a replica, by outcome"
    );
    describe_counter!("candor_upstream_retries_total", "Attempts after the first");
    describe_counter!("candor_upstream_tokens_total", "Tokens that upstreams counted, by kind");
    describe_histogram!(
        "candor_upstream_first_token_seconds",
        Unit::Seconds,
        "Time from a request's arrival to an upstream's first token"
    );
}

//! What a streaming response sends, one event after the other.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Response;
use super::item::{Annotation, ContentPart, Item};

/// An event; on the wire it has a `sequence_number` besides.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type")]
pub enum StreamEvent {
    /// First of all.
    #[serde(rename = "response.created")]
    Created {
        /// So far.
        response: Box<Response>,
    },
    /// Work begins.
    #[serde(rename = "response.in_progress")]
    InProgress {
        /// So far.
        response: Box<Response>,
    },
    /// An item begins.
    #[serde(rename = "response.output_item.added")]
    OutputItemAdded {
        /// Its place in `output`.
        output_index: usize,
        /// So far.
        item: Item,
    },
    /// A part of a message begins.
    #[serde(rename = "response.content_part.added")]
    ContentPartAdded {
        /// The message.
        item_id: String,
        /// Its place in `output`.
        output_index: usize,
        /// The part's place in the message.
        content_index: usize,
        /// So far.
        part: ContentPart,
    },
    /// More text.
    #[serde(rename = "response.output_text.delta")]
    OutputTextDelta {
        /// The message.
        item_id: String,
        /// Its place in `output`.
        output_index: usize,
        /// The part's place in the message.
        content_index: usize,
        /// The text to append.
        delta: String,
        /// Its tokens, where they were asked for.
        logprobs: Vec<Logprob>,
    },
    /// The text is whole.
    #[serde(rename = "response.output_text.done")]
    OutputTextDone {
        /// The message.
        item_id: String,
        /// Its place in `output`.
        output_index: usize,
        /// The part's place in the message.
        content_index: usize,
        /// All of it.
        text: String,
        /// Its tokens, where they were asked for.
        logprobs: Vec<Logprob>,
    },
    /// The part is whole.
    #[serde(rename = "response.content_part.done")]
    ContentPartDone {
        /// The message.
        item_id: String,
        /// Its place in `output`.
        output_index: usize,
        /// The part's place in the message.
        content_index: usize,
        /// All of it.
        part: ContentPart,
    },
    /// A search of files begins.
    #[serde(rename = "response.file_search_call.in_progress")]
    FileSearchInProgress {
        /// The call's item.
        item_id: String,
        /// Its place in `output`.
        output_index: usize,
    },
    /// The files are being searched.
    #[serde(rename = "response.file_search_call.searching")]
    FileSearchSearching {
        /// The call's item.
        item_id: String,
        /// Its place in `output`.
        output_index: usize,
    },
    /// The files were searched.
    #[serde(rename = "response.file_search_call.completed")]
    FileSearchCompleted {
        /// The call's item.
        item_id: String,
        /// Its place in `output`.
        output_index: usize,
    },
    /// A mark on the text.
    #[serde(rename = "response.output_text.annotation.added")]
    AnnotationAdded {
        /// The message.
        item_id: String,
        /// Its place in `output`.
        output_index: usize,
        /// The part's place in the message.
        content_index: usize,
        /// The mark's place among all of the part.
        annotation_index: usize,
        /// The mark.
        annotation: Annotation,
    },
    /// More of a call's arguments.
    #[serde(rename = "response.function_call_arguments.delta")]
    ArgumentsDelta {
        /// The call's item.
        item_id: String,
        /// Its place in `output`.
        output_index: usize,
        /// The text to append.
        delta: String,
    },
    /// The arguments are whole.
    #[serde(rename = "response.function_call_arguments.done")]
    ArgumentsDone {
        /// The call's item.
        item_id: String,
        /// Its place in `output`.
        output_index: usize,
        /// The function.
        name: String,
        /// All of them.
        arguments: String,
    },
    /// The item is whole.
    #[serde(rename = "response.output_item.done")]
    OutputItemDone {
        /// Its place in `output`.
        output_index: usize,
        /// All of it.
        item: Item,
    },
    /// The end of a whole response.
    #[serde(rename = "response.completed")]
    Completed {
        /// All of it.
        response: Box<Response>,
    },
    /// The end of one that was cut off.
    #[serde(rename = "response.incomplete")]
    Incomplete {
        /// What there is.
        response: Box<Response>,
    },
    /// The end of one that failed.
    #[serde(rename = "response.failed")]
    Failed {
        /// What there is.
        response: Box<Response>,
    },
}

impl StreamEvent {
    /// The event's `type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Created { .. } => "response.created",
            Self::InProgress { .. } => "response.in_progress",
            Self::OutputItemAdded { .. } => "response.output_item.added",
            Self::ContentPartAdded { .. } => "response.content_part.added",
            Self::OutputTextDelta { .. } => "response.output_text.delta",
            Self::OutputTextDone { .. } => "response.output_text.done",
            Self::ContentPartDone { .. } => "response.content_part.done",
            Self::FileSearchInProgress { .. } => "response.file_search_call.in_progress",
            Self::FileSearchSearching { .. } => "response.file_search_call.searching",
            Self::FileSearchCompleted { .. } => "response.file_search_call.completed",
            Self::AnnotationAdded { .. } => "response.output_text.annotation.added",
            Self::ArgumentsDelta { .. } => "response.function_call_arguments.delta",
            Self::ArgumentsDone { .. } => "response.function_call_arguments.done",
            Self::OutputItemDone { .. } => "response.output_item.done",
            Self::Completed { .. } => "response.completed",
            Self::Incomplete { .. } => "response.incomplete",
            Self::Failed { .. } => "response.failed",
        }
    }
}

/// A token with its log-probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ResponsesLogprob)]
pub struct Logprob {
    /// As text.
    pub token: String,
    /// ln p.
    pub logprob: f32,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The best alternatives.
    pub top_logprobs: Vec<TopLogprob>,
}

/// An alternative.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ResponsesTopLogprob)]
pub struct TopLogprob {
    /// As text.
    pub token: String,
    /// ln p.
    pub logprob: f32,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

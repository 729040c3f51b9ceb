//! Items: what goes into a response, leniently read, and what comes out, with every field.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::event::Logprob;

/// What to answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged, expecting = "expected a string or an array of items")]
pub enum Input {
    /// One message of the user.
    Text(String),
    /// Items, oldest first.
    Items(Vec<InputItem>),
}

/// An item of the input: a message, a function call, a function's output, or a thought.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct InputItem {
    /// `message` (also where it is absent), `function_call`, `function_call_output`, `reasoning` and `file_search_call`
    /// (both are read over), or `item_reference`
    /// (only the `id` of an item of a stored response).
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Names the item.
    pub id: Option<String>,
    /// Of a message: `user`, `assistant`, `system` or `developer`.
    pub role: Option<String>,
    /// Of a message: a string, or parts.
    pub content: Option<InputContent>,
    /// Of a call and its output.
    pub call_id: Option<String>,
    /// Of a call: the function's name.
    pub name: Option<String>,
    /// Of a call: JSON text.
    pub arguments: Option<String>,
    /// Of an output: a string, or parts.
    pub output: Option<InputContent>,
}

/// A string, or parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged, expecting = "expected a string or an array of content parts")]
pub enum InputContent {
    /// Text.
    Text(String),
    /// Parts.
    Parts(Vec<InputPart>),
}

/// A part of a message's content.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InputPart {
    /// `input_text`, `output_text`, `text` or `refusal`; nothing else is understood.
    #[serde(rename = "type")]
    pub kind: String,
    /// Of a text.
    #[serde(default)]
    pub text: Option<String>,
    /// Of a refusal.
    #[serde(default)]
    pub refusal: Option<String>,
}

/// How far an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ItemStatus {
    /// It is being made.
    InProgress,
    /// It is whole.
    Completed,
    /// It was cut off.
    Incomplete,
}

/// An item, as it is stored and sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Item {
    /// A message.
    Message {
        /// `msg_…`
        id: String,
        /// How far it is.
        status: ItemStatus,
        /// Who speaks.
        role: String,
        /// What is said.
        content: Vec<ContentPart>,
    },
    /// A function call by the model.
    FunctionCall {
        /// `fc_…`
        id: String,
        /// Names the call, for the output that answers it.
        call_id: String,
        /// The function.
        name: String,
        /// JSON text.
        arguments: String,
        /// How far it is.
        status: ItemStatus,
    },
    /// A search of files that the server made before the model answered.
    FileSearchCall {
        /// `fs_…`
        id: String,
        /// How far it is.
        status: ItemStatus,
        /// What was looked for.
        queries: Vec<String>,
        /// What was found, where `include` asked for it.
        results: Option<Vec<FileSearchResult>>,
    },
    /// What a function answered.
    FunctionCallOutput {
        /// `fco_…`
        id: String,
        /// The call that it answers.
        call_id: String,
        /// The answer.
        output: String,
        /// How far it is.
        status: ItemStatus,
    },
}

impl Item {
    /// The item's id.
    pub fn id(&self) -> &str {
        match self {
            Self::Message { id, .. }
            | Self::FunctionCall { id, .. }
            | Self::FileSearchCall { id, .. }
            | Self::FunctionCallOutput { id, .. } => id,
        }
    }
}

/// A passage that a search of files found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FileSearchResult {
    /// `file-…`
    pub file_id: String,
    /// The file's name.
    pub filename: String,
    /// From 0 to 1; it orders, and is no probability.
    pub score: f64,
    /// The file's.
    #[schema(value_type = Object)]
    pub attributes: serde_json::Value,
    /// To the byte what stands in the file's text.
    pub text: String,
    /// The first byte of it in `/v1/files/{id}/text`.
    pub start: u64,
    /// The byte after the last.
    pub end: u64,
}

/// A mark on an answer's text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = ResponsesAnnotation)]
pub enum Annotation {
    /// The sentence that ends here shares its words with a passage of a file.
    FileCitation {
        /// Characters of the text before the mark.
        index: u64,
        /// `file-…`
        file_id: String,
        /// The file's name.
        filename: String,
        /// The passage's first byte in `/v1/files/{id}/text`.
        start: u64,
        /// The byte after its last.
        end: u64,
    },
    /// A sentence shares its words with a passage of a page on the web.
    #[serde(rename = "url_citation")]
    UrlCitation {
        /// Characters of the text before the sentence.
        start_index: u64,
        /// Characters of the text before its end.
        end_index: u64,
        /// The page's title, or its name.
        title: String,
        /// Where it is.
        url: String,
    },
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = ResponsesContentPart)]
pub enum ContentPart {
    /// What was put in.
    InputText {
        /// The text.
        text: String,
    },
    /// What the model said.
    OutputText(OutputText),
}

impl ContentPart {
    /// The text of it.
    pub fn text(&self) -> &str {
        match self {
            Self::InputText { text } => text,
            Self::OutputText(said) => &said.text,
        }
    }
}

/// What the model said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OutputText {
    /// The text.
    pub text: String,
    /// Which files its sentences can be found in, where files were searched.
    pub annotations: Vec<Annotation>,
    /// Its tokens, where they were asked for.
    pub logprobs: Vec<Logprob>,
}

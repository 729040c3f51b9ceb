//! A response as it grows: the engine's events in, the protocol's events out, and the response that they add up to.

use std::sync::Arc;

use candor_engine::{EngineError, Event, FinishReason, TokenLogprob, Usage as Counted};
use candor_wire::chat::ToolCall;
use candor_wire::responses::{
    Annotation, ContentPart, IncompleteDetails, InputTokensDetails, Item, ItemStatus, Logprob, OutputText, Response,
    ResponseError, StreamEvent, TopLogprob, Usage,
};

use super::check::{id, item_id, now};
use super::citations;
use super::search::Searched;
use super::telling::Told;
use crate::api::grounded::Shown;

/// Writes a response.
pub(super) struct Output {
    response: Response,
    /// The message that is being written, which is not among `response.output` yet.
    open: Option<(String, OutputText)>,
    single_call: bool,
    /// What was found in files before the model began.
    searched: Option<Arc<Searched>>,
    /// Where the quotes of an answer from sources stand.
    cited: Vec<Annotation>,
    calls: usize,
    end: Option<(FinishReason, Counted)>,
}

impl Output {
    /// `single_call`: of several calls only the first counts.
    pub(super) fn new(response: Response, single_call: bool) -> Self {
        Self {
            response,
            open: None,
            single_call,
            searched: None,
            cited: Vec::new(),
            calls: 0,
            end: None,
        }
    }

    /// Begins with a search of files.
    pub(super) fn after(mut self, searched: Option<Arc<Searched>>) -> Self {
        self.searched = searched;
        self
    }

    /// The first events.
    pub(super) fn begin(&mut self) -> Vec<StreamEvent> {
        let response = Box::new(self.response.clone());
        let mut out = vec![
            StreamEvent::Created {
                response: response.clone(),
            },
            StreamEvent::InProgress { response },
        ];
        if let Some(searched) = self.searched.clone() {
            let output_index = self.response.output.len();
            let item_id = item_id("fs", &self.response.id, 'o', output_index);
            out.push(StreamEvent::OutputItemAdded {
                output_index,
                item: searched.item(item_id.clone(), ItemStatus::InProgress),
            });
            let id = || item_id.clone();
            out.extend([
                StreamEvent::FileSearchInProgress {
                    item_id: id(),
                    output_index,
                },
                StreamEvent::FileSearchSearching {
                    item_id: id(),
                    output_index,
                },
                StreamEvent::FileSearchCompleted {
                    item_id: id(),
                    output_index,
                },
            ]);
            self.item_done(searched.item(item_id, ItemStatus::Completed), &mut out);
        }
        out
    }

    /// Takes what is said next.
    pub(super) fn told(&mut self, told: Told, out: &mut Vec<StreamEvent>) {
        match told {
            Told::Event(event) => self.event(event, out),
            Told::Quotes(shown) => self.quotes(&shown, out),
        }
    }

    /// An answer from sources, sentence by sentence. No tokens were counted: quotes have none.
    fn quotes(&mut self, shown: &Shown, out: &mut Vec<StreamEvent>) {
        for piece in shown.pieces() {
            self.text(piece.to_owned(), Vec::new(), out);
        }
        self.cited = shown
            .citations()
            .map(|(place, one)| citations::quoted(&place, one))
            .collect();
        self.response.candor = serde_json::to_value(&shown.candor).ok();
        self.end = Some((FinishReason::Stop, Counted::default()));
    }

    fn event(&mut self, event: Event, out: &mut Vec<StreamEvent>) {
        match event {
            Event::Prompt(_) => {}
            Event::Text { text, tokens } if text.is_empty() && tokens.is_empty() => {}
            Event::Text { text, tokens } => self.text(text, tokens, out),
            Event::ToolCall(_) if self.single_call && self.calls > 0 => {}
            Event::ToolCall(call) => self.call(call, out),
            Event::Finish { reason, usage } => self.end = Some((reason, usage)),
        }
    }

    fn text(&mut self, text: String, tokens: Vec<TokenLogprob>, out: &mut Vec<StreamEvent>) {
        let output_index = self.response.output.len();
        if self.open.is_none() {
            self.open_message(out);
        }
        let Some((item_id, said)) = &mut self.open else { return };
        let logprobs: Vec<Logprob> = tokens.into_iter().filter_map(logprob).collect();
        said.text.push_str(&text);
        said.logprobs.extend(logprobs.iter().cloned());
        out.push(StreamEvent::OutputTextDelta {
            item_id: item_id.clone(),
            output_index,
            content_index: 0,
            delta: text,
            logprobs,
        });
    }

    fn open_message(&mut self, out: &mut Vec<StreamEvent>) {
        let output_index = self.response.output.len();
        let item_id = item_id("msg", &self.response.id, 'o', output_index);
        out.push(StreamEvent::OutputItemAdded {
            output_index,
            item: message(item_id.clone(), ItemStatus::InProgress, Vec::new()),
        });
        let part = ContentPart::OutputText(OutputText::default());
        out.push(StreamEvent::ContentPartAdded {
            item_id: item_id.clone(),
            output_index,
            content_index: 0,
            part,
        });
        self.open = Some((item_id, OutputText::default()));
    }

    fn close_message(&mut self, status: ItemStatus, out: &mut Vec<StreamEvent>) {
        let Some((item_id, mut said)) = self.open.take() else {
            return;
        };
        let output_index = self.response.output.len();
        said.annotations = match &self.searched {
            Some(searched) => searched.citations(&said.text),
            None => std::mem::take(&mut self.cited),
        };
        for (annotation_index, annotation) in said.annotations.iter().enumerate() {
            out.push(StreamEvent::AnnotationAdded {
                item_id: item_id.clone(),
                output_index,
                content_index: 0,
                annotation_index,
                annotation: annotation.clone(),
            });
        }
        out.push(StreamEvent::OutputTextDone {
            item_id: item_id.clone(),
            output_index,
            content_index: 0,
            text: said.text.clone(),
            logprobs: said.logprobs.clone(),
        });
        let part = ContentPart::OutputText(said);
        out.push(StreamEvent::ContentPartDone {
            item_id: item_id.clone(),
            output_index,
            content_index: 0,
            part: part.clone(),
        });
        self.item_done(message(item_id, status, vec![part]), out);
    }

    fn item_done(&mut self, item: Item, out: &mut Vec<StreamEvent>) {
        out.push(StreamEvent::OutputItemDone {
            output_index: self.response.output.len(),
            item: item.clone(),
        });
        self.response.output.push(item);
    }

    fn call(&mut self, call: ToolCall, out: &mut Vec<StreamEvent>) {
        self.close_message(ItemStatus::Completed, out);
        self.calls += 1;
        let output_index = self.response.output.len();
        let item_id = item_id("fc", &self.response.id, 'o', output_index);
        let call_id = if call.id.is_empty() { id("call") } else { call.id };
        let (name, arguments) = (call.function.name, call.function.arguments);
        let item = |arguments: String, status| Item::FunctionCall {
            id: item_id.clone(),
            call_id: call_id.clone(),
            name: name.clone(),
            arguments,
            status,
        };
        out.push(StreamEvent::OutputItemAdded {
            output_index,
            item: item(String::new(), ItemStatus::InProgress),
        });
        out.push(StreamEvent::ArgumentsDelta {
            item_id: item_id.clone(),
            output_index,
            delta: arguments.clone(),
        });
        let (id, all) = (item_id.clone(), arguments.clone());
        out.push(StreamEvent::ArgumentsDone {
            item_id: id,
            output_index,
            name: name.clone(),
            arguments: all,
        });
        let done = item(arguments, ItemStatus::Completed);
        self.item_done(done, out);
    }

    /// The engine's stream has ended.
    pub(super) fn end(mut self, out: &mut Vec<StreamEvent>) -> Response {
        let Some((reason, usage)) = self.end else {
            let error = EngineError::Internal {
                message: "the answer ended without an end".into(),
            };
            return self.fail(&error, out);
        };
        let silent = !self
            .response
            .output
            .iter()
            .any(|item| !matches!(item, Item::FileSearchCall { .. }));
        if silent && self.open.is_none() {
            self.open_message(out); // an empty answer is an answer
        }
        let cut = reason == FinishReason::Length;
        self.close_message(
            if cut {
                ItemStatus::Incomplete
            } else {
                ItemStatus::Completed
            },
            out,
        );
        self.response.usage = Some(usage_of(usage));
        if cut {
            self.response.status = "incomplete".into();
            self.response.incomplete_details = Some(IncompleteDetails {
                reason: "max_output_tokens".into(),
            });
            out.push(StreamEvent::Incomplete {
                response: Box::new(self.response.clone()),
            });
        } else {
            self.response.status = "completed".into();
            self.response.completed_at = Some(now());
            out.push(StreamEvent::Completed {
                response: Box::new(self.response.clone()),
            });
        }
        self.response
    }

    /// The engine's stream broke.
    pub(super) fn fail(mut self, error: &EngineError, out: &mut Vec<StreamEvent>) -> Response {
        self.close_message(ItemStatus::Incomplete, out);
        let code = match error {
            EngineError::Invalid { .. } | EngineError::TooLong { .. } | EngineError::FarTooLong { .. } => {
                "invalid_prompt"
            }
            EngineError::Overloaded { .. } => "rate_limit_exceeded",
            _ => "server_error",
        };
        self.response.status = "failed".into();
        self.response.error = Some(ResponseError {
            code: code.into(),
            message: error.to_string(),
        });
        out.push(StreamEvent::Failed {
            response: Box::new(self.response.clone()),
        });
        self.response
    }

    /// Somebody cancelled it.
    pub(super) fn cancel(mut self) -> Response {
        self.close_message(ItemStatus::Incomplete, &mut Vec::new());
        self.response.status = "cancelled".into();
        self.response
    }
}

fn message(id: String, status: ItemStatus, content: Vec<ContentPart>) -> Item {
    Item::Message {
        id,
        status,
        role: "assistant".into(),
        content,
    }
}

fn usage_of(counted: Counted) -> Usage {
    let (input, output) = (counted.prompt_tokens as u64, counted.completion_tokens as u64);
    Usage {
        input_tokens: input,
        input_tokens_details: InputTokensDetails {
            cached_tokens: counted.cached_tokens as u64,
            cache_write_tokens: 0,
        },
        output_tokens: output,
        output_tokens_details: candor_wire::responses::OutputTokensDetails::default(),
        total_tokens: input + output,
    }
}

fn logprob(token: TokenLogprob) -> Option<Logprob> {
    let top = |(_, bytes, logprob): (_, Vec<u8>, f32)| TopLogprob {
        token: String::from_utf8_lossy(&bytes).into_owned(),
        logprob,
        bytes,
    };
    let top_logprobs = token.top.into_iter().map(top).collect();
    Some(Logprob {
        token: token.text,
        logprob: token.logprob?,
        bytes: token.bytes,
        top_logprobs,
    })
}

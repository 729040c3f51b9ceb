//! `/v1/responses`, as the Open Responses specification has it: create (whole, streamed, in the background), fetch,
//! delete, cancel, list the input. Functions are called by the client; the one tool that runs here is the search of files.

mod background;
mod check;
mod citations;
mod context;
mod items;
mod output;
mod passages;
mod search;
mod store;
mod stream;
mod telling;
mod tools;

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Json, Router};
use candor_engine::{GenerateRequest, Prompt};
use candor_store::Store;
use candor_wire::responses::{CreateResponse, DeletedResponse, Item, ItemList, Response as Answer, StreamEvent};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::IntoParams;

use self::background::Running;
use self::check::Checked;
use self::output::Output;
use self::search::Searched;
pub use self::store::{Memory, ResponseStore, Stored};
use self::telling::Telling;
use crate::api::grounded::Grounded;
use crate::body::Body;
use crate::{ApiError, App, evidence};

/// What the routes share: where responses are kept, and which are being made in the background.
#[derive(Clone)]
pub(crate) struct Shared {
    fallback: Arc<dyn ResponseStore>,
    running: Arc<Running>,
}

impl Shared {
    /// The store that the server was given, or the one in memory.
    fn store(&self, app: &App) -> Arc<dyn ResponseStore> {
        store::of(app).unwrap_or_else(|| self.fallback.clone())
    }
}

/// The routes of this folder.
pub fn routes() -> Router<App> {
    let shared = Shared {
        fallback: Arc::new(Memory::default()),
        running: Arc::default(),
    };
    Router::new()
        .route("/v1/responses", post(create))
        .route("/v1/responses/compact", any(compact))
        .route("/v1/responses/{id}", get(fetch).delete(delete))
        .route("/v1/responses/{id}/cancel", post(cancel))
        .route("/v1/responses/{id}/input_items", get(input_items))
        .layer(Extension(shared))
}

/// A response that is about to be made.
struct Made {
    answer: Answer,
    input: Vec<Item>,
    events: Telling,
    single_call: bool,
    /// What was found in files.
    searched: Option<Arc<Searched>>,
    store: Arc<dyn ResponseStore>,
    _permit: OwnedSemaphorePermit,
}

/// Makes a response.
#[utoipa::path(post, path = "/v1/responses", tag = "responses", request_body = CreateResponse, responses((status = 200, description = "The response; with `stream`, server-sent events that end with `[DONE]`", content((Answer = "application/json"), (StreamEvent = "text/event-stream"))), crate::api::openapi::Errors))]
pub(crate) async fn create(
    State(app): State<App>,
    Extension(shared): Extension<Shared>,
    Body(request): Body<CreateResponse>,
) -> Result<Response, ApiError> {
    let mut checked = Checked::new(request)?; // 400, naming the field
    let model = app.models.get(&checked.answer.model).await?; // 404, naming the models there are
    if !model.abilities().chat {
        return Err(ApiError::param(
            "model",
            format!("`{}` holds no conversations; use another model", checked.answer.model),
        ));
    }
    if checked.logprobs.is_some() && !model.abilities().logprobs {
        return Err(ApiError::param(
            "top_logprobs",
            "this model returns no log-probabilities; leave `top_logprobs` out",
        ));
    }
    let permit = app.admit()?; // 429, saying when to come back
    let store = shared.store(&app);
    context::resolve(&*store, &mut checked).await?; // 404 for an item that is not there
    let mut messages = context::messages(&*store, &checked).await?; // 404 for a response that is not there
    let grounded = match checked.candor.take() {
        Some(candor) => Some(Grounded::new(&app, candor, "input", &messages).await?), // 400 for a vector store
        None => None,
    };
    let searched = match &checked.search {
        Some(wanted) => {
            let found = search::run(&app, wanted, &checked, &messages, &*model).await?; // 404 for a vector store
            found.show(&mut messages);
            Some(Arc::new(found))
        }
        None => None,
    };
    let request = GenerateRequest {
        prompt: Prompt::Chat {
            messages,
            tools: checked.tools,
            tool_choice: checked.tool_choice,
        },
        sampling: checked.sampling,
        stop: checked.stop,
        constraint: checked.constraint,
        logprobs: checked.logprobs,
        prompt_logprobs: None,
        affinity: checked.answer.prompt_cache_key.clone(),
    };
    let (stream, background) = (checked.stream, checked.answer.background);
    let made = |events| Made {
        searched,
        single_call: !checked.answer.parallel_tool_calls,
        answer: checked.answer,
        input: checked.input,
        events,
        store,
        _permit: permit,
    };
    let events = match grounded {
        Some(grounded) => telling::quotes(grounded, model, request),
        None if background => telling::later(model, request),
        None => telling::now(model.generate(request).await?), // dropping the response cancels the work
    };
    let made = made(events);
    if background {
        return Ok(Json(shared.running.start(made).await?).into_response());
    }
    if stream {
        return Ok(stream::respond(&app, made));
    }
    Ok(Json(whole(made).await?).into_response())
}

/// Reads to the end; what fails in the middle fails the request.
async fn whole(mut made: Made) -> Result<Answer, ApiError> {
    let mut output = Output::new(made.answer, made.single_call).after(made.searched);
    let mut events = output.begin();
    events.clear();
    while let Some(told) = futures::StreamExt::next(&mut made.events).await {
        output.told(told?, &mut events);
        events.clear();
    }
    let answer = output.end(&mut events);
    store::keep(&*made.store, &answer, made.input).await?;
    Ok(answer)
}

async fn stored(app: &App, shared: &Shared, id: &str) -> Result<Stored, ApiError> {
    shared.store(app).get(id).await?.ok_or_else(|| store::missing(id))
}

/// How a response is fetched.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Fetch {
    /// Only false: a stored response is sent whole.
    #[serde(default)]
    stream: Option<bool>,
}

/// A stored response.
#[utoipa::path(get, path = "/v1/responses/{id}", tag = "responses", params(("id" = String, Path, description = "The response's id"), Fetch), responses((status = 200, body = Answer), crate::api::openapi::Errors))]
pub(crate) async fn fetch(
    State(app): State<App>,
    Extension(shared): Extension<Shared>,
    Path(id): Path<String>,
    Query(how): Query<Fetch>,
) -> Result<Json<Answer>, ApiError> {
    if how.stream == Some(true) {
        return Err(ApiError::param(
            "stream",
            "a stored response is sent whole; leave `stream` out",
        ));
    }
    let mut response = stored(&app, &shared, &id).await?.response;
    if let (Some(candor), Some(store)) = (&mut response.candor, app.extension::<Store>()) {
        evidence::recheck(store, candor).await?;
    }
    Ok(Json(response))
}

/// Deletes a stored response.
#[utoipa::path(delete, path = "/v1/responses/{id}", tag = "responses", params(("id" = String, Path, description = "The response's id")), responses((status = 200, body = DeletedResponse), crate::api::openapi::Errors))]
pub(crate) async fn delete(
    State(app): State<App>,
    Extension(shared): Extension<Shared>,
    Path(id): Path<String>,
) -> Result<Json<DeletedResponse>, ApiError> {
    shared.running.cancel(&id).await;
    if !shared.store(&app).delete(&id).await? {
        return Err(store::missing(&id));
    }
    Ok(Json(DeletedResponse {
        id,
        object: "response".into(),
        deleted: true,
    }))
}

/// `/v1/responses/compact`, which clients probe for: it is no response's id, and it is not here.
async fn compact() -> ApiError {
    ApiError::NotFound("responses are not compacted here; send a shorter `input`, or begin a new conversation".into())
}

/// Stops a response that is made in the background.
#[utoipa::path(post, path = "/v1/responses/{id}/cancel", tag = "responses", params(("id" = String, Path, description = "The response's id")), responses((status = 200, body = Answer), crate::api::openapi::Errors))]
pub(crate) async fn cancel(
    State(app): State<App>,
    Extension(shared): Extension<Shared>,
    Path(id): Path<String>,
) -> Result<Json<Answer>, ApiError> {
    shared.running.cancel(&id).await;
    let response = stored(&app, &shared, &id).await?.response;
    if !response.background {
        return Err(ApiError::param(
            "id",
            "only a response made with `background: true` can be cancelled; for others, close the connection",
        ));
    }
    Ok(Json(response))
}

/// Which of the items.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// At most so many; 20 where it is absent.
    #[serde(default)]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// `asc` or `desc`.
    #[serde(default)]
    order: Option<String>,
    /// The id of the item before the first.
    #[serde(default)]
    after: Option<String>,
}

/// The items of a response's input: newest first, unless `order=asc`.
#[utoipa::path(get, path = "/v1/responses/{id}/input_items", tag = "responses", params(("id" = String, Path, description = "The response's id"), Page), responses((status = 200, body = ItemList), crate::api::openapi::Errors))]
pub(crate) async fn input_items(
    State(app): State<App>,
    Extension(shared): Extension<Shared>,
    Path(id): Path<String>,
    Query(page): Query<Page>,
) -> Result<Json<ItemList>, ApiError> {
    let limit = page.limit.unwrap_or(20);
    let limit = usize::try_from(limit).ok().filter(|limit| (1..=100).contains(limit));
    let limit = limit.ok_or_else(|| ApiError::param("limit", "`limit` must lie between 1 and 100"))?;
    let mut items = stored(&app, &shared, &id).await?.input;
    match page.order.as_deref() {
        None | Some("desc") => items.reverse(),
        Some("asc") => {}
        Some(_) => return Err(ApiError::param("order", "`order` must be `asc` or `desc`")),
    }
    if let Some(after) = &page.after {
        let at = items.iter().position(|item| item.id() == after);
        let at = at.ok_or_else(|| ApiError::param("after", "`after` names no item of this response's input"))?;
        items.drain(..=at);
    }
    let has_more = items.len() > limit;
    items.truncate(limit);
    let id = |item: Option<&Item>| item.map(|item| item.id().to_owned());
    let (first_id, last_id) = (id(items.first()), id(items.last()));
    Ok(Json(ItemList {
        object: "list".into(),
        data: items,
        first_id,
        last_id,
        has_more,
    }))
}

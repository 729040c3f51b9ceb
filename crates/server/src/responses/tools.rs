//! Tools of a request: functions, which the model sees and the client calls, and the search of files, which the server
//! makes before the model answers.

use candor_wire::chat::{Function, Tool, ToolChoice as EngineChoice};
use candor_wire::responses::{AllowedTool, FileSearchTool, FunctionTool, OfferedTool, ToolChoice, ToolParam};

use crate::ApiError;
use crate::vector_stores::search::Wanted;

/// Vector stores of a search.
const MOST_STORES: usize = 16;
/// Passages where no number is named.
const DEFAULT_RESULTS: i64 = 10;

/// What the model sees, and what comes before it.
pub(super) struct Chosen {
    pub(super) functions: Vec<Tool>,
    pub(super) choice: EngineChoice,
    /// Whether files are searched.
    pub(super) searches: bool,
}

/// The tools, checked, and the search among them.
pub(super) fn offered(given: Vec<ToolParam>) -> Result<(Vec<OfferedTool>, Option<Wanted>), ApiError> {
    if given.len() > 128 {
        return Err(ApiError::param("tools", "`tools` takes at most 128 functions"));
    }
    let (mut offered, mut search) = (Vec::with_capacity(given.len()), None);
    for (at, tool) in given.into_iter().enumerate() {
        match tool.kind.as_str() {
            "function" => offered.push(OfferedTool::Function(function(at, tool)?)),
            "file_search" if search.is_some() => {
                let message = "there is one `file_search` at most; name all vector stores in its `vector_store_ids`";
                return Err(ApiError::param(format!("tools[{at}]"), message));
            }
            "file_search" => {
                let (tool, wanted) = file_search(at, tool)?;
                offered.push(OfferedTool::FileSearch(tool));
                search = Some(wanted);
            }
            kind => {
                let kind: String = kind.chars().take(50).collect();
                let message = format!(
                    "this server has no tool `{kind}`; tools of type `function`, which you call, and `file_search` work"
                );
                return Err(ApiError::param(format!("tools[{at}].type"), message));
            }
        }
    }
    Ok((offered, search))
}

fn function(at: usize, tool: ToolParam) -> Result<FunctionTool, ApiError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let name = tool
        .name
        .filter(|name| !name.is_empty() && name.len() <= 64 && name.chars().all(fits));
    let name = name.ok_or_else(|| {
        let message = "a function's name has 1 to 64 letters, digits, dashes, dots and underscores";
        ApiError::param(format!("tools[{at}].name"), message)
    })?;
    let parameters = tool.parameters.filter(|parameters| !parameters.is_null());
    if parameters.as_ref().is_some_and(|parameters| !parameters.is_object()) {
        let message = "a function's parameters are a JSON schema: an object";
        return Err(ApiError::param(format!("tools[{at}].parameters"), message));
    }
    Ok(FunctionTool {
        kind: tool.kind,
        name,
        description: tool.description,
        parameters,
        strict: tool.strict,
    })
}

fn file_search(at: usize, tool: ToolParam) -> Result<(FileSearchTool, Wanted), ApiError> {
    let stores = tool.vector_store_ids.unwrap_or_default();
    if stores.is_empty() || stores.len() > MOST_STORES {
        let message = format!("`file_search` needs `vector_store_ids`: 1 to {MOST_STORES} vector stores");
        return Err(ApiError::param(format!("tools[{at}].vector_store_ids"), message));
    }
    let limit = tool.max_num_results.unwrap_or(DEFAULT_RESULTS);
    let wanted = Wanted::new(
        stores.clone(),
        limit,
        tool.filters.as_ref(),
        tool.ranking_options.as_ref(),
    )?;
    let tool = FileSearchTool {
        kind: tool.kind,
        vector_store_ids: stores,
        max_num_results: limit,
        filters: tool.filters,
        ranking_options: tool.ranking_options,
    };
    Ok((tool, wanted))
}

/// The functions that the model sees, whether it must call one, and whether files are searched. A search is made
/// wherever the model may ask for one; it meets `required`.
pub(super) fn choose(offered: &[OfferedTool], choice: Option<ToolChoice>) -> Result<Chosen, ApiError> {
    let wrong = |message: &str| ApiError::param("tool_choice", message);
    let mut all: Vec<&FunctionTool> = Vec::new();
    let mut search = false;
    for tool in offered {
        match tool {
            OfferedTool::Function(function) => all.push(function),
            OfferedTool::FileSearch(_) => search = true,
        }
    }
    let known = |name: &str| all.iter().any(|tool| tool.name == name);
    let mode = |mode: &str, functions: &[&FunctionTool], search: bool| match mode {
        "auto" => Ok((EngineChoice::Auto, search)),
        "none" => Ok((EngineChoice::None, false)),
        "required" if search => Ok((EngineChoice::Auto, true)),
        "required" if functions.is_empty() => Err(wrong("`tool_choice` is `required` and there are no `tools`")),
        "required" => Ok((EngineChoice::Required, false)),
        _ => Err(wrong("`tool_choice` must be `auto`, `none` or `required`")),
    };
    let (functions, (choice, searches)) = match choice {
        None => (all, (EngineChoice::Auto, search)),
        Some(ToolChoice::Mode(word)) => {
            let chosen = mode(&word, &all, search)?;
            (all, chosen)
        }
        Some(ToolChoice::Function(named)) if named.kind == "function" && known(&named.name) => {
            (all, (EngineChoice::Function(named.name), false))
        }
        Some(ToolChoice::Function(_)) => return Err(wrong("`tool_choice` names a function that is not among `tools`")),
        Some(ToolChoice::Hosted { kind }) if kind == "file_search" && search => {
            (Vec::new(), (EngineChoice::Auto, true))
        }
        Some(ToolChoice::Hosted { .. }) => return Err(wrong("`tool_choice` names a tool that is not among `tools`")),
        Some(ToolChoice::Allowed {
            kind,
            mode: word,
            tools,
        }) if kind == "allowed_tools" => {
            let there = |tool: &AllowedTool| match (tool.kind.as_str(), tool.name.as_deref()) {
                ("function", Some(name)) => known(name),
                ("file_search", _) => search,
                _ => false,
            };
            if tools.is_empty() || !tools.iter().all(there) {
                return Err(wrong("`tool_choice.tools` must name tools that are among `tools`"));
            }
            let named = |tool: &&FunctionTool| tools.iter().any(|named| named.name.as_deref() == Some(&tool.name));
            let search = tools.iter().any(|tool| tool.kind == "file_search");
            let some: Vec<&FunctionTool> = all.into_iter().filter(named).collect();
            let chosen = mode(word.as_deref().unwrap_or("auto"), &some, search)?;
            (some, chosen)
        }
        Some(ToolChoice::Allowed { .. }) => {
            return Err(wrong(
                "`tool_choice.type` must be `function`, `file_search` or `allowed_tools`",
            ));
        }
    };
    let tool = |tool: &FunctionTool| Tool {
        kind: "function".into(),
        function: Function {
            name: tool.name.clone(),
            description: tool.description.clone(),
            parameters: tool.parameters.clone(),
            strict: tool.strict,
        },
    };
    Ok(Chosen {
        functions: functions.into_iter().map(tool).collect(),
        choice,
        searches,
    })
}

//! Chat templates: the Jinja text that a model's file brings along, run as `transformers` runs it (trimmed blocks, `tojson`
//! without HTML escapes, `raise_exception`, `strftime_now`). A template is foreign code: it gets fuel for work and
//! memory, limits on size, depth and output, and no way to reach files or the network.

mod date;
mod methods;
mod python;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{AutoEscape, Environment, ErrorKind, State, Value, context};

use crate::Error;

/// Longer templates are refused; the longest known are some 20 KiB.
const MAX_TEMPLATE_BYTES: usize = 1 << 16;
/// Longer runs of signs are refused: the template engine takes quadratic time for them.
const MAX_SIGNS: usize = 256;
/// Fuel (about one per instruction or 64 bytes) that any conversation gets; more comes with its size.
const BASE_FUEL: u64 = 400_000;
/// Output that any conversation gets; more comes with its size.
const BASE_OUTPUT: usize = 4 << 20;
/// Stack for compiling: the longest template, every other byte a level deeper.
const COMPILE_STACK: usize = 256 << 20;
/// Stack per unit of fuel: a level of nesting costs at least six.
const STACK_PER_FUEL: usize = 192;
/// Deeper nesting of blocks, macros and values is refused.
const MAX_DEPTH: usize = 64;

/// Names of the templates of a model.
const DEFAULT: &str = "chat_template";
const TOOL_USE: &str = "tool_use";

/// A compiled chat template.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
    /// Another text for conversations with tools, where the model has one.
    with_tools: Option<String>,
    bos: String,
    eos: String,
}

impl ChatTemplate {
    /// Compiles `source`. `bos`, `eos`: what `bos_token` and `eos_token` stand for in it.
    ///
    /// # Errors
    /// If it is too long or not valid Jinja.
    pub fn new(source: &str, bos: &str, eos: &str) -> Result<Self, Error> {
        Self::with_tool_use(source, None, bos, eos)
    }

    /// As `new`, with the template that the model keeps for conversations with tools (`tool_use`), if it has one.
    ///
    /// # Errors
    /// As `new`.
    pub fn with_tool_use(source: &str, with_tools: Option<&str>, bos: &str, eos: &str) -> Result<Self, Error> {
        let mut environment = environment()?;
        for (name, source) in [(DEFAULT, Some(source)), (TOOL_USE, with_tools)] {
            if let Some(source) = source {
                environment = compile(environment, name, source)?;
            }
        }
        Ok(Self {
            environment,
            source: source.to_owned(),
            with_tools: with_tools.map(str::to_owned),
            bos: bos.to_owned(),
            eos: eos.to_owned(),
        })
    }

    /// The template's text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the template does anything with tools.
    pub fn knows_tools(&self) -> bool {
        self.with_tools.is_some() || self.source.contains("tools")
    }

    /// The prompt for `messages` (an array), with `tools` (an array) where there are any.
    ///
    /// # Errors
    /// If the template refuses the conversation, or exceeds its limits.
    pub fn render(
        &self,
        messages: &serde_json::Value,
        tools: Option<&serde_json::Value>,
        add_generation_prompt: bool,
    ) -> Result<String, Error> {
        let size = weight(messages) + tools.map_or(0, weight);
        let fuel = BASE_FUEL + size as u64 / 8;
        with_stack(fuel as usize * STACK_PER_FUEL, || {
            self.run(messages, tools, add_generation_prompt, fuel, BASE_OUTPUT + 8 * size)
        })
    }

    fn run(
        &self,
        messages: &serde_json::Value,
        tools: Option<&serde_json::Value>,
        add_generation_prompt: bool,
        fuel: u64,
        limit: usize,
    ) -> Result<String, Error> {
        let mut environment = self.environment.clone();
        environment.set_fuel(Some(fuel));
        let name = match (tools, &self.with_tools) {
            (Some(_), Some(_)) => TOOL_USE,
            _ => DEFAULT,
        };
        let template = environment.get_template(name).map_err(|e| fault(&e))?;
        let values = context! {
            messages => python::value(messages),
            tools => tools.map_or(Value::from(()), python::value),
            documents => Value::from(()),
            add_generation_prompt => add_generation_prompt,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
        };
        let mut output = Limited {
            bytes: Vec::new(),
            limit,
        };
        template
            .render_captured_to(values, &mut output)
            .map_err(|e| fault(&e))?;
        String::from_utf8(output.bytes).map_err(|_| Error::Template("its output is not UTF-8".into()))
    }
}

/// What templates may use.
fn environment() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.map_err(|e| fault(&e))?);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_recursion_limit(MAX_DEPTH);
    environment.set_unknown_method_callback(methods::call);
    environment.set_formatter(python::print);
    environment.add_filter("tojson", tojson);
    environment.add_function("cycler", minijinja_contrib::globals::cycler);
    environment.add_function("joiner", minijinja_contrib::globals::joiner);
    // Where the engine's own tests answer otherwise than Python's.
    environment.add_test("iterable", |v: &Value| {
        matches!(
            v.kind(),
            ValueKind::String | ValueKind::Seq | ValueKind::Map | ValueKind::Iterable
        )
    });
    environment.add_test("sequence", |v: &Value| {
        matches!(v.kind(), ValueKind::String | ValueKind::Seq | ValueKind::Map)
    });
    environment.add_test("number", |v: &Value| {
        matches!(v.kind(), ValueKind::Number | ValueKind::Bool)
    });
    environment.add_test("callable", |v: &Value| v.kind() == ValueKind::Plain);
    environment.add_function(
        "raise_exception",
        |message: String| -> Result<Value, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
        },
    );
    environment.add_function("strftime_now", |format: String| {
        date::strftime(&format, std::time::SystemTime::now())
    });
    Ok(environment)
}

/// Adds a template to what `environment` knows.
fn compile(
    mut environment: Environment<'static>,
    name: &'static str,
    source: &str,
) -> Result<Environment<'static>, Error> {
    if source.len() > MAX_TEMPLATE_BYTES {
        return Err(Error::Template(format!(
            "it is {} bytes long, at most {MAX_TEMPLATE_BYTES} are allowed; use the completions API, or another file of the model",
            source.len()
        )));
    }
    if longest_run_of_signs(source) > MAX_SIGNS {
        return Err(Error::Template(format!(
            "it has more than {MAX_SIGNS} signs in a row; the file may be damaged or hostile"
        )));
    }
    // Jinja2 reads every line end as one sign.
    let source = without_generation_tags(source)
        .replace("\r\n", "\n")
        .replace('\r', "\n");
    with_stack(COMPILE_STACK, move || {
        environment
            .add_template_owned(name, source)
            .map(|()| environment)
            .map_err(|e| fault(&e))
    })
}

/// Runs `work` on a thread of its own with this much stack (address space, not memory, until it is used): a template may
/// nest values as deeply as its fuel allows, and dropping them recurses.
fn with_stack<T: Send>(bytes: usize, work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("template".into())
            .stack_size(bytes.max(1 << 20))
            .spawn_scoped(scope, work);
        let thread = thread.map_err(|e| {
            Error::Template(format!(
                "no thread could be started for it: {e}; try again when less is running"
            ))
        })?;
        thread.join().unwrap_or_else(|_| {
            Err(Error::Template(
                "it broke the template engine; the file may be damaged or hostile".into(),
            ))
        })
    })
}

/// A sentence for a Jinja error.
fn fault(error: &minijinja::Error) -> Error {
    let what = match error.kind() {
        ErrorKind::OutOfFuel => {
            "it does more work than any conversation of this size needs; the file may be damaged or hostile".into()
        }
        ErrorKind::InvalidOperation | ErrorKind::BadEscape => {
            error.detail().map_or_else(|| error.to_string(), str::to_owned)
        }
        _ => error.to_string(),
    };
    let line = error.line().map_or_else(String::new, |line| format!(" (line {line})"));
    Error::Template(format!("{what}{line}"))
}

/// The longest run of `-` and `+`, with or without spaces between.
fn longest_run_of_signs(source: &str) -> usize {
    let (mut run, mut longest) = (0, 0);
    for byte in source.bytes() {
        match byte {
            b'-' | b'+' => run += 1,
            byte if byte.is_ascii_whitespace() => {}
            _ => run = 0,
        }
        longest = longest.max(run);
    }
    longest
}

/// Bytes of text in a value, and something for each entry.
fn weight(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::String(text) => 16 + text.len(),
        serde_json::Value::Array(items) => 16 + items.iter().map(weight).sum::<usize>(),
        serde_json::Value::Object(map) => 16 + map.iter().map(|(key, value)| key.len() + weight(value)).sum::<usize>(),
        _ => 16,
    }
}

/// `{% generation %}` marks answers for training in transformers; here it is a block without effect.
fn without_generation_tags(source: &str) -> String {
    if !source.contains("generation") {
        return source.to_owned();
    }
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(open) = rest.find("{%") {
        let (before, tag) = rest.split_at(open);
        out.push_str(before);
        let end = tag.find("%}").map_or(tag.len(), |end| end + 2);
        let (tag, after) = tag.split_at(end);
        let word = tag
            .trim_start_matches("{%")
            .trim_end_matches("%}")
            .trim_matches(['-', '+'])
            .trim();
        match word {
            "generation" => out.push_str(&tag.replace("generation", "if true")),
            "endgeneration" => out.push_str(&tag.replace("endgeneration", "endif")),
            _ => out.push_str(tag),
        }
        rest = after;
    }
    out + rest
}

/// `value|tojson(ensure_ascii, indent, separators, sort_keys)` as `transformers` has it: `json.dumps`, without escapes of
/// what is not ASCII unless they are asked for.
fn tojson(state: &State, value: &Value, args: Rest<Value>, options: Kwargs) -> Result<Value, minijinja::Error> {
    let option = |i: usize, name: &str| -> Result<Option<Value>, minijinja::Error> {
        let value = options.get::<Option<Value>>(name)?.or_else(|| args.get(i).cloned());
        Ok(value.filter(|value| !value.is_none()))
    };
    let wrong = |what: &str| minijinja::Error::new(ErrorKind::InvalidOperation, format!("tojson does not take {what}"));
    let ascii = option(0, "ensure_ascii")?.is_some_and(|v| v.is_true());
    let indent = match option(1, "indent")? {
        Some(text) if text.as_str().is_some() => text.as_str().map(str::to_owned),
        Some(number) => Some(" ".repeat(usize::try_from(number).unwrap_or(0))),
        None => None,
    };
    if indent.as_ref().is_some_and(|indent| indent.len() > 64) {
        return Err(wrong("an indent of more than 64"));
    }
    let separators = match option(2, "separators")? {
        Some(pair) => {
            let texts: Vec<String> = pair
                .try_iter()?
                .filter_map(|text| text.as_str().map(str::to_owned))
                .collect();
            <[String; 2]>::try_from(texts)
                .map(Into::into)
                .map_err(|_| wrong("separators that are not two texts"))?
        }
        None if indent.is_some() => (",".into(), ": ".into()),
        None => (", ".into(), ": ".into()),
    };
    let sorted = option(3, "sort_keys")?.is_some_and(|v| v.is_true());
    options.assert_all_used()?;
    let json = python::json(
        value,
        &python::Dumps {
            indent,
            sorted,
            ascii,
            separators,
        },
    )?;
    state.consume_fuel(json.len() as u64 / 16)?;
    Ok(Value::from(json))
}

/// Output up to a limit.
struct Limited {
    bytes: Vec<u8>,
    limit: usize,
}

impl std::io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            return Err(std::io::Error::other(
                "the prompt grows beyond any use; the template may be damaged or hostile",
            ));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Whether a value is a list, tuple or other sequence.
fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable)
}

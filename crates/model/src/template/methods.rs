//! Methods of Python's strings that templates call and the template engine's own set lacks.

use minijinja::value::{ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};

/// Longer texts are not padded to.
const MAX_WIDTH: usize = 1 << 12;

/// Calls `method` of `value`, ours or the engine's.
pub(super) fn call(state: &mut State<'_, '_>, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    if value.kind() == ValueKind::String
        && let Some(text) = value.as_str()
        && let Some(result) = string(text, method, args)
    {
        return result;
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args)
}

fn string(text: &str, method: &str, args: &[Value]) -> Option<Result<Value, Error>> {
    Some(match method {
        "rsplit" => rsplit(text, args),
        "partition" => parted(args, |mark| {
            text.split_once(mark).map_or([text, "", ""], |(a, b)| [a, mark, b])
        }),
        "rpartition" => parted(args, |mark| {
            text.rsplit_once(mark).map_or(["", "", text], |(a, b)| [a, mark, b])
        }),
        "removeprefix" => from_args(args).map(|(mark,): (&str,)| text.strip_prefix(mark).unwrap_or(text).into()),
        "removesuffix" => from_args(args).map(|(mark,): (&str,)| text.strip_suffix(mark).unwrap_or(text).into()),
        "index" => from_args(args).and_then(|(part,): (&str,)| match text.find(part) {
            Some(at) => Ok(text[..at].chars().count().into()),
            None => Err(Error::new(ErrorKind::InvalidOperation, "substring not found")),
        }),
        "swapcase" => Ok(text.chars().map(swapped).collect::<String>().into()),
        "ljust" => padded(text, args, |missing| (0, missing)),
        "rjust" => padded(text, args, |missing| (missing, 0)),
        // As CPython rounds it.
        "center" => padded(text, args, |missing| {
            let left = missing / 2 + (missing & (missing + text.chars().count()) & 1);
            (left, missing - left)
        }),
        "zfill" => {
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
            from_args(args).map(|(width,): (usize,)| {
                let missing = width.min(MAX_WIDTH).saturating_sub(text.chars().count());
                format!("{sign}{}{digits}", "0".repeat(missing)).into()
            })
        }
        _ => return None,
    })
}

fn swapped(c: char) -> String {
    if c.is_lowercase() {
        c.to_uppercase().collect()
    } else {
        c.to_lowercase().collect()
    }
}

fn rsplit(text: &str, args: &[Value]) -> Result<Value, Error> {
    let (mark, most): (Option<&str>, Option<i64>) = from_args(args)?;
    let most = most.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
    let mut parts: Vec<&str> = Vec::new();
    let mut rest = text;
    match mark {
        Some("") => return Err(Error::new(ErrorKind::InvalidOperation, "empty separator")),
        Some(mark) => {
            while parts.len() < most
                && let Some((head, tail)) = rest.rsplit_once(mark)
            {
                parts.push(tail);
                rest = head;
            }
            parts.push(rest);
        }
        None => {
            rest = rest.trim_end();
            while parts.len() < most
                && let Some((head, tail)) = rest.rsplit_once(char::is_whitespace)
            {
                parts.push(tail);
                rest = head.trim_end();
            }
            parts.extend((!rest.is_empty()).then_some(rest));
        }
    }
    Ok(parts.into_iter().rev().map(Value::from).collect())
}

fn parted<'t>(args: &'t [Value], cut: impl FnOnce(&'t str) -> [&'t str; 3]) -> Result<Value, Error> {
    let (mark,): (&str,) = from_args(args)?;
    Ok(cut(mark).into_iter().map(Value::from).collect())
}

fn padded(text: &str, args: &[Value], share: impl FnOnce(usize) -> (usize, usize)) -> Result<Value, Error> {
    let (width, fill): (usize, Option<char>) = from_args(args)?;
    let fill = fill.unwrap_or(' ');
    let (left, right) = share(width.min(MAX_WIDTH).saturating_sub(text.chars().count()));
    let run = |n: usize| std::iter::repeat_n(fill, n).collect::<String>();
    Ok(format!("{}{text}{}", run(left), run(right)).into())
}

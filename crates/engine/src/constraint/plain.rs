//! A schema as its compiler can read it. Notes that ask for nothing are taken out; a `oneOf` whose options cannot hold
//! at once, because a required property has other constants in each, becomes `anyOf` (the compiler sees this only
//! where no option is a reference). Nothing that narrows the output is ever taken out.

use std::collections::HashSet;

use serde_json::Value;

/// Keywords whose value maps names to schemas.
pub(super) const NAMED: [&str; 4] = ["properties", "patternProperties", "$defs", "definitions"];
/// Keywords whose value is a schema, or a list of them.
pub(super) const NESTED: [&str; 7] = [
    "anyOf",
    "oneOf",
    "allOf",
    "items",
    "additionalItems",
    "prefixItems",
    "additionalProperties",
];
/// Formats that say how a string is shown and ask nothing of it.
const SHOWN: [&str; 5] = ["password", "binary", "path", "file-path", "directory-path"];

/// Whether a keyword is a note in every draft: an extension, or the default written out.
pub(super) fn is_note(key: &str, value: &Value) -> bool {
    key.starts_with("x-") && key != "x-guidance" || key == "uniqueItems" && value == &Value::Bool(false)
}

/// The schema without notes, its `oneOf` said as `anyOf` where that is the same. Its depth was checked.
pub(super) fn plain(mut schema: Value) -> Value {
    let root = schema.clone();
    walk(&mut schema, &root);
    schema
}

fn walk(schema: &mut Value, root: &Value) {
    match schema {
        Value::Array(list) => list.iter_mut().for_each(|schema| walk(schema, root)),
        Value::Object(fields) => {
            fields.retain(|key, value| {
                let shown = key == "format" && value.as_str().is_some_and(|format| SHOWN.contains(&format));
                !is_note(key, value) && !shown
            });
            let one_of = fields.get("oneOf").and_then(Value::as_array);
            if !fields.contains_key("anyOf") && one_of.is_some_and(|options| told_apart(options, root)) {
                let options = fields.remove("oneOf").unwrap_or_default();
                fields.insert("anyOf".into(), options);
            }
            for (key, value) in fields {
                if NAMED.contains(&key.as_str()) {
                    let named = value.as_object_mut().into_iter().flat_map(|map| map.values_mut());
                    named.for_each(|schema| walk(schema, root));
                } else if NESTED.contains(&key.as_str()) {
                    walk(value, root);
                }
            }
        }
        _ => {}
    }
}

/// Whether some property is required in every option and has other constants in each.
fn told_apart(options: &[Value], root: &Value) -> bool {
    let resolved = |option: &'_ Value| match option.get("$ref").and_then(Value::as_str) {
        Some(reference) => root.pointer(reference.strip_prefix('#')?).cloned(),
        None => Some(option.clone()),
    };
    let Some(options) = options.iter().map(resolved).collect::<Option<Vec<Value>>>() else {
        return false;
    };
    let names = options.first().and_then(|option| option["properties"].as_object());
    names.into_iter().flat_map(|names| names.keys()).any(|name| {
        let mut seen = HashSet::new();
        options
            .iter()
            .all(|option| constants(option, name).is_some_and(|own| own.into_iter().all(|value| seen.insert(value))))
    })
}

/// The values that a required property of an object may have, where the schema lists them.
fn constants(option: &Value, name: &str) -> Option<HashSet<String>> {
    let required = option["required"].as_array()?.iter().any(|required| required == name);
    if !required || option["type"] != "object" {
        return None;
    }
    let property = option["properties"].get(name)?;
    // Strings only: numbers may be equal and written differently.
    match (property.get("const"), property.get("enum")) {
        (Some(value), _) => Some(HashSet::from([value.as_str()?.to_owned()])),
        (None, Some(Value::Array(values))) => values.iter().map(|value| value.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

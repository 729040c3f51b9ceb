//! Conditions on the attributes of files: comparisons, and `and` and `or` of them. Checked once, then asked of every
//! file. A file without the attribute is not equal to anything.

use std::cmp::Ordering;

use candor_wire::vector_stores::Filter;
use serde_json::Value;

use crate::ApiError;

/// Conditions within conditions.
const DEEPEST: usize = 8;
/// Conditions of a filter.
const MOST: usize = 200;
/// Values of `in` and `nin`.
const MOST_VALUES: usize = 1000;

/// A condition that can be asked.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Compare(String, Comparison),
}

/// What an attribute is compared with.
#[derive(Debug, Clone)]
pub(crate) enum Comparison {
    Equal(Value),
    NotEqual(Value),
    Ordered(fn(Ordering) -> bool, Value),
    In(Vec<Value>),
    NotIn(Vec<Value>),
}

impl Condition {
    /// Checks a filter.
    pub(crate) fn new(filter: &Filter) -> Result<Self, ApiError> {
        let mut left = MOST;
        condition(filter, DEEPEST, &mut left)
    }

    /// Whether a file with these attributes passes.
    pub(crate) fn holds(&self, attributes: Option<&Value>) -> bool {
        match self {
            Self::All(inner) => inner.iter().all(|one| one.holds(attributes)),
            Self::Any(inner) => inner.iter().any(|one| one.holds(attributes)),
            Self::Compare(key, comparison) => comparison.holds(attributes.and_then(|all| all.get(key))),
        }
    }
}

impl Comparison {
    fn holds(&self, value: Option<&Value>) -> bool {
        let equal = |other: &Value| value.is_some_and(|value| order(value, other) == Some(Ordering::Equal));
        match self {
            Self::Equal(other) => equal(other),
            Self::NotEqual(other) => !equal(other),
            Self::Ordered(fits, other) => value.and_then(|value| order(value, other)).is_some_and(fits),
            Self::In(others) => others.iter().any(equal),
            Self::NotIn(others) => !others.iter().any(equal),
        }
    }
}

/// Values of one kind have an order: numbers, texts (by their characters, which orders ISO dates), false before true.
fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn condition(filter: &Filter, depth: usize, left: &mut usize) -> Result<Condition, ApiError> {
    let refused = |message: &str| ApiError::param("filters", message);
    if depth == 0 || *left == 0 {
        let message = format!("`filters` holds at most {MOST} conditions, at most {DEEPEST} within each other");
        return Err(refused(&message));
    }
    *left -= 1;
    let kind = filter.kind.as_str();
    if matches!(kind, "and" | "or") {
        let inner = filter.filters.as_deref().unwrap_or_default();
        if inner.is_empty() {
            return Err(refused("`and` and `or` need `filters`: the conditions that they join"));
        }
        let inner = inner
            .iter()
            .map(|one| condition(one, depth - 1, left))
            .collect::<Result<_, _>>()?;
        return Ok(if kind == "and" {
            Condition::All(inner)
        } else {
            Condition::Any(inner)
        });
    }
    let key = filter
        .key
        .clone()
        .ok_or_else(|| refused("a comparison needs `key`: which attribute"))?;
    let value = filter
        .value
        .clone()
        .ok_or_else(|| refused("a comparison needs `value`: what to compare the attribute with"))?;
    let plain = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
    let one = |value: Value| match plain(&value) {
        true => Ok(value),
        false => Err(refused("`value` must be a string, a number or a boolean")),
    };
    let many = |value: Value| match value {
        Value::Array(values) if values.len() <= MOST_VALUES && values.iter().all(plain) => Ok(values),
        _ => Err(refused(
            "`value` of `in` and `nin` must be an array of at most 1000 strings, numbers or booleans",
        )),
    };
    let comparison = match kind {
        "eq" => Comparison::Equal(one(value)?),
        "ne" => Comparison::NotEqual(one(value)?),
        "gt" => Comparison::Ordered(Ordering::is_gt, one(value)?),
        "gte" => Comparison::Ordered(Ordering::is_ge, one(value)?),
        "lt" => Comparison::Ordered(Ordering::is_lt, one(value)?),
        "lte" => Comparison::Ordered(Ordering::is_le, one(value)?),
        "in" => Comparison::In(many(value)?),
        "nin" => Comparison::NotIn(many(value)?),
        _ => {
            return Err(refused(
                "a condition's `type` must be `eq`, `ne`, `gt`, `gte`, `lt`, `lte`, `in`, `nin`, `and` or `or`",
            ));
        }
    };
    Ok(Condition::Compare(key, comparison))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn holds(filter: Value, attributes: Value) -> bool {
        let filter: Filter = serde_json::from_value(filter).unwrap();
        Condition::new(&filter).unwrap().holds(Some(&attributes))
    }

    #[test]
    fn attributes_are_compared_with_values_of_their_kind() {
        let file = || json!({ "year": 2020, "kind": "memo", "draft": false, "day": "2020-03-01" });
        for (kind, key, value, fits) in [
            ("eq", "year", json!(2020), true),
            ("eq", "year", json!(2020.0), true),
            ("eq", "year", json!("2020"), false),
            ("ne", "kind", json!("memo"), false),
            ("ne", "author", json!("x"), true),
            ("gt", "year", json!(2019), true),
            ("gte", "year", json!(2020), true),
            ("lt", "year", json!(2020), false),
            ("lte", "day", json!("2020-12-31"), true),
            ("gt", "author", json!(1), false),
            ("eq", "draft", json!(false), true),
            ("in", "kind", json!(["letter", "memo"]), true),
            ("nin", "kind", json!(["letter", "memo"]), false),
            ("nin", "author", json!(["x"]), true),
        ] {
            let filter = json!({ "type": kind, "key": key, "value": value });
            assert_eq!(holds(filter.clone(), file()), fits, "{filter}");
        }
    }

    #[test]
    fn conditions_are_joined() {
        let year = |year: i32| json!({ "type": "eq", "key": "year", "value": year });
        let memo = || json!({ "type": "eq", "key": "kind", "value": "memo" });
        let either = json!({ "type": "or", "filters": [year(1999), year(2020)] });
        let both = json!({ "type": "and", "filters": [either, memo()] });
        assert!(holds(both.clone(), json!({ "year": 2020, "kind": "memo" })));
        assert!(!holds(both.clone(), json!({ "year": 2021, "kind": "memo" })));
        assert!(!holds(both, json!({ "year": 2020, "kind": "letter" })));
    }

    #[test]
    fn what_is_no_condition_is_refused_with_a_sentence() {
        let mut deep = json!({ "type": "eq", "key": "a", "value": 1 });
        for _ in 0..20 {
            deep = json!({ "type": "and", "filters": [deep] });
        }
        for wrong in [
            json!({ "type": "like", "key": "a", "value": "b" }),
            json!({ "type": "eq", "key": "a" }),
            json!({ "type": "eq", "value": 1 }),
            json!({ "type": "eq", "key": "a", "value": {} }),
            json!({ "type": "in", "key": "a", "value": "b" }),
            json!({ "type": "and" }),
            json!({ "type": "or", "filters": [] }),
            deep,
        ] {
            let filter: Filter = serde_json::from_value(wrong.clone()).unwrap();
            assert!(Condition::new(&filter).is_err(), "{wrong}");
        }
    }
}

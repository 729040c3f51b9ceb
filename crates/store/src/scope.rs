//! Which sources a conversation is answered from.

use serde::{Deserialize, Serialize};

use crate::StoreError;

/// Collections of one scope.
const MOST: usize = 100;
/// Bytes of a collection's id.
const MAX_ID: usize = 100;

/// In JSON `"none"`, `"all"` or `{"collections": ["vs_…"]}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// No sources: the model answers.
    #[default]
    None,
    /// Every source there is.
    All,
    /// Those in any of these collections (ids).
    Collections(Vec<String>),
}

impl Scope {
    pub(crate) fn checked(self) -> Result<Self, StoreError> {
        match &self {
            Self::Collections(ids) if ids.is_empty() => Ok(Self::None),
            Self::Collections(ids) if ids.len() > MOST || ids.iter().any(|id| id.len() > MAX_ID) => {
                Err(StoreError::Invalid(format!(
                    "`sources` may name {MOST} collections; choose fewer, or all sources"
                )))
            }
            _ => Ok(self),
        }
    }

    /// As a row keeps it.
    pub(crate) fn row(self) -> Option<serde_json::Value> {
        match self {
            Self::None => None,
            other => serde_json::to_value(other).ok(),
        }
    }

    pub(crate) fn of_row(row: Option<serde_json::Value>) -> Self {
        row.and_then(|value| serde_json::from_value(value).ok())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Scope;

    #[test]
    fn a_scope_reads_as_it_is_written() {
        for (scope, json) in [
            (Scope::None, "\"none\""),
            (Scope::All, "\"all\""),
            (Scope::Collections(vec!["vs_1".into()]), "{\"collections\":[\"vs_1\"]}"),
        ] {
            assert_eq!(serde_json::to_string(&scope).unwrap(), json);
            assert_eq!(Scope::of_row(scope.clone().row()), scope);
        }
    }

    #[test]
    fn a_scope_of_no_collection_is_none_and_one_of_too_many_is_refused() {
        assert_eq!(Scope::Collections(Vec::new()).checked().unwrap(), Scope::None);
        assert!(Scope::Collections(vec!["vs".into(); 101]).checked().is_err());
        assert!(Scope::Collections(vec!["v".repeat(1000)]).checked().is_err());
    }
}

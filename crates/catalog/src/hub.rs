//! stub
use crate::{environment::Environment, error::Error, http::Client, pull::Job, store::StoredFile};
use std::collections::BTreeMap;
pub(crate) async fn fetch(
    _: &Job<'_>,
    _: &Client,
    _: &str,
    _: &str,
    _: &BTreeMap<String, String>,
) -> Result<Vec<StoredFile>, Error> {
    Err(Error::Source("not built yet".into()))
}
/// Whether the hub answers.
///
/// # Errors
/// Why not.
pub async fn hub_answers(_: &Environment) -> Result<(), Error> {
    Err(Error::Source("not built yet".into()))
}

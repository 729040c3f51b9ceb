//! stub
use crate::{entry::FileSpec, error::Error, http::Client, pull::Job, store::StoredFile};
pub(crate) async fn file(_: &Job<'_>, _: &Client, _: &FileSpec, _: &str, _: Option<&str>) -> Result<StoredFile, Error> {
    Err(Error::Source("not built yet".into()))
}

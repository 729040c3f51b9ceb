//! stub
use crate::{error::Error, pull::Patience};
pub(crate) struct Client;
impl Client {
    pub(crate) fn new(_: &Patience) -> Result<Self, Error> {
        Ok(Self)
    }
}

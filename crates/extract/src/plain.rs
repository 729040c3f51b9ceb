//! Text and source code: the lines as they are. Only what may not stand in a stored text is taken out.

use crate::document::{Extracted, Kind};
use crate::error::ExtractError;
use crate::limits::Limits;
use crate::text::Writer;

pub(crate) fn read(text: &str, kind: Kind, note: Option<String>, limits: &Limits) -> Result<Extracted, ExtractError> {
    let mut out = Writer::new(limits);
    note.into_iter().for_each(|note| out.note(note));
    out.lines(text);
    if out.is_empty() {
        return Err(ExtractError::no_text(
            "text file",
            "there is nothing but white space in it",
        ));
    }
    Ok(out.finish(kind))
}

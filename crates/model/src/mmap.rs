//! Memory-mapped files: the only `unsafe` of this crate. A mapped model costs no copy, and pages that nobody reads are
//! never loaded.

use std::fs::File;
use std::ops::Deref;
use std::path::Path;

use crate::Error;

/// The bytes of a file, mapped or (when empty) not at all.
#[derive(Debug)]
pub(crate) struct Mapped(Option<memmap2::Mmap>);

impl Mapped {
    /// Maps the file at `path` for reading.
    ///
    /// # Errors
    /// If the file cannot be opened or mapped.
    #[expect(unsafe_code, reason = "a file mapping cannot be made without")]
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let fail = |cause: std::io::Error| {
            Error::file(
                path,
                format!("cannot be opened: {cause}; check the path and its permissions"),
            )
        };
        let file = File::open(path).map_err(fail)?;
        let metadata = file.metadata().map_err(fail)?;
        if metadata.is_dir() {
            return Err(Error::file(
                path,
                "is a folder, not a file; name the model file inside it",
            ));
        }
        if metadata.len() == 0 {
            return Ok(Self(None));
        }
        // SAFETY: the mapping is read-only and its bytes are only ever read as `u8`, for which every value is valid. Model
        // files are replaced by rename, never written in place, by everything in Candor; a foreign program that truncates
        // the file meanwhile ends the process by a signal, as with every program that maps files.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(fail)?;
        Ok(Self(Some(map)))
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}
